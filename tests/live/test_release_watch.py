"""Trials follow the mirror, verdicts follow the evidence, and what is found bad is halted at once."""

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from bus.messages import ControlEvent
from evaluation.drift_gate import DriftView, GatedFeature
from tests.live.release_stage import HORIZON_NS, SECOND, ReleaseStage, reasons, versions
from tests.live.risk_market import report

SOON = {"release": {"min_sample": 100, "shadow_min_candidates": 100, "execution_min_sample": 10}}


@pytest.fixture
def canary(tmp_path: Path) -> ReleaseStage:
    """Version 1 trades, version 2 is its canary with half of the signals."""
    stage = ReleaseStage(tmp_path, SOON)
    stage.seat(active=1, shadow=2)
    stage.roll(1)
    return stage.start()


def test_nothing_runs_before_there_is_a_version(tmp_path: Path) -> None:
    """Then the active version's trial begins, and says hold every five seconds."""
    stage = ReleaseStage(tmp_path).start()
    stage.pass_second(10)
    assert stage.out.said == []
    stage.seat(active=1)
    stage.pass_second(11)
    found = stage.verdicts("active")
    assert [each.decision for each in found] == ["hold"] * 3
    assert {(each.version, each.model_id, each.against) for each in found} == {(1, "m1", 0)}
    assert [b.at_ns - a.at_ns for a, b in pairwise(found)] == [5 * SECOND] * 2
    assert stage.verdicts("shadow") == stage.verdicts("canary") == []


def test_a_canary_that_is_much_worse_is_fenced_and_stays_fenced(canary: ReleaseStage) -> None:
    """By the label bet, long before min_sample; the fence holds until the registry has moved on."""
    canary.routed(200, canary=0.1, active=0.9)
    said = canary.last("canary")
    assert (said.decision, said.version, said.against, said.salt, said.epoch) == ("roll_back", 2, 1, "one", 1)
    assert "winrate_seq" in reasons(said)
    assert said.numbers["winrate_canary"] < 0.2
    assert said.numbers["winrate_baseline_active"] > 0.8
    assert canary.halts() == [("HALT", "WARN", reasons(said)[0], "canary")]
    canary.routed(50, canary=0.9, active=0.9)
    canary.pass_second(6)
    assert canary.last("canary").numbers == said.numbers
    assert canary.last("canary").at_ns > said.at_ns
    canary.roll(2, mode="disabled", fraction=0.0)
    canary.pass_second()
    assert canary.halts()[1:] == [("RESUME", "INFO", reasons(said)[0], "canary")]
    assert len(canary.logs("*canary*.ended.log")) == 1


def test_a_ramp_that_crosses_the_fence_does_not_let_the_canary_on(canary: ReleaseStage) -> None:
    """ai_scorer forgets a fence with the epoch; the same canary is fenced anew."""
    canary.routed(200, canary=0.1, active=0.9)
    canary.roll(2, fraction=0.25)
    canary.pass_second()
    assert [each[0] for each in canary.halts()] == ["HALT", "HALT"]
    assert canary.last("canary").decision == "roll_back"


def test_a_good_canary_passes_and_its_metrics_say_so(canary: ReleaseStage) -> None:
    """Evidence, sample, gap and budget."""
    canary.routed(3_000, canary=0.7, active=0.5)
    canary.pass_second(5)
    assert canary.last("canary").decision == "promote"
    value = canary.parts.metrics.registry.get_sample_value
    assert value("release_decision", {"trial": "canary", "decision": "promote"}) == 1.0
    assert value("release_decision", {"trial": "canary", "decision": "hold"}) == 0.0
    assert value("release_sample", {"trial": "canary"}) == canary.last("canary").numbers["sample_canary"]
    assert value("release_evidence", {"trial": "canary", "test": "not_worse"}) == pytest.approx(
        canary.last("canary").numbers["evidence_not_worse"]
    )
    assert value("release_evidence_limit", {"trial": "canary", "test": "worse"}) == pytest.approx(50.0)
    low, mean, high = (value("release_gap", {"bound": bound}) for bound in ("low", "mean", "high"))
    assert low is not None and mean is not None and high is not None
    assert low < mean < high and 0.1 < mean < 0.3
    assert canary.halts() == []


def test_only_the_canarys_own_draws_count(canary: ReleaseStage) -> None:
    """Candidates routed by another salt, or before there was a canary, are no evidence."""
    canary.routed(100, canary=0.1, active=0.9, salt="seed:other")
    canary.ended(canary.outcome(won=True, probabilities={1: 0.6, 2: 0.6}))
    canary.mature()
    canary.pass_second(5)
    assert canary.last("canary").numbers["candidates"] == 0


