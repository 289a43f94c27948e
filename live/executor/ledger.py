"""What the executor knows, folded from its records: orders, round trips, profit, halts. No clock, no I/O.

`take` folds one record in and returns the reports it amounts to; a replay of the journal folds the same records to the
same state, byte for byte (`encoded`), and the same reports.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from bus.messages import Report, ReportKind
from live.executor import orders as machine
from live.executor.positions import Exposure, exposure, fill, net_bps, net_quote
from live.executor.records import (
    Accepted,
    AnyRecord,
    Doubted,
    Ended,
    Filled,
    Foreign,
    Halt,
    Heard,
    Intent,
    Lost,
    Money,
    Order,
    OrderFact,
    Refused,
    Snapshot,
    State,
    Taken,
    Trip,
    account_of,
    held_key,
)
from market.symbols import Symbol

NS_PER_DAY = 86_400_000_000_000
KEPT_TRIPS = 512
"""Ended trips, with their orders: a fill that comes late still finds them."""
KEPT_APPROVALS = 4_096
KEPT_EVENTS = 512
_EMPTY: tuple[Report, ...] = ()


@dataclass
class Ledger:
    """The state and what is looked up in it. `streak` losses in a row fill a row (and begin the next)."""

    symbols: Mapping[str, Symbol]
    streak: int
    state: State = field(default_factory=State)
    live: dict[str, Order] = field(init=False, default_factory=dict)
    open_trips: dict[str, Trip] = field(init=False, default_factory=dict)
    _of_trip: dict[str, dict[str, None]] = field(init=False, default_factory=dict)
    changes: int = 0
    """Counts facts about orders and positions: who compares two views of them asks whether anything came between."""

    def take(self, record: AnyRecord) -> tuple[Report, ...]:
        """Fold a record in; return what is to be told."""
        match record:
            case Snapshot():
                self.adopt(record.state)
                return record.told
            case Taken():
                return self._taken(record)
            case Intent():
                return self._intent(record)
            case Lost():
                return self._lost(record)
            case Foreign():
                self.state.foreign[held_key(record.symbol, record.is_real)] = record.lots
                return _EMPTY
            case Heard():
                self._heard(record)
                return _EMPTY
            case _:
                return self._order(record)

    def adopt(self, state: State) -> None:
        """Become a state, as a snapshot has it."""
        self.state = state
        self.live = {key: order for key, order in state.orders.items() if machine.is_live(order)}
        self.open_trips = {key: trip for key, trip in state.trips.items() if trip.is_open}
        self._of_trip = {key: {} for key in state.trips}
        for order in state.orders.values():
            self._of_trip[order.approval_id][order.client_id] = None

    def drop_unbegun(self) -> None:
        """Forget approvals whose orders a torn write has cut off: nothing was sent for them, so they are not known."""
        for key in [key for key in self.open_trips if not self._of_trip[key]]:
            del self.state.trips[key], self.open_trips[key], self._of_trip[key]
            self.state.approvals.pop(key, None)

    def encoded(self) -> bytes:
        """The whole state as bytes."""
        return msgspec.msgpack.encode(self.state)

    def mark_sent(self, client_id: str) -> None:
        """The order was handed to the venue."""
        self._put(machine.sent(self.state.orders[client_id]))

    def orders_of(self, approval_id: str) -> list[Order]:
        """Every order of a trip, oldest first."""
        return [self.state.orders[key] for key in self._of_trip.get(approval_id, {})]

    def live_of(self, approval_id: str) -> list[Order]:
        """The orders of a trip that may still trade."""
        return [order for order in self.orders_of(approval_id) if machine.is_live(order)]

    def money(self, is_real: bool) -> Money:
        """Profit and losses of an account."""
        return self.state.money.get(account_of(is_real), Money())

    def held(self, symbol: str, is_real: bool) -> int:
        """The signed position our fills amount to, lots."""
        return sum(
            trip.side * trip.lots
            for trip in self.open_trips.values()
            if trip.symbol == symbol and trip.is_real is is_real
        )

    def exposure(self, symbol: Symbol, is_real: bool, price_ticks: float) -> Exposure:
        """Worst-case exposure of a symbol on an account."""
        return exposure(
            (trip for trip in self.open_trips.values() if trip.symbol == symbol.name and trip.is_real is is_real),
            (order for order in self.live.values() if order.symbol == symbol.name and order.is_real is is_real),
            symbol,
            price_ticks,
        )

    def day_profit(self, is_real: bool, wall_ns: int) -> float:
        """Profit after fees of the UTC day of `wall_ns`; of a later one that was begun before a clock was set back."""
        money = self.money(is_real)
        return money.total if money.day >= wall_ns // NS_PER_DAY else 0.0

    # Facts

    def _taken(self, record: Taken) -> tuple[Report, ...]:
        self.state.approvals[record.approval_id] = record.at_ns
        _shorten(self.state.approvals, KEPT_APPROVALS)
        trip = Trip(
            approval_id=record.approval_id, symbol=record.symbol, side=record.side, route=record.route,
            model_id=record.model_id, is_real=record.is_real, expires_ns=record.expires_ns, end_ns=record.end_ns,
            tp_pct=record.tp_pct, sl_pct=record.sl_pct,
        )  # fmt: skip
        self._of_trip[record.approval_id] = {}
        self._put_trip(trip)
        self._forget()
        return _EMPTY

    def _intent(self, record: Intent) -> tuple[Report, ...]:
        self.changes += 1
        trip = self.state.trips[record.approval_id]
        order = machine.begin(record, trip.symbol, is_real=trip.is_real)
        self._of_trip[record.approval_id][record.client_id] = None
        self._put(order)
        if record.leg == "exit":
            reason = trip.exit_reason or record.reason
            trip = replace(trip, exits=trip.exits + 1, exit_reason=reason)
        self._put_trip(replace(trip, is_open=True))
        return _EMPTY

    def _order(self, fact: OrderFact) -> tuple[Report, ...]:
        before = self.state.orders.get(fact.client_id)
        if before is None:
            return _EMPTY
        lots = machine.counts(before, fact) if isinstance(fact, Filled) else 0
        after = machine.advance(before, fact)
        if after is before:
            return _EMPTY
        self.changes += 1
        trip = self.state.trips[after.approval_id]
        if isinstance(fact, Filled) and lots:
            trip = fill(trip, after, fact.price_ticks, lots, fact.fee_quote)
            self._put_trip(trip)
        told = [self._report(kind, after, trip, fact, lots) for kind in _kinds(before, after, fact, lots)]
        self._put(after)
        told += self._settle(trip.approval_id, fact.at_ns)
        return tuple(told)

    def _lost(self, record: Lost) -> tuple[Report, ...]:
        self.changes += 1
        trip = self.state.trips[record.approval_id]
        lots = min(record.lots, trip.lots)
        trip = replace(
            trip, exit_lots=trip.exit_lots + lots, exit_value=trip.exit_value + lots * record.price_ticks,
            exit_reason="order_mismatch",
        )  # fmt: skip
        self._put_trip(trip)
        return tuple(self._settle(trip.approval_id, record.at_ns))

    def _heard(self, record: Heard) -> None:
        self.state.heard[record.event_id] = record.at_ns
        _shorten(self.state.heard, KEPT_EVENTS)
        if record.kind == "HALT":
            key = f"{record.reason}|{record.symbol}|{record.route}"
            self.state.halts[key] = Halt(record.reason, record.symbol, record.route, record.by, record.at_ns)
        elif record.kind == "RESUME":
            for key in resumed(self.state.halts, record):
                del self.state.halts[key]

    # Trips

    def _settle(self, approval_id: str, at_ns: int) -> list[Report]:
        """End a trip that is flat and has nothing alive; a trip that held something is told of as closed."""
        trip = self.state.trips[approval_id]
        if not trip.is_open or trip.lots != 0 or self.live_of(approval_id):
            return []
        net = net_quote(trip, self.symbols[trip.symbol]) - trip.told_net
        value = trip.entry_value - trip.told_value
        if not value:
            self._put_trip(replace(trip, is_open=False))
            return []
        report = self._closed(trip, net, value, at_ns)
        self._put_trip(
            replace(trip, is_open=False, told=trip.told + 1, told_net=trip.told_net + net, told_value=trip.entry_value)
        )
        self._earn(trip, net, at_ns)
        return [report]

    def _earn(self, trip: Trip, net: float, at_ns: int) -> None:
        self.state.ended[held_key(trip.symbol, trip.is_real)] = (trip.side, at_ns)
        before = self.money(trip.is_real)
        day = max(before.day, at_ns // NS_PER_DAY)
        by_route = dict(before.by_route) if day == before.day else {}
        by_route[trip.route] = by_route.get(trip.route, 0.0) + net
        losses = before.losses + 1 if net < 0.0 else 0
        full = losses >= self.streak
        self.state.money[account_of(trip.is_real)] = Money(
            day, by_route, 0 if full else losses, at_ns if full else before.streak_ns
        )

    def _forget(self) -> None:
        """Keep the newest of the trips that have ended."""
        if len(self.state.trips) <= 2 * KEPT_TRIPS + len(self.open_trips):
            return
        ended = [key for key, trip in self.state.trips.items() if not trip.is_open]
        for key in ended[:-KEPT_TRIPS]:
            del self.state.trips[key]
            for client_id in self._of_trip.pop(key):
                del self.state.orders[client_id]

    def _put(self, order: Order) -> None:
        self.state.orders[order.client_id] = order
        if machine.is_live(order):
            self.live[order.client_id] = order
        else:
            self.live.pop(order.client_id, None)

    def _put_trip(self, trip: Trip) -> None:
        self.state.trips[trip.approval_id] = trip
        if trip.is_open:
            self.open_trips[trip.approval_id] = trip
        else:
            self.open_trips.pop(trip.approval_id, None)

    # Reports

    def _report(self, kind: ReportKind, order: Order, trip: Trip, fact: OrderFact, lots: int) -> Report:
        is_fill = kind in ("partial", "filled") and isinstance(fact, Filled)
        left = max(0, order.size_lots - order.filled_lots) if order.state in machine.LIVE else 0
        return Report(
            # Of the facts alone: a restart that learns them again tells them under the same ids.
            id=f"{order.client_id}-{kind}-{order.filled_lots}" if is_fill else f"{order.client_id}-{kind}",
            kind=kind, approval_id=trip.approval_id, client_id=order.client_id, symbol=trip.symbol, route=trip.route,
            is_real=trip.is_real, model_id=trip.model_id, leg=order.leg, rung=order.rung, side=order.side,
            price_ticks=fact.price_ticks if isinstance(fact, Filled) else order.price_ticks,
            size_lots=order.size_lots,
            # A resolution says what was known when the doubt ended; what filled meanwhile is told behind it.
            filled_lots=order.filled_lots - (lots if kind == "resolved" else 0),
            leaves_lots=left,
            is_maker=isinstance(fact, Filled) and fact.is_maker,
            fee_quote=fact.fee_quote if is_fill and isinstance(fact, Filled) else 0.0,
            net_quote=0.0, net_bps=0.0, bucket=order.bucket,
            reason=getattr(fact, "reason", "") or (order.reason if order.leg == "exit" else ""),
            exchange_ns=getattr(fact, "exchange_ns", 0), local_ns=fact.at_ns,
        )  # fmt: skip

    def _closed(self, trip: Trip, net: float, value: int, at_ns: int) -> Report:
        lots = trip.entry_lots
        return Report(
            id=f"{trip.approval_id}-closed-{trip.told}", kind="closed", approval_id=trip.approval_id, client_id="",
            symbol=trip.symbol, route=trip.route, is_real=trip.is_real, model_id=trip.model_id, leg="exit", rung=0,
            side=-trip.side, price_ticks=trip.exit_value // max(1, trip.exit_lots), size_lots=lots,
            filled_lots=trip.exit_lots, leaves_lots=0, is_maker=False, fee_quote=trip.fees_quote, net_quote=net,
            net_bps=net_bps(net, value, self.symbols[trip.symbol]), bucket="", reason=trip.exit_reason,
            exchange_ns=0, local_ns=at_ns,
        )  # fmt: skip


def resumed(halts: Mapping[str, Halt], event: Heard) -> list[str]:
    """The keys of the halts that a RESUME lifts.

    A guard lifts its own halt alone. A person lifts what he names by reason, or all when he names none of them; within
    the symbol and the route he names, if he does.
    """
    if not is_person(event.by):
        key = f"{event.reason}|{event.symbol}|{event.route}"
        return [key] if key in halts else []
    named = any(halt.reason == event.reason for halt in halts.values())
    return [
        key
        for key, halt in halts.items()
        if (not named or halt.reason == event.reason)
        and event.symbol in ("", halt.symbol)
        and event.route in ("", halt.route)
    ]


def is_person(by: str) -> bool:
    """Whether a control event comes from a person: `operator`, or `operator:` and a name."""
    return by == "operator" or by.startswith("operator:")


def _kinds(before: Order, after: Order, fact: OrderFact, lots: int) -> Iterator[ReportKind]:
    """What a fact about an order is told as."""
    if before.state == "unknown" and after.state != "unknown":
        yield "resolved"
    match fact:
        case Accepted():
            if before.state in ("new", "sent"):
                yield "accepted"
        case Doubted():
            yield "unknown"
        case Refused():
            yield "refused"
        case Filled():
            if lots:
                yield "filled" if after.filled_lots >= after.size_lots else "partial"
            if after.state in ("canceled", "expired") and before.state in machine.LIVE:
                yield after.state  # type: ignore[misc]  # one of the two
        case Ended():
            if after.state in ("canceled", "expired"):
                yield after.state  # type: ignore[misc]  # one of the two


def _shorten(ids: dict[str, int], most: int) -> None:
    """Forget the oldest ids once there are twice as many as wanted."""
    if len(ids) > 2 * most:
        for key in list(ids)[:-most]:
            del ids[key]
