"""Write a LightGBM model and its calibrator as one ONNX graph that answers bit for bit as LightGBM does.

    features float32[N, F] → double → |x| <= 1e-35 becomes 0 → TreeEnsemble → margin float64[N, 1]
                                                margin → calibrator in double → float32 → probability float32[N, 1]

Three things make it exact. Thresholds stay doubles (ai.onnx.ml 5), so a float32 beside a threshold goes where LightGBM
sends it. Tiny values are flushed as LightGBM's row reader flushes them. onnxruntime on one intra-op thread sums leaves
tree by tree, as LightGBM does; more threads change the order of summation and the last bits.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pipelines import trees
from pipelines.calibrators import Calibrator, Isotonic, Platt
from pipelines.errors import ExportError

OPSET = 21
ML_OPSET = 5
IR_VERSION = 10
INPUT = "features"
OUTPUTS = ("margin", "probability")

# LightGBM's kZeroThreshold: a float constant, compared in double.
ZERO_THRESHOLD = float(np.float32(1e-35))

_SUM = 1
_NO_TRANSFORM = 0
_BRANCH_LEQ = 0


def export(model_text: str, calibrator: Calibrator) -> bytes:
    """Return the serialized graph of `Booster.model_to_string()` with the calibrator behind it.

    The same text and calibrator give the same bytes. Raises ExportError for models the graph cannot carry exactly
    (see `pipelines.trees.read`).
    """
    ensemble = trees.read(model_text)
    if not ensemble.trees:
        raise ExportError("LightGBM model: it holds no tree; train it with at least one round")
    nodes = [*_prepared(INPUT), tree_node(ensemble, "prepared", "margin"), *_calibrated(calibrator)]
    width = len(ensemble.feature_names)
    graph = helper.make_graph(
        nodes,
        "tidegate_scorer",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", width])],
        [
            helper.make_tensor_value_info("margin", TensorProto.DOUBLE, ["N", 1]),
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N", 1]),
        ],
    )
    return finished(graph, [("", OPSET), ("ai.onnx.ml", ML_OPSET)])


def finished(graph: onnx.GraphProto, opsets: Sequence[tuple[str, int]]) -> bytes:
    """Wrap a graph as a model, have onnx check it with shape inference, and return its deterministic bytes."""
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets],
        producer_name="tidegate",
        ir_version=IR_VERSION,
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as refused:
        raise ExportError(f"onnx refuses the graph {graph.name!r}: {refused}") from refused
    return bytes(model.SerializeToString(deterministic=True))


def tree_node(ensemble: trees.Ensemble, source: str, target: str) -> onnx.NodeProto:
    """Return the ai.onnx.ml 5 TreeEnsemble that sums the leaves of double rows `source` into `target`."""
    grown = [_with_a_split(tree) for tree in ensemble.trees]
    first_node = np.cumsum([0, *(tree.features.size for tree in grown)])
    first_leaf = np.cumsum([0, *(tree.leaves.size for tree in grown)])
    true_ids, true_leafs = _targets([tree.left for tree in grown], first_node, first_leaf)
    false_ids, false_leafs = _targets([tree.right for tree in grown], first_node, first_leaf)
    splits, weights = (np.concatenate(parts) for parts in zip(*((t.thresholds, t.leaves) for t in grown), strict=True))
    return helper.make_node(
        "TreeEnsemble",
        [source],
        [target],
        name="trees",
        domain="ai.onnx.ml",
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        n_targets=1,
        tree_roots=first_node[:-1].tolist(),
        nodes_featureids=np.concatenate([tree.features for tree in grown]).tolist(),
        nodes_splits=_tensor("splits", splits),
        nodes_modes=_tensor("modes", np.full(splits.size, _BRANCH_LEQ, np.uint8)),
        nodes_missing_value_tracks_true=np.concatenate([t.missing_goes_left for t in grown]).astype(int).tolist(),
        nodes_truenodeids=true_ids,
        nodes_trueleafs=true_leafs,
        nodes_falsenodeids=false_ids,
        nodes_falseleafs=false_leafs,
        leaf_targetids=[0] * weights.size,
        leaf_weights=_tensor("leaves", weights),
    )


def _with_a_split(tree: trees.Tree) -> trees.Tree:
    """A tree of one leaf has no node to be the root: give it a split whose two sides agree."""
    if tree.features.size:
        return tree
    return trees.Tree(
        features=np.zeros(1, np.int64),
        thresholds=np.zeros(1),
        missing_goes_left=np.ones(1, np.bool_),
        left=np.array([-1]),
        right=np.array([-2]),
        leaves=np.repeat(tree.leaves, 2),
    )


def _targets(
    children: Sequence[NDArray[np.int64]], first_node: NDArray[np.int64], first_leaf: NDArray[np.int64]
) -> tuple[list[int], list[int]]:
    """Return the node or leaf number of every child, and 1 where it is a leaf, over all trees."""
    ids, leafs = [], []
    for tree, child in enumerate(children):
        is_leaf = child < 0
        ids.append(np.where(is_leaf, first_leaf[tree] - child - 1, first_node[tree] + child))
        leafs.append(is_leaf.astype(np.int64))
    return np.concatenate(ids).tolist(), np.concatenate(leafs).tolist()


def _prepared(source: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Cast", [source], ["wide"], name="widen", to=TensorProto.DOUBLE),
        helper.make_node("Abs", ["wide"], ["size"], name="size"),
        *_constants(tiny=np.array(ZERO_THRESHOLD), zero=np.array(0.0)),
        helper.make_node("LessOrEqual", ["size", "tiny"], ["is_tiny"], name="is_tiny"),
        helper.make_node("Where", ["is_tiny", "zero", "wide"], ["prepared"], name="flush"),
    ]


def _calibrated(calibrator: Calibrator) -> list[onnx.NodeProto]:
    nodes = _platt(calibrator) if isinstance(calibrator, Platt) else _isotonic(calibrator)
    return [*nodes, helper.make_node("Cast", ["calibrated"], ["probability"], name="narrow", to=TensorProto.FLOAT)]


def _platt(calibrator: Platt) -> list[onnx.NodeProto]:
    return [
        *_constants(slope=np.array(calibrator.slope), offset=np.array(calibrator.offset)),
        helper.make_node("Mul", ["margin", "slope"], ["sloped"], name="sloped"),
        helper.make_node("Add", ["sloped", "offset"], ["logit"], name="logit"),
        helper.make_node("Sigmoid", ["logit"], ["calibrated"], name="sigmoid"),
    ]


def _isotonic(calibrator: Isotonic) -> list[onnx.NodeProto]:
    """Count the knots below the margin: a whole number, the same in any order of summation; then look up and blend."""
    starts, bases, slopes = calibrator.segments()
    knots = np.array(calibrator.knots)[None, :]
    tables = _constants(knots=knots, starts=starts, bases=bases, slopes=slopes, across=np.array([1]))
    picked = [
        helper.make_node("Gather", [name, "segment"], [f"{name}_here"], name=f"{name}_here")
        for name in ("starts", "bases", "slopes")
    ]
    return [
        *tables,
        helper.make_node("Greater", ["margin", "knots"], ["passed"], name="passed"),
        helper.make_node("Cast", ["passed"], ["passed_count"], name="passed_count", to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["passed_count", "across"], ["segment"], name="segment", keepdims=1),
        *picked,
        helper.make_node("Sub", ["margin", "starts_here"], ["beyond"], name="beyond"),
        helper.make_node("Mul", ["beyond", "slopes_here"], ["risen"], name="risen"),
        helper.make_node("Add", ["bases_here", "risen"], ["calibrated"], name="calibrated"),
    ]


def _constants(**arrays: NDArray[np.generic]) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Constant", [], [name], name=f"constant_{name}", value=_tensor(name, array))
        for name, array in arrays.items()
    ]


def _tensor(name: str, array: NDArray[np.generic]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(array), name)
