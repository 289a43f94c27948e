"""The journal as people read it: does it hold, who moved what and why, and on what evidence."""

from pathlib import Path

import pytest

from registry.audit import evidence, log, moves, verify
from registry.errors import ManifestError
from registry.journal import JOURNAL_FILE
from tests.registry.stores import SENSOR, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A registry whose canary was withdrawn on evidence."""
    made = World.at(tmp_path)
    made.activate(1)
    made.canary(2)
    found = made.verdict("canary", 2, "roll_back", numbers={"winrate_canary": 0.41})
    made.registrar().rollback(SENSOR, "winrate_delta", "41 % against 55 %", found, subject="canary")
    return made


def test_a_sound_journal_holds(world: World) -> None:
    """Against itself, its evidence, the mirror and MLflow."""
    found = verify(world.root, world.store.tags)
    assert found.holds
    assert (found.moves, found.line) == (6, None)
    assert verify(world.root / "nothing").holds


def test_a_changed_line_is_named(world: World) -> None:
    """Every one of them, whatever was changed in it."""
    path = world.root / JOURNAL_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        changed = line.replace(b"anna", b"emma") if b"anna" in line else line.replace(b"2026", b"2025", 1)
        assert changed != line
        path.write_bytes(b"".join([*lines[: number - 1], changed, *lines[number:]]))
        found = verify(world.root)
        assert (found.holds, found.line) == (False, number)
        assert f"line {number}" in found.text


def test_a_journal_cut_at_its_end_is_found_by_what_others_remember(world: World) -> None:
    """The chain of what is left is sound; the mirror and MLflow name a line that is gone."""
    path = world.root / JOURNAL_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    assert "manifest.json names the line" in verify(world.root).text
    (world.root / "manifest.json").unlink()
    assert verify(world.root).holds, "nobody here remembers"
    assert "MLflow's tag tidegate.head names the line" in verify(world.root, world.store.tags).text
    path.write_bytes(b"".join(lines)[:-1])
    assert verify(world.root).line == len(lines)


def test_changed_evidence_is_found(world: World) -> None:
    """As is evidence that is gone."""
    sha256 = log(world.root, 1)[0].evidence
    path = world.root / "evidence" / f"{sha256}.json"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0.41", b"0.14"))
    assert "its content has sha256" in verify(world.root).text
    with pytest.raises(ManifestError, match="it was changed since it was written"):
        evidence(world.root, sha256)
    path.unlink()
    assert "it is the evidence of" in verify(world.root).text


def test_the_log_says_who_and_why(world: World) -> None:
    """Newest first, as many as asked for."""
    newest = log(world.root, 2)
    assert [(each.transition, each.version, each.by) for each in newest] == [
        ("rollback", 2, "sensor:verdict"), ("canary", 2, "sensor:verdict"),
    ]  # fmt: skip
    assert newest[0].text == "41 % against 55 %"
    assert tuple(reversed(moves(world.root)))[:2] == newest


def test_evidence_is_found_by_the_beginning_of_its_name(world: World) -> None:
    """As long as it is the beginning of one."""
    sha256 = log(world.root, 1)[0].evidence
    assert evidence(world.root, sha256[:10])["numbers"] == {"winrate_canary": 0.41}
    with pytest.raises(ManifestError, match="0 files begin with 'feed'"):
        evidence(world.root, "feed")
    with pytest.raises(ManifestError, match="wanted one"):
        evidence(world.root, "../x")
