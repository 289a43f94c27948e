"""Data gaps: a day comes back from its source with twenty-five silent minutes; nothing is learned from it."""

import shutil
from datetime import date
from pathlib import Path

from archive.layout import BOOK, partition_key
from archive.store import Lake
from tidegate.drills.drill import Drill
from tidegate.drills.errors import DrillFailed
from tidegate.drills.knobs import SYMBOL, TRAIN_DAYS, TRAINING
from tidegate.drills.scene import Scene

_DAY = TRAIN_DAYS[-1]
_SCAN = "python scripts/scan_parquet_gaps.py --root data/parquet"
_PARTITION = (
    '"dagster/asset_partition_range_start": "<DAY>|<SYMBOL>", "dagster/asset_partition_range_end": "<DAY>|<SYMBOL>"'
)
_INGEST = "python -m dagster job execute -m pipelines.definitions -j ingest_job"
_BACKFILL = f'{_INGEST} --tags \'{{{_PARTITION}, "tidegate/backfill": "true"}}\''
_TRAIN = "python -m dagster job execute -m pipelines.definitions -j train_job"


def run(scene: Scene) -> None:
    """Found by the scan and by risk, refused by the training, filled by a backfill of that day alone."""
    line = scene.timeline
    shutil.copytree(scene.trained.lake, scene.lake)
    scene.command(_SCAN, "healthy")
    _forget(scene)
    line.trouble(f"{SYMBOL} of {_DAY} is lost; what its source gives instead is silent for 25 minutes")
    _ingest_silent(scene)
    scene.command(_SCAN, "event", exits=1)
    scene.command("python scripts/validate_symbols.py --symbols data/reference/symbols.yml", "note")
    scene.metric("risk", "parquet_gap_detected_ms", lambda gap: gap > 1_400_000, 90, symbol=SYMBOL)
    scene.command(_TRAIN, "protection", exits=1)
    line.saw("protection", "train_job refuses the damaged day")
    scene.command("python -m dagster run list --limit 3", "audit")
    scene.command(_BACKFILL, DAY=_DAY, SYMBOL=SYMBOL)
    scene.command(_SCAN)
    scene.metric("risk", "parquet_gap_detected_ms", lambda gap: gap == 0.0, 60, proof="recovery", symbol=SYMBOL)
    scene.command(_TRAIN)


def _ingest_silent(scene: Scene) -> None:
    """Ingest the day from a source that was silent for a while."""
    tags = _PARTITION.replace("<DAY>", _DAY).replace("<SYMBOL>", SYMBOL)
    done = scene.run(f"SIMULATOR_GAP_MINUTES=25 {_INGEST} --tags '{{{tags}}}'")
    if done.returncode != 1 or "no_damage" not in done.stderr + done.stdout:
        raise DrillFailed(
            f"ingest_job of a silent day: exit {done.returncode}, wanted 1 by check no_damage: {done.stderr[-800:]}"
        )
    scene.timeline.saw("metric", "ingest_job fails by the check no_damage of asset gap_report")


def _forget(scene: Scene) -> None:
    """Take the day's books out of the lake, as a disk that lost them."""
    lake = Lake(scene.lake)
    place = lake.storage.locate(partition_key(BOOK, SYMBOL, date.fromisoformat(_DAY)))
    Path(place).unlink()


DRILL = Drill(
    "data-gaps", "data-gaps--quality-issues", "a day whose feed was silent for twenty-five minutes", run,
    groups=(("risk",),),
    knobs={
        **TRAINING, "FEED_SPEED": "1", "RISK_GAP_SCAN_MINUTES": "0.05", "EVALUATION_DRIFT_MIN_EFFECTIVE_ROWS": "200",
    },
)  # fmt: skip
