"""The shape of the code as figures, and the bar each of them has to hold: `python -m tests.style_bar`.

Files are parsed, never imported. A module is a file with more than a docstring, as long as an editor shows it. A
function is as long as its source without its docstring. Public means without a leading underscore, down from the
module. Tests mirror when test_x.py has an x among the names of packages and modules. A cycle is a group of packages
that import one another, once as Python does at import and once with the imports inside functions counted too.
"""

import ast
import statistics
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure, the limit it has to hold, and where it is missed."""

    name: str
    value: float
    limit: float
    at_most: bool
    offenders: tuple[str, ...] = ()
    is_share: bool = False

    @property
    def holds(self) -> bool:
        """Whether the bar is held."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def row(self) -> str:
        """Return one line of the table."""
        value, limit = (f"{number:.0%}" if self.is_share else f"{number:.4g}" for number in (self.value, self.limit))
        sign = "<=" if self.at_most else ">="
        return f"{self.name:<28} {value:>7}  {sign} {limit:<5} {'ok' if self.holds else 'MISSED'}"


@dataclass(frozen=True, slots=True)
class _Source:
    place: str
    dotted: str
    text: str
    tree: ast.Module


def code_folders(root: Path) -> list[str]:
    """Return the folders that hold code: the packages of the import contracts, and scripts."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return [*settings["tool"]["importlinter"]["root_packages"], "scripts"]


def measure(root: Path, folders: Sequence[str], tests: str = "tests") -> list[Figure]:
    """Measure the code in folders of root against the tests beside it, one Figure for each bar."""
    code = [source for folder in folders for source in _sources(root, folder)]
    return [
        *_lengths_of_modules(code),
        *_functions_as_written(code),
        _errors_with_values(code),
        *_tests_beside(code, list(_sources(root, tests))),
        *_cycles(code, set(folders)),
        Figure("README lines", len((root / "README.md").read_text(encoding="utf-8").splitlines()), 150, at_most=True),
    ]


def main() -> int:
    """Print the table, then where each missed bar is missed, and return 1 when one is."""
    figures = measure(ROOT, code_folders(ROOT))
    print("\n".join(figure.row() for figure in figures))
    missed = [figure for figure in figures if not figure.holds]
    for figure in missed:
        print(f"\n{figure.name}:", *figure.offenders[:20], sep="\n  ")
    return 1 if missed else 0


def _sources(root: Path, folder: str) -> Iterator[_Source]:
    for path in sorted((root / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        place = path.relative_to(root)
        dotted = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
        yield _Source(str(place), dotted, text, ast.parse(text, str(place)))


def _lengths_of_modules(code: Sequence[_Source]) -> Iterator[Figure]:
    # The empty line an editor shows behind the last newline is counted.
    lengths = {
        source.place: source.text.count("\n") + 1
        for source in code
        if any(not _is_docstring(statement) for statement in source.tree.body)
    }
    by_length = sorted(lengths.items(), key=lambda item: -item[1])
    longest = tuple(f"{place}: {lines} lines" for place, lines in by_length)
    yield Figure("module lines, median", statistics.median(lengths.values()), 150, at_most=True, offenders=longest)
    too_long = tuple(f"{place}: {lines} lines" for place, lines in by_length if lines > 400)
    yield Figure("module lines, longest", by_length[0][1], 400, at_most=True, offenders=too_long)


def _functions_as_written(code: Sequence[_Source]) -> Iterator[Figure]:
    found = [
        (f"{source.place}:{function.lineno} {function.name}", function, public)
        for source in code
        for function, public in _functions(source.tree, public=True)
    ]
    if not found:
        return
    lengths = sorted(((_length(function), place) for place, function, _ in found), reverse=True)
    ascending = [length for length, _ in reversed(lengths)]
    p95 = ascending[min(len(ascending) - 1, int(0.95 * len(ascending)))]
    yield Figure("function lines, p95", p95, 35, at_most=True, offenders=_over(lengths, 35))
    yield Figure("function lines, longest", ascending[-1], 70, at_most=True, offenders=_over(lengths, 70))
    bare = [place for place, function, _ in found if not _is_annotated(function)]
    yield _share("annotated functions", len(found) - len(bare), len(found), 1.0, bare)
    public = [(place, function) for place, function, is_public in found if is_public]
    silent = [place for place, function in public if ast.get_docstring(function) is None]
    yield _share("documented public functions", len(public) - len(silent), len(public), 0.8, silent)


def _errors_with_values(code: Sequence[_Source]) -> Figure:
    told, bare = 0, []
    for source in code:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                parts = [*node.exc.args, *(keyword.value for keyword in node.exc.keywords)]
                told += bool(parts)
                if parts and all(isinstance(part, ast.Constant) for part in parts):
                    bare.append(f"{source.place}:{node.lineno} {ast.unparse(node)}")
    return _share("errors that carry a value", told - len(bare), told, 0.9, bare)


def _tests_beside(code: Sequence[_Source], tests: Sequence[_Source]) -> Iterator[Figure]:
    ratio = sum(map(_written_lines, tests)) / sum(map(_written_lines, code))
    yield Figure("test lines to a code line", ratio, 1.0, at_most=False)
    names = {part.strip("_") for source in code for part in source.dotted.split(".")}
    modules = [source.place for source in tests if Path(source.place).name.startswith("test_")]
    strangers = [place for place in modules if Path(place).stem.removeprefix("test_") not in names]
    yield _share("mirrored test modules", len(modules) - len(strangers), len(modules), 0.8, strangers)


def _cycles(code: Sequence[_Source], packages: set[str]) -> Iterator[Figure]:
    for name, with_deferred in (("cycles at import", False), ("cycles at any time", True)):
        graph: dict[str, set[str]] = {package: set() for package in packages}
        for source in code:
            own = source.dotted.split(".")[0]
            graph[own] |= {top for top in _imports(source.tree, with_deferred) if top in packages and top != own}
        loops = list(_loops(graph))
        yield Figure(name, len(loops), 0, at_most=True, offenders=tuple(loops))


def _functions(node: ast.AST, public: bool) -> Iterator[tuple[_Function, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Function):
            if not any(ast.unparse(each).endswith("overload") for each in child.decorator_list):
                yield child, public and not child.name.startswith("_")
            yield from _functions(child, public=False)
        else:
            hidden = isinstance(child, ast.ClassDef) and child.name.startswith("_")
            yield from _functions(child, public and not hidden)


def _length(function: _Function) -> int:
    first = function.body[0]
    lines = _lines(function)
    return lines - _lines(first) if _is_docstring(first) else lines


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_annotated(function: _Function) -> bool:
    spec = function.args
    given = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    given = given[1:] if given and given[0].arg in {"self", "cls", "mcs"} else given
    given += [each for each in (spec.vararg, spec.kwarg) if each]
    return all(each.annotation for each in given) and (function.returns is not None or function.name == "__init__")


def _written_lines(source: _Source) -> int:
    return sum(bool(line.strip()) for line in source.text.splitlines())


def _imports(node: ast.AST, with_deferred: bool) -> Iterator[str]:
    """Yield the first part of every name imported below a node; imports for the type checker alone are left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.split(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield (child.module or "").split(".")[0]
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(ast.Module(child.orelse, []), with_deferred)
        elif with_deferred or not isinstance(child, _Function):
            yield from _imports(child, with_deferred)


def _loops(graph: dict[str, set[str]]) -> Iterator[str]:
    """Yield one loop of each cycle, breaking it before looking for the next."""
    left = {node: sorted(graph[node]) for node in sorted(graph)}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            loop = error.args[1][:0:-1]
            first = loop.index(min(loop))
            loop = [*loop[first:], *loop[: first + 1]]
            yield " -> ".join(loop)
            left[loop[0]].remove(loop[1])
        else:
            return


def _over(lengths: Sequence[tuple[int, str]], limit: int) -> tuple[str, ...]:
    return tuple(f"{place}: {length} lines" for length, place in lengths if length > limit)


def _share(name: str, part: int, whole: int, limit: float, offenders: Sequence[str]) -> Figure:
    return Figure(name, part / whole if whole else 1.0, limit, False, tuple(offenders), is_share=True)


if __name__ == "__main__":
    sys.exit(main())
