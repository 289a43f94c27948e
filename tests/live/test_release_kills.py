"""What trials know survives kill -9, float for float: by the log, and by risk's journal for what was not yet in it."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

from bus.messages import ControlEvent
from tests.live.parts import ROOT
from tests.live.release_stage import ReleaseStage, reasons

COUNT = 400


def _process(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.live.doomed_release", str(folder), str(COUNT)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _end_of(folder: Path) -> dict[str, Any]:
    with _process(folder) as process:
        assert process.stdout is not None
        *_, last = process.stdout
    found: dict[str, Any] = json.loads(last)
    return found


def test_a_trial_killed_again_and_again_knows_the_same_floats(tmp_path: Path) -> None:
    """A real kill -9 at five places; then everything is as in a process that lived."""
    killed, lived = tmp_path / "killed", tmp_path / "lived"
    rng = Random(11)
    for _ in range(5):
        with _process(killed) as process:
            assert process.stdout is not None
            for _ in range(rng.randrange(1, 60)):
                process.stdout.readline()
            process.kill()
    found, wanted = _end_of(killed), _end_of(lived)
    assert set(found["known"]) == {"active", "shadow", "canary"}
    assert found["known"]["canary"]["trial"]["candidates"] == COUNT
    assert found["known"] == wanted["known"]
    for name, numbers in wanted["said"].items():
        numbers.pop("elapsed_seconds"), found["said"][name].pop("elapsed_seconds")
        assert found["said"][name] == numbers


def test_a_fence_survives_and_is_not_called_twice(tmp_path: Path) -> None:
    """Killed behind the halt: the successor holds it, says so, and lets it go with the epoch."""
    stage = ReleaseStage(tmp_path)
    stage.seat(active=1, shadow=2)
    stage.roll(1)
    stage.start().routed(200, canary=0.1, active=0.9)
    said = stage.last("canary")
    again = ReleaseStage(tmp_path)
    again.clock.advance_to(stage.clock.wall_ns())
    again.start()
    assert again.halts() == [("HALT", "WARN", reasons(said)[0], "canary")]
    assert again.last("canary").breaches == said.breaches
    assert again.last("canary").numbers == said.numbers
    again.roll(2, mode="disabled", fraction=0.0)
    again.pass_second()
    assert again.halts()[-1] == ("RESUME", "INFO", reasons(said)[0], "canary")
    third = ReleaseStage(tmp_path)
    third.clock.advance_to(again.clock.wall_ns())
    third.start()
    assert third.halts() == []
    assert third.verdicts("canary") == []


def test_a_crit_is_not_said_again_as_crit(tmp_path: Path) -> None:
    """Killed behind it: no second cooldown."""
    stage = ReleaseStage(tmp_path)
    stage.seat(active=1)
    stage.start().release.on_control(
        ControlEvent("ALERT", "CRIT", "parity", "v1-0a1b", "model_error", "ai_scorer", 0, "", "", "")
    )
    assert stage.halts() == [("HALT", "CRIT", "onnx_parity_fail", "")]
    again = ReleaseStage(tmp_path)
    again.clock.advance_to(stage.clock.wall_ns())
    again.start()
    assert again.halts() == [("HALT", "WARN", "onnx_parity_fail", "")]
    assert again.last("active").decision == "roll_back"


def test_killed_between_the_verdict_and_the_halt(tmp_path: Path) -> None:
    """The log says bad, nobody was told: the successor halts and tells."""
    stage = ReleaseStage(tmp_path)
    stage.seat(active=1, shadow=2)
    stage.roll(1)
    stage.start().routed(200, canary=0.1, active=0.9)
    (tmp_path / "risk.journal").unlink()
    again = ReleaseStage(tmp_path)
    again.clock.advance_to(stage.clock.wall_ns())
    again.start()
    assert [each[:2] for each in again.halts()] == [("HALT", "WARN")]
    assert again.last("canary").decision == "roll_back"


def test_a_damaged_log_is_told_of_and_the_trial_begins_anew(tmp_path: Path) -> None:
    """Evidence that nobody can read is none."""
    stage = ReleaseStage(tmp_path)
    stage.seat(active=1)
    stage.start()
    (path,) = stage.logs()
    path.write_bytes(b"torn")
    again = ReleaseStage(tmp_path)
    again.clock.advance(seconds=10.0)
    again.start()
    assert [each.reason for each in again.events("ALERT")] == ["journal_error"]
    assert path.with_suffix(".damaged").exists()
    assert again.last("active").decision == "hold"
