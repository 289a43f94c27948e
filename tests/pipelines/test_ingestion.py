import fcntl
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archive.errors import ArchiveBusy, EmptyPartition
from archive.layout import BOOK
from archive.sources.day import DayOfMarket
from market.columns import TradeColumns
from market.events import BadReference
from market.simulator import write_capture
from pipelines.ingestion import BACKFILL_TAG, gap_report, market_data, reference_problem
from pipelines.partitions import Cell
from pipelines.progress import Progress
from pipelines.workspace import Workspace
from tests.pipelines.days import (
    EMPTY,
    MIDDLE,
    SECOND_NS,
    SYMBOLS_YML,
    TABLE,
    Bench,
    Context,
    bench,
    described,
    file_of,
    ingest,
    market,
    passed,
    settings,
    silenced,
    thinned,
)

WHOLE = market(MIDDLE.symbol, MIDDLE.day)
NOON_NS = MIDDLE.start_ns + 12 * 3_600 * SECOND_NS


def coarser(day: DayOfMarket, steps: int) -> DayOfMarket:
    """The same day with every price a multiple of some ticks."""
    book = replace(day.book, bid_ticks=day.book.bid_ticks * steps, ask_ticks=day.book.ask_ticks * steps)
    return replace(day, book=book, trades=replace(day.trades, price_ticks=day.trades.price_ticks * steps))


def ingested(workspace: Bench, tags: dict[str, str] | None = None) -> dict[str, bool]:
    """Run the asset for one cell and return its checks."""
    return passed(market_data(Context([MIDDLE], tags), workspace))  # type: ignore[arg-type]


def test_a_good_day_is_stored_and_passes_every_check(tmp_path: Path) -> None:
    """Rows and content hash stand in the partition's metadata, the source in the footer."""
    workspace, context = bench(tmp_path), Context([MIDDLE])
    result = market_data(context, workspace)  # type: ignore[arg-type]
    assert set(passed(result).values()) == {True}
    held = workspace.lake.info(BOOK, MIDDLE.symbol, MIDDLE.day)
    told = context.of_partition[str(MIDDLE.key)]
    assert (told["book_rows"], told["sha256"]) == (len(WHOLE.book), held.content_sha256)
    assert held.source == "recorded"


