from datetime import UTC, datetime
from pathlib import Path

import pytest

from bus.client import RedisBus
from bus.codec import decode
from bus.errors import BusError, BusNotFound
from bus.messages import ControlEvent
from bus.server import serve
from bus.streams import CONTROL
from pipelines.registrar import WRITER, address_of, announcer, control_event, nanoseconds, open_registrar, open_store
from registry.states import Announcement
from tests.pipelines.days import bench
from tests.registry.stores import HUMAN, World

AT = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)
MOVE = Announcement(
    event="ROLLBACK", severity="WARN", source="canary", target="rolled_back", reason="winrate_delta",
    by="sensor:rollback_sensor", at=AT, text="8 points lower", tx="verdict-canary-2-salt",
)  # fmt: skip


def test_a_move_is_told_in_the_registrars_name(tmp_path: Path) -> None:
    """Under its transaction's id, at the time of the move."""
    settings = bench(tmp_path).settings
    with serve(Path(settings.paths.var) / "redis") as server, RedisBus(server.url) as bus:
        announcer(settings)(MOVE)
        (entry,) = bus.recent(CONTROL, 10)
    received = decode(entry)
    assert (received.header.writer, received.header.id) == (WRITER, MOVE.tx)
    assert received.body == ControlEvent(
        event="ROLLBACK", severity="WARN", source="canary", target="rolled_back", reason="winrate_delta",
        by="sensor:rollback_sensor", at_ns=nanoseconds(AT), symbol="", route="", text="8 points lower",
    )  # fmt: skip
    assert received.body == control_event(MOVE)


def test_two_processes_may_tell_of_moves(tmp_path: Path) -> None:
    """The newer one does not silence the other: each telling takes the name anew."""
    settings = bench(tmp_path).settings
    with serve(Path(settings.paths.var) / "redis") as server, RedisBus(server.url) as bus:
        first, second = announcer(settings), announcer(settings)
        for tell in (first, second, first):
            tell(MOVE)
        assert len(bus.recent(CONTROL, 10)) == 3


def test_a_bus_that_is_away_is_an_error_of_the_announcer(tmp_path: Path) -> None:
    """The registrar keeps the telling for later."""
    settings = bench(tmp_path).settings
    with pytest.raises(BusNotFound, match="no server runs in"):
        announcer(settings)(MOVE)
    with pytest.raises(BusError):
        announcer(settings, f"unix://{tmp_path}/nobody.sock")(MOVE)


def test_the_streams_are_where_they_are_configured_to_be(tmp_path: Path) -> None:
    """Else in the folder of our own server."""
    settings = bench(tmp_path, redis={"url": "redis://streams:6379"}).settings
    assert address_of(settings) == "redis://streams:6379"


def test_a_store_of_artifacts_behind_a_url_has_its_lock_here(tmp_path: Path) -> None:
    """A bucket has no file locks."""
    settings = bench(tmp_path, registry={"artifacts": "s3://bucket/models"}).settings
    assert open_store(settings).artifact_root == "s3://bucket/models"


def test_a_registrar_reads_the_configured_journal_without_mlflow_or_bus(tmp_path: Path) -> None:
    """With the configured rules; nothing is asked before a move needs it."""
    settings = bench(tmp_path, registry={"tracking_uri": "http://127.0.0.1:9"}).settings
    world = World.at(tmp_path / "other")
    world.root = settings.registry.mirror
    world.activate()
    with open_registrar(settings, lambda: AT) as registrar:
        assert registrar.head().slots.active == 1
        told = registrar.disable_rollout(HUMAN, "a look at it")
    assert told.effects == {"mlflow": "pending", "announce": "pending"}
