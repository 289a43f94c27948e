"""Candidates end live as the labels of the same day say, to the bit: in time, told of late, and across breaks."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from live.outcomes import MOST_WAITING, Ending, Entry, Resolver
from live.touches import LOST, Touches
from market.barriers import STOP, TARGET, TIMEOUT, UNRESOLVED, BarrierRule, gains_bps
from market.events import NO_ASK_TICKS, NO_BID_TICKS
from market.labels import triple_barrier
from market.simulator import simulate_columns
from tests.market.simulated import BTC, MIDNIGHT
from tests.market.test_labels import SECOND, X, rules

FEE = X.taker_fee_bps * 1e-4
GAP_NS = 60 * SECOND
RULE = BarrierRule(tp_pct=0.01, sl_pct=0.01, horizon_seconds=10.0)


def resolver(most: int = 20_000) -> Resolver:
    """One over an empty history."""
    return Resolver(Touches(GAP_NS, most), FEE)


def seen(
    of: Resolver, second: float, bid: int, ask: int, *, resets: bool = False, local: float | None = None
) -> list[Ending]:
    """Show it a row."""
    local_ns = round((second if local is None else local) * SECOND)
    return of.see(of.touches.add(round(second * SECOND), local_ns, bid, ask, resets=resets))


def entry(second: float, bid: int, ask: int, *, name: str = "a") -> Entry:
    """A long candidate."""
    return Entry(name, round(second * SECOND), round(second * SECOND), 1, bid, ask)


@st.composite
def days(draw: st.DrawFn) -> dict[str, Any]:
    """Up to 40 rows with resets, silences and half books; entries on rows or between them, told of late or not."""
    count = draw(st.integers(min_value=1, max_value=40))
    rows = st.integers(min_value=0, max_value=count - 1)
    raw_ns = np.cumsum(draw(st.lists(st.sampled_from([-1, 0, 0, 1, 1, 2, 7, 90]), min_size=count, max_size=count)))
    book_ns = (np.maximum.accumulate(raw_ns) + 5) * SECOND
    steps = draw(st.lists(st.sampled_from([-9, -2, -1, 0, 0, 0, 1, 2, 9]), min_size=count, max_size=count))
    bids = np.maximum(np.cumsum(steps) + draw(st.sampled_from([50, 400, 10_000])), 1)
    asks = bids + np.array(draw(st.lists(st.sampled_from([0, 1, 1, 1, 3, 15]), min_size=count, max_size=count)))
    for row in draw(st.sets(rows, max_size=3)):
        bids[row] = NO_BID_TICKS if row % 2 else bids[row]
        asks[row] = asks[row] if row % 3 else NO_ASK_TICKS
    entry_row = np.array(sorted(draw(st.lists(rows, max_size=12))), np.int64)
    n = len(entry_row)
    delays = draw(st.lists(st.sampled_from([0, 0, 0, 1, 3]), min_size=n, max_size=n))
    return {
        "raw_ns": (raw_ns + 5) * SECOND,
        "book_ns": book_ns.astype(np.int64),
        "bids": bids.astype(np.int32),
        "asks": asks.astype(np.int32),
        "resets": draw(st.sets(rows, max_size=3)),
        "entry_row": entry_row,
        "entry_ns": np.maximum.accumulate(book_ns[entry_row] + np.array(delays, np.int64) * SECOND).astype(np.int64),
        "side": np.array(draw(st.lists(st.sampled_from([-1, 1]), min_size=n, max_size=n)), np.int8),
        "told": draw(st.lists(st.integers(min_value=-2, max_value=12), min_size=n, max_size=n)),
        "on_trade": draw(st.lists(st.booleans(), min_size=n, max_size=n)),
    }


def blackout(book_ns: NDArray[np.int64], resets: set[int]) -> NDArray[np.int64]:
    """As pipelines.label_days makes it."""
    anew = np.array([row in resets for row in range(len(book_ns))], bool)
    broken = np.flatnonzero((np.diff(book_ns) > GAP_NS) | anew[1:])
    return np.stack([book_ns[broken], book_ns[broken + 1]], axis=1)


def live_endings(day: dict[str, Any], rule: BarrierRule) -> dict[int, Ending]:
    """Run the day row by row; entry k is told of `told[k]` rows behind its own (before it when negative)."""
    of, found = resolver(), dict[int, Ending]()
    pending = {}
    for k, row in enumerate(day["entry_row"].tolist()):
        # A candidate that a trade made lies between two rows; rows are ten apart on the local clock.
        local_ns = 10 * row + (5 if day["on_trade"][k] else 0)
        pending[k] = Entry(
            str(k), int(day["entry_ns"][k]), local_ns, int(day["side"][k]), int(day["bids"][row]), int(day["asks"][row])
        )
    for row in range(len(day["bids"])):
        for k in [k for k in pending if int(day["entry_row"][k]) + day["told"][k] < row]:
            ending = of.add(pending.pop(k), rule)
            found |= {} if ending is None else {k: ending}
        kept = of.touches.add(
            int(day["raw_ns"][row]), 10 * row, int(day["bids"][row]), int(day["asks"][row]), resets=row in day["resets"]
        )
        found |= {int(each.id): each for each in of.see(kept)}
    for k, late in pending.items():
        ending = of.add(late, rule)
        found |= {} if ending is None else {k: ending}
    assert len(of) == len(day["entry_row"]) - len(found)
    return found


@settings(max_examples=300, deadline=None)
@given(day=days(), rule=rules)
def test_live_endings_are_the_labels(day: dict[str, Any], rule: BarrierRule) -> None:
    """Outcome, time and both gains, for every entry; what is still open live has no row behind its horizon."""
    labels = triple_barrier(
        day["book_ns"], day["bids"], day["asks"], day["entry_row"], day["entry_ns"], day["side"], rule, X,
        blackout(day["book_ns"], day["resets"]),
    )  # fmt: skip
    found = live_endings(day, rule)
    for k in range(len(day["entry_row"])):
        ending = found.get(k)
        if ending is None:
            assert labels.outcome[k] == UNRESOLVED or (
                labels.outcome[k] == TIMEOUT and labels.exit_ns[k] == day["book_ns"][-1]
            )
            continue
        assert (ending.outcome, ending.exit_ns) == (labels.outcome[k], labels.exit_ns[k])
        if ending.outcome != UNRESOLVED:
            gains = gains_bps(ending.entry_ticks, ending.exit_ticks, int(day["side"][k]), FEE)
            assert gains == (float(labels.gross_bps[k]), float(labels.net_bps[k]))


def test_a_simulated_hour_ends_as_its_labels() -> None:
    """Thousands of rows and hundreds of candidates on both sides, breaks included, every one resolved the same."""
    book, _ = simulate_columns(BTC, MIDNIGHT, MIDNIGHT + 3_600 * SECOND, seed=3)
    t_ns = np.maximum.accumulate(book.exchange_ns)
    bids, asks = np.ascontiguousarray(book.bid_ticks[0]), np.ascontiguousarray(book.ask_ticks[0])
    entry_row = np.arange(10, 6_500, 9)
    sides = np.where(entry_row % 2, 1, -1).astype(np.int8)
    rule = BarrierRule(tp_pct=4.8e-4, sl_pct=4.8e-4, horizon_seconds=60.0, net_of_fees=False)
    labels = triple_barrier(
        t_ns, bids, asks, entry_row, t_ns[entry_row], sides, rule, BTC, blackout(t_ns, {1_500, 4_000})
    )
    of, found, k = resolver(), dict[int, Ending](), 0
    for row in range(len(book)):
        kept = of.touches.add(
            int(book.exchange_ns[row]), int(book.local_ns[row]), int(bids[row]), int(asks[row]),
            resets=row in (1_500, 4_000),
        )  # fmt: skip
        found |= {int(each.id): each for each in of.see(kept)}
        if k < len(entry_row) and entry_row[k] == row:
            asked = Entry(str(k), kept.t_ns, kept.local_ns, int(sides[k]), kept.bid_ticks, kept.ask_ticks)
            assert of.add(asked, rule) is None
            k += 1
    assert len(found) == len(entry_row)
    assert [found[k].outcome for k in range(len(entry_row))] == labels.outcome.tolist()
    assert [found[k].exit_ns for k in range(len(entry_row))] == labels.exit_ns.tolist()
    assert len(set(labels.outcome.tolist())) == 4


def test_lost_messages_leave_everybody_unresolved() -> None:
    """Nobody knows whether a barrier was touched in between."""
    of = resolver()
    seen(of, 0, 999, 1000)
    assert of.add(entry(0, 999, 1000), RULE) is None
    of.touches.void(LOST)
    assert [each.outcome for each in seen(of, 1, 1010, 1011)] == [UNRESOLVED]
    assert len(of) == 0


def test_a_candidate_that_waits_behind_a_loss_is_unresolved() -> None:
    """It entered among the messages that are missing."""
    of = resolver()
    seen(of, 0, 999, 1000)
    assert of.add(entry(0.5, 999, 1000), RULE) is None
    of.touches.void(LOST)
    assert [each.outcome for each in seen(of, 1, 1010, 1011)] == [UNRESOLVED]


def test_without_its_entry_row_nothing_can_be_told() -> None:
    """A candidate from before the first row, whether it is told of first or later."""
    of = resolver()
    assert of.add(entry(1, 999, 1000), RULE) is None
    assert [each.outcome for each in seen(of, 2, 1010, 1011)] == [UNRESOLVED]
    late = of.add(entry(1, 999, 1000, name="b"), RULE)
    assert late is not None and late.outcome == UNRESOLVED


def test_rows_that_come_first_lead_a_restored_candidate_to_the_same_end() -> None:
    """After a restart the streams show the rows from before the entry again: it ends as it would have."""
    of = resolver()
    assert of.add(entry(1, 999, 1000), RULE) is None
    assert seen(of, 0.5, 998, 999) == []
    assert seen(of, 1, 999, 1000) == []
    assert seen(of, 2, 1010, 1011) == [Ending("a", TARGET, 2 * SECOND, 1000, 1010)]


def test_a_candidate_older_than_the_memory_is_unresolved() -> None:
    """Rows are forgotten in bulk; whoever entered before the oldest cannot be followed."""
    of = resolver(most=4)
    for second in range(20):
        seen(of, second, 999, 1000)
    assert len(of.touches) <= 8
    ending = of.add(entry(1, 999, 1000), RULE)
    assert ending is not None and ending.outcome == UNRESOLVED
    assert of.add(entry(18, 999, 1000, name="b"), RULE) is None


def test_heaps_do_not_grow_with_the_day() -> None:
    """Ten thousand candidates that all end by their stops leave nothing behind in the targets' heap."""
    of = resolver()
    for second in range(10_000):
        seen(of, 2 * second, 999, 1000)
        assert of.add(entry(2 * second, 999, 1000, name=str(second)), RULE) is None
        assert [each.outcome for each in seen(of, 2 * second + 1, 900, 901)] == [STOP]
    held = [len(heap) for side in of._sides.values() for heap in (side.above, side.below)]
    assert max(*held, len(of._deadlines)) <= 70
    assert len(of) == 0


def test_candidates_without_a_market_do_not_pile_up() -> None:
    """Beyond a bound they are unresolved at once."""
    of = resolver()
    told = [of.add(entry(k, 999, 1000, name=str(k)), RULE) for k in range(MOST_WAITING + 1)]
    assert told[:-1] == [None] * MOST_WAITING
    assert told[-1] is not None and told[-1].outcome == UNRESOLVED
