"""Which candidates are refused, and for which reason."""

from typing import Any

import msgspec
import numpy as np
import pytest

from live.candidate_check import FUTURE_NS, Wanted, features, refusal
from market.feature_spec import N_COLUMNS, N_FEATURES, schema_hash
from tests.live.mirrors import candidate, row
from tests.live.parts import START_NS, received, settings

TTL_NS = 1_500_000_000
WANTED = Wanted(frozenset({"BTCUSDT"}), schema_hash(), settings().candidate.rule().id, TTL_NS)


def against(changes: dict[str, Any], wall_ns: int = START_NS, published_ns: int = START_NS) -> str | None:
    """The reason against a candidate with these changes."""
    body = msgspec.structs.replace(candidate(), **changes)
    return refusal(body, received("sig:candidates", body, published_ns=published_ns).header, WANTED, wall_ns)


def test_a_sound_candidate_is_taken_with_its_features() -> None:
    """The context columns stay behind."""
    assert against({}) is None
    assert np.array_equal(features(candidate(3)), row(3)[:N_FEATURES])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": "DOGEUSDT"}, "symbol"),
        ({"schema_hash": "5c" * 32}, "schema"),
        ({"rule_id": "every-tick"}, "rule"),
        ({"row": row()[: N_COLUMNS - 1].tobytes()}, "width"),
        ({"row": row().tobytes() + b"\x00"}, "width"),
        ({"row": b""}, "width"),
        ({"side": 0}, "side"),
        ({"side": 2}, "side"),
    ],
)
def test_what_is_not_ours_is_refused(changes: dict[str, Any], reason: str) -> None:
    """By the first thing that is wrong with it."""
    assert against(changes) == reason


def test_an_old_candidate_is_stale_by_market_or_by_message() -> None:
    """At its time to live it is taken, a nanosecond later not, whichever of the two stamps is the older."""
    assert against({}, START_NS + TTL_NS) is None
    assert against({}, START_NS + TTL_NS + 1) == "stale"
    assert against({}, START_NS + TTL_NS + 1, published_ns=START_NS + TTL_NS) == "stale"
    assert against({"local_ns": START_NS + TTL_NS}, START_NS + TTL_NS + 1) == "stale"


def test_a_candidate_from_the_future_is_refused() -> None:
    """A second ahead is a clock's noise, more is not, whichever of the two stamps it is."""
    assert against({}, START_NS - FUTURE_NS) is None
    assert against({}, START_NS - FUTURE_NS - 1) == "future"
    assert against({"local_ns": START_NS - 2 * FUTURE_NS}, START_NS - FUTURE_NS - 1) == "future"
