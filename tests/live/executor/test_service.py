"""The executor as a whole, on fake venues: the way of a signal, and every fault on the list that it must survive."""

from pathlib import Path

import pytest

from live.exchange.protocol import Ended
from tests.live.executor.trading import ASK, BID, Killed, Trading


@pytest.fixture
def trading(tmp_path: Path) -> Trading:
    """An executor on paper, warmed up."""
    made = Trading(tmp_path)
    made.warm()
    return made


def test_an_approval_becomes_a_round_trip(trading: Trading) -> None:
    """Two rungs rest, fill, reach the target, and are closed with what they earned after fees."""
    trading.approve(1)
    first, second = trading.paper.places()
    assert (first.price_ticks, second.price_ticks) == (BID, BID - 1)
    assert first.size_lots + second.size_lots == 5
    assert [report.kind for report in trading.reports()] == ["accepted", "accepted"]
    trading.paper.fill(first.client_id)
    trading.paper.fill(second.client_id)
    trading.executor.tick()
    assert [report.kind for report in trading.reports()][2:] == ["filled", "filled"]
    trading.run(1, BID + 2_000, ASK + 2_000)
    closed = trading.reports("closed")
    assert len(closed) == 1
    assert closed[0].reason == "target"
    assert closed[0].net_quote > 0
    assert trading.paper.positions["BTCUSDT"] == 0
    assert trading.executor.status()["open_trips"] == 0


# Faults 1 to 5: killed at each point


@pytest.mark.parametrize("point", ["after_read", "after_intent", "after_send", "after_result", "before_ack"])
def test_a_kill_at_any_point_leaves_one_order_a_rung(tmp_path: Path, point: str) -> None:
    """The approval is delivered again after the kill; the venue never gets one order twice, and all are known."""
    trading = Trading(tmp_path)
    trading.warm()
    approval = trading.approval(1, ttl_ms=600_000)
    trading.crash_at = point
    with pytest.raises(Killed):
        trading.hand(approval)
    trading.restart()
    trading.warm()
    trading.hand(approval)
    trading.run(2)
    ids = [place.client_id for place in trading.paper.places()]
    assert len(ids) == len(set(ids))
    assert {key[-4:-2] for key in ids} == {"e0", "e1"}
    assert trading.executor.status()["unknown_orders"] == 0
    trading.executor.tick()
    assert len(trading.paper.open()) == trading.executor.status()["live_orders"]


def test_an_intent_that_was_never_sent_is_proven_absent_and_sent_once(tmp_path: Path) -> None:
    """Fault 2: three answers over ten seconds, then it goes out under the next replacement."""
    trading = Trading(tmp_path, {"ladder": {"rungs": 1}})
    trading.warm()
    trading.crash_at = "after_intent"
    approval = trading.approval(1, ttl_ms=600_000)
    with pytest.raises(Killed):
        trading.hand(approval)
    assert trading.paper.places() == []
    trading.restart()
    trading.warm()
    assert [report.kind for report in trading.reports()] == ["unknown", "resolved", "refused", "accepted"]
    assert trading.reports("refused")[0].reason == "absent"
    assert [place.client_id[-4:] for place in trading.paper.places()] == ["e0-1"]
    assert trading.executor.status()["live_orders"] == 1


def test_a_restart_gives_the_same_state_byte_for_byte(trading: Trading) -> None:
    """Restarted twice with orders, fills and an unknown order open: the same bytes, the same journal."""
    trading.paper.faults.extend(["", "lose"])
    trading.approve(1)
    trading.paper.fill(trading.paper.places()[0].client_id, 1)
    trading.executor.tick()
    trading.paper.answers_queries = False
    trading.restart()
    first = (trading.executor.state, trading.executor.journal_head)
    trading.restart()
    assert (trading.executor.state, trading.executor.journal_head) == first


# Faults 31 to 36: what the venue says, late, twice, or not


