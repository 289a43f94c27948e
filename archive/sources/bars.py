"""One-minute bars, for the gap scan alone: which minutes a recording has and which it lacks."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archive.errors import SourceError
from archive.sources.day import Defect, Defects
from archive.sources.delimited import read_csv
from archive.sources.ladders import Place, count_where

MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Minutes:
    """The minutes of a recording, as ns of their start: those there int64[n] and those missing int64[m], both rising.

    `defects` counts repeated, misplaced and off-the-minute rows by `Defect` name; `first_seen` places the first.
    """

    there_ns: NDArray[np.int64]
    missing_ns: NDArray[np.int64]
    defects: dict[str, int] = field(default_factory=dict)
    first_seen: dict[str, str] = field(default_factory=dict)


def read_minutes(path: str | Path) -> Minutes:
    """Read a bar file: CSV, plain or gzip, with a column `timestamp` (UTC, the start of the minute).

    Raises SourceError when the file cannot be read, lacks the column, or holds no bar.
    """
    file, defects = Path(path), Defects()
    records = read_csv(file, {"timestamp": "time"}, defects)
    ns = records["timestamp"]
    off = ns % MINUTE_NS != 0
    count_where(off, Defect.MALFORMED, Place(file, records.lines), defects)
    ns, lines = ns[~off], records.lines[~off]
    if not len(ns):
        raise SourceError(f"{file}: wanted one-minute bars, found none; check that this is the right file")
    place = Place(file, lines)
    count_where(ns < np.maximum.accumulate(ns), Defect.OUT_OF_ORDER, place, defects)
    there, first = np.unique(ns, return_index=True)
    repeated = np.ones(len(ns), bool)
    repeated[first] = False
    count_where(repeated, Defect.DUPLICATES, place, defects)
    every = np.arange(there[0], there[-1] + MINUTE_NS, MINUTE_NS)
    return Minutes(there, np.setdiff1d(every, there, assume_unique=True), defects.counts, defects.first_seen)
