"""The operator's commands, one after the other, as the runbook has them; what may not be is refused."""

from tidegate.drills.drill import Drill
from tidegate.drills.scene import Scene
from tidegate.drills.training import OTHER, SOUND, TURNED

_SHADOW = "python scripts/promote_model.py --to shadow --id <MODEL_ID>"
_ACTIVE = "python scripts/promote_model.py --to active --id <MODEL_ID>"
_BACK = "python scripts/promote_model.py --to active --id <PREVIOUS_MODEL_ID>"
_RESUME = "python scripts/control.py resume"


def run(scene: Scene) -> None:
    """Up, refused, forced, back, disabled; to paper, halted, on again."""
    line, ids = scene.timeline, scene.trained.ids
    scene.entered(proof="healthy")
    scene.mark()
    line.trouble("none but what an operator does")
    scene.command(_SHADOW, MODEL_ID=ids[OTHER])
    scene.metric("ai_scorer", "model_info", bool, slot="shadow", model_id=ids[OTHER])
    scene.command(_ACTIVE, "protection", exits=1, MODEL_ID=ids[OTHER])
    line.saw("protection", "refused: a shadow does not become active without a canary")
    scene.promoted(OTHER, "canary", "active")
    scene.event("PROMOTION", "operator")
    scene.metric("ai_scorer", "model_info", bool, slot="active", model_id=ids[OTHER])
    scene.command(_BACK, PREVIOUS_MODEL_ID=ids[SOUND])
    scene.event("ROLLBACK", "operator")
    scene.metric("risk", "rollback_total", bool, reason="operator")
    scene.metric("ai_scorer", "model_info", bool, proof="recovery", slot="active", model_id=ids[SOUND])
    scene.command("python -m tidegate audit verify", "audit")
    scene.command("python -m tidegate audit log", "audit")
    scene.command('python scripts/control.py halt --text "why"', "protection")
    scene.metric("executor", "halted", bool, reason="operator")
    scene.dropped("halted")
    scene.command("python scripts/control.py paper", "protection")
    scene.metric("executor", "fail_safe_trigger_total", bool, reason="operator")
    scene.metric("executor", "fail_safe_cooldown_seconds", lambda left: left == 0.0, proof="recovery")
    scene.command(_RESUME)
    scene.mark()
    scene.entered()
    line.saw("note", f"version {TURNED} was never touched")


DRILL = Drill("operations", "operational-commands", "an operator's commands", run, seconds=300.0)
