"""A file and the environment become one tree of values that know where they came from."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.errors import SettingsError
from config.knobs import Knob
from config.loading import Raw, read, shown_path
from config.settings import all_knobs


def _knob(key: str, *, is_list: bool = False) -> Knob:
    return Knob(key, default=None, kind="text", unit="", bounds="", description="", is_list=is_list)


KNOBS = (
    _knob("label.tp_pct"),
    _knob("label.sl_pct"),
    _knob("label.horizon_seconds"),
    _knob("market.symbols", is_list=True),
    _knob("exchange.retry.limit"),
)


def _read(folder: Path, text: str, **environ: str) -> Raw:
    file = folder / "app.yml"
    file.write_text(text, encoding="utf-8")
    return read(file, environ, KNOBS)


def _problem(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        _read(folder, text, **environ)
    (problem,) = caught.value.problems
    return problem.removeprefix(f"{folder / 'app.yml'}: ")


def test_values_are_not_checked_here(tmp_path: Path) -> None:
    """Whatever the file says is in the tree, for the schema to judge."""
    found = _read(tmp_path, "label: {tp_pct: soon, depth: {x: [1, 2]}}\nelse: 3\n")
    assert found.tree == {"label": {"tp_pct": "soon", "depth": {"x": [1, 2]}}, "else": 3}
    assert set(found.origins) == {"label.tp_pct", "label.depth.x", "else"}


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment\n", "---\n", "~\n"])
def test_a_file_without_a_value_is_an_empty_tree(tmp_path: Path, text: str) -> None:
    """Every default then holds."""
    assert _read(tmp_path, text) == Raw({}, {})


def test_a_section_with_nothing_below_it_is_empty(tmp_path: Path) -> None:
    """`label:` is not a section set to nothing, and a variable can fill it."""
    assert _read(tmp_path, "label:\nmarket:\n").tree == {"label": {}, "market": {}}
    assert _read(tmp_path, "label:\n", LABEL_TP_PCT="1").tree == {"label": {"tp_pct": "1"}}


def test_an_empty_key_stays_empty(tmp_path: Path) -> None:
    """`path:` within a section means none."""
    assert _read(tmp_path, "label:\n  tp_pct:\n").tree == {"label": {"tp_pct": None}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("label: {tp_pct: 1}\nlabel: {sl_pct: 1}\n", "line 2: label is given twice, first in line 1"),
        ("label:\n  tp_pct: 1\n  sl_pct: 1\n  tp_pct: 2\n", "line 4: tp_pct is given twice, first in line 2"),
        ("a: {b: {c: 1,\n\n c: 1}}\n", "line 3: c is given twice, first in line 1"),
        ("a: [{b: 1, b: 2}]\n", "line 1: b is given twice, first in line 1"),
        ("a: 1\n'a': 2\n", "line 2: a is given twice, first in line 1"),
        ("1: a\n1: b\n", "line 2: 1 is given twice, first in line 1"),
    ],
)
def test_a_key_given_twice_is_refused_with_both_lines(tmp_path: Path, text: str, problem: str) -> None:
    """At any depth, in a list, quoted or not: YAML itself would take the last in silence."""
    assert _problem(tmp_path, text) == problem


def test_the_same_key_in_two_sections_is_no_repetition(tmp_path: Path) -> None:
    """`path` stands below source and below backfill."""
    assert _read(tmp_path, "a: {path: 1}\nb: {path: 2}\n").tree == {"a": {"path": 1}, "b": {"path": 2}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("label: {tp_pct: 1\n", 2),
        ("label:\n  tp_pct: 1\n sl_pct: 2\n", 3),
        ("label: 'open\n\n", 3),
        ("label: *nowhere\n", 1),
        ("label: !python/object:os.system {}\n", 1),
        ("a: 1\n--- \nb: 2\n", 2),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    """Unclosed, badly indented, without its anchor, code, or a second document."""
    assert _problem(tmp_path, text).startswith(f"line {line}: ")


@pytest.mark.parametrize(("text", "kind"), [("3", "int"), ("[a]", "list"), ("label", "str"), ("2026-01-05", "date")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, kind: str) -> None:
    """The message says what was found instead."""
    assert _problem(tmp_path, text) == f"must be sections of keys, was {kind}"


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    """The system's own words, and what to do."""
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\); copy config/app.yml there"):
        read(tmp_path, {}, KNOBS)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """Windows editors write one before the first key."""
    assert _read(tmp_path, "\ufefflabel: {tp_pct: 1}\n").tree == {"label": {"tp_pct": 1}}


def test_a_variable_beats_the_file_and_is_named(tmp_path: Path) -> None:
    """Whole words only: another variable that ends alike is nobody's override."""
    found = _read(tmp_path, "label: {tp_pct: 1, sl_pct: 2}\n", LABEL_TP_PCT="3", MY_LABEL_SL_PCT="4")
    assert found.tree == {"label": {"tp_pct": "3", "sl_pct": 2}}
    assert found.origins["label.tp_pct"] == "environment LABEL_TP_PCT"
    assert found.origins["label.sl_pct"] == shown_path(tmp_path / "app.yml")


