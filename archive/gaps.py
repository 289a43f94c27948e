"""The gap scan: what is missing, silent, broken, foreign or corrupt among the partitions that should be there.

Exact and cheap. The writer counted the silences of each partition when it had the rows in hand and left them in the
footer; a manifest remembers them, so a repeated scan asks the file system for stamps and opens only what has changed.
Silence is followed over midnight: 40 s before it and 40 s after are 80 s.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from archive.errors import MissingPartition
from archive.gap_report import Gap, GapKind, GapReport
from archive.inspection import Inspector
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
    gaps: list[Gap] = []
    opened = 0
    for table in tables:
        inspector = Inspector(lake, table, use_manifest=manifest, rows_above_ns=rows_above_ns)
        found = inspector.inspect(expected)
        opened += inspector.opened
        gaps += inspector.problems
        for symbol, its_days in expected.items():
            facts = found[symbol]
            gaps += _breaks(table, symbol, facts)
            if TABLES[table].continuous:
                edges = _recorded(its_days, facts) if covers is None and days is None else covers
                gaps += _silent(table, symbol, _watches(its_days, facts, edges), threshold_ns)
    gaps.sort(key=lambda gap: (tables.index(gap.table), gap.symbol, gap.start_ns))
    partitions = len(tables) * sum(map(len, expected.values()))
    return GapReport(tuple(gaps), partitions, opened, threshold_seconds)


def silent_stretches(watches: Iterable[Watch], threshold_ns: int) -> list[Span]:
    """Return every stretch longer than the threshold in which rows were expected and none came.

    `watches` are in time order. Days that touch are one stream, so a stretch may cross midnight. A day without facts
    is no silence of its own (it is missing), but ends the one before it and begins the one after.
    """
    steps: list[Span] = []
    since_ns = until_ns = 0
    for (start_ns, end_ns), facts in watches:
        if start_ns != until_ns:
            steps.append((since_ns, until_ns))
            since_ns = start_ns
        until_ns = end_ns
        if facts is None:
            steps.append((since_ns, start_ns))
            since_ns = end_ns
            continue
        steps.append((since_ns, min(max(facts.first_ns, start_ns), end_ns)))
        if facts.gaps:
            steps += [(max(before_ns, start_ns), min(after_ns, end_ns)) for before_ns, after_ns in facts.gaps]
        since_ns = min(max(facts.last_ns, start_ns), end_ns)
    steps.append((since_ns, until_ns))
    return [step for step in steps if step[1] - step[0] > threshold_ns]


def _expected(
    lake: Lake, symbols: Sequence[str] | None, days: Sequence[date] | None, tables: Sequence[str], covers: Span | None
) -> dict[str, list[date]]:
    if covers is not None:
        first, last = day_of(covers[0]), day_of(covers[1] - 1)
        days = [day for day in (_from_to(first, last) if days is None else days) if first <= day <= last]
    if symbols is not None and days is not None:
        return dict.fromkeys(symbols, sorted(set(days)))
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
        return dict.fromkeys(wanted, sorted(set(days)))
    return {symbol: _from_to(min(present[symbol]), max(present[symbol])) for symbol in wanted if symbol in present}


def _from_to(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _recorded(days: Sequence[date], found: Sequence[Entry | None]) -> Span:
    first, last = found[0], found[-1]
    start_ns = first.first_ns if first else day_bounds_ns(days[0])[0]
    return start_ns, last.last_ns if last else day_bounds_ns(days[-1])[1]


def _watches(days: Sequence[date], found: Sequence[Entry | None], edges: Span | None) -> Iterator[Watch]:
    for day, facts in zip(days, found, strict=True):
        start_ns, end_ns = day_bounds_ns(day)
        if edges is not None:
            start_ns, end_ns = max(start_ns, edges[0]), min(end_ns, edges[1])
        if start_ns < end_ns:
            yield Watch((start_ns, end_ns), facts)


def _silent(table: str, symbol: str, watches: Iterable[Watch], threshold_ns: int) -> Iterator[Gap]:
    for start_ns, end_ns in silent_stretches(watches, threshold_ns):
        detail = f"no row for {(end_ns - start_ns) / 1e9:.3f} s"
        yield Gap(GapKind.SILENT, table, symbol, start_ns, end_ns, detail)


def _breaks(table: str, symbol: str, found: Iterable[Entry | None]) -> Iterator[Gap]:
    for facts in found:
        if facts is not None and facts.break_count:
            detail = f"{facts.break_count} sequence break{'s' * (facts.break_count > 1)}; the book was resynced"
            yield Gap(GapKind.BREAK, table, symbol, facts.first_break_ns, facts.last_break_ns, detail)
