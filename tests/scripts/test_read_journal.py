"""scripts/read_journal.py shows what a journal holds, and says where it is damaged."""

import json
from pathlib import Path

import pytest

from live.executor.journal import Journal
from live.executor.journal_files import DiskFile
from live.executor.records import Accepted, Doubted, encode
from scripts.read_journal import main


def _journal(folder: Path) -> tuple[Path, str]:
    """A journal of three synced records, and its head."""
    path = folder / "executor.journal"
    journal = Journal(DiskFile(path))
    for fact in (Doubted("a-e0-0", "restart", 5), Accepted("a-e0-0", "77", 6, 7), Accepted("b-e0-0", "78", 8, 9)):
        journal.append([encode(fact)])
        journal.sync()
    journal.close()
    return path, journal.head


def test_every_record_is_a_line_and_the_head_comes_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of fields are printed, and the hash that the executor shows."""
    path, head = _journal(tmp_path)
    assert main([str(path)]) == 0
    first, *_, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first == {"record": "Doubted", "client_id": "a-e0-0", "reason": "restart", "at_ns": 5}
    assert last == {"records": 3, "head": head, "torn_bytes": 0}


def test_a_torn_end_is_told_and_not_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reading changes nothing: the executor may be writing."""
    path, _ = _journal(tmp_path)
    torn = path.read_bytes()[:-3]
    path.write_bytes(torn)
    assert main([str(path)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["torn_bytes"] > 0
    assert path.read_bytes() == torn


def test_damage_and_absence_end_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the file."""
    path, _ = _journal(tmp_path)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    assert main([str(path)]) == 1
    assert main([str(tmp_path / "none")]) == 1
    damaged, absent = capsys.readouterr().err.splitlines()
    assert damaged.startswith(f"{path}: the journal is damaged at byte 0")
    assert absent.startswith(f"{tmp_path / 'none'}: ")
