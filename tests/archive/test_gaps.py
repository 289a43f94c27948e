"""The scan finds every planted gap and nothing else."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.errors import MissingLake, MissingPartition
from archive.gap_report import GapKind
from archive.gaps import Watch, scan, silent_stretches
from archive.layout import BOOK, NS_PER_DAY, TRADES
from archive.manifest import Entry
from archive.store import Lake
from tests.archive.lakes import DAY, NEXT_DAY, SECOND_NS, START_NS, book_at, put_book, steady_ns, trades_at

MIDNIGHT_NS = START_NS + NS_PER_DAY
DAY_LENGTH = 20
"""Of the toy days the property test is made of."""


def at(seconds: float) -> int:
    """Return a time as seconds after the day's start."""
    return START_NS + round(seconds * SECOND_NS)


def found(lake: Lake, *days: date, **options: object) -> list[tuple[str, float, float]]:
    """Scan the book and return kind, start and end of each gap, in seconds after the day's start."""
    report = scan(lake, ["BTCUSDT"], days or None, tables=[BOOK], **options)  # type: ignore[arg-type]
    return [(gap.kind.value, (gap.start_ns - START_NS) / 1e9, (gap.end_ns - START_NS) / 1e9) for gap in report.gaps]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(tmp_path)


def test_a_steady_day_has_no_gap(lake: Lake) -> None:
    """A row every minute is just not silent for longer than a minute, not even at the day's end."""
    put_book(lake, "BTCUSDT", DAY, steady_ns(every_seconds=60))
    assert found(lake, DAY) == []


def test_silence_is_longer_than_the_threshold_to_the_nanosecond(lake: Lake) -> None:
    """Sixty seconds are none, one nanosecond more is."""
    times_ns = steady_ns(every_seconds=30)
    put_book(lake, "BTCUSDT", DAY, [t for t in times_ns if t != at(300)])
    assert found(lake, DAY) == []
    put_book(lake, "BTCUSDT", DAY, [t + (t == at(330)) for t in times_ns if t != at(300)])
    assert found(lake, DAY) == [("silent", 270, 330.000000001)]


def test_silence_is_followed_over_midnight(lake: Lake) -> None:
    """Forty seconds before it and forty after are one stretch of eighty, which damages both days."""
    put_book(lake, "BTCUSDT", DAY, [*steady_ns()[:-2], MIDNIGHT_NS - 40 * SECOND_NS])
    put_book(lake, "BTCUSDT", NEXT_DAY, [MIDNIGHT_NS + 40 * SECOND_NS, *steady_ns(NEXT_DAY)[2:]])
    report = scan(lake, ["BTCUSDT"], [DAY, NEXT_DAY], tables=[BOOK])
    assert [(gap.start_ns, gap.end_ns) for gap in report.gaps] == [
        (MIDNIGHT_NS - 40 * SECOND_NS, MIDNIGHT_NS + 40 * SECOND_NS)
    ]
    assert report.damaged == {("BTCUSDT", DAY), ("BTCUSDT", NEXT_DAY)}
    assert found(lake, DAY) == []


def test_a_day_given_is_expected_from_its_first_to_its_last_instant(lake: Lake) -> None:
    """Head and tail count; without days, only what lies between the first row and the last."""
    put_book(lake, "BTCUSDT", DAY, [t for t in steady_ns() if at(3600) <= t <= at(80_000)])
    assert found(lake, DAY) == [("silent", 0, 3600), ("silent", 79_980, 86_400)]
    assert found(lake) == []
    assert found(lake, DAY, covers=(at(3600), at(80_000))) == []
    assert found(lake, covers=(at(3000), at(80_000))) == [("silent", 3000, 3600)]


def test_a_missing_day_is_no_silence_but_ends_one(lake: Lake) -> None:
    """What is silent next to it is measured up to its edge."""
    last = NEXT_DAY + timedelta(days=1)
    put_book(lake, "BTCUSDT", DAY, steady_ns()[:-10])
    put_book(lake, "BTCUSDT", last, steady_ns(last)[10:])
    assert found(lake) == [
        ("silent", 86_400 - 330, 86_400),
        ("missing", 86_400, 2 * 86_400),
        ("silent", 2 * 86_400, 2 * 86_400 + 300),
    ]


def test_days_apart_are_streams_of_their_own(lake: Lake) -> None:
    """Days that were not asked for are not held against their neighbours."""
    last = NEXT_DAY + timedelta(days=1)
    for day in (DAY, last):
        put_book(lake, "BTCUSDT", day, steady_ns(day))
    assert found(lake, DAY, last) == []
    assert found(lake, DAY, NEXT_DAY, last) == [("missing", 86_400, 2 * 86_400)]


def test_a_day_without_rows_is_silent_all_through(lake: Lake) -> None:
    """It is there, so it is not missing; nothing in it, so it is silent."""
    put_book(lake, "BTCUSDT", DAY, [])
    assert found(lake, DAY) == [("silent", 0, 86_400)]


def test_breaks_are_one_entry_a_day(lake: Lake) -> None:
    """With how many there were and from when to when."""
    lake.write_book("BTCUSDT", DAY, book_at(steady_ns(), breaks=[10, 20, 30]), source="test")
    report = scan(lake, ["BTCUSDT"], [DAY], tables=[BOOK])
    assert [(gap.kind, gap.start_ns, gap.end_ns) for gap in report.gaps] == [(GapKind.BREAK, at(300), at(900))]
    assert report.gaps[0].detail.startswith("3 sequence breaks")


