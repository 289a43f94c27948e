"""What a bundle's graph may hold, read off its bytes before onnxruntime sees them.

onnxruntime runs what it is given: it would loop on a tree whose branches lead back, read beside a row for a feature
that is not there, and unfold a few kilobytes to all memory. So only what our exporter writes is let through: one flat
graph in order, the operators of `pipelines.onnx_export`, vectors as constants, trees whose branches only lead on.
Field numbers are those of onnx.proto3.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from registry.errors import BadGraph
from registry.onnx_wire import fields, varint

MAX_MODEL_BYTES: Final = 64 * 2**20
MAX_NODES: Final = 256
MAX_CONSTANT: Final = 16_384
"""Elements of a constant outside the trees: the knots of a calibrator."""
MAX_TREE_NODES: Final = 1_000_000
MAX_TREE_DEPTH: Final = 1_024
"""Splits one below the other: onnxruntime walks down a tree by calling itself, and its stack ends."""

OPERATORS: Final = frozenset(
    [("", name) for name in ("Abs", "Add", "Cast", "Constant", "Gather", "Greater", "Identity", "LessOrEqual", "Mul")]
    + [("", name) for name in ("Neg", "ReduceSum", "Sigmoid", "Sub", "Where")]
    + [("ai.onnx.ml", "TreeEnsemble")]
)
"""None of them makes more elements than its inputs have rows times the longest constant."""

_ITEM_BYTES: Final = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}  # by TensorProto.DataType
_DOUBLE, _UINT8, _LIST, _NUMBER = 11, 2, -1, -2
_TREES: Final[Mapping[str, int]] = {
    "nodes_featureids": _LIST, "nodes_truenodeids": _LIST, "nodes_trueleafs": _LIST, "nodes_falsenodeids": _LIST,
    "nodes_falseleafs": _LIST, "nodes_missing_value_tracks_true": _LIST, "nodes_splits": _DOUBLE,
    "nodes_modes": _UINT8, "leaf_targetids": _LIST, "leaf_weights": _DOUBLE, "tree_roots": _LIST,
    "n_targets": _NUMBER, "aggregate_function": _NUMBER, "post_transform": _NUMBER,
}  # fmt: skip
"""What an ensemble says, and how: onnxruntime takes each in one form alone, and so must we, or we count another."""
_PER_NODE: Final = tuple(name for name in _TREES if name.startswith("nodes_"))
_MAY_BE_LEFT_OUT: Final = "nodes_missing_value_tracks_true"
_MIN_CHILD = 1


@dataclass(slots=True)
class _Tensor:
    dims: list[int] = field(default_factory=list)
    kind: int = 0
    raw: memoryview | None = None
    """Raw data; None where the elements stand in a field of their own."""

    @property
    def size(self) -> int:
        return math.prod(self.dims)


@dataclass(slots=True)
class _Attribute:
    name: str = ""
    integer: int = 0
    integers: list[int] = field(default_factory=list)
    count: int = 0
    """Numbers and texts it lists."""
    tensors: list[_Tensor] = field(default_factory=list)

    @property
    def length(self) -> int:
        return self.tensors[0].size if self.tensors else len(self.integers)


@dataclass(slots=True)
class _Node:
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    operator: str = ""
    domain: str = ""
    attributes: dict[str, _Attribute] = field(default_factory=dict)


class _Refused(ValueError):
    """Why a graph may not be loaded."""


def refuse_hostile(model: bytes, width: int, where: str) -> None:
    """Raise BadGraph, naming `where`, unless a serialized model over `width` features is one a bundle may hold."""
    if len(model) > MAX_MODEL_BYTES:
        raise BadGraph(f"{where}: {len(model)} bytes, a model has at most {MAX_MODEL_BYTES}; train a smaller one")
    try:
        _check_model(memoryview(model), width)
    except (IndexError, ValueError, OverflowError) as refused:
        raise BadGraph(f"{where}: {refused}; only graphs of this project's exporter are loaded") from refused


def _check_model(content: memoryview, width: int) -> None:
    graphs = []
    for number, value in fields(content):
        if number == 7:
            graphs.append(_bytes(value))
        elif number in (20, 25):
            raise _Refused("it holds functions or training steps")
    if len(graphs) != 1:  # protobuf would merge two into one that was never looked at as a whole
        raise _Refused(f"wanted one graph, found {len(graphs)}")
    _check_graph(graphs[0], width)


def _check_graph(content: memoryview, width: int) -> None:
    nodes: list[_Node] = []
    known: set[str] = set()
    constants: dict[str, int] = {}
    for number, value in fields(content):
        if number == 1:
            if len(nodes) == MAX_NODES:
                raise _Refused(f"more than {MAX_NODES} operators")
            nodes.append(_node(_bytes(value)))
        elif number == 5:
            name, tensor = _named_tensor(_bytes(value))
            _check_vector(tensor)
            constants[name] = len(tensor.dims)
            known.add(name)
        elif number == 11:
            known.add(_text_at(_bytes(value), 1))
        elif number == 15:
            raise _Refused("it holds sparse constants")
    trees = 0
    for node in nodes:
        _check_order(node, known)
        if node.operator == "TreeEnsemble":
            trees += 1
            _check_trees(node.attributes, width)
        elif node.operator == "Constant":
            rank = _constant_rank(node)
            constants.update(dict.fromkeys(node.outputs, rank))
        elif node.operator == "Gather" and not (node.inputs and constants.get(node.inputs[0], 2) < 2):
            raise _Refused("Gather picks from what is no constant vector")
    if trees > 1:
        raise _Refused(f"{trees} ensembles of trees, a scorer has one")


def _check_order(node: _Node, known: set[str]) -> None:
    if (node.domain, node.operator) not in OPERATORS:
        raise _Refused(f"operator {node.domain or 'ai.onnx'}.{node.operator!r:.60} is none that a scorer uses")
    for name in node.inputs:
        if name and name not in known:
            raise _Refused(f"{node.operator} reads {name!r:.60} before it is there: a cycle, or out of order")
    for name in node.outputs:
        if name in known:
            raise _Refused(f"{node.operator} writes {name!r:.60} a second time")
        known.add(name)


def _constant_rank(node: _Node) -> int:
    rank = 1
    for attribute in node.attributes.values():
        for tensor in attribute.tensors:
            _check_vector(tensor)
            rank = len(tensor.dims)
        if attribute.count > MAX_CONSTANT:
            raise _Refused(f"a constant of {attribute.count} elements, at most {MAX_CONSTANT}")
    return rank


def _check_vector(tensor: _Tensor) -> None:
    _check_tensor(tensor)
    if len(tensor.dims) > 2 or any(dim != 1 for dim in tensor.dims[:-1]) or tensor.size > MAX_CONSTANT:
        raise _Refused(f"a constant of shape {tensor.dims}, wanted one row of at most {MAX_CONSTANT}")


def _check_tensor(tensor: _Tensor) -> None:
    if any(not 0 <= dim <= 2**31 for dim in tensor.dims):
        raise _Refused(f"a tensor of shape {tensor.dims}")
    if tensor.raw is not None and len(tensor.raw) != tensor.size * _ITEM_BYTES.get(tensor.kind, 0):
        raise _Refused(f"a tensor of shape {tensor.dims} with {len(tensor.raw)} bytes of data")


def _check_trees(attributes: Mapping[str, _Attribute], width: int) -> None:
    """Refuse branches that lead back or nowhere, features a row has not, parts that do not fit each other."""
    for name, each in attributes.items():
        _check_form(name, each)
    nodes, leaves = _length(attributes, "nodes_featureids"), _length(attributes, "leaf_targetids")
    if not 0 < nodes <= MAX_TREE_NODES or not 0 < leaves <= MAX_TREE_NODES:
        raise _Refused(f"trees of {nodes} splits and {leaves} leaves, at most {MAX_TREE_NODES}")
    for name in _PER_NODE:
        if _length(attributes, name) != nodes and (name != _MAY_BE_LEFT_OUT or name in attributes):
            raise _Refused(f"trees: {name} has {_length(attributes, name)} values for {nodes} splits")
    if any(attributes["nodes_modes"].tensors[0].raw or b""):
        raise _Refused("trees: nodes_modes has another comparison than <=")
    if _length(attributes, "leaf_weights") != leaves:
        raise _Refused(f"trees: leaf_weights has {_length(attributes, 'leaf_weights')} values for {leaves} leaves")
    targets = attributes["n_targets"].integer if "n_targets" in attributes else 0
    _within(_array(attributes, "nodes_featureids"), width, "nodes_featureids")
    _within(_array(attributes, "leaf_targetids"), targets, "leaf_targetids")
    _within(_array(attributes, "tree_roots"), nodes, "tree_roots")
    if targets != 1:
        raise _Refused(f"trees with {targets} targets, a scorer has one")
    for side in ("true", "false"):
        ids, is_leaf = _array(attributes, f"nodes_{side}nodeids"), _array(attributes, f"nodes_{side}leafs")
        _within(is_leaf, 2, f"nodes_{side}leafs")
        _within(ids[is_leaf == 1], leaves, f"leaves of nodes_{side}nodeids")
        _within(ids[is_leaf == 0], nodes, f"nodes_{side}nodeids")
        if (ids - np.arange(nodes) < _MIN_CHILD)[is_leaf == 0].any():
            raise _Refused(f"trees: nodes_{side}nodeids leads back to an earlier split, which could go on for ever")
    _check_depth(attributes, nodes)


def _check_form(name: str, attribute: _Attribute) -> None:
    form = _TREES.get(name)
    if form is None:
        raise _Refused(f"trees: attribute {name!r:.60} is none that a scorer has")
    for tensor in attribute.tensors:
        _check_tensor(tensor)
    found = [(tensor.kind, tensor.raw is not None, len(tensor.dims)) for tensor in attribute.tensors]
    if found != ([(form, True, 1)] if form > 0 else []) or (attribute.integers and form != _LIST):
        raise _Refused(f"trees: {name} is given in another form")


def _check_depth(attributes: Mapping[str, _Attribute], nodes: int) -> None:
    """Go down all trees together, whose branches lead on: refuse a split that is reached twice, and one too deep."""
    sides = [(_array(attributes, f"nodes_{side}nodeids"), _array(attributes, f"nodes_{side}leafs") == 0)
             for side in ("true", "false")]  # fmt: skip
    roots = _array(attributes, "tree_roots")
    reached = np.bincount(np.concatenate([roots, *(ids[is_split] for ids, is_split in sides)]), minlength=nodes)
    if not roots.size or (reached != 1).any():
        raise _Refused("trees: not every split is reached once")
    level = roots
    for _ in range(MAX_TREE_DEPTH):
        level = np.concatenate([ids[level][is_split[level]] for ids, is_split in sides])
        if not level.size:
            return
    raise _Refused(f"trees: more than {MAX_TREE_DEPTH} splits one below the other")


def _within(values: NDArray[np.int64], limit: int, name: str) -> None:
    if values.size and not (values.min() >= 0 and values.max() < limit):
        raise _Refused(f"trees: {name} runs from {values.min()} to {values.max()}, wanted 0 to {limit - 1}")


def _length(attributes: Mapping[str, _Attribute], name: str) -> int:
    return attributes[name].length if name in attributes else 0


def _array(attributes: Mapping[str, _Attribute], name: str) -> NDArray[np.int64]:
    return np.array(attributes[name].integers if name in attributes else [], np.uint64).view(np.int64)


def _node(content: memoryview) -> _Node:
    found = _Node()
    for number, value in fields(content):
        if number == 1:
            found.inputs.append(_text(value))
        elif number == 2:
            found.outputs.append(_text(value))
        elif number == 4:
            found.operator = _text(value)
        elif number == 7:
            found.domain = _text(value)
        elif number == 5:
            attribute = _attribute(_bytes(value))
            if attribute.name in found.attributes:
                raise _Refused(f"attribute {attribute.name!r:.60} is given twice")
            found.attributes[attribute.name] = attribute
    if found.domain == "ai.onnx":
        found.domain = ""
    return found


def _attribute(content: memoryview) -> _Attribute:
    found = _Attribute()
    for number, value in fields(content):
        if number == 1:
            found.name = _text(value)
        elif number == 3:
            found.integer = _integer(value)
        elif number == 8:
            found.integers.extend([value] if isinstance(value, int) else _packed(value))
            found.count = len(found.integers)
            if found.count > MAX_TREE_NODES:
                raise _Refused(f"a list of more than {MAX_TREE_NODES} numbers")
        elif number in (5, 10):
            if found.tensors:  # protobuf would merge two into one that was never looked at as a whole
                raise _Refused("more than one tensor in an attribute")
            found.tensors.append(_named_tensor(_bytes(value))[1])
        elif number in (6, 11):
            raise _Refused("a graph inside a graph")
        elif number in (7, 9):
            found.count += 1 if number == 9 or isinstance(value, int) else max(1, len(value) // 4)
        elif number in (21, 22, 23):
            raise _Refused("an attribute that is sparse or refers to another")
    return found


def _named_tensor(content: memoryview) -> tuple[str, _Tensor]:
    name, found = "", _Tensor()
    for number, value in fields(content):
        if number == 1:
            found.dims.extend([value] if isinstance(value, int) else _packed(value))
            if len(found.dims) > 8:
                raise _Refused("a tensor of more than 8 dimensions")
        elif number == 2:
            found.kind = _integer(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            found.raw = _bytes(value)
    return name, found


def _packed(content: memoryview) -> Iterator[int]:
    at = 0
    while at < len(content):
        value, at = varint(content, at)
        yield value


def _text_at(content: memoryview, wanted: int) -> str:
    found = [_text(value) for number, value in fields(content) if number == wanted]
    return found[-1] if found else ""


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode("utf-8")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _Refused("a number where a message was wanted")
    return value


def _integer(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise _Refused("a message where a number was wanted")
    return value
