"""Backpressure: three thousand candidates at once; the executor sheds what it cannot act on in time."""

from tidegate.drills.drill import Drill
from tidegate.drills.scene import Scene

_FLOOD = 3_000
_QUEUE = 50


def run(scene: Scene) -> None:
    """Shed by the oldest, counted, told of; over when the queue has been short."""
    scene.entered(proof="healthy")
    scene.mark()
    scene.timeline.trouble(f"{_FLOOD:,} candidates at once, backpressure.max_queue_len is {_QUEUE}")
    scene.probe(_FLOOD)
    scene.metric("executor", "backpressure_total", bool, mode="degrade")
    scene.metric("executor", "backpressure_active", bool, proof="protection")
    scene.dropped("backpressure", proof="event", probe=False)
    scene.metric("executor", "backpressure_active", lambda active: not active, 60, proof="recovery")
    scene.command("python -m tidegate status")
    shed = scene.value("executor", "backpressure_total", mode="degrade") or 0.0
    told = scene.until(lambda: _told(scene, shed), 20, f"a report of each of {shed:.0f} shed approvals")
    scene.timeline.saw("audit", f"exec:reports has one dropped by backpressure for each of {told} shed")
    scene.mark()
    scene.entered()


def _told(scene: Scene, shed: float) -> int | None:
    found = {each.approval_id for each in scene.reports() if each.reason == "backpressure"}
    return len(found) if len(found) == shed else None


DRILL = Drill(
    "backpressure", "backpressure--queue-build-up", "a flood of candidates", run, seconds=120.0,
    knobs={"BACKPRESSURE_MAX_QUEUE_LEN": str(_QUEUE), "BACKPRESSURE_RESUME_SECONDS": "2"},
)  # fmt: skip
