"""One drill from its folder to its last line: a fresh folder, the stage's registry in it, the market, the services."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from threading import Event

from bus.codec import decode
from bus.messages import BookImage
from bus.streams import book
from config.settings import load
from tidegate.drills import knobs, market
from tidegate.drills.drill import Drill
from tidegate.drills.scene import Scene
from tidegate.drills.stack import Stack, opened
from tidegate.drills.timeline import Proof, Timeline
from tidegate.drills.training import Trained, utc_now
from tidegate.environment import FIXED, dagster_home

_READY_SECONDS = 90.0


def go_through(
    drill: Drill, folder: Path, stage: Trained, say: Callable[[str], None], ending: Event | None = None
) -> Sequence[Proof]:
    """Go through a drill in a fresh folder; returns the proofs that were not seen. `ending` ends it early.

    Raises DrillFailed, and whatever a service or a store could not do.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environ = environ_of(drill, folder, stage.folder)
    settings = load(environ={**os.environ, **environ})
    if drill.seconds:
        market.record(settings, folder / "market", drill.seconds, drill.defects)
    shutil.copy2(stage.folder / "mlflow.db", folder / "mlflow.db")
    shutil.copytree(stage.folder / "mirror", folder / "mirror", symlinks=True)
    with opened(folder, environ) as stack:
        by_market = drill.is_fast and not drill.by_machine
        line = Timeline(_market_time(stack) if by_market else time.time_ns, say, takes_stamps=not drill.by_machine)
        scene = Scene(drill.section, stage, settings, stack, line, environ, ending or Event())
        for names in drill.groups:
            stack.start(list(names))
        if drill.groups:
            scene.ready(*(name for names in drill.groups for name in names), seconds=_READY_SECONDS)
            line.saw("healthy", "every service is ready")
        drill.run(scene)
        return line.missing()


def environ_of(drill: Drill, folder: Path, trained: Path) -> dict[str, str]:
    """How everything of a drill is configured, the operator's commands included."""
    # The copied database names bundles where they were trained; nothing else is a place of ours.
    bundles = {"REGISTRY_ARTIFACTS": str(trained / "artifacts")}
    recorded = {"FEED_PATH": str(folder / "market")}
    # Ahead of the machine, as said of MARKET_DAY, but no years: what is capped by days would have lasted for ever.
    simulated = {"FEED_KIND": "simulator", "FEED_START": f"{utc_now().date() + timedelta(days=1)}T04:00:00"}
    feed = recorded if drill.seconds else simulated
    speed = {"FEED_SPEED": "0", "SIGNALS_TTL_MS": "600000"} if drill.is_fast else {}
    home = {**FIXED, "DAGSTER_HOME": str(dagster_home(folder / "var"))}
    return {
        **knobs.MARKET, **knobs.LIVE, **knobs.paths(folder, folder / "lake"), **bundles, **feed, **speed, **home,
        **drill.knobs,
    }  # fmt: skip


def _market_time(stack: Stack) -> Callable[[], int]:
    """The time of the newest book, where the market turns the clock; that of its begin before there is one."""

    def now() -> int:
        newest = [decode(entry).body for entry in stack.bus.recent(book(knobs.SYMBOL), 1)]
        return newest[-1].local_ns if newest and isinstance(newest[-1], BookImage) else market.BEGIN_NS

    return now
