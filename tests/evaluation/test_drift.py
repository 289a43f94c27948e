"""PSI and KS: exact against scipy and a plain count, on lattices and atoms, and true to their small-sample laws."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from evaluation.drift import Reference, ks, psi
from evaluation.errors import BadRule, BadSample, ReferenceMismatch

# Small integers as float32: ties inside and between the samples, as order-book features have them.
_COLUMN = hnp.arrays(np.float32, st.integers(1, 60), elements=st.integers(-6, 6).map(float))
_ANY_COLUMN = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32))


@given(st.one_of(_COLUMN, _ANY_COLUMN), st.one_of(_COLUMN, _ANY_COLUMN))
def test_ks_is_scipys_statistic_exactly(reference: NDArray[np.float32], current: NDArray[np.float32]) -> None:
    """D equals scipy's asymptotic-form statistic to the last bit, ties, constants and single rows included."""
    found = ks(Reference.fit(reference[:, None], ["x"]), current[:, None])
    with np.errstate(divide="ignore"):  # scipy divides by zero in the p-value of one row against one
        assert found[0] == ks_2samp(reference, current, method="asymp").statistic


def test_ks_is_scipys_statistic_at_size() -> None:
    """Twenty-four features, 30,000 rows against 2,000, half of them on a lattice: difference 0 to scipy's default."""
    rng = np.random.default_rng(1)
    reference, current = _features(rng, 30_000), _features(rng, 2_000) + np.float32(0.1)
    found = ks(Reference.fit(reference, _names(24)), current)
    wanted = [ks_2samp(reference[:, f], current[:, f]).statistic for f in range(24)]
    assert np.abs(found - wanted).max() == 0.0


@given(st.one_of(_COLUMN, _ANY_COLUMN), st.one_of(_COLUMN, _ANY_COLUMN), st.integers(3, 12))
def test_psi_equals_a_plain_count(reference: NDArray[np.float32], current: NDArray[np.float32], bins: int) -> None:
    """PSI is the sum over the bins (lower edge out, upper edge in, ends open) with shares of 0.5/n at least."""
    fitted = Reference.fit(reference[:, None], ["x"], bins)
    upper = [float(edge) for edge in fitted.edges[0] if np.isfinite(edge)] + [float("inf")]
    lower = [float("-inf"), *upper[:-1]]
    wanted = 0.0
    for low, high in zip(lower, upper, strict=True):
        r = max(np.mean((reference > low) & (reference <= high)), 0.5 / current.size)
        c = max(np.mean((current > low) & (current <= high)), 0.5 / current.size)
        wanted += (c - r) * np.log(c / r)
    assert psi(fitted, current[:, None])[0] == pytest.approx(wanted, abs=1e-12)


@given(st.one_of(_COLUMN, _ANY_COLUMN), st.integers(3, 12))
def test_bins_are_at_most_those_asked_for_and_none_is_empty(reference: NDArray[np.float32], bins: int) -> None:
    """Edges rise strictly, shares add up to 1, and only a constant has empty bins: the two beside its value."""
    fitted = Reference.fit(reference[:, None], ["x"], bins)
    edges = fitted.edges[0][np.isfinite(fitted.edges[0])]
    shares = fitted.shares[0][: edges.size + 1]
    assert (np.diff(edges) > 0).all()
    assert fitted.shares[0].sum() == pytest.approx(1.0)
    if np.unique(reference).size > 1:
        assert shares.min() > 0.0
        assert 2 <= shares.size <= bins
    else:
        assert shares.tolist() == [0.0, 1.0, 0.0]


def test_no_drift_is_zero_against_oneself() -> None:
    """The training rows themselves have PSI 0 and D 0."""
    rows = _features(np.random.default_rng(2), 5_000)
    fitted = Reference.fit(rows, _names(24))
    assert (psi(fitted, rows) == 0.0).all()
    assert (ks(fitted, rows) == 0.0).all()


