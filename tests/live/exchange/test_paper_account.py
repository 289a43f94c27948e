"""Money on paper: positions, fees, funding, margin, against sums done by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.exchange.paper_account import Account
from market.symbols import SymbolTable
from tests.live.parts import ROOT

TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")


def _account() -> Account:
    return Account(10_000.0, 3.0, {"BTCUSDT": TABLE["BTCUSDT"]})


def test_a_round_trip_pays_both_fees_and_keeps_the_difference() -> None:
    """0.1 BTC from 60,000 to 60,100: 10 earned; 1.2 as maker and 3.005 as taker paid."""
    account = _account()
    assert account.trade("BTCUSDT", 1, 600_000, 100, is_maker=True) == pytest.approx(1.2)
    assert account.position("BTCUSDT").entry_price == 60_000.0
    assert account.trade("BTCUSDT", -1, 601_000, 100, is_maker=False) == pytest.approx(3.005)
    assert account.balance == pytest.approx(10_000 + 10 - 1.2 - 3.005)
    assert (account.position("BTCUSDT").lots, account.position("BTCUSDT").entry_price) == (0, 0.0)


def test_a_position_that_turns_has_the_price_of_what_turned_it() -> None:
    """Long 2, sold 5: short 3 from the new price, the 2 are realized."""
    account = _account()
    account.trade("BTCUSDT", 1, 600_000, 2, is_maker=True)
    account.trade("BTCUSDT", -1, 610_000, 5, is_maker=True)
    held = account.position("BTCUSDT")
    assert (held.lots, held.entry_price) == (-3, 61_000.0)


def test_adding_to_a_position_averages_and_reducing_it_does_not() -> None:
    """1 at 60,000 and 3 at 61,000 are 4 at 60,750."""
    account = _account()
    account.trade("BTCUSDT", 1, 600_000, 1, is_maker=True)
    account.trade("BTCUSDT", 1, 610_000, 3, is_maker=True)
    assert account.position("BTCUSDT").entry_price == 60_750.0
    account.trade("BTCUSDT", -1, 650_000, 2, is_maker=True)
    assert account.position("BTCUSDT").entry_price == 60_750.0


def test_longs_pay_a_positive_funding_rate_and_shorts_receive_it() -> None:
    """0.01 % of 6,000 is 0.6, on the mark."""
    account = _account()
    held = account.position("BTCUSDT")
    held.lots, held.mark = 100, 60_000.0
    assert account.fund("BTCUSDT", 0.0001) == pytest.approx(0.6)
    held.lots = -100
    assert account.fund("BTCUSDT", 0.0001) == pytest.approx(-0.6)
    assert account.balance == pytest.approx(10_000.0)


def test_free_balance_is_equity_less_margin_of_positions_and_open_orders() -> None:
    """Long 0.1 from 60,000 at a mark of 61,000, orders of 3,000 open, leverage 3."""
    account = _account()
    account.trade("BTCUSDT", 1, 600_000, 100, is_maker=True)
    account.position("BTCUSDT").mark = 61_000.0
    assert account.equity() == pytest.approx(10_000 - 1.2 + 100)
    assert account.free(3_000.0) == pytest.approx(account.equity() - (6_100 + 3_000) / 3)


@pytest.mark.parametrize("side", [1, -1])
def test_at_the_liquidation_price_equity_is_the_maintenance_margin(side: int) -> None:
    """By definition; a flat position has none."""
    account = _account()
    assert account.liquidation_price("BTCUSDT") == 0.0
    account.trade("BTCUSDT", side, 600_000, 400, is_maker=True)
    price = account.liquidation_price("BTCUSDT")
    account.position("BTCUSDT").mark = price
    assert account.equity() == pytest.approx(0.4 * price * 0.004)
    assert (price - 60_000) * side < 0


@given(
    trades=st.lists(
        st.tuples(st.sampled_from((1, -1)), st.integers(500_000, 700_000), st.integers(1, 50), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_equity_is_cash_flow_and_what_is_held(trades: list[tuple[int, int, int, bool]]) -> None:
    """However positions were opened, added to, turned: equity = start - paid + received - fees + lots at the mark."""
    account, cash, lots = _account(), 10_000.0, 0
    for side, ticks, size, is_maker in trades:
        fee = account.trade("BTCUSDT", side, ticks, size, is_maker=is_maker)
        cash -= side * ticks * 0.1 * size * 0.001 + fee
        lots += side * size
    account.position("BTCUSDT").mark = 60_000.0
    assert account.position("BTCUSDT").lots == lots
    assert math.isclose(account.equity(), cash + lots * 0.001 * 60_000.0, rel_tol=1e-9, abs_tol=1e-6)
