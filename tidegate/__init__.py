"""The operator's command: python -m tidegate. Heavy imports stay inside the commands."""
