"""The server of the streams wiped, killed, paused, full and half deaf: approvals and reports are there all the same."""

import time
from pathlib import Path

from bus.streams import APPROVED, CONTROL, REPORTS
from bus.wire import Wire, pack
from tests.bus.proxy import Proxy
from tests.bus.servers import NO_FILE
from tests.journeys.live.flow import acting, controls, found, said, settled, trading
from tests.journeys.live.played import Played
from tests.journeys.live.processes import Site, site, wait

OUTAGE = {"REDIS_OUTAGE_SECONDS": "0.3"}


def test_a_server_that_forgets_everything(tmp_path: Path) -> None:
    """Fault 6: killed without a file. CRIT while it is away, then the group is made again and trading goes on."""
    with site(tmp_path, *NO_FILE) as place:
        market = Played(place.server.url)
        executor = trading(place, market, **OUTAGE)
        place.server.kill()
        wait(lambda: said(executor, "bus_away_too_long"), "word of the outage")
        assert place.settings().fail_safe.cooldown_seconds == 900.0
        place.server.start()
        market.play(lambda: said(executor, "bus_back"), "the way back")
        acting(place, market)
        assert "group_recreated" in {event["kind"] for event in executor.events("bus_incident")}
        beat = place.beat(executor)
        assert beat is not None
        assert beat.status["cooldown_seconds"] > 0
        market.each = 0
        market.play(lambda: not found(place).ledger.open_trips, "every position's end")
        assert executor.end() == 0
        books = found(place)
        assert len(books.intended) == len(set(books.intended))
        # What was acknowledged before the wipe is gone with the streams; the journal has it, and nobody acts twice.
        assert set(market.approved[-3:]) <= set(books.fates)
        market.close()


def test_a_server_that_is_killed_and_reads_its_file(place: Site, market: Played) -> None:
    """Fault 7: nothing lost, what was delivered and not acknowledged is delivered again."""
    executor = trading(place, market)
    for _ in range(2):
        market.more(2)
        place.server.write_down()
        place.server.kill()
        wait(lambda: said(executor, "bus_away"), "word of the outage")
        place.server.start()
        market.play(lambda: said(executor, "bus_back"), "the way back")
        acting(place, market)
    settled(place, market, executor)


def test_a_server_that_stands_still(place: Site, market: Played) -> None:
    """Fault 8: approvals whose time runs out meanwhile are dropped, not sent in a burst behind it."""
    executor = trading(place, market, **OUTAGE)
    market.each = 0
    acted = len(found(place).ledger.state.approvals)
    place.server.pause()
    old = [market.approve(ttl_ms=300) for _ in range(20)]
    wait(lambda: said(executor, "bus_away"), "word of the outage")
    begin = time.monotonic()
    wait(lambda: time.monotonic() > begin + 0.4, "the end of their time")
    place.server.resume()
    market.play(lambda: set(old) <= set(found(place).fates), "a word on each of them")
    books = found(place)
    assert {books.fates[key] for key in old} == {"ttl"}
    assert len(books.ledger.state.approvals) == acted
    market.each = 6
    acting(place, market)
    settled(place, market, executor)


def test_a_server_that_is_full(place: Site, market: Played) -> None:
    """Fault 9: nothing is written, everything is read; CRIT, and with room again all of it is told, once."""
    executor = trading(place, market, **OUTAGE)
    market.each = 0
    ask(place.server.url, "CONFIG", "SET", "maxmemory", "1mb")
    market.step()
    assert not market.flush()
    wait(lambda: said(executor, "bus_away_too_long"), "word of the outage")
    acted = len(found(place).ledger.state.approvals)
    assert len(place.bus.recent(APPROVED, 1_000)) >= 2
    assert place.bus.recent(CONTROL, 10) == []
    assert executor.is_running
    assert len(executor.events("bus_away")) == 1
    ask(place.server.url, "CONFIG", "SET", "maxmemory", "0")
    market.play(lambda: said(executor, "bus_back"), "the way back")
    market.each = 6
    acting(place, market)
    assert len(settled(place, market, executor).ledger.state.approvals) > acted
    assert "redis_error" in {event.reason for event in controls(place)}


def test_a_reply_that_is_lost(place: Site, market: Played) -> None:
    """Fault 10: the entries stand and their reply does not come: they are given again, and are there once."""
    with Proxy(place.server.path) as proxy:
        place.url = proxy.url
        executor = trading(place, market)
        for _ in range(3):
            proxy.lose_reply(REPORTS.encode())
            market.play(proxy.lost.is_set, "a lost reply")
            acting(place, market)
        books = settled(place, market, executor)
        assert len(books.of("closed")) > 0


def ask(url: str, *command: str | bytes) -> object:
    """One command over a connection of its own."""
    wire = Wire(url, 2.0)
    try:
        wire.send(pack([command]))
        return wire.receive(1)[0]
    finally:
        wire.close()
