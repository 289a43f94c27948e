"""The order state machine: every fact in any order and any number of times, against a venue that knows the truth."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from live.executor.orders import ENDS, LIVE, advance, begin, counts, is_live, leaves, sent
from live.executor.records import Accepted, Doubted, Ended, EndState, Filled, Intent, Order, OrderFact, Refused

KEY = "tgabcdefghijklmnop-e0-0"
SIZE = 10
INTENT = Intent(KEY, "a", "entry", 0, 0, 1, 100, SIZE, "GTX", False, "mid", "", 1)
NEW = begin(INTENT, "BTCUSDT", is_real=True)


def fill(number: int, lots: int, **fields: Any) -> Filled:
    """A trade of the order."""
    return Filled(KEY, f"t{number}", 100, lots, 0.1, True, 0, 2, **fields)


def ended(state: EndState, lots: int) -> Ended:
    """The end of the order."""
    return Ended(KEY, state, lots, "", 0, 2)


ACCEPTED, REFUSED, DOUBTED = Accepted(KEY, "v", 0, 2), Refused(KEY, "filter", 0, 2), Doubted(KEY, "timeout", 2)

TABLE: list[tuple[str, list[OrderFact], str, int]] = [
    ("accepted", [ACCEPTED], "open", 0),
    ("accepted twice", [ACCEPTED, ACCEPTED], "open", 0),
    ("refused", [REFUSED], "refused", 0),
    ("doubted, then found", [DOUBTED, ACCEPTED], "open", 0),
    ("doubted, then absent", [DOUBTED, REFUSED], "refused", 0),
    ("doubted behind an acknowledgement", [ACCEPTED, DOUBTED], "open", 0),
    ("a fill proves that it stands", [DOUBTED, fill(1, 3)], "partial", 3),
    ("filled before its acknowledgement", [fill(1, 10), ACCEPTED], "filled", 10),
    ("one trade told twice", [ACCEPTED, fill(1, 3), fill(1, 3)], "partial", 3),
    ("a refusal cannot undo a fill", [fill(1, 3), REFUSED], "partial", 3),
    ("filled", [ACCEPTED, fill(1, 4), fill(2, 6), ended("filled", 10)], "filled", 10),
    ("canceled", [ACCEPTED, fill(1, 4), ended("canceled", 4)], "canceled", 4),
    ("canceled, its fill comes later", [ACCEPTED, ended("canceled", 4), fill(1, 4)], "canceled", 4),
    ("canceled, part of its fills is missing", [ACCEPTED, ended("canceled", 4), fill(1, 1)], "open", 1),
    ("ended before its acknowledgement", [ended("expired", 0), ACCEPTED], "expired", 0),
    ("a fill behind the end counts", [ACCEPTED, ended("canceled", 0), fill(1, 2)], "canceled", 2),
    ("ends once", [ACCEPTED, ended("expired", 0), ended("canceled", 0)], "expired", 0),
    ("settled", [ACCEPTED, ended("filled", 10), fill(1, 10, is_settled=True)], "filled", 10),
    ("settled, then shown", [ACCEPTED, ended("filled", 10), fill(1, 10, is_settled=True), fill(2, 10)], "filled", 10),
]


@pytest.mark.parametrize(("facts", "state", "filled"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_table(facts: list[OrderFact], state: str, filled: int) -> None:
    """Each history has one end."""
    order = sent(NEW)
    for fact in facts:
        order = advance(order, fact)
    if state == "open" and filled:
        state = "partial"
    assert (order.state, order.filled_lots) == (state, filled)


def test_a_fact_that_says_nothing_new_gives_the_same_object() -> None:
    """So that nobody tells of it."""
    order = advance(sent(NEW), ACCEPTED)
    filled = advance(order, fill(1, 3))
    assert advance(order, ACCEPTED) is order
    assert advance(order, DOUBTED) is order
    assert advance(filled, fill(1, 3)) is filled
    assert sent(order) is order


def test_what_may_still_trade_is_counted_at_its_worst() -> None:
    """Unknown in full, partly filled the rest, ended nothing, ended with missing fills what is missing."""
    unknown = advance(sent(NEW), DOUBTED)
    missing = advance(advance(sent(NEW), ACCEPTED), ended("canceled", 4))
    assert leaves(NEW) == leaves(unknown) == SIZE
    assert leaves(advance(unknown, fill(1, 3))) == SIZE - 3
    assert leaves(missing) == 4
    assert leaves(advance(missing, fill(1, 4))) == 0


FACTS = st.one_of(
    st.just(ACCEPTED),
    st.just(DOUBTED),
    st.builds(fill, st.integers(1, 4), st.integers(1, 4)),
    st.builds(ended, st.sampled_from(["filled", "canceled", "expired"]), st.integers(0, 10)),
)


@given(st.lists(FACTS, max_size=12))
def test_positions_count_every_trade_once_whatever_the_order(facts: list[OrderFact]) -> None:
    """The filled lots are the sum of distinct trades; an end is an end; live and ended exclude each other."""
    order, total = sent(NEW), 0
    for fact in facts:
        before = order
        if isinstance(fact, Filled):
            total += counts(order, fact)
        order = advance(order, fact)
        assert order.state in LIVE | ENDS
        if before.state in ENDS:
            assert order.state == before.state
    trades = {fact.trade_id: fact.lots for fact in reversed(facts) if isinstance(fact, Filled)}
    assert order.filled_lots == total == sum(trades.values())


class VenueAndOrder(RuleBasedStateMachine):
    """A venue that knows the truth, a line that loses, repeats and reorders, an order that must come to the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.order: Order = sent(NEW)
        self.stands: bool | None = None
        self.filled = 0
        self.trades: list[Filled] = []
        self.end: EndState | None = None
        self.line: list[OrderFact] = []

    @precondition(lambda self: self.stands is None)
    @rule(outcome=st.sampled_from(["accepted", "refused", "lost", "dropped"]))
    def arrive(self, outcome: str) -> None:
        """The request reaches the venue, or does not; the sender hears the truth or nothing certain."""
        self.stands = outcome in ("accepted", "lost")
        self.line.append({"accepted": ACCEPTED, "refused": REFUSED}.get(outcome, DOUBTED))

    @precondition(lambda self: self.stands and self.end is None)
    @rule(lots=st.integers(1, 4))
    def trade(self, lots: int) -> None:
        """Somebody takes some of it."""
        lots = min(lots, SIZE - self.filled)
        self.filled += lots
        self.trades.append(fill(len(self.trades), lots))
        self.line.append(self.trades[-1])
        if self.filled == SIZE:
            self.end = "filled"
            self.line.append(ended("filled", SIZE))

    @precondition(lambda self: self.stands and self.end is None)
    @rule(state=st.sampled_from(["canceled", "expired"]))
    def stop(self, state: EndState) -> None:
        """It is taken out of the book."""
        self.end = state
        self.line.append(ended(state, self.filled))

    @precondition(lambda self: self.line)
    @rule(data=st.data(), keep=st.booleans())
    def deliver(self, data: st.DataObject, keep: bool) -> None:
        """Any message on the line arrives, perhaps to arrive again."""
        index = data.draw(st.integers(0, len(self.line) - 1))
        fact = self.line[index] if keep else self.line.pop(index)
        self.order = advance(self.order, fact)

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """A message never arrives."""
        self.line.pop(data.draw(st.integers(0, len(self.line) - 1)))

    @precondition(lambda self: self.stands)
    @rule()
    def ask(self) -> None:
        """A query answers with all trades and the state."""
        for trade in self.trades:
            self.order = advance(self.order, trade)
        self.order = advance(self.order, ended(self.end, self.filled) if self.end else ACCEPTED)
        assert self.order.filled_lots == self.filled
        assert is_live(self.order) is (self.end is None)

    @rule()
    def wait(self) -> None:
        """Time passes."""

    @invariant()
    def never_more_than_the_truth(self) -> None:
        """No lot is counted that did not trade; what may still trade is never underestimated while it lives."""
        assert self.order.filled_lots <= self.filled
        if is_live(self.order) and self.stands:
            assert self.order.filled_lots + leaves(self.order) >= self.filled

    @invariant()
    def an_order_that_stands_is_not_given_up(self) -> None:
        """Only the venue's word ends it."""
        if self.stands and self.end is None:
            assert is_live(self.order)


VenueAndOrder.TestCase.settings = budget(max_examples=150, stateful_step_count=25, deadline=None)
TestVenueAndOrder = VenueAndOrder.TestCase


def test_a_doubt_ends_with_what_is_known() -> None:
    """Found: no doubt. Ended with fills missing: a doubt until they are there."""
    unknown = advance(sent(NEW), DOUBTED)
    assert unknown.doubt == "timeout"
    assert advance(unknown, ACCEPTED).doubt == ""
    missing = advance(unknown, ended("canceled", 2))
    assert missing.doubt == "fills_missing"
    assert advance(missing, fill(1, 2)) == replace(
        missing, state="canceled", doubt="", filled_lots=2, trade_ids=("t1",)
    )
