"""A simulated market through `python -m live all` on a real server, told alike by streams, journal, page and lake.

The model is a small real bundle; trades are on paper. Nothing is compared with what a test would work out again: every
number is there twice or more, from different hands, and they must agree.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from archive.layout import BOOK, day_of
from archive.live_tables import LIVE_SCORES, OUTCOMES, REPORTS, key
from bus import streams
from bus.messages import Approval, BookImage, Candidate, Outcome, Report, Score
from live.executor.records import Filled, Intent, Taken
from pipelines.partitions import Cell
from pipelines.skew import compare
from tests.bus.servers import needs_redis
from tests.journeys.played import Played, mirror, played

SYMBOLS = ("BTCUSDT", "ETHUSDT")
BOOKS = tuple(streams.book(name) for name in SYMBOLS)
HORIZON_NS = 60_000_000_000


@pytest.mark.slow
@needs_redis
def test_streams_journal_page_and_lake_tell_the_same_day(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Five minutes of two symbols, once, looked at from every side."""
    mirror(tmp_path).put("active", 1, tau=0.5)
    day = played(tmp_path, (*streams.DURABLE, *BOOKS))
    looks = (
        _every_candidate_is_scored_once_as_it_was, _approved_is_what_reached_tau, _every_approval_has_one_end,
        _orders_and_fills_are_the_journals, _outcomes_are_those_of_the_horizon, _the_page_counts_the_same,
        _the_lake_holds_what_was_said, _the_lake_gives_the_scored_rows_again,
    )  # fmt: skip
    for look in looks:
        with subtests.test(look.__name__.strip("_").replace("_", " ")):
            look(day)


def _every_candidate_is_scored_once_as_it_was(day: Played) -> None:
    candidates, scores = day.of(streams.CANDIDATES, Candidate), day.of(streams.SCORES, Score)
    assert len(candidates) > 200
    assert {each.symbol for each in candidates} == set(SYMBOLS)
    assert [each.candidate_id for each in scores] == [each.id for each in candidates]
    assert [each.row for each in scores] == [each.row for each in candidates]
    assert len({each.id for each in candidates}) == len(candidates)


def _approved_is_what_reached_tau(day: Played) -> None:
    scores, approvals = day.of(streams.SCORES, Score), day.of(streams.APPROVED, Approval)
    for each in scores:
        (active,) = each.judgements
        assert (active.slot, each.route) == ("active", "paper")
        assert each.approved is (active.probability >= active.tau)
    assert [each.candidate_id for each in approvals] == [each.candidate_id for each in scores if each.approved]
    assert 10 < len(approvals) < len(scores)
    judged = {each.candidate_id: each.judgements[0] for each in scores}
    for leave in approvals:
        said = judged[leave.candidate_id]
        assert (leave.model_id, leave.probability, leave.tau) == (said.model_id, said.probability, said.tau)


def _every_approval_has_one_end(day: Played) -> None:
    """Acted on or dropped by a gate, never both, never neither; what was acted on is flat again or told to be open."""
    approvals = [each.id for each in day.of(streams.APPROVED, Approval)]
    dropped = [each.approval_id for each in _reports(day, "dropped")]
    taken = [each.approval_id for each in day.done(Taken)]
    assert sorted(dropped + taken) == sorted(approvals)
    assert len(taken) > 5
    held: Counter[str] = Counter()
    legs = {each.client_id: each.leg for each in day.done(Intent)}
    trips = {each.client_id: each.approval_id for each in day.done(Intent)}
    for each in day.done(Filled):
        held[trips[each.client_id]] += each.lots if legs[each.client_id] == "entry" else -each.lots
    closed = {each.approval_id for each in _reports(day, "closed")}
    assert min(held.values()) >= 0, "no exit is larger than what was entered"
    assert {name for name, lots in held.items() if lots == 0} == closed


def _orders_and_fills_are_the_journals(day: Played) -> None:
    """Each order an approval's, written down before its report; fills are told lot for lot."""
    intents, taken = {each.client_id: each for each in day.done(Intent)}, {each.approval_id for each in day.done(Taken)}
    assert {each.approval_id for each in intents.values()} == taken
    told = [each for each in day.of(streams.REPORTS, Report) if each.client_id]
    assert {each.client_id for each in told} == set(intents)
    assert not any(each.is_real for each in told)
    lots: Counter[str] = Counter()
    for fill in day.done(Filled):
        lots[fill.client_id] += fill.lots
    final = {each.client_id: each.filled_lots for each in told}
    assert {name: count for name, count in final.items() if count} == dict(lots)
    assert len(_reports(day, "partial")) + len(_reports(day, "filled")) == len(day.done(Filled)) > 5
    assert len({each.id for each in day.of(streams.REPORTS, Report)}) == len(day.of(streams.REPORTS, Report))


