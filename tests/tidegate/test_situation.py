import pytest

from bus.protocol import Group
from bus.streams import APPROVED, CONTROL
from tests.tidegate.live_side import NOW_NS, SECOND_NS, approval, beat, bus, event, other_version, say
from tidegate.situation import SERVICES, Snapshot, look

TRADING = [name for name in SERVICES if name != "model_sync"]


def verdicts(snapshot: Snapshot) -> dict[str, str]:
    """What is said of each service."""
    return {row.name: row.verdict for row in snapshot.services}


def test_all_is_well_when_everything_that_trades_is_ready() -> None:
    """model_sync may be away: trading goes on with the last verified model."""
    on = bus()
    for name in TRADING:
        beat(on, name)
    snapshot = look(on, "memory", NOW_NS)
    assert snapshot.is_well
    assert verdicts(snapshot) == {**dict.fromkeys(TRADING, "ready"), "model_sync": "absent"}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"ready": False}, "not ready"),
        ({"at_ns": NOW_NS - 6 * SECOND_NS}, "silent"),
        ({"state": "stopped", "ready": False}, "stopped"),
        ({"state": "stopped", "at_ns": NOW_NS - 99 * SECOND_NS}, "stopped"),
        ({"at_ns": NOW_NS + SECOND_NS}, "ready"),
    ],
)
def test_a_service_is_judged_by_its_last_heartbeat(changes: dict[str, object], verdict: str) -> None:
    """Whatever it says, one that has been silent is silent."""
    on = bus()
    for name in TRADING:
        beat(on, name, **(changes if name == "executor" else {}))
    snapshot = look(on, "memory", NOW_NS)
    assert verdicts(snapshot)["executor"] == verdict
    assert snapshot.is_well is (verdict == "ready")


def test_a_silent_service_s_last_words_are_not_taken_for_its_state() -> None:
    """A mode that nobody holds any more is not shown."""
    on = bus()
    beat(on, "executor", {"mode": "real"}, at_ns=NOW_NS - 60 * SECOND_NS)
    assert look(on, "memory", NOW_NS).status_of("executor") == {}


def test_a_share_that_is_silent_or_never_came_is_not_well() -> None:
    """Its symbols are seen by nobody, however well the other shares are."""
    on, services = bus(), (*SERVICES, "collector:1")
    for name in TRADING:
        beat(on, name, {"books": {name: {}}})
    assert not look(on, "memory", NOW_NS, None, services).is_well
    beat(on, "collector:1", {"books": {"ETHUSDT": {}}})
    found = look(on, "memory", NOW_NS, None, services)
    assert found.is_well
    assert [list(each["books"]) for each in found.statuses_of("collector")] == [["collector"], ["ETHUSDT"]]
    beat(on, "collector:1", at_ns=NOW_NS - 6 * SECOND_NS)
    assert verdicts(look(on, "memory", NOW_NS, None, services))["collector:1"] == "silent"
    assert not look(on, "memory", NOW_NS, None, services).is_well


def test_queues_are_those_of_every_group_a_process_has() -> None:
    """Waiting is what is not acknowledged."""
    on = bus()
    beat(on, "executor")
    beat(on, "risk")
    on.reader("live", {}, [Group(APPROVED, "executor")])
    say(on, "ai_scorer", APPROVED, approval(1), approval(2))
    (queue,) = look(on, "memory", NOW_NS).queues
    assert (queue.stream, queue.group, queue.waiting, queue.lost) == (APPROVED, "executor", 2, 0)


def test_the_newest_control_events_come_first_and_unreadable_ones_are_left_out() -> None:
    """Six of them."""
    on = bus()
    say(on, "risk", CONTROL, *[event(text=f"number {number}") for number in range(8)])
    other_version(on)
    assert [each.text for each in look(on, "memory", NOW_NS).events] == [
        f"number {number}" for number in range(7, 1, -1)
    ]
