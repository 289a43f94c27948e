from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidegate.doctor import machine
from tidegate.doctor.machine import Machine, clock, disks, findings, memory, packages, python, read, tools

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LOCK = "aiohttp==3.14.5\ncolorama==0.4.6 ; sys_platform == 'win32'\nnumpy==2.4.6\n"
WELL = Machine((3, 11, 7), "numpy==2.4.6\n", lambda _: "2.4.6", {"paths.var": 9 * 10**9}, "", NOW, NOW, 0, ())


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 13, 1), "ok"), ((4, 0, 0), "ok")]
)
def test_python_is_3_11_or_newer(version: tuple[int, int, int], level: str) -> None:
    """What is written in pyproject."""
    assert python(version).level == level


@pytest.mark.parametrize(
    ("installed", "level", "words"),
    [
        ({"aiohttp": "3.14.5", "numpy": "2.4.6"}, "ok", "3 as requirements.lock says"),
        ({"aiohttp": "v3.14.5", "numpy": "2.4.6"}, "ok", "3 as requirements.lock says"),
        ({"aiohttp": "3.14.5", "numpy": "2.0.0"}, "fail", "numpy 2.0.0 instead of 2.4.6"),
        ({"aiohttp": "3.14.5"}, "warn", "1 of 3 are absent: numpy"),
    ],
)
def test_packages_are_those_of_the_lock(installed: dict[str, str], level: str, words: str) -> None:
    """A package that is for another platform may be absent."""
    found = packages(LOCK, installed.get)
    assert (found.level, words in found.says) == (level, True), found


def test_a_folder_without_a_lock_is_no_checkout() -> None:
    """It says where to run it."""
    assert packages("", lambda _: None).level == "warn"


@pytest.mark.parametrize(("free", "levels"), [(9e9, ["ok"]), (4e9, ["warn"]), (0.5e9, ["fail"])])
def test_room_on_the_disk(free: float, levels: list[str]) -> None:
    """The knob that moves the folder is in what mends it."""
    found = disks({"paths.lake": int(free)})
    assert [each.level for each in found] == levels
    assert all("PATHS_LAKE=" in each.mend for each in found if each.mend)


@pytest.mark.parametrize(("kilobytes", "level"), [(8_000_000, "ok"), (1_000_000, "warn"), (100_000, "fail")])
def test_memory(kilobytes: int, level: str) -> None:
    """By what the kernel calls available."""
    assert memory(f"MemTotal: 9 kB\nMemAvailable:   {kilobytes} kB\n").level == level


def test_memory_of_another_system_is_not_known() -> None:
    """That is no trouble."""
    assert memory("").level == "ok"


def test_a_clock_before_the_checkout_was_written_is_wrong() -> None:
    """One that nothing keeps in step may be."""
    assert clock(WELL).level == "ok"
    assert clock(replace(WELL, clock=NOW - timedelta(hours=1))).level == "fail"
    assert clock(replace(WELL, clock_state=5)).level == "warn"


def test_missing_tools_are_told_with_what_they_would_do() -> None:
    """And how to get them, each once."""
    assert tools(()).level == "ok"
    found = tools(("prometheus", "docker"))
    assert found.level == "warn"
    assert "no prometheus" in found.says
    assert found.mend.count("apt-get") == 1


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    """Six lines, whatever they say; a folder that is yet to be made lies on the disk of the nearest above it."""
    seen = read(tmp_path, {"paths.var": tmp_path / "not" / "yet"}, NOW)
    assert seen.free_bytes["paths.var"] > 0
    assert [each.name for each in findings(seen)] == ["python", "packages", "disk", "memory", "clock", "tools"]
    assert set(seen.missing_tools) <= set(machine.TOOLS)
