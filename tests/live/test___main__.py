"""The entry point as a process: what it refuses in one line, how it starts, ends, and shares a server."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.client import RedisBus
from bus.errors import BusError
from bus.heartbeats import Heartbeat, read
from bus.server import running, shut_down
from live.__main__ import main
from monitoring.scrape import Scrape
from tests.journeys.waiting import until
from tests.live.parts import ROOT

needs_server = pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server on PATH")


def environ_of(folder: Path, **more: str) -> dict[str, str]:
    """An environment whose state lies below a folder."""
    places = {
        "PATHS_VAR": str(folder / "var"), "PATHS_LAKE": str(folder / "lake"),
        "REGISTRY_MIRROR": str(folder / "mirror"), "SERVING_METRICS_PORT": "0", "SERVING_LOG_FORMAT": "json",
    }  # fmt: skip
    return {**places, **more}


@pytest.mark.parametrize("arguments", [[], ["trader"], ["executor", "--nosuch"]])
def test_wrong_use_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And says what would be right."""
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})
    assert ended.value.code == 2
    assert "usage: python -m live" in capsys.readouterr().err


def test_help_names_services_and_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything an operator needs to write a unit file."""
    with pytest.raises(SystemExit):
        main(["--help"], {})
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("signal_engine", "model_sync", "exit status", "--redis-url"))


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"FEED_SPEED": "fast"}, "feed.speed"),
        ({"MARKET_SYMBOLS": "NOSUCHCOIN"}, "NOSUCHCOIN"),
        ({"REDIS_URL": "http://127.0.0.1"}, "http://127.0.0.1"),
        ({"PATHS_SYMBOLS": "/nosuch/symbols.yml"}, "/nosuch/symbols.yml"),
    ],
)
def test_what_cannot_start_says_so_in_one_line_and_ends_with_one(
    variables: dict[str, str], words: str, tmp_path: Path
) -> None:
    """No traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "live", "executor"],
        cwd=ROOT, env={**os.environ, **environ_of(tmp_path, **variables)}, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert done.returncode == 1
    assert words in done.stderr
    assert told[0].startswith("live executor: ")
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told_with_the_way_out(tmp_path: Path) -> None:
    """Somebody runs the service already."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] - 3  # executor's place is the fourth
        done = subprocess.run(
            [sys.executable, "-m", "live", "executor", "--metrics-port", str(port)],
            cwd=ROOT, env={**os.environ, **environ_of(tmp_path)}, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert "--metrics-port" in done.stderr


class Running:
    """Live processes of a test, ended with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *names: str, **variables: str) -> "subprocess.Popen[bytes]":
        """Start services in one process."""
        with (self.folder / f"{'-'.join(names)}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "live", *names],
                cwd=ROOT, env={**os.environ, **environ_of(self.folder, **variables)}, stdout=log, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def beats(self) -> dict[str, Heartbeat]:
        """What the services say of themselves."""
        url = running(self.folder / "var" / "redis")
        with contextlib.suppress(BusError):
            if url:
                with RedisBus(url) as bus:
                    return dict(read(bus))
        return {}

    def wait_for(self, state: str, *names: str) -> dict[str, Heartbeat]:
        """Wait until services are in a state."""

        def asked() -> dict[str, Heartbeat] | None:
            if any(process.poll() not in (None, 0) for process in self.processes):
                raise AssertionError("\n".join(log.read_text()[-3_000:] for log in self.folder.glob("*.log")))
            beats = self.beats()
            return beats if all(name in beats and beats[name].state == state for name in names) else None

        return until(asked, 60, f"{', '.join(names)} to be {state}")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Running]:
    """Processes of a test."""
    found = Running(tmp_path)
    yield found
    for process in found.processes:
        if process.poll() is None:
            process.kill()
        process.wait()
    shut_down(tmp_path / "var" / "redis")


@needs_server
def test_processes_share_a_server_and_the_last_one_ends_it(live: Running) -> None:
    """Each with /metrics of its own; SIGTERM and Ctrl-C both end in order, with 0."""
    first = live.start("risk")
    live.wait_for("running", "risk")
    second = live.start("executor", "ai_scorer")
    beats = live.wait_for("running", "risk", "executor", "ai_scorer")
    assert beats["executor"].pid == beats["ai_scorer"].pid == second.pid
    assert beats["executor"].hosted_with == ["ai_scorer"]
    told = json.loads((live.folder / "var" / "live" / "executor.json").read_text())
    assert told == {"pid": second.pid, "metrics_port": beats["executor"].metrics_port}
    assert Scrape.of(f"http://127.0.0.1:{told['metrics_port']}/metrics").total("service_ready", service="executor") == 1
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0
    beats = live.wait_for("stopped", "risk")
    assert beats["executor"].state == "running"
    second.send_signal(signal.SIGINT)
    assert second.wait(10) == 0
    assert running(live.folder / "var" / "redis") is None
    assert not list((live.folder / "var" / "live").glob("*.json"))


@needs_server
def test_a_second_executor_is_refused_and_the_first_goes_on(live: Running) -> None:
    """The journal is one process's."""
    first = live.start("executor")
    live.wait_for("running", "executor")
    second = live.start("executor")
    assert second.wait(30) == 1
    log = (live.folder / "executor-1.log").read_text()
    assert "live executor: " in log
    assert "Traceback" not in log
    assert first.poll() is None
