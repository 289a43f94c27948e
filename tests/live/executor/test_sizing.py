"""Sizes: exact to the last lot, never above cap, balance and grid, dropped below the venue's least."""

from fractions import Fraction
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from live.executor.sizing import is_too_small, least_lots, lots_for
from market.symbols import SymbolTable
from tests.live.parts import ROOT

SYMBOLS = SymbolTable.load(Path(ROOT) / "data" / "reference" / "symbols.yml")
BTC = SYMBOLS["BTCUSDT"]
money = st.floats(0.01, 1e7, allow_nan=False)


@given(money, money, st.floats(0.1, 125.0), st.integers(1, 10_000_000))
def test_one_more_lot_would_be_too_much(cap: float, free: float, leverage: float, price: int) -> None:
    """n lots fit into the budget, n + 1 do not, in exact arithmetic."""
    lots = lots_for(cap, free, leverage, price, BTC)
    budget = min(Fraction(repr(cap)), Fraction(repr(free)) * Fraction(repr(leverage)))
    value = Fraction(BTC.price_tick) * price * Fraction(BTC.size_lot)
    assert lots * value <= budget < (lots + 1) * value


def test_a_budget_that_buys_exactly_n_buys_n() -> None:
    """0.1 * 3 in floats is more than 0.3; here it is not, nor less."""
    assert lots_for(300.0, 1e9, 1.0, 1_000_000, BTC) == 3
    assert lots_for(299.99, 1e9, 1.0, 1_000_000, BTC) == 2
    assert lots_for(1e9, 100.1, 3.0, 1_001_000, BTC) == 3


def test_nothing_is_bought_with_nothing() -> None:
    """No balance, a negative one, one that is no number, no price."""
    assert [lots_for(500.0, free, 3.0, 1_000, BTC) for free in (0.0, -5.0, float("nan"))] == [0, 0, 0]
    assert lots_for(500.0, 100.0, 3.0, 0, BTC) == 0


@given(st.integers(1, 10_000_000))
def test_the_least_is_taken_and_one_less_is_not(price: int) -> None:
    """Of the venue's minimum notional, rounded up to lots."""
    least = least_lots(price, BTC)
    assert not is_too_small(least, price, BTC)
    assert is_too_small(least - 1, price, BTC)
