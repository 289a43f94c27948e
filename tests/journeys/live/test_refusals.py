"""What may not run says so in one line and ends with 1; what may run and should not is warned of."""

from pathlib import Path

from tests.bus.servers import NO_FILE
from tests.journeys.live.flow import found, said, settled, trading
from tests.journeys.live.played import Played
from tests.journeys.live.processes import Process, Site, site, wait


def refused(process: Process) -> str:
    """The one line with which a process ended."""
    assert process.wait() == 1, process.text()
    lines = [line for line in process.text().splitlines() if not line.startswith("{")]
    assert "Traceback" not in process.text()
    assert lines[0].startswith(f"live {process.names[0]}: ")
    return "\n".join(lines)


def test_two_executors_of_one_folder(place: Site, market: Played) -> None:
    """Fault 38: the journal is held by one; the second does not start, the first trades on."""
    first = trading(place, market)
    second = place.start("executor")
    market.play(lambda: not second.is_running, "the end of the second")
    assert "another process runs it with" in refused(second)
    settled(place, market, first)


def test_two_executors_of_two_folders(place: Site, market: Played) -> None:
    """Fault 38: the newer one has the name; the older one finds itself fenced and ends, its orders are nobody's."""
    first = trading(place, market)
    second = place.start("executor", PATHS_VAR=str(place.folder / "other"))
    market.play(lambda: not first.is_running, "the end of the first")
    assert "a newer process has started" in refused(first)
    market.play(lambda: place.is_ready(second), "the second")
    assert second.end() == 0
    intended = found(place).intended
    assert len(intended) == len(set(intended))


def test_real_orders_without_keys(place: Site) -> None:
    """Real mode says everything that is missing, and starts nothing."""
    text = refused(place.start("executor", EXCHANGE_MODE="real"))
    assert "feed.kind is simulator" in text
    assert "exchange.mode" in text


def test_a_value_that_cannot_be(place: Site) -> None:
    """Variable, value and bound are named."""
    text = refused(place.start("executor", GATES_MAX_SPREAD_BPS="-1"))
    assert "GATES_MAX_SPREAD_BPS" in text
    assert "-1" in text


def test_a_server_that_keeps_nothing(tmp_path: Path) -> None:
    """It is warned of at the start, and used."""
    with site(tmp_path, *NO_FILE) as place:
        executor = place.start("executor")
        wait(lambda: place.is_ready(executor), "the executor")
        assert said(executor, "bus_check")
        assert executor.end() == 0
