"""When drift withdraws a version: a line crossed once is a warning, a line crossed for long is a block.

The window of a report spans a daily cycle, so it moves slowly and every look sees nearly the rows of the look before.
Thus "over the line in 30 minutes" is asked of the looks, not of the rows: a feature blocks when it has been over its
line at every look for `hold_seconds`, or for a whole window, whichever is shorter (the latter is what two consecutive
windows that share no row would say). A feature that is over stays so until both numbers are under EXIT_SHARE of their
lines. A feature that is not armed warns and never blocks.
"""

from dataclasses import dataclass, field
from typing import Literal

from evaluation.drift_lines import DriftReport, FeatureDrift

EXIT_SHARE = 0.8
"""A feature is over its line until PSI and KS are both under so much of theirs."""

_LEAST_PAUSE_NS = 300_000_000_000
"""Looks come each half minute or so; without a hold this long a pause is still none."""

GateState = Literal["ok", "warn", "block"]


@dataclass(frozen=True, slots=True)
class GatedFeature:
    """One feature at one look. `over_since_ns` is when it came over its block line, armed; 0 while it is not."""

    name: str
    psi: float
    ks: float
    psi_line: float
    ks_line: float
    effective_rows: float
    armed: bool
    over_since_ns: int
    state: GateState

    @property
    def by(self) -> Literal["psi_feature", "ks_feature"]:
        """The gate that speaks: whose number is higher, each measured by its line."""
        return "psi_feature" if self.psi / self.psi_line >= self.ks / self.ks_line else "ks_feature"


@dataclass(frozen=True, slots=True)
class DriftView:
    """One look at all features, in their order: `rows` drawn from `covered_seconds` of a span of `span_seconds`."""

    at_ns: int
    rows: int
    span_seconds: float
    covered_seconds: float
    features: tuple[GatedFeature, ...]

    @property
    def blocking(self) -> tuple[GatedFeature, ...]:
        """The features that withdraw the version."""
        return tuple(each for each in self.features if each.state == "block")

    @property
    def unarmed(self) -> tuple[str, ...]:
        """Names of the features whose gate cannot block, for want of rows."""
        return tuple(each.name for each in self.features if not each.armed)


@dataclass(slots=True)
class DriftGate:
    """Folds reports, in the order of time, into views; remembers when it looked last, and what is over since when."""

    hold_seconds: float
    looked_ns: int = 0
    over_since: dict[str, int] = field(default_factory=dict)

    def take(self, report: DriftReport, at_ns: int, span_seconds: float, covered_seconds: float) -> DriftView:
        """Return what a look at `at_ns` says; `covered_seconds` of the span held rows."""
        hold_ns = round(min(self.hold_seconds, span_seconds) * 1e9)
        if at_ns - self.looked_ns > max(hold_ns, _LEAST_PAUSE_NS):
            self.over_since = {}
        self.looked_ns = at_ns
        features = tuple(self._gated(each, at_ns, hold_ns) for each in report.features)
        self.over_since = {each.name: each.over_since_ns for each in features if each.over_since_ns}
        return DriftView(at_ns, report.rows, span_seconds, covered_seconds, features)

    def _gated(self, found: FeatureDrift, at_ns: int, hold_ns: int) -> GatedFeature:
        is_over = found.psi >= found.psi_line or found.ks >= found.ks_line
        since_ns = self.over_since.get(found.name, 0)
        if not found.armed or (not is_over and _under(found)):
            since_ns = 0
        elif is_over and not since_ns:
            since_ns = at_ns
        state: GateState = "warn" if since_ns or found.state != "ok" else "ok"
        if since_ns and at_ns - since_ns >= hold_ns:
            state = "block"
        return GatedFeature(
            found.name, found.psi, found.ks, found.psi_line, found.ks_line, found.effective_rows, found.armed,
            since_ns, state,
        )  # fmt: skip


def _under(found: FeatureDrift) -> bool:
    return found.psi < EXIT_SHARE * found.psi_line and found.ks < EXIT_SHARE * found.ks_line
