from pathlib import Path

import numpy as np

from market.feature_spec import FEATURE_NAMES, N_FEATURES
from pipelines.live_drift import LEAST_ROWS, draw, measure, reference_rows
from tests.pipelines.conftest import Release


def rows(count: int, seed: int) -> "np.typing.NDArray[np.float32]":
    """Independent normal features."""
    return np.random.default_rng(seed).normal(size=(count, N_FEATURES)).astype(np.float32)


def test_a_moved_feature_is_named() -> None:
    """With the highest PSI; without a move both figures are small."""
    live = rows(3_000, 2)
    calm = measure(4, rows(8_000, 1), live)
    assert calm.psi_max < 0.05
    assert calm.ks_max < 0.08
    live[:, 5] += 0.8
    moved = measure(4, rows(8_000, 1), live)
    assert moved.worst == FEATURE_NAMES[5]
    assert moved.psi_max > 0.3
    assert (moved.version, moved.rows) == (4, 3_000)


def test_too_few_rows_give_no_number_and_a_page_that_says_so(tmp_path: Path) -> None:
    """PSI of a small sample is luck."""
    few = rows(LEAST_ROWS - 1, 3)
    assert measure(4, rows(1_000, 1), few).rows == 0
    draw(rows(1_000, 1), few, tmp_path / "page.html")
    assert "499 rows were scored live" in (tmp_path / "page.html").read_text()


def test_a_page_is_evidentlys(first: Release, tmp_path: Path) -> None:
    """The training rows that the version's run keeps, against others."""
    reference = reference_rows(first.workspace, first.version)
    draw(reference, reference[::2], tmp_path / "page.html")
    assert "<html" in (tmp_path / "page.html").read_text()[:2_000].lower()
