"""The C twin of the feature kernel: built where gcc is, called through ctypes."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from market.features import RING_CAPACITY

_FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")


class Twin:
    """One stream through the twin; `build` it once, `fresh` as often as a stream begins."""

    def __init__(self, library: ctypes.CDLL, capacity: int = RING_CAPACITY) -> None:
        self._library = library
        self._memory = ctypes.c_void_p(library.twin_new(ctypes.c_int64(capacity)))

    def __del__(self) -> None:
        self._library.twin_free(self._memory)

    @classmethod
    def build(cls, folder: Path) -> Self | None:
        """Compile the twin into a folder; None when there is no gcc."""
        gcc = shutil.which("gcc")
        if gcc is None:
            return None
        target = folder / "kernel.so"
        source = Path(__file__).with_name("kernel.c")
        subprocess.run([gcc, *_FLAGS, "-o", str(target), str(source), "-lm"], check=True)
        library = ctypes.CDLL(str(target))
        library.twin_new.restype = ctypes.c_void_p
        library.twin_run.restype = ctypes.c_int64
        return cls(library)

    def fresh(self, capacity: int = RING_CAPACITY) -> "Twin":
        """Return a twin without memory of any event."""
        return Twin(self._library, capacity)

    def run(self, events: NDArray[np.int64], out: NDArray[np.float32], valid: NDArray[np.uint8]) -> int:
        """Do what `market.features.run` does; return the number of events taken."""
        rows = ctypes.c_int64(len(events))
        pointers = (ctypes.c_void_p(a.ctypes.data) for a in (events, out, valid))
        source, target, flags = pointers
        return int(self._library.twin_run(self._memory, source, rows, target, flags))
