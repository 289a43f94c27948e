"""Halts and the mode: what control events do to the executor, and what it tells of itself.

CRIT, whoever says it, ends real orders: the mode is paper at once, and the switch is announced when every real entry
has been taken back. Halts are remembered in the journal by what was heard, so a restart forgets none, and hears none
twice.
"""

from collections.abc import Iterable
from typing import Final

from bus.messages import ControlEvent, Received, Severity
from bus.streams import CONTROL
from live.executor.keeper import Keeper
from live.executor.ledger import is_person
from live.executor.mode import FailSafe, Mode, Switch
from live.executor.records import Halt, Heard
from live.service import Parts
from monitoring.metrics import halt_label

NAME: Final = "executor"
JOURNAL_HALT: Final = "journal_error"
HISTORY_NS = 5_000_000_000
"""What was said long ago is read within so long behind a start."""
DOUBT_NS = 7_200_000_000_000
"""By so much the sender's clock and ours may differ: a CRIT is not taken for history on the word of a clock."""
REPEAT_NS = 60_000_000_000
"""What is told of in the same words is told again after so long: the newest events are what a restart reads."""
SWITCH_NS = 15_000_000_000
"""A switch is announced after this long at the latest, with what is still unresolved."""


class Controls:
    """Which halts hold, which mode, and whether a switch is under way."""

    def __init__(self, parts: Parts, keeper: Keeper, fail_safe: FailSafe) -> None:
        self._parts, self._keeper, self.fail_safe = parts, keeper, fail_safe
        self._switch: Switch | None = fail_safe.at_start
        self._started_ns = self._switch_ns = parts.clock.mono_ns()
        self._journal_failed = False
        self._reasons: set[str] = set()
        self._events = 0
        self._told: dict[tuple[str, ...], int] = {}
        if fail_safe.at_start is not None:
            self._count_trip(fail_safe.at_start.reason)
        if fail_safe.unreadable:
            parts.log.error("fail_safe_unreadable", text=fail_safe.unreadable)

    @property
    def is_real(self) -> bool:
        """Whether entries of real routes are real orders now."""
        return self.fail_safe.mode is Mode.REAL

    @property
    def is_switching(self) -> bool:
        """Whether real orders are still being taken back."""
        return self._switch is not None

    def halts(self, symbol: str, route: str) -> list[str]:
        """The reasons for which nothing new is begun on a symbol and route."""
        found = [
            halt.reason
            for halt in self._keeper.ledger.state.halts.values()
            if halt.symbol in ("", symbol) and halt.route in ("", route)
        ]
        if self._keeper.problem:
            found.append(JOURNAL_HALT)
        return found

    def reasons(self) -> list[str]:
        """Every halt that holds: its reason, and its symbol and route where it has them."""
        found = ["/".join(filter(None, (h.reason, h.symbol, h.route))) for h in self._halts()]
        return [*found, JOURNAL_HALT] if self._keeper.problem else found

    def hear(self, received: Received, event: ControlEvent) -> bool:
        """Take a control event; returns whether it was new, so that its consequences are looked after."""
        if event.by == NAME:
            return False
        event_id = received.header.id or f"{event.by}-{event.event}-{event.reason}-{event.at_ns}"
        if event_id in self._keeper.ledger.state.heard:
            return False
        if event.event not in ("HALT", "RESUME") and event.severity != "CRIT" and not _asks_for_paper(event):
            return False
        # The fall to paper is on the disk before the event counts as heard: a crash in between only falls twice.
        if (event.severity == "CRIT" or _asks_for_paper(event)) and self._is_recent(event):
            self._trip(event.reason if not _asks_for_paper(event) else "operator")
        self._parts.log.warning(
            "control_heard", event_kind=event.event, severity=event.severity, reason=event.reason, by=event.by
        )
        if event.event == "RESUME" and is_person(event.by) and self._means_the_mode(event):
            self._resume(event.by)
        self._keeper.keep(
            Heard(
                event_id, event.event, event.severity, event.reason, event.symbol, event.route, event.by,
                self._parts.clock.wall_ns(),
            )
        )  # fmt: skip
        self._keeper.settle()
        return True

    def crit(self, reason: str, text: str, symbol: str = "") -> None:
        """Something of our own that real orders must not survive: tell of it, fall to paper."""
        self._alert("CRIT", reason, text, symbol)
        self._trip(reason)

    def warn(self, reason: str, text: str, symbol: str = "") -> None:
        """Something to know of."""
        self._alert("WARN", reason, text, symbol)

    def halt(self, reason: str, symbol: str) -> None:
        """Nothing new on a symbol until a person resumes."""
        if reason in self.halts(symbol, ""):
            return
        at_ns = self._parts.clock.wall_ns()
        self._keeper.keep(Heard(f"{NAME}-{reason}-{symbol}-{at_ns}", "HALT", "WARN", reason, symbol, "", NAME, at_ns))

    def tick(self, unresolved: int) -> None:
        """Announce a switch when no real entry is alive any more; look at the journal and the cooldown."""
        self.fail_safe.tick()
        if self._keeper.problem and not self._journal_failed:
            self._journal_failed = True
            self.crit(JOURNAL_HALT, self._keeper.problem)
        elif self._journal_failed and self._keeper.mend(self._parts.clock.mono_ns()):
            self._journal_failed = False
        waited_ns = self._parts.clock.mono_ns() - self._switch_ns
        if self._switch is not None and (unresolved == 0 or waited_ns >= SWITCH_NS):
            text = f"{unresolved} real orders are still being asked for" if unresolved else ""
            self._announce(self._switch, text)
            self._switch = None
        self._show()

    def say(
        self, kind: str, severity: Severity, reason: str, text: str, *, source: str = "", target: str = "",
        symbol: str = "",
    ) -> None:  # fmt: skip
        """Publish a control event of ours."""
        at_ns = self._parts.clock.wall_ns()
        self._events += 1
        event = ControlEvent(
            kind, severity, source, target, reason, NAME, at_ns, symbol, "", text  # type: ignore[arg-type]
        )  # fmt: skip
        message_id = f"{NAME}-{kind.lower()}-{reason}-{symbol}-{at_ns}-{self._events}"
        self._parts.out.publish(CONTROL, event, message_id=message_id)

    def _alert(self, severity: Severity, reason: str, text: str, symbol: str) -> None:
        """Say it, unless it was said in the last minute."""
        now_ns, key = self._parts.clock.mono_ns(), (severity, reason, symbol, text)
        self._told = {each: at_ns for each, at_ns in self._told.items() if now_ns - at_ns < REPEAT_NS}
        if key in self._told:
            return
        self._told[key] = now_ns
        log = self._parts.log.error if severity == "CRIT" else self._parts.log.warning
        log("alert", severity=severity, reason=reason, text=text, symbol=symbol)
        self.say("ALERT", severity, reason, text, symbol=symbol)

    def _trip(self, reason: str) -> None:
        reason = halt_label(reason)
        switch = self.fail_safe.trip(reason)
        self._count_trip(reason)
        if self.fail_safe.problem:
            self._parts.log.error("fail_safe_not_written", text=self.fail_safe.problem)
        if switch is not None:
            self._switch, self._switch_ns = switch, self._parts.clock.mono_ns()

    def _resume(self, by: str) -> None:
        found = self.fail_safe.resume(by)
        if isinstance(found, Switch):
            self._switch = None
            self._announce(found, f"by {by}")
        else:
            self._parts.log.info("resume", by=by, mode=str(self.fail_safe.mode), text=found.reason)

    def _announce(self, switch: Switch, text: str) -> None:
        self._parts.metrics.mode_switch_total.labels(str(switch.source), str(switch.target)).inc()
        self._parts.log.warning(
            "mode_switch", source=str(switch.source), target=str(switch.target), reason=switch.reason, text=text
        )
        self.say("MODE_SWITCH", "WARN", switch.reason, text, source=str(switch.source), target=str(switch.target))

    def _count_trip(self, reason: str) -> None:
        self._parts.metrics.fail_safe_trigger_total.labels(reason).inc()

    def _means_the_mode(self, event: ControlEvent) -> bool:
        """Whether a person's RESUME asks for real orders too, and does not just lift one halt."""
        is_scoped = bool(event.symbol or event.route)
        names_another = halt_label(event.reason) not in ("operator", "other", self.fail_safe.reason)
        return not is_scoped and not names_another

    def _is_recent(self, event: ControlEvent) -> bool:
        """Whether the cooldown that a CRIT began could still last: one of long before, read at a start, is history.

        Only what the start reads again can be history. Later an old stamp says that two clocks differ, and not to act
        on it would be to trade on.
        """
        if self._parts.clock.mono_ns() - self._started_ns > HISTORY_NS:
            return True
        age_ns = self._parts.clock.wall_ns() - event.at_ns
        return age_ns <= self._parts.settings.fail_safe.cooldown_seconds * 1e9 + DOUBT_NS

    def _halts(self) -> Iterable[Halt]:
        return self._keeper.ledger.state.halts.values()

    def _show(self) -> None:
        metrics = self._parts.metrics
        metrics.fail_safe_cooldown_seconds.set(self.fail_safe.remaining_seconds)
        for mode in Mode:
            metrics.exchange_mode_info.labels(str(mode)).set(mode is self.fail_safe.mode)
        reasons = {halt.reason for halt in self._halts()} | ({JOURNAL_HALT} if self._keeper.problem else set())
        for reason in self._reasons | reasons:
            metrics.halted.labels(reason).set(reason in reasons)
        self._reasons = reasons


def _asks_for_paper(event: ControlEvent) -> bool:
    """A person wants paper now."""
    return event.event == "MODE_SWITCH" and event.target == "paper" and is_person(event.by)
