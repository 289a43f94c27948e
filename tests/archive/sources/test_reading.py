"""Finding and opening files: every failure is a SourceError that names the file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archive.errors import SourceError
from archive.sources.reading import files_in, opened, read_parquet
from tests.archive.sources.made import truncate, write


def test_files_are_found_in_order(tmp_path: Path) -> None:
    """Sorted by name, whatever the file system says."""
    for name in ("b.csv", "a.csv", "c.txt"):
        write(tmp_path / name, "x")
    assert [path.name for path in files_in(tmp_path, "*.csv", "files")] == ["a.csv", "b.csv"]
    with pytest.raises(SourceError, match=r"no bars \(\*\.gz\), found a\.csv, b\.csv, c\.txt"):
        files_in(tmp_path, "*.gz", "bars")


def test_a_stream_that_breaks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """A gzip cut short fails in the middle; the error names the file all the same."""
    path = truncate(write(tmp_path / "a.gz", "".join(f"line {k * k}\n" for k in range(5_000))))
    with pytest.raises(SourceError, match=r"a\.gz: wanted a whole file"), opened(path) as stream:
        stream.read()
    with pytest.raises(SourceError, match="does not exist"), opened(tmp_path / "none.gz"):
        pass


def test_parquet_columns_are_checked_by_name_and_type(tmp_path: Path) -> None:
    """Other columns may come and go; the wanted ones must be there and of their kind."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1.5], "n": [1], "more": ["?"]}), path)
    assert read_parquet(path, {"x": "double"}).column_names == ["x"]
    with pytest.raises(SourceError, match="wanted columns n double, y int; found n int64, y nothing"):
        read_parquet(path, {"x": "double", "n": "double", "y": "int"})
    with pytest.raises(SourceError, match="wanted a whole parquet file"):
        read_parquet(truncate(path), {"x": "double"})
