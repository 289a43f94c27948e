"""Orders at Bybit v5 linear: which endpoint answers what, and how its answers read.

Placing and canceling are acknowledged only; what became of them is read from the order lists. A post-only order that
would cross is acknowledged like any other and shows as canceled afterwards.
"""

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
    finite,
    milliseconds_to_ns,
    optional_price,
    price_text,
    size_text,
)
from market.symbols import Symbol

_STATES: dict[str, OrderState] = {
    "New": "open", "PartiallyFilled": "open", "Untriggered": "open", "Created": "open", "Filled": "filled",
    "Cancelled": "canceled", "PartiallyFilledCanceled": "canceled", "Deactivated": "canceled", "Rejected": "rejected",
}  # fmt: skip
_REASONS = {"EC_PostOnlyWillTakeLiquidity": "post_only", "EC_NoImmediateQtyToFill": "ioc", "EC_NoError": "canceled"}
_LIQUIDATIONS = ("AdlTrade", "BustTrade")
_LINEAR = {"category": "linear"}


class BybitOrders:
    """Dialect of /v5 with category linear; one-way position mode, unified account."""

    venue: Venue = "bybit"
    limits: tuple[Limit, ...] = (Limit(10, 1.0),)
    acknowledges_only = True
    forced_prefixes: tuple[str, ...] = ()

    def place_call(self, symbol: Symbol, place: Place) -> Call:
        """The answer has the venue's id, nothing else."""
        params: dict[str, Any] = {
            **_LINEAR,
            "symbol": symbol.venue_symbol,
            "side": "Buy" if place.side > 0 else "Sell",
            "orderType": "Limit",
            "timeInForce": "PostOnly" if place.time_in_force == "GTX" else "IOC",
            "price": price_text(symbol, place.price_ticks),
            "qty": size_text(symbol, place.size_lots),
            "orderLinkId": place.client_id,
            "positionIdx": 0,
            "reduceOnly": place.reduce_only,
        }
        return Call("privatePostV5OrderCreate", params)

    def cancel_call(self, symbol: Symbol, client_id: str) -> Call:
        """Acknowledged only."""
        params = {**_LINEAR, "symbol": symbol.venue_symbol, "orderLinkId": client_id}
        return Call("privatePostV5OrderCancel", params)

    def cancel_all_call(self, symbol: Symbol) -> Call:
        """Acknowledged with the ids."""
        return Call("privatePostV5OrderCancelAll", {**_LINEAR, "symbol": symbol.venue_symbol})

    def keep_alive_call(self, symbol: Symbol, timeout_ms: int) -> Call | None:  # noqa: ARG002 (the protocol's)
        """None: what it calls disconnected-cancel-all counts from the end of a private socket, and we have none."""
        return None

    def order_calls(self, symbol: Symbol, client_id: str) -> Sequence[Call]:
        """Open and just ended ones, then the history, which is written a little later."""
        params = {**_LINEAR, "symbol": symbol.venue_symbol, "orderLinkId": client_id}
        return (Call("privateGetV5OrderRealtime", params), Call("privateGetV5OrderHistory", params))

    def open_orders_call(self, symbol: Symbol) -> Call:
        """Open ones alone (openOnly 0); 50 is the most a page holds."""
        params = {**_LINEAR, "symbol": symbol.venue_symbol, "openOnly": 0, "limit": 50}
        return Call("privateGetV5OrderRealtime", params)

    def recent_orders_call(self, symbol: Symbol) -> Call:
        """The newest 50 of the history."""
        return Call("privateGetV5OrderHistory", {**_LINEAR, "symbol": symbol.venue_symbol, "limit": 50})

    def trades_call(self, symbol: Symbol, venue_order_id: str = "") -> Call:
        """The newest 100, or those of one order."""
        params: dict[str, Any] = {**_LINEAR, "symbol": symbol.venue_symbol, "limit": 100}
        if venue_order_id:
            params["orderId"] = venue_order_id
        return Call("privateGetV5ExecutionList", params)

    def position_call(self, symbol: Symbol) -> Call:
        """One entry a side mode."""
        return Call("privateGetV5PositionList", {**_LINEAR, "symbol": symbol.venue_symbol})

    def balance_call(self) -> Call:
        """The unified account's."""
        return Call("privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"})

    def instruments_call(self) -> Call:
        """Filters of every linear contract; a thousand is the most a page holds, and more than there are."""
        return Call("publicGetV5MarketInstrumentsInfo", {**_LINEAR, "limit": 1000})

    def read_placed(self, symbol: Symbol, place: Place, document: Any) -> VenueOrder:  # noqa: ARG002
        """As it was sent, for no more is known."""
        return VenueOrder(
            client_id=place.client_id,
            venue_id=str(document["result"]["orderId"]),
            side=place.side,
            price_ticks=place.price_ticks,
            size_lots=place.size_lots,
            filled_lots=0,
            state="open",
            reason="",
            updated_ns=milliseconds_to_ns(document.get("time")),
        )

    def read_orders(self, symbol: Symbol, document: Any) -> list[VenueOrder]:
        """Of the realtime list or the history."""
        return [_order(symbol, each) for each in document["result"]["list"]]

    def read_trades(self, symbol: Symbol, document: Any) -> list[VenueTrade]:
        """Funding and settlements stand in the same list and are no trades of ours."""
        found = [each for each in document["result"]["list"] if each.get("execType", "Trade") != "Funding"]
        return [_trade(symbol, each) for each in sorted(found, key=lambda each: int(each["execTime"]))]

    def read_position(self, symbol: Symbol, document: Any) -> VenuePosition:
        """Of the one-way position."""
        for each in document["result"]["list"]:
            if each["symbol"] == symbol.venue_symbol and float(each["size"] or 0):
                sign = 1 if each["side"] == "Buy" else -1
                entry, liquidation = optional_price(each["avgPrice"]), optional_price(each.get("liqPrice"))
                return VenuePosition(sign * symbol.size_to_lots(each["size"]), entry, liquidation)
        return VenuePosition(0, 0.0, 0.0)

    def read_balance(self, document: Any) -> float:
        """What can be bound as margin, in USD."""
        found = sum(optional_price(each.get("totalAvailableBalance")) for each in document["result"]["list"])
        return finite("totalAvailableBalance", found)


