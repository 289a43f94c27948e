"""The head as others ask it: aliases, candidate, control, cooldown."""

from datetime import timedelta

from msgspec.structs import replace

from registry.states import Actor, Head, ReleaseRules, Slots
from tests.registry.cases import ACTIVE, COOLING, NOW


def test_aliases_name_what_stands_in_the_slots() -> None:
    """And the newest candidate; an empty slot has none."""
    assert ACTIVE.aliases == {"candidate": 4, "shadow": 3, "active": 2, "previous": 1}
    assert Head().aliases == {}
    assert replace(ACTIVE, states={4: "candidate", 9: "candidate"}).candidate == 9


def test_the_control_is_the_displaced_version_in_the_shadow_slot() -> None:
    """A version that is on trial there is none, even when it was active once."""
    slots = Slots(active=2, previous=1, shadow=1)
    assert replace(ACTIVE, slots=slots).control == 1
    assert replace(ACTIVE, slots=slots, states={1: "shadow", 2: "active"}).control is None
    assert ACTIVE.control is None


def test_a_cooldown_ends() -> None:
    """At its moment, not behind it."""
    assert COOLING.is_cooling(NOW)
    assert not COOLING.is_cooling(NOW + timedelta(minutes=1))
    assert not ACTIVE.is_cooling(NOW)


def test_rules_have_a_name_of_their_own() -> None:
    """Every INTENT says by which it was decided."""
    assert ReleaseRules().sha256 == ReleaseRules().sha256
    assert ReleaseRules().sha256 != ReleaseRules(min_hours=1).sha256
    assert str(Actor("sensor", "verdict")) == "sensor:verdict"
