"""Reading delimited text: whole columns out of CSV, plain, gzip or zip, row by row forgiving.

A row that cannot be parsed is dropped, counted as malformed, and the line of the first one kept. A file that cannot be
read, or has other columns than it should, raises SourceError.
"""

import csv
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from archive.sources.day import Defect, Defects
from archive.sources.reading import changed_layout, existing, opened, unreadable

_PATTERNS = {"int": r"^[+-]?\d{1,18}$", "float": r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"}
_KINDS = {"int": pa.int64(), "float": pa.float64(), "text": pa.string(), "time": pa.timestamp("ns")}


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


def read_csv(path: Path, wanted: Mapping[str, str], defects: Defects, *, names: Sequence[str] = ()) -> Records:
    """Return the wanted columns of a CSV file.

    `wanted` maps names to "int" (int64), "time" (ISO text, int64 ns UTC), "float" (float64, an empty field is NaN) or
    "text" (objects). `names` are the columns in order for files that come without a header (their first line then
    begins with a digit). Raises SourceError as the module says.
    """
    text = _open(existing(path, "a CSV file"), names)
    missing = {name: kind for name, kind in wanted.items() if name not in text.columns}
    if missing:
        raise changed_layout(path, missing, dict.fromkeys(text.columns, ""))
    broken: list[int] = []
    try:
        table = _parsed(text, {name: _KINDS[kind] for name, kind in wanted.items()}, broken)
        bad = np.zeros(table.num_rows, bool)
    except pa.ArrowInvalid as error:
        # A row that is too long or short, and no text either, cannot be skipped the first time.
        if "conversion error" not in str(error) and "parse error" not in str(error):
            raise unreadable(path, "a whole CSV file", error) from error
        table, bad = _converted(_texts(text, wanted, broken), wanted)
    except OSError as error:
        raise unreadable(path, "a whole CSV file", error) from error
    return _records(text, table, bad, broken, defects)


class _Text(NamedTuple):
    """A file, its content when it is not the file itself, its columns, and the line its first row stands on."""

    path: Path
    content: bytes | None
    columns: tuple[str, ...]
    first_line: int


def _open(path: Path, names: Sequence[str]) -> _Text:
    try:
        content = _unzipped(path) if path.suffix == ".zip" else None
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise unreadable(path, "a zip with one CSV file", error) from error
    if content is None:
        with opened(path) as stream:
            line = stream.readline()
    else:
        line = content.partition(b"\n")[0]
    try:
        found = next(csv.reader([line.decode("utf-8-sig", "replace").strip()]), [])
    except csv.Error as error:  # lines that end as on no machine of today, or a first line without an end
        raise unreadable(path, "a CSV file", error) from error
    if not found:
        raise unreadable(path, "a CSV file", "no first line")
    if names and found[0][:1].isdigit():
        return _Text(path, content, tuple(names[: len(found)]), 1)
    return _Text(path, content, tuple(found), 2)


def _unzipped(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".csv")]
        if len(members) != 1:
            raise zipfile.BadZipFile(f"{len(members)} CSV files inside")
        return archive.read(members[0])


def _parsed(text: _Text, kinds: Mapping[str, pa.DataType], broken: list[int]) -> pa.Table:
    def skip(row: Any) -> str:
        broken.append(row.number)
        return "skip"

    names = text.columns if text.first_line == 1 else None
    return pyarrow.csv.read_csv(
        pa.BufferReader(text.content) if text.content is not None else text.path,
        # One thread, so that a broken row knows its line.
        read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=names),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip),
        convert_options=pyarrow.csv.ConvertOptions(column_types=kinds, include_columns=list(kinds)),
    )


def _texts(text: _Text, wanted: Mapping[str, str], broken: list[int]) -> pa.Table:
    """Return every field as text. Bytes that are no UTF-8 are replaced, so that their row is refused and no other."""
    kinds = dict.fromkeys(wanted, pa.string())
    broken.clear()
    try:
        return _parsed(text, kinds, broken)
    except pa.ArrowInvalid:
        broken.clear()
    try:
        return _parsed(text._replace(content=_readable(text)), kinds, broken)
    except pa.ArrowInvalid as error:
        raise unreadable(text.path, "a whole CSV file", error) from error


def _readable(text: _Text) -> bytes:
    content = text.content
    if content is None:
        with opened(text.path) as stream:
            content = stream.read()
    return content.decode("utf-8", "replace").encode()


def _converted(texts: pa.Table, wanted: Mapping[str, str]) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Convert what can be converted; the mask marks rows with a field that cannot."""
    bad = np.zeros(texts.num_rows, bool)
    columns = {}
    for name, kind in wanted.items():
        text = pc.utf8_trim_whitespace(texts[name].combine_chunks())
        empty = pc.equal(text, "")
        if kind == "time":
            text = pa.array([_iso_ns(each) for each in text.to_pylist()], _KINDS[kind])
            bad |= text.is_null().to_numpy(zero_copy_only=False)
        elif kind != "text":
            fits = pc.match_substring_regex(text, _PATTERNS[kind])
            bad |= pc.invert(pc.or_(fits, empty)).to_numpy(zero_copy_only=False)
            text = pc.if_else(fits, text, pa.scalar(None, pa.string())).cast(_KINDS[kind])
        columns[name] = text
    return pa.table(columns), bad


def _iso_ns(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def _records(text: _Text, table: pa.Table, bad: NDArray[np.bool_], broken: list[int], defects: Defects) -> Records:
    stop = text.first_line + table.num_rows + len(broken)
    lines = np.setdiff1d(np.arange(text.first_line, stop, dtype=np.int64), np.array(broken, np.int64))
    columns: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if column.type in {_KINDS["int"], _KINDS["time"]}:
            bad |= column.is_null().to_numpy(zero_copy_only=False)
            column = column.cast(pa.int64()).fill_null(0)
        columns[name] = (
            _shared_texts(column) if column.type == _KINDS["text"] else column.to_numpy(zero_copy_only=False)
        )
    wrong = sorted([*broken, *lines[bad].tolist()])
    defects.count(Defect.MALFORMED, len(wrong), f"{text.path}, row {wrong[0]}" if wrong else "")
    records = Records(columns, lines)
    return records.where(~bad) if bad.any() else records


def _shared_texts(column: pa.Array) -> NDArray[Any]:
    """Return text as objects, one object for all equal ones: sides and flags repeat by the million."""
    encoded = column.dictionary_encode()
    return np.asarray(np.array(encoded.dictionary.to_pylist(), object)[encoded.indices.to_numpy()])
