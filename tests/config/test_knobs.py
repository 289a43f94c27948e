"""A knob is declared once; its table, its variable and its refusals follow from the declaration."""

from datetime import date
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.knobs import Anchored, AnchoredUrl, Knob, Section, knob, knobs_of

ROOT = Path("/srv/tidegate")


class Valve(Section):
    """A section with a knob of every kind there is."""

    turns: int = knob(3, "How far it is open.", "turns", ge=0, lt=10)
    flow: float = knob(0.5, "Water through it.", "lots", gt=0, le=2.0)
    manual: bool = knob(False, "Whether a hand turns it.")
    label: str = knob("north", "Its name.", pattern=r"^[a-z]+$")
    mode: Literal["open", "shut"] = knob("open", "What it does.")
    opened: date = knob(date(2026, 1, 5), "First day.")
    retired: date | None = knob(None, "Last day.")
    pipes: tuple[str, ...] = knob(("a",), "What it feeds.", min_length=1)
    drawing: Anchored = knob(Path("plans"), "Where its plan lies.")
    log: AnchoredUrl = knob("sqlite:///var/log.db", "Where it reports.", min_length=1)


class House(Section):
    """A section of sections, two deep."""

    class Cellar(Section):
        """The lower one."""

        valve: Valve = Valve()
        damp: bool = knob(True, "Whether it is wet.")

    cellar: Cellar = Cellar()


def _knobs() -> dict[str, Knob]:
    return {each.key: each for each in knobs_of(Valve)}


def _error(**values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Valve(**values)
    assert caught.value.error_count() == 1
    return caught.value.errors()[0]["type"]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("turns", "whole number"),
        ("flow", "number"),
        ("manual", "true or false"),
        ("label", "text"),
        ("mode", "open or shut"),
        ("opened", "date"),
        ("retired", "date or empty"),
        ("pipes", "list of text"),
        ("drawing", "path"),
        ("log", "text"),
    ],
)
def test_a_kind_is_told_in_words(key: str, kind: str) -> None:
    """The table says what to write, not which Python class it becomes."""
    assert _knobs()[key].kind == kind


@pytest.mark.parametrize(
    ("key", "bounds"),
    [
        ("turns", ">= 0, < 10"),
        ("flow", "> 0, <= 2"),
        ("manual", ""),
        ("label", "matches ^[a-z]+$"),
        ("mode", ""),
        ("pipes", "at least 1"),
        ("log", "at least 1"),
        ("drawing", ""),
    ],
)
def test_bounds_are_told_as_a_person_writes_them(key: str, bounds: str) -> None:
    """Lower before upper, 2.0 as 2, and the validators that anchor a path are no bounds."""
    assert _knobs()[key].bounds == bounds


def test_a_knob_carries_what_was_declared() -> None:
    """Default, unit and description arrive unchanged; only a tuple is a list."""
    turns = _knobs()["turns"]
    assert (turns.default, turns.unit, turns.description) == (3, "turns", "How far it is open.")
    assert [key for key, each in _knobs().items() if each.is_list] == ["pipes"]


def test_knobs_come_in_the_order_of_their_declaration() -> None:
    """So does the table in the documents, and so do the lines of app.yml."""
    assert [each.key for each in knobs_of(Valve)] == list(Valve.model_fields)


def test_sections_are_walked_at_any_depth() -> None:
    """A leaf three sections down has a key of three dots' worth and a variable that says the same."""
    found = {each.key: each.variable for each in knobs_of(House)}
    assert list(found)[-1] == "cellar.damp"
    assert found["cellar.valve.turns"] == "CELLAR_VALVE_TURNS"
    assert len(found) == len(Valve.model_fields) + 1


def test_a_prefix_stands_before_every_key() -> None:
    """A section alone can be listed under the name it has in the whole."""
    assert [each.key for each in knobs_of(Valve, "valve.")] == [f"valve.{each.key}" for each in knobs_of(Valve)]


