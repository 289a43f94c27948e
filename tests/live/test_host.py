import pytest

from bus.codec import decode, decode_dead
from bus.errors import Fenced
from bus.messages import ControlEvent, Received
from bus.streams import APPROVED, CONTROL, REPORTS, dead_letters
from bus.streams import trade as trades
from live.errors import Fatal, LiveError
from live.host import Host
from live.service import Subscription
from tests.live.hosting import Fake, Stage, approval, fake, halt, only, report, trade
from tests.live.parts import START_NS

TRADES = trades("BTCUSDT")
EXECUTOR = Subscription(APPROVED, group="executor")


def says(stream: str, *bodies: object) -> object:
    """A ticker that says these once, one a tick."""
    left = list(bodies)

    def tick(service: Fake) -> None:
        if left:
            number = len(bodies) - len(left)
            service.out.publish(stream, left.pop(0), message_id=f"{service.name}-{number}")  # type: ignore[arg-type]

    return tick


def on_bus(stage: Stage, stream: str) -> list[object]:
    """The bodies a stream holds."""
    return [decode(entry).body for entry in stage.bus.recent(stream, 10_000)]


def reports(service: Fake, received: Received) -> None:
    """Answer an approval."""
    service.out.publish(REPORTS, report(int(received.header.id.rsplit("-", 1)[1])), message_id=received.header.id)


def test_a_message_goes_from_one_host_to_another_and_is_acknowledged_when_its_answer_is_on_the_bus() -> None:
    """Scorer in one process, executor in another."""
    stage = Stage()
    scorer = stage.host(fake("ai_scorer", on_tick=says(APPROVED, approval(0))), name="a")
    executor = stage.host(fake("executor", reads=[EXECUTOR], on_message=reports), name="b")
    scorer.step()
    executor.step()
    assert only(executor, "executor").bodies == [approval(0)]
    assert on_bus(stage, REPORTS) == [report(0)]
    executor.step()
    depth = stage.bus.depth(APPROVED, "executor")
    assert (depth.lag, depth.pending) == (0, 0)


def test_services_of_one_host_get_a_message_at_once_and_only_once() -> None:
    """In one pass, though the group still reads it back from the bus to acknowledge it."""
    stage = Stage()
    host = stage.host(
        fake("ai_scorer", on_tick=says(APPROVED, approval(0), approval(1))),
        fake("executor", reads=[EXECUTOR], on_message=reports),
        fake("risk", reads=[Subscription(REPORTS, group="risk"), Subscription(APPROVED, group="risk")]),
    )
    host.step()
    assert only(host, "executor").bodies == [approval(0)]
    assert only(host, "risk").bodies == [approval(0), report(0)]
    host.step()
    assert only(host, "executor").bodies == [approval(0), approval(1)]
    assert only(host, "risk").bodies == [approval(0), report(0), approval(1), report(1)]
    for _ in range(3):
        host.step()
    assert len(only(host, "executor").taken) == 2
    assert len(only(host, "risk").taken) == 4
    for stream, group in ((APPROVED, "executor"), (APPROVED, "risk"), (REPORTS, "risk")):
        depth = stage.bus.depth(stream, group)
        assert (depth.lag, depth.pending) == (0, 0)


def test_control_goes_before_everything_else() -> None:
    """Both when it comes from the bus and when it is handed on."""
    stage = Stage()
    other = stage.host(fake("risk"), name="other")
    both = [EXECUTOR, Subscription(CONTROL)]
    host = stage.host(fake("executor", reads=both), name="executor")
    out = only(other, "risk").out
    for number in range(3):
        out.publish(APPROVED, approval(number), message_id=f"a{number}")
    out.publish(CONTROL, halt(), message_id="c")
    other.step()
    host.step()
    assert isinstance(only(host, "executor").bodies[0], ControlEvent)


