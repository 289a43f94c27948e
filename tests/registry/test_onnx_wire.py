"""Graphs that reach for other files are found, wherever in the model the tensor lies."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from registry.errors import BadGraph
from registry.onnx_wire import refuse_external_data
from tests.registry.graphs import forest_graph, serialized


def _external(name: str = "weights") -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def _empty_graph(**parts: object) -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [], **parts)


def _in_function() -> bytes:
    constant = helper.make_node("Constant", [], ["y"], value=_external())
    function = helper.make_function("ours", "f", [], ["y"], [constant], [helper.make_opsetid("", 21)])
    return helper.make_model(_empty_graph(), functions=[function]).SerializeToString()


def _in_sparse() -> bytes:
    indices = numpy_helper.from_array(np.array([0], np.int64), "at")
    sparse = onnx.SparseTensorProto(values=_external(), indices=indices, dims=[1])
    return helper.make_model(_empty_graph(sparse_initializer=[sparse])).SerializeToString()


_HIDING_PLACES = {
    "initializer": lambda: serialized([], initializer=[_external()]),
    "attribute": lambda: serialized([helper.make_node("Constant", [], ["margin"], value=_external())]),
    "list of tensors": lambda: serialized([helper.make_node("Custom", [], ["margin"], values=[_external()])]),
    "subgraph": lambda: serialized(
        [helper.make_node("If", ["c"], ["margin"], then_branch=_empty_graph(initializer=[_external()]))]
    ),
    "function": _in_function,
    "sparse tensor": _in_sparse,
}


@pytest.mark.parametrize("place", _HIDING_PLACES)
def test_external_data_is_refused_in_every_place(place: str) -> None:
    """Initializers, attributes, subgraphs, functions and sparse tensors are all looked into."""
    with pytest.raises(BadGraph, match=r"model\.onnx: tensor 'weights' lies in another file"):
        refuse_external_data(_HIDING_PLACES[place](), "model.onnx")


def test_either_mark_of_external_data_is_enough() -> None:
    """A location without the flag, and a flag without a location, are both refused."""
    for clear in ("data_location", "external_data"):
        tensor = _external()
        tensor.ClearField(clear)
        with pytest.raises(BadGraph, match="another file"):
            refuse_external_data(serialized([], initializer=[tensor]), "model.onnx")


def test_a_graph_with_its_data_inside_passes() -> None:
    """A whole forest, and an empty model, refer to nothing."""
    refuse_external_data(forest_graph(), "model.onnx")
    refuse_external_data(b"", "model.onnx")


def test_every_truncation_inside_the_graph_is_refused() -> None:
    """A model cut anywhere within its graph field is torn."""
    model = helper.make_model(_empty_graph(initializer=[numpy_helper.from_array(np.arange(50.0), "data")]))
    content = model.graph.SerializeToString()
    whole = b"\x3a" + _varint(len(content)) + content
    refuse_external_data(whole, "model.onnx")
    for size in range(1, len(whole)):
        with pytest.raises(BadGraph, match="not a readable ONNX model"):
            refuse_external_data(whole[:size], "model.onnx")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Garbage ends in BadGraph or in nothing found, never in another error or an endless loop."""
    try:
        refuse_external_data(content, "model.onnx")
    except BadGraph as refused:
        assert str(refused).startswith("model.onnx: ")


def test_graphs_nested_too_deep_are_refused() -> None:
    """A bomb of nested subgraphs is refused before the interpreter's stack is."""
    content = b""
    for _ in range(100):
        graph = b"\x0a" + _varint(len(content)) + content  # GraphProto.node
        attribute = b"\x32" + _varint(len(graph)) + graph  # AttributeProto.g
        content = b"\x2a" + _varint(len(attribute)) + attribute  # NodeProto.attribute
    graph = b"\x0a" + _varint(len(content)) + content
    with pytest.raises(BadGraph, match="nest deeper than 64"):
        refuse_external_data(b"\x3a" + _varint(len(graph)) + graph, "model.onnx")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
