"""A journal as a registrar leaves it, move by move, without one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from registry import journal
from registry.effects import EPOCH_TAG, SLOTS_TAG
from registry.journal import Commit, HeadReader, Intent
from registry.states import Slots, Standing

AT = datetime(2026, 1, 7, 12, tzinfo=UTC)


def begun(root: Path, **slots: int) -> str:
    """Write a move to these slots that is not committed; returns its tx."""
    folded = HeadReader(root).folded()
    epoch = folded.head.epoch + 1
    tx = f"tx{epoch}"
    intent = Intent(
        tx=tx, epoch=epoch, at=AT + timedelta(minutes=epoch), transition="active", version=slots.get("active"),
        direction="up", source="", target="", by="human:tests", reason="tests", text="", evidence="", policy="",
        force=False, events=(), states={}, after=Standing(slots=Slots(**slots)),
    )  # fmt: skip
    journal.append(root, intent, folded)
    return tx


def moved(root: Path, **slots: int) -> int:
    """Write a committed move to these slots and return its epoch."""
    tx = begun(root, **slots)
    committed(root, tx)
    return HeadReader(root).look().epoch


def committed(root: Path, tx: str) -> None:
    """Commit a move that was begun."""
    folded = HeadReader(root).folded()
    at = AT + timedelta(minutes=folded.head.epoch + 2)
    journal.append(root, Commit(tx=tx, epoch=folded.head.epoch + 1, at=at, effects={}), folded)


def tags(epoch: int, **slots: int | None) -> dict[str, str]:
    """What a registrar leaves on the registered model."""
    return {EPOCH_TAG: str(epoch), SLOTS_TAG: msgspec.json.encode(Slots(**slots)).decode()}
