"""What the columns mean, and what a change of meaning does."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from market.events import BadEvent
from market.feature_spec import (
    COLUMN_NAMES,
    CONTEXT_NAMES,
    FEATURE_NAMES,
    FEATURES,
    KERNEL_VERSION,
    N_COLUMNS,
    N_FEATURES,
    orient,
    orient_row,
    schema_hash,
)

_ROWS = hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(N_FEATURES)), elements=st.floats(width=32))


def test_inputs_come_first_and_context_last() -> None:
    """57 inputs, at least the 24 asked for, then the two columns no model sees; every name once."""
    assert (*FEATURE_NAMES, *CONTEXT_NAMES) == COLUMN_NAMES
    assert (N_FEATURES, N_COLUMNS) == (57, 59)
    assert len(set(COLUMN_NAMES)) == N_COLUMNS
    assert CONTEXT_NAMES == ("mid_ticks", "microprice_ticks")


def test_every_feature_is_described() -> None:
    """No empty word, no unfilled template, and partners name each other."""
    by_name = {feature.name: feature for feature in FEATURES}
    for feature in FEATURES:
        words = (feature.name, feature.unit, feature.window, feature.formula, feature.source)
        assert all(words)
        assert not any("{" in word for word in words)
        if feature.symmetry.startswith("swap:"):
            partner = by_name[feature.symmetry.removeprefix("swap:")]
            assert partner.symmetry == f"swap:{feature.name}"
            assert (partner.unit, partner.window) == (feature.unit, feature.window)
        else:
            assert feature.symmetry in ("even", "odd")


@pytest.mark.parametrize("change", [{"name": "spread"}, {"unit": "bps"}, {"window": "1 s"}])
def test_the_hash_changes_with_name_unit_and_window(change: dict[str, str]) -> None:
    """And not with the wording of a formula."""
    changed = (replace(FEATURES[0], **change), *FEATURES[1:])
    assert schema_hash(changed) != schema_hash()
    reworded = (replace(FEATURES[0], formula="ask less bid"), *FEATURES[1:])
    assert schema_hash(reworded) == schema_hash()


def test_the_hash_changes_with_order_count_and_version() -> None:
    """Two kernels of other columns or other bits never share a hash."""
    hashes = {
        schema_hash(),
        schema_hash(FEATURES[::-1]),
        schema_hash(FEATURES[:-1]),
        schema_hash(version=KERNEL_VERSION + 1),
    }
    assert len(hashes) == 4
    assert all(len(value) == 64 for value in hashes)


@given(_ROWS, st.data())
def test_orienting_twice_is_nothing(rows: np.ndarray, data: st.DataObject) -> None:
    """To the bit, zeros with a sign and infinities among them; the rows given are not touched."""
    sides = data.draw(hnp.arrays(np.int8, len(rows), elements=st.sampled_from([-1, 1])))
    before = rows.tobytes()
    assert orient(orient(rows, sides), sides).tobytes() == before
    assert rows.tobytes() == before


@given(_ROWS)
def test_a_long_is_left_alone_and_a_short_mirrored(rows: np.ndarray) -> None:
    """Odd features are negated, partners exchanged, even ones kept."""
    assert orient(rows, np.ones(len(rows), np.int8)).tobytes() == rows.tobytes()
    mirrored = orient(rows, np.full(len(rows), -1, np.int8))
    for k, feature in enumerate(FEATURES[:N_FEATURES]):
        if feature.symmetry == "even":
            wanted = rows[:, k]
        elif feature.symmetry == "odd":
            wanted = -rows[:, k]
        else:
            wanted = rows[:, FEATURE_NAMES.index(feature.symmetry.removeprefix("swap:"))]
        np.testing.assert_array_equal(mirrored[:, k], wanted)


@given(_ROWS, st.sampled_from([-1, 1]))
def test_one_row_is_oriented_as_among_many(rows: np.ndarray, side: int) -> None:
    """The live side's way gives the pipelines' bits."""
    many = orient(rows, np.full(len(rows), side, np.int8))
    for row, wanted in zip(rows, many, strict=True):
        before = row.tobytes()
        assert orient_row(row, side).tobytes() == wanted.tobytes()
        assert row.tobytes() == before


def test_a_row_of_another_width_is_refused() -> None:
    """With its context it is no input."""
    with pytest.raises(BadEvent, match=r"a row \[57\], got \[59\]"):
        orient_row(np.zeros(N_COLUMNS, np.float32), 1)


def test_rows_of_another_width_are_refused() -> None:
    """The context columns are no inputs, and every row needs a side."""
    with pytest.raises(BadEvent, match=r"rows \[n, 57\] and sides \[n\], got \[2, 59\] and \[2\]"):
        orient(np.zeros((2, N_COLUMNS), np.float32), np.ones(2, np.int8))
    with pytest.raises(BadEvent, match=r"got \[2, 57\] and \[3\]"):
        orient(np.zeros((2, N_FEATURES), np.float32), np.ones(3, np.int8))
