"""Volatility halt: the market moves forty times as wild for two minutes; trading stops, and resumes by itself."""

from market.simulator_defects import Defect
from tidegate.drills.drill import Drill
from tidegate.drills.knobs import SYMBOL
from tidegate.drills.market import SECOND_NS, after
from tidegate.drills.scene import Scene
from tidegate.drills.stack import TOGETHER

_BEGIN_SECONDS, _LENGTH_SECONDS = 420.0, 120.0
_HALT_BPS = 1.5


def run(scene: Scene) -> None:
    """Halted while it lasts, resumed behind it, without a hand."""
    line = scene.timeline
    scene.entered(60, proof="healthy", probe=False)
    line.trouble(f"one-second moves of {SYMBOL} become 40 times as wide", after(_BEGIN_SECONDS))
    halt = scene.event("HALT", "volatility_halt", 60)
    scene.metric("risk", "volatility_bps", lambda bps: bps > _HALT_BPS, symbol=SYMBOL, what=f"limit {_HALT_BPS:g}")
    scene.metric("executor", "halted", bool, proof="protection", reason="volatility_halt")
    scene.dropped("halted", probe=False)
    scene.journalled("HALT", "volatility_halt")
    resume = scene.event("RESUME", "volatility_halt", 60, proof="recovery")
    scene.metric("risk", "volatility_bps", lambda bps: bps < _HALT_BPS, proof="recovery", symbol=SYMBOL)
    scene.entered(probe=False, after_ns=resume.at_ns)
    scene.command("python -m tidegate status")
    line.saw("note", f"halted for {(resume.at_ns - halt.at_ns) / 1e9:.0f} s of market")


DRILL = Drill(
    "volatility-halt", "volatility-halt", "a market 40 times as wild for two minutes", run,
    seconds=900.0, is_fast=True, groups=TOGETHER,
    defects=(
        Defect("drifted_feature", after(_BEGIN_SECONDS), round(_LENGTH_SECONDS * SECOND_NS), feature="volatility",
               factor=40.0),
    ),
    knobs={
        "RISK_VOLATILITY_HALT_BPS": f"{_HALT_BPS:g}", "RISK_VOLATILITY_DEBOUNCE_SECONDS": "2",
        "RISK_VOLATILITY_RESUME_SECONDS": "30",
    },
)  # fmt: skip
