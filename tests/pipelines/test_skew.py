"""Live rows made again from the lake: equal through gaps and restarts, and one wrong bit anywhere is found."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from numpy.typing import NDArray

from archive.layout import BOOK, TRADES, book_arrays, day_of, trade_arrays
from archive.live_tables import LIVE_SCORES
from archive.merging import LIVE_SOURCE
from archive.store import Lake
from bus import streams
from bus.messages import Candidate, Received
from live.clock import ManualClock
from live.compaction import InlineJob
from live.recorder import Recorder
from live.service import Parts
from live.signal_engine import SignalEngine
from live.worker import at_once
from market.feature_spec import COLUMN_NAMES
from pipelines.definitions import build
from pipelines.partitions import RANGE_END, RANGE_START, Cell
from pipelines.skew import asked, compare, feature_skew
from tests.live.bodies import scored
from tests.live.markets import Market, bodies, market, numbered
from tests.live.parts import RecordingOutput, parts, received
from tests.pipelines.days import Bench, Context, bench

S = "BTCUSDT"


@dataclass(frozen=True)
class Traded:
    """A lake that live has recorded, the day of it, and what the engine found."""

    root: Path
    at: Cell
    candidates: list[Candidate]
    sessions: int


def live(folder: Path, whole: Market, *, lost: set[int], restart: int) -> Traded:
    """A market through engine and recorder: messages the engine never gets, and a restart of it at a message."""
    made = parts(folder / "var", {"paths": {"lake": str(folder / "lake")}})
    made = replace(made, clock=ManualClock(int(whole[0].local_ns[0])))
    recorder, engine = Recorder(made, InlineJob, at_once), SignalEngine(made)
    recorder.subscriptions()
    recorder.start()
    engine.start()
    for k, message in enumerate(numbered(bodies(S, *whole))):
        advance(made, message)
        recorder.handle(message)
        if k == restart:
            engine = SignalEngine(made)
            engine.start()
        if k not in lost:
            engine.handle(message)
    found = said(made)
    for candidate in found:
        recorder.handle(received(streams.SCORES, scored(candidate)))
    recorder.stop()
    day = day_of(found[0].t_ns)
    return Traded(folder / "lake", Cell(day, S), found, len({each.session_ns for each in found}))


def advance(made: Parts, message: Received) -> None:
    """Turn the clock to just behind a message."""
    assert isinstance(made.clock, ManualClock)
    made.clock.advance_to(message.header.received_ns + 1_000_000)


def said(made: Parts) -> list[Candidate]:
    """What the engine found."""
    assert isinstance(made.out, RecordingOutput)
    return made.out.of(Candidate)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Traded:
    """Fifteen minutes across a midnight: a loss, a restart of the engine and a resync, each with its warm-up behind."""
    whole = market(18_000, seed=41, per_second=20.0, resets=[12_000])
    return live(tmp_path_factory.mktemp("traded"), whole, lost={4_000}, restart=7_500)


def untouched(columns: dict[str, NDArray[np.generic]]) -> None:
    """Change nothing."""


def again(
    traded: Traded, folder: Path, table: str = "", change: Callable[[dict[str, NDArray[np.generic]]], None] = untouched
) -> Lake:
    """A copy of the lake with one partition changed."""
    old, new = Lake(traded.root), Lake.create(folder / "lake")
    for name in (BOOK, TRADES, LIVE_SCORES):
        for symbol, day in old.partitions(name):
            columns = old.read(name, symbol, day)
            if name == table and day == traded.at.day:
                change(columns)
            new.write(name, symbol, day, columns, source=old.info(name, symbol, day).source)
    return new


def test_what_live_scored_is_what_the_lake_gives(traded: Traded) -> None:
    """Every row of all four sessions, to the bit; the first began on the day before."""
    skew = compare(Lake(traded.root), traded.at)
    assert (skew.problem, skew.differing) == ("", 0)
    assert (skew.rows, skew.sessions) == (len(traded.candidates), traded.sessions)
    assert traded.sessions == 4
    assert skew.rows > 300
    assert skew.text == f"{skew.rows} rows of 4 sessions are equal, bit for bit"


def test_one_ulp_in_a_scored_row_is_found_and_named(traded: Traded, tmp_path: Path) -> None:
    """With both values and their bits."""

    def change(columns: dict[str, NDArray[np.generic]]) -> None:
        columns[COLUMN_NAMES[2]].view(np.uint32)[57] += 1

    skew = compare(again(traded, tmp_path, LIVE_SCORES, change), traded.at)
    assert skew.differing == 1
    assert f"{S}-{traded.candidates[57].t_ns}" in skew.problem
    assert COLUMN_NAMES[2] in skew.problem
    assert "1 of 59 columns differ" in skew.problem


@pytest.mark.parametrize(("table", "column"), [(BOOK, "bid_lots_3"), (BOOK, "ask_ticks_0"), (TRADES, "size_lots")])
def test_one_unit_in_the_lake_is_found(traded: Traded, tmp_path: Path, table: str, column: str) -> None:
    """A lot or a tick that live saw otherwise, in a book or a print."""
    local_ns = traded.candidates[100].local_ns

    def change(columns: dict[str, NDArray[np.generic]]) -> None:
        k = int(np.searchsorted(columns["local_ns"], local_ns, side="right")) - 1
        columns[column][k] += np.int32(1)

    skew = compare(again(traded, tmp_path, table, change), traded.at)
    assert skew.differing >= 1
    assert skew.is_comparable


def test_a_row_missing_from_the_lake_is_found(traded: Traded, tmp_path: Path) -> None:
    """Whether or not a candidate was found at it."""
    lake, at = Lake(traded.root), traded.at
    new = again(traded, tmp_path)
    book = lake.read_book(S, at.day)
    k = int(np.searchsorted(book.local_ns, traded.candidates[100].local_ns, side="right")) - 1
    rest = {name: np.delete(column, k) for name, column in book_arrays(book).items()}
    new.write(BOOK, S, at.day, rest, source=LIVE_SOURCE)
    assert compare(new, at).differing >= 1


def test_a_lake_that_begins_behind_the_session_is_told(traded: Traded, tmp_path: Path) -> None:
    """Which moment is not there."""
    new = again(traded, tmp_path)
    trades = Lake(traded.root).read_trades(S, traded.at.day)
    book = Lake(traded.root).read_book(S, traded.at.day)
    late = {name: column[5_000:] for name, column in book_arrays(book).items()}
    new.write(BOOK, S, traded.at.day, late, source=LIVE_SOURCE)
    new.write(TRADES, S, traded.at.day, trade_arrays(trades), source=LIVE_SOURCE)
    skew = compare(new, traded.at)
    assert "where the session began" in skew.problem or "no full windows" in skew.problem
    assert skew.differing > 0


def test_a_day_that_somebody_else_imported_cannot_be_compared(traded: Traded, tmp_path: Path) -> None:
    """A warning that names whose books the lake holds, and no accusation."""
    new = again(traded, tmp_path)
    book = Lake(traded.root).read_book(S, traded.at.day)
    book.local_ns[:] += 1
    new.write_book(S, traded.at.day, book, source="binance_vision")
    skew = compare(new, traded.at)
    assert not skew.is_comparable
    assert "its books are binance_vision" in skew.problem


def test_rows_of_another_kernel_cannot_be_compared(traded: Traded, tmp_path: Path) -> None:
    """They are counted, and the kernel of this release is named."""

    def change(columns: dict[str, NDArray[np.generic]]) -> None:
        columns["schema_key"][:7] += np.int64(1)

    skew = compare(again(traded, tmp_path, LIVE_SCORES, change), traded.at)
    assert (skew.is_comparable, skew.rows) == (False, len(traded.candidates))
    assert "7 of" in skew.problem


def test_a_long_session_is_begun_where_the_kernel_forgets(tmp_path: Path) -> None:
    """An hour and a half of a slow market: the late rows are compared from a later start, and are equal."""
    whole = market(9_000, seed=43, per_second=1.2)
    made = parts(tmp_path / "var", {"paths": {"lake": str(tmp_path / "lake")}, "candidate": {"interval_ms": 60_000}})
    made = replace(made, clock=ManualClock(int(whole[0].local_ns[0])))
    recorder, engine = Recorder(made, InlineJob, at_once), SignalEngine(made)
    recorder.subscriptions()
    recorder.start()
    engine.start()
    for message in numbered(bodies(S, *whole)):
        advance(made, message)
        recorder.handle(message)
        engine.handle(message)
    late = [each for each in said(made) if each.local_ns > int(whole[0].local_ns[0]) + 5_400 * 10**9]
    for candidate in late:
        recorder.handle(received(streams.SCORES, scored(candidate)))
    recorder.stop()
    skew = compare(Lake(tmp_path / "lake"), Cell(day_of(late[0].t_ns), S))
    assert (skew.problem, skew.rows) == ("", len(late))
    assert len(late) > 15


def workspace_of(traded: Traded, tmp_path: Path) -> Bench:
    """A workspace over the lake that live recorded."""
    market_days = {"first_day": traded.at.day, "last_day": traded.at.day, "symbols": ("BTCUSDT", "ETHUSDT")}
    return bench(tmp_path, paths={"lake": str(traded.root), "var": tmp_path / "var"}, market=market_days)


def test_the_check_says_what_it_compared(traded: Traded, tmp_path: Path) -> None:
    """Through Dagster, alone: the newest day scored live."""
    defs = build(workspace_of(traded, tmp_path))
    job = dg.Definitions(
        assets=defs.assets, asset_checks=defs.asset_checks, resources=defs.resources,
        jobs=[dg.define_asset_job("skew", selection=dg.AssetSelection.checks(dg.AssetCheckKey(
            dg.AssetKey("features"), "feature_skew")))],
    ).resolve_job_def("skew")  # fmt: skip
    with dg.instance_for_test() as instance:
        done = job.execute_in_process(instance=instance)
    (result,) = done.get_asset_check_evaluations()
    assert result.passed
    assert result.metadata["rows"].value == len(traded.candidates)
    assert result.metadata["sessions"].value == 4


def test_a_difference_is_an_error_and_nothing_scored_is_said(traded: Traded, tmp_path: Path) -> None:
    """The first row that differs is the description; a day without scores passes, in plain words."""

    def change(columns: dict[str, NDArray[np.generic]]) -> None:
        columns["spread_ticks"].view(np.uint32)[3] ^= np.uint32(1)

    again(traded, tmp_path, LIVE_SCORES, change)
    workspace = workspace_of(replace(traded, root=tmp_path / "lake"), tmp_path)
    context = Context(tags={"dagster/partition": str(traded.at.key)})
    result = feature_skew(context, workspace)  # type: ignore[arg-type]
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "spread_ticks" in str(result.description)
    empty = Context(tags={"dagster/partition": Cell(traded.at.day, "ETHUSDT").key})
    nothing = feature_skew(empty, workspace)  # type: ignore[arg-type]
    assert (nothing.passed, nothing.description) == (True, "nothing scored live")


def test_a_run_is_asked_for_its_cells(traded: Traded, tmp_path: Path) -> None:
    """One, a rectangle, or the newest day scored live; none where nothing ever was."""
    workspace = workspace_of(traded, tmp_path)
    other = Cell(traded.at.day, "ETHUSDT")
    assert asked({"dagster/partition": str(other.key)}, workspace) == [other]
    assert asked({RANGE_START: str(traded.at.key), RANGE_END: str(other.key)}, workspace) == [traded.at, other]
    assert asked({}, workspace) == [traded.at]
    assert asked({}, bench(tmp_path / "new")) == []
