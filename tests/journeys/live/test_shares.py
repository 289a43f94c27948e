"""Two shares of the symbols as processes, their market on two servers: what one process finds, they find."""

from pathlib import Path

import pytest

from bus import streams
from bus.client import RedisBus
from bus.codec import decode
from bus.messages import Candidate
from bus.streams import candidates, shard_of
from tests.bus.servers import running_server
from tests.journeys.live.processes import Process, Site, site, wait

SYMBOLS = ("BTCUSDT", "ETHUSDT")
MARKET = {
    "MARKET_SYMBOLS": ",".join(SYMBOLS), "FEED_SPEED": "0", "FEED_START": "2026-01-07T12:00:00", "FEED_MINUTES": "4",
    "REDIS_MARKET_MINUTES": "100",
}  # fmt: skip
"""Four minutes of a simulated market, as fast as they can be handled: the same events each time."""


def played(place: Site, *processes: Process) -> None:
    """Wait until the market of every process is over, then end them in order."""
    for process in processes:
        name = next(each for each in ("collector:1", "collector") if place.beat(process, each) or each == "collector")
        wait(lambda process=process, name=name: is_over(place, process, name), "the market's end")  # type: ignore[misc]
        assert process.end() == 0, process.text()[-3000:]


def is_over(place: Site, process: Process, name: str) -> bool:
    """Whether a collector has said all there is."""
    assert process.is_running, process.text()[-3000:]
    beat = place.beat(process, name)
    return beat is not None and bool(beat.status.get("finished"))


def found(bus: RedisBus, *names: str) -> dict[str, Candidate]:
    """Every candidate on these streams."""
    bodies = [decode(entry).body for name in names for entry in bus.recent(name, 100_000)]
    return {body.id: body for body in bodies if isinstance(body, Candidate)}


@pytest.mark.slow
def test_two_shares_find_the_very_candidates_of_one_process(place: Site, tmp_path: Path) -> None:
    """Row for row and bit for bit; each symbol's market lies on its own server, and whoever sees all reads both."""
    one = place.start("collector", "signal_engine", **MARKET)
    with (
        running_server(tmp_path / "m0") as left,
        running_server(tmp_path / "m1") as right,
        site(tmp_path / "shares") as spread,
    ):
        knobs = {**MARKET, "SHARD_COUNT": "2", "REDIS_MARKET_URLS": f"{left},{right}"}
        shares = [spread.start("collector", "signal_engine", **knobs, SHARD_INDEX=str(index)) for index in (0, 1)]
        wait(lambda: spread.beat(shares[1], "collector:1") is not None, "the second share")
        played(place, one)
        played(spread, *shares)
        wanted = found(place.bus, candidates(0))
        assert {body.symbol for body in wanted.values()} == set(SYMBOLS)
        assert found(spread.bus, candidates(0), candidates(1)) == wanted
        for url, index in ((left, 0), (right, 1)):
            with RedisBus(url) as bus:
                held = {name for name in SYMBOLS if bus.last_id(streams.book(name)) != "0-0"}
            assert held == {name for name in SYMBOLS if shard_of(name, 2) == index}
        assert all(spread.bus.last_id(streams.book(name)) == "0-0" for name in SYMBOLS)
        whole = spread.start("ai_scorer", **(knobs | {"FEED_SPEED": "1"}))
        wait(
            lambda: (
                all(spread.bus.depth(candidates(each), "ai_scorer")[:2] == (0, 0) for each in (0, 1))
                and spread.beat(whole) is not None
            ),
            "a scorer that has taken the candidates of both shares",
        )
        assert whole.end() == 0