def test_an_unknown_order_counts_as_open_and_blocks_its_side(trading: Trading) -> None:
    """Fault 31, it stands: nothing new on that side until a query has found it; it is not sent again."""
    trading.paper.faults.append("lose")
    trading.paper.answers_queries = False
    trading.approve(1)
    assert trading.executor.status()["unknown_orders"] == 1
    trading.approve(1)
    assert trading.drops() == ["unknown_order"]
    trading.paper.answers_queries = True
    trading.run(3)
    assert trading.executor.status()["unknown_orders"] == 0
    assert [report.kind for report in trading.reports()][:4] == ["unknown", "accepted", "dropped", "resolved"]


def test_an_unknown_order_that_never_arrived_is_given_up_after_ten_seconds(trading: Trading) -> None:
    """Fault 31, it does not stand: refused as absent, not earlier than the rule of three over ten seconds."""
    trading.paper.faults.append("drop")
    approval = trading.approve(1)
    trading.run(9)
    assert trading.reports("refused") == []
    trading.run(4)
    assert [report.reason for report in trading.reports("refused")] == ["absent"]
    key = trading.paper.places()[0].client_id
    assert trading.paper.queries(key) >= 3
    assert sum(place.client_id == key for place in trading.paper.places()) == 1
    assert approval.id == trading.reports("refused")[0].approval_id


def test_not_found_right_after_sending_is_no_proof(trading: Trading) -> None:
    """Fault 32: the venue hides the order for a while; it is found, and was never taken for absent."""
    trading.paper.faults.append("hide")
    trading.paper.hidden_queries = 4
    trading.approve(1)
    trading.run(14)
    assert trading.reports("refused") == []
    assert len(trading.reports("resolved")) == 1


def test_a_query_that_fails_is_no_answer(trading: Trading) -> None:
    """Failed queries never add up to a proof of absence."""
    trading.paper.faults.append("drop")
    trading.paper.answers_queries = False
    trading.approve(1)
    trading.run(30)
    assert trading.reports("refused") == []
    assert trading.executor.status()["unknown_orders"] == 1


def test_partial_fills_then_a_cancel_leave_exact_lots(trading: Trading) -> None:
    """Fault 33: what filled is held, the rest is canceled when the ladder's life ends, fees per fill."""
    trading.approve(1)
    key = trading.paper.places()[0].client_id
    trading.paper.fill(key, 1)
    trading.paper.fill(key, 1)
    trading.run(6)
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 2}
    assert [report.leaves_lots for report in trading.reports("partial")] == [2, 1]
    assert {report.filled_lots for report in trading.reports("canceled")} == {0, 2}
    assert all(report.fee_quote > 0 for report in trading.reports("partial"))


def test_an_order_that_fills_while_it_is_canceled_is_a_position(trading: Trading) -> None:
    """Fault 34: the cancel is refused, the fill counts, nothing is taken for canceled."""
    trading.approve(1)
    key = trading.paper.places()[0].client_id
    trading.clock.advance(seconds=5)
    trading.paper.fill(key, silent=True)
    trading.executor.tick()
    trading.run(1)
    assert key in trading.paper.cancels()
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 3}
    assert [report.kind for report in trading.reports() if report.client_id == key] == ["accepted", "filled"]


def test_a_fill_before_its_acknowledgement_and_twice_counts_once(trading: Trading) -> None:
    """Fault 35."""
    trading.paper.faults.append("early")
    trading.approve(1)
    key = trading.paper.places()[0].client_id
    trading.paper.mail.append(trading.paper.orders[key].fills[0])
    trading.executor.tick()
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 3}
    assert len(trading.reports("filled")) == 1


def test_an_entry_that_would_cross_is_priced_again_once(trading: Trading) -> None:
    """Fault 36: refused as post-only, sent again at the touch of then, at most so often as configured."""
    trading.paper.faults.extend(["refuse", "refuse", "refuse", "refuse"])
    trading.paper.refuse_reason = "post_only"
    trading.approve(1)
    trading.run(2)
    assert [place.client_id[-4:] for place in trading.paper.places()] == ["e0-0", "e1-0", "e0-1", "e1-1"]
    assert len(trading.reports("refused")) == 4
    assert trading.executor.status()["open_trips"] == 0