def test_fast_ends_wait_for_the_slow(canary: ReleaseStage) -> None:
    """An outcome counts when its horizon is over, not when it is known."""
    for _ in range(10):
        canary.ended(canary.outcome(won=True, probabilities={1: 0.6, 2: 0.6}))
    canary.pass_second(30)
    assert canary.last("active").numbers["candidates"] == 0
    canary.mature()
    canary.pass_second(5)
    assert canary.last("active").numbers["candidates"] == 10


def test_a_shadow_that_scores_worse_is_said_and_halts_nobody(tmp_path: Path) -> None:
    """It trades nothing."""
    stage = ReleaseStage(tmp_path, SOON | {"rollout": {"mode": "disabled"}})
    stage.seat(active=1, shadow=2)
    stage.start()
    for k in range(300):
        stage.clock.advance(ns=HORIZON_NS)
        stage.ended(stage.outcome(won=bool(k % 2), probabilities={1: 0.9 if k % 2 else 0.1, 2: 0.5}))
    stage.mature()
    said = stage.last("shadow")
    assert (said.decision, reasons(said)[0], said.against) == ("roll_back", "shadow_quality", 1)
    assert stage.halts() == []
    assert stage.verdicts("canary") == []


def test_a_promoted_version_is_watched_beside_the_one_before(tmp_path: Path) -> None:
    """No shadow's trial then: the slot holds the control. Worse than it is CRIT, until the version has changed."""
    stage = ReleaseStage(tmp_path, {"release": {"detector_threshold": 1_000.0}})
    stage.seat(active=2, shadow=1, previous=1)
    stage.start()
    for k in range(600):
        stage.clock.advance(ns=HORIZON_NS)
        stage.ended(stage.outcome(won=bool(k % 2), probabilities={2: 0.5, 1: 0.9 if k % 2 else 0.1}))
    stage.mature()
    said = stage.last("active")
    assert (said.decision, reasons(said)[0], said.version, said.against) == ("roll_back", "post_promotion", 2, 1)
    assert stage.halts() == [("HALT", "CRIT", "post_promotion", "")]
    assert stage.verdicts("shadow") == []
    stage.seat(active=1, shadow=0, previous=0)
    stage.pass_second()
    assert stage.halts()[1:] == [("RESUME", "INFO", "post_promotion", "")]
    assert stage.last("active").version == 1
    assert versions(stage.verdicts("active")) == {1, 2}


@pytest.mark.parametrize(("version", "trials"), [(1, {"active"}), (2, {"shadow", "canary"}), (12, set())])
def test_a_parity_failure_withdraws_at_once(canary: ReleaseStage, version: int, trials: set[str]) -> None:
    """ai_scorer names the bundle that failed its golden rows."""
    event = ControlEvent("ALERT", "WARN", "parity", f"v{version}-0a1b", "model_error", "ai_scorer", 0, "", "", "")
    canary.release.on_control(event)
    bad = {each.trial for each in canary.verdicts("active") + canary.verdicts("canary") + canary.verdicts("shadow")
           if each.decision == "roll_back"}  # fmt: skip
    assert bad == trials
    assert {each[2] for each in canary.halts()} == ({"onnx_parity_fail"} if trials else set())


def _view(at_ns: int, since_ns: int, *, armed: bool = True) -> DriftView:
    feature = GatedFeature("spread_bps", 0.4, 0.1, 0.3, 0.2, 500.0 if armed else 90.0, armed, since_ns, "warn")
    return DriftView(at_ns, 2_000, 86_400.0, 86_400.0, (feature,))


def test_drift_withdraws_after_its_time_and_only_where_it_is_armed(tmp_path: Path) -> None:
    """30 minutes over the line, named by its feature; not armed it says nothing."""
    stage = ReleaseStage(tmp_path)
    stage.seat(active=1)
    stage.start()
    since_ns = stage.clock.wall_ns()
    stage.release.on_drift(_view(since_ns, since_ns, armed=False), "m1")
    stage.clock.advance(seconds=1_801.0)
    stage.pass_second(5)
    assert stage.last("active").decision == "hold"
    assert stage.last("active").numbers["drift_armed"] == 0
    stage.release.on_drift(_view(since_ns, since_ns), "m1")
    stage.pass_second(5)
    assert stage.halts() == []  # nobody has looked for half an hour
    stage.release.on_drift(_view(stage.clock.wall_ns(), since_ns), "m1")
    stage.pass_second()
    assert stage.halts() == [("HALT", "CRIT", "psi_feature_spread_bps", "")]
    assert stage.parts.metrics.registry.get_sample_value(
        "gate_breached", {"trial": "active", "gate": "psi_feature"}
    ) == 1.0  # fmt: skip


