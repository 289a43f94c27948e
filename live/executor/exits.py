"""When a position is closed, and at what price: the barrier of the model that opened it, its horizon, or an order to.

Pure. A position is closed by a reduce-only order that trades at once at the opposite touch; what does not trade is
tried again, a little further through the book each time.
"""

from typing import NamedTuple

from live.executor.positions import entry_ticks
from live.executor.records import Trip
from market.barriers import BarrierRule, barrier_ticks

MOST_SLACK_STEPS = 6


class Touch(NamedTuple):
    """The best prices, in ticks."""

    bid_ticks: int
    ask_ticks: int

    def exit_ticks(self, side: int) -> int:
        """What a position of `side` is closed at."""
        return self.bid_ticks if side > 0 else self.ask_ticks


def barriers(trip: Trip, *, net_of_fees: bool, taker_fee: float) -> tuple[int, int]:
    """Target and stop of a trip that has filled, in ticks, by the label of the model that approved it."""
    rule = BarrierRule(trip.tp_pct, trip.sl_pct, 1.0, net_of_fees)
    return barrier_ticks(entry_ticks(trip), trip.side, rule, taker_fee)


def exit_reason(trip: Trip, touch: Touch | None, now_ns: int, target_stop: tuple[int, int]) -> str:
    """Why a trip's position is to be closed now; empty when it is to be held.

    The stop is looked at first: where one update passes both, the worse is what happened.
    """
    if trip.lots <= 0:
        return ""
    if trip.exit_reason:
        return trip.exit_reason
    if touch is not None:
        target, stop = target_stop
        price = trip.side * touch.exit_ticks(trip.side)
        if price <= trip.side * stop:
            return "stop"
        if price >= trip.side * target:
            return "target"
    return "horizon" if now_ns >= trip.end_ns else ""


def exit_ticks(trip: Trip, touch: Touch, tries: int, most_ticks: int, *, is_blind: bool = False) -> int:
    """The price of the next exit order: the opposite touch, and 0, 1, 3, 7 ... ticks through it when tried before.

    At most `most_ticks` through it, and so many at once when the touch `is_blind` (an old one); at least 1 tick above
    zero.
    """
    slack = most_ticks if is_blind else min((1 << min(tries, MOST_SLACK_STEPS)) - 1, most_ticks)
    return max(1, touch.exit_ticks(trip.side) - trip.side * slack)
