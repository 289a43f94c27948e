"""scikit-learn pipelines through skl2onnx with our converter, and transformers composed before the exact graph."""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from lightgbm import LGBMClassifier
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_selection import SelectKBest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from evaluation.parity import threshold_rows
from pipelines import trees
from pipelines.calibrators import Platt
from pipelines.errors import ExportError
from pipelines.onnx_compose import TARGET_OPSET, compose, convert_transformer, register_converter
from pipelines.onnx_export import export
from tests.pipelines.exported import GraphScorer, sample

_PLATT = Platt(1.1, 0.1)


def _classifier(**parameters: Any) -> LGBMClassifier:
    return LGBMClassifier(n_estimators=30, num_leaves=7, verbosity=-1, n_jobs=1, **parameters)


def _converted(model: Any, width: int) -> onnx.ModelProto:
    register_converter()
    return convert_sklearn(
        model,
        initial_types=[("features", FloatTensorType([None, width]))],
        target_opset=TARGET_OPSET,
        options={"zipmap": False},
    )


def _answers(model: bytes, rows: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"features": rows})


@pytest.mark.parametrize(
    "model",
    [
        _classifier(),
        make_pipeline(StandardScaler(), _classifier()),
        make_pipeline(SelectKBest(k=4), _classifier()),
        make_pipeline(StandardScaler(), CalibratedClassifierCV(_classifier(), method="sigmoid", cv=3)),
        CalibratedClassifierCV(_classifier(), method="sigmoid", cv=3, ensemble=False),
    ],
    ids=["alone", "scaled", "selected", "scaled and calibrated", "calibrated"],
)
def test_skl2onnx_carries_a_pipeline_with_our_converter(model: Any) -> None:
    """Labels equal, probabilities within float32 rounding; sklearn's calibrator gets margins, not probabilities."""
    data = sample(3_000, 8)
    model.fit(data.rows, data.y)
    label, probability = _answers(_converted(model, 8).SerializeToString(), data.rows)
    assert np.array_equal(label.astype(bool), model.predict(data.rows))
    assert probability == pytest.approx(model.predict_proba(data.rows), abs=5e-7)


def test_our_converter_reaches_lightgbms_leaf_beside_every_threshold() -> None:
    """Rows on and one ulp beside each threshold differ by float32 rounding only."""
    data = sample(3_000, 8)
    model = _classifier().fit(data.rows, data.y)
    ensemble = trees.read(model.booster_.model_to_string())
    rows = threshold_rows(ensemble.features, ensemble.thresholds, data.rows)
    _, probability = _answers(_converted(model, 8).SerializeToString(), rows)
    assert probability[:, 1] == pytest.approx(model.predict_proba(rows)[:, 1], abs=5e-7)


def test_only_labels_0_and_1_are_converted() -> None:
    """Other classes would be answered with the wrong label."""
    data = sample(500, 3)
    with pytest.raises(ExportError, match=r"wanted \[0, 1\]"):
        _converted(_classifier().fit(data.rows, data.y * 2 + 1), 3)


def test_a_selecting_pipeline_before_the_exact_graph_stays_exact() -> None:
    """Choosing columns computes nothing, so the composed graph gives LightGBM's bits, beside thresholds too."""
    data = sample(3_000, 8)
    select = SelectKBest(k=4).fit(data.rows, data.y)
    booster = _classifier().fit(select.transform(data.rows), data.y).booster_
    ensemble = trees.read(booster.model_to_string())
    kept = select.get_support(indices=True)
    rows = threshold_rows(kept[ensemble.features], ensemble.thresholds, data.rows)
    whole = compose(convert_transformer(select, 8), export(booster.model_to_string(), _PLATT))
    wanted = booster.predict(rows[:, kept], raw_score=True, num_threads=1)
    assert np.array_equal(GraphScorer(whole).score_many(rows).margin, wanted)
    assert whole == compose(convert_transformer(select, 8), export(booster.model_to_string(), _PLATT))


def test_a_scaler_before_the_exact_graph_is_exact_from_its_own_output_on() -> None:
    """The composed graph equals the two run one after the other; the scaler itself may differ by one ulp."""
    data = sample(3_000, 8)
    scaler = StandardScaler().fit(data.rows)
    scaled = scaler.transform(data.rows)
    text = _classifier().fit(scaled, data.y).booster_.model_to_string()
    before, ensemble = convert_transformer(scaler, 8), export(text, _PLATT)
    handed_on = _answers(before, data.rows)[0]
    assert np.abs(handed_on.view(np.int32) - scaled.view(np.int32)).max() <= 1
    whole = GraphScorer(compose(before, ensemble)).score_many(data.rows)
    in_turn = GraphScorer(ensemble).score_many(handed_on)
    assert np.array_equal(whole.margin, in_turn.margin)
    assert np.array_equal(whole.probability, in_turn.probability)


def test_a_transformer_that_skl2onnx_does_not_know_is_refused() -> None:
    """Its name and width stand in the message."""
    with pytest.raises(ExportError, match="cannot carry FunctionTransformer over 8 features"):
        convert_transformer(FunctionTransformer(np.cbrt).fit(sample(100, 8).rows), 8)


def _handmade(
    op: str, domain: str, opset: int, *, width: int = 3, elem: int = TensorProto.FLOAT, **attrs: Any
) -> bytes:
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["z"], domain=domain, **attrs)],
        "before",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width])],
        [helper.make_tensor_value_info("z", elem, ["N", width])],
    )
    opsets = {"": 21, "ai.onnx.ml": 3} | {domain: opset}
    imports = [helper.make_opsetid(name, version) for name, version in opsets.items()]
    return helper.make_model(graph, opset_imports=imports).SerializeToString()


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (_handmade("Identity", "", 21, width=4), "FLOAT of width 4, the ensemble wants FLOAT of width 3"),
        (_handmade("Cast", "", 21, elem=TensorProto.DOUBLE, to=TensorProto.DOUBLE), "is DOUBLE of width 3"),
        (_handmade("Relu", "", 6), "Relu of opset 6 means something else in opset 21"),
        (_handmade("Fast", "com.example", 1), "com.example.Fast is of an unknown domain"),
    ],
)
def test_preprocessing_that_does_not_fit_is_refused(before: bytes, message: str) -> None:
    """Wrong width, wrong type, an operator whose meaning moved, an operator nobody knows."""
    data = sample(500, 3)
    ensemble = export(_classifier().fit(data.rows, data.y).booster_.model_to_string(), _PLATT)
    with pytest.raises(ExportError, match=message):
        compose(before, ensemble)


def test_a_whole_classifier_is_not_preprocessing() -> None:
    """A graph with two outputs has no seam."""
    data = sample(500, 3)
    model = _classifier().fit(data.rows, data.y)
    with pytest.raises(ExportError, match="1 inputs and 2 outputs"):
        compose(_converted(model, 3).SerializeToString(), export(model.booster_.model_to_string(), _PLATT))
