"""The demo: the main job end to end on this machine, told step by step, with what came out at the end."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from archive.errors import ArchiveError
from bus.errors import BusError
from config.errors import SettingsError
from config.settings import Settings
from pipelines.errors import PipelineError
from pipelines.partitions import Cell
from registry.errors import RegistryError
from tidegate import paper_run
from tidegate.bars import Bars
from tidegate.closing import Outcome, on_paper, results, where_to_look
from tidegate.environment import prepare
from tidegate.live_stack import StackError

if TYPE_CHECKING:
    from pipelines.launching import Launcher


def run(source: Path | None) -> int:
    """Run the demo; returns 0 when a version ended under alias candidate, else 1 after a line that says why."""
    console = Console(highlight=False)
    started = time.perf_counter()
    try:
        settings = prepare(source)
        with _library_log(Path(settings.paths.var) / "logs"):
            outcome = tell(console, settings, started)
    except (SettingsError, ArchiveError, PipelineError, RegistryError, BusError, StackError) as error:
        console.print(f"[red]demo stopped:[/] {escape(str(error))}", markup=True, soft_wrap=True)
        return 1
    console.print(results(outcome))
    console.print()
    console.print(on_paper(outcome.paper))
    for line in where_to_look(outcome.source):
        console.print(line, soft_wrap=True)
    return 0


def tell(console: Console, settings: Settings, started: float) -> Outcome:
    """Run every step of the story.

    Raises:
        PipelineError: a run failed that should not have.
    """
    from pipelines.launching import launcher

    bars = Bars(console)
    today = datetime.now(UTC).date()  # noqa: TID251 - an entry point owns the clock
    with launcher(settings, today, bars) as runs:
        cells = runs.workspace.all_cells
        _announce(console, settings, cells)
        with bars.titled("1  market data and gap scan"):
            runs.launch("ingest_job", ["market_data", "gap_report"], cells)
        repaired, left_out = _repair(console, bars, runs, cells)
        if len(left_out) == len(cells):
            raise PipelineError(f"all {len(cells)} partitions are damaged and the source has nothing better; see above")
        with bars.titled("3  features and labels of the sound partitions"):
            runs.must("ingest_job", ["features", "labels"], [each for each in cells if each not in left_out])
        with bars.titled("4  model, ONNX, parity proof, drift, card, registry"):
            runs.must("train_job")
        version = runs.workspace.store.by_alias("candidate")
        if version is None:
            raise PipelineError("train_job succeeded, but no version has alias candidate; was it moved meanwhile?")
        spent = runs.runs, runs.run_seconds, sum(bars.body_seconds.values())
        sound = [each for each in cells if each not in left_out]
        paper = paper_run.run(console, settings, runs.workspace.store, version, max(each.day for each in sound))
        return Outcome(
            version=f"{version.name} version {version.number}",
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
        )


def _announce(console: Console, settings: Settings, cells: Sequence[Cell]) -> None:
    source = settings.source
    what = f"recorded days, {source.kind} in {source.path}" if source.path else "simulated days (synthetic, seeded)"
    symbols = sorted({each.symbol for each in cells})
    days = sorted({each.day for each in cells})
    console.print(f"[bold]tidegate demo[/]: {what}", soft_wrap=True)
    console.print(
        f"{len(days)} days from {days[0]} to {days[-1]}, {', '.join(symbols)}. Two to five minutes on two cores; "
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
