"""The guards of all symbols together: what the market, outcomes and trades say goes in, control events come out.

Which halts hold is remembered in the journal, so that a restart neither forgets one nor begins its recovery half-way.
"""

from collections.abc import Callable, Mapping
from typing import Final

from bus.messages import BookImage, ControlEvent, MarkPrice
from bus.streams import CONTROL
from config.settings import Settings
from live.evidence import Folded, Halt, Record
from live.guards import (
    Call,
    LiquidationGuard,
    PnlGuard,
    PrecisionGuard,
    StaleMarketGuard,
    TradeRateGuard,
    VolatilityGuard,
    liquidation_price,
)
from live.moves import OneSecondMoves
from live.positions import Positions
from live.service import Parts
from live.touches import Row
from market.symbols import Symbol
from monitoring.metrics import halt_label

BY: Final = "risk"
REASONS: Final = (
    "precision_halt", "volatility_halt", "trade_rate", "pnl_guard", "near_liquidation", "stale_market",
)  # fmt: skip
_LONGEST_STEP_NS = 1_000_000_000
"""What a tick counts for at most: time in which this process stood still was no silence of the market."""
_FRESH_NS = 5_000_000_000
"""Older images are history that is read again after a start; nobody is halted for them."""


class _Watched:
    """One symbol's guards."""

    def __init__(self, symbol: str, settings: Settings) -> None:
        risk = settings.risk
        self.moves = OneSecondMoves()
        self.volatility = VolatilityGuard(
            symbol, risk.volatility_halt_bps, risk.volatility_debounce_seconds, risk.volatility_resume_seconds
        )
        self.market = StaleMarketGuard(
            symbol, risk.stale_market_seconds, risk.normal_depth_share, settings.warmup.recover_seconds,
            settings.gates.liquidity_levels,
        )  # fmt: skip
        self.liquidation = LiquidationGuard(symbol, settings.gates.near_liq_bps)
        self.silent_ns = 0
        self.was_seen = False


