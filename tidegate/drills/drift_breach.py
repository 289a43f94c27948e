"""Drift breach: spreads become ten times as wide for twenty-five minutes; nothing was learned of such a market."""

from market.simulator_defects import Defect
from tidegate.drills.drill import Drill
from tidegate.drills.errors import DrillFailed
from tidegate.drills.knobs import observed_but
from tidegate.drills.market import SECOND_NS, after
from tidegate.drills.scene import Scene
from tidegate.drills.stack import TOGETHER
from tidegate.drills.training import OTHER, SOUND

_CLEAN_SECONDS, _DRIFT_SECONDS, _END_SECONDS = 1_000.0, 1_500.0, 6_000.0
_WINDOW_SECONDS = 900.0
_CLEAR = {"psi_feature": 0.24, "ks_feature": 0.16}
"""Under four fifths of the line a feature is no longer over it."""
_GATES = ("psi_feature", "ks_feature")


def run(scene: Scene) -> None:
    """The gate blocks, trading stops, the sensor goes back; entries begin again once the market is itself again."""
    line, ids = scene.timeline, scene.trained.ids
    scene.promoted(OTHER, "shadow", "canary", "active")
    scene.metric("risk", "drift_armed", lambda armed: armed > 0, 150, proof="healthy", what="features armed")
    line.trouble("spreads become ten times as wide", after(_CLEAN_SECONDS))
    reason = scene.until(lambda: _breached(scene), 150, "drift on control:events")
    feature = reason.partition("_feature_")[2]
    scene.metric("risk", reason.partition(f"_{feature}")[0], bool, feature=feature)
    scene.event("HALT", reason, severity="CRIT")
    scene.metric("executor", "halted", bool, proof="protection", reason=reason)
    scene.dropped("halted", probe=False)
    scene.withdrawn()
    scene.metric("risk", "rollback_total", bool, reason=reason)
    scene.metric("ai_scorer", "model_info", bool, proof="recovery", slot="active", model_id=ids[SOUND])
    scene.command("python -m tidegate audit log", "audit")
    clear_ns = after(_CLEAN_SECONDS + _DRIFT_SECONDS + _WINDOW_SECONDS)
    scene.until(lambda: line.now() > clear_ns or None, 150, "a window without drift")
    name = reason.partition(f"_{feature}")[0]
    scene.metric("risk", name, lambda found: found < _CLEAR[name], proof="recovery", feature=feature)
    scene.command("python scripts/control.py resume")
    scene.mark()
    scene.entered(120, probe=False)


def _breached(scene: Scene) -> str | None:
    for event in scene.events():
        if event.event == "HALT" and event.reason.startswith(_GATES):
            return event.reason
    if any(event.event == "HALT" and event.severity == "CRIT" for event in scene.events()):
        raise DrillFailed(f"halted for another reason than drift: {[event.reason for event in scene.events()]}")
    return None


DRILL = Drill(
    "drift-breach", "drift-breach", "spreads ten times as wide", run, seconds=_END_SECONDS, is_fast=True,
    groups=TOGETHER,
    defects=(
        Defect("drifted_feature", after(_CLEAN_SECONDS), round(_DRIFT_SECONDS * SECOND_NS), feature="spread",
               factor=10.0),
    ),
    knobs={"RELEASE_DRIFT_MINUTES": "2", **observed_but("psi_feature", "ks_feature")},
)  # fmt: skip
