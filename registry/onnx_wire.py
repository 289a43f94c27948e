"""Does an ONNX model refer to other files? Read off its bytes, without the onnx package.

A tensor may name a file beside the model ("external data"). Such a graph is more than the bytes whose sha256 we keep,
so it is refused before onnxruntime opens anything. Only the message types which can hold a tensor are walked;
field numbers are those of onnx.proto3.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from registry.errors import BadGraph

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_DEPTH = 64
_64_BITS = 2**64 - 1
"""What protobuf keeps of a longer integer."""


@dataclass(frozen=True, slots=True)
class _Message:
    """The fields of a message type that lead to tensors."""

    name: str
    children: dict[int, "_Message"] = field(default_factory=dict)


_TENSOR = _Message("TensorProto")
_SPARSE = _Message("SparseTensorProto", {1: _TENSOR, 2: _TENSOR})
_ATTRIBUTE = _Message("AttributeProto", {5: _TENSOR, 10: _TENSOR, 22: _SPARSE, 23: _SPARSE})
_NODE = _Message("NodeProto", {5: _ATTRIBUTE})
_GRAPH = _Message("GraphProto", {1: _NODE, 5: _TENSOR, 15: _SPARSE})
_FUNCTION = _Message("FunctionProto", {7: _NODE, 11: _ATTRIBUTE})
_TRAINING = _Message("TrainingInfoProto", {1: _GRAPH, 2: _GRAPH})
_MODEL = _Message("ModelProto", {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION})
_ATTRIBUTE.children.update({6: _GRAPH, 11: _GRAPH})  # an If or a Loop holds whole graphs

_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14


def refuse_external_data(model: bytes, where: str) -> None:
    """Raise BadGraph, naming `where`, when a tensor of the serialized model lies in another file or bytes are torn."""
    try:
        tensor = _first_external(memoryview(model), _MODEL, 0)
    except (IndexError, ValueError) as torn:
        raise BadGraph(f"{where}: not a readable ONNX model ({torn}); export it again") from torn
    if tensor is not None:
        raise BadGraph(
            f"{where}: tensor {tensor!r} lies in another file; a bundle is one file, so export the model with its data"
        )


def _first_external(content: memoryview, message: _Message, depth: int) -> str | None:
    """Return the name of the first external tensor in a message, or None."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"messages nest deeper than {_MAX_DEPTH}")
    name, external = "", False
    for number, value in fields(content):
        if message is _TENSOR:
            if number == _TENSOR_NAME and isinstance(value, memoryview):
                name = bytes(value).decode("utf-8", "replace")
            external |= number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
        elif number in message.children and isinstance(value, memoryview):
            found = _first_external(value, message.children[number], depth + 1)
            if found is not None:
                return found
    return name if external else None


def fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, integer or bytes) of a serialized message; raise ValueError or IndexError when torn."""
    at = 0
    while at < len(content):
        key, at = varint(content, at)
        number, kind = (key & 0xFFFFFFFF) >> 3, key & 7
        if kind == _VARINT:
            value, at = varint(content, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = varint(content, at)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(content):
            raise ValueError(f"a field of {size} bytes ends beyond the message")
        yield number, content[at : at + size]
        at += size


def varint(content: memoryview, at: int) -> tuple[int, int]:
    """Return (integer, where the next thing begins); raise ValueError or IndexError when torn."""
    value = 0
    for shift in range(0, 70, 7):
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _64_BITS, at
    raise ValueError(f"an integer longer than 10 bytes at byte {at}")
