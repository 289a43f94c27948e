"""How far the mid went behind each fill, in the fill's direction, measured on the lake's books as risk does it live.

From the mid in force at the fill to the mid 100, 500 and 1,000 ms later. NaN stands where the book was silent for
longer than a gap, began anew, or is not there.
"""

from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive.errors import MissingPartition
from archive.layout import BOOK, day_of
from archive.store import Lake
from market.columns import BOOK_RESET
from market.events import NO_ASK_TICKS, NO_BID_TICKS
from pipelines.live_rows import Rows

HORIZONS_MS = (100, 500, 1_000)
_MARGIN_NS = 60_000_000_000
_NS_PER_MS = 1_000_000
_COLUMNS = ("exchange_ns", "flags", "bid_ticks_0", "ask_ticks_0")


def fill_markouts(lake: Lake, fills: Rows, gap_ns: int) -> dict[int, NDArray[np.float64]]:
    """Return the markouts float64[n] in basis points of fills [n] by horizon; a book silent for over gap_ns broke."""
    found = {horizon: np.full(len(fills), np.nan) for horizon in HORIZONS_MS}
    for place, symbol in enumerate(fills.symbols):
        mine = np.flatnonzero(fills["symbol"] == place)
        if not len(mine):
            continue
        at_ns, side = fills["at_ns"][mine], fills["side"][mine].astype(np.float64)
        book = _book(lake, symbol, int(at_ns.min()), int(at_ns.max()))
        if book is None:
            continue
        for horizon in HORIZONS_MS:
            found[horizon][mine] = _moved(book, at_ns, at_ns + horizon * _NS_PER_MS, side, gap_ns)
    return found


def _book(lake: Lake, symbol: str, first_ns: int, last_ns: int) -> dict[str, NDArray[Any]] | None:
    start_ns, end_ns = first_ns - _MARGIN_NS, last_ns + _MARGIN_NS
    first_day, last_day = day_of(start_ns), day_of(end_ns)
    parts = []
    for day in (first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1)):
        try:
            parts.append(lake.read(BOOK, symbol, day, _COLUMNS, start_ns=start_ns, end_ns=end_ns))
        except MissingPartition:
            continue
    rows = {name: np.concatenate([part[name] for part in parts]) for name in _COLUMNS} if parts else {}
    return rows if parts and len(rows["flags"]) else None


def _moved(
    book: dict[str, NDArray[Any]],
    from_ns: NDArray[np.int64],
    to_ns: NDArray[np.int64],
    side: NDArray[np.float64],
    gap_ns: int,
) -> NDArray[np.float64]:
    t_ns = np.maximum.accumulate(book["exchange_ns"])
    breaks = (book["flags"] & BOOK_RESET != 0) | (np.diff(t_ns, prepend=t_ns[0]) > gap_ns)
    eras = np.cumsum(breaks)
    bid, ask = book["bid_ticks_0"].astype(np.float64), book["ask_ticks_0"].astype(np.float64)
    mid = np.where(
        (book["bid_ticks_0"] == NO_BID_TICKS) | (book["ask_ticks_0"] == NO_ASK_TICKS), np.nan, (bid + ask) / 2
    )
    first, last = np.searchsorted(t_ns, from_ns, "right") - 1, np.searchsorted(t_ns, to_ns, "right") - 1
    next_row = np.minimum(last + 1, len(t_ns) - 1)
    is_seen = (first >= 0) & (last < len(t_ns) - 1) & (eras[np.maximum(first, 0)] == eras[next_row])
    start, end = mid[np.maximum(first, 0)], mid[np.maximum(last, 0)]
    return np.where(is_seen, side * (end - start) / start * 1e4, np.nan)
