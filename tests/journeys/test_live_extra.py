"""Every service as a process of its own: what it imports, that it is small, and how they work apart."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus import streams
from tests.bus.servers import needs_redis
from tests.fake_exchange.server import FakeExchange, running
from tests.journeys.live.processes import Process, Site, site, wait
from tests.journeys.played import bodies, mirror

SERVICES = ("collector", "signal_engine", "ai_scorer", "executor", "risk")
NEVER = {
    "dagster", "mlflow", "lightgbm", "evidently", "pandas", "sklearn", "onnx", "skl2onnx", "onnxmltools", "matplotlib",
    "polars", "duckdb", "sqlalchemy", "hftbacktest", "pytest", "hypothesis",
}  # fmt: skip
"""What a trading host does not even have."""
ONLY = {
    "ccxt": set[str](), "numba": {"signal_engine"}, "scipy": {"signal_engine"}, "onnxruntime": {"ai_scorer"},
    "pyarrow": set[str](), "websockets": {"collector"},
}  # fmt: skip
"""What costs, and who may import it on the way to being ready: numba imports scipy."""
MOST_MIB = 120


def imported(process: Process) -> set[str]:
    """The packages a process has imported, as Python tells with -X importtime."""
    lines = (line for line in process.text().splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def peak_mib(process: Process) -> float:
    """The most memory a process ever had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@contextmanager
def apart(folder: Path, exchange: FakeExchange) -> Iterator[tuple[Site, dict[str, Process]]]:
    """A site with every service as a process, all of them ready, on the market of a fake exchange."""
    with site(folder) as place:
        started = {
            name: place.start(
                name, FEED_KIND="binance", FEED_WS_URL=exchange.ws_url, FEED_REST_URL=exchange.rest_url,
                EXCHANGE_MODE="paper", PYTHONPROFILEIMPORTTIME="1",
            )
            for name in SERVICES
        }  # fmt: skip

        def is_ready() -> bool:
            exchange.step("BTCUSDT", bids=[("99.9", "2.000")])
            return all(place.is_ready(process) for process in started.values())

        wait(is_ready, "every service")
        yield place, started


@pytest.mark.slow
@needs_redis
def test_services_apart_import_what_they_need_and_stay_small(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Nothing of the pipelines in any of them, numba in one, ccxt in none; each but that one below 120 MiB."""
    mirror(tmp_path).put("active", 1, tau=0.5)
    with running(("BTCUSDT",), lambda: time.time_ns() // 1_000_000) as exchange, apart(tmp_path, exchange) as found:
        place, started = found
        for name, process in started.items():
            with subtests.test(name):
                names = imported(process)
                assert {"live", "bus", "config"} <= names, "the log must tell of imports"
                assert names & NEVER == set()
                assert {each for each, owners in ONLY.items() if each in names and name not in owners} == set()
                if name != "signal_engine":
                    assert peak_mib(process) < MOST_MIB
        assert exchange.state.asked("/fapi/v1/order") == 0
        assert len(bodies(place.bus, streams.book("BTCUSDT"))) > 1
        for name in reversed(SERVICES):
            assert started[name].end() == 0, started[name].text()[-2_000:]
