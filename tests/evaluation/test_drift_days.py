"""The drift gate from training to block, over days of a market with memory: clean days cry nothing, a shift blocks.

The small likeness of `benchmarks.drift_gates`, which asks the same of recorded days. The market has a feature without
memory, one that remembers two minutes, one with a daily cycle, and one that is of another level each day.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.clean_windows import WindowShape, clean_history, evenly
from evaluation.drift import Reference
from evaluation.drift_gate import DriftGate, DriftView
from evaluation.drift_lines import CleanHistory, DriftRule, drift_report

NAMES = ("still", "slow", "by_hour", "by_day")
ARMED = {"still", "slow", "by_hour"}
A_DAY = 2_880
DAY_NS = 86_400 * 10**9
SHAPE = WindowShape(1_000, 86_400.0)
TRAIN_DAYS, LIVE_DAYS = 7, 31


@pytest.fixture(scope="module")
def market() -> NDArray[np.float32]:
    """Rows of training and live days, one each half minute."""
    rng = np.random.default_rng(20)
    days = TRAIN_DAYS + LIVE_DAYS
    rows = rng.normal(size=(days * A_DAY, len(NAMES)))
    phi = np.exp(-1.0 / 4.0)
    noise = rng.normal(size=len(rows)) * np.sqrt(1.0 - phi * phi)
    for k in range(1, len(rows)):
        rows[k, 1] = phi * rows[k - 1, 1] + noise[k]
    rows[:, 2] += 2.0 * np.sin(np.arange(len(rows)) / A_DAY * 2.0 * np.pi)
    rows[:, 3] += np.repeat(rng.normal(size=days), A_DAY)
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def trained(market: NDArray[np.float32]) -> tuple[Reference, CleanHistory]:
    """What the card of a model trained on the first days holds."""
    known = market[: TRAIN_DAYS * A_DAY]
    t_ns = np.arange(len(known), dtype=np.int64) * (DAY_NS // A_DAY)
    clean = clean_history(t_ns, known, NAMES, SHAPE)
    assert clean is not None
    return Reference.fit(known, NAMES).thinned(512), clean


def looks(rows: NDArray[np.float32], reference: Reference, clean: CleanHistory) -> Iterator[DriftView]:
    """A look each half hour, from the first whole day on."""
    gate, half_hour = DriftGate(1_800.0), A_DAY // 48
    for end in range(A_DAY, len(rows) + 1, half_hour):
        window = rows[end - A_DAY : end][evenly(A_DAY, SHAPE.rows)]
        report = drift_report(reference, window, DriftRule(psi_warn=0.2), clean)
        yield gate.take(report, end * (DAY_NS // A_DAY), SHAPE.span_seconds, SHAPE.span_seconds)


def test_thirty_clean_days_block_nothing(market: NDArray[np.float32], trained: tuple[Reference, CleanHistory]) -> None:
    """Though the feature of another level each day is over the policy's lines on many of them: it is not armed."""
    views = list(looks(market[TRAIN_DAYS * A_DAY :], *trained))
    assert len(views) == 30 * 48 + 1
    assert all(set(NAMES) - set(view.unarmed) == ARMED for view in views)
    assert not any(view.blocking for view in views)
    wanders = [view.features[3] for view in views]
    assert np.mean([each.psi >= 0.30 or each.ks >= 0.20 for each in wanders]) > 0.3
    assert all(each.effective_rows < 50 for each in wanders)


@pytest.mark.parametrize("name", sorted(ARMED))
def test_a_shift_of_six_tenths_of_a_deviation_is_blocked_within_a_window(
    name: str, market: NDArray[np.float32], trained: tuple[Reference, CleanHistory]
) -> None:
    """On seventeen of twenty days or more, and nothing else blocks; the slow feature's lines are those of the rule."""
    column = NAMES.index(name)
    deviation = market[: TRAIN_DAYS * A_DAY, column].std()
    blocked = 0
    for day in range(TRAIN_DAYS, TRAIN_DAYS + 20):
        rows = market[day * A_DAY : (day + 2) * A_DAY].copy()
        rows[A_DAY:, column] += np.float32(0.6) * deviation
        found = {each.name for view in looks(rows, *trained) for each in view.blocking}
        assert found <= {name}
        blocked += name in found
    assert blocked >= 17
