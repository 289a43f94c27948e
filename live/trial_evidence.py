"""What an outcome, or a report, is to a trial: its row, or none. Pure but for what is remembered of draws.

Models are found by version, so whatever slot a version is judged in, it is the same evidence.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from bus.messages import Judgement, Outcome, Report
from evaluation.trials import Metric
from live.trial_rows import Begun, ExecutedRow, JudgedRow, Observed, RoutedRow
from market.barriers import TARGET, UNRESOLVED

MOST_DRAWS: Final = 16_384


class Draw(NamedTuple):
    """By what a candidate's route was drawn: the seed and the canary's share, "" and 0 without a canary."""

    salt: str
    fraction: float


class Draws:
    """The draws of the newest candidates, by id: a report names its candidate and not its draw."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Draw] = OrderedDict()

    def add(self, candidate_id: str, salt: str, fraction: float) -> None:
        """Remember one."""
        self._known[candidate_id] = Draw(salt, fraction)
        if len(self._known) > MOST_DRAWS:
            self._known.popitem(last=False)

    def of(self, candidate_id: str) -> Draw:
        """Return a candidate's draw, that of no canary for one that is not known."""
        return self._known.get(candidate_id, Draw("", 0.0))


def judged(outcome: Outcome, begun: Begun, control: int, at_ns: int) -> Observed | None:
    """Return the row of a matured outcome, None for one that says nothing of the trial.

    `control` is the version that is scored beside an active one. What the market left unresolved is no evidence.
    """
    if outcome.outcome == UNRESOLVED or outcome.t_ns < begun.since_ns:
        return None
    own = _by(begun.version, outcome.judgements)
    if own is None:
        return None
    has_won = outcome.outcome == TARGET
    if begun.trial == "canary":
        if outcome.salt != begun.draw or outcome.canary_fraction <= 0.0:
            return None
        is_canary = outcome.route == "canary"
        return RoutedRow(
            outcome.candidate_id, at_ns, outcome.canary_fraction, is_canary, outcome.approved, has_won, own.probability
        )  # fmt: skip
    other = _by(begun.against if begun.trial == "shadow" else control, outcome.judgements)
    if other is None and begun.trial == "shadow":
        return None
    return JudgedRow(
        outcome.candidate_id, at_ns, has_won, own.probability, own.probability >= own.tau,
        other.probability if other else None, other is not None and other.probability >= other.tau,
    )  # fmt: skip


def executed(
    report: Report, begun: Begun, draw: Draw, metric: Metric, value: float, *, is_compared: bool, at_ns: int
) -> ExecutedRow | None:
    """Return the row of an order's figure, None where it says nothing of the trial.

    A canary's are the orders of candidates drawn by its salt; the active version's are those it decided itself.
    """
    id_ = f"{report.id}/{metric}"
    if not math.isfinite(value):
        return None
    if begun.trial == "canary":
        if draw.salt != begun.draw or draw.fraction <= 0.0:
            return None
        is_own = report.route == "canary"
        return ExecutedRow(id_, at_ns, draw.fraction, is_own, is_compared and draw.fraction < 1.0, metric, value)
    if begun.trial == "active" and report.route != "canary" and report.model_id == begun.model_id:
        return ExecutedRow(id_, at_ns, 0.0, True, False, metric, value)
    return None


def filled(report: Report) -> float | None:
    """Return 1 or 0 for an entry order that has ended with or without a fill, None for any other report."""
    if report.leg != "entry" or report.kind not in ("filled", "canceled", "expired"):
        return None
    return float(report.kind == "filled" or report.filled_lots > 0)


def _by(version: int, judgements: Iterable[Judgement]) -> Judgement | None:
    if version <= 0:
        return None
    return next(
        (each for each in judgements if each.version == version and 0.0 <= each.probability <= 1.0), None
    )  # fmt: skip
