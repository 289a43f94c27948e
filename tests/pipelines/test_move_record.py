import json
from pathlib import Path

import pytest

from pipelines.move_record import journal_problem, read_record
from registry.journal import JOURNAL_FILE
from registry.states import Actor
from tests.registry.stores import HUMAN, World

EVIDENCE = {
    "trial": "canary", "version": 2, "decision": "roll_back",
    "breaches": [{"reason": "winrate_delta", "value": 0.471, "limit": 0.503, "text": "8 points | lower"}],
    "numbers": {"winrate_canary": 0.471, "sample_canary": 612.0}, "limits": {"winrate_canary": 0.503},
}  # fmt: skip
TX = "verdict-canary-2-salt"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Version 2 was the canary of version 1, and a sensor withdrew it."""
    made = World.at(tmp_path)
    made.activate()
    made.canary(2)
    by = Actor("sensor", "rollback_sensor")
    made.registrar().rollback(by, "winrate_delta", "8 points lower", EVIDENCE, subject="canary", tx=TX)
    return made


def test_a_record_says_who_what_why_and_what_holds_since(world: World) -> None:
    """In the words of the journal."""
    record = read_record(world.root, TX)
    assert record.title == "version 2 was rolled back (epoch 6)"
    facts = record.facts()
    assert facts["who"] == "sensor:rollback_sensor"
    assert facts["why"] == "winrate_delta: 8 points lower"
    assert facts["when"].startswith("2026-01-07 12:00:00.000")
    assert (facts["from"], facts["to"]) == ("canary", "rolled_back")
    assert facts["slots since"] == "active 1, previous -, shadow -"
    assert facts["rollout since"].startswith("disabled, 0% for the canary, cooldown until 2026-01-07 12:15")
    assert facts["evidence sha256"] == record.intent.evidence
    assert facts["runbook"] == "docs/runbook.md#rollback-guard-trigger (tidegate runbook rollback-guard-trigger)"


def test_a_record_shows_the_numbers_beside_their_limits(world: World) -> None:
    """As Markdown tables, which a bar in a sentence does not break."""
    story = read_record(world.root, TX).story()
    assert "| winrate_canary | 0.471 | 0.503 |" in story
    assert "| sample_canary | 612 |  |" in story
    assert "| winrate_delta | 0.471 | 0.503 | 8 points \\| lower |" in story


def test_people_are_told_in_one_sentence_each(world: World) -> None:
    """A withdrawal warns, a promotion is good news; each names where to read on."""
    notice = read_record(world.root, TX).notice()
    assert (notice.title, notice.urgency) == ("version 2 was rolled back (epoch 6)", "warning")
    assert "winrate_delta: 8 points lower; by sensor:rollback_sensor; see docs/runbook.md#" in notice.text
    world.passes(hours=1)
    moved = world.registrar().enable_rollout(HUMAN, "looked into", force=True)
    enabled = read_record(world.root, moved.tx).notice()
    assert (enabled.title, enabled.urgency) == ("The rollout was enabled (epoch 7)", "info")
    assert "docs/runbook.md#operational-commands" in enabled.text


def test_a_move_that_was_never_made_has_no_record(world: World) -> None:
    """Whoever asks for it learns that."""
    with pytest.raises(KeyError):
        read_record(world.root, "verdict-canary-9-salt")


def test_evidence_that_was_changed_or_lost_is_said(world: World) -> None:
    """The rest of the record stands."""
    path = world.root / "evidence" / f"{read_record(world.root, TX).intent.evidence}.json"
    path.write_text(json.dumps(EVIDENCE | {"decision": "hold"}))
    changed = read_record(world.root, TX)
    assert "changed" in changed.evidence_problem
    assert changed.evidence_problem in changed.story()
    path.unlink()
    assert read_record(world.root, TX).evidence_problem
    assert read_record(world.root, TX).title == "version 2 was rolled back (epoch 6)"


def test_a_changed_journal_is_named_by_its_line(world: World) -> None:
    """An intact one has no problem."""
    assert journal_problem(world.root) == ""
    path = world.root / JOURNAL_FILE
    path.write_bytes(path.read_bytes().replace(b"8 points lower", b"9 points lower"))
    assert "line 11" in journal_problem(world.root)
