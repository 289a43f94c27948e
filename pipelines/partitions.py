"""The grid of work: one (day, symbol) cell is one unit, and midnight is not special.

Features of a day begin with the tail of the day before, labels look past the day's end; the two mappings say so, so
that Dagster shows a cell stale when a neighbour it read has changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from archive.layout import day_bounds_ns
from pipelines.errors import PipelineError

DAY, SYMBOL = "day", "symbol"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Run tags of Dagster's: the first and the last cell of a rectangle of days and symbols."""
_CELL = "dagster/partition/"
"""How Dagster's tags of a run for one cell begin."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One partition of the lake: a UTC day of one symbol."""

    day: date
    symbol: str

    @property
    def key(self) -> str:
        """The cell as Dagster's partition key."""
        return dg.MultiPartitionKey({DAY: self.day.isoformat(), SYMBOL: self.symbol})

    @property
    def start_ns(self) -> int:
        """First nanosecond of the day, UTC."""
        return day_bounds_ns(self.day)[0]

    @property
    def end_ns(self) -> int:
        """First nanosecond of the next day, UTC."""
        return day_bounds_ns(self.day)[1]

    def shifted(self, days: int) -> "Cell":
        """The same symbol some days later (or earlier, when negative)."""
        return Cell(self.day + timedelta(days=days), self.symbol)


def grid(first_day: date, last_day: date, symbols: Sequence[str]) -> dg.MultiPartitionsDefinition:
    """Every day from first to last (both included) times every symbol, in alphabetical order as in a `Cell`."""
    days = dg.DailyPartitionsDefinition(
        start_date=first_day.isoformat(), end_date=(last_day + timedelta(days=1)).isoformat()
    )
    return dg.MultiPartitionsDefinition({DAY: days, SYMBOL: dg.StaticPartitionsDefinition(sorted(symbols))})


def cell(key: str) -> Cell:
    """The cell behind a partition key such as ``2026-01-06|BTC-USD``."""
    day, symbol = key.split("|", 1)
    return Cell(date.fromisoformat(day), symbol)


def cells(context: dg.AssetExecutionContext) -> list[Cell]:
    """The cells this run was asked for, in time order, whether it was asked for one or for a range.

    Raises:
        PipelineError: Dagster would make less than was asked for. For a job launched over several cells from its page
            it writes the first cell's tags beside the range, makes that cell alone, and calls the others made.
    """
    tags = context.run.tags
    if f"{_CELL}{DAY}" in tags and tags.get(RANGE_START) != tags.get(RANGE_END):
        raise PipelineError(
            f"this run was asked for {tags[RANGE_START]} to {tags[RANGE_END]}, but Dagster gives a job launched over "
            f"several partitions the first one only; launch them one by one, or select the assets in the lineage and "
            f"materialize those"
        )
    return sorted(cell(str(key)) for key in context.partition_keys)


def day_before() -> dg.MultiPartitionMapping:
    """Mapping of an asset that also reads the tail of the day before."""
    return _offset(start=-1, end=0)


def day_after() -> dg.MultiPartitionMapping:
    """Mapping of an asset that also reads the head of the day after."""
    return _offset(start=0, end=1)


def _offset(start: int, end: int) -> dg.MultiPartitionMapping:
    days = dg.TimeWindowPartitionMapping(start_offset=start, end_offset=end, allow_nonexistent_upstream_partitions=True)
    return dg.MultiPartitionMapping(
        {
            DAY: dg.DimensionPartitionMapping(DAY, days),
            SYMBOL: dg.DimensionPartitionMapping(SYMBOL, dg.IdentityPartitionMapping()),
        }
    )
