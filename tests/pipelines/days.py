"""A tiny lake for the tests of the pipelines: whole simulated days of a slow market, sources and contexts by hand.

A whole day, since the gap scan rightly calls half a day silent; ten seconds between two books, so that it is quick.
"""

import itertools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from archive.layout import FEATURES, LABELS, day_bounds_ns, empty_book, partition_key
from archive.sources.day import DayOfMarket
from archive.sources.protocol import Source
from config.settings import Settings
from market.columns import BookColumns, TradeColumns
from market.events import NO_ASK_TICKS
from market.features import schema_hash
from market.simulator import simulate_columns
from market.simulator_rule import SimulatorRule
from market.symbols import Symbol, SymbolTable
from pipelines.feature_days import compute_day
from pipelines.ingestion import store_day
from pipelines.label_days import label_day
from pipelines.partitions import Cell
from pipelines.workspace import Workspace

SYMBOLS_YML = Path(__file__).resolve().parents[2] / "data" / "reference" / "symbols.yml"
TABLE = SymbolTable.load(SYMBOLS_YML)
SECOND_NS = 1_000_000_000
DAYS = (date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7))
SYMBOLS = ("BTCUSDT", "ETHUSDT")
CELLS = [Cell(day, symbol) for day in DAYS for symbol in SYMBOLS]
MIDDLE = Cell(DAYS[1], "BTCUSDT")

_TREE: dict[str, dict[str, object]] = {
    "market": {"symbols": SYMBOLS, "first_day": DAYS[0], "last_day": DAYS[-1]},
    "candidate": {"interval_ms": 20_000},
    "label": {"tp_pct": 0.0008, "sl_pct": 0.0008, "horizon_seconds": 300},
    "training": {
        "learning_rate": 0.15, "num_leaves": 7, "min_data_in_leaf": 50, "feature_fraction": 0.7,
        "bagging_fraction": 0.7, "lambda_l2": 5.0, "max_rounds": 25, "early_stopping_rounds": 8,
        "calibration_steps": 10,
    },
    "evaluation": {"ece_max": 0.15, "min_samples": 100},
    "parity": {"random_rows": 1_000},
}  # fmt: skip


def settings(folder: Path, **sections: Mapping[str, object]) -> Settings:
    """The settings of a tiny lake with everything below one folder; sections are laid over it."""
    paths = {"lake": str(folder / "lake"), "symbols": SYMBOLS_YML, "var": folder / "var"}
    registry = {"tracking_uri": f"sqlite:///{folder / 'mlflow.db'}", "artifacts": str(folder / "mlartifacts")}
    registry["mirror"] = str(folder / "mirror")
    tree: dict[str, Mapping[str, object]] = {**_TREE, "paths": paths, "registry": registry}
    over = {name: {**tree.get(name, {}), **more} for name, more in sections.items()}
    return Settings.model_validate(tree | over)


@cache
def market(symbol: str, day: date) -> DayOfMarket:
    """A whole day of a slow market whose order flow tells where the price goes."""
    rule = SimulatorRule(
        start_price={"BTCUSDT": 60_000.0}.get(symbol, 3_000.0), depth_interval_ms=10_000, orders_per_second=1.0,
        trades_per_second=0.05, order_flow_effect=0.9, effect_horizon_seconds=300.0,
    )  # fmt: skip
    start_ns, end_ns = day_bounds_ns(day)
    return DayOfMarket(*simulate_columns(TABLE[symbol], start_ns, end_ns, 7, rule=rule, carried=True))


def silenced(day: DayOfMarket, start_ns: int, minutes: float) -> DayOfMarket:
    """The same day without the rows of some minutes."""
    end_ns = start_ns + round(minutes * 60 * SECOND_NS)
    first, last = np.searchsorted(day.book.exchange_ns, [start_ns, end_ns]).tolist()
    parts = [day.book.slice(0, first), day.book.slice(last, len(day.book))]
    return replace(day, book=BookColumns.concat(parts))


def thinned(day: DayOfMarket, rows: int) -> DayOfMarket:
    """The first rows of a day."""
    return replace(day, book=day.book.slice(0, rows))


EMPTY = DayOfMarket(BookColumns.empty(), TradeColumns.empty())


@dataclass(frozen=True)
class Recorded:
    """A source that holds the days it was given; every other day is the simulated one."""

    given: Mapping[Cell, DayOfMarket]
    name: str = "recorded"

    def symbols(self) -> tuple[Symbol, ...]:
        return tuple(TABLE[name] for name in SYMBOLS)

    def days(self, symbol: Symbol) -> tuple[date, ...]:
        return DAYS

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        return self.given.get(Cell(day, symbol.name)) or market(symbol.name, day)


