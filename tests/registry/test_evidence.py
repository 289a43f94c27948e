"""Evidence under its own hash."""

from pathlib import Path

from registry.evidence import EVIDENCE_FOLDER, find, keep, sha256_of


def test_the_same_evidence_is_one_file(tmp_path: Path) -> None:
    """In whatever order its fields came."""
    first = keep(tmp_path, {"a": 1, "b": [0.1]})
    assert keep(tmp_path, {"b": [0.1], "a": 1}) == first == sha256_of({"a": 1, "b": [0.1]})
    assert len(list((tmp_path / EVIDENCE_FOLDER).glob("*.json"))) == 1
    assert find(tmp_path, first) == {"a": 1, "b": [0.1]}


def test_none_is_none(tmp_path: Path) -> None:
    """A move without evidence names none."""
    assert keep(tmp_path, None) == keep(tmp_path, {}) == ""
    assert not (tmp_path / EVIDENCE_FOLDER).exists()
