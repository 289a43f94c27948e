import pytest

from bus.messages import Received
from bus.protocol import Entry
from bus.streams import APPROVED, CANDIDATES, CONTROL, REPORTS, SCORES, book
from live.handing import Delivery, Hosted, Ledger, Queue, Ranks, writer_of
from tests.live.hosting import Stage, approval, fake, halt
from tests.live.parts import received


def delivery(stream: str, name: str) -> Delivery:
    """A delivery of a message with this id."""
    host = Stage().host(fake("risk"))
    hosted: Hosted = host._hosted[0]
    body = halt() if stream == CONTROL else approval()
    return Delivery(hosted, received(stream, body, message_id=name), "g", (stream, "g", name), 0)


def entry(number: int = 1) -> Entry:
    """An entry of a group."""
    return Entry(APPROVED, f"{number}-0", b"x", 1, "executor")


KEY = (APPROVED, "executor", "1-0")


def test_control_overtakes_then_candidates_and_everything_else_keeps_its_order() -> None:
    """First in, first out among its own."""
    queue = Queue()
    said = ((APPROVED, "a"), (CONTROL, "b"), (CANDIDATES, "c"), (REPORTS, "d"), (CONTROL, "e"), (CANDIDATES, "f"))
    for stream, name in said:
        queue.put(delivery(stream, name))
    assert [queue.take().received.header.id for _ in range(len(queue))] == ["b", "e", "c", "f", "a", "d"]
    with pytest.raises(IndexError):
        queue.take()


def test_no_candidate_overtakes_the_past() -> None:
    """Found with kill -9 of a scorer: a candidate that came again overtook the word that it was scored already."""
    queue = Queue()
    queue.put(delivery(SCORES, "scored before"))
    queue.is_past()
    for stream, name in ((APPROVED, "a"), (CANDIDATES, "scored before, delivered again"), (CONTROL, "b")):
        queue.put(delivery(stream, name))
    assert len(queue) == 4
    taken = [queue.take().received.header.id for _ in range(4)]
    assert taken == ["b", "scored before", "scored before, delivered again", "a"]


def test_an_entry_from_the_bus_is_handled_then_acknowledged() -> None:
    """And shown again in between it is not handled again."""
    ledger = Ledger()
    assert ledger.see(entry()) == "new"
    assert ledger.see(entry()) == "open"
    assert ledger.finish(KEY) == entry()
    assert len(ledger) == 0


def test_a_message_handed_on_and_done_is_acknowledged_when_the_bus_shows_it() -> None:
    """Once."""
    ledger = Ledger()
    ledger.hand(KEY)
    assert ledger.finish(KEY) is None
    assert ledger.see(entry()) == "done"
    assert len(ledger) == 0


def test_a_message_shown_while_it_is_still_being_handled_is_acknowledged_at_its_end() -> None:
    """The bus was quicker than the handler."""
    ledger = Ledger()
    ledger.hand(KEY)
    assert ledger.see(entry()) == "open"
    assert ledger.finish(KEY) == entry()


@pytest.mark.parametrize("done_first", [True, False])
def test_a_message_that_gets_its_id_late_is_known_by_it(done_first: bool) -> None:
    """Control events are numbered by the server, before or after they were handled here."""
    ledger = Ledger()
    early = (APPROVED, "executor", "?1")
    ledger.hand(early)
    if done_first:
        ledger.finish(early)
        assert ledger.rename(early, KEY) is None
        assert ledger.see(entry()) == "done"
    else:
        assert ledger.rename(early, KEY) is None
        assert ledger.see(entry()) == "open"
        assert ledger.finish(KEY) == entry()
    assert len(ledger) == 0


def test_the_ledger_forgets_the_oldest_beyond_its_bound() -> None:
    """A group that never shows them must not fill the memory."""
    ledger = Ledger(most=3)
    for number in range(5):
        ledger.hand((APPROVED, "executor", f"{number}-0"))
        ledger.finish((APPROVED, "executor", f"{number}-0"))
    assert len(ledger) == 3
    assert ledger.see(entry(0)) == "new"
    assert ledger.see(entry(4)) == "done"


def from_epoch(epoch: int, entry_id: str) -> Received:
    """A message of a writer's epoch."""
    found = received(APPROVED, approval(), entry_id=entry_id)
    return found._replace(header=found.header._replace(epoch=epoch))


def test_a_process_that_was_replaced_is_not_heard_behind_its_successor() -> None:
    """What it said before is good, however late it is read."""
    ranks = Ranks()
    assert not ranks.outranked(from_epoch(1, "5-0"))
    assert not ranks.outranked(from_epoch(2, "10-0"))
    assert ranks.outranked(from_epoch(1, "11-0"))
    assert not ranks.outranked(from_epoch(1, "7-0"))
    assert not ranks.outranked(from_epoch(2, "12-0"))


def test_every_stream_but_control_has_one_writer() -> None:
    """Market data is the collector's."""
    assert writer_of(book("BTCUSDT")) == "collector"
    assert writer_of(APPROVED) == "ai_scorer"
    assert writer_of(CONTROL) is None
