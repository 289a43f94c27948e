"""The third part of the demo: releases without hands. A better version is promoted, a bad one is withdrawn.

The services trade on paper over a simulated market that begins now and runs as fast as it can be handled; Dagster's
daemon runs beside them, and its sensors alone move versions. Nothing here promotes or rolls back: it trains, waits, and
tells what the registry's journal says.

The bad version is an honest accident: the same trees as the good one, with the threshold of a far too low precision
target. Its probabilities are as good, so the offline gates and the shadow's test let it pass; its trades are not.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from bus.errors import BusError
from bus.server import serve
from config.settings import Settings, load
from tidegate.environment import ROOT
from tidegate.live_stack import SERVICES, LiveStack, StackError
from tidegate.live_stack import start as start_live
from tidegate.live_stack import stop as stop_live
from tidegate.up import heeding_signals

if TYPE_CHECKING:
    from registry.promotion import Registrar
    from registry.states import Head
    from registry.versions import Version

FIRST_ROUNDS = 15
"""Trees of the first release, so that the second one is better."""
BAD_PRECISION = 0.25
"""The precision target of the third release: its threshold then takes most of what there is."""
KNOBS: Mapping[str, str] = {
    "RELEASE_AUTO_CANARY": "true", "RELEASE_AUTO_PROMOTE": "true", "RELEASE_RAMP": "0.5", "RELEASE_STEP_HOURS": "0",
    "RELEASE_MIN_HOURS": "0", "RELEASE_MIN_SAMPLE": "200", "RELEASE_WINRATE_DELTA_PP": "10",
    "RELEASE_SHADOW_MARGIN": "0.03",
    "RELEASE_COOLDOWN_MINUTES": "1", "RELEASE_WATCH_DAYS": "0.0001", "ROLLOUT_MODE": "canary",
    "ROLLOUT_CANARY_FRACTION": "0.5", "SCHEDULE_AUTOMATIC": "false",
}  # fmt: skip
"""What the story configures otherwise: half of the signals go to a canary, and nobody waits for a day to pass.

At the configured margin a shadow takes the better part of a day: candidates a horizon apart are few.
"""
_READY_SECONDS = 90.0
_STAGE_SECONDS = 300.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Step:
    """One move of the story: how long after its beginning, which version went where, who moved it, and why."""

    seconds: float
    version: int
    where: str
    by: str
    why: str


@dataclass(slots=True)
class Story:
    """What the journal said, in order, and where live and the sensors wrote.

    `behind_live_seconds`: the sensor's move behind risk's verdict, with which live had fenced the canary; None
    where the verdict was not seen before the move.
    """

    steps: list[Step] = field(default_factory=list)
    behind_live_seconds: float | None = None
    logs: tuple[Path, ...] = ()


Train = Callable[[Settings], "Version"]
"""Runs train_job with these settings and returns the version it registered."""
THIRD = "   the next release is trained while the one before trades; its threshold is far too low"


def first_release(settings: Settings) -> Settings:
    """The settings that the first release is trained with."""
    return _with(settings, "training", max_rounds=min(FIRST_ROUNDS, settings.training.max_rounds))


def seed_of(settings: Settings, epoch: int) -> int:
    """The seed of the second release and of the third: as configured, and another one behind an earlier demo.

    The same data, code and seed give the same version, and that one has had its story.
    """
    return settings.training.seed + epoch


def seeded(settings: Settings, seed: int) -> Settings:
    """The settings with another seed of the trainer."""
    return _with(settings, "training", seed=seed)


def bad_release(settings: Settings) -> Settings:
    """The settings that the third release is trained with."""
    return _with(settings, "evaluation", precision_target=min(BAD_PRECISION, settings.evaluation.precision_target))


def run(console: Console, train: Train, second: int, seed: int) -> Story:
    """Tell the story: `second` is a candidate and better than the active version; a third is trained with its seed.

    Raises StackError when a part of it does not come. The environment keeps KNOBS only within this call.
    """
    from pipelines.registrar import open_registrar

    with _environment(KNOBS):
        settings = load()
        var = Path(settings.paths.var) / "demo"
        shutil.rmtree(var, ignore_errors=True)
        logs = Path(settings.paths.var) / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        story = Story(logs=(logs / "live.log", logs / "dagster_daemon.log"))
        with serve(var / "redis") as server, _environment({"REDIS_URL": server.url}):
            console.print("[bold cyan]6  releases, moved by Dagster's sensors alone[/]")
            console.print(
                f"   [dim]configured for the demo: {' '.join(f'{k}={v}' for k, v in KNOBS.items())}", soft_wrap=True
            )
            settings = load()
            with open_registrar(settings, now) as registrar:
                clear(console, registrar)
            with _daemon(story.logs[1]), _live(var, story.logs[0], server.url) as stack:
                _Teller(console, settings, stack, story).tell(train, second, seed)
        return story


class _Teller:
    """Waits for what the sensors do, and prints each move when the journal has it."""

    def __init__(self, console: Console, settings: Settings, stack: LiveStack, story: Story) -> None:
        self._console, self._settings, self._stack, self._story = console, settings, stack, story
        self._began = time.monotonic()
        self._epoch = 0
        self._found_bad: float | None = None

    def tell(self, train: Train, second: int, seed: int) -> None:
        """See the better version promoted; train the bad one and see it withdrawn."""
        from pipelines.registrar import open_registrar

        with open_registrar(self._settings, now) as registrar:
            self._epoch = registrar.head().epoch
            self._stack.wait_for(SERVICES, _READY_SECONDS)
            self._until(registrar, f"version {second} active", lambda head: head.slots.active == second)
            third = train(bad_release(seeded(self._settings, seed))).number
            self._until(registrar, f"version {third} withdrawn", lambda head: head.states.get(third) == "rolled_back")
            if self._found_bad is not None:
                self._story.behind_live_seconds = time.monotonic() - self._found_bad
            self._recorded(registrar.head().epoch)

    def _until(self, registrar: "Registrar", what: str, holds: "Callable[[Head], bool]") -> None:
        deadline = time.monotonic() + _STAGE_SECONDS
        with self._console.status(f"waiting for {what}") as shown:
            while True:
                self._stack.check()
                head = registrar.head()
                self._note(head)
                if holds(head):
                    return
                if time.monotonic() > deadline:
                    told = f"{what} did not come within {_STAGE_SECONDS:g} s; {self._evidence()}; logs: "
                    raise StackError(told + ", ".join(map(str, self._story.logs)))
                shown.update(f"waiting for {what}: {escape(self._evidence())}")
                time.sleep(_POLL_SECONDS)

    def _recorded(self, epoch: int) -> None:
        """Wait for the run that shows the last move on Dagster's page."""
        from pipelines.release_record import is_recorded

        deadline = time.monotonic() + _STAGE_SECONDS
        with self._console.status("waiting for the run that records it"):
            while not is_recorded(epoch):
                if time.monotonic() > deadline:
                    raise StackError(f"the move of epoch {epoch} was not recorded; see {self._story.logs[1]}")
                time.sleep(_POLL_SECONDS)

    def _note(self, head: "Head") -> None:
        """Print the moves that are new on the journal."""
        if head.epoch == self._epoch:
            return
        from registry.audit import moves

        for move in moves(self._settings.registry.mirror):
            if move.epoch <= self._epoch or move.version is None:
                continue
            at = time.monotonic() - self._began
            step = Step(at, move.version, move.target, move.by, move.text or move.reason)
            self._story.steps.append(step)
            told = f"version {step.version} -> [bold]{step.where}[/]  {step.by}: {escape(step.why)}"
            self._console.print(f"   {step.seconds:5.0f} s  {told}", soft_wrap=True)
        self._epoch = head.epoch

    def _evidence(self) -> str:
        """What risk says of the trials now."""
        from pipelines.registrar import latest_verdicts
        from pipelines.release_policy import in_words

        try:
            found = latest_verdicts(self._stack.bus)
        except BusError:
            return "no word from risk"
        canary = found.get("canary")
        if self._found_bad is None and canary is not None and canary.decision == "roll_back":
            self._found_bad = time.monotonic()
        return (
            "; ".join(f"{each.trial} v{each.version}: {in_words(each)}" for each in found.values()) or "no verdict yet"
        )


