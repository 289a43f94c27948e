"""What happens when approvals come faster than they are acted on: when it begins, when it ends, and who goes.

It begins when `max_queue_len` approvals wait and ends once half of that was not exceeded for `resume_seconds`.
Approvals come oldest first, so the one in hand is the oldest of those that wait.
"""

from dataclasses import dataclass
from typing import Literal

from bus.messages import Route
from config.live_sections import Backpressure as Rule

Shed = Literal["halt", "canary", "oldest"]
"""Why an approval goes: nothing new is begun, the canary's share is 0, or too many wait behind it."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """As it stands: whether approvals are shed, since when on the monotonic clock, and what part of the canary's
    share is left."""

    is_active: bool = False
    since_ns: int = 0
    canary_share: float = 1.0


class Throttle:
    """Told of the queue by `observe`, then asked for each approval by `judge`."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._resume_ns = round(rule.resume_seconds * 1e9)
        self._short_since_ns: int | None = None
        self.pressure = Pressure()

    def observe(self, now_mono_ns: int, queue_len: int) -> Pressure:
        """Take how many approvals wait now; return how things stand. `now_mono_ns` never goes back."""
        if queue_len >= self._rule.max_queue_len:
            self._short_since_ns = None
            if not self.pressure.is_active:
                self.pressure = Pressure(is_active=True, since_ns=now_mono_ns, canary_share=0.0)
        elif not self.pressure.is_active or queue_len > self._rule.max_queue_len // 2:
            self._short_since_ns = None
        else:
            if self._short_since_ns is None:
                self._short_since_ns = now_mono_ns
            if now_mono_ns - self._short_since_ns >= self._resume_ns:
                self.pressure, self._short_since_ns = Pressure(since_ns=now_mono_ns), None
        return self.pressure

    def judge(self, route: Route, waiting: int) -> Shed | None:
        """Say why an approval goes, None when it is acted on. `waiting` counts it and those behind it."""
        if not self.pressure.is_active:
            return None
        if self._rule.drop_mode == "halt":
            return "halt"
        if route == "canary":
            return "canary"
        return "oldest" if waiting > self._rule.max_queue_len else None
