"""One symbol at a real venue: turns requests into calls, replies into events, and looks after the orders that stand.

It lives in its symbol's own thread, so requests keep their order and nothing here is shared. No user stream is
needed: `look` finds fills and ends by asking. A fill is told once, by the venue's trade id; an end is told when every
fill that belongs to it has been.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from live.clock import Clock
from live.errors import AnswerRefused
from live.exchange.outcomes import DONE, Outcome, Reply, classify
from live.exchange.protocol import (
    Accepted,
    Cancel,
    CancelAll,
    Ended,
    Fill,
    KeepAlive,
    OrderView,
    Place,
    Query,
    QueryAnswer,
    Refused,
    Request,
    Survey,
    Surveyed,
    Trouble,
    Unknown,
    VenueEvent,
)
from live.exchange.rest_client import NOT_SENT
from live.exchange.venue_facts import Call, Dialect, VenueOrder, VenueTrade
from market.symbols import Symbol

_CLOCK_SYNC_NS = 30_000_000_000
_IDS_KEPT = 4_096
_SHOWN = 200
"""Signs of what a venue said that a trouble quotes."""
_PATIENCE_LOOKS = 20
"""Looks at an order that does not show, or not with all its fills, before that is told as trouble."""


class Caller(Protocol):
    """live.exchange.rest_client.RestClient, or a stand-in for it."""

    def call(self, call: Call) -> Reply:
        """Send a request and return what came back."""
        ...

    def sync_clock(self) -> bool:
        """Take over the venue's time."""
        ...


@dataclass(slots=True)
class _Standing:
    """An order that stands at the venue, and what was told of it."""

    client_id: str
    venue_id: str
    told_lots: int = 0
    told_trades: set[str] = field(default_factory=set)
    looks: int = 0


