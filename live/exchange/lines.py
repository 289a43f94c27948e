"""The feed of a venue's sockets: which lines are open, when to open them again, when to replace them.

Decisions are made in `take`, by the clock that is handed in; the thread behind `Sockets` only does as it is told.
A planned replacement opens the new line first and holds back what it says; when both have spoken for a moment the held
frames are handed on as repeats and the old line is closed, so no update falls between the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from config.live_sections import Feed as FeedKnobs
from live.backoff import Backoff
from live.clock import Clock
from live.exchange.venue import Line, Venue
from live.exchange.wires import Answer, Closed, Message, Opened, Wires
from live.feed import Frame, Item, LineDown, LineUp, Refused, Retiming, SnapshotFailed

_SNAPSHOT_SECONDS = 5.0
_OVERLAP_NS = 1_000_000_000
_UNKNOWN_SYMBOL = b"-1121"
_BANNED_SECONDS = 120.0
_LIMITED_SECONDS = 1.0


@dataclass(slots=True)
class _Held:
    """One planned line and the connection that serves it; `opened_ns` below 0: not open."""

    plan: Line
    backoff: Backoff
    name: str = ""
    number: int = 0
    opened_ns: int = -1
    retry_ns: int | None = None
    next_name: str = ""
    next_since_ns: int = 0
    next_open: bool = False
    held: list[Frame] = field(default_factory=list)
    ping_ns: int = 0


class VenueFeed:
    """A venue's sockets as a Feed. `on_open(venue, reason)` is called whenever a line is opened anew."""

    turns_clock = False
    has_marks = True
    answers = True
    finished = False
    retiming: Retiming | None = None

    def __init__(self, venue: Venue, wires: Wires, knobs: FeedKnobs, clock: Clock, rng: Random) -> None:
        self.venue = venue.name
        self.protocol = venue
        self.reconnects: dict[str, int] = {}
        self._wires = wires
        self._clock = clock
        self._planned_ns = round(knobs.planned_reconnect_hours * 3_600e9)
        self._steady_ns = round(knobs.reconnect_max_seconds * 1e9)
        self._lines = [
            _Held(plan, Backoff(knobs.reconnect_seconds, knobs.reconnect_max_seconds, rng)) for plan in venue.lines()
        ]
        self._by_name: dict[str, _Held] = {}

    def start(self) -> None:
        """Open every line."""
        for each in self._lines:
            self._open(each)

    def take(self) -> Sequence[Item]:
        """Return what arrived since the last call, and do what has become due."""
        items: list[Item] = []
        for happening in self._wires.drain():
            if isinstance(happening, Message):
                self._message(happening, items)
            elif isinstance(happening, Answer):
                items.append(self._answer(happening))
            elif isinstance(happening, Opened):
                self._opened(happening.line, items)
            else:
                self._closed(happening, items)
        for each in self._lines:
            self._look(each, items)
        return items

    def ask_snapshot(self, symbol: str) -> None:
        """Ask by REST, or begin the symbol's streams anew where the book comes with them."""
        if url := self.protocol.snapshot_url(symbol):
            self._wires.get(symbol, url, _SNAPSHOT_SECONDS)
        else:
            self.revive(symbol)

    def revive(self, symbol: str) -> None:
        """Begin a symbol's streams anew on the line that carries its book."""
        for each in self._lines:
            if each.plan.has_books and symbol in each.plan.symbols and each.opened_ns >= 0:
                for text in self.protocol.anew(symbol):
                    self._wires.say(each.name, text)

    def reconnect(self, symbol: str, reason: str) -> None:
        """Give up the line that carries a symbol's book and open another one."""
        for each in self._lines:
            # A line that is being opened is left to it: several of its symbols may be silent at once.
            if each.plan.has_books and symbol in each.plan.symbols and each.opened_ns >= 0:
                self._drop(each)
                self._again(each, reason)

    def status(self) -> Mapping[str, Any]:
        """Return whether each line is open, and how often lines were opened anew, by reason."""
        return {
            "lines": {each.plan.name: "open" if each.opened_ns >= 0 else "closed" for each in self._lines},
            "reconnects": dict(self.reconnects),
        }

    def stop(self) -> None:
        """Close every line."""
        self._wires.stop()

    def _open(self, each: _Held) -> None:
        each.number += 1
        each.name = f"{each.plan.name}#{each.number}"
        each.opened_ns, each.retry_ns = -1, None
        self._by_name[each.name] = each
        self._wires.open(each.name, each.plan.url, each.plan.greetings)

    def _again(self, each: _Held, reason: str) -> None:
        """Open a line anew, at once the first time, later each time after."""
        self.reconnects[reason] = self.reconnects.get(reason, 0) + 1
        each.opened_ns = -1
        each.retry_ns = self._clock.mono_ns() + round(each.backoff.next_seconds() * 1e9)
        if each.retry_ns <= self._clock.mono_ns():
            self._open(each)

    def _drop(self, each: _Held) -> None:
        for name in (each.name, each.next_name):
            if self._by_name.pop(name, None):
                self._wires.close(name)
        each.next_name, each.next_open, each.held = "", False, []

    def _opened(self, name: str, items: list[Item]) -> None:
        each = self._by_name.get(name)
        if each is None:
            return
        if name == each.next_name:
            each.next_open, each.next_since_ns = True, self._clock.mono_ns()
            return
        each.opened_ns = each.ping_ns = self._clock.mono_ns()
        if each.plan.has_books:
            items.append(LineUp(each.plan.symbols))

    def _closed(self, closed: Closed, items: list[Item]) -> None:
        each = self._by_name.pop(closed.line, None)
        if each is None:
            return
        if closed.line == each.next_name:
            # The replacement failed; the line that works is kept and replaced later.
            each.next_name, each.next_open, each.held = "", False, []
            each.opened_ns = self._clock.mono_ns() - self._planned_ns + 60_000_000_000
            return
        if each.next_open:
            self._swap(each, items)
            return
        if each.opened_ns >= 0 and each.plan.has_books:
            items.append(LineDown(each.plan.symbols, "disconnected"))
        self._drop(each)
        self._again(each, "cut" if each.opened_ns >= 0 else "refused")

    def _message(self, message: Message, items: list[Item]) -> None:
        each = self._by_name.get(message.line)
        if each is None:
            return
        if message.size and not message.payload:
            items.append(Refused("oversize", f"{message.line}: a frame of {message.size} bytes"))
        elif message.line == each.next_name:
            each.held.append(Frame(message.local_ns, message.payload, "", True))
        else:
            items.append(Frame(message.local_ns, message.payload))

    def _answer(self, answer: Answer) -> Item:
        """A snapshot, or why there is none."""
        if answer.status == 200:
            return Frame(answer.local_ns, answer.body, answer.tag)
        pause = answer.pause_seconds
        if answer.status == 418:
            pause = max(pause, _BANNED_SECONDS)
        elif answer.status == 429:
            pause = max(pause, _LIMITED_SECONDS)
        is_final = answer.status == 400 and _UNKNOWN_SYMBOL in answer.body
        return SnapshotFailed(answer.tag, f"http_{answer.status}", pause, is_final)

    def _look(self, each: _Held, items: list[Item]) -> None:
        """Do what has become due on a line."""
        now = self._clock.mono_ns()
        if each.opened_ns >= 0 and now - each.opened_ns >= self._steady_ns:
            # Not at the first frame: a venue that greets us and hangs up would be asked again without a pause.
            each.backoff.reset()
        if each.retry_ns is not None:
            if now >= each.retry_ns:
                self._open(each)
        elif each.next_name:
            if each.next_open and now - each.next_since_ns >= _OVERLAP_NS:
                self._swap(each, items)
        elif each.opened_ns >= 0 and now - each.opened_ns >= self._planned_ns:
            self._replace(each)
        if self.protocol.ping and each.opened_ns >= 0 and now - each.ping_ns >= self.protocol.ping_seconds * 1e9:
            each.ping_ns = now
            self._wires.say(each.name, self.protocol.ping)

    def _replace(self, each: _Held) -> None:
        self.reconnects["planned"] = self.reconnects.get("planned", 0) + 1
        each.number += 1
        each.next_name, each.next_open, each.held = f"{each.plan.name}#{each.number}", False, []
        self._by_name[each.next_name] = each
        self._wires.open(each.next_name, each.plan.url, each.plan.greetings)

    def _swap(self, each: _Held, items: list[Item]) -> None:
        """Hand on what the new line has said, and go on with it alone."""
        items.extend(each.held)
        if self._by_name.pop(each.name, None):
            self._wires.close(each.name)
        each.name, each.next_name, each.next_open, each.held = each.next_name, "", False, []
        each.opened_ns = each.ping_ns = self._clock.mono_ns()
