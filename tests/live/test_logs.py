"""Logs: one line an event, and nobody is stopped by a line that cannot be written."""

import io
import json
from typing import Literal

import pytest

from live.logs import configure


class Full(io.StringIO):
    """A stream on a disk that is full."""

    def write(self, _text: str) -> int:
        """Refuse."""
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        """Refuse."""
        raise OSError(28, "No space left on device")


def test_json_lines_carry_ids_and_levels() -> None:
    """What is below the level is not written."""
    out = io.StringIO()
    log = configure("executor", "json", "info", out)
    log.info("order_accepted", signal="BTCUSDT-1", order="tg1")
    log.debug("not_written")
    (line,) = out.getvalue().splitlines()
    found = json.loads(line)
    assert (found["event"], found["service"], found["signal"], found["level"]) == (
        "order_accepted", "executor", "BTCUSDT-1", "info",
    )  # fmt: skip


@pytest.mark.parametrize("format_", ["json", "text"])
def test_a_disk_that_is_full_stops_nobody(format_: Literal["json", "text"]) -> None:
    """Found with a real process on a full disk: word of the journal could not be written, so CRIT was never called."""
    log = configure("executor", format_, "info", Full())
    log.error("journal_refuses", error="No space left on device")
    try:
        raise OSError(28, "No space left on device")
    except OSError:
        log.exception("tick_failed")


def test_a_line_shows_no_secret() -> None:
    """Neither one we know, in an exception of somebody else's, nor the password of an address."""
    out = io.StringIO()
    log = configure("executor", "json", stream=out, secrets=["pl4nted-k3y", 'qu0ted"s3cret'])
    try:
        raise ValueError('GET https://venue/order?key=pl4nted-k3y failed, qu0ted"s3cret too')
    except ValueError:
        log.exception("venue_failed", url="redis://me:0ther-s3cret@host:1")
    said = out.getvalue()
    assert "venue_failed" in said and "redis://***@host:1" in said
    assert "pl4nted" not in said and "0ther" not in said and "qu0ted" not in said
