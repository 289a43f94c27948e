"""The gap scan: what is missing, silent, broken, foreign or corrupt among the partitions that should be there.

Exact and cheap. The writer counted the silences of each partition when it had the rows in hand and left them in the
footer; a manifest remembers them, so a repeated scan asks the file system for stamps and opens only what has changed.
Silence is followed over midnight: 40 s before it and 40 s after are 80 s.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from archive.errors import MissingPartition
from archive.gap_report import Gap, GapKind, GapReport
from archive.inspection import Cell, Inspector
from archive.layout import BOOK, TABLES, TRADES, day_bounds_ns, day_of
from archive.manifest import Entry
from archive.partition import GAP_FLOOR_NS
from archive.store import Lake

Span = tuple[int, int]
"""From (ns, included) to (ns, not included)."""


class Watch(NamedTuple):
    """One day of a stream: when rows were expected, and what is known of those there are, if anything."""

    expected: Span
    facts: Entry | None


def scan(
    lake: Lake,
    symbols: Sequence[str] | None = None,
    days: Sequence[date] | None = None,
    *,
    threshold_seconds: float = 60,
    manifest: bool = True,
    verify: bool = False,
    tables: Sequence[str] = (BOOK, TRADES),
    covers: Span | None = None,
) -> GapReport:
    """Return every gap among the expected partitions.

    Args:
        lake: where to look.
        symbols: expected ones; None for those the lake has.
        days: expected UTC days, each in full. None for the days `covers` touches, or without that for each symbol from
            its first row in the lake to its last.
        threshold_seconds: silences longer than this are gaps. Only continuous tables (the book) can be silent.
        manifest: use and renew the memory of earlier scans.
        verify: read the event times of every partition and hold them against its footer, trusting neither footer nor
            manifest. Thresholds under the footer's 10 s read the rows as well.
        tables: what every expected symbol and day needs.
        covers: expect rows only in this span, such as a recording that starts in the middle of a day.

    Raises MissingLake, and MissingPartition when nothing is expected because the lake is empty.
    """
    lake.require_root()
    threshold_ns = round(threshold_seconds * 1e9)
    rows_above_ns = threshold_ns if verify or threshold_ns < GAP_FLOOR_NS else None
    expected = _expected(lake, symbols, days, tables, covers)
    cells = [(symbol, day) for symbol, its_days in expected.items() for day in its_days]
    gaps: list[Gap] = []
    opened = 0
    for table in tables:
        inspector = Inspector(lake, table, use_manifest=manifest, rows_above_ns=rows_above_ns)
        found = inspector.inspect(cells)
        opened += inspector.opened
        gaps += inspector.problems
        gaps += _breaks(table, found)
        if TABLES[table].continuous:
            for symbol, its_days in expected.items():
                edges = _recorded(symbol, its_days, found) if covers is None and days is None else covers
                gaps += _silent(table, symbol, _watches(symbol, its_days, found, edges), threshold_ns)
    gaps.sort(key=lambda gap: (tables.index(gap.table), gap.symbol, gap.start_ns))
    return GapReport(tuple(gaps), len(tables) * len(cells), opened, threshold_seconds)


def silent_stretches(watches: Iterable[Watch], threshold_ns: int) -> Iterator[Span]:
    """Yield every stretch longer than the threshold in which rows were expected and none came.

    `watches` are in time order. Days that touch are one stream, so a stretch may cross midnight. A day without facts
    is no silence of its own (it is missing), but ends the one before it and begins the one after.
    """
    since_ns = until_ns = 0
    for (start_ns, end_ns), facts in watches:
        if start_ns != until_ns:
            yield from _if_long(since_ns, until_ns, threshold_ns)
            since_ns = start_ns
        until_ns = end_ns
        if facts is None:
            yield from _if_long(since_ns, start_ns, threshold_ns)
            since_ns = end_ns
            continue
        first_ns, last_ns = (min(max(time_ns, start_ns), end_ns) for time_ns in (facts.first_ns, facts.last_ns))
        yield from _if_long(since_ns, first_ns, threshold_ns)
        for before_ns, after_ns in facts.gaps:
            yield from _if_long(max(before_ns, start_ns), min(after_ns, end_ns), threshold_ns)
        since_ns = last_ns
    yield from _if_long(since_ns, until_ns, threshold_ns)


def _if_long(start_ns: int, end_ns: int, threshold_ns: int) -> Iterator[Span]:
    if end_ns - start_ns > threshold_ns:
        yield start_ns, end_ns


def _expected(
    lake: Lake, symbols: Sequence[str] | None, days: Sequence[date] | None, tables: Sequence[str], covers: Span | None
) -> dict[str, list[date]]:
    if covers is not None:
        first, last = day_of(covers[0]), day_of(covers[1] - 1)
        days = [day for day in days or _from_to(first, last) if first <= day <= last]
    if symbols is not None and days is not None:
        return {symbol: sorted(set(days)) for symbol in symbols}
    present: dict[str, list[date]] = {}
    for symbol, day in (cell for table in tables for cell in lake.partitions(table)):
        present.setdefault(symbol, []).append(day)
    wanted = sorted(present) if symbols is None else symbols
    if not any(symbol in present for symbol in wanted):
        raise MissingPartition(
            f"{lake.storage.locate('')}: no partition of {', '.join(wanted) or 'any symbol'} in {', '.join(tables)}, "
            f"so nothing says what to expect; import something, or name symbols and days"
        )
    if days is not None:
        return {symbol: sorted(set(days)) for symbol in wanted}
    return {symbol: _from_to(min(present[symbol]), max(present[symbol])) for symbol in wanted if symbol in present}


def _from_to(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _recorded(symbol: str, days: Sequence[date], found: Mapping[Cell, Entry]) -> Span:
    first, last = found.get((symbol, days[0])), found.get((symbol, days[-1]))
    start_ns = first.first_ns if first else day_bounds_ns(days[0])[0]
    return start_ns, last.last_ns if last else day_bounds_ns(days[-1])[1]


def _watches(symbol: str, days: Sequence[date], found: Mapping[Cell, Entry], edges: Span | None) -> Iterator[Watch]:
    for day in days:
        start_ns, end_ns = day_bounds_ns(day)
        if edges is not None:
            start_ns, end_ns = max(start_ns, edges[0]), min(end_ns, edges[1])
        if start_ns < end_ns:
            yield Watch((start_ns, end_ns), found.get((symbol, day)))


def _silent(table: str, symbol: str, watches: Iterable[Watch], threshold_ns: int) -> Iterator[Gap]:
    for start_ns, end_ns in silent_stretches(watches, threshold_ns):
        detail = f"no row for {(end_ns - start_ns) / 1e9:.3f} s"
        yield Gap(GapKind.SILENT, table, symbol, start_ns, end_ns, detail)


def _breaks(table: str, found: Mapping[Cell, Entry]) -> Iterator[Gap]:
    for (symbol, _), facts in found.items():
        if facts.break_count:
            detail = f"{facts.break_count} sequence break{'s' * (facts.break_count > 1)}; the book was resynced"
            yield Gap(GapKind.BREAK, table, symbol, facts.first_break_ns, facts.last_break_ns, detail)
