"""Parity fail: a wrong export, whose every checksum holds, is made the canary; it never scores, and is withdrawn."""

from tidegate.drills.drill import Drill
from tidegate.drills.errors import DrillFailed
from tidegate.drills.scene import Scene
from tidegate.drills.training import BROKEN, OTHER


def run(scene: Scene) -> None:
    """Refused by its golden rows, fenced by risk, withdrawn by the sensor; another version takes its place."""
    line, ids = scene.timeline, scene.trained.ids
    scene.entered(proof="healthy")
    scene.mark()
    scene.promoted(BROKEN, "shadow", "canary")
    line.trouble(f"version {BROKEN}, a wrong export with a good parity tag, is made the canary")
    scene.metric("ai_scorer", "onnx_parity_fail_total", bool)
    scene.metric("ai_scorer", "model_swap_refused_total", bool, slot="shadow", reason="parity")
    scene.event("ALERT", "model_error")
    scene.event("HALT", "onnx_parity_fail")
    scene.metric("executor", "halted", bool, proof="protection", reason="onnx_parity_fail")
    scene.withdrawn()
    scene.event("ROLLBACK", "onnx_parity_fail")
    scene.metric("risk", "rollback_total", bool, reason="onnx_parity_fail")
    scene.metric("ai_scorer", "canary_fraction_target", lambda share: share == 0.0, proof="protection")
    scene.command("python -m tidegate audit log", "audit")
    scene.command("python -m tidegate tail control:events -n 20", "note")
    failures = scene.value("ai_scorer", "onnx_parity_fail_total")
    scene.command("python scripts/promote_model.py --to shadow --id <MODEL_ID>", MODEL_ID=ids[OTHER])
    scene.metric("ai_scorer", "model_info", bool, proof="recovery", slot="shadow", model_id=ids[OTHER])
    scene.mark()
    scene.entered()
    scene.metric("ai_scorer", "scores_total", bool, proof="recovery", slot="shadow")
    if scene.value("ai_scorer", "onnx_parity_fail_total") != failures:
        raise DrillFailed("onnx_parity_fail_total moved again behind the withdrawal")


DRILL = Drill(
    "parity-fail", "parity-fail", "a wrong export is made the canary", run, seconds=180.0,
    knobs={"ROLLOUT_MODE": "canary", "ROLLOUT_CANARY_FRACTION": "0.5"},
)  # fmt: skip
