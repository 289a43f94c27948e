from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.client import RedisBus
from bus.heartbeats import read
from bus.server import serve
from pipelines.registrar import address_of
from pipelines.release_rounds import Alert
from pipelines.release_sensors import MOST_RECORDS, Cursor, plan_records, recorded_by, release_sensors
from registry.journal import JOURNAL_FILE, HeadReader, Intent
from tests.pipelines.days import Bench, bench
from tests.pipelines.verdicts import NOW, SHADOW, heard, say
from tests.registry.stores import World

ALERT = Alert("silent-7-0", "the live side gives no evidence", "risk: no heartbeat", "stale_evidence")


def moves(*epochs: int, by: str = "sensor:rollback_sensor") -> list[Intent]:
    """Committed moves of these epochs."""
    return [
        Intent(
            tx=f"tx-{epoch}", epoch=epoch, at=NOW, transition="rollback", version=2, direction="down", source="canary",
            target="rolled_back", by=by, reason="winrate_delta", text="worse", evidence="", policy="", force=False,
            events=(), states={}, after=HeadReader(Path("nowhere")).look(),
        )
        for epoch in epochs
    ]  # fmt: skip


def keys(requests: list[dg.RunRequest]) -> list[str]:
    """The run keys asked for."""
    return [str(each.run_key) for each in requests]


def test_each_move_is_recorded_once() -> None:
    """Its run's key is its own; the next look asks for nothing."""
    requests, cursor = plan_records("rollback_sensor", moves(3, 7), Cursor(2), None)
    assert keys(requests) == ["move:3:tx-3", "move:7:tx-7"]
    assert {each.job_name for each in requests} == {"release_move_job"}
    assert requests[0].tags["tidegate/by"] == "sensor:rollback_sensor"
    assert plan_records("rollback_sensor", moves(3, 7), cursor, None) == ([], cursor)


def test_a_tick_that_was_lost_asks_for_the_same_runs() -> None:
    """The cursor is kept only when a tick succeeds; the keys then keep Dagster from starting them twice."""
    first, _ = plan_records("rollback_sensor", moves(3), Cursor(2), None)
    again, _ = plan_records("rollback_sensor", moves(3), Cursor(2), None)
    assert keys(first) == keys(again)
    assert len(set(keys(first))) == len(first)


def test_no_storm_of_runs_behind_a_long_absence() -> None:
    """A few a look, the oldest first, and all of them in the end; a sensor that never looked begins a few back."""
    cursor, seen = Cursor(0), list[str]()
    for _ in range(5):
        requests, cursor = plan_records("rollback_sensor", moves(*range(1, 21)), cursor, None)
        assert len(requests) <= MOST_RECORDS
        seen += keys(requests)
    assert seen == [f"move:{epoch}:tx-{epoch}" for epoch in range(1, 21)]
    fresh, _ = plan_records("rollback_sensor", moves(*range(1, 21)), Cursor(), None)
    assert keys(fresh) == [f"move:{epoch}:tx-{epoch}" for epoch in range(16, 21)]


def test_a_new_journal_is_recorded_from_its_beginning() -> None:
    """A cursor beyond its end would else keep every record back, silently and for long."""
    requests, cursor = plan_records("rollback_sensor", moves(2, 3), Cursor(50), None)
    assert keys(requests) == ["move:2:tx-2", "move:3:tx-3"]
    assert cursor.epoch == 3


def test_a_look_without_moves_keeps_its_place() -> None:
    """And the first one ever begins at nothing."""
    assert plan_records("rollback_sensor", [], Cursor(4), None)[1] == Cursor(4)
    assert plan_records("rollback_sensor", [], Cursor(), None)[1] == Cursor(0)


@given(st.lists(st.lists(st.integers(1, 4), max_size=3), max_size=12))
def test_every_move_is_recorded_exactly_once_however_they_come(growth: list[list[int]]) -> None:
    """Between any two looks some moves are made."""
    epochs, cursor, seen = list[int](), Cursor(0), list[str]()
    for steps in [*growth, *[[]] * 20]:
        for step in steps:
            epochs.append((epochs[-1] if epochs else 0) + step)
        requests, cursor = plan_records("rollback_sensor", moves(*epochs), cursor, None)
        seen += keys(requests)
    assert seen == [f"move:{epoch}:tx-{epoch}" for epoch in epochs]


