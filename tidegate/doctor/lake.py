"""The lake: whether the newest days that should be there are, and are whole."""

from collections.abc import Sequence
from datetime import date, timedelta

from archive.errors import ArchiveError
from archive.gap_report import GapKind, GapReport
from archive.gaps import scan
from archive.store import Lake
from config.settings import Settings
from tidegate.doctor.finding import Finding

NEWEST_DAYS = 14
"""So many days are scanned: a doctor is quick."""
_BACKFILL = "make up, and let gap_sensor backfill (docs/how-to/find-and-mend-gaps.md)"


def findings(settings: Settings, today: date) -> Sequence[Finding]:
    """Scan the footers of the newest days; an empty lake is told as such."""
    days = expected(settings.market.first_day, settings.market.last_day, today)
    if not days:
        return (Finding("lake", "ok", "no day is expected yet (market.first_day)"),)
    try:
        report = scan(
            Lake(settings.paths.lake), settings.market.symbols, days,
            threshold_seconds=settings.ingest.gap_threshold_seconds,
        )  # fmt: skip
    except ArchiveError as error:
        return (Finding("lake", "warn", str(error), "make demo"),)
    return (judged(report, settings),)


def expected(first: date, last: date | None, today: date) -> Sequence[date]:
    """The newest of the days that should be in the lake."""
    end = min(last or today - timedelta(days=1), today - timedelta(days=1))
    begin = max(first, end - timedelta(days=NEWEST_DAYS - 1))
    return [begin + timedelta(days=number) for number in range((end - begin).days + 1)]


def judged(report: GapReport, settings: Settings) -> Finding:
    """What the scan means: nothing there yet, days that nobody may read, or short silences."""
    missing = [gap for gap in report.gaps if gap.kind is GapKind.MISSING]
    if len(missing) == report.partitions:
        return Finding("lake", "warn", "none of the expected days is there yet", "make demo")
    broken = {
        (gap.symbol, day)
        for gap in report.gaps
        if gap.kind in (GapKind.MISSING, GapKind.CORRUPT, GapKind.VERSION)
        for day in gap.days
    }
    limit = settings.ingest.max_silent_seconds_per_day
    for symbol, day in report.damaged - broken:
        silent = (gap.seconds for gap in report.of(symbol, day) if gap.kind is GapKind.SILENT)
        if sum(silent) > limit:
            broken.add((symbol, day))
    if broken:
        named = ", ".join(f"{symbol} {day}" for symbol, day in sorted(broken)[:3])
        return Finding("lake", "warn", f"{len(broken)} damaged days ({named}): {report.summary()}", _BACKFILL)
    return Finding("lake", "ok", report.summary())
