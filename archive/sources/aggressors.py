"""Who took liquidity, for sources that do not say.

The quote rule, and the tick rule where the quote decides nothing (Lee and Ready 1991, "Inferring Trade Direction from
Intraday Data", Journal of Finance 46(2), section III): a print above the prevailing mid is a buy, below it a sell;
otherwise it has the sign of the last price change.

A feed may publish its book in coarser steps than trades print in, by cutting the last digits off. A published price
then stands for the `step` ticks from itself upwards, and the rule is applied to the middle of those. A locked book is
the case where bid and ask fell into the same step: a print at its first tick can only have hit the bid, one at its last
tick only the ask, and for those between the tick rule speaks.
"""

import numpy as np
from numpy.typing import NDArray

from archive.sources.day import event_time
from market.columns import BOOK_ONE_SIDED, BookColumns, TradeColumns


def infer(trades: TradeColumns, book: BookColumns, step: int = 1) -> NDArray[np.int8]:
    """Return +1 (buy), -1 (sell) or 0 (no book and no price change yet) for each trade, int8[n].

    `step` is how many ticks one published book price stands for. The prevailing book is the last that was older than
    the trade by the exchange's clock and had also arrived before it: nothing is used that a live reader would not have
    had.
    """
    by_tick = _tick_rule(trades.price_ticks)
    if not len(book):
        return by_tick
    older = np.searchsorted(event_time(book.exchange_ns), event_time(trades.exchange_ns), side="left")
    arrived = np.searchsorted(book.local_ns, trades.local_ns, side="left")
    row = np.minimum(older, arrived) - 1
    sign = _quote_rule(trades.price_ticks, book.bid_ticks[0, row], book.ask_ticks[0, row], step)
    known = (row >= 0) & (book.flags[row] & BOOK_ONE_SIDED == 0)
    return np.where(known & (sign != 0), sign, by_tick).astype(np.int8)


def published_step(book: BookColumns) -> int:
    """Return the step of the published book: the greatest number of ticks that divides every price in it."""
    there = (book.bid_lots > 0, book.ask_lots > 0)
    divisors = [np.gcd.reduce(side[found]) for side, found in zip((book.bid_ticks, book.ask_ticks), there, strict=True)]
    return max(1, int(np.gcd.reduce(divisors)))


def _quote_rule(
    price: NDArray[np.int32], bid: NDArray[np.int32], ask: NDArray[np.int32], step: int
) -> NDArray[np.int64]:
    paid, low, high = (ticks.astype(np.int64) for ticks in (price, bid, ask))
    within = (low == high) & (paid > low) & (paid < low + step - 1)
    return np.where(within, 0, np.sign(2 * paid - (low + high + step - 1)))


def _tick_rule(price_ticks: NDArray[np.int32]) -> NDArray[np.int8]:
    change = np.sign(np.diff(price_ticks, prepend=price_ticks[:1])).astype(np.int8)
    last = np.maximum.accumulate(np.where(change != 0, np.arange(len(change)), 0))
    return change[last]
