"""The proof that live and the pipelines see the same market: rows that were scored, made again from the lake.

For every row that the scorer judged, the recorder kept the very float32 values and where the engine's windows began
(`session_ns`). From there the kernel is run over the lake's books and prints, and each row has to come out equal, bit
for bit. Where a session is longer than the kernel remembers, the run begins TAIL_NS before the day's first row of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from archive.errors import MissingPartition
from archive.layout import BOOK, clock_text, day_of
from archive.live_tables import LIVE_SCORES, key
from archive.merging import LIVE_SOURCE
from archive.store import Lake
from market.columns import BookColumns, TradeColumns
from market.feature_spec import COLUMN_NAMES, schema_hash
from pipelines.checks import Finding, markdown_table
from pipelines.partitions import RANGE_END, RANGE_START, Cell, cell
from pipelines.workspace import Workspace

_MARGIN_NS = 120_000_000_000
"""How far the venue's clock may lie from ours: rows are read for so long around the arrivals that are wanted."""
_PARTITION = "dagster/partition"
Columns = dict[str, NDArray[Any]]
C = TypeVar("C", BookColumns, TradeColumns)


@dataclass
class Skew:
    """What the comparison of one cell found.

    `problem` names the first row that differs, or says why nothing could be compared (`is_comparable` False).
    """

    rows: int = 0
    sessions: int = 0
    differing: int = 0
    problem: str = ""
    is_comparable: bool = True

    @property
    def text(self) -> str:
        """The result in words."""
        if self.problem:
            return self.problem
        if not self.rows:
            return "nothing scored live"
        return f"{self.rows} rows of {self.sessions} sessions are equal, bit for bit"


def feature_skew(context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.AssetCheckResult:
    """Every row that was scored live equals, bit for bit, what the kernel makes of the lake."""
    found = {each: compare(workspace.lake, each) for each in asked(context.run.tags, workspace)}
    findings = [
        Finding("feature_skew", at.key, not skew.problem, skew.text, not skew.is_comparable)
        for at, skew in found.items()
    ]
    failed = [finding for finding in findings if not finding.passed]
    rows = sum(skew.rows for skew in found.values())
    differing = sum(skew.differing for skew in found.values())
    only_warnings = bool(failed) and all(finding.warn_only for finding in failed)
    said = f"{failed[0].place}: {failed[0].detail}" if failed else f"{rows} rows are equal, bit for bit"
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN if only_warnings else dg.AssetCheckSeverity.ERROR,
        description=said if rows or failed else "nothing scored live",
        metadata={
            "rows": rows,
            "differing": differing,
            "sessions": sum(skew.sessions for skew in found.values()),
            "findings": dg.MetadataValue.md(markdown_table(failed or findings)),
        },
    )


def asked(tags: Mapping[str, str], workspace: Workspace) -> list[Cell]:
    """The cells of a run by its tags: one, a rectangle, or, of a run of the check alone, the newest day scored live.

    The check itself has no partitions: Dagster calls those of checks a preview.
    """
    if one := tags.get(_PARTITION):
        return [cell(one)]
    if RANGE_START in tags:
        first, last = cell(tags[RANGE_START]), cell(tags[RANGE_END])
        return [
            each
            for each in workspace.all_cells
            if first.day <= each.day <= last.day and first.symbol <= each.symbol <= last.symbol
        ]
    scored = workspace.lake.partitions(LIVE_SCORES)
    newest = max((day for _, day in scored), default=None)
    return [Cell(day, symbol) for symbol, day in scored if day == newest]


def compare(lake: Lake, at: Cell) -> Skew:
    """Make every row of a cell that was scored live again, and compare.

    Raises what reading the lake raises, but for a partition that is not there: without scores nothing is compared,
    and without books every row differs.
    """
    try:
        scored = lake.read(LIVE_SCORES, at.symbol, at.day)
    except MissingPartition:
        return Skew()
    skew = Skew(rows=len(scored["t_ns"]))
    strange = scored["schema_key"] != key(schema_hash())
    if strange.any():
        skew.is_comparable = False
        skew.problem = (
            f"{np.count_nonzero(strange)} of {skew.rows} rows were scored by another kernel than this one "
            f"({schema_hash()[:12]}); compare them with the release that scored them"
        )
        return skew
    for session_ns in np.unique(scored["session_ns"]).tolist():
        place = np.flatnonzero(scored["session_ns"] == session_ns)
        place = place[np.argsort(scored["local_ns"][place], kind="stable")]
        skew.sessions += 1
        _Session(lake, at, session_ns, {name: column[place] for name, column in scored.items()}, skew).compare()
    return skew


