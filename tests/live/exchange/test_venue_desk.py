"""Orders at a venue, through the real ccxt against the loopback fake: every row of the outcome table, fills, ends."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from live.clock import ManualClock
from live.exchange.ccxt_venue import dialect_of
from live.exchange.outcomes import Reply, Venue
from live.exchange.protocol import (
    Accepted,
    Cancel,
    CancelAll,
    Ended,
    Fill,
    KeepAlive,
    Place,
    Query,
    QueryAnswer,
    Refused,
    Survey,
    Surveyed,
    Trouble,
    Unknown,
)
from live.exchange.rest_client import RestClient
from live.exchange.venue_desk import _IDS_KEPT, VenueDesk
from live.exchange.venue_facts import Call, VenueOrder
from tests.fake_exchange.server import FakeExchange
from tests.live.exchange.venues import SYMBOL, VENUES, Bench, connected

Connected = dict[Venue, tuple[FakeExchange, RestClient]]


@pytest.fixture(scope="module")
def connections() -> Iterator[Connected]:
    """A fake and a client for each venue."""
    with connected("binance") as binance, connected("bybit") as bybit:
        yield {"binance": binance, "bybit": bybit}


@pytest.fixture(params=VENUES)
def bench(request: pytest.FixtureRequest, connections: Connected) -> Bench:
    """A fresh desk at each venue in turn."""
    return Bench(request.param, *connections[request.param])


@pytest.fixture
def binance(connections: Connected) -> Bench:
    """A fresh desk at Binance."""
    return Bench("binance", *connections["binance"])


@pytest.fixture
def bybit(connections: Connected) -> Bench:
    """A fresh desk at Bybit."""
    return Bench("bybit", *connections["bybit"])


def _kinds(told: list[Any]) -> list[str]:
    return [type(each).__name__ for each in told]


def test_an_order_goes_out_as_exact_text_with_our_id(bench: Bench) -> None:
    """Ticks and lots become decimals without a float; post-only and reduce-only are the venue's words."""
    told = bench.place("tg-1", side=-1, ticks=600_005, lots=15, reduce_only=True)
    assert _kinds(told) == ["Accepted"] and isinstance(told[0], Accepted) and told[0].venue_id
    sent = next(each for method, _, each in bench.exchange.state.log if method == "POST")
    if bench.venue == "binance":
        wanted = {"price": "60000.5", "quantity": "0.015", "side": "SELL", "timeInForce": "GTX",
                  "newClientOrderId": "tg-1", "reduceOnly": "true", "type": "LIMIT"}  # fmt: skip
    else:
        wanted = {"price": "60000.5", "qty": "0.015", "side": "Sell", "timeInForce": "PostOnly",
                  "orderLinkId": "tg-1", "reduceOnly": True, "category": "linear"}  # fmt: skip
    assert {key: sent[key] for key in wanted} == wanted
    order = bench.order("tg-1")
    assert order is not None and order.is_open


BINANCE_REFUSALS = [
    ("429", "rate_limit"), ("1015", "rate_limit"), ("html_403", "rate_limit"), ("1008", "overload"), ("1021", "clock"),
    ("5022", "post_only"), ("2019", "balance"), ("2022", "reduce_only"), ("4164", "min_notional"), ("4014", "tick"),
    ("9999", "code_-9999"),
]  # fmt: skip
BYBIT_REFUSALS = [
    ("10006", "rate_limit"), ("10018", "rate_limit"), ("10002", "clock"), ("110007", "balance"),
    ("110017", "reduce_only"), ("110094", "min_notional"), ("10001", "filter"),
]  # fmt: skip
BINANCE_UNKNOWN = ["503_unknown", "html_500", "html_502", "html_503", "html_504", "html_400", "1007", "1006", "1001"]
BYBIT_UNKNOWN = ["10000", "10016", "10014", "999999", "html_500", "html_502", "html_503", "html_504", "html_200"]


@pytest.mark.parametrize(("kind", "reason"), BINANCE_REFUSALS)
def test_binance_refusals_are_certain(binance: Bench, kind: str, reason: str) -> None:
    """The order is not there, and is told so; rate limit and overload ask for a pause."""
    binance.fault("create", kind)
    told = binance.place()
    assert isinstance(told[0], Refused) and told[0].reason == reason and binance.order() is None
    assert (told[0].pause_seconds > 0) == (reason in ("rate_limit", "overload", "clock"))