class _Failed(Exception):  # never leaves this module
    """A read did not bring what was asked for."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class VenueDesk:
    """Handles requests of one symbol one after the other; `tell` takes every event."""

    def __init__(
        self, symbol: Symbol, dialect: Dialect, caller: Caller, clock: Clock, tell: Callable[[VenueEvent], None]
    ) -> None:
        self._symbol = symbol
        self._dialect = dialect
        self._caller = caller
        self._clock = clock
        self._tell = tell
        self._standing: dict[str, _Standing] = {}
        self._client_ids: dict[str, str] = {}
        self._forced: set[str] | None = None
        self._synced_ns: int | None = None
        self._banned_until_ns = 0

    def handle(self, request: Request) -> None:
        """Do what was asked. Does not raise: what nobody foresaw is told as an unknown outcome and as trouble."""
        try:
            self._dispatch(request)
        except Exception as error:  # an order may stand: the thread must live on and say so
            reason = f"internal_{type(error).__name__}"
            if isinstance(request, Place | Cancel):
                self._tell(Unknown(request.client_id, request.symbol, reason, is_cancel=isinstance(request, Cancel)))
            self._trouble(f"{type(request).__name__}: {reason}: {str(error)[:_SHOWN]}", "CRIT")

    def look(self) -> None:
        """Ask for what stands and tell what has become of it; asks nothing when nothing stands."""
        if not self._standing:
            return
        try:
            opened = {each.client_id: each for each in self._orders(self._dialect.open_orders_call(self._symbol))}
            for standing in list(self._standing.values()):
                order = opened.get(standing.client_id) or self._find(standing.client_id)
                if order is not None:
                    self._settle(standing, order)
                else:
                    self._wait_longer(standing, "is not to be found")
        except _Failed as failed:
            self._trouble(f"look_{failed.outcome.reason}", "WARN")
        except Exception as error:  # as in handle
            self._trouble(f"look: internal_{type(error).__name__}: {str(error)[:_SHOWN]}", "CRIT")

    def _dispatch(self, request: Request) -> None:
        match request:
            case Place():
                self._place(request)
            case Cancel():
                self._cancel(request)
            case CancelAll():
                outcome, _ = self._send(self._dialect.cancel_all_call(self._symbol))
                if outcome.kind != "done":
                    self._trouble(f"cancel_all_{outcome.reason}", "WARN")
                self.look()
            case Query():
                self._query(request)
            case Survey():
                self._survey()
            case KeepAlive(timeout_ms=timeout_ms):
                self._keep_alive(self._dialect.keep_alive_call(self._symbol, timeout_ms))

    def _keep_alive(self, call: Call | None) -> None:
        outcome = DONE if call is None else self._send(call)[0]
        if outcome.kind != "done":
            self._trouble(f"keep_alive_{outcome.reason}", "WARN")

    def _place(self, place: Place) -> None:
        outcome, document = self._send(self._dialect.place_call(self._symbol, place))
        client_id, name = place.client_id, place.symbol
        if outcome.kind == "refused":
            self._tell(Refused(client_id, name, outcome.reason, outcome.pause_seconds))
        elif outcome.kind == "already":
            order = self._find_or_none(client_id)
            if order is None:
                self._tell(Unknown(client_id, name, "duplicate_not_found"))
            else:
                self._stand(order)
        elif outcome.kind == "done":
            order = self._dialect.read_placed(self._symbol, place, document)
            if order.client_id != client_id:
                raise AnswerRefused(f"the answer to placing {client_id} is of {order.client_id[:_SHOWN]!r}")
            self._stand(order)
            if self._dialect.acknowledges_only and place.time_in_force == "IOC":
                self._look_at(client_id)
        else:
            self._tell(Unknown(client_id, name, outcome.reason))

    def _stand(self, order: VenueOrder) -> None:
        """Tell of an order that the venue has, and look after it from now on."""
        name = self._symbol.name
        standing = self._keep(order)
        self._tell(Accepted(order.client_id, name, order.venue_id, order.updated_ns))
        self._settle(standing, order)

    def _cancel(self, cancel: Cancel) -> None:
        outcome, document = self._send(self._dialect.cancel_call(self._symbol, cancel.client_id))
        client_id, name = cancel.client_id, cancel.symbol
        if outcome.kind == "unknown":
            self._tell(Unknown(client_id, name, outcome.reason, is_cancel=True))
        elif outcome.kind != "done":
            self._tell(Refused(client_id, name, outcome.reason, outcome.pause_seconds, is_cancel=True))
            if outcome.kind == "gone":
                self._look_at(client_id)
        elif self._dialect.acknowledges_only:
            self._look_at(client_id)
        else:
            for order in self._dialect.read_orders(self._symbol, document):
                if order.client_id != client_id:
                    raise AnswerRefused(f"the answer to canceling {client_id} is of {order.client_id[:_SHOWN]!r}")
                self._settle(self._keep(order), order)

    def _query(self, query: Query) -> None:
        try:
            order = self._find(query.client_id)
            if order is None:
                self._tell(QueryAnswer(query.client_id, query.symbol, None))
                return
            self._learn(order)
            trades = self._trades(order.venue_id) if order.filled_lots else []
            if order.state == "open":
                self._keep(order)
            fills = tuple(self._fill(each, query.client_id) for each in trades)
            self._tell(QueryAnswer(query.client_id, query.symbol, _view(order), fills))
        except _Failed as failed:
            self._trouble(f"query_{failed.outcome.reason}", "WARN")

    def _survey(self) -> None:
        dialect, symbol = self._dialect, self._symbol
        try:
            opened = self._orders(dialect.open_orders_call(symbol))
            recent = self._orders(dialect.recent_orders_call(symbol))
            trades = self._trades("")
            position = dialect.read_position(symbol, self._read(dialect.position_call(symbol)))
            balance = dialect.read_balance(self._read(dialect.balance_call()))
        except _Failed as failed:
            self._trouble(f"survey_{failed.outcome.reason}", "WARN")
            return
        for order in (*recent, *opened):
            self._learn(order)
        for order in opened:
            self._keep(order)
        self._tell(
            Surveyed(
                symbol=symbol.name,
                orders=tuple(_view(order) for order in opened),
                position_lots=position.lots,
                entry_price=position.entry_price,
                liquidation_price=position.liquidation_price,
                free_balance=balance,
                fills=tuple(self._fill(each, self._owner(each)) for each in trades),
            )
        )
        self._watch_forced(trades)

    def _watch_forced(self, trades: list[VenueTrade]) -> None:
        """A liquidation or deleveraging that was not there at the first survey calls CRIT, once."""
        forced = {
            each.trade_id
            for each in trades
            if each.is_forced or self._owner(each).startswith(self._dialect.forced_prefixes or ("\0",))
        }
        if self._forced is not None and forced - self._forced:
            self._trouble("liquidation", "CRIT")
        self._forced = forced | (self._forced or set())

    def _settle(self, standing: _Standing, order: VenueOrder) -> None:
        """Tell the fills and the end of an order that were not told yet."""
        if order.filled_lots > standing.told_lots:
            try:
                trades = self._trades(order.venue_id)
            except _Failed as failed:
                self._trouble(f"fills_{failed.outcome.reason}", "WARN")
                return
            for trade in trades:
                if trade.trade_id not in standing.told_trades:
                    standing.told_trades.add(trade.trade_id)
                    standing.told_lots += trade.size_lots
                    self._tell(self._fill(trade, order.client_id))
        if order.state == "open":
            return
        if standing.told_lots < order.filled_lots:
            self._wait_longer(standing, f"shows {standing.told_lots} lots of fills, not {order.filled_lots}")
            return
        self._standing.pop(order.client_id, None)
        state = "canceled" if order.state == "rejected" else order.state
        name = self._symbol.name
        self._tell(Ended(order.client_id, name, state, order.filled_lots, order.reason, order.updated_ns))

    def _wait_longer(self, standing: _Standing, what: str) -> None:
        standing.looks += 1
        if standing.looks % _PATIENCE_LOOKS == 0:
            self._trouble(f"{standing.client_id} {what} after {standing.looks} looks", "WARN")

    def _look_at(self, client_id: str) -> None:
        """Settle one order at once if it can be seen; if not, the next look will."""
        standing = self._standing.get(client_id)
        order = self._find_or_none(client_id) if standing is not None else None
        if standing is not None and order is not None:
            self._settle(standing, order)

    def _keep(self, order: VenueOrder) -> _Standing:
        self._learn(order)
        return self._standing.setdefault(order.client_id, _Standing(order.client_id, order.venue_id))

    def _learn(self, order: VenueOrder) -> None:
        """Remember whose a venue's id is: trades may name nothing else."""
        self._client_ids.pop(order.venue_id, None)
        self._client_ids[order.venue_id] = order.client_id
        if len(self._client_ids) > _IDS_KEPT:
            del self._client_ids[next(iter(self._client_ids))]

    def _find_or_none(self, client_id: str) -> VenueOrder | None:
        try:
            return self._find(client_id)
        except _Failed as failed:
            self._trouble(f"query_{failed.outcome.reason}", "WARN")
            return None

    def _find(self, client_id: str) -> VenueOrder | None:
        """The order by its client id wherever it can be; None when every place was asked and none has it."""
        for call in self._dialect.order_calls(self._symbol, client_id):
            for order in self._orders(call):
                if order.client_id == client_id:
                    return order
        return None

    def _orders(self, call: Call) -> list[VenueOrder]:
        document = self._read(call)
        return [] if document is None else self._dialect.read_orders(self._symbol, document)

    def _trades(self, venue_order_id: str) -> list[VenueTrade]:
        document = self._read(self._dialect.trades_call(self._symbol, venue_order_id))
        return [] if document is None else self._dialect.read_trades(self._symbol, document)

    def _read(self, call: Call) -> Any:
        """The document of an answer, None when there is no such thing; raises _Failed. Reading again does no harm."""
        outcome, document = self._send(call)
        if outcome.kind == "unknown":
            outcome, document = self._send(call)
        if outcome.kind == "gone":
            return None
        if outcome.kind != "done":
            raise _Failed(outcome)
        return document

    def _send(self, call: Call) -> tuple[Outcome, Any]:
        now_ns = self._clock.mono_ns()
        if now_ns < self._banned_until_ns:
            # Asking on would make the ban longer.
            return Outcome("refused", "banned", (self._banned_until_ns - now_ns) * 1e-9), None
        reply = self._caller.call(call)
        if reply.status == NOT_SENT:
            return Outcome("refused", "not_sent"), None
        outcome = classify(self._dialect.venue, reply)
        if outcome.is_clock:
            self._sync_clock()
        if outcome.is_ban:
            self._banned_until_ns = now_ns + round(outcome.pause_seconds * 1e9)
        if outcome.is_ban or outcome.reason == "auth":
            self._trouble(outcome.reason, "CRIT")
        return outcome, reply.document() if outcome.kind == "done" else None

    def _sync_clock(self) -> None:
        """Once in a while: a venue that refuses every stamp shall not be asked for its time every time."""
        now_ns = self._clock.mono_ns()
        if self._synced_ns is None or now_ns - self._synced_ns >= _CLOCK_SYNC_NS:
            self._synced_ns = now_ns
            if not self._caller.sync_clock():
                self._trouble("clock", "WARN")

    def _owner(self, trade: VenueTrade) -> str:
        return trade.client_id or self._client_ids.get(trade.venue_order_id, "")

    def _fill(self, trade: VenueTrade, client_id: str) -> Fill:
        return Fill(
            client_id=client_id,
            symbol=self._symbol.name,
            trade_id=trade.trade_id,
            side=trade.side,
            price_ticks=trade.price_ticks,
            size_lots=trade.size_lots,
            fee_quote=trade.fee_quote,
            is_maker=trade.is_maker,
            exchange_ns=trade.exchange_ns,
        )

    def _trouble(self, reason: str, severity: Any) -> None:
        self._tell(Trouble(self._symbol.name, reason, severity))


def _view(order: VenueOrder) -> OrderView:
    return OrderView(
        client_id=order.client_id,
        venue_id=order.venue_id,
        side=order.side,
        price_ticks=order.price_ticks,
        size_lots=order.size_lots,
        filled_lots=order.filled_lots,
        state=order.state,
    )
