"""Binance USD-M's order routes."""

from typing import Any

from aiohttp import web

from tests.fake_exchange.orders import LOT, Desk, FakeFill, FakeOrder, asked, cut, desk, html, is_accepted
from tests.fake_exchange.state import State

FAULTS: dict[str, tuple[int, int, str]] = {
    "429": (429, -1003, "Too many requests."),
    "418": (418, -1003, "Way too many requests; IP banned until 1."),
    "1015": (400, -1015, "Too many new orders."),
    "1008": (503, -1008, "Request throttled by system-level protection."),
    "503_unknown": (503, -1000, "Unknown error, please check your request or try again later."),
    "1007": (408, -1007, "Timeout waiting for response from backend server. Send status unknown."),
    "1006": (500, -1006, "An unexpected response was received from the message bus. Execution status unknown."),
    "1001": (400, -1001, "Internal error; unable to process your request."),
    "1021": (400, -1021, "Timestamp for this request is outside of the recvWindow."),
    "2015": (401, -2015, "Invalid API-key, IP, or permissions for action."),
    "2019": (400, -2019, "Margin is insufficient."),
    "2022": (400, -2022, "ReduceOnly Order is rejected."),
    "4014": (400, -4014, "Price not increased by tick size."),
    "4164": (400, -4164, "Order's notional must be no smaller than 100."),
    "5022": (400, -5022, "Due to the order could not be executed as maker, the Post Only order will be rejected."),
    "9999": (400, -9999, "A code of tomorrow."),
}
GATEWAY = {"html_403": 403, "html_500": 500, "html_502": 502, "html_503": 503, "html_504": 504, "html_400": 400}
SILENT = ("drop", "accept_then_drop")


def routes(state: State) -> list[web.RouteDef]:
    """Routes under /fapi, but for market data."""
    exchange = BinanceRoutes(state)
    return [
        web.get("/fapi/v1/time", exchange.time),
        web.get("/fapi/v1/exchangeInfo", exchange.info),
        web.post("/fapi/v1/order", exchange.create),
        web.delete("/fapi/v1/order", exchange.cancel),
        web.get("/fapi/v1/order", exchange.order),
        web.get("/fapi/v1/openOrders", exchange.open_orders),
        web.delete("/fapi/v1/allOpenOrders", exchange.cancel_all),
        web.get("/fapi/v1/allOrders", exchange.all_orders),
        web.get("/fapi/v1/userTrades", exchange.trades),
        web.get("/fapi/v3/positionRisk", exchange.position),
        web.get("/fapi/v3/balance", exchange.balance),
        web.post("/fapi/v1/countdownCancelAll", exchange.dead_man),
    ]


