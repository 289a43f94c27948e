"""How each venue numbers its book updates, and what a number says: apply, too late, start over, or one is missing.

Pure decisions, one function for the first update behind a snapshot and one for every later one; `market.book` acts on
them. Sources: Binance, "How to manage a local order book correctly" (spot and USD-M futures pages); Bybit v5,
"Orderbook" websocket page.
"""

from dataclasses import dataclass
from enum import Enum, auto

from market.events import BookDelta


class SequenceRule(Enum):
    """The numbering of a feed.

    BINANCE_FUTURES  each update names the one before it (`pu`); the first behind a snapshot L spans it, U <= L <= u
    BINANCE_SPOT     ids are contiguous, U == previous u + 1; the first behind a snapshot L has U <= L + 1 <= u
    BYBIT            u == previous u + 1; u == 1 and every snapshot replace the book
    SNAPSHOT_ONLY    every event is a whole book; ids only rise
    """

    BINANCE_FUTURES = auto()
    BINANCE_SPOT = auto()
    BYBIT = auto()
    SNAPSHOT_ONLY = auto()

    @property
    def joins_snapshot(self) -> bool:
        """Whether the snapshot comes by another way than the updates, so that the two must be joined by their ids."""
        return self in {SequenceRule.BINANCE_FUTURES, SequenceRule.BINANCE_SPOT}


class Verdict(Enum):
    """What an update's ids say about it."""

    APPLY = auto()
    STALE = auto()
    REPLACE = auto()
    BREAK = auto()


@dataclass(frozen=True, slots=True)
class Gap:
    """A break in the ids: the update that came (`seen`), the one that should have (`expected`), and when.

    Both are in the venue's own terms: `pu` on Binance futures, `U` on Binance spot, `u` on Bybit.
    """

    expected: int
    seen: int
    exchange_ns: int


def judge_first(rule: SequenceRule, snapshot_sequence: int, delta: BookDelta) -> Verdict:
    """Judge an update while none has been applied behind the snapshot yet; BREAK means the snapshot is too old."""
    if rule is SequenceRule.BINANCE_FUTURES:
        if delta.sequence < snapshot_sequence:
            return Verdict.STALE
        # An update that names the snapshot's own id as its predecessor follows it without a hole, as much as one
        # that spans it: so a book carried over midnight joins the next day's first update.
        follows = delta.first_sequence <= snapshot_sequence or delta.previous_sequence == snapshot_sequence
        return Verdict.APPLY if follows else Verdict.BREAK
    return judge_next(rule, snapshot_sequence, delta)


def judge_next(rule: SequenceRule, last_sequence: int, delta: BookDelta) -> Verdict:
    """Judge an update behind the applied update `last_sequence`; BREAK means that at least one is missing."""
    if rule is SequenceRule.BYBIT and delta.sequence == 1:
        return Verdict.REPLACE
    if delta.sequence <= last_sequence:
        return Verdict.STALE
    if rule is SequenceRule.BINANCE_FUTURES:
        unbroken = delta.previous_sequence == last_sequence
    else:
        # Sizes are absolute, so an update that overlaps what is applied already does no harm.
        unbroken = delta.first_sequence <= last_sequence + 1
    return Verdict.APPLY if unbroken else Verdict.BREAK


def gap(rule: SequenceRule, last_sequence: int, delta: BookDelta) -> Gap:
    """Describe the break that `judge_next` found."""
    if rule is SequenceRule.BINANCE_FUTURES:
        seen = -1 if delta.previous_sequence is None else delta.previous_sequence
        return Gap(last_sequence, seen, delta.exchange_ns)
    return Gap(last_sequence + 1, delta.first_sequence, delta.exchange_ns)
