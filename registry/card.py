"""The model card: what model.json of a bundle says, as frozen records, and what may not stand in it.

Unknown and missing fields are refused, so a card of another shape never loads by luck. NaN has no place in JSON and is
refused at birth.
"""

import math
import re
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from registry.errors import BadCard, CorruptBundle

FORMAT = 1

# What says who a bundle is, rather than what it does: left out of its sha256, so equal training gives equal sha256.
IDENTITY_FIELDS = ("id", "version", "run_id", "created_at", "sha256")

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class _Record(Struct, frozen=True, forbid_unknown_fields=True):
    """What every part of a card is: closed to unknown fields, and like its parts frozen and built by name."""


class Label(_Record, frozen=True, kw_only=True):
    """The triple barrier that labels were drawn by."""

    tp_pct: float
    sl_pct: float
    horizon_s: float
    net_of_fees: bool


class Thresholds(_Record, frozen=True, kw_only=True):
    """Scores at which a signal is taken, and below which a held position is given up."""

    tau_entry: Share
    tau_hold: Share


class Calibration(_Record, frozen=True, kw_only=True):
    """The calibrator inside the graph."""

    kind: str  # "platt" or "isotonic"
    rows: Count  # held-out rows it was fitted on


class Training(_Record, frozen=True, kw_only=True):
    """What the model was trained on; the same of all of it gives the same bundle."""

    symbols: tuple[str, ...]
    first_day: str  # ISO date, UTC
    last_day: str
    rows: Count
    data_hash: str
    code_version: str
    seed: int


class Parity(_Record, frozen=True, kw_only=True):
    """The proof that the graph answers as the trained model does (`evaluation.parity`)."""

    rows: Count
    margin_mismatches: Count
    flips: Count
    max_abs_diff: float


class FeatureBaseline(_Record, frozen=True, kw_only=True):
    """One feature in training, as `evaluation.drift.Reference.to_dict` writes it."""

    name: str
    edges: tuple[float, ...]
    shares: tuple[Share, ...]
    sample: str  # base64 of sorted little-endian float32


class DriftBaseline(_Record, frozen=True, kw_only=True):
    """`evaluation.drift.Reference.to_dict()`, typed."""

    rows: Count
    features: tuple[FeatureBaseline, ...]


class CleanFeature(_Record, frozen=True, kw_only=True):
    """What one feature showed in windows that had not drifted: mean PSI, 99.9 % quantiles of PSI and of KS."""

    name: str
    psi_mean: float
    psi_high: float
    ks_high: Share


class CleanBaseline(_Record, frozen=True, kw_only=True):
    """What windows of the training days showed, drawn as live draws them (`evaluation.clean_windows`)."""

    rows: Count  # rows of a window
    span_seconds: float
    windows: Count
    features: tuple[CleanFeature, ...]


class ScoreBaseline(_Record, frozen=True, kw_only=True):
    """Distribution of the scores on the test rows: bin edges and the share in each bin."""

    edges: tuple[float, ...]
    shares: tuple[Share, ...]


class Baseline(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """What live is compared with. Without `clean` no drift is armed; what is absent counts for no sha256."""

    drift: DriftBaseline
    scores: ScoreBaseline
    brier: Share
    winrate: Share
    trades_per_hour_p95: float
    clean: CleanBaseline | None = None  # None where the training days are too few to tell


class ModelCard(_Record, frozen=True, kw_only=True):
    """model.json: who the bundle is (IDENTITY_FIELDS), and what it does, which its sha256 covers.

    Leave id and sha256 empty for `bundle.write_bundle` to fill in; version and run_id come with the registration.
    """

    name: str
    schema_hash: str
    feature_names: tuple[str, ...]
    candidate_rule: dict[str, str | int | float | bool]
    label: Label
    thresholds: Thresholds
    calibration: Calibration
    metrics: dict[str, float]
    training: Training
    parity: Parity
    baseline: Baseline
    limitations: tuple[str, ...]  # what the numbers do not show, in sentences
    created_at: str  # ISO 8601, UTC
    id: str = ""
    version: int | None = None
    run_id: str | None = None
    sha256: str = ""
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise BadCard(f"card format {self.format} is not the {FORMAT} this release reads")
        if not _ID.fullmatch(self.name):
            raise BadCard(f"name {self.name!r} must be letters, digits, dot, dash or underscore")
        if self.id and not _ID.fullmatch(self.id):
            raise BadCard(f"id {self.id!r} must be letters, digits, dot, dash or underscore")
        if not self.feature_names or len(set(self.feature_names)) != len(self.feature_names):
            raise BadCard(f"feature_names must be one or more different names, found {list(self.feature_names)}")
        if self.thresholds.tau_hold > self.thresholds.tau_entry:
            raise BadCard(
                f"tau_hold {self.thresholds.tau_hold} must not be above tau_entry {self.thresholds.tau_entry}"
            )
        _refuse_other_features("drift", self.baseline.drift.features, self.feature_names)
        if self.baseline.clean is not None:
            _refuse_other_features("clean", self.baseline.clean.features, self.feature_names)
        _refuse_not_finite(msgspec.to_builtins(self), "card")


def encode(card: ModelCard) -> bytes:
    """Return model.json: indented UTF-8 JSON, floats to their last bit."""
    return msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n"


def decode(content: bytes, where: str) -> ModelCard:
    """Return the card; raise CorruptBundle naming `where` and the field when it is not one."""
    try:
        return msgspec.json.decode(content, type=ModelCard)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptBundle(f"{where}: not a model card of format {FORMAT}: {error}; fetch the bundle again") from error


def canonical(card: ModelCard) -> bytes:
    """Return the card without its identity as JSON with sorted keys: the same for the same data, code and seed."""
    fields = msgspec.to_builtins(card)
    return msgspec.json.encode(
        {name: value for name, value in fields.items() if name not in IDENTITY_FIELDS}, order="sorted"
    )


def _refuse_other_features(
    part: str, described: tuple[FeatureBaseline, ...] | tuple[CleanFeature, ...], wanted: tuple[str, ...]
) -> None:
    found = tuple(each.name for each in described)
    if found != wanted:
        raise BadCard(f"baseline.{part} describes {list(found)}, the model reads {list(wanted)}")


def _refuse_not_finite(value: object, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise BadCard(f"{path} is {value}; wanted a finite number")
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_not_finite(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            _refuse_not_finite(inner, f"{path}[{position}]")
