from typing import Any

from bus.heartbeats import read
from bus.messages import Received
from bus.streams import APPROVED
from live.service import Subscription
from monitoring.scrape import Scrape
from tests.live.hosting import Fake, Stage, approval, fake, only

EXECUTOR = Subscription(APPROVED, group="executor")


def test_every_service_leaves_a_heartbeat_every_second_and_one_when_it_ends() -> None:
    """With its own words in it."""
    stage = Stage()
    host = stage.host(fake("risk"), fake("executor", reads=[EXECUTOR]), upkeep=True)
    assert {name: beat.state for name, beat in read(stage.bus).items()} == {"risk": "running", "executor": "running"}
    stage.turn(host, 3.0)
    beat = read(stage.bus)["risk"]
    assert stage.clock.wall_ns() - beat.at_ns <= 1_000_000_000
    assert beat.ready
    assert beat.hosted_with == ["executor"]
    assert beat.groups == [(APPROVED, "executor")]
    assert beat.status == {"ready": True, "taken": 0}
    host.stop()
    assert {beat.state for beat in read(stage.bus).values()} == {"stopped"}
    assert not any(beat.ready for beat in read(stage.bus).values())


def test_ages_of_all_services_are_measured_also_of_those_elsewhere() -> None:
    """One that died grows old."""
    stage = Stage()
    stage.host(fake("executor"), name="other", upkeep=True)
    host = stage.host(fake("risk"), upkeep=True)
    stage.turn(host, 5.0)
    ages = Scrape(stage.metrics.render()).by("heartbeat_age_seconds", "service")
    assert ages["risk"] <= 1.0
    assert 4.0 <= ages["executor"] <= 5.0


def test_a_status_that_fails_is_shown_as_the_error() -> None:
    """And the service as not ready."""
    stage = Stage()

    class Broken(Fake):
        def status(self) -> dict[str, Any]:
            raise KeyError("model")

    host = stage.host(lambda host: Broken("risk", host.output("risk")), upkeep=True)
    stage.turn(host, 1.1)
    beat = read(stage.bus)["risk"]
    assert not beat.ready
    assert beat.status["error"] == "KeyError: 'model'"


def test_the_depth_of_groups_is_measured() -> None:
    """What waits for the executor."""
    stage = Stage()

    def stuck(service: Fake, received: Received) -> None:
        raise ValueError("not yet")

    host = stage.host(fake("executor", reads=[EXECUTOR], on_message=stuck), upkeep=True)
    writer = stage.host(fake("ai_scorer"), name="other")
    for number in range(3):
        only(writer, "ai_scorer").out.publish(APPROVED, approval(number), message_id=f"{number}")
    writer.step()
    host.step()
    shown = Scrape(stage.metrics.render())
    assert shown.value("stream_depth", stream=APPROVED, group="executor") == 3


def test_entries_that_were_trimmed_before_they_were_read_are_counted_as_lost() -> None:
    """Once, however often the depth is looked at."""
    stage = Stage()
    host = stage.host(fake("executor", reads=[EXECUTOR]), upkeep=True)
    writer = stage.host(fake("ai_scorer"), name="other")
    for number in range(4):
        only(writer, "ai_scorer").out.publish(APPROVED, approval(number), message_id=f"{number}")
        stage.clock.advance(seconds=0.01)
        writer.step()
    ids = [entry.id for entry in stage.bus.recent(APPROVED, 10)]
    stage.bus.trim(APPROVED, ids[3])
    upkeep = host._upkeep
    assert upkeep is not None
    for _ in range(3):
        stage.clock.advance(seconds=6)
        upkeep.look()
    assert Scrape(stage.metrics.render()).total("stream_lost_total", stream=APPROVED) == 3


def test_the_janitor_sweeps_every_few_seconds_where_it_lives() -> None:
    """In one process of a stack."""
    stage = Stage()
    sweeps: list[int] = []
    host = stage.host(fake("collector"), upkeep=True, sweep=lambda: sweeps.append(stage.clock.wall_ns()))
    stage.turn(host, 11.0)
    assert 2 <= len(sweeps) <= 3