def _order(symbol: Symbol, entry: Any) -> VenueOrder:
    state = _STATES.get(entry["orderStatus"], "open")
    reject = entry.get("rejectReason") or "EC_NoError"
    return VenueOrder(
        client_id=entry["orderLinkId"],
        venue_id=entry["orderId"],
        side=1 if entry["side"] == "Buy" else -1,
        price_ticks=symbol.price_to_ticks(entry["price"]),
        size_lots=symbol.size_to_lots(entry["qty"]),
        filled_lots=symbol.size_to_lots(entry["cumExecQty"] or "0"),
        state=state,
        reason="" if state in ("open", "filled") else _REASONS.get(reject, reject),
        updated_ns=milliseconds_to_ns(entry.get("updatedTime")),
    )


def _trade(symbol: Symbol, entry: Any) -> VenueTrade:
    return VenueTrade(
        trade_id=entry["execId"],
        venue_order_id=entry["orderId"],
        client_id=entry.get("orderLinkId", ""),
        side=1 if entry["side"] == "Buy" else -1,
        price_ticks=symbol.price_to_ticks(entry["execPrice"]),
        size_lots=symbol.size_to_lots(entry["execQty"]),
        fee_quote=float(entry["execFee"] or 0),
        is_maker=bool(entry["isMaker"]),
        exchange_ns=milliseconds_to_ns(entry["execTime"]),
        is_forced=entry.get("execType") in _LIQUIDATIONS,
    )
