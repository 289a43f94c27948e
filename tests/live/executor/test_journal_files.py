"""The journal's file on a real disk: appended, replaced whole, and held by one process."""

from pathlib import Path

import pytest

from live.errors import JournalBusy, JournalError
from live.executor.journal import Journal
from live.executor.journal_files import DiskFile


def test_a_journal_on_a_disk_outlives_its_process(tmp_path: Path) -> None:
    """Written, closed, read by the next one; compaction in between."""
    path = tmp_path / "executor" / "executor.journal"
    journal = Journal(DiskFile(path))
    journal.append([b"a", b"b"])
    journal.close()
    journal = Journal(DiskFile(path))
    assert list(journal.recovered) == [b"a", b"b"]
    journal.replace(b"sum")
    journal.append([b"c"])
    journal.close()
    journal = Journal(DiskFile(path))
    assert list(journal.recovered) == [b"sum", b"c"]
    journal.close()


def test_two_executors_never_share_a_journal(tmp_path: Path) -> None:
    """Fault 38 on one host: the second is refused, also behind a compaction; the name is free when the first ends."""
    path = tmp_path / "executor.journal"
    file = DiskFile(path)
    file.replace(b"")
    with pytest.raises(JournalBusy, match="another executor"):
        DiskFile(path)
    file.close()
    DiskFile(path).close()


def test_a_torn_tail_is_cut_on_the_disk(tmp_path: Path) -> None:
    """And the file is appended to behind the cut."""
    path = tmp_path / "executor.journal"
    journal = Journal(DiskFile(path))
    journal.append([b"a"])
    journal.close()
    with path.open("ab") as file:
        file.write(b"torn")
    journal = Journal(DiskFile(path))
    assert journal.torn_bytes == 4
    journal.append([b"b"])
    journal.close()
    journal = Journal(DiskFile(path))
    assert list(journal.recovered) == [b"a", b"b"]
    journal.close()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A file where the folder should be: an error that names the path, and nothing left open."""
    (tmp_path / "taken").write_text("x")
    with pytest.raises(JournalError, match="taken"):
        DiskFile(tmp_path / "taken" / "executor.journal")
