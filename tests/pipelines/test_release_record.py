from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import build
from pipelines.release_record import is_recorded
from registry.journal import HeadReader
from tests.pipelines.days import Bench, bench
from tests.pipelines.test_notification import webhook
from tests.registry.stores import World


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def moved(workspace: Bench) -> str:
    """Make the first active version in the workspace's mirror, and return the transaction."""
    world = World.at(workspace.settings.registry.mirror.parent / "registry")
    world.root = workspace.settings.registry.mirror
    world.activate()
    return HeadReader(world.root).folded().newest


def run(
    workspace: Bench, instance: dg.DagsterInstance, job: str, config: dict[str, object]
) -> dg.ExecuteInProcessResult:
    """Run a release job as a sensor asks for it."""
    return build(workspace).resolve_job_def(job).execute_in_process(
        instance=instance, run_config={"ops": config}, raise_on_error=False
    )  # fmt: skip


def recorded(workspace: Bench, instance: dg.DagsterInstance, tx: str) -> dg.ExecuteInProcessResult:
    """The run that records a move."""
    return run(workspace, instance, "release_move_job", {"release_move": {"config": {"tx": tx}}})


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Whether each check passed."""
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


def test_a_run_shows_a_move_and_tells_people(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Its page holds the story, the facts and the evidence; the webhook gets one sentence."""
    with webhook() as (url, told):
        workspace = bench(tmp_path, release={"notify": ["log", url]})
        result = recorded(workspace, instance, moved(workspace))
    assert result.success
    assert checks(result) == dict.fromkeys(("journal_intact", "evidence_kept", "one_active", "people_told"), True)
    (made,) = result.asset_materializations_for_node("release_move")
    shown = {name: value.value for name, value in made.metadata.items()}
    assert shown["who"] == "human:anna"
    assert shown["epoch"] == 2
    assert str(shown["move"]).startswith("### version 1 became active (epoch 2)")
    assert [each["title"] for each in told] == ["version 1 became active (epoch 2)"]


def test_people_that_cannot_be_told_are_a_warning(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """The record stands."""
    with webhook(500) as (url, _):
        workspace = bench(tmp_path, release={"notify": [url]})
        result = recorded(workspace, instance, moved(workspace))
    assert result.success
    assert checks(result)["people_told"] is False


def test_a_record_without_its_move_fails(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """It names the move and the folder."""
    workspace = bench(tmp_path)
    moved(workspace)
    assert not recorded(workspace, instance, "never").success


@pytest.mark.parametrize(("status", "succeeds"), [(200, True), (500, False)])
def test_an_alert_that_nobody_heard_fails_its_run(
    tmp_path: Path, instance: dg.DagsterInstance, status: int, succeeds: bool
) -> None:
    """One that somebody heard does not."""
    config: dict[str, object] = {
        "release_alert": {"config": {"title": "live is silent", "text": "risk: no heartbeat", "runbook": "docs/r.md#a"}}
    }
    with webhook(status) as (url, told):
        result = run(bench(tmp_path, release={"notify": [url]}), instance, "release_alert_job", config)
    assert result.success is succeeds
    assert [each["message"] for each in told] == ["risk: no heartbeat; see docs/r.md#a"]


def test_a_recorded_move_is_known_by_its_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its run has ended, on the instance of DAGSTER_HOME."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    workspace = bench(tmp_path)
    tx = moved(workspace)
    assert not is_recorded(2)
    with dg.DagsterInstance.get() as instance:
        config = {"ops": {"release_move": {"config": {"tx": tx}}}}
        job = build(workspace).resolve_job_def("release_move_job")
        job.execute_in_process(instance=instance, run_config=config, tags={"tidegate/epoch": "2"})
    assert is_recorded(2)
    assert not is_recorded(3)
