"""Judging: the pipelines' answers, each model's own, the route's decision, and an approval that is always the same."""

from typing import Any, Literal

import msgspec
import numpy as np
import pytest

from bus.messages import Judgement
from live.judging import Panel, approval, judge
from live.model_slots import Engine, LoadedModel, load
from live.rollout import Rollout
from live.routing import route_of
from market.feature_spec import N_FEATURES, orient, schema_hash
from registry.errors import BadRow
from tests.live.mirrors import Models, candidate, row
from tests.live.parts import settings

TTL_NS = 1_500_000_000


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedModel, LoadedModel]:
    """An active and a shadow model."""
    root = tmp_path_factory.mktemp("judging")
    models = Models(root / "store", root / "mirror")
    models.put("active", 1, tau=0.5)
    models.put("shadow", 2, tau=0.4)
    engine = Engine(schema_hash(), settings().candidate.rule(), settings().label.rule())
    return load(models.root, "active", engine), load(models.root, "shadow", engine)


def panel(loaded: tuple[LoadedModel, LoadedModel], fraction: float = 0.0, **changes: Any) -> Panel:
    """Both models, with a canary of this share."""
    rollout = Rollout("canary" if fraction else "disabled", fraction, "s", 1)
    facts = {"active": loaded[0], "shadow": loaded[1], "rollout": rollout, "names_shadow": True}
    return Panel(**facts | changes)  # type: ignore[arg-type]


def fails(error: Exception) -> None:
    """No shadow fails here."""
    raise error


def test_rows_are_oriented_and_answered_as_in_the_pipelines(loaded: tuple[LoadedModel, LoadedModel]) -> None:
    """For longs and shorts, margin and probability are the bits a batch of oriented rows gets."""
    asked = [candidate(k) for k in range(40)]
    rows = np.stack([row(k)[:N_FEATURES] for k in range(40)])
    wanted = loaded[0].scorer.score_many(orient(rows, np.array([each.side for each in asked], np.int8)))
    found = [judge(each, rows[k], panel(loaded), fails).judgements[0] for k, each in enumerate(asked)]
    assert [each.margin for each in found] == wanted.margin.tolist()
    assert [each.probability for each in found] == wanted.probability.tolist()


@pytest.mark.parametrize(
    ("fraction", "names_shadow", "slots"),
    [
        (0.0, True, ["active", "shadow"]), (0.0, False, ["active"]),
        (0.5, True, ["active", "shadow", "canary"]), (0.5, False, ["active", "canary"]),
    ],
)  # fmt: skip
def test_each_slot_is_named_once(
    loaded: tuple[LoadedModel, LoadedModel], fraction: float, names_shadow: bool, slots: list[str]
) -> None:
    """The canary says what the shadow says."""
    score = judge(candidate(), row()[:N_FEATURES], panel(loaded, fraction, names_shadow=names_shadow), fails)
    assert [each.slot for each in score.judgements] == slots
    told = {each.slot: msgspec.structs.astuple(each)[1:] for each in score.judgements}
    assert told.get("shadow", told.get("canary")) == told.get("canary", told.get("shadow"))
    assert (score.canary_fraction, score.salt) == (fraction, "s" if fraction else "")


def test_the_model_of_the_route_decides(loaded: tuple[LoadedModel, LoadedModel]) -> None:
    """By its own threshold; the approval names it, and every route is seen both ways."""
    seen = set()
    for k in range(200):
        before = panel(loaded, 0.5)
        score = judge(candidate(k), row(k)[:N_FEATURES], before, fails)
        by_slot: dict[str, Judgement] = {each.slot: each for each in score.judgements}
        decision = by_slot["canary" if score.route == "canary" else "active"]
        assert score.route == route_of(candidate(k).id, before.rollout)
        assert score.approved == (decision.probability >= decision.tau)
        leave = approval(candidate(k), score, before, TTL_NS)
        assert (leave is not None) == score.approved
        if leave:
            assert (leave.model_id, leave.version, leave.tau) == (decision.model_id, decision.version, decision.tau)
            assert leave.id == candidate(k).id
            assert leave.expires_ns == candidate(k).local_ns + TTL_NS
            assert leave.horizon_ns == 60_000_000_000
        seen.add((score.route, score.approved))
    assert seen == {("canary", True), ("canary", False), ("paper", True), ("paper", False)}


def test_full_is_the_active_models_route(loaded: tuple[LoadedModel, LoadedModel]) -> None:
    """No canary is left."""
    full = panel(loaded, rollout=Rollout("full", 0.0, "s", 1))
    score = judge(candidate(), row()[:N_FEATURES], full, fails)
    assert (score.route, [each.slot for each in score.judgements]) == ("full", ["active", "shadow"])


def test_without_a_shadow_there_is_no_canary(loaded: tuple[LoadedModel, LoadedModel]) -> None:
    """A rollout that asks for one gets paper, and the score says a share of 0."""
    score = judge(candidate(), row()[:N_FEATURES], panel(loaded, 1.0, shadow=None), fails)
    assert (score.route, score.canary_fraction, len(score.judgements)) == ("paper", 0.0, 1)


class _Broken:
    """A scorer whose runtime gives up."""

    card = None

    def answer(self, row: object) -> tuple[float, float]:
        raise BadRow("out of memory")


def test_a_shadow_that_fails_takes_nobody_with_it(loaded: tuple[LoadedModel, LoadedModel]) -> None:
    """The active model has judged; what would have been the canary's is not approved."""
    broken = LoadedModel(_Broken(), 9, loaded[0].label)  # type: ignore[arg-type]
    told: list[Exception] = []
    score = judge(candidate(), row()[:N_FEATURES], panel(loaded, 1.0, shadow=broken), told.append)
    assert [each.slot for each in score.judgements] == ["active"]
    assert (score.route, score.approved, len(told)) == ("canary", False, 1)


def test_an_approval_needs_the_model_that_decided(loaded: tuple[LoadedModel, LoadedModel]) -> None:
    """Where another version stands now, an old score gives no leave."""
    before = panel(loaded)
    score = next(
        found for k in range(50) if (found := judge(candidate(k), row(k)[:N_FEATURES], before, fails)).approved
    )
    body = candidate(int((score.t_ns - candidate().t_ns) // 1_000_000_000))
    assert approval(body, score, before, TTL_NS) == approval(body, score, panel(loaded, 0.5), TTL_NS)
    assert approval(body, score, panel((loaded[1], loaded[0])), TTL_NS) is None


@pytest.mark.parametrize("mode", ["canary", "full"])
def test_a_late_approval_needs_a_route_that_is_still_open(
    loaded: tuple[LoadedModel, LoadedModel], mode: Literal["canary", "full"]
) -> None:
    """A crash swallowed it, and before the candidate came again the share was taken away: nothing goes to the venue."""
    before = panel(loaded, rollout=Rollout(mode, 1.0 if mode == "canary" else 0.0, "s", 1))
    k, score = next(
        (k, found) for k in range(50) if (found := judge(candidate(k), row(k)[:N_FEATURES], before, fails)).approved
    )
    assert score.route == mode
    assert approval(candidate(k), score, before, TTL_NS) is not None
    assert approval(candidate(k), score, panel(loaded), TTL_NS) is None
