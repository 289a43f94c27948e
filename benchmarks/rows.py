"""One result of a benchmark, and how a few of them are shown in a terminal."""

from collections.abc import Iterable
from typing import Any


class Absent(Exception):
    """What a benchmark measures by is not on this machine; it is skipped, and says why."""


def row(
    name: str,
    value: float,
    unit: str,
    *,
    ratio: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> dict[str, Any]:
    """Return a result whose ratio should be at least `least` or at most `most`; without either it only informs."""
    holds = None
    if ratio is not None and (least is not None or most is not None):
        holds = (least is None or ratio >= least) and (most is None or ratio <= most)
    goal = f">= {least:g}x" if least is not None else f"<= {most:g}x" if most is not None else ""
    return {"name": name, "value": value, "unit": unit, "ratio": ratio, "goal": goal, "holds": holds}


def fact(
    name: str, value: float, unit: str, *, wanted: float | None = None, below: float | None = None
) -> dict[str, Any]:
    """Return a result that should equal `wanted` or lie below `below`."""
    if wanted is not None:
        return {
            "name": name,
            "value": value,
            "unit": unit,
            "ratio": None,
            "goal": f"{wanted:g}",
            "holds": value == wanted,
        }
    goal, holds = ("", None) if below is None else (f"< {below:g}", value < below)
    return {"name": name, "value": value, "unit": unit, "ratio": None, "goal": goal, "holds": holds}


def show(rows: Iterable[dict[str, Any]]) -> None:
    """Print one line a result."""
    for each in rows:
        ratio = "" if each["ratio"] is None else f"{each['ratio']:,.2f}x"
        verdict = {None: "", True: "holds", False: "MISSED"}[each["holds"]]
        print(f"{each['name']:<72} {each['value']:>10,.3f} {each['unit']:<9} {ratio:>9} {each['goal']:<8} {verdict}")
