"""The gate that consumers pull: no asset reads a day that the gap scan finds damaged.

A blocking check stops only the run it belongs to; a later run of the downstream asset alone would not ask it. So the
assets that read the lake ask the scan themselves. A repeated scan costs a stat per partition.
"""

from collections.abc import Sequence

from archive.gap_report import Gap, GapKind, GapReport
from archive.gaps import scan
from archive.layout import BOOK, FEATURES, LABELS, TRADES
from pipelines.errors import DamagedPartition
from pipelines.partitions import Cell
from pipelines.workspace import Workspace

_FATAL = {GapKind.MISSING, GapKind.VERSION, GapKind.CORRUPT}


def scan_cells(workspace: Workspace, asked: Sequence[Cell], tables: Sequence[str] = (BOOK, TRADES)) -> GapReport:
    """Scan the tables of these cells, and of no others."""
    days = sorted({each.day for each in asked})
    symbols = sorted({each.symbol for each in asked})
    threshold = workspace.settings.ingest.gap_threshold_seconds
    return scan(workspace.lake, symbols, days, threshold_seconds=threshold, tables=tables)


def damaged(workspace: Workspace, asked: Sequence[Cell], report: GapReport | None = None) -> dict[Cell, str]:
    """What makes cells unfit to be read, in words; cells that are fit are left out.

    Fatal are a missing, corrupt or foreign partition, and more than `ingest.max_silent_seconds_per_day` of silences
    over the threshold. Shorter gaps are not: labels never look across them.
    """
    report = report or scan_cells(workspace, asked)
    limit = workspace.settings.ingest.max_silent_seconds_per_day
    reasons = {each: _reason(each, report.of(each.symbol, each.day), limit) for each in asked}
    return {each: reason for each, reason in reasons.items() if reason}


def require_sound(workspace: Workspace, asked: Sequence[Cell]) -> None:
    """Refuse to go on when one of the cells is damaged.

    Raises:
        DamagedPartition: naming every damaged cell, what is wrong with it, and what to do.
    """
    if found := damaged(workspace, asked):
        what = "; ".join(f"{each.key} ({why})" for each, why in sorted(found.items()))
        raise DamagedPartition(
            f"{len(found)} of {len(asked)} partitions are damaged: {what}. Backfill them (sensor gap_sensor, or "
            f"materialize market_data with tag tidegate/backfill=true), then run this again"
        )


def wanting(workspace: Workspace) -> dict[Cell, str]:
    """Every cell of the grid that needs work, and why: damaged market data, or no readable features or labels."""
    cells = workspace.all_cells
    derived = scan_cells(workspace, cells, (FEATURES, LABELS))
    return damaged(workspace, cells, derived) | damaged(workspace, cells)


def _reason(at: Cell, gaps: Sequence[Gap], silent_limit_seconds: float) -> str:
    fatal = [gap for gap in gaps if gap.kind in _FATAL]
    if fatal:
        return "; ".join(f"{gap.table} {gap.kind.value}: {gap.detail}" for gap in fatal)
    silent = [gap for gap in gaps if gap.kind is GapKind.SILENT]
    seconds = sum((min(gap.end_ns, at.end_ns) - max(gap.start_ns, at.start_ns)) / 1e9 for gap in silent)
    if seconds > silent_limit_seconds:
        longest = max(silent, key=lambda gap: gap.seconds)
        return (
            f"silent for {seconds:.0f} s in {len(silent)} gaps, at most {silent_limit_seconds:.0f} s allowed; {longest}"
        )
    return ""
