"""One event at a time, packed from integers, gives the bits of the day's run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from market.columns import BookColumns, TradeColumns
from market.events import BadEvent, KernelOverflow
from market.feature_spec import N_COLUMNS
from market.features import KernelState, interleave, run
from market.stepper import Stepper
from tests.market.streams import START_NS, odd_markets, ordinary_market

LADDER = list(range(1, 11))


def stepped(stepper: Stepper, book: BookColumns, trades: TradeColumns) -> tuple[NDArray[np.float32], list[bool]]:
    """Every row a stepper makes of a market, in arrival order, trades before books."""
    arrivals = sorted(
        [(int(ns), 1, i) for i, ns in enumerate(book.local_ns)]
        + [(int(ns), 0, i) for i, ns in enumerate(trades.local_ns)]
    )
    rows, valid = np.empty((len(arrivals), N_COLUMNS), np.float32), []
    for k, (_, is_book, i) in enumerate(arrivals):
        if is_book:
            ladders = (book.bid_ticks, book.bid_lots, book.ask_ticks, book.ask_lots)
            found = stepper.book(
                int(book.exchange_ns[i]), int(book.flags[i]), *(side[:, i].tolist() for side in ladders)
            )
        else:
            found = stepper.trade(
                int(trades.exchange_ns[i]), int(trades.price_ticks[i]), int(trades.size_lots[i]),
                int(trades.aggressor[i]),
            )  # fmt: skip
        valid.append(found)
        rows[k] = stepper.row
    return rows, valid


def ran(book: BookColumns, trades: TradeColumns) -> tuple[NDArray[np.float32], list[bool]]:
    """The same by the offline form."""
    events = interleave(book, trades)
    out, valid = np.empty((len(events), N_COLUMNS), np.float32), np.empty(len(events), np.uint8)
    run(KernelState.new(), events, out, valid)
    return out, [bool(each) for each in valid]


@given(odd_markets())
def test_a_stepped_market_has_the_bits_of_the_run(market: tuple[BookColumns, TradeColumns]) -> None:
    """Resets, one-sided and locked books, clocks that run back, trades before any book."""
    rows, valid = stepped(Stepper(), *market)
    wanted, wanted_valid = ran(*market)
    assert rows.tobytes() == wanted.tobytes()
    assert valid == wanted_valid


@given(odd_markets())
def test_the_time_of_an_event_is_the_interleaved_one(market: tuple[BookColumns, TradeColumns]) -> None:
    """It names the candidate, so it too must never run back."""
    times: list[int] = []

    class Noting(Stepper):
        def _step(self) -> bool:
            times.append(self.t_ns)
            return super()._step()

    stepped(Noting(), *market)
    assert times == interleave(*market)[:, 0].tolist()


@given(odd_markets(), odd_markets())
def test_after_a_reset_nothing_of_before_is_left(
    first: tuple[BookColumns, TradeColumns], second: tuple[BookColumns, TradeColumns]
) -> None:
    """A stepper used again is a new one."""
    used = Stepper()
    stepped(used, *first)
    used.reset()
    assert stepped(used, *second)[0].tobytes() == stepped(Stepper(), *second)[0].tobytes()


def test_many_thousand_events_of_an_ordinary_market() -> None:
    """Most of them valid, so every feature is compared."""
    market = ordinary_market(20_000, seed=5)
    rows, valid = stepped(Stepper(), *market)
    assert rows.tobytes() == ran(*market)[0].tobytes()
    assert sum(valid) > 5_000


def test_warming_leaves_no_trace() -> None:
    """The first event after it is the first."""
    market = ordinary_market(500, seed=6)
    warm = Stepper()
    warm.warm()
    assert np.isnan(warm.row).all()
    assert stepped(warm, *market)[0].tobytes() == ran(*market)[0].tobytes()


@given(st.integers(0, 12).filter(lambda n: n != 10))
def test_another_number_of_levels_is_refused_and_counts(levels: int) -> None:
    """And the event before stays what it was: time does not move."""
    stepper = Stepper()
    stepper.book(5, 0, LADDER[::-1], LADDER, [t + 10 for t in LADDER], LADDER)
    with pytest.raises(BadEvent, match="10 int64 ticks and lots a side"):
        stepper.book(9, 0, list(range(levels)), LADDER, LADDER, LADDER)
    assert stepper.t_ns == 5


def test_a_number_beyond_int64_is_refused() -> None:
    """Books and trades alike."""
    stepper = Stepper()
    with pytest.raises(BadEvent, match="int64"):
        stepper.trade(START_NS, 2**63, 1, 1)
    with pytest.raises(BadEvent, match="int64"):
        stepper.book(START_NS, 0, [2**64, *LADDER[1:]], LADDER, LADDER, LADDER)


def test_too_many_events_in_two_seconds_are_told() -> None:
    """The ring is bounded; a reset mends the stepper."""
    stepper = Stepper(capacity=8)
    stepper.book(START_NS, 1, LADDER[::-1], LADDER, [t + 10 for t in LADDER], LADDER)
    with pytest.raises(KernelOverflow):
        for k in range(10):
            stepper.trade(START_NS + k, 10, 1, 1)
    stepper.reset()
    assert not stepper.book(START_NS, 1, LADDER[::-1], LADDER, [t + 10 for t in LADDER], LADDER)
