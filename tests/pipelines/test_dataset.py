import numpy as np
import pytest

from archive.errors import MissingPartition
from archive.layout import FEATURES, LABELS
from market.barriers import UNRESOLVED
from market.features import FEATURE_NAMES, orient
from pipelines.dataset import load
from pipelines.errors import NotEnoughData
from tests.pipelines.days import CELLS, MIDDLE, Bench, file_of


def test_candidates_of_many_cells_come_in_time_order(finished: Bench) -> None:
    """Whatever order the cells are named in; the symbols of one moment stay in theirs."""
    found = load(finished.lake, CELLS)
    again = load(finished.lake, list(reversed(CELLS)))
    assert (np.diff(found.t_ns) >= 0).all()
    assert np.array_equal(found.rows, again.rows)
    assert np.array_equal(found.won, again.won)


def test_unresolved_candidates_are_left_out(finished: Bench) -> None:
    """Of either side; all others are there."""
    label = finished.lake.read(LABELS, MIDDLE.symbol, MIDDLE.day)
    resolved = (label["outcome_long"] != UNRESOLVED) & (label["outcome_short"] != UNRESOLVED)
    found = load(finished.lake, [MIDDLE])
    assert np.array_equal(found.t_ns, label["t_ns"][resolved])
    assert np.isfinite(found.net_bps).all()


def test_the_chosen_side_decides_what_won_and_what_was_gained(finished: Bench) -> None:
    """A short's win is the short's."""
    label = finished.lake.read(LABELS, MIDDLE.symbol, MIDDLE.day)
    resolved = (label["outcome_long"] != UNRESOLVED) & (label["outcome_short"] != UNRESOLVED)
    found = load(finished.lake, [MIDDLE])
    short = found.side < 0
    assert 0 < short.sum() < len(found)
    assert np.array_equal(found.won[short], (label["outcome_short"][resolved] == 1)[short])
    assert np.array_equal(found.net_bps[short], label["net_bps_short"][resolved][short])
    assert np.array_equal(found.won[~short], (label["outcome_long"][resolved] == 1)[~short])
    assert (found.gross_bps[found.won] > 0).all()


def test_every_candidate_is_learned_from_twice(finished: Bench) -> None:
    """Once as a long and once as the short in the mirror."""
    found = load(finished.lake, [MIDDLE])
    rows, won, t_ns = found.both_sides()
    half = len(found)
    assert rows.shape == (2 * half, len(FEATURE_NAMES))
    assert rows.dtype == np.float32
    assert np.array_equal(rows[:half], found.rows)
    assert np.array_equal(rows[half:], orient(found.rows, np.full(half, -1, np.int8)))
    assert np.array_equal(won, np.concatenate([found.won_long, found.won_short]))
    assert np.array_equal(t_ns, np.tile(found.t_ns, 2))


def test_no_resolved_candidate_is_an_error_that_names_the_cells(finished: Bench, own: Bench) -> None:
    """So are no cells at all, and a partition that is not there."""
    with pytest.raises(NotEnoughData, match="no resolved candidate"):
        load(finished.lake, [])
    label = own.lake.read(LABELS, MIDDLE.symbol, MIDDLE.day)
    label["outcome_long"][:] = UNRESOLVED
    own.lake.write(LABELS, MIDDLE.symbol, MIDDLE.day, label, source="test")
    with pytest.raises(NotEnoughData, match=r"2026-01-06\|BTCUSDT"):
        load(own.lake, [MIDDLE])
    file_of(own, FEATURES, MIDDLE).unlink()
    with pytest.raises(MissingPartition, match="features"):
        load(own.lake, [MIDDLE])


def test_labels_of_other_features_are_refused(own: Bench) -> None:
    """Features that were made again need labels that were made again."""
    label = own.lake.read(LABELS, MIDDLE.symbol, MIDDLE.day)
    own.lake.write(
        LABELS, MIDDLE.symbol, MIDDLE.day, {name: column[:-1] for name, column in label.items()}, source="test"
    )
    with pytest.raises(NotEnoughData, match=r"2026-01-06\|BTCUSDT.*materialize labels again"):
        load(own.lake, [MIDDLE])
