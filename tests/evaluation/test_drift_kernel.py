"""The galloping Kolmogorov-Smirnov walk against a plain count at every value, and against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from evaluation.drift import Reference, _ks_plain, ks
from evaluation.drift_kernel import _count_below, ks_sorted
from evaluation.errors import BadSample

F32 = np.float32

_lattice = hnp.arrays(F32, st.integers(1, 80), elements=st.integers(-3, 3).map(float))
_anything = hnp.arrays(F32, st.integers(1, 80), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
_tiny = hnp.arrays(F32, st.integers(1, 4), elements=st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 1.0]))
_sample = st.one_of(_lattice, _anything, _tiny)


def _ks(reference: NDArray[np.float32], window: NDArray[np.float32]) -> float:
    """Return the statistic of one feature from unsorted samples."""
    out = np.full(1, -1.0)
    ks_sorted(np.sort(reference)[None, :], np.sort(window)[None, :], out)
    return float(out[0])


def _plain(reference: NDArray[np.float32], window: NDArray[np.float32]) -> float:
    """The definition: the largest difference of the two shares at or below any value that occurs."""
    values = np.concatenate([reference, window])
    shares = [(np.mean(reference <= value), np.mean(window <= value)) for value in values]
    return float(max(abs(theirs - ours) for theirs, ours in shares))


@given(_sample, _sample)
def test_the_statistic_is_the_largest_difference_of_the_shares(
    reference: NDArray[np.float32], window: NDArray[np.float32]
) -> None:
    """Ties within and between the samples, both zeros, denormals and the ends of float32 included."""
    assert _ks(reference, window) == pytest.approx(_plain(reference, window), abs=1e-15)


@given(_sample, _sample)
def test_the_statistic_is_scipys_to_the_last_bit(reference: NDArray[np.float32], window: NDArray[np.float32]) -> None:
    """The counts are divided in the same order as there."""
    with np.errstate(divide="ignore"):  # scipy divides by zero in the p-value of one row against one
        assert _ks(reference, window) == ks_2samp(reference, window, method="asymp").statistic


@given(_sample, _sample)
def test_numpy_counts_the_same_to_the_last_bit(reference: NDArray[np.float32], window: NDArray[np.float32]) -> None:
    """Which of the two ways a sample takes depends on its size alone, and must not show."""
    assert _ks_plain(np.sort(reference), np.sort(window)) == _ks(reference, window)


@given(_sample, _sample)
def test_either_sample_may_be_the_reference(reference: NDArray[np.float32], window: NDArray[np.float32]) -> None:
    """The distance is the same both ways, though the walk goes through only one of them row by row."""
    assert _ks(reference, window) == pytest.approx(_ks(window, reference), abs=1e-15)


@given(_sample)
def test_a_sample_has_no_distance_from_itself(sample: NDArray[np.float32]) -> None:
    """Nor from itself written twice over."""
    assert _ks(sample, sample) == 0.0
    assert _ks(sample, np.concatenate([sample, sample])) == 0.0


@given(_lattice, _lattice)
def test_only_the_order_of_the_values_matters(reference: NDArray[np.float32], window: NDArray[np.float32]) -> None:
    """Doubling and shifting both, exactly in float32, changes nothing; negating both mirrors it."""
    found = _ks(reference, window)
    assert _ks(reference * F32(2) + F32(5), window * F32(2) + F32(5)) == found
    assert _ks(-reference, -window) == pytest.approx(found, abs=1e-15)


@given(hnp.arrays(F32, st.integers(1, 80), elements=st.floats(-(2.0**100), 2.0**100, width=32)), st.integers(1, 80))
def test_ranges_apart_are_a_distance_of_one(sample: NDArray[np.float32], rows: int) -> None:
    """Wholly above or wholly below, if only by the last bit."""
    for beyond in (np.nextafter(sample.max(), F32(1e38)), np.nextafter(sample.min(), F32(-1e38))):
        assert _ks(sample, np.full(rows, beyond, F32)) == 1.0


@pytest.mark.parametrize(
    ("window", "distance"), [(0.0, 1.0), (1.0, 0.75), (2.0, 0.5), (2.5, 0.5), (4.0, 0.75), (5.0, 1.0)]
)
def test_one_row_stands_where_it_splits_the_reference(window: float, distance: float) -> None:
    """Against 1, 2, 3, 4 a single row's distance is the larger of the shares below it and above it."""
    assert _ks(np.array([1, 2, 3, 4], F32), np.array([window], F32)) == distance


@pytest.mark.parametrize(("share", "distance"), [(0.9, 0.0), (0.8, 0.1), (0.4, 0.5), (0.0, 0.9), (1.0, 0.1)])
@pytest.mark.parametrize("atom", [-1.0, 0.5, 2.0])
def test_a_heavy_value_moves_by_the_share_it_loses(share: float, distance: float, atom: float) -> None:
    """Nine tenths on one value, the rest on another: the distance is the difference of the shares, wherever it lies."""
    reference = np.repeat([atom, 1.0], [900, 100]).astype(F32)
    window = np.repeat([atom, 1.0], [round(100 * share), 100 - round(100 * share)]).astype(F32)
    assert _ks(reference, window) == pytest.approx(distance, abs=1e-15)


def test_both_zeros_are_one_value() -> None:
    """-0.0 sorts anywhere among the zeros and must not make a step of its own."""
    assert _ks(np.array([-0.0, 0.0, 0.0], F32), np.array([0.0, -0.0], F32)) == 0.0


def test_features_do_not_see_one_another() -> None:
    """Each of eleven features answers as it does alone, whatever its neighbours leave behind."""
    rng = np.random.default_rng(3)
    reference = np.sort(np.round(rng.normal(size=(11, 500)) * 3).astype(F32), axis=1)
    window = np.sort(np.round(rng.normal(0.3, 1.2, size=(11, 70)) * 3).astype(F32), axis=1)
    out = np.full(11, -1.0)
    ks_sorted(reference, window, out)
    assert out.tolist() == [_ks(reference[f], window[f]) for f in range(11)]


def test_a_long_gallop_finds_what_a_short_one_does() -> None:
    """A window of three against a reference of 200,000, whose answers lie at its start, middle and end."""
    reference = np.arange(200_000, dtype=F32)
    for window in ([0, 1, 2], [99_999, 100_000, 100_001], [199_997, 199_998, 199_999], [0, 100_000, 199_999]):
        sample = np.array(window, F32)
        assert _ks(reference, sample) == ks_2samp(reference, sample, method="asymp").statistic


@given(_sample, st.floats(width=32, allow_nan=False), st.integers(0, 80), st.booleans())
def test_counting_below_is_a_binary_search_from_any_start(
    sample: NDArray[np.float32], value: float, start: int, or_equal: bool
) -> None:
    """From every start that is not too far, the count of a plain search; with the equal ones or without."""
    ordered = np.sort(sample)
    wanted = int(np.searchsorted(ordered, F32(value), side="right" if or_equal else "left"))
    assert _count_below(ordered, min(start, wanted), F32(value), or_equal) == wanted


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_refused_before_it_gets_here(value: float) -> None:
    """In the window and in the reference alike, naming feature and row: the walk itself compares without asking."""
    rows = np.zeros((4, 2), F32)
    broken = rows.copy()
    broken[2, 1] = value
    with pytest.raises(BadSample, match=f"first {value} in feature b at row 2"):
        ks(Reference.fit(rows, ["a", "b"]), broken)
    with pytest.raises(BadSample, match=f"first {value} in feature b at row 2"):
        Reference.fit(broken, ["a", "b"])
