import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.journeys.waiting import until
from tests.live.parts import settings
from tidegate.environment import ROOT
from tidegate.up import Page, answers, guide, pages_of, port_taken, serve, start, stop, stop_live, tell_of_live


@pytest.fixture
def listening() -> Iterator[int]:
    """A loopback port that something listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_both_pages_are_served_on_loopback_alone() -> None:
    """With the ports asked for, and MLflow's store where the settings say."""
    dagster, mlflow = pages_of("sqlite:////var/mlflow.db", "/var/mlartifacts", 3001, 5001)
    for page, port in ((dagster, 3001), (mlflow, 5001)):
        assert page.url == f"http://127.0.0.1:{port}"
        assert "127.0.0.1" in page.command
        assert str(port) in page.command
        assert "0.0.0.0" not in page.command  # noqa: S104 - the point is that it is absent
    assert Path(dagster.command[dagster.command.index("-w") + 1]).is_file()
    assert mlflow.environ["MLFLOW_BACKEND_STORE_URI"] == "sqlite:////var/mlflow.db"
    assert mlflow.environ["MLFLOW_ARTIFACTS_DESTINATION"] == "/var/mlartifacts"


def test_no_password_of_a_store_is_on_a_command_line(tmp_path: Path) -> None:
    """The list of processes shows it to everybody; the environment of a process is its owner's alone."""
    pages = pages_of("postgresql://mlflow:pl4nted@db/mlflow", "s3://key:pl4nted@host/bucket", 3001, 5001)
    assert "pl4nted" not in str(pages)
    program = "import os, sys, time; print(os.environ['MLFLOW_BACKEND_STORE_URI'], flush=True); time.sleep(60)"
    process = start(replace(pages[1], command=[sys.executable, "-c", program]), tmp_path / "mlflow.log")
    try:
        until(lambda: "pl4nted" in (tmp_path / "mlflow.log").read_text() or None, 10, "what the server finds", 0.05)
        assert b"pl4nted" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    finally:
        stop([process])


def test_a_port_is_taken_when_something_listens_on_it(listening: int) -> None:
    """And free when nothing does."""
    assert port_taken(listening)
    assert not port_taken(free_port())


def test_a_taken_port_is_refused_before_anything_starts(
    listening: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the page, the port and the option that chooses another."""
    for name in ("DAGSTER_HOME", "OMP_NUM_THREADS", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PATHS_VAR", str(tmp_path))
    assert serve(None, listening, free_port()) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert f"Dagster: port {listening} is taken; choose another with --dagster-port" in told
    assert not (tmp_path / "logs").exists()


def test_a_page_that_nothing_serves_does_not_answer() -> None:
    """Nor does it raise."""
    assert not answers(Page("Nothing", [], free_port(), "/"))


def test_a_server_writes_to_its_log_and_can_be_interrupted(tmp_path: Path) -> None:
    """Even when we ourselves ignore the interrupt, as a shell in the background makes us do."""
    program = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start(Page("Short", [sys.executable, "-c", program], 0, "/"), tmp_path / "short.log")
        assert process.wait() == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "short.log").read_text() == "True\n"


def test_stopping_ends_every_server_and_minds_none_that_ended_before() -> None:
    """In whatever order they end."""
    running = [subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(2)]
    ended = subprocess.Popen(["true"])
    ended.wait()
    stop([*running, ended])
    assert [process.returncode for process in running] == [-signal.SIGTERM] * 2
    for process in running:
        assert process.stdin is not None
        process.stdin.close()


_PARENT = """
import sys
from pathlib import Path
from tidegate.environment import ROOT
from tidegate.up import Page, ended_by_signals, start, stop
child = start(Page("Sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], 1, "/"), Path(sys.argv[1]))
try:
    with ended_by_signals():
        print(child.pid, flush=True)
        child.wait()
except KeyboardInterrupt:
    pass
finally:
    stop([child])
print("stopped", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_terminated_command_leaves_no_server_behind(tmp_path: Path, how: signal.Signals) -> None:
    """SIGTERM, as a service manager sends it, ends the servers like Ctrl-C does."""
    command = [sys.executable, "-c", _PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(how)
        assert parent.stdout.read().strip() == "stopped"
        assert parent.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_services_end_before_the_pages_and_the_streams(tmp_path: Path) -> None:
    """In order, by SIGTERM; one that has ended already is no trouble."""
    child = [sys.executable, "-c", "import time; time.sleep(60)"]
    processes = {name: subprocess.Popen(child, start_new_session=True) for name in ("Dagster", "live", "model_sync")}
    processes["model_sync"].kill()
    processes["model_sync"].wait()
    stop_live(processes)
    assert processes["live"].returncode == -signal.SIGTERM
    assert processes["Dagster"].poll() is None
    stop(list(processes.values()))


def test_a_stack_without_a_model_says_so(tmp_path: Path) -> None:
    """And how to get one."""
    tiny = settings({"registry": {"mirror": tmp_path / "mirror"}, "serving": {"metrics_port": 9300}})
    screen = io.StringIO()
    tell_of_live(Console(file=screen, width=160, color_system=None), tiny, tmp_path)
    told = screen.getvalue()
    assert "feed simulator, exchange paper" in told
    assert "No model is active yet" in told
    assert "make demo" in told


def test_the_guide_says_where_everything_is_and_what_to_look_at(tmp_path: Path) -> None:
    """With the ports that were asked for; without live nothing of live."""
    pages = pages_of("sqlite:////var/mlflow.db", "/var/mlartifacts", 3010, 5010)
    screen = io.StringIO()
    console = Console(file=screen, width=200, color_system=None)
    console.print(guide(pages, settings({"serving": {"metrics_port": 9300}}), tmp_path, live=True))
    told = screen.getvalue()
    for words in (
        "http://127.0.0.1:3010", "http://127.0.0.1:5010", "http://127.0.0.1:9300/metrics", "why BTCUSDT",
        "tidegate doctor", "drill list", "Ctrl-C",
    ):  # fmt: skip
        assert words in told
    console.print(guide(pages, settings(), tmp_path, live=False))
    assert "status" not in screen.getvalue().removeprefix(told)
