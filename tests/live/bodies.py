"""Messages of the other services, with every field set to something that can be told apart."""

import numpy as np

from bus.messages import Candidate, Judgement, Outcome, Report, Score
from market.feature_spec import N_COLUMNS, schema_hash

S = "BTCUSDT"
T_NS = 1_767_787_200_000_000_000
JUDGED = [Judgement("active", "model-a", 3, 1.5, 0.625, 0.5), Judgement("shadow", "model-b", 4, -0.25, 0.4375, 0.55)]


def score(t_ns: int = T_NS, *, row: bytes = b"", session_ns: int = T_NS - 1, symbol: str = S) -> Score:
    """A score by the active and the shadow version."""
    return Score(
        candidate_id=f"{symbol}-{t_ns}", symbol=symbol, t_ns=t_ns, local_ns=t_ns + 2, side=-1, route="full",
        canary_fraction=0.1, approved=True, judgements=JUDGED, bid_ticks=600_000, ask_ticks=600_001,
        schema_hash=schema_hash(), session_ns=session_ns, salt="seed:canary-4",
        row=row or np.arange(N_COLUMNS, dtype="<f4").tobytes(),
    )  # fmt: skip


def scored(candidate: Candidate) -> Score:
    """What a scorer would make of a candidate: its very row."""
    return Score(
        candidate.id, candidate.symbol, candidate.t_ns, candidate.local_ns, candidate.side, "paper", 0.0, False, JUDGED,
        candidate.bid_ticks, candidate.ask_ticks, candidate.schema_hash, candidate.session_ns, candidate.row,
    )  # fmt: skip


def outcome(t_ns: int = T_NS) -> Outcome:
    """A candidate that reached its target."""
    return Outcome(
        candidate_id=f"{S}-{t_ns}", symbol=S, side=1, route="canary", approved=False, t_ns=t_ns, outcome=1,
        exit_ns=t_ns + 5, gross_bps=4.5, net_bps=0.5, markouts_bps=[0.25, float("nan"), -1.0], judgements=JUDGED,
        canary_fraction=0.1, salt="seed:canary-4",
    )  # fmt: skip


def report(number: int = 1, kind: str = "filled", reason: str = "") -> Report:
    """A report of an order."""
    return Report(
        id=f"order-7-{number}", kind=kind, approval_id=f"{S}-{T_NS}", client_id="order-7", symbol=S, route="paper",
        is_real=False, model_id="model-a", leg="exit", rung=2, side=-1, price_ticks=600_000, size_lots=9,
        filled_lots=5, leaves_lots=4, is_maker=True, fee_quote=0.125, net_quote=-1.5, net_bps=-2.5, bucket="mid",
        reason=reason, exchange_ns=T_NS + 10, local_ns=T_NS + 20 + number,
    )  # type: ignore[arg-type]  # fmt: skip
