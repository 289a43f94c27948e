"""golden.npz read without trusting it: three stored arrays, as large as their headers say, and nothing unpacked.

numpy would take memory for any shape a header claims, and zip would unfold a few kilobytes to gigabytes.
"""

import io
import math
import zipfile
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_KINDS: Final[Mapping[str, np.dtype[np.generic]]] = {
    "rows": np.dtype("<f4"), "margins": np.dtype("<f8"), "scores": np.dtype("<f4")
}  # fmt: skip
_BROKEN: Final = (
    OSError, ValueError, KeyError, EOFError, IndexError, TypeError, SyntaxError, RecursionError, MemoryError,
    NotImplementedError, RuntimeError, OverflowError, zipfile.BadZipFile,
)  # fmt: skip
"""What zipfile and numpy's header reader raise on bytes that are none of theirs."""


def read_golden(content: bytes) -> Mapping[str, NDArray[Any]]:
    """Return rows, margins and scores as they stand in golden.npz; raise ValueError that says what is wrong."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            listed = archive.infolist()
            if sorted(each.filename for each in listed) != sorted(f"{name}.npy" for name in _KINDS):
                raise ValueError(f"wanted {', '.join(_KINDS)}, found {[each.filename[:40] for each in listed[:5]]}")
            for each in listed:
                if each.compress_type != zipfile.ZIP_STORED or each.file_size > len(content):
                    raise ValueError(f"{each.filename} is compressed, or larger than the file it is in")
            return {name: _array(archive.read(f"{name}.npy"), name, kind) for name, kind in _KINDS.items()}
    except _BROKEN as error:
        raise ValueError(f"it cannot be read: {error}") from error


def _array(content: bytes, name: str, kind: np.dtype[np.generic]) -> NDArray[Any]:
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} is of another version of numpy's format")
    shape, is_fortran, found = np.lib.format.read_array_header_1_0(stream)
    size = len(content) - stream.tell()
    if found != kind or is_fortran or math.prod(shape) * kind.itemsize != size or any(each < 0 for each in shape):
        raise ValueError(f"{name} says {found}{list(shape)} and holds {size} bytes; wanted {kind}, row by row")
    return np.frombuffer(content, kind, offset=stream.tell()).reshape(shape)
