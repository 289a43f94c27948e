"""docs/runbook.md as data: its sections, and the commands and names that each one tells an operator to use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from monitoring.runbook import PAGE, SECTIONS
from tidegate.environment import ROOT

_FENCED = re.compile(r"^ *```\n(.*?)^ *```$", flags=re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:python|bash|docker|make) ")
_METRIC: Final = re.compile(r"^([a-z][a-z0-9_]*)(?:\{(.*)\})?$")
_LABEL: Final = re.compile(r'([a-z_]+)(?:="([^"]*)")?')


class NoSection(Exception):
    """The page has no such section; the text names those there are."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its heading, the heading's anchor, and the Markdown below it."""

    title: str
    anchor: str
    text: str

    @property
    def commands(self) -> tuple[str, ...]:
        """What is to be typed, in order: the lines of code blocks, and commands within a sentence."""
        fenced = [line.strip() for block in _FENCED.findall(self.text) for line in block.splitlines()]
        inline = [each for each in _INLINE.findall(_FENCED.sub("", self.text)) if _COMMAND.match(each)]
        return tuple(line for line in [*fenced, *inline] if line)

    @property
    def names(self) -> tuple[str, ...]:
        """Everything else that stands as code: metrics, keys, reasons, gates, streams, paths. Each once, in order."""
        found = _INLINE.findall(_FENCED.sub("", self.text))
        return tuple(dict.fromkeys(each for each in found if not _COMMAND.match(each)))

    @property
    def steps(self) -> tuple[str, ...]:
        """The numbered steps and, before the first, what the section says on its own; Markdown as written."""
        parts = re.split(r"^(?=\d+\. |- )", self.text, flags=re.MULTILINE)
        return tuple(part.strip() for part in parts if part.strip())


def metric_of(name: str) -> tuple[str, dict[str, str]] | None:
    """Read `winrate_rolling{route}` or `halted{reason="operator"}` as (metric, labels); None for no such form.

    A label without a value, or with a * in it, stands for all of them and is given as "".
    """
    match = _METRIC.match(name)
    if match is None:
        return None
    labels = {key: "" if "*" in value else value for key, value in _LABEL.findall(match[2] or "")}
    return match[1], labels


@cache
def page(path: Path = ROOT / PAGE) -> Mapping[str, Section]:
    """Every section of the page by its anchor, in order. Raises OSError."""
    parts = re.split(r"^## (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = (
        Section(title.strip(), anchor_of(title), text.strip())
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    )
    return {each.anchor: each for each in found}


def anchor_of(title: str) -> str:
    """The anchor that a heading gets: lower case, blanks become dashes, other signs go."""
    return re.sub(r"[^a-z0-9 _-]", "", title.strip().lower()).replace(" ", "-")


def section(name: str, path: Path = ROOT / PAGE) -> Section:
    """The section of an anchor, a title, or the beginning of one. Raises NoSection."""
    wanted, sections = anchor_of(name).strip("-"), page(path)
    if wanted in sections:
        return sections[wanted]
    found = [each for each in sections.values() if wanted and each.anchor.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    raise NoSection(f"no section {name!r}; there are: {', '.join(SECTIONS)}")