def clear(console: Console, registrar: "Registrar") -> None:
    """What an earlier demo left: a version on trial, a rollout that a rollback disabled. As an operator would."""
    from registry.states import Actor

    by, why = Actor("human", "demo"), "left by an earlier demo"
    head = registrar.head()
    if head.canary is not None:
        head = registrar.disable_rollout(by, why).head
    if head.slots.shadow is not None and head.control is None:
        head = registrar.reject(head.slots.shadow, by, why).head
    if head.rollout is None or head.rollout.mode != "disabled":
        return
    with console.status("an earlier demo rolled back: its cooldown must pass"):
        while head.is_cooling(now()):
            time.sleep(_POLL_SECONDS)
    registrar.enable_rollout(by, "a new demo begins", force=True)
    console.print("   [dim]an earlier demo left the rollout disabled; done: python -m tidegate rollout enable --force")


@contextmanager
def _live(var: Path, log: Path, url: str) -> Iterator[LiveStack]:
    """The services on a market that begins now and runs as fast as it is handled."""
    from bus.client import open_bus

    environ = {
        "PATHS_VAR": str(var), "REDIS_URL": url, "FEED_KIND": "simulator", "FEED_START": "now", "FEED_SPEED": "0",
        "FEED_MINUTES": "0", "EXCHANGE_MODE": "paper", "SERVING_LOG_FORMAT": "json",
    }  # fmt: skip
    with open_bus(url) as bus:
        process = start_live(SERVICES, log, environ)
        try:
            yield LiveStack(process, bus, log)
        finally:
            stop_live(process)


@contextmanager
def _daemon(log: Path) -> Iterator[None]:
    """Dagster's daemon, which runs the sensors."""
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-w", str(ROOT / "workspace.yaml")]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT,
            preexec_fn=heeding_signals,  # noqa: PLW1509 - no threads here
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a while: for us and for the processes we start. What a person has set already stays."""
    before = {name: os.environ.get(name) for name in values}
    for name, value in values.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name in (name for name, value in before.items() if value is None):
            os.environ.pop(name, None)


def _with(settings: Settings, section: str, **changes: object) -> Settings:
    changed = getattr(settings, section).model_copy(update=changes)
    return settings.model_copy(update={section: changed})


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)  # noqa: TID251 - an entry point owns the clock


def today() -> date:
    """The day of today, UTC."""
    return now().date()
