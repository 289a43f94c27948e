"""Labels against a plain scan of the rows, and the rules of the barriers one by one."""

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.barriers import STOP, TARGET, TIMEOUT, UNRESOLVED, BarrierRule
from market.events import NO_ASK_TICKS, NO_BID_TICKS, BadEvent, BadRule, KernelOverflow
from market.labels import Labels, triple_barrier
from market.symbols import Symbol

FEE_BPS = 5.0
X = Symbol("X", "nowhere", "X", "perp", Decimal("0.1"), Decimal(1), Decimal(0), 2.0, FEE_BPS, 0.01)
SECOND = 1_000_000_000
RULE = BarrierRule(tp_pct=0.01, sl_pct=0.01, horizon_seconds=10.0, net_of_fees=False)
NO_BLACKOUT = np.empty((0, 2), np.int64)


def _label(
    seconds: list[float],
    bids: list[int],
    asks: list[int],
    entries: list[tuple[int, int]],
    rule: BarrierRule = RULE,
    entry_seconds: list[float] | None = None,
    blackout: list[tuple[float, float]] | None = None,
) -> Labels:
    """Label entries given as (row, side), which enter at their row's time unless told otherwise."""
    at = [seconds[row] for row, _ in entries] if entry_seconds is None else entry_seconds
    return triple_barrier(
        np.array([round(second * SECOND) for second in seconds], np.int64),
        np.array(bids, np.int32),
        np.array(asks, np.int32),
        np.array([row for row, _ in entries], np.int64),
        np.array([round(second * SECOND) for second in at], np.int64),
        np.array([side for _, side in entries], np.int8),
        rule,
        X,
        (np.array(blackout or [], np.float64).reshape(-1, 2) * SECOND).astype(np.int64),
    )


def _scan(
    book_ns: list[int],
    bids: list[int],
    asks: list[int],
    row: int,
    entry_ns: int,
    side: int,
    rule: BarrierRule,
    blackout: list[tuple[int, int]],
) -> tuple[int, int, int]:
    """The definition, read row by row: outcome, exit row, exit time (-1, -1 when unresolved)."""
    enter, leave = (asks, bids) if side > 0 else (bids, asks)
    nothing = NO_BID_TICKS if side > 0 else NO_ASK_TICKS
    deadline = entry_ns + round(rule.horizon_seconds * SECOND)
    unresolved = (UNRESOLVED, -1, -1)
    if bids[row] == NO_BID_TICKS or asks[row] == NO_ASK_TICKS or book_ns[row] > entry_ns:
        return unresolved
    target, stop = _barriers(int(enter[row]), side, rule)
    found = None
    last = row
    for later in range(row + 1, len(book_ns)):
        if book_ns[later] > deadline:
            break
        price = int(leave[later])
        if price == nothing:
            continue
        last = later
        if side * price >= side * target:
            found = (TARGET, later, int(book_ns[later]))
        elif side * price <= side * stop:
            found = (STOP, later, int(book_ns[later]))
        if found:
            break
    if found is None:
        if book_ns[-1] < deadline:
            return unresolved
        found = (TIMEOUT, last, deadline)
    blind = any(entry_ns < end and found[2] > start for start, end in blackout)
    return unresolved if blind else found


def _barriers(entry: int, side: int, rule: BarrierRule) -> tuple[int, int]:
    """Target and stop in exact fractions: the nearest tick that gains (after fees) and loses at least so much."""
    fee = Fraction(str(FEE_BPS)) / 10_000 if rule.net_of_fees else Fraction(0)
    gain = (1 + side * (Fraction(str(rule.tp_pct)) + fee)) / (1 - side * fee)
    loss = 1 - side * Fraction(str(rule.sl_pct))
    if side > 0:
        return max(math.ceil(entry * gain), entry + 1), min(math.floor(entry * loss), entry - 1)
    return min(math.floor(entry * gain), entry - 1), max(math.ceil(entry * loss), entry + 1)


