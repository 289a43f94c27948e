"""Sentences that say which key is wrong, what it must be and what it was."""

from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator

from config.errors import SettingsError, nearest, problems_in, shown
from config.knobs import Section, knob


class Tank(Section):
    """A section with one rule between two of its keys."""

    low: float = knob(1.0, "Least level.", ge=0, le=10)
    high: float = knob(2.0, "Greatest level.", gt=0, lt=20)
    count: int = knob(1, "How many.", ge=1)
    kind: Literal["steel", "wood"] = knob("steel", "What it is made of.")
    names: tuple[str, ...] = knob(("a", "b"), "What they are called.", min_length=1)
    code: str = knob("ab", "Its code.", min_length=2)
    plan: Path = knob(Path("plan"), "Where its plan lies.")
    leaky: bool = knob(False, "Whether it leaks.")

    @model_validator(mode="after")
    def _low_is_below_high(self) -> "Tank":
        if self.low > self.high:
            raise ValueError(f"tank.low must be <= tank.high {self.high}, was {self.low}")
        return self


class Yard(Section):
    """What holds it."""

    tank: Tank = Tank()


KNOWN = ["tank", *(f"tank.{name}" for name in Tank.model_fields)]


def _problems(tree: dict[str, Any], where: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Yard.model_validate(tree)
    return problems_in(caught.value, where or {}, "app.yml", KNOWN)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"low": -1}, "tank.low must be >= 0, was -1"),
        ({"low": 10.5}, "tank.low must be <= 10, was 10.5"),
        ({"high": 0}, "tank.high must be > 0, was 0"),
        ({"high": 20.0}, "tank.high must be < 20, was 20"),
        ({"high": "deep"}, "tank.high must be a number, was 'deep'"),
        ({"high": None}, "tank.high must be a number, was empty"),
        ({"high": True}, "tank.high must be a number, was true"),
        ({"high": [1, 2]}, "tank.high must be a number, was 1, 2"),
        ({"count": 1.5}, "tank.count must be a whole number, was 1.5"),
        ({"count": "1.5"}, "tank.count must be a whole number, was '1.5'"),
        ({"count": False}, "tank.count must be a whole number, was false"),
        ({"high": float("inf")}, "tank.high must be a finite number, was inf"),
        ({"kind": "glass"}, "tank.kind must be one of 'steel' or 'wood', was 'glass'"),
        ({"names": []}, "tank.names must be a list of at least 1 values, was empty"),
        ({"names": 3}, "tank.names must be a list, was 3"),
        ({"names": [1]}, "tank.names.0 must be a text, was 1"),
        ({"code": "a"}, "tank.code must be a text of at least 2 characters, was 'a'"),
        ({"code": None}, "tank.code must be a text, was empty"),
        ({"plan": 1}, "tank.plan must be a path, was 1"),
        ({"leaky": "maybe"}, "tank.leaky must be true or false, was 'maybe'"),
        ({"leaky": None}, "tank.leaky must be true or false, was empty"),
        ({"hihg": 1}, "tank.hihg is not a key; did you mean tank.high?"),
        ({"xyzzy_plugh": 1}, "tank.xyzzy_plugh is not a key; remove it"),
        ({"low": 3, "high": 2.5}, "tank.low must be <= tank.high 2.5, was 3.0"),
    ],
)
def test_one_fault_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    """Place, key, what it must be, what it was: in the words of app.yml and never of pydantic."""
    assert _problems({"tank": values}) == [f"app.yml: {sentence}"]


def test_the_place_is_where_the_value_came_from() -> None:
    """A variable names itself; an element of a list from one does, too; the file speaks for the rest."""
    where = {"tank.low": "environment TANK_LOW", "tank.names": "environment TANK_NAMES"}
    found = _problems({"tank": {"low": -1, "high": 0, "names": ["a", 1]}}, where)
    assert found == [
        "environment TANK_LOW: tank.low must be >= 0, was -1",
        "app.yml: tank.high must be > 0, was 0",
        "environment TANK_NAMES: tank.names.1 must be a text, was 1",
    ]


def test_a_rule_between_keys_is_told_where_its_first_key_came_from() -> None:
    """The sentence begins with the key that breaks it, and so does the search for its place."""
    (found,) = _problems({"tank": {"low": 3}}, {"tank.low": "environment TANK_LOW"})
    assert found == "environment TANK_LOW: tank.low must be <= tank.high 2.0, was 3.0"


def test_a_section_misspelt_suggests_a_section() -> None:
    """The nearest of all names, whether section or key."""
    assert _problems({"tnak": {}}) == ["app.yml: tnak is not a key; did you mean tank?"]
    assert _problems({"tank": 3}) == ["app.yml: tank must be a mapping of keys to values, was 3"]


def test_a_fault_without_a_sentence_of_ours_keeps_pydantics() -> None:
    """An error type that is new to us is still told with key and value."""

    class Net(Section):
        """Its mesh has a bound that we have no words for."""

        mesh: int = knob(4, "Width.", multiple_of=2)

    with pytest.raises(ValidationError) as caught:
        Net(mesh=3)
    assert problems_in(caught.value, {}, "app.yml", []) == [
        "app.yml: mesh cannot be 3: Input should be a multiple of 2"
    ]


def test_an_error_holds_its_problems_and_shows_one_a_line() -> None:
    """Programs read the tuple, people the lines."""
    error = SettingsError(line for line in ("first", "second"))
    assert error.problems == ("first", "second")
    assert str(error) == "first\nsecond"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("tank.lwo", "tank.low"),
        ("tnak", "tank"),
        ("tank.leeky", "tank.leaky"),
        ("TANK.LOW", None),
        ("", None),
        ("qqqqqq", None),
    ],
)
def test_the_nearest_name_is_near(wanted: str, found: str | None) -> None:
    """A letter swapped or lost is seen through; a name like none is not forced onto one."""
    assert nearest(wanted, KNOWN) == found


@given(st.sampled_from(KNOWN), st.floats(0.1, 1.0))
def test_a_known_name_is_nearest_to_itself(name: str, cutoff: float) -> None:
    """However strict the search is."""
    assert nearest(name, iter(KNOWN), cutoff) == name


def test_a_stricter_search_finds_less() -> None:
    """The cutoff that variables are held to lets a far name pass as somebody else's."""
    assert nearest("tank.loop", ["tank.leaky"], cutoff=0.5) == "tank.leaky"
    assert nearest("tank.loop", ["tank.leaky"], cutoff=0.9) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "empty"),
        (True, "true"),
        (3, "3"),
        (3.0, "3"),
        (-0.25, "-0.25"),
        (1e-9, "1e-09"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ((), "empty"),
        (("a", 2.0, None), "a, 2, empty"),
        ([True, [1, 2]], "true, 1, 2"),
        (Path("a/b"), "a/b"),
        ("text", "text"),
    ],
)
def test_a_value_is_shown_as_it_would_be_written(value: object, text: str) -> None:
    """Whole floats without their .0, booleans in small letters, nothing as `empty`."""
    assert shown(value) == text


@given(st.one_of(st.booleans(), st.integers(-(10**12), 10**12), st.floats(-1e12, 1e12)))
def test_a_number_shown_is_the_number(value: float) -> None:
    """What --show prints can be written into app.yml or a variable and is the same value, bit for bit."""
    text = shown(value)
    assert (yaml.safe_load(text) if isinstance(value, bool) else float(text)) == value