def test_a_halt_that_comes_while_a_batch_is_handled_does_not_wait_for_its_end() -> None:
    """The host looks between two messages, at most every millisecond."""
    stage = Stage()
    other = stage.host(fake("ai_scorer"), name="other")

    def slow(service: Fake, received: Received) -> None:
        stage.clock.advance(seconds=0.002)
        if received.header.id == "a1":
            only(other, "ai_scorer").out.publish(CONTROL, halt(), message_id="c")
            other.step()

    host = stage.host(fake("executor", reads=[EXECUTOR, Subscription(CONTROL)], on_message=slow), name="executor")
    for number in range(5):
        only(other, "ai_scorer").out.publish(APPROVED, approval(number), message_id=f"a{number}")
    other.step()
    host.step()
    host.step()
    kinds = [each.header.kind for each in only(host, "executor").taken]
    assert kinds == ["approval", "approval", "control", "approval", "approval", "approval"]


def test_a_control_event_reaches_each_service_once_whoever_said_it() -> None:
    """By group or by following, from this process or from another."""
    stage = Stage()
    host = stage.host(
        fake("risk", on_tick=says(CONTROL, halt(1))),
        fake("executor", reads=[Subscription(CONTROL, group="executor")]),
        fake("ai_scorer", reads=[Subscription(CONTROL)]),
    )
    other = stage.host(fake("model_sync", on_tick=says(CONTROL, halt(2))), name="other")
    for _ in range(4):
        host.step()
        other.step()
    for name in ("executor", "ai_scorer"):
        assert only(host, name).bodies == [halt(1), halt(2)]
    assert stage.bus.depth(CONTROL, "executor").pending == 0


def test_what_follows_a_stream_that_is_written_here_is_not_read_back() -> None:
    """Market data of the process's own collector costs no second reading; its past does come from the bus."""
    stage = Stage()
    for turn in range(2):
        host = stage.host(
            fake("collector", on_tick=says(TRADES, trade(turn))),
            fake("risk", reads=[Subscription(TRADES, start="0")]),
            name=f"turn{turn}",
        )
        for _ in range(3):
            host.step()
    assert only(host, "risk").bodies == [trade(0), trade(1)]


@pytest.mark.parametrize(
    ("start", "numbers"), [("$", [3]), ("0", [0, 1, 2, 3]), ("recent:2", [1, 2, 3]), ("recent:9", [0, 1, 2, 3])]
)
def test_a_subscription_starts_where_it_says(start: str, numbers: list[int]) -> None:
    """Three prints were there, one comes."""
    stage = Stage()
    collector = stage.host(fake("collector", on_tick=says(TRADES, *[trade(each) for each in range(4)])), name="c")
    out = only(collector, "collector").out
    only(collector, "collector").on_tick = lambda _: None
    for number in range(3):
        out.publish(TRADES, trade(number), message_id="t")
    collector.step()
    host = stage.host(fake("risk", reads=[Subscription(TRADES, start=start)]), name="r")
    out.publish(TRADES, trade(3), message_id="t")
    collector.step()
    host.step()
    assert only(host, "risk").bodies == [trade(each) for each in numbers]


def test_a_start_that_is_none_is_refused() -> None:
    """Before any service runs."""
    with pytest.raises(LiveError, match="recent:N"):
        Stage().host(fake("risk", reads=[Subscription(TRADES, start="yesterday")]))


def test_a_message_that_cannot_be_handled_is_set_aside_and_the_stream_moves_on() -> None:
    """After three tries; an approval that is set aside calls CRIT."""
    stage = Stage()

    def fails(service: Fake, received: Received) -> None:
        if received.header.id == "bad":
            raise ValueError("cannot take it")

    scorer = stage.host(fake("ai_scorer"), name="a")
    for name, number in (("bad", 0), ("good", 1)):
        only(scorer, "ai_scorer").out.publish(APPROVED, approval(number), message_id=name)
    scorer.step()
    host = stage.host(fake("executor", reads=[EXECUTOR, Subscription(CONTROL)], on_message=fails))
    stage.turn(host, 1.0)
    ids = [each.header.id for each in only(host, "executor").taken if each.header.kind == "approval"]
    assert ids == ["bad", "good", "bad", "bad"]
    dead = [decode_dead(entry) for entry in stage.bus.recent(dead_letters(APPROVED), 10)]
    assert [(each.group, each.error) for each in dead] == [("executor", "ValueError: cannot take it")]
    assert stage.bus.depth(APPROVED, "executor").pending == 0
    (event,) = [each for each in only(host, "executor").bodies if isinstance(each, ControlEvent)]
    assert (event.severity, event.reason) == ("CRIT", "poison_message")
    assert 'messages_refused_total{reason="poison",stream="sig:approved"} 1.0' in stage.metrics.render()


