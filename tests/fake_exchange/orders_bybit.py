"""Bybit v5's order routes for linear contracts. Errors come with HTTP 200 and a retCode, or as a gateway's page."""

from typing import Any

from aiohttp import web

from tests.fake_exchange.orders import LOT, Desk, FakeFill, FakeOrder, asked, cut, desk, html, is_accepted
from tests.fake_exchange.state import State

FAULTS: dict[str, tuple[int, str]] = {
    "10001": (10001, "Request parameter error."),
    "10002": (10002, "invalid request, please check your server timestamp or recv_window param."),
    "10003": (10003, "API key is invalid."),
    "10006": (10006, "Too many visits. Exceeded the API Rate Limit."),
    "10018": (10018, "Exceeded the IP Rate Limit."),
    "10000": (10000, "Server Timeout"),
    "10016": (10016, "Internal System Error."),
    "10014": (10014, "Request is duplicate"),
    "110007": (110007, "ab not enough for new order"),
    "110017": (110017, "Reduce-only rule not satisfied"),
    "110094": (110094, "Order notional value below the lower limit"),
    "999999": (999999, "A code of tomorrow."),
}
GATEWAY = {"html_403": 403, "html_500": 500, "html_502": 502, "html_503": 503, "html_504": 504, "html_200": 200}
SILENT = ("drop", "accept_then_drop")
_STATES = {"NEW": "New", "PARTIALLY_FILLED": "PartiallyFilled", "FILLED": "Filled", "CANCELED": "Cancelled"}


def routes(state: State) -> list[web.RouteDef]:
    """Routes under /v5, but for market data."""
    exchange = BybitRoutes(state)
    return [
        web.get("/v5/market/time", exchange.time),
        web.get("/v5/market/instruments-info", exchange.info),
        web.post("/v5/order/create", exchange.create),
        web.post("/v5/order/cancel", exchange.cancel),
        web.post("/v5/order/cancel-all", exchange.cancel_all),
        web.get("/v5/order/realtime", exchange.realtime),
        web.get("/v5/order/history", exchange.history),
        web.get("/v5/execution/list", exchange.trades),
        web.get("/v5/position/list", exchange.position),
        web.get("/v5/account/wallet-balance", exchange.balance),
        web.post("/v5/order/disconnected-cancel-all", exchange.dead_man),
    ]


