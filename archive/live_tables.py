"""The tables of what the live side did: every score, every outcome, every report. Columns, and the codes in them.

The lake holds numbers only. Names become their place in the tuples below; a candidate is named by its symbol and
`t_ns`; texts (client ids, reasons in words) stay in the executor's journal and on the streams. `*_key` are the first
eight bytes of a BLAKE2b hash of an id, to find the rows that belong together.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from monitoring.metrics import BUCKETS, GATES, ROUTES, SLOTS

LIVE_SCORES: Final = "live_scores"
OUTCOMES: Final = "outcomes"
REPORTS: Final = "reports"

ROUTE_CODES: Final = ROUTES
REASON_CODES: Final = GATES
"""Why the executor dropped an approval; any other reason is -1."""
BUCKET_CODES: Final = BUCKETS
LEG_CODES: Final = ("entry", "exit")
KIND_CODES: Final = (
    "dropped", "accepted", "refused", "unknown", "resolved", "partial", "filled", "canceled", "expired", "closed"
)  # fmt: skip

Dtypes = dict[str, np.dtype[Any]]


def _dtypes(**names: str) -> Dtypes:
    return {name: np.dtype(dtype) for name, dtype in names.items()}


def _judgements() -> Dtypes:
    """What each model said; version 0 and NaN where there was none in a slot."""
    fields = {"version": "int64", "margin": "float64", "probability": "float64", "tau": "float64"}
    return {f"{slot}_{name}": np.dtype(dtype) for slot in SLOTS for name, dtype in fields.items()}


SCORE_COLUMNS: Final[Mapping[str, np.dtype[Any]]] = {
    **_dtypes(
        t_ns="int64", local_ns="int64", session_ns="int64", schema_key="int64", side="int8", route="int8",
        approved="int8", bid_ticks="int32", ask_ticks="int32", salt_key="int64", canary_fraction="float64",
    ),
    **_judgements(),
}  # fmt: skip
"""Behind them one float32 column for each of the kernel's, the very row that was scored.

`session_ns` is where the engine's windows began; `schema_key` that of the kernel's schema hash, `salt_key` that of the
salt the canary's share was drawn by (0 while there is no canary).
"""
OUTCOME_COLUMNS: Final[Mapping[str, np.dtype[Any]]] = {
    **_dtypes(
        t_ns="int64", exit_ns="int64", side="int8", route="int8", approved="int8", outcome="int8", salt_key="int64",
        gross_bps="float64", net_bps="float64", markout_100ms_bps="float64", markout_500ms_bps="float64",
        markout_1000ms_bps="float64", canary_fraction="float64",
    ),
    **_judgements(),
}  # fmt: skip
"""`canary_fraction` and `salt_key` are those of the score."""
REPORT_COLUMNS: Final[Mapping[str, np.dtype[Any]]] = _dtypes(
    local_ns="int64", exchange_ns="int64", t_ns="int64", report_key="int64", order_key="int64", kind="int8", leg="int8",
    rung="int32", side="int8", route="int8", is_real="int8", is_maker="int8", bucket="int8", reason="int16",
    price_ticks="int64", size_lots="int64", filled_lots="int64", leaves_lots="int64", fee_quote="float64",
    net_quote="float64", net_bps="float64",
)  # fmt: skip


def code(codes: tuple[str, ...], name: str) -> int:
    """Return the place of a name, -1 for one that is not among them."""
    return codes.index(name) if name in codes else -1


def key(text: str) -> int:
    """Return the int64 that stands for an id or a hash."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
