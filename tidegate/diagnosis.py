"""A section of the runbook with the numbers of now: each metric it names is read from the services that run.

Nothing is changed: the streams are opened to be looked at, and pages of /metrics are fetched.
"""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache

from bus.errors import BusError
from bus.heartbeats import read
from bus.protocol import Bus
from config.errors import SettingsError
from config.settings import Settings, explain
from monitoring.reference import declared
from monitoring.scrape import Sample, Scrape, ScrapeError
from tidegate import runbook
from tidegate.streams import NoStreams, opened

_LOOPBACK = "127.0.0.1"
_MOST_SERIES = 6
_STREAM = ("sig:", "exec:", "eval:", "control:")


def run(settings: Settings, name: str, redis_url: str = "", *, as_json: bool = False) -> int:
    """Print a section; returns 0, 1 when no service could be asked, 2 when there is no such section."""
    try:
        section = runbook.section(name)
    except runbook.NoSection as error:
        print(error, file=sys.stderr)
        return 2
    if as_json:
        return _as_json(settings, section, redis_url)
    print(f"docs/runbook.md#{section.anchor}\n\n{section.title}\n")
    try:
        with opened(settings, redis_url) as bus:
            pages = pages_of(bus, settings.serving.host)
            for step in section.steps:
                print(step)
                for line in numbers_of(step, pages, bus):
                    print(f"      {line}")
                print()
    except (NoStreams, BusError, SettingsError) as error:
        print("\n\n".join(section.steps))
        print(f"\nno numbers: {error}", file=sys.stderr)
        return 1
    if not pages:
        print("no numbers: no service shows /metrics; python -m tidegate status tells more", file=sys.stderr)
    return 0 if pages else 1


def _as_json(settings: Settings, section: runbook.Section, redis_url: str) -> int:
    """The section as one object; `error` says why its steps have no numbers, empty where they have."""
    steps, error = [(step, list[str]()) for step in section.steps], ""
    try:
        with opened(settings, redis_url) as bus:
            pages = pages_of(bus, settings.serving.host)
            steps = [(step, list(numbers_of(step, pages, bus))) for step in section.steps]
            error = "" if pages else "no service shows /metrics"
    except (NoStreams, BusError, SettingsError) as caught:
        error = str(caught)
    told = [{"text": text, "numbers": numbers} for text, numbers in steps]
    link = f"docs/runbook.md#{section.anchor}"
    print(json.dumps({"section": section.anchor, "title": section.title, "link": link, "steps": told, "error": error}))
    return 1 if error else 0


def pages_of(bus: Bus, serving_host: str = _LOOPBACK) -> Sequence[Scrape]:
    """The page of each process that says where it is and answers.

    Where /metrics is served beyond this machine, a service may also be a host of its own name, as a container is.
    Raises BusUnavailable.
    """
    hosts: dict[int, list[str]] = {}
    for beat in read(bus).values():
        if beat.state == "running" and beat.metrics_port:
            known = hosts.setdefault(beat.metrics_port, [_LOOPBACK])
            known += [beat.service] if serving_host != _LOOPBACK else []
    return [page for port in sorted(hosts) if (page := _page(hosts[port], port)) is not None]


def _page(hosts: Sequence[str], port: int) -> Scrape | None:
    """What the first of these hosts that answers shows."""
    for host in hosts:
        with suppress(ScrapeError):
            return Scrape.of(f"http://{host}:{port}/metrics")
    return None


def numbers_of(step: str, pages: Sequence[Scrape], bus: Bus) -> Iterator[str]:
    """A line for each metric, stream and key that a step names."""
    names = runbook.Section("", "", step).names
    knobs = explain()
    for name in names:
        if name in knobs.origins:
            yield f"{name} is {knobs.value(name)}"
        elif name.removeprefix("XLEN ").startswith(_STREAM):
            stream = name.removeprefix("XLEN ")
            yield f"{stream}: newest entry {bus.last_id(stream)}"
        elif (read_as := runbook.metric_of(name)) and read_as[0] in metric_types():
            yield from _series(read_as[0], read_as[1], pages)


@cache
def metric_types() -> dict[str, str]:
    """Every metric there is, and whether it is a counter, a gauge or a histogram."""
    return {each.name: each.type for each in declared()}


def _series(name: str, labels: dict[str, str], pages: Sequence[Scrape]) -> Iterator[str]:
    """What the services show of a metric, the largest first; what is zero is only counted."""
    wanted = {key: value for key, value in labels.items() if value}
    if metric_types()[name] == "histogram":
        medians = [found for page in pages if (found := page.quantile(name, 0.5)) is not None]
        yield f"{name}: median {max(medians):.4g} s" if medians else f"{name}: nothing measured yet"
        return
    values: dict[str, float] = {}
    for sample in (each for page in pages for each in page.matching(name, **wanted)):
        values[_shown(sample)] = max(values.get(_shown(sample), -math.inf), sample.value)
    told = sorted((each for each in values.items() if each[1]), key=lambda each: -abs(each[1]))
    for key, value in told[:_MOST_SERIES]:
        yield f"{key} = {value:.6g}"
    if len(told) > _MOST_SERIES:
        yield f"... and {len(told) - _MOST_SERIES} more of {name}"
    if not told:
        yield f"{name} = 0" if values else f"{name}: no service has shown it yet"


def _shown(sample: Sample) -> str:
    labels = ", ".join(f'{key}="{value}"' for key, value in sample.labels.items())
    return f"{sample.name}{{{labels}}}" if labels else sample.name
