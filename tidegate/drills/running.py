"""Running drills: a fresh folder for each, its services, its timeline on the screen, its result kept."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from archive.errors import ArchiveError
from bus.codec import decode
from bus.errors import BusError
from bus.messages import BookImage
from bus.streams import book
from config.errors import SettingsError
from config.settings import load
from pipelines.errors import PipelineError
from registry.bundle import verify_bundle
from registry.errors import RegistryError
from registry.manifest import Cause, Mirror
from tidegate.drills import knobs, market, results
from tidegate.drills.catalog import DRILLS
from tidegate.drills.drill import Drill
from tidegate.drills.errors import DrillFailed
from tidegate.drills.results import Result
from tidegate.drills.scene import Scene
from tidegate.drills.stack import Stack, opened
from tidegate.drills.timeline import Timeline
from tidegate.drills.training import SOUND, Trained, trained
from tidegate.live_stack import StackError

Say = Callable[[str], None]
_FAILURES = (DrillFailed, StackError, BusError, RegistryError, PipelineError, ArchiveError, SettingsError, OSError)
_READY_SECONDS = 60.0


def run(names: Sequence[str], say: Say = print) -> int:
    """Run drills one after the other; returns 0 when all were passed, 1 when one failed, 2 for a name there is not."""
    if strange := [name for name in names if name not in DRILLS]:
        say(f"no drill {', '.join(strange)}; there are: {', '.join(DRILLS)}")
        return 2
    root = Path(load().paths.var) / "drills"
    began = time.monotonic()
    try:
        stage = trained(root)
    except _FAILURES as error:
        say(f"the drills' model could not be trained: {error}")
        return 1
    say(f"stage: versions {', '.join(f'{number} {name}' for number, name in stage.ids.items())}, "
        f"{time.monotonic() - began:.0f} s")  # fmt: skip
    done = [_one(DRILLS[name], root, stage, say) for name in names]
    say(f"\n{sum(each.passed for each in done)} of {len(done)} drills passed in {time.monotonic() - began:.0f} s")
    for each in done:
        say(f"  {each.drill:<18} {each.line()}" + (f"  {each.failure.splitlines()[0]}" if each.failure else ""))
    return 0 if all(each.passed for each in done) else 1


def show(say: Say = print) -> int:
    """List the drills with their sections and last results; returns 0."""
    kept = results.read(Path(load().paths.var) / "drills")
    for name, drill in DRILLS.items():
        last = kept[name].line() if name in kept else "never run"
        say(f"{name:<18} docs/runbook.md#{drill.section:<28} {last:<28} {drill.about}")
    return 0


def _one(drill: Drill, root: Path, stage: Trained, say: Say) -> Result:
    say(f"\n{drill.name}: {drill.about}  (docs/runbook.md#{drill.section})")
    began, at, failure = time.monotonic(), datetime.fromtimestamp(time.time_ns() / 1e9, UTC), ""
    try:
        missing = _through(drill, root / drill.name, stage, say)
        failure = f"nothing was shown of: {', '.join(missing)}" if missing else ""
    except _FAILURES as error:
        failure = str(error) or repr(error)
    result = Result(drill.name, drill.section, at.isoformat(), time.monotonic() - began, failure)
    results.keep(root, result)
    say(f"  {'passed' if result.passed else 'FAILED: ' + failure} in {result.seconds:.0f} s")
    return result


def _through(drill: Drill, folder: Path, stage: Trained, say: Say) -> Sequence[str]:
    """Go through a drill in a fresh folder; returns the proofs that were not seen."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environ = _environ(drill, folder)
    settings = load(environ={**os.environ, **environ})
    if drill.seconds:
        market.record(settings, folder / "market", drill.seconds, drill.defects)
    shutil.copy2(stage.folder / "mlflow.db", folder / "mlflow.db")
    bundle = stage.bundle(SOUND)
    card = verify_bundle(bundle)
    cause = Cause(at=card.created_at, by="drill", reason="the stage's model")
    Mirror(settings.registry.mirror).fill("active", bundle, cause, card.sha256)
    with opened(folder, environ) as stack:
        line = Timeline(_market_time(stack) if drill.is_fast else time.time_ns, say)
        scene = Scene(drill.section, stage, settings, stack, line, environ)
        for names in drill.groups:
            stack.start(list(names))
        if drill.groups:
            scene.ready(*(name for names in drill.groups for name in names), seconds=_READY_SECONDS)
            line.saw("healthy", "every service is ready")
        drill.run(scene)
        return line.missing()


def _environ(drill: Drill, folder: Path) -> dict[str, str]:
    feed = {"FEED_PATH": str(folder / "market")} if drill.seconds else {"FEED_KIND": "simulator"}
    speed = {"FEED_SPEED": "0", "SIGNALS_TTL_MS": "600000"} if drill.is_fast else {}
    return {
        **knobs.MARKET, **knobs.LIVE, **knobs.paths(folder, folder / "lake"), **feed, **speed, **drill.knobs
    }  # fmt: skip


def _market_time(stack: Stack) -> Callable[[], int]:
    """The time of the newest book, where the market turns the clock; that of its begin before there is one."""

    def now() -> int:
        newest = [decode(entry).body for entry in stack.bus.recent(book(knobs.SYMBOL), 1)]
        return newest[-1].local_ns if newest and isinstance(newest[-1], BookImage) else market.BEGIN_NS

    return now
