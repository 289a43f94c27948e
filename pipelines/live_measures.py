"""What live evidence says, as numbers: each version on the candidates it judged, two versions on the same ones, routes.

Every share has Wilson's interval on the effective number of rows, every mean a Student interval, both clustered by
stretches of market of twice the label's horizon: outcomes that overlap in time are not independent. A paired
comparison is made on candidates that both versions judged and that were resolved, traded or not.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from archive.live_tables import ROUTE_CODES
from evaluation.calibration import brier, ece_debiased
from evaluation.clustered import Estimate, clustered_mean, clustered_share
from evaluation.discrimination import auc
from market.barriers import TARGET, UNRESOLVED
from monitoring.metrics import SLOTS
from pipelines.live_rows import CANARY, Rows, Traded


class Judgements(msgspec.Struct, frozen=True):
    """What one version said of candidates that were resolved: scores and tau float64[n], won bool[n], t_ns int64[n]."""

    version: int
    slots: tuple[str, ...]
    scores: Any
    taus: Any
    won: Any
    t_ns: Any

    @property
    def approved(self) -> NDArray[np.bool_]:
        """Which of them the version would have approved, whatever its slot let it decide."""
        return np.asarray(self.scores >= self.taus)


class VersionFigures(msgspec.Struct, frozen=True):
    """One version. `precision` is over what it approves, traded or not; `traded` what was traded on its word."""

    version: int
    slots: tuple[str, ...]
    candidates: int
    brier: float
    ece: float
    auc: float
    precision: Estimate
    traded: "TradedFigures"


class TradedFigures(msgspec.Struct, frozen=True):
    """What trading brought. `judged_winrate` is over approved candidates of the route by their barrier, the win rate
    that verdicts compare; `trip_winrate` over closed round trips after fees. Money in quote units.
    """

    judged_winrate: Estimate
    fill_rate: Estimate
    trip_winrate: Estimate
    net_bps: Estimate
    markouts_bps: dict[int, Estimate]
    pnl_quote: float


class Paired(msgspec.Struct, frozen=True):
    """A challenger against the active version on the same candidates. Differences are challenger less active.

    `only_active` and `only_challenger` are the win rates where one alone approves.
    """

    active: int
    challenger: int
    candidates: int
    brier_difference: Estimate
    only_active: Estimate
    only_challenger: Estimate


class Evaluation(msgspec.Struct, frozen=True):
    """Everything measured on one window of live evidence; `routes` by name, those that had a candidate alone."""

    first_ns: int
    last_ns: int
    symbols: tuple[str, ...]
    candidates: int
    unresolved: int
    versions: tuple[VersionFigures, ...]
    routes: dict[str, TradedFigures]
    paired: Paired | None


def matched(outcomes: Rows) -> tuple[Rows, int, int]:
    """The candidates of the newest pair of versions, with the active version and its challenger (0: there was none).

    The challenger is the version in the shadow slot, or the canary where the shadow is not scored for its own sake.
    """
    resolved = outcomes.where(outcomes["outcome"] != UNRESOLVED)
    if not len(resolved):
        return resolved, 0, 0
    challenger = _challengers(resolved)
    active = int(resolved["active_version"][-1])
    with_other = np.flatnonzero((challenger > 0) & (resolved["active_version"] == active))
    other = int(challenger[with_other[-1]]) if len(with_other) else 0
    mine = resolved["active_version"] == active
    return resolved.where(mine & (challenger == other) if other else mine), active, other


def judgements(pair: Rows, slot: str) -> Judgements | None:
    """What the version in a slot said of the matched candidates; None when it said nothing of any."""
    scores = pair[f"{slot}_probability"]
    said = np.isfinite(scores) & (pair[f"{slot}_version"] > 0)
    if not said.any():
        return None
    return Judgements(
        version=int(pair[f"{slot}_version"][said][-1]),
        slots=(slot,),
        scores=scores[said],
        taus=pair[f"{slot}_tau"][said],
        won=pair["outcome"][said] == TARGET,
        t_ns=pair["t_ns"][said],
    )


def on_common(pair: Rows) -> dict[str, Judgements]:
    """What each slot said of the candidates that every slot which was scored at all had its say on."""
    present = [slot for slot in SLOTS if np.isfinite(pair[f"{slot}_probability"]).any()] if len(pair) else []
    mask = np.all([np.isfinite(pair[f"{slot}_probability"]) for slot in present], axis=0) if present else []
    common = pair.where(np.asarray(mask, bool)) if present else pair
    found = {slot: judgements(common, slot) for slot in present}
    return {slot: said for slot, said in found.items() if said is not None}


def evaluate(
    outcomes: Rows, traded: Traded, markouts: Mapping[int, NDArray[np.float64]], cluster_ns: int
) -> Evaluation:
    """Measure one window; `markouts` are those of `traded.fills`, clusters are stretches of `cluster_ns`."""
    pair, active, other = matched(outcomes)
    resolved = outcomes.where(outcomes["outcome"] != UNRESOLVED)
    cut = _Cut(resolved, traded, markouts, cluster_ns)
    versions = tuple(cut.version(pair, each) for each in (active, other) if each)
    routes = {
        name: cut.traded(lambda rows, code=code: rows["route"] == code)
        for code, name in enumerate(ROUTE_CODES)
        if (resolved["route"] == code).any() or (traded.orders["route"] == code).any()
    }
    return Evaluation(
        first_ns=int(outcomes["t_ns"].min()) if len(outcomes) else 0,
        last_ns=int(outcomes["t_ns"].max()) if len(outcomes) else 0,
        symbols=outcomes.symbols,
        candidates=len(outcomes),
        unresolved=len(outcomes) - len(resolved),
        versions=versions,
        routes=routes,
        paired=_paired(pair, active, other, cluster_ns) if other else None,
    )


def of_everything(
    outcomes: Rows, traded: Traded, markouts: Mapping[int, NDArray[np.float64]], cluster_ns: int
) -> TradedFigures:
    """What was traded on all routes together."""
    cut = _Cut(outcomes.where(outcomes["outcome"] != UNRESOLVED), traded, markouts, cluster_ns)
    return cut.traded(lambda rows: np.ones(len(rows), np.bool_))


def brier_path(pair: Rows) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times int64[n] and squared error of the challenger less that of the active version, float64[n], in time order."""
    won = (pair["outcome"] == TARGET).astype(np.float64)
    other = _other_scores(pair)
    both = np.isfinite(other) & np.isfinite(pair["active_probability"])
    difference = (other - won) ** 2 - (pair["active_probability"] - won) ** 2
    return pair["t_ns"][both], difference[both]


