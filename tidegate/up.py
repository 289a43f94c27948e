"""A stack on one machine: the pages of Dagster and MLflow, and the live services on paper, all on loopback.

They are started together and stopped together. The services trade the simulated market of now unless the configuration
names another feed; model_sync runs in a process of its own and follows MLflow's aliases.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from bus.errors import BusError
from bus.server import serve as serve_streams
from config.settings import Settings
from registry.manifest import Mirror
from tidegate import live_stack
from tidegate.complaint import complain
from tidegate.environment import ROOT, prepare

_HOST = "127.0.0.1"
_START_SECONDS = 180
_STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Page:
    """One server: its command, the page it shows, and a path that answers once it is ready.

    `environ` is its alone, and never shown: everybody on the machine can read a command line, which `command` becomes.
    """

    name: str
    command: Sequence[str]
    port: int
    health: str
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{_HOST}:{self.port}"


def serve(source: Path | None, dagster_port: int, mlflow_port: int, *, live: bool = True) -> int:
    """Start the pages and the live services, say where they are, and wait for Ctrl-C or for one of them to end.

    Returns 0 when stopped by hand, 1 when a port was taken or a process ended by itself.
    """
    console = Console()
    settings = prepare(source)
    registry = settings.registry
    pages = pages_of(registry.tracking_uri, str(registry.artifacts), dagster_port, mlflow_port)
    for page in pages:
        if port_taken(page.port):
            complain(f"{page.name}: port {page.port} is taken; choose another with --{page.name.lower()}-port")
            return 1
    logs = Path(settings.paths.var) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with ended_by_signals(), ExitStack() as ends:
            ends.callback(lambda: stop(list(processes.values())))
            for page in pages:
                processes[page.name] = start(page, logs / f"{page.name.lower()}.log")
            if live:
                server = ends.enter_context(serve_streams(Path(settings.paths.var) / "redis", settings.redis.url))
                ends.callback(lambda: stop_live(processes))
                processes |= _start_live(settings, server.url, logs)
                tell_of_live(console, settings, logs)
            return _watch(console, pages, processes, logs, settings)
    except KeyboardInterrupt:
        return 0
    except BusError as error:
        complain(f"streams: {error}")
        return 1


def _start_live(settings: Settings, url: str, logs: Path) -> dict[str, "subprocess.Popen[bytes]"]:
    """The services that trade, in one process, and model_sync in another."""
    environ = {"REDIS_URL": url}
    first = settings.serving.metrics_port
    return {
        "live": live_stack.start(["all"], logs / "live.log", environ, first),
        "model_sync": live_stack.start(["model_sync"], logs / "model_sync.log", environ, first),
    }


def stop_live(processes: dict[str, "subprocess.Popen[bytes]"]) -> None:
    """End the services before the streams they speak on."""
    for name in ("live", "model_sync"):
        if name in processes:
            live_stack.stop(processes[name])


def tell_of_live(console: Console, settings: Settings, logs: Path) -> None:
    """Say what was started, where to look, and whether there is a model to trade with."""
    feed, exchange = settings.feed, settings.exchange
    console.print(f"Starting the live services: feed {feed.kind}, exchange {exchange.mode}; log {logs / 'live.log'}")
    if Mirror(settings.registry.mirror).slot("active") is None:
        console.print("[yellow]No model is active yet: nothing is approved until one is.[/] make demo trains one.")


def guide(pages: Sequence[Page], settings: Settings, logs: Path, *, live: bool) -> Table:
    """Where everything is and what to look at first; each command is for another terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Everything is up", title_justify="left")
    for name in ("what", "where", "look at"):
        table.add_column(name, overflow="fold")
    looks = {
        "Dagster": "Lineage > Global asset lineage; model_card has the pictures; Automation has the sensors",
        "MLflow": "Models > signal_scorer: versions and aliases; tick two runs and Compare",
    }
    for page in pages:
        table.add_row(page.name, page.url, looks[page.name])
    if live:
        first = f"http://{settings.serving.host}:{settings.serving.metrics_port}/metrics"
        symbol = settings.market.symbols[0]
        table.add_row("live", "python -m tidegate status --watch", f"on {settings.exchange.mode}; ready after warm-up")
        table.add_row("", f"python -m tidegate why {symbol}", "why there was, or was no, trade")
        table.add_row("metrics", first, "docs/metrics.md says what each is")
    table.add_row("history", "python -m tidegate audit log", "who moved which version, when and why")
    table.add_row("trouble", "python -m tidegate doctor", "what is wrong, and the command that mends it")
    table.add_row("drills", "python -m tidegate drill list", "causes a trouble for real, in a stack of its own")
    table.add_row("logs", str(logs), "")
    table.caption = "Commands are for another terminal, with .venv/bin/python. Ctrl-C here stops everything."
    return table


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that the servers it started are stopped and not left behind."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, signal.default_int_handler) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


def pages_of(tracking_uri: str, artifacts: str, dagster_port: int, mlflow_port: int) -> tuple[Page, Page]:
    """The two servers with their commands."""
    dagster = [
        sys.executable, "-m", "dagster", "dev", "-w", str(ROOT / "workspace.yaml"),
        "-h", _HOST, "-p", str(dagster_port),
    ]  # fmt: skip
    mlflow = [
        sys.executable, "-m", "mlflow", "server", "--host", _HOST, "--port", str(mlflow_port), "--workers", "1",
    ]  # fmt: skip
    # Both are addresses that may hold a password.
    stores = {"MLFLOW_BACKEND_STORE_URI": tracking_uri, "MLFLOW_ARTIFACTS_DESTINATION": artifacts}
    return (
        Page("Dagster", dagster, dagster_port, "/server_info"),
        Page("MLflow", mlflow, mlflow_port, "/health", stores),
    )


def port_taken(port: int) -> bool:
    """Whether something already answers on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0


def start(page: Page, log: Path, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start one server with its output in a log file.

    It can be stopped whatever we ignore.
    """
    with log.open("wb") as out:
        return subprocess.Popen(  # noqa: S603 - the commands are ours
            page.command,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**(os.environ if environ is None else environ), **page.environ},
            preexec_fn=heeding_signals,  # noqa: PLW1509 - no threads here
        )


def heeding_signals() -> None:
    """Let a child begin with the default handlers, which it would not inherit.

    A shell that starts us in the background ignores SIGINT, and Dagster copies that handler onto SIGTERM, in our
    process as in its own; a child that inherits it could not be stopped.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)


def answers(page: Page) -> bool:
    """Whether a server is ready."""
    try:
        with urllib.request.urlopen(page.url + page.health, timeout=2) as reply:  # noqa: S310 - loopback
            return bool(reply.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask every server to end, and end those by force that do not within half a minute."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _watch(
    console: Console,
    pages: Sequence[Page],
    processes: Mapping[str, "subprocess.Popen[bytes]"],
    logs: Path,
    settings: Settings,
) -> int:
    waiting = list(pages)
    deadline = time.monotonic() + _START_SECONDS
    console.print(f"Starting Dagster and MLflow; their output goes to {logs}")
    while True:
        for name, process in processes.items():
            if (code := process.poll()) is not None:
                complain(f"{name} ended with {code}; see {logs / name.lower()}.log")
                return 1
        for page in [page for page in waiting if answers(page)]:
            waiting.remove(page)
            console.print(f"[green]{page.name}[/] is up: {page.url}")
            if not waiting:
                console.print(guide(pages, settings, logs, live="live" in processes))
        if waiting and time.monotonic() > deadline:
            complain(f"{waiting[0].name} did not answer within {_START_SECONDS} s; see {logs}")
            return 1
        time.sleep(0.5)
