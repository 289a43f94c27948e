"""Models under a scorer that runs: unfit ones stay out, a swap loses no candidate, the registry may be gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry import files
from registry.bundle import MODEL_FILE
from registry.manifest import MANIFEST_FILE
from tests.journeys.live.flow import controls
from tests.journeys.live.processes import Process, Site, wait
from tests.journeys.live.scoring import PlayedEngine, check, models_of, scored, scoring
from tests.live.mirrors import Models


@pytest.fixture
def engine(place: Site) -> Iterator[PlayedEngine]:
    """Candidates."""
    played = PlayedEngine(place.server.url)
    try:
        yield played
    finally:
        played.close()


@pytest.fixture
def models(place: Site) -> Models:
    """A mirror whose active model is version 1."""
    made = models_of(place)
    made.put("active", 1)
    return made


def is_scoring(place: Site, engine: PlayedEngine, version: int) -> None:
    """Play until a candidate of from now on was judged by a version."""
    begin = len(engine.said)

    def is_seen() -> bool:
        by_version = scored(place).by_version
        return version in {by_version.get(key) for key in engine.said[begin:]}

    engine.play(is_seen, f"a score by version {version}")


def refusal(place: Site, engine: PlayedEngine, scorer: Process, reason: str) -> None:
    """Play until a bundle was refused for a reason, and see that it was told and counted."""
    engine.play(lambda: alarms(place) != [], "word of it")
    (text,) = alarms(place)
    assert f"refused ({reason})" in text
    shown = place.scrape(scorer)
    assert shown.total("model_swap_refused_total", slot="active", reason=reason) == 1
    assert shown.total("onnx_parity_fail_total") == (reason == "parity")


def age(place: Site, sync: Process) -> float:
    """How long ago the registry answered, as model_sync says while it is not ready."""
    beat = place.beat(sync)
    return 0.0 if beat is None or beat.ready else float(beat.status["age_seconds"])


def alarms(place: Site) -> list[str]:
    """What was said as CRIT about models."""
    return [event.text for event in controls(place) if (event.severity, event.reason) == ("CRIT", "model_error")]


def test_a_registry_that_is_down(place: Site, engine: PlayedEngine, models: Models) -> None:
    """Fault 23: the scorer starts and goes on by the mirror; model_sync tells of the silence, and asks again."""
    sync = place.start(
        "model_sync", REGISTRY_TRACKING_URI="http://127.0.0.1:9", MODEL_SYNC_STALE_SECONDS="0.5",
        MODEL_SYNC_POLL_SECONDS="0.2",
    )  # fmt: skip
    scorer = scoring(place, engine)
    engine.play(lambda: any("registry has not answered" in event.text for event in controls(place)), "word of it")
    is_scoring(place, engine, 1)
    wait(lambda: age(place, sync) > 0.5, "its age")
    assert place.scrape(sync).total("model_sync_age_seconds") > 0.5
    assert (sync.end(), scorer.is_running) == (0, True)
    assert set(check(place, engine).by_version.values()) == {1}


def test_a_bundle_with_a_flipped_byte(place: Site, engine: PlayedEngine, models: Models) -> None:
    """Fault 24: its checksum refuses it, CRIT; the one before scores on. A restart scores by none."""
    scorer = scoring(place, engine)
    damaged = models.put("previous", 2)
    graph = bytearray((damaged / MODEL_FILE).read_bytes())
    graph[len(graph) // 2] ^= 1
    (damaged / MODEL_FILE).write_bytes(graph)
    files.point(place.folder / "mirror" / "active", damaged)
    refusal(place, engine, scorer, "corrupt")
    is_scoring(place, engine, 1)
    assert set(check(place, engine).by_version.values()) == {1}
    assert scorer.end() == 0
    again = place.start("ai_scorer")
    wait(lambda: place.beat(again) is not None, "the next scorer")
    beat = place.beat(again)
    assert beat is not None
    assert not beat.ready
    assert "no active model" in beat.status["text"]
    models.put("active", 3)
    is_scoring(place, engine, 3)
    assert set(scored(place).by_version.values()) == {1, 3}


def test_a_bundle_that_answers_otherwise(place: Site, engine: PlayedEngine, models: Models) -> None:
    """Fault 25: every hash is right, and a leaf is off by a billionth: its golden rows say so before it scores."""
    scorer = scoring(place, engine)
    models.put_otherwise("active", 2)
    refusal(place, engine, scorer, "parity")
    is_scoring(place, engine, 1)
    models.put("active", 3)
    is_scoring(place, engine, 3)
    assert set(check(place, engine).by_version.values()) == {1, 3}
    assert scorer.end() == 0


def test_swaps_under_a_flow_of_candidates(place: Site, engine: PlayedEngine, models: Models) -> None:
    """Fault 26: each candidate is scored once, by the old model or by the new one, and never by the old one again."""
    scorer = scoring(place, engine)
    for version in (2, 3, 4, 5):
        models.put("active", version)
        is_scoring(place, engine, version)
    by_version = check(place, engine).by_version
    order = [by_version[key] for key in engine.said]
    assert order == sorted(order)
    assert set(order) == {1, 2, 3, 4, 5}
    assert place.scrape(scorer).total("model_swaps_total", slot="active") == 5
    assert scorer.end() == 0


def test_a_mirror_that_is_half_written(place: Site, engine: PlayedEngine, models: Models) -> None:
    """Fault 27: what a killed writer left beside is not looked at; a manifest cut short keeps the old model."""
    mirror = place.folder / "mirror"
    scorer = scoring(place, engine)
    left_beside(mirror)
    manifest = (mirror / MANIFEST_FILE).read_bytes()
    sound = models.put("previous", 2)
    whole = (mirror / MANIFEST_FILE).read_bytes()
    (mirror / MANIFEST_FILE).write_bytes(manifest[: len(manifest) // 2])
    files.point(mirror / "active", sound)
    refusal(place, engine, scorer, "unreadable")
    is_scoring(place, engine, 1)
    files.write_file(mirror / MANIFEST_FILE, whole)
    is_scoring(place, engine, 2)
    assert set(check(place, engine).by_version.values()) == {1, 2}
    assert scorer.end() == 0


def left_beside(mirror: Path) -> None:
    """What a writer leaves that is killed before it renames."""
    (mirror / f".{MANIFEST_FILE}.abc.writing").write_bytes(b'{"format": 1, "entr')
    (mirror / ".active.1.writing").symlink_to("bundles/nowhere")
    beside = mirror / "bundles" / ".v9-abc.writing"
    beside.mkdir()
    (beside / MODEL_FILE).write_bytes(b"half a gra")
