"""Hostile graphs are refused off their bytes, and what the exporter writes is not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from registry import onnx_guard
from registry.errors import BadGraph
from registry.onnx_guard import MAX_CONSTANT, MAX_NODES, MAX_TREE_DEPTH, refuse_hostile
from tests.registry.graphs import forest_graph, serialized

_WIDTH = 5
_GOOD = forest_graph()


def _changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_from_string(_GOOD)
    change(model)
    return model.SerializeToString()


def _trees(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == "TreeEnsemble")


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(each for each in node.attribute if each.name == name)


def _with(name: str, change: Callable[[list[int]], list[int]]) -> bytes:
    def put(model: onnx.ModelProto) -> None:
        attribute = _attribute(_trees(model), name)
        changed = change(list(attribute.ints))
        del attribute.ints[:]
        attribute.ints.extend(changed)

    return _changed(put)


def _leads_back() -> bytes:
    """A split whose true branch is the root again: onnxruntime would go round for ever."""

    def put(model: onnx.ModelProto) -> None:
        trees = _trees(model)
        _attribute(trees, "nodes_trueleafs").ints[-1] = 0
        _attribute(trees, "nodes_truenodeids").ints[-1] = 0

    return _changed(put)


def _node(operator: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any) -> bytes:
    return _changed(
        lambda model: model.graph.node.insert(
            0, helper.make_node(operator, inputs, outputs, domain=domain, **attributes)
        )
    )


def _constant(array: np.ndarray) -> bytes:
    return _node("Constant", [], ["c"], value=numpy_helper.from_array(array))


def _claims() -> bytes:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[10_000], raw_data=b"1234")
    return _node("Constant", [], ["c"], value=tensor)


def _inner() -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [])


def _function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    model.functions.append(helper.make_function("ours", "f", ["x"], ["y"], [node], [helper.make_opsetid("", 21)]))


def _two_forms(model: onnx.ModelProto) -> None:
    """The length is that of the tensor, and onnxruntime would take the list."""
    ids = _attribute(_trees(model), "nodes_featureids")
    ids.t.CopyFrom(numpy_helper.from_array(np.zeros(len(ids.ints), np.int64)))
    del ids.ints[1:]


def _member(model: onnx.ModelProto) -> None:
    modes = _attribute(_trees(model), "nodes_modes")
    modes.t.CopyFrom(numpy_helper.from_array(np.full(modes.t.dims[0], 6, np.uint8)))


def _membership_values(model: onnx.ModelProto) -> None:
    _trees(model).attribute.append(helper.make_attribute("membership_values", numpy_helper.from_array(np.zeros(1))))


def _field(number: int, content: bytes) -> bytes:
    """A message within a message, as protobuf writes it."""
    size, rest = b"", len(content)
    while rest >= 0x80:
        size, rest = size + bytes([rest & 0x7F | 0x80]), rest >> 7
    return bytes([number << 3 | 2]) + size + bytes([rest]) + content


def _in_two_parts() -> bytes:
    """A row that protobuf makes a column of: its second part says one more dimension and no data."""
    row = numpy_helper.from_array(np.zeros(MAX_CONSTANT, np.float32))
    parts = (row.SerializeToString(), TensorProto(dims=[1]).SerializeToString())
    attribute = _field(1, b"value") + b"".join(_field(5, part) for part in parts)
    model = _field(7, _field(1, _field(2, b"c") + _field(4, b"Constant") + _field(5, attribute)))
    assert list(onnx.load_from_string(model).graph.node[0].attribute[0].t.dims) == [MAX_CONSTANT, 1]
    return model


def _grown(splits: int, true_ids: list[int]) -> bytes:
    """One tree, with the true branches to these splits; the last of them, and every false branch, ends in the leaf."""

    def put(model: onnx.ModelProto) -> None:
        for attribute in _trees(model).attribute:
            if attribute.name.startswith("nodes_") and attribute.ints:
                attribute.ints[:] = [0] * splits
        trees = _trees(model)
        _attribute(trees, "nodes_truenodeids").ints[:] = true_ids
        _attribute(trees, "nodes_trueleafs").ints[:] = [0] * (splits - 1) + [1]
        _attribute(trees, "nodes_falseleafs").ints[:] = [1] * splits
        _attribute(trees, "nodes_splits").t.CopyFrom(numpy_helper.from_array(np.zeros(splits)))
        _attribute(trees, "nodes_modes").t.CopyFrom(numpy_helper.from_array(np.zeros(splits, np.uint8)))
        _attribute(trees, "leaf_weights").t.CopyFrom(numpy_helper.from_array(np.zeros(1)))
        _attribute(trees, "leaf_targetids").ints[:] = [0]
        _attribute(trees, "tree_roots").ints[:] = [0]

    return _changed(put)


def _stairs(splits: int) -> bytes:
    """A tree that only goes down: at 300,000 splits onnxruntime's stack is used up, and the process with it."""
    return _grown(splits, [*range(1, splits), 0])


_HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "custom operator": (lambda: _node("Evil", ["features"], ["e"], "com.evil"), "com.evil.'Evil' is none"),
    "operator that unfolds": (lambda: _node("ConstantOfShape", ["features"], ["e"]), "ConstantOfShape' is none"),
    "operator that doubles": (lambda: _node("Concat", ["features"] * 2, ["e"], axis=1), "Concat' is none"),
    "operator that opens": (lambda: _node("ImageDecoder", ["features"], ["e"]), "ImageDecoder' is none"),
    "loop": (lambda: _node("Loop", ["", ""], ["e"], body=_inner()), "a graph inside a graph"),
    "branches": (lambda: _node("If", ["c"], ["e"], then_branch=_inner(), else_branch=_inner()), "a graph inside"),
    "functions": (lambda: _changed(_function), "functions or training"),
    "cycle of one": (lambda: _node("Abs", ["e"], ["e"]), "reads 'e' before it is there: a cycle"),
    "cycle of two": (
        lambda: _changed(
            lambda model: model.graph.node.extend(
                [helper.make_node("Abs", ["b"], ["a"]), helper.make_node("Abs", ["a"], ["b"])]
            )
        ),
        "a cycle, or out of order",
    ),
    "two writers": (lambda: _node("Abs", ["features"], ["margin"]), "a second time"),
    "second graph": (lambda: _GOOD + _GOOD, "wanted one graph, found 2"),
    "matrix": (lambda: _constant(np.zeros((300, 300))), r"a constant of shape \[300, 300\]"),
    "long constant": (lambda: _constant(np.zeros(MAX_CONSTANT + 1)), "at most"),
    "constant that is not there": (_claims, "with 4 bytes of data"),
    "gather that grows": (lambda: _node("Gather", ["features", "features"], ["e"]), "Gather picks"),
    "many operators": (
        lambda: _changed(
            lambda model: model.graph.node.extend(
                helper.make_node("Abs", ["features"], [f"e{n}"]) for n in range(MAX_NODES)
            )
        ),
        "more than 256 operators",
    ),
    "trees that lead back": (_leads_back, "leads back to an earlier split"),
    "feature that is not there": (lambda: _with("nodes_featureids", lambda ids: [_WIDTH, *ids[1:]]), "0 to 4"),
    "feature below 0": (lambda: _with("nodes_featureids", lambda ids: [-1, *ids[1:]]), "runs from -1"),
    "leaf that is not there": (lambda: _with("nodes_truenodeids", lambda ids: [10**6] * len(ids)), "runs from"),
    "too few branches": (lambda: _with("nodes_falsenodeids", lambda ids: ids[1:]), "values for"),
    "branches of one length and a tensor of another": (lambda: _changed(_two_forms), "in another form"),
    "membership": (lambda: _changed(_member), "nodes_modes has another comparison"),
    "attribute that no scorer has": (lambda: _changed(_membership_values), "'membership_values' is none"),
    "constant in two parts": (_in_two_parts, "more than one tensor"),
    "endless stairs": (lambda: _stairs(MAX_TREE_DEPTH + 1), "more than 1024 splits one below the other"),
    "split that is reached twice": (lambda: _grown(4, [2, 2, 3, 0]), "not every split is reached once"),
    "no root": (lambda: _with("tree_roots", lambda _: []), "not every split is reached once"),
    "root that is not there": (lambda: _with("tree_roots", lambda roots: [*roots[1:], 10**9]), "tree_roots runs"),
    "target that is not there": (lambda: _with("leaf_targetids", lambda ids: [7, *ids[1:]]), "leaf_targetids runs"),
}


@pytest.mark.parametrize("kind", _HOSTILE)
def test_a_hostile_graph_is_refused(kind: str) -> None:
    """Before onnxruntime sees it, with what is wrong."""
    make, said = _HOSTILE[kind]
    with pytest.raises(BadGraph, match=said):
        refuse_hostile(make(), _WIDTH, "model.onnx")


def test_what_the_exporter_writes_is_let_through() -> None:
    """Otherwise every refusal above would be worth nothing."""
    refuse_hostile(_GOOD, _WIDTH, "model.onnx")
    refuse_hostile(_stairs(MAX_TREE_DEPTH), _WIDTH, "model.onnx")


def test_a_huge_model_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is enough."""
    monkeypatch.setattr(onnx_guard, "MAX_MODEL_BYTES", len(_GOOD) - 1)
    with pytest.raises(BadGraph, match="bytes, a model has at most"):
        refuse_hostile(_GOOD, _WIDTH, "model.onnx")


def test_deep_nesting_is_refused_without_recursion() -> None:
    """Graphs one in another end no interpreter; the walk stops at the first."""
    inner = _inner()
    for _ in range(20):
        inner = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=inner)], "deeper", [], [])
    with pytest.raises(BadGraph):
        refuse_hostile(serialized(list(inner.node)), _WIDTH, "model.onnx")


@given(st.binary(max_size=300))
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    """Nothing but BadGraph comes out."""
    with pytest.raises(BadGraph):
        refuse_hostile(content, _WIDTH, "model.onnx")


@given(st.integers(0, len(_GOOD) - 1), st.integers(0, 255))
def test_one_wrong_byte_is_refused_or_harmless(at: int, byte: int) -> None:
    """Whatever is let through keeps the shape that was checked."""
    changed = bytearray(_GOOD)
    changed[at] = byte
    try:
        refuse_hostile(bytes(changed), _WIDTH, "model.onnx")
    except BadGraph:
        return
