"""One symbol at the paper exchange: requests arrive in the venue's time, between the market's events, and are matched.

What arrives at the same nanosecond as an event of the market comes behind it. Everything the lane says carries the
venue's time; when we hear of it is paper.py's business.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Literal

from bus.messages import BookImage, MarketTrade, MarkPrice
from live.exchange.matching import Execution, Matcher, PaperOrder, Rules
from live.exchange.paper_account import Account
from live.exchange.paper_band import Band
from live.exchange.paper_depth import ImageDepth
from live.exchange.paper_records import Record, Records
from live.exchange.protocol import (
    Accepted,
    Cancel,
    CancelAll,
    Ended,
    Fill,
    KeepAlive,
    Place,
    Query,
    QueryAnswer,
    Refused,
    Request,
    Survey,
    Surveyed,
    VenueEvent,
)
from live.exchange.queue_models import QueueModel
from market.columns import BOOK_RESET
from market.symbols import Symbol

MOST_OPEN = 200
"""Orders a symbol may have open, as Binance has it."""

Say = Callable[[VenueEvent, int], None]
"""Handed what happened and when, in the venue's time."""


class Lane:
    """The book, our orders and their places on one symbol."""

    def __init__(
        self, symbol: Symbol, account: Account, queue: QueueModel, rules: Rules, life_ns: int, say: Say
    ) -> None:
        self.symbol = symbol
        self.now_ns = 0
        self.band: Band
        self.records = Records()
        self._account = account
        self._depth = ImageDepth()
        self._matcher = Matcher(self._depth, queue, rules)
        self.band = Band(self._depth, rules, self._value, symbol.maker_fee_bps, life_ns)
        self._say = say
        self._inbox: deque[tuple[int, Request]] = deque()
        self._dead_man_ns: int | None = None
        self._mark: MarkPrice | None = None

    def receive(self, request: Request, at_ns: int) -> None:
        """A request is on its way; those of one symbol arrive in the order in which they were sent."""
        self._inbox.append((at_ns, request))

    def advance(self, until_ns: int) -> None:
        """Let everything arrive that arrives before `until_ns`."""
        while self._inbox and self._inbox[0][0] < until_ns:
            at_ns, request = self._inbox.popleft()
            self._pass_time(at_ns)
            self._arrive(request)
        self._pass_time(until_ns)

    def arrive_now(self, request: Request) -> None:
        """Answer at once: no market has been seen, so there is no venue's time to wait for."""
        self._arrive(request)

    def on_book(self, image: BookImage) -> None:
        """Become what the image shows, and fill what that fills."""
        self.advance(image.exchange_ns)
        if image.flags & BOOK_RESET:
            self._depth.clear()
            self._matcher.lose_places()
            self.band.lose_places()
        changes = self._depth.show(image)
        if len(self._matcher):
            for change in changes:
                self._matcher.changed(change)
            for side in (1, -1):
                self._filled(self._matcher.crossed(side))
        self.band.changed(changes, self.now_ns)
        if image.flags & BOOK_RESET:
            self._matcher.find_places()
            self.band.find_places()
        position = self._account.positions.get(self.symbol.name)
        if position is not None and self._mark is None and self._depth.is_whole():
            position.mark = self._depth.mid_ticks() * float(self.symbol.price_tick)

    def on_trade(self, trade: MarketTrade) -> None:
        """Move queues by a print. One whose taker is not known is judged by where it lies in the book."""
        self.advance(trade.exchange_ns)
        aggressor = trade.aggressor or self._guess_aggressor(trade.price_ticks)
        if aggressor:
            if len(self._matcher):
                self._filled(self._matcher.printed(aggressor, trade.price_ticks, trade.size_lots))
            self.band.printed(aggressor, trade.price_ticks, trade.size_lots, self.now_ns)

    def on_mark(self, mark: MarkPrice) -> None:
        """Value the position; pay funding when the moment that was announced has come, at the rate announced."""
        self.advance(mark.exchange_ns)
        before, self._mark = self._mark, mark
        position = self._account.position(self.symbol.name)
        if before is not None and 0 < before.next_funding_ns <= mark.exchange_ns and position.lots:
            self._account.fund(self.symbol.name, before.funding_rate)
        position.mark = mark.price

    def lose_places(self) -> None:
        """The book broke: nothing is known of it, nor of our places, until the next image."""
        self._depth.clear()
        self._matcher.lose_places()
        self.band.lose_places()

    def put_back(self, place: Place, filled_lots: int) -> None:
        """Have an order of an earlier run rest again, behind everything that is displayed."""
        self.records.add(place, filled_lots)
        order = PaperOrder(place.client_id, place.side, place.price_ticks, place.size_lots, place.reduce_only)
        order.leaves = place.size_lots - filled_lots
        self._matcher.put_back(order, self.now_ns)

    def open_notional(self) -> float:
        """Quote units of what rests and would open a position."""
        return sum(self._value(order.ticks, order.leaves) for order in self._matcher.orders() if not order.reduce_only)

    def _value(self, ticks: float, lots: float) -> float:
        return self._account.value(self.symbol.name, ticks, lots)

    def _pass_time(self, now_ns: int) -> None:
        if self._dead_man_ns is not None and now_ns >= self._dead_man_ns:
            self.now_ns, self._dead_man_ns = max(self.now_ns, self._dead_man_ns), None
            self._cancel_all("dead_man")
        self.now_ns = max(self.now_ns, now_ns)
        self.band.advance(self.now_ns, self._depth.mid_ticks())

    def _arrive(self, request: Request) -> None:
        match request:
            case Place():
                self._place(request)
            case Cancel(client_id=client_id):
                self._cancel(client_id)
            case CancelAll():
                self._cancel_all("canceled_all")
            case Query(client_id=client_id, symbol=name):
                record = self.records.get(client_id)
                fills = tuple(record.fills) if record else ()
                self._tell(QueryAnswer(client_id, name, record.view() if record else None, fills))
            case Survey():
                self._survey()
            case KeepAlive(timeout_ms=timeout_ms):
                self._dead_man_ns = self.now_ns + timeout_ms * 1_000_000 if timeout_ms else None

    def _place(self, place: Place) -> None:
        known = self.records.get(place.client_id)
        if known is not None:
            # As the venues do: the first one stands, and saying so again does no harm.
            self._tell(Accepted(place.client_id, place.symbol, known.venue_id, self.now_ns))
            return
        reason = self._refusal(place)
        if reason:
            self._tell(Refused(place.client_id, place.symbol, reason, exchange_ns=self.now_ns))
            return
        size = min(place.size_lots, self._room(place.side)) if place.reduce_only else place.size_lots
        is_resting = place.time_in_force == "GTX"
        order = PaperOrder(place.client_id, place.side, place.price_ticks, place.size_lots if is_resting else size)
        order.reduce_only = place.reduce_only
        record = self.records.add(place)
        self._tell(Accepted(place.client_id, place.symbol, record.venue_id, self.now_ns))
        if is_resting:
            self._matcher.rest(order, self.now_ns)
            if not place.reduce_only:
                self.band.enter(place.client_id, place.side, place.price_ticks, place.size_lots, self.now_ns)
            return
        self._filled(self._matcher.take(order))
        if record.state == "open":
            self._end(record, "expired", "reduce_only" if order.is_done else "ioc")

    def _refusal(self, place: Place) -> str:
        """Why an order is refused; empty when it is not."""
        if place.side not in (1, -1) or place.size_lots <= 0 or place.price_ticks <= 0:
            return "malformed"
        if not self._depth.is_whole():
            return "no_market"
        if place.time_in_force == "GTX" and self._matcher.would_cross(place.side, place.price_ticks):
            return "post_only"
        if place.reduce_only:
            return "" if self._room(place.side) > 0 else "reduce_only"
        notional = self._value(place.price_ticks, place.size_lots)
        if notional < float(self.symbol.min_notional):
            return "min_notional"
        if len(self._matcher) >= MOST_OPEN:
            return "too_many_orders"
        if self._account.free(self.open_notional() + notional) < 0:
            return "balance"
        return ""

    def _cancel(self, client_id: str) -> None:
        order, record = self._matcher.cancel(client_id), self.records.get(client_id)
        self.band.cancel(client_id)
        if order is None or record is None:
            name = self.symbol.name
            self._tell(Refused(client_id, name, "unknown_order", is_cancel=True, exchange_ns=self.now_ns))
        else:
            self._end(record, "canceled", "canceled")

    def _cancel_all(self, reason: str) -> None:
        for order in self._matcher.orders():
            self._matcher.cancel(order.client_id)
            self.band.cancel(order.client_id)
            if (record := self.records.get(order.client_id)) is not None:
                self._end(record, "canceled", reason)

    def _survey(self) -> None:
        name, held = self.symbol.name, self._account.position(self.symbol.name)
        self._tell(
            Surveyed(
                symbol=name,
                orders=tuple(record.view() for record in self.records.open()),
                position_lots=held.lots,
                entry_price=held.entry_price,
                liquidation_price=self._account.liquidation_price(name),
                free_balance=self._account.free(self.open_notional()),
                fills=self.records.recent_fills(),
            )
        )

    def _filled(self, executions: list[Execution]) -> None:
        for execution in executions:
            record = self.records.get(execution.order.client_id)
            if record is not None and record.state == "open":
                self._book(record, execution)

    def _book(self, record: Record, execution: Execution) -> None:
        place, lots = record.place, round(execution.size)
        if place.reduce_only:
            lots = min(lots, self._room(place.side))
        if lots > 0:
            fee = self._account.trade(place.symbol, place.side, execution.ticks, lots, is_maker=execution.is_maker)
            fill = Fill(
                client_id=place.client_id,
                symbol=place.symbol,
                # From the order alone: the same again after a restart, and never twice.
                trade_id=f"{place.client_id}.{record.filled_lots + lots}",
                side=place.side,
                price_ticks=execution.ticks,
                size_lots=lots,
                fee_quote=fee,
                is_maker=execution.is_maker,
                exchange_ns=self.now_ns,
            )
            self.records.fill(record, fill)
            self._tell(fill)
        if record.filled_lots >= place.size_lots:
            self._end(record, "filled", "")
        elif place.reduce_only and execution.is_maker and self._room(place.side) <= 0:
            self._matcher.cancel(place.client_id)
            self._end(record, "expired", "reduce_only")

    def _end(self, record: Record, state: Literal["canceled", "expired", "filled"], reason: str) -> None:
        self.records.end(record, state)
        place = record.place
        self._tell(Ended(place.client_id, place.symbol, state, record.filled_lots, reason, self.now_ns))

    def _room(self, side: int) -> int:
        """Lots that an order of this side could take off the position."""
        return max(0, -side * self._account.position(self.symbol.name).lots)

    def _guess_aggressor(self, ticks: int) -> int:
        if not self._depth.is_whole():
            return 0
        mid = self._depth.mid_ticks()
        return 0 if ticks == mid else round(math.copysign(1.0, ticks - mid))

    def _tell(self, event: VenueEvent) -> None:
        self._say(event, self.now_ns)
