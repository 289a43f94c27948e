"""The page of all metrics is the code's, not somebody's memory of it."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from monitoring.metrics import GATES, Metrics
from monitoring.reference import markdown

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_the_committed_page_is_up_to_date() -> None:
    """Run `make docs` when this fails."""
    assert _PAGE.read_text(encoding="utf-8") == markdown()


def test_every_metric_has_one_row() -> None:
    """Whatever /metrics can show is on the page, under the name and the type it has there."""
    page = markdown()
    for family in Metrics(CollectorRegistry()).registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert page.count(f"| `{name}` | {family.type} |") == 1, name


def test_label_values_are_listed() -> None:
    """Whoever writes an alert finds the gates there."""
    assert f"| `gate` | {', '.join(GATES)} |" in markdown()
