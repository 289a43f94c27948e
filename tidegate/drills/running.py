"""Running drills: one as it happens, several side by side in lanes; what came of each is kept."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from threading import Event

from archive.errors import ArchiveError
from bus.errors import BusError
from config.errors import SettingsError
from config.settings import load
from market.events import MarketError
from pipelines.errors import PipelineError
from registry.errors import RegistryError
from tidegate.complaint import complain
from tidegate.drills import results
from tidegate.drills.catalog import DRILLS
from tidegate.drills.drill import Drill
from tidegate.drills.errors import DrillFailed
from tidegate.drills.rehearsal import go_through
from tidegate.drills.results import Result
from tidegate.drills.training import Trained, trained, utc_now
from tidegate.live_stack import StackError
from tidegate.up import ended_by_signals

Say = Callable[[str], None]
LANES = 2
"""Drills at the same time: most of one is waiting for a market that goes at its own pace."""
_LONGEST = ("data-gaps", "operations", "rollback-guard")
"""They begin first, so that no lane waits for them alone."""
_FAILURES = (
    DrillFailed, StackError, BusError, RegistryError, PipelineError, ArchiveError, SettingsError, MarketError, OSError,
    subprocess.TimeoutExpired,
)  # fmt: skip


def run(names: Sequence[str], say: Say = print, lanes: int = LANES) -> int:
    """Run drills; returns 0 when all were passed, 1 when one failed, 2 for a name there is not.

    One drill tells its timeline as it happens; of several each is told whole when it has ended.
    """
    if strange := [name for name in names if name not in DRILLS]:
        complain(f"no drill {', '.join(strange)}; there are: {', '.join(DRILLS)}")
        return 2
    root, began = Path(load().paths.var) / "drills", time.monotonic()
    try:
        stage = trained(root)
    except _FAILURES as error:
        say(f"the drills' model could not be trained: {error}")
        return 1
    say(f"stage: {', '.join(stage.ids.values())} in {time.monotonic() - began:.0f} s")
    with ended_by_signals():
        done = _in_lanes([DRILLS[name] for name in names], root, stage, say, lanes)
    passed = sum(each.passed for each in done)
    say(f"\n{passed} of {len(done)} drills passed in {time.monotonic() - began:.0f} s")
    for each in done:
        say(f"  {each.drill:<18} {each.line()}" + (f"  {each.failure.splitlines()[0]}" if each.failure else ""))
    return 0 if passed == len(done) else 1


def show(say: Say = print, *, as_json: bool = False) -> int:
    """List the drills with their sections and last results; returns 0."""
    kept = results.read(Path(load().paths.var) / "drills")
    if as_json:
        say(json.dumps([_plain(drill, kept.get(name)) for name, drill in DRILLS.items()], indent=2))
        return 0
    for name, drill in DRILLS.items():
        last = kept[name].line() if name in kept else "never run"
        say(f"{name:<18} docs/runbook.md#{drill.section:<28} {last:<32} {drill.about}")
    return 0


def _plain(drill: Drill, last: Result | None) -> Mapping[str, object]:
    """A drill and its last result, null where it was never run."""
    told = None if last is None else asdict(last) | {"passed": last.passed}
    return {"name": drill.name, "section": drill.section, "about": drill.about, "last": told}


def one(drill: Drill, root: Path, stage: Trained, say: Say, ending: Event | None = None) -> Result:
    """Go through one drill and keep what came of it."""
    say(f"\n{drill.name}: {drill.about}  (docs/runbook.md#{drill.section})")
    began, at, failure = time.monotonic(), utc_now(), ""
    try:
        missing = go_through(drill, root / drill.name, stage, say, ending)
        failure = f"nothing was shown of: {', '.join(missing)}" if missing else ""
    except _FAILURES as error:
        failure = str(error) or repr(error)
    result = Result(drill.name, drill.section, at.isoformat(), time.monotonic() - began, failure)
    say(f"  {'passed' if result.passed else 'FAILED: ' + failure} in {result.seconds:.0f} s")
    results.keep(root, result)
    return result


def _in_lanes(drills: Sequence[Drill], root: Path, stage: Trained, say: Say, lanes: int) -> list[Result]:
    """Run drills side by side; Ctrl-C and SIGTERM end those under way in order, with what they started."""
    told: dict[str, list[str]] = {drill.name: [] for drill in drills}
    found: dict[str, Result] = {}
    ending = Event()
    with ThreadPoolExecutor(lanes, thread_name_prefix="drill") as pool:
        tell = {drill.name: say if len(drills) == 1 else told[drill.name].append for drill in drills}
        longest_first = sorted(drills, key=lambda drill: drill.name not in _LONGEST)
        running = [pool.submit(one, drill, root, stage, tell[drill.name], ending) for drill in longest_first]
        try:
            for ended in as_completed(running):
                result = ended.result()
                found[result.drill] = result
                for line in told[result.drill]:
                    say(line)
        except BaseException:
            ending.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [found[drill.name] for drill in drills]
