"""The risk service from messages to outcomes, figures and halts, and across a kill in the middle."""

import math
import os
from pathlib import Path

import msgspec
import pytest

from bus.messages import ControlEvent, Judgement, Outcome, Verdict
from bus.streams import CONTROL, OUTCOMES, REPORTS, SCORES
from live.risk import Risk
from market.barriers import STOP, TARGET, TIMEOUT, UNRESOLVED
from tests.live.parts import START_NS, received
from tests.live.release_stage import CANARY, ReleaseStage
from tests.live.risk_market import MS, SECOND, InlineWorker, Stage, control, image, report, score, steady

DEFAULT_TICKS = 48
"""4.8 bps of 100,000 ticks."""


def _win(stage: Stage, at_ns: int, *, route: str = "paper", approved: bool = True, hit: bool = True) -> None:
    """One candidate that reaches its target (or its stop) within two seconds."""
    first = image(at_ns, 100_000, 100_001)
    stage.market(first)
    stage.say(score(first, route=route, approved=approved))  # type: ignore[arg-type]
    moved = 100 if hit else -100
    stage.market(
        image(at_ns + SECOND // 2, 100_000 + moved, 100_001 + moved),
        image(at_ns + 2 * SECOND, 100_000, 100_001),
    )


def test_a_candidate_is_judged_and_told_once(tmp_path: Path) -> None:
    """Target, gains, markouts and judgements are in one outcome, under the candidate's id."""
    stage = Stage(tmp_path)
    first = steady([0])[0]
    stage.market(first)
    stage.say(score(first))
    stage.say(score(first))
    for ms, mid in ((50, 100_010), (450, 100_020), (700, 100_100), (1_100, 100_050)):
        stage.market(image(START_NS + ms * MS, mid, mid + 1))
    (outcome,) = stage.outcomes()
    assert (outcome.candidate_id, outcome.outcome) == (f"BTCUSDT-{START_NS}", TARGET)
    assert outcome.exit_ns == START_NS + 700 * MS
    assert outcome.gross_bps == pytest.approx(9.9, abs=0.01)
    assert outcome.markouts_bps == pytest.approx([1.0, 2.0, 10.0], abs=0.01)
    assert [each.model_id for each in outcome.judgements] == ["m1"]
    assert stage.value("outcomes_total", route="paper", outcome="target") == 1
    assert stage.out.said[-1].message_id == outcome.candidate_id


def test_a_late_score_finds_its_rows_in_the_past(tmp_path: Path) -> None:
    """The scorer was slow: the outcome is the one it would have had."""
    stage = Stage(tmp_path)
    first = steady([0])[0]
    stage.market(first, image(START_NS + SECOND, 99_900, 99_901), image(START_NS + 3 * SECOND, 100_000, 100_001))
    stage.say(score(first))
    assert [each.outcome for each in stage.outcomes()] == [STOP]


def test_what_is_rejected_is_judged_too(tmp_path: Path) -> None:
    """No selection: but only approved candidates count for precision."""
    stage = Stage(tmp_path)
    _win(stage, START_NS, approved=False)
    assert [each.approved for each in stage.outcomes()] == [False]
    stage.pass_seconds(1)
    assert stage.value("precision") == 0.0 or stage.risk.status()["precision"] is None


def test_a_loss_leaves_open_candidates_unresolved(tmp_path: Path) -> None:
    """A hole in the collector's numbers that does not fill."""
    stage = Stage(tmp_path)
    first = steady([0])[0]
    stage.market(first)
    stage.say(score(first))
    stage.lose()
    stage.market(image(START_NS + SECOND, 100_500, 100_501), tick=False)
    stage.pass_seconds(3)
    stage.market(image(START_NS + 5 * SECOND, 100_500, 100_501))
    (outcome,) = stage.outcomes()
    assert outcome.outcome == UNRESOLVED
    assert all(math.isnan(value) for value in (outcome.gross_bps, *outcome.markouts_bps))


def test_kill_in_the_middle_and_nothing_is_lost_or_told_otherwise(tmp_path: Path) -> None:
    """A candidate open at the kill is judged by the rows its successor reads again; an ended one is told as it was."""
    stage = Stage(tmp_path)
    books = steady([0, 1, 2])
    stage.market(*books[:2])
    stage.say(score(books[0]))
    stage.say(score(books[1]))
    stage.market(image(START_NS + 1_500 * MS, 100_100, 100_101), image(START_NS + 1_900 * MS, 100_000, 100_001))
    (told,) = stage.outcomes()
    # Killed here: no stop(), and the last outcome never reached the stream.
    again = Stage(tmp_path)
    assert again.risk.status()["open_candidates"] == 1
    again.market(
        *books[:2], image(START_NS + 1_500 * MS, 100_100, 100_101), image(START_NS + 2_600 * MS, 99_000, 99_001)
    )
    again.pass_seconds(2.5)
    found = {each.candidate_id: each for each in again.outcomes()}
    assert found[told.candidate_id] == told
    assert found[f"BTCUSDT-{START_NS + SECOND}"].outcome == TARGET
    assert len(found) == len(again.outcomes()) == 2
    # Its score comes again, as it was not acknowledged: nothing is judged twice.
    again.say(score(books[0]))
    assert len(again.outcomes()) == 2


def test_a_restart_without_the_rows_in_between_leaves_it_unresolved(tmp_path: Path) -> None:
    """The stream no longer has the rows behind the entry: nobody can tell."""
    stage = Stage(tmp_path)
    first = steady([0])[0]
    stage.market(first)
    stage.say(score(first))
    again = Stage(tmp_path)
    again.market(*steady([30, 33], start_ns=START_NS))
    assert [each.outcome for each in again.outcomes()] == [UNRESOLVED]


def test_what_the_stream_shows_is_not_told_again(tmp_path: Path) -> None:
    """Own outcomes that come back at the start are known to be there."""
    stage = Stage(tmp_path)
    _win(stage, START_NS)
    (told,) = stage.outcomes()
    again = Stage(tmp_path)
    again.say(told)
    again.pass_seconds(3)
    assert again.outcomes() == []
    third = Stage(tmp_path)
    third.pass_seconds(3)
    assert third.outcomes() == [told]


def test_figures_reach_the_metrics_by_route(tmp_path: Path) -> None:
    """Precision, the canary's counts, win rate, fill rate, cancels, profit, markouts."""
    stage = Stage(tmp_path, {"risk": {"min_samples": 2}})
    stage.market(*steady([0]))
    for k, (route, hit) in enumerate([("paper", True), ("paper", False), ("canary", True), ("canary", True)]):
        _win(stage, START_NS + (10 + 5 * k) * SECOND, route=route, hit=hit)
    at_ns = START_NS + 40 * SECOND
    stage.market(image(at_ns, 100_000, 100_002))
    stage.say(report("filled", 1, filled=5, at_ns=at_ns, price=100_000))
    stage.say(report("canceled", 2, at_ns=at_ns))
    stage.say(report("closed", 1, net=2.5, at_ns=at_ns))
    stage.say(report("closed", 2, net=-1.0, at_ns=at_ns))
    stage.say(report("closed", 2, net=-1.0, at_ns=at_ns))
    stage.market(image(at_ns + 50 * MS, 100_010, 100_012), image(at_ns + 1_100 * MS, 100_020, 100_022))
    stage.pass_seconds(2)
    assert stage.value("precision") == 0.75
    assert stage.value("rolling_precision", route="paper") == 0.5
    assert (stage.value("sample_canary"), stage.value("winrate_canary")) == (2, 1.0)
    assert stage.value("winrate_rolling", route="paper") == 0.5
    assert stage.value("fill_rate_rolling", route="paper") == 0.5
    assert stage.value("cancel_to_fill_ratio", route="paper") == 1.0
    assert stage.value("pnl_quote", route="paper") == pytest.approx(1.5)
    assert stage.value("avg_markout_500ms", route="paper") == pytest.approx(1.0, abs=0.01)
    assert stage.value("trades_per_hour") == 1
    assert stage.value("brier_online") == pytest.approx((3 * 0.16 + 0.36) / 4)


def test_figures_that_matter_survive_a_restart(tmp_path: Path) -> None:
    """The day's profit, the canary's counts, precision and win rate; a redelivered closing counts once."""
    stage = Stage(tmp_path)
    _win(stage, START_NS, route="canary")
    closing = report("closed", 1, net=-5.0, route="canary")
    stage.say(closing)
    again = Stage(tmp_path)
    again.say(closing)
    again.pass_seconds(2)
    assert again.value("pnl_quote", route="canary") == -5.0
    assert again.value("sample_canary") == 1
    assert again.value("precision") == 1.0
    assert again.value("winrate_rolling", route="canary") == 0.0


def test_low_precision_halts_once_and_a_better_one_resumes(tmp_path: Path) -> None:
    """CRIT by the active model's signals, once an episode."""
    stage = Stage(tmp_path, {"risk": {"min_samples": 10, "window": 10}})
    stage.market(*steady([0]))
    for k in range(14):
        _win(stage, START_NS + 5 * (k + 1) * SECOND, hit=False)
    assert stage.calls() == [("HALT", "CRIT", "precision_halt")]
    assert stage.value("halted", reason="precision_halt") == 1
    for k in range(14, 20):
        _win(stage, START_NS + 5 * (k + 1) * SECOND)
    assert stage.calls()[1:] == [("RESUME", "INFO", "precision_halt")]
    assert stage.value("halted", reason="precision_halt") == 0


def test_a_days_loss_halts_until_the_next_day_restarts_included(tmp_path: Path) -> None:
    """Midnight ends it; a restart only says it again, without another CRIT."""
    stage = Stage(tmp_path, {"risk": {"max_loss": 100.0}})
    stage.say(report("closed", 1, net=-60.0))
    stage.say(report("closed", 2, net=-50.0))
    assert stage.calls() == [("HALT", "CRIT", "pnl_guard")]
    again = Stage(tmp_path, {"risk": {"max_loss": 100.0}})
    assert again.calls() == [("HALT", "WARN", "pnl_guard")]
    again.say(report("closed", 3, net=-1.0))
    assert len(again.calls()) == 1
    again.clock.advance(seconds=12 * 3_600)
    again.pass_seconds(2)
    assert ("RESUME", "INFO", "pnl_guard") in again.calls()
    assert again.value("pnl_quote", route="paper") == 0.0


def test_an_operators_resume_ends_halts_and_is_heard_once(tmp_path: Path) -> None:
    """The loss counts anew from there; our own words are not taken for an operator's."""
    stage = Stage(tmp_path, {"risk": {"max_loss": 100.0}})
    stage.say(report("closed", 1, net=-150.0))
    (event,) = stage.out.of(ControlEvent)
    stage.say(event)
    assert stage.value("halted", reason="pnl_guard") == 1
    stage.say(control("RESUME", "operator"))
    assert stage.value("halted", reason="pnl_guard") == 0
    stage.say(report("closed", 2, net=-90.0))
    assert len(stage.calls()) == 1
    again = Stage(tmp_path, {"risk": {"max_loss": 100.0}})
    assert again.calls() == []
    again.say(report("closed", 3, net=-20.0))
    assert again.calls() == [("HALT", "CRIT", "pnl_guard")]


def test_rollbacks_and_promotions_of_others_are_counted(tmp_path: Path) -> None:
    """Mode switches are the executor's to count."""
    stage = Stage(tmp_path)
    for event, reason in (("ROLLBACK", "winrate_delta"), ("PROMOTION", "operator"), ("MODE_SWITCH", "operator")):
        stage.say(control(event, reason))  # type: ignore[arg-type]
    assert stage.value("rollback_total", reason="winrate_delta") == 1
    assert stage.value("control_events_total", event="PROMOTION", severity="INFO") == 1
    stage.risk.handle(received(CONTROL, control("ROLLBACK", "winrate_delta", by="ai_scorer"), writer="ai_scorer"))
    assert stage.value("rollback_total", reason="winrate_delta") == 1
    assert stage.value("mode_switch_total", **{"from": "real", "to": "paper"}) is None


def test_a_full_disk_is_told_of_and_the_guards_go_on(tmp_path: Path) -> None:
    """Evidence is kept in memory from there on."""
    stage = Stage(tmp_path, {"risk": {"max_loss": 100.0}})
    reader = os.open(tmp_path / "risk.journal", os.O_RDONLY)
    stage.risk._evidence._file = reader
    stage.say(report("closed", 1, net=-150.0))
    assert stage.calls() == [("ALERT", "WARN", "journal_error"), ("HALT", "CRIT", "pnl_guard")]
    _win(stage, START_NS)
    assert [each.outcome for each in stage.outcomes()] == [TARGET]
    os.close(reader)


def test_it_reads_what_it_needs_and_says_how_it_stands(tmp_path: Path) -> None:
    """Scores and reports by group; a plain status."""
    stage = Stage(tmp_path)
    groups = {(each.stream, each.group) for each in stage.risk.subscriptions() if each.group}
    assert groups == {(SCORES, "risk"), (REPORTS, "risk")}
    assert OUTCOMES in {each.stream for each in stage.risk.subscriptions() if not each.group}
    status = stage.risk.status()
    assert (status["ready"], status["open_candidates"], status["halts"]) == (True, 0, [])
    stage.risk.stop()
    assert stage.worker.closed


def test_a_timeout_needs_a_row_behind_its_horizon(tmp_path: Path) -> None:
    """60 s later and untouched."""
    stage = Stage(tmp_path)
    books = steady([0, 30, 60, 61])
    stage.market(books[0])
    stage.say(score(books[0], -1))
    stage.market(*books[1:3])
    assert stage.outcomes() == []
    stage.market(books[3])
    (outcome,) = stage.outcomes()
    assert (outcome.outcome, outcome.exit_ns) == (TIMEOUT, START_NS + 60 * SECOND)
    assert isinstance(outcome, Outcome)


def test_it_is_built_with_a_thread_of_its_own_by_default(tmp_path: Path) -> None:
    """And gives it up."""
    risk = Risk(Stage(tmp_path).parts)
    risk.start()
    risk.stop()
    assert isinstance(InlineWorker().found(), list)


def test_a_canary_that_loses_is_fenced_by_what_risk_sees(tmp_path: Path) -> None:
    """From scores and the market alone: signals are resolved, mature and count; the verdict and the halt are said."""
    cards = ReleaseStage(tmp_path)
    cards.seat(active=1, shadow=2)
    cards.roll(1)
    stage = Stage(tmp_path, {"rollout": CANARY, "release": {"min_sample": 5, "seq_min_sample": 5}})
    stage.pass_seconds(1)
    for k in range(10):
        route, hit = ("canary", False) if k % 2 else ("paper", True)
        at_ns = START_NS + (10 + 5 * k) * SECOND
        first = image(at_ns, 100_000, 100_001)
        stage.market(first)
        scored = score(first, route=route)  # type: ignore[arg-type]
        judgements = [
            Judgement("active", "m1", 1, 0.4, 0.6, 0.5), Judgement("canary", "m2", 2, 0.4, 0.6, 0.5)
        ]  # fmt: skip
        stage.say(
            msgspec.structs.replace(scored, judgements=judgements, salt="seed:one", canary_fraction=0.5)
        )  # fmt: skip
        moved = 300 if hit else -300
        stage.market(
            image(at_ns + SECOND // 2, 100_000 + moved, 100_001 + moved),
            image(at_ns + 2 * SECOND, 100_000, 100_001),
        )
    assert [each.salt for each in stage.outcomes()] == ["seed:one"] * 10
    assert "HALT" not in {event for event, _, _ in stage.calls()}
    stage.pass_seconds(70)
    assert ("HALT", "WARN", "winrate_delta") in stage.calls()
    (said,) = {each.decision for each in stage.out.of(Verdict) if each.trial == "canary" and each.breaches}
    assert said == "roll_back"
    assert stage.risk.status()["trials"]["canary"]["decision"] == "roll_back"
    assert stage.value("gate_breached", trial="canary", gate="winrate_delta") == 1