class BinanceRoutes:
    """The handlers."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def _desk(self) -> Desk:
        return desk(self._state)

    async def time(self, request: web.Request) -> web.Response:
        """The venue's clock."""
        await asked(request, self._state)
        return web.json_response({"serverTime": self._state.now_ms()})

    async def info(self, request: web.Request) -> web.Response:
        """Filters of every book."""
        await asked(request, self._state)
        if (fault := self._fault(request, "info")) is not None:
            return fault
        symbols = [_instrument(name, self._desk.tick) for name in self._state.books]
        return web.json_response({"timezone": "UTC", "rateLimits": [], "symbols": symbols})

    async def create(self, request: web.Request) -> web.Response:
        """Place an order, or play a fault."""
        found = await asked(request, self._state)
        fault = self._state.take_fault("create")
        if fault is not None and not is_accepted(fault):
            return self._reply(request, fault.kind, fault.details)
        order = self._desk.create(found, found["newClientOrderId"], is_bybit=False)
        if fault is not None:
            return self._reply(request, fault.kind, fault.details)
        if isinstance(order, str):
            code = {"duplicate": -4116, "post_only": -5022}[order]
            return web.json_response({"code": code, "msg": order}, status=400)
        return web.json_response(self._order(order))

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel by client id."""
        found = await asked(request, self._state)
        fault = self._state.take_fault("cancel")
        if fault is not None and not is_accepted(fault):
            return self._reply(request, fault.kind, fault.details)
        order = self._desk.find(found.get("origClientOrderId", ""))
        done = self._desk.cancel(order)
        if fault is not None:
            return self._reply(request, fault.kind, fault.details)
        if not done or order is None:
            return web.json_response({"code": -2011, "msg": "Unknown order sent."}, status=400)
        return web.json_response(self._order(order))

    async def cancel_all(self, request: web.Request) -> web.Response:
        """Cancel everything open on a symbol."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "cancel_all")) is not None:
            return fault
        for order in self._desk.orders:
            if order.symbol == found["symbol"]:
                self._desk.cancel(order)
        return web.json_response({"code": 200, "msg": "The operation of cancel all open order is done."})

    async def order(self, request: web.Request) -> web.Response:
        """One order by either id."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        wanted = self._desk.find(found.get("origClientOrderId", ""), found.get("orderId", ""))
        if wanted is None or wanted not in self._desk.seen(found["symbol"]):
            return web.json_response({"code": -2013, "msg": "Order does not exist."}, status=400)
        return web.json_response(self._order(wanted))

    async def open_orders(self, request: web.Request) -> web.Response:
        """Everything open."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        return web.json_response([self._order(each) for each in self._desk.seen(found["symbol"]) if each.is_open])

    async def all_orders(self, request: web.Request) -> web.Response:
        """Everything."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        return web.json_response([self._order(each) for each in self._desk.seen(found["symbol"])])

    async def trades(self, request: web.Request) -> web.Response:
        """Fills, which name their order by the venue's id."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        fills = self._desk.seen_fills(found["symbol"], found.get("orderId", ""))
        return web.json_response([self._fill(each) for each in fills])

    async def position(self, request: web.Request) -> web.Response:
        """Nothing when flat."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        if not self._desk.position:
            return web.json_response([])
        entry = {"symbol": found["symbol"], "positionSide": "BOTH", "positionAmt": str(self._desk.position),
                 "entryPrice": self._desk.entry_price, "markPrice": "60000", "liquidationPrice": "40000"}  # fmt: skip
        return web.json_response([entry])

    async def balance(self, request: web.Request) -> web.Response:
        """Two coins, one of them ours."""
        await asked(request, self._state)
        if (fault := self._fault(request, "read")) is not None:
            return fault
        coins = [{"asset": "BNB", "availableBalance": "3.0"}, {"asset": "USDT", "availableBalance": "1234.5"}]
        return web.json_response(coins)

    async def dead_man(self, request: web.Request) -> web.Response:
        """Remember that it was armed."""
        found = await asked(request, self._state)
        if (fault := self._fault(request, "dead_man")) is not None:
            return fault
        self._desk.dead_man.append(found)
        return web.json_response({"symbol": found["symbol"], "countdownTime": found["countdownTime"]})

    def _fault(self, request: web.Request, op: str) -> web.Response | None:
        fault = self._state.take_fault(op)
        return None if fault is None else self._reply(request, fault.kind, fault.details)

    def _reply(self, request: web.Request, kind: str, details: dict[str, Any]) -> web.Response:
        if kind in SILENT:
            return cut(request)
        if kind == "garbage":
            return web.Response(text='{"orderId": 1, ', content_type="application/json")
        if kind in GATEWAY:
            return html(GATEWAY[kind])
        status, code, message = FAULTS[kind]
        headers = {"Retry-After": str(details["retry_after"])} if "retry_after" in details else {}
        return web.json_response({"code": code, "msg": message}, status=status, headers=headers)

    def _order(self, order: FakeOrder) -> dict[str, Any]:
        now = self._state.now_ms()
        return {
            "orderId": order.venue_id, "symbol": order.symbol, "status": order.state, "clientOrderId": order.client_id,
            "price": order.price, "avgPrice": "0.00", "origQty": str(order.size), "executedQty": str(order.filled),
            "cumQuote": "0", "timeInForce": order.time_in_force, "type": "LIMIT", "reduceOnly": order.reduce_only,
            "side": order.side, "positionSide": "BOTH", "time": now, "updateTime": now,
        }  # fmt: skip

    def _fill(self, fill: FakeFill) -> dict[str, Any]:
        return {
            "id": fill.trade_id, "orderId": fill.order.venue_id, "symbol": fill.order.symbol, "side": fill.order.side,
            "price": fill.price, "qty": str(fill.size), "commission": "0.05", "commissionAsset": "USDT",
            "maker": fill.is_maker, "buyer": fill.order.side == "BUY", "positionSide": "BOTH",
            "time": self._state.now_ms(),
        }  # fmt: skip


def _instrument(name: str, tick: str) -> dict[str, Any]:
    notional = "100" if name == "BTCUSDT" else "20"
    price = {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "4529764",
             "tickSize": tick if name == "BTCUSDT" else "0.01"}  # fmt: skip
    return {
        "symbol": name, "contractType": "PERPETUAL", "status": "TRADING", "pricePrecision": 2, "quantityPrecision": 3,
        "baseAsset": name.removesuffix("USDT"), "quoteAsset": "USDT", "marginAsset": "USDT",
        "filters": [price, {"filterType": "LOT_SIZE", "minQty": LOT, "maxQty": "1000", "stepSize": LOT},
                    {"filterType": "MIN_NOTIONAL", "notional": notional}],
    }  # fmt: skip
