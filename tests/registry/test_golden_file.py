"""golden.npz is read as large as it is, whatever its headers claim."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.golden_file import read_golden

_ARRAYS = {"rows": np.ones((3, 2), np.float32), "margins": np.arange(3.0), "scores": np.zeros(3, np.float32)}


def _packed(method: int = zipfile.ZIP_STORED, **changed: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        for name, array in _ARRAYS.items():
            part = io.BytesIO()
            np.save(part, array)
            archive.writestr(f"{name}.npy", changed.get(name, part.getvalue()))
    return whole.getvalue()


def _header(text: str) -> bytes:
    line = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line


def test_what_was_written_is_read() -> None:
    """All three arrays, to the bit."""
    found = read_golden(_packed())
    assert {name: array.tolist() for name, array in found.items()} == {n: a.tolist() for n, a in _ARRAYS.items()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_packed(zipfile.ZIP_DEFLATED), "is compressed"),
        (_packed(zipfile.ZIP_DEFLATED, rows=b"0" * 10_000_000), "is compressed"),
        (_packed(rows=_header("{'descr': '<f4', 'fortran_order': False, 'shape': (10**12, 9)}")), "cannot be read"),
        (
            _packed(rows=_header("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 9), }")),
            "holds 0 bytes",
        ),
        (_packed(rows=_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 0), }")), "says float32"),
        (_packed(rows=_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }")), "wanted float32"),
        (_packed(scores=b""), "cannot be read"),
        (b"", "cannot be read"),
        (_packed()[:-30], "cannot be read"),
    ],
)
def test_a_bomb_is_refused_before_it_takes_memory(content: bytes, said: str) -> None:
    """Compressed, claiming terabytes, pickled, torn."""
    with pytest.raises(ValueError, match=said):
        read_golden(content)


@given(st.binary(max_size=200), st.integers(0, 600))
def test_torn_bytes_are_refused_or_read(piece: bytes, at: int) -> None:
    """Nothing but ValueError comes out."""
    whole = _packed()
    try:
        read_golden(whole[:at] + piece + whole[at + len(piece) :])
    except ValueError:
        return
