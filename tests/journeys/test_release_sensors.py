"""A canary that risk withdraws, with Dagster's daemon running: the sensor moves, its run shows what happened.

How long it takes is told and not asked for: benchmarks/rollback_latency.py measures it.
"""

import time
from pathlib import Path

import pytest

from bus.heartbeats import read
from tests.bus.servers import needs_redis
from tests.journeys.waiting import until
from tests.journeys.warnings_of_ours import warnings_of_ours
from tests.journeys.watched import SENSORS, Watched, watched

MOVE_SECONDS, RUN_SECONDS = 60.0, 240.0


@pytest.mark.slow
@needs_redis
def test_a_canary_goes_by_itself_and_a_run_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two canaries, one after the other; then MLflow, the journal and Dagster's pages say the same."""
    with watched(tmp_path, versions=3, RELEASE_AUTO_SHADOW="false") as stage:
        took = [_withdrawn(stage, version) for version in (2, 3)]
        with capsys.disabled():
            print(f" [verdict to alias, rollout and journal: {took[0]:.1f} s, {took[1]:.1f} s]", end="")  # noqa: T201
        for version in (2, 3):
            assert stage.store.version(version).tags["state"] == "rolled_back"
            _its_run_says_why(stage, version)
        assert stage.head.slots.active == 1
        beats = read(stage.bus)
        assert {f"sensor:{name}" for name in SENSORS} <= set(beats)
        assert warnings_of_ours(stage.log.read_text()) == []


def _withdrawn(stage: Watched, version: int) -> float:
    """Make a version the canary, let risk withdraw it, and return how long until every book says so, in seconds."""
    salt = stage.canary(version)
    stage.live_is_there()
    before = time.perf_counter()
    stage.say("canary", "roll_back", version, salt)
    until(lambda: stage.is_withdrawn(version) or None, MOVE_SECONDS, f"version {version} withdrawn", 0.05)
    return time.perf_counter() - before


def _its_run_says_why(stage: Watched, version: int) -> None:
    """One run for the move, made by the sensor, with the verdict's numbers; the checks of the record pass."""
    tags = {"tidegate/version": str(version), "tidegate/move": "rollback"}
    run_id = until(lambda: next(iter(stage.web.runs_with(tags)), None), RUN_SECONDS, f"the run of {tags}")
    run = until(lambda: stage.web.ended_run(run_id), RUN_SECONDS, f"run {run_id}; output in {stage.log}")
    assert run.succeeded, run.failures
    assert run.failed_checks == {}
    assert stage.web.runs_with(tags) == [run_id]
    shown = stage.web.metadata(run_id)
    assert shown["who"] == "sensor:rollback_sensor"
    assert "8.2 points under the active version's" in shown["why"]
    assert shown["runbook"].startswith("docs/runbook.md#")
    assert "| winrate_canary | 0.471 | 0.503 |" in shown["move"]
