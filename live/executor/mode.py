"""The mode orders go by, and the fall to paper that no restart, crash or clock can shorten.

A trip switches to paper for a cooldown and asks for a person. Only what the monotonic clock measured inside a process
counts: time in which the process was down does not, so there is no wall clock in the cooldown that a step could move.
What is left of it is written to disk at the trip, every few seconds, and at the end.

Back to real goes nobody by himself: a person resumes, or stops the service in order, and starts it again with
`exchange.mode: real` once the cooldown is over. A start behind a crash is no person.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from config.live_sections import FailSafe as Rule
from live.clock import Clock
from registry.errors import FileError
from registry.files import write_file

SAVE_NS = 2_000_000_000
"""A cooldown is written down this often; a crash lengthens it by so much at most."""
STATE_FILE = "fail_safe.json"


class Mode(StrEnum):
    """Where entry orders go."""

    PAPER = "paper"
    REAL = "real"


@dataclass(frozen=True, slots=True)
class Switch:
    """The mode changed; `reason` is one of monitoring.metrics.FAIL_SAFE_REASONS."""

    source: Mode
    target: Mode
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The mode stays, for a reason a person can read."""

    reason: str


class _State(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What survives the process. `starts` are the wall times, ns, of the newest starts that wanted real orders."""

    format: int = 1
    remaining_ns: int = 0
    cooldown_of: str = ""
    needs_person: bool = False
    ended_in_order: bool = True
    starts: tuple[int, ...] = ()


class FailSafe:
    """The mode of one executor. `path` is its state file, `wanted` what exchange.mode says.

    `at_start` is the switch with which a wanted real mode began in paper, None otherwise; `unreadable` says why what
    an earlier run left could not be read, empty where it could. `problem` says why the state cannot be written, empty
    while it can: that is tried again by `tick`, and until then nothing becomes real.
    """

    def __init__(self, rule: Rule, clock: Clock, path: Path, wanted: Mode) -> None:
        self._clock, self._path, self._wanted = clock, path, wanted
        self._cooldown_ns = math.ceil(rule.cooldown_seconds * 1e9)
        self._saved_ns = clock.mono_ns()
        self._is_saved = False
        self.problem = self.unreadable = ""
        self.mode = Mode.PAPER
        found = self._read()
        self._until_ns = self._saved_ns + found.remaining_ns
        starts = _recent(found.starts, clock.wall_ns(), rule) if wanted is Mode.REAL else ()
        self._state = msgspec.structs.replace(
            found,
            starts=starts,
            needs_person=found.needs_person and not (found.ended_in_order and found.remaining_ns == 0),
            ended_in_order=False,
        )
        self.at_start = self._begin(is_looping=len(starts) > rule.max_restarts)

    @property
    def remaining_seconds(self) -> float:
        """What is left of the cooldown."""
        return self._remaining_ns() / 1e9

    @property
    def reason(self) -> str:
        """Why the newest cooldown began; empty when there has been none since a person resumed."""
        return self._state.cooldown_of

    @property
    def needs_person(self) -> bool:
        """Whether only a person brings real orders back, now or after the cooldown."""
        return self._state.needs_person

    def trip(self, reason: str) -> Switch | None:
        """Fall to paper and begin the whole cooldown; returns the switch, None when it was paper before.

        The mode is paper when this returns, even where the state cannot be written (then `problem` says so).
        """
        before, self.mode = self.mode, Mode.PAPER
        self._until_ns = self._clock.mono_ns() + self._cooldown_ns
        self._save(needs_person=True, cooldown_of=reason)
        return Switch(before, Mode.PAPER, reason) if before is Mode.REAL else None

    def resume(self, by: str) -> Switch | Refused:
        """A person wants real orders again. Refused while the cooldown lasts, or when the state cannot be written."""
        if self.mode is Mode.REAL:
            return Refused("orders are real already")
        if self._wanted is not Mode.REAL:
            return Refused("exchange.mode is paper; set it to real and start again")
        if not by:
            return Refused("nobody is named; a resume needs a name")
        if left_ns := self._remaining_ns():
            return Refused(f"the cooldown of {self.reason or 'an earlier run'} has {left_ns / 1e9:.0f} s left")
        self._save(needs_person=False, cooldown_of="", starts=())
        if not self._is_saved:
            self._state = msgspec.structs.replace(self._state, needs_person=True)
            return Refused(self.problem)
        self.mode = Mode.REAL
        return Switch(Mode.PAPER, Mode.REAL, "operator")

    def tick(self) -> None:
        """Write down how far the cooldown has come, and what could not be written before."""
        now_ns = self._clock.mono_ns()
        is_cooling = self._state.remaining_ns > 0
        if (is_cooling or not self._is_saved) and now_ns - self._saved_ns >= SAVE_NS:
            self._save()

    def stop(self) -> None:
        """The process ends because somebody wants it to: the next start counts as a person's."""
        self._save(ended_in_order=True)

    def _begin(self, *, is_looping: bool) -> Switch | None:
        """Choose the mode of this run and write the start down."""
        if self.unreadable:
            return self._begin_in_paper("journal_error")
        if is_looping:
            return self._begin_in_paper("restart_loop")
        self._save()
        if self._wanted is not Mode.REAL:
            return None
        if not self._is_saved:
            return Switch(Mode.REAL, Mode.PAPER, "journal_error")
        if self._remaining_ns() or self.needs_person:
            return Switch(Mode.REAL, Mode.PAPER, self.reason)
        self.mode = Mode.REAL
        return None

    def _begin_in_paper(self, reason: str) -> Switch | None:
        self.trip(reason)
        return Switch(Mode.REAL, Mode.PAPER, reason) if self._wanted is Mode.REAL else None

    def _remaining_ns(self) -> int:
        return max(0, self._until_ns - self._clock.mono_ns())

    def _read(self) -> _State:
        """The state on disk; where it cannot be read, `unreadable` says why."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_State)
        except FileNotFoundError:
            return _State()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.unreadable = f"{self._path}: {error}; it begins in paper and is written anew"
            return _State(ended_in_order=False)

    def _save(self, **changes: object) -> None:
        self._state = msgspec.structs.replace(self._state, remaining_ns=self._remaining_ns(), **changes)
        self._saved_ns = self._clock.mono_ns()
        try:
            write_file(self._path, msgspec.json.encode(self._state))
        except FileError as error:
            self._is_saved, self.problem = False, str(error)
        else:
            self._is_saved, self.problem = True, ""


def _recent(starts: tuple[int, ...], now_ns: int, rule: Rule) -> tuple[int, ...]:
    """The starts within the window, this one included. One that lies ahead (the clock was set back) counts."""
    window_ns = rule.restart_window_seconds * 1e9
    kept = [start for start in starts if now_ns - start < window_ns]
    return (*kept[-rule.max_restarts :], now_ns)
