"""Markets for drills: recordings of the simulator with faults at known moments, as the collector replays them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from config.settings import Settings
from market.simulator import write_capture
from market.simulator_defects import Defect
from market.simulator_rule import usual_rule
from market.symbols import SymbolTable
from tidegate.drills.knobs import MARKET_DAY, SYMBOL

SECOND_NS = 1_000_000_000
BEGIN_NS = round(datetime.fromisoformat(f"{MARKET_DAY}T00:02:00+00:00").timestamp()) * SECOND_NS
"""Where a recorded market begins: near midnight, so that the simulator has little to catch up with."""


def after(seconds: float) -> int:
    """A moment of the recorded market, so long after its begin, in nanoseconds."""
    return BEGIN_NS + round(seconds * SECOND_NS)


def record(settings: Settings, folder: Path, seconds: float, defects: Sequence[Defect] = ()) -> Path:
    """Write a market of so many seconds with these faults, as a recorder would have; returns the folder.

    The same arguments give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    symbol = SymbolTable.load(settings.paths.symbols)[SYMBOL]
    knobs = settings.simulator
    rule = usual_rule(SYMBOL, knobs.depth_interval_ms, knobs.order_flow_effect)
    day = datetime.fromtimestamp(BEGIN_NS / SECOND_NS, UTC)
    file = folder / f"{SYMBOL}_{day:%Y%m%d}.gz"
    write_capture(file, symbol, BEGIN_NS, after(seconds), knobs.seed, rule=rule, defects=defects)
    return folder
