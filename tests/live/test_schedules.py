"""Scheduled looks: when they run, in which thread, and what they find."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from live.schedules import (
    Schedules,
    ThreadWorker,
    fetched_info,
    longest_gaps,
    reference_differences,
)
from market.events import BadReference
from market.symbols import SymbolTable
from tests.live.parts import ROOT
from tests.live.risk_market import InlineWorker

S = 1_000_000_000
BTC = {"BTCUSDT": SymbolTable.load(ROOT / "data/reference/symbols.yml")["BTCUSDT"]}


def exchange_info(tick: str = "0.10") -> dict[str, Any]:
    """What Binance says of one instrument."""
    return {
        "symbols": [
            {
                "symbol": "BTCUSDT",
                "contractType": "PERPETUAL",
                "filters": [
                    {"filterType": "PRICE_FILTER", "tickSize": tick},
                    {"filterType": "LOT_SIZE", "stepSize": "0.001"},
                    {"filterType": "MIN_NOTIONAL", "notional": "100"},
                ],
            }
        ]
    }


@contextmanager
def serving(content: bytes, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A loopback server that answers everything the same; yields its address and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_job_runs_when_due_and_never_beside_itself() -> None:
    """First after its first wait, then each period, but not while it still runs."""
    worker = InlineWorker()
    schedules = Schedules(worker)
    schedules.every("look", 10.0, 5.0, 0, lambda: lambda: "seen")
    assert schedules.tick(4 * S) == [] and worker.jobs == []
    assert schedules.tick(5 * S) == []
    assert len(worker.jobs) == 1
    held, worker.jobs = worker.jobs, []
    assert schedules.tick(15 * S) == [] and worker.jobs == []
    worker.jobs = held
    assert [found.result for found in schedules.tick(16 * S)] == ["seen"]
    assert len(worker.jobs) == 1


def test_no_work_is_no_job() -> None:
    """A plan may have nothing to do this time."""
    worker = InlineWorker()
    schedules = Schedules(worker)
    schedules.every("look", 10.0, 0.0, 0, lambda: None)
    schedules.tick(0)
    assert worker.jobs == []


def test_the_thread_hands_back_results_and_errors() -> None:
    """Both wake the loop; a job that dies does not take the thread with it."""
    woken = threading.Semaphore(0)
    worker = ThreadWorker(woken.release)
    worker.close()
    worker = ThreadWorker(woken.release)
    worker.submit("good", lambda: threading.current_thread().name)
    worker.submit("bad", lambda: 1 / 0)
    assert woken.acquire(timeout=10) and woken.acquire(timeout=10)
    good, bad = worker.found()
    assert (good.name, good.result, good.error) == ("good", "risk-schedules", None)
    assert isinstance(bad.error, ZeroDivisionError)
    assert worker.found() == []
    worker.close()


def test_a_saved_answer_is_compared_with_the_table(tmp_path: Path) -> None:
    """A line for each field that differs; none when it fits; BadReference for no answer at all."""
    saved = tmp_path / "info.json"
    saved.write_text(json.dumps(exchange_info()))
    assert reference_differences(BTC, saved) == []
    saved.write_text(json.dumps(exchange_info(tick="0.50")))
    assert reference_differences(BTC, saved) == ["BTCUSDT: price_tick is 0.1, binance says 0.5"]
    saved.write_text("[]")
    with pytest.raises(BadReference, match=r"info\.json"):
        reference_differences(BTC, saved)


@pytest.mark.parametrize(
    ("venue", "path"),
    [
        ("binance", "/fapi/v1/exchangeInfo"),
        ("bybit", "/v5/market/instruments-info?category=linear&limit=1000"),
    ],
)
def test_the_venue_is_asked_and_its_answer_kept(tmp_path: Path, venue: str, path: str) -> None:
    """At the configured address."""
    with serving(b'{"symbols": []}') as (url, asked):
        kept = fetched_info(venue, url + "/", tmp_path / "info.json", 5.0)
    assert asked == [path]
    assert json.loads(kept.read_text()) == {"symbols": []}


def test_a_venue_that_refuses_is_an_error_and_an_address_must_be_one(tmp_path: Path) -> None:
    """Nothing is kept then, and files are never read as if they were answers."""
    with serving(b"no", status=503) as (url, _), pytest.raises(OSError, match="503"):
        fetched_info("binance", url, tmp_path / "info.json", 5.0)
    with pytest.raises(OSError, match="wanted an http or https address"):
        fetched_info("binance", "file:///etc", tmp_path / "info.json", 5.0)
    assert list(tmp_path.iterdir()) == []


def test_a_scan_that_cannot_run_says_why(tmp_path: Path) -> None:
    """It runs in another process, whose last words are in the error; no lake yet is no error."""
    assert longest_gaps(str(tmp_path / "none"), ["BTCUSDT"], 60.0) == {}
    with pytest.raises(OSError, match="gap scan of nowhere://x ended by 1"):
        longest_gaps("nowhere://x", ["BTCUSDT"], 60.0)
