"""What most of these tests do: wait for an executor while the market goes on, and bring everything to rest."""

from bus.codec import decode
from bus.messages import ControlEvent
from bus.streams import CONTROL
from tests.journeys.live.counted import Books, books, check, is_drained
from tests.journeys.live.played import Played
from tests.journeys.live.processes import Process, Site


def trading(place: Site, market: Played, **knobs: str) -> Process:
    """An executor that has acted on an approval."""
    executor = place.start("executor", **knobs)
    market.play(lambda: place.is_ready(executor), "the executor")
    acting(place, market)
    return executor


def acting(place: Site, market: Played) -> None:
    """Play until an approval of from now on is acted on."""
    begin = len(market.approved)

    def is_acted_on() -> bool:
        acted = found(place).ledger.state.approvals
        return any(key in acted for key in market.approved[begin:])

    market.play(is_acted_on, "an approval that is acted on")


def found(place: Site) -> Books:
    """What journal and streams hold now."""
    return books(place.folder / "var", place.bus)


def is_at_rest(books: Books) -> bool:
    """Whether nothing is open, and everything that ended was told; what a crash left untold comes after two seconds."""
    ended = books.ledger.state.orders.keys() - books.ledger.live.keys()
    return not books.ledger.open_trips and ended <= books.ended


def settled(place: Site, market: Played, executor: Process) -> Books:
    """Let everything be taken and closed, end the executor in order, and count."""
    market.play(lambda: place.is_ready(executor), "the executor")
    acting(place, market)
    market.each = 0
    market.play(lambda: is_drained(place.bus), "the last approval")
    market.play(lambda: is_at_rest(found(place)), "every position's end, and word of it")
    assert executor.end() == 0, executor.text()[-3000:]
    check(found(place), market.approved)
    return found(place)


def said(process: Process, event: str) -> bool:
    """Whether its log tells of an event."""
    return bool(process.events(event))


def controls(place: Site) -> list[ControlEvent]:
    """Every control event there is."""
    bodies = [decode(entry).body for entry in place.bus.recent(CONTROL, 1_000)]
    return [body for body in bodies if isinstance(body, ControlEvent)]