@dataclass
class Bench(Workspace):
    """A workspace on recorded days: `primary` are those of the first source, `second` those of the backfill."""

    primary: Mapping[Cell, DayOfMarket] = field(default_factory=dict)
    second: Mapping[Cell, DayOfMarket] = field(default_factory=dict)

    def source(self, *, backfill: bool = False) -> Source:
        return Recorded(self.second, "second") if backfill else Recorded(self.primary)


def bench(folder: Path, primary: Mapping[Cell, DayOfMarket] | None = None, **sections: Mapping[str, object]) -> Bench:
    """A workspace below a folder."""
    return Bench(settings(folder, **sections), date(2026, 2, 1), primary=primary or {})


def ingest(workspace: Workspace, cells: Iterable[Cell] = CELLS) -> None:
    """Write the market data of the cells to the lake, in the order given."""
    source = workspace.source()
    for each in cells:
        store_day(workspace, source.name, each, source.read_day(TABLE[each.symbol], each.day))


def derive(workspace: Workspace, cells: Iterable[Cell] = CELLS) -> None:
    """Write features and labels of the cells, in the order given."""
    for each in cells:
        rows = compute_day(workspace.lake, each, workspace.candidate_rule)
        workspace.lake.write(
            FEATURES, each.symbol, each.day, rows, source="kernel", schema_hash=schema_hash(), allow_empty=True
        )
        judged = label_day(workspace.lake, each, workspace.barrier_rule, TABLE[each.symbol], workspace.gap_ns)
        workspace.lake.write(LABELS, each.symbol, each.day, judged, source=workspace.barrier_rule.id, allow_empty=True)


def file_of(workspace: Workspace, table: str, at: Cell) -> Path:
    """The file of a partition."""
    return Path(workspace.lake.storage.locate(partition_key(table, at.symbol, at.day)))


def truncate(workspace: Workspace, table: str, at: Cell) -> None:
    """Cut a partition's file in half."""
    file = file_of(workspace, table, at)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flat_book(times_ns: Iterable[int], bid_ticks: Iterable[int]) -> BookColumns:
    """A book of one level each side with these bids, the ask one tick above; no row carries a reset but the first."""
    times, bids = np.fromiter(times_ns, np.int64), np.fromiter(bid_ticks, np.int32)
    book = empty_book(len(times))
    book.exchange_ns[:] = book.local_ns[:] = times
    book.sequence[:] = np.arange(len(times))
    book.flags[:] = 0
    for ticks, lots, touch, nothing in (
        (book.bid_ticks, book.bid_lots, bids, 0),
        (book.ask_ticks, book.ask_lots, bids + 1, NO_ASK_TICKS),
    ):
        ticks[:], lots[:] = nothing, 0
        ticks[0], lots[0] = touch, 1
    return book


def entries(lake_times_ns: Iterable[int], bid_ticks: int, book_rows: Iterable[int]) -> dict[str, NDArray[np.generic]]:
    """Rows of the FEATURES table without any feature: long candidates at these moments."""
    t_ns = np.fromiter(lake_times_ns, np.int64)
    return {
        "t_ns": t_ns, "local_ns": t_ns, "book_row": np.fromiter(book_rows, np.int64),
        "side": np.ones(len(t_ns), np.int8), "bid_ticks": np.full(len(t_ns), bid_ticks, np.int32),
        "ask_ticks": np.full(len(t_ns), bid_ticks + 1, np.int32),
    }  # fmt: skip


class Context:
    """As much of Dagster's context as an asset function of ours asks for; keeps the metadata it is given."""

    def __init__(self, cells: Iterable[Cell] = (), tags: Mapping[str, str] | None = None) -> None:
        self.partition_keys = [each.key for each in cells]
        self.run = dg.DagsterRun(job_name="test", run_id="run-of-a-test", tags=dict(tags or {}))
        self.log = logging.getLogger("tests")
        self.of_partition: dict[str, Mapping[str, object]] = {}
        self.of_output: dict[str, object] = {}

    def add_asset_metadata(self, metadata: Mapping[str, object], partition_key: str) -> None:
        self.of_partition[str(partition_key)] = metadata

    def add_output_metadata(self, metadata: Mapping[str, object]) -> None:
        self.of_output.update(metadata)


def passed(result: dg.MaterializeResult) -> dict[str, bool]:
    """Each check of a result, and whether it passed."""
    return {str(each.check_name): each.passed for each in result.check_results or ()}


def described(result: dg.MaterializeResult, check: str) -> str:
    """What a check of a result said."""
    return next(str(each.description) for each in result.check_results or () if each.check_name == check)


def same_bits(left: Mapping[str, NDArray[np.generic]], right: Mapping[str, NDArray[np.generic]]) -> bool:
    """Whether two sets of columns are equal, name by name and bit by bit."""
    pairs = itertools.zip_longest(left, right)
    return all(a == b and left[a].tobytes() == right[b].tobytes() for a, b in pairs)
