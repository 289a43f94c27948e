"""What a drill works with: its stack, its timeline, and questions that are asked until the answer is yes or time is up.

Everything shown is read from where an operator reads it: /metrics, the streams, the journals, the runbook's commands.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event
from typing import TYPE_CHECKING, Literal, TypeVar

from bus.codec import decode
from bus.errors import BusError
from bus.ids import parse
from bus.messages import BookImage, ControlEvent, Report
from bus.streams import CONTROL, REPORTS, book
from config.settings import Settings
from monitoring.scrape import ScrapeError
from tidegate import runbook
from tidegate.drills.errors import DrillFailed
from tidegate.drills.knobs import SYMBOL
from tidegate.drills.probes import Probes
from tidegate.drills.stack import Stack
from tidegate.drills.timeline import Proof, Timeline
from tidegate.drills.training import Trained, utc_now
from tidegate.environment import ROOT
from tidegate.live_stack import SERVICES

if TYPE_CHECKING:
    from registry.promotion import Registrar

Answer = TypeVar("Answer")
_PAUSE_SECONDS = 0.1
_COMMAND_SECONDS = 120.0
_RECENT = 20_000
_OPERATIONS = "operational-commands"
_LAKE = "data/parquet"
_JOURNAL = "python scripts/read_journal.py"


@dataclass
class Scene:
    """One drill under way. `section` is the anchor of its section in the runbook; `ending` ends every wait when set."""

    section: str
    trained: Trained
    settings: Settings
    stack: Stack
    timeline: Timeline
    environ: Mapping[str, str]
    ending: Event = field(default_factory=Event)
    _marks: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def lake(self) -> str:
        """The lake of this stack: what the runbook means by data/parquet."""
        return str(self.settings.paths.lake)

    # Waiting

    def until(self, question: Callable[[], Answer | None], seconds: float, what: str) -> Answer:
        """Ask until the answer is not None. Raises DrillFailed with what was waited for."""
        deadline = time.monotonic() + seconds
        while True:
            self.stack.check()
            if self.ending.is_set():
                raise DrillFailed(f"was ended while it waited for {what}")
            answer = question()
            if answer is not None:
                return answer
            if time.monotonic() > deadline:
                raise DrillFailed(f"waited {seconds:g} s for {what}, in vain; logs: {self.stack.folder / 'logs'}")
            time.sleep(_PAUSE_SECONDS)

    def ready(self, *names: str, seconds: float = 60.0) -> None:
        """Wait until services are ready."""
        self.until(lambda: all(map(self.stack.is_ready, names)) or None, seconds, f"{', '.join(names)} to be ready")
        for name in names:
            self.stack.scrape(name)  # from here on its page is found without the streams

    # /metrics

    def value(self, service: str, name: str, **labels: str) -> float | None:
        """The sum of a metric's series with these labels on a service's page; None while there is none."""
        try:
            shown = self.stack.scrape(service)
        except ScrapeError:
            return None
        found = [sample.value for sample in shown.matching(name, **labels)]
        return sum(found) if found else None

    def metric(
        self, service: str, name: str, holds: Callable[[float], bool], seconds: float = 30.0, *,
        proof: Proof = "metric", what: str = "", meanwhile: Callable[[], object] = lambda: None, **labels: str,
    ) -> float:  # fmt: skip
        """Wait until a metric of a service holds, and write it down; `meanwhile` is done before each look."""
        shown = f"{name}{_written(labels)}"
        last: list[float | None] = [None]

        def asked() -> float | None:
            meanwhile()
            last[0] = self.value(service, name, **labels)
            return last[0] if last[0] is not None and holds(last[0]) else None

        try:
            found = self.until(asked, seconds, f"{shown} of {service} {what}".rstrip())
        except DrillFailed as failed:
            raise DrillFailed(f"{failed}; it is {last[0]}") from failed
        self.timeline.saw(proof, f"{shown} = {found:g}{f'  ({what})' if what else ''}")
        return found

    # Streams

    def mark(self) -> None:
        """From here on only what is said later counts."""
        self._marks = {stream: parse(self.stack.bus.last_id(stream)) for stream in (CONTROL, REPORTS)}

    def events(self) -> list[ControlEvent]:
        """Control events behind the mark, oldest first."""
        return self._since(CONTROL, ControlEvent)

    def reports(self) -> list[Report]:
        """Reports behind the mark, oldest first."""
        return self._since(REPORTS, Report)

    def event(self, kind: str, reason: str, seconds: float = 30.0, *, proof: Proof = "event", severity: str = "",
              by: str = "") -> ControlEvent:  # fmt: skip
        """Wait for a control event behind the mark, and write it down at its own time."""

        def asked() -> ControlEvent | None:
            for each in self.events():
                is_it = (each.event, each.reason) == (kind, reason) and severity in ("", each.severity)
                if is_it and by in ("", each.by):
                    return each
            return None

        found = self.until(asked, seconds, f"{kind} {reason} {severity} on control:events")
        text = f": {found.text}" if found.text else ""
        # A person's clock is the machine's; the services' own may be the market's.
        self.timeline.saw(
            proof,
            f"control:events {found.severity} {found.event} {found.reason} by {found.by}{text}",
            found.at_ns if found.by in SERVICES else None,
        )
        return found

    def dropped(self, gate: str, seconds: float = 30.0, *, proof: Proof = "protection", probe: bool = True) -> Report:
        """Wait until an approval was dropped by a gate, saying candidates meanwhile, and write it down."""

        def asked() -> Report | None:
            if probe:
                self.probe()
            return next((each for each in self.reports() if (each.kind, each.reason) == ("dropped", gate)), None)

        found = self.until(asked, seconds, f"an approval dropped by gate {gate}")
        self.timeline.saw(proof, f"exec:reports dropped {found.approval_id} by gate {gate}", found.local_ns)
        return found

    def entered(
        self, seconds: float = 30.0, *, proof: Proof = "recovery", probe: bool = True, after_ns: int = 0
    ) -> Report:
        """Wait until an entry order was accepted behind a time, saying candidates meanwhile, and write it down."""

        def asked() -> Report | None:
            if probe:
                self.probe()
            entries = (each for each in self.reports() if (each.kind, each.leg) == ("accepted", "entry"))
            return next((each for each in entries if each.local_ns > after_ns), None)

        found = self.until(asked, seconds, "an entry order")
        self.timeline.saw(proof, f"exec:reports accepted an entry of route {found.route}", found.local_ns)
        return found

    def _since(self, stream: str, kind: type[Answer]) -> list[Answer]:
        found: list[Answer] = []
        for entry in self.stack.bus.recent(stream, _RECENT):
            if parse(entry.id) <= self._marks.get(stream, (0, 0)):
                continue
            try:
                body = decode(entry).body
            except BusError:
                continue
            if isinstance(body, kind):
                found.append(body)
        return found

    # The market

    def images(self, count: int = 50) -> list[BookImage]:
        """The newest books, oldest first."""
        entries = self.stack.bus.recent(book(SYMBOL), count)
        return [body for entry in entries if isinstance(body := decode(entry).body, BookImage)]

    def image(self, holds: Callable[[BookImage], bool], seconds: float, what: str) -> BookImage:
        """Wait for a book; the first one that holds."""
        return self.until(lambda: next(filter(holds, self.images()), None), seconds, what)

    @cached_property
    def probes(self) -> Probes:
        """Candidates of our own."""
        return Probes(self.stack.bus, self.timeline.now, self.settings, self.trained.bundle(1))

    def probe(self, count: int = 1) -> list[str]:
        """Say candidates at the newest book."""
        images = self.images()
        return self.probes.say(count, images[-1]) if images else []

    # Versions

    def promoted(self, version: int, *steps: Literal["shadow", "canary", "active"]) -> None:
        """Move a version up by force, as a person would who does not wait for evidence."""
        from registry.states import Actor

        with self.registrar() as registrar:
            for step in steps:
                registrar.promote(version, step, Actor("human", "drill"), f"a drill makes it {step}", force=True)

    def withdrawn(self, seconds: float = 30.0) -> None:
        """Let the rollback sensor look, by its own function, until it has moved a version."""
        from pipelines.release_rounds import rollback_round

        with self.registrar() as registrar:
            began = registrar.head().epoch

            def looked() -> str | None:
                text = rollback_round(registrar, self.settings, utc_now).text
                return text if registrar.head().epoch > began else None

            text = self.until(looked, seconds, "a withdrawal by the rollback sensor")
        self.timeline.saw("protection", f"rollback_sensor: {text}")

    @contextmanager
    def registrar(self) -> "Iterator[Registrar]":
        """The one writer of this stack's registry."""
        from pipelines.registrar import open_registrar

        with open_registrar(self.settings, utc_now, self.stack.server.url) as registrar:
            yield registrar

    # Commands

    def command(self, text: str, proof: Proof = "recovery", *, exits: int = 0, **filled: str) -> str:
        """Run a command that the runbook names, word for word, and write it down; returns what it printed.

        `filled` replaces its placeholders (`<MODEL_ID>`). Raises DrillFailed when the runbook's section does not name
        it, or when it exits otherwise.
        """
        sections = runbook.page()
        named = [*sections[self.section].commands, *sections[_OPERATIONS].commands]
        if text not in named:
            raise DrillFailed(f"docs/runbook.md#{self.section} does not name the command of this drill: {text}")
        for name, value in {**{f"<{name}>": value for name, value in filled.items()}, _LAKE: self.lake}.items():
            text = text.replace(name, value)
        done = self.run(text)
        if done.returncode != exits:
            raise DrillFailed(f"{text}: exit {done.returncode}, wanted {exits}: {(done.stderr or done.stdout)[-800:]}")
        self.timeline.saw(proof, f"$ {text}")
        return done.stdout

    def journalled(self, kind: str = "", reason: str = "") -> None:
        """Read the executor's journal as the runbook says: whole, and with a control event where one is asked for."""

        said = ""

        def asked() -> list[dict[str, object]] | None:
            nonlocal said
            done = self.run(_JOURNAL)
            said = done.stderr or done.stdout[-300:]
            records = [json.loads(line) for line in done.stdout.splitlines()]
            heard = [each for each in records if (each.get("kind"), each.get("reason")) == (kind, reason)]
            is_there = done.returncode == 0 and (heard or not kind)
            return records if is_there else None

        try:
            records = self.until(asked, 20, f"{kind} {reason} in the executor's journal")
        except DrillFailed as failed:
            raise DrillFailed(f"{failed}; it ends with {said}") from failed
        self.command(_JOURNAL, "audit")
        held = f"holds {kind} {reason}" if kind else "is whole"
        self.timeline.saw("audit", f"executor.journal {held}; {len(records) - 1} records, head {records[-1]['head']}")

    def run(self, text: str) -> "subprocess.CompletedProcess[str]":
        """Run a command line in the stack's environment, from the checkout's root."""
        words, environ = shlex.split(text), {**os.environ, **self.environ, "REDIS_URL": self.stack.server.url}
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            environ[name] = value
        if words[0] == "python":
            words[0] = sys.executable
        return subprocess.run(  # noqa: S603 - the commands of our own runbook
            words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


def _written(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else ""
