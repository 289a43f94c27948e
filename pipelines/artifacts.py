"""What one asset of the training group hands to the next: plain structs, kept as JSON beside Dagster's storage.

JSON and not pickle, so that a file says what it is, survives a new library version, and can execute nothing.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines.calibrators import Calibrator, Isotonic, Platt
from pipelines.errors import PipelineError
from pipelines.partitions import Cell, cell

if TYPE_CHECKING:
    from pipelines.estimator import Fitted


class TrainingSet(msgspec.Struct, frozen=True):
    """Which partitions a model learns from and is tested on; `leaves` holds the content hash of each.

    `data_hash` is the Merkle root over the leaves: equal roots are equal data.
    """

    train: list[str]
    test: list[str]
    leaves: dict[str, str]
    data_hash: str
    schema_hash: str
    candidate_rule: str
    barrier_rule: str
    rows: int

    @property
    def train_cells(self) -> list[Cell]:
        """The cells to learn from, in time order."""
        return [cell(key) for key in self.train]

    @property
    def test_cells(self) -> list[Cell]:
        """The held-out cells, all later than the last train cell."""
        return [cell(key) for key in self.test]


class Curve(msgspec.Struct, frozen=True):
    """Named columns of one length that a picture is drawn from."""

    columns: dict[str, list[float]]

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self.columns[name])


class Measured(msgspec.Struct, frozen=True):
    """A model's worth on the test days; every metric is a plain number under the name MLflow shows.

    `tau_entry` was chosen on held-out days before the test days; it is 1 (nothing is taken) when no threshold reached
    the precision target there. `scores` and `won` are the calibrated scores and outcomes of the test candidates.
    """

    metrics: dict[str, float]
    tau_entry: float
    tau_reached: bool
    reliability: Curve
    sweep: Curve
    scores: list[float]
    won: list[bool]


class TrainedModel(msgspec.Struct, frozen=True):
    """A fitted model with what it learned from and what it is worth; `parameters` are those of the training rule.

    Exactly one of `platt` and `isotonic` is there.
    """

    training_set: TrainingSet
    model_text: str
    platt: Platt | None
    isotonic: Isotonic | None
    gain: list[float]
    sizes: dict[str, int]
    validation_log_loss: float
    train_base_rate: float
    parameters: dict[str, str | int | float | bool]
    measured: Measured
    seed: int

    @classmethod
    def of(cls, fitted: "Fitted", **rest: Any) -> "TrainedModel":
        """Put a fitted model into the form that is stored; `rest` gives the other fields."""
        calibrator = fitted.calibrator
        return cls(
            model_text=fitted.model_text,
            platt=calibrator if isinstance(calibrator, Platt) else None,
            isotonic=calibrator if isinstance(calibrator, Isotonic) else None,
            gain=fitted.gain.tolist(),
            sizes={
                "rounds": fitted.rounds,
                "train_rows": fitted.train_rows,
                "validation_rows": fitted.validation_rows,
                "calibration_rows": fitted.calibration_rows,
                "purged_rows": fitted.purged_rows,
            },
            validation_log_loss=fitted.validation_log_loss,
            **rest,
        )

    @property
    def calibrator(self) -> Calibrator:
        """The calibrator behind the trees."""
        found = self.platt or self.isotonic
        if found is None:
            raise PipelineError(f"model {self.fitted_sha256[:12]} is stored without a calibrator; train it again")
        return found

    @property
    def fitted_sha256(self) -> str:
        """The sha256 of the canonical model text."""
        return hashlib.sha256(self.model_text.encode()).hexdigest()

    def fitted(self) -> "Fitted":
        """The model ready to score."""
        import lightgbm as lgb

        from pipelines.estimator import Fitted

        return Fitted(
            booster=lgb.Booster(model_str=self.model_text),
            calibrator=self.calibrator,
            model_text=self.model_text,
            validation_log_loss=self.validation_log_loss,
            gain=np.asarray(self.gain),
            **self.sizes,
        )


class ExportedBundle(msgspec.Struct, frozen=True):
    """A verified bundle in a folder named by its sha256."""

    folder: str
    sha256: str
    model_id: str
    onnx_bytes: int


class ProofLine(msgspec.Struct, frozen=True):
    """The comparison of one kind of rows."""

    kind: str
    rows: int
    margin_mismatches: int
    flips: int
    max_abs_diff: float


class ProvenBundle(msgspec.Struct, frozen=True):
    """A bundle with the result of its parity proof."""

    bundle: ExportedBundle
    rows: int
    margin_mismatches: int
    prob_mismatches: int
    flips: int
    max_abs_diff: float
    first_bad: str
    lines: list[ProofLine]

    def table(self) -> str:
        """The proof by kind of row, as Markdown."""
        head = "| rows | count | differing margins | flips | greatest difference |\n|---|---|---|---|---|"
        rows = [
            f"| {line.kind} | {line.rows:,} | {line.margin_mismatches} | {line.flips} | {line.max_abs_diff:.3g} |"
            for line in self.lines
        ]
        return "\n".join([head, *rows])


class RecordedRun(msgspec.Struct, frozen=True):
    """The MLflow run that holds the card and the bundle of a model."""

    run_id: str
    bundle_sha256: str


class JsonIOManager(dg.UPathIOManager):
    """Keeps structs as JSON, a file an asset, written beside and renamed so that no reader meets half a file."""

    extension = ".json"

    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: Any) -> None:  # noqa: ARG002
        """Write one struct."""
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_bytes(msgspec.json.encode(obj))
        Path(beside).replace(path)

    def load_from_path(self, context: dg.InputContext, path: Any) -> Any:
        """Read the struct that the downstream asset's annotation asks for."""
        return msgspec.json.decode(path.read_bytes(), type=context.dagster_type.typing_type)
