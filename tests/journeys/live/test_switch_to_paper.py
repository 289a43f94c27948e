"""The switch to paper as the runbook words it: by EXCHANGE_MODE, or by exchange.mode in the file, and a restart."""

import time
from pathlib import Path

import pytest

from tests.fake_exchange.server import running
from tests.journeys.live.processes import Site, wait
from tests.journeys.live.test_restarts import status
from tests.journeys.test_real_mode import KEYS
from tests.live.parts import ROOT

SYMBOLS_FILE = str(ROOT / "data" / "reference" / "symbols.yml")


@pytest.mark.parametrize("way", ["environment", "file"])
def test_an_executor_that_is_restarted_on_paper_sends_nothing(place: Site, tmp_path: Path, way: str) -> None:
    """It was real and still has its keys: nothing is asked of the venue any more, and what is shown says paper."""
    with running(("BTCUSDT",), lambda: time.time_ns() // 1_000_000) as exchange:
        knobs = {
            "FEED_KIND": "binance", "EXCHANGE_VENUE": "binance", "EXCHANGE_REST_URL": exchange.rest_url, **KEYS,
        }  # fmt: skip
        executor = place.start("executor", EXCHANGE_MODE="real", **knobs)
        assert status(place, executor)["mode"] == "real"
        assert executor.end() == 0
        asked = len(exchange.state.log)
        file = tmp_path / "config" / "app.yml"
        file.parent.mkdir()
        file.write_text("exchange:\n  mode: paper\n", encoding="utf-8")
        if way == "environment":
            executor = place.start("executor", EXCHANGE_MODE="paper", **knobs)
        else:
            executor = place.start("executor", more=("--config", str(file)), PATHS_SYMBOLS=SYMBOLS_FILE, **knobs)
        found = status(place, executor)
        assert (found["mode"], found["cooldown_seconds"]) == ("paper", 0.0)
        wait(lambda: place.scrape(executor).total("exchange_mode_info", mode="paper") == 1, "the metric")
        assert place.scrape(executor).total("exchange_mode_info", mode="real") == 0
        assert executor.end() == 0
        assert len(exchange.state.log) == asked
