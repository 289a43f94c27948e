"""The parts of the label search, each against the plain loop that defines it."""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from market import label_kernel
from market.barriers import STOP, TARGET, TIMEOUT, UNRESOLVED, BarrierRule
from market.events import NO_ASK_TICKS, NO_BID_TICKS
from market.label_kernel import Barriers, Ends, Entries, Fates, Runs, Touch

RULE = BarrierRule(tp_pct=0.02, sl_pct=0.02, horizon_seconds=1.0)
TIGHT = BarrierRule(tp_pct=1e-6, sl_pct=1e-6, horizon_seconds=1.0)


class Found(NamedTuple):
    """Runs and fates as Python lists, one item a run."""

    first_row: list[int]
    turn: list[int]
    at_once: list[int]
    held: list[int]


def _touch(bids: list[int], asks: list[int] | None = None, ns: list[int] | None = None) -> Touch:
    """A touch of one tick's spread and a row every ten nanoseconds, unless told otherwise."""
    ask_ticks = [bid + 1 for bid in bids] if asks is None else asks
    return Touch(
        np.array([10 * row for row in range(len(bids))] if ns is None else ns, np.int64),
        np.array(bids, np.int32),
        np.array(ask_ticks, np.int32),
    )


def _entries(rows: list[int], ns: list[int], side: list[int] | None = None, horizon_ns: int = 20) -> Entries:
    sides = [1] * len(rows) if side is None else side
    return Entries(np.array(rows, np.int64), np.array(ns, np.int64), np.array(sides, np.int8), horizon_ns)


def _runs(touch: Touch) -> Runs:
    rows = len(touch.ns)
    return label_kernel.split_runs(touch, Runs(np.full(rows, -9, np.int32), np.full(rows + 1, -9, np.int32)))


def _room(runs: int) -> Fates:
    """Room full of rubbish: whatever is read must have been written."""
    return Fates(*np.full((3, runs), 77, np.int32), np.full((2, runs), 77, np.int32))


def _barriers(touch: Touch, sign: int, rule: BarrierRule) -> Barriers:
    _, low_bid, high_bid, low_ask, high_ask = label_kernel.survey(touch)
    low, high = (low_bid, high_bid) if sign > 0 else (-high_ask, -low_ask)
    return Barriers(*rule.factors(sign, 0.0), low, max(0, high - low + 1))


def _found(touch: Touch, sign: int, rule: BarrierRule) -> Found:
    runs = _runs(touch)
    count = len(runs.first_row) - 1
    fates = _room(count)
    label_kernel.find_touches(touch, runs, sign, _barriers(touch, sign, rule), fates)
    return Found(runs.first_row.tolist(), fates.turn.tolist(), fates.at_once.tolist(), fates.held.tolist())


def _levels(entry: int, sign: int, rule: BarrierRule) -> tuple[int, int]:
    """Signed target and stop in exact fractions."""
    upper = math.ceil(sign * entry * (1 + sign * Fraction(str(rule.tp_pct))))
    lower = math.floor(sign * entry * (1 - sign * Fraction(str(rule.sl_pct))))
    return max(upper, sign * entry + 1), min(lower, sign * entry - 1)


def _expected(touch: Touch, first_row: list[int], sign: int, rule: BarrierRule) -> Found:
    """The definition, run by run and row by row."""
    leave, enter = (touch.bid_ticks, touch.ask_ticks) if sign > 0 else (touch.ask_ticks, touch.bid_ticks)
    nothing = NO_BID_TICKS if sign > 0 else NO_ASK_TICKS
    exits = [None if price == nothing else sign * int(price) for price in leave]
    turns, at_once, held = [], [], []
    for run, row in enumerate(first_row[:-1]):
        behind = first_row[run + 1]
        upper, lower = _levels(int(enter[row]), sign, rule)
        codes = [0 if price is None else (price >= upper) - (price <= lower) for price in exits]
        hit = next((later for later in range(behind, len(exits)) if codes[later]), None)
        turns.append(0 if hit is None or exits[row] is None else codes[hit] * (hit + 1))
        at_once.append(codes[row])
        held.append(max((r for r in range(behind) if exits[r] is not None), default=-1))
    return Found(first_row, turns, at_once, held)


