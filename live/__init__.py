"""The live services: collector, signal_engine, ai_scorer, executor, risk, model_sync. Imports anything below."""
