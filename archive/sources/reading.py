"""Finding and opening recorded files, with one clear error for what is missing, truncated or of another layout."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from archive.errors import SourceError


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
        raise unreadable(path, "a whole file", error) from error


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
            raise changed_layout(path, {n: wanted[n] for n in wrong}, wrong)
        return pq.read_table(path, columns=list(wanted))
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, "a whole parquet file", error) from error


def changed_layout(path: Path, wanted: Mapping[str, str], found: Mapping[str, str]) -> SourceError:
    """Return the error for a file that has not the wanted columns, each with its kind."""
    return SourceError(
        f"{path}: wanted columns {', '.join(f'{n} {k}' for n, k in wanted.items())}; found "
        f"{', '.join(f'{n} {k}'.strip() for n, k in found.items())}; the layout has changed or this is another source"
    )


def unreadable(path: Path, wanted: str, found: object) -> SourceError:
    """Return the error for a file that broke while it was read."""
    return SourceError(f"{path}: wanted {wanted}, found {found}; fetch the file again or move it out of the folder")
