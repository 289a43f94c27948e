"""From an approval to resting orders, or to a drop that says which gate was closed."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from bus.messages import Approval, Report
from bus.streams import REPORTS
from live.errors import JournalError
from live.executor.backpressure import Throttle
from live.executor.controls import JOURNAL_HALT, Controls
from live.executor.desk import Desk
from live.executor.facts import Facts
from live.executor.gates import Closed, closed_gate, ttl_text
from live.executor.ids import client_id
from live.executor.keeper import Keeper
from live.executor.ladder import Rung, rungs
from live.executor.records import Intent, Order, Taken, Trip
from live.executor.sizing import lots_for
from live.executor.view import MarketView
from live.service import Parts
from monitoring.metrics import BUCKETS, GATES

QUEUE_LOOK_EACH = 64
"""Approvals between two looks at how many wait."""
LONGEST_TTL_NS = 600_000_000_000
"""No approval lives longer (signals.ttl_ms)."""
REPRICED = ("post_only", "absent")
"""Refusals behind which an entry is sent once more, at the price of then."""


class Entries:
    """Decides on approvals. `waiting` tells how many approvals are queued behind the one in hand, where that is known.

    An approval is known for as long as its TTL would let it pass, and for ever once it was acted on (the journal says
    so): a second delivery does nothing.
    """

    def __init__(
        self,
        parts: Parts,
        keeper: Keeper,
        controls: Controls,
        views: Mapping[str, MarketView],
        waiting: Callable[[], int],
    ) -> None:
        self._parts, self._keeper, self._controls, self._views = parts, keeper, controls, views
        self._facts = Facts(parts, keeper, controls, views)
        self._waiting = waiting
        self.throttle = Throttle(parts.settings.backpressure)
        self._queue_len = self._since_look = 0
        self._dropped: OrderedDict[str, int] = OrderedDict()
        self._again: dict[str, Order] = {}
        metrics, symbols = parts.metrics, parts.symbols
        self._drop_counts = {
            (name, gate): metrics.gate_drop_total.labels(name, gate) for name in symbols for gate in GATES
        }
        self._buckets = {name: metrics.exec_ladder_aggressiveness_total.labels(name) for name in BUCKETS}

    @property
    def queue_len(self) -> int:
        """Approvals waiting, as last looked at."""
        return self._queue_len

    def look_at_queue(self) -> None:
        """Ask how many approvals wait."""
        self._queue_len, self._since_look = self._waiting(), 0
        pressure = self.throttle.observe(self._parts.clock.mono_ns(), self._queue_len)
        self._parts.metrics.backpressure_active.set(pressure.is_active)

    def take(self, approval: Approval, desk: Desk) -> None:
        """Act on an approval, or drop it and tell why."""
        self._since_look += 1
        if self._since_look >= QUEUE_LOOK_EACH:
            self.look_at_queue()
        wall_ns = self._parts.clock.wall_ns()
        if approval.id in self._keeper.ledger.state.approvals or approval.id in self._dropped:
            self._drop_counts[approval.symbol, "duplicate"].inc()
            return
        if text := ttl_text(approval.expires_ns, approval.local_ns, wall_ns):
            self._drop(approval, desk, Closed("ttl", text))
            return
        if shed := self.throttle.judge(approval.route, self._queue_len - self._since_look + 1):
            self._parts.metrics.backpressure_total.labels(self._parts.settings.backpressure.drop_mode).inc()
            self._drop(approval, desk, Closed("backpressure", f"too many approvals wait ({shed})"))
            return
        orders = self._orders(approval, desk)
        closed = closed_gate(self._facts.situation(approval, desk, orders, is_known=False, shed=""))
        if closed is not None:
            self._drop(approval, desk, closed)
            return
        self._begin(approval, desk, orders, wall_ns)

    def dropped_before(self, report: Report) -> None:
        """An earlier run told of this drop and may have died before it acknowledged: it is not judged again."""
        if report.reason != "ttl":
            self._dropped[report.approval_id] = report.local_ns + LONGEST_TTL_NS

    def again(self, order: Order, reason: str) -> None:
        """An entry would have crossed, or is proven never to have stood: it is sent once more, while its TTL lasts."""
        trip = self._keeper.ledger.state.trips[order.approval_id]
        most = self._parts.settings.ladder.max_reprices
        if reason in REPRICED and order.leg == "entry" and order.replacement < most and not trip.exit_reason:
            self._again[order.client_id] = order

    def retry(self, desks: Mapping[bool, Desk]) -> None:
        """Send what is to be sent once more, as soon as its gates are open; forget what has expired meanwhile."""
        for key, order in list(self._again.items()):
            trip, desk = self._keeper.ledger.state.trips.get(order.approval_id), desks[order.is_real]
            is_over = trip is None or bool(trip.exit_reason) or self._expired(trip, order)
            if is_over or (desk.is_real and not self._controls.is_real) or self._send_again(order, desk):
                del self._again[key]

    def _expired(self, trip: Trip, order: Order) -> bool:
        return bool(ttl_text(trip.expires_ns, order.at_ns, self._parts.clock.wall_ns()))

    def _send_again(self, order: Order, desk: Desk) -> bool:
        trip, touch = self._keeper.ledger.state.trips[order.approval_id], self._views[order.symbol].touch()
        if touch is None:
            return False
        step = order.rung * self._parts.settings.ladder.step_ticks
        price = (touch.bid_ticks if order.side > 0 else touch.ask_ticks) - order.side * step
        approval = _approval_of(trip, order.at_ns)
        rung = Rung(order.rung, price, order.size_lots, order.bucket)
        if closed_gate(self._facts.situation(approval, desk, [rung], is_known=False, shed="")) is not None:
            return False
        return self._send([], [self._intent(trip.approval_id, order.side, rung, order.replacement + 1)], desk)

    def _orders(self, approval: Approval, desk: Desk) -> list[Rung]:
        """The orders that an approval would become now; none where there is no market, no money, or too little."""
        view, sizing = self._views[approval.symbol], self._parts.settings.sizing
        free, touch = desk.surveys.free_balance, view.touch()
        if free is None or touch is None:
            return []
        symbol = self._parts.symbols[approval.symbol]
        price = touch.bid_ticks if approval.side > 0 else touch.ask_ticks
        ladder = self._parts.settings.ladder
        # A sell rests at higher prices: sized at the highest of them, it stays below the cap.
        dearest = price + (ladder.rungs - 1) * ladder.step_ticks if approval.side < 0 else price
        lots = lots_for(sizing.cap_notional, free, sizing.leverage, dearest, symbol)
        book = view.our_side(approval.side, self._parts.clock.mono_ns())
        return rungs(approval.side, lots, book, symbol, ladder) if lots else []

    def _begin(self, approval: Approval, desk: Desk, orders: list[Rung], wall_ns: int) -> None:
        taken = Taken(
            approval_id=approval.id,
            symbol=approval.symbol,
            side=approval.side,
            route=approval.route,
            model_id=approval.model_id,
            is_real=desk.is_real,
            expires_ns=approval.expires_ns,
            end_ns=approval.local_ns + approval.horizon_ns,
            tp_pct=approval.tp_pct,
            sl_pct=approval.sl_pct,
            at_ns=wall_ns,
        )
        intents = [self._intent(approval.id, approval.side, rung, 0) for rung in orders]
        if not self._send([taken], intents, desk):
            self._drop(approval, desk, Closed("halted", JOURNAL_HALT))

    def _intent(self, approval_id: str, side: int, rung: Rung, replacement: int) -> Intent:
        return Intent(
            client_id=client_id(approval_id, "entry", rung.number, replacement),
            approval_id=approval_id,
            leg="entry",
            rung=rung.number,
            replacement=replacement,
            side=side,
            price_ticks=rung.price_ticks,
            size_lots=rung.size_lots,
            time_in_force="GTX",
            reduce_only=False,
            bucket=rung.bucket,
            reason="",
            at_ns=self._parts.clock.wall_ns(),
        )

    def _send(self, taken: list[Taken], intents: list[Intent], desk: Desk) -> bool:
        try:
            desk.place(taken, intents)
        except JournalError as refused:
            self._parts.log.error(
                "not_sent", signal=intents[0].approval_id, order=intents[0].client_id, error=str(refused)
            )
            return False
        for intent in intents:
            self._buckets[intent.bucket].inc()
        return True

    def _drop(self, approval: Approval, desk: Desk, closed: Closed) -> None:
        self._drop_counts[approval.symbol, closed.gate].inc()
        if closed.gate == "warmup":
            self._parts.metrics.warmup_drop_total.labels(approval.symbol).inc()
        if closed.gate != "ttl":  # an expired one stays expired, and need not be remembered
            self._remember(approval)
        report = Report(
            id=f"{approval.id}-dropped", kind="dropped", approval_id=approval.id, client_id="",
            symbol=approval.symbol, route=approval.route, is_real=desk.is_real, model_id=approval.model_id,
            leg="entry", rung=0, side=approval.side, price_ticks=0, size_lots=0, filled_lots=0, leaves_lots=0,
            is_maker=False, fee_quote=0.0, net_quote=0.0, net_bps=0.0, bucket="", reason=closed.gate,
            exchange_ns=approval.t_ns, local_ns=self._parts.clock.wall_ns(),
        )  # fmt: skip
        self._parts.out.publish(REPORTS, report, message_id=report.id, exchange_ns=approval.t_ns)
        self._parts.log.debug(
            "dropped", signal=approval.id, symbol=approval.symbol, model=approval.model_id, gate=closed.gate,
            text=closed.text,
        )  # fmt: skip

    def _remember(self, approval: Approval) -> None:
        wall_ns = self._parts.clock.wall_ns()
        self._dropped[approval.id] = approval.expires_ns
        while self._dropped and next(iter(self._dropped.values())) < wall_ns:
            self._dropped.popitem(last=False)


def _approval_of(trip: Trip, at_ns: int) -> Approval:
    """A trip's approval as far as gates look at it, as of its last order: a clock that was set back renews nothing."""
    return Approval(
        trip.approval_id, trip.approval_id, trip.symbol, trip.side, trip.route, trip.model_id, 0, 0.0, 0.0, at_ns,
        at_ns, trip.expires_ns, 0, 0, trip.tp_pct, trip.sl_pct, 0,
    )  # fmt: skip
