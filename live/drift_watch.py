"""Drift of what the active model sees: now and then a look at a whole span of scored rows, and what it says.

A look is drawn in the loop and judged by the worker. The rows and what was over since when are on disk every few
minutes, since a window of a day that a restart empties would leave the gate unarmed for a day.
"""

from typing import Final, NamedTuple

import msgspec

from bus.messages import Score
from evaluation.clean_windows import LEAST_SPANS
from evaluation.drift import Reference
from evaluation.drift_gate import DriftGate, DriftView
from evaluation.drift_lines import CleanHistory, DriftReport, DriftRule, drift_report
from live.baseline import ActiveBaseline
from live.drift_window import Drawn, DriftWindow, packed
from live.schedules import Alert, Job
from live.service import Parts
from market.feature_spec import orient
from registry.card import ModelCard
from registry.drift_baseline import clean_of, reference_of
from registry.files import write_file

SAVE_SECONDS: Final = 120.0


class Looked(NamedTuple):
    """What the worker hands back: which model's features, when, and how they lay."""

    model_id: str
    at_ns: int
    covered_seconds: float
    report: DriftReport


class _Kept(msgspec.Struct, frozen=True):
    """What the gate remembers, on disk."""

    model_id: str
    looked_ns: int
    over_since: dict[str, int]


class _Against(NamedTuple):
    """What the active card gives to judge by."""

    card: ModelCard
    reference: Reference
    clean: CleanHistory | None


class DriftWatch:
    """Takes scores, looks, and keeps the newest view; None while there was no look at the active model's features."""

    def __init__(self, parts: Parts, baseline: ActiveBaseline) -> None:
        settings = parts.settings
        self.view: DriftView | None = None
        self._parts, self._baseline = parts, baseline
        self._window = DriftWindow(settings.risk.drift_window())
        self._rule: DriftRule = settings.evaluation.drift_rule()
        self._hold_seconds = settings.release.drift_minutes * 60.0
        self._rows_path, self._gate_path = parts.var / "drift.npz", parts.var / "drift.json"
        self._model_id = ""
        self._gate = DriftGate(self._hold_seconds)
        self._against: _Against | None = None
        self._looked_at = self._saved_at = 0
        self._told: dict[str, str] = {}

    @property
    def model_id(self) -> str:
        """The model whose card the view is held against: not the active one's until there was a look at that."""
        return self._model_id

    def start(self) -> None:
        """Go on from what an earlier run left; a file that cannot be read is as none, and is told."""
        for path in (self._rows_path, self._gate_path):
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if not self._restored(path.suffix, content):
                self._parts.log.warning("drift_begins_anew", file=str(path), text="of another shape, or damaged")

    def take(self, score: Score) -> None:
        """Take a scored row."""
        self._window.take(score)

    def look(self) -> Job | None:
        """Plan a look; None while there is no card for these rows, too few rows, or no new one since the last look."""
        promise = self._baseline.promise
        if promise is None or promise.card.schema_hash != self._window.schema_hash:
            return None
        drawn = self._window.draw() if self._window.taken != self._looked_at else None
        if drawn is None:
            return None
        self._looked_at = self._window.taken
        against, at_ns = self._card(promise.card), self._parts.clock.wall_ns()
        return lambda: self._looked(against, drawn, at_ns)

    def carry(self, found: Looked, alert: Alert) -> None:
        """Show what a look found, and tell of a feature that came over its line or left it."""
        if found.model_id != self._model_id:
            # Another reference: what was over against the one before says nothing of this one.
            self._model_id, self._gate, self._told = found.model_id, DriftGate(self._hold_seconds), {}
        span_seconds = self._window.shape.span_seconds
        view = self._gate.take(found.report, found.at_ns, span_seconds, found.covered_seconds)
        if self.view is None or view.unarmed != self.view.unarmed:
            self._parts.log.info(
                "drift_armed", armed=len(view.features) - len(view.unarmed), not_armed=len(view.unarmed),
                covered_hours=round(found.covered_seconds / 3_600.0, 2),
            )  # fmt: skip
        self.view = view
        metrics = self._parts.metrics
        for feature in view.features:
            metrics.psi_feature.labels(feature.name).set(feature.psi)
            metrics.ks_feature.labels(feature.name).set(feature.ks)
            metrics.drift_psi_line.labels(feature.name).set(feature.psi_line)
            metrics.drift_ks_line.labels(feature.name).set(feature.ks_line)
            metrics.drift_effective_rows.labels(feature.name).set(feature.effective_rows)
            metrics.drift_armed.labels(feature.name).set(feature.armed)
        self._tell(view, alert)

    def save(self) -> Job | None:
        """Plan to write what a restart goes on from; None while nothing has come since the last time."""
        if self._saved_at == self._window.taken:
            return None
        self._saved_at = self._window.taken
        columns = self._window.copied()
        kept = msgspec.json.encode(_Kept(self._model_id, self._gate.looked_ns, self._gate.over_since))

        def write() -> None:
            write_file(self._rows_path, packed(columns))
            write_file(self._gate_path, kept)

        return write

    def _restored(self, suffix: str, content: bytes) -> bool:
        if suffix == ".npz":
            return self._window.restore(content)
        try:
            kept = msgspec.json.decode(content, type=_Kept)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        self._model_id = kept.model_id
        self._gate = DriftGate(self._hold_seconds, kept.looked_ns, kept.over_since)
        return True

    def _card(self, card: ModelCard) -> _Against:
        if self._against is None or self._against.card is not card:
            clean = clean_of(card.baseline, self._window.shape)
            if clean is None:
                self._parts.log.warning(
                    "drift_not_armed", model=card.id, hours=self._window.shape.span_seconds / 3_600.0,
                    text="the model's card has no clean history of windows of this span;"
                    f" train on {LEAST_SPANS} of them or more, with the same risk.drift_hours",
                )  # fmt: skip
            self._against = _Against(card, reference_of(card.baseline), clean)
        return self._against

    def _looked(self, against: _Against, drawn: Drawn, at_ns: int) -> Looked:
        report = drift_report(
            against.reference, orient(drawn.rows, drawn.sides), self._rule, against.clean,
            spans=drawn.spans(self._window.shape),
        )  # fmt: skip
        return Looked(against.card.id, at_ns, drawn.covered_seconds, report)

    def _tell(self, view: DriftView, alert: Alert) -> None:
        """An armed feature over its block line is told at once, and again when it blocks; one not armed is shown."""
        states = {
            each.name: "over" if each.state == "warn" else "block" for each in view.features if each.over_since_ns
        }
        for each in view.features:
            state = states.get(each.name)
            if state is not None and state != self._told.get(each.name):
                alert(
                    each.by, "",
                    f"{each.name}: PSI {each.psi:.3f} (line {each.psi_line:.3f}), KS {each.ks:.3f} (line"
                    f" {each.ks_line:.3f}) over {view.covered_seconds / 3_600.0:.1f} h, worth"
                    f" {each.effective_rows:.0f} rows: {_SAID[state]}",
                )  # fmt: skip
            elif state is None and each.name in self._told:
                self._parts.log.info("drift_over", feature=each.name, psi=each.psi, ks=each.ks)
        self._told = states


_SAID = {"over": "over its line; it blocks when it stays there", "block": "it stayed over its line, and blocks"}
