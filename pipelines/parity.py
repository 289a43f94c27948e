"""The proof that an exported graph answers as LightGBM does: the same rows through both, compared bit by bit.

Random rows almost never meet a threshold, so a graph with rounded thresholds passes them. The rows that decide lie on
every threshold of every tree and one ulp to either side, and around LightGBM's zero. Some rows go through the scorer's
single-row path as well, which is the one that trades.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation import parity
from evaluation.parity import ParityReport
from pipelines import trees
from pipelines.errors import BadRows
from pipelines.estimator import Fitted

SINGLE_ROWS = 2_000

# Either side of LightGBM's zero threshold of 1e-35, and a float32 below the smallest normal one.
_TINY = np.array([1e-35, -1e-35, 1e-40, -1e-40, 1.1e-35, -1.1e-35], dtype=np.float32)


class Scores(Protocol):
    """What a scorer answers for n rows: margin float64[n], probability float32[n]."""

    @property
    def margin(self) -> NDArray[np.float64]:
        """Raw margins, log-odds before calibration."""
        ...

    @property
    def probability(self) -> NDArray[np.float32]:
        """Calibrated probabilities."""
        ...


class Answering(Protocol):
    """The scorer under proof, `registry.bundle.Scorer` or one like it."""

    def score_many(self, rows: NDArray[np.float32]) -> Scores:
        """Score rows float32[n, F] as a batch."""
        ...

    def score(self, row: NDArray[np.float32]) -> float:
        """Return the probability of one row float32[F], as live does."""
        ...

    def margin(self, row: NDArray[np.float32]) -> float:
        """Return the raw margin of one row float32[F]."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """All rows in one report, and the same by kind of row: training, random, threshold, tiny, single."""

    total: ParityReport
    parts: dict[str, ParityReport]

    @property
    def passed(self) -> bool:
        """Whether not one bit of a margin and not one float32 probability differs."""
        return self.total.passed


def prove(
    fitted: Fitted,
    scorer: Answering,
    training_rows: NDArray[np.float32],
    *,
    tau: float,
    seed: int,
    random_rows: int = 200_000,
) -> Proof:
    """Compare a scorer of the exported graph with the model it came from.

    Asks on training_rows float32[n, F], on `random_rows` random ones, on three rows a split, on rows with a tiny value
    in a split's feature, and on SINGLE_ROWS of these one at a time. tau is where a probability decides. A mismatch is
    a result, not an error; raises BadRows when training_rows are not rows of the model.
    """
    ensemble = trees.read(fitted.model_text)
    wanted = len(ensemble.feature_names)
    if training_rows.dtype != np.float32 or training_rows.ndim != 2 or training_rows.shape[1:] != (wanted,):
        raise BadRows(
            f"parity: wanted training rows float32[n, {wanted}], found {training_rows.dtype}{list(training_rows.shape)}"
        )
    columns: dict[str, _Columns] = {}
    for name, rows in _questions(ensemble, training_rows, seed, random_rows):
        found = scorer.score_many(rows)
        columns[name] = _Columns.of(fitted, rows, found.margin, found.probability)
        if name == "threshold":
            columns["single"] = _one_at_a_time(fitted, scorer, rows, training_rows, seed)
    parts = {name: part.compared(tau) for name, part in columns.items()}
    return Proof(_Columns.joined(list(columns.values())).compared(tau), parts)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Both answers for the same rows."""

    margin_wanted: NDArray[np.float64]
    margin_found: NDArray[np.float64]
    probability_wanted: NDArray[np.float32]
    probability_found: NDArray[np.float32]

    @staticmethod
    def of(
        fitted: Fitted, rows: NDArray[np.float32], margin: NDArray[np.float64], probability: NDArray[np.float32]
    ) -> "_Columns":
        wanted = fitted.margins(rows)
        calibrated = fitted.calibrator.apply(wanted).astype(np.float32)
        return _Columns(wanted, margin.reshape(-1), calibrated, probability.reshape(-1))

    @staticmethod
    def joined(parts: Sequence["_Columns"]) -> "_Columns":
        return _Columns(
            np.concatenate([part.margin_wanted for part in parts]),
            np.concatenate([part.margin_found for part in parts]),
            np.concatenate([part.probability_wanted for part in parts]),
            np.concatenate([part.probability_found for part in parts]),
        )

    def compared(self, tau: float) -> ParityReport:
        return parity.compare(
            self.margin_wanted, self.margin_found, self.probability_wanted, self.probability_found, tau
        )


def _questions(
    ensemble: trees.Ensemble, training_rows: NDArray[np.float32], seed: int, random_rows: int
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the sets one after the other, so that only one is in memory."""
    features, thresholds = ensemble.features, ensemble.thresholds
    yield "training", training_rows
    yield "random", parity.random_rows(training_rows, random_rows, seed)
    yield "threshold", parity.threshold_rows(features, thresholds, training_rows)
    tiny = training_rows[np.arange(features.size) % training_rows.shape[0]]
    tiny[np.arange(features.size), features] = np.resize(_TINY, features.size)
    yield "tiny", tiny


def _one_at_a_time(
    fitted: Fitted, scorer: Answering, beside: NDArray[np.float32], training_rows: NDArray[np.float32], seed: int
) -> _Columns:
    rng = np.random.default_rng(seed)
    half = SINGLE_ROWS // 2
    rows = np.concatenate([source[rng.integers(0, source.shape[0], half)] for source in (beside, training_rows)])
    margins = np.array([scorer.margin(row) for row in rows], dtype=np.float64)
    probabilities = np.array([scorer.score(row) for row in rows], dtype=np.float32)
    return _Columns.of(fitted, rows, margins, probabilities)
