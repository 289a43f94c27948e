import pytest

from monitoring.runbook import SECTIONS
from tidegate import runbook
from tidegate.drills.catalog import DRILLS
from tidegate.drills.market import after


def test_each_section_has_one_drill_in_the_order_of_the_page() -> None:
    """And each drill a name of its own."""
    assert [drill.section for drill in DRILLS.values()] == list(SECTIONS)
    assert all(name == drill.name and drill.about for name, drill in DRILLS.items())


@pytest.mark.parametrize("name", DRILLS)
def test_a_market_that_is_replayed_at_full_speed_has_one_process(name: str) -> None:
    """The market turns the clock in the collector's process alone; a recording ends behind its faults."""
    drill = DRILLS[name]
    if drill.is_fast and drill.groups:
        assert len(drill.groups) == 1
    for defect in drill.defects:
        assert defect.end_ns <= after(drill.seconds)


def test_the_runbook_can_be_read_before_a_drill_types_from_it() -> None:
    """Each section has something to type."""
    assert all(each.commands for each in runbook.page().values())