def test_an_alert_is_told_at_its_second_look_and_under_one_key() -> None:
    """What passes between two looks alerts nobody; what stays alerts once, since Dagster knows the key."""
    first, cursor = plan_records("promotion_sensor", [], Cursor(0), ALERT)
    second, cursor = plan_records("promotion_sensor", [], cursor, ALERT)
    third, cursor = plan_records("promotion_sensor", [], cursor, ALERT)
    assert first == []
    assert keys(second) == keys(third) == ["alert:promotion_sensor:silent-7-0"]
    over, cursor = plan_records("promotion_sensor", [], cursor, None)
    assert (over, cursor.seen) == ([], "")
    config = second[0].run_config["ops"]["release_alert"]["config"]
    assert config["text"] == ALERT.text
    assert config["runbook"].startswith("docs/runbook.md#")


@pytest.mark.parametrize(
    ("by", "sensor"),
    [
        ("sensor:promotion_sensor", "promotion_sensor"),
        ("sensor:rollback_sensor", "rollback_sensor"),
        ("sensor:registry", "registry_sensor"),
        ("human:anna", "registry_sensor"),
        ("pipeline:train_job", ""),
    ],
)
def test_each_move_has_one_sensor_that_records_it(by: str, sensor: str) -> None:
    """A person's moves are shown too; a training's are shown by its own run."""
    assert recorded_by(moves(1, by=by)[0]) == sensor


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Bench]:
    """A workspace with streams, whose mirror is that of a registry where version 2 is the canary of version 1."""
    made = bench(tmp_path)
    made.now = lambda: NOW
    with serve(Path(made.settings.paths.var) / "redis"):
        yield made


def scene(workspace: Bench) -> World:
    """Version 2 is the canary of version 1."""
    world = World.at(workspace.settings.registry.mirror.parent / "registry")
    world.root = workspace.settings.registry.mirror
    world.now = NOW - timedelta(hours=1)
    world.activate()
    world.canary(SHADOW)
    return world


def tick(workspace: Bench, name: str, cursor: str | None = None) -> Any:
    """One evaluation of a sensor."""
    (sensor,) = (each for each in release_sensors(workspace.settings) if each.name == name)
    with dg.DagsterInstance.ephemeral() as instance:
        return sensor(dg.build_sensor_context(instance=instance, cursor=cursor, resources={"workspace": workspace}))


def test_the_sensor_itself_rolls_back_though_mlflow_cannot_be_had(workspace: Bench) -> None:
    """The move is in the journal when the tick ends, and its run is asked for; MLflow hears of it later."""
    scene(workspace)
    head = HeadReader(workspace.settings.registry.mirror).look()
    assert head.rollout is not None
    with RedisBus(address_of(workspace.settings)) as bus:
        say(bus, heard("canary", "roll_back", salt=head.rollout.salt))
        found = tick(workspace, "rollback_sensor")
        after = HeadReader(workspace.settings.registry.mirror).look()
        assert after.states[SHADOW] == "rolled_back"
        assert [each.job_name for each in found.run_requests] == ["release_move_job"]
        assert msgspec.json.decode(found.cursor, type=Cursor).epoch == after.epoch
        beat = read(bus)["sensor:rollback_sensor"]
    assert (beat.ready, beat.status["text"][:6]) == (True, "epoch ")
    again = tick(workspace, "rollback_sensor", found.cursor)
    assert not again.run_requests
    assert again.skip_reason.skip_message.startswith("nothing to withdraw: canary version 2 roll back")


def test_a_journal_that_was_changed_moves_nothing_and_calls_a_person(workspace: Bench) -> None:
    """The tick names the line."""
    scene(workspace)
    path = workspace.settings.registry.mirror / JOURNAL_FILE
    lines = path.read_bytes().splitlines()
    lines[2] = lines[2].replace(b"anna", b"adam").replace(b"trained", b"tamed")
    path.write_bytes(b"\n".join([*lines, b""]))
    found = tick(workspace, "rollback_sensor")
    assert "line 3" in found.skip_reason.skip_message
    second = tick(workspace, "rollback_sensor", found.cursor)
    assert [each.job_name for each in second.run_requests] == ["release_alert_job"]


def test_without_streams_a_sensor_skips_and_says_so(tmp_path: Path) -> None:
    """And nothing is raised: a failing sensor alerts nobody."""
    found = tick(bench(tmp_path), "rollback_sensor")
    assert "no server runs in" in found.skip_reason.skip_message


def test_the_sensors_look_as_often_as_configured_and_start_switched_on(tmp_path: Path) -> None:
    """Dagster is asked for a second less, or it would let every other round of its pass."""
    for sensor in release_sensors(bench(tmp_path, release={"sensor_seconds": 9}).settings):
        assert sensor.minimum_interval_seconds == 8
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
        assert "release_move_job" in (sensor.description or "")
