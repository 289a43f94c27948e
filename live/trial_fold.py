"""One trial as it runs or as it is played again: rows go in, a verdict comes out. Pure.

Beside the bets it keeps what the floors look at: the newest scores of the version on trial with their labels, of
candidates a horizon apart, and its newest markouts and fills.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bus import messages
from evaluation.calibration import ece_debiased
from evaluation.trials import ActiveTrial, CanaryTrial, Executed, Judged, Routed, ShadowTrial
from evaluation.verdict import Breach, Evidence, Guards, Policy, Verdict, decide
from live.rolling import Seen, mean
from live.trial_rows import Begun, ExecutedRow, GuardsRow, Observed, RoutedRow, SaidRow, StateRow, observation

REMEMBERED: Final = 16_384
"""Newest ids that are known to have been taken: more than risk's journal keeps of endings."""
_MOST_ORDERS: Final = 1_000
_EACH: Final = 64


class TrialFold:
    """The trial, and what was last known beside it: `guards` and, once something was decided, `said`."""

    def __init__(self, begun: Begun, policy: Policy) -> None:
        self.begun, self.policy = begun, policy
        self.guards = Guards()
        self.said: messages.Verdict | None = None
        self.ids = Seen(REMEMBERED)
        self.rows = 0
        self._trial = _trial(begun, policy)
        self._apart: dict[str, int] = {}
        least = max(policy.ece_min_rows, 1)
        self._scores: deque[float] = deque(maxlen=2 * least)
        self._won: deque[float] = deque(maxlen=2 * least)
        self._markouts: deque[float] = deque(maxlen=max(_MOST_ORDERS, policy.execution_min_sample))
        self._fills: deque[float] = deque(maxlen=max(_MOST_ORDERS, policy.execution_min_sample))

    @property
    def is_lost(self) -> bool:
        """Whether the version on trial was found bad: that stays so for as long as the trial runs."""
        return self.said is not None and self.said.decision == "roll_back"

    def take(self, row: Observed) -> bool:
        """Take a row; False, and nothing is changed, when its id was taken before."""
        if not self.ids.add(row.id):
            return False
        self.rows += 1
        is_apart = self._is_apart(row)
        seen = observation(row, self.begun.draw, is_apart=is_apart)
        if seen is not None:
            self._fed(seen)
        if isinstance(row, ExecutedRow):
            if row.is_own and row.metric in ("markout", "fill"):
                (self._markouts if row.metric == "markout" else self._fills).append(row.value)
        elif is_apart and math.isfinite(row.probability):
            self._scores.append(row.probability)
            self._won.append(float(row.has_won))
        return True

    def is_due(self, row: Observed) -> bool:
        """Whether the trial is to be judged behind a row it took: a trade of the canary, an order's figure, each 64th.

        So several that count at one time are judged one by one, and a replay judges where risk did.
        """
        is_trade = isinstance(row, RoutedRow) and row.is_canary and row.is_approved
        return is_trade or isinstance(row, ExecutedRow) or self.rows % _EACH == 0

    def recall(self, row: GuardsRow | SaidRow | StateRow) -> None:
        """Take what a log says beside its observations."""
        if isinstance(row, StateRow):
            self._restore(row.state)
            return
        self.guards = row.guards
        if isinstance(row, SaidRow):
            self.said = row.verdict

    def measured(self, beside: Guards) -> Guards:
        """Return the guards with what this trial measured itself filled in."""
        rows = len(self._scores)
        ece = ece_debiased(list(self._scores), list(self._won)) if rows >= self.policy.ece_min_rows else 0.0
        return replace(
            beside,
            ece=max(0.0, ece), ece_rows=rows,
            markout_bps=mean(self._markouts) or 0.0, markout_fills=len(self._markouts),
            fill_rate=mean(self._fills) or 0.0, fill_orders=len(self._fills),
        )  # fmt: skip

    def judge(self, elapsed_seconds: float, guards: Guards | None = None) -> Verdict:
        """Return what the evidence says after so long, by the guards as they stand or by others."""
        return decide(self.policy, Evidence(self._trial.evidence(), guards or self.guards, elapsed_seconds))

    def state(self) -> StateRow:
        """Return all that the rows came to."""
        return StateRow(
            {
                "trial": self._trial.state(), "ids": list(self.ids), "scores": list(self._scores),
                "won": list(self._won), "apart": self._apart, "markouts": list(self._markouts),
                "fills": list(self._fills),
            }
        )  # fmt: skip

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._trial.restore(state["trial"])
        for id_ in state["ids"]:
            self.ids.add(id_)
        self._apart = dict(state["apart"])
        for window, values in (
            (self._scores, "scores"), (self._won, "won"), (self._markouts, "markouts"), (self._fills, "fills")
        ):  # fmt: skip
            window.extend(state[values])

    def _is_apart(self, row: Observed) -> bool:
        """Whether a candidate, SYMBOL-t_ns, is a horizon behind the last one of its symbol of which that was said."""
        if isinstance(row, ExecutedRow):
            return False
        symbol, _, text = row.id.rpartition("-")
        t_ns = int(text) if text.isdecimal() else 0
        if t_ns < self._apart.get(symbol, t_ns - self.begun.horizon_ns) + self.begun.horizon_ns:
            return False
        self._apart[symbol] = t_ns
        return True

    def _fed(self, seen: Judged | Routed | Executed) -> None:
        if isinstance(self._trial, CanaryTrial):
            if not isinstance(seen, Judged):
                self._trial.take(seen)
        elif isinstance(seen, Judged):
            self._trial.take(seen)


def spoken(begun: Begun, found: Verdict, *, against: int, epoch: int, signal_ns: int, at_ns: int) -> messages.Verdict:
    """Return a verdict as the bus carries it."""
    numbers = found.numbers | ({"inconclusive": 1.0} if found.is_inconclusive else {})
    return messages.Verdict(
        begun.trial, found.decision, begun.version, begun.model_id, against, epoch, begun.salt,
        _breaches(found.breaches), _breaches(found.observed), numbers, dict(found.limits), found.budget_used,
        begun.since_ns, signal_ns, at_ns,
    )  # fmt: skip


def _trial(begun: Begun, policy: Policy) -> ShadowTrial | CanaryTrial | ActiveTrial:
    if begun.trial == "canary":
        return policy.canary_trial(begun.draw)
    return policy.shadow_trial() if begun.trial == "shadow" else policy.active_trial()


def _breaches(found: tuple[Breach, ...]) -> list[messages.Breach]:
    return [messages.Breach(each.reason, each.value, each.limit, each.text) for each in found]
