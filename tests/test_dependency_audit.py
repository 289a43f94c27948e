"""The audit of dependencies finds what it is there for."""

import json

from tests.dependency_audit import ACCEPTED, LOCK, known, pins, strays, unpinned, unwanted, was_looked_up


def test_the_lock_pins_everything_and_is_installed() -> None:
    """One version each, from the index, and that is what runs; no licence that binds a service."""
    text = LOCK.read_text(encoding="utf-8")
    assert [*unpinned(text), *strays(pins(text)), *unwanted(pins(text))] == []
    assert len(pins(text)) > 150


def test_what_is_not_pinned_is_named() -> None:
    """Ranges, links, paths, another index."""
    lines = ["a>=1", "b @ https://host/b.whl", "./c", "-e .", "--index-url https://host", "d"]
    assert len(list(unpinned("\n".join([*lines, "e==1.0 ; sys_platform == 'linux'", "# f"])))) == len(lines)


def test_another_version_than_the_lock_says_is_named() -> None:
    """Somebody upgraded by hand."""
    assert next(strays({"pytest": "0.0.1", "not-here-at-all": "1"})).startswith("pytest ")


def test_a_known_vulnerability_is_told_with_what_mends_it() -> None:
    """As pip-audit reports it."""
    flaw = {"id": "PYSEC-0", "fix_versions": ["2.0"]}
    report = {"dependencies": [{"name": "a", "version": "1", "vulns": [flaw]}, {"name": "b", "skip_reason": "x"}]}
    assert known(json.dumps(report)) == ["a 1: PYSEC-0, mended in 2.0"]


def test_skipped_packages_are_not_taken_for_sound_ones() -> None:
    """A mirror of the index knows no advisories, and pip-audit then skips everything without failing."""
    skipped, sound = {"name": "a", "skip_reason": "not found"}, {"name": "b", "version": "1", "vulns": []}
    assert was_looked_up(json.dumps({"dependencies": [sound, sound, skipped]}))
    assert not was_looked_up(json.dumps({"dependencies": [sound, skipped, skipped]}))
    assert not was_looked_up(json.dumps({"dependencies": []}))


def test_every_accepted_advisory_has_a_reason() -> None:
    """A bare number would hide a hole."""
    assert all(len(reason) > 20 for reason in ACCEPTED.values())
