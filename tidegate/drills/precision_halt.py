"""Precision halt: a model that says the opposite becomes active, past every gate; its approvals stop hitting."""

from tidegate.drills.drill import Drill
from tidegate.drills.knobs import MARKET_DAY
from tidegate.drills.scene import Scene
from tidegate.drills.stack import TOGETHER
from tidegate.drills.training import SOUND, TURNED

_FLOOR = 0.45


def run(scene: Scene) -> None:
    """Halted with CRIT; the version before comes back by the operator's command, and precision with it."""
    line, ids = scene.timeline, scene.trained.ids
    scene.metric("risk", "precision", lambda share: share >= _FLOOR, 60, proof="healthy", what=f"floor {_FLOOR:g}")
    scene.mark()
    scene.promoted(TURNED, "shadow", "canary", "active")
    line.trouble(f"version {TURNED}, which says the opposite of what it learned, is made active by force")
    scene.metric("ai_scorer", "model_info", bool, proof="note", slot="active", model_id=ids[TURNED])
    scene.event("HALT", "precision_halt", 60, severity="CRIT")
    scene.metric("risk", "precision", lambda share: share < _FLOOR, what=f"floor {_FLOOR:g}")
    scene.metric("executor", "fail_safe_trigger_total", bool, proof="protection", reason="precision_halt")
    scene.metric("executor", "halted", bool, proof="protection", reason="precision_halt")
    scene.dropped("halted", probe=False)
    scene.journalled("HALT", "precision_halt")
    scene.command("python scripts/promote_model.py --to active --id <PREVIOUS_MODEL_ID>", PREVIOUS_MODEL_ID=ids[SOUND])
    scene.event("ROLLBACK", "operator")
    scene.metric("ai_scorer", "model_info", bool, proof="recovery", slot="active", model_id=ids[SOUND])
    scene.command("python -m tidegate audit log", "audit")
    scene.command("python scripts/control.py resume")
    scene.mark()
    scene.entered(probe=False)
    scene.metric("risk", "precision", lambda share: share >= _FLOOR, 60, proof="recovery", what=f"floor {_FLOOR:g}")


DRILL = Drill(
    "precision-halt", "precision-halt", "a model that says the opposite is made active", run,
    is_fast=True, groups=TOGETHER,
    knobs={
        "RISK_PRECISION_FLOOR": f"{_FLOOR:g}", "RISK_MIN_SAMPLES": "100", "RISK_WINDOW": "200",
        "FEED_START": f"{MARKET_DAY}T04:00:00",
    },
)  # fmt: skip