@pytest.mark.parametrize(("kind", "reason"), BYBIT_REFUSALS)
def test_bybit_refusals_are_certain(bybit: Bench, kind: str, reason: str) -> None:
    """As at Binance, with HTTP 200."""
    bybit.fault("create", kind)
    told = bybit.place()
    assert isinstance(told[0], Refused) and told[0].reason == reason and bybit.order() is None
    assert (told[0].pause_seconds > 0) == (reason in ("rate_limit", "clock"))


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("kind", BINANCE_UNKNOWN)
def test_binance_leaves_open_what_may_stand(binance: Bench, kind: str, accepted: bool) -> None:
    """Unknown in both worlds; the query tells them apart, and nothing was sent twice."""
    _unknown_and_asked(binance, kind, accepted)


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("kind", BYBIT_UNKNOWN)
def test_bybit_leaves_open_what_may_stand(bybit: Bench, kind: str, accepted: bool) -> None:
    """As at Binance."""
    _unknown_and_asked(bybit, kind, accepted)


@pytest.mark.parametrize("kind", ["drop", "accept_then_drop"])
def test_a_cut_connection_leaves_it_open(bench: Bench, kind: str) -> None:
    """Before and after acceptance look the same from here."""
    _unknown_and_asked(bench, kind, kind == "accept_then_drop")


def _unknown_and_asked(bench: Bench, kind: str, accepted: bool) -> None:
    bench.fault("create", kind, accepted=accepted)
    told = bench.place()
    assert len(told) == 1 and isinstance(told[0], Unknown) and not told[0].is_cancel
    assert sum(method == "POST" for method, _, _ in bench.exchange.state.log) == 1
    bench.desk.handle(Query("a", "BTCUSDT"))
    (answer,) = bench.taken()
    assert isinstance(answer, QueryAnswer)
    assert (answer.order is not None) == accepted == (bench.order() is not None)
    if answer.order is not None:
        assert (answer.order.state, answer.order.size_lots, answer.order.price_ticks) == ("open", 10, 599_000)


def test_a_ban_is_told_as_critical_and_nothing_is_asked_until_it_is_over(binance: Bench) -> None:
    """Going on would make it longer: the next request is refused here, a cancellation too."""
    binance.fault("create", "418", retry_after=60)
    told = binance.place()
    assert _kinds(told) == ["Trouble", "Refused"]
    assert told[0] == Trouble("BTCUSDT", "banned", "CRIT")
    asked = len(binance.exchange.state.log)
    binance.clock.advance(seconds=59)
    again = binance.place("b")
    assert isinstance(again[0], Refused) and again[0].pause_seconds == pytest.approx(1.0)
    binance.desk.handle(Cancel("b", "BTCUSDT"))
    (refused,) = binance.taken()
    assert isinstance(refused, Refused) and refused.is_cancel
    assert len(binance.exchange.state.log) == asked
    binance.clock.advance(seconds=2)
    assert _kinds(binance.place("c")) == ["Accepted"]


def test_wrong_keys_are_critical(bench: Bench) -> None:
    """Nothing will work until somebody mends them."""
    bench.fault("create", "2015" if bench.venue == "binance" else "10003")
    told = bench.place()
    assert told[0] == Trouble("BTCUSDT", "auth", "CRIT") and isinstance(told[1], Refused)


def test_a_wrong_clock_is_set_once_in_a_while(bench: Bench) -> None:
    """The venue's time is asked at the first refusal and not again for half a minute."""
    path = "/fapi/v1/time" if bench.venue == "binance" else "/v5/market/time"
    bench.fault("create", "1021" if bench.venue == "binance" else "10002", times=3)
    for name in ("a", "b"):
        assert isinstance(bench.place(name)[0], Refused)
        assert bench.exchange.state.asked(path) == 1
    bench.clock.advance(seconds=31)
    bench.place("c")
    assert bench.exchange.state.asked(path) == 2
    assert _kinds(bench.place("d")) == ["Accepted"]


def test_an_id_that_stands_already_is_adopted(bench: Bench) -> None:
    """The first one is the order; a second is not made."""
    bench.fault("create", "accept_then_drop")
    bench.place()
    told = bench.place()
    assert isinstance(told[0], Accepted) and len(bench.account.orders) == 1


def test_an_id_that_stands_but_does_not_show_is_unknown(bench: Bench) -> None:
    """Late visibility: the venue says duplicate and no list has it."""
    bench.account.hide_new_orders = 50
    bench.place()
    told = bench.place()
    assert isinstance(told[0], Unknown)


