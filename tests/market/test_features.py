"""The door to the kernel: one event at a time or many, from anywhere in a stream, gives the same rows."""

import hashlib
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from market.columns import BOOK_RESET, BookBuilder, BookColumns, TradeColumns
from market.events import BadEvent, KernelOverflow
from market.feature_spec import COLUMN_NAMES, FEATURES, N_COLUMNS, N_FEATURES, orient
from market.features import (
    EVENT_WIDTH,
    TAIL_NS,
    WARMUP_NS,
    KernelState,
    interleave,
    interleave_batches,
    run,
    step,
    warmup,
)
from tests.market.streams import SECOND_NS, START_NS, mirrored, odd_markets, ordinary_market

Market = tuple[BookColumns, TradeColumns]
Rows = tuple[NDArray[np.float32], NDArray[np.uint8]]


@given(odd_markets(), st.randoms(use_true_random=False))
def test_any_cut_of_a_stream_gives_the_same_bits(market: Market, random: Random) -> None:
    """One call, one call an event, and random pieces agree in every bit, in the rows and in the state."""
    events = interleave(*market)
    cuts = sorted(random.randint(0, len(events)) for _ in range(5))
    whole, whole_state = _run_in_pieces(events, [])
    for places in (cuts, list(range(1, len(events)))):
        pieces, state = _run_in_pieces(events, places)
        assert _bits(pieces) == _bits(whole)
        assert state.to_bytes() == whole_state.to_bytes()


def test_step_equals_run_over_many_thousand_events() -> None:
    """The live form, a row at a time in the same three arrays, gives the bits of the offline form."""
    events = interleave(*ordinary_market(30_000, seed=1))
    (out, valid), _ = _run_in_pieces(events, [])
    state, row = KernelState.new(), np.empty((1, EVENT_WIDTH), np.int64)
    one, flag = np.empty((1, N_COLUMNS), np.float32), np.empty(1, np.uint8)
    for k in range(len(events)):
        row[0] = events[k]
        step(state, row, one, flag)
        assert flag[0] == valid[k]
        assert one.tobytes() == out[k].tobytes()


@given(odd_markets(), st.data())
def test_a_stored_state_goes_on_as_if_never_stored(market: Market, data: st.DataObject) -> None:
    """to_bytes and from_bytes in mid-stream change nothing; the copy left behind does not move."""
    events = interleave(*market)
    cut = data.draw(st.integers(0, len(events)))
    state = KernelState.new(128)
    first, second = _feed(state, events[:cut]), state.copy()
    frozen = state.to_bytes()
    rest = _feed(KernelState.from_bytes(frozen), events[cut:])
    again = _feed(second, events[cut:])
    whole = _feed(KernelState.new(128), events)
    assert _bits(rest) == _bits(again)
    assert np.concatenate([first[0], rest[0]]).tobytes() == whole[0].tobytes()
    assert state.to_bytes() == frozen


def test_rows_are_valid_from_the_warm_up_on() -> None:
    """The first valid row is the first event 120 s after the reset, and a new reset begins the count again."""
    book = _steady_book(400)
    out, valid = _feed(KernelState.new(), interleave(book, TradeColumns.empty()))
    assert valid.tolist() == [0] * 120 + [1] * 280
    assert np.isnan(out[:120]).all()
    assert np.isfinite(out[120:]).all()
    book.flags[200] = BOOK_RESET
    _, valid = _feed(KernelState.new(), interleave(book, TradeColumns.empty()))
    assert valid.tolist() == [0] * 120 + [1] * 80 + [0] * 120 + [1] * 80
    assert WARMUP_NS == 120 * SECOND_NS


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_one_sided_book_gives_no_row_and_spoils_none(side: str) -> None:
    """The row is not valid; prices stand still meanwhile, so the rows after it show no jump of the mid."""
    book = _steady_book(200)
    getattr(book, f"{side}_lots")[:, 150] = 0
    getattr(book, f"{side}_ticks")[:, 150] = 0 if side == "bid" else 2**31 - 1
    out, valid = _feed(KernelState.new(), interleave(book, TradeColumns.empty()))
    assert valid[149:152].tolist() == [1, 0, 1]
    steady = [
        COLUMN_NAMES.index(name) for name in ("mid_return_1s_bps", "ema_gap_64s_bps", "realised_volatility_ewm_64s_bps")
    ]
    assert (out[151:, steady] == out[149, steady]).all()


