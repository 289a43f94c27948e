"""The scorer: every candidate judged once by one active model, whatever happens to models, rollout and process."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from bus.messages import Approval, Candidate, ControlEvent, Score
from bus.streams import APPROVED, CANDIDATES, CONTROL, SCORES, VERDICTS
from live.ai_scorer import LOOK_NS, AiScorer
from live.clock import ManualClock
from live.routing import route_of
from live.service import Parts
from live.worker import Task, at_once
from market.feature_spec import FEATURE_NAMES, N_COLUMNS
from registry.bundle import GOLDEN_FILE, MODEL_FILE
from registry.rollout import RolloutState, write
from tests.live.mirrors import Models, candidate, row
from tests.live.parts import START_NS, RecordingOutput, parts, received

SECOND_NS = 1_000_000_000
CANARY = {"mode": "canary", "canary_fraction": 0.5, "seed": "s"}


@dataclass
class Live:
    """A scorer with its parts."""

    scorer: AiScorer
    parts: Parts

    @property
    def out(self) -> RecordingOutput:
        """What it said."""
        assert isinstance(self.parts.out, RecordingOutput)
        return self.parts.out

    def turn(self, ns: int = LOOK_NS) -> None:
        """Let time pass and tick."""
        assert isinstance(self.parts.clock, ManualClock)
        self.parts.clock.advance(ns=ns)
        self.scorer.tick()

    def give(self, body: Candidate) -> None:
        """Hand over a candidate 2 ms after the market it was seen in."""
        assert isinstance(self.parts.clock, ManualClock)
        self.parts.clock.advance_to(body.local_ns + 2_000_000)
        self.scorer.handle(received(CANDIDATES, body, published_ns=body.local_ns + 1_000_000))

    def hear(
        self, event: str, route: str = "", at_ns: int = 0, reason: str = "winrate_delta", signal_ns: int = 0
    ) -> None:
        """Hand over a control event; `signal_ns` is the arrival of what it is about."""
        body = ControlEvent(event, "WARN", "", "", reason, "risk", at_ns or self.parts.clock.wall_ns(), "", route, "")  # type: ignore[arg-type]
        found = received(CONTROL, body)
        self.scorer.handle(found._replace(header=found.header._replace(received_ns=signal_ns)))

    def told(self, severity: str) -> list[str]:
        """The texts of its alerts."""
        return [each.text for each in self.out.of(ControlEvent) if each.severity == severity]

    def metric(self, name: str, **labels: str) -> float | None:
        """One value of /metrics."""
        return self.parts.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """An empty store and an empty mirror."""
    return Models(tmp_path / "store", tmp_path / "mirror")


@pytest.fixture
def begin(tmp_path: Path, models: Models) -> Callable[..., Live]:
    """A starter of scorers on the mirror; sections are the configuration's."""

    def start(run: Callable[[Task], None] = at_once, **sections: dict[str, Any]) -> Live:
        registry = {"mirror": str(models.root)}
        made_of = parts(tmp_path, {"registry": registry, **sections})
        live = Live(AiScorer(made_of, run, perf=lambda: 0), made_of)
        live.scorer.start()
        return live

    return start


def test_every_candidate_gets_a_score_and_the_good_ones_an_approval(models: Models, begin: Callable[..., Live]) -> None:
    """Scores hold the row that was scored; approvals are those above tau_entry, told under the candidate's id."""
    models.put("active", 1, tau=0.5)
    live = begin()
    for number in range(50):
        live.give(candidate(number))
    scores, approvals = live.out.of(Score), live.out.of(Approval)
    assert [each.candidate_id for each in scores] == [candidate(k).id for k in range(50)]
    assert [each.row for each in scores] == [row(k).tobytes() for k in range(50)]
    good = [each for each in scores if each.judgements[0].probability >= 0.5]
    assert [each.id for each in approvals] == [each.candidate_id for each in good if each.approved]
    assert 5 < len(approvals) < 45
    assert {each.stream for each in live.out.said} == {SCORES, APPROVED}
    assert all(each.message_id in {c.id for c in map(candidate, range(50))} for each in live.out.said)
    assert live.metric("scores_total", slot="active") == live.metric("model_score_count", slot="active") == 50
    low = [each for each in scores if each.judgements[0].probability <= 0.5]
    assert live.metric("model_score_bucket", slot="active", le="0.5") == len(low)
    assert live.metric("approvals_total", symbol="BTCUSDT", route="paper") == len(approvals)