class _Cut:
    """Cuts one window by version and by route."""

    def __init__(
        self, resolved: Rows, traded: Traded, markouts: Mapping[int, NDArray[np.float64]], cluster_ns: int
    ) -> None:
        self._resolved, self._traded, self._markouts, self._cluster_ns = resolved, traded, markouts, cluster_ns

    def version(self, pair: Rows, version: int) -> VersionFigures:
        """One version on the matched candidates, and what was traded on its word."""
        slots = tuple(slot for slot in SLOTS if (pair[f"{slot}_version"] == version).any())
        said = judgements(pair, next(slot for slot in slots if slot != "canary" or len(slots) == 1))
        if said is None:
            raise ValueError(
                f"version {version} stands in {slots} and said nothing; a slot without a score has version 0"
            )
        clusters = said.t_ns // self._cluster_ns
        is_both = 0 < said.won.sum() < len(said.won)
        return VersionFigures(
            version=version,
            slots=slots,
            candidates=len(said.won),
            brier=brier(said.scores, said.won),
            ece=max(0.0, ece_debiased(said.scores, said.won)),
            auc=auc(said.scores, said.won) if is_both else 0.5,
            precision=clustered_share(said.won[said.approved], clusters[said.approved]),
            traded=self.traded(lambda rows: _deciders(rows) == version),
        )

    def traded(self, keep: Any) -> TradedFigures:
        """What was traded, of the rows that `keep` masks."""
        judged = self._resolved.where(keep(self._resolved) & (self._resolved["approved"] == 1))
        orders, trips = (rows.where(keep(rows)) for rows in (self._traded.orders, self._traded.trips))
        is_mine = keep(self._traded.fills)
        return TradedFigures(
            judged_winrate=self._share(judged["outcome"] == TARGET, judged["t_ns"]),
            fill_rate=self._share(orders["has_filled"], orders["t_ns"]),
            trip_winrate=self._share(trips["net_quote"] > 0, trips["t_ns"]),
            net_bps=self._mean(trips["net_bps"], trips["t_ns"]),
            markouts_bps={
                horizon: self._mean(values[is_mine], self._traded.fills["at_ns"][is_mine])
                for horizon, values in self._markouts.items()
            },
            pnl_quote=float(trips["net_quote"].sum()),
        )

    def _share(self, hits: NDArray[np.bool_], t_ns: NDArray[np.int64]) -> Estimate:
        return clustered_share(hits, t_ns // self._cluster_ns)

    def _mean(self, values: NDArray[np.float64], t_ns: NDArray[np.int64]) -> Estimate:
        known = np.isfinite(values)
        return clustered_mean(values[known], t_ns[known] // self._cluster_ns)


def _paired(pair: Rows, active: int, other: int, cluster_ns: int) -> Paired:
    t_ns, difference = brier_path(pair)
    scores = _other_scores(pair)
    taus = np.where(np.isfinite(pair["shadow_tau"]), pair["shadow_tau"], pair["canary_tau"])
    both = np.isfinite(scores) & np.isfinite(pair["active_probability"])
    by_active = (pair["active_probability"] >= pair["active_tau"]) & both
    by_other = (scores >= taus) & both
    won, clusters = pair["outcome"] == TARGET, pair["t_ns"] // cluster_ns

    def share(mask: NDArray[np.bool_]) -> Estimate:
        return clustered_share(won[mask], clusters[mask])

    return Paired(
        active=active,
        challenger=other,
        candidates=len(difference),
        brier_difference=clustered_mean(difference, t_ns // cluster_ns),
        only_active=share(by_active & ~by_other),
        only_challenger=share(by_other & ~by_active),
    )


def _deciders(rows: Rows) -> NDArray[np.int64]:
    """The version that decided: the canary's on its route, the active one's on the others."""
    if "version" in rows.columns:
        return rows["version"]
    return np.where(rows["route"] == CANARY, rows["canary_version"], rows["active_version"])


def _challengers(rows: Rows) -> NDArray[np.int64]:
    return np.where(rows["shadow_version"] > 0, rows["shadow_version"], rows["canary_version"])


def _other_scores(pair: Rows) -> NDArray[np.float64]:
    shadow = pair["shadow_probability"]
    return np.where(np.isfinite(shadow), shadow, pair["canary_probability"])


def is_known(estimate: Estimate) -> bool:
    """Whether there is any interval to speak of."""
    return estimate.rows > 0 and math.isfinite(estimate.low) and math.isfinite(estimate.high)
