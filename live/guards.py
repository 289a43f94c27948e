"""The fast protections, as pure state machines: numbers and times go in, calls come out, each once an episode.

    precision_halt    too few approved candidates reach their target
    volatility_halt   one-second moves are too wide, for long enough; trading resumes when they have been calm
    trade_rate        more entries in an hour than can be meant
    pnl_guard         the day's loss, or its fall from the day's best
    near_liquidation  the mark price is near the price at which the venue would close our position
    stale_market      a market is silent or has lost its depth; back after minutes of normal depth

Every guard enters by one line and leaves by an easier one, so that a number on the line does not flap. `reset` is an
operator's RESUME: the guard forgets its episode and judges only what comes from then on.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from bus.messages import ControlKind, Severity

_NS = 1_000_000_000


class Call(NamedTuple):
    """What a guard says; it becomes a ControlEvent."""

    event: ControlKind
    severity: Severity
    reason: str
    text: str
    symbol: str = ""
    route: str = ""


@dataclass(slots=True)
class Latch:
    """Enters when `bad` has held for `enter_ns` without a break, leaves when `clear` has for `leave_ns`."""

    enter_ns: int = 0
    leave_ns: int = 0
    is_in: bool = False
    _since_ns: int | None = None

    def look(self, now_ns: int, *, bad: bool, clear: bool) -> str:
        """Return "enter", "leave" or nothing."""
        if not (clear if self.is_in else bad):
            self._since_ns = None
            return ""
        if self._since_ns is None:
            self._since_ns = now_ns
        if now_ns - self._since_ns < (self.leave_ns if self.is_in else self.enter_ns):
            return ""
        self.is_in, self._since_ns = not self.is_in, None
        return "enter" if self.is_in else "leave"

    def reset(self, is_in: bool = False) -> None:
        """Begin anew."""
        self.is_in, self._since_ns = is_in, None


def _told(step: str, halt: Call, resume_text: str) -> list[Call]:
    """Return the call of a latch's step: the halt, its end, or none."""
    if step == "enter":
        return [halt]
    return [halt._replace(event="RESUME", severity="INFO", text=resume_text)] if step == "leave" else []


class PrecisionGuard:
    """Share of approved candidates of one scope (a route, or all for "") that reach their target."""

    def __init__(self, window: int, min_samples: int, floor: float, *, severity: Severity, route: str = "") -> None:
        self.latch = Latch()
        self._hits: deque[bool] = deque(maxlen=window)
        self._min_samples = min(min_samples, window)
        self._floor = floor
        self._severity = severity
        self._route = route

    def look(self, hit: bool) -> list[Call]:
        """Take one resolved candidate. Leaves the halt two points above the floor."""
        self._hits.append(hit)
        count = len(self._hits)
        share = sum(self._hits) / count
        told = count >= self._min_samples
        step = self.latch.look(0, bad=told and share < self._floor, clear=told and share >= self._floor + 0.02)
        text = f"{share:.3f} of the newest {count} approved candidates reached the target, floor {self._floor:g}"
        halt = Call("HALT", self._severity, "precision_halt", text, route=self._route)
        return _told(step, halt, text)

    def remember(self, hit: bool) -> None:
        """Take a candidate that an earlier run resolved; nothing is called for it."""
        self._hits.append(hit)

    def forget(self) -> None:
        """Judge only candidates from now on; a halt goes on until they are good enough."""
        self._hits.clear()

    def reset(self) -> None:
        """Judge only candidates from now on, and halt no longer."""
        self.latch.reset()
        self.forget()


class VolatilityGuard:
    """Deviation of one symbol's one-second moves, in the market's own time."""

    def __init__(self, symbol: str, halt_bps: float, debounce_seconds: float, resume_seconds: float) -> None:
        self.latch = Latch(round(debounce_seconds * _NS), round(resume_seconds * _NS))
        self._symbol = symbol
        self._halt_bps = halt_bps

    def look(self, now_ns: int, bps: float) -> list[Call]:
        """Take the deviation as of a market time. Calm begins at three quarters of the line."""
        step = self.latch.look(now_ns, bad=bps > self._halt_bps, clear=bps <= 0.75 * self._halt_bps)
        text = f"one-second moves deviate by {bps:.2f} bps, line {self._halt_bps:g}"
        return _told(step, Call("HALT", "WARN", "volatility_halt", text, symbol=self._symbol), text)

    def reset(self) -> None:
        """Judge from now on."""
        self.latch.reset()


