"""scikit-learn through skl2onnx: our LightGBM converter for it, and a graph of preprocessing put before the exact one.

skl2onnx 1.20 stops at ai.onnx.ml 3, which has no double output. So there are two ways, and their limits:

`register_converter` lets `convert_sklearn` carry a pipeline that ends in an LGBMClassifier, calibrated by Platt or not.
Every row reaches LightGBM's own leaves (thresholds stay doubles), but margin and probability are rounded to float32.
Do not send isotonic calibration that way: skl2onnx answers with the nearest knot instead of interpolating.

`compose` puts a converted transformer before the graph of `pipelines.onnx_export`. What follows the transformer is
exact on what the transformer hands on. The whole is exact for transformers that only choose or reorder columns. A
scaler is not one: scikit-learn divides by the scale in double, ONNX multiplies by its float32 reciprocal, so a scaled
value may differ by some ulp and a row beside a threshold may take the other leaf. Trees need no scaling.
"""

from typing import Any

import numpy as np
import onnx
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

from pipelines import trees
from pipelines.errors import ExportError
from pipelines.onnx_export import INPUT, ML_OPSET, OPSET, ZERO_THRESHOLD, finished

TARGET_OPSET = {"": OPSET, "ai.onnx.ml": 3}

_PREFIX = "preprocess_"


def register_converter() -> None:
    """Teach skl2onnx to convert LGBMClassifier with our converter, replacing any other; safe to call twice.

    Convert with `target_opset=TARGET_OPSET`; outputs are label int64[N] and probabilities float32[N, 2].
    """
    update_registered_converter(
        LGBMClassifier,
        "TidegateLGBMClassifier",
        calculate_linear_classifier_output_shapes,
        _convert,
        options={"zipmap": [True, False, "columns"], "nocl": [True, False], "raw_scores": [True, False]},
    )


def convert_transformer(transformer: Any, width: int) -> bytes:
    """Return the ONNX graph of a fitted scikit-learn transformer over float32[N, width], fit for `compose`.

    Raises ExportError when skl2onnx cannot carry it.
    """
    try:
        model = convert_sklearn(
            transformer,
            name="preprocess",
            initial_types=[(INPUT, FloatTensorType([None, width]))],
            target_opset=TARGET_OPSET,
        )
    except Exception as refused:  # skl2onnx raises whatever the step at fault raises
        raise ExportError(
            f"skl2onnx cannot carry {type(transformer).__name__} over {width} features: {refused}"
        ) from refused
    return bytes(model.SerializeToString(deterministic=True))


def compose(preprocess_onnx: bytes, ensemble_onnx: bytes) -> bytes:
    """Return one graph that feeds the only output of `preprocess_onnx` to the features of `ensemble_onnx`.

    The input is named `features` again and the outputs are the ensemble's. Raises ExportError when the preprocessing
    has more than one input or output, is not float32 of the ensemble's width, or uses an operator whose meaning
    changed between its opset and ours.
    """
    before, ensemble = onnx.load_from_string(preprocess_onnx), onnx.load_from_string(ensemble_onnx)
    _check_seam(before.graph, ensemble.graph)
    _check_opsets(before)
    before = onnx.compose.add_prefix(before, _PREFIX, rename_inputs=True, rename_outputs=True)
    source, seam = before.graph.input[0], before.graph.output[0].name
    first = [_renamed(node, {source.name: INPUT}) for node in before.graph.node]
    # Our own names carry no such prefix, so the two graphs cannot collide.
    second = [_renamed(node, {INPUT: seam}) for node in ensemble.graph.node]
    source.name = INPUT
    graph = helper.make_graph(
        [*first, *second], "tidegate_pipeline", [source], ensemble.graph.output, initializer=before.graph.initializer
    )
    return finished(graph, [("", OPSET), ("ai.onnx.ml", ML_OPSET)])


def _check_seam(before: onnx.GraphProto, ensemble: onnx.GraphProto) -> None:
    if len(before.input) != 1 or len(before.output) != 1:
        raise ExportError(
            f"preprocessing graph: {len(before.input)} inputs and {len(before.output)} outputs, wanted one of each; "
            "merge the columns before converting"
        )
    found, wanted = before.output[0].type.tensor_type, ensemble.input[0].type.tensor_type
    widths = [kind.shape.dim[-1].dim_value for kind in (found, wanted)]
    if found.elem_type != TensorProto.FLOAT or len(found.shape.dim) != 2 or widths[0] not in (0, widths[1]):
        raise ExportError(
            f"preprocessing graph: output {before.output[0].name} is {TensorProto.DataType.Name(found.elem_type)} "
            f"of width {widths[0]}, the ensemble wants FLOAT of width {widths[1]}"
        )


