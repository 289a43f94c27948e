"""The order flow as a market: it teaches what it should, and its statistics stay near those of a real one."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from market.columns import BookColumns, TradeColumns
from market.simulator import simulate, simulate_columns
from market.simulator_defects import Defect
from market.simulator_rule import RegimeSpan, SimulatorRule
from tests.market.simulated import BTC, MIDNIGHT, SECOND

HOURS = 6
# The evening of 8 August 2024 on Binance USD-M, as docs/simulator.md measured it from 345 s of capture.
CAPTURE = SimulatorRule(
    start_price=61_800.0,
    depth_interval_ms=50,
    orders_per_second=220.0,
    trades_per_second=62.0,
    volatility_bps=1.1,
    order_flow_effect=0.1,
    hold_bps=0.65,
)


def test_slow_imbalance_tells_of_the_next_half_minute() -> None:
    """The effect is there to learn, is gone when switched off, and turns round when its sign does."""
    off = replace(SimulatorRule(), order_flow_effect=0.0)
    whole = HOURS * 3_600 * SECOND
    reversed_effect = Defect("drifted_feature", MIDNIGHT, whole, feature="effect", factor=-1.0)
    assert 0.15 < foresight(market()[0]) < 0.6
    assert abs(foresight(simulate_columns(BTC, MIDNIGHT, MIDNIGHT + whole, 1, rule=off)[0])) < 0.1
    turned, _ = simulate_columns(BTC, MIDNIGHT, MIDNIGHT + whole, 1, defects=[reversed_effect])
    assert foresight(turned) < -0.1


def test_barriers_of_five_basis_points_are_touched_now_and_then() -> None:
    """Within a minute the mid leaves a band of 5 bps for some entries and not for most."""
    price = second_by_second(market()[0])
    ahead = np.lib.stride_tricks.sliding_window_view(price, 61)
    touched = (np.abs(ahead / ahead[:, :1] - 1.0) > 5e-4).any(axis=1)
    assert 0.15 < touched.mean() < 0.45


def test_the_default_market_has_about_a_print_a_second_and_mostly_a_tick_of_spread() -> None:
    """Rates and the touch of the default rule."""
    book, trades = market()
    assert 0.7 < len(trades) / (HOURS * 3_600) < 1.4
    spread = book.ask_ticks[0] - book.bid_ticks[0]
    assert (spread == 1).mean() > 0.98
    assert 0.4 < (trades.aggressor > 0).mean() < 0.6
    assert np.corrcoef(trades.aggressor[:-1], trades.aggressor[1:])[0, 1] > 0.5


def test_statistics_stay_near_the_real_capture() -> None:
    """Each figure of ten simulated minutes lies in a band around that of the capture."""
    book, trades = simulate_columns(BTC, MIDNIGHT, MIDNIGHT + 600 * SECOND, 1, rule=CAPTURE)
    tickers = sum(b"bookTicker" in f for _, f in simulate(BTC, MIDNIGHT, MIDNIGHT + 60 * SECOND, 1, rule=CAPTURE))
    touch = np.concatenate([book.bid_lots[0], book.ask_lots[0]])
    behind = np.concatenate([book.bid_lots[1:].ravel(), book.ask_lots[1:].ravel()])
    gaps = np.concatenate([-np.diff(book.bid_ticks, axis=0).ravel(), np.diff(book.ask_ticks, axis=0).ravel()])
    bids, asks = book.bid_lots[0].astype(float), book.ask_lots[0].astype(float)
    figures = {
        "updates a second": (len(book) / 600, 19.0, 0.1),
        "tickers a second": (tickers / 60, 192.0, 0.3),
        "prints a second": (len(trades) / 600, 61.9, 0.5),
        "prints in one millisecond": ((np.diff(trades.exchange_ns) == 0).mean(), 0.753, 0.1),
        "print size": (np.median(trades.size_lots), 16.0, 0.8),
        "print size, mean": (trades.size_lots.mean(), 114.0, 0.4),
        "touch size": (np.median(touch), 3_132.0, 0.4),
        "size behind": (np.median(behind), 65.0, 0.5),
        "gap between levels": (gaps.mean(), 4.77, 0.3),
        "deviation of imbalance": (((bids - asks) / (bids + asks)).std(), 0.605, 0.25),
        "volatility of ten seconds": (returns(book, 10).std(), 3.6, 0.5),
    }
    off = {name: (found, real) for name, (found, real, band) in figures.items() if abs(found / real - 1.0) > band}
    assert not off


@pytest.mark.parametrize(
    ("regime", "volatility", "spread", "prints"),
    [("high_volatility", (2.2, 4.0), (1.0, 1.2), (1.2, 4.0)), ("event", (1.8, 5.0), (4.0, 12.0), (2.5, 9.0))],
)
def test_regimes_change_the_market(
    regime: str, volatility: tuple[float, float], spread: tuple[float, float], prints: tuple[float, float]
) -> None:
    """High volatility triples the moves; an event brings bursts of prints and wide spreads. Then all is calm again."""
    span = RegimeSpan(regime, 3_600.0, 10_800.0)  # type: ignore[arg-type]
    book, trades = simulate_columns(
        BTC, MIDNIGHT, MIDNIGHT + 14_400 * SECOND, 1, rule=replace(SimulatorRule(), regimes=(span,))
    )
    calm, calm_trades = market()
    inside, after = within(book, 3_600, 10_800), within(book, 10_900, 14_400)
    width = (book.ask_ticks[0] - book.bid_ticks[0]).astype(float)
    assert volatility[0] < returns(book, 10, 3_600, 10_800).std() / returns(calm, 10).std() < volatility[1]
    assert spread[0] <= width[inside].mean() < spread[1]
    assert (width[after] == 1.0).mean() > 0.95
    rate = within(trades, 3_600, 10_800).sum() / 7_200 / (len(calm_trades) / (HOURS * 3_600))
    assert prints[0] < rate < prints[1]


@pytest.mark.parametrize(
    ("feature", "factor", "measure"),
    [
        ("depth", 3.0, lambda b: np.median(b.bid_lots[0])),
        ("spread", 5.0, lambda b: np.mean(b.ask_ticks[0] - b.bid_ticks[0])),
        ("volatility", 2.0, lambda b: returns(b, 10).std()),
    ],
)
def test_a_drifted_feature_moves_by_about_its_factor(feature: str, factor: float, measure: object) -> None:
    """The drift shows in what it names, from its start on."""
    span = 1_800 * SECOND
    drift = Defect("drifted_feature", MIDNIGHT, span, feature=feature, factor=factor)
    plain, _ = simulate_columns(BTC, MIDNIGHT, MIDNIGHT + span, 1)
    drifted, _ = simulate_columns(BTC, MIDNIGHT, MIDNIGHT + span, 1, defects=[drift])
    assert 0.6 * factor < measure(drifted) / measure(plain) < 1.6 * factor  # type: ignore[operator]


@cache
def market() -> tuple[BookColumns, TradeColumns]:
    """The default market, made once."""
    return simulate_columns(BTC, MIDNIGHT, MIDNIGHT + HOURS * 3_600 * SECOND, 1)


def foresight(book: BookColumns) -> float:
    """Correlation of imbalance, averaged over about 16 s, with the return of the 30 s that follow."""
    bids, asks = book.bid_lots[0].astype(float), book.ask_lots[0].astype(float)
    imbalance = on_seconds(book, (bids - asks) / (bids + asks))
    weights = np.exp(-np.arange(60) / 16.0)
    smooth = np.convolve(imbalance, weights / weights.sum())[60 : len(imbalance) - 30]
    price = second_by_second(book)
    return float(np.corrcoef(smooth, (price[30:] / price[:-30] - 1.0)[60:])[0, 1])


def second_by_second(book: BookColumns) -> NDArray[np.float64]:
    """Mid price in ticks at each whole second."""
    return on_seconds(book, (book.bid_ticks[0] + book.ask_ticks[0]) / 2.0)


def on_seconds(book: BookColumns, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The latest value at each whole second."""
    grid = np.arange(book.exchange_ns[0] + SECOND, book.exchange_ns[-1], SECOND)
    return values[np.searchsorted(book.exchange_ns, grid, side="right") - 1]


def returns(book: BookColumns, seconds: int, first: int = 0, last: int = 86_400) -> NDArray[np.float64]:
    """Returns in bps over so many seconds, within a part of the day."""
    price = second_by_second(book.slice(*np.flatnonzero(within(book, first, last))[[0, -1]].tolist()))
    return (price[seconds:] / price[:-seconds] - 1.0) * 1e4


def within(columns: BookColumns | TradeColumns, first: int, last: int) -> NDArray[np.bool_]:
    """Which rows lie in a part of the day, in seconds."""
    return (columns.exchange_ns >= MIDNIGHT + first * SECOND) & (columns.exchange_ns < MIDNIGHT + last * SECOND)