def test_drift_withdraws_the_canary_first_and_the_active_version_by_a_time_of_its_own(canary: ReleaseStage) -> None:
    """It lies in the data: both at once would be two rollbacks for one cause."""
    since_ns = canary.clock.wall_ns()
    canary.clock.advance(seconds=1_801.0)
    canary.release.on_drift(_view(canary.clock.wall_ns(), since_ns), "m1")
    canary.pass_second(10)
    assert canary.halts() == [("HALT", "WARN", "psi_feature_spread_bps", "canary")]
    assert canary.last("active").numbers["drift_over"] == 1.0
    canary.roll(2, mode="disabled", fraction=0.0)
    canary.seat(shadow=0)
    canary.pass_second(2)
    canary.clock.advance(seconds=1_700.0)
    canary.release.on_drift(_view(canary.clock.wall_ns(), since_ns), "m1")
    canary.pass_second(2)
    assert [each[1:] for each in canary.halts()[1:]] == [("INFO", "psi_feature_spread_bps", "canary")]
    canary.clock.advance(seconds=110.0)
    canary.release.on_drift(_view(canary.clock.wall_ns(), since_ns), "m1")
    canary.pass_second(2)
    assert canary.halts()[2:] == [("HALT", "CRIT", "psi_feature_spread_bps", "")]


def test_drift_against_another_versions_card_says_nothing_of_the_one_that_comes_back(tmp_path: Path) -> None:
    """Until the next look the view is of the version that was withdrawn; the one before would fall by it at once."""
    stage = ReleaseStage(tmp_path)
    stage.seat(active=2, previous=1)
    stage.start()
    view = _view(stage.clock.wall_ns(), stage.clock.wall_ns() - 1_801 * SECOND)
    stage.release.on_drift(view, "m2")
    stage.pass_second()
    assert stage.last("active").decision == "roll_back"
    stage.seat(active=1, previous=0)
    stage.pass_second(10)
    assert (stage.last("active").version, stage.last("active").decision) == (1, "hold")


def test_a_gate_that_only_watches_is_shown_and_decides_nothing(tmp_path: Path) -> None:
    """release.observe."""
    stage = ReleaseStage(tmp_path, {"release": {"observe": ["onnx_parity_fail"]}})
    stage.seat(active=1)
    stage.start()
    stage.release.on_control(
        ControlEvent("ALERT", "CRIT", "parity", "v1-0a1b", "model_error", "ai_scorer", 0, "", "", "")
    )
    said = stage.last("active")
    assert (said.decision, [each.reason for each in said.observed]) == ("hold", ["onnx_parity_fail"])
    assert stage.halts() == []


def test_entries_over_the_release_befores_p95_withdraw(tmp_path: Path) -> None:
    """The card of the version before promises 120 an hour; 1.5 times that is the line."""
    stage = ReleaseStage(tmp_path)
    stage.seat(active=2, previous=1)
    stage.start()
    stage.pass_second(entries=180.0)
    assert stage.halts() == []
    stage.pass_second(entries=181.0)
    assert stage.halts() == [("HALT", "CRIT", "throughput", "")]


def test_a_version_that_comes_back_does_not_answer_for_the_entries_of_the_one_before(tmp_path: Path) -> None:
    """They stay in the hour that is looked at: by them it would fall in the second in which it came back."""
    stage = ReleaseStage(tmp_path)
    stage.seat(active=2, previous=1)
    stage.start()
    entered = [stage.clock.wall_ns()] * 500

    def pass_second() -> None:
        stage.clock.advance(seconds=1.0)
        stage.release.each_second(lambda since_ns: sum(at >= since_ns for at in entered), lambda _: 0.1)

    pass_second()
    assert stage.halts() == [("HALT", "CRIT", "throughput", "")]
    stage.seat(active=1, previous=0)
    for _ in range(10):
        pass_second()
    assert (stage.last("active").version, stage.last("active").decision) == (1, "hold")
    entered += [stage.clock.wall_ns()] * 181
    pass_second()
    assert stage.last("active").decision == "roll_back"


