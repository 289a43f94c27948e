"""One visit of the doctor: everything is looked at in order, shown, and answered by an exit code."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bus.errors import BusError
from config.errors import SettingsError
from config.settings import Settings, explain
from live.shards import instances
from tidegate.doctor import lake, live, machine, ports, sensors, versions
from tidegate.doctor.finding import Finding
from tidegate.environment import FIXED, ROOT
from tidegate.situation import SERVICES, Snapshot, look
from tidegate.streams import NoStreams, opened

_SIGNS = {"ok": "[green]✓ ok[/]", "warn": "[yellow]! warn[/]", "fail": "[bold red]✗ fail[/]"}


def run(url: str = "", *, as_json: bool = False, brief: bool = False) -> int:
    """Print what was found, all or (`brief`) only what is not ok; 1 when something must be mended, else 0."""
    os.environ.update(FIXED)
    found = list(findings(os.environ, time.time_ns(), url))
    if as_json:
        print(json.dumps(plain(found), indent=2))
    else:
        show(Console(highlight=False), found, brief=brief)
    return 1 if any(each.level == "fail" for each in found) else 0


def findings(environ: Mapping[str, str], now_ns: int, url: str = "") -> Iterator[Finding]:
    """Look at everything; without a valid configuration only at the machine."""
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    try:
        effective = explain(environ=environ)
    except SettingsError as error:
        yield from machine.findings(machine.read(ROOT, {"paths.var": ROOT}, now))
        yield Finding("configuration", "fail", "; ".join(error.problems), "python scripts/validate_config.py")
        return
    settings = effective.settings
    folders = {"paths.var": Path(settings.paths.var)}
    if "://" not in settings.paths.lake:
        folders["paths.lake"] = Path(settings.paths.lake)
    yield from machine.findings(machine.read(ROOT, folders, now))
    from_outside = sum(origin.startswith("environment") for origin in effective.origins.values())
    yield Finding("configuration", "ok", f"{len(effective.origins)} knobs, {from_outside} from the environment")
    yield from ports.findings(settings)
    yield from lake.findings(settings, now.date())
    yield from _running(settings, environ, now_ns, url)


def plain(found: Sequence[Finding]) -> Mapping[str, object]:
    """The findings as plain values."""
    rows = [{"name": each.name, "level": each.level, "says": each.says, "mend": each.mend} for each in found]
    return {"well": not any(each.level == "fail" for each in found), "findings": rows}


def show(console: Console, found: Sequence[Finding], *, brief: bool) -> None:
    """Print a line for each, what mends it below, and a count."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    shown = [each for each in found if each.level != "ok"] if brief else found
    for each in shown:
        mend = f"\n[dim]→[/] {escape(each.mend)}" if each.mend else ""
        table.add_row(_SIGNS[each.level], each.name, escape(each.says) + mend)
    if shown:
        console.print(table)
    counts = {level: sum(each.level == level for each in found) for level in _SIGNS}
    console.print(f"doctor: {counts['ok']} ok, {counts['warn']} to know of, {counts['fail']} to mend")


def _running(settings: Settings, environ: Mapping[str, str], now_ns: int, url: str) -> Iterator[Finding]:
    """What is seen of a running stack; where none runs, how to start one."""
    snapshot: Snapshot | None = None
    try:
        with opened(settings, url) as bus:
            yield from live.streams(bus)
            snapshot = look(bus, bus.address, now_ns, None, instances(SERVICES, settings))
            yield from live.services(snapshot)
            yield from live.clocks(snapshot)
    except NoStreams as error:
        yield Finding("redis", "warn", str(error).partition("; start")[0], "make up, or python -m live all")
    except BusError as error:
        yield Finding("redis", "fail", str(error), "start that server, or leave redis.url empty")
    yield from live.mode(settings, environ, snapshot)
    scorer = snapshot.status_of("ai_scorer") if snapshot else {}
    yield from versions.findings(Path(settings.registry.mirror), _store_of(settings), scorer)
    yield from sensors.findings(sensors.states(ports.DAGSTER_PORT), snapshot, automatic=settings.schedule.automatic)


def _store_of(settings: Settings) -> versions.OpenStore | None:
    """How to open MLflow's store; None while its database was never made."""
    from pipelines.registrar import open_store

    uri = settings.registry.tracking_uri
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return None
    return lambda: open_store(settings)
