"""Rolling figures of what was judged and what was traded, by route. Pure: outcomes, reports and times go in.

Precision is over approved candidates, traded or not; win rate over closed round trips after fees. The canary's counts
are never rolled: they run from its first judged signal on, since a verdict may not be fed from a window.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bus.messages import Outcome, Report, Route
from evaluation.calibration import brier, ece_debiased, ece_raw
from live.markouts import HORIZONS_MS
from market.barriers import TARGET, UNRESOLVED

ROUTES: tuple[Route, ...] = ("canary", "paper", "full")
_HOUR_NS = 3_600_000_000_000
_REMEMBERED = 50_000


class Seen:
    """Ids that were taken already; the newest `most` of them."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, id_: str) -> bool:
        return id_ in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def add(self, id_: str) -> bool:
        """Remember an id; False when it was known."""
        if id_ in self._ids:
            return False
        self._ids[id_] = None
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return True


def mean(values: Sequence[float | bool]) -> float | None:
    """The mean, None of nothing."""
    return sum(values) / len(values) if values else None


@dataclass(slots=True)
class CanaryCount:
    """The canary's judged signals since its model began, and how many reached the target."""

    model_id: str = ""
    judged: int = 0
    won: int = 0

    def take(self, outcome: Outcome) -> None:
        """Count an approved candidate of the canary's route. Another model begins at zero."""
        if outcome.route != "canary" or not outcome.approved or outcome.outcome == UNRESOLVED:
            return
        model = next((each.model_id for each in outcome.judgements if each.slot == "canary"), "")
        if model != self.model_id:
            self.model_id, self.judged, self.won = model, 0, 0
        self.judged += 1
        self.won += outcome.outcome == TARGET


class Calibrated(NamedTuple):
    """How well scores meant what they said: debiased error (0 at least), the same with its luck left in, Brier."""

    ece: float
    ece_raw: float
    brier: float


class JudgedFigures:
    """What outcomes say: precision by route, calibration of the active model."""

    def __init__(self, window: int) -> None:
        self._hits: dict[str, deque[bool]] = {route: deque(maxlen=window) for route in (*ROUTES, "")}
        self._scores: deque[float] = deque(maxlen=window)
        self._won: deque[bool] = deque(maxlen=window)

    def take(self, outcome: Outcome) -> bool | None:
        """Take an outcome, once; return whether it was a hit, None when it does not count for precision."""
        if outcome.outcome == UNRESOLVED:
            return None
        hit = outcome.outcome == TARGET
        active = next((each.probability for each in outcome.judgements if each.slot == "active"), None)
        if active is not None and math.isfinite(active):
            self._scores.append(active)
            self._won.append(hit)
        if not outcome.approved:
            return None
        self._hits[outcome.route].append(hit)
        self._hits[""].append(hit)
        return hit

    def precision(self, route: str = "") -> float | None:
        """Share of approved candidates that reached the target, over all routes without one; None of nothing."""
        return mean(self._hits[route])

    def sample(self, route: str = "") -> int:
        """How many approved candidates that share is of."""
        return len(self._hits[route])

    def calibration(self, least: int) -> Calibrated | None:
        """The active model's; None below `least` rows."""
        if len(self._scores) < max(1, least):
            return None
        scores, won = list(self._scores), [float(each) for each in self._won]
        return Calibrated(max(0.0, ece_debiased(scores, won)), ece_raw(scores, won), brier(scores, won))


@dataclass(slots=True)
class _Traded:
    """One route's windows."""

    wins: deque[bool]
    filled: deque[bool]
    canceled: deque[bool]
    markouts: tuple[deque[float], ...]

    @staticmethod
    def empty(window: int) -> "_Traded":
        return _Traded(
            deque(maxlen=window), deque(maxlen=window), deque(maxlen=window),
            tuple(deque(maxlen=window) for _ in HORIZONS_MS),
        )  # fmt: skip


@dataclass(slots=True)
class DayPnl:
    """Profit after fees of one UTC day (days since the epoch), by route, and that of real orders."""

    day: int = -1
    by_route: dict[str, float] = field(default_factory=dict)
    real: float = 0.0

    @property
    def total(self) -> float:
        """Over all routes."""
        return sum(self.by_route.values())

    def take(self, route: str, net_quote: float, *, is_real: bool) -> None:
        """Add a round trip."""
        self.real += net_quote if is_real else 0.0
        self.by_route[route] = self.by_route.get(route, 0.0) + net_quote


class TradedFigures:
    """What reports say: win rate, fill rate, cancels, markouts of fills, entries in an hour. Each report once."""

    def __init__(self, window: int) -> None:
        self._routes: dict[str, _Traded] = {route: _Traded.empty(window) for route in ROUTES}
        self._entries: deque[int] = deque()
        self._entered = Seen()

    def take_order(self, report: Report, now_ns: int) -> None:
        """Take a report of an entry order: its first fill is an entry, its end counts for fill rate and cancels."""
        if report.leg != "entry":
            return
        traded = self._routes[report.route]
        if report.kind in ("partial", "filled") and self._entered.add(report.approval_id):
            self._entries.append(now_ns)
        if report.kind in ("filled", "canceled", "expired"):
            traded.filled.append(report.kind == "filled" or report.filled_lots > 0)
            traded.canceled.append(report.kind == "canceled" and report.filled_lots == 0)

    def take_closed(self, route: str, net_quote: float) -> None:
        """Take the end of a round trip."""
        self._routes[route].wins.append(net_quote > 0.0)

    def take_markouts(self, route: str, values: Sequence[float]) -> None:
        """Take a fill's markouts, NaN where there is none."""
        for window, value in zip(self._routes[route].markouts, values, strict=True):
            if math.isfinite(value):
                window.append(value)

    def winrate(self, route: str) -> float | None:
        """Share of round trips with profit after fees."""
        return mean(self._routes[route].wins)

    def fill_rate(self, route: str) -> float | None:
        """Share of ended entry orders that traded."""
        return mean(self._routes[route].filled)

    def cancel_to_fill(self, route: str) -> float | None:
        """Entry orders canceled without a fill, to those that traded (to one, while none has)."""
        traded = self._routes[route]
        return sum(traded.canceled) / max(1, sum(traded.filled)) if traded.filled else None

    def markouts(self, route: str) -> tuple[float | None, ...]:
        """Mean markout of fills at each horizon, basis points."""
        return tuple(mean(window) for window in self._routes[route].markouts)

    def entries_per_hour(self, now_ns: int, since_ns: int = 0) -> int:
        """Approvals whose first fill was in the last hour, and not before `since_ns`."""
        while self._entries and self._entries[0] <= now_ns - _HOUR_NS:
            self._entries.popleft()
        return sum(at_ns >= since_ns for at_ns in self._entries) if since_ns else len(self._entries)
