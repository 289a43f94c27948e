"""docs/ml-test-score.md: 28 questions, each with points and a proof that exists, and sums that are sums."""

import ast
import re
from functools import cache

import pytest

from benchmarks.report import NAMES
from tests.style_bar import ROOT

_PAGE = (ROOT / "docs" / "ml-test-score.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| (\d+) \| .+ \| .+ \| (.+) \| ([\d.]+) \|$", re.MULTILINE)
_PARTS = ("Data", "Model", "Infrastructure", "Monitoring")


@cache
def _tests_of(path: str) -> frozenset[str]:
    """The names of the tests of a module; none where there is no such module."""
    file = ROOT / "tests" / path
    if not file.exists():
        return frozenset()
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))


def _exists(proof: str) -> bool:
    if found := re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", proof):
        return found[2] in _tests_of(found[1])
    found = re.fullmatch(r"`python -m benchmarks (\w+)`", proof)
    return found is not None and found[1] in NAMES


def _rows(part: str) -> list[tuple[int, str, float]]:
    """The number, proofs and points of each question of a part."""
    section = _PAGE.split(f"## {part}\n")[1].split("\n## ")[0]
    return [(int(number), proofs, float(points)) for number, proofs, points in _ROW.findall(section)]


def test_every_question_is_answered_once() -> None:
    """Seven a part, in order."""
    found = {part: [number for number, _, _ in _rows(part)] for part in _PARTS}
    assert found == {part: list(range(7 * k + 1, 7 * k + 8)) for k, part in enumerate(_PARTS)}


@pytest.mark.parametrize("part", _PARTS)
def test_every_proof_exists_and_a_command_alone_is_worth_a_half(part: str) -> None:
    """A renamed test breaks this, not the claim."""
    for number, proofs, points in _rows(part):
        named = proofs.split("<br>")
        assert [proof for proof in named if not _exists(proof)] == [], number
        assert points in (0.0, 0.5, 1.0)
        assert points < 1.0 or any("::test_" in proof for proof in named), number


def test_the_sums_are_sums_and_the_score_is_the_least() -> None:
    """As the rubric has it."""
    sums = {part.lower(): sum(points for _, _, points in _rows(part)) for part in _PARTS}
    told = re.findall(r"^\| \**([a-z, ]+)\** \| \**([\d.]+)\** \|$", _PAGE, flags=re.MULTILINE)
    assert {name: float(points) for name, points in told} == {**sums, "score, the least of them": min(sums.values())}


def test_a_proof_that_is_not_there_is_seen() -> None:
    """The check can fail."""
    assert not _exists("`market/test_kernel.py::test_that_nobody_wrote`")
    assert not _exists("`python -m benchmarks nothing`")
    assert not _exists("somebody looked at it")