@st.composite
def touches(draw: st.DrawFn, *, whole: bool = False) -> Touch:
    """Up to 40 rows that stand, creep and leap, now and then without one of their sides unless `whole`."""
    count = draw(st.integers(1, 40))
    steps = draw(st.lists(st.sampled_from([0, 0, 0, 1, -1, 3, -3, 40, -40]), min_size=count, max_size=count))
    bids = np.maximum(np.cumsum(steps) + draw(st.sampled_from([30, 200, 5_000])), 1)
    spreads = draw(st.lists(st.sampled_from([0, 1, 1, 1, 8]), min_size=count, max_size=count))
    asks = bids + np.array(spreads)
    if not whole:
        for row in draw(st.sets(st.integers(0, count - 1), max_size=4)):
            (bids if row % 2 else asks)[row] = NO_BID_TICKS if row % 2 else NO_ASK_TICKS
    ns = np.cumsum(draw(st.lists(st.sampled_from([0, 0, 1, 2, 9]), min_size=count, max_size=count)))
    return Touch(ns.astype(np.int64), bids.astype(np.int32), asks.astype(np.int32))


rules = st.builds(
    BarrierRule,
    tp_pct=st.sampled_from([1e-6, 0.005, 0.02, 0.3]),
    sl_pct=st.sampled_from([1e-6, 0.005, 0.02, 0.3]),
    horizon_seconds=st.just(1.0),
)


@settings(max_examples=200)
@given(touches(whole=True), rules, st.sampled_from([1, -1]))
def test_fates_are_those_of_a_plain_loop(touch: Touch, rule: BarrierRule, sign: int) -> None:
    """First touch behind the run, touch within it, last row with an exit: for every run and either side."""
    found = _found(touch, sign, rule)
    assert found == _expected(touch, found.first_row, sign, rule)


@given(touches(), rules, st.sampled_from([1, -1]))
def test_runs_that_nobody_can_enter_do_not_disturb_the_others(touch: Touch, rule: BarrierRule, sign: int) -> None:
    """With sides missing here and there, every run that has both keeps the fate of the plain loop."""
    found = _found(touch, sign, rule)
    wanted = _expected(touch, found.first_row, sign, rule)
    assert found.held == wanted.held
    for run, row in enumerate(found.first_row[:-1]):
        if touch.bid_ticks[row] != NO_BID_TICKS and touch.ask_ticks[row] != NO_ASK_TICKS:
            assert (found.turn[run], found.at_once[run]) == (wanted.turn[run], wanted.at_once[run])


@given(touches())
def test_runs_are_cut_where_a_touch_changes(touch: Touch) -> None:
    """Each row belongs to one run, runs begin at changes alone, and the list ends with the number of rows."""
    runs = _runs(touch)
    pairs = list(zip(touch.bid_ticks.tolist(), touch.ask_ticks.tolist(), strict=True))
    starts = [row for row in range(len(pairs)) if row == 0 or pairs[row] != pairs[row - 1]]
    assert runs.first_row.tolist() == [*starts, len(pairs)]
    assert runs.of_row.tolist() == [sum(start <= row for start in starts) - 1 for row in range(len(pairs))]


@given(touches())
def test_the_survey_is_the_range_of_what_is_there(touch: Touch) -> None:
    """Missing sides do not count; one that never was there answers a low above its high."""
    disorder, low_bid, high_bid, low_ask, high_ask = label_kernel.survey(touch)
    bids = [int(bid) for bid in touch.bid_ticks if bid != NO_BID_TICKS]
    asks = [int(ask) for ask in touch.ask_ticks if ask != NO_ASK_TICKS]
    assert disorder == -1
    assert (low_bid, high_bid) == ((min(bids), max(bids)) if bids else (NO_ASK_TICKS, NO_BID_TICKS))
    assert (low_ask, high_ask) == ((min(asks), max(asks)) if asks else (NO_ASK_TICKS, NO_BID_TICKS))


