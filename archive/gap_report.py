"""What a gap scan found, for programs (JSON, sets) and for people (tables, sentences)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from archive.layout import clock_text, day_of
from archive.partition import Json


class GapKind(StrEnum):
    """What can be wrong with an expected partition."""

    MISSING = "missing"
    """There is no such partition."""
    SILENT = "silent"
    """No row for longer than the threshold."""
    BREAK = "break"
    """The feed's sequence broke within the day; one entry a partition."""
    VERSION = "version"
    """Written under another schema version."""
    CORRUPT = "corrupt"
    """Truncated, altered, unreadable, or not what its footer says."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One finding. `start_ns` to `end_ns` is the silence, the first and last break, or the expected span."""

    kind: GapKind
    table: str
    symbol: str
    start_ns: int
    end_ns: int
    detail: str

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def days(self) -> tuple[date, ...]:
        """The UTC days it touches, in order."""
        first, last = day_of(self.start_ns), day_of(max(self.start_ns, self.end_ns - 1))
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))

    def to_json(self) -> dict[str, Json]:
        """Return the finding as plain values; times in ns and as text."""
        return {
            "kind": self.kind.value,
            "table": self.table,
            "symbol": self.symbol,
            "days": [day.isoformat() for day in self.days],
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "start": clock_text(self.start_ns),
            "end": clock_text(self.end_ns),
            "seconds": self.seconds,
            "detail": self.detail,
        }

    def __str__(self) -> str:
        span = f"{clock_text(self.start_ns)} to {clock_text(self.end_ns)}"
        return f"{self.kind.value} {self.table} {self.symbol} {span}: {self.detail}"


@dataclass(frozen=True, slots=True)
class GapReport:
    """Every gap of the expected partitions, in order of table, symbol and time.

    `partitions` were expected, `opened` of them had to be opened; the others were known from the manifest or missing.
    """

    gaps: tuple[Gap, ...]
    partitions: int
    opened: int
    threshold_seconds: float

    @property
    def damaged(self) -> set[tuple[str, date]]:
        """Every (symbol, day) that some gap touches."""
        return {(gap.symbol, day) for gap in self.gaps for day in gap.days}

    def of(self, symbol: str, day: date) -> tuple[Gap, ...]:
        """Return the gaps that touch one symbol's day."""
        return tuple(gap for gap in self.gaps if gap.symbol == symbol and day in gap.days)

    def summary(self) -> str:
        """Return one line: how much was checked, and how many gaps of each kind there are."""
        counts = {kind: sum(gap.kind is kind for gap in self.gaps) for kind in GapKind}
        found = ", ".join(f"{count} {kind.value}" for kind, count in counts.items() if count) or "no gap"
        return f"{found} in {self.partitions} partitions, threshold {self.threshold_seconds:g} s"

    def rows(self) -> list[tuple[str, ...]]:
        """Return the gaps as text, one tuple of `HEADINGS` each."""
        return [_row(gap) for gap in self.gaps]

    def to_json(self) -> dict[str, Json]:
        """Return the report as plain values."""
        return {
            "partitions": self.partitions,
            "opened": self.opened,
            "threshold_seconds": self.threshold_seconds,
            "damaged": [{"symbol": symbol, "day": day.isoformat()} for symbol, day in sorted(self.damaged)],
            "gaps": [gap.to_json() for gap in self.gaps],
        }

    def to_markdown(self, at_most: int = 200) -> str:
        """Return the report as a Markdown table of at most that many gaps, the longest kept, under its summary."""
        if not self.gaps:
            return f"{self.summary()}\n"
        kept = sorted(self.gaps, key=lambda gap: gap.start_ns - gap.end_ns)[:at_most]
        shown = [gap for gap in self.gaps if gap in set(kept)]
        lines = [_markdown_line(HEADINGS), _markdown_line(["---"] * len(HEADINGS))]
        lines += [_markdown_line(_row(gap)) for gap in shown]
        left_out = len(self.gaps) - len(shown)
        note = f"\n\n{left_out} shorter ones are not shown." if left_out else ""
        return f"{self.summary()}\n\n" + "\n".join(lines) + note + "\n"


HEADINGS = ("kind", "table", "symbol", "from (UTC)", "to (UTC)", "seconds", "detail")


def _row(gap: Gap) -> tuple[str, ...]:
    times = (clock_text(gap.start_ns), clock_text(gap.end_ns))
    return (gap.kind.value, gap.table, gap.symbol, *times, f"{gap.seconds:.3f}", gap.detail)


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
