"""What waits for a slow venue: orders before questions, nothing that was taken back, nothing that is too old."""

import threading
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from live.clock import ManualClock
from live.exchange.binance_orders import BinanceOrders
from live.exchange.ccxt_venue import _Worker
from live.exchange.inbox import LATE_NS, Inbox, Job
from live.exchange.outcomes import Reply
from live.exchange.protocol import (
    Cancel,
    CancelAll,
    KeepAlive,
    Place,
    Query,
    Refused,
    Request,
    Survey,
    VenueEvent,
)
from live.exchange.venue_facts import Call
from market.symbols import SymbolTable
from tests.live.parts import ROOT

SYMBOL = replace(SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")["BTCUSDT"], venue="binance")


def place(name: str = "a", *, reduce_only: bool = False) -> Place:
    """An order."""
    return Place(name, "BTCUSDT", 1, 599_000, 10, "IOC" if reduce_only else "GTX", reduce_only)


def drained(inbox: Inbox) -> list[Job]:
    """Everything that waits, in the order in which it would be done."""
    inbox.end()
    jobs = []
    while (job := inbox.take()) is not None:
        jobs.append(job)
    return jobs


def test_orders_and_cancels_pass_questions_and_keep_their_own_order() -> None:
    """A CRIT's cancellations do not wait for a survey's five calls; a question never passes the order it is about."""
    inbox = Inbox(ManualClock())
    inbox.put_look()
    requests: list[Request] = [
        Survey("BTCUSDT"), place("a"), Query("a", "BTCUSDT"), Cancel("b", "BTCUSDT"), KeepAlive("BTCUSDT", 1),
        CancelAll("BTCUSDT"), place("c"),
    ]  # fmt: skip
    for request in requests:
        inbox.put(request)
    inbox.put_look()
    found = [job.request for job in drained(inbox)]
    assert found == [requests[1], requests[3], requests[5], requests[6], "look", requests[0], requests[2], requests[4]]


def test_an_order_taken_back_before_it_left_never_leaves() -> None:
    """Entry or exit; another order of the symbol goes."""
    inbox = Inbox(ManualClock())
    for request in (place("a"), place("x", reduce_only=True), place("b"), Cancel("a", "BTCUSDT"), Cancel("x", "B")):
        inbox.put(request)
    assert [inbox.why_not(job) for job in drained(inbox)] == ["withdrawn", "withdrawn", "", "", ""]


def test_an_entry_that_waited_too_long_is_late_and_an_exit_is_not() -> None:
    """To the nanosecond."""
    clock = ManualClock()
    inbox = Inbox(clock)
    inbox.put(place("a"))
    inbox.put(place("x", reduce_only=True))
    clock.advance(seconds=(LATE_NS - 1) / 1e9)
    entry, closing = drained(inbox)
    assert [inbox.why_not(entry), inbox.why_not(closing)] == ["", ""]
    clock.advance(seconds=1e-9)
    assert [inbox.why_not(entry), inbox.why_not(closing)] == ["late", ""]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_cancels_leave_nothing_behind(script: list[tuple[str, bool]]) -> None:
    """However orders and cancels are mixed: once all is done, no id is remembered."""
    inbox = Inbox(ManualClock())
    for name, is_cancel in script:
        inbox.put(Cancel(name, "BTCUSDT") if is_cancel else place(name))
    for job in drained(inbox):
        inbox.why_not(job)
    assert inbox._withdrawn == set()


class SlowClient:
    """Answers its first call when it is let; remembers which endpoints were called."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.is_in, self.let = threading.Event(), threading.Event()

    def call(self, call: Call) -> Reply:
        """As RestClient."""
        self.called.append(call.method)
        self.is_in.set()
        assert self.let.wait(20.0)
        return Reply(200, "[]")

    def sync_clock(self) -> bool:
        """As RestClient."""
        return True

    def close(self) -> None:
        """As RestClient."""


def test_no_order_leaves_behind_a_call_that_hung_while_it_was_taken_back() -> None:
    """A survey hangs, an entry waits, CRIT takes it back: the venue never hears of it, and it is certainly refused."""
    client, told, clock = SlowClient(), list[VenueEvent](), ManualClock()
    worker = _Worker(SYMBOL, BinanceOrders(), client, clock, told.append, 5.0)  # type: ignore[arg-type]
    worker.inbox.put(Survey("BTCUSDT"))
    assert client.is_in.wait(20.0)
    worker.inbox.put(place("a"))
    worker.inbox.put(place("b"))
    worker.inbox.put(Cancel("a", "BTCUSDT"))
    clock.advance(seconds=1)
    client.let.set()
    worker.inbox.end()
    worker.join()
    refused = {each.client_id: each.reason for each in told if isinstance(each, Refused) and not each.is_cancel}
    assert refused == {"a": "withdrawn", "b": "late"}
    assert "fapiPrivatePostOrder" not in client.called
