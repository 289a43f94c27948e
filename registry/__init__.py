"""Bundles and their scorer, the mirror, the states of versions and who moves them, the MLflow store.

May import market, evaluation, monitoring.
"""