def test_trades_may_rest_but_not_be_missing(lake: Lake) -> None:
    """A quiet market is no gap; a table that was not written is."""
    put_book(lake, "BTCUSDT", DAY, steady_ns())
    assert [(gap.kind, gap.table) for gap in scan(lake, ["BTCUSDT"], [DAY]).gaps] == [(GapKind.MISSING, TRADES)]
    lake.write_trades("BTCUSDT", DAY, trades_at([at(1), at(80_000)]), source="test")
    assert scan(lake, ["BTCUSDT"], [DAY]).gaps == ()


@pytest.mark.parametrize("options", [{}, {"verify": True}, {"manifest": False}, {"threshold_seconds": 9.0}])
def test_every_way_to_scan_finds_the_same(lake: Lake, options: dict[str, object]) -> None:
    """By footer, by manifest, by rows; twice each. (Nothing here is silent for between 9 and 60 s.)"""
    times_ns = [t for t in steady_ns(every_seconds=8) if not at(800) < t < at(900)]
    put_book(lake, "BTCUSDT", DAY, times_ns)
    for _ in range(2):
        assert found(lake, DAY, **options) == [("silent", 800, 904)]


def test_symbols_and_days_default_to_what_the_lake_has(lake: Lake) -> None:
    """Each symbol from its own first day to its own last; a table's days count for the other tables too."""
    put_book(lake, "BTCUSDT", DAY, steady_ns())
    put_book(lake, "BTCUSDT", NEXT_DAY, steady_ns(NEXT_DAY))
    put_book(lake, "ETHUSDT", NEXT_DAY, steady_ns(NEXT_DAY))
    report = scan(lake)
    assert (report.partitions, report.opened) == (6, 3)
    assert {(gap.kind, gap.table) for gap in report.gaps} == {(GapKind.MISSING, TRADES)}
    assert scan(lake, days=[DAY], tables=[BOOK]).damaged == {("ETHUSDT", DAY)}
    assert scan(lake, days=[]).partitions == 0


def test_an_empty_lake_expects_nothing_and_says_so(lake: Lake, tmp_path: Path) -> None:
    """A scan of the wrong folder must not pass for a healthy one; what is named is expected all the same."""
    with pytest.raises(MissingPartition, match="no partition of any symbol in book, trades, so nothing says"):
        scan(lake)
    with pytest.raises(MissingPartition, match="no partition of BTCUSDT"):
        scan(lake, ["BTCUSDT"])
    with pytest.raises(MissingLake):
        scan(Lake(tmp_path / "none"))
    assert scan(lake, ["BTCUSDT"], [DAY], tables=[BOOK]).damaged == {("BTCUSDT", DAY)}


def test_a_scan_of_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Even with everything expected named: all of it missing would be the wrong answer."""
    with pytest.raises(MissingLake):
        scan(Lake(tmp_path / "none"), ["BTCUSDT"], [DAY])


def test_the_scan_runs_on_an_object_store() -> None:
    """Stamps come from one listing."""
    lake = Lake("memory://gaps/lake")
    put_book(lake, "BTCUSDT", DAY, steady_ns())
    assert [scan(lake, ["BTCUSDT"], [DAY], tables=[BOOK]).opened for _ in range(2)] == [1, 0]


toy_day = st.none() | st.lists(st.integers(0, DAY_LENGTH - 1), max_size=8).map(sorted)


@given(
    days=st.lists(st.tuples(toy_day, st.booleans()), max_size=6),
    clip=st.tuples(st.integers(0, 2 * DAY_LENGTH), st.integers(0, 6 * DAY_LENGTH)),
    threshold=st.integers(0, 30),
)
def test_silent_stretches_equal_those_of_the_rows_themselves(
    days: list[tuple[list[int] | None, bool]], clip: tuple[int, int], threshold: int
) -> None:
    """Facts per day, clipped to what was expected, give what one look at all rows in a line gives."""
    watches: list[Watch] = []
    lines: list[list[int]] = []
    for number, (offsets, skipped) in enumerate(days):
        day_start = number * DAY_LENGTH
        start, end = max(day_start, clip[0]), min(day_start + DAY_LENGTH, clip[1])
        if skipped or start >= end:
            lines.append([])
            continue
        rows = None if offsets is None else [day_start + offset for offset in offsets]
        watches.append(Watch((start, end), None if rows is None else toy_facts(day_start, rows)))
        if rows is None:
            lines.append([])
            continue
        if not lines or not lines[-1] or lines[-1][-1] != start:
            lines.append([start])
        lines[-1] += [*(row for row in rows if start <= row < end), end]

    wanted = [pair for line in lines for pair in steps(line, set(ends(watches))) if pair[1] - pair[0] > threshold]
    assert list(silent_stretches(watches, threshold)) == wanted


def toy_facts(day_start: int, rows: list[int]) -> Entry:
    """Return facts with every step between rows, however short."""
    first, last = (rows[0], rows[-1]) if rows else (day_start, day_start)
    gaps = tuple((a, b) for a, b in pairwise(rows) if b > a)
    return Entry(0, "", 1, first, last, gaps, 0)


def ends(watches: list[Watch]) -> list[int]:
    """Return the ends of spans that the next span touches with rows of its own."""
    return [a.expected[1] for a, b in pairwise(watches) if a.expected[1] == b.expected[0] and a.facts and b.facts]


def steps(line: list[int], passed_over: set[int]) -> list[tuple[int, int]]:
    """Return the steps of a line of times; a midnight inside a stream is no row."""
    return list(pairwise([time for n, time in enumerate(line) if time not in passed_over or n in (0, len(line) - 1)]))
