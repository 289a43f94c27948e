"""The newest scored rows: bounded, finite, of one schema."""

from typing import Any

import msgspec
import numpy as np

from live.drift_window import LEAST_ROWS, DriftWindow
from market.feature_spec import N_COLUMNS, N_FEATURES
from tests.live.parts import START_NS
from tests.live.risk_market import image, score


def _score(value: float, **changes: Any) -> Any:
    row = np.full(N_COLUMNS, value, "<f4").tobytes()
    return msgspec.structs.replace(score(image(START_NS, 10, 11), row=row), **changes)


def test_the_newest_rows_are_kept_as_they_were_scored() -> None:
    """Context columns are not the model's; too few rows are none."""
    window = DriftWindow(600)
    for k in range(LEAST_ROWS - 1):
        window.take(_score(float(k)))
    assert window.rows() is None
    for k in range(LEAST_ROWS - 1, 1_000):
        window.take(_score(float(k), side=-1))
    found = window.rows()
    assert found is not None
    rows, sides = found
    assert rows.shape == (600, N_FEATURES) and len(window) == 600
    assert sorted(rows[:, 0].tolist()) == [float(k) for k in range(400, 1_000)]
    assert sides[rows[:, 0] >= LEAST_ROWS].tolist().count(-1) == 500


def test_rows_that_are_no_numbers_or_of_another_width_are_left_out() -> None:
    """They are counted elsewhere and would make every figure NaN."""
    window = DriftWindow(100)
    window.take(_score(float("nan")))
    window.take(_score(1.0, row=b"\0" * 8))
    assert len(window) == 0


def test_another_schema_begins_anew() -> None:
    """Columns of two kernels do not mean the same."""
    window = DriftWindow(100)
    for _ in range(100):
        window.take(_score(1.0))
    assert window.rows() is not None
    window.take(_score(1.0, schema_hash="other"))
    assert (len(window), window.schema_hash) == (1, "other")
