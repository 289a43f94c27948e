"""The paper exchange as the executor sees it: latency in the venue's time, answers, money, a dead man, a restart."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from bus.messages import BookImage, MarketTrade
from live.clock import ManualClock
from live.errors import NotTradable
from live.exchange.matching import Rules
from live.exchange.paper import OpenOrder, OpenPosition, PaperExchange
from live.exchange.protocol import (
    Accepted,
    Cancel,
    CancelAll,
    Ended,
    Exchange,
    Fill,
    KeepAlive,
    OrderView,
    Place,
    Query,
    QueryAnswer,
    Refused,
    Survey,
    Surveyed,
    TimeInForce,
    VenueEvent,
)
from live.exchange.venue_clock import SampledLatency
from market.columns import BOOK_RESET
from market.symbols import SymbolTable
from monitoring.metrics import Metrics
from tests.live.exchange.market import MS, image, mark, markets, trade
from tests.live.parts import ROOT, START_NS, settings

TABLE = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
BIDS, ASKS = [(600_000, 50), (599_999, 80)], [(600_001, 60), (600_002, 90)]


class Paper:
    """A paper exchange with a clock that the market turns: entry 7 ms, response 6 ms, feed 5 ms, clocks alike."""

    def __init__(self, *, lag_ms: float = 5.0, latency: Any = None, rules: Rules | None = None, **knobs: Any) -> None:
        self.clock = ManualClock(START_NS)
        self.metrics = Metrics(CollectorRegistry())
        self.lag_ms = lag_ms
        chosen = settings({"paper": knobs})
        symbols = {"BTCUSDT": TABLE["BTCUSDT"]}
        self.exchange = PaperExchange(chosen, symbols, self.clock, self.metrics, latency=latency, rules=rules)

    def see(self, event: BookImage | MarketTrade) -> None:
        """Show an event at the local moment when it arrives."""
        self.clock.advance_to(event.local_ns)
        if isinstance(event, BookImage):
            self.exchange.on_book(event)
        else:
            self.exchange.on_trade(event)

    def book(self, ms: float, bids: Any = None, asks: Any = None, flags: int = 0) -> None:
        """Show a book made so many ms after START_NS."""
        self.see(image(bids or BIDS, asks or ASKS, ms, flags=flags, lag_ms=self.lag_ms))

    def print(self, ms: float, aggressor: int, ticks: int, lots: int) -> None:
        """Show a print made then."""
        self.see(trade(aggressor, ticks, lots, ms, lag_ms=self.lag_ms))

    def place(self, name: str = "a", side: int = 1, ticks: int = 600_000, lots: int = 10, tif: TimeInForce = "GTX",
              reduce_only: bool = False) -> None:  # fmt: skip
        """Send an order now."""
        self.exchange.send(Place(name, "BTCUSDT", side, ticks, lots, tif, reduce_only))

    def after(self, ms: float) -> list[VenueEvent]:
        """What is known so many ms later, without a word from the market."""
        self.clock.advance(ns=round(ms * MS))
        return list(self.exchange.poll())

    def survey(self) -> Surveyed:
        """The account, asked now."""
        self.exchange.send(Survey("BTCUSDT"))
        (found,) = [each for each in self.after(60) if isinstance(each, Surveyed)]
        return found


def _ready(**more: Any) -> Paper:
    paper = Paper(**more)
    paper.book(0)
    return paper


def _kinds(told: list[VenueEvent]) -> list[str]:
    return [type(each).__name__ for each in told]


def test_an_answer_takes_both_ways_and_carries_the_venues_time() -> None:
    """Sent at 5 ms of ours (the venue's 0 and a feed of 5), there at 12, known at 18."""
    paper = _ready()
    paper.place()
    assert paper.after(12.9) == []
    told = paper.after(0.1)
    assert told == [Accepted("a", "BTCUSDT", "paper-a", START_NS + 12 * MS)]


def test_the_difference_of_the_clocks_is_taken_out() -> None:
    """Our clock 1.27 s behind the venue's, as in the recorded capture: the same 13 ms."""
    paper = _ready(lag_ms=-1_265.0)
    paper.clock.jump_wall(START_NS - 1_265 * MS - paper.clock.wall_ns())
    paper.place()
    assert paper.after(12.9) == []
    (accepted,) = paper.after(0.1)
    assert isinstance(accepted, Accepted) and accepted.exchange_ns == START_NS + 12 * MS


class _Overtaking:
    """The first request takes 30 ms, every later one 2."""

    def __init__(self) -> None:
        self._entries = [2 * MS] * 9 + [30 * MS]

    def entry_ns(self) -> int:
        """The next one."""
        return self._entries.pop()

    def response_ns(self) -> int:
        """Always 6 ms."""
        return 6 * MS


def test_a_cancel_does_not_overtake_its_order() -> None:
    """Requests of a symbol arrive as they were sent, whatever the latency drawn for each."""
    paper = _ready(latency=_Overtaking())
    paper.place()
    paper.exchange.send(Cancel("a", "BTCUSDT"))
    assert _kinds(paper.after(36)) == ["Accepted", "Ended"]


def test_the_market_decides_on_arrival_not_on_sending() -> None:
    """The ask falls onto our price while the order travels: post-only refuses it."""
    paper = _ready()
    paper.place()
    paper.book(10, bids=[(599_999, 80)], asks=[(600_000, 5)])
    (refused,) = paper.after(10)
    assert refused == Refused("a", "BTCUSDT", "post_only", exchange_ns=START_NS + 12 * MS)


def test_what_comes_at_the_same_moment_as_the_market_comes_behind_it() -> None:
    """A print at 12 ms, when the order arrives: it does not fill it, nor move its queue."""
    paper = _ready()
    paper.place(lots=2)
    paper.print(12, -1, 600_000, 60)
    paper.print(13, -1, 600_000, 49)
    assert _kinds(paper.after(30)) == ["Accepted"]
    paper.print(60, -1, 600_000, 3)
    told = paper.after(20)
    assert _kinds(told) == ["Fill", "Ended"]


def test_a_fill_tells_price_fee_and_a_trade_id_of_its_own() -> None:
    """50 ahead; 54 trade, then 100: two fills, whose ids follow from what had filled."""
    paper = _ready()
    paper.place()
    paper.print(20, -1, 600_000, 54)
    paper.print(21, -1, 600_000, 100)
    told = paper.after(20)
    assert _kinds(told) == ["Accepted", "Fill", "Fill", "Ended"]
    first, second, ended = told[1], told[2], told[3]
    assert isinstance(first, Fill) and isinstance(second, Fill) and isinstance(ended, Ended)
    assert [(each.trade_id, each.size_lots, each.price_ticks, each.is_maker) for each in (first, second)] == [
        ("a.4", 4, 600_000, True),
        ("a.10", 6, 600_000, True),
    ]
    assert first.fee_quote == pytest.approx(60_000 * 0.004 * 2e-4)
    assert (ended.state, ended.filled_lots, ended.exchange_ns) == ("filled", 10, START_NS + 21 * MS)


def test_a_taker_gets_what_is_displayed_and_the_rest_expires() -> None:
    """60 at the ask, 90 behind it; the limit forbids the second level."""
    paper = _ready()
    paper.place(ticks=600_001, lots=100, tif="IOC")
    told = paper.after(13)
    assert _kinds(told) == ["Accepted", "Fill", "Ended"]
    fill, ended = told[1], told[2]
    assert isinstance(fill, Fill) and (fill.size_lots, fill.is_maker) == (60, False)
    assert isinstance(ended, Ended) and (ended.state, ended.filled_lots, ended.reason) == ("expired", 60, "ioc")


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        ("malformed", {"side": 0}),
        ("malformed", {"lots": 0}),
        ("post_only", {"ticks": 600_001}),
        ("reduce_only", {"side": -1, "ticks": 600_001, "reduce_only": True}),
        ("min_notional", {"lots": 1}),
        ("balance", {"lots": 501}),
    ],
)
def test_orders_the_venue_would_refuse_are_refused(wanted: str, order: dict[str, Any]) -> None:
    """60 quote units are under 100; 30,060 are over 10,000 at leverage 3."""
    paper = _ready()
    paper.place(**order)
    (refused,) = paper.after(13)
    assert isinstance(refused, Refused) and refused.reason == wanted


