"""A person at the pages of Dagster, MLflow and the snapshot, in Debian's Chromium; the pictures of the docs come of it.

`python -m tests.journeys.browser` makes the pictures anew (`make pictures`).
"""