def test_post_only_that_would_cross_does_not_trade_in_either_venues_style(bench: Bench) -> None:
    """Binance refuses; Bybit acknowledges, and the next look finds it canceled for that reason."""
    told = bench.place(ticks=600_100)
    if bench.venue == "binance":
        assert told == [Refused("a", "BTCUSDT", "post_only")]
        return
    assert _kinds(told) == ["Accepted"]
    bench.desk.look()
    (ended,) = bench.taken()
    assert isinstance(ended, Ended) and (ended.state, ended.filled_lots, ended.reason) == ("canceled", 0, "post_only")


def test_an_order_that_takes_tells_its_fills_and_its_end_at_once(bench: Bench) -> None:
    """IOC: what it got, and that it is over."""
    told = bench.place(ticks=600_100, tif="IOC")
    assert _kinds(told) == ["Accepted", "Fill", "Ended"]
    fill, ended = told[1:]
    assert isinstance(fill, Fill) and (fill.size_lots, fill.is_maker, fill.fee_quote) == (10, False, 0.05)
    assert isinstance(ended, Ended) and (ended.state, ended.filled_lots) == ("filled", 10)


def test_an_order_that_takes_nothing_ends_empty(bench: Bench) -> None:
    """Nobody at that price."""
    told = bench.place(ticks=500_000, tif="IOC")
    ended = told[-1]
    assert isinstance(ended, Ended) and (ended.filled_lots, ended.reason) == (0, "ioc")


def test_fills_are_found_by_looking_and_told_once(bench: Bench) -> None:
    """Two partial fills, a look between and two after; the end comes with the last."""
    bench.place()
    order = bench.order()
    assert order is not None
    bench.account.fill(order, "0.004")
    bench.desk.look()
    first = bench.taken()
    bench.account.fill(order, "0.006")
    bench.desk.look()
    bench.desk.look()
    second = bench.taken()
    assert _kinds(first) == ["Fill"] and _kinds(second) == ["Fill", "Ended"]
    fills = [each for each in (*first, *second) if isinstance(each, Fill)]
    assert [each.size_lots for each in fills] == [4, 6] and len({each.trade_id for each in fills}) == 2
    assert all(each.client_id == "a" and each.is_maker for each in fills)


def test_the_end_waits_for_fills_that_show_late(bench: Bench) -> None:
    """The order says filled before the list of trades has it."""
    bench.place()
    order = bench.order()
    assert order is not None
    bench.account.hide_new_fills = 2
    bench.account.fill(order, "0.010")
    bench.desk.look()
    bench.desk.look()
    assert bench.taken() == []
    bench.desk.look()
    assert _kinds(bench.taken()) == ["Fill", "Ended"]


def test_fills_that_never_show_are_told_as_trouble(bench: Bench) -> None:
    """After twenty looks, and the order is kept."""
    bench.place()
    order = bench.order()
    assert order is not None
    bench.account.hide_new_fills = 1_000
    bench.account.fill(order, "0.010")
    for _ in range(20):
        bench.desk.look()
    (trouble,) = bench.taken()
    assert isinstance(trouble, Trouble) and trouble.severity == "WARN" and "0 lots of fills, not 10" in trouble.reason


def test_partial_fills_then_a_cancel_keep_the_fills(bench: Bench) -> None:
    """The end's sum is what has filled."""
    bench.place()
    order = bench.order()
    assert order is not None
    bench.account.fill(order, "0.003")
    bench.desk.handle(Cancel("a", "BTCUSDT"))
    told = bench.taken()
    assert _kinds(told) == ["Fill", "Ended"]
    assert isinstance(told[1], Ended) and (told[1].state, told[1].filled_lots) == ("canceled", 3)


def test_a_cancel_that_comes_too_late_is_refused_and_the_fill_is_told(bench: Bench) -> None:
    """Filled while canceling: never taken for canceled."""
    bench.place()
    order = bench.order()
    assert order is not None
    bench.account.fill(order, "0.010")
    bench.desk.handle(Cancel("a", "BTCUSDT"))
    told = bench.taken()
    assert told[0] == Refused("a", "BTCUSDT", "unknown_order", is_cancel=True)
    assert _kinds(told[1:]) == ["Fill", "Ended"]


