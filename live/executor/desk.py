"""One venue as the executor deals with it: sends what is on the journal, takes what comes back, asks what is unclear.

An order whose fate is not known is asked for until it is. That the venue does not know it counts as proof after three
such answers over ten seconds; a failed query counts as nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from live.exchange import protocol as venue
from live.exchange.protocol import Exchange
from live.executor import records
from live.executor.keeper import Keeper
from live.executor.orders import LIVE, UNPROVEN, is_live
from live.executor.records import Intent, Order, Taken
from live.executor.surveys import Surveys
from live.service import Parts

NOT_FOUND_TIMES = 3
NOT_FOUND_NS = 10_000_000_000
QUERY_NS = 2_000_000_000
EVERYBODY_WAITS = ("rate_limit", "banned", "clock")
"""Refusals whose pause exits keep as well: to ask on would make a ban of it, or be refused."""
Crash = Callable[[str], None]


@dataclass(slots=True)
class Question:
    """An order that is being asked for: when next, how often the venue did not know it, and since when."""

    next_ns: int
    misses: int = 0
    first_miss_ns: int = 0
    answers: int = 0
    first_answer_ns: int = 0


@dataclass(slots=True)
class Happened:
    """What a round of events means beyond the orders themselves."""

    refused: list[tuple[Order, str]] = field(default_factory=list)
    troubles: list[tuple[str, str, str]] = field(default_factory=list)
    """(WARN, CRIT or MISMATCH, symbol or nothing, text)"""


class Desk:
    """The orders of one venue."""

    def __init__(self, exchange: Exchange, keeper: Keeper, parts: Parts, crash: Crash) -> None:
        self.exchange = exchange
        self.is_real = exchange.is_real
        self._keeper, self._parts, self._crash = keeper, parts, crash
        self._timeout_ns = round(parts.settings.exchange.timeout_seconds * 1e9)
        self._questions: dict[str, Question] = {}
        self._sent_ns: dict[str, int] = {}
        self._canceled_ns: dict[str, int] = {}
        self._pause_until_ns = self._exit_pause_until_ns = 0
        self._alive_ns = -(2**62)
        self.surveys = Surveys(self, keeper, parts)

    # Going out

    def place(self, taken: Sequence[Taken], intents: Sequence[Intent]) -> None:
        """Write intents down, then send them. Raises JournalError: then nothing was sent."""
        self._keeper.intend([*taken, *intents])
        self._crash("after_intent")
        ledger, now_ns = self._keeper.ledger, self._parts.clock.mono_ns()
        for intent in intents:
            order = ledger.state.orders[intent.client_id]
            self._sent_ns[intent.client_id] = now_ns
            ledger.mark_sent(intent.client_id)
            self.exchange.send(
                venue.Place(
                    order.client_id, order.symbol, order.side, order.price_ticks, order.size_lots, order.time_in_force,
                    order.reduce_only,
                )
            )  # fmt: skip
            self._crash("after_send")

    def cancel(self, order: Order) -> None:
        """Take an order back; asked again only after the venue had time to answer."""
        now_ns = self._parts.clock.mono_ns()
        if now_ns - self._canceled_ns.get(order.client_id, -(2**62)) < self._timeout_ns:
            return
        if order.client_id in self._canceled_ns:
            self.ask(order.client_id)
        self._canceled_ns[order.client_id] = now_ns
        self.exchange.send(venue.Cancel(order.client_id, order.symbol))

    def ask(self, client_id: str) -> None:
        """Have an order asked for with the next tick."""
        if client_id not in self._questions:
            self._questions[client_id] = Question(self._parts.clock.mono_ns())

    def keep_alive(self, symbols: Sequence[str], *, is_wanted: bool) -> None:
        """Tell the venue that we are here, three times within the span after which it would cancel everything."""
        seconds = self._parts.settings.exchange.keep_alive_seconds
        now_ns = self._parts.clock.mono_ns()
        if not self.is_real or not seconds or not is_wanted or now_ns < self._alive_ns:
            return
        self._alive_ns = now_ns + round(seconds * 1e9 / 3)
        for symbol in symbols:
            self.exchange.send(venue.KeepAlive(symbol, round(seconds * 1000)))

    # How things stand

    def live(self) -> list[Order]:
        """Our live orders here."""
        return [order for order in self._keeper.ledger.live.values() if order.is_real is self.is_real]

    def pause_seconds(self) -> float:
        """How long the venue wants nothing new."""
        return max(0, self._pause_until_ns - self._parts.clock.mono_ns()) / 1e9

    def exit_pause_seconds(self) -> float:
        """How long it wants nothing at all: exits pass an overload, and have the reserve of our own budget."""
        return max(0, self._exit_pause_until_ns - self._parts.clock.mono_ns()) / 1e9

    def age_ns(self, order: Order) -> int:
        """How long ago an order was sent; by the wall clock for one of an earlier run."""
        at_ns = self._sent_ns.get(order.client_id)
        clock = self._parts.clock
        return clock.wall_ns() - order.at_ns if at_ns is None else clock.mono_ns() - at_ns

    # Coming in

    def poll(self) -> Happened:
        """Take what the venue has said."""
        happened = Happened()
        for event in self.exchange.poll():
            self._take(event, happened)
            self._crash("after_result")
        return happened

    def tick(self) -> None:
        """Ask for what is unclear and due."""
        now_ns = self._parts.clock.mono_ns()
        orders = self._keeper.ledger.state.orders
        for order in self.live():
            if order.doubt or self._is_overdue(order):
                self.ask(order.client_id)
        for client_id, question in list(self._questions.items()):
            order_or_none = orders.get(client_id)
            if order_or_none is None or not is_live(order_or_none):
                del self._questions[client_id]
            elif now_ns >= question.next_ns:
                question.next_ns = now_ns + QUERY_NS
                self.exchange.send(venue.Query(client_id, order_or_none.symbol))
        for memory in (self._sent_ns, self._canceled_ns):
            for client_id in [key for key in memory if key not in self._keeper.ledger.live]:
                del memory[client_id]
        self.surveys.tick(now_ns)

    def _is_overdue(self, order: Order) -> bool:
        """Whether the venue should have spoken long ago."""
        is_waited_for = order.state in UNPROVEN or order.time_in_force == "IOC"
        if not is_waited_for or self.age_ns(order) < 2 * self._timeout_ns:
            return False
        if order.state in ("new", "sent"):
            self._keeper.keep(records.Doubted(order.client_id, "no_answer", self._parts.clock.wall_ns()))
        return True

    def _take(self, event: venue.VenueEvent, happened: Happened) -> None:
        at_ns = self._parts.clock.wall_ns()
        match event:
            case venue.Accepted():
                self._answered(event.client_id)
                self._keeper.keep(records.Accepted(event.client_id, event.venue_id, event.exchange_ns, at_ns))
            case venue.Refused():
                self._refused(event, at_ns, happened)
            case venue.Unknown():
                self._keeper_doubt(event, at_ns)
            case venue.Fill():
                self._fill(event, at_ns, happened)
            case venue.Ended():
                was_live = event.client_id in self._keeper.ledger.live
                self._keeper.keep(
                    records.Ended(
                        event.client_id, event.state, event.filled_lots, event.reason, event.exchange_ns, at_ns
                    )
                )
                if was_live:  # an end that comes twice is priced again once
                    self._note_post_only(event, happened)
            case venue.QueryAnswer():
                self._answer(event, at_ns, happened)
            case venue.Surveyed():
                self.surveys.take(event, happened.troubles)
            case venue.Trouble():
                self.surveys.soon(event.symbol)
                happened.troubles.append((event.severity, event.symbol, event.reason))

    def _answered(self, client_id: str) -> None:
        at_ns = self._sent_ns.get(client_id)
        order = self._keeper.ledger.live.get(client_id)
        if at_ns is not None and order is not None and order.state == "sent":
            self._parts.metrics.order_seconds.observe((self._parts.clock.mono_ns() - at_ns) / 1e9)

    def _refused(self, event: venue.Refused, at_ns: int, happened: Happened) -> None:
        if event.pause_seconds > 0:
            until_ns = self._parts.clock.mono_ns() + round(event.pause_seconds * 1e9)
            self._pause_until_ns = max(self._pause_until_ns, until_ns)
            if event.reason in EVERYBODY_WAITS:
                self._exit_pause_until_ns = max(self._exit_pause_until_ns, until_ns)
        if event.is_cancel:
            self.ask(event.client_id)
            return
        before = self._keeper.ledger.live.get(event.client_id)
        self._keeper.keep(records.Refused(event.client_id, event.reason, event.exchange_ns, at_ns))
        if event.reason == "reduce_only":
            self.surveys.soon(event.symbol)
        if before is not None and before.state in UNPROVEN:
            happened.refused.append((before, event.reason))

    def _keeper_doubt(self, event: venue.Unknown, at_ns: int) -> None:
        if not event.is_cancel:
            self._keeper.keep(records.Doubted(event.client_id, event.reason, at_ns))
        self.ask(event.client_id)

    def _fill(self, event: venue.Fill, at_ns: int, happened: Happened) -> None:
        if event.client_id not in self._keeper.ledger.state.orders:
            happened.troubles.append(("WARN", event.symbol, f"a fill of an order not known here: {event.client_id}"))
            self.surveys.soon(event.symbol)
            return
        self._keeper.keep(_filled(event, at_ns))

    def _note_post_only(self, event: venue.Ended, happened: Happened) -> None:
        """An order that would have crossed may come back as an end: it is treated like the refusal it is."""
        order = self._keeper.ledger.state.orders.get(event.client_id)
        if (
            order is not None
            and not order.filled_lots
            and "post_only" in event.reason.lower().replace("postonly", "post_only")
        ):
            happened.refused.append((order, "post_only"))

    def _answer(self, event: venue.QueryAnswer, at_ns: int, happened: Happened) -> None:
        order = self._keeper.ledger.state.orders.get(event.client_id)
        question = self._questions.get(event.client_id)
        if order is None:
            return
        for fill in event.fills:
            self._keeper.keep(_filled(fill, at_ns))
        if event.order is None:
            if question is not None and not event.fills:
                self._missed(self._keeper.ledger.state.orders[event.client_id], question, at_ns, happened)
            return
        if question is not None:
            question.misses = 0
        self._believe(event.order, at_ns)
        after = self._keeper.ledger.state.orders[event.client_id]
        if question is None or not is_live(after):
            return
        if after.doubt == "fills_missing":
            self._settle(after, question, at_ns, happened)
        elif not after.doubt and event.order.filled_lots == after.filled_lots:
            del self._questions[event.client_id]

    def _believe(self, view: venue.OrderView, at_ns: int) -> None:
        """Take the venue's own view of one of our orders."""
        if view.state == "open":
            self._keeper.keep(records.Accepted(view.client_id, view.venue_id, 0, at_ns))
            return
        order = self._keeper.ledger.state.orders[view.client_id]
        if view.state == "rejected" and order.state in UNPROVEN:
            self._keeper.keep(records.Refused(view.client_id, "rejected", 0, at_ns))
            return
        state: records.EndState = "canceled" if view.state == "rejected" else view.state
        self._keeper.keep(records.Ended(view.client_id, state, view.filled_lots, "asked", 0, at_ns))

    def _missed(self, order: Order, question: Question, at_ns: int, happened: Happened) -> None:
        """The venue does not know an order; with enough of these answers it never stood, or stands no more."""
        now_ns = self._parts.clock.mono_ns()
        if not question.misses:
            question.first_miss_ns = now_ns
        question.misses += 1
        if question.misses < NOT_FOUND_TIMES or now_ns - question.first_miss_ns < NOT_FOUND_NS:
            return
        del self._questions[order.client_id]
        if order.state not in LIVE:
            return
        if order.state in UNPROVEN:
            self._keeper.keep(records.Refused(order.client_id, "absent", 0, at_ns))
            happened.refused.append((order, "absent"))
            return
        self._keeper.keep(records.Ended(order.client_id, "canceled", order.filled_lots, "absent", 0, at_ns))

    def _settle(self, order: Order, question: Question, at_ns: int, happened: Happened) -> None:
        """The venue says that more has filled than it shows fills for: in the end its sum is believed."""
        now_ns = self._parts.clock.mono_ns()
        if not question.answers:
            question.first_answer_ns = now_ns
        question.answers += 1
        if question.answers < NOT_FOUND_TIMES or now_ns - question.first_answer_ns < NOT_FOUND_NS:
            return
        lots = order.final_lots - order.filled_lots
        symbol = self._parts.symbols[order.symbol]
        notional = symbol.ticks_to_price(order.price_ticks) * symbol.lots_to_size(lots)
        self._keeper.keep(
            records.Filled(
                order.client_id, f"{order.client_id}.settled", order.price_ticks, lots,
                notional * symbol.taker_fee_bps * 1e-4, False, 0, at_ns, is_settled=True,
            )
        )  # fmt: skip
        text = f"{order.client_id}: the venue counts {order.final_lots} lots filled and shows no trade for {lots}"
        happened.troubles.append(("WARN", order.symbol, text))


def _filled(event: venue.Fill, at_ns: int) -> records.Filled:
    return records.Filled(
        event.client_id, event.trade_id, event.price_ticks, event.size_lots, event.fee_quote, event.is_maker,
        event.exchange_ns, at_ns,
    )  # fmt: skip
