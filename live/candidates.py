"""Every candidate from its score to its outcome: the barrier and the markouts of each, over all symbols.

A candidate is on the journal before it is followed and its ending is on it before anybody is told; a repeated score
changes nothing.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bus.messages import BookImage, BookStatus, Outcome, Score
from live.evidence import Ended, Folded, Opened, Record
from live.market_feed import Event, Lost
from live.markouts import HORIZONS_MS, Markouts
from live.outcomes import Ending, Entry, Resolver
from live.touches import BROKEN, LOST, Row, Touches
from market.barriers import UNRESOLVED, BarrierRule, gains_bps
from market.columns import BOOK_RESET
from market.events import NO_ASK_TICKS, NO_BID_TICKS
from market.symbols import Symbol

_NOT_SEEN = ("syncing", "gap", "halted")
"""States in which the book says nothing; `stale` is a silence, and judged by its length."""

FillKey = tuple[str, str]
"""(report id, route)."""


@dataclass(slots=True)
class _Pending:
    opened: Opened
    ending: Ending | None = None
    markouts: list[float] | None = None


class _Traced:
    """One symbol: its rows and what is asked of them."""

    def __init__(self, symbol: Symbol, gap_ns: int) -> None:
        self.taker_fee = symbol.taker_fee_bps * 1e-4
        self.touches = Touches(gap_ns)
        self.resolver = Resolver(self.touches, self.taker_fee)
        self.markouts: Markouts[str] = Markouts(self.touches)
        self.fills: Markouts[FillKey] = Markouts(self.touches)


class Seen(NamedTuple):
    """What an event of the market made known: the row of a book, outcomes, markouts of fills by (report id, route)."""

    row: Row | None
    outcomes: list[Outcome]
    fills: list[tuple[FillKey, list[float]]]


_NOTHING = Seen(None, [], [])


class Candidates:
    """The candidates of all symbols. `keep` writes a record to the journal, `folded` is what stands in it.

    A silence of the book above `gap_seconds` is a gap, as for the pipelines' labels.
    """

    def __init__(
        self, symbols: Mapping[str, Symbol], gap_seconds: float, folded: Folded, keep: Callable[[Record], None]
    ) -> None:
        self._traced = {name: _Traced(symbol, round(gap_seconds * 1e9)) for name, symbol in symbols.items()}
        self._folded = folded
        self._keep = keep
        self._pending: dict[str, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def restore(self) -> list[Outcome]:
        """Follow what an earlier run left open; return what cannot be followed (its symbol is not traded any more)."""
        found: list[Outcome] = []
        for opened in list(self._folded.open.values()):
            found += self._follow(opened) if opened.symbol in self._traced else [self._gone(opened)]
        return found

    def take(self, score: Score, rule: BarrierRule) -> list[Outcome]:
        """Take a scored candidate; return outcomes, should the rows that are here decide any already."""
        known = score.candidate_id in self._pending or score.candidate_id in self._folded.ended
        if known or score.symbol not in self._traced:
            return []
        opened = Opened(
            score.candidate_id, score.symbol, score.t_ns, score.local_ns, score.side, score.route, score.approved,
            score.bid_ticks, score.ask_ticks, score.judgements, rule.tp_pct, rule.sl_pct, rule.horizon_seconds,
            rule.net_of_fees, score.canary_fraction, score.salt,
        )  # fmt: skip
        self._keep(opened)
        return self._follow(opened)

    def ask_fill(self, symbol: str, key: FillKey, t_ns: int, side: int) -> list[tuple[FillKey, list[float]]]:
        """Ask for the markouts of a fill; return those that are known already."""
        traced = self._traced.get(symbol)
        return [] if traced is None else traced.fills.ask(key, t_ns, side)

    def see(self, event: Event) -> Seen:
        """See the market go on."""
        traced = self._traced[event.symbol]
        if isinstance(event, BookImage):
            return self._image(traced, event)
        if isinstance(event, Lost):
            traced.touches.void(LOST)
        elif isinstance(event, BookStatus) and event.state in _NOT_SEEN:
            traced.touches.void(BROKEN)
        return _NOTHING

    def _image(self, traced: _Traced, image: BookImage) -> Seen:
        row = traced.touches.add(
            image.exchange_ns, image.local_ns, image.bid_ticks[0], image.ask_ticks[0],
            resets=bool(image.flags & BOOK_RESET),
        )  # fmt: skip
        endings, markouts = traced.resolver.see(row), traced.markouts.see(row)
        outcomes = self._settled(endings, markouts) if endings or markouts else []
        return Seen(row, outcomes, traced.fills.see(row))

    def _follow(self, opened: Opened) -> list[Outcome]:
        traced = self._traced[opened.symbol]
        self._pending[opened.id] = _Pending(opened)
        entry = Entry(opened.id, opened.t_ns, opened.local_ns, opened.side, opened.bid_ticks, opened.ask_ticks)
        rule = BarrierRule(opened.tp_pct, opened.sl_pct, opened.horizon_seconds, opened.net_of_fees)
        ending = traced.resolver.add(entry, rule)
        if opened.bid_ticks == NO_BID_TICKS or opened.ask_ticks == NO_ASK_TICKS:
            markouts = [(opened.id, [math.nan] * len(HORIZONS_MS))]
        else:
            mid = (opened.bid_ticks + opened.ask_ticks) / 2
            markouts = traced.markouts.ask(opened.id, opened.t_ns, opened.side, mid)
        return self._settled([] if ending is None else [ending], markouts)

    def _settled(self, endings: Iterable[Ending], markouts: Iterable[tuple[str, list[float]]]) -> list[Outcome]:
        """Note endings and markouts; return the outcomes of those that now have both."""
        touched: list[str] = []
        for ending in endings:
            self._pending[ending.id].ending = ending
            touched.append(ending.id)
        for id_, values in markouts:
            self._pending[id_].markouts = values
            touched.append(id_)
        return [found for id_ in dict.fromkeys(touched) if (found := self._finished(self._pending[id_])) is not None]

    def _finished(self, pending: _Pending) -> Outcome | None:
        opened, ending = pending.opened, pending.ending
        if ending is None or pending.markouts is None:
            return None
        gross = net = math.nan
        if ending.outcome != UNRESOLVED:
            fee = self._traced[opened.symbol].taker_fee
            gross, net = gains_bps(ending.entry_ticks, ending.exit_ticks, opened.side, fee)
        del self._pending[opened.id]
        return self._ended(opened, ending.outcome, ending.exit_ns, gross, net, pending.markouts)

    def _gone(self, opened: Opened) -> Outcome:
        return self._ended(opened, UNRESOLVED, -1, math.nan, math.nan, [math.nan] * len(HORIZONS_MS))

    def _ended(
        self, opened: Opened, outcome: int, exit_ns: int, gross: float, net: float, markouts: list[float]
    ) -> Outcome:
        found = Outcome(
            opened.id, opened.symbol, opened.side, opened.route, opened.approved, opened.t_ns, outcome, exit_ns, gross,
            net, markouts, opened.judgements, opened.canary_fraction, opened.salt,
        )  # fmt: skip
        self._keep(Ended(found))
        return found
