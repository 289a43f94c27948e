"""The demo: the main job end to end on this machine, told step by step, with what came out at the end."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from archive.errors import ArchiveError
from bus.errors import BusError
from config.errors import SettingsError
from config.settings import Settings
from pipelines.errors import PipelineError
from pipelines.partitions import Cell
from registry.errors import RegistryError
from tidegate import paper_run, story
from tidegate.bars import Bars
from tidegate.closing import Outcome, on_paper, releases, results, where_to_look
from tidegate.complaint import complain
from tidegate.environment import prepare
from tidegate.live_stack import StackError

if TYPE_CHECKING:
    from pipelines.launching import Launcher
    from registry.versions import Version

_BY = "demo"
_LEARNING = "4  model, ONNX, parity proof, drift, card, registry"


def run(source: Path | None, *, with_releases: bool = True) -> int:
    """Run the demo; returns 0 when it came to its end, else 1 after a line that says why.

    Releases are told on the simulated market alone: a recording is over long before a canary is decided.
    """
    console = Console(highlight=False)
    started = time.perf_counter()
    try:
        settings = prepare(source)
        with _library_log(Path(settings.paths.var) / "logs"):
            outcome = tell(console, settings, started, with_releases=with_releases and source is None)
    except (SettingsError, ArchiveError, PipelineError, RegistryError, BusError, StackError) as error:
        complain(str(error), "demo stopped:")
        return 1
    console.print(results(outcome))
    console.print()
    console.print(on_paper(outcome.paper))
    if outcome.story is not None:
        console.print()
        console.print(releases(outcome.story))
    for line in where_to_look(outcome.source):
        console.print(line, soft_wrap=True)
    return 0


def tell(console: Console, settings: Settings, started: float, *, with_releases: bool) -> Outcome:
    """Run every step of the story.

    Raises:
        PipelineError: a run failed that should not have.
        StackError: the live services, or what the sensors should do, did not come.
    """
    from pipelines.launching import launcher
    from registry.journal import read_head

    bars = Bars(console)
    with launcher(settings, story.today(), bars) as runs:
        cells = runs.workspace.all_cells
        _announce(console, settings, cells)
        with bars.titled("1  market data and gap scan"):
            runs.launch("ingest_job", ["market_data", "gap_report"], cells)
        repaired, left_out = _repair(console, bars, runs, cells)
        if len(left_out) == len(cells):
            raise PipelineError(f"all {len(cells)} partitions are damaged and the source has nothing better; see above")
        sound = [each for each in cells if each not in left_out]
        with bars.titled("3  features and labels of the sound partitions"):
            runs.must("ingest_job", ["features", "labels"], sound)
        head, configured = read_head(settings.registry.mirror), settings
        if with_releases and head.slots.active is None:
            title = f"4  a first release of {story.FIRST_ROUNDS} trees, so that there is something to be better than"
            _activate(settings, _train(console, story.first_release(settings), title))
        elif with_releases:
            configured = story.seeded(settings, story.seed_of(settings, head.epoch))
        if configured is settings:
            with bars.titled(_LEARNING):
                version = runs.trained()
        else:
            version = _train(console, configured, _LEARNING)
        spent = runs.runs, runs.run_seconds, sum(bars.body_seconds.values())
        paper = paper_run.run(console, settings, runs.workspace.store, version, max(each.day for each in sound))
        if read_head(settings.registry.mirror).slots.active is None:
            _activate(settings, version)
        told = None
        if with_releases:
            told = story.run(
                console, lambda given: _train(console, given, story.THIRD), version.number, configured.training.seed
            )
        return Outcome(
            version=f"{version.name} version {version.number}",
            state=runs.workspace.store.version(version.number).state,
            bundle_sha256=version.sha256,
            metrics=runs.workspace.store.run_metrics(version.run_id),
            repaired=[str(each.key) for each in repaired],
            left_out=[str(each.key) for each in left_out],
            runs=spent[0],
            run_seconds=spent[1],
            body_seconds=spent[2],
            wall_seconds=time.perf_counter() - started,
            source=settings.source.path,
            paper=paper,
            story=told,
        )


def _train(console: Console, settings: Settings, title: str) -> "Version":
    """Run train_job with other settings than the demo's, and return the version that it registered."""
    from pipelines.launching import launcher

    bars = Bars(console)
    with bars.titled(title), launcher(settings, story.today(), bars) as runs:
        return runs.trained()


def _activate(settings: Settings, version: "Version") -> None:
    """The first activation there is: nothing trades yet, so there is nothing to be compared with."""
    from pipelines.registrar import open_registrar
    from registry.states import Actor

    with open_registrar(settings, story.now) as registrar:
        registrar.promote(version.number, "active", Actor("pipeline", _BY), "first release")


def _announce(console: Console, settings: Settings, cells: Sequence[Cell]) -> None:
    source = settings.source
    what = f"recorded days, {source.kind} in {source.path}" if source.path else "simulated days (synthetic, seeded)"
    symbols = sorted({each.symbol for each in cells})
    days = sorted({each.day for each in cells})
    console.print(f"[bold]tidegate demo[/]: {what}", soft_wrap=True)
    console.print(
        f"{len(days)} days from {days[0]} to {days[-1]}, {', '.join(symbols)}. Five minutes on two cores; "
        f"nothing leaves this machine.\n",
        soft_wrap=True,
    )


def _repair(console: Console, bars: Bars, runs: "Launcher", cells: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Backfill only the damaged partitions; returns those repaired and those that the source could not mend."""
    from pipelines.gap_gate import damaged
    from pipelines.ingestion import BACKFILL_TAG

    broken = damaged(runs.workspace, cells)
    if not broken:
        return [], []
    for each, why in sorted(broken.items()):
        console.print(f"   [yellow]damaged[/] {each.key}: {why}", soft_wrap=True)
    with bars.titled("2  backfill of the damaged partitions, and of no others"):
        runs.launch("ingest_job", ["market_data", "gap_report"], list(broken), {BACKFILL_TAG: "true"})
    still = damaged(runs.workspace, list(broken))
    for each in sorted(broken):
        verdict = "[yellow]left out[/]: the source has nothing better" if each in still else "[green]repaired[/]"
        console.print(f"   {each.key} {verdict}", soft_wrap=True)
    return sorted(set(broken) - set(still)), sorted(still)


@contextmanager
def _library_log(folder: Path) -> Iterator[None]:
    """Send what libraries log to a file, so that the screen shows only the story."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / "demo.log", mode="w")
    root = logging.getLogger()
    before, root.handlers = root.handlers, [handler]
    try:
        yield
    finally:
        root.handlers = before
        handler.close()
