"""The measuring tool against small trees whose figures are known by counting."""

from pathlib import Path

import pytest

from tests.style_bar import Figure, measure

_CLEAN = '''"""A module."""


def public(width: int) -> int:
    """Return it."""
    return width


def _private(width: int, *rest: int, name: str = "") -> int:
    if width < 0:
        raise ValueError(f"width must be >= 0, was {width}")
    return width
'''


def _figures(root: Path, files: dict[str, str]) -> dict[str, Figure]:
    for name, text in ({"README.md": "one\ntwo\n", "tests/test_area.py": "x = 1\n"} | files).items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    folders = sorted({name.split("/")[0] for name in files if name.endswith(".py")} - {"tests"})
    return {figure.name: figure for figure in measure(root, folders)}


def test_a_clean_module_holds_every_bar_but_the_ratio_of_tests(tmp_path: Path) -> None:
    """Nine written lines of code and one of tests; everything else is as it should be."""
    found = _figures(tmp_path, {"area/__init__.py": '"""An area."""\n', "area/shapes.py": _CLEAN})
    assert [name for name, figure in found.items() if not figure.holds] == ["test lines to a code line"]
    assert found["module lines, longest"].value == 13
    assert found["function lines, longest"].value == 4
    assert found["README lines"].value == 2
    assert found["test lines to a code line"].value == pytest.approx(1 / 9)


@pytest.mark.parametrize(
    ("name", "text", "offender"),
    [
        ("annotated functions", "def f(x) -> int:\n    return x\n", "area/a.py:1 f"),
        ("annotated functions", "class A:\n    def f(self, *x) -> int:\n        return 1\n", "area/a.py:2 f"),
        ("annotated functions", "def f():\n    pass\n", "area/a.py:1 f"),
        ("documented public functions", "def f() -> None:\n    pass\n", "area/a.py:1 f"),
        ("documented public functions", "class A:\n    async def f(self) -> None:\n        pass\n", "area/a.py:2 f"),
        ("errors that carry a value", "raise ValueError('bad')\n", "area/a.py:1 raise ValueError('bad')"),
        ("module lines, longest", "x = 1\n" * 400, "area/a.py: 401 lines"),
        ("function lines, longest", "def f() -> int:\n" + "    x = 1\n" * 70, "area/a.py:1 f: 71 lines"),
        ("function lines, p95", "def f() -> int:\n" + "    x = 1\n" * 35, "area/a.py:1 f: 36 lines"),
    ],
)
def test_a_miss_is_measured_and_its_place_named(tmp_path: Path, name: str, text: str, offender: str) -> None:
    """Whoever broke the bar reads where."""
    figure = _figures(tmp_path, {"area/a.py": text})[name]
    assert not figure.holds
    assert figure.offenders == (offender,)
    assert figure.row().endswith("MISSED")


def test_private_nested_and_overloaded_functions_need_no_docstring(tmp_path: Path) -> None:
    """Only what a reader may call from outside has to be explained."""
    text = """
class _Hidden:
    def f(self) -> None:
        pass


def _g() -> None:
    def inner() -> None:
        pass


@typing.overload
def h() -> None: ...
"""
    assert _figures(tmp_path, {"area/a.py": text})["documented public functions"].holds


def test_a_docstring_does_not_lengthen_its_function(tmp_path: Path) -> None:
    """Explaining is free."""
    text = 'def f() -> int:\n    """One.\n\n    Two.\n    """\n    return 1\n'
    assert _figures(tmp_path, {"area/a.py": text})["function lines, longest"].value == 2


def test_a_test_named_after_nothing_is_a_stranger(tmp_path: Path) -> None:
    """test_area mirrors the package, test_shapes the module, test_misc nothing."""
    files = {"area/shapes.py": "x = 1\n", "tests/area/test_shapes.py": "", "tests/area/test_misc.py": ""}
    figure = _figures(tmp_path, files)["mirrored test modules"]
    assert figure.value == pytest.approx(2 / 3)
    assert figure.offenders == ("tests/area/test_misc.py",)


def test_cycles_are_found_at_import_and_behind_functions(tmp_path: Path) -> None:
    """An import that waits inside a function hides a cycle from Python, not from the bar."""
    files = {
        "area/a.py": "import edge.b\n",
        "edge/b.py": "def f() -> None:\n    from area import a\n",
        "line/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import edge\n",
    }
    found = _figures(tmp_path, files)
    assert found["cycles at import"].holds
    assert found["cycles at any time"].offenders == ("area -> edge -> area",)
    again = _figures(tmp_path, {"area/a.py": "import edge.b\n", "edge/b.py": "from area import a\n"})
    assert not again["cycles at import"].holds
