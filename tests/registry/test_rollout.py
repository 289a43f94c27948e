"""The rollout state: written whole, read back equal, and refused when it is anything else."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from registry.errors import ManifestError
from registry.rollout import ROLLOUT_FILE, RolloutState, read, write

STATE = RolloutState(
    epoch=3,
    mode="canary",
    canary_fraction=0.1,
    salt="v7",
    cooldown_until=datetime(2026, 1, 8, 12, 15, tzinfo=UTC),
    reason="winrate_delta",
    by="sensor:verdict",
    at=datetime(2026, 1, 8, 12, tzinfo=UTC),
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The same state comes back, and replaces what was there."""
    write(tmp_path, STATE)
    assert read(tmp_path) == STATE
    later = msgspec.structs.replace(STATE, epoch=4, mode="disabled", cooldown_until=None)
    write(tmp_path, later)
    assert read(tmp_path) == later


def test_no_file_is_no_state(tmp_path: Path) -> None:
    """Nobody has said anything yet."""
    assert read(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 0}, {"mode": "on"}, {"canary_fraction": 1.5}, {"canary_fraction": None}, {"news": 1},
        {"at": "2026-01-08T12:00:00"}, {"cooldown_until": "soon"}, {"salt": None},
    ],
)  # fmt: skip
def test_what_it_cannot_say_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """A value out of bounds, a time without a zone, a field nobody knows: the file is named."""
    (tmp_path / ROLLOUT_FILE).write_bytes(msgspec.json.encode(msgspec.to_builtins(STATE) | change))
    with pytest.raises(ManifestError, match=ROLLOUT_FILE):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_what_is_no_state_is_refused(tmp_path: Path, content: bytes) -> None:
    """Torn or foreign bytes."""
    (tmp_path / ROLLOUT_FILE).write_bytes(content)
    with pytest.raises(ManifestError, match="disabled"):
        read(tmp_path)
