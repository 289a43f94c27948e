"""The desk: what goes out once, what is asked for and when, what a venue's words are taken for."""

from pathlib import Path

import pytest

from live.exchange.protocol import Cancel, Ended, Fill, Query, Refused, Trouble, Unknown
from tests.live.executor.trading import Trading


@pytest.fixture
def trading(tmp_path: Path) -> Trading:
    """A warm executor with one rung resting."""
    made = Trading(tmp_path, {"ladder": {"rungs": 1, "life_ms": 600_000}})
    made.warm()
    made.approve(1)
    return made


def key_of(trading: Trading) -> str:
    """The id of the order that rests."""
    return trading.paper.places()[0].client_id


def test_a_cancel_is_not_repeated_before_the_venue_had_its_time(tmp_path: Path) -> None:
    """Once, and again with a question when nothing came within the time-out."""
    trading = Trading(tmp_path, {"ladder": {"rungs": 1}})
    trading.warm()
    trading.approve(1)
    send = trading.paper.send
    sent: list[object] = []

    def deaf(request: object) -> None:
        sent.append(request)
        if not isinstance(request, Cancel | Query):
            send(request)  # type: ignore[arg-type]

    trading.paper.send = deaf  # type: ignore[method-assign,assignment]
    trading.run(8)
    assert sum(isinstance(request, Cancel) for request in sent) == 1
    trading.run(3)
    assert sum(isinstance(request, Cancel) for request in sent) == 2
    assert any(isinstance(request, Query) for request in sent)


def test_an_unknown_cancel_is_asked_about_and_the_order_stays(trading: Trading) -> None:
    """The cancel may have worked: the order is asked for, and found where it is."""
    key = key_of(trading)
    trading.paper.mail.append(Unknown(key, "BTCUSDT", "timeout", is_cancel=True))
    trading.run(1)
    assert trading.paper.queries(key) == 1
    assert trading.executor.status()["live_orders"] == 1
    assert trading.reports("unknown") == []


def test_a_refused_cancel_asks_what_became_of_the_order(trading: Trading) -> None:
    """unknown_order is no end: the venue may have filled it, and says so when asked."""
    key = key_of(trading)
    trading.paper.fill(key, silent=True)
    trading.paper.mail.append(Refused(key, "BTCUSDT", "unknown_order", is_cancel=True))
    trading.run(1)
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 5}


def test_a_post_only_end_is_priced_again(trading: Trading) -> None:
    """Bybit's way: accepted, then canceled because it would have taken."""
    key = key_of(trading)
    trading.paper.orders[key].state = "canceled"
    trading.paper.mail.append(Ended(key, "BTCUSDT", "canceled", 0, "EC_PostOnlyWillTakeLiquidity", 0))
    trading.run(0.5)
    assert [place.client_id[-4:] for place in trading.paper.places()] == ["e0-0", "e0-1"]


def test_a_fill_of_a_stranger_is_told_of_and_not_counted(trading: Trading) -> None:
    """No intent, no order: the position is not touched, people hear of it."""
    trading.paper.mail.append(Fill("by-hand", "BTCUSDT", "t1", 1, 100, 5, 0.0, True, 0))
    trading.run(0.5)
    assert trading.executor.status()["positions"] == {}
    assert "by-hand" in trading.events("ALERT")[0].text


def test_questions_end_with_the_order(trading: Trading) -> None:
    """What has ended is not asked for any more."""
    key = key_of(trading)
    trading.paper.answers_queries = False
    trading.paper.mail.append(Unknown(key, "BTCUSDT", "timeout", is_cancel=True))
    trading.run(5)
    asked = trading.paper.queries(key)
    assert 2 <= asked <= 3
    trading.paper.mail.append(Ended(key, "BTCUSDT", "canceled", 0, "", 0))
    trading.run(5)
    assert trading.paper.queries(key) == asked


def test_the_time_to_an_answer_is_measured(trading: Trading) -> None:
    """order_seconds counts accepted orders."""
    assert "order_seconds_count 1.0" in trading.parts.metrics.render()


def test_an_order_the_venue_forgot_ends_with_what_it_filled(trading: Trading) -> None:
    """Acknowledged, partly filled, and then unknown to queries for good: canceled as absent, lots kept."""
    key = key_of(trading)
    trading.paper.fill(key, 2)
    trading.executor.tick()
    del trading.paper.orders[key]
    trading.run(22)
    assert [(report.reason, report.filled_lots) for report in trading.reports("canceled")] == [("absent", 2)]
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 2}


def test_a_dead_stream_leads_to_a_look(trading: Trading) -> None:
    """Trouble of the venue: everything of ours is surveyed with the next tick."""
    trading.paper.fill(key_of(trading), silent=True)
    trading.paper.mail.append(Trouble("", "stream cut", "WARN"))
    trading.run(1, each=0.1)
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 5}
