"""A disk that refuses, and messages nobody can take: nothing is sent, nothing is in the way, everything is told."""

import resource

import msgspec

from bus.codec import DeadLetter, decode_dead
from bus.ids import after, parse, write
from bus.streams import APPROVED, dead_letters
from tests.journeys.live.flow import acting, controls, found, said, settled, trading
from tests.journeys.live.played import LASTING_MS, Played
from tests.journeys.live.processes import Site

TINY_BYTES = 1_024


def test_a_disk_that_is_full(place: Site, market: Played) -> None:
    """Fault 28: no order without a journal; CRIT; with room again it is mended and trading goes on.

    The log lies on that disk too.
    """
    executor = trading(place, market)
    _, hard = resource.prlimit(executor.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(executor.pid, resource.RLIMIT_FSIZE, (TINY_BYTES, hard))
    market.play(lambda: "journal_error" in {event.reason for event in controls(place)}, "word of the disk")
    first = market.approve()
    market.play(lambda: first in found(place).fates, "a drop")
    assert found(place).fates[first] == "halted"
    held = set(found(place).ledger.state.approvals)
    market.more(2)
    assert executor.is_running
    assert {event.severity for event in controls(place) if event.reason == "journal_error"} == {"CRIT"}
    resource.prlimit(executor.pid, resource.RLIMIT_FSIZE, (hard, hard))
    acting(place, market)
    assert held < set(settled(place, market, executor).ledger.state.approvals)


def test_messages_that_are_none(place: Site, market: Played) -> None:
    """Faults 22 and 29: noise and a version of the future are set aside with their bytes, and the stream moves on."""
    executor = trading(place, market)
    noise = [b"\x00noise", b"", msgspec.msgpack.encode([999, "approval", "ai_scorer", 1, 1, 0, 0, 0, "x", []])]
    for data in noise:
        place.bus.add([(APPROVED, data, write(after(parse(place.bus.last_id(APPROVED)))))])
    market.play(lambda: len(letters(place)) == len(noise), "the dead letters")
    assert [letter.data for letter in letters(place)] == noise
    assert {letter.group for letter in letters(place)} == {"executor"}
    assert "999" in letters(place)[-1].error
    acting(place, market)
    settled(place, market, executor)
    assert len([event for event in controls(place) if event.reason == "poison_message"]) == len(noise)
    assert executor.events("message_refused")


def test_a_message_that_kills(place: Site, market: Played) -> None:
    """Fault 29: two processes have died with it, so the third sets it aside; what comes behind it is acted on."""
    market.each = 0
    poison = market.approve(ttl_ms=LASTING_MS)
    for _ in range(2):
        doomed = place.start("after_read", "1", module="tests.journeys.live.doomed")
        market.play(lambda doomed=doomed: not doomed.is_running, "a death")  # type: ignore[misc]
    market.approved.remove(poison)
    market.each = 6
    executor = trading(place, market, REDIS_MAX_DELIVERIES="2")
    (letter,) = letters(place)
    assert poison.encode() in letter.data
    assert letter.deliveries == 3
    settled(place, market, executor)
    assert said(executor, "message_refused")
    assert "poison_message" in {event.reason for event in controls(place)}


def letters(place: Site) -> list[DeadLetter]:
    """The approvals that were set aside."""
    return [decode_dead(entry) for entry in place.bus.recent(dead_letters(APPROVED), 100)]