class BybitRoutes:
    """The handlers."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def _desk(self) -> Desk:
        return desk(self._state)

    async def time(self, request: web.Request) -> web.Response:
        """The venue's clock."""
        await asked(request, self._state)
        now = self._state.now_ms()
        return self._answer({"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)})

    async def info(self, request: web.Request) -> web.Response:
        """Filters of every book."""
        await asked(request, self._state)
        if (fault := self._fault(request, "info")) is not None:
            return fault
        listed = [_instrument(name, self._desk.tick) for name in self._state.books]
        return self._answer({"category": "linear", "list": listed, "nextPageCursor": ""})

    async def create(self, request: web.Request) -> web.Response:
        """Acknowledge an order, or play a fault."""
        found = await asked(request, self._state)
        fault = self._state.take_fault("create")
        if fault is not None and not is_accepted(fault):
            return self._reply(request, fault.kind)
        order = self._desk.create(found, found["orderLinkId"], is_bybit=True)
        if fault is not None:
            return self._reply(request, fault.kind)
        if isinstance(order, str):
            return self._answer({}, 110072, "OrderLinkedID is duplicate")
        return self._answer({"orderId": str(order.venue_id), "orderLinkId": order.client_id})

    async def cancel(self, request: web.Request) -> web.Response:
        """Acknowledge a cancellation."""
        found = await asked(request, self._state)
        fault = self._state.take_fault("cancel")
        if fault is not None and not is_accepted(fault):
            return self._reply(request, fault.kind)
        order = self._desk.find(found.get("orderLinkId", ""))
        done = self._desk.cancel(order)
        if fault is not None:
            return self._reply(request, fault.kind)
        if not done or order is None:
            return self._answer({}, 110001, "order not exists or too late to cancel")
        return self._answer({"orderId": str(order.venue_id), "orderLinkId": order.client_id})

    async def cancel_all(self, request: web.Request) -> web.Response:
        """Cancel everything open on a symbol."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "cancel_all")) is not None:
            return fault
        canceled = [each for each in self._desk.orders if each.symbol == found["symbol"] and self._desk.cancel(each)]
        return self._answer({"list": [{"orderId": str(each.venue_id)} for each in canceled], "success": "1"})

    async def realtime(self, request: web.Request) -> web.Response:
        """Open orders; by client id the ones that just ended as well."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        wanted = found.get("orderLinkId")
        shown = [each for each in self._desk.seen(found["symbol"]) if wanted in (None, each.client_id)]
        return self._orders([each for each in shown if each.is_open or wanted is not None])

    async def history(self, request: web.Request) -> web.Response:
        """What ended."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        wanted = found.get("orderLinkId")
        shown = [each for each in self._desk.seen(found["symbol"]) if wanted in (None, each.client_id)]
        return self._orders([each for each in shown if not each.is_open])

    async def trades(self, request: web.Request) -> web.Response:
        """Fills, newest first, and a funding payment among them."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        fills = [self._fill(each) for each in self._desk.seen_fills(found["symbol"], found.get("orderId", ""))]
        funding = {"execType": "Funding", "execId": "f", "execTime": "1"}
        return self._answer({"category": "linear", "list": [*reversed(fills), funding], "nextPageCursor": ""})

    async def position(self, request: web.Request) -> web.Response:
        """One entry, of size 0 when flat."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        size = self._desk.position
        side = "Buy" if size > 0 else "Sell" if size < 0 else ""
        entry = {"symbol": found["symbol"], "positionIdx": 0, "side": side, "size": str(abs(size)),
                 "avgPrice": self._desk.entry_price, "liqPrice": "40000" if size else ""}  # fmt: skip
        return self._answer({"category": "linear", "list": [entry]})

    async def balance(self, request: web.Request) -> web.Response:
        """The unified account."""
        await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        return self._answer({"list": [{"accountType": "UNIFIED", "totalAvailableBalance": "1234.5"}]})

    async def dead_man(self, request: web.Request) -> web.Response:
        """Remember that it was armed."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "dead_man")) is not None:
            return fault
        self._desk.dead_man.append(found)
        return self._answer({})

    def _fault(self, request: web.Request, op: str) -> web.Response | None:
        fault = self._state.take_fault(op)
        return None if fault is None else self._reply(request, fault.kind)

    def _reply(self, request: web.Request, kind: str) -> web.Response:
        if kind in SILENT:
            return cut(request)
        if kind in GATEWAY:
            return html(GATEWAY[kind])
        code, message = FAULTS[kind]
        return self._answer({}, code, message)

    def _answer(self, result: dict[str, Any], code: int = 0, message: str = "OK") -> web.Response:
        now = self._state.now_ms()
        return web.json_response({"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": now})

    def _orders(self, orders: list[FakeOrder]) -> web.Response:
        listed = [self._order(each) for each in orders]
        return self._answer({"category": "linear", "list": listed, "nextPageCursor": ""})

    def _order(self, order: FakeOrder) -> dict[str, Any]:
        now = str(self._state.now_ms())
        canceled = "PartiallyFilledCanceled" if order.filled else "Cancelled"
        return {
            "orderId": str(order.venue_id), "orderLinkId": order.client_id, "symbol": order.symbol,
            "side": order.side.capitalize(), "price": order.price, "qty": str(order.size), "orderType": "Limit",
            "timeInForce": {"GTX": "PostOnly"}.get(order.time_in_force, order.time_in_force),
            "orderStatus": canceled if order.state == "CANCELED" else _STATES[order.state],
            "rejectReason": order.reject, "cumExecQty": str(order.filled), "leavesQty": str(order.size - order.filled),
            "reduceOnly": order.reduce_only, "positionIdx": 0, "createdTime": now, "updatedTime": now,
        }  # fmt: skip

    def _fill(self, fill: FakeFill) -> dict[str, Any]:
        return {
            "execId": f"x-{fill.trade_id}", "orderId": str(fill.order.venue_id), "orderLinkId": fill.order.client_id,
            "symbol": fill.order.symbol, "side": fill.order.side.capitalize(), "execPrice": fill.price,
            "execQty": str(fill.size), "execFee": "0.05", "isMaker": fill.is_maker, "execType": fill.kind,
            "execTime": str(self._state.now_ms() + fill.trade_id),
        }  # fmt: skip


def _instrument(name: str, tick: str) -> dict[str, Any]:
    step = tick if name == "BTCUSDT" else "0.01"
    return {
        "symbol": name, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": name.removesuffix("USDT"),
        "quoteCoin": "USDT", "settleCoin": "USDT", "fundingInterval": 480,
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": step},
        "lotSizeFilter": {"maxOrderQty": "1190.000", "minOrderQty": LOT, "qtyStep": LOT, "minNotionalValue": "5"},
    }  # fmt: skip