@pytest.mark.parametrize(
    ("ns", "row"), [([], -1), ([5], -1), ([5, 5, 5], -1), ([1, 2, 1], 2), ([3, 2, 1], 1), ([1, 3, 2, 4, 3], 2)]
)
def test_the_survey_names_the_first_row_that_runs_backwards(ns: list[int], row: int) -> None:
    """Equal times are in order; of several faults the first is told."""
    assert label_kernel.survey(_touch([10] * len(ns), ns=ns))[0] == row


@pytest.mark.parametrize(
    ("rows", "ns", "side", "stranger"),
    [
        ([], [], [], -1),
        ([0, 0, 2], [0, 0, 5], [1, -1, 1], -1),
        ([0, 3], [0, 5], [1, 1], 1),
        ([-1], [0], [1], 0),
        ([0, 1], [0, 5], [1, 2], 1),
        ([0], [0], [0], 0),
        ([0, 2, 1], [0, 1, 2], [1, 1, 1], 2),
        ([0, 1, 2], [0, 2, 1], [1, 1, 1], 2),
    ],
)
def test_the_first_entry_that_cannot_be_is_named(
    rows: list[int], ns: list[int], side: list[int], stranger: int
) -> None:
    """Off the book, of no side, or behind the entry before it, by row or by time."""
    assert label_kernel.first_stranger(_touch([5, 5, 5]), _entries(rows, ns, side)) == stranger


@given(touches(), st.lists(st.integers(0, 200), max_size=30), st.integers(0, 40))
def test_horizon_rows_are_found_as_by_binary_search(touch: Touch, offsets: list[int], horizon_ns: int) -> None:
    """The merge of two halves abreast finds, for every entry, the last row up to its horizon."""
    ns = np.array(sorted(offsets), np.int64)
    entries = _entries([0] * len(offsets), ns.tolist(), horizon_ns=horizon_ns)
    found = np.full(len(offsets), -9, np.int64)
    label_kernel.horizon_rows(touch, entries, found)
    wanted = np.searchsorted(touch.ns, ns + horizon_ns, side="right") - 1
    np.testing.assert_array_equal(found, np.maximum(wanted, 0))


@pytest.mark.parametrize(("horizon_ns", "row"), [(0, 1), (9, 1), (10, 4), (11, 4), (19, 4), (20, 5), (10**15, 5)])
def test_a_horizon_that_falls_on_rows_takes_the_last_of_them(horizon_ns: int, row: int) -> None:
    """Three rows of one time count together, at exactly the horizon and not a nanosecond before."""
    touch = _touch([5] * 6, ns=[0, 10, 20, 20, 20, 30])
    found = np.full(2, -9, np.int64)
    label_kernel.horizon_rows(touch, _entries([0, 0], [10, 10], horizon_ns=horizon_ns), found)
    assert found.tolist() == [row, row]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_flat_market_touches_nothing(sign: int) -> None:
    """One run without a fate, however long it stands, and its last row is the one to leave at."""
    assert _found(_touch([100] * 50), sign, RULE) == Found([0, 50], [0], [0], [49])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_locked_market_pays_no_spread(sign: int) -> None:
    """Bid equal to ask is legal: nothing is beyond a barrier at once, and one tick ends a tight rule."""
    found = _found(_touch([100, 101, 100], [100, 101, 100]), sign, TIGHT)
    assert found.at_once == [0, 0, 0]
    assert found.turn == [2 * sign, -3 * sign, 0]


def test_a_leap_over_many_levels_ends_all_who_wait_below_it() -> None:
    """Entries at 1000 to 1004 wait on five different levels two per cent away, all passed in one row."""
    bids = [1_000, 1_001, 1_002, 1_003, 1_004, 1_500]
    assert _found(_touch(bids, bids), 1, RULE).turn == [6, 6, 6, 6, 6, 0]
    assert _found(_touch(bids, bids), -1, RULE).turn == [-6, -6, -6, -6, -6, 0]


def test_a_leap_past_the_target_and_back_past_the_stop_meets_the_target_alone() -> None:
    """The first touch decides; a run that was released above is only taken off the list below."""
    touch = _touch([100, 200, 10, 300], [100, 200, 10, 300])
    assert _found(touch, 1, RULE).turn == [2, -3, 4, 0]
    assert _found(touch, -1, RULE).turn == [-2, 3, -4, 0]