class TradeRateGuard:
    """Entries in the last hour: a halt above the configured most, an alert above 1.5 times the release's p95."""

    def __init__(self, most: float) -> None:
        self.latch, self.spike = Latch(), Latch()
        self._most = most

    def look(self, now_ns: int, per_hour: float, promised_p95: float) -> list[Call]:
        """Take the count; `promised_p95` 0 means that no release promised anything."""
        step = self.latch.look(now_ns, bad=per_hour > self._most, clear=per_hour <= 0.8 * self._most)
        text = f"{per_hour:.0f} entries in the last hour, at most {self._most:g}"
        calls = _told(step, Call("HALT", "WARN", "trade_rate", text), text)
        line = 1.5 * promised_p95
        spike = self.spike.look(now_ns, bad=0.0 < line < per_hour, clear=per_hour <= 0.8 * line)
        if spike == "enter":
            calls.append(
                Call("ALERT", "WARN", "trade_rate", f"{per_hour:.0f} entries in the last hour, 1.5 x p95 is {line:.0f}")
            )
        return calls

    def reset(self) -> None:
        """Judge from now on."""
        self.latch.reset()


class PnlGuard:
    """The profit of a UTC day over all routes: its loss and its fall from the best. Holds to the day's end."""

    def __init__(self, max_loss: float, max_drawdown: float) -> None:
        self.latch = Latch()
        self._max_loss = max_loss
        self._max_drawdown = max_drawdown
        self._base = 0.0
        self._best = 0.0
        self._last = 0.0

    def look(self, pnl: float) -> list[Call]:
        """Take the day's profit so far."""
        self._last, self._best = pnl, max(self._best, pnl)
        loss, fall = self._base - pnl, self._best - pnl
        step = self.latch.look(0, bad=loss > self._max_loss or fall > self._max_drawdown, clear=False)
        text = (
            f"day's profit {pnl:.2f}: loss {loss:.2f} of {self._max_loss:g}, fall {fall:.2f} of {self._max_drawdown:g}"
        )
        return _told(step, Call("HALT", "CRIT", "pnl_guard", text), text)

    def new_day(self) -> list[Call]:
        """A UTC day begins at zero."""
        was_in = self.latch.is_in
        self.latch.reset()
        self._base = self._best = self._last = 0.0
        return [Call("RESUME", "INFO", "pnl_guard", "a new day begins")] if was_in else []

    def restore(self, best: float, base: float, pnl: float) -> None:
        """Go on with a day that an earlier run began."""
        self._best, self._base, self._last = best, base, pnl

    @property
    def marks(self) -> tuple[float, float]:
        """The day's best and what losses are counted from, for `restore`."""
        return self._best, self._base

    def reset(self) -> None:
        """Count losses from where the day stands now."""
        self.latch.reset()
        self._base = self._best = self._last


class LiquidationGuard:
    """How far the mark is from where the venue would close a position."""

    def __init__(self, symbol: str, least_bps: float) -> None:
        self.latch = Latch(leave_ns=10 * _NS)
        self._symbol = symbol
        self._least_bps = least_bps

    def look(self, now_ns: int, distance_bps: float | None) -> list[Call]:
        """Take the distance, None without a position. Leaves at one and a half times the line."""
        near = distance_bps is not None and distance_bps < self._least_bps
        far = distance_bps is None or distance_bps >= 1.5 * self._least_bps
        step = self.latch.look(now_ns, bad=near, clear=far)
        text = "no position" if distance_bps is None else f"mark {distance_bps:.0f} bps from liquidation"
        halt = Call("HALT", "CRIT", "near_liquidation", f"{text}, least {self._least_bps:g}", symbol=self._symbol)
        return _told(step, halt, text)

    def reset(self) -> None:
        """Judge from now on."""
        self.latch.reset()


def liquidation_price(side: int, entry_price: float, size: float, margin: float, maintenance_rate: float) -> float:
    """Return where an isolated position of `size` > 0 is closed by the venue; 0 for a long that cannot be.

    In the lowest bracket: a long's equity margin + size (p - entry) meets its maintenance size p rate at p.
    """
    if side > 0:
        return max(0.0, (entry_price * size - margin) / (size * (1.0 - maintenance_rate)))
    return (entry_price * size + margin) / (size * (1.0 + maintenance_rate))


