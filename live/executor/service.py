"""The executor: from approvals to orders, positions and their ends, on paper and, where it is let, for real.

    executor = Executor(parts, paper=PaperExchange(...), real=None)

What it knows is in its journal; what it decides is decided by pure functions; what it does is written down before it
is done. `crash` is called with the name of each point at which the process may die (after_read, after_intent,
after_send, after_result, before_ack); a test raises there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bus import streams
from bus.messages import Approval, BookImage, BookStatus, ControlEvent, MarketTrade, MarkPrice, Received, Report
from bus.streams import APPROVED, CONTROL, REPORTS
from live.errors import BadApproval, StillOpen
from live.exchange.paper import OpenOrder, OpenPosition, PaperExchange
from live.exchange.protocol import Exchange, Place
from live.executor import records
from live.executor.closing import Closing
from live.executor.controls import NAME, Controls
from live.executor.desk import Crash, Desk, Happened
from live.executor.entries import Entries
from live.executor.facts import Facts
from live.executor.gates import distance_bps, nonsense
from live.executor.journal_files import DiskFile, JournalFile
from live.executor.keeper import Keeper
from live.executor.mode import STATE_FILE, FailSafe, Mode
from live.executor.orders import UNPROVEN
from live.executor.positions import entry_ticks, unit_quote
from live.executor.view import MarketView
from live.market_feed import Event, Lost, MarketFeed
from live.service import Parts, Subscription

JOURNAL_FILE = "executor.journal"
_CONTROL_READ = 1_000
_REPORTS_READ = 1_000
_GRACE_NS = 2_000_000_000
_SECOND_NS = 1_000_000_000


def _go_on(_point: str) -> None:
    """No crash is planned."""


def _nothing_waits() -> int:
    """How long the queue is, is not known."""
    return 0


class Executor:
    """The service. `waiting` tells how many approvals are not acknowledged yet (bus.depth of its group).

    Raises JournalError when the journal cannot be read, is damaged, or is another executor's.
    """

    name = NAME

    def __init__(
        self,
        parts: Parts,
        paper: Exchange,
        real: Exchange | None = None,
        *,
        journal_file: JournalFile | None = None,
        waiting: Callable[[], int] = _nothing_waits,
        crash: Crash = _go_on,
    ) -> None:
        settings, clock = parts.settings, parts.clock
        wanted = Mode.REAL if settings.exchange.mode == "real" and real is not None else Mode.PAPER
        self._parts, self._crash = parts, crash
        self._keeper = Keeper(parts, journal_file or DiskFile(parts.var / JOURNAL_FILE))
        fail_safe = FailSafe(settings.fail_safe, clock, parts.var / STATE_FILE, wanted)
        self._controls = Controls(parts, self._keeper, fail_safe)
        recover_ns = round(settings.warmup.recover_seconds * 1e9)
        self._views = {name: MarketView(name, recover_ns) for name in parts.symbols}
        self._desks = {False: Desk(paper, self._keeper, parts, crash)}
        if real is not None and settings.exchange.mode == "real":  # in paper mode the client is never touched
            self._desks[True] = Desk(real, self._keeper, parts, crash)
        self._feed = MarketFeed(parts.symbols)
        self._facts = Facts(parts, self._keeper, self._controls, self._views)
        self._entries = Entries(parts, self._keeper, self._controls, self._views, waiting)
        self._closing = Closing(parts, self._keeper, self._controls, self._views, self._desks)
        self._started_ns = clock.mono_ns()
        self._is_ready = self._told_again = False
        self._show_ns = 0

    @property
    def journal_head(self) -> str:
        """The hash of everything the journal ever held: the same history gives the same."""
        return self._keeper.head

    @property
    def state(self) -> bytes:
        """Everything that is known, as bytes: the same after any number of restarts."""
        return self._keeper.ledger.encoded()

    def subscriptions(self) -> Sequence[Subscription]:
        """Approvals for certain; control from a while back, so that a halt is not missed; the market from now."""
        names = self._parts.symbols
        market = [
            Subscription(stream(name)) for name in names for stream in (streams.book, streams.trade, streams.mark)
        ]
        return [
            Subscription(CONTROL, start=f"recent:{_CONTROL_READ}"),
            Subscription(REPORTS, start=f"recent:{_REPORTS_READ}"),
            *market,
            Subscription(APPROVED, NAME),
        ]

    def start(self) -> None:
        """Take up what an earlier run left; nothing is sent but questions until venue and journal agree.

        Raises StillOpen when something is open on a symbol that is not traded any more.
        """
        self._started_ns = self._parts.clock.mono_ns()
        self._refuse_strangers()
        for desk in self._desks.values():
            self._take_up(desk)
        orphans = [trip for trip in self._keeper.ledger.open_trips.values() if trip.is_real not in self._desks]
        if orphans:
            held = ", ".join(sorted({f"{trip.side * trip.lots} lots of {trip.symbol}" for trip in orphans}))
            text = f"real orders or positions of an earlier run are open ({held}) and exchange.mode is paper"
            self._controls.crit("order_mismatch", text)
        self._keeper.settle()
        self._is_ready = True
        self._parts.log.info(
            "executor_started", mode=str(self._controls.fail_safe.mode), journal=self._keeper.head,
            open_trips=len(self._keeper.ledger.open_trips), live_orders=len(self._keeper.ledger.live),
        )  # fmt: skip

    def handle(self, received: Received) -> None:
        """Take one message."""
        body = received.body
        match body:
            case Approval():
                self._approve(body)
            case ControlEvent():
                if self._controls.hear(received, body):
                    self._closing.sweep()
                    self._end_switch()
                    self._keeper.settle()
            case Report():
                self._keeper.seen(body.id)
                if body.kind == "dropped" and not self._told_again:
                    self._entries.dropped_before(body)
            case MarkPrice():
                self._mark(body)
            case BookImage() | BookStatus() | MarketTrade():
                for event in self._feed.take(received):
                    self._see(event)
                self._keeper.settle()
            case _:
                pass

    def tick(self) -> None:
        """Look at the venues, the time, and what is open."""
        now_ns = self._parts.clock.mono_ns()
        for event in self._feed.tick(now_ns):
            self._see(event)
        self._entries.look_at_queue()
        self._poll()
        for desk in self._desks.values():
            desk.tick()
        self._notice_stale_books(now_ns)
        self._closing.sweep()
        self._entries.retry(self._desks)
        self._look_after_real()
        self._end_switch()
        if not self._told_again and now_ns - self._started_ns >= _GRACE_NS:
            self._told_again = True
            self._keeper.tell_again()
        self._keeper.settle()
        if now_ns >= self._show_ns:
            self._show_ns = now_ns + _SECOND_NS
            self._show()

    def status(self) -> Mapping[str, Any]:
        """What `tidegate status` shows."""
        ledger, safe = self._keeper.ledger, self._controls.fail_safe
        wall_ns = self._parts.clock.wall_ns()
        return {
            "ready": self._is_ready and not self._keeper.problem,
            "mode": str(safe.mode),
            "cooldown_seconds": safe.remaining_seconds,
            "needs_person": safe.needs_person,
            "halts": self._controls.reasons(),
            "positions": {
                records.held_key(name, is_real): lots
                for is_real in self._desks
                for name in self._parts.symbols
                if (lots := ledger.held(name, is_real))
            },
            "open_trips": len(ledger.open_trips),
            "live_orders": len(ledger.live),
            "unknown_orders": sum(order.state == "unknown" for order in ledger.live.values()),
            "queue": self._entries.queue_len,
            "pnl_quote": {records.account_of(key): ledger.day_profit(key, wall_ns) for key in self._desks},
            "books": {name: view.state for name, view in self._views.items()},
            "reconciled": {
                records.held_key(name, key): desk.surveys.is_done(name)
                for key, desk in self._desks.items()
                for name in self._parts.symbols
            },
            "journal": self._keeper.problem or self._keeper.head,
        }

    def stop(self) -> None:
        """End in order: entries are taken back, the journal and the mode are on the disk, nothing stays open."""
        try:
            for desk in self._desks.values():
                for order in desk.live():
                    if order.leg == "entry":
                        desk.cancel(order)
                desk.exchange.close()  # which first does what it was told, and hears the answers
            self._poll()
            self._tell_what_is_left()
            self._controls.fail_safe.stop()
        finally:
            self._is_ready = False
            self._keeper.close()

    def _tell_what_is_left(self) -> None:
        """Real positions that nobody looks after from now on."""
        held = [trip for trip in self._keeper.ledger.open_trips.values() if trip.is_real and trip.lots]
        if held:
            lots = ", ".join(sorted(f"{trip.side * trip.lots} lots of {trip.symbol}" for trip in held))
            self._controls.warn(
                "operator", f"stopped with real positions open ({lots}): nothing closes them until a start"
            )

    # Approvals

    def _approve(self, approval: Approval) -> None:
        self._crash("after_read")
        if text := nonsense(approval):
            raise BadApproval(f"{approval.id}: {text}")
        if approval.symbol not in self._parts.symbols:
            self._parts.log.warning("foreign_symbol", signal=approval.id, symbol=approval.symbol)
            return
        self._entries.take(approval, self._desk_of(approval.route))
        self._crash("before_ack")

    def _desk_of(self, route: str) -> Desk:
        """Where a route trades now: canary and full at the venue while orders are real, everything else on paper."""
        is_real = route != "paper" and self._controls.is_real
        return self._desks[True] if is_real else self._desks[False]

    # The market

    def _see(self, event: Event) -> None:
        view, now_ns = self._views[event.symbol], self._parts.clock.mono_ns()
        match event:
            case BookImage():
                view.on_book(event, now_ns)
                for desk in self._desks.values():
                    desk.exchange.on_book(event)
            case MarketTrade():
                view.on_trade(event, now_ns)
                for desk in self._desks.values():
                    desk.exchange.on_trade(event)
            case BookStatus():
                view.on_status(event, now_ns)
                if event.state != "live":
                    self._void(event.symbol)
            case Lost():
                view.void("lost")
                self._void(event.symbol)
        if self._keeper.ledger.open_trips:
            self._poll()
            self._closing.look(event.symbol)

    def _mark(self, mark: MarkPrice) -> None:
        view = self._views.get(mark.symbol)
        if view is not None:
            view.on_mark(mark, self._parts.clock.mono_ns())
            for desk in self._desks.values():
                desk.exchange.on_mark(mark)

    def _void(self, symbol: str) -> None:
        """The book is not certain: no place in a queue is, and nothing of ours may rest."""
        for desk in self._desks.values():
            desk.exchange.void(symbol)
        self._closing.sweep()

    def _notice_stale_books(self, now_ns: int) -> None:
        """A book too old to rest in: normal depth is asked for again."""
        wall_ns, most = self._parts.clock.wall_ns(), self._parts.settings.gates.stale_cancel_ms
        for view in self._views.values():
            if view.image is not None and view.book_age_ms(now_ns, wall_ns) >= most:
                view.disturb(now_ns)

    # Venues

    def _poll(self) -> None:
        for desk in self._desks.values():
            self._act_on(desk.poll(), desk)

    def _act_on(self, happened: Happened, desk: Desk) -> None:
        for order, reason in happened.refused:
            if order.leg == "exit":
                self._closing.refused(order)
            else:
                self._entries.again(order, reason)
        for severity, symbol, text in happened.troubles:
            is_mismatch = severity == "MISMATCH"
            reason = "order_mismatch" if is_mismatch else "venue_error"
            if is_mismatch and symbol:
                self._controls.halt(reason, symbol)
            if desk.is_real and (is_mismatch or severity == "CRIT"):
                self._controls.crit(reason, text, symbol)
            else:
                self._controls.warn(reason, text, symbol)

    def _refuse_strangers(self) -> None:
        """What is open must be looked after: not to know its market would be to leave it alone."""
        ledger = self._keeper.ledger
        held = {order.symbol for order in ledger.live.values()} | {trip.symbol for trip in ledger.open_trips.values()}
        if names := sorted(held - set(self._parts.symbols)):
            self._keeper.close()
            raise StillOpen(
                f"the journal has open orders or positions of {', '.join(names)}, which market.symbols does not name; "
                "name them there until they are closed"
            )

    def _take_up(self, desk: Desk) -> None:
        """What of an earlier run is still alive at a venue."""
        at_ns = self._parts.clock.wall_ns()
        if isinstance(desk.exchange, PaperExchange):
            self._take_up_paper(desk, desk.exchange)
            return
        for order in desk.live():
            if order.state in ("new", "sent"):
                self._keeper.keep(records.Doubted(order.client_id, "restart", at_ns))
            desk.ask(order.client_id)

    def _take_up_paper(self, desk: Desk, exchange: PaperExchange) -> None:
        """The paper exchange ended with its process: what rested rests again, what was on its way is gone."""
        at_ns, ledger = self._parts.clock.wall_ns(), self._keeper.ledger
        orders, positions = [], []
        for order in desk.live():
            if order.state in UNPROVEN:
                self._keeper.keep(records.Refused(order.client_id, "restart", 0, at_ns))
            elif order.time_in_force == "IOC" or order.doubt:
                self._keeper.keep(records.Ended(order.client_id, "canceled", order.filled_lots, "restart", 0, at_ns))
            else:
                place = Place(
                    order.client_id, order.symbol, order.side, order.price_ticks, order.size_lots, order.time_in_force,
                    order.reduce_only,
                )  # fmt: skip
                orders.append(OpenOrder(place, order.filled_lots))
        for name, symbol in self._parts.symbols.items():
            if lots := ledger.held(name, is_real=False):
                trips = [trip for trip in ledger.open_trips.values() if trip.symbol == name and not trip.is_real]
                value = sum(trip.lots * entry_ticks(trip) for trip in trips)
                positions.append(OpenPosition(name, lots, value / abs(lots) * float(symbol.price_tick)))
        exchange.restore(orders, positions)

    def _look_after_real(self) -> None:
        """The dead-man switch and surveys of the venue, while it is used or something of ours is there."""
        desk = self._desks.get(True)
        if desk is None:
            return
        is_used = (
            self._controls.is_real
            or bool(desk.live())
            or any(trip.is_real for trip in self._keeper.ledger.open_trips.values())
        )
        desk.surveys.want(is_used)
        desk.keep_alive(tuple(self._parts.symbols), is_wanted=is_used)

    def _end_switch(self) -> None:
        desk = self._desks.get(True)
        unresolved = 0 if desk is None else sum(order.leg == "entry" for order in desk.live())
        self._controls.tick(unresolved)

    # What is shown

    def _show(self) -> None:
        metrics = self._parts.metrics
        for is_real, desk in self._desks.items():
            for name, symbol in self._parts.symbols.items():
                view = self._views[name]
                lots = self._keeper.ledger.held(name, is_real)
                notional = lots * view.mid_ticks() * unit_quote(symbol)
                metrics.position_notional.labels(name, records.account_of(is_real)).set(notional)
                self._show_distance(name, desk)

    def _show_distance(self, name: str, desk: Desk) -> None:
        """The distance of the mark to liquidation, of the account that orders go by."""
        view = self._views[name]
        if desk.is_real is not self._controls.is_real or view.mark is None or view.mark.price <= 0.0:
            return
        bps = distance_bps(self._facts.standing(name, desk))
        self._parts.metrics.near_liq_guard.labels(name).set(bps)
