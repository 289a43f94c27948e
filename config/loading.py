"""Read app.yml and the environment into one tree of values that remembers where each value came from."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from config.errors import SettingsError, nearest
from config.knobs import Knob
from config.secrets import FILE_SUFFIX, readable_variables, resolved, secrets_in

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Raw:
    """Values not yet checked, and for each dotted key that was given the file or variable that gave it."""

    tree: Tree
    origins: Mapping[str, str]


def read(path: Path, environ: Mapping[str, str], knobs: Iterable[Knob]) -> Raw:
    """Return the file's values with the environment's laid over them.

    Raises SettingsError for a file that is missing, is no YAML mapping, says a key twice or holds a secret, for a
    variable that is almost but not quite one of the knobs', and for a NAME_FILE that cannot be read.
    """
    known = tuple(knobs)
    name = shown_path(path)
    tree = _parse(path, name)
    origins = dict.fromkeys(_leaves(tree), name)
    problems = secrets_in(tree, name) + _misspelt_variables(environ, known)
    for each in known:
        # An empty variable counts as unset: compose files pass `${NAME:-}` for every knob they offer.
        text, problem = resolved(each.variable, environ)
        if problem:
            problems.append(problem)
        elif text:
            _put(tree, each.key.split("."), _split(text) if each.is_list else text)
            from_file = FILE_SUFFIX if environ.get(each.variable + FILE_SUFFIX, "").strip() else ""
            origins[each.key] = f"environment {each.variable}{from_file}"
    if problems:
        raise SettingsError(problems)
    return Raw(tree, origins)


def shown_path(path: Path) -> str:
    """Write a path as short as an operator would: from the working directory where it lies below it."""
    absolute, here = path.resolve(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


class _OneOfEachLoader(yaml.SafeLoader):
    """YAML takes the last of two equal keys in silence; here the second one is an error with its line."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key} is given twice, first in line {seen[key]}", problem_mark=key_node.start_mark
                )
            seen[key] = line
        return super().construct_mapping(node, deep)


def _parse(path: Path, name: str) -> Tree:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            [f"{name}: cannot be read ({error.strerror}); copy config/app.yml there or name another file"]
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{name}: byte {error.start} is not UTF-8; save the file as UTF-8"]) from error
    try:
        # A subclass of SafeLoader: only plain values can come out of the file.
        tree = yaml.load(text, Loader=_OneOfEachLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SettingsError([f"{name}: line {line}: {error.problem}"]) from error
    except yaml.YAMLError as error:
        raise SettingsError([f"{name}: {' '.join(str(error).split())}"]) from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError([f"{name}: must be sections of keys, was {type(tree).__name__}"])
    # `label:` with nothing below it is an empty section, not a missing value.
    return {str(section): {} if value is None else value for section, value in tree.items()}


def _leaves(tree: Mapping[Any, Any], prefix: str = "") -> Iterable[str]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _put(tree: Tree, path: list[str], value: object) -> None:
    *sections, last = path
    for name in sections:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            return  # the schema refuses this section anyway, and says so
        tree = below
    tree[last] = value


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _misspelt_variables(environ: Mapping[str, str], known: tuple[Knob, ...]) -> list[str]:
    """Name each variable that differs from a knob's by a slip of the keys.

    Other variables may begin like a section and mean nothing to us (SOURCE_DATE_EPOCH, or the REGISTRY_PORT that
    Kubernetes sets for a service called registry), so only a close miss behind the section's name is refused.
    """
    by_section: dict[str, list[str]] = {}
    for variable in readable_variables(each.variable for each in known):
        section, _, rest = variable.partition("_")
        by_section.setdefault(f"{section}_", []).append(rest)
    problems = []
    for name in sorted(environ):
        section = name.split("_", 1)[0] + "_"
        rest = name.removeprefix(section)
        endings = by_section.get(section, [])
        if rest not in endings and (meant := nearest(rest, endings, cutoff=0.8)):
            problems.append(f"environment {name}: no such override; did you mean {section}{meant}?")
    return problems