def test_margin_counts_what_rests_and_what_is_held() -> None:
    """250 lots twice fit, a third does not; after a cancel it does."""
    paper = _ready()
    for name in "abc":
        paper.place(name, lots=250, ticks=599_000)
    told = paper.after(13)
    assert _kinds(told) == ["Accepted", "Accepted", "Refused"]
    assert paper.survey().free_balance == pytest.approx(10_000 - 2 * 250 * 0.001 * 59_900 / 3)
    paper.exchange.send(Cancel("a", "BTCUSDT"))
    paper.place("d", lots=250, ticks=599_000)
    assert _kinds(paper.after(13)) == ["Ended", "Accepted"]


def test_no_more_than_two_hundred_orders_rest() -> None:
    """As at Binance."""
    paper = _ready()
    for number in range(201):
        paper.place(str(number), lots=2, ticks=599_999)
    told = paper.after(13)
    assert _kinds(told).count("Accepted") == 200
    assert isinstance(told[-1], Refused) and told[-1].reason == "too_many_orders"


def test_reduce_only_takes_no_more_than_the_position() -> None:
    """Long 10: an exit of 25 sells 10, at once or resting."""
    paper = _ready()
    paper.place("in", ticks=600_001, tif="IOC")
    paper.place("rest", side=-1, ticks=600_003, lots=25, reduce_only=True)
    paper.place("out", side=-1, ticks=600_000, lots=4, tif="IOC", reduce_only=True)
    paper.after(13)
    paper.print(40, 1, 600_010, 100)
    told = paper.after(20)
    assert _kinds(told) == ["Fill", "Ended"]
    fill, ended = told
    assert isinstance(fill, Fill) and (fill.client_id, fill.size_lots) == ("rest", 6)
    assert isinstance(ended, Ended) and (ended.state, ended.filled_lots, ended.reason) == ("expired", 6, "reduce_only")
    assert paper.survey().position_lots == 0


