"""The gates: each closes for its reason alone, on its line and not before it, in the order of the table."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.executor.gates import TABLE, Account, Ask, Market, Situation, asked_notional, closed_gate, distance_bps
from market.symbols import SymbolTable
from monitoring.metrics import GATES
from tests.live.parts import ROOT, settings

BTC = SymbolTable.load(Path(ROOT) / "data" / "reference" / "symbols.yml")["BTCUSDT"]
NOW = 1_000_000_000_000
KNOBS = settings()
OPEN = Situation(
    ask=Ask(1, NOW + 10**9, NOW, is_known=False, shed="", lots=5, price_ticks=999_999, far_ticks=999_998, orders=2),
    market=Market("live", 1_000.0, 0.0, 10.0, 10.0, 999_999, 1_000_000, 100_000.0, 1_000, 3.0),
    account=Account(
        is_ready=True, why_not_ready="", is_switching=False, halts=(), pause_seconds=0.0, unknown_side=False,
        day_profit=0.0, streak_seconds_left=0.0, other_way=False, flip_seconds_left=0.0, symbol_notional=0.0,
        total_notional=0.0, worst_lots=0, entry_price=0.0, open_entries=0, venue_liquidation_price=0.0,
    ),
    symbol=BTC,
    settings=KNOBS,
    wall_ns=NOW,
)  # fmt: skip


def changed(part: str, **fields: Any) -> Situation:
    """The open situation with some facts otherwise."""
    return OPEN._replace(**{part: getattr(OPEN, part)._replace(**fields)})


CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("duplicate", "ask", {"is_known": True}, {"is_known": False}),
    ("ttl", "ask", {"expires_ns": NOW - 1}, {"expires_ns": NOW}),
    ("ttl", "ask", {"local_ns": NOW + 1_000_000_001}, {"local_ns": NOW + 1_000_000_000}),
    ("backpressure", "ask", {"shed": "oldest"}, {"shed": ""}),
    ("halted", "account", {"halts": ("pnl_guard",)}, {"halts": ()}),
    ("mode", "account", {"is_switching": True}, {"is_switching": False}),
    ("warmup", "account", {"is_ready": False, "why_not_ready": "no survey"}, {"is_ready": True}),
    ("warmup", "market", {"live_seconds": None, "state": "gap"}, {"live_seconds": 121.0}),
    ("warmup", "market", {"live_seconds": 119.9}, {"live_seconds": 120.0}),
    ("warmup", "market", {"volatility_bps": None}, {"volatility_bps": 0.0}),
    ("warmup", "market", {"recovering_seconds": 0.1}, {"recovering_seconds": 0.0}),
    ("stale_book", "market", {"book_age_ms": 3_000.1}, {"book_age_ms": 3_000.0}),
    ("stale_book", "market", {"book_age_ms": float("inf")}, {"book_age_ms": 0.0}),
    ("zero_liquidity", "market", {"ask_ticks": 0}, {"ask_ticks": 1_000_000}),
    ("zero_liquidity", "market", {"bid_ticks": 0}, {"bid_ticks": 999_999}),
    ("zero_liquidity", "market", {"depth_lots": 0}, {"depth_lots": 15}),
    ("venue_pause", "account", {"pause_seconds": 0.1}, {"pause_seconds": 0.0}),
    ("unknown_order", "account", {"unknown_side": True}, {"unknown_side": False}),
    ("daily_loss_cap", "account", {"day_profit": -200.0}, {"day_profit": -199.9}),
    ("loss_streak", "account", {"streak_seconds_left": 0.1}, {"streak_seconds_left": 0.0}),
    ("flip_cooldown", "account", {"other_way": True}, {"other_way": False}),
    ("flip_cooldown", "account", {"flip_seconds_left": 0.1}, {"flip_seconds_left": 0.0}),
    ("spread", "market", {"ask_ticks": 1_000_500}, {"ask_ticks": 1_000_498}),
    ("volatility", "market", {"volatility_bps": 25.1}, {"volatility_bps": 25.0}),
    ("too_small", "ask", {"lots": 0}, {"lots": 1}),
    ("liquidity_by_side", "market", {"depth_lots": 14}, {"depth_lots": 15}),
    ("fat_finger", "ask", {"price_ticks": 994_900}, {"price_ticks": 995_100}),
    ("fat_finger", "ask", {"far_ticks": 994_900}, {"far_ticks": 995_100}),
    ("fat_finger", "market", {"mark_price": 99_400.0}, {"mark_price": 99_600.0}),
    ("near_liq_guard", "market", {"mark_price": 0.0}, {"mark_price": 100_000.0}),
    ("near_liq_guard", "market", {"mark_age_ms": 60_001.0}, {"mark_age_ms": 60_000.0}),
    (
        "near_liq_guard", "account", {"worst_lots": 1, "venue_liquidation_price": 97_001.0},
        {"worst_lots": 1, "venue_liquidation_price": 96_999.0},
    ),
    (
        "near_liq_guard", "account", {"worst_lots": -10, "venue_liquidation_price": 102_999.0},
        {"worst_lots": -10, "venue_liquidation_price": 103_001.0},
    ),
    ("exposure", "account", {"symbol_notional": 1_500.01}, {"symbol_notional": 1_500.0}),
    ("open_notional", "account", {"total_notional": 3_500.01}, {"total_notional": 3_500.0}),
    ("open_notional", "account", {"open_entries": 7}, {"open_entries": 6}),
]  # fmt: skip


def test_with_everything_right_no_gate_is_closed() -> None:
    """The situation that every case below changes in one place."""
    assert closed_gate(OPEN) is None


@pytest.mark.parametrize(
    ("gate", "part", "bad", "good"), CASES, ids=[f"{row[0]}-{next(iter(row[2]))}" for row in CASES]
)
def test_each_gate_closes_on_its_line(gate: str, part: str, bad: dict[str, Any], good: dict[str, Any]) -> None:
    """Closed for that fact, with a line that says why; open one step before it."""
    found = closed_gate(changed(part, **bad))
    assert found is not None
    assert found.gate == gate
    assert len(found.text) > 8
    assert closed_gate(changed(part, **good)) is None


def test_the_table_has_every_gate_of_the_runbook_once_and_a_case_for_each() -> None:
    """The metric's label values are exactly the table's names."""
    names = [name for name, _ in TABLE]
    assert sorted(names) == sorted(GATES)
    assert len(set(names)) == len(names)
    assert {row[0] for row in CASES} == set(GATES)


@given(st.lists(st.sampled_from(CASES), min_size=1, max_size=6))
def test_the_first_closed_gate_of_the_table_is_named(cases: list[tuple[str, str, dict[str, Any], Any]]) -> None:
    """Of several reasons the table's order decides; more bad facts never open a gate."""
    situation, names = OPEN, [name for name, _ in TABLE]
    for _, part, bad, _ in cases:
        situation = situation._replace(**{part: getattr(situation, part)._replace(**bad)})
    found = closed_gate(situation)
    # A later case may have overwritten an earlier fact, so not every case still holds; one does.
    assert found is not None
    assert names.index(found.gate) <= max(names.index(row[0]) for row in cases)


