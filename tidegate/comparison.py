"""Two versions held against each other, fact by fact, however they are shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bus.messages import Verdict
from registry.card import ModelCard, ScoreBaseline
from registry.states import Head
from tidegate.versions import Meant

_SMALL = 1e-3


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of both; `is_measured` marks numbers of which the difference says something."""

    name: str
    first: Any
    second: Any
    is_measured: bool = False

    @property
    def difference(self) -> float | None:
        """The second less the first, where both are measured."""
        if not self.is_measured or self.first is None or self.second is None:
            return None
        return float(self.second) - float(self.first)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions, fact by fact, and what risk last said of a trial of one against the other."""

    first: Meant
    second: Meant
    rows: Sequence[Row]
    verdicts: Sequence[Verdict]
    scores: tuple[ScoreBaseline, ScoreBaseline]
    taus: tuple[float, float]
    silence: str = ""


def held_against(head: Head, ours: tuple[Meant, Meant], cards: tuple[ModelCard, ModelCard]) -> Iterator[Row]:
    """Hold two versions against each other: where they stand, what they learned from, what was measured."""
    one, other = cards

    def state(version: Meant) -> str:
        slots = [slot for slot in ("active", "previous", "shadow") if getattr(head.slots, slot) == version.number]
        told = head.states.get(version.number, "not entered yet")
        return f"{told}, in slot {' and '.join(slots)}" if slots else told

    yield Row("state", state(ours[0]), state(ours[1]))
    for name, of in (
        ("created", lambda card: card.created_at),
        ("symbols", lambda card: ", ".join(card.training.symbols)),
        ("trained on", lambda card: f"{card.training.first_day} to {card.training.last_day}"),
        ("rows", lambda card: card.training.rows),
        ("data", lambda card: card.training.data_hash[:16]),
        ("code", lambda card: card.training.code_version[:16]),
        ("seed", lambda card: card.training.seed),
        ("features", lambda card: f"{len(card.feature_names)}, schema {card.schema_hash[:12]}"),
        ("calibration", lambda card: f"{card.calibration.kind} on {card.calibration.rows:,} rows"),
        ("parity", lambda card: f"{card.parity.margin_mismatches} mismatches in {card.parity.rows:,} rows"),
    ):
        yield Row(name, of(one), of(other))
    yield Row("tau_entry", one.thresholds.tau_entry, other.thresholds.tau_entry, is_measured=True)
    yield Row("winrate", one.baseline.winrate, other.baseline.winrate, is_measured=True)
    yield Row("brier", one.baseline.brier, other.baseline.brier, is_measured=True)
    yield Row(
        "trades per hour, p95", one.baseline.trades_per_hour_p95, other.baseline.trades_per_hour_p95, is_measured=True
    )
    for name in sorted(one.metrics.keys() | other.metrics.keys()):
        yield Row(name, one.metrics.get(name), other.metrics.get(name), is_measured=True)


def shown(value: object) -> str:
    """A fact as people read it."""
    if value is None:
        return "not measured"
    if isinstance(value, float):
        if value.is_integer() and abs(value) > 1:  # a count: MLflow keeps floats only
            return f"{value:,.0f}"
        return f"{value:.3g}" if 0 < abs(value) < _SMALL else f"{value:,.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
