"""Ingestion: a day of one symbol from its source into the lake, and the gap scan that judges it.

A partition that is already there is never replaced by a poorer one, so that a half-dead feed cannot eat a good day.
"""

import dagster as dg
import numpy as np

from archive.errors import CorruptPartition, MissingPartition, SchemaVersionError
from archive.layout import BOOK
from archive.partition import Json, Partition
from archive.sources.day import DayOfMarket
from market.symbols import Symbol
from pipelines.checks import Finding, check_results
from pipelines.gap_gate import damaged, scan_cells
from pipelines.partitions import Cell, cells
from pipelines.workspace import Workspace

BACKFILL_TAG = "tidegate/backfill"
"""Run tag: read from the backfill source instead of the primary one."""


def market_data(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Order book and trades of the day in ticks, lots and nanoseconds, as the source recorded them.

    Every row that a source drops or mends is counted by kind in the partition's metadata; nothing vanishes silently.
    """
    source = workspace.source(backfill=BACKFILL_TAG in context.run.tags)
    asked = cells(context)
    findings: list[Finding] = []
    for done, each in enumerate(asked):
        workspace.progress.step("market_data", done, len(asked), each.key)
        day = source.read_day(workspace.symbols[each.symbol], each.day)
        poorer = poorer_than_held(workspace, each, len(day.book))
        findings.append(Finding("not_poorer", each.key, not poorer, poorer or "not poorer", warn_only=True))
        if poorer:
            findings += examine_kept(workspace, each)
            continue
        book, trades = store_day(workspace, source.name, each, day)
        findings += examine(workspace, each, book, trades, day)
        context.add_asset_metadata(
            {"book_rows": book.rows, "trade_rows": trades.rows, "sha256": book.content_sha256, **day.defects},
            partition_key=each.key,
        )
    workspace.progress.step("market_data", len(asked), len(asked))
    return dg.MaterializeResult(metadata={"source": source.name}, check_results=check_results(findings))


def store_day(workspace: Workspace, source: str, at: Cell, day: DayOfMarket) -> tuple[Partition, Partition]:
    """Write the two tables of one cell, with what the importer counted as notes.

    Raises:
        EmptyPartition: the day has no book row.
        ArchiveBusy: another run is writing this partition.
        WriteFailed: the disk refused; what was there before is intact.
    """
    notes: dict[str, Json] = {
        "defects": dict(day.defects),
        "first_seen": dict(day.first_seen),
        "breaks": [{"expected": b.expected, "seen": b.seen, "exchange_ns": b.exchange_ns} for b in day.breaks],
    }
    book = workspace.lake.write_book(at.symbol, at.day, day.book, source=source, notes=notes)
    return book, workspace.lake.write_trades(at.symbol, at.day, day.trades, source=source, allow_empty=True)


def examine(workspace: Workspace, at: Cell, book: Partition, trades: Partition, day: DayOfMarket) -> list[Finding]:
    """What the blocking checks ask of an ingested day: the schema, enough rows, a symbol reference that fits it."""
    least = workspace.settings.ingest.min_book_rows
    problem = reference_problem(workspace.symbols[at.symbol], day)
    return [
        Finding("schema", at.key, *_readable(workspace, at)),
        Finding("row_count", at.key, book.rows >= least, f"{book.rows} book rows, at least {least} wanted"),
        Finding("trades_present", at.key, trades.rows > 0, f"{trades.rows} trades", warn_only=True),
        Finding("symbol_reference", at.key, not problem, problem or "prices and sizes use the grid of symbols.yml"),
    ]


def examine_kept(workspace: Workspace, at: Cell) -> list[Finding]:
    """What the blocking checks say of a day that the lake kept: a run has to answer each of them, for every cell."""
    held = workspace.lake.info(BOOK, at.symbol, at.day).rows
    least = workspace.settings.ingest.min_book_rows
    return [
        Finding("schema", at.key, *_readable(workspace, at)),
        Finding("row_count", at.key, held >= least, f"kept {held} book rows, at least {least} wanted"),
        Finding("trades_present", at.key, True, "kept as they are; the gap scan judges them", warn_only=True),
        Finding("symbol_reference", at.key, True, "kept a day that was judged when it was stored"),
    ]


def reference_problem(symbol: Symbol, day: DayOfMarket) -> str:
    """Say how the day contradicts the symbol's tick or lot, or return an empty text.

    A grid that is too coarse never gets this far: the importer refuses a price between two ticks. One that is too fine
    shows as prices (or sizes) that are all multiples of several steps.
    """
    two_sided = day.book.ask_lots[0] > 0
    prices = [day.book.bid_ticks[0], day.book.ask_ticks[0][two_sided], day.trades.price_ticks]
    sizes = [day.book.bid_lots[0], day.book.ask_lots[0], day.trades.size_lots]
    for name, columns, step in (("price_tick", prices, symbol.price_tick), ("size_lot", sizes, symbol.size_lot)):
        found = int(np.gcd.reduce([int(np.gcd.reduce(column, initial=0)) for column in columns]))
        if found > 1:
            return f"{symbol.name}: {name} is {step} in symbols.yml, but the day moves in steps of {found * step}"
    return ""


def gap_report(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Missing partitions, silent stretches, sequence breaks and foreign schema versions of these cells.

    A day that was silent for longer than `ingest.max_silent_seconds_per_day` is damaged and blocks what reads it;
    shorter gaps only warn, since labels never look across them.
    """
    asked = cells(context)
    report = scan_cells(workspace, asked)
    damage = damaged(workspace, asked, report)
    findings: list[Finding] = []
    for each in asked:
        gaps = report.of(each.symbol, each.day)
        findings.append(Finding("no_damage", each.key, each not in damage, damage.get(each, "sound")))
        findings.append(Finding("no_gaps", each.key, not gaps, "; ".join(map(str, gaps)) or "none", warn_only=True))
    return dg.MaterializeResult(
        metadata={"report": dg.MetadataValue.md(report.to_markdown()), "damaged_partitions": len(damage)},
        check_results=check_results(findings),
    )


def _readable(workspace: Workspace, at: Cell) -> tuple[bool, str]:
    try:
        version = workspace.lake.info(BOOK, at.symbol, at.day).schema_version
    except (SchemaVersionError, CorruptPartition) as error:
        return False, str(error)
    return True, f"version {version}"


def poorer_than_held(workspace: Workspace, at: Cell, rows: int) -> str:
    """Say how the source's day is poorer than the one the lake holds, or return an empty text.

    The lake then keeps what it has: a half-dead feed must not eat a good day.
    """
    try:
        held = workspace.lake.info(BOOK, at.symbol, at.day)
    except (MissingPartition, CorruptPartition, SchemaVersionError):
        return ""
    least = held.rows * (1 - workspace.settings.ingest.max_shrink_share)
    if rows >= least:
        return ""
    return (
        f"kept the {held.rows} book rows of the lake, the source offers {rows} (at least {least:.0f} wanted); "
        f"if the lake is wrong, delete the partition and materialize it again"
    )
