"""docs/live.md names what there is: every gate in its order, every knob of the gates, every stream and service."""

import re
from collections.abc import Sequence
from typing import get_args

from bus.streams import DURABLE
from config.settings import all_knobs
from live.executor import records
from live.executor.gates import TABLE
from live.wiring import SERVICES
from tests.style_bar import ROOT

_PAGE = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")


def _first_cells(heading: str) -> Sequence[str]:
    """What stands as code in the first column of the tables below a heading."""
    section = _PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \|", section, flags=re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_gates_stand_in_the_order_in_which_they_are_looked_at() -> None:
    """The page is the table."""
    assert _first_cells("Gates") == [name for name, _ in TABLE]


def test_every_knob_of_the_gates_is_named() -> None:
    """Nobody has to guess which number closes what."""
    knobs = {each.key for each in all_knobs() if each.key.startswith(("gates.", "warmup.", "backpressure."))}
    assert {key for key in knobs if f"`{key}`" not in _PAGE} == set()


def test_streams_and_services_are_all_there() -> None:
    """Each has a row."""
    assert set(DURABLE) <= set(_first_cells("Streams"))
    assert {*SERVICES, "recorder"} <= set(_first_cells("Services"))


def test_records_of_the_journal_are_all_there() -> None:
    """Whoever prints a journal finds each kind explained."""
    kinds = {kind.__name__ for kind in get_args(records.AnyRecord)}
    section = _PAGE.partition("## Reading the journal")[2]
    assert {name for name in kinds if f"`{name}`" not in section} == set()