class UsualDepth:
    """The median depth of each side of a book over the last hour of normal depth, sampled every ten seconds."""

    def __init__(self) -> None:
        self.due_ns = 0
        self._samples: tuple[deque[int], deque[int]] = (deque(maxlen=360), deque(maxlen=360))
        self._medians: tuple[float, float] = (0.0, 0.0)

    def take(self, now_ns: int, bid_lots: int, ask_lots: int) -> None:
        """Remember a sample; the next one is due ten seconds later."""
        self.due_ns = now_ns + 10 * _NS
        for samples, lots in zip(self._samples, (bid_lots, ask_lots), strict=True):
            samples.append(lots)
        if len(self._samples[0]) >= 6:
            self._medians = median(self._samples[0]), median(self._samples[1])

    def is_normal(self, bid_lots: int, ask_lots: int, share: float) -> bool:
        """Whether both have at least that share of their median; before a minute was seen, whether they have any."""
        bids, asks = self._medians
        return bid_lots > 0 and ask_lots > 0 and bid_lots >= share * bids and ask_lots >= share * asks


class StaleMarketGuard:
    """One symbol's market: silent for too long (CRIT), or a side without any depth for a second (WARN).

    Either way trading resumes only after `recover_seconds` in which every book had normal depth on both sides.
    """

    def __init__(
        self, symbol: str, stale_seconds: float, depth_share: float, recover_seconds: float, levels: int
    ) -> None:
        self.silence, self.hollow = Latch(), Latch(enter_ns=_NS)
        self._recovery = Latch(enter_ns=round(recover_seconds * _NS))
        self._symbol = symbol
        self._stale_seconds = stale_seconds
        self._share = depth_share
        self._levels = levels
        self._usual = UsualDepth()
        self.is_halted = False

    def on_book(self, now_ns: int, bid_lots: Sequence[int], ask_lots: Sequence[int]) -> list[Call]:
        """Take the lots of both sides after an update, level by level; `now_ns` never goes back."""
        self.silence.reset()
        hollow = not (bid_lots[0] and ask_lots[0])
        calls: list[Call] = []
        if self.hollow.look(now_ns, bad=hollow, clear=not hollow) == "enter":
            calls = self._halt("WARN", "a side of the book has no depth")
        if self.is_halted:
            depth = sum(bid_lots[: self._levels]), sum(ask_lots[: self._levels])
            if self._recovery.look(now_ns, bad=self._usual.is_normal(*depth, self._share), clear=False) == "enter":
                calls += self._resume()
        elif now_ns >= self._usual.due_ns and not hollow:
            self._usual.take(now_ns, sum(bid_lots[: self._levels]), sum(ask_lots[: self._levels]))
        return calls

    def on_silence(self, now_ns: int, seconds: float, *, was_seen: bool) -> list[Call]:
        """Take how long the market has been silent. One that never spoke is told of and not halted: it has no book."""
        stale = seconds > self._stale_seconds
        if stale:
            self._recovery.reset()
        if self.silence.look(now_ns, bad=stale, clear=not stale) != "enter":
            return []
        text = f"no book for {seconds:.1f} s"
        if was_seen:
            return self._halt("CRIT", text)
        return [Call("ALERT", "WARN", "stale_market", f"{text}, none at all so far", symbol=self._symbol)]

    def restore(self) -> None:
        """Go on with a halt that an earlier run began."""
        self.is_halted = True

    def reset(self) -> None:
        """Judge from now on."""
        self.is_halted = False
        for latch in (self.silence, self.hollow, self._recovery):
            latch.reset()

    def _halt(self, severity: Severity, text: str) -> list[Call]:
        self._recovery.reset()
        # A halt that turns from hollow to silent is said again, as it has become CRIT.
        if self.is_halted and severity != "CRIT":
            return []
        self.is_halted = True
        return [Call("HALT", severity, "stale_market", text, symbol=self._symbol)]

    def _resume(self) -> list[Call]:
        self.is_halted = False
        self._recovery.reset()
        return [Call("RESUME", "INFO", "stale_market", "depth has been normal for long enough", symbol=self._symbol)]