def test_fills_that_the_stream_does_not_tell_are_found(trading: Trading) -> None:
    """Fault 37: the user stream is dead; surveys and queries find what happened."""
    trading.approve(1)
    for place in trading.paper.places():
        trading.paper.fill(place.client_id, silent=True)
    trading.run(8)
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 5}
    assert len(trading.reports("filled")) == 2


def test_an_order_nobody_answers_is_asked_for(trading: Trading) -> None:
    """Neither accepted nor refused within twice the time-out: unknown, then found."""
    trading.paper.faults.append("silent")
    trading.approve(1)
    trading.run(13)
    assert len(trading.reports("unknown")) <= 1
    assert trading.executor.status()["unknown_orders"] == 0


def test_an_end_that_names_more_than_its_fills_waits_for_them(trading: Trading) -> None:
    """The venue says filled and shows the trade later: the order stays alive until it is known."""
    trading.approve(1)
    key = trading.paper.places()[0].client_id
    fill = trading.paper.fill(key, silent=True)
    trading.paper.mail.append(Ended(key, "BTCUSDT", "filled", fill.size_lots, "", 0))
    trading.paper.answers_queries = False
    trading.executor.tick()
    assert trading.executor.status()["positions"] == {}
    assert key in {order.client_id for order in trading.executor._keeper.ledger.live.values()}
    trading.paper.mail.append(fill)
    trading.executor.tick()
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 3}


def test_lots_that_no_trade_is_shown_for_are_believed_in_the_end(trading: Trading) -> None:
    """The venue's sum wins over its list of trades after three answers over ten seconds, and it is told of."""
    trading.approve(1)
    key = trading.paper.places()[0].client_id
    trading.paper.fill(key, silent=True)
    trading.paper.orders[key].fills.clear()
    trading.paper.mail.append(Ended(key, "BTCUSDT", "filled", 3, "", 0))
    trading.run(14)
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 3}
    assert any("shows no trade" in event.text for event in trading.events("ALERT"))


# Exits


@pytest.mark.parametrize(("move", "reason"), [(2_000, "target"), (-2_000, "stop")])
@pytest.mark.parametrize("side", [1, -1])
def test_a_barrier_closes_the_position(trading: Trading, side: int, move: int, reason: str) -> None:
    """Longs and shorts, at the opposite touch, reduce-only and at once."""
    trading.approve(side)
    for place in trading.paper.places():
        trading.paper.fill(place.client_id)
    trading.run(1)
    trading.run(1, BID + side * move, ASK + side * move)
    exits = [place for place in trading.paper.places() if place.reduce_only]
    assert [place.time_in_force for place in exits] == ["IOC"]
    assert trading.reports("closed")[0].reason == reason
    assert (trading.reports("closed")[0].net_quote > 0) is (reason == "target")


def test_a_position_ends_with_its_horizon_and_is_tried_until_flat(trading: Trading) -> None:
    """What one order does not close the next ones do, further through the book each time."""
    trading.paper.ioc_share = 0.5
    trading.approve(1)
    for place in trading.paper.places():
        trading.paper.fill(place.client_id)
    trading.run(59)
    assert trading.reports("closed") == []
    trading.run(3)
    trading.paper.ioc_share = 1.0
    trading.run(1)
    exits = [place for place in trading.paper.places() if place.reduce_only]
    assert len(exits) > 2
    assert [place.price_ticks for place in exits][:3] == [BID, BID - 1, BID - 3]
    assert trading.reports("closed")[0].reason == "horizon"
    assert trading.paper.positions["BTCUSDT"] == 0


def test_what_rests_of_an_entry_is_canceled_with_the_exit(trading: Trading) -> None:
    """One rung filled, the barrier is touched, the other rung goes."""
    trading.approve(1)
    first, second = trading.paper.places()
    trading.paper.fill(first.client_id)
    trading.executor.tick()
    trading.run(0.5, BID + 2_000, ASK + 2_000)
    trading.run(0.5, BID + 2_000, ASK + 2_000)
    assert second.client_id in trading.paper.cancels()
    assert trading.executor.status()["open_trips"] == 0


