"""Throughput spike: more entries in an hour than can be meant; nothing new until a person has looked."""

from market.simulator_defects import Defect
from tidegate.drills.drill import Drill
from tidegate.drills.market import SECOND_NS, after
from tidegate.drills.scene import Scene

_MOST = 20
_SECONDS = 240.0
_LIVELY = Defect("drifted_feature", after(0.0), round(_SECONDS * SECOND_NS), feature="volatility", factor=10.0)
"""A market in which what rests is soon filled, whichever way it goes."""


def run(scene: Scene) -> None:
    """Halted by the count; lifted by risk itself once the limit says that so many are meant."""
    scene.entered(proof="healthy")
    scene.mark()
    scene.timeline.trouble(f"a burst of signals; risk.max_trades_per_hour is {_MOST}")
    scene.metric("risk", "trades_per_hour", lambda count: count > _MOST, 120, meanwhile=lambda: scene.probe(5))
    scene.event("HALT", "trade_rate")
    scene.metric("executor", "halted", bool, proof="protection", reason="trade_rate")
    scene.dropped("halted")
    scene.journalled("HALT", "trade_rate")
    scene.command("python -m tidegate status", proof="note")
    scene.stack.stop("risk")
    scene.stack.start(["risk"], RISK_MAX_TRADES_PER_HOUR="100000")
    scene.timeline.saw("recovery", "risk started again with risk.max_trades_per_hour 100000")
    resume = scene.event("RESUME", "trade_rate", proof="recovery")
    scene.entered(after_ns=resume.at_ns)


DRILL = Drill(
    "throughput-spike", "throughput-spike", "a burst of entries", run, seconds=_SECONDS, defects=(_LIVELY,),
    knobs={"RISK_MAX_TRADES_PER_HOUR": str(_MOST), "LADDER_LIFE_MS": "60000"},
)  # fmt: skip
