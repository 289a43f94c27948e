"""One candidate before its models: what each says, which way it goes, and whether the model of that way says yes.

Pure, apart from the buffers of the scorers. The canary is the shadow version, so it is asked once and named twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bus.messages import Approval, Candidate, Judgement, ModelSlot, Score
from live.model_slots import LoadedModel
from live.rollout import Rollout
from live.routing import route_of
from market.feature_spec import orient_row


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """The models that judge and the rollout that routes; `names_shadow` whether the shadow is judged for its own sake.

    Without a shadow there is no canary, whatever the rollout says.
    """

    active: LoadedModel
    shadow: LoadedModel | None
    rollout: Rollout
    names_shadow: bool

    @property
    def canary(self) -> LoadedModel | None:
        """The shadow version while the rollout gives it a share."""
        return self.shadow if self.rollout.has_canary else None


def judge(candidate: Candidate, row: NDArray[np.float32], panel: Panel, failed: Callable[[Exception], None]) -> Score:
    """Return the score of a candidate with its features float32[N_FEATURES] as the kernel left them.

    A shadow that raises is told of by `failed`, and the score is without it: the active model goes on. On the canary's
    route nothing is approved then.
    """
    oriented = orient_row(row, candidate.side)
    judgements = [_judgement("active", panel.active, oriented)]
    if panel.shadow is not None and (panel.canary or panel.names_shadow):
        judgements += _by_shadow(panel.shadow, oriented, panel, failed)
    rollout = panel.rollout
    route = route_of(candidate.id, rollout) if panel.canary or rollout.mode == "full" else "paper"
    decision = _deciding(route, judgements)
    return Score(
        candidate_id=candidate.id,
        symbol=candidate.symbol,
        t_ns=candidate.t_ns,
        local_ns=candidate.local_ns,
        side=candidate.side,
        route=route,
        canary_fraction=rollout.canary_fraction if panel.canary else 0.0,
        salt=rollout.seed if panel.canary else "",
        approved=decision is not None and decision.probability >= decision.tau,
        judgements=judgements,
        bid_ticks=candidate.bid_ticks,
        ask_ticks=candidate.ask_ticks,
        schema_hash=candidate.schema_hash,
        session_ns=candidate.session_ns,
        row=candidate.row,
    )


def approval(candidate: Candidate, score: Score, panel: Panel, ttl_ns: int) -> Approval | None:
    """Return the leave that an approving score gives, by the label of the model that decided.

    None when the score does not approve, the panel no longer holds the model that decided, or the rollout no longer has
    the route: an approval that a crash swallowed is asked for again, maybe behind a withdrawal. It ends `ttl_ns` after
    the market that the candidate was seen in, so it is the same whenever it is asked for.
    """
    decision = _deciding(score.route, score.judgements)
    decider = panel.canary if score.route == "canary" else panel.active
    if score.route == "full" and panel.rollout.mode != "full":
        return None
    if not score.approved or decision is None or decider is None or decider.version != decision.version:
        return None
    return Approval(
        id=candidate.id,
        candidate_id=candidate.id,
        symbol=candidate.symbol,
        side=candidate.side,
        route=score.route,
        model_id=decision.model_id,
        version=decision.version,
        probability=decision.probability,
        tau=decision.tau,
        t_ns=candidate.t_ns,
        local_ns=candidate.local_ns,
        expires_ns=candidate.local_ns + ttl_ns,
        bid_ticks=candidate.bid_ticks,
        ask_ticks=candidate.ask_ticks,
        tp_pct=decider.label.tp_pct,
        sl_pct=decider.label.sl_pct,
        horizon_ns=decider.label.horizon_ns,
    )


def _by_shadow(
    shadow: LoadedModel, row: NDArray[np.float32], panel: Panel, failed: Callable[[Exception], None]
) -> list[Judgement]:
    try:
        said = _judgement("shadow", shadow, row)
    except Exception as error:  # whatever it is, it is not the active model's trouble
        failed(error)
        return []
    slots: list[ModelSlot] = ["shadow"] if panel.names_shadow else []
    slots += ["canary"] if panel.canary else []
    return [Judgement(slot, said.model_id, said.version, said.margin, said.probability, said.tau) for slot in slots]


def _judgement(slot: ModelSlot, model: LoadedModel, row: NDArray[np.float32]) -> Judgement:
    margin, probability = model.scorer.answer(row)
    return Judgement(slot, model.id, model.version, margin, probability, model.tau)


def _deciding(route: str, judgements: list[Judgement]) -> Judgement | None:
    slot = "canary" if route == "canary" else "active"
    return next((each for each in judgements if each.slot == slot), None)