def test_the_same_id_again_is_the_same_order() -> None:
    """Also after it has ended: nothing is sent twice."""
    paper = _ready()
    paper.place()
    paper.place()
    assert _kinds(paper.after(13)) == ["Accepted", "Accepted"]
    assert len(paper.survey().orders) == 1
    paper.exchange.send(Cancel("a", "BTCUSDT"))
    paper.place()
    assert _kinds(paper.after(13)) == ["Ended", "Accepted"]
    assert paper.survey().orders == ()


def test_a_cancel_ends_what_rests_and_is_refused_where_nothing_does() -> None:
    """Filled before the wish arrived, or never there: the executor asks what became of it."""
    paper = _ready()
    paper.place("a")
    paper.place("b", ticks=599_999)
    paper.after(13)
    paper.exchange.send(Cancel("b", "BTCUSDT"))
    paper.exchange.send(Cancel("a", "BTCUSDT"))
    paper.print(20, -1, 600_000, 60)
    paper.exchange.send(Cancel("nobody", "BTCUSDT"))
    told = paper.after(20)
    assert [(type(each).__name__, each.client_id) for each in told if not isinstance(each, Surveyed)] == [
        ("Fill", "a"), ("Ended", "a"), ("Ended", "b"), ("Refused", "a"), ("Refused", "nobody"),
    ]  # fmt: skip
    assert all(each.is_cancel and each.reason == "unknown_order" for each in told if isinstance(each, Refused))


def test_a_query_tells_the_order_and_its_fills_or_that_there_is_none() -> None:
    """Open, then filled; another id is None."""
    paper = _ready()
    paper.place()
    paper.print(20, -1, 600_000, 53)
    paper.exchange.send(Query("a", "BTCUSDT"))
    paper.exchange.send(Query("b", "BTCUSDT"))
    answers = [each for each in paper.after(20) if isinstance(each, QueryAnswer)]
    assert answers[0].order == OrderView("a", "paper-a", 1, 600_000, 10, 3, "open")
    assert [each.size_lots for each in answers[0].fills] == [3]
    assert answers[1] == QueryAnswer("b", "BTCUSDT", None)


def test_cancel_all_ends_everything_of_the_symbol() -> None:
    """Each with an end of its own."""
    paper = _ready()
    paper.place("a")
    paper.place("b", side=-1, ticks=600_001)
    paper.exchange.send(CancelAll("BTCUSDT"))
    ended = [each for each in paper.after(13) if isinstance(each, Ended)]
    assert [(each.client_id, each.reason) for each in ended] == [("a", "canceled_all"), ("b", "canceled_all")]


def test_the_dead_man_cancels_unless_he_is_heard_again() -> None:
    """Armed for 100 ms, renewed once, then silence; 0 disarms it."""
    paper = _ready()
    paper.place()
    paper.exchange.send(KeepAlive("BTCUSDT", 100))
    paper.after(80)
    paper.exchange.send(KeepAlive("BTCUSDT", 100))
    assert paper.after(100) == []
    (ended,) = paper.after(20)
    assert isinstance(ended, Ended) and ended.reason == "dead_man"
    paper.place("b")
    paper.exchange.send(KeepAlive("BTCUSDT", 100))
    paper.exchange.send(KeepAlive("BTCUSDT", 0))
    assert _kinds(paper.after(1_000)) == ["Accepted"]


