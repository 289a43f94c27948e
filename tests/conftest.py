"""Settings every test shares: no telemetry, one thread a library, Hypothesis without a clock."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from hypothesis import HealthCheck, settings

# A shared two-core machine makes wall-clock deadlines lie; the examples are derandomised so that a run repeats.
settings.register_profile(
    "tidegate", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tidegate")
