from dataclasses import replace
from pathlib import Path

import numpy as np

from config.sections import Evaluation
from evaluation.clean_windows import WindowShape
from evaluation.drift import Reference
from evaluation.drift_lines import drift_report
from market.features import FEATURE_NAMES
from pipelines.dataset import load
from pipelines.drift import REFERENCE_ROWS, ReleaseDrift, own_drift, reference_sample, thinned
from tests.pipelines.conftest import Release


def test_the_first_release_is_held_against_its_own_train_days(first: Release) -> None:
    """There is nothing else, and the report says so."""
    assert first.drift.against == "the train days (no earlier release with these features)"
    assert first.drift.against in first.drift.sentence()


def test_the_next_release_is_held_against_the_one_before(second: Release) -> None:
    """By the sample that was kept in its run."""
    assert second.drift.against == "signal_scorer version 1"


def test_every_feature_has_its_line_the_most_drifted_first(first: Release) -> None:
    """PSI and KS under names that tell them apart from Evidently's."""
    table = first.drift.table().splitlines()
    assert table[0].startswith("| feature | PSI (reference quantiles) | KS (statistic D) | state |")
    assert {line.split(" | ")[0].removeprefix("| ") for line in table[2:]} == set(FEATURE_NAMES)
    values = [float(line.split(" | ")[1]) for line in table[2:]]
    assert values == sorted(values, reverse=True)


def test_evidently_draws_one_page_that_needs_no_other_file(first: Release) -> None:
    """It names our features."""
    page = first.drift.page.read_text()
    assert "<html" in page[:2_000].lower()
    assert "queue_imbalance_5" in page


def test_a_feature_beyond_the_line_is_named(first: Release, tmp_path: Path) -> None:
    """A shift of every row of one feature blocks that one alone."""
    rows = reference_sample(first.workspace, first.model)
    moved = rows.copy()
    column = FEATURE_NAMES.index("spread_bps")
    moved[:, column] += np.float32(10.0) * (np.ptp(rows[:, column]) + np.float32(1.0))
    report = drift_report(Reference.fit(rows, FEATURE_NAMES), moved, Evaluation().drift_rule(), None)
    found = ReleaseDrift("version 1", report, report, tmp_path / "none.html")
    assert found.over == ["spread_bps"]
    assert found.sentence().startswith("1 features over a line: spread_bps; highest PSI")


def test_two_train_days_arm_nothing_and_the_report_says_so(first: Release) -> None:
    """Windows of a day need a week of days to be told from each other."""
    assert not any(each.armed for each in first.drift.own.features)
    assert first.drift.own_sentence().startswith("0 armed features over a line; not armed: the train days are too few")
    assert "| not armed |" in first.drift.table()


def test_test_days_unlike_the_train_days_block_where_armed(first: Release, tmp_path: Path) -> None:
    """Of windows of two hours two days show enough: a feature that is armed blocks when the test rows are moved."""
    lake, days = first.workspace.lake, first.model.training_set
    train, test = load(lake, days.train_cells), load(lake, days.test_cells)
    shape, rule = WindowShape(500, 7_200.0), Evaluation().drift_rule()
    calm = own_drift(train, test, shape, rule)
    armed = {each.name for each in calm.features if each.armed}
    assert armed
    assert calm.blocking == ()
    moved = replace(test, rows=test.rows + np.float32(10.0) * np.ptp(train.rows, axis=0))
    found = ReleaseDrift("version 1", calm, own_drift(train, moved, shape, rule), tmp_path / "none.html")
    assert set(found.own.blocking) == armed
    assert f"; {len(armed)} of {len(FEATURE_NAMES)} features are armed; over a line and not" in found.own_sentence()


def test_thinned_rows_span_the_whole_time() -> None:
    """First and last are kept; few rows are kept whole."""
    rows = np.arange(100, dtype=np.float32).reshape(-1, 1)
    kept = thinned(rows, 10)
    assert (len(kept), kept[0, 0], kept[-1, 0]) == (10, 0, 99)
    assert (thinned(rows, 100) == rows).all()


def test_the_reference_sample_is_bounded(first: Release) -> None:
    """It is kept with every release."""
    rows = reference_sample(first.workspace, first.model)
    assert 0 < len(rows) <= REFERENCE_ROWS
    assert np.isfinite(rows).all()