def test_a_variable_makes_the_section_it_needs(tmp_path: Path) -> None:
    """At any depth: EXCHANGE_RETRY_LIMIT is exchange.retry.limit, whatever the file leaves out."""
    assert _read(tmp_path, "", EXCHANGE_RETRY_LIMIT="4").tree == {"exchange": {"retry": {"limit": "4"}}}
    found = _read(tmp_path, "exchange: {retry: {wait: 1}}\n", EXCHANGE_RETRY_LIMIT="4")
    assert found.tree == {"exchange": {"retry": {"wait": 1, "limit": "4"}}}


def test_a_section_that_is_a_number_is_left_for_the_schema(tmp_path: Path) -> None:
    """A variable below it cannot mend it, and must not hide it."""
    assert _read(tmp_path, "label: 3\n", LABEL_TP_PCT="1").tree == {"label": 3}


def test_an_empty_variable_is_no_override(tmp_path: Path) -> None:
    """A compose file passes every variable, set or not."""
    found = _read(tmp_path, "label: {tp_pct: 1}\n", LABEL_TP_PCT="", MARKET_SYMBOLS="", LABEL_SL_PCT="")
    assert found == _read(tmp_path, "label: {tp_pct: 1}\n")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("BTCUSDT", ["BTCUSDT"]),
        ("BTCUSDT,ETHUSDT", ["BTCUSDT", "ETHUSDT"]),
        (" BTCUSDT ,\tETHUSDT ", ["BTCUSDT", "ETHUSDT"]),
        ("BTCUSDT,,ETHUSDT,", ["BTCUSDT", "ETHUSDT"]),
        (",", []),
    ],
)
def test_a_list_is_split_at_commas(tmp_path: Path, text: str, parts: list[str]) -> None:
    """Space around a part and parts of nothing do not count; a text with a comma stays whole elsewhere."""
    assert _read(tmp_path, "", MARKET_SYMBOLS=text).tree == {"market": {"symbols": parts}}
    assert _read(tmp_path, "", LABEL_TP_PCT=text).tree == {"label": {"tp_pct": text}}


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("LABEL_TP_PTC", "LABEL_TP_PCT"),
        ("LABEL_SLPCT", "LABEL_SL_PCT"),
        ("LABEL_HORIZON_SECOND", "LABEL_HORIZON_SECONDS"),
        ("MARKET_SYMBOL", "MARKET_SYMBOLS"),
        ("EXCHANGE_RETRY_LIMITS", "EXCHANGE_RETRY_LIMIT"),
    ],
)
def test_a_slip_in_a_variable_is_refused_with_what_was_meant(tmp_path: Path, slip: str, meant: str) -> None:
    """Even when it is empty: it was meant for us and would never do anything."""
    problem = f"environment {slip}: no such override; did you mean {meant}?"
    assert _problem(tmp_path, "", **{slip: "1"}) == _problem(tmp_path, "", **{slip: ""}) == problem


@pytest.mark.parametrize("name", ["LABEL", "LABEL_", "LABEL_COLOUR", "MARKET_PORT", "label_tp_pct", "TP_PCT", "HOME"])
def test_a_strangers_variable_is_left_alone(tmp_path: Path, name: str) -> None:
    """Another program's variables may begin like a section of ours."""
    assert _read(tmp_path, "", **{name: "x"}) == Raw({}, {})


def test_every_slip_is_told_at_once_in_order(tmp_path: Path) -> None:
    """Sorted by name, so that two runs say the same."""
    (tmp_path / "app.yml").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read(tmp_path / "app.yml", {"MARKET_SYMBOL": "A", "LABEL_TP_PC": "1"}, KNOBS)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "environment LABEL_TP_PC",
        "environment MARKET_SYMBOL",
    ]


def test_no_knob_of_ours_is_a_slip_of_another(tmp_path: Path) -> None:
    """All variables set at once, each to its own text, reach their own keys."""
    (tmp_path / "app.yml").write_text("", encoding="utf-8")
    environ = {each.variable: each.key for each in all_knobs()}
    found = read(tmp_path / "app.yml", environ, all_knobs())
    assert found.origins == {each.key: f"environment {each.variable}" for each in all_knobs()}
    for each in all_knobs():
        section, name = each.key.split(".")
        assert found.tree[section][name] == ([each.key] if each.is_list else each.key)


def test_secrets_have_no_key() -> None:
    """A password in a file would be printed by --show and stored beside the code."""
    words = ("secret", "password", "token", "api_key", "credential", "private")
    assert [each.key for each in all_knobs() if any(word in each.key for word in words)] == []


_names = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True).filter(lambda name: yaml.safe_load(name) == name)
_values = st.one_of(st.integers(-9, 9), st.booleans(), st.lists(st.integers(0, 3), max_size=3))


@given(st.dictionaries(_names, st.dictionaries(_names, _values, min_size=1, max_size=3), max_size=3))
def test_any_tree_of_sections_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, dict[str, Any]]
) -> None:
    """Nothing is renamed, and every leaf has the file for its origin."""
    found = _read(tmp_path_factory.mktemp("tree"), yaml.safe_dump(tree))
    assert found.tree == tree
    assert set(found.origins) == {f"{section}.{key}" for section, keys in tree.items() for key in keys}


def test_a_path_is_shown_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short where it lies below, whole where it does not."""
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "config" / "app.yml") == "config/app.yml"
    assert shown_path(Path("config/../app.yml")) == "app.yml"
    assert shown_path(Path("/etc/app.yml")) == "/etc/app.yml"
