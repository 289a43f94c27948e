"""The exported graph: LightGBM's own bits, stable bytes, NaN, tiny values, trees without a split."""

from dataclasses import replace

import lightgbm as lgb
import numpy as np
import onnx
import pytest

from evaluation.parity import random_rows, threshold_rows
from pipelines import trees
from pipelines.calibrators import Calibrator, Isotonic, Platt
from pipelines.errors import ExportError
from pipelines.onnx_export import export
from tests.pipelines.exported import SMALL, GraphScorer, sample, trained

_PLATT = Platt(0.9, -0.1)


def _told(booster: lgb.Booster, rows: np.ndarray) -> np.ndarray:
    return np.asarray(booster.predict(rows, raw_score=True, num_threads=1))


@pytest.mark.parametrize("calibration", ["isotonic", "platt"])
def test_margins_are_bit_equal_and_probabilities_equal_as_float32(calibration: str) -> None:
    """On training rows, on random rows, and on and beside every threshold."""
    data = sample()
    fitted = trained(data, replace(SMALL, calibration=calibration))
    scorer = GraphScorer(export(fitted.model_text, fitted.calibrator))
    ensemble = trees.read(fitted.model_text)
    beside = threshold_rows(ensemble.features, ensemble.thresholds, data.rows)
    for rows in (data.rows, random_rows(data.rows, 20_000, 3), beside):
        found = scorer.score_many(rows)
        assert np.array_equal(found.margin.view(np.int64), fitted.margins(rows).view(np.int64))
        assert np.array_equal(found.probability, fitted.probabilities(rows))


def test_a_row_alone_answers_as_in_a_batch() -> None:
    """Batch size changes no bit."""
    data = sample()
    fitted = trained(data)
    scorer = GraphScorer(export(fitted.model_text, fitted.calibrator))
    batch = scorer.score_many(data.rows[:300])
    alone = [scorer.score_many(row[None, :]) for row in data.rows[:300]]
    assert [answer.margin[0] for answer in alone] == batch.margin.tolist()
    assert [answer.probability[0] for answer in alone] == batch.probability.tolist()


def test_the_same_model_gives_the_same_bytes_with_the_promised_signature() -> None:
    """Export twice; inputs and outputs carry the names, types and shapes of the bundle contract."""
    fitted = trained()
    first = export(fitted.model_text, fitted.calibrator)
    assert first == export(fitted.model_text, fitted.calibrator)
    graph = onnx.load_from_string(first).graph
    told = {
        value.name: (
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in (*graph.input, *graph.output)
    }
    assert told == {
        "features": (onnx.TensorProto.FLOAT, ["N", 20]),
        "margin": (onnx.TensorProto.DOUBLE, ["N", 1]),
        "probability": (onnx.TensorProto.FLOAT, ["N", 1]),
    }


@pytest.mark.parametrize("learned", [True, False])
def test_missing_values_take_lightgbms_side(learned: bool) -> None:
    """NaN and infinity, for a booster that saw NaN in training and for one that did not."""
    data = sample(2_000, 6)
    rows = data.rows.copy()
    if learned:
        rows[::3, 0] = np.nan
        rows[::5, 4] = np.nan
    parameters = {"objective": "binary", "num_threads": 1, "verbosity": -1, "num_leaves": 7}
    booster = lgb.train(parameters, lgb.Dataset(rows, data.y.astype(np.float32)), 20)
    asked = data.rows.copy()
    for column in range(6):
        asked[column::7, column] = np.nan
    asked[3::11, 1], asked[5::11, 2] = np.inf, -np.inf
    found = GraphScorer(export(booster.model_to_string(), _PLATT)).score_many(asked)
    assert np.array_equal(found.margin, _told(booster, asked))


def test_values_that_lightgbm_reads_as_zero_are_read_as_zero() -> None:
    """|x| <= 1e-35 in float32, denormals included, in every feature, beside splits at zero."""
    data = sample(2_000, 6)
    rows = np.sign(data.rows).astype(np.float32) * (np.abs(data.rows) > 0.3)
    parameters = {"objective": "binary", "num_threads": 1, "verbosity": -1, "num_leaves": 7}
    booster = lgb.train(parameters, lgb.Dataset(rows, data.y.astype(np.float32)), 20)
    tiny = np.array([1e-35, -1e-35, 1e-38, -1e-45, 1.0001e-35, -1.0001e-35], np.float32)
    asked = np.random.default_rng(0).choice(np.r_[tiny, np.float32([0.0, -1.0, 1.0])], size=(5_000, 6))
    scorer = GraphScorer(export(booster.model_to_string(), _PLATT))
    assert np.array_equal(scorer.score_many(asked).margin, _told(booster, asked))


def test_a_tree_without_a_split_adds_its_leaf() -> None:
    """LightGBM stops splitting but may keep a tree of one leaf; the graph carries it."""
    rows, y = np.ones((100, 2), np.float32), np.arange(100) % 4 == 0
    booster = lgb.train(
        {"objective": "binary", "num_threads": 1, "verbosity": -1}, lgb.Dataset(rows, y.astype(np.float32)), 1
    )
    assert [tree.features.size for tree in trees.read(booster.model_to_string()).trees] == [0]
    found = GraphScorer(export(booster.model_to_string(), _PLATT)).score_many(rows[:5])
    assert np.array_equal(found.margin, _told(booster, rows[:5]))


@pytest.mark.parametrize(
    "calibrator",
    [_PLATT, Platt(0.0, 2.0), Isotonic((0.1,), (0.4,)), Isotonic((-1.0, 0.0, 0.2), (0.2, 0.2, 0.7))],
)
def test_any_calibrator_is_carried(calibrator: Calibrator) -> None:
    """One knot, plateaus, a flat sigmoid: the graph's float32 is the calibrator's double rounded."""
    data = sample(2_000)
    fitted = trained(data)
    found = GraphScorer(export(fitted.model_text, calibrator)).score_many(data.rows)
    assert np.array_equal(found.probability, calibrator.apply(found.margin).astype(np.float32))


def test_a_model_without_trees_is_refused() -> None:
    """An empty sum is no model."""
    text = trained().model_text
    with pytest.raises(ExportError, match="it holds no tree"):
        export(text[: text.index("Tree=0")] + "end of trees\n", _PLATT)
