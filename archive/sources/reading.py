"""Reading recorded files: whole columns out of CSV and parquet, with one clear error for what cannot be read.

A file that is missing, truncated or of another layout raises SourceError. A row that cannot be parsed is dropped,
counted as malformed, and the line of the first one kept.
"""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archive.errors import SourceError
from archive.sources.day import Defect, Defects

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_KINDS = {"int": pa.int64(), "float": pa.float64(), "text": pa.string()}


@dataclass(frozen=True, slots=True)
class Records:
    """Columns of a text file by name, all [n], and the file line int64[n] (1-based) each row stands on."""

    columns: Mapping[str, NDArray[Any]]
    lines: NDArray[np.int64]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, mask: NDArray[np.bool_]) -> "Records":
        """Return the rows where the mask bool[n] holds."""
        return Records({name: column[mask] for name, column in self.columns.items()}, self.lines[mask])


def existing(path: Path, what: str) -> Path:
    """Return the path, or raise SourceError when nothing is there."""
    if not path.exists():
        raise SourceError(f"{path}: does not exist, wanted {what}; check the path or fetch the recording first")
    return path


def files_in(path: Path, pattern: str, what: str) -> list[Path]:
    """Return the files of a folder that match a glob pattern, sorted; raise SourceError when there are none."""
    if existing(path, f"a folder of {what}").is_file():
        raise SourceError(f"{path}: is a file, wanted a folder of {what} ({pattern}); name the folder that holds it")
    found = sorted(path.glob(pattern))
    if not found:
        here = ", ".join(sorted(p.name for p in path.iterdir())[:5]) or "nothing"
        raise SourceError(f"{path}: no {what} ({pattern}), found {here}; name the folder that holds the recording")
    return found


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a plain or gzip file for reading bytes; any failure to read it inside the block becomes a SourceError."""
    existing(path, "a recorded file")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            yield cast(BinaryIO, stream)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, "a whole file", error) from error


def read_parquet(path: Path, wanted: Mapping[str, str]) -> pa.Table:
    """Return the wanted columns of a parquet file.

    `wanted` maps names to the beginning of their Arrow type ("timestamp", "list<", "double"). Raises SourceError when
    the file is truncated, lacks a column or holds one of another type.
    """
    existing(path, "a parquet file")
    try:
        schema = pq.read_schema(path)
        found = {name: str(schema.field(name).type) for name in schema.names}
        wrong = {n: found.get(n, "nothing") for n, kind in wanted.items() if not found.get(n, "").startswith(kind)}
        if wrong:
            raise SourceError(_changed(path, {n: wanted[n] for n in wrong}, wrong))
        return pq.read_table(path, columns=list(wanted))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, "a whole parquet file", error) from error


def read_csv(path: Path, wanted: Mapping[str, str], defects: Defects) -> Records:
    """Return the wanted columns of a CSV file with a header, plain or gzip.

    `wanted` maps names to "int" (int64), "float" (float64, an empty field is NaN) or "text" (objects). A row with a
    missing or unparsable field is dropped and counted as malformed. Raises SourceError as the module says.
    """
    existing(path, "a CSV file")
    broken: list[int] = []
    kinds = {name: _KINDS[kind] for name, kind in wanted.items()}
    try:
        table = _parsed(path, kinds, broken)
        bad = np.zeros(table.num_rows, bool)
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise _unreadable(path, "a whole CSV file with a header", error) from error
        broken.clear()
        texts = _parsed(path, dict.fromkeys(kinds, pa.string()), broken)
        table, bad = _converted(texts, kinds)
    except KeyError as error:
        found = dict.fromkeys(pyarrow.csv.open_csv(path).schema.names, "")
        raise SourceError(_changed(path, {n: k for n, k in wanted.items() if n not in found}, found)) from error
    except OSError as error:
        raise _unreadable(path, "a whole CSV file with a header", error) from error
    return _records(path, table, bad, broken, defects)


def _parsed(path: Path, kinds: Mapping[str, pa.DataType], broken: list[int]) -> pa.Table:
    def skip(row: Any) -> str:
        broken.append(row.number)
        return "skip"

    convert = pyarrow.csv.ConvertOptions(column_types=kinds, include_columns=list(kinds))
    # One thread, so that a broken row knows its line.
    return pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip),
        convert_options=convert,
    )


def _converted(texts: pa.Table, kinds: Mapping[str, pa.DataType]) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Convert what can be converted; the mask marks rows with a field that cannot."""
    bad = np.zeros(texts.num_rows, bool)
    columns = {}
    for name, kind in kinds.items():
        text = texts[name].combine_chunks()
        if kind != pa.string():
            empty = pc.equal(text, "")
            pattern = _NUMBER if kind == pa.float64() else r"^[+-]?\d{1,18}$"
            fits = pc.or_(empty, pc.match_substring_regex(text, pattern))
            bad |= ~fits.fill_null(False).to_numpy(zero_copy_only=False)
            usable = pc.and_(fits, pc.invert(empty))
            text = pc.if_else(usable, text, pa.scalar(None, pa.string())).cast(kind)
        columns[name] = text
    return pa.table(columns), bad


def _records(path: Path, table: pa.Table, bad: NDArray[np.bool_], broken: list[int], defects: Defects) -> Records:
    lines = np.setdiff1d(np.arange(2, 2 + table.num_rows + len(broken), dtype=np.int64), np.array(broken, np.int64))
    columns: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if column.type == pa.int64():
            bad |= column.is_null().to_numpy(zero_copy_only=False)
            column = column.fill_null(0)
        columns[name] = column.to_numpy(zero_copy_only=False)
    wrong = sorted([*broken, *lines[bad].tolist()])
    defects.count(Defect.MALFORMED, len(wrong), f"{path}, line {wrong[0]}" if wrong else "")
    records = Records(columns, lines)
    return records.where(~bad) if bad.any() else records


def _changed(path: Path, wanted: Mapping[str, str], found: Mapping[str, str]) -> str:
    return (
        f"{path}: wanted columns {', '.join(f'{n} {k}' for n, k in wanted.items())}; found "
        f"{', '.join(f'{n} {k}'.strip() for n, k in found.items())}; the layout has changed or this is another source"
    )


def _unreadable(path: Path, wanted: str, error: Exception) -> SourceError:
    return SourceError(f"{path}: wanted {wanted}, found {error}; fetch the file again or move it out of the folder")