@pytest.mark.parametrize("kind", ["drop", "accept_then_drop", "html_503", "html_504"])
def test_a_cancel_without_an_answer_is_unknown_and_the_next_look_knows(bench: Bench, kind: str) -> None:
    """It may have gone through."""
    bench.place()
    bench.fault("cancel", kind)
    bench.desk.handle(Cancel("a", "BTCUSDT"))
    (unknown,) = bench.taken()
    assert isinstance(unknown, Unknown) and unknown.is_cancel
    bench.desk.look()
    assert _kinds(bench.taken()) == (["Ended"] if kind == "accept_then_drop" else [])


def test_cancel_all_ends_everything_of_the_symbol(bench: Bench) -> None:
    """Each order with an end of its own; a failure is told."""
    bench.place("a")
    bench.place("b", side=-1, ticks=601_000)
    bench.desk.handle(CancelAll("BTCUSDT"))
    assert sorted(each.client_id for each in bench.taken() if isinstance(each, Ended)) == ["a", "b"]
    bench.fault("cancel_all", "drop")
    bench.desk.handle(CancelAll("BTCUSDT"))
    assert bench.taken() == [Trouble("BTCUSDT", "cancel_all_no_reply", "WARN")]


def test_not_found_needs_every_list_to_have_answered(bench: Bench) -> None:
    """A read that fails twice is trouble, not an answer; one that fails once is asked again."""
    bench.fault("read", "html_503", times=2)
    bench.desk.handle(Query("nobody", "BTCUSDT"))
    (trouble,) = bench.taken()
    assert isinstance(trouble, Trouble) and trouble.reason.startswith("query_")
    bench.fault("read", "drop")
    bench.desk.handle(Query("nobody", "BTCUSDT"))
    assert bench.taken() == [QueryAnswer("nobody", "BTCUSDT", None)]
    paths = {path for method, path, _ in bench.exchange.state.log if method == "GET"}
    assert len(paths) >= 2


def test_a_query_brings_the_order_with_its_fills_and_its_end(bench: Bench) -> None:
    """After a restart nothing is known here, and all of it at the venue."""
    bench.place()
    order = bench.order()
    assert order is not None
    bench.account.fill(order, "0.004")
    bench.account.cancel(order)
    bench.taken()
    bench.restart()
    bench.desk.handle(Query("a", "BTCUSDT"))
    (answer,) = bench.taken()
    assert isinstance(answer, QueryAnswer) and answer.order is not None
    assert (answer.order.state, answer.order.filled_lots) == ("canceled", 4)
    assert [(each.client_id, each.size_lots) for each in answer.fills] == [("a", 4)]


def test_a_survey_tells_orders_position_balance_and_fills_and_looks_after_what_it_found(bench: Bench) -> None:
    """Fills carry our ids, also where the venue names orders by its own."""
    bench.place("a")
    bench.place("b", ticks=598_000)
    order = bench.order("a")
    assert order is not None
    bench.account.fill(order, "0.010")
    bench.taken()
    bench.restart()
    bench.desk.handle(Survey("BTCUSDT"))
    (survey,) = bench.taken()
    assert isinstance(survey, Surveyed)
    assert [each.client_id for each in survey.orders] == ["b"]
    assert (survey.position_lots, survey.entry_price, survey.liquidation_price) == (10, 59_900.0, 40_000.0)
    assert survey.free_balance == 1234.5
    assert [(each.client_id, each.size_lots) for each in survey.fills] == [("a", 10)]
    resting = bench.order("b")
    assert resting is not None
    bench.account.fill(resting, "0.010")
    bench.desk.look()
    assert _kinds(bench.taken()) == ["Fill", "Ended"]


def test_a_short_position_and_a_flat_one_read_as_such(bench: Bench) -> None:
    """Signed lots; nothing is 0."""
    bench.desk.handle(Survey("BTCUSDT"))
    (flat,) = bench.taken()
    assert isinstance(flat, Surveyed) and (flat.position_lots, flat.liquidation_price) == (0, 0.0)
    bench.place(side=-1, ticks=599_000, tif="IOC")
    bench.taken()
    bench.desk.handle(Survey("BTCUSDT"))
    (short,) = bench.taken()
    assert isinstance(short, Surveyed) and short.position_lots == -10


def test_a_survey_that_fails_in_part_is_trouble(bench: Bench) -> None:
    """Half a truth is none."""
    bench.fault("read", "html_502", times=2)
    bench.desk.handle(Survey("BTCUSDT"))
    assert bench.taken() == [Trouble("BTCUSDT", "survey_http_502", "WARN")]


