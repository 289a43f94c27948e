import pytest

from monitoring.runbook import OF_METRIC, OF_REASON, SECTIONS, link_of, section_of


@pytest.mark.parametrize(
    ("reason", "anchor"),
    [
        ("precision_halt", "precision-halt"),
        ("psi_feature_spread_bps", "drift-breach"),
        ("ks_feature_mid_return_1s", "drift-breach"),
        ("psi_feature", "drift-breach"),
        ("operator", "operational-commands"),
        ("what nobody knows", "fail-safe-alert"),
    ],
)
def test_a_reason_finds_its_section(reason: str, anchor: str) -> None:
    """A feature's own reason goes where the gate's does; a strange one where every CRIT is explained."""
    assert section_of(reason) == anchor
    assert link_of(reason) == f"docs/runbook.md#{anchor}"


def test_the_tables_name_sections_that_are_there() -> None:
    """By anchor."""
    assert {*OF_REASON.values(), *OF_METRIC.values()} <= set(SECTIONS)
