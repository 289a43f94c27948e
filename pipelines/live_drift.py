"""The features live scored against those a version learned from: our PSI and KS, and Evidently's page of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.drift import Reference, ks, psi
from market.features import FEATURE_NAMES
from pipelines.drift import PAGE_ROWS, REFERENCE_FILE, draw_page, thinned
from pipelines.workspace import Workspace
from registry.versions import Version

LEAST_ROWS = 500
"""Fewer rows give no number: PSI of a small sample is mostly luck."""


@dataclass(frozen=True, slots=True)
class LiveDrift:
    """One version's highest PSI, with the feature that has it, and highest KS; rows 0 where there were too few."""

    version: int
    rows: int
    worst: str
    psi_max: float
    ks_max: float


def reference_rows(workspace: Workspace, version: Version) -> NDArray[np.float32]:
    """The sample of training rows that a version's run keeps, float32[n, F]."""
    kept = workspace.store.run_artifact(version.run_id, REFERENCE_FILE, workspace.folder("cache", version.sha256[:16]))
    with np.load(kept) as stored:
        return np.asarray(stored["rows"], np.float32)


def measure(version: int, reference: NDArray[np.float32], live: NDArray[np.float32]) -> LiveDrift:
    """Hold rows scored live float32[n, F] against a version's training rows."""
    if len(live) < LEAST_ROWS:
        return LiveDrift(version, 0, f"{len(live)} rows are too few", 0.0, 0.0)
    fitted = Reference.fit(reference, FEATURE_NAMES)
    by_psi, by_ks = psi(fitted, live), ks(fitted, live)
    return LiveDrift(version, len(live), FEATURE_NAMES[int(by_psi.argmax())], float(by_psi.max()), float(by_ks.max()))


def draw(reference: NDArray[np.float32], live: NDArray[np.float32], page: Path) -> None:
    """Draw Evidently's page of training against live, on rows spread evenly over the time of each."""
    if len(live) < LEAST_ROWS:
        page.write_text(f"{len(live)} rows were scored live by this kernel, {LEAST_ROWS} are wanted to draw drift\n")
        return
    draw_page(thinned(reference, PAGE_ROWS), thinned(live, PAGE_ROWS), page)
