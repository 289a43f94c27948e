"""tidegate snapshot: the dashboard's panels on one page that needs no Grafana and no network.

The answers come from a Prometheus that runs already, or from one found on PATH that is started over the running
services for a while. Where there is neither, the page shows what the services' /metrics say at this moment.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.markup import escape

from bus.client import RedisBus
from bus.errors import BusError
from bus.heartbeats import SILENT_SECONDS, Heartbeat, read
from config.settings import Settings
from monitoring.panel import Panel
from monitoring.panels import ANNOTATIONS, panels_of
from monitoring.runbook import PAGE
from monitoring.scrape import ScrapeError
from tidegate.board import Board, taken
from tidegate.board_page import page
from tidegate.environment import ROOT
from tidegate.metrics_now import board_of_now
from tidegate.monitoring_files import files_of, thresholds_of
from tidegate.prometheus import PROGRAM, Prometheus, PrometheusError, is_installed, watching
from tidegate.streams import NoStreams, opened

RULES: Final = "prometheus/rules/tidegate.yml"
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_PICTURE_SECONDS: Final = 60.0
_TICK_SECONDS: Final = 1.0


class NoSnapshot(Exception):
    """There is nothing to take one of; the text says what was looked for and how to start it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for: `url` of a Prometheus or none; `last` and `watch` in seconds; `png` beside the page."""

    out: Path
    url: str = ""
    last: float = 900.0
    watch: float = 30.0
    redis_url: str = ""
    png: Path | None = None


def run(settings: Settings, asked: Asked, console: Console | None = None) -> int:
    """Take one and write it; returns 0, or 1 with a line of what is missing."""
    console = console or Console(highlight=False)
    try:
        board = _board(settings, asked, console)
        written(board, asked.out)
        console.print(f"snapshot: {asked.out.resolve().as_uri()}", soft_wrap=True)
        if asked.png is not None:
            _photographed(asked.out, asked.png)
            console.print(f"picture: {asked.png}", soft_wrap=True)
    except (NoSnapshot, NoStreams, PrometheusError, BusError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
        return 1
    return 0


def written(board: Board, out: Path) -> None:
    """Write a board as a page whose links lead to this checkout's runbook. Raises OSError."""
    out.parent.mkdir(parents=True, exist_ok=True)
    runbook = os.path.relpath(ROOT / PAGE, out.resolve().parent)
    out.write_text(page(board, Path(runbook).as_posix()), encoding="utf-8")


def _board(settings: Settings, asked: Asked, console: Console) -> Board:
    panels = panels_of(thresholds_of(settings))
    if asked.url:
        now = time.time_ns() / 1e9
        return taken(Prometheus(asked.url), panels, ANNOTATIONS, now - asked.last, now)
    with opened(settings, asked.redis_url) as bus:
        targets = _targets(bus)
        if not is_installed():
            console.print(
                f"no {PROGRAM} on PATH, and none named with --prometheus: the page shows the values of now, without "
                "their past (on Debian: apt-get install prometheus)",
                soft_wrap=True,
            )
            return _now(panels, targets)
        return _watched(settings, targets, asked.watch, console)


def _targets(bus: RedisBus) -> Mapping[str, Sequence[str]]:
    """HOST:PORT of each process that shows metrics, by the services in it. Raises NoSnapshot when none does."""
    now_ns = time.time_ns()
    beats = [each for each in read(bus).values() if _is_running(each, now_ns)]
    ports = {beat.metrics_port: "-".join(sorted({beat.service, *beat.hosted_with})) for beat in beats}
    if not ports:
        raise NoSnapshot(f"{bus.address}: no service runs that shows metrics; start them: python -m tidegate up")
    return {name: [f"127.0.0.1:{port}"] for port, name in sorted(ports.items())}


def _is_running(beat: Heartbeat, now_ns: int) -> bool:
    return beat.state == "running" and beat.metrics_port > 0 and now_ns - beat.at_ns < SILENT_SECONDS * 1e9


def _watched(settings: Settings, targets: Mapping[str, Sequence[str]], seconds: float, console: Console) -> Board:
    """What a Prometheus of our own sees within some seconds, alerts included."""
    panels, rules = panels_of(thresholds_of(settings)), dict(files_of(settings))[RULES]
    with (
        TemporaryDirectory(prefix="tidegate-snapshot-") as folder,
        watching(targets, Path(folder), rules=rules) as prometheus,
    ):
        start = time.time_ns() / 1e9
        with console.status(f"a {PROGRAM} of our own looks at {len(targets)} processes for {seconds:g} s"):
            _pass(seconds)
        return taken(prometheus, panels, ANNOTATIONS, start, time.time_ns() / 1e9)


def _pass(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, _TICK_SECONDS))


def _now(panels: Sequence[Panel], targets: Mapping[str, Sequence[str]]) -> Board:
    pages = [f"http://{host}/metrics" for hosts in targets.values() for host in hosts]
    try:
        return board_of_now(panels, pages, time.time_ns() / 1e9)
    except ScrapeError as error:
        raise NoSnapshot(str(error)) from error


def _photographed(out: Path, png: Path) -> None:
    """Have a browser without a window draw the page. Raises NoSnapshot when there is none, or it failed."""
    browser = _found(_BROWSERS)
    if browser is None:
        raise NoSnapshot(f"no picture: none of {', '.join(_BROWSERS)} on PATH; the page is written")
    png.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="tidegate-browser-") as profile:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}",
            "--disable-background-networking", "--window-size=1560,1400", f"--screenshot={png.resolve()}",
            out.resolve().as_uri(),
        ]  # fmt: skip
        done = subprocess.run(  # noqa: S603 - found on PATH by its name
            command, capture_output=True, text=True, timeout=_PICTURE_SECONDS, check=False
        )
    if done.returncode != 0 or not png.exists():
        raise NoSnapshot(f"{browser} drew no picture: {done.stderr.strip()[-500:]}")


def _found(names: Iterable[str]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)