@pytest.mark.parametrize("value", [True, False])
def test_yes_and_no_are_no_numbers(value: bool) -> None:
    """YAML's `on` would become 1 without a word."""
    assert _error(turns=value) == "int_type"
    assert _error(flow=value) == "float_type"
    assert Valve(manual=value).manual is value


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"turns": -1}, "greater_than_equal"),
        ({"turns": 10}, "less_than"),
        ({"turns": 2.5}, "int_from_float"),
        ({"flow": 0}, "greater_than"),
        ({"flow": 2.0000001}, "less_than_equal"),
        ({"flow": float("inf")}, "finite_number"),
        ({"flow": float("nan")}, "finite_number"),
        ({"label": "North"}, "string_pattern_mismatch"),
        ({"mode": "ajar"}, "literal_error"),
        ({"pipes": []}, "too_short"),
        ({"tunrs": 1}, "extra_forbidden"),
    ],
)
def test_a_value_outside_its_bounds_is_refused(values: dict[str, Any], kind: str) -> None:
    """Each bound at its edge, and one finding for one fault."""
    assert _error(**values) == kind


@given(turns=st.integers(0, 9), flow=st.floats(0, 2, exclude_min=True))
def test_a_value_within_its_bounds_is_kept_as_it_is(turns: int, flow: float) -> None:
    """Whole numbers and floats keep every bit, from numbers and from the text of a variable alike."""
    assert (Valve(turns=turns, flow=flow).turns, Valve(turns=turns, flow=flow).flow) == (turns, flow)
    read = Valve.model_validate({"turns": str(turns), "flow": repr(flow)})
    assert (read.turns, read.flow) == (turns, flow)


def test_a_default_must_hold_its_own_bounds() -> None:
    """A section cannot be declared so that leaving a key out gives what writing it would be refused for."""

    class Broken(Section):
        """Its default lies outside."""

        depth: int = knob(0, "How deep.", gt=0)

    with pytest.raises(ValidationError, match="greater than 0"):
        Broken()


def test_a_section_is_frozen() -> None:
    """Nothing turns a knob after the start."""
    with pytest.raises(ValidationError, match="frozen"):
        Valve().turns = 4


@pytest.mark.parametrize(
    ("given_path", "wanted"),
    [
        ("plans", "/srv/tidegate/plans"),
        ("./plans/../maps", "/srv/tidegate/maps"),
        ("../shared/plans", "/srv/shared/plans"),
        ("/etc/plans", "/etc/plans"),
        (".", "/srv/tidegate"),
    ],
)
def test_a_relative_path_starts_at_the_root(given_path: str, wanted: str) -> None:
    """Dots are resolved, an absolute path is left where it is."""
    found = Valve.model_validate({"drawing": given_path}, context={"root": ROOT})
    assert found.drawing == Path(wanted)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("data/parquet", "/srv/tidegate/data/parquet"),
        ("/data/parquet", "/data/parquet"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("http://mlflow:5000", "http://mlflow:5000"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("sqlite:///var/log.db", "sqlite:////srv/tidegate/var/log.db"),
        ("sqlite:////abs/log.db", "sqlite:////abs/log.db"),
        ("sqlite:///../log.db", "sqlite:////srv/log.db"),
    ],
)
def test_a_folder_or_url_starts_at_the_root_when_it_names_a_file(url: str, wanted: str) -> None:
    """Only folders and SQLite files are counted from the root; every other URL means what it says."""
    assert Valve.model_validate({"log": url}, context={"root": ROOT}).log == wanted


def test_defaults_are_anchored_too() -> None:
    """A key left out and the same value written out are the same place."""
    found = Valve.model_validate({}, context={"root": ROOT})
    assert (found.drawing, found.log) == (ROOT / "plans", f"sqlite:///{ROOT}/var/log.db")


def test_without_a_root_a_path_stays_relative() -> None:
    """Who builds a section by hand says where it counts from."""
    assert Valve().drawing == Path("plans")


@given(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,3}", fullmatch=True))
def test_anchoring_twice_is_anchoring_once(text: str) -> None:
    """A configuration read back from its effective values is the same configuration."""
    context = {"root": ROOT}
    once = Valve.model_validate({"drawing": text, "log": text}, context=context)
    again = Valve.model_validate({"drawing": str(once.drawing), "log": once.log}, context=context)
    assert (again.drawing, again.log) == (once.drawing, once.log)