def test_the_lake_keeps_the_richer_day(tmp_path: Path) -> None:
    """A half-dead feed warns, and does not eat a good day."""
    workspace = bench(tmp_path)
    ingest(workspace, [MIDDLE])
    before = workspace.lake.info(BOOK, MIDDLE.symbol, MIDDLE.day)
    workspace.primary = {MIDDLE: thinned(WHOLE, len(WHOLE.book) // 2)}
    result = market_data(Context([MIDDLE]), workspace)  # type: ignore[arg-type]
    # Dagster fails a run that leaves a check of its unanswered, with words about tuples of outputs.
    answered = ("schema", "row_count", "trades_present", "symbol_reference")
    assert passed(result) == {"not_poorer": False} | dict.fromkeys(answered, True)
    assert f"kept the {before.rows} book rows" in described(result, "not_poorer")
    assert workspace.lake.info(BOOK, MIDDLE.symbol, MIDDLE.day).content_sha256 == before.content_sha256


def test_a_day_that_is_a_trace_shorter_is_taken(tmp_path: Path) -> None:
    """A source may mend a day by dropping a few rows."""
    workspace = bench(tmp_path)
    ingest(workspace, [MIDDLE])
    workspace.primary = {MIDDLE: thinned(WHOLE, len(WHOLE.book) - 5)}
    assert ingested(workspace)["not_poorer"]
    assert workspace.lake.info(BOOK, MIDDLE.symbol, MIDDLE.day).rows == len(WHOLE.book) - 5


def test_a_truncated_partition_is_replaced_by_any_day(tmp_path: Path) -> None:
    """What cannot be read is not richer than anything."""
    workspace = bench(tmp_path)
    ingest(workspace, [MIDDLE])
    file_of(workspace, BOOK, MIDDLE).write_bytes(b"PAR1")
    assert set(ingested(workspace).values()) == {True}


def test_a_backfill_asks_the_second_source(tmp_path: Path) -> None:
    """The run's tag decides, and the footer says who made the rows."""
    workspace = bench(tmp_path, {MIDDLE: silenced(WHOLE, NOON_NS, 25)})
    ingested(workspace)
    ingested(workspace, {BACKFILL_TAG: "true"})
    held = workspace.lake.info(BOOK, MIDDLE.symbol, MIDDLE.day)
    assert (held.source, held.rows) == ("second", len(WHOLE.book))


def test_too_few_rows_fail_the_check_that_blocks(tmp_path: Path) -> None:
    """The check says how many there are and how many are wanted."""
    workspace = bench(tmp_path, {MIDDLE: thinned(WHOLE, 999)})
    result = market_data(Context([MIDDLE]), workspace)  # type: ignore[arg-type]
    assert not passed(result)["row_count"]
    assert "999 book rows, at least 1000 wanted" in described(result, "row_count")


def test_a_day_without_trades_only_warns(tmp_path: Path) -> None:
    """A quiet market is no failed import."""
    workspace = bench(tmp_path, {MIDDLE: replace(WHOLE, trades=TradeColumns.empty())})
    assert [check for check, good in ingested(workspace).items() if not good] == ["trades_present"]


def test_a_tick_that_is_too_fine_fails_the_symbol_check(tmp_path: Path) -> None:
    """Prices that all move in ten ticks give the reference away; the message names symbol, tick and step."""
    workspace = bench(tmp_path, {MIDDLE: coarser(WHOLE, 10)})
    result = market_data(Context([MIDDLE]), workspace)  # type: ignore[arg-type]
    assert not passed(result)["symbol_reference"]
    assert "BTCUSDT: price_tick is 0.1 in symbols.yml, but the day moves in steps of 1.0" in described(
        result, "symbol_reference"
    )


def test_an_empty_side_does_not_hide_the_step_of_a_day() -> None:
    """The price that stands for no ask is left out of the step."""
    ask_ticks, ask_lots = WHOLE.book.ask_ticks.copy() * 10, WHOLE.book.ask_lots.copy()
    ask_ticks[0, :5], ask_lots[0, :5] = 2**31 - 1, 0
    day = coarser(WHOLE, 10)
    day = replace(day, book=replace(day.book, ask_ticks=ask_ticks, ask_lots=ask_lots))
    assert "steps of 1.0" in reference_problem(TABLE[MIDDLE.symbol], day)


def test_an_empty_day_is_refused_and_what_was_there_stays(tmp_path: Path) -> None:
    """The error names the partition; a first import of nothing leaves nothing behind."""
    workspace = bench(tmp_path, {MIDDLE: EMPTY})
    with pytest.raises(EmptyPartition, match=r"symbol=BTCUSDT/date=2026-01-06.*refused 0 rows"):
        ingested(workspace)
    assert workspace.lake.partitions(BOOK) == []


def test_a_second_writer_is_refused_while_the_first_one_writes(tmp_path: Path) -> None:
    """The error says who holds the partition and what to do; the partition stays as it was."""
    workspace = bench(tmp_path)
    ingest(workspace, [MIDDLE])
    file = file_of(workspace, BOOK, MIDDLE)
    before = file.read_bytes()
    with (file.parent / f".{file.name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ArchiveBusy, match="is writing it; wait for that run to end"):
            ingested(workspace)
    assert file.read_bytes() == before


def test_a_symbol_without_a_reference_is_refused_by_name(tmp_path: Path) -> None:
    """The error lists the symbols that are known."""
    with pytest.raises(BadReference, match=r"DOGEUSDT.*BTCUSDT"):
        market_data(Context([Cell(MIDDLE.day, "DOGEUSDT")]), bench(tmp_path))  # type: ignore[arg-type]


def test_a_tick_that_does_not_divide_a_price_is_refused(tmp_path: Path) -> None:
    """The importer names symbol, price and tick, and nothing is written."""
    recordings, reference = tmp_path / "recordings", tmp_path / "symbols.yml"
    recordings.mkdir()
    write_capture(recordings / "BTCUSDT_20260106.gz", TABLE["BTCUSDT"], NOON_NS, NOON_NS + 20 * SECOND_NS, seed=1)
    reference.write_text(SYMBOLS_YML.read_text().replace('price_tick: "0.1"', 'price_tick: "7"', 1))
    workspace = Workspace(
        settings(
            tmp_path,
            source={"kind": "binance_ws", "path": recordings},
            paths={"lake": str(tmp_path / "lake"), "symbols": reference, "var": tmp_path / "var"},
        ),
        MIDDLE.day,
    )
    with pytest.raises(BadReference, match=r"BTCUSDT.*7"):
        market_data(Context([MIDDLE]), workspace)  # type: ignore[arg-type]
    assert workspace.lake.partitions(BOOK) == []


def test_the_gap_report_blocks_on_damage_and_warns_of_a_gap(tmp_path: Path) -> None:
    """A short silence is told, a long one stops what reads the day."""
    for minutes, no_damage in ((5, True), (25, False)):
        workspace = bench(tmp_path / str(minutes), {MIDDLE: silenced(WHOLE, NOON_NS, minutes)})
        ingest(workspace, [MIDDLE])
        result = gap_report(Context([MIDDLE]), workspace)  # type: ignore[arg-type]
        assert passed(result) == {"no_damage": no_damage, "no_gaps": False}
        assert "silent" in str(result.metadata["report"].value)  # type: ignore[index,union-attr]


def test_the_gap_report_of_a_whole_day_finds_nothing(tmp_path: Path) -> None:
    """Both checks pass."""
    workspace = bench(tmp_path)
    ingest(workspace, [MIDDLE])
    assert set(passed(gap_report(Context([MIDDLE]), workspace)).values()) == {True}  # type: ignore[arg-type]


def test_prices_and_sizes_of_a_real_step_raise_no_suspicion() -> None:
    """The simulated day uses the grid of the table."""
    assert np.gcd.reduce(WHOLE.book.bid_ticks[0]) == 1
    assert reference_problem(TABLE[MIDDLE.symbol], WHOLE) == ""


def test_an_empty_day_loses_none_of_the_days_before_it(tmp_path: Path) -> None:
    """The run fails at the empty cell, which it names; what was read before stays in the lake."""
    other = Cell(MIDDLE.day, "ETHUSDT")
    workspace = bench(tmp_path, {other: EMPTY})
    with pytest.raises(EmptyPartition, match="symbol=ETHUSDT"):
        market_data(Context([other, MIDDLE]), workspace)  # type: ignore[arg-type]
    assert workspace.lake.partitions(BOOK) == [(MIDDLE.symbol, MIDDLE.day)]


def test_what_a_killed_writer_left_behind_is_never_read(tmp_path: Path) -> None:
    """Half a file beside the partition changes nothing, and the next write clears it away."""
    workspace = bench(tmp_path)
    ingest(workspace, [MIDDLE])
    file = file_of(workspace, BOOK, MIDDLE)
    left_over = file.parent / f".{file.name}.99999.tmp"
    left_over.write_bytes(file.read_bytes()[:1_000])
    assert set(passed(gap_report(Context([MIDDLE]), workspace)).values()) == {True}  # type: ignore[arg-type]
    assert len(workspace.lake.read_book(MIDDLE.symbol, MIDDLE.day)) == len(WHOLE.book)
    assert set(ingested(workspace).values()) == {True}
    assert not left_over.exists()


class Steps(Progress):
    """Remembers what assets told of their progress."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, int, int, str]] = []

    def step(self, asset: str, done: int, total: int, detail: str = "") -> None:
        self.told.append((asset, done, total, detail))


def test_progress_is_told_cell_by_cell(tmp_path: Path) -> None:
    """Before each cell which one it is, and at the end that all are done."""
    workspace, other = bench(tmp_path), MIDDLE.shifted(1)
    workspace.progress = steps = Steps()
    market_data(Context([other, MIDDLE]), workspace)  # type: ignore[arg-type]
    assert steps.told == [
        ("market_data", 0, 2, MIDDLE.key),
        ("market_data", 1, 2, other.key),
        ("market_data", 2, 2, ""),
    ]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_how_much_a_day_may_shrink_is_a_setting(tmp_path: Path, share: float) -> None:
    """With nothing allowed one row less is too few, with half allowed six tenths are enough."""
    workspace = bench(tmp_path, ingest={"max_shrink_share": share})
    ingest(workspace, [MIDDLE])
    rows = len(WHOLE.book)
    workspace.primary = {MIDDLE: thinned(WHOLE, rows - 1 if share == 0.0 else rows * 6 // 10)}
    assert ingested(workspace)["not_poorer"] is (share > 0.0)
