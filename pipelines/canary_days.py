"""Which stretches of the lake a candidate is rehearsed on, and what it has to show there. Pure, but for reading books.

Only days behind the last one that the candidate learned from count. They are cut into stretches of equal length; one in
which a symbol's book is missing or silent for longer than a gap is left out. Of the others are replayed

    high_volatility  the one with the highest volatility: root mean square of one-second moves of the mid
    event            of the rest, the one whose largest one-minute move is greatest against its own volatility
    normal           of the rest, the one of median volatility

The figures are means over the symbols, since live trades all of them at once; of equal ones the earliest is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from archive.layout import BOOK, clock_text, day_bounds_ns
from archive.store import Lake
from evaluation.clustered import Estimate
from market.events import NO_ASK_TICKS, NO_BID_TICKS
from pipelines.errors import NotEnoughData
from pipelines.live_measures import TradedFigures

Kind = Literal["normal", "event", "high_volatility"]
_NS_PER_SECOND = 1_000_000_000
_EVENT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of market, [start_ns, end_ns): its volatility in basis points a second, its largest minute over that.

    `burst` is the largest one-minute move over what that volatility makes usual for a minute.
    """

    start_ns: int
    end_ns: int
    volatility_bps: float
    burst: float

    def __str__(self) -> str:
        return (
            f"{clock_text(self.start_ns)[:16]} to {clock_text(self.end_ns)[11:16]}, {self.volatility_bps:.2f} bps a "
            f"second, largest minute {self.burst:.1f} x usual"
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """What a candidate has to show; shares and basis points. `min_trades` counts over all stretches together."""

    winrate: float
    fill_rate: float
    min_trades: int
    markout_bps: float = 0.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a candidate showed on one stretch; `differing` rows are not the lake's, or margins not the bundle's."""

    kind: Kind
    stretch: Stretch
    traded: TradedFigures
    compared: int
    differing: int
    first_difference: str


@dataclass(frozen=True, slots=True)
class DayGate:
    """One gate on one stretch, or on all of them."""

    name: str
    where: str
    passed: bool
    said: str

    def __str__(self) -> str:
        return f"{self.name} ({self.where}): {self.said}"


def held_out(lake: Lake, symbols: Sequence[str], last_learned: date) -> list[date]:
    """The days behind the last one learned from that the lake has books of for every symbol."""
    have = lake.partitions(BOOK)
    days = [{day for symbol, day in have if symbol == name and day > last_learned} for name in symbols]
    return sorted(set.intersection(*days)) if days else []


def stretches(lake: Lake, symbols: Sequence[str], days: Sequence[date], minutes: float, gap_ns: int) -> list[Stretch]:
    """Every whole stretch of these days, those with a gap left out; they begin at midnight, one behind the other."""
    length_ns = round(minutes * 60) * _NS_PER_SECOND
    found: list[Stretch] = []
    for day in days:
        first_ns, end_ns = day_bounds_ns(day)
        starts = range(first_ns, end_ns - length_ns + 1, length_ns)
        measured = [_measured(lake, symbol, day, starts, length_ns, gap_ns) for symbol in symbols]
        for place, start_ns in enumerate(starts):
            figures = [by_symbol[place] for by_symbol in measured]
            if all(each is not None for each in figures):
                volatility, burst = np.mean([each for each in figures if each is not None], axis=0).tolist()
                found.append(Stretch(start_ns, start_ns + length_ns, volatility, burst))
    return found


def choose(found: Sequence[Stretch]) -> dict[Kind, Stretch]:
    """Choose one stretch of each kind by the rule above. Raises NotEnoughData when there are fewer than three."""
    if len(found) < 3:
        raise NotEnoughData(
            f"canary days: {len(found)} stretches of market behind the training days have no gap, 3 wanted: a normal, "
            f"an event and a high-volatility one; ingest a further day, or shorten release.rehearsal_minutes"
        )
    rest = sorted(found, key=lambda each: each.start_ns)
    wild = max(rest, key=lambda each: each.volatility_bps)
    rest.remove(wild)
    event = max(rest, key=lambda each: each.burst)
    rest.remove(event)
    by_volatility = sorted(rest, key=lambda each: each.volatility_bps)
    return {"normal": by_volatility[(len(by_volatility) - 1) // 2], "event": event, "high_volatility": wild}


def judge(shown: Sequence[Shown], rules: Rules) -> list[DayGate]:
    """Every gate on every stretch, then the sample over all of them.

    A share or a mean fails its gate when its whole 95 % interval lies below the limit: on half an hour the point alone
    would refuse every second model that stands exactly on the line.
    """
    gates: list[DayGate] = []
    for each in shown:
        traded = each.traded
        gates += [
            _above("winrate", each.kind, traded.judged_winrate, rules.winrate),
            _above("markout", each.kind, traded.markouts_bps[1_000], rules.markout_bps),
            _above("fill_rate", each.kind, traded.fill_rate, rules.fill_rate),
            DayGate(
                "parity", each.kind, each.compared > 0 and not each.differing,
                f"{each.differing} of {each.compared:,} differ, wanted 0 of some"
                + (f"; {each.first_difference}" if each.first_difference else ""),
            ),
        ]  # fmt: skip
    judged = sum(each.traded.judged_winrate.rows for each in shown)
    ended = sum(each.traded.fill_rate.rows for each in shown)
    enough = min(judged, ended) >= rules.min_trades
    said = f"{judged} judged approvals and {ended} ended entry orders, wanted {rules.min_trades} of each"
    return [*gates, DayGate("sample", "all", enough, said)]


def _above(name: str, where: str, found: Estimate, limit: float) -> DayGate:
    if not found.rows:
        return DayGate(name, where, True, f"nothing traded, wanted >= {limit:g}")
    said = f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g}, n={found.rows}), wanted >= {limit:g}"
    return DayGate(name, where, found.high >= limit, said)


def _measured(
    lake: Lake, symbol: str, day: date, starts: range, length_ns: int, gap_ns: int
) -> list[tuple[float, float] | None]:
    """Volatility and burst of each stretch of a symbol's day, None where its book has a gap."""
    book = lake.read(BOOK, symbol, day, ["exchange_ns", "bid_ticks_0", "ask_ticks_0"])
    bid, ask = book["bid_ticks_0"], book["ask_ticks_0"]
    is_whole = (bid != NO_BID_TICKS) & (ask != NO_ASK_TICKS)
    t_ns = np.maximum.accumulate(book["exchange_ns"])[is_whole]
    mid = (bid[is_whole].astype(np.float64) + ask[is_whole]) / 2
    return [_figures(t_ns, mid, start_ns, start_ns + length_ns, gap_ns) for start_ns in starts]


def _figures(
    t_ns: NDArray[np.int64], mid: NDArray[np.float64], start_ns: int, end_ns: int, gap_ns: int
) -> tuple[float, float] | None:
    first, last = np.searchsorted(t_ns, [start_ns, end_ns])
    edges = np.concatenate([[start_ns], t_ns[first:last], [end_ns]])
    if first == last or int(np.diff(edges).max()) > gap_ns:
        return None
    seconds = np.arange(start_ns + _NS_PER_SECOND, end_ns + 1, _NS_PER_SECOND)
    place = np.searchsorted(t_ns, seconds, "right") - 1
    log_mid = np.log(mid[np.maximum(place, first)])
    volatility = float(np.sqrt(np.mean(np.square(np.diff(log_mid))))) * 1e4
    minute = float(np.abs(log_mid[_EVENT_SECONDS:] - log_mid[:-_EVENT_SECONDS]).max(initial=0.0)) * 1e4
    usual = volatility * np.sqrt(_EVENT_SECONDS)
    return volatility, minute / usual if usual else 0.0
