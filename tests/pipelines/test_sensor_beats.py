from pathlib import Path

from bus.client import RedisBus
from bus.heartbeats import read
from bus.server import serve
from pipelines.registrar import nanoseconds
from pipelines.sensor_beats import leave_heartbeat
from tests.pipelines.days import bench
from tests.pipelines.verdicts import NOW


def test_a_sensor_that_looked_leaves_word(tmp_path: Path) -> None:
    """By its name, with what came of it."""
    workspace = bench(tmp_path)
    workspace.now = lambda: NOW
    with serve(Path(workspace.settings.paths.var) / "redis") as server, RedisBus(server.url) as bus:
        leave_heartbeat("rollback_sensor", "nothing to withdraw", workspace)
        leave_heartbeat("gap_sensor", "3 partitions are still damaged", workspace, is_well=False, every_seconds=300.0)
        beats = read(bus)
    assert set(beats) == {"sensor:rollback_sensor", "sensor:gap_sensor"}
    beat = beats["sensor:rollback_sensor"]
    assert (beat.at_ns, beat.ready, beat.status["text"]) == (nanoseconds(NOW), True, "nothing to withdraw")
    assert not beats["sensor:gap_sensor"].ready
    assert [beats[f"sensor:{name}"].status["every_seconds"] for name in ("rollback_sensor", "gap_sensor")] == [0, 300]


def test_without_a_bus_a_sensor_goes_on(tmp_path: Path) -> None:
    """Its heartbeat grows old instead."""
    leave_heartbeat("rollback_sensor", "nothing to withdraw", bench(tmp_path))