@pytest.mark.parametrize("place", ["lowest", "middle", "highest"])
def test_a_heavy_value_has_a_bin_of_its_own(place: str) -> None:
    """With 80 % of rows on one value, its share is a bin, and halving it shows: wherever among the values it lies."""
    rng = np.random.default_rng(3)
    heavy = {"lowest": -10.0, "middle": 0.0, "highest": 10.0}[place]
    others = rng.uniform(-5, 5, size=4_000)
    reference = np.r_[np.full(16_000, heavy), others][:, None]
    fitted = Reference.fit(reference, ["x"])
    assert fitted.shares.max() == pytest.approx(0.8, abs=0.051)
    current = np.r_[np.full(400, heavy), others[:600]][:, None]
    assert psi(fitted, current)[0] > 0.5
    assert psi(fitted, reference[::20])[0] < 0.05


def test_regimes_are_binned_by_value() -> None:
    """A feature of 0, 1, 2 has one bin each, so a swap of the rare two is seen and integer rows are welcome."""
    reference = np.repeat([0, 1, 2], [9_500, 400, 100])[:, None]
    fitted = Reference.fit(reference, ["spread_regime"])
    np.testing.assert_allclose(fitted.shares[0][:3], [0.95, 0.04, 0.01])
    swapped = np.repeat([0, 1, 2], [1_900, 20, 80])[:, None]
    assert psi(fitted, swapped)[0] == pytest.approx(0.03 * np.log(4) * 2, rel=1e-9)


def test_a_constant_that_moves_is_seen() -> None:
    """A feature constant in training is 0 while it stays, and large when it moves either way."""
    fitted = Reference.fit(np.full((1_000, 1), 7.0), ["x"])
    assert psi(fitted, np.full((50, 1), 7.0))[0] == 0.0
    assert ks(fitted, np.full((50, 1), 7.0))[0] == 0.0
    for moved in (6.9, 7.1):
        assert psi(fitted, np.full((50, 1), moved))[0] > 4.0
        assert ks(fitted, np.full((50, 1), moved))[0] == 1.0


def test_an_emptied_bin_costs_a_finite_amount() -> None:
    """A window wholly inside one of ten bins has a large, finite PSI."""
    fitted = Reference.fit(np.arange(10_000.0)[:, None], ["x"])
    found = psi(fitted, np.full((100, 1), 5.0))[0]
    floor = 0.005
    assert found == pytest.approx(0.9 * np.log(1 / 0.1) + 9 * (floor - 0.1) * np.log(floor / 0.1), rel=1e-3)


def test_values_beyond_the_training_range_fall_in_the_end_bins() -> None:
    """Ends are open: rows far outside count in the first and the last bin."""
    fitted = Reference.fit(np.arange(100.0)[:, None], ["x"], bins=4)
    assert psi(fitted, np.array([[-1e30], [30.0], [60.0], [1e30]]))[0] == 0.0


def test_fifty_rows_are_not_worth_a_verdict() -> None:
    """With 24 clean features, a window of 50 almost always has one over PSI 0.30; a window of 500 never, and D too."""
    rng = np.random.default_rng(5)
    fitted = Reference.fit(rng.normal(size=(20_000, 24)), _names(24))
    small = [psi(fitted, rng.normal(size=(50, 24))).max() for _ in range(60)]
    large = [rng.normal(size=(500, 24)) for _ in range(60)]
    assert np.mean(np.array(small) >= 0.30) > 0.85
    assert max(psi(fitted, rows).max() for rows in large) < 0.10
    assert max(ks(fitted, rows).max() for rows in large) < 0.12