class _Session:
    """The rows of one session, in order of arrival, against a replay of it."""

    def __init__(self, lake: Lake, at: Cell, session_ns: int, scored: Columns, skew: Skew) -> None:
        self._lake, self._at, self._session_ns, self._scored, self._skew = lake, at, session_ns, scored, skew
        self._live = np.stack([scored[name] for name in COLUMN_NAMES], axis=1)

    def compare(self) -> None:
        """Run the kernel along the session and compare each row at its arrival."""
        from market.features import TAIL_NS

        local_ns = self._scored["local_ns"]
        first_ns = max(self._session_ns, int(local_ns[0]) - TAIL_NS - _MARGIN_NS)
        done = 0
        is_first = True
        for arrived, t_ns, out, valid in _replayed(self._lake, self._at.symbol, first_ns, int(local_ns[-1])):
            if is_first and first_ns == self._session_ns and arrived[0] != first_ns:
                break
            is_first = False
            upto = int(np.searchsorted(local_ns, arrived[-1], side="right"))
            place = np.searchsorted(arrived, local_ns[done:upto])
            found = (arrived[place] == local_ns[done:upto], t_ns[place], out[place], valid[place])
            self._compare_rows(done, *found)
            done = upto
        if is_first:
            self._fail(0, len(local_ns), f"has no book at {clock_text(self._session_ns)}, where the session began")
        elif done < len(local_ns):
            self._fail(done, len(local_ns) - done, "ends before it")

    def _compare_rows(
        self,
        first: int,
        is_there: NDArray[np.bool_],
        t_ns: NDArray[np.int64],
        out: NDArray[np.float32],
        valid: NDArray[np.uint8],
    ) -> None:
        """Compare live rows from `first` on with what the lake gave at their arrivals."""
        live = self._live[first : first + len(t_ns)]
        bits_differ = live.view(np.uint32) != out.view(np.uint32)
        time_differs = t_ns != self._scored["t_ns"][first : first + len(t_ns)]
        bad = np.flatnonzero(~is_there | time_differs | (valid == 0) | bits_differ.any(axis=1))
        if not len(bad):
            return
        row = int(bad[0])
        if not is_there[row]:
            self._fail(first + row, len(bad), "has no event at its arrival")
        elif time_differs[row]:
            self._fail(first + row, len(bad), f"has the time {t_ns[row]} ns for it")
        elif not valid[row]:
            self._fail(first + row, len(bad), "has no full windows at it")
        else:
            column = int(np.flatnonzero(bits_differ[row])[0])
            self._fail(
                first + row, len(bad),
                f"gives {COLUMN_NAMES[column]} = {_shown(out[row, column])}, scored was {_shown(live[row, column])} "
                f"({np.count_nonzero(bits_differ[row])} of {len(COLUMN_NAMES)} columns differ)",
            )  # fmt: skip

    def _fail(self, row: int, rows: int, what: str) -> None:
        """Count rows that differ; the first one of the cell is told, with whose rows the lake holds now."""
        self._skew.differing += rows
        if self._skew.problem:
            return
        t_ns = int(self._scored["t_ns"][row])
        told = f"{self._at.symbol}-{t_ns} ({clock_text(t_ns)}): the lake {what}"
        source = self._source()
        if source != LIVE_SOURCE:
            self._skew.is_comparable = False
            told += f"; its books are {source or 'gone'}, and not the ones live recorded"
        self._skew.problem = told

    def _source(self) -> str:
        try:
            return self._lake.info(BOOK, self._at.symbol, self._at.day).source
        except MissingPartition:
            return ""


def _shown(value: np.float32) -> str:
    return f"{value!s} (0x{int(value.view(np.uint32)):08x})"


def _replayed(
    lake: Lake, symbol: str, first_ns: int, last_ns: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]]:
    """Yield arrival times, event times, rows and validity of the events that arrived from first to last."""
    from market.features import KIND_BOOK, KernelState, interleave, run

    state, after_ns = KernelState.new(), None
    for book, trades in _arrivals(lake, symbol, first_ns, last_ns):
        events = interleave(book, trades, after_ns=after_ns)
        if not len(events):
            continue
        out, valid = np.empty((len(events), len(COLUMN_NAMES)), np.float32), np.empty(len(events), np.uint8)
        run(state, events, out, valid)
        arrived, is_book = np.empty(len(events), np.int64), events[:, 1] == KIND_BOOK
        arrived[is_book], arrived[~is_book] = book.local_ns, trades.local_ns
        after_ns = int(events[-1, 0])
        yield arrived, np.ascontiguousarray(events[:, 0]), out, valid


def _arrivals(lake: Lake, symbol: str, first_ns: int, last_ns: int) -> Iterator[tuple[BookColumns, TradeColumns]]:
    """Yield what arrived from first to last, a row group of books at a time with the prints up to its last row."""
    start_ns, end_ns = first_ns - _MARGIN_NS, last_ns + _MARGIN_NS
    first_day, last_day = day_of(start_ns), day_of(end_ns)
    waiting = TradeColumns.empty()
    for day in (first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1)):
        try:
            prints = lake.read_trades(symbol, day, start_ns=start_ns, end_ns=end_ns)
        except MissingPartition:
            prints = TradeColumns.empty()
        waiting = TradeColumns.concat([waiting, _between(prints, first_ns, last_ns)])
        try:
            for piece in lake.iter_book_batches(symbol, day, start_ns=start_ns, end_ns=end_ns):
                book = _between(piece, first_ns, last_ns)
                if not len(book):
                    continue
                upto = int(np.searchsorted(waiting.local_ns, book.local_ns[-1], side="right"))
                yield book, waiting.slice(0, upto)
                waiting = waiting.slice(upto, len(waiting))
        except MissingPartition:
            continue
    yield BookColumns.empty(), waiting


def _between(columns: C, first_ns: int, last_ns: int) -> C:
    start, stop = np.searchsorted(columns.local_ns, [first_ns, last_ns + 1]).tolist()
    return columns.slice(start, stop)
