import sys
from pathlib import Path

import pytest

from tests.bus.servers import needs_redis
from tests.journeys.played import overrides
from tests.journeys.waiting import until
from tidegate.live_stack import StackError, running, start, stop

MARKET = {"MARKET_SYMBOLS": "BTCUSDT", "FEED_MINUTES": "0.2"}


@needs_redis
def test_services_run_while_the_block_does(tmp_path: Path) -> None:
    """They are ready, are heard by their heartbeats and their page, and end in order with the server they spoke on."""
    log = tmp_path / "logs" / "live.log"
    with running(tmp_path / "redis", log, ["collector"], overrides(tmp_path, **MARKET)) as stack:
        stack.wait_for(["collector"], 60)
        stack.check()
        assert stack.heartbeats()["collector"].pid == stack.process.pid
        until(lambda: stack.scrape().total("market_events_total") or None, 60, "market events on the page")
        process = stack.process
    assert process.returncode == 0
    assert '"event": "stopped"' in log.read_text()
    assert stack.heartbeats() == {}, "no server, no word"
    with pytest.raises(StackError, match=r"show no /metrics yet; see .*live\.log"):
        stack.scrape()


@needs_redis
def test_services_that_end_are_told_of_with_the_end_of_their_log(tmp_path: Path) -> None:
    """A wait is not longer than their life."""
    environ = overrides(tmp_path, FEED_KIND="capture", FEED_PATH=str(tmp_path / "nothing"))
    with (
        running(tmp_path / "redis", tmp_path / "live.log", ["collector"], environ) as stack,
        pytest.raises(StackError, match=r"(?s)ended with 1; .*live\.log ends with:.*feed\.path: no recording at"),
    ):
        stack.wait_for(["collector"], 60)


@needs_redis
def test_a_service_that_is_not_ready_in_time_is_named(tmp_path: Path) -> None:
    """Without a model the scorer never is."""
    with (
        running(tmp_path / "redis", tmp_path / "live.log", ["collector"], overrides(tmp_path, **MARKET)) as stack,
        pytest.raises(StackError, match=r"ai_scorer not ready after 0\.1 s; see .*live\.log"),
    ):
        stack.wait_for(["ai_scorer"], 0.1)


def test_a_start_that_is_refused_says_why_in_the_log(tmp_path: Path) -> None:
    """The command line is the one a person would type; what it says is in the file."""
    log = tmp_path / "live.log"
    process = start(["collector"], log, {"FEED_KIND": "nowhere"})
    assert process.args[:4] == [sys.executable, "-m", "live", "collector"]  # type: ignore[index]
    assert process.wait(60) == 1
    assert "FEED_KIND" in log.read_text()
    assert stop(process) == 1, "stopping what has ended returns its code"
