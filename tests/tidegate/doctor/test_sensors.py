from tests.tidegate.live_side import NOW_NS, beat, bus
from tidegate.doctor.sensors import findings, read_states, states
from tidegate.situation import look

ON, OFF = {"status": "RUNNING"}, {"status": "STOPPED"}
ANSWER = {
    "data": {
        "repositoriesOrError": {
            "nodes": [
                {
                    "sensors": [
                        {"name": "gap_sensor", "sensorState": OFF},
                        {"name": "rollback_sensor", "sensorState": ON},
                    ],
                    "schedules": [{"name": "daily_ingest", "scheduleState": OFF}],
                }
            ]
        }
    }
}


def test_states_are_read_from_dagsters_answer() -> None:
    """An answer of another shape is none."""
    assert read_states(ANSWER) == {"gap_sensor": "STOPPED", "rollback_sensor": "RUNNING", "daily_ingest": "STOPPED"}
    for other in ({}, None, {"data": {"repositoriesOrError": {"nodes": [{}]}}}, []):
        assert read_states(other) is None


def test_without_dagster_nothing_is_off() -> None:
    """And none is asked for on a port where nobody answers."""
    assert states(9) is None
    assert [each.level for each in findings(None, None, automatic=True)] == ["ok"]


def test_what_is_off_is_told_unless_the_configuration_wants_it_so() -> None:
    """The knob schedule.automatic switches three of them."""
    found = read_states(ANSWER)
    assert [each.says for each in findings(found, None, automatic=True)] == [
        "gap_sensor is stopped", "daily_ingest is stopped",
    ]  # fmt: skip
    assert [each.level for each in findings(found, None, automatic=False)] == ["ok"]
    assert findings({"rollback_sensor": "STOPPED"}, None, automatic=False)[0].level == "warn"


def test_a_sensor_that_stopped_looking_is_told() -> None:
    """By its heartbeat."""
    on = bus()
    beat(on, "sensor:gap_sensor", {"every_seconds": 5.0}, at_ns=NOW_NS - 100 * 10**9)
    beat(on, "sensor:rollback_sensor", {"every_seconds": 5.0})
    (found,) = findings(None, look(on, "memory", NOW_NS), automatic=True)
    assert found.says.startswith("gap_sensor has not looked for")
