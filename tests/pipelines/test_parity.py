"""The parity proof: our export passes it, the plain conversion and a scorer with a bad single-row path do not."""

from dataclasses import replace

import numpy as np
import pytest
from lightgbm import Booster
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from pipelines import trees
from pipelines.calibrators import Platt
from pipelines.errors import BadRows
from pipelines.estimator import Fitted
from pipelines.onnx_export import export
from pipelines.parity import SINGLE_ROWS, prove
from registry import bundle
from tests.pipelines.exported import SMALL, Answers, GraphScorer, sample, trained


class PlainConversion:
    """The stock onnxmltools graph; its margins are the logits of its float32 probabilities."""

    def __init__(self, booster: Booster, width: int) -> None:
        kinds = [("features", FloatTensorType([None, width]))]
        model = convert_lightgbm(booster, initial_types=kinds, target_opset=15, zipmap=False)
        self._session = GraphScorer(model.SerializeToString()).session

    def score_many(self, rows: np.ndarray) -> Answers:
        probability = self._session.run(["probabilities"], {"features": rows})[0][:, 1]
        wide = probability.astype(np.float64)
        return Answers(np.log(wide / (1.0 - wide)), probability)

    def score(self, row: np.ndarray) -> float:
        return float(self.score_many(row[None, :]).probability[0])

    def margin(self, row: np.ndarray) -> float:
        return float(self.score_many(row[None, :]).margin[0])


class WrongAlone(GraphScorer):
    """Answers batches well, and single rows one ulp off."""

    def margin(self, row: np.ndarray) -> float:
        return float(np.nextafter(super().margin(row), np.inf))


def _exported(fitted: Fitted) -> bundle.GraphScorer:
    """The scorer that live uses."""
    return bundle.GraphScorer(export(fitted.model_text, fitted.calibrator), len(fitted.gain))


@pytest.mark.parametrize("calibration", ["isotonic", "platt"])
def test_our_export_passes_without_one_differing_bit(calibration: str) -> None:
    """Every kind of row is asked and none differs."""
    data = sample()
    fitted = trained(data, replace(SMALL, calibration=calibration))
    proof = prove(fitted, _exported(fitted), data.rows, tau=0.6, seed=1, random_rows=20_000)
    splits = trees.read(fitted.model_text).features.size
    assert {name: part.rows for name, part in proof.parts.items()} == {
        "training": 6_000,
        "random": 20_000,
        "threshold": 3 * splits,
        "single": SINGLE_ROWS,
        "tiny": splits,
    }
    assert proof.passed
    assert (proof.total.margin_mismatches, proof.total.prob_mismatches, proof.total.flips) == (0, 0, 0)
    assert proof.total.rows == sum(part.rows for part in proof.parts.values())


def test_the_plain_conversion_fails_on_rows_beside_thresholds() -> None:
    """Rounded thresholds send rows to another leaf by far more than rounding, and flip decisions."""
    data = sample()
    fitted = replace(trained(data), calibrator=Platt(1.0, 0.0))
    proof = prove(fitted, PlainConversion(fitted.booster, 20), data.rows, tau=0.6, seed=1, random_rows=20_000)
    assert not proof.passed
    assert proof.parts["threshold"].max_abs_diff > 1e-3 > proof.parts["random"].max_abs_diff
    assert proof.parts["threshold"].flips > 0


def test_a_scorer_that_answers_otherwise_alone_fails() -> None:
    """The single-row path is part of the proof."""
    data = sample(2_000)
    fitted = trained(data)
    proof = prove(
        fitted, WrongAlone(export(fitted.model_text, fitted.calibrator)), data.rows, tau=0.6, seed=1, random_rows=1_000
    )
    assert not proof.passed
    assert proof.total.margin_mismatches == proof.parts["single"].margin_mismatches == SINGLE_ROWS


def test_another_models_graph_fails() -> None:
    """A graph of other trees is told apart, with the first bad row in words."""
    data = sample(2_000)
    fitted, other = trained(data), trained(data, seed=8)
    proof = prove(fitted, _exported(other), data.rows, tau=0.6, seed=1, random_rows=1_000)
    assert not proof.passed
    assert "wanted" in proof.total.first_bad


def test_training_rows_of_another_width_are_refused() -> None:
    """The message names both widths."""
    fitted = trained(sample(2_000))
    with pytest.raises(BadRows, match=r"wanted training rows float32\[n, 20\], found float32\[5, 19\]"):
        prove(fitted, _exported(fitted), np.zeros((5, 19), np.float32), tau=0.5, seed=1, random_rows=10)


@pytest.mark.slow
@pytest.mark.parametrize("calibration", ["isotonic", "platt"])
def test_two_hundred_trees_agree_on_two_hundred_thousand_random_rows_and_beside_every_threshold(
    calibration: str,
) -> None:
    """The full gate of the release, on a model of 200 trees of 31 leaves."""
    data = sample(40_000, 24)
    rule = replace(SMALL, num_leaves=31, max_rounds=200, early_stopping_rounds=200, calibration=calibration)
    fitted = trained(data, replace(rule, learning_rate=0.03))
    proof = prove(fitted, _exported(fitted), data.rows, tau=0.6, seed=1)
    assert fitted.rounds > 100
    assert proof.parts["random"].rows == 200_000
    assert proof.parts["threshold"].rows > 9_000
    assert proof.passed, proof.total.first_bad
