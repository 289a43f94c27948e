from collections.abc import Callable
from pathlib import Path

import pytest

from bus.messages import ControlEvent
from bus.publisher import Publisher
from bus.streams import CONTROL
from tests.bus.servers import needs_redis
from tidegate.drills import results
from tidegate.drills.drill import Drill
from tidegate.drills.errors import DrillFailed
from tidegate.drills.running import one, run
from tidegate.drills.scene import Scene
from tidegate.drills.timeline import PROOFS
from tidegate.drills.training import Trained

SECTION = "operational-commands"


@pytest.fixture
def stage(tmp_path: Path) -> Trained:
    """A stage without a model: enough for drills that start no service."""
    folder = tmp_path / "trained"
    (folder / "mirror").mkdir(parents=True)
    (folder / "mlflow.db").touch()
    return Trained(folder, {})


def drill(body: Callable[[Scene], None]) -> Drill:
    """A drill without services."""
    return Drill("made-up", SECTION, "nothing at all", body, groups=())


def shown(scene: Scene) -> None:
    """Show everything there is to show."""
    scene.timeline.trouble("none")
    for proof in PROOFS:
        scene.timeline.saw(proof, f"a {proof}")


@needs_redis
def test_a_drill_that_shows_everything_is_passed_and_kept(tmp_path: Path, stage: Trained) -> None:
    """Told line by line."""
    said: list[str] = []
    found = one(drill(shown), tmp_path, stage, said.append)
    assert found.passed
    assert results.read(tmp_path) == {"made-up": found}
    assert said[0] == f"\nmade-up: nothing at all  (docs/runbook.md#{SECTION})"
    assert [line.split()[1] for line in said[1:-1]] == ["trouble", *PROOFS]
    assert said[-1].startswith("  passed in")


@needs_redis
def test_a_drill_that_leaves_a_proof_out_has_failed(tmp_path: Path, stage: Trained) -> None:
    """However well everything went."""
    found = one(drill(lambda scene: scene.timeline.trouble("none")), tmp_path, stage, lambda _: None)
    assert found.failure == f"nothing was shown of: {', '.join(PROOFS)}"


@needs_redis
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda scene: scene.until(lambda: None, 0.2, "the end of time"), "waited 0.2 s for the end of time, in vain"),
        (lambda scene: scene.event("HALT", "operator", 0.2), "waited 0.2 s for HALT operator"),
        (lambda scene: scene.command("python -m tidegate up"), "does not name the command of this drill"),
        (lambda scene: scene.ending.set() or scene.until(lambda: None, 60, "anything"), "was ended while it waited"),
        (lambda scene: scene.stack.start(["nobody"]) or scene.ready("nobody"), "nobody ended with 2"),
    ],
)
def test_what_goes_wrong_fails_the_drill_with_a_sentence(
    tmp_path: Path, stage: Trained, body: Callable[[Scene], None], words: str
) -> None:
    """And ends what it started."""
    found = one(drill(body), tmp_path, stage, lambda _: None)
    assert words in found.failure


@needs_redis
def test_a_scene_reads_what_is_on_the_streams_behind_its_mark(tmp_path: Path, stage: Trained) -> None:
    """What was said before the trouble proves nothing."""
    seen: list[str] = []

    def body(scene: Scene) -> None:
        voice = Publisher(scene.stack.bus, "risk", scene.timeline.now)
        for number, reason in enumerate(("operator", "redis_error")):
            event = ControlEvent("HALT", "WARN", "", "", reason, "risk", scene.timeline.now(), "", "", "a test")
            voice.publish(CONTROL, event, message_id=f"m{number}")
            voice.flush()
            if number == 0:
                scene.mark()
        seen.extend(each.reason for each in scene.events())
        shown(scene)
        assert scene.event("HALT", "redis_error").text == "a test"

    assert one(drill(body), tmp_path, stage, lambda _: None).failure == ""
    assert seen == ["redis_error"]


@needs_redis
def test_a_command_of_the_runbook_is_typed_in_the_stacks_own_environment(tmp_path: Path, stage: Trained) -> None:
    """Its exit status is part of what is promised."""

    def body(scene: Scene) -> None:
        shown(scene)
        scene.command("python -m tidegate audit log", "audit", exits=0)
        with pytest.raises(DrillFailed, match=r"python scripts/promote_model.py .*: exit 1, wanted 0: refused"):
            scene.command("python scripts/promote_model.py --to shadow --id <MODEL_ID>", MODEL_ID="nobody")

    assert one(drill(body), tmp_path, stage, lambda _: None).failure == ""


def test_strange_names_are_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is trained, and on stderr."""
    monkeypatch.setenv("PATHS_VAR", str(tmp_path))
    assert run(["fail-safe", "flood"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("no drill flood; there are: precision-halt")
    assert list(tmp_path.iterdir()) == []
