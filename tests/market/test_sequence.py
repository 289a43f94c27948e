"""Each venue's numbering, as a table: which update may follow which."""

import pytest

from market.events import BookDelta
from market.sequence import Gap, SequenceRule, Verdict, gap, judge_first, judge_next

FUTURES, SPOT, BYBIT = SequenceRule.BINANCE_FUTURES, SequenceRule.BINANCE_SPOT, SequenceRule.BYBIT
APPLY, STALE, BREAK, REPLACE = Verdict.APPLY, Verdict.STALE, Verdict.BREAK, Verdict.REPLACE


def _delta(first: int, last: int, previous: int | None = None) -> BookDelta:
    return BookDelta("X", first, last, previous, 5, 6, (), ())


@pytest.mark.parametrize(
    ("rule", "first", "last", "previous", "verdict"),
    [
        (FUTURES, 90, 99, 89, STALE),
        (FUTURES, 95, 100, 94, APPLY),
        (FUTURES, 100, 105, 94, APPLY),
        (FUTURES, 95, 110, 94, APPLY),
        (FUTURES, 103, 110, 100, APPLY),
        (FUTURES, 101, 110, 99, BREAK),
        (FUTURES, 101, 110, None, BREAK),
        (SPOT, 95, 100, None, STALE),
        (SPOT, 95, 101, None, APPLY),
        (SPOT, 101, 105, None, APPLY),
        (SPOT, 102, 105, None, BREAK),
    ],
)
def test_the_first_update_behind_snapshot_100(
    rule: SequenceRule, first: int, last: int, previous: int | None, verdict: Verdict
) -> None:
    """Futures: U <= L <= u, or pu == L. Spot: U <= L + 1 <= u. Older is stale, newer means an old snapshot."""
    assert judge_first(rule, 100, _delta(first, last, previous)) is verdict


@pytest.mark.parametrize(
    ("rule", "first", "last", "previous", "verdict"),
    [
        (FUTURES, 120, 130, 100, APPLY),
        (FUTURES, 101, 130, 99, BREAK),
        (FUTURES, 101, 130, 101, BREAK),
        (FUTURES, 90, 100, 80, STALE),
        (SPOT, 101, 101, None, APPLY),
        (SPOT, 99, 104, None, APPLY),
        (SPOT, 102, 104, None, BREAK),
        (SPOT, 99, 100, None, STALE),
        (BYBIT, 101, 101, None, APPLY),
        (BYBIT, 102, 102, None, BREAK),
        (BYBIT, 100, 100, None, STALE),
        (BYBIT, 1, 1, None, REPLACE),
    ],
)
def test_the_next_update_behind_update_100(
    rule: SequenceRule, first: int, last: int, previous: int | None, verdict: Verdict
) -> None:
    """Futures go by `pu`, spot and Bybit by contiguous ids, and Bybit's u == 1 starts over."""
    assert judge_next(rule, 100, _delta(first, last, previous)) is verdict


def test_a_gap_is_told_in_the_venues_terms() -> None:
    """Futures: the `pu` wanted and seen (-1 when the frame had none). Others: the id wanted and seen."""
    assert gap(FUTURES, 100, _delta(120, 130, 110)) == Gap(expected=100, seen=110, exchange_ns=5)
    assert gap(FUTURES, 100, _delta(120, 130)) == Gap(expected=100, seen=-1, exchange_ns=5)
    assert gap(SPOT, 100, _delta(120, 130)) == Gap(expected=101, seen=120, exchange_ns=5)


def test_only_binance_joins_a_snapshot_from_elsewhere() -> None:
    """On Bybit and snapshot-only feeds the whole book comes in the stream itself."""
    assert [rule for rule in SequenceRule if rule.joins_snapshot] == [FUTURES, SPOT]
