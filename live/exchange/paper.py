"""The paper exchange: orders filled by the live market, with a queue, with latency, with money. Deterministic.

A request sent at a local moment arrives `paper.entry_latency_ms` later in the venue's time, between the market's
events; its answer is known to us `paper.response_latency_ms` after that. `paper.queue_model` fills the orders that the
executor hears of; the other models run beside it (`band`).

Nothing is written here: after a restart the executor's journal is the truth, and `restore` takes it.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bus.messages import BookImage, MarketTrade, MarkPrice
from config.settings import Settings
from live.clock import Clock
from live.errors import NotTradable
from live.exchange.matching import Rules
from live.exchange.paper_account import Account, Position
from live.exchange.paper_band import Figures, figures
from live.exchange.paper_lane import Lane
from live.exchange.protocol import Place, Request, VenueEvent
from live.exchange.queue_models import queue_model
from live.exchange.venue_clock import ConstantLatency, Latency, VenueClock
from market.symbols import Symbol
from monitoring.metrics import Metrics


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order of an earlier run that was not ended, and how much of it had filled."""

    place: Place
    filled_lots: int = 0


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """A position an earlier run left: signed lots, mean entry price in quote units."""

    symbol: str
    lots: int
    entry_price: float


class PaperExchange:
    """An Exchange that fills on paper. Raises NotTradable for a symbol that is no linear contract."""

    name = "paper"
    is_real = False

    def __init__(
        self,
        settings: Settings,
        symbols: Mapping[str, Symbol],
        clock: Clock,
        metrics: Metrics,
        *,
        rules: Rules | None = None,
        latency: Latency | None = None,
    ) -> None:
        knobs = settings.paper
        for symbol in symbols.values():
            if symbol.market != "perp":
                raise NotTradable(
                    f"{symbol.name} is {symbol.market}, paper trades perp alone; take it from market.symbols"
                )
        self._clock, self._metrics = clock, metrics
        self._settle_ns = round(knobs.response_latency_ms * 1e6)
        self._latency = latency or ConstantLatency(round(knobs.entry_latency_ms * 1e6), self._settle_ns)
        self.account = Account(knobs.balance, settings.sizing.leverage, symbols)
        feed_ns, life_ns = round(knobs.feed_latency_ms * 1e6), settings.ladder.life_ms * 1_000_000
        self._venue_clocks = {name: VenueClock(feed_ns) for name in symbols}
        self._lanes = {
            name: Lane(
                symbol,
                self.account,
                queue_model(knobs.queue_model),
                rules or Rules(),
                life_ns,
                partial(self._post, name),
            )
            for name, symbol in symbols.items()
        }
        self._mail: list[tuple[int, int, VenueEvent]] = []
        self._posted = 0
        self._last_due: dict[str, int] = {}
        self._entries_shown = -1

    def send(self, request: Request) -> None:
        """Put a request on its way. Raises NotTradable for a symbol this exchange was not built with."""
        lane = self._lane(request.symbol)
        venue_clock = self._venue_clocks[request.symbol]
        if venue_clock.is_known:
            lane.receive(request, venue_clock.to_exchange(self._clock.wall_ns()) + self._latency.entry_ns())
        else:
            lane.arrive_now(request)

    def poll(self) -> Sequence[VenueEvent]:
        """What we know by now, in the order in which we learned it."""
        now_ns = self._clock.wall_ns()
        for name, lane in self._lanes.items():
            venue_clock = self._venue_clocks[name]
            if venue_clock.is_known:
                # By the time an answer could be here, the market's messages of its moment are here too.
                lane.advance(venue_clock.to_exchange(now_ns) - self._settle_ns + 1)
        known: list[VenueEvent] = []
        while self._mail and self._mail[0][0] <= now_ns:
            known.append(heapq.heappop(self._mail)[2])
        self._show_band()
        return known

    def on_book(self, image: BookImage) -> None:
        """See the book; fills what it fills."""
        if (lane := self._lanes.get(image.symbol)) is not None:
            self._venue_clocks[image.symbol].observe(image.exchange_ns, image.local_ns)
            lane.on_book(image)

    def on_trade(self, trade: MarketTrade) -> None:
        """See a print; moves queues and fills."""
        if (lane := self._lanes.get(trade.symbol)) is not None:
            self._venue_clocks[trade.symbol].observe(trade.exchange_ns, trade.local_ns)
            lane.on_trade(trade)

    def on_mark(self, mark: MarkPrice) -> None:
        """See a mark price; values positions and pays funding."""
        if (lane := self._lanes.get(mark.symbol)) is not None:
            lane.on_mark(mark)

    def void(self, symbol: str) -> None:
        """The book broke: every order of the symbol has lost its place, until the next image shows its level."""
        self._lane(symbol).lose_places()

    def restore(self, orders: Iterable[OpenOrder], positions: Iterable[OpenPosition]) -> None:
        """Take up what an earlier run left, before the first request. Places in queues are lost."""
        for position in positions:
            self._lane(position.symbol)
            self.account.positions[position.symbol] = Position(position.lots, position.entry_price)
        for order in orders:
            self._lane(order.place.symbol).put_back(order.place, order.filled_lots)

    def band(self) -> dict[str, Figures]:
        """What every queue model made of the same entries, all symbols together."""
        return figures(lane.band for lane in self._lanes.values())

    def close(self) -> None:
        """Nothing is held."""

    def _lane(self, name: str) -> Lane:
        if name not in self._lanes:
            raise NotTradable(f"{name} is not traded here; market.symbols has {', '.join(self._lanes)}")
        return self._lanes[name]

    def _post(self, name: str, event: VenueEvent, exchange_ns: int) -> None:
        """Send an answer on its way to us; those of one symbol arrive in the order in which they were sent."""
        venue_clock = self._venue_clocks[name]
        due_ns = self._clock.wall_ns()
        if venue_clock.is_known:
            due_ns = venue_clock.to_local(exchange_ns) + self._latency.response_ns()
        due_ns = self._last_due[name] = max(due_ns, self._last_due.get(name, 0))
        self._posted += 1
        heapq.heappush(self._mail, (due_ns, self._posted, event))

    def _show_band(self) -> None:
        seen = sum(sheet.entries + sheet.filled for lane in self._lanes.values() for sheet in lane.band.sheets.values())
        if seen != self._entries_shown:
            self._entries_shown = seen
            for name, each in self.band().items():
                self._metrics.paper_fill_rate.labels(name).set(each.fill_rate)
