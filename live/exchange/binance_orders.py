"""Orders at Binance USD-M futures: which endpoint answers what, and how its answers read."""

from collections.abc import Sequence
from typing import Any

from live.exchange.outcomes import Venue
from live.exchange.protocol import Place
from live.exchange.rate_budget import Limit
from live.exchange.venue_facts import (
    Call,
    OrderState,
    VenueOrder,
    VenuePosition,
    VenueTrade,
    fee_of,
    finite,
    milliseconds_to_ns,
    optional_price,
    price_text,
    size_text,
)
from market.symbols import Symbol

_STATES: dict[str, OrderState] = {
    "NEW": "open", "PARTIALLY_FILLED": "open", "FILLED": "filled", "CANCELED": "canceled", "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired", "REJECTED": "rejected",
}  # fmt: skip
_EXPIRY = {"GTX": "post_only", "IOC": "ioc"}
_QUOTE = "USDT"


class BinanceOrders:
    """Dialect of /fapi; one-way position mode."""

    venue: Venue = "binance"
    limits: tuple[Limit, ...] = (Limit(300, 10.0), Limit(1_200, 60.0))
    acknowledges_only = False
    forced_prefixes: tuple[str, ...] = ("autoclose-", "adl_autoclose", "settlement_autoclose-")

    def place_call(self, symbol: Symbol, place: Place) -> Call:
        """RESULT: the answer is the order as it stands, what an IOC order has traded included."""
        params = {
            "symbol": symbol.venue_symbol,
            "side": "BUY" if place.side > 0 else "SELL",
            "type": "LIMIT",
            "timeInForce": place.time_in_force,
            "price": price_text(symbol, place.price_ticks),
            "quantity": size_text(symbol, place.size_lots),
            "newClientOrderId": place.client_id,
            "newOrderRespType": "RESULT",
        }
        if place.reduce_only:
            params["reduceOnly"] = "true"
        return Call("fapiPrivatePostOrder", params)

    def cancel_call(self, symbol: Symbol, client_id: str) -> Call:
        """The answer is the order as it ended."""
        return Call("fapiPrivateDeleteOrder", {"symbol": symbol.venue_symbol, "origClientOrderId": client_id})

    def cancel_all_call(self, symbol: Symbol) -> Call:
        """The answer names no orders."""
        return Call("fapiPrivateDeleteAllOpenOrders", {"symbol": symbol.venue_symbol})

    def keep_alive_call(self, symbol: Symbol, timeout_ms: int) -> Call:
        """Counts down at the venue, whatever becomes of our connections."""
        params = {"symbol": symbol.venue_symbol, "countdownTime": str(timeout_ms)}
        return Call("fapiPrivatePostCountdownCancelAll", params)

    def order_calls(self, symbol: Symbol, client_id: str) -> Sequence[Call]:
        """By client id, then among the open ones and the newest: a young order may show in one of them first."""
        by_id = Call("fapiPrivateGetOrder", {"symbol": symbol.venue_symbol, "origClientOrderId": client_id})
        return (by_id, self.open_orders_call(symbol), self.recent_orders_call(symbol))

    def open_orders_call(self, symbol: Symbol) -> Call:
        """All open orders of the symbol."""
        return Call("fapiPrivateGetOpenOrders", {"symbol": symbol.venue_symbol})

    def recent_orders_call(self, symbol: Symbol) -> Call:
        """The newest 100."""
        return Call("fapiPrivateGetAllOrders", {"symbol": symbol.venue_symbol, "limit": 100})

    def trades_call(self, symbol: Symbol, venue_order_id: str = "") -> Call:
        """The newest 100, or those of one order."""
        params: dict[str, Any] = {"symbol": symbol.venue_symbol, "limit": 100}
        if venue_order_id:
            params["orderId"] = venue_order_id
        return Call("fapiPrivateGetUserTrades", params)

    def position_call(self, symbol: Symbol) -> Call:
        """Empty when there is neither a position nor an open order."""
        return Call("fapiPrivateV3GetPositionRisk", {"symbol": symbol.venue_symbol})

    def balance_call(self) -> Call:
        """One entry a coin."""
        return Call("fapiPrivateV3GetBalance")

    def instruments_call(self) -> Call:
        """Filters of every symbol."""
        return Call("fapiPublicGetExchangeInfo")

    def read_placed(self, symbol: Symbol, place: Place, document: Any) -> VenueOrder:  # noqa: ARG002
        """The order itself."""
        return _order(symbol, document)

    def read_orders(self, symbol: Symbol, document: Any) -> list[VenueOrder]:
        """One order, or a list of them."""
        return [_order(symbol, each) for each in (document if isinstance(document, list) else [document])]

    def read_trades(self, symbol: Symbol, document: Any) -> list[VenueTrade]:
        """Trades name the order by the venue's id alone."""
        return [_trade(symbol, each) for each in sorted(document, key=lambda each: int(each["id"]))]

    def read_position(self, symbol: Symbol, document: Any) -> VenuePosition:
        """Of the one-way position."""
        for each in document:
            if each["symbol"] == symbol.venue_symbol and each.get("positionSide", "BOTH") == "BOTH":
                sign, size = _signed(each["positionAmt"])
                entry, liquidation = optional_price(each["entryPrice"]), optional_price(each["liquidationPrice"])
                return VenuePosition(sign * symbol.size_to_lots(size), entry, liquidation)
        return VenuePosition(0, 0.0, 0.0)

    def read_balance(self, document: Any) -> float:
        """What can be bound as margin."""
        found = sum(float(each["availableBalance"]) for each in document if each["asset"] == _QUOTE)
        return finite("availableBalance", found)


def _order(symbol: Symbol, entry: Any) -> VenueOrder:
    state = _STATES.get(entry["status"], "open")
    return VenueOrder(
        client_id=entry["clientOrderId"],
        venue_id=str(entry["orderId"]),
        side=1 if entry["side"] == "BUY" else -1,
        price_ticks=symbol.price_to_ticks(entry["price"]),
        size_lots=symbol.size_to_lots(entry["origQty"]),
        filled_lots=symbol.size_to_lots(entry["executedQty"]),
        state=state,
        reason=_reason(state, entry),
        updated_ns=milliseconds_to_ns(entry.get("updateTime")),
    )


def _reason(state: OrderState, entry: Any) -> str:
    """Orders expire that would have crossed as post-only ones at last, or did not get all they wanted at once."""
    if state in ("open", "filled"):
        return ""
    return _EXPIRY.get(entry["timeInForce"], "expired") if state == "expired" else state


def _trade(symbol: Symbol, entry: Any) -> VenueTrade:
    ticks, lots = symbol.price_to_ticks(entry["price"]), symbol.size_to_lots(entry["qty"])
    is_maker = bool(entry["maker"])
    in_quote = entry.get("commissionAsset", _QUOTE) == _QUOTE
    return VenueTrade(
        trade_id=str(entry["id"]),
        venue_order_id=str(entry["orderId"]),
        client_id=str(entry.get("clientOrderId", "")),
        side=1 if entry["side"] == "BUY" else -1,
        price_ticks=ticks,
        size_lots=lots,
        fee_quote=float(entry["commission"]) if in_quote else fee_of(symbol, ticks, lots, is_maker=is_maker),
        is_maker=is_maker,
        exchange_ns=milliseconds_to_ns(entry["time"]),
    )


def _signed(text: str) -> tuple[int, str]:
    return (-1, text[1:]) if text.startswith("-") else (1, text)
