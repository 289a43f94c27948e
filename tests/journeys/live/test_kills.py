"""kill -9 of services at chosen and at random moments: every approval has one fate, no order is sent twice."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bus.servers import needs_redis
from tests.journeys.live.counted import books, check, is_drained
from tests.journeys.live.played import Played
from tests.journeys.live.processes import Process, Site, site

pytestmark = needs_redis
POINTS = ("after_read", "after_intent", "after_send", "after_result", "before_ack", "torn")
HOST_POINTS = ("handled", "committed", "written", "settled")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    """A site of its own."""
    with site(tmp_path) as made:
        yield made


@pytest.fixture
def market(place: Site) -> Iterator[Played]:
    """A market and its approvals."""
    played = Played(place.server.url)
    try:
        yield played
    finally:
        played.close()


def settled(place: Site, market: Played, executor: Process) -> None:
    """Let everything be taken and closed, end the executor in order, and count."""
    market.play(lambda: place.is_ready(executor), "the executor")
    market.more(4)
    market.each = 0
    market.play(lambda: is_drained(place.bus), "the last approval")
    market.play(lambda: not books(place.folder / "var", place.bus).ledger.open_trips, "every position's end")
    assert executor.end() == 0
    check(books(place.folder / "var", place.bus), market.approved)


@pytest.mark.parametrize("points", [POINTS[:3], POINTS[3:], HOST_POINTS], ids="-".join)
def test_an_executor_that_dies_at_every_point(place: Site, market: Played, points: tuple[str, ...]) -> None:
    """Faults 1 to 5: read, written down, sent, answered, about to acknowledge, half written; each redelivered once."""
    for point in points:
        doomed = place.start(point, "3", module="tests.journeys.live.doomed")
        market.play(lambda doomed=doomed: not doomed.is_running, f"the death at {point}")  # type: ignore[misc]
        assert doomed.wait() == -9, doomed.text()
    settled(place, market, place.start("executor"))
    fates = books(place.folder / "var", place.bus).fates
    assert "acted" in fates.values()


def test_an_executor_killed_at_random(place: Site, market: Played) -> None:
    """Wherever it is: in a start, in a write, in a wait."""
    rng = random.Random(5)
    for _ in range(4):
        executor = place.start("executor")
        market.play(lambda executor=executor: place.is_ready(executor), "the executor")  # type: ignore[misc]
        market.more(rng.randint(1, 4))
        executor.kill()
        market.more(1)
    settled(place, market, place.start("executor"))
