"""From a verdict of risk on the streams to a canary withdrawn by every book, by the sensor of a running Dagster daemon.

Dagster looks every five seconds and no oftener, so half of that is waiting on average. The books are the journal (its
COMMIT), the rollout that live reads, and MLflow's alias; what is measured ends when all three say so. A trial has a
version of its own, and begins at another moment of the daemon's round.
Run with `python -m benchmarks.rollback_latency`.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.rows import Absent, row, show
from registry.rollout import read
from tests.journeys.waiting import until
from tests.journeys.watched import Watched, watched

TRIALS = 12
MOST_SECONDS = 60.0
_POLL_SECONDS = 0.02


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    if shutil.which("redis-server") is None:
        raise Absent("needs a redis-server on PATH")
    with tempfile.TemporaryDirectory() as folder:
        more = {"RELEASE_AUTO_SHADOW": "false", "RELEASE_MAX_ROLLBACKS_PER_HOUR": "100"}
        with watched(Path(folder), TRIALS + 1, **more) as stage:
            found = [_trial(stage, version) for version in range(2, TRIALS + 2)]
    fenced, settled = (sorted(each) for each in zip(*found, strict=True))
    return [
        row("rollback: verdict to the rollout disabled for live, p50", _quantile(fenced, 0.5), "s"),
        row("rollback: verdict to alias, rollout and journal, p50", _quantile(settled, 0.5), "s"),
        row("rollback: verdict to alias, rollout and journal, p95, to 10 s", _quantile(settled, 0.95), "s",
            ratio=_quantile(settled, 0.95) / 10.0, most=1.0),
        row("rollback: the slowest of all", settled[-1], "s"),
    ]  # fmt: skip


def _trial(stage: Watched, version: int) -> tuple[float, float]:
    """Seconds from a verdict until live's rollout is disabled, and until every book says so."""
    salt = stage.canary(version)
    time.sleep(version * 0.37 % 5.0)  # not in step with the daemon, whose round the trial before ended in
    before = time.perf_counter()
    stage.say("canary", "roll_back", version, salt)
    until(lambda: _is_disabled(stage) or None, MOST_SECONDS, "the rollout disabled", _POLL_SECONDS)
    fenced = time.perf_counter() - before
    until(lambda: stage.is_withdrawn(version) or None, MOST_SECONDS, "the canary withdrawn", _POLL_SECONDS)
    return fenced, time.perf_counter() - before


def _is_disabled(stage: Watched) -> bool:
    state = read(stage.settings.registry.mirror)
    return state is not None and state.mode == "disabled"


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


if __name__ == "__main__":
    rows = run()
    show(rows)
    sys.exit(0 if all(each["holds"] is not False for each in rows) else 1)
