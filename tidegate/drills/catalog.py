"""Every drill, in the order in which `drill all` runs them."""

from collections.abc import Mapping
from typing import Final

from tidegate.drills import (
    backpressure,
    fail_safe,
    stale_book,
    throughput_spike,
    volatility_halt,
    warmup_gate,
)
from tidegate.drills.drill import Drill

DRILLS: Final[Mapping[str, Drill]] = {
    each.DRILL.name: each.DRILL
    for each in (
        volatility_halt,
        stale_book,
        warmup_gate,
        fail_safe,
        backpressure,
        throughput_spike,
    )
}
