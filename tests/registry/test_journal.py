"""The chain: what is read back, what a changed byte breaks, and what following it costs."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import JournalBroken, ManifestError
from registry.journal import JOURNAL_FILE, Commit, Folded, HeadReader, append, read_head
from registry.states import Head
from tests.registry.stores import HUMAN, START, World


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The journal of a registry that promoted a version and went back."""
    world = World.at(tmp_path_factory.mktemp("journal"))
    world.activate(1)
    world.promote(2)
    world.registrar().rollback(HUMAN, "operator", "back")
    return (world.root / JOURNAL_FILE).read_bytes()


def test_no_journal_is_an_empty_head(tmp_path: Path) -> None:
    """Nothing was moved yet."""
    assert read_head(tmp_path) == Head()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_changed_byte_breaks_its_line(written: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """The reader names the line, counted from 1, and never an earlier one."""
    at = data.draw(st.integers(0, len(written) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda each: each not in (written[at], 10)))
    if written[at] == 10:
        return  # two lines become one: seen from the first of them, covered below
    path = tmp_path / JOURNAL_FILE
    path.write_bytes(written[:at] + bytes([byte]) + written[at + 1 :])
    with pytest.raises(JournalBroken) as broken:
        read_head(tmp_path)
    assert broken.value.line == written[:at].count(b"\n") + 1


def test_lines_left_out_exchanged_or_joined_are_found(written: bytes, tmp_path: Path) -> None:
    """At the first line that does not follow the one before it."""
    lines = written.splitlines(keepends=True)
    path = tmp_path / JOURNAL_FILE
    for at in range(len(lines) - 1):
        for content in (lines[:at] + lines[at + 1 :], [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]):
            path.write_bytes(b"".join(content))
            with pytest.raises(JournalBroken) as broken:
                read_head(tmp_path)
            assert broken.value.line == at + 1
        path.write_bytes(b"".join([*lines[:at], lines[at].rstrip(b"\n"), *lines[at + 1 :]]))
        with pytest.raises(JournalBroken, match=f"line {at + 1}"):
            read_head(tmp_path)


def test_a_reader_follows_what_is_appended(written: bytes, tmp_path: Path) -> None:
    """Line by line it comes to the same head as one who reads it all; a file put in its place is read anew."""
    path = tmp_path / JOURNAL_FILE
    lines = written.splitlines(keepends=True)
    reader = HeadReader(tmp_path)
    for end in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:end]))
        assert reader.look() == read_head(tmp_path)
    beside = tmp_path / "beside"
    beside.write_bytes(b"".join(lines[:4]))
    beside.replace(path)
    assert reader.look() == read_head(tmp_path)
    path.unlink()
    assert reader.look() == Head()


def test_a_reader_takes_half_a_line_for_none(written: bytes, tmp_path: Path) -> None:
    """Its other half may be on the way."""
    path = tmp_path / JOURNAL_FILE
    reader = HeadReader(tmp_path)
    for end in range(0, len(written), 97):
        path.write_bytes(written[:end])
        reader.look()
    path.write_bytes(written)
    assert reader.look() == read_head(tmp_path)


def test_a_broken_line_is_told_of_with_every_look(written: bytes, tmp_path: Path) -> None:
    """Until the file is restored."""
    path = tmp_path / JOURNAL_FILE
    lines = written.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{}\n", *lines[4:]]))
    reader = HeadReader(tmp_path)
    for _ in range(3):
        with pytest.raises(JournalBroken, match="line 4: not a record of the journal"):
            reader.look()
    path.write_bytes(written)
    assert reader.look() == read_head(tmp_path)


def test_a_commit_of_nothing_is_no_line_of_a_journal(tmp_path: Path) -> None:
    """The chain alone does not make a history."""
    with pytest.raises(JournalBroken, match="ends tx, the open move is none"):
        append(tmp_path, Commit(tx="tx", epoch=1, at=START, effects={}), Folded())


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    """Whoever made it."""
    (tmp_path / JOURNAL_FILE).mkdir()
    with pytest.raises(ManifestError, match=JOURNAL_FILE):
        read_head(tmp_path)