@given(st.sampled_from([1, -1]), st.integers(1, 10_000), st.floats(0, 2_500), st.floats(0, 5_000), st.integers(0, 12))
def test_no_open_gate_lets_exposure_over_its_caps(
    side: int, lots: int, symbol: float, total: float, entries: int
) -> None:
    """I6: when everything is open, what is held, what rests and what is asked for are within every cap."""
    situation = changed("ask", side=side, lots=lots)
    situation = situation._replace(
        account=OPEN.account._replace(symbol_notional=symbol, total_notional=max(symbol, total), open_entries=entries),
        market=OPEN.market._replace(depth_lots=10**6),
    )
    if closed_gate(situation) is None:
        more = asked_notional(situation.ask, BTC)
        assert symbol + more <= KNOBS.gates.max_symbol_notional
        assert max(symbol, total) + more <= KNOBS.gates.max_total_notional
        assert entries + 2 <= KNOBS.gates.max_open_orders


@given(st.sampled_from([1, -1]), st.integers(1, 1_000), st.floats(80_000.0, 120_000.0))
def test_distance_to_liquidation_is_that_of_isolated_margin(side: int, lots: int, mark: float) -> None:
    """At leverage 3 a long is closed a third below its entry (less maintenance), a short a third above."""
    situation = changed("ask", side=side, lots=lots, price_ticks=1_000_000)
    situation = situation._replace(market=OPEN.market._replace(mark_price=mark))
    leverage, rate = KNOBS.sizing.leverage, BTC.maintenance_margin_rate
    price = 100_000.0 * (1 - side / leverage) / (1 - side * rate)
    assert abs(distance_bps(situation) - side * (mark - price) / mark * 1e4) < 1e-6


def test_flat_and_nothing_asked_is_infinitely_far() -> None:
    """No position, no distance."""
    assert distance_bps(changed("ask", lots=0)) == float("inf")
