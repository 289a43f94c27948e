"""Warm-up gate: the executor is killed with orders about and started again; it trades only once it is warm."""

import signal

from tidegate.drills.drill import Drill
from tidegate.drills.knobs import SYMBOL
from tidegate.drills.scene import Scene

_SECONDS = 12.0


def run(scene: Scene) -> None:
    """Dropped and counted while warming up, acted on behind it."""
    scene.entered(proof="healthy")
    scene.mark()
    scene.timeline.trouble("kill -9 of the executor, and a start behind it")
    scene.stack.send("executor", signal.SIGKILL)
    scene.stack.start(["executor"], WARMUP_SECONDS=f"{_SECONDS:g}")
    scene.ready("executor")
    first = scene.dropped("warmup")
    scene.metric("executor", "warmup_drop_total", bool, symbol=SYMBOL)
    scene.metric("executor", "gate_drop_total", bool, proof="event", symbol=SYMBOL, gate="warmup")
    scene.metric("collector", "book_age_seconds", lambda age: age < 2.5, proof="recovery", symbol=SYMBOL)
    scene.command("python -m tidegate why BTCUSDT --last 10m")
    scene.journalled()
    entry = scene.entered()
    waited = (entry.local_ns - first.local_ns) / 1e9
    scene.timeline.saw(
        "note", f"{waited:.1f} s between the first drop and the first entry; warmup.seconds {_SECONDS:g}"
    )


DRILL = Drill("warmup-gate", "warm-up-gate-active", "kill -9 of the executor, and its restart", run, seconds=120.0)
