"""docs/performance.md: one section a benchmark, rewritten when it has run again; every other word of the page stays.

A section stands between two comment lines, with the day it was measured on, so a run of one benchmark replaces that
section alone and what a person wrote about a missed goal is kept.
"""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_HEAD = "# Performance\n\nWritten by `make bench ARGS='--write docs/performance.md'`.\n"
_PACKAGES = (
    "numpy", "numba", "pyarrow", "pandas", "polars", "duckdb", "scipy", "evidently", "lightgbm", "onnxruntime",
    "dagster",
)  # fmt: skip


def write(path: Path, results: Mapping[str, Mapping[str, Any]], at: datetime) -> None:
    """Put the machine's facts and the sections of these results into the page; results are those of benchmarks.report.

    A benchmark that was skipped or failed leaves its section as it was.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    text = replaced(text, "machine", "\n".join(f"- {fact}" for fact in machine()))
    for name, result in results.items():
        if "rows" in result:
            text = replaced(text, name, section(name, result["rows"], result["seconds"], at))
    path.write_text(text, encoding="utf-8")


def section(name: str, rows: Sequence[Mapping[str, Any]], seconds: float, at: datetime) -> str:
    """Return one benchmark's table in Markdown."""
    lines = [f"## {name}", "", f"Measured {at:%Y-%m-%d %H:%M} UTC in {seconds:.0f} s, load {_load()}.", ""]
    lines += ["| what | value | ratio | goal | |", "|---|--:|--:|--:|---|"]
    return "\n".join([*lines, *("| " + " | ".join(cells(row, name)) + " |" for row in rows)])


def cells(row: Mapping[str, Any], name: str) -> tuple[str, str, str, str, str]:
    """Return what, value with unit, ratio, goal and verdict of a row as they are shown."""
    ratio = "" if row["ratio"] is None else f"{row['ratio']:,.2f}x"
    verdict = {None: "", True: "holds", False: "MISSED"}[row["holds"]]
    what = re.sub(rf"^{name.replace('_', ' ')}[:,] ", "", row["name"])
    return what, f"{_number(row['value'])} {row['unit']}".strip(), ratio, row["goal"], verdict


def machine() -> list[str]:
    """Return what a reader has to know about this machine to compare figures."""
    versions = [f"{package} {found}" for package in _PACKAGES if (found := _version(package))]
    return [
        f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, {', '.join(versions)}",
    ]


def replaced(text: str, name: str, body: str) -> str:
    """The page's text with what stands between the two comment lines of this name; put at its end when new.

    Raises ValueError when the page has the first of the lines without the second.
    """
    begin, end = f"<!-- benchmark {name} -->", f"<!-- end {name} -->"
    block = f"{begin}\n{body}\n{end}"
    if begin not in text:
        return f"{text.rstrip()}\n\n{block}\n"
    before, rest = text.split(begin, 1)
    if end not in rest:
        raise ValueError(f"the page has a line {begin} but none {end} behind it: put it back, then run again")
    return before + block + rest.split(end, 1)[1]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _load() -> str:
    return f"{os.getloadavg()[1]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", facts.read_text(), re.MULTILINE) if facts.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _memory_gib() -> float:
    if not hasattr(os, "sysconf"):
        return 0.0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
