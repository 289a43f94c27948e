"""Every drill, in the order of the runbook."""

from collections.abc import Mapping
from typing import Final

from tidegate.drills import (
    backpressure,
    data_gaps,
    drift_breach,
    fail_safe,
    operations,
    parity_fail,
    precision_halt,
    rollback_guard,
    stale_book,
    throughput_spike,
    volatility_halt,
    warmup_gate,
)
from tidegate.drills.drill import Drill

DRILLS: Final[Mapping[str, Drill]] = {
    each.DRILL.name: each.DRILL
    for each in (
        precision_halt,
        volatility_halt,
        parity_fail,
        drift_breach,
        throughput_spike,
        warmup_gate,
        stale_book,
        rollback_guard,
        fail_safe,
        backpressure,
        data_gaps,
        operations,
    )
}
