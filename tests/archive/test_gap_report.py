"""A report speaks to programs and to people."""

import json

import pytest

from archive.gap_report import HEADINGS, Gap, GapKind, GapReport
from archive.layout import BOOK, NS_PER_DAY
from tests.archive.lakes import DAY, NEXT_DAY, SECOND_NS, START_NS

SILENCE = Gap(GapKind.SILENT, BOOK, "BTCUSDT", START_NS, START_NS + 90 * SECOND_NS, "no row for 90.000 s")
OVER_MIDNIGHT = Gap(GapKind.SILENT, BOOK, "ETHUSDT", START_NS + NS_PER_DAY - 1, START_NS + NS_PER_DAY + 1, "a | b")
REPORT = GapReport((SILENCE, OVER_MIDNIGHT), partitions=4, opened=1, threshold_seconds=60)
SOUND = GapReport((), partitions=4, opened=0, threshold_seconds=60)


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "days"),
    [
        (START_NS, START_NS + NS_PER_DAY, (DAY,)),
        (START_NS + NS_PER_DAY - 1, START_NS + NS_PER_DAY + 1, (DAY, NEXT_DAY)),
        (START_NS, START_NS, (DAY,)),
    ],
)
def test_a_gap_touches_the_days_it_has_time_in(start_ns: int, end_ns: int, days: tuple[object, ...]) -> None:
    """One that ends at midnight has none in the next day."""
    assert Gap(GapKind.SILENT, BOOK, "BTCUSDT", start_ns, end_ns, "").days == days


def test_damaged_and_of_agree() -> None:
    """A cell is damaged when it has gaps of its own."""
    assert REPORT.damaged == {("BTCUSDT", DAY), ("ETHUSDT", DAY), ("ETHUSDT", NEXT_DAY)}
    assert REPORT.of("ETHUSDT", NEXT_DAY) == (OVER_MIDNIGHT,)
    assert REPORT.of("BTCUSDT", NEXT_DAY) == ()
    assert SOUND.damaged == set()


def test_the_summary_counts_by_kind() -> None:
    """One line."""
    assert REPORT.summary() == "2 silent in 4 partitions, threshold 60 s"
    assert SOUND.summary() == "no gap in 4 partitions, threshold 60 s"


def test_json_holds_everything_in_plain_values() -> None:
    """Times both as numbers and as text."""
    read = json.loads(json.dumps(REPORT.to_json()))
    assert read["damaged"][0] == {"symbol": "BTCUSDT", "day": "2026-01-06"}
    assert read["gaps"][0] == {
        "kind": "silent",
        "table": "book",
        "symbol": "BTCUSDT",
        "days": ["2026-01-06"],
        "start_ns": START_NS,
        "end_ns": START_NS + 90 * SECOND_NS,
        "start": "2026-01-06 00:00:00.000",
        "end": "2026-01-06 00:01:30.000",
        "seconds": 90.0,
        "detail": "no row for 90.000 s",
    }


def test_markdown_is_a_table_with_bars_escaped() -> None:
    """Ready for Dagster's metadata."""
    lines = REPORT.to_markdown().splitlines()
    assert lines[0] == REPORT.summary()
    assert lines[2].count("|") == len(HEADINGS) + 1
    assert lines[4].startswith("| silent | book | BTCUSDT | 2026-01-06 00:00:00.000 |")
    assert lines[5].endswith(r"| a \| b |")
    assert SOUND.to_markdown() == "no gap in 4 partitions, threshold 60 s\n"


def test_markdown_keeps_the_longest_gaps() -> None:
    """A page in the UI stays readable; what is left out is counted."""
    text = REPORT.to_markdown(at_most=1)
    assert "BTCUSDT" in text
    assert "ETHUSDT" not in text
    assert "1 shorter ones are not shown" in text


def test_a_gap_reads_as_a_sentence() -> None:
    """For logs and check results."""
    assert str(SILENCE) == (
        "silent book BTCUSDT 2026-01-06 00:00:00.000 to 2026-01-06 00:01:30.000: no row for 90.000 s"
    )
    assert REPORT.rows()[0][5] == "90.000"