# The book


@pytest.mark.parametrize("state", ["gap", "stale", "syncing"])
def test_a_book_that_breaks_takes_back_what_rests(trading: Trading, state: str) -> None:
    """Fault 15: places are void, entries are canceled, and nothing new comes until warm-up is over again."""
    trading.approve(1)
    trading.status(state)
    assert trading.paper.voids == ["BTCUSDT"]
    assert set(trading.paper.cancels()) == {place.client_id for place in trading.paper.places()}
    trading.run(1)
    trading.approve(1)
    assert trading.drops() == ["warmup"]


def test_a_hole_in_the_market_is_a_break(trading: Trading) -> None:
    """Messages lost on the way to us: as a gap of the venue."""
    trading.approve(1)
    trading.seqs["BTCUSDT"] += 1
    trading.image()
    for _ in range(40):
        trading.clock.advance(seconds=0.05)
        trading.executor.tick()
    assert trading.paper.voids == ["BTCUSDT"]
    assert len(trading.paper.cancels()) == 2


def test_a_stall_of_the_process_makes_the_book_stale(trading: Trading) -> None:
    """Fault 20: the first approval behind a leap of the monotonic clock is not acted on, the rest is canceled."""
    trading.approve(1)
    trading.clock.advance(seconds=12)
    trading.approve(1)
    assert trading.drops() == ["stale_book"]
    assert len(trading.paper.cancels()) == 2


# Deliveries


def test_a_second_delivery_does_nothing(trading: Trading) -> None:
    """Fault 13: acted on or dropped, an approval is taken once; also long after, and after a restart."""
    approval = trading.approve(1)
    trading.hand(approval)
    trading.clock.advance(seconds=100)
    trading.hand(approval)
    trading.restart()
    trading.hand(approval)
    assert len(trading.paper.places()) == 2
    assert trading.drops() == []


def test_an_expired_approval_is_never_acted_on(trading: Trading) -> None:
    """I5: older than its TTL, or stamped ahead of our clock."""
    old = trading.approval(1)
    trading.clock.advance(seconds=2)
    trading.image()
    trading.hand(old)
    trading.hand(trading.approval(1, local_ns=trading.clock.wall_ns() + 2_000_000_000))
    assert trading.drops() == ["ttl", "ttl"]
    assert trading.paper.places() == []


def test_a_backlog_of_expired_approvals_leaves_nothing_behind(trading: Trading) -> None:
    """Each is told of as dropped, none is sent, and nothing is remembered of them."""
    before = trading.executor.state
    queue = [trading.approval(1) for _ in range(2_000)]
    trading.clock.advance(seconds=3)
    for approval in queue:
        trading.give("sig:approved", approval)
    assert trading.drops() == ["ttl"] * 2_000
    assert trading.paper.places() == []
    assert trading.executor.state == before


def test_backpressure_sheds_the_canary_first(tmp_path: Path) -> None:
    """Fault 42: with a long queue the canary's approvals go, the others while too many wait."""
    trading = Trading(tmp_path, {"backpressure": {"max_queue_len": 10}})
    trading.warm()
    trading.waiting = 10
    trading.executor.tick()
    trading.approve(1, route="canary")
    trading.waiting = 9
    trading.approve(1)
    assert trading.drops() == ["backpressure"]
    assert len(trading.paper.places()) == 2


def test_reports_that_the_stream_does_not_show_are_told_again(trading: Trading) -> None:
    """A process killed between its journal and the bus loses no report; those on the stream are not repeated."""
    trading.approve(1)
    told = trading.reports()
    trading.restart()
    trading.give("exec:reports", told[0])
    trading.said.said.clear()
    trading.run(3)
    again = [report.id for report in trading.reports()]
    assert told[1].id in again
    assert told[0].id not in again