def test_bytes_that_are_no_message_are_set_aside_unread() -> None:
    """Another version, or noise."""
    stage = Stage()
    stage.bus.add([(REPORTS, b"\x93noise", "")])
    host = stage.host(fake("risk", reads=[Subscription(REPORTS, group="risk")]))
    host.step()
    host.step()
    assert only(host, "risk").taken == []
    assert len(stage.bus.recent(dead_letters(REPORTS), 10)) == 1
    assert stage.bus.depth(REPORTS, "risk").pending == 0


def test_a_message_that_was_handed_on_directly_and_failed_is_set_aside_once() -> None:
    """And acknowledged when the bus shows it."""
    stage = Stage()

    def fails(service: Fake, received: Received) -> None:
        raise ValueError("never")

    host = stage.host(
        fake("ai_scorer", on_tick=says(APPROVED, approval(0))), fake("executor", reads=[EXECUTOR], on_message=fails)
    )
    stage.turn(host, 1.0)
    assert len(only(host, "executor").taken) == 3
    (dead,) = [decode_dead(entry) for entry in stage.bus.recent(dead_letters(APPROVED), 10)]
    assert dead.data == stage.bus.recent(APPROVED, 1)[0].data
    assert stage.bus.depth(APPROVED, "executor").pending == 0


POINTS = ["polled", "before_handle", "handled", "committed", "written", "settled"]


class Killed(BaseException):
    """The process died here."""


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_at_any_point_loses_no_message(point: str) -> None:
    """The next one finds the approval, or its effect; acknowledged is only what was answered."""
    stage = Stage()
    scorer = stage.host(fake("ai_scorer", on_tick=says(APPROVED, *[approval(each) for each in range(3)])), name="a")
    for _ in range(3):
        scorer.step()
    left = [2]

    def dies(where: str) -> None:
        if where == point:
            left[0] -= 1
            if not left[0]:
                raise Killed

    host = stage.host(fake("executor", reads=[EXECUTOR], on_message=reports), crash=dies)
    with pytest.raises(Killed):
        for _ in range(3):
            host.step()
    host = stage.host(fake("executor", reads=[EXECUTOR], on_message=reports), name="again")
    for _ in range(3):
        host.step()
    assert {each.id for each in on_bus(stage, REPORTS)} == {"r0", "r1", "r2"}  # type: ignore[attr-defined]
    depth = stage.bus.depth(APPROVED, "executor")
    assert (depth.lag, depth.pending) == (0, 0)


def test_a_message_that_killed_every_process_that_took_it_is_set_aside() -> None:
    """Its deliveries tell; three are enough."""
    stage = Stage()
    scorer = stage.host(fake("ai_scorer", on_tick=says(APPROVED, approval(0))), name="a")
    scorer.step()

    def dies(where: str) -> None:
        if where == "handled":
            raise Killed

    for _ in range(3):
        host = stage.host(fake("executor", reads=[EXECUTOR]), crash=dies)
        with pytest.raises(Killed):
            host.step()
    host = stage.host(fake("executor", reads=[EXECUTOR]), name="last")
    host.step()
    assert only(host, "executor").taken == []
    assert len(stage.bus.recent(dead_letters(APPROVED), 10)) == 1


def test_what_is_said_has_the_market_times_of_what_led_to_it() -> None:
    """So that the age of an approval is known where it is acted on."""
    stage = Stage()
    host = stage.host(
        fake("collector", on_tick=lambda each: each.ticks == 1 and each.out.publish(
            TRADES, trade(), message_id="t", exchange_ns=5, received_ns=START_NS)),
        fake("signal_engine", reads=[Subscription(TRADES)],
             on_message=lambda each, _: each.out.publish(REPORTS, report(), message_id="r")),
        fake("risk", reads=[Subscription(REPORTS)]),
    )  # fmt: skip
    host.step()
    (received,) = only(host, "risk").taken
    assert (received.header.exchange_ns, received.header.received_ns) == (5, START_NS)


