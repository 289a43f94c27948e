"""An order-by-order (L3) book, summed to price levels.

It tells which levels changed since it was last asked, so that an `OrderBook` can follow it, and finds orders whose
deletion was lost: two orders that touch cannot both be alive, and the older one is the likelier ghost.
"""

from heapq import heappop, heappush
from typing import NamedTuple

from market.events import Level

BID, ASK = 0, 1
_SIGNS = (-1, 1)


class _Order(NamedTuple):
    number: int
    side: int
    price_ticks: int


class Orders:
    """The living orders, by id and by price; prices in ticks, sizes in lots."""

    def __init__(self) -> None:
        self._orders: dict[int, _Order] = {}
        # By side and price: lots by order id, oldest first.
        self._levels: tuple[dict[int, dict[int, int]], dict[int, dict[int, int]]] = ({}, {})
        # By side: prices as a heap, best first. A price whose level is gone is passed over when it comes up.
        self._prices: tuple[list[int], list[int]] = ([], [])
        self._touched: tuple[set[int], set[int]] = (set(), set())
        self._created = 0

    def __len__(self) -> int:
        return len(self._orders)

    def create(self, order_id: int, side: int, price_ticks: int, size_lots: int) -> None:
        """Add an order; one that is there already is replaced."""
        self.delete(order_id)
        self._created += 1
        self._orders[order_id] = _Order(self._created, side, price_ticks)
        if price_ticks not in self._levels[side]:
            self._levels[side][price_ticks] = {}
            heappush(self._prices[side], _SIGNS[side] * price_ticks)
        self._levels[side][price_ticks][order_id] = size_lots
        self._touched[side].add(price_ticks)

    def change(self, order_id: int, size_lots: int) -> bool:
        """Set what is left of an order; False when it is not known."""
        order = self._orders.get(order_id)
        if order is None:
            return False
        self._levels[order.side][order.price_ticks][order_id] = size_lots
        self._touched[order.side].add(order.price_ticks)
        return True

    def delete(self, order_id: int) -> bool:
        """Remove an order; False when it is not known."""
        order = self._orders.pop(order_id, None)
        if order is None:
            return False
        level = self._levels[order.side][order.price_ticks]
        del level[order_id]
        if not level:
            del self._levels[order.side][order.price_ticks]
        self._touched[order.side].add(order.price_ticks)
        return True

    def bury_zombies(self) -> list[int]:
        """Remove the older of the two orders at the touch until bids lie below asks; return the ids removed."""
        buried = []
        while (bid := self._best(BID)) is not None and (ask := self._best(ASK)) is not None and bid >= ask:
            oldest = [next(iter(self._levels[side][price])) for side, price in ((BID, bid), (ASK, ask))]
            zombie = min(oldest, key=lambda order_id: self._orders[order_id].number)
            self.delete(zombie)
            buried.append(zombie)
        return buried

    def changes(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return bids and asks whose level changed since the last call, with their new total, 0 when gone."""
        bids, asks = (
            tuple((price, sum(self._levels[side].get(price, {}).values())) for price in self._touched[side])
            for side in (BID, ASK)
        )
        for touched in self._touched:
            touched.clear()
        return bids, asks

    def _best(self, side: int) -> int | None:
        prices, sign = self._prices[side], _SIGNS[side]
        while prices and sign * prices[0] not in self._levels[side]:
            heappop(prices)
        return sign * prices[0] if prices else None