def test_without_an_active_model_nothing_is_scored(models: Models, begin: Callable[..., Live]) -> None:
    """It is not ready, says so once, and is there as soon as a model is."""
    models.put("shadow", 2)
    live = begin()
    live.give(candidate(0))
    assert live.out.of(Score) == []
    assert live.metric("score_refused_total", reason="no_model") == 1
    status = live.scorer.status()
    assert (status["ready"], "no active model" in status["text"]) == (False, True)
    assert len(live.told("WARN")) == 1
    models.put("active", 1)
    live.turn()
    live.give(candidate(1))
    assert [each.candidate_id for each in live.out.of(Score)] == [candidate(1).id]
    assert live.scorer.status()["ready"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"row": row()[:-1].tobytes()}, "width"),
        ({"rule_id": "every-tick"}, "rule"),
        ({"schema_hash": "5c" * 32}, "schema"),
        ({"symbol": "DOGEUSDT"}, "symbol"),
    ],
)
def test_what_is_not_ours_is_counted_and_not_scored(
    models: Models, begin: Callable[..., Live], changes: dict[str, Any], reason: str
) -> None:
    """No score, no approval, no exception: the stream moves on."""
    models.put("active", 1, tau=0.0)
    live = begin()
    live.give(msgspec.structs.replace(candidate(), **changes))
    assert live.out.said == []
    assert live.metric("score_refused_total", reason=reason) == 1
    assert live.scorer.status()["refused"] == {reason: 1}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("feature", [0, len(FEATURE_NAMES) - 1])
def test_a_feature_that_is_no_number_is_counted_by_name(
    models: Models, begin: Callable[..., Live], value: float, feature: int
) -> None:
    """And nothing is scored; the context columns are not the model's."""
    models.put("active", 1, tau=0.0)
    live = begin()
    for at in (feature, N_COLUMNS - 1):
        bad = row()
        bad[at] = value
        live.give(candidate(at, row=bad.tobytes()))
    assert live.metric("score_refused_total", reason="not_finite") == 1
    assert live.metric("feature_not_finite_total", feature=FEATURE_NAMES[feature]) == 1
    assert len(live.out.of(Score)) == 1


def test_an_old_candidate_is_refused(models: Models, begin: Callable[..., Live]) -> None:
    """Whatever the model would say."""
    models.put("active", 1, tau=0.0)
    live = begin()
    live.turn(3 * SECOND_NS)
    live.give(candidate(1, local_ns=START_NS + SECOND_NS))
    assert live.out.said == []
    assert live.metric("score_refused_total", reason="stale") == 1


def test_a_swap_between_any_two_messages_loses_and_doubles_nothing(models: Models, begin: Callable[..., Live]) -> None:
    """At every boundary the other version is put in: each candidate is scored once, by the one that stood then."""
    models.put("active", 1)
    models.put("previous", 2)
    live = begin()
    for number in range(20):
        models.put("active", 1 + number % 2)
        live.turn()
        live.give(candidate(number))
    scores = live.out.of(Score)
    assert [each.candidate_id for each in scores] == [candidate(k).id for k in range(20)]
    assert [[j.version for j in each.judgements] for each in scores] == [[1 + k % 2] for k in range(20)]
    assert live.metric("model_swaps_total", slot="active") == 21
    assert live.metric("model_info", slot="active", model_id=models.id(2), version="2") == 1
    assert live.metric("model_info", slot="active", model_id=models.id(1), version="1") == 0


