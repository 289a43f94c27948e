"""A Prometheus: asked by its HTTP interface, and one of our own that is started for a while to look at services."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_TIMEOUT_SECONDS = 15.0
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_PAUSE_SECONDS = 0.2
_DEFAULT_SCRAPE_SECONDS = 15.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}
PROGRAM = "prometheus"


class PrometheusError(Exception):
    """A Prometheus that does not answer, that refuses a question, or that is not there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One series: its labels, and (time in seconds, value) in order of time."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert that fires, or waits to; `since` as Prometheus writes it."""

    name: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The one at a URL. Every question raises PrometheusError."""

    url: str

    def range(self, expression: str, start: float, end: float, step: float) -> list[Answer]:
        """A series for each answer to the expression, looked at every `step` seconds."""
        found = self._get(
            "query_range",
            query=expression, start=f"{start:.3f}", end=f"{end:.3f}", step=f"{step:.3f}",
        )  # fmt: skip
        return [Answer(each["metric"], [_point(value) for value in each["values"]]) for each in found["result"]]

    def now(self, expression: str) -> list[Answer]:
        """The newest value of each answer to the expression, which is no plain number."""
        found = self._get("query", query=expression)
        return [Answer(each["metric"], [_point(each["value"])]) for each in found["result"]]

    def alerts(self) -> list[Firing]:
        """Alerts that fire or wait to; none where no rules are loaded."""
        found = self._get("alerts")["alerts"]
        return [Firing(each["labels"]["alertname"], each["state"], each["labels"], each["annotations"])
                for each in found]  # fmt: skip

    def scrape_seconds(self) -> float:
        """How often it looks at its targets, as its own configuration says."""
        text = self._get("status/config")["yaml"]
        said = str((yaml.safe_load(text) or {}).get("global", {}).get("scrape_interval", ""))
        for unit, seconds in _UNITS.items():
            number = said.removesuffix(unit)
            if said.endswith(unit) and number.isdecimal():
                return int(number) * seconds
        return _DEFAULT_SCRAPE_SECONDS

    def is_ready(self) -> bool:
        """Whether it answers questions."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2.0) as reply:  # noqa: S310 - checked at birth
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self.url.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise PrometheusError(f"{self.url}: wanted http://HOST:PORT or https://..., the address of a Prometheus")
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as reply:  # noqa: S310 - checked above
                found = json.load(reply)
        except urllib.error.HTTPError as error:
            raise PrometheusError(f"{self.url}: {path} was refused with {error.code}: {_reason(error)}") from error
        except (urllib.error.URLError, OSError) as error:
            raise PrometheusError(f"{self.url}: no answer ({error}); is a Prometheus running there?") from error
        except ValueError as error:
            raise PrometheusError(f"{self.url}: {path} was not answered in JSON; is that a Prometheus?") from error
        if not isinstance(found, dict) or found.get("status") != "success":
            raise PrometheusError(f"{self.url}: {path} was not answered as Prometheus does; is that one?")
        return found["data"]


def is_installed() -> bool:
    """Whether a Prometheus can be started here."""
    return shutil.which(PROGRAM) is not None


@contextmanager
def watching(
    targets: Mapping[str, Sequence[str]],
    folder: Path,
    scrape_seconds: float = 1.0,
    rules: str = "",
    alertmanager: str = "",
) -> Iterator[Prometheus]:
    """Run a Prometheus over jobs and their HOST:PORT, on a free port of loopback, with its data in `folder`.

    Entered when every target was looked at. `rules` is the text of a rule file. Ended with the block. Raises
    PrometheusError when it does not come up.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise PrometheusError(f"no {PROGRAM} on PATH; on Debian: apt-get install prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    files = _configured(targets, folder, scrape_seconds, rules, alertmanager)
    address = f"127.0.0.1:{_free_port()}"
    command = [
        program, f"--config.file={files}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}", "--log.level=warn",
    ]  # fmt: skip
    log = folder / "prometheus.log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - found on PATH by its name
            command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        found = Prometheus(f"http://{address}")
        deadline = time.monotonic() + _START_SECONDS
        wanted = sum(len(hosts) for hosts in targets.values())
        while not found.is_ready() or len(found.now("up")) < wanted:
            if process.poll() is not None or time.monotonic() > deadline:
                raise PrometheusError(f"{program} did not come up; {log} ends with: {log.read_text()[-500:]}")
            time.sleep(_PAUSE_SECONDS)
        yield found
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _configured(
    targets: Mapping[str, Sequence[str]], folder: Path, scrape_seconds: float, rules: str, alertmanager: str
) -> Path:
    interval = f"{round(scrape_seconds * 1000)}ms"
    said: dict[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(hosts)}]} for job, hosts in targets.items()
        ],
    }
    if rules:
        (folder / "rules.yml").write_text(rules, encoding="utf-8")
        said["rule_files"] = [str((folder / "rules.yml").resolve())]
    if alertmanager:
        said["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")
    return file


def _point(pair: Sequence[Any]) -> tuple[float, float]:
    at, value = pair
    return float(at), float(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error).get("error", error.reason))
    except (ValueError, AttributeError):
        return str(error.reason)
