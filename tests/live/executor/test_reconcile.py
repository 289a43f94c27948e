"""What a survey shows against what the journal knows: pure comparison, then the executor at a start and later."""

from pathlib import Path

from live.exchange.protocol import OrderView, Place, Survey, Surveyed
from live.executor.ids import client_id
from live.executor.reconcile import findings, losses, lost_lots
from live.executor.records import Order, Trip
from tests.live.executor.fake_venue import Standing
from tests.live.executor.trading import BID, Trading

KEY = client_id("a", "entry", 0, 0)


def order(**fields: object) -> Order:
    """A resting order of five lots."""
    base = {
        "client_id": KEY, "approval_id": "a", "symbol": "BTCUSDT", "is_real": True, "leg": "entry", "rung": 0,
        "replacement": 0, "side": 1, "price_ticks": 100, "size_lots": 5, "time_in_force": "GTX",
        "reduce_only": False, "bucket": "mid", "state": "open",
    }  # fmt: skip
    return Order(**{**base, **fields})  # type: ignore[arg-type]


def survey(*views: OrderView, position: int = 0) -> Surveyed:
    """A survey that shows these orders."""
    return Surveyed("BTCUSDT", views, position, 0.0, 0.0, 1_000.0)


def view(key: str = KEY, filled: int = 0) -> OrderView:
    """An open order as the venue shows it."""
    return OrderView(key, "v", 1, 100, 5, filled, "open")


def trip(key: str, lots: int) -> Trip:
    """A long of so many lots."""
    return Trip(key, "BTCUSDT", 1, "full", "m", True, 0, 0, 0.001, 0.001, entry_lots=lots, entry_value=lots * 100)


def test_agreement_finds_nothing() -> None:
    """The same orders, the same lots."""
    found = findings(survey(view(), position=3), [order()], [KEY], 3)
    assert (found.ask, found.strays, found.foreign_orders, found.difference) == ((), (), 0, 0)


def test_what_it_does_not_bear_out_is_asked_for_and_positions_wait() -> None:
    """Not shown, filled further, or not certain: one by one, and no difference is judged meanwhile."""
    for shown, ours in (
        (survey(), order()),
        (survey(view(filled=1)), order()),
        (survey(view()), order(state="unknown", doubt="timeout")),
    ):
        found = findings(shown, [ours], [KEY], 0)
        assert found.ask == (KEY,)
        assert found.difference is None


def test_strays_are_those_with_our_ids_and_no_intent() -> None:
    """Somebody else's orders are counted and left alone."""
    stray = client_id("b", "entry", 1, 0)
    found = findings(survey(view(stray), view("by-hand")), [], [], 0)
    assert found.strays == (stray,)
    assert found.foreign_orders == 1


def test_lost_lots_are_what_the_venue_does_not_have() -> None:
    """Of a long and of a short; never more than held, never for what is there in excess."""
    assert [lost_lots(venue, 5) for venue in (-2, 0, 3, 5, 9)] == [5, 5, 2, 0, 0]
    assert [lost_lots(venue, -5) for venue in (2, 0, -3, -5, -9)] == [5, 5, 2, 0, 0]


def test_losses_come_out_of_the_newest_trips() -> None:
    """In whole lots, until they are covered."""
    assert losses([trip("a", 3), trip("b", 2)], 4) == [("b", 2), ("a", 2)]


def filled(tmp_path: Path) -> Trading:
    """An executor with five real lots."""
    trading = Trading(tmp_path, real=True)
    trading.warm()
    trading.approve(1, route="full")
    assert trading.real is not None
    for place in trading.real.places():
        trading.real.fill(place.client_id)
    trading.executor.tick()
    return trading


def test_a_position_the_venue_does_not_have_is_taken_out_and_halts(tmp_path: Path) -> None:
    """Closed by hand at the venue: seen twice, taken out of the trip, CRIT, and the symbol waits for a person."""
    trading = filled(tmp_path)
    assert trading.real is not None
    trading.real.positions["BTCUSDT"] = 2
    trading.run(8)
    assert trading.executor.status()["mode"] == "paper"
    assert "order_mismatch/BTCUSDT" in trading.executor.status()["halts"]
    assert any(event.severity == "CRIT" and event.reason == "order_mismatch" for event in trading.events("ALERT"))
    assert trading.real.positions["BTCUSDT"] == 0
    assert all(place.reduce_only for place in trading.real.places()[2:])


def test_a_position_nobody_knows_is_told_of_and_never_traded(tmp_path: Path) -> None:
    """Lots at the venue without a fill of ours: CRIT once, halted, left to people."""
    trading = Trading(tmp_path, real=True)
    assert trading.real is not None
    trading.real.positions["BTCUSDT"] = 7
    trading.warm()
    trading.approve(1, route="full")
    trading.run(10)
    assert trading.real.positions["BTCUSDT"] == 7
    assert trading.real.places() == []
    crits = [event for event in trading.events("ALERT") if event.reason == "order_mismatch"]
    assert len(crits) == 1


def test_a_difference_that_passes_is_no_mismatch(tmp_path: Path) -> None:
    """One survey that is ahead of the fills it was sent with proves nothing."""
    trading = filled(tmp_path)
    assert trading.real is not None
    trading.real.positions["BTCUSDT"] = 4
    seen = sum(isinstance(request, Survey) for request in trading.real.requests)
    while sum(isinstance(request, Survey) for request in trading.real.requests) == seen:
        trading.run(0.1, each=0.1)
    trading.real.positions["BTCUSDT"] = 5
    trading.run(5)
    assert trading.events("ALERT") == []


def test_a_resting_order_of_ours_without_an_intent_is_canceled(tmp_path: Path) -> None:
    """The journal was lost: what rests under an id of ours is canceled, and CRIT is said."""
    trading = Trading(tmp_path, real=True)
    assert trading.real is not None
    key = client_id("gone", "entry", 0, 0)
    trading.real.orders[key] = Standing(Place(key, "BTCUSDT", 1, BID, 1, "GTX"))
    trading.real.orders["by-hand"] = Standing(Place("by-hand", "BTCUSDT", 1, BID, 1, "GTX"))
    trading.run(1)
    assert trading.real.open() == ["by-hand"]
    assert any(event.reason == "order_mismatch" for event in trading.events("ALERT"))


def test_fills_while_we_were_down_are_found_at_the_start(tmp_path: Path) -> None:
    """Restart: the survey's and the queries' fills make the position, and it is closed by its own rule."""
    trading = Trading(tmp_path, real=True)
    trading.warm()
    trading.approve(1, route="full")
    assert trading.real is not None
    trading.kill()
    for place in trading.real.places():
        trading.real.fill(place.client_id)
    trading.real.mail.clear()
    trading.start()
    trading.run(3)
    assert trading.executor.status()["positions"] == {"BTCUSDT:real": 5}
    trading.warm()
    trading.run(60)
    assert trading.real.positions["BTCUSDT"] == 0


def test_real_positions_without_real_mode_are_said_loudly(tmp_path: Path) -> None:
    """Started on paper with real lots in the journal: CRIT, since nobody here can close them."""
    trading = filled(tmp_path)
    trading.kill()
    trading.real = None
    trading.start()
    trading.executor.tick()
    assert "exchange.mode is paper" in trading.events("ALERT")[-1].text