def test_funding_is_paid_at_the_announced_moment_at_the_announced_rate_once() -> None:
    """Long 0.1: 6,000 at 0.01 % is 0.6; the next announcement does not pay again."""
    paper = _ready()
    paper.place(ticks=600_001, lots=100, tif="IOC")
    paper.after(13)
    paper.book(100, asks=[(600_001, 500)])
    paper.exchange.on_mark(mark(60_000.0, 0.0001, next_funding_ms=1_000, ms=200))
    before = paper.exchange.account.balance
    paper.exchange.on_mark(mark(60_000.0, 0.0001, next_funding_ms=1_000, ms=999))
    assert paper.exchange.account.balance == before
    paper.exchange.on_mark(mark(60_000.0, 0.0005, next_funding_ms=30_000, ms=1_000))
    paper.exchange.on_mark(mark(60_000.0, 0.0005, next_funding_ms=30_000, ms=1_100))
    assert before - paper.exchange.account.balance == pytest.approx(60_000 * 0.060 * 0.0001)


def test_a_broken_book_voids_the_place_and_the_next_image_gives_the_last_one() -> None:
    """49 of 50 ahead had traded; after the break all 30 displayed stand ahead."""
    paper = _ready()
    paper.place(lots=2)
    paper.print(20, -1, 600_000, 49)
    paper.exchange.void("BTCUSDT")
    paper.print(30, -1, 600_000, 40)
    assert _kinds(paper.after(20)) == ["Accepted"]
    paper.book(60, bids=[(600_000, 30)], flags=BOOK_RESET)
    paper.print(61, -1, 600_000, 30)
    assert paper.after(20) == []
    paper.print(90, -1, 600_000, 2)
    assert _kinds(paper.after(20)) == ["Fill", "Ended"]


def test_a_reset_that_comes_without_a_word_before_voids_as_well() -> None:
    """The flag on the image is enough."""
    paper = _ready()
    paper.place(lots=2)
    paper.print(20, -1, 600_000, 49)
    paper.book(30, bids=[(600_000, 30)], flags=BOOK_RESET)
    paper.print(31, -1, 600_000, 30)
    assert _kinds(paper.after(20)) == ["Accepted"]


def test_a_market_that_was_never_seen_refuses_at_once() -> None:
    """No book, no order; the account can be asked all the same."""
    paper = Paper()
    paper.place()
    paper.exchange.send(Survey("BTCUSDT"))
    refused, survey = paper.exchange.poll()
    assert isinstance(refused, Refused) and refused.reason == "no_market"
    assert isinstance(survey, Surveyed) and survey.free_balance == 10_000.0


def test_a_print_whose_taker_is_not_known_is_judged_by_the_book() -> None:
    """At the bid it was sold; at the mid nobody can say."""
    paper = _ready()
    paper.place(lots=2)
    paper.after(13)
    paper.print(30, 0, 600_000, 51)
    assert _kinds(paper.after(20)) == ["Fill"]
    paper.book(60, bids=[(599_998, 5)], asks=[(600_002, 5)])
    paper.after(20)
    paper.print(90, 0, 600_000, 500)
    assert paper.after(20) == []


def test_what_an_earlier_run_left_is_taken_up(tmp_path: Path) -> None:
    """Open orders behind everything displayed, positions at their price; ids go on where they were."""
    paper = Paper()
    left = Place("a", "BTCUSDT", 1, 600_000, 10, "GTX")
    paper.exchange.restore([OpenOrder(left, 4)], [OpenPosition("BTCUSDT", 4, 60_000.0)])
    paper.book(0)
    survey = paper.survey()
    assert [(each.client_id, each.filled_lots) for each in survey.orders] == [("a", 4)]
    assert (survey.position_lots, survey.entry_price) == (4, 60_000.0)
    paper.print(50, -1, 600_000, 50)
    paper.print(51, -1, 600_000, 50)
    told = paper.after(20)
    assert _kinds(told) == ["Fill", "Ended"]
    assert isinstance(told[0], Fill) and (told[0].trade_id, told[0].size_lots) == ("a.10", 6)
    assert paper.survey().position_lots == 10


def test_a_survey_tells_the_price_of_liquidation() -> None:
    """Under the entry for a long one."""
    paper = _ready()
    paper.place(ticks=600_001, lots=60, tif="IOC")
    paper.after(13)
    survey = paper.survey()
    assert survey.entry_price == 60_000.1 and 0 <= survey.liquidation_price < 60_000.1
    assert [each.client_id for each in survey.fills] == ["a"]


