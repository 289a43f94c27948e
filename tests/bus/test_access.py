"""Each user of the streams' server may do its own work and nothing else: asked of a real server with TLS and ACL."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus import streams
from bus.access import USERS, acl_file
from bus.client import RedisBus, open_bus
from bus.errors import BusError
from bus.janitor import Janitor
from bus.messages import ControlEvent
from bus.protocol import Entry, Group
from bus.publisher import Publisher
from tests.bus.secured import Secured, secured_server
from tests.style_bar import ROOT

_WRITERS = {
    streams.CANDIDATES: {"signal_engine"},
    streams.candidates(3): {"signal_engine"},
    streams.SCORES: {"ai_scorer"},
    streams.APPROVED: {"ai_scorer"},
    streams.REPORTS: {"executor"},
    streams.OUTCOMES: {"risk"},
    streams.VERDICTS: {"risk"},
    streams.CONTROL: {each.name for each in USERS} - {"health"},
    streams.book("BTCUSDT"): {"collector"},
    streams.trade("BTCUSDT"): {"collector"},
}
"""Who may add to what: the table a reader of the threat model looks for."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One server for this module."""
    with secured_server(tmp_path_factory.mktemp("secured")) as found:
        yield found


def _may(server: Secured, user: str, *command: str | bytes | int) -> bool:
    with RedisBus(server.url_of(user)) as bus:
        (reply,) = bus.ask_all([command])
    assert "NOAUTH" not in str(reply)
    return "NOPERM" not in str(reply)


def test_the_committed_template_is_that_of_the_code() -> None:
    """Run `python -m bus.access > deploy/redis/users.acl` when this fails."""
    assert (ROOT / "deploy/redis/users.acl").read_text(encoding="utf-8") == acl_file()


def test_a_user_without_a_password_is_switched_off() -> None:
    """A secret that was forgotten lets nobody in."""
    lines = acl_file({"risk": "0" * 64}).splitlines()
    assert lines[0].startswith("user default off")
    assert [line.split()[1] for line in lines if line.split()[2] == "on"] == ["risk"]


def test_only_its_writer_adds_to_a_stream(server: Secured) -> None:
    """Nobody but ai_scorer approves, nobody but the executor reports: a service that was taken over cannot trade."""
    found: dict[str, set[str]] = {stream: set() for stream in _WRITERS}
    for user in USERS:
        with RedisBus(server.url_of(user.name)) as bus:
            replies = bus.ask_all([("XADD", stream, "*", "d", "x") for stream in _WRITERS])
        found_here = [stream for stream, reply in zip(_WRITERS, replies, strict=True) if "NOPERM" not in str(reply)]
        for stream in found_here:
            found[stream].add(user.name)
    assert found == _WRITERS


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "dir", "x"), ("ACL", "LIST"), ("SHUTDOWN",),
        ("EVAL", "return 1", 0), ("MODULE", "LIST"), ("DEL", "sig:approved"), ("KEYS", "*"),
        ("XTRIM", "exec:reports", "MAXLEN", 0), ("SET", "epoch:executor", 1), ("SET", "hb:executor", "x"),
        ("XGROUP", "DESTROY", "sig:approved", "executor"), ("GET", "anything"), ("REPLICAOF", "NO", "ONE"),
    ],
)  # fmt: skip
def test_what_only_an_administrator_or_another_service_does_is_refused(
    server: Secured, command: tuple[str | int, ...]
) -> None:
    """Not for the services that read what came from outside, and not for people."""
    for user in ("signal_engine", "ai_scorer", "operator", "pipelines", "health"):
        assert not _may(server, user, *command), user


def test_inputs_can_be_read_by_those_who_need_them_alone(server: Secured) -> None:
    """The scorer sees no orders, the engine no approvals."""
    assert _may(server, "executor", "XRANGE", streams.APPROVED, "-", "+")
    assert _may(server, "operator", "XRANGE", streams.REPORTS, "-", "+")
    assert not _may(server, "ai_scorer", "XRANGE", streams.REPORTS, "-", "+")
    assert not _may(server, "signal_engine", "XREAD", "STREAMS", streams.APPROVED, "0")
    assert not _may(server, "risk", "XREADGROUP", "GROUP", "executor", "me", "STREAMS", streams.APPROVED, ">")
    assert not _may(server, "health", "XRANGE", streams.CONTROL, "-", "+")


def test_a_service_does_all_its_work_through_its_user(server: Secured) -> None:
    """Groups, acknowledgements, claims, dead letters, epochs, heartbeats, depths; the collector shortens streams."""
    with open_bus(server.url_of("ai_scorer"), durable=True) as scorer, RedisBus(server.url_of("executor")) as executor:
        reader = executor.reader("me", {streams.CONTROL: "0-0"}, [Group(streams.APPROVED, "executor")])
        (written,) = scorer.add([(streams.APPROVED, b"an approval", "")])
        found: list[Entry] = []
        while not found:  # other tests wrote to the streams
            found = [entry for entry in reader.poll(2_000) if entry.id == written]
        assert found[0].data == b"an approval"
        assert executor.depth(streams.APPROVED, "executor").pending >= 1
        executor.dead_letter(found[0], "executor", "a test")
        reader.ack(found[0])
        reader.flush()
        assert written not in [entry.id for entry in reader.reclaim(0)]
        assert executor.next_epoch("executor") == executor.epoch("executor")
        executor.put("hb:executor", b"{}", 1_000)
        assert "hb:executor" in scorer.values("hb:")
        with pytest.raises(BusError, match="NOPERM"):
            scorer.next_epoch("executor")
        with pytest.raises(BusError, match="NOPERM"):
            executor.dead_letter(Entry(streams.SCORES, "1-1", b"", 1), "risk", "not its own")
    with RedisBus(server.url_of("collector")) as collector:
        Janitor(collector, [streams.book("BTCUSDT")], 1).sweep()


def test_a_person_halts_trading_from_the_pipelines_container_too(server: Secured) -> None:
    """scripts/control.py speaks under `operator:NAME`, where the pipelines' user is what there is."""
    for user in ("operator", "pipelines"):
        with RedisBus(server.url_of(user)) as bus:
            publisher = Publisher(bus, "operator:ann", time.time_ns)
            event = ControlEvent("HALT", "WARN", "", "", "operator", "operator:ann", time.time_ns(), "", "", user)
            publisher.publish(streams.CONTROL, event, message_id=f"halt-{user}")
            publisher.flush()
            assert any(user.encode() in entry.data for entry in bus.recent(streams.CONTROL, 1))


def test_nobody_comes_in_without_password_or_certificate(server: Secured, tmp_path: Path) -> None:
    """And nobody hears the password in the answer."""
    with pytest.raises(BusError, match="does not let us in") as refused:
        RedisBus(server.url_of("risk", "wr0ng-passw0rd")).generation()
    assert "wr0ng" not in str(refused.value)
    nobody = f"{server.place}?ssl_ca_certs={server.folder}/cert.pem&ssl_certfile={server.folder}/cert.pem"
    with RedisBus(f"{nobody}&ssl_keyfile={server.folder}/key.pem") as bus, pytest.raises(BusError, match="NOAUTH"):
        bus.ask(("PING",))
    without = server.url_of("risk").partition("&ssl_certfile")[0]
    with pytest.raises(BusError), RedisBus(without) as bus:
        bus.ask(("PING",))
    missing = server.url_of("risk").replace("ssl_ca_certs=", f"ssl_ca_certs={tmp_path}/missing")
    with pytest.raises(BusError) as refused:
        RedisBus(missing).generation()
    assert "s3cret" not in str(refused.value)