def test_a_service_that_keeps_saying_things_is_ticked_again_until_the_others_are_due() -> None:
    """A replay goes on without waiting, and no service waits longer than 50 ms of the clock."""
    stage = Stage()

    def replay(service: Fake) -> None:
        stage.clock.advance(seconds=0.001)
        service.out.publish(TRADES, trade(service.ticks), message_id="t")

    host = stage.host(fake("collector", on_tick=replay), fake("risk", reads=[Subscription(TRADES)]))
    host.step()
    assert only(host, "collector").ticks == 50
    assert only(host, "risk").ticks == 1
    assert len(only(host, "risk").taken) == 50


def test_a_tick_that_keeps_failing_ends_the_process() -> None:
    """After rests of 0.05, 0.5 and 5 seconds; one that recovers is forgiven."""
    stage = Stage()

    def fails(service: Fake) -> None:
        raise ValueError("disk")

    host = stage.host(fake("risk", on_tick=fails))
    stage.turn(host, 5.5)
    with pytest.raises(Fatal, match="risk: its tick failed 4 times running: disk"):
        stage.turn(host, 0.5)


def test_a_fatal_error_of_a_handler_goes_through() -> None:
    """The message stays pending for the next process."""
    stage = Stage()

    def broken(service: Fake, received: Received) -> None:
        raise Fatal("journal")

    host = stage.host(
        fake("ai_scorer", on_tick=says(APPROVED, approval(0))), fake("executor", reads=[EXECUTOR], on_message=broken)
    )
    with pytest.raises(Fatal, match="journal"):
        host.step()


def test_an_older_process_of_the_same_service_finds_out_and_ends() -> None:
    """When it next writes, at the latest a second later."""
    stage = Stage()
    first = stage.host(fake("risk"), name="first")
    stage.host(fake("risk"), name="second")
    only(first, "risk").out.publish(REPORTS, report(), message_id="r")
    stage.clock.advance(seconds=2)
    with pytest.raises(Fenced):
        first.step()


def test_a_process_that_stood_still_asks_for_its_name_before_it_handles_anything() -> None:
    """What piled up meanwhile is its replacement's."""
    stage = Stage()
    sleeper = stage.host(fake("executor", reads=[EXECUTOR]), name="sleeper")
    sleeper.step()
    stage.clock.advance(seconds=0.2)
    sleeper.step()
    stage.host(fake("executor", reads=[EXECUTOR]), name="replacement")
    writer = stage.host(fake("ai_scorer"), name="writer")
    only(writer, "ai_scorer").out.publish(APPROVED, approval(1), message_id="a1")
    writer.step()
    stage.clock.advance(seconds=0.3)
    with pytest.raises(Fenced):
        sleeper.step()
    assert only(sleeper, "executor").taken == []


def test_stopping_publishes_what_services_say_last() -> None:
    """In the order they were added."""
    stage = Stage()
    host = stage.host(fake("executor", on_stop=lambda each: each.out.publish(REPORTS, report(), message_id="r")))
    host.stop()
    assert on_bus(stage, REPORTS) == [report()]
    assert only(host, "executor").is_stopped


def test_a_service_that_cannot_stop_does_not_keep_the_others_from_it() -> None:
    """It is told of."""
    stage = Stage()

    def fails(service: Fake) -> None:
        raise ValueError("stuck")

    host = stage.host(fake("risk", on_stop=fails), fake("executor"))
    host.stop()
    assert only(host, "executor").is_stopped


def test_run_goes_on_until_it_is_told_to_end() -> None:
    """From a signal's handler, say."""
    stage = Stage()
    hosts: list[Host] = []

    def ends(service: Fake) -> None:
        stage.clock.advance(seconds=0.05)
        if service.ticks == 5:
            hosts[0].end()

    hosts.append(stage.host(fake("risk", on_tick=ends)))
    hosts[0].run()
    assert only(hosts[0], "risk").ticks == 5
