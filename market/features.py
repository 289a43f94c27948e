"""The features: `run` over a day, `step` over one event, one compiled function and so the same bits.

What the columns mean is told in `market.feature_spec`, how they are computed in `market.kernel`; this module is the
door to both. Events enter as rows made by `interleave`; everything the kernel remembers is in a `KernelState`. A row
with BOOK_RESET forgets everything. A book that is one-sided or crossed gives no features, counts in the order flow,
and leaves prices as they last stood. Trades before the first book are passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from market import kernel
from market.columns import BookColumns, TradeColumns
from market.events import BadEvent, KernelOverflow
from market.feature_spec import (
    COLUMN_NAMES,
    CONTEXT_NAMES,
    FEATURE_NAMES,
    FEATURES,
    KERNEL_VERSION,
    N_COLUMNS,
    N_FEATURES,
    Feature,
    orient,
    schema_hash,
)

__all__ = [
    "COLUMN_NAMES",
    "CONTEXT_NAMES",
    "EVENT_WIDTH",
    "FEATURES",
    "FEATURE_NAMES",
    "KERNEL_VERSION",
    "KIND_BOOK",
    "KIND_TRADE",
    "N_COLUMNS",
    "N_FEATURES",
    "RING_CAPACITY",
    "TAIL_NS",
    "WARMUP_NS",
    "Feature",
    "KernelState",
    "interleave",
    "interleave_batches",
    "orient",
    "run",
    "schema_hash",
    "step",
    "warmup",
]

EVENT_WIDTH = kernel.WIDTH
"""[t_ns, kind, flags, trade_price_ticks, trade_signed_lots, 10 bid ticks, 10 ask ticks, 10 bid lots, 10 ask lots]."""
KIND_BOOK, KIND_TRADE = 0, 1
WARMUP_NS = kernel.WARMUP_NS
"""Rows are valid from this long after the last reset."""
TAIL_NS = 45 * 64 * 1_000_000_000
"""A start this much earlier, from any state, ends in the same rows: 45 of the longest time constants."""
RING_CAPACITY = 16_384


@dataclass(slots=True, eq=False)
class KernelState:
    """All the kernel remembers, ring buffers inside; the layout of `memory` is told in `market.kernel`."""

    memory: NDArray[np.int64]

    def __post_init__(self) -> None:
        kernel.prepare()

    @classmethod
    def new(cls, capacity: int = RING_CAPACITY) -> Self:
        """Return the state before any event; `capacity`, a power of two, bounds the events within 2 s."""
        if not _is_capacity(capacity):
            raise BadEvent(f"capacity of a kernel state must be a power of two from 4 on, was {capacity}")
        return cls(np.zeros(kernel.RING + kernel.RING_WIDTH * capacity, np.int64))

    @property
    def capacity(self) -> int:
        """How many events the ring holds."""
        return (self.memory.size - kernel.RING) // kernel.RING_WIDTH

    def copy(self) -> Self:
        """Return a state that goes its own way from here."""
        return type(self)(self.memory.copy())

    def to_bytes(self) -> bytes:
        """Return the state as little-endian bytes that `from_bytes` reads back, to the bit."""
        return self.memory.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the state that `to_bytes` wrote. Raises BadEvent when the length fits no state."""
        capacity, rest = divmod(len(data) - 8 * kernel.RING, 8 * kernel.RING_WIDTH)
        if rest or not _is_capacity(capacity):
            raise BadEvent(
                f"a kernel state has {8 * kernel.RING} bytes and {8 * kernel.RING_WIDTH} for each event of its "
                f"capacity, a power of two; found {len(data)} bytes; start anew from the tail of the day before"
            )
        return cls(np.frombuffer(data, "<i8").astype(np.int64))


