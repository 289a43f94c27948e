"""Round trips: what fills make of them, what they earned, what may be held in the worst case."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from live.executor.positions import entry_ticks, exposure, fill, net_bps, net_quote, unit_quote
from live.executor.records import Order, Trip
from market.symbols import SymbolTable
from tests.live.parts import ROOT

BTC = SymbolTable.load(Path(ROOT) / "data" / "reference" / "symbols.yml")["BTCUSDT"]
FLAT = Trip("a", "BTCUSDT", 1, "paper", "m", False, 0, 0, 0.001, 0.001)
ENTRY = Order("k", "a", "BTCUSDT", False, "entry", 0, 0, 1, 1_000_000, 5, "GTX", False, "mid")
EXIT = replace(ENTRY, leg="exit", side=-1)
fills = st.lists(st.tuples(st.integers(1, 2_000_000), st.integers(1, 50)), min_size=1, max_size=10)


def filled(trip: Trip, order: Order, rows: list[tuple[int, int]]) -> Trip:
    """A trip behind some fills, without fees."""
    for price, lots in rows:
        trip = fill(trip, order, price, lots, 0.0)
    return trip


@given(fills)
def test_the_entry_price_is_the_mean_to_the_nearest_tick(rows: list[tuple[int, int]]) -> None:
    """Weighted by lots."""
    trip = filled(FLAT, ENTRY, rows)
    mean = sum(price * lots for price, lots in rows) / sum(lots for _, lots in rows)
    assert abs(entry_ticks(trip) - mean) <= 0.5 + 1e-6
    assert trip.lots == sum(lots for _, lots in rows)


@given(fills, st.sampled_from([1, -1]), st.integers(1, 2_000_000))
def test_profit_is_money_out_less_money_in_less_fees(rows: list[tuple[int, int]], side: int, price: int) -> None:
    """Whatever the fills were, for both sides."""
    trip = filled(replace(FLAT, side=side), ENTRY, rows)
    trip = fill(trip, EXIT, price, trip.lots, 0.5)
    unit = unit_quote(BTC)
    expected = side * sum((price - paid) * lots * unit for paid, lots in rows) - 0.5
    assert abs(net_quote(trip, BTC) - expected) < 1e-6 * max(1.0, abs(expected))
    assert trip.lots == 0


def test_basis_points_are_of_the_entry_notional() -> None:
    """One unit on a hundred is a hundred basis points; on nothing there is none."""
    assert net_bps(1.0, 1_000_000, BTC) == 1.0 / (1_000_000 * unit_quote(BTC)) * 1e4
    assert net_bps(1.0, 0, BTC) == 0.0


def test_the_worst_case_counts_every_live_entry_as_filled() -> None:
    """Unknown ones too, filled parts once, exits never."""
    held = replace(FLAT, entry_lots=2, entry_value=2_000_000)
    orders = [
        replace(ENTRY, state="partial", filled_lots=2),
        replace(ENTRY, client_id="u", state="unknown"),
        replace(ENTRY, client_id="c", state="canceled"),
        replace(EXIT, client_id="x", state="open"),
    ]
    found = exposure([held], orders, BTC, 1_000_000.0)
    assert found.lots == 2 + 3 + 5
    assert found.open_entries == 2
    assert abs(found.notional - 10 * 1_000_000 * unit_quote(BTC)) < 1e-9


def test_without_a_market_what_is_held_is_worth_what_it_cost() -> None:
    """A caps check before the first book."""
    held = replace(FLAT, entry_lots=2, entry_value=2_000_000)
    assert exposure([held], [], BTC, 0.0).notional == 2 * 1_000_000 * unit_quote(BTC)