def test_a_crossed_book_gives_no_row_and_a_locked_one_does() -> None:
    """Locked is legal: spread 0. Crossed never comes from the archive; the kernel withholds it all the same."""
    book = _steady_book(200)
    book.bid_ticks[0, 150] = book.ask_ticks[0, 150]
    book.bid_ticks[0, 160] = book.ask_ticks[0, 160] + 1
    out, valid = _feed(KernelState.new(), interleave(book, TradeColumns.empty()))
    assert valid[[150, 160]].tolist() == [1, 0]
    assert out[150, COLUMN_NAMES.index("spread_ticks")] == 0.0


def test_a_late_start_ends_in_the_same_rows() -> None:
    """Two states that met different events before agree in every bit TAIL_NS later, across a midnight say."""
    events = interleave(*ordinary_market(20_000, seed=21, events_per_second=4.0))
    other = interleave(*ordinary_market(5_000, seed=22, events_per_second=40.0))
    other[:, 0] += events[0, 0] - other[-1, 0]
    warm, cold = KernelState.new(), KernelState.new()
    _feed(warm, other)
    events[0, 2] = 0
    (warm_out, _), (cold_out, cold_valid) = _feed(warm, events), _feed(cold, events)
    settled = events[:, 0] >= events[0, 0] + TAIL_NS
    assert settled.sum() > 1_000
    assert cold_valid[settled].all()
    assert warm_out[settled].tobytes() == cold_out[settled].tobytes()
    assert warm_out[~settled].tobytes() != cold_out[~settled].tobytes()


@given(odd_markets(one_sided=True))
def test_a_mirrored_market_gives_the_oriented_rows(market: Market) -> None:
    """Bids for asks and buys for sells: odd features change sign, partners change places, even ones stay.

    Around a price far above the moves, for basis points to mean the same on both sides.
    """
    book, trades = market
    for ticks in (book.bid_ticks, book.ask_ticks):
        present = (ticks > 0) & (ticks < 2**31 - 1)
        ticks[present] += 500_000_000
    trades.price_ticks[:] += 500_000_000
    rows, valid = _feed(KernelState.new(), interleave(book, trades))
    other, other_valid = _feed(KernelState.new(), interleave(*mirrored(book, trades, 1_000_002_000)))
    assert other_valid.tobytes() == valid.tobytes()
    inputs = rows[valid == 1, :N_FEATURES]
    seen = orient(inputs, np.full(len(inputs), -1, np.int8))
    found = other[valid == 1, :N_FEATURES]
    relative = np.array([f.unit == "bps" for f in FEATURES[:N_FEATURES]])
    np.testing.assert_array_equal(found[:, ~relative], seen[:, ~relative])
    np.testing.assert_allclose(found[:, relative], seen[:, relative], rtol=3e-5, atol=1e-9)


@given(odd_markets())
def test_interleaving_keeps_arrival_order(market: Market) -> None:
    """Rows come by local_ns, trades before books, each table in its own order, on a clock that never runs back."""
    book, trades = market
    events = interleave(book, trades)
    kinds = np.r_[np.zeros(len(trades), int), np.ones(len(book), int)]
    order = np.lexsort((kinds, np.r_[trades.local_ns, book.local_ns]))
    assert (events[:, 1] == 1 - kinds[order]).all()
    clock = np.maximum.accumulate(np.r_[trades.exchange_ns, book.exchange_ns][order])
    assert (events[:, 0] == clock).all()
    is_trade = events[:, 1] == 1
    assert (events[is_trade, 3] == trades.price_ticks).all()
    assert (events[is_trade, 4] == trades.size_lots.astype(np.int64) * trades.aggressor).all()
    assert (events[is_trade, 5:] == 0).all()
    ladders = (book.bid_ticks, book.ask_ticks, book.bid_lots, book.ask_lots)
    assert (events[~is_trade, 5:] == np.concatenate(ladders).T).all()
    assert (events[~is_trade, 2] == book.flags).all()


@given(odd_markets(), st.integers(1, 20))
def test_batches_are_the_whole_in_pieces(market: Market, batch_rows: int) -> None:
    """Small buffers, written again and again, hold the rows of the one large array."""
    whole = interleave(*market, after_ns=START_NS + SECOND_NS)
    pieces = [piece.copy() for piece in interleave_batches(*market, batch_rows, after_ns=START_NS + SECOND_NS)]
    assert all(len(piece) <= batch_rows for piece in pieces)
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    assert whole[0, 0] >= START_NS + SECOND_NS


