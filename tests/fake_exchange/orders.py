"""The order side of the fake exchange: both venues' REST routes over one desk of orders, fills and a position.

`routes(state)` are mounted beside the market's. Tests drive the desk (`desk(state)`): fills, late visibility, the
venue's own cancellations; faults of `create`, `cancel` and `read` come from the state's queue, each named after the
row of the venue's table it plays (LIVE 2.4).
"""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from tests.fake_exchange.state import Fault, State

TICK, LOT = "0.10", "0.001"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeOrder:
    """An order, in the texts of the wire; `state` in Binance's words."""

    venue_id: int
    client_id: str
    symbol: str
    side: str
    price: str
    size: Decimal
    time_in_force: str
    reduce_only: bool
    filled: Decimal = Decimal(0)
    state: str = "NEW"
    reject: str = "EC_NoError"
    hidden_reads: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it rests."""
        return self.state in ("NEW", "PARTIALLY_FILLED")


@dataclass
class FakeFill:
    """A trade of ours."""

    trade_id: int
    order: FakeOrder
    price: str
    size: Decimal
    is_maker: bool
    hidden_reads: int = 0
    kind: str = "Trade"


@dataclass
class Desk:
    """Everything of the account. `bybit` orders that would cross are accepted and canceled, Binance's are refused."""

    orders: list[FakeOrder] = field(default_factory=list)
    fills: list[FakeFill] = field(default_factory=list)
    position: Decimal = Decimal(0)
    entry_price: str = "0"
    dead_man: list[dict[str, Any]] = field(default_factory=list)
    hide_new_orders: int = 0
    hide_new_fills: int = 0
    prices: dict[str, tuple[str, str]] = field(default_factory=dict)
    tick: str = TICK
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1_000))

    def find(self, client_id: str = "", venue_id: str = "") -> FakeOrder | None:
        """The newest order of an id."""
        for order in reversed(self.orders):
            if order.client_id == client_id or str(order.venue_id) == venue_id:
                return order
        return None

    def create(self, asked: dict[str, Any], client_id: str, *, is_bybit: bool) -> FakeOrder | str:
        """Take an order, or say why not."""
        open_ones = [each.client_id for each in self.orders if each.is_open or is_bybit]
        if client_id in open_ones:
            return "duplicate"
        side, size = asked["side"].upper(), Decimal(asked["qty" if is_bybit else "quantity"])
        time_in_force = {"PostOnly": "GTX"}.get(asked["timeInForce"], asked["timeInForce"])
        order = FakeOrder(next(self.numbers), client_id, asked["symbol"], side, asked["price"], size, time_in_force,
                          asked.get("reduceOnly") in (True, "true"), hidden_reads=self.hide_new_orders)  # fmt: skip
        crosses = self._crosses(order)
        if crosses and time_in_force == "GTX" and not is_bybit:
            return "post_only"
        self.orders.append(order)
        if crosses and time_in_force == "GTX":
            order.state, order.reject = "CANCELED", "EC_PostOnlyWillTakeLiquidity"
        elif time_in_force == "IOC":
            if crosses:
                self.fill(order, str(order.size), is_maker=False)
            else:
                order.state, order.reject = ("CANCELED" if is_bybit else "EXPIRED"), "EC_NoImmediateQtyToFill"
        return order

    def fill(self, order: FakeOrder, size: str, *, is_maker: bool = True, kind: str = "Trade") -> FakeFill:
        """Trade some of an order."""
        amount = Decimal(size)
        order.filled += amount
        order.state = "FILLED" if order.filled >= order.size else "PARTIALLY_FILLED"
        self.position += amount if order.side == "BUY" else -amount
        self.entry_price = order.price if self.position else "0"
        fill = FakeFill(next(self.numbers), order, order.price, amount, is_maker, self.hide_new_fills, kind)
        self.fills.append(fill)
        return fill

    def cancel(self, order: FakeOrder | None) -> bool:
        """Take an order from the book, when it is there."""
        if order is None or not order.is_open:
            return False
        order.state = "CANCELED"
        return True

    def seen(self, symbol: str) -> list[FakeOrder]:
        """The orders a read shows now; each read makes hidden ones a little less so."""
        return [each for each in self.orders if each.symbol == symbol and _shows(each)]

    def seen_fills(self, symbol: str, venue_id: str) -> list[FakeFill]:
        """The fills a read shows now."""
        mine = [each for each in self.fills if each.order.symbol == symbol]
        return [each for each in mine if venue_id in ("", str(each.order.venue_id)) and _shows(each)]

    def _crosses(self, order: FakeOrder) -> bool:
        bid, ask = self.prices.get(order.symbol, ("59999.90", "60000.00"))
        price = Decimal(order.price)
        return price >= Decimal(ask) if order.side == "BUY" else price <= Decimal(bid)


def _shows(each: FakeOrder | FakeFill) -> bool:
    each.hidden_reads -= 1
    return each.hidden_reads < 0


def desk(state: State) -> Desk:
    """The desk of an exchange."""
    found: Desk = state.orders.setdefault("desk", Desk())
    return found


def routes(state: State) -> list[web.RouteDef]:
    """Every order route of both venues."""
    from tests.fake_exchange import orders_binance, orders_bybit  # noqa: PLC0415 (they import what stands above)

    return [*orders_binance.routes(state), *orders_bybit.routes(state)]


async def asked(request: web.Request, state: State) -> dict[str, Any]:
    """The parameters, from wherever they came; the request is logged without its signature."""
    found: dict[str, Any] = dict(request.query)
    if request.can_read_body:
        text = await request.text()
        found.update((await request.json()) if text.startswith("{") else dict(parse_qsl(text)))
    hidden = {"signature", "timestamp", "recvWindow"}
    state.log.append((request.method, request.path, {key: each for key, each in found.items() if key not in hidden}))
    return found


def cut(request: web.Request) -> web.Response:
    """End the connection: the client never learns what happened."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def html(status: int) -> web.Response:
    """A page of the venue's gateway, not of the venue."""
    return web.Response(status=status, text=f"<html>{status}</html>", content_type="text/html")


def is_accepted(fault: Fault) -> bool:
    """Whether the order stands although the reply does not say so."""
    return fault.kind.startswith("accept_") or bool(fault.details.get("accepted"))