def _outcomes_are_those_of_the_horizon(day: Played) -> None:
    """Every candidate older than the horizon has one; those that are younger only where a barrier was touched."""
    outcomes = [each.candidate_id for each in day.of(streams.OUTCOMES, Outcome)]
    assert len(set(outcomes)) == len(outcomes)
    for symbol, book in zip(SYMBOLS, BOOKS, strict=True):
        end_ns = day.of(book, BookImage)[-1].exchange_ns
        mine = [each for each in day.of(streams.CANDIDATES, Candidate) if each.symbol == symbol]
        due = {each.id for each in mine if each.t_ns + HORIZON_NS <= end_ns}
        assert due <= set(outcomes) <= {each.id for each in day.of(streams.CANDIDATES, Candidate)}
        assert len(due) > 100
    for outcome in day.of(streams.OUTCOMES, Outcome):
        assert outcome.t_ns < outcome.exit_ns <= outcome.t_ns + HORIZON_NS


def _the_page_counts_the_same(day: Played) -> None:
    shown, reports = day.shown, Counter(each.kind for each in day.of(streams.REPORTS, Report))
    assert shown.total("candidates_total") == len(day.said[streams.CANDIDATES])
    assert shown.by("scores_total", "slot") == {"active": len(day.said[streams.SCORES]), "shadow": 0, "canary": 0}
    assert shown.total("approvals_total", route="paper") == len(day.said[streams.APPROVED])
    assert shown.total("gate_drop_total") == reports["dropped"]
    assert shown.total("fills_total", route="paper") == len(day.done(Filled))
    assert shown.total("exec_ladder_aggressiveness_total") == sum(each.leg == "entry" for each in day.done(Intent))
    orders = {kind: count for kind, count in reports.items() if kind not in ("dropped", "closed")}
    assert {kind: count for kind, count in shown.by("orders_total", "state").items() if count} == orders
    assert shown.total("outcomes_total") == len(day.said[streams.OUTCOMES])
    money = sum(each.net_quote for each in _reports(day, "closed"))
    assert shown.value("pnl_quote", route="paper") == pytest.approx(money, abs=1e-6)
    assert shown.total("market_events_total", kind="book") == sum(
        isinstance(each, BookImage) for book in BOOKS for each in day.said[book]
    )
    for name in ("messages_refused_total", "stream_lost_total", "book_ticker_mismatch_total", "book_gaps_total"):
        assert shown.total(name) == 0, name


def _the_lake_holds_what_was_said(day: Played) -> None:
    for symbol, book in zip(SYMBOLS, BOOKS, strict=True):
        images = day.of(book, BookImage)
        date = day_of(images[0].exchange_ns)
        kept = day.lake.read_book(symbol, date)
        assert kept.local_ns.tolist() == [each.local_ns for each in images]
        assert np.array_equal(kept.bid_ticks.T, [each.bid_ticks for each in images])
        scored = day.lake.read(LIVE_SCORES, symbol, date)
        scores = [each for each in day.of(streams.SCORES, Score) if each.symbol == symbol]
        assert scored["t_ns"].tolist() == [each.t_ns for each in scores]
        assert scored["active_margin"].tolist() == [each.judgements[0].margin for each in scores]
        ended = day.lake.read(OUTCOMES, symbol, date)
        mine = {each.t_ns: each.outcome for each in day.of(streams.OUTCOMES, Outcome) if each.symbol == symbol}
        assert dict(zip(ended["t_ns"].tolist(), ended["outcome"].tolist(), strict=True)) == mine
        told = [key(each.id) for each in day.of(streams.REPORTS, Report) if each.symbol == symbol]
        # Behind them is what was told while the services ended.
        assert day.lake.read(REPORTS, symbol, date)["report_key"].tolist()[: len(told)] == told


def _the_lake_gives_the_scored_rows_again(day: Played) -> None:
    for symbol, date in day.lake.partitions(BOOK):
        skew = compare(day.lake, Cell(date, symbol))
        scores = sum(each.symbol == symbol for each in day.of(streams.SCORES, Score))
        assert (skew.problem, skew.rows, skew.differing) == ("", scores, 0)


def _reports(day: Played, kind: str) -> list[Report]:
    return [each for each in day.of(streams.REPORTS, Report) if each.kind == kind]
