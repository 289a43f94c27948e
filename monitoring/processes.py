"""Who leaves heartbeats: what must be there, so that its silence can be told from its never having been started."""

from typing import Final

SERVICES: Final = ("collector", "signal_engine", "ai_scorer", "executor", "risk", "model_sync")
"""The live services, in the order of their /metrics ports."""
RELEASE_SENSORS: Final = ("sensor:promotion_sensor", "sensor:rollback_sensor", "sensor:registry_sensor")
"""The sensors of Dagster that move versions; they look every few seconds, always."""
EXPECTED: Final = (*SERVICES, *RELEASE_SENSORS)