def test_a_full_window_is_refused_with_its_remedy() -> None:
    """The error names the window, the time, the bound and the capacity to take; just below the bound all is well."""
    book = _steady_book(300)
    book.exchange_ns[:] = START_NS + np.arange(300) * 10_000_000
    events = interleave(book, TradeColumns.empty())
    with pytest.raises(
        KernelOverflow, match=r"more than 126 events within 2 s at 17676576\d+ ns .* cancel_rate_2s.*256"
    ):
        _feed(KernelState.new(128), events)
    _feed(KernelState.new(256), events)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e, o, v: (e.astype(np.int32), o, v),
        lambda e, o, v: (e[::2], o[::2], v[::2]),
        lambda e, o, v: (e[:, :-1].copy(), o, v),
        lambda e, o, v: (e, o.astype(np.float64), v),
        lambda e, o, v: (e, o[:, :-2].copy(), v),
        lambda e, o, v: (e, o[:-1], v),
        lambda e, o, v: (e, o, v[:-1]),
        lambda e, o, v: (np.frombuffer(e.tobytes(), np.int64).reshape(e.shape), o, v),
    ],
)
def test_arrays_that_do_not_fit_are_refused(spoil: Callable[..., tuple[np.ndarray, ...]]) -> None:
    """Another type, shape or stride, or read-only memory: an error that says what came, and the state is untouched."""
    state = KernelState.new(8)
    before = state.to_bytes()
    arrays = (np.zeros((4, EVENT_WIDTH), np.int64), np.empty((4, N_COLUMNS), np.float32), np.empty(4, np.uint8))
    with pytest.raises(BadEvent, match=r"int64\[n, 45\].*got (int|float)\d+\["):
        run(state, *spoil(*arrays))
    assert state.to_bytes() == before


@pytest.mark.parametrize("capacity", [0, 2, 100, -8])
def test_a_capacity_must_be_a_power_of_two(capacity: int) -> None:
    """The ring's places are found by masking."""
    with pytest.raises(BadEvent, match=f"power of two from 4 on, was {capacity}"):
        KernelState.new(capacity)


@pytest.mark.parametrize("size", [0, 8, 960, 1_000, 960 + 80 * 5])
def test_bytes_that_are_no_state_are_refused(size: int) -> None:
    """A truncated file is not half a state."""
    with pytest.raises(BadEvent, match=f"found {size} bytes"):
        KernelState.from_bytes(bytes(size))


def test_warmup_may_be_called_at_any_time() -> None:
    """It compiles, feeds nothing and can be called again."""
    warmup()
    warmup()
    assert KernelState.new().capacity == 16_384


def test_rows_of_a_fixed_stream_stay_what_they_were() -> None:
    """A change of these bits is a change of every model's input: raise KERNEL_VERSION with it."""
    book, trades = _counted_market()
    out, valid = _feed(KernelState.new(), interleave(book, trades))
    assert valid.sum() == 180
    assert hashlib.sha256(out[valid == 1].tobytes()).hexdigest()[:16] == "9728714a1208a01f"


def _feed(state: KernelState, events: NDArray[np.int64]) -> Rows:
    out, valid = np.empty((len(events), N_COLUMNS), np.float32), np.empty(len(events), np.uint8)
    run(state, events, out, valid)
    return out, valid


def _run_in_pieces(events: NDArray[np.int64], cuts: list[int]) -> tuple[Rows, KernelState]:
    state = KernelState.new()
    pieces = [_feed(state, piece) for piece in np.split(events, cuts)]
    return (np.concatenate([out for out, _ in pieces]), np.concatenate([valid for _, valid in pieces])), state


def _bits(rows: Rows) -> tuple[bytes, bytes]:
    return rows[0].tobytes(), rows[1].tobytes()


def _steady_book(rows: int) -> BookColumns:
    """Return one book a second that never changes, ten levels of ten lots a side."""
    builder = BookBuilder()
    for k in range(rows):
        bids, asks = [(1_000 - j, 10) for j in range(10)], [(1_002 + j, 10) for j in range(10)]
        builder.append_levels(START_NS + k * SECOND_NS, START_NS + k * SECOND_NS, k, bids, asks)
    return builder.finish()


def _counted_market() -> Market:
    """Return 300 books, one a second, whose numbers come from arithmetic alone."""
    builder = BookBuilder()
    for k in range(300):
        bids = [(1_000 + (k * k) % 7 - j, 1 + (k * (j + 3)) % 11) for j in range(10)]
        asks = [(1_008 + (k * 5) % 3 + j, 1 + (k * (j + 5)) % 13) for j in range(10)]
        builder.append_levels(START_NS + k * SECOND_NS, START_NS + k * SECOND_NS, k, bids, asks)
    return builder.finish(), TradeColumns.empty()
