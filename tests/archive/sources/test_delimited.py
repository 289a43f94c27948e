"""Delimited text: types, broken rows, headers, zips, and files that are none."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from archive.errors import SourceError
from archive.sources.day import Defects
from archive.sources.delimited import read_csv
from tests.archive.sources.made import write

WANTED = {"n": "int", "x": "float", "word": "text", "when": "time"}
GOOD = "n,x,word,when,more\n1,2.5,buy,2026-01-06 00:00:00,?\n2,,sell,2026-01-06T00:00:01,?\n"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip"])
def test_columns_come_as_asked_from_plain_gzip_and_zip(tmp_path: Path, name: str) -> None:
    """An empty float is NaN; columns not asked for are passed over; lines count from the header."""
    found = read_csv(write(tmp_path / name, GOOD), WANTED, defects := Defects())
    assert found["n"].tolist() == [1, 2]
    assert found["x"][0] == 2.5 and np.isnan(found["x"][1])
    assert found["word"].tolist() == ["buy", "sell"]
    assert np.diff(found["when"]).tolist() == [10**9]
    assert (found.lines.tolist(), defects.counts) == ([2, 3], {})


@pytest.mark.parametrize(
    "row",
    ["x,1,a,2026-01-06,", "1,two,a,2026-01-06,", "1,1,a,never,", ",1,a,2026-01-06,", "1,1,a", "1.5,1,a,2026-01-06,"],
)
def test_a_broken_row_costs_itself(tmp_path: Path, row: str) -> None:
    """Its line is kept; the rows around it and their own lines stay right."""
    text = GOOD + row + "\n3,1e-3,buy,2026-01-06 00:00:02,?\n"
    path = write(tmp_path / "a.csv", text)
    found = read_csv(path, WANTED, defects := Defects())
    assert (found["n"].tolist(), found.lines.tolist()) == ([1, 2, 3], [2, 3, 5])
    assert found["x"][-1] == 0.001
    assert (defects.counts, defects.first_seen) == ({"malformed": 1}, {"malformed": f"{path}, row 4"})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_row_that_is_broken_and_no_text_costs_itself_too(tmp_path: Path) -> None:
    """Too few fields, in bytes that are no UTF-8: pyarrow cannot even ask what to do with it."""
    path = write(tmp_path / "a.csv", "")
    path.write_bytes(GOOD.encode() + b"\xb3\xff,1\n3,1,buy,2026-01-06 00:00:02,?\n")
    found = read_csv(path, WANTED, defects := Defects())
    assert (found["n"].tolist(), found.lines.tolist()) == ([1, 2, 3], [2, 3, 5])
    assert defects.counts == {"malformed": 1}


def test_files_without_a_header_take_the_names_given(tmp_path: Path) -> None:
    """The names are used when the first line begins with a digit; surplus names are dropped."""
    names = ("n", "x", "surplus")
    bare = read_csv(write(tmp_path / "a.csv", "1,2.5\n2,x\n"), {"n": "int", "x": "float"}, Defects(), names=names)
    headed = read_csv(write(tmp_path / "b.csv", "x,n\n2.5,1\n"), {"n": "int", "x": "float"}, Defects(), names=names)
    assert (bare["n"].tolist(), bare.lines.tolist()) == ([1], [1])
    assert (headed["n"].tolist(), headed.lines.tolist()) == ([1], [2])
    with pytest.raises(SourceError, match="wanted columns surplus text; found n, x"):
        read_csv(tmp_path / "a.csv", {"surplus": "text"}, Defects(), names=names)


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    """All columns, no rows."""
    found = read_csv(write(tmp_path / "a.csv", "n,x,word,when\n"), WANTED, Defects())
    assert len(found) == 0
    assert found["n"].dtype == np.int64


def test_what_is_no_csv_is_refused(tmp_path: Path) -> None:
    """Empty, not gzip, not zip, a zip of two files, lines that end in a lone CR: each names the file."""
    (tmp_path / "fake.csv.gz").write_bytes(b"not gzip at all")
    (tmp_path / "fake.zip").write_bytes(b"not a zip")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "n\n1\n")
        archive.writestr("b.csv", "n\n1\n")
    write(tmp_path / "empty.csv", "")
    (tmp_path / "old.csv").write_bytes(b"n,x\r1,2\r")
    told = {
        "fake.csv.gz": "gzip",
        "fake.zip": "zip",
        "two.zip": "2 CSV",
        "empty.csv": "no first",
        "old.csv": "new-line",
    }
    for name, found in told.items():
        with pytest.raises(SourceError, match=rf"{name}: wanted.*{found}"):
            read_csv(tmp_path / name, {"n": "int"}, Defects())