@st.composite
def markets(draw: st.DrawFn) -> dict[str, Any]:
    """Up to 40 rows that jump, stand still, widen and lose a side, with entries of both sides anywhere in them."""
    count = draw(st.integers(min_value=1, max_value=40))
    rows = st.integers(min_value=0, max_value=count - 1)
    book_ns = np.cumsum(draw(st.lists(st.sampled_from([0, 1, 1, 2, 7]), min_size=count, max_size=count))) * SECOND
    steps = draw(st.lists(st.sampled_from([-9, -2, -1, 0, 0, 0, 1, 2, 9]), min_size=count, max_size=count))
    bids = np.cumsum(steps) + draw(st.sampled_from([50, 400, 10_000]))
    bids = np.maximum(bids, 1).astype(np.int32)
    spreads = draw(st.lists(st.sampled_from([0, 1, 1, 1, 1, 3, 15]), min_size=count, max_size=count))
    asks = (bids + np.array(spreads)).astype(np.int32)
    missing = draw(st.sets(rows, max_size=3))
    for row in missing:
        bids[row] = NO_BID_TICKS if row % 2 else bids[row]
        asks[row] = asks[row] if row % 3 else NO_ASK_TICKS
    entry_row = np.array(sorted(draw(st.lists(rows, max_size=12))), np.int64)
    delays = draw(st.lists(st.sampled_from([-1, 0, 0, 0, 1, 3]), min_size=len(entry_row), max_size=len(entry_row)))
    entry_ns = np.maximum.accumulate(book_ns[entry_row] + np.array(delays, np.int64) * SECOND)
    side = np.array(draw(st.lists(st.sampled_from([-1, 1]), min_size=len(entry_row), max_size=len(entry_row))), np.int8)
    ends = st.integers(min_value=-1, max_value=int(book_ns[-1]) // SECOND + 1)
    gaps = sorted(tuple(sorted(pair)) for pair in draw(st.lists(st.tuples(ends, ends), max_size=2)))
    return {
        "book_ns": book_ns.astype(np.int64),
        "bid_ticks": bids,
        "ask_ticks": asks,
        "entry_row": entry_row,
        "entry_ns": entry_ns.astype(np.int64),
        "side": side,
        "blackout": np.array(draw(st.permutations(gaps)), np.int64).reshape(-1, 2) * SECOND,
    }


rules = st.builds(
    BarrierRule,
    tp_pct=st.sampled_from([0.0001, 0.001, 0.02, 0.05]),
    sl_pct=st.sampled_from([0.0001, 0.001, 0.02, 0.05]),
    horizon_seconds=st.sampled_from([0.5, 1.0, 3.0, 30.0]),
    net_of_fees=st.booleans(),
)


@settings(max_examples=200)
@given(market=markets(), rule=rules)
def test_labels_equal_the_scan(market: dict[str, Any], rule: BarrierRule) -> None:
    """Outcome, exit row, exit time and both gains are those of the row-by-row definition, for every entry."""
    labels = triple_barrier(**market, rule=rule, symbol=X)
    book = [market[key].tolist() for key in ("book_ns", "bid_ticks", "ask_ticks")]
    gaps = [tuple(gap) for gap in market["blackout"].tolist()]
    for entry, (row, entry_ns, side) in enumerate(
        zip(market["entry_row"].tolist(), market["entry_ns"].tolist(), market["side"].tolist(), strict=True)
    ):
        wanted = _scan(*book, row, entry_ns, side, rule, gaps)
        assert (labels.outcome[entry], labels.exit_row[entry], labels.exit_ns[entry]) == wanted
        if wanted[0] == UNRESOLVED:
            assert np.isnan([labels.gross_bps[entry], labels.net_bps[entry]]).all()
            continue
        enter, leave = ("ask_ticks", "bid_ticks") if side > 0 else ("bid_ticks", "ask_ticks")
        paid, left = int(market[enter][row]), int(market[leave][wanted[1]])
        gross = side * (left - paid) / paid * 1e4
        assert labels.gross_bps[entry] == pytest.approx(gross, rel=1e-5)
        assert labels.net_bps[entry] == pytest.approx(gross - FEE_BPS * (1 + left / paid), rel=1e-5, abs=1e-4)


@given(market=markets(), rule=rules)
def test_a_short_is_a_long_in_the_mirror(market: dict[str, Any], rule: BarrierRule) -> None:
    """Labels of one side do not depend on what the entries of the other side are."""
    both = triple_barrier(**market, rule=rule, symbol=X)
    for side in (1, -1):
        mine = market["side"] == side
        part = {key: market[key][mine] for key in ("entry_row", "entry_ns", "side")}
        alone = triple_barrier(**(market | part), rule=rule, symbol=X)
        np.testing.assert_array_equal(alone.outcome, both.outcome[mine])
        np.testing.assert_array_equal(alone.exit_row, both.exit_row[mine])


def test_a_long_pays_the_ask_and_leaves_at_the_bid() -> None:
    """The target of 1 % counts from the ask paid to the bid received: 1010 bid, not 1010 ask."""
    labels = _label([0, 1, 2, 11], [990, 1009, 1010, 1000], [1000, 1010, 1011, 1001], [(0, 1)])
    assert (labels.outcome[0], labels.exit_row[0], labels.exit_ns[0]) == (TARGET, 2, 2 * SECOND)
    assert labels.gross_bps[0] == pytest.approx(100.0)
    assert labels.net_bps[0] == pytest.approx(100.0 - FEE_BPS * 2.01)


def test_a_short_sells_the_bid_and_leaves_at_the_ask() -> None:
    """The same from the other side."""
    labels = _label([0, 1, 2, 11], [1000, 989, 988, 1000], [1001, 991, 990, 1001], [(0, -1)])
    assert (labels.outcome[0], labels.exit_row[0]) == (TARGET, 2)
    assert labels.gross_bps[0] == pytest.approx(100.0)


def test_barriers_are_rounded_outwards_to_ticks() -> None:
    """1 % of 1050 is 10.5 ticks: target 1061 and stop 1039, each the first tick that gains or loses at least 1 %."""
    for bid, outcome in ((1060, TIMEOUT), (1061, TARGET), (1040, TIMEOUT), (1039, STOP)):
        labels = _label([0, 1, 2, 11], [1049, bid, 1050, 1050], [1050, 1062, 1062, 1062], [(0, 1)])
        assert labels.outcome[0] == outcome
    for ask, outcome in ((1040, TIMEOUT), (1039, TARGET), (1060, TIMEOUT), (1061, STOP)):
        labels = _label([0, 1, 2, 11], [1050, 1038, 1038, 1038], [1051, ask, 1050, 1050], [(0, -1)])
        assert labels.outcome[0] == outcome


def test_a_barrier_on_a_tick_stays_there_whatever_floats_say() -> None:
    """0.1 % of 10,000 ticks is ten ticks, though 10000 * 1.001 is a little more in floats; and never less than one."""
    rule = BarrierRule(0.001, 0.001, 10.0, False)
    labels = _label([0, 1, 11], [9_999, 10_010, 9_999], [10_000, 10_011, 10_000], [(0, 1)], rule)
    assert labels.outcome[0] == TARGET
    labels = _label([0, 1, 11], [10, 10, 10], [10, 10, 10], [(0, 1)], BarrierRule(1e-9, 1e-9, 10.0, False))
    assert labels.outcome[0] == TIMEOUT


def test_fees_move_the_target_and_not_the_stop() -> None:
    """Net of fees a long of 10,000 needs 10111 for 1 % after 5 bps on each leg; one tick less is no target."""
    rule = replace(RULE, net_of_fees=True)
    for bid, outcome in ((10_110, TIMEOUT), (10_111, TARGET), (9_900, STOP)):
        labels = _label([0, 1, 2, 11], [9_999, bid, 10_000, 10_000], [10_000, 10_112, 10_112, 10_112], [(0, 1)], rule)
        assert labels.outcome[0] == outcome
        assert (labels.net_bps[0] >= 100.0) == (outcome == TARGET)
    assert _label([0, 1, 11], [9_999, 10_100, 1], [10_000, 10_101, 2], [(0, 1)]).outcome[0] == TARGET


@given(st.integers(min_value=1_000, max_value=2_000_000), st.sampled_from([-1, 1]))
def test_a_target_net_of_fees_gains_what_it_promises(entry: int, side: int) -> None:
    """At the very first tick beyond the target, the gain after both fees is at least tp, for either side."""
    rule = replace(RULE, net_of_fees=True)
    target, _ = _barriers(entry, side, rule)
    for price, outcome in ((target, TARGET), (target - side, TIMEOUT)):
        labels = _label([0, 1, 11], [entry, price, price], [entry, price, price], [(0, side)], rule)
        assert labels.outcome[0] == outcome
        assert (labels.net_bps[0] >= np.float32(99.9999)) == (outcome == TARGET)


def test_a_timeout_leaves_at_the_last_row_before_the_horizon() -> None:
    """Row 2 is the last one up to entry + 10 s; the time of the exit is the horizon itself."""
    labels = _label([0, 4, 9, 12], [999, 1000, 1003, 1100], [1000, 1001, 1004, 1101], [(0, 1)])
    assert (labels.outcome[0], labels.exit_row[0], labels.exit_ns[0]) == (TIMEOUT, 2, 10 * SECOND)
    assert labels.gross_bps[0] == pytest.approx(30.0)


def test_a_row_at_the_horizon_still_counts_and_one_later_does_not() -> None:
    """A touch at exactly entry + 10 s is a touch, a nanosecond later a timeout."""
    for second, outcome in ((10.0, TARGET), (10.000000001, TIMEOUT)):
        labels = _label([0, second, 12], [999, 1010, 999], [1000, 1011, 1000], [(0, 1)])
        assert labels.outcome[0] == outcome


def test_a_timeout_in_silence_leaves_at_the_entry_row() -> None:
    """No row between entry and horizon: the book still stands as it was, so the spread is paid."""
    labels = _label([0, 20], [999, 5_000], [1000, 5_001], [(0, 1)])
    assert (labels.outcome[0], labels.exit_row[0]) == (TIMEOUT, 0)
    assert labels.gross_bps[0] == pytest.approx(-10.0)


def test_data_that_ends_before_the_horizon_leaves_it_unresolved() -> None:
    """Without a touch nobody knows; with one the label stands."""
    labels = _label([0, 1, 9], [999, 1000, 1010], [1000, 1001, 1011], [(0, 1), (0, -1), (1, 1), (2, 1)])
    assert labels.outcome.tolist() == [TARGET, STOP, UNRESOLVED, UNRESOLVED]
    assert labels.exit_ns.tolist()[2:] == labels.exit_row.tolist()[2:] == [-1, -1]
    assert np.isnan(labels.net_bps[2:]).all()


def test_an_entry_beyond_a_barrier_ends_at_the_next_row() -> None:
    """A spread wider than the stop: the exit touch is beyond it from the start, though not at the entry row itself."""
    labels = _label([0, 1, 2, 12], [900, 900, 900, 900], [1000, 1000, 1000, 1000], [(0, 1), (1, 1)])
    assert labels.outcome.tolist() == [STOP, STOP]
    assert labels.exit_row.tolist() == [1, 2]


def test_an_entry_within_a_wide_spread_may_be_saved_by_the_next_row() -> None:
    """Only rows behind the entry row count: when the bid is back by then, nothing has been lost."""
    labels = _label([0, 1, 2, 12], [900, 999, 1010, 900], [1000, 1000, 1011, 1000], [(0, 1)])
    assert (labels.outcome[0], labels.exit_row[0]) == (TARGET, 2)


@pytest.mark.parametrize(
    ("blackout", "outcome"),
    [
        ((0.5, 1.5), UNRESOLVED),
        ((-3.0, 0.5), UNRESOLVED),
        ((0.0, 0.1), UNRESOLVED),
        ((-3.0, 0.0), TARGET),
        ((2.0, 9.0), TARGET),
        ((1.9, 2.0), UNRESOLVED),
    ],
)
def test_a_path_across_a_blackout_is_unresolved(blackout: tuple[float, float], outcome: int) -> None:
    """Enters at 0 s, touches at 2 s: a stretch that ends by the entry or begins at the touch does not matter."""
    labels = _label([0, 1, 2, 12], [999, 1000, 1010, 999], [1000, 1001, 1011, 1000], [(0, 1)], blackout=[blackout])
    assert labels.outcome[0] == outcome


def test_a_timeout_whose_horizon_falls_in_a_blackout_is_unresolved() -> None:
    """The last row before the stretch is no proof of what happened up to the horizon."""
    labels = _label([0, 1, 20, 30], [999] * 4, [1000] * 4, [(0, 1), (2, 1)], blackout=[(1, 20)])
    assert labels.outcome.tolist() == [UNRESOLVED, TIMEOUT]


def test_one_sided_rows_are_no_entry_and_no_exit() -> None:
    """Who would enter on them stays unresolved; who waits sees through them to the next full touch."""
    bids = [999, NO_BID_TICKS, NO_BID_TICKS, 1010, 999]
    asks = [1000, 1001, 1001, NO_ASK_TICKS, 1000]
    labels = _label([0, 1, 2, 3, 20], bids, asks, [(0, 1), (0, -1), (1, 1), (3, -1)])
    assert labels.outcome.tolist() == [TARGET, TIMEOUT, UNRESOLVED, UNRESOLVED]
    assert labels.exit_row.tolist()[:2] == [3, 2]
    labels = _label([0, 1, 20], [999, NO_BID_TICKS, 999], [1000, 1001, 1000], [(0, 1)])
    assert (labels.outcome[0], labels.exit_row[0]) == (TIMEOUT, 0)


def test_an_entry_before_its_book_row_is_unresolved() -> None:
    """A candidate that only saw yesterday's book cannot trade on today's first row before it was there."""
    labels = _label([5, 6, 30], [999, 1010, 999], [1000, 1011, 1000], [(0, 1)], entry_seconds=[4.0])
    assert labels.outcome[0] == UNRESOLVED


def test_an_entry_between_rows_counts_its_horizon_from_its_own_time() -> None:
    """It trades on the row in force and times out 10 s after it entered."""
    labels = _label([0, 12, 13], [999, 1010, 999], [1000, 1011, 1000], [(0, 1)], entry_seconds=[3.0])
    assert labels.outcome[0] == TARGET


def test_no_entries_and_no_rows_give_no_labels() -> None:
    """Empty in, empty out, with the right types."""
    for labels in (_label([], [], [], []), _label([0], [1], [2], [])):
        assert len(labels.outcome) == 0
        assert (labels.outcome.dtype, labels.exit_ns.dtype, labels.exit_row.dtype) == (np.int8, np.int64, np.int64)
        assert labels.gross_bps.dtype == labels.net_bps.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"book_ns": np.array([2, 1], np.int64)}, "X: book_ns runs backwards at row 1, to 1"),
        ({"entry_row": np.array([0, 2], np.int64)}, "X: entry 1 .row 2"),
        ({"entry_row": np.array([-1, 0], np.int64)}, "X: entry 0 .row -1"),
        ({"entry_row": np.array([1, 0], np.int64)}, "X: entry 1"),
        ({"entry_ns": np.array([2, 1], np.int64)}, "X: entry 1"),
        ({"side": np.array([1, 0], np.int8)}, "X: entry 1 .* side 0"),
        ({"side": np.array([1], np.int8)}, r"side must be int8\[2\], was int8\[1\]"),
        ({"bid_ticks": np.array([1, 1], np.int64)}, r"bid_ticks must be int32\[2\], was int64\[2\]"),
        ({"blackout": np.array([1, 2], np.int64)}, r"blackout must be int64\[2, 2\], was int64\[2\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, Any], found: str) -> None:
    """What is out of order, out of range or of another shape raises BadEvent that says where."""
    arrays = {
        "book_ns": np.array([1, 2], np.int64),
        "bid_ticks": np.array([1, 1], np.int32),
        "ask_ticks": np.array([2, 2], np.int32),
        "entry_row": np.array([0, 1], np.int64),
        "entry_ns": np.array([1, 2], np.int64),
        "side": np.array([1, -1], np.int8),
        "blackout": NO_BLACKOUT,
    }
    with pytest.raises(BadEvent, match=found):
        triple_barrier(**(arrays | change), rule=RULE, symbol=X)


def test_a_touch_that_ranges_too_far_is_refused_before_memory_is_taken() -> None:
    """One stray quote must not ask for gigabytes."""
    with pytest.raises(KernelOverflow, match=r"X: labels: the touch ranges over 1999999999 prices, room for 67108864"):
        _label([0, 1], [1, 1_999_999_999], [2, 2_000_000_000], [(0, 1)])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"tp_pct": 0.0}, "tp_pct must be a share between 0 and 1, was 0.0"),
        ({"sl_pct": 1.0}, "sl_pct"),
        ({"tp_pct": math.nan}, "tp_pct"),
        ({"horizon_seconds": 0.0}, "horizon_seconds must be above 0, was 0.0"),
        ({"horizon_seconds": math.inf}, "horizon_seconds"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(change: dict[str, float], found: str) -> None:
    """The message names the field and the value."""
    with pytest.raises(BadRule, match=found):
        replace(RULE, **change)
