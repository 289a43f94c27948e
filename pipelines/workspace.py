"""What the assets work with, built once from the settings and handed to them as one Dagster resource.

Stores, sources and rules open when first asked for: loading the definitions must not cost an import of MLflow, numba
or a trainer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from archive.store import Lake
from config.settings import Settings
from market.symbols import SymbolTable
from pipelines.partitions import Cell
from pipelines.progress import Progress

if TYPE_CHECKING:
    from archive.sources.protocol import Source
    from market.barriers import BarrierRule
    from market.candidates import CandidateRule
    from registry.store import ModelStore

_NS_PER_SECOND = 1_000_000_000


def _wall() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the default of whoever opens a workspace; tests hand in their own


@dataclass
class Workspace:
    """Settings and the parts built from them; `today` bounds an open range of days, `now` is when a version moves."""

    settings: Settings
    today: date
    progress: Progress = field(default_factory=Progress)
    now: Callable[[], datetime] = _wall

    @cached_property
    def opened(self) -> datetime:
        """When this process first asked."""
        return self.now()

    @cached_property
    def lake(self) -> Lake:
        """The parquet lake; its root folder is made when missing."""
        return Lake.create(self.settings.paths.lake)

    @cached_property
    def symbols(self) -> SymbolTable:
        """The symbol table."""
        return SymbolTable.load(self.settings.paths.symbols)

    @cached_property
    def candidate_rule(self) -> "CandidateRule":
        """When a moment is a candidate."""
        return self.settings.candidate.rule()

    @cached_property
    def barrier_rule(self) -> "BarrierRule":
        """How a candidate is judged."""
        return self.settings.label.rule()

    @property
    def gap_ns(self) -> int:
        """A silence of the book longer than this is a gap, in nanoseconds."""
        return round(self.settings.ingest.gap_threshold_seconds * _NS_PER_SECOND)

    @property
    def last_day(self) -> date:
        """The newest day of the grid: as configured, else yesterday."""
        return self.settings.market.last_day or self.today - timedelta(days=1)

    @property
    def all_cells(self) -> list[Cell]:
        """Every (day, symbol) that should be in the lake, in time order."""
        first = self.settings.market.first_day
        days = [first + timedelta(days=n) for n in range((self.last_day - first).days + 1)]
        return [Cell(day, symbol) for day in days for symbol in sorted(self.settings.market.symbols)]

    def source(self, *, backfill: bool = False) -> "Source":
        """Where market data comes from; a backfill asks the archive's source, which may be another one."""
        chosen = self.settings.backfill_source if backfill and self.settings.backfill_source else self.settings.source
        from archive.sources.protocol import open_source
        from pipelines.simulated import SimulatedSource

        if chosen.kind == "simulator":
            return SimulatedSource(self.settings.simulator, self.symbols, with_defects=not backfill)
        assert chosen.path is not None, "the schema of config.sections.Source asks for a path"  # noqa: S101
        return open_source(chosen.kind, chosen.path, self.symbols)

    @cached_property
    def store(self) -> "ModelStore":
        """The model registry; opening it imports MLflow."""
        from pipelines.registrar import open_store

        return open_store(self.settings)

    def folder(self, *parts: str) -> Path:
        """A folder under `paths.var`, made when missing."""
        folder = Path(self.settings.paths.var).joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
