from bus.heartbeats import KEPT_SECONDS, Heartbeat, read, write
from bus.memory import MemoryBus

BEAT = Heartbeat(
    service="risk", at_ns=5, started_ns=1, pid=7, state="running", ready=True, metrics_port=9104,
    hosted_with=["executor"], groups=[("sig:scores", "risk")], status={"ready": True, "halts": ["x"]},
)  # fmt: skip


def test_a_heartbeat_is_read_back_as_it_was_written() -> None:
    """By the service's name."""
    bus = MemoryBus(lambda: 0)
    write(bus, BEAT)
    assert read(bus) == {"risk": BEAT}


def test_a_status_with_values_json_does_not_know_is_written_as_text() -> None:
    """A service may show a path."""
    bus = MemoryBus(lambda: 0)
    write(bus, Heartbeat(**{**{name: getattr(BEAT, name) for name in BEAT.__struct_fields__}, "status": {"at": 1j}}))
    assert read(bus)["risk"].status == {"at": "1j"}


def test_one_that_cannot_be_read_counts_as_none() -> None:
    """An older release left it."""
    bus = MemoryBus(lambda: 0)
    write(bus, BEAT)
    bus.put("hb:executor", b"{}", 1_000)
    assert list(read(bus)) == ["risk"]


def test_they_stay_for_a_while_only() -> None:
    """Long enough to see who died."""
    now = [0]
    bus = MemoryBus(lambda: now[0])
    write(bus, BEAT)
    now[0] = round(KEPT_SECONDS * 1000) + 1
    assert read(bus) == {}
