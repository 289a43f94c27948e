"""The demo: the main job end to end on this machine, with what it does on the screen and what came out at the end."""

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console

from archive.errors import ArchiveError
from config.errors import SettingsError
from config.settings import Settings
from pipelines.errors import PipelineError
from pipelines.partitions import Cell
from tidegate.bars import Bars
from tidegate.closing import closing_table
from tidegate.environment import prepare

_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run(source: Path | None) -> int:
    """Run the demo; returns 0 when a version ended under alias candidate, else 1 after one line that says why."""
    console = Console()
    started = time.perf_counter()
    try:
        settings = prepare(source)
        with _dagster_log(Path(settings.paths.var) / "logs"):
            story = Story(console, settings)
            story.tell()
    except (SettingsError, ArchiveError, PipelineError) as error:
        console.print(f"[red]demo stopped:[/] {error}", highlight=False)
        return 1
    console.print(closing_table(story, time.perf_counter() - started))
    return 0


@dataclass
class Story:
    """The steps of the demo, in the order they are told, and what each left behind."""

    console: Console
    settings: Settings
    runs: int = 0
    run_seconds: float = 0.0
    body_seconds: float = 0.0
    repaired: list[Cell] = field(default_factory=list)
    left_out: dict[Cell, str] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def tell(self) -> None:
        """Run every step.

        Raises:
            PipelineError: a Dagster run failed that should not have.
        """
        from dagster import DagsterInstance

        from pipelines.definitions import build

        bars = Bars(self.console)
        today = datetime.now(UTC).date()  # noqa: TID251 - an entry point owns the clock
        definitions = build(self.settings, today, bars)
        workspace = definitions.resources["workspace"]  # type: ignore[index]
        cells = workspace.all_cells
        self._announce(cells)
        with DagsterInstance.get() as instance:
            runner = _Runner(self, definitions, instance, bars)
            runner.launch("1 market data and gap scan", "ingest_job", ["market_data", "gap_report"], cells, may_fail=True)
            self._repair(runner, workspace, cells)
            sound = [each for each in cells if each not in self.left_out]
            runner.launch("3 features and labels", "ingest_job", ["features", "labels"], sound)
            runner.launch("4 model, ONNX, parity, card, registry", "train_job", None, [])
        self.body_seconds = sum(bars.body_seconds.values())
        version = workspace.store.by_alias("candidate")
        self.outputs = {"version": version, "metrics": workspace.store.run_metrics(version.run_id)}

    def _announce(self, cells: Sequence[Cell]) -> None:
        source = self.settings.source
        what = f"{source.kind} at {source.path}" if source.path else "simulated days (synthetic, seeded)"
        days, symbols = {each.day for each in cells}, {each.symbol for each in cells}
        self.console.print(
            f"[bold]tidegate demo[/]: {what}\n{len(days)} days x {len(symbols)} symbols ({', '.join(sorted(symbols))}). "
            f"Nothing leaves this machine.\n",
            highlight=False,
        )

    def _repair(self, runner: "_Runner", workspace: Any, cells: Sequence[Cell]) -> None:
        """Backfill only what the gap scan found damaged; what stays damaged is left out of training."""
        from pipelines.gap_gate import damaged
        from pipelines.ingestion import BACKFILL_TAG

        broken = damaged(workspace, cells)
        for each, why in sorted(broken.items()):
            self.console.print(f"  [yellow]damaged[/] {each.key}: {why}", highlight=False)
        if broken:
            runner.launch(
                "2 backfill of the damaged partitions only", "ingest_job", ["market_data", "gap_report"],
                list(broken), may_fail=True, tags={BACKFILL_TAG: "true"},
            )  # fmt: skip
        self.left_out = damaged(workspace, list(broken)) if broken else {}
        self.repaired = [each for each in broken if each not in self.left_out]
        for each in sorted(self.left_out):
            self.console.print(f"  [yellow]left out[/] {each.key}: the source has nothing better", highlight=False)


@dataclass
class _Runner:
    """Launches Dagster runs in this process and keeps count of their time."""

    story: Story
    definitions: Any
    instance: Any
    bars: Bars

    def launch(
        self,
        title: str,
        job: str,
        selection: Sequence[str] | None,
        cells: Sequence[Cell],
        *,
        may_fail: bool = False,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Run a job: once as a whole, or once for each block of cells.

        Raises:
            PipelineError: a run failed, unless it may; the message is that of the failed asset.
        """
        from dagster import AssetKey

        self.story.console.print(f"[bold cyan]{title}[/]", highlight=False)
        started = time.perf_counter()
        with self.bars:
            for block in blocks(cells) or [None]:
                spans = {} if block is None else {_RANGE_START: str(block[0].key), _RANGE_END: str(block[1].key)}
                result = self.definitions.resolve_job_def(job).execute_in_process(
                    instance=self.instance,
                    asset_selection=[AssetKey(name) for name in selection] if selection else None,
                    run_config=_QUIET,
                    tags={**(tags or {}), **spans},
                    raise_on_error=False,
                )
                self.story.runs += 1
                if not result.success and not may_fail:
                    raise PipelineError(f"{title}: {why_failed(result)}")
        self.story.run_seconds += time.perf_counter() - started


def why_failed(result: Any) -> str:
    """The message of the first failed step of a run, or of its failed blocking checks."""
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error:
            error = event.step_failure_data.error
            return f"{event.step_key}: {(error.cause or error).message.strip()}"
    return f"run {result.run_id} failed without a failed step; see its log in Dagster"


def blocks(cells: Iterable[Cell]) -> list[tuple[Cell, Cell]]:
    """Cover cells with as few (first, last) rectangles of whole days and neighbouring symbols as is simple.

    Days that hold the same symbols and follow each other share a rectangle; each is one run, since a run costs a
    second or more whatever it does.
    """
    by_day = {day: tuple(each.symbol for each in group) for day, group in groupby(sorted(cells), lambda c: c.day)}
    found: list[tuple[Cell, Cell]] = []
    every = sorted({symbol for symbols in by_day.values() for symbol in symbols})
    for day, symbols in by_day.items():
        for first, last in _stretches(symbols, every):
            before = next((k for k, (a, b) in enumerate(found) if (a.symbol, b.symbol) == (first, last)
                           and (day - b.day).days == 1), None)  # fmt: skip
            if before is None:
                found.append((Cell(day, first), Cell(day, last)))
            else:
                found[before] = (found[before][0], Cell(day, last))
    return found


def _stretches(symbols: Sequence[str], every: Sequence[str]) -> list[tuple[str, str]]:
    """Runs of symbols that are neighbours in the full list, each as (first, last)."""
    places = [every.index(symbol) for symbol in symbols]
    runs = [[place for _, place in group] for _, group in groupby(enumerate(places), lambda pair: pair[1] - pair[0])]
    return [(every[run[0]], every[run[-1]]) for run in runs]


@contextmanager
def _dagster_log(folder: Path) -> Any:
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
