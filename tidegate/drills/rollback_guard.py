"""Rollback guard: a model that says the opposite becomes the canary; Dagster's sensor takes it back, with no hand."""

from registry.manifest import Mirror
from registry.rollout import read
from tidegate.drills.daemon import daemon
from tidegate.drills.drill import Drill
from tidegate.drills.errors import DrillFailed
from tidegate.drills.knobs import observed_but
from tidegate.drills.scene import Scene
from tidegate.drills.stack import TOGETHER
from tidegate.drills.training import OTHER, SOUND, TURNED

_GATES = ("winrate_delta", "winrate_seq")


def run(scene: Scene) -> None:
    """Fenced by risk, moved back by the sensor of a running daemon; every book says so."""
    with daemon(scene):
        for names in (*TOGETHER, ["model_sync"]):
            scene.stack.start(list(names))
        scene.ready(*TOGETHER[0], "model_sync", seconds=120)
        scene.entered(60, proof="healthy", probe=False)
        scene.mark()
        scene.promoted(TURNED, "shadow", "canary")
        scene.timeline.trouble(f"version {TURNED}, which says the opposite of what it learned, becomes the canary")
        reason = scene.until(lambda: _breached(scene), 90, "a breach of the win rate on control:events")
        scene.event("HALT", reason)
        scene.metric("executor", "halted", bool, proof="protection", reason=reason)
        scene.metric("ai_scorer", "canary_fraction_target", lambda share: share == 0.0, proof="protection")
        scene.event("ROLLBACK", reason, 60, by="sensor:rollback_sensor")
        scene.event("MODE_SWITCH", reason)
        scene.metric("risk", "rollback_total", bool, reason=reason)
    _show_books(scene)
    scene.command("python -m tidegate audit verify", "audit")
    scene.command("python -m tidegate audit log", "audit")
    ids = scene.trained.ids
    scene.command("python scripts/promote_model.py --to shadow --id <MODEL_ID>", MODEL_ID=ids[OTHER])
    scene.metric("ai_scorer", "model_info", bool, proof="recovery", slot="shadow", model_id=ids[OTHER])
    scene.metric("model_sync", "registry_divergence", lambda differs: differs == 0.0, proof="recovery")
    scene.mark()
    scene.entered(probe=False)


def _breached(scene: Scene) -> str | None:
    """The reason of the halt of the canary's route."""
    return next((each.reason for each in scene.events() if each.event == "HALT" and each.reason in _GATES), None)


def _show_books(scene: Scene) -> None:
    """The mirror, as the runbook says where it stands now."""
    root = scene.settings.registry.mirror
    rollout, active = read(root), Mirror(root).slot("active")
    if rollout is None or rollout.mode != "disabled" or rollout.cooldown_until is None:
        raise DrillFailed(f"{root}/rollout.json: wanted disabled with a cooldown, found {rollout}")
    if active is None or not active.name.startswith(f"v{SOUND}-"):
        raise DrillFailed(f"{root}/active: wanted version {SOUND}, found {active}")
    scene.timeline.saw("audit", f"rollout.json is disabled until {rollout.cooldown_until:%H:%M:%S}, by {rollout.by}")
    scene.timeline.saw("audit", f"active is {active.name}")


DRILL = Drill(
    "rollback-guard", "rollback-guard-trigger", "a model that says the opposite becomes the canary", run,
    is_fast=True, by_machine=True, groups=(),
    knobs={
        "ROLLOUT_MODE": "canary", "ROLLOUT_CANARY_FRACTION": "0.5", "RELEASE_AUTO_SHADOW": "false",
        "RELEASE_MIN_SAMPLE": "100", **observed_but(*_GATES),
    },
)  # fmt: skip
