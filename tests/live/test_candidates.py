"""From score to outcome over several symbols, with the journal as the only memory."""

import math

import msgspec
import pytest

from bus.messages import BookStatus
from live.candidates import Candidates
from live.evidence import Ended, Folded, Opened, Record
from live.market_feed import Lost
from market.barriers import STOP, TARGET, UNRESOLVED, BarrierRule
from market.columns import BOOK_RESET
from market.events import NO_BID_TICKS
from market.symbols import SymbolTable
from tests.live.parts import ROOT, START_NS
from tests.live.risk_market import MS, SECOND, image, score

TABLE = SymbolTable.load(ROOT / "data/reference/symbols.yml")
RULE = BarrierRule(tp_pct=0.001, sl_pct=0.001, horizon_seconds=30.0)


class Kept:
    """Candidates of two symbols, and the records they kept."""

    def __init__(self, folded: Folded | None = None) -> None:
        self.records: list[Record] = []
        self.folded = folded or Folded()
        symbols = {name: TABLE[name] for name in ("BTCUSDT", "ETHUSDT")}
        self.of = Candidates(symbols, 60.0, self.folded, self._keep)

    def _keep(self, record: Record) -> None:
        self.records.append(record)
        self.folded.take(record)


def test_a_candidate_is_on_the_journal_before_it_is_followed_and_its_end_before_it_is_told() -> None:
    """Opened, then Ended with the very outcome that is returned."""
    kept = Kept()
    first = image(START_NS, 100_000, 100_001)
    kept.of.see(first)
    assert kept.of.take(score(first), RULE) == []
    assert kept.of.see(image(START_NS + SECOND // 2, 100_200, 100_201)).outcomes == []
    (outcome,) = kept.of.see(image(START_NS + 2 * SECOND, 100_000, 100_001)).outcomes
    assert [type(record) for record in kept.records] == [Opened, Ended]
    assert kept.records[1] == Ended(outcome)
    assert (outcome.outcome, len(kept.of)) == (TARGET, 0)
    assert outcome.gross_bps == pytest.approx(19.9, abs=0.01)
    assert outcome.net_bps < outcome.gross_bps


def test_an_outcome_carries_the_draw_its_route_was_decided_by() -> None:
    """Share and salt of its score, also when it was open across a restart."""
    kept = Kept()
    first = image(START_NS, 100_000, 100_001)
    kept.of.see(first)
    kept.of.take(msgspec.structs.replace(score(first, route="canary"), canary_fraction=0.25, salt="s:1"), RULE)
    again = Kept(kept.folded)
    again.of.restore()
    again.of.see(first)
    again.of.see(image(START_NS + SECOND // 2, 100_200, 100_201))
    (outcome,) = again.of.see(image(START_NS + 2 * SECOND, 100_000, 100_001)).outcomes
    assert (outcome.canary_fraction, outcome.salt) == (0.25, "s:1")


def test_a_repeated_score_changes_nothing_open_or_ended() -> None:
    """Known by its id."""
    kept = Kept()
    first = image(START_NS, 100_000, 100_001)
    kept.of.see(first)
    kept.of.take(score(first), RULE)
    kept.of.take(score(first), RULE)
    assert len(kept.of) == len(kept.records) == 1
    kept.of.see(image(START_NS + 2 * SECOND, 99_000, 99_001))
    assert kept.of.take(score(first), RULE) == []
    assert len(kept.records) == 2


def test_symbols_do_not_touch_one_another() -> None:
    """A loss on one leaves the other's candidates alone; unknown ones are nobody's."""
    kept = Kept()
    books = [image(START_NS, 100_000, 100_001, symbol=name) for name in ("BTCUSDT", "ETHUSDT")]
    for book in books:
        kept.of.see(book)
        kept.of.take(score(book), RULE)
    kept.of.see(Lost("ETHUSDT", 1, 2))
    later = [image(START_NS + 2 * SECOND, 99_000, 99_001, symbol=book.symbol) for book in books]
    outcomes = [outcome for book in later for outcome in kept.of.see(book).outcomes]
    assert [outcome.outcome for outcome in outcomes] == [STOP, UNRESOLVED]
    assert kept.of.take(score(image(START_NS, 1, 2, symbol="DOGEUSDT")), RULE) == []


@pytest.mark.parametrize(("state", "outcome"), [("gap", UNRESOLVED), ("syncing", UNRESOLVED), ("stale", STOP)])
def test_a_book_that_is_not_live_breaks_the_path(state: str, outcome: int) -> None:
    """A stale one is only silent, which its length will tell."""
    kept = Kept()
    first = image(START_NS, 100_000, 100_001, flags=BOOK_RESET)
    kept.of.see(first)
    kept.of.take(score(first), RULE)
    kept.of.see(BookStatus("BTCUSDT", state, "", 0, 0, START_NS + SECOND))  # type: ignore[arg-type]
    (found,) = kept.of.see(image(START_NS + 2 * SECOND, 99_000, 99_001)).outcomes
    assert found.outcome == outcome


def test_a_half_book_is_no_entry() -> None:
    """There is nothing to wait for, and no mid for markouts."""
    kept = Kept()
    first = image(START_NS, 100_000, 100_001)
    kept.of.see(first)
    (outcome,) = kept.of.take(msgspec.structs.replace(score(first), bid_ticks=NO_BID_TICKS), RULE)
    assert outcome.outcome == UNRESOLVED
    assert all(math.isnan(value) for value in outcome.markouts_bps)


def test_what_was_open_is_followed_by_the_rule_it_was_opened_with() -> None:
    """Another label may be active by now; a symbol that is gone leaves its candidates unresolved."""
    kept = Kept()
    first = image(START_NS, 100_000, 100_001)
    kept.of.see(first)
    kept.of.take(score(first), BarrierRule(tp_pct=0.01, sl_pct=0.01, horizon_seconds=30.0))
    gone = msgspec.structs.replace(kept.records[0], id="gone", symbol="DOGEUSDT")
    again = Kept()
    for record in (kept.records[0], gone):
        again.folded.take(record)
    assert [(each.candidate_id, each.outcome) for each in again.of.restore()] == [("gone", UNRESOLVED)]
    again.of.see(first)
    again.of.see(image(START_NS + SECOND, 99_500, 99_501))
    assert len(again.of) == 1
    (outcome,) = again.of.see(image(START_NS + 2 * SECOND, 98_500, 98_501)).outcomes
    assert outcome.outcome == STOP


def test_fills_are_measured_by_the_same_rows() -> None:
    """By report and route; a symbol that is not ours has no rows."""
    kept = Kept()
    kept.of.see(image(START_NS, 100_000, 100_002))
    assert kept.of.ask_fill("BTCUSDT", ("r1", "full"), START_NS, -1) == []
    kept.of.see(image(START_NS + 50 * MS, 100_010, 100_012))
    ((key, values),) = kept.of.see(image(START_NS + 1_100 * MS, 100_010, 100_012)).fills
    assert key == ("r1", "full")
    assert values == pytest.approx([-1.0, -1.0, -1.0], abs=0.001)
    assert kept.of.ask_fill("DOGEUSDT", ("r2", "full"), START_NS, 1) == []
