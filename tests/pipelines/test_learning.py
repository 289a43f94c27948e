import numpy as np
import pytest

from archive.layout import FEATURES, LABELS
from market.barriers import UNRESOLVED
from pipelines.dataset import load
from pipelines.errors import BadRows, NotEnoughData
from pipelines.learning import make_training_set, train
from pipelines.lineage import merkle_root
from tests.pipelines.conftest import Release
from tests.pipelines.days import CELLS, DAYS, MIDDLE, Bench, file_of


def relabel(workspace: Bench, *, swap: bool) -> None:
    """Turn every resolved label of the last day round (swap), or make all labels of all days losses."""
    for each in CELLS:
        if swap and each.day != DAYS[-1]:
            continue
        label = workspace.lake.read(LABELS, each.symbol, each.day)
        for side in ("long", "short"):
            known = label[f"outcome_{side}"] != UNRESOLVED
            label[f"outcome_{side}"][known] = -label[f"outcome_{side}"][known] if swap else -1
        workspace.lake.write(LABELS, each.symbol, each.day, label, source="test")


def test_the_last_days_are_held_out_and_every_cell_is_a_leaf(first: Release) -> None:
    """All symbols of a day stand on the same side of the cut."""
    found = first.training_set
    assert {each.day for each in found.test_cells} == {DAYS[-1]}
    assert {each.day for each in found.train_cells} == set(DAYS[:-1])
    assert set(found.leaves) == {str(each.key) for each in CELLS}
    assert found.data_hash == merkle_root(found.leaves)


def test_one_changed_label_changes_the_data_hash(first: Release, own: Bench) -> None:
    """And only the leaf of its cell."""
    label = own.lake.read(LABELS, MIDDLE.symbol, MIDDLE.day)
    label["outcome_long"][5] = 1 if label["outcome_long"][5] != 1 else -1
    own.lake.write(LABELS, MIDDLE.symbol, MIDDLE.day, label, source="test")
    found = make_training_set(own, CELLS)
    assert found.data_hash != first.training_set.data_hash
    changed = {key for key, leaf in found.leaves.items() if leaf != first.training_set.leaves[key]}
    assert changed == {str(MIDDLE.key)}


def test_a_cell_without_features_is_left_out(own: Bench) -> None:
    """What was not derived yet cannot be learned from."""
    file_of(own, FEATURES, MIDDLE).unlink()
    found = make_training_set(own, CELLS)
    assert str(MIDDLE.key) not in found.leaves
    assert len(found.leaves) == len(CELLS) - 1


def test_too_few_days_are_refused_with_what_to_do(own: Bench) -> None:
    """One day cannot be learned from and tested on; the error names the range, the setting and the job."""
    with pytest.raises(NotEnoughData, match=r"1 days .*2026-01-05.*2026-01-07.*training\.test_days = 1.*ingest_job"):
        make_training_set(own, [each for each in CELLS if each.day == DAYS[0]])


def test_nothing_about_the_test_days_reaches_the_model(first: Release, own: Bench) -> None:
    """With every label of the test days turned round, trees, calibrator and threshold are the same to the bit."""
    relabel(own, swap=True)
    again = train(own, make_training_set(own, CELLS))
    assert again.model_text == first.model.model_text
    assert again.isotonic == first.model.isotonic
    assert again.measured.tau_entry == first.model.measured.tau_entry
    assert again.measured.metrics["test_win_auc"] != first.model.measured.metrics["test_win_auc"]


def test_rows_whose_label_reaches_into_the_test_days_are_purged(first: Release) -> None:
    """Both sides of every other known candidate are used or swallowed by a seam."""
    workspace, sizes = first.workspace, first.model.sizes
    known = load(workspace.lake, first.training_set.train_cells)
    test = load(workspace.lake, first.training_set.test_cells)
    kept = int((known.t_ns < test.t_ns[0] - workspace.barrier_rule.horizon_ns).sum())
    assert kept < len(known)
    pieces = ("train_rows", "validation_rows", "calibration_rows", "purged_rows")
    assert sum(sizes[name] for name in pieces) == 2 * kept


def test_days_with_every_label_alike_are_refused(own: Bench) -> None:
    """The error counts them, and says what brings both classes about."""
    relabel(own, swap=False)
    with pytest.raises(NotEnoughData, match=r"0 of \d+ labels are wins.*label\.tp_pct"):
        train(own, make_training_set(own, CELLS))


def test_rows_with_nan_are_refused(own: Bench) -> None:
    """The check on features blocks its own run; whoever trains anyway is told what is wrong."""
    columns = own.lake.read(FEATURES, MIDDLE.symbol, MIDDLE.day)
    columns["spread_bps"][40] = np.nan
    own.lake.write(FEATURES, MIDDLE.symbol, MIDDLE.day, columns, source="test")
    with pytest.raises(BadRows, match="finite"):
        train(own, make_training_set(own, CELLS))
