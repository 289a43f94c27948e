"""Clean history from training days: windows like those of live, never held against their own hours."""

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.clean_windows import LEAST_SPANS, MOST_WINDOWS, WindowShape, clean_history, evenly
from evaluation.drift import Reference
from evaluation.drift_lines import DriftRule, drift_report, effective_rows
from evaluation.errors import BadRule

HOUR_NS = 3_600_000_000_000
NAMES = ("still", "by_hour", "by_day")
SHAPE = WindowShape(500, 86_400.0)


def market(days: int, *, seed: int = 0, every_seconds: int = 60) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A feature without memory, one with a daily cycle of two deviations, and one with a new mean each day."""
    rng = np.random.default_rng(seed)
    t_ns = np.arange(0, days * 24 * HOUR_NS, every_seconds * 10**9, dtype=np.int64)
    hour = t_ns / HOUR_NS
    rows = rng.normal(size=(len(t_ns), 3))
    rows[:, 1] += 2.0 * np.sin(hour / 24 * 2 * np.pi)
    rows[:, 2] += rng.normal(0, 1.0, days)[(hour // 24).astype(int)]
    return t_ns, rows.astype(np.float32)


def test_a_window_of_a_day_is_worth_its_rows_where_days_are_alike() -> None:
    """Also with a daily cycle, which a whole day shows whole; a mean of its own each day leaves few."""
    t_ns, rows = market(8)
    history = clean_history(t_ns, rows, NAMES, SHAPE)
    assert history is not None
    assert (history.rows, history.windows) == (500, 29)
    still, by_hour, by_day = effective_rows(Reference.fit(rows, NAMES), history.psi_mean[None])
    assert 380 < still < 560
    assert 380 < by_hour < 900
    assert by_day < 60


def test_a_window_of_an_hour_knows_nothing_of_the_day() -> None:
    """Its hours differ from the reference's, so the feature with a cycle is not armed."""
    t_ns, rows = market(7, every_seconds=12)
    history = clean_history(t_ns, rows, NAMES, WindowShape(300, 3_600.0))
    assert history is not None
    assert history.windows == MOST_WINDOWS
    last_hour = rows[-300:]
    report = drift_report(Reference.fit(rows, NAMES), last_hour, DriftRule(), history)
    assert [feature.armed for feature in report.features] == [True, False, False]


def test_no_window_is_held_against_its_own_hours() -> None:
    """One day among seven that stands apart has its KS in full; in a reference with itself it would have less."""
    t_ns, rows = market(7)
    rows[(t_ns >= 24 * HOUR_NS) & (t_ns < 48 * HOUR_NS), 0] += 50.0
    history = clean_history(t_ns, rows, NAMES, SHAPE)
    assert history is not None
    assert history.ks_high[0] == pytest.approx(1.0, abs=0.01)


def test_too_short_a_time_teaches_nothing() -> None:
    """A week of days is needed, whose rows may begin and end a little inside of them."""
    t_ns, rows = market(LEAST_SPANS)
    assert clean_history(t_ns[20:-20], rows[20:-20], NAMES, SHAPE) is not None
    t_ns, rows = market(LEAST_SPANS - 1)
    assert clean_history(t_ns, rows, NAMES, SHAPE) is None
    assert clean_history(t_ns[:0], rows[:0], NAMES, SHAPE) is None


def test_windows_with_few_rows_are_left_out() -> None:
    """A day that was hardly recorded is not like the one that will be judged."""
    t_ns, rows = market(9)
    is_kept = (t_ns < 48 * HOUR_NS) | (t_ns >= 72 * HOUR_NS) | (np.arange(len(t_ns)) % 10 == 0)
    whole, holed = clean_history(t_ns, rows, NAMES, SHAPE), clean_history(t_ns[is_kept], rows[is_kept], NAMES, SHAPE)
    assert whole is not None and holed is not None
    assert LEAST_SPANS <= holed.windows < whole.windows


def test_an_even_draw_keeps_both_ends() -> None:
    """Few rows are kept whole."""
    assert evenly(100, 10).tolist()[::9] == [0, 99]
    assert evenly(3, 10).tolist() == [0, 1, 2]


def test_a_window_of_nothing_is_refused() -> None:
    """With what was wanted and found."""
    with pytest.raises(BadRule, match="wanted 2 rows or more of more than 0 seconds, found 1 of 60"):
        WindowShape(1, 60.0)
    with pytest.raises(BadRule, match="found 10 of 0"):
        WindowShape(10, 0.0)
