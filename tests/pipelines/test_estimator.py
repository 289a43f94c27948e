"""Training: the split in time, reproducibility, and what is refused."""

import itertools
from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.discrimination import auc, log_loss
from pipelines.calibrators import Platt
from pipelines.errors import BadRows, NotEnoughData
from pipelines.estimator import TrainingRule, canonical, fit, split, time_order
from tests.pipelines.exported import HORIZON_NS, SECOND_NS, SMALL, sample, trained


def test_the_model_says_something_about_rows_it_has_not_seen() -> None:
    """Rows of another draw are ranked well and forecast better than by their base rate."""
    fresh = sample(4_000, seed=99)
    p = trained().probabilities(fresh.rows)
    assert p.dtype == np.float32
    assert auc(p, fresh.y) > 0.75
    assert log_loss(p, fresh.y) < log_loss(np.full(fresh.y.size, fresh.y.mean()), fresh.y)


def test_the_same_rows_and_seed_give_the_same_model_in_any_order_and_on_any_number_of_threads() -> None:
    """Shuffled rows, many of one moment, and two threads give an equal text, hash and calibrator."""
    data = sample(3_000)
    data = replace(data, t_ns=data.t_ns // (5 * SECOND_NS) * 5 * SECOND_NS)
    first = trained(data)
    order = np.random.default_rng(3).permutation(data.y.size)
    shuffled = replace(data, rows=data.rows[order], y=data.y[order], t_ns=data.t_ns[order])
    second = trained(shuffled, replace(SMALL, num_threads=2))
    assert (first.model_text, first.model_sha256) == (second.model_text, second.model_sha256)
    assert first.calibrator == second.calibrator


def test_another_seed_or_one_changed_row_gives_another_model() -> None:
    """The hash sees the seed and the data."""
    data = sample(3_000)
    changed = replace(data, rows=data.rows.copy())
    changed.rows[:5, 0] += np.float32(0.5)
    hashes = {trained(data).model_sha256, trained(data, seed=8).model_sha256, trained(changed).model_sha256}
    assert len(hashes) == 3


def test_the_stored_text_is_the_model() -> None:
    """A booster read back from the canonical text answers with the same bits and has the same canonical text."""
    fitted = trained()
    again = lgb.Booster(model_str=fitted.model_text)
    rows = sample(seed=5).rows
    assert np.array_equal(again.predict(rows, raw_score=True, num_threads=1), fitted.margins(rows))
    assert canonical(again.model_to_string()) == fitted.model_text
    assert fitted.rounds == again.num_trees()


def test_early_stopping_leaves_fewer_trees_than_allowed() -> None:
    """The text holds the best round's trees only."""
    fitted = trained(rule=replace(SMALL, learning_rate=0.5, max_rounds=300))
    assert 1 <= fitted.rounds < 300


def test_platt_is_the_calibrator_when_the_rule_says_so() -> None:
    """The rule chooses the kind."""
    assert isinstance(trained(rule=replace(SMALL, calibration="platt")).calibrator, Platt)


@given(
    st.lists(st.integers(0, 500), min_size=30, max_size=300),
    st.integers(0, 40),
    st.floats(0.05, 0.4),
    st.floats(0.05, 0.4),
)
def test_no_label_of_a_piece_is_decided_inside_the_next(
    times: list[int], horizon: int, validation: float, calibration: float
) -> None:
    """Pieces follow each other, one horizon apart; every row is in one piece or purged; moments are not parted."""
    t = np.sort(np.array(times, dtype=np.int64))
    cut = split(t, horizon, TrainingRule(validation_share=validation, calibration_share=calibration))
    pieces = (cut.train, cut.validation, cut.calibration)
    for earlier, later in itertools.pairwise(pieces):
        assert earlier.stop <= later.start
        if earlier.start < earlier.stop and later.start < later.stop:
            assert t[earlier.stop - 1] + horizon < t[later.start]
            assert t[later.start - 1] < t[later.start]
    assert sum(piece.stop - piece.start for piece in pieces) + cut.purged == t.size
    assert cut.calibration.stop == t.size


def test_a_horizon_purges_the_seams() -> None:
    """One row a second and a horizon of 60 s leave 60 rows out at each of the two seams."""
    fitted = trained()
    assert fitted.purged_rows == 120
    assert fitted.train_rows + fitted.validation_rows + fitted.calibration_rows == 6_000 - 120


@given(st.integers(0, 10_000))
def test_time_order_depends_on_the_set_of_rows_alone(seed: int) -> None:
    """Shuffling rows, ties included, changes nothing after sorting."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, size=(40, 2)).astype(np.float32)
    y, t = rng.random(40) < 0.5, rng.integers(0, 6, 40)
    shuffle = rng.permutation(40)
    first, second = time_order(rows, y, t), time_order(rows[shuffle], y[shuffle], t[shuffle])
    assert (np.diff(t[first]) >= 0).all()
    for array in (rows, y, t):
        assert np.array_equal(array[first], array[shuffle][second])


@pytest.mark.parametrize("label", [False, True])
def test_a_day_with_every_label_alike_is_refused(label: bool) -> None:
    """One class cannot be learned from, and the message says how many wins there were."""
    data = sample(1_000)
    with pytest.raises(NotEnoughData, match=f"{1_000 * label} of 1000 labels are wins"):
        trained(replace(data, y=np.full(1_000, label)))


def test_rows_that_are_not_finite_are_refused_by_row_and_feature() -> None:
    """NaN and infinity are named by the first row and feature that holds one."""
    data = sample(1_000)
    data.rows[17, 3] = np.nan
    data.rows[40, 0] = np.inf
    with pytest.raises(BadRows, match="2 of 1000 rows are not finite, the first is row 17 feature 3"):
        trained(data)


def test_too_few_rows_are_refused_with_the_size_of_the_piece() -> None:
    """A piece below the minimum is named with its size and what is wanted."""
    with pytest.raises(NotEnoughData, match=r"validation piece holds \d+ rows with \d+ wins, wanted 200 rows"):
        trained(sample(1_000))


def test_no_rows_cannot_be_cut() -> None:
    """Workers of a cluster may find none that is decided before the test days."""
    with pytest.raises(NotEnoughData, match="no row is decided before the test days"):
        split(np.array([], np.int64), HORIZON_NS, TrainingRule())


def test_a_piece_with_one_class_is_refused() -> None:
    """Wins that stop before calibration leave nothing to calibrate on."""
    data = sample()
    data.y[-1_000:] = False
    with pytest.raises(NotEnoughData, match="calibration piece holds 900 rows with 0 wins"):
        trained(data)


def test_features_that_say_nothing_are_refused() -> None:
    """Constant features allow no split."""
    data = sample(3_000)
    with pytest.raises(NotEnoughData, match="no split"):
        trained(replace(data, rows=np.ones_like(data.rows)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.zeros((10, 2))}, r"found rows float64\[10, 2\]"),
        ({"rows": np.zeros((9, 2), np.float32)}, "9 rows with 10 labels and 10 times"),
        ({"y": np.zeros(10)}, r"y float64\[10\]"),
        ({"t_ns": np.zeros(10)}, r"t_ns float64\[10\]"),
    ],
)
def test_wrong_shapes_and_types_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    """The message says what was found."""
    given_arrays = {"rows": np.zeros((10, 2), np.float32), "y": np.zeros(10, bool), "t_ns": np.zeros(10, np.int64)}
    with pytest.raises(BadRows, match=message):
        fit(**(given_arrays | change), horizon_ns=HORIZON_NS, rule=SMALL, seed=1)


def test_no_rows_and_a_negative_horizon_are_refused() -> None:
    """Both name what was found."""
    empty = {"rows": np.zeros((0, 2), np.float32), "y": np.zeros(0, bool), "t_ns": np.zeros(0, np.int64)}
    with pytest.raises(NotEnoughData, match="0 rows x 2 features"):
        fit(**empty, horizon_ns=1, rule=SMALL, seed=1)
    with pytest.raises(BadRows, match="horizon_ns must be 0 or more, was -1"):
        fit(**empty, horizon_ns=-1, rule=SMALL, seed=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation_share": 0.5, "calibration_share": 0.4}, "together at most 0.8, were 0.5 and 0.4"),
        ({"validation_share": 0.0}, "above 0"),
        ({"max_rounds": 0}, "max_rounds must be 1 or more, was 0"),
        ({"calibration_steps": 1}, "calibration_steps must be 2 or more, was 1"),
    ],
)
def test_a_rule_out_of_bounds_is_refused(change: dict[str, float], message: str) -> None:
    """The message names the field, the bound and the value."""
    with pytest.raises(ValueError, match=message):
        TrainingRule(**change)
