"""Fail-safe: the streams hang; the executor falls to paper on its own and stays there until a person resumes."""

import signal

from tidegate.drills.drill import Drill
from tidegate.drills.errors import DrillFailed
from tidegate.drills.scene import Scene


def run(scene: Scene) -> None:
    """CRIT by the executor's own host, since nobody else can be heard."""
    line, server = scene.timeline, scene.stack.server.process
    if server is None:
        raise DrillFailed("the server of the streams is not ours, so it cannot be stopped")
    scene.entered(proof="healthy")
    scene.mark()
    line.trouble("the server of the streams is stopped (SIGSTOP)")
    server.send_signal(signal.SIGSTOP)
    try:
        scene.metric("executor", "fail_safe_trigger_total", bool, reason="redis_error")
        scene.metric("executor", "fail_safe_cooldown_seconds", bool, proof="protection")
        scene.metric("executor", "exchange_mode_info", bool, proof="protection", mode="paper")
    finally:
        server.send_signal(signal.SIGCONT)
    line.saw("note", "the server goes on (SIGCONT)")
    scene.event("ALERT", "redis_error")
    scene.journalled("ALERT", "redis_error")
    scene.metric("executor", "fail_safe_cooldown_seconds", lambda left: left == 0.0, proof="recovery")
    scene.command("python -m tidegate status")
    scene.command("python scripts/control.py resume")
    scene.mark()
    scene.entered()


DRILL = Drill(
    "fail-safe", "fail-safe-alert", "streams that hang", run, seconds=120.0,
    knobs={"REDIS_OUTAGE_SECONDS": "1.5"},
)  # fmt: skip