def test_a_reference_survives_json_bit_for_bit() -> None:
    """Written as JSON and read back, edges, shares and sample are the same bits, merged and constant bins included."""
    rng = np.random.default_rng(9)
    rows = np.column_stack([rng.normal(size=2_000), rng.integers(0, 3, 2_000), np.full(2_000, 0.1)])
    fitted = Reference.fit(rows, ["smooth", "regime", "constant"])
    back = Reference.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert (back.names, back.rows) == (fitted.names, fitted.rows)
    for name in ("edges", "shares", "ordered"):
        wanted, found = getattr(fitted, name), getattr(back, name)
        assert wanted.dtype == found.dtype
        assert wanted.tobytes() == found.tobytes()


def test_thinning_keeps_the_shares_and_nearly_the_distance() -> None:
    """A thousand of 50,000 order statistics move D by less than 1/1000 and PSI not at all."""
    rng = np.random.default_rng(10)
    fitted = Reference.fit(_features(rng, 50_000), _names(24))
    thin = fitted.thinned(1_000)
    window = _features(rng, 2_000) * np.float32(1.2)
    assert thin.ordered.shape == (24, 1_000)
    assert np.abs(ks(thin, window) - ks(fitted, window)).max() < 1e-3
    assert (psi(thin, window) == psi(fitted, window)).all()
    assert thin.thinned(5_000) is thin
    with pytest.raises(BadRule, match="points must be 1 or more, was 0"):
        fitted.thinned(0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": 0}, "0 rows"),
        ({"features": []}, "fit it anew"),
        ({"features": [{"name": "x"}]}, "KeyError: 'edges'"),
        ({"features": [{"name": "x", "edges": [2.0, 1.0], "shares": [0.5, 0.25, 0.25], "sample": "AAAAAA=="}]}, "rise"),
        ({"features": [{"name": "x", "edges": [1.0], "shares": [0.5, 0.4], "sample": "AAAAAA=="}]}, "found 0.9"),
        ({"features": [{"name": "x", "edges": [1.0], "shares": [1.0], "sample": "AAAAAA=="}]}, "do not belong"),
        ({"features": [{"name": "x", "edges": [1.0], "shares": [0.5, 0.5], "sample": "AAAA"}]}, "ValueError"),
        ({"features": [{"name": "x", "edges": [1.0], "shares": [0.5, 0.5], "sample": "not base64"}]}, "Error"),
    ],
)
def test_a_damaged_stored_reference_is_refused(change: dict[str, object], said: str) -> None:
    """Missing keys, falling edges, shares that do not add up and torn samples are refused with a reason."""
    stored = Reference.fit([[1.0], [2.0]], ["x"]).to_dict() | change
    with pytest.raises(ReferenceMismatch, match=said):
        Reference.from_dict(stored)


def test_rows_of_another_schema_are_refused() -> None:
    """A window with another number of features is not compared."""
    fitted = Reference.fit(np.zeros((5, 2)), ["a", "b"])
    with pytest.raises(ReferenceMismatch, match=r"rows have 3 features, the reference has 2 \(a to b\)"):
        psi(fitted, np.zeros((5, 3)))


def test_bad_rows_are_refused() -> None:
    """NaN, empty windows and too few bins are refused."""
    fitted = Reference.fit(np.zeros((5, 1)), ["x"])
    with pytest.raises(BadSample, match="first nan in feature x at row 1"):
        ks(fitted, [[0.0], [float("nan")]])
    with pytest.raises(BadSample, match="wanted shape"):
        psi(fitted, np.empty((0, 1)))
    with pytest.raises(BadRule, match="bins must be 3 or more, was 2"):
        Reference.fit(np.zeros((5, 1)), ["x"], bins=2)


def _names(count: int) -> list[str]:
    return [f"f{i}" for i in range(count)]


def _features(rng: np.random.Generator, rows: int) -> NDArray[np.float32]:
    """Return 24 features, the first twelve rounded to a coarse lattice."""
    drawn = rng.normal(size=(rows, 24))
    drawn[:, :12] = np.round(drawn[:, :12] * 2)
    return drawn.astype(np.float32)
