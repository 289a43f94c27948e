"""Looking at all that is ours at a venue, at the start and now and then: money, and whether our view is the venue's.

A difference of positions is acted on when two surveys in a row show it with nothing of ours in between.
"""

from dataclasses import dataclass
from typing import Protocol

from live.exchange import protocol as venue
from live.exchange.protocol import Exchange
from live.executor import records
from live.executor.keeper import Keeper
from live.executor.orders import UNPROVEN
from live.executor.positions import entry_ticks
from live.executor.reconcile import findings, losses, lost_lots
from live.executor.records import Order, held_key
from live.service import Parts

SURVEY_NS = 5_000_000_000
AGAIN_NS = 500_000_000
ANSWER_NS = 15_000_000_000
"""A survey without an answer for so long is sent again."""


class Asker(Protocol):
    """The desk, as far as surveys need it."""

    exchange: Exchange
    is_real: bool

    def ask(self, client_id: str) -> None:
        """Have an order asked for."""
        ...

    def live(self) -> list[Order]:
        """Our live orders."""
        ...


@dataclass(slots=True)
class _Look:
    """The surveys of one symbol. `changes` is the ledger's count when the last was sent."""

    next_ns: int = 0
    is_asked: bool = False
    changes: int = 0
    is_done: bool = False
    difference: int = 0
    liquidation_price: float = 0.0


class Surveys:
    """Surveys of every symbol at one venue."""

    def __init__(self, desk: Asker, keeper: Keeper, parts: Parts) -> None:
        self._desk, self._keeper, self._parts = desk, keeper, parts
        self._looks = {name: _Look() for name in parts.symbols}
        self.free_balance: float | None = None
        self._is_wanted = True

    def want(self, is_wanted: bool) -> None:
        """Whether surveys go on by themselves; one that is asked for `soon` is sent in any case."""
        if is_wanted and not self._is_wanted:
            self.soon("")
        self._is_wanted = is_wanted

    def is_done(self, symbol: str) -> bool:
        """Whether a symbol was compared since the start, and nothing of an earlier run is unclear on it."""
        return self._looks[symbol].is_done

    def liquidation_price(self, symbol: str) -> float:
        """The venue's own liquidation price of what is held, 0 where it names none."""
        return self._looks[symbol].liquidation_price

    def soon(self, symbol: str) -> None:
        """Look at a symbol (all of them for an empty name) with the next tick."""
        for name, look in self._looks.items():
            if symbol in ("", name):
                look.next_ns = min(look.next_ns, self._parts.clock.mono_ns()) if not look.is_asked else look.next_ns

    def tick(self, now_ns: int) -> None:
        """Send what is due."""
        for name, look in self._looks.items():
            if now_ns < look.next_ns:
                continue
            look.next_ns, look.is_asked = now_ns + ANSWER_NS, True
            look.changes = self._keeper.ledger.changes
            self._desk.exchange.send(venue.Survey(name))

    def take(self, survey: venue.Surveyed, troubles: list[tuple[str, str, str]]) -> None:
        """Take an answer."""
        look, now_ns = self._looks[survey.symbol], self._parts.clock.mono_ns()
        look.next_ns, look.is_asked = (now_ns + SURVEY_NS if self._is_wanted else 2**62), False
        look.liquidation_price = survey.liquidation_price
        self.free_balance = survey.free_balance
        self._take_fills(survey)
        ledger, is_real = self._keeper.ledger, self._desk.is_real
        live = [order for order in self._desk.live() if order.symbol == survey.symbol]
        held = ledger.held(survey.symbol, is_real)
        is_quiet = look.changes == ledger.changes
        found = findings(survey, live, ledger.state.orders, held)
        for client_id in found.strays:
            self._desk.exchange.send(venue.Cancel(client_id, survey.symbol))
            troubles.append(
                ("MISMATCH", survey.symbol, f"{client_id} rests and no intent stands for it; it is canceled")
            )
        if is_quiet:
            for client_id in found.ask:
                self._desk.ask(client_id)
        if is_quiet and found.difference is not None:
            self._compare(survey, look, found.difference, troubles)
        elif not look.is_done:
            look.next_ns = now_ns + AGAIN_NS
        if not look.is_done:
            look.is_done = is_quiet and not any(order.state in UNPROVEN or order.doubt for order in live)

    def _take_fills(self, survey: venue.Surveyed) -> None:
        at_ns, orders = self._parts.clock.wall_ns(), self._keeper.ledger.state.orders
        for fill in survey.fills:
            order = orders.get(fill.client_id)
            if order is not None and fill.trade_id not in order.trade_ids:
                self._keeper.keep(
                    records.Filled(
                        fill.client_id, fill.trade_id, fill.price_ticks, fill.size_lots, fill.fee_quote, fill.is_maker,
                        fill.exchange_ns, at_ns,
                    )
                )  # fmt: skip

    def _compare(
        self, survey: venue.Surveyed, look: _Look, difference: int, troubles: list[tuple[str, str, str]]
    ) -> None:
        is_real, symbol, ledger = self._desk.is_real, survey.symbol, self._keeper.ledger
        known = ledger.state.foreign.get(held_key(symbol, is_real), 0)
        before, look.difference = look.difference, difference
        if difference == known:
            return
        if difference != before:
            look.next_ns = self._parts.clock.mono_ns() + AGAIN_NS
            return
        at_ns, held = self._parts.clock.wall_ns(), ledger.held(symbol, is_real)
        trips = [trip for trip in ledger.open_trips.values() if trip.symbol == symbol and trip.is_real is is_real]
        for approval_id, lots in losses(trips, lost_lots(survey.position_lots, held)):
            price = entry_ticks(ledger.state.trips[approval_id])
            self._keeper.keep(records.Lost(approval_id, lots, price, at_ns))
        rest = survey.position_lots - ledger.held(symbol, is_real)
        look.difference = rest
        self._keeper.keep(records.Foreign(symbol, is_real, rest, at_ns))
        if rest or difference:
            text = f"the venue holds {survey.position_lots} lots of {symbol}, our fills make {held}"
            troubles.append(("MISMATCH", symbol, text))
