"""A scorer held against what is named: what it says while it runs, nothing else."""

import pytest

from bus.heartbeats import SILENT_SECONDS, Heartbeat
from live.scorer_view import strays
from tests.live.parts import START_NS


def beat(at_ns: int = START_NS, state: str = "running", **versions: int) -> Heartbeat:
    """A scorer's heartbeat with these versions in its slots."""
    models = {slot: {"id": f"m{version}", "version": version} for slot, version in versions.items()}
    return Heartbeat("ai_scorer", at_ns, at_ns, 1, state, True, 0, [], [], {"models": models})


def test_a_scorer_that_has_what_is_named_strays_nowhere() -> None:
    """Its canary is the shadow version, and previous is nobody's to score by."""
    assert strays({"active": 2, "shadow": 3, "previous": 1}, beat(active=2, shadow=3, canary=3), START_NS) == ()


def test_each_slot_that_differs_is_said() -> None:
    """Also one that should be empty, or filled."""
    assert strays({"active": 2, "shadow": 3}, beat(active=1), START_NS) == (
        "active: version 2 is named, ai_scorer scores with 1",
        "shadow: version 3 is named, ai_scorer scores with none",
    )
    assert strays({"active": 2}, beat(active=2, shadow=3), START_NS) == (
        "shadow: version none is named, ai_scorer scores with 3",
    )


@pytest.mark.parametrize("of", [None, beat(state="stopped"), beat(START_NS - round((SILENT_SECONDS + 1) * 1e9))])
def test_what_a_scorer_does_not_say_now_is_not_known(of: Heartbeat | None) -> None:
    """Silent, ended or absent: other alerts tell of that."""
    assert strays({"active": 2}, of, START_NS) == ()


def test_nothing_is_compared_while_nothing_is_named() -> None:
    """The registry is in doubt: that is said already."""
    assert strays({}, beat(active=1), START_NS) == ()