def test_orders_count_for_the_route_they_were_drawn_to(canary: ReleaseStage) -> None:
    """Fills and markouts of the canary against its floors; real orders beside paper ones are not compared."""
    for k in range(40):
        found = canary.outcome(won=True, probabilities={1: 0.6, 2: 0.6}, salt="seed:one", fraction=0.5)
        canary.release._draws.add(found.candidate_id, "seed:one", 0.5)
        route = "canary" if k % 2 else "paper"
        filled = msgspec.structs.replace(
            report("filled", k, route=route, filled=1, order=str(k)),  # type: ignore[arg-type]
            approval_id=found.candidate_id, is_real=k >= 20 and route == "canary",
        )  # fmt: skip
        canary.release.on_report(filled)
        canary.release.on_fill(filled)
        canary.release.on_markout((filled.id, filled.route), -3.0 if route == "canary" else 1.0)
    canary.pass_second()
    said = canary.last("canary")
    assert (said.numbers["fill_rate"], said.numbers["fill_orders"]) == (1.0, 20.0)
    assert (said.numbers["markout_bps"], said.numbers["markout_fills"]) == (-3.0, 20.0)
    assert said.decision == "roll_back" and reasons(said) == ["markout"]
    assert canary.halts() == [("HALT", "WARN", "markout", "canary")]
    assert said.numbers["evidence_worse_markout"] > 1.0


def test_a_persons_resume_is_judged_anew(canary: ReleaseStage) -> None:
    """What is still beyond its limit halts again, what is not goes on."""
    canary.release.on_control(
        ControlEvent("ALERT", "WARN", "parity", "v1-0a1b", "model_error", "ai_scorer", 0, "", "", "")
    )
    assert [each[0] for each in canary.halts()] == ["HALT"]
    canary.clock.advance(seconds=601.0)
    canary.pass_second()
    assert canary.last("active").decision == "roll_back"
    event = ControlEvent("RESUME", "INFO", "", "", "onnx_parity_fail", "operator:anna", 0, "", "", "")
    canary.watch.resumed(event)
    canary.release.on_control(event)
    canary.pass_second()
    assert canary.last("active").decision == "hold"
    assert [each[0] for each in canary.halts()] == ["HALT"]


@pytest.mark.parametrize(("delta", "alerts"), [(5.0, 0), (2.0, 1)])
def test_a_rule_that_withdraws_too_many_good_canaries_is_told_of_at_the_start(
    tmp_path: Path, delta: float, alerts: int
) -> None:
    """By the tabulated rate at the share that the canary may have."""
    release = {"winrate_delta_pp": delta, "false_rollback_budget": 0.05}
    stage = ReleaseStage(tmp_path, {"release": release, "rollout": {"canary_fraction": 0.1}})
    stage.start()
    found = stage.events("ALERT")
    assert [(each.severity, each.reason) for each in found] == [("WARN", "winrate_delta")] * alerts
    assert all("raise one of them" in each.text for each in found)


def test_a_version_that_comes_back_does_not_answer_for_the_one_before_it(tmp_path: Path) -> None:
    """The candidates that took the one down are not counted again; the guard judges the other by its own."""
    stage = ReleaseStage(tmp_path, {"risk": {"min_samples": 20, "window": 20, "precision_floor": 0.4}})
    stage.seat(active=2, previous=1)
    stage.start()
    judged(stage, won=False)
    stage.pass_second()
    assert (stage.last("active").decision, reasons(stage.last("active"))) == ("roll_back", ["precision_halt"])
    stage.seat(active=1, previous=0)
    stage.pass_second(6)
    said = stage.last("active")
    assert (said.version, said.decision, said.breaches) == (1, "hold", [])
    assert stage.halts()[-1] == ("RESUME", "INFO", "precision_halt", "")
    judged(stage, won=True, count=10)
    stage.pass_second(6)
    assert stage.last("active").decision == "hold"
    judged(stage, won=False)
    stage.pass_second()
    assert (stage.last("active").version, stage.last("active").decision) == (1, "roll_back")


def test_a_halt_of_the_version_before_is_no_evidence_on_the_next(tmp_path: Path) -> None:
    """It goes on to hold, until a person resumes or the next one has shown better."""
    observe = {"release": {"observe": ["precision_halt"]}}
    stage = ReleaseStage(tmp_path, {"risk": {"min_samples": 20, "window": 20, "precision_floor": 0.4}, **observe})
    stage.seat(active=2, previous=1)
    stage.start()
    judged(stage, won=False)
    stage.pass_second()
    assert [each.reason for each in stage.last("active").observed] == ["precision_halt"]
    stage.seat(active=1, previous=0)
    stage.pass_second(6)
    assert (stage.last("active").version, stage.last("active").observed) == (1, [])
    assert [each[0] for each in stage.halts()] == ["HALT"]
    judged(stage, won=True)
    assert [each[0] for each in stage.halts()] == ["HALT", "RESUME"]


def judged(stage: ReleaseStage, *, won: bool, count: int = 20) -> None:
    """So many approved candidates have ended."""
    for _ in range(count):
        stage.watch.on_judged("paper", won)
