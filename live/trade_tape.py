"""Prints, each once: a venue that numbers them shows when one is missing, another one is remembered by its ids."""

from collections import deque

_REMEMBERED = 10_000


class TradeTape:
    """The ids of one symbol's prints. `missing` and `repeated` count since the start."""

    def __init__(self, *, contiguous: bool) -> None:
        self.missing = 0
        self.repeated = 0
        self._contiguous = contiguous
        self._last = -1
        self._seen: set[int] = set()
        self._order: deque[int] = deque()

    def is_new(self, trade_id: int) -> bool:
        """Note a print's id and return whether it was not seen before.

        Where ids are contiguous, a print that comes behind a later one counts as seen: it has been counted missing.
        """
        new = self._follows(trade_id) if self._contiguous else self._unseen(trade_id)
        self.repeated += not new
        return new

    def restart(self) -> None:
        """Begin anew with whatever id comes next."""
        self._last = -1

    def _follows(self, trade_id: int) -> bool:
        last = self._last
        if trade_id <= last:
            return False
        if last >= 0:
            self.missing += trade_id - last - 1
        self._last = trade_id
        return True

    def _unseen(self, trade_id: int) -> bool:
        if trade_id in self._seen:
            return False
        self._seen.add(trade_id)
        self._order.append(trade_id)
        if len(self._order) > _REMEMBERED:
            self._seen.discard(self._order.popleft())
        return True