def _check_opsets(before: onnx.ModelProto) -> None:
    """An operator may move to our opset when no version in between changed what it means."""
    ours = {"": OPSET, "ai.onnx.ml": ML_OPSET}
    theirs = {opset.domain: opset.version for opset in before.opset_import}
    for node in before.graph.node:
        if node.domain not in ours:
            raise ExportError(f"preprocessing graph: operator {node.domain}.{node.op_type} is of an unknown domain")
        was = onnx.defs.get_schema(node.op_type, theirs[node.domain], node.domain)
        now = onnx.defs.get_schema(node.op_type, ours[node.domain], node.domain)
        if now.deprecated or was.since_version != now.since_version:
            raise ExportError(
                f"preprocessing graph: {node.op_type} of opset {theirs[node.domain]} means something else in opset "
                f"{ours[node.domain]}; convert again with target_opset={TARGET_OPSET}, without a model in the graph"
            )


def _renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    changed.input[:] = [names.get(name, name) for name in node.input]
    return changed


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Emit double rows → flush → ai.onnx.ml 3 trees → probabilities, under the names skl2onnx asks for."""
    model = operator.raw_operator
    _check_classes(model)
    wide, size, tiny, prepared, margin, against = (
        scope.get_unique_variable_name(name) for name in ("wide", "size", "is_tiny", "prepared", "margin", "against")
    )
    limit, zero = (scope.get_unique_variable_name(name) for name in ("limit", "zero"))
    container.add_initializer(limit, TensorProto.DOUBLE, [], [ZERO_THRESHOLD])
    container.add_initializer(zero, TensorProto.DOUBLE, [], [0.0])
    container.add_node("Cast", operator.inputs[0].full_name, wide, op_version=13, to=TensorProto.DOUBLE)
    container.add_node("Abs", wide, size, op_version=13)
    container.add_node("LessOrEqual", [size, limit], tiny, op_version=16)
    container.add_node("Where", [tiny, zero, wide], prepared, op_version=16)
    ensemble = trees.read(model.booster_.model_to_string(num_iteration=model.booster_.best_iteration))
    attributes = _regressor_attributes(ensemble)
    container.add_node("TreeEnsembleRegressor", prepared, margin, op_domain="ai.onnx.ml", op_version=3, **attributes)
    container.add_node("Neg", margin, against, op_version=13)
    columns = scope.get_unique_variable_name("columns")
    container.add_node("Concat", [against, margin], columns, op_version=13, axis=1)
    label, scores = (output.full_name for output in operator.outputs)
    if scope.get_options(model, {"raw_scores": False})["raw_scores"]:
        container.add_node("Identity", columns, scores, op_version=13)
    else:
        container.add_node("Sigmoid", columns, scores, op_version=13)
    container.add_node("ArgMax", columns, label, op_version=13, axis=1, keepdims=0)


def _check_classes(model: LGBMClassifier) -> None:
    if [int(label) for label in model.classes_] != [0, 1]:
        raise ExportError(f"LGBMClassifier: classes are {list(model.classes_)}, wanted [0, 1]; encode the labels so")


def _regressor_attributes(ensemble: trees.Ensemble) -> dict[str, Any]:
    """Return the attributes of ai.onnx.ml 3's TreeEnsembleRegressor, doubles as tensors."""
    tables = [_node_table(number, tree) for number, tree in enumerate(ensemble.trees)]
    splits = np.concatenate([np.r_[tree.thresholds, np.zeros(tree.leaves.size)] for tree in ensemble.trees])
    leaves = np.concatenate([tree.leaves for tree in ensemble.trees])
    modes = (["BRANCH_LEQ"] * tree.features.size + ["LEAF"] * tree.leaves.size for tree in ensemble.trees)
    return {
        **{name: np.concatenate([table[name] for table in tables]).tolist() for name in tables[0]},
        "n_targets": 1,
        "nodes_modes": [mode for tree in modes for mode in tree],
        "nodes_values_as_tensor": numpy_helper.from_array(splits, "splits"),
        "target_weights_as_tensor": numpy_helper.from_array(leaves, "leaves"),
    }


def _node_table(number: int, tree: trees.Tree) -> dict[str, NDArray[np.int64]]:
    """Lay out one tree as numbered nodes, its splits before its leaves."""
    nodes = np.arange(tree.features.size + tree.leaves.size)
    leaves = np.zeros(tree.leaves.size, np.int64)
    true, false = (np.where(child < 0, tree.features.size - child - 1, child) for child in (tree.left, tree.right))
    return {
        "nodes_treeids": np.full(nodes.size, number),
        "nodes_nodeids": nodes,
        "nodes_featureids": np.r_[tree.features, leaves],
        "nodes_missing_value_tracks_true": np.r_[tree.missing_goes_left.astype(np.int64), leaves],
        "nodes_truenodeids": np.r_[true, leaves],
        "nodes_falsenodeids": np.r_[false, leaves],
        "target_treeids": leaves + number,
        "target_nodeids": nodes[tree.features.size :],
        "target_ids": leaves,
    }