def test_a_liquidation_after_the_first_survey_is_critical_once(bench: Bench) -> None:
    """What was there before is history."""
    name = "autoclose-1" if bench.venue == "binance" else "x"
    for kind in ("AdlTrade", "BustTrade"):
        order = bench.account.create(
            {"symbol": "BTCUSDT", "side": "BUY", "price": "59000.0", "qty": "0.001", "quantity": "0.001",
             "timeInForce": "GTC"}, name + kind, is_bybit=bench.venue == "bybit")  # fmt: skip
        assert not isinstance(order, str)
        bench.account.fill(order, "0.001", kind=kind)
        for _ in range(2):
            bench.desk.handle(Survey("BTCUSDT"))
    troubles = [each for each in bench.taken() if isinstance(each, Trouble)]
    assert troubles == [Trouble("BTCUSDT", "liquidation", "CRIT")]


def test_the_dead_man_switch_is_armed_at_the_venue(bench: Bench) -> None:
    """In the venue's units; a failure is told. Bybit's needs a private socket: nothing is asked, nothing pretended."""
    bench.desk.handle(KeepAlive("BTCUSDT", 30_000))
    if bench.venue == "bybit":
        assert bench.account.dead_man == [] and bench.taken() == []
        return
    (armed,) = bench.account.dead_man
    assert armed.get("countdownTime") == "30000"
    bench.fault("dead_man", "html_503")
    bench.desk.handle(KeepAlive("BTCUSDT", 30_000))
    (trouble,) = bench.taken()
    assert isinstance(trouble, Trouble) and trouble.reason.startswith("keep_alive_")


def test_a_good_reply_that_cannot_be_read_is_unknown(binance: Bench) -> None:
    """HTTP 200 and half a JSON."""
    binance.fault("create", "garbage", accepted=True)
    told = binance.place()
    assert told == [Unknown("a", "BTCUSDT", "unreadable_reply")]


class _OffGrid:
    """A venue whose tick has changed under us."""

    def call(self, call: Call) -> Reply:
        """An order at a price that is no whole tick, whatever was asked."""
        order = {"orderId": 1, "clientOrderId": "a", "side": "BUY", "status": "NEW", "price": "59900.05",
                 "origQty": "0.010", "executedQty": "0", "timeInForce": "GTX"}  # fmt: skip
        return Reply(200, json.dumps(order))

    def sync_clock(self) -> bool:
        """Never asked."""
        return True


@pytest.mark.parametrize("is_cancel", [False, True])
def test_what_nobody_foresaw_is_unknown_and_critical(is_cancel: bool) -> None:
    """The order may stand, and the thread lives on."""
    told: list[Any] = []
    desk = VenueDesk(SYMBOL, dialect_of("binance"), _OffGrid(), ManualClock(), told.append)
    desk.handle(Cancel("a", "BTCUSDT") if is_cancel else Place("a", "BTCUSDT", 1, 599_000, 10, "GTX"))
    assert told[0] == Unknown("a", "BTCUSDT", "internal_BadReference", is_cancel=is_cancel)
    assert isinstance(told[1], Trouble) and told[1].severity == "CRIT" and "59900.05" in told[1].reason
    desk.handle(Survey("BTCUSDT"))
    assert isinstance(told[2], Trouble) and told[2].severity == "CRIT"


def test_nothing_standing_asks_nothing(bench: Bench) -> None:
    """An idle desk costs no weight."""
    bench.desk.look()
    assert bench.exchange.state.log == []


def test_an_order_that_is_nowhere_is_told_after_twenty_looks(bench: Bench) -> None:
    """Accepted once, and no list has it any more."""
    bench.place()
    bench.account.orders.clear()
    for _ in range(20):
        bench.desk.look()
    (trouble,) = bench.taken()
    assert isinstance(trouble, Trouble) and "is not to be found after 20 looks" in trouble.reason


def test_whose_a_trade_is_is_remembered_within_bounds(bench: Bench) -> None:
    """Weeks of orders do not pile up; the newest are known."""
    for number in range(_IDS_KEPT + 10):
        bench.desk._learn(VenueOrder(f"c{number}", f"v{number}", 1, 1, 1, 0, "open", "", 0))
    assert len(bench.desk._client_ids) == _IDS_KEPT
    assert "v9" not in bench.desk._client_ids and "v10" in bench.desk._client_ids
