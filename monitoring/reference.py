"""Write docs/metrics.md from the declarations: `python -m monitoring.reference > docs/metrics.md`."""

import sys
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from monitoring import metrics
from monitoring.metrics import Declared, Metrics

_HEAD = """# Metrics

Written by `python -m monitoring.reference` from `monitoring/metrics.py`; a test fails when it is out of date.

Each live process serves its metrics on `/metrics` at `serving.host`, the first port being `serving.metrics_port`; the
port of each service is in `python -m tidegate status`. The names are those of the runbook. A counter has every label
value that is known from the start, at 0, so that an alert on an increase sees the first event too. A histogram has the
series `_bucket`, `_sum` and `_count`.
"""

_VALUES: Sequence[tuple[str, Sequence[str]]] = (
    ("`route`", metrics.ROUTES),
    ("`mode`, `from`, `to`", metrics.MODES),
    ("`slot`", metrics.SLOTS),
    ("`gate`", metrics.GATES),
    ("`reason` of `fail_safe_trigger_total`", metrics.FAIL_SAFE_REASONS),
    ("`reason` of `rollback_total`", metrics.ROLLBACK_REASONS),
    ("`reason` of `model_swap_refused_total`", metrics.SWAP_REFUSALS),
    ("`mode` of `backpressure_total`", metrics.DROP_MODES),
    ("`bucket`", metrics.BUCKETS),
    ("`outcome`", metrics.OUTCOMES),
    ("`event`", metrics.CONTROL_EVENTS),
    ("`severity`", metrics.SEVERITIES),
)


def markdown() -> str:
    """Return the page: one table a group, one row a metric, and the values that labels take."""
    every = declared()
    groups = dict.fromkeys(each.group for each in every)
    return "\n".join([_HEAD, *(_group(name, every) for name in groups), _values()])


def declared() -> Sequence[Declared]:
    """Every metric there is, in order."""
    return Metrics(CollectorRegistry()).declared


def _group(name: str, every: Sequence[Declared]) -> str:
    rows = [_row(each) for each in every if each.group == name]
    return "\n".join([f"## {name}", "", "| name | type | labels | what it shows |", "|---|---|---|---|", *rows, ""])


def _row(each: Declared) -> str:
    labels = ", ".join(f"`{label}`" for label in each.labels)
    return f"| `{each.name}` | {each.type} | {labels} | {each.text} |"


def _values() -> str:
    rows = [f"| {label} | {', '.join(values)} |" for label, values in _VALUES]
    return "\n".join(["## Label values", "", "| label | values |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(markdown())