def run(state: KernelState, events: NDArray[np.int64], out: NDArray[np.float32], valid: NDArray[np.uint8]) -> None:
    """Feed events int64[n, EVENT_WIDTH]; fill out float32[n, N_COLUMNS] and valid uint8[n]; advance the state.

    Rows that are not valid are NaN: before WARMUP_NS have passed since the last reset, and while the book is
    one-sided or crossed. Arrays must be C-contiguous and writable. Raises BadEvent for another shape or type, and
    KernelOverflow when 2 s hold more events than the state's ring; the state is of no use after that.
    """
    try:
        trouble = kernel.advance(state.memory, events, out, valid)
    except TypeError:
        trouble = -1
    if trouble:
        _refuse(trouble, state, events, out, valid)


step = run
"""`run` on arrays of one row, for the live side, which keeps and reuses them."""


def interleave(book: BookColumns, trades: TradeColumns, after_ns: int | None = None) -> NDArray[np.int64]:
    """Return the events int64[n, EVENT_WIDTH] of both tables in arrival order: local_ns, trades before book.

    The time of an event is its exchange_ns, held so that it never runs backwards, nor before `after_ns`, the time of
    the last event of the part before. Trade rows leave the book part 0: the kernel carries the book.
    """
    out = np.empty((len(book) + len(trades), EVENT_WIDTH), np.int64)
    kernel.merge(*_columns(book, trades), _cursor(after_ns), out)
    return out


def interleave_batches(
    book: BookColumns, trades: TradeColumns, batch_rows: int = 4_096, after_ns: int | None = None
) -> Iterator[NDArray[np.int64]]:
    """Yield what `interleave` returns in pieces of at most `batch_rows`, all in one buffer that is written again."""
    out = np.empty((batch_rows, EVENT_WIDTH), np.int64)
    columns, cursor = _columns(book, trades), _cursor(after_ns)
    while rows := kernel.merge(*columns, cursor, out):
        yield out[:rows]


def warmup() -> None:
    """Compile the kernel, or load it from numba's cache, before the first event waits for it."""
    kernel.prepare()
    interleave(BookColumns.empty(), TradeColumns.empty())


def _is_capacity(capacity: int) -> bool:
    return capacity >= 4 and capacity & (capacity - 1) == 0


def _refuse(
    trouble: int, state: KernelState, events: NDArray[np.int64], out: NDArray[np.float32], valid: NDArray[np.uint8]
) -> None:
    """Say what is wrong: arrays that do not fit (-1), or the ring ran full at the event counted."""
    if trouble < 0:
        found = "; ".join(
            f"{a.dtype}{list(a.shape)}, contiguous {a.flags.c_contiguous}, writable {a.flags.writeable}"
            for a in (events, out, valid)
        )
        raise BadEvent(
            f"the kernel wants events int64[n, {kernel.WIDTH}], out float32[n, {kernel.COLUMNS}] and valid uint8[n], "
            f"C-contiguous and writable; got {found}"
        )
    raise KernelOverflow(
        f"more than {state.capacity - 2} events within 2 s at {events[trouble - 1, kernel.NS]} ns overflow the window "
        f"of cancel_rate_2s; build the state with KernelState.new(capacity={2 * state.capacity})"
    )


def _columns(
    book: BookColumns, trades: TradeColumns
) -> tuple[tuple[NDArray[np.generic], ...], tuple[NDArray[np.generic], ...]]:
    """Return the columns `kernel.merge` reads, in its order."""
    ladders = (book.bid_ticks, book.ask_ticks, book.bid_lots, book.ask_lots)
    prints = (trades.price_ticks, trades.size_lots, trades.aggressor)
    return (book.exchange_ns, book.local_ns, book.flags, *ladders), (trades.exchange_ns, trades.local_ns, *prints)


def _cursor(after_ns: int | None) -> NDArray[np.int64]:
    """Return what `kernel.merge` goes on from: next book row, next trade row, latest time."""
    return np.array([0, 0, np.iinfo(np.int64).min if after_ns is None else after_ns])
