from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.layout import day_bounds_ns, empty_book
from archive.store import Lake
from evaluation.clustered import Estimate
from pipelines.canary_days import Rules, Shown, Stretch, choose, held_out, judge, stretches
from pipelines.errors import NotEnoughData
from pipelines.live_measures import TradedFigures

DAY = date(2026, 1, 7)
MINUTE_NS = 60_000_000_000
GAP_NS = 60_000_000_000
RULES = Rules(winrate=0.45, fill_rate=0.05, min_trades=30)
GOOD = Estimate(0.5, 0.4, 0.6, 100, 60.0)
STRETCH = Stretch(0, 30 * MINUTE_NS, 0.5, 1.0)


def write_day(
    lake: Lake, symbol: str, moves: dict[int, float], silent_minutes: tuple[int, ...] = (), seed: int = 1
) -> None:
    """A day with a row a second; a calm walk but in the hours of `moves`, whose ticks a second are given."""
    seconds = np.arange(86_400)
    keep = ~np.isin(seconds // 60, silent_minutes)
    size = np.array([moves.get(hour, 1.0) for hour in range(24)])[seconds // 3_600]
    mid = 1_000_000 + np.cumsum(np.random.default_rng(seed).normal(size=86_400) * size * 10).astype(np.int64)
    book = empty_book(int(keep.sum()))
    book.exchange_ns[:] = book.local_ns[:] = day_bounds_ns(DAY)[0] + seconds[keep] * 1_000_000_000
    book.sequence[:], book.flags[:] = np.arange(keep.sum()), 0
    for ladder in (book.bid_lots, book.ask_lots):
        ladder[:] = 1
    levels = np.arange(len(book.bid_ticks))[:, None]
    book.bid_ticks[:], book.ask_ticks[:] = mid[keep] - 1 - levels, mid[keep] + 1 + levels
    lake.write_book(symbol, DAY, book, source="test")


def traded(winrate: Estimate = GOOD, fill_rate: Estimate = GOOD, markout: Estimate | None = None) -> TradedFigures:
    """Figures that pass every gate, but for those given."""
    one = markout or Estimate(0.1, -0.1, 0.3, 40, 20.0)
    return TradedFigures(winrate, fill_rate, GOOD, one, {100: one, 500: one, 1_000: one}, -1.0)


def failed(*shown: Shown) -> list[str]:
    """The gates that did not pass, as `name (where)`."""
    return [f"{gate.name} ({gate.where})" for gate in judge(shown, RULES) if not gate.passed]


def test_a_day_is_cut_into_stretches_without_a_gap(tmp_path: Path) -> None:
    """One in which any symbol was silent for longer than a gap is left out."""
    lake = Lake.create(tmp_path)
    write_day(lake, "BTCUSDT", {14: 5.0}, silent_minutes=(65, 66))
    write_day(lake, "ETHUSDT", {14: 5.0}, seed=2)
    found = stretches(lake, ["BTCUSDT", "ETHUSDT"], [DAY], 60, GAP_NS)
    first_ns = day_bounds_ns(DAY)[0]
    assert [(each.start_ns - first_ns) // (60 * MINUTE_NS) for each in found] == [0, *range(2, 24)]
    assert all(each.end_ns - each.start_ns == 60 * MINUTE_NS for each in found)
    wild = max(found, key=lambda each: each.volatility_bps)
    assert (wild.start_ns - first_ns) // (60 * MINUTE_NS) == 14


def test_only_days_behind_the_training_count_and_only_where_every_symbol_has_them(tmp_path: Path) -> None:
    """What a model learned from says nothing of it."""
    lake = Lake.create(tmp_path)
    write_day(lake, "BTCUSDT", {})
    assert held_out(lake, ["BTCUSDT"], date(2026, 1, 6)) == [DAY]
    assert held_out(lake, ["BTCUSDT"], DAY) == []
    assert held_out(lake, ["BTCUSDT", "ETHUSDT"], date(2026, 1, 6)) == []


@given(st.lists(st.tuples(st.floats(0.01, 50), st.floats(0, 20)), min_size=3, max_size=30))
def test_the_three_are_different_and_stand_where_the_rule_says(figures: list[tuple[float, float]]) -> None:
    """Highest volatility; highest burst of the rest; median volatility of what is left."""
    found = [Stretch(n, n + 1, *each) for n, each in enumerate(figures)]
    chosen = choose(found)
    assert len({each.start_ns for each in chosen.values()}) == 3
    wild, event, normal = chosen["high_volatility"], chosen["event"], chosen["normal"]
    rest = [each for each in found if each != wild]
    assert all(wild.volatility_bps >= each.volatility_bps for each in rest)
    assert all(event.burst >= each.burst for each in rest)
    left = [each for each in rest if each != event]
    calmer = sum(each.volatility_bps < normal.volatility_bps for each in left)
    wilder = sum(each.volatility_bps > normal.volatility_bps for each in left)
    assert calmer <= len(left) / 2
    assert wilder <= (len(left) + 1) / 2
    assert choose(found[::-1]) == chosen


def test_fewer_than_three_stretches_are_refused() -> None:
    """With what to do about it."""
    with pytest.raises(NotEnoughData, match=r"2 stretches of market behind the training days have no gap, 3 wanted"):
        choose([STRETCH, STRETCH])


def test_a_good_candidate_passes_every_gate() -> None:
    """Four on each stretch, and the sample."""
    shown = [Shown(kind, STRETCH, traded(), 5_000, 0, "") for kind in ("normal", "event", "high_volatility")]
    gates = judge(shown, RULES)
    assert len(gates) == 13
    assert all(gate.passed for gate in gates)


def test_each_gate_is_named_with_its_stretch() -> None:
    """Whole intervals below the line, a differing bit, nothing compared, nothing traded."""
    low = Estimate(0.3, 0.2, 0.4, 100, 60.0)
    assert failed(Shown("event", STRETCH, traded(winrate=low), 10, 0, "")) == ["winrate (event)"]
    below = Estimate(-0.5, -0.8, -0.1, 40, 20.0)
    assert failed(Shown("normal", STRETCH, traded(markout=below), 10, 0, "")) == ["markout (normal)"]
    rare = Estimate(0.01, 0.0, 0.04, 100, 90.0)
    assert failed(Shown("normal", STRETCH, traded(fill_rate=rare), 10, 0, "")) == ["fill_rate (normal)"]
    assert failed(Shown("normal", STRETCH, traded(), 10, 1, "BTCUSDT-7")) == ["parity (normal)"]
    assert failed(Shown("normal", STRETCH, traded(), 0, 0, "")) == ["parity (normal)"]
    none = Estimate(0.0, 0.0, 1.0, 0, 0.0)
    assert failed(Shown("normal", STRETCH, traded(none, none), 10, 0, "")) == ["sample (all)"]


def test_a_gate_says_what_it_found_and_wanted() -> None:
    """As the last line of the script."""
    (first, *_) = judge([Shown("event", STRETCH, traded(), 10, 0, "")], RULES)
    assert str(first) == "winrate (event): 0.5 (0.4 to 0.6, n=100), wanted >= 0.45"