def test_many_runs_wait_on_one_level() -> None:
    """A price that ticks to and fro enters two hundred runs on two pairs of levels; one row ends them all."""
    bids = [1_000 + row % 2 for row in range(200)] + [1_030]
    found = _found(_touch(bids, bids), 1, RULE)
    assert found.turn == [201] * 200 + [0]
    found = _found(_touch(bids, bids), -1, RULE)
    assert found.turn == [-201] * 200 + [0]


def test_each_ending_goes_to_those_who_still_wait() -> None:
    """Who entered before the fall was stopped by it, who came later is met by the rise, though on the same levels."""
    bids = [1_000, 1_001, 980, 1_000, 1_001, 1_022]
    assert _found(_touch(bids, bids), 1, RULE).turn == [-3, -3, 4, 6, 6, 0]


def test_a_barrier_nobody_ever_reaches_needs_no_room() -> None:
    """Targets and stops far outside of the day's range leave the run without a fate."""
    far = BarrierRule(tp_pct=0.99, sl_pct=0.99, horizon_seconds=1.0)
    assert _found(_touch([100, 102, 99]), 1, far).turn == [0, 0, 0]
    assert _found(_touch([100, 102, 99]), -1, far).turn == [0, 0, 0]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_highest_prices_there_are_do_not_wrap(sign: int) -> None:
    """A tick below the mark of a missing ask: targets beyond int32 are levels like others."""
    top = NO_ASK_TICKS - 1
    bids = [top - 3, top - 2, top - 4, top - 4, top]
    touch = _touch(bids, bids)
    found = _found(touch, sign, BarrierRule(1e-12, 1e-12, 1.0))
    assert found == _expected(touch, found.first_row, sign, BarrierRule(1e-12, 1e-12, 1.0))
    assert _found(touch, sign, BarrierRule(0.5, 0.5, 1.0)).turn == [0] * (len(found.first_row) - 1)


def test_a_side_that_never_was_there_has_no_fates() -> None:
    """No bid all day: nothing to leave at, nothing held, and no room asked for."""
    found = _found(_touch([NO_BID_TICKS] * 3, [10, 11, 12]), 1, RULE)
    assert found == Found([0, 1, 2, 3], [0, 0, 0], [0, 0, 0], [-1, -1, -1])


def test_a_spread_wider_than_the_stop_is_beyond_it_at_once() -> None:
    """A long that pays 110 and could leave at 100 has lost two per cent where it stands."""
    found = _found(_touch([100, 100, 100], [110, 110, 101]), 1, RULE)
    assert found.first_row == [0, 2, 3]
    assert (found.at_once, found.turn) == ([-1, 0], [-3, 0])


@given(st.integers(1, 3_000_000), st.sampled_from([1, -1]), rules)
def test_levels_are_the_exact_ones(entry: int, sign: int, rule: BarrierRule) -> None:
    """Rounded away from the entry in exact fractions, whatever floats make of entry times factor."""
    target, stop = rule.factors(sign, 0.0)
    found = label_kernel._levels(sign * entry, Barriers(target, stop, 0, 1))
    assert found == _levels(entry, sign, rule)


@given(st.integers(-50, 50), st.integers(1, 2_000))
def test_levels_count_from_the_low_of_the_range(low: int, entry: int) -> None:
    """Moving the range moves both levels by as much."""
    upper, lower = label_kernel._levels(entry, Barriers(1.02, 0.98, 0, 1))
    assert label_kernel._levels(entry, Barriers(1.02, 0.98, low, 1)) == (upper - low, lower - low)


