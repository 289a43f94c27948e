"""docs/faults.md names a proof for every fault, and every proof is there."""

import ast
import re
from functools import cache

from tests.style_bar import ROOT

_PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
_FAULTS = 45


@cache
def _tests_of(path: str) -> frozenset[str]:
    """The names of the tests of a module; none where there is no such module."""
    file = ROOT / "tests" / path
    if not file.exists():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_test_named_on_the_page_exists() -> None:
    """A renamed test breaks this, not the claim."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", _PAGE)
    assert len(named) > _FAULTS
    assert [f"{path}::{name}" for path, name in named if name not in _tests_of(path)] == []


def test_every_fault_has_one_row_with_a_proof_or_the_word_that_there_is_none() -> None:
    """1 to 45, each once."""
    rows = re.findall(r"^\| (\d+) \| .* \| (?:yes)? ?\| (.+) \|$", _PAGE, flags=re.MULTILINE)
    assert sorted(int(number) for number, _ in rows) == list(range(1, _FAULTS + 1))
    assert [number for number, proof in rows if "::test_" not in proof and proof != "not tested"] == []
