"""What a scorer says it scores with, held against what it is to score with."""

from collections.abc import Mapping
from typing import Any

from bus.heartbeats import SILENT_SECONDS, Heartbeat
from live.model_slots import WATCHED
from registry.slots import Slot


def strays(named: Mapping[Slot, int], beat: Heartbeat | None, wall_ns: int) -> tuple[str, ...]:
    """Say which slots a scorer fills otherwise than they are named; nothing for one that is silent, or has ended."""
    if beat is None or beat.state != "running" or wall_ns - beat.at_ns > SILENT_SECONDS * 1e9 or not named:
        return ()
    models: Mapping[str, Mapping[str, Any]] = beat.status.get("models", {})
    has = {slot: models.get(slot, {}).get("version") for slot in WATCHED}
    return tuple(
        f"{slot}: version {named.get(slot) or 'none'} is named, {beat.service} scores with {has[slot] or 'none'}"
        for slot in WATCHED
        if has[slot] != named.get(slot)
    )
