"""The manifest is a memory: kept when it can be, ignored when it cannot be trusted."""

import logging
from pathlib import Path

import msgspec
import pytest

from archive import manifest
from archive.layout import BOOK
from archive.manifest import Entry, entry_of
from archive.storage import Stamp, open_storage
from archive.store import Lake
from tests.archive.lakes import DAY, START_NS, book_at

ENTRY = Entry(
    size_bytes=10, version="5-1", schema_version=1, first_ns=1, last_ns=9, gaps=((2, 3), (4, 8)), break_count=0
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Entry for entry."""
    storage = open_storage(tmp_path)
    manifest.save(storage, BOOK, {"a": ENTRY, "b": msgspec.structs.replace(ENTRY, gaps=())})
    assert manifest.load(storage, BOOK) == {"a": ENTRY, "b": msgspec.structs.replace(ENTRY, gaps=())}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "entries": {"a": {}}}', b"\xff"]
)
def test_a_damaged_manifest_is_ignored_aloud(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It counts as empty, and the log says so."""
    storage = open_storage(tmp_path)
    storage.replace(f"{BOOK}/{manifest.NAME}", lambda file: file.write(content))
    with caplog.at_level(logging.WARNING):
        assert manifest.load(storage, BOOK) == {}
    assert "reading the footers instead" in caplog.text


def test_no_manifest_and_one_of_another_format_are_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither is worth a warning."""
    storage = open_storage(tmp_path)
    assert manifest.load(storage, BOOK) == {}
    content = msgspec.json.encode({"format": manifest.FORMAT + 1, "entries": {}})
    storage.replace(f"{BOOK}/{manifest.NAME}", lambda file: file.write(content))
    assert manifest.load(storage, BOOK) == {}
    assert caplog.text == ""


def test_a_manifest_that_cannot_be_written_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The scan it follows has its answer; only the next one is slower."""
    (tmp_path / BOOK).write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        manifest.save(open_storage(tmp_path), BOOK, {"a": ENTRY})
    assert "not renewed" in caplog.text


@pytest.mark.parametrize(
    ("stamp", "schema_version", "same"),
    [
        (Stamp(10, "5-1"), 1, True),
        (Stamp(11, "5-1"), 1, False),
        (Stamp(10, "6-1"), 1, False),
        (Stamp(10, "5-1"), 2, False),
    ],
)
def test_an_entry_is_of_one_stamp_and_one_version(stamp: Stamp, schema_version: int, same: bool) -> None:
    """Another size, another version of the file or of the reader: read it again."""
    assert ENTRY.is_of(stamp, schema_version) is same


def test_an_entry_remembers_what_a_scan_needs(tmp_path: Path) -> None:
    """Ends, gaps, and where the breaks begin and end."""
    times_ns = START_NS + 20_000_000_000 * book_at([0, 1, 2, 3]).exchange_ns
    facts = Lake(tmp_path).write_book("BTCUSDT", DAY, book_at(times_ns, breaks=[1, 3]), source="test")
    entry = entry_of(facts, Stamp(facts.size_bytes, "v"))
    assert (entry.first_ns, entry.last_ns, entry.gaps) == (facts.first_ns, facts.last_ns, facts.gaps)
    assert (entry.break_count, entry.first_break_ns, entry.last_break_ns) == (2, times_ns[1], times_ns[3])
