"""What every drill's stack begins with: one small model, really trained by the pipelines, and three more made of it.

    version 1   learned from two simulated days, through every gate
    version 2   the same trees behind another entry threshold: as good
    version 3   the same trees turned round: its card promises what it does not keep
    version 4   a wrong export: every checksum holds, and the golden rows are not answered

Version 1 is active, the others are candidates, all by the registrar. The stage is made once and used again for as long
as code and knobs are the same.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.drills import bundles
from tidegate.drills.knobs import MARKET, TRAINING, paths

if TYPE_CHECKING:
    from config.settings import Settings
    from registry.store import ModelStore
    from registry.versions import Version

SOUND, OTHER, TURNED, BROKEN = 1, 2, 3, 4
"""The numbers of the versions."""
_FILE = "stage.json"


@dataclass(frozen=True, slots=True)
class Trained:
    """The folder of a trained stage, and the model id of each version."""

    folder: Path
    ids: Mapping[int, str]

    @property
    def lake(self) -> Path:
        """The lake it was learned from."""
        return self.folder / "lake"

    def bundle(self, version: int) -> Path:
        """The bundle of a version."""
        return self.folder / "bundles" / f"v{version}"


def utc_now() -> datetime:
    """The time, zone-aware UTC."""
    return datetime.fromtimestamp(time.time_ns() / 1e9, UTC)


@contextmanager
def environment(overrides: Mapping[str, str]) -> Iterator[None]:
    """Lay overrides over this process's environment for a block."""
    before = dict(os.environ)
    os.environ.update(overrides)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def trained(root: Path) -> Trained:
    """Return the stage below a folder, made when there is none of this code and these knobs.

    Raises PipelineError and RegistryError when it cannot be made.
    """
    from pipelines.code_version import code_version

    folder = root / "trained"
    knobs = json.dumps([MARKET, TRAINING, code_version()], sort_keys=True)
    key = hashlib.sha256(knobs.encode()).hexdigest()
    found = _read(folder)
    if found.get("key") != key:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        ids = _train(folder)
        found = {"key": key, "ids": {str(number): model_id for number, model_id in ids.items()}}
        (folder / _FILE).write_text(json.dumps(found))
    return Trained(folder, {int(number): model_id for number, model_id in found["ids"].items()})


def _read(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _train(folder: Path) -> dict[int, str]:
    from pipelines.launching import launcher
    from pipelines.progress import Progress
    from tidegate.environment import prepare

    with environment({**MARKET, **TRAINING, **paths(folder, folder / "lake")}):
        settings = prepare(None)
        last = settings.market.last_day
        assert last is not None, "the knobs of the drills say it"  # noqa: S101
        with launcher(settings, date(last.year, last.month + 1, 1), Progress()) as runs:
            runs.must("ingest_job", ["market_data", "gap_report", "features", "labels"], runs.workspace.all_cells)
            runs.must("train_job")
            store = runs.workspace.store
            first = store.version(SOUND)
            store.download(first, folder / "bundles" / f"v{SOUND}")
            ids = {SOUND: first.model_id, **_made_of(folder / "bundles", store, first)}
        _enter(settings)
        return ids


def _made_of(folder: Path, store: "ModelStore", first: "Version") -> dict[int, str]:
    """Register the models that are made of the first."""
    source = folder / f"v{SOUND}"
    bundles.with_threshold(source, folder / f"v{OTHER}", 0.98)
    bundles.turned_round(source, folder / f"v{TURNED}")
    bundles.with_threshold(source, folder / f"v{BROKEN}", 0.96)
    bundles.break_parity(folder / f"v{BROKEN}")
    ids = {}
    for number in (OTHER, TURNED, BROKEN):
        made = _registered(store, first, folder / f"v{number}")
        assert made.number == number, "nobody else registers here"  # noqa: S101
        ids[number] = made.model_id
    return ids


def _enter(settings: "Settings") -> None:
    """Have the versions entered, and the first one made active."""
    from pipelines.registrar import open_registrar
    from registry.states import Actor

    with open_registrar(settings, utc_now) as registrar:
        for number in (SOUND, OTHER, TURNED, BROKEN):
            if number not in registrar.head().states:
                registrar.enter(number, Actor("pipeline", "drill"), "made for the drills")
        registrar.promote(SOUND, "active", Actor("human", "drill"), "the first model of the drills")


def _registered(store: "ModelStore", first: "Version", folder: Path) -> "Version":
    from registry.versions import TrainingData

    data = TrainingData("drill", first.data_hash, "simulator", 1)
    run_id = store.log_training_run(
        parameters={"made_of": first.number}, metrics=store.run_metrics(first.run_id), tags={"drill": "true"},
        artifacts={}, data=data, run_name=f"drill {folder.name}",
    )  # fmt: skip
    return store.register(folder, run_id)
