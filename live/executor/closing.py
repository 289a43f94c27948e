"""Taking back what rests and closing what is held: looked at whenever the market or the time moves on."""

from collections.abc import Mapping

from live.errors import JournalError
from live.executor.controls import Controls
from live.executor.desk import Desk
from live.executor.exits import Touch, barriers, exit_reason, exit_ticks
from live.executor.ids import client_id
from live.executor.keeper import Keeper
from live.executor.records import Intent, Order, Trip
from live.executor.view import MarketView
from live.service import Parts

RETRY_NS = 100_000_000
REFUSED_NS = 1_000_000_000
BLIND_NS = 1_000_000_000
"""Between two exits of a flattening that has no market of ours to go by."""
BLIND_AFTER_NS = 3_000_000_000
"""For so long of its own running a flattening waits for a market: one that stood still may have been replaced."""
_LONGEST_STEP_NS = 250_000_000
"""What lies between two sweeps counts for so much at most: time in which this process stood still was none."""


class Closing:
    """The exits of every trip and the end of every entry. Stateless but for when an exit is tried next."""

    def __init__(
        self,
        parts: Parts,
        keeper: Keeper,
        controls: Controls,
        views: Mapping[str, MarketView],
        desks: Mapping[bool, Desk],
    ) -> None:
        self._parts, self._keeper, self._controls, self._views, self._desks = parts, keeper, controls, views, desks
        self._retry_ns: dict[str, int] = {}
        self._barriers: dict[str, tuple[int, tuple[int, int]]] = {}
        self._swept_ns, self._ran_ns = parts.clock.mono_ns(), 0
        self._blind_since: dict[str, int] = {}

    def sweep(self) -> None:
        """Cancel every entry that must not rest any longer, and close what is to be closed."""
        now_ns = self._parts.clock.mono_ns()
        self._ran_ns += min(now_ns - self._swept_ns, _LONGEST_STEP_NS)
        self._swept_ns = now_ns
        for order in list(self._keeper.ledger.live.values()):
            desk = self._desks.get(order.is_real)
            if order.leg == "entry" and desk is not None and self._why_cancel(order, desk):
                desk.cancel(order)
        for trip in list(self._keeper.ledger.open_trips.values()):
            self._look(trip)

    def look(self, symbol: str) -> None:
        """Look at the trips of a symbol whose book has moved."""
        for trip in [trip for trip in self._keeper.ledger.open_trips.values() if trip.symbol == symbol]:
            self._look(trip)

    def refused(self, order: Order) -> None:
        """An exit was refused: wait a little before the next."""
        self._retry_ns[order.approval_id] = self._parts.clock.mono_ns() + REFUSED_NS

    def _why_cancel(self, order: Order, desk: Desk) -> str:
        """Why an entry must not rest any longer; empty when it may."""
        trip, view = self._keeper.ledger.state.trips[order.approval_id], self._views.get(order.symbol)
        clock, settings = self._parts.clock, self._parts.settings
        if desk.is_real and not self._controls.is_real:
            return "fail_safe"
        if self._controls.halts(order.symbol, trip.route):
            return "halted"
        if trip.exit_reason or clock.wall_ns() >= trip.end_ns:
            return "exit"
        if desk.age_ns(order) >= settings.ladder.life_ms * 1_000_000:
            return "life"
        if view is None or view.touch() is None:
            return "book"
        age_ms = view.book_age_ms(clock.mono_ns(), clock.wall_ns())
        return "stale" if age_ms >= settings.gates.stale_cancel_ms else ""

    def _look(self, trip: Trip) -> None:
        desk, view = self._desks.get(trip.is_real), self._views.get(trip.symbol)
        if trip.lots <= 0 or desk is None or view is None:
            return
        live = self._keeper.ledger.live_of(trip.approval_id)
        if any(order.leg == "exit" for order in live):
            return
        clock = self._parts.clock
        now_ns, touch = clock.mono_ns(), view.touch()
        is_fresh = view.book_age_ms(now_ns, clock.wall_ns()) <= self._parts.settings.gates.stale_book_ms
        touch = touch if is_fresh else None
        reason = self._must_flatten(desk) or exit_reason(trip, touch, clock.wall_ns(), self._barriers_of(trip))
        if not reason:
            return
        for order in live:
            desk.cancel(order)
        if now_ns < self._retry_ns.get(trip.approval_id, 0) or desk.exit_pause_seconds() > 0:
            return
        price = self._exit_price(trip, view, touch, desk)
        if price:
            self._send(trip, price, reason, desk)
            self._retry_ns[trip.approval_id] = now_ns + (RETRY_NS if touch else BLIND_NS)

    def _exit_price(self, trip: Trip, view: MarketView, touch: Touch | None, desk: Desk) -> int:
        """What the next exit asks for; 0 where nothing can be asked for without a market of ours.

        A flattening is no choice: blind, it goes by the last book, as far through it as an order may be. The venue
        fills at its own prices, up to that one.
        """
        is_blind = touch is None
        if not is_blind:
            self._blind_since.pop(trip.approval_id, None)
        elif self._must_flatten(desk):
            since_ns = self._blind_since.setdefault(trip.approval_id, self._ran_ns)
            touch = view.last_touch() if self._ran_ns - since_ns >= BLIND_AFTER_NS else None
        if touch is None:
            return 0
        most = int((touch.bid_ticks + touch.ask_ticks) / 2 * self._parts.settings.gates.fat_finger_bps * 1e-4)
        return exit_ticks(trip, touch, trip.exits, most, is_blind=is_blind)

    def _must_flatten(self, desk: Desk) -> str:
        is_over = desk.is_real and not self._controls.is_real and self._parts.settings.fail_safe.flatten
        return "fail_safe" if is_over else ""

    def _barriers_of(self, trip: Trip) -> tuple[int, int]:
        known = self._barriers.get(trip.approval_id)
        if known is not None and known[0] == trip.entry_value:
            return known[1]
        symbol, label = self._parts.symbols[trip.symbol], self._parts.settings.label
        found = barriers(trip, net_of_fees=label.net_of_fees, taker_fee=symbol.taker_fee_bps * 1e-4)
        for memory in (self._barriers, self._retry_ns, self._blind_since):
            for key in [key for key in memory if key not in self._keeper.ledger.open_trips]:
                del memory[key]
        self._barriers[trip.approval_id] = (trip.entry_value, found)
        return found

    def _send(self, trip: Trip, price_ticks: int, reason: str, desk: Desk) -> None:
        intent = Intent(
            client_id=client_id(trip.approval_id, "exit", 0, trip.exits),
            approval_id=trip.approval_id,
            leg="exit",
            rung=0,
            replacement=trip.exits,
            side=-trip.side,
            price_ticks=price_ticks,
            size_lots=trip.lots,
            time_in_force="IOC",
            reduce_only=True,
            bucket="",
            reason=reason,
            at_ns=self._parts.clock.wall_ns(),
        )
        try:
            desk.place([], [intent])
        except JournalError as refused:
            self._parts.log.error(
                "not_sent", signal=trip.approval_id, order=intent.client_id, symbol=trip.symbol, model=trip.model_id,
                error=str(refused),
            )  # fmt: skip
