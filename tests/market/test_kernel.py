"""The kernel's numbers, held to plain definitions and to a second kernel in C."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.c_twin import Twin
from market import kernel
from market.columns import BOOK_RESET, BookColumns, TradeColumns
from market.events import LEVELS
from market.feature_spec import COLUMN_NAMES, N_COLUMNS
from market.features import EVENT_WIDTH, KernelState, interleave, run
from tests.market.oracle import expected
from tests.market.streams import odd_markets, ordinary_market

Market = tuple[BookColumns, TradeColumns]


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """The C twin, compiled once; without gcc the tests that ask for it skip."""
    built = Twin.build(tmp_path_factory.mktemp("c_twin"))
    if built is None:
        pytest.skip("no gcc here, so there is no C twin to compare with")
    return built


def test_layout_agrees_with_the_spec() -> None:
    """The kernel's own literals say the same as events, columns and feature_spec."""
    assert kernel.WIDTH == EVENT_WIDTH == 5 + 4 * LEVELS
    assert kernel.COLUMNS == N_COLUMNS == len(set(COLUMN_NAMES))
    assert BOOK_RESET == 1


@settings(max_examples=100)
@given(odd_markets(max_events=40))
def test_every_feature_is_what_its_definition_says(market: Market) -> None:
    """All columns of all rows agree with a slow reading of the formulas, and so does which rows are valid."""
    events = interleave(*market)
    out, valid = _features(events)
    for row, flag, wanted in zip(out, valid, expected(events), strict=True):
        assert bool(flag) == (wanted is not None)
        if wanted is None:
            assert np.isnan(row).all()
            continue
        np.testing.assert_allclose(
            row, np.array([wanted[name] for name in COLUMN_NAMES]), rtol=2e-6, atol=2e-6, err_msg=str(COLUMN_NAMES)
        )


def test_definitions_hold_in_an_ordinary_market() -> None:
    """The same on a denser stream, in which every window fills and empties."""
    events = interleave(*ordinary_market(400, seed=7, events_per_second=2.5))
    out, valid = _features(events)
    assert valid.sum() > 60
    for row, flag, wanted in zip(out, valid, expected(events), strict=True):
        assert bool(flag) == (wanted is not None)
        if wanted is not None:
            np.testing.assert_allclose(row, [wanted[name] for name in COLUMN_NAMES], rtol=2e-6, atol=2e-6)


@given(odd_markets())
def test_c_twin_gives_the_same_bits_on_odd_markets(twin: Twin, market: Market) -> None:
    """A kernel written apart in C agrees in every bit."""
    _assert_twin_agrees(twin, interleave(*market))


def test_c_twin_gives_the_same_bits_on_an_ordinary_market(twin: Twin) -> None:
    """A kernel written apart in C agrees in every bit over many thousand events and a ring that went round."""
    _assert_twin_agrees(twin, interleave(*ordinary_market(40_000, seed=3)))


def test_extreme_numbers_stay_finite(twin: Twin) -> None:
    """Prices and sizes at the edge of int32 give finite features, and the same ones in C."""
    events = interleave(*ordinary_market(2_000, seed=5, events_per_second=4.0))
    books = events[:, 1] == 0
    events[np.ix_(books, range(25, 45))] = 2**31 - 1
    events[np.ix_(books, range(5, 15))] = np.arange(10, 0, -1) + (np.arange(books.sum()) % 2)[:, None] * 2_000_000_000
    events[np.ix_(books, range(15, 25))] = 2**31 - 11 + np.arange(10)
    events[~books, 4] = 2**31 - 1
    out, valid = _features(events)
    assert valid.any()
    assert np.isfinite(out[valid == 1]).all()
    _assert_twin_agrees(twin, events)


def test_sums_of_long_silent_trades_do_not_linger() -> None:
    """Hours without a trade leave no subnormal number behind in the memory, and zeros in the rows."""
    events = interleave(*ordinary_market(6_000, seed=9, events_per_second=0.1))
    events = events[(events[:, 1] == 0) | (np.arange(len(events)) < 100)]
    state = KernelState.new(64)
    out = np.empty((len(events), N_COLUMNS), np.float32)
    valid = np.empty(len(events), np.uint8)
    run(state, events, out, valid)
    flows = [COLUMN_NAMES.index(f"trade_flow_ewm_{tau}s_lots") for tau in (4, 16, 64)]
    assert (out[-1, flows] == 0.0).all()
    numbers = state.memory.view(np.float64)[67:93]
    assert not ((numbers != 0.0) & (np.abs(numbers) < np.finfo(np.float64).tiny)).any()


def test_a_changed_array_type_is_refused_not_compiled() -> None:
    """The kernel has one specialisation, however it was called before."""
    kernel.prepare()
    kernel.prepare()
    assert len(kernel.advance.signatures) == 1


@pytest.mark.slow
def test_a_second_process_computes_the_same_bits(tmp_path: Path) -> None:
    """Machine code from numba's cache, loaded by another process, gives the same bytes."""
    events = interleave(*ordinary_market(3_000, seed=11, events_per_second=10.0))
    np.save(tmp_path / "events.npy", events)
    script = (
        "import sys, numpy as np\n"
        "from market.features import KernelState, run\n"
        "events = np.load(sys.argv[1] + '/events.npy')\n"
        "out, valid = np.empty((len(events), 59), np.float32), np.empty(len(events), np.uint8)\n"
        "run(KernelState.new(), events, out, valid)\n"
        "np.save(sys.argv[1] + '/out.npy', out)\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=root)
    assert np.load(tmp_path / "out.npy").tobytes() == _features(events)[0].tobytes()


def _features(events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    out, valid = np.empty((len(events), N_COLUMNS), np.float32), np.empty(len(events), np.uint8)
    run(KernelState.new(), events, out, valid)
    return out, valid


def _assert_twin_agrees(twin: Twin, events: np.ndarray) -> None:
    out, valid = _features(events)
    twin_out, twin_valid = np.empty_like(out), np.empty_like(valid)
    assert twin.fresh().run(events, twin_out, twin_valid) == len(events)
    assert valid.tobytes() == twin_valid.tobytes()
    both = valid == 1
    assert out[both].tobytes() == twin_out[both].tobytes()
