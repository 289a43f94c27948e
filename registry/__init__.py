"""Model bundles, the scorer, the mirror's manifest and the MLflow store. May import market, evaluation, monitoring."""
