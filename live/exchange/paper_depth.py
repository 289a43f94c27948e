"""The market a paper order stands in: displayed sizes by price, both sides, as images of the book change them.

Sides are +1 for bids and -1 for asks, prices ticks, sizes lots. An image shows ten levels: what lies beyond its last
one keeps the size it had when it was last seen, and a price that was never seen has none (None, not 0).
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from bus.messages import BookImage

NO_BEST = {1: -(2**62), -1: 2**62}
"""The best price of an empty side: worse than any."""

_REMEMBERED = 64


class LevelChange(NamedTuple):
    """One level's size went from `before` to `after`."""

    side: int
    ticks: int
    before: float
    after: float


class Depth(Protocol):
    """What matching reads of a book."""

    def best(self, side: int) -> int:
        """The best price in ticks, NO_BEST[side] when there is none."""
        ...

    def known(self, side: int, ticks: int) -> float | None:
        """The displayed size at a price, or None when it is out of sight and never was in it."""
        ...

    def in_sight(self, side: int, limit: int) -> Iterator[tuple[int, float]]:
        """(ticks, size) of the levels we see from the best price of a side to `limit`, best first."""
        ...


class ImageDepth:
    """Both sides of one symbol's book, by its images."""

    def __init__(self) -> None:
        self._sizes: dict[int, dict[int, float]] = {1: {}, -1: {}}
        self._shown: dict[int, list[tuple[int, float]]] = {1: [], -1: []}
        self._horizon = {1: NO_BEST[-1], -1: NO_BEST[1]}

    def best(self, side: int) -> int:
        """The best price in ticks, NO_BEST[side] when there is none."""
        shown = self._shown[side]
        return shown[0][0] if shown else NO_BEST[side]

    def is_whole(self) -> bool:
        """Whether both sides have a best price."""
        return bool(self._shown[1] and self._shown[-1])

    def mid_ticks(self) -> float:
        """Halfway between the best prices; NaN when a side is empty."""
        return (self.best(1) + self.best(-1)) / 2.0 if self.is_whole() else float("nan")

    def known(self, side: int, ticks: int) -> float | None:
        """The displayed size at a price, or None when it is out of sight and never was in it."""
        unseen = None if side * (ticks - self._horizon[side]) < 0 else 0.0
        return self._sizes[side].get(ticks, unseen)

    def in_sight(self, side: int, limit: int) -> Iterator[tuple[int, float]]:
        """(ticks, size) of the levels of the last image from the best price of a side to `limit`, best first."""
        for ticks, size in self._shown[side]:
            if side * (ticks - limit) < 0:
                return
            yield ticks, size

    def show(self, image: BookImage) -> list[LevelChange]:
        """Become what an image shows; return every change of a level, vanished ones first."""
        vanished: list[LevelChange] = []
        changed: list[LevelChange] = []
        for side, prices, lots in ((1, image.bid_ticks, image.bid_lots), (-1, image.ask_ticks, image.ask_lots)):
            shown: list[tuple[int, float]] = [
                (ticks, size) for ticks, size in zip(prices, lots, strict=True) if size > 0
            ]
            # A side with fewer levels than an image holds is shown to its end.
            horizon = shown[-1][0] if shown and len(shown) == len(prices) else NO_BEST[side]
            sizes, levels = self._sizes[side], dict(shown)
            gone = [t for t in sizes if t not in levels and side * (t - horizon) >= 0]
            vanished += [LevelChange(side, t, sizes.pop(t), 0.0) for t in gone]
            for ticks, size in shown:
                before = sizes.get(ticks, 0.0)
                if before != size:
                    sizes[ticks] = size
                    changed.append(LevelChange(side, ticks, before, size))
            self._shown[side], self._horizon[side] = shown, horizon
            if len(sizes) > _REMEMBERED:
                self._forget_the_farthest(side)
        return vanished + changed

    def clear(self) -> None:
        """Forget everything: nothing is known until the next image."""
        for side in (1, -1):
            self._sizes[side].clear()
            self._shown[side] = []
            self._horizon[side] = NO_BEST[-side]

    def _forget_the_farthest(self, side: int) -> None:
        nearest = sorted(self._sizes[side], key=lambda ticks: -side * ticks)
        for ticks in nearest[_REMEMBERED // 2 :]:
            del self._sizes[side][ticks]
