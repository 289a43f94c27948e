"""What a trial's log holds, one record a fact, and what each is to the trial.

A log begins with who is on trial. Its rows are what the trial took, in that order, so folding them again gives the same
floats; between them stands what was decided. Times are nanoseconds since the epoch, UTC.
"""

from typing import Any

import msgspec
from msgspec import Struct

from bus.messages import Trial, Verdict
from evaluation.trials import Executed, Judged, Metric, Routed
from evaluation.verdict import Guards


class _Row(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    """What every record is."""


class Begun(_Row, frozen=True):
    """The first record. `against` is 0 where nothing stands beside; `draw` is the seed a canary's routes are drawn by,
    `salt` the part of it that the registry gave. `horizon_ns` is the label's: candidates of one symbol nearer to each
    other share their outcome.
    """

    trial: Trial
    version: int
    model_id: str
    against: int
    salt: str
    draw: str
    epoch: int
    since_ns: int
    horizon_ns: int


class JudgedRow(_Row, frozen=True):
    """A matured candidate as evaluation.trials.Judged; `at_ns` is when it was taken."""

    id: str
    at_ns: int
    has_won: bool
    probability: float
    approves: bool
    other_probability: float | None
    other_approves: bool


class RoutedRow(_Row, frozen=True):
    """A matured candidate of a canary as evaluation.trials.Routed, and what the canary's version said of it."""

    id: str
    at_ns: int
    fraction: float
    is_canary: bool
    is_approved: bool
    has_won: bool
    probability: float


class ExecutedRow(_Row, frozen=True):
    """A figure of an order as evaluation.trials.Executed. `is_own`: of the version on trial; `is_compared`: both routes
    trade on the same kind of venue, so that it may be held against the other's.
    """

    id: str
    at_ns: int
    fraction: float
    is_own: bool
    is_compared: bool
    metric: Metric
    value: float


class GuardsRow(_Row, frozen=True):
    """What the guards measured from here on."""

    at_ns: int
    guards: Guards


class StateRow(_Row, frozen=True):
    """All that older rows came to: where a long log begins anew."""

    state: dict[str, Any]


class SaidRow(_Row, frozen=True):
    """A decision, and what it was made of beside the rows."""

    verdict: Verdict
    guards: Guards
    elapsed_seconds: float


class EndedRow(_Row, frozen=True):
    """The last record: the trial is over."""

    at_ns: int
    why: str


Observed = JudgedRow | RoutedRow | ExecutedRow
Row = Begun | JudgedRow | RoutedRow | ExecutedRow | GuardsRow | StateRow | SaidRow | EndedRow

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Row).decode


def observation(row: Observed, draw: str, *, is_apart: bool) -> Judged | Routed | Executed | None:
    """Return what a trial takes of a row, None where it counts for the floors alone. `is_apart` as in Judged."""
    if isinstance(row, JudgedRow):
        return Judged(row.has_won, row.probability, row.approves, row.other_probability, row.other_approves, is_apart)
    if isinstance(row, RoutedRow):
        return Routed(draw, row.fraction, row.is_canary, row.is_approved, row.has_won)
    return Executed(draw, row.fraction, row.is_own, row.metric, row.value) if row.is_compared else None