@budget(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["candidate", "again", "turn", "load", "tick"]), max_size=40))
def test_however_loading_and_messages_interleave(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    """Loads finish whenever they do: each candidate has one score, one active judgement, by a version of its time."""
    root = tmp_path_factory.mktemp("interleaved")
    models = Models(root / "store", root / "mirror")
    models.put("active", 1)
    tasks: list[Task] = []
    made_of = parts(root, {"registry": {"mirror": str(models.root)}})
    live = Live(AiScorer(made_of, tasks.append), made_of)
    live.scorer.start()
    number, wanted = 0, 1
    for step in steps:
        if step == "candidate":
            live.give(candidate(number))
            number += 1
        elif step == "again" and number:
            live.give(candidate(number - 1))
        elif step == "turn":
            wanted += 1
            models.put("active", 1 + wanted % 2)
        elif step == "load" and tasks:
            tasks.pop(0)()
        else:
            live.turn()
    scores = live.out.of(Score)
    assert [each.candidate_id for each in scores] == [candidate(k).id for k in range(number)]
    assert all([j.slot for j in each.judgements] == ["active"] for each in scores)
    approvals = {each.id: each.version for each in live.out.of(Approval)}
    assert approvals == {each.candidate_id: each.judgements[0].version for each in scores if each.approved}


def test_a_damaged_shadow_stops_nobody(models: Models, begin: Callable[..., Live]) -> None:
    """WARN: what trades is not in doubt."""
    models.put("active", 1, tau=0.0)
    live = begin()
    path = models.put("shadow", 2) / MODEL_FILE
    path.write_bytes(path.read_bytes()[:-1])
    live.turn()
    live.give(candidate(0))
    assert (len(live.told("WARN")), live.told("CRIT")) == (1, [])
    assert live.metric("model_swap_refused_total", slot="shadow", reason="corrupt") == 1
    assert len(live.out.of(Approval)) == 1


@pytest.mark.parametrize(("name", "reason"), [(MODEL_FILE, "corrupt"), (GOLDEN_FILE, "corrupt")])
def test_a_damaged_bundle_is_refused_once_said_and_the_old_one_stays(
    models: Models, begin: Callable[..., Live], name: str, reason: str
) -> None:
    """CRIT once a bundle, however often it is tried; candidates go on under the version before."""
    models.put("active", 1, tau=0.0)
    live = begin()
    path = models.put("active", 2) / name
    path.write_bytes(path.read_bytes()[:-1])
    live.turn()
    link = models.root / "active"
    target = link.readlink()
    link.unlink()
    link.symlink_to(target)
    live.turn()
    live.give(candidate(0))
    assert live.metric("model_swap_refused_total", slot="active", reason=reason) == 2
    assert len(live.told("CRIT")) == 1
    assert path.parent.name in live.told("CRIT")[0]
    assert live.out.of(Score)[0].judgements[0].version == 1
    assert live.scorer.status()["ready"]


def test_a_start_needs_no_registry(models: Models, begin: Callable[..., Live]) -> None:
    """Mirror and checksum alone; no MLflow is imported by anything here."""
    models.put("active", 1)
    models.put("shadow", 2)
    status = begin(registry={"mirror": str(models.root), "tracking_uri": "http://127.0.0.1:9"}).scorer.status()
    assert {slot: each["version"] for slot, each in status["models"].items()} == {"active": 1, "shadow": 2}


def test_a_canary_routes_and_decides_by_the_shadow(models: Models, begin: Callable[..., Live]) -> None:
    """The routes are those of the hash; target and realized share are shown."""
    models.put("active", 1)
    models.put("shadow", 2)
    live = begin(rollout=CANARY)
    for number in range(100):
        live.give(candidate(number))
    scores = live.out.of(Score)
    rollout = live.scorer._rollout
    assert [each.route for each in scores] == [route_of(candidate(k).id, rollout) for k in range(100)]
    share = sum(each.route == "canary" for each in scores) / 100
    assert 0.3 < share < 0.7
    assert live.metric("canary_fraction_target") == 0.5
    assert live.metric("canary_fraction_realized") == share
    assert {each.route: each.version for each in live.out.of(Approval)} == {"canary": 2, "paper": 1}
    assert live.metric("scores_total", slot="canary") == 100
    assert live.metric("model_info", slot="canary", model_id=models.id(2), version="2") == 1
    assert live.scorer.status()["models"]["canary"]["version"] == 2


def test_a_version_that_has_left_the_shadow_slot_gets_no_share(models: Models, begin: Callable[..., Live]) -> None:
    """It scores on while the next one loads, or for ever when that is refused; the share was given to that one."""
    models.put("active", 1)
    models.put("shadow", 2)
    waiting: list[Task] = []
    live = begin(waiting.append, rollout={**CANARY, "canary_fraction": 1.0})
    live.give(candidate(0))
    models.put("shadow", 3)
    live.turn()
    live.give(candidate(1))
    waiting.pop()()
    live.turn()
    live.turn()
    live.give(candidate(2))
    assert [each.route for each in live.out.of(Score)] == ["canary", "paper", "canary"]
    assert [live.out.of(Score)[k].judgements[-1].version for k in range(3)] == [2, 2, 3]
    (models.put("shadow", 4) / MODEL_FILE).write_bytes(b"damaged")
    live.turn()
    waiting.pop()()
    live.turn()
    live.turn()
    live.give(candidate(3))
    assert live.out.of(Score)[3].route == "paper"


def test_the_shadow_can_be_left_out(models: Models, begin: Callable[..., Live]) -> None:
    """signals.shadow false scores it as the canary alone."""
    models.put("active", 1)
    models.put("shadow", 2)
    live = begin(signals={"shadow": False})
    live.give(candidate(0))
    assert [each.slot for each in live.out.of(Score)[0].judgements] == ["active"]


def state(epoch: int, mode: str = "canary", at_ns: int = START_NS) -> RolloutState:
    """A rollout state that allows this mode."""
    return msgspec.convert(
        {"epoch": epoch, "mode": mode, "canary_fraction": 1.0, "salt": "", "reason": "r", "by": "t",
         "at": datetime.fromtimestamp(at_ns // SECOND_NS, UTC)},
        RolloutState,
    )  # fmt: skip


@pytest.mark.parametrize(("event", "route", "fences"), [("ROLLBACK", "", True), ("HALT", "canary", True),
    ("HALT", "", False), ("HALT", "full", False), ("PROMOTION", "", False), ("ALERT", "canary", False)])  # fmt: skip
def test_a_withdrawn_canary_is_off_with_the_next_message(
    models: Models, begin: Callable[..., Live], event: str, route: str, fences: bool
) -> None:
    """No tick is needed; it is on again with another epoch of the rollout, and not before."""
    models.put("active", 1)
    models.put("shadow", 2)
    write(models.root, state(1))
    live = begin(rollout={**CANARY, "canary_fraction": 1.0})
    live.give(candidate(0))
    live.hear(event, route)
    live.give(candidate(1))
    live.turn()
    live.give(candidate(2))
    write(models.root, state(2))
    live.turn()
    live.give(candidate(3))
    after = "paper" if fences else "canary"
    assert [each.route for each in live.out.of(Score)] == ["canary", after, after, "canary"]


def test_the_realized_share_is_counted_anew_when_its_target_moves(models: Models, begin: Callable[..., Live]) -> None:
    """A canary that was fenced has no share left over: CanaryFractionDeviation would page for hours."""
    models.put("active", 1)
    models.put("shadow", 2)
    write(models.root, state(1))
    live = begin(rollout={**CANARY, "canary_fraction": 1.0})
    for number in range(3):
        live.give(candidate(number))
    assert (live.metric("canary_fraction_realized"), live.metric("canary_fraction_sample")) == (1.0, 3.0)
    live.hear("ROLLBACK")
    assert (live.metric("canary_fraction_target"), live.metric("canary_fraction_realized")) == (0.0, 0.0)
    live.give(candidate(3))
    assert (live.metric("canary_fraction_realized"), live.metric("canary_fraction_sample")) == (0.0, 1.0)


def test_how_long_a_canary_took_to_be_fenced_is_measured_once(models: Models, begin: Callable[..., Live]) -> None:
    """From the arrival of what gave it away; from the word itself where nothing arrived. Not where there is none."""
    models.put("active", 1)
    models.put("shadow", 2)
    write(models.root, state(1))
    live = begin(rollout={**CANARY, "canary_fraction": 1.0})
    live.turn(ns=SECOND_NS)
    live.hear("HALT", "canary", signal_ns=START_NS + SECOND_NS // 2)
    live.hear("ROLLBACK")
    assert live.metric("rollback_signal_to_effect_seconds_count") == 1
    assert live.metric("rollback_signal_to_effect_seconds_sum") == 0.5
    write(models.root, state(2))
    live.turn()
    live.hear("HALT", "canary")
    assert live.metric("rollback_signal_to_effect_seconds_count") == 2
    assert live.metric("rollback_signal_to_effect_seconds_sum") == 0.5


def test_a_rollout_that_cannot_be_read_is_off_and_said_once(models: Models, begin: Callable[..., Live]) -> None:
    """All paper."""
    models.put("active", 1)
    models.put("shadow", 2)
    live = begin(rollout=CANARY)
    (models.root / "rollout.json").write_bytes(b"{")
    live.turn()
    live.turn()
    for number in range(20):
        live.give(candidate(number))
    assert {each.route for each in live.out.of(Score)} == {"paper"}
    assert len(live.told("WARN")) == 1


def test_a_shadow_that_fails_is_thrown_out(models: Models, begin: Callable[..., Live]) -> None:
    """WARN once; the active model has judged that very candidate, and goes on."""
    models.put("active", 1, tau=0.0)
    models.put("shadow", 2)
    live = begin()
    shadow = live.scorer._slots.model("shadow")
    assert shadow is not None
    shadow.scorer._run_bound = None  # its runtime is gone
    live.give(candidate(0))
    live.give(candidate(1))
    assert [[j.slot for j in each.judgements] for each in live.out.of(Score)] == [["active"], ["active"]]
    assert len(live.out.of(Approval)) == 2
    assert (len(live.told("WARN")), live.told("CRIT")) == (1, [])
    assert "shadow" not in live.scorer.status()["models"]


def test_a_candidate_that_comes_again_is_not_scored_again(models: Models, begin: Callable[..., Live]) -> None:
    """Whatever has been swapped in meanwhile."""
    models.put("active", 1, tau=0.0)
    live = begin()
    live.give(candidate(0))
    models.put("active", 2, tau=0.0)
    live.turn()
    live.give(candidate(0))
    assert len(live.out.of(Score)) == len(live.out.of(Approval)) == 1


def test_after_a_restart_the_same_candidate_gives_the_same_messages(models: Models, begin: Callable[..., Live]) -> None:
    """Nobody remembers the first score: ids and bodies are equal, so whoever reads both takes one."""
    models.put("active", 1, tau=0.0)
    first, second = begin(), begin()
    first.give(candidate(0))
    second.give(candidate(0))
    assert first.out.said == second.out.said
    assert len(first.out.said) == 2


@pytest.mark.parametrize("lost", [(), (APPROVED,), (SCORES, APPROVED)])
@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_a_crash_between_score_and_approval_is_mended(
    models: Models, begin: Callable[..., Live], lost: tuple[str, ...], tau: float
) -> None:
    """Of what the first run said, only a part reached the streams: the second run says the rest and no more."""
    models.put("active", 1, tau=tau)
    first, second = begin(), begin()
    first.give(candidate(0))
    kept = [each for each in first.out.said if each.stream not in lost]
    for each in kept:
        second.scorer.handle(received(each.stream, each.body))
    second.give(candidate(0))
    assert kept + second.out.said == first.out.said


def test_an_approval_is_not_made_up_for_a_score_that_is_too_old(models: Models, begin: Callable[..., Live]) -> None:
    """Or that a version gave which no longer stands here."""
    models.put("active", 1, tau=0.0)
    first = begin()
    first.give(candidate(0))
    score = first.out.of(Score)[0]
    late = begin()
    late.scorer.handle(received(SCORES, score))
    late.turn(2 * SECOND_NS)
    late.scorer.handle(received(CANDIDATES, candidate(0)))
    models.put("active", 2, tau=0.0)
    other = begin()
    other.scorer.handle(received(SCORES, score))
    other.give(candidate(0))
    assert late.out.said == other.out.said == []
    assert late.metric("score_refused_total", reason="stale") == 1
    assert other.metric("score_refused_total", reason="no_model") == 1


def test_it_is_one_consumer_of_candidates(begin: Callable[..., Live]) -> None:
    """A group on the candidates alone; the rest is followed."""
    found = {each.stream: each.group for each in begin().scorer.subscriptions()}
    assert found == {CANDIDATES: "ai_scorer", CONTROL: "", SCORES: "", APPROVED: "", VERDICTS: ""}


def test_a_worker_loads_while_candidates_are_scored(models: Models, tmp_path: Path) -> None:
    """With its own thread, as it runs for real; the wake comes when the model is there, and `stop` ends the thread."""
    models.put("active", 1)
    woken: list[int] = []
    made_of = replace(parts(tmp_path, {"registry": {"mirror": str(models.root)}}), wake=lambda: woken.append(1))
    live = Live(AiScorer(made_of), made_of)
    live.scorer.start()
    models.put("active", 2)
    live.turn()
    live.give(candidate(0))
    live.scorer.stop()
    live.turn()
    live.give(candidate(1))
    assert [each.judgements[0].version for each in live.out.of(Score)] == [1, 2]
    assert len(woken) == 2