class Watch:
    """The guards. `keep` writes a record to the journal."""

    def __init__(self, parts: Parts, keep: Callable[[Record], None]) -> None:
        settings = parts.settings
        risk = settings.risk
        self._parts = parts
        self._keep = keep
        self._watched = {name: _Watched(name, settings) for name in parts.symbols}
        scope = (risk.window, risk.min_samples, risk.precision_floor)
        self._precision = PrecisionGuard(*scope, severity="CRIT")
        self._canary = PrecisionGuard(*scope, severity="WARN", route="canary")
        self._rate = TradeRateGuard(risk.max_trades_per_hour)
        self.pnl = PnlGuard(risk.max_loss, risk.max_drawdown)
        self.halts: dict[tuple[str, str, str], Halt] = {}
        self._ticked_ns: int | None = None
        for reason in REASONS:
            parts.metrics.halted.labels(reason).set(0)

    def restore(self, folded: Folded) -> None:
        """Go on with what an earlier run left: halts hold and are said again, without asking for another cooldown."""
        self.pnl.restore(folded.best, folded.base, folded.guarded)
        for halt in list(folded.halts.values()):
            self._latch(halt)
            self.halts[halt.reason, halt.symbol, halt.route] = halt
            self._parts.metrics.halted.labels(halt.reason).set(1)
            severity = "WARN" if halt.severity == "CRIT" else halt.severity
            call = Call("HALT", severity, halt.reason, "still holds after a restart", halt.symbol, halt.route)
            self._say(call, halt.at_ns)

    def on_image(self, image: BookImage, row: Row) -> None:
        """See a book and the row that was kept of it."""
        watched = self._watched[image.symbol]
        second_ended = watched.moves.see(row)
        watched.silent_ns, watched.was_seen = 0, True
        if self._parts.clock.wall_ns() - image.local_ns > _FRESH_NS:
            return
        calls = watched.market.on_book(self._parts.clock.mono_ns(), image.bid_lots, image.ask_lots)
        if second_ended and watched.moves.bps is not None:
            calls += watched.volatility.look(row.t_ns, watched.moves.bps)
        if calls:
            self.act(calls)

    def on_mark(self, mark: MarkPrice, positions: Positions) -> None:
        """See a mark price: how far is the nearer of our positions from liquidation."""
        symbol, watched = self._parts.symbols[mark.symbol], self._watched[mark.symbol]
        distances = [
            found
            for is_real in (False, True)
            if (found := self._distance_bps(symbol, mark.price, positions, is_real=is_real)) is not None
        ]
        self.act(watched.liquidation.look(self._parts.clock.mono_ns(), min(distances, default=None)))

    def remember_judged(self, folded: Folded, route: str, exit_ns: int, hit: bool) -> None:
        """See how an approved candidate ended in an earlier run, unless its halt was lifted since."""
        guard, scope = (self._canary, route) if route == "canary" else (self._precision, "")
        if exit_ns > folded.released.get(("precision_halt", "", scope), 0):
            guard.remember(hit)

    def on_judged(self, route: str, hit: bool) -> None:
        """See how an approved candidate ended."""
        self.act((self._canary if route == "canary" else self._precision).look(hit))

    def forget_judged(self, route: str) -> None:
        """Another version decides on a route from now on ("" for all but the canary's): what the one before hit is its
        own. A halt that holds stays until the new one has shown better, or a person resumes."""
        guard = self._canary if route == "canary" else self._precision
        if ("precision_halt", "", route) in self.halts:
            guard.forget()
        else:
            guard.reset()

    def on_trip(self, pnl: float) -> None:
        """See the day's profit behind a round trip."""
        self.act(self.pnl.look(pnl))

    def on_new_day(self) -> None:
        """A UTC day begins."""
        self.act(self.pnl.new_day())

    def tick(self, entries_per_hour: float, promised_p95: float) -> None:
        """Look at the time."""
        now_ns = self._parts.clock.mono_ns()
        passed_ns = 0 if self._ticked_ns is None else min(now_ns - self._ticked_ns, _LONGEST_STEP_NS)
        self._ticked_ns = now_ns
        self.act(self._rate.look(now_ns, entries_per_hour, promised_p95))
        for watched in self._watched.values():
            watched.silent_ns += passed_ns
            self.act(watched.market.on_silence(now_ns, watched.silent_ns / 1e9, was_seen=watched.was_seen))

    def act(self, calls: list[Call]) -> None:
        """Let halts hold, or go: remembered, shown and said."""
        for call in calls:
            at_ns = self._parts.clock.wall_ns()
            key = (call.reason, call.symbol, call.route)
            if call.event == "HALT":
                halt = Halt(call.reason, call.symbol, call.route, at_ns, call.severity, holds=True)
                self.halts[key] = halt
                self._keep(halt)
                self._parts.metrics.halted.labels(call.reason).set(1)
            elif call.event == "RESUME":
                self._release(key)
            self._say(call, at_ns)

    def alert(self, reason: str, text: str, symbol: str = "") -> None:
        """Tell of something that halts nothing."""
        self._say(Call("ALERT", "WARN", reason, text, symbol), self._parts.clock.wall_ns())

    def resumed(self, event: ControlEvent) -> None:
        """An operator's RESUME: what it names begins anew, everything when it names no halt at all."""
        for key in list(self.halts):
            if _is_named(event, *key):
                self._release(key)
        for reason, symbol, route, guard in self._guards():
            if _is_named(event, reason, symbol, route):
                guard.reset()

    def volatility_bps(self) -> Mapping[str, float]:
        """The deviation of one-second moves of each symbol that has one."""
        found = {name: watched.moves.bps for name, watched in self._watched.items()}
        return {name: bps for name, bps in found.items() if bps is not None}

    def silent_seconds(self) -> Mapping[str, float]:
        """How long each symbol has been silent."""
        return {name: watched.silent_ns / 1e9 for name, watched in self._watched.items()}

    def _distance_bps(self, symbol: Symbol, mark: float, positions: Positions, *, is_real: bool) -> float | None:
        held = positions.held.get((symbol.name, is_real))
        if held is None or not held.lots or mark <= 0.0:
            return None
        side, entry = (1 if held.lots > 0 else -1), held.entry_ticks * float(symbol.price_tick)
        size = abs(held.lots) * float(symbol.size_lot)
        margin = entry * size / self._parts.settings.sizing.leverage
        price = liquidation_price(side, entry, size, margin, symbol.maintenance_margin_rate)
        return side * (mark - price) / mark * 1e4

    def _release(self, key: tuple[str, str, str]) -> None:
        halt = self.halts.pop(key, None)
        if halt is not None:
            self._keep(Halt(*key, self._parts.clock.wall_ns(), halt.severity, holds=False))
        still = any(reason == key[0] for reason, _, _ in self.halts)
        self._parts.metrics.halted.labels(key[0]).set(still)

    def _say(self, call: Call, at_ns: int) -> None:
        event = ControlEvent(
            call.event, call.severity, "", "", call.reason, BY, at_ns, call.symbol, call.route, call.text
        )  # fmt: skip
        id_ = f"risk-{call.event}-{call.reason}-{call.symbol}-{call.route}-{at_ns}".lower()
        self._parts.out.publish(CONTROL, event, message_id=id_)
        self._parts.log.warning(
            "guard", event_kind=call.event, severity=call.severity, reason=call.reason, symbol=call.symbol,
            route=call.route, text=call.text,
        )  # fmt: skip

    def _latch(self, halt: Halt) -> None:
        for reason, symbol, route, guard in self._guards():
            if (reason, symbol, route) != (halt.reason, halt.symbol, halt.route):
                continue
            if isinstance(guard, StaleMarketGuard):
                guard.restore()
            else:
                guard.latch.reset(is_in=True)

    def _guards(self) -> list[tuple[str, str, str, "_Guard"]]:
        """Reason, symbol and route of each halt there can be, and the guard that calls it."""
        found: list[tuple[str, str, str, _Guard]] = [
            ("precision_halt", "", "", self._precision),
            ("precision_halt", "", "canary", self._canary),
            ("trade_rate", "", "", self._rate),
            ("pnl_guard", "", "", self.pnl),
        ]
        for name, watched in self._watched.items():
            found += [
                ("volatility_halt", name, "", watched.volatility),
                ("near_liquidation", name, "", watched.liquidation),
                ("stale_market", name, "", watched.market),
            ]
        return found


_Guard = PrecisionGuard | TradeRateGuard | PnlGuard | VolatilityGuard | LiquidationGuard | StaleMarketGuard


def _is_named(event: ControlEvent, reason: str, symbol: str, route: str) -> bool:
    """Whether a RESUME means a halt of ours; symbol and route narrow it when given.

    A reason that is nobody's (empty, or a person's own words), and `operator`, mean all; another service's means its
    own halt and none of ours.
    """
    means_all = halt_label(event.reason) in ("operator", "other")
    return (event.reason == reason or means_all) and event.symbol in ("", symbol) and event.route in ("", route)
