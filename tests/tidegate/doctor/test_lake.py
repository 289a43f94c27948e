from datetime import UTC, date, datetime
from pathlib import Path

from archive.gap_report import Gap, GapKind, GapReport
from archive.layout import BOOK
from tests.live.parts import settings
from tidegate.doctor.lake import NEWEST_DAYS, expected, findings, judged


def report(*gaps: Gap, partitions: int = 4) -> GapReport:
    """A scan that found these."""
    return GapReport(gaps, partitions, 0, 60.0)


def gap(kind: GapKind, seconds: float = 100.0) -> Gap:
    """One finding of the day."""
    start = round(datetime(2026, 1, 6, tzinfo=UTC).timestamp()) * 10**9
    return Gap(kind, BOOK, "BTCUSDT", start, start + round(seconds * 1e9), "seen")


def test_the_newest_days_up_to_yesterday_are_expected() -> None:
    """None before the first, never today."""
    assert expected(date(2026, 1, 5), date(2026, 1, 7), date(2026, 11, 1))[-1] == date(2026, 1, 7)
    assert len(expected(date(2026, 1, 5), None, date(2026, 11, 1))) == NEWEST_DAYS
    assert expected(date(2026, 1, 5), None, date(2026, 1, 5)) == []


def test_short_silences_are_no_damage_long_ones_and_missing_days_are() -> None:
    """By the knob that decides what is read."""
    tiny = settings({"ingest": {"max_silent_seconds_per_day": 900.0}})
    assert judged(report(gap(GapKind.SILENT, 100)), tiny).level == "ok"
    assert judged(report(gap(GapKind.SILENT, 1000)), tiny).level == "warn"
    found = judged(report(gap(GapKind.MISSING)), tiny)
    assert "1 damaged days (BTCUSDT 2026-01-06)" in found.says


def test_an_empty_lake_is_not_called_damaged(tmp_path: Path) -> None:
    """It is filled by the demo."""
    assert judged(report(gap(GapKind.MISSING), partitions=1), settings()).mend == "make demo"
    (found,) = findings(settings({"paths": {"lake": str(tmp_path / "nowhere")}}), date(2026, 11, 1))
    assert (found.level, found.mend) == ("warn", "make demo")
