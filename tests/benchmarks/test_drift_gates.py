"""The benchmark's own ways, on the recorded days: short, or skipped where they are not."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import drift_gates
from benchmarks.rows import Absent
from config.live_sections import Risk
from tests import recorded


@pytest.fixture(scope="module")
def days() -> drift_gates.Recorded:
    """The candidates of the two recorded days."""
    return drift_gates.recordings(recorded.path("standx"))


@pytest.mark.slow
def test_drawn_days_keep_their_hours_and_their_rows(days: drift_gates.Recorded) -> None:
    """Each block comes from one of the two days at its own hours, and times rise."""
    at, t_ns = drift_gates.drawn(days, np.random.default_rng(1), 3, 6)
    assert np.all(np.diff(t_ns) > 0)
    assert np.all((t_ns - days.t_ns[at]) % drift_gates.DAY_NS == 0)
    assert int(t_ns[-1] // drift_gates.DAY_NS) == 2


@pytest.mark.slow
def test_a_shift_in_days_drawn_from_recordings_is_blocked_and_the_day_before_it_is_not(
    days: drift_gates.Recorded,
) -> None:
    """Of the features that seven drawn days arm, 85 % or more; two recorded days arm none."""
    rng = np.random.default_rng(2)
    trained = drift_gates.train(days, *drift_gates.drawn(days, rng, 7, 1))
    assert trained.clean is not None
    assert trained.clean.rows == Risk().drift_rows
    views = list(drift_gates.looks(days, trained, drift_gates.drawn(days, rng, 2, 1), shift_from_ns=drift_gates.DAY_NS))
    armed = {each.name for each in views[-1].features if each.armed}
    assert len(armed) > 30
    assert views[0].blocking == ()
    blocked = {each.name for view in views for each in view.blocking}
    assert blocked <= armed
    assert len(blocked) >= 0.85 * len(armed)
    whole = np.arange(len(days.t_ns))
    assert drift_gates.train(days, whole, days.t_ns).armed == 0


def test_without_recordings_it_is_skipped(tmp_path: Path) -> None:
    """And says where they were looked for."""
    with pytest.raises(Absent, match="none is not there"):
        drift_gates.recordings(tmp_path / "none")
