from random import Random

from prometheus_client import CollectorRegistry

from bus.messages import BookImage, BookStatus, MarketTrade
from live.backoff import Backoff
from live.book_keeper import BookKeeper
from live.clock import ManualClock
from live.exchange.binance import Binance
from live.feed import Frame
from live.market_gauges import MarketGauges
from live.replay import ReplayFeed
from market.events import BookSnapshot, Trade
from market.sequence import SequenceRule
from market.symbols import SymbolTable
from monitoring.metrics import Metrics
from tests.live.parts import ROOT

SYMBOL = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")["BTCUSDT-BYBIT"]
SECOND = 1_000_000_000


class Bench:
    """Gauges of one symbol, on a page of their own."""

    def __init__(self) -> None:
        said: list[BookImage | BookStatus | MarketTrade] = []
        self.keeper = BookKeeper(
            SYMBOL, SequenceRule.BYBIT, said.append, lambda _: None, Backoff(1.0, 8.0, Random(1)),
            answer_ns=SECOND, steady_ns=SECOND,
        )  # fmt: skip
        self.keeper.start(1, 0)
        self.metrics = Metrics(CollectorRegistry())
        self.venue = Binance([SYMBOL])
        self.gauges = MarketGauges(self.metrics, "bybit", [SYMBOL], levels=2)
        self.feed = ReplayFeed(iter([Frame(1, b"{}", SYMBOL.name)]), ManualClock(), 0.0, 0.0, lambda: None)
        self.feed.start()

    def page(self, seconds: float) -> str:
        """Refresh at a time and return what /metrics shows."""
        self.gauges.refresh({SYMBOL.name: self.keeper}, self.feed, self.venue, round(seconds * SECOND))
        return self.metrics.render()


def test_totals_are_carried_over_once() -> None:
    """A second look adds nothing; looks within a second are not made."""
    bench = Bench()
    for number in (1, 2, 3):
        bench.keeper.on_trade(Trade(SYMBOL.name, number, 1, 1, 1, 1, 1), 0)
    series = 'market_events_total{kind="trade",symbol="BTCUSDT-BYBIT"}'
    assert f"{series} 3.0" in bench.page(1)
    assert f"{series} 3.0" in bench.page(2)
    bench.keeper.on_trade(Trade(SYMBOL.name, 4, 1, 1, 1, 1, 1), 0)
    bench.venue.unknown_keys = 5
    assert f"{series} 3.0" in bench.page(2.5)
    page = bench.page(3)
    assert f"{series} 4.0" in page
    assert 'market_unknown_keys_total{venue="bybit"} 5.0' in page


def test_what_came_last_is_told_when_the_feed_is_over() -> None:
    """Where a replay turns the clock, no second comes behind its last event."""
    bench = Bench()
    series = 'market_events_total{kind="trade",symbol="BTCUSDT-BYBIT"}'
    bench.page(1)
    bench.keeper.on_trade(Trade(SYMBOL.name, 1, 1, 1, 1, 1, 1), 0)
    assert f"{series} 0.0" in bench.page(1)
    bench.feed.stop()
    assert f"{series} 1.0" in bench.page(1)


def test_ages_and_depth_are_those_of_the_moment() -> None:
    """Depth counts so many levels, in quote units, and is nothing while the book is not live."""
    bench = Bench()
    bids = ((1_000, 1_000), (999, 1_000), (998, 9_000))
    bench.keeper.on_book(BookSnapshot(SYMBOL.name, 5, SECOND, 3 * SECOND, bids, ((1_002, 500),)), 4 * SECOND)
    page = bench.page(10)
    assert 'book_age_seconds{symbol="BTCUSDT-BYBIT"} 6.0' in page
    assert 'feed_lag_seconds{symbol="BTCUSDT-BYBIT"} 2.0' in page
    assert 'liquidity_by_side{side="bid",symbol="BTCUSDT-BYBIT"} 199.9' in page
    assert 'liquidity_by_side{side="ask",symbol="BTCUSDT-BYBIT"} 50.1' in page
    assert 'spread_bps{symbol="BTCUSDT-BYBIT"} 19.98' in page
    assert 'book_state{state="live",symbol="BTCUSDT-BYBIT"} 1.0' in page
    bench.keeper.on_silence(1, 0)
    page = bench.page(20)
    assert 'liquidity_by_side{side="bid",symbol="BTCUSDT-BYBIT"} 0.0' in page
    assert 'book_state{state="stale",symbol="BTCUSDT-BYBIT"} 1.0' in page
    assert 'book_state{state="live",symbol="BTCUSDT-BYBIT"} 0.0' in page


def test_counters_are_there_before_anything_happened() -> None:
    """An alert on an increase never sees the first event of a series born at 1."""
    page = Bench().metrics.render()
    for name in ("book_gaps_total", "book_crossed_total", "trade_id_gaps_total", "book_ticker_mismatch_total"):
        assert f'{name}{{symbol="BTCUSDT-BYBIT"}} 0.0' in page
