"""Books and trades as columns: what the archive stores, the importers produce and the kernel eats.

A row of `BookColumns` is the book after one update, ten levels a side, level-major so that each level is one
contiguous column on disk and in memory. Rows keep arrival order: `local_ns` never decreases. A missing level has
`NO_BID_TICKS` or `NO_ASK_TICKS` and no lots, so prices stay ordered from the touch outwards.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from market.events import LEVELS, NO_ASK_TICKS, NO_BID_TICKS, BadEvent, Level, Trade

BOOK_RESET = 1
"""First row after a start, a resync or a sequence break: nothing before it may be carried over."""
BOOK_LOCKED = 2
"""Best bid equals best ask: legal, unlike a crossed book, which is never stored."""
BOOK_ONE_SIDED = 4
"""One side has no level at all."""
TRADE_INFERRED = 1
"""The source does not name the aggressor; it was inferred from the prices."""


class LadderView(Protocol):
    """The part of an order book that becomes a row."""

    @property
    def sequence(self) -> int: ...  # noqa: D102

    @property
    def exchange_ns(self) -> int: ...  # noqa: D102

    def top(self, n: int) -> tuple[Sequence[Level], Sequence[Level]]:
        """Return the best n bids and the best n asks, each from the touch outwards."""
        ...


class _Columns(ABC):
    """Length, slicing and joining, the same for both kinds of columns."""

    __slots__ = ()

    def __len__(self) -> int:
        return int(self.exchange_ns.shape[0])  # type: ignore[attr-defined]

    def __post_init__(self) -> None:
        n = self.exchange_ns.shape[0]  # type: ignore[attr-defined]
        for name, (dtype, levels) in self._layout().items():
            column = getattr(self, name)
            shape = (LEVELS, n) if levels else (n,)
            if column.dtype != dtype or column.shape != shape or not column.flags.c_contiguous:
                raise BadEvent(
                    f"{type(self).__name__}.{name} must be {dtype}{list(shape)}, C-contiguous, was "
                    f"{column.dtype}{list(column.shape)}; convert it with numpy.ascontiguousarray first"
                )

    @classmethod
    @abstractmethod
    def _layout(cls) -> dict[str, tuple[str, bool]]:
        """Return each column's dtype and whether it is a ladder, in the order of the fields."""

    @classmethod
    def empty(cls) -> Self:
        """Return columns without a row."""
        layout = cls._layout().items()
        return cls(**{k: np.empty((LEVELS, 0) if levels else 0, dtype) for k, (dtype, levels) in layout})

    def slice(self, start: int, stop: int) -> Self:
        """Return rows start to stop (stop not among them) as columns of their own."""
        names = [f.name for f in fields(self)]  # type: ignore[arg-type]
        return type(self)(**{k: np.ascontiguousarray(getattr(self, k)[..., start:stop]) for k in names})

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all parts, one part after the other."""
        if not parts:
            return cls.empty()
        return cls(**{k: np.concatenate([getattr(p, k) for p in parts], axis=-1) for k in cls._layout()})


@dataclass(frozen=True, slots=True, eq=False)
class BookColumns(_Columns):
    """Book rows: times in ns UTC, `sequence` as the venue numbers it, `flags` of BOOK_*, ten levels a side.

    One-dimensional columns are [n], the ladders [LEVELS, n], all C-contiguous; anything else raises BadEvent.
    """

    exchange_ns: NDArray[np.int64]
    local_ns: NDArray[np.int64]
    sequence: NDArray[np.int64]
    flags: NDArray[np.uint8]
    bid_ticks: NDArray[np.int32]
    bid_lots: NDArray[np.int32]
    ask_ticks: NDArray[np.int32]
    ask_lots: NDArray[np.int32]

    @classmethod
    def _layout(cls) -> dict[str, tuple[str, bool]]:
        scalars = {"exchange_ns": "int64", "local_ns": "int64", "sequence": "int64", "flags": "uint8"}
        ladders = ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
        return {k: (v, False) for k, v in scalars.items()} | dict.fromkeys(ladders, ("int32", True))


@dataclass(frozen=True, slots=True, eq=False)
class TradeColumns(_Columns):
    """Trade rows: times in ns UTC, price in ticks, size in lots, `aggressor` +1 buy, -1 sell, 0 unknown.

    All columns are [n] and C-contiguous; anything else raises BadEvent.
    """

    exchange_ns: NDArray[np.int64]
    local_ns: NDArray[np.int64]
    trade_id: NDArray[np.int64]
    price_ticks: NDArray[np.int32]
    size_lots: NDArray[np.int32]
    aggressor: NDArray[np.int8]
    flags: NDArray[np.uint8]

    @classmethod
    def _layout(cls) -> dict[str, tuple[str, bool]]:
        long, short = ("exchange_ns", "local_ns", "trade_id"), ("price_ticks", "size_lots")
        layout = dict.fromkeys(long, ("int64", False)) | dict.fromkeys(short, ("int32", False))
        return layout | {"aggressor": ("int8", False), "flags": ("uint8", False)}


class BookBuilder:
    """Collects book rows one at a time.

    A crossed book is dropped and counted in `crossed`, and the next row carries BOOK_RESET. A local clock that goes
    backwards is held at its last value and counted in `clamped`.
    """

    def __init__(self) -> None:
        self.crossed = 0
        self.clamped = 0
        self._reset = True
        self._scalars = array("q")
        self._ladders = array("i")

    def __len__(self) -> int:
        return len(self._scalars) // 4

    def append(self, book: LadderView, local_ns: int, *, reset: bool = False) -> bool:
        """Add the book as it stands; return False when it was crossed and so left out."""
        bids, asks = book.top(LEVELS)
        return self.append_levels(book.exchange_ns, local_ns, book.sequence, bids, asks, reset=reset)

    def append_levels(
        self,
        exchange_ns: int,
        local_ns: int,
        sequence: int,
        bids: Sequence[Level],
        asks: Sequence[Level],
        *,
        reset: bool = False,
    ) -> bool:
        """Add a row from the best levels of each side, touch first; at most LEVELS of each are kept.

        Returns False when the book was crossed and so left out. Raises BadEvent for a price or size
        beyond int32, a time or id beyond int64.
        """
        self._reset |= reset
        if bids and asks and bids[0][0] > asks[0][0]:
            self.crossed += 1
            self._reset = True
            return False
        if max(exchange_ns, local_ns, abs(sequence)) >= 2**63:
            raise BadEvent(f"book update {sequence!r:.40} has a time or an id beyond int64")
        ladder = _padded(bids, NO_BID_TICKS) + _padded(asks, NO_ASK_TICKS)
        try:
            self._ladders.fromlist(ladder)
        except OverflowError:
            raise BadEvent(
                f"book {sequence} at {exchange_ns} ns holds {max(ladder, key=abs)}, beyond int32; give the symbol a "
                f"larger price_tick or size_lot"
            ) from None
        self._scalars.extend((exchange_ns, self._clamp(local_ns), sequence, self._flags(bids, asks)))
        self._reset = False
        return True

    def finish(self) -> BookColumns:
        """Return everything added so far as columns."""
        scalars = np.array(self._scalars, np.int64).reshape(-1, 4)
        ladders = np.ascontiguousarray(np.array(self._ladders, np.int32).reshape(-1, 4, LEVELS).transpose(1, 2, 0))
        exchange_ns, local_ns, sequence = (scalars[:, k].copy() for k in range(3))
        return BookColumns(exchange_ns, local_ns, sequence, scalars[:, 3].astype(np.uint8), *ladders)

    def _clamp(self, local_ns: int) -> int:
        latest = self._scalars[-3] if self._scalars else local_ns
        self.clamped += local_ns < latest
        return max(local_ns, latest)

    def _flags(self, bids: Sequence[Level], asks: Sequence[Level]) -> int:
        if not bids or not asks:
            return self._reset * BOOK_RESET | BOOK_ONE_SIDED
        return self._reset * BOOK_RESET | (bids[0][0] == asks[0][0]) * BOOK_LOCKED


class TradeBuilder:
    """Collects trades one at a time; a local clock that goes backwards is held and counted in `clamped`."""

    def __init__(self) -> None:
        self.clamped = 0
        self._rows = array("q")

    def __len__(self) -> int:
        return len(self._rows) // 7

    def append(self, trade: Trade, *, inferred: bool = False) -> None:
        """Add one trade. Raises BadEvent for a price or size beyond int32, a time or id beyond int64."""
        if max(trade.exchange_ns, trade.local_ns, abs(trade.trade_id)) >= 2**63:
            raise BadEvent(f"{trade.symbol}: trade {trade.trade_id!r:.40} has a time or an id beyond int64")
        if max(trade.price_ticks, trade.size_lots) >= 2**31:
            raise BadEvent(
                f"{trade.symbol}: trade {trade.trade_id} has {trade.price_ticks} ticks, {trade.size_lots} lots, beyond "
                f"int32; give the symbol a larger price_tick or size_lot"
            )
        latest = self._rows[-6] if self._rows else trade.local_ns
        self.clamped += trade.local_ns < latest
        times = (trade.exchange_ns, max(trade.local_ns, latest), trade.trade_id)
        self._rows.extend((*times, trade.price_ticks, trade.size_lots, trade.aggressor, inferred * TRADE_INFERRED))

    def finish(self) -> TradeColumns:
        """Return everything added so far as columns."""
        rows = np.array(self._rows, np.int64).reshape(-1, 7)
        dtypes = [dtype for dtype, _ in TradeColumns._layout().values()]
        return TradeColumns(*(np.ascontiguousarray(rows[:, k], dtype) for k, dtype in enumerate(dtypes)))


def _padded(levels: Sequence[Level], missing_ticks: int) -> list[int]:
    """Return LEVELS prices, then LEVELS sizes."""
    ticks = [level[0] for level in levels[:LEVELS]]
    lots = [level[1] for level in levels[:LEVELS]]
    short = LEVELS - len(ticks)
    return ticks + [missing_ticks] * short + lots + [0] * short
