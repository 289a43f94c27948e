from pathlib import Path

import numpy as np

from config.sections import Evaluation
from evaluation.drift import Reference, drift_report
from market.features import FEATURE_NAMES
from pipelines.drift import REFERENCE_ROWS, ReleaseDrift, reference_sample, rule_of, thinned
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
    assert table[0] == "| feature | PSI (reference quantiles) | KS (statistic D) | state |"
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
    report = drift_report(Reference.fit(rows, FEATURE_NAMES), moved, rule_of(Evaluation()))
    found = ReleaseDrift("version 1", report, tmp_path / "none.html")
    assert found.over == ["spread_bps"]
    assert found.sentence().startswith("1 features over a line: spread_bps; highest PSI")


def test_the_lines_are_those_of_the_configuration() -> None:
    """By their own names; every line that the configuration allows makes a rule."""
    rule = rule_of(Evaluation(psi_warn=0.11, psi_block=0.22, ks_block=0.33))
    assert (rule.psi_warn, rule.psi_block, rule.ks_block) == (0.11, 0.22, 0.33)
    strict = rule_of(Evaluation(ks_block=0.01))
    assert strict.ks_warn == strict.ks_block == 0.01


def test_thinned_rows_span_the_whole_time() -> None:
    """First and last are kept; few rows are kept whole."""
    rows = np.arange(100, dtype=np.float32).reshape(-1, 1)
    kept = thinned(rows, 10)
    assert (len(kept), kept[0, 0], kept[-1, 0]) == (10, 0, 99)
    assert thinned(rows, 100) is rows


def test_the_reference_sample_is_bounded(first: Release) -> None:
    """It is kept with every release."""
    rows = reference_sample(first.workspace, first.model)
    assert 0 < len(rows) <= REFERENCE_ROWS
    assert np.isfinite(rows).all()
