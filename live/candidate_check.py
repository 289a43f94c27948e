"""Which candidates may be scored: those of our schema and rule, whole, finite, and neither old nor from the future."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bus.messages import Candidate, Header
from market.feature_spec import N_COLUMNS, N_FEATURES

Reason = Literal["symbol", "schema", "rule", "width", "side", "stale", "future", "not_finite", "no_model"]
"""Why a candidate is not scored: labels of score_refused_total."""
REASONS: tuple[Reason, ...] = get_args(Reason)
FUTURE_NS = 1_000_000_000
"""A stamp further ahead than this is no clock's noise."""
_FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a candidate must be: of one of these symbols, by this schema and rule, no older than `ttl_ns`."""

    symbols: frozenset[str]
    schema_hash: str
    rule_id: str
    ttl_ns: int


def refusal(candidate: Candidate, header: Header, wanted: Wanted, wall_ns: int) -> Reason | None:
    """Say why a candidate may not be scored at a time, None when it may; its features are looked at by `features`."""
    if candidate.symbol not in wanted.symbols:
        return "symbol"
    if candidate.schema_hash != wanted.schema_hash:
        return "schema"
    if candidate.rule_id != wanted.rule_id:
        return "rule"
    if len(candidate.row) != N_COLUMNS * _FLOAT32.itemsize:
        return "width"
    if candidate.side not in (-1, 1):
        return "side"
    oldest, newest = sorted((candidate.local_ns, header.published_ns))
    if wall_ns - oldest > wanted.ttl_ns:
        return "stale"
    return "future" if newest - wall_ns > FUTURE_NS else None


def features(candidate: Candidate) -> NDArray[np.float32]:
    """Return the model's inputs float32[N_FEATURES] of a candidate of the right width, as the kernel left them."""
    return np.frombuffer(candidate.row, _FLOAT32, N_FEATURES)
