"""The kernel one event at a time, as the live side feeds it: the bits of `run` over `interleave`, without arrays made.

    stepper = Stepper()
    stepper.warm()
    if stepper.book(image.exchange_ns, image.flags, image.bid_ticks, ...):
        stepper.row         # float32[N_COLUMNS], written again by the next event

Both sides of the platform go through the same compiled function; what this module adds is the row it reads, packed
straight from integers: making an event with numpy costs several times what the kernel takes for it.
"""

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from market.events import LEVELS, BadEvent
from market.feature_spec import N_COLUMNS
from market.features import EVENT_WIDTH, KIND_BOOK, KIND_TRADE, RING_CAPACITY, KernelState, step

_BOOK: Final = struct.Struct(f"={EVENT_WIDTH}q")
_TRADE: Final = struct.Struct("=5q")
_BEFORE_ALL: Final = int(np.iinfo(np.int64).min)


class Stepper:
    """One symbol's kernel with the arrays it reads and writes.

    `row` float32[N_COLUMNS] holds the features after the last event (NaN while not valid) and `t_ns` its time: the
    event's exchange_ns, held so that it never runs backwards.
    """

    __slots__ = ("_buffer", "_capacity", "_event", "_out", "_state", "_valid", "row", "t_ns")

    def __init__(self, capacity: int = RING_CAPACITY) -> None:
        self._event: NDArray[np.int64] = np.zeros((1, EVENT_WIDTH), np.int64)
        self._buffer = self._event.data.cast("B")
        self._out: NDArray[np.float32] = np.full((1, N_COLUMNS), np.nan, np.float32)
        self._valid: NDArray[np.uint8] = np.zeros(1, np.uint8)
        self._capacity = capacity
        self.row: NDArray[np.float32] = self._out[0]
        self.reset()

    def reset(self) -> None:
        """Forget everything, the time included: what comes next is the first event there ever was."""
        self._state = KernelState.new(self._capacity)
        self._out.fill(np.nan)
        self.t_ns = _BEFORE_ALL

    def warm(self) -> None:
        """Run the compiled code once, so that no event waits for it, and forget again."""
        ladder = list(range(1, LEVELS + 1))
        self.book(0, 0, ladder[::-1], ladder, [tick + LEVELS for tick in ladder], ladder)
        self.reset()

    def book(
        self,
        exchange_ns: int,
        flags: int,
        bid_ticks: Sequence[int],
        bid_lots: Sequence[int],
        ask_ticks: Sequence[int],
        ask_lots: Sequence[int],
    ) -> bool:
        """Take a whole book of LEVELS levels a side, touch first; return whether `row` holds features.

        Raises BadEvent for another number of levels or a number beyond int64, and KernelOverflow as `features.run`;
        after the latter only `reset` helps.
        """
        t_ns = max(self.t_ns, exchange_ns)
        try:
            _BOOK.pack_into(self._buffer, 0, t_ns, KIND_BOOK, flags, 0, 0, *bid_ticks, *ask_ticks, *bid_lots, *ask_lots)
        except struct.error as error:
            levels = [len(side) for side in (bid_ticks, bid_lots, ask_ticks, ask_lots)]
            raise BadEvent(
                f"a book at {exchange_ns} ns wants {LEVELS} int64 ticks and lots a side, found {levels}: {error}"
            ) from None
        self.t_ns = t_ns
        return self._step()

    def trade(self, exchange_ns: int, price_ticks: int, size_lots: int, aggressor: int) -> bool:
        """Take a print; return whether `row` holds features. The kernel carries the book; raises as `book`."""
        t_ns = max(self.t_ns, exchange_ns)
        try:
            # What a book left behind in the row stays there: the kernel reads no further for a trade.
            _TRADE.pack_into(self._buffer, 0, t_ns, KIND_TRADE, 0, price_ticks, size_lots * aggressor)
        except struct.error as error:
            raise BadEvent(f"a trade at {exchange_ns} ns does not fit int64: {error}") from None
        self.t_ns = t_ns
        return self._step()

    def _step(self) -> bool:
        step(self._state, self._event, self._out, self._valid)
        return bool(self._valid[0])
