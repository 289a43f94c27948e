"""scripts/control.py says what an operator wants on control:events, and nothing else."""

from pathlib import Path

import pytest

from bus.client import RedisBus
from bus.codec import decode
from bus.messages import ControlEvent
from bus.streams import CONTROL
from live.executor.ledger import is_person
from scripts.control import main
from tests.bus.servers import needs_redis, running_server


@needs_redis
def test_a_person_halts_resumes_and_asks_for_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is one event by a person; a second call speaks under a newer epoch."""
    with running_server(tmp_path) as url:
        common = ["--by", "ann", "--redis-url", url]
        assert main(["halt", "--symbol", "BTCUSDT", "--text", "odd fills", *common]) == 0
        assert main(["resume", "--reason", "precision_halt", *common]) == 0
        assert main(["paper", *common]) == 0
        with RedisBus(url) as bus:
            found = [decode(entry) for entry in bus.recent(CONTROL, 9)]
    events = [each.body for each in found if isinstance(each.body, ControlEvent)]
    assert all(is_person(each.by) and each.by == "operator:ann" and each.severity == "WARN" for each in events)
    assert [(each.event, each.reason, each.target) for each in events] == [
        ("HALT", "operator", ""), ("RESUME", "precision_halt", ""), ("MODE_SWITCH", "operator", "paper"),
    ]  # fmt: skip
    assert (events[0].symbol, events[0].text) == ("BTCUSDT", "odd fills")
    assert [each.header.epoch for each in found] == sorted({each.header.epoch for each in found})
    assert capsys.readouterr().out.startswith("said HALT")


def test_without_streams_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what was looked for."""
    monkeypatch.setenv("PATHS_VAR", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "")
    assert main(["halt"]) == 1
    assert capsys.readouterr().err.startswith("no streams: ")
