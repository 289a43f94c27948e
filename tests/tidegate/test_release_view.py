"""What the page says of releases: the registry's head, trials, and the sensors, of which there need be none."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from registry.journal import Commit, Folded, Intent, append
from registry.rollout import RolloutState
from registry.states import Slots, Standing
from tests.tidegate.live_side import NOW_NS, SECOND_NS, beat, bus, shown
from tidegate.situation import SERVICES, look
from tidegate.status_view import view

NOW = datetime.fromtimestamp(NOW_NS / 1e9, UTC)


def withdrawn(mirror: Path, cooldown: timedelta = timedelta(minutes=15)) -> None:
    """A journal of one move: version 4 was withdrawn as canary a moment ago, and MLflow has not heard of it."""
    rollout = RolloutState(
        epoch=1, mode="disabled", canary_fraction=0.0, salt="", cooldown_until=NOW + cooldown, reason="it was worse",
        by="sensor:rollback_sensor", at=NOW,
    )  # fmt: skip
    intent = Intent(
        tx="rollback-1", epoch=1, at=NOW, transition="rollback", version=4, direction="down", source="canary",
        target="rolled_back", by="sensor:rollback_sensor", reason="winrate", text="it was worse", evidence="",
        policy="", force=False, events=(), states={4: "rolled_back"},
        after=Standing(slots=Slots(active=3, previous=1), rollout=rollout, active_history=(3, 1)),
    )  # fmt: skip
    folded = Folded()
    append(mirror, intent, folded)
    append(mirror, Commit(tx="rollback-1", epoch=1, at=NOW, effects={"mlflow": "pending"}), folded)


def test_the_registry_is_shown_with_its_cooldown_and_what_is_yet_to_be_told(tmp_path: Path) -> None:
    """From the journal on this host."""
    withdrawn(tmp_path)
    snapshot = look(bus(), "memory", NOW_NS, tmp_path)
    told = shown(view(snapshot, 140))
    for words in (
        "epoch 1, head ", "active v3, previous v1", "disabled, no promotion for 15 min: it was worse",
        "mlflow of rollback-1",
    ):  # fmt: skip
        assert words in told, words


def test_a_cooldown_that_is_over_is_not_shown(tmp_path: Path) -> None:
    """The rollout may be disabled all the same."""
    withdrawn(tmp_path, timedelta(minutes=-1))
    told = shown(view(look(bus(), "memory", NOW_NS, tmp_path), 140))
    assert "disabled: it was worse" in told
    assert "no promotion" not in told


def test_trials_are_shown_as_risk_tells_them() -> None:
    """Decision, breaches, rows, and for how long."""
    on = bus()
    trial = {
        "version": 4, "decision": "roll_back", "breaches": ["winrate"], "rows": 1200,
        "since_ns": NOW_NS - 600 * SECOND_NS,
    }  # fmt: skip
    beat(on, "risk", {"trials": {"canary": trial}})
    told = shown(view(look(on, "memory", NOW_NS), 140))
    assert "canary trial" in told
    assert "version 4: roll back (winrate) after 1,200 rows, for 10 min" in told


def test_sensors_are_shown_where_there_are_some_and_never_make_live_sick() -> None:
    """One is silent when three of its looks did not come; one that looks on occasion never is."""
    on = bus()
    for name in SERVICES:
        beat(on, name)
    assert look(on, "memory", NOW_NS).is_well
    beat(on, "sensor:rollback_sensor", {"text": "all [well]", "every_seconds": 5.0}, at_ns=NOW_NS - 20 * SECOND_NS)
    beat(on, "sensor:registry_sensor", {"text": "agreed", "every_seconds": 5.0}, at_ns=NOW_NS - 21 * SECOND_NS)
    beat(on, "sensor:drift_sensor", {"text": "none", "every_seconds": 300.0}, at_ns=NOW_NS - 400 * SECOND_NS)
    beat(on, "sensor:run_failure_sensor", {"text": "x failed"}, at_ns=NOW_NS - 500 * SECOND_NS)
    snapshot = look(on, "memory", NOW_NS)
    assert snapshot.is_well
    assert [(row.name, row.verdict) for row in snapshot.sensors] == [
        ("sensor:drift_sensor", "ready"),
        ("sensor:registry_sensor", "silent"),
        ("sensor:rollback_sensor", "ready"),
        ("sensor:run_failure_sensor", "ready"),
    ]
    told = shown(view(snapshot, 140))
    assert "20 s ago: all [well]" in told
    assert "silent for 21 s: it looks after nothing" in told


def test_a_journal_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """And the rest of the page is there."""
    (tmp_path / "journal.jsonl").write_text("nonsense\n")
    told = shown(view(look(bus(), "memory", NOW_NS, tmp_path), 140))
    assert "journal.jsonl" in told
    assert "0 of 6 ready" in told


def test_before_anything_was_moved_there_is_no_such_part(tmp_path: Path) -> None:
    """Nor an error."""
    assert "release" not in shown(view(look(bus(), "memory", NOW_NS, tmp_path), 140))