def _judged(
    touch: Touch,
    entries: Entries,
    turn: list[int],
    blind: list[tuple[int, int]] | None = None,
    fee: float = 0.0,
) -> Ends:
    """Judge longs whose runs have these turns."""
    runs = _runs(touch)
    fates = _room(len(runs.first_row) - 1)
    label_kernel.find_touches(touch, runs, 1, _barriers(touch, 1, RULE), fates)
    fates.turn[:] = turn
    count = len(entries.row)
    gains: NDArray[np.float32] = np.full((2, count), 5.0, np.float32)
    ends = Ends(np.full(count, 9, np.int8), np.empty(count, np.int64), np.full(count, 9, np.int64), *gains)
    label_kernel.horizon_rows(touch, entries, ends.row)
    stretches = np.array(blind or [], np.int64).reshape(-1, 2)
    sides = (np.ascontiguousarray(stretches[:, 0]), np.ascontiguousarray(stretches[:, 1]))
    label_kernel.judge(touch, entries, runs, 1, fates, sides, fee, ends)
    return ends


@pytest.mark.parametrize(
    ("turn", "horizon_ns", "outcome", "row", "ns"),
    [
        (3, 20, TARGET, 2, 20),
        (-3, 20, STOP, 2, 20),
        (3, 19, TIMEOUT, 1, 19),
        (-3, 19, TIMEOUT, 1, 19),
        (0, 30, TIMEOUT, 3, 30),
        (0, 31, UNRESOLVED, -1, -1),
        (4, 31, TARGET, 3, 30),
    ],
)
def test_a_fate_counts_up_to_the_horizon_itself(turn: int, horizon_ns: int, outcome: int, row: int, ns: int) -> None:
    """A touch at exactly the horizon is one; data that ends a nanosecond early proves nothing, except a touch."""
    ends = _judged(_touch([100, 101, 102, 103]), _entries([0], [0], horizon_ns=horizon_ns), [turn, 0, 0, 0])
    assert (ends.outcome[0], ends.row[0], ends.ns[0]) == (outcome, row, ns)


def test_the_other_side_is_left_as_it_was() -> None:
    """Longs are judged without a mark on the rows of shorts, whose turn comes later."""
    ends = _judged(_touch([100, 101, 102, 103]), _entries([0, 0], [0, 0], [-1, 1]), [0, 0, 0, 0])
    assert (ends.outcome.tolist(), ends.gross_bps[0], ends.net_bps[0]) == ([9, TIMEOUT], 5.0, 5.0)


def test_fees_are_paid_on_both_prices() -> None:
    """Bought at 200 and left at 210 with a fee of a hundredth: 500 bps less 100 and 105."""
    touch = _touch([199, 210, 210, 210], [200, 211, 211, 211])
    ends = _judged(touch, _entries([0], [0]), [2, 0], fee=0.01)
    assert ends.gross_bps[0] == pytest.approx(500.0)
    assert ends.net_bps[0] == pytest.approx(500.0 - 205.0)


@pytest.mark.parametrize(
    ("blind", "outcomes"),
    [
        ([], [TIMEOUT] * 3),
        ([(0, 10)], [UNRESOLVED, TIMEOUT, TIMEOUT]),
        ([(20, 25)], [TIMEOUT, UNRESOLVED, UNRESOLVED]),
        ([(1, 2), (29, 30)], [UNRESOLVED, UNRESOLVED, UNRESOLVED]),
        ([(40, 90)], [TIMEOUT] * 3),
    ],
)
def test_a_stretch_nobody_saw_unsettles_who_was_inside(blind: list[tuple[int, int]], outcomes: list[int]) -> None:
    """Entries at 0, 10 and 20 hold for twenty: one that ends as a stretch begins, or enters as it ends, stands."""
    touch = _touch([100, 101, 100, 101, 100, 101])
    ends = _judged(touch, _entries([0, 1, 2], [0, 10, 20]), [0] * 6, blind)
    assert ends.outcome.tolist() == outcomes


def test_rows_of_one_time_end_an_entry_only_when_they_come_after_it() -> None:
    """Order in the file decides within a nanosecond: the row behind the entry's can end it, the one before cannot."""
    touch = _touch([100, 110, 100, 100], [100, 110, 100, 100], [0, 0, 0, 50])
    ends = _judged(touch, _entries([0, 1, 2], [0, 0, 0]), _found(touch, 1, RULE).turn)
    assert ends.outcome.tolist() == [TARGET, STOP, TIMEOUT]
    assert ends.row.tolist() == [1, 2, 2]
    assert ends.ns.tolist() == [0, 0, 20]
