"""A book changed level by level, as hftbacktest keeps it: what the matching is validated on."""

from collections.abc import Iterator

from live.exchange.paper_depth import NO_BEST


class LevelDepth:
    """Both sides of a book; sides +1 and -1, prices ticks, sizes lots.

    Where a new best price crosses the other side, that side's best steps behind it, but its levels stay: so it does
    there, and a queue's place depends on what a level's size was.
    """

    def __init__(self) -> None:
        self._sizes: dict[int, dict[int, float]] = {1: {}, -1: {}}
        self._best = dict(NO_BEST)
        self._worst = {1: NO_BEST[-1], -1: NO_BEST[1]}

    def best(self, side: int) -> int:
        """The best price, NO_BEST[side] when there is none."""
        return self._best[side]

    def known(self, side: int, ticks: int) -> float | None:
        """The size at a price: the whole book is known."""
        return self._sizes[side].get(ticks, 0.0)

    def in_sight(self, side: int, limit: int) -> Iterator[tuple[int, float]]:
        """(ticks, size) from the best price to `limit`, best first."""
        for ticks in sorted(self._sizes[side], reverse=side > 0):
            if side * (self._best[side] - ticks) >= 0 <= side * (ticks - limit):
                yield ticks, self._sizes[side][ticks]

    def set_level(self, side: int, ticks: int, size: float) -> float:
        """Set a level's size and return the one before."""
        sizes = self._sizes[side]
        before = sizes.pop(ticks, 0.0)
        if size > 0:
            sizes[ticks] = size
            if side * (ticks - self._best[side]) > 0:
                self._best[side] = ticks
                if self._best[1] >= self._best[-1]:
                    self._best[-side] = self._next(-side, ticks)
            if side * (self._worst[side] - ticks) > 0:
                self._worst[side] = ticks
        elif ticks == self._best[side]:
            self._step_back(side, ticks)
        return before

    def top(self, side: int, count: int = 10) -> list[tuple[int, float]]:
        """The best levels, best first, as an image shows them."""
        found: list[tuple[int, float]] = []
        ticks, worst, sizes = self._best[side], self._worst[side], self._sizes[side]
        while len(found) < count and ticks != NO_BEST[side] and side * (ticks - worst) >= 0:
            if ticks in sizes:
                found.append((ticks, sizes[ticks]))
            ticks -= side
        return found

    def clear_to(self, side: int, ticks: int) -> None:
        """Forget a side from its best price to `ticks`."""
        best = self._best[side]
        for price in [each for each in self._sizes[side] if side * (best - each) >= 0 <= side * (each - ticks)]:
            del self._sizes[side][price]
        self._step_back(side, ticks)

    def _step_back(self, side: int, ticks: int) -> None:
        self._best[side] = self._next(side, ticks)
        if self._best[side] == NO_BEST[side]:
            self._worst[side] = NO_BEST[-side]

    def _next(self, side: int, ticks: int) -> int:
        sizes, worst = self._sizes[side], self._worst[side]
        if side * (ticks - worst) <= 0:
            return NO_BEST[side]
        return next((each for each in range(ticks - side, worst - side, -side) if each in sizes), NO_BEST[side])
