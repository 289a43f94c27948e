"""Launching jobs in this process, without a daemon: what the demo and the operator's commands use."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

import dagster as dg

from config.settings import Settings
from pipelines.definitions import build
from pipelines.errors import PipelineError
from pipelines.partitions import RANGE_END, RANGE_START, Cell
from pipelines.progress import Progress
from pipelines.workspace import Workspace

if TYPE_CHECKING:
    from registry.versions import Version

# The run's events go to the instance, where the Dagster page shows them; the screen belongs to the caller.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Launcher:
    """Runs jobs of one set of definitions on one instance, and keeps count of their time."""

    definitions: dg.Definitions
    workspace: Workspace
    instance: dg.DagsterInstance
    runs: int = 0
    run_seconds: float = 0.0
    run_ids: list[str] = field(default_factory=list)

    def launch(
        self,
        job: str,
        assets: Sequence[str] | None = None,
        cells: Sequence[Cell] = (),
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Run a job, or some of its assets: once for each block of cells, once as a whole when there are none.

        Returns an empty text, or what failed first in the first run that did; the blocks behind it are still run.
        """
        failures = [
            self._run(job, assets, span, dict(tags or {}))
            for span in _spans(cells, self.workspace.settings.market.symbols)
        ]
        return next((failure for failure in failures if failure), "")

    def must(self, job: str, assets: Sequence[str] | None = None, cells: Sequence[Cell] = ()) -> None:
        """Run a job as `launch` does.

        Raises:
            PipelineError: a run failed; the message is that of the failed asset or check.
        """
        if failure := self.launch(job, assets, cells):
            raise PipelineError(f"{job}: {failure}")

    def trained(self) -> "Version":
        """Run train_job and return the version that it registered, which an equal training may have registered before.

        Raises:
            PipelineError: the run failed.
        """
        self.must("train_job")
        event = self.instance.get_latest_materialization_event(dg.AssetKey("candidate"))
        made = event.asset_materialization if event else None
        if made is None:
            raise PipelineError(
                "train_job succeeded, but asset candidate has no materialization; look at it in Dagster"
            )
        return self.workspace.store.version(int(str(made.metadata["version"].value)))

    def _run(self, job: str, assets: Sequence[str] | None, span: Mapping[str, str], tags: dict[str, str]) -> str:
        started = time.perf_counter()
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
            run_config=_QUIET,
            tags=tags | dict(span),
            raise_on_error=False,
        )
        self.runs += 1
        self.run_seconds += time.perf_counter() - started
        self.run_ids.append(result.run_id)
        return "" if result.success else why_failed(result)


@contextmanager
def launcher(settings: Settings, today: date, progress: Progress) -> Iterator[Launcher]:
    """Open the instance that DAGSTER_HOME names and the definitions of a configuration."""
    workspace = Workspace(settings, today, progress)
    with dg.DagsterInstance.get() as instance:
        yield Launcher(build(workspace), workspace, instance)


def why_failed(result: dg.ExecuteInProcessResult) -> str:
    """What failed first in a run: the finding of a check that blocks, or the message of a step."""
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if found.blocking and not found.passed and found.severity is dg.AssetCheckSeverity.ERROR:
                return f"{found.asset_key.to_user_string()}: check {found.check_name}: {found.description}"
        if event.is_step_failure and event.step_failure_data.error:
            error = event.step_failure_data.error
            return f"{event.step_key}: {_without_module((error.cause or error).message.strip())}"
    return f"run {result.run_id} failed without a failed step; look at it in Dagster"


def blocks(cells: Iterable[Cell], symbols: Iterable[str]) -> list[tuple[Cell, Cell]]:
    """Cover cells, and no others of the grid, with (first, last) rectangles of following days and neighbouring symbols.

    `symbols` are all that the grid has: a rectangle holds those between its corners, asked for or not. Days that hold
    the same symbols and follow each other share a rectangle. Each is one run, since a run costs a second or more
    whatever it does.
    """
    by_day = {day: [each.symbol for each in group] for day, group in groupby(sorted(cells), lambda each: each.day)}
    every = sorted(symbols)
    found: list[tuple[Cell, Cell]] = []
    for day, asked in by_day.items():
        for first, last in _neighbours(asked, every):
            grown = [k for k, (a, b) in enumerate(found) if (a.symbol, b) == (first, Cell(day, last).shifted(-1))]
            if grown:
                found[grown[0]] = (found[grown[0]][0], Cell(day, last))
            else:
                found.append((Cell(day, first), Cell(day, last)))
    return found


def _without_module(message: str) -> str:
    """The message without the dotted path in front of its class: `ArchiveBusy: ...`."""
    head, colon, rest = message.partition(": ")
    return f"{head.rpartition('.')[2]}{colon}{rest}"


def _spans(cells: Sequence[Cell], symbols: Sequence[str]) -> list[dict[str, str]]:
    """Run tags that select each block of cells; one set without a selection when there are no cells."""
    return [{RANGE_START: str(a.key), RANGE_END: str(b.key)} for a, b in blocks(cells, symbols)] or [{}]


def _neighbours(symbols: Sequence[str], every: Sequence[str]) -> list[tuple[str, str]]:
    """Stretches of symbols that follow each other in the full list, each as (first, last)."""
    places = [every.index(symbol) for symbol in symbols]
    stretches = [[place for _, place in run] for _, run in groupby(enumerate(places), lambda pair: pair[1] - pair[0])]
    return [(every[run[0]], every[run[-1]]) for run in stretches]