def test_the_band_is_shown_beside_what_is_told() -> None:
    """The configured model's own sheet fills as the orders do; the metric has every model."""
    paper = _ready(queue_model="power_3")
    paper.place()
    paper.print(20, -1, 600_000, 70)
    assert _kinds(paper.after(20)) == ["Accepted", "Fill", "Ended"]
    assert {name: each.filled for name, each in paper.exchange.band().items()} == dict.fromkeys(
        ("risk_averse", "power_0.5", "power_1", "power_3"), 1
    )
    assert paper.metrics.registry.get_sample_value("paper_fill_rate", {"queue_model": "power_1"}) == 1.0


def test_only_linear_contracts_and_only_those_it_was_built_with() -> None:
    """NotTradable, when it is built and when it is used."""
    inverse = {"BTCUSD_PERP": TABLE["BTCUSD_PERP"]}
    with pytest.raises(NotTradable, match="perp alone"):
        PaperExchange(settings(), inverse, ManualClock(), Metrics(CollectorRegistry()))
    paper: Exchange = Paper().exchange
    with pytest.raises(NotTradable, match="market\\.symbols has BTCUSDT"):
        paper.send(Survey("XRPUSDT"))
    paper.on_book(replace_symbol(image(BIDS, ASKS), "XRPUSDT"))
    assert not paper.is_real and list(paper.poll()) == []
    paper.close()


def replace_symbol(book: BookImage, name: str) -> BookImage:
    """The same book of another symbol."""
    return BookImage(name, *[getattr(book, each) for each in BookImage.__struct_fields__[1:]])


def _replayed(events: list[BookImage | MarketTrade], seed: int) -> tuple[list[VenueEvent], Any]:
    """Orders at every third event, canceled at every seventh, with drawn latencies."""
    latency = SampledLatency([2 * MS, 9 * MS, 31 * MS], [1 * MS, 6 * MS], seed)
    paper, told = Paper(latency=latency), []
    for index, event in enumerate(events):
        paper.see(event)
        if index % 3 == 0:
            best = 600_000 if not isinstance(event, BookImage) else event.bid_ticks[0]
            paper.place(f"o{index}", side=1 if index % 2 else -1, ticks=best + (index % 2 == 0) * 3, lots=3)
        if index % 7 == 6:
            paper.exchange.send(Cancel(f"o{index - 6 + index % 3}", "BTCUSDT"))
        told += paper.exchange.poll()
    return told + paper.after(500), paper


@given(events=markets(), seed=st.integers(0, 9))
def test_a_replay_gives_the_same_to_the_nanosecond(events: list[BookImage | MarketTrade], seed: int) -> None:
    """Market, orders and seed decide everything."""
    assert _replayed(events, seed)[0] == _replayed(events, seed)[0]


@given(events=markets(), seed=st.integers(0, 9))
def test_fills_ends_position_and_answers_agree(events: list[BookImage | MarketTrade], seed: int) -> None:
    """The sum of fills is the position and each end's sum; an order ends once; time never runs back."""
    told, paper = _replayed(events, seed)
    fills = [each for each in told if isinstance(each, Fill)]
    assert len({each.trade_id for each in fills}) == len(fills)
    ends = [each for each in told if isinstance(each, Ended)]
    assert len({each.client_id for each in ends}) == len(ends)
    for end in ends:
        assert sum(each.size_lots for each in fills if each.client_id == end.client_id) == end.filled_lots
    survey = paper.survey()
    assert survey.position_lots == sum(each.side * each.size_lots for each in fills)
    stamps = [each.exchange_ns for each in told if isinstance(each, Fill | Ended | Accepted)]
    assert stamps == sorted(stamps)


@given(events=markets())
def test_the_configured_model_and_its_sheet_of_the_band_agree(events: list[BookImage | MarketTrade]) -> None:
    """Entries alone, none canceled: the same orders fill, whichever model is configured."""
    for model in ("risk_averse", "power_1"):
        paper = Paper(queue_model=model)
        told: list[VenueEvent] = []
        for index, event in enumerate(events):
            paper.see(event)
            if index % 4 == 0 and isinstance(event, BookImage):
                paper.place(f"o{index}", ticks=event.bid_ticks[0], lots=3)
            told += paper.exchange.poll()
        told += paper.after(500)
        filled = sum(isinstance(each, Ended) and each.state == "filled" for each in told)
        assert paper.exchange.band()[model].filled == filled
