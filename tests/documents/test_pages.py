"""README and docs say only what is so: links lead somewhere, commands run, keys exist, records keep their form."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from config.secrets import readable_variables
from config.settings import Settings, all_knobs
from live.wiring import SERVICES
from tests.style_bar import ROOT

_PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])
_IDS = [str(page.relative_to(ROOT)) for page in _PAGES]
_OTHERS = {"dagster"}
"""Programs of others that the pages tell to run."""
_RECORDS = sorted(ROOT.glob("docs/decisions/*.md"))


def _code(page: Path) -> Iterator[str]:
    """Yield what a page sets as code: spans between backticks, and the lines of fenced blocks."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def _commands(pattern: str) -> set[str]:
    """Return what a pattern's first group finds at the start of any piece of code on any page."""
    return {found[1] for page in _PAGES for piece in _code(page) if (found := re.match(pattern, piece))}


@pytest.mark.parametrize("page", _PAGES, ids=_IDS)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    """A moved page breaks this, not a reader."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", _PAGES, ids=_IDS)
def test_keys_and_variables_exist(page: Path) -> None:
    """Whatever looks like a key of ours, or like its variable, is one."""
    sections = "|".join(Settings.model_fields)
    keys, variables = {each.key for each in all_knobs()}, {each.variable for each in all_knobs()}
    pieces = list(_code(page))
    named = {found for piece in pieces for found in re.findall(rf"^(?:{sections})\.[a-z_0-9]+$", piece)}
    # `market.labels` and its like are modules, `registry.store` too.
    strangers = {name for name in named - keys if not (ROOT / f"{name.replace('.', '/')}.py").exists()}
    prefixed = {found for piece in pieces for found in re.findall(rf"^(?:{sections.upper()})_[A-Z_]+", piece)}
    secrets = set(readable_variables(variables))
    assert (strangers, prefixed - variables - secrets) == (set(), set())


def test_yaml_on_the_pages_is_accepted() -> None:
    """A piece of app.yml that is shown can be pasted."""
    blocks = [block for page in _PAGES for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL)]
    assert blocks
    for block in blocks:
        Settings.model_validate(yaml.safe_load(block))


def test_make_targets_exist() -> None:
    """Every `make something` on a page is in the Makefile, with a line of help."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE))
    assert _commands(r"make ([a-z]+)") - targets == set()
    assert len(targets) <= 16


def test_plain_make_lists_the_targets() -> None:
    """The first thing a newcomer types answers with what there is."""
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "make demo" in done.stdout


@pytest.mark.parametrize("script", sorted(path.name for path in ROOT.glob("scripts/*.py")))
def test_scripts_are_thin_and_explain_themselves(script: str) -> None:
    """--help exits 0, and a script has at most 60 lines."""
    path = ROOT / "scripts" / script
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    done = subprocess.run([sys.executable, path, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "usage"), done.stderr


def test_scripts_on_the_pages_exist_with_their_options() -> None:
    """A command on a page names a script that is there and options that it has."""
    for page in _PAGES:
        for piece in _code(page):
            if found := re.match(r"(?:python3? )?(scripts/\w+\.\w+)(.*)", piece):
                text = (ROOT / found[1]).read_text(encoding="utf-8")
                assert [option for option in re.findall(r"--[a-z-]+", found[2]) if f'"{option}"' not in text] == []


def test_modules_on_the_pages_exist() -> None:
    """`python -m x.y` names a module, or a package that can be run."""
    modules = [name.replace(".", "/") for name in _commands(r"python -m ([\w.]+)") - _OTHERS]
    found = [name for name in modules if (ROOT / f"{name}.py").exists() or (ROOT / name / "__main__.py").exists()]
    assert found == modules


def _runs() -> Iterator[tuple[list[str], str, list[str]]]:
    """Yield each run of `live` or `tidegate` on the pages: the variables before it, the package, the words behind."""
    for page in _PAGES:
        for piece in _code(page):
            if found := re.match(r"((?:[A-Z_]+=\S* )*)python -m (live|tidegate)(?= |$)(.*)", piece):
                yield re.findall(r"([A-Z_]+)=", found[1]), found[2], shlex.split(found[3].partition("  ")[0])


@cache
def _help_of(*words: str) -> str:
    """What a command says of itself."""
    environ = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-m", *words, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def test_commands_on_the_pages_run_with_their_options() -> None:
    """Verbs and services exist, options are in their help, and variables before a command are knobs of ours."""
    variables = {each.variable for each in all_knobs()}
    seen = set()
    for before, package, words in _runs():
        assert set(before) <= variables, before
        plain, options = [word for word in words if word[0] != "-"], [word for word in words if word[0] == "-"]
        is_group = plain[:1] in (["audit"], ["monitoring"])
        verb = plain[: 1 + is_group] if package == "tidegate" else []
        seen.update([*verb, *(plain if package == "live" else [])])
        said = _help_of(package, *verb)
        assert [option for option in options if f"{option} " not in said.replace(",", " ")] == [], words
        if package == "live":
            assert set(plain) <= {*SERVICES, "all"}, words
    assert {"status", "why", "tail", "all", "model_sync"} <= seen


def test_variables_on_the_pages_exist() -> None:
    """NAME=value is a variable of a knob."""
    strangers = {
        name
        for page in _PAGES
        for piece in _code(page)
        for name in re.findall(r"(?:^| )([A-Z]+_[A-Z_]+)=", piece)
        if name not in {each.variable for each in all_knobs()}
    }
    assert strangers == set()


def test_files_named_on_the_pages_exist() -> None:
    """A path below a tracked folder that is set as code is a file or folder of the repository."""
    tracked = "archive|bus|config|docs|evaluation|live|market|monitoring|pipelines|registry|scripts|tests|tidegate"
    named = _commands(rf"((?:{tracked}|data/reference)/[\w./-]*)$")
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_decision_records_are_numbered_and_short() -> None:
    """0001, 0002, ... without a hole; title, context, choice and cost within some twenty lines."""
    assert [int(record.name[:4]) for record in _RECORDS] == list(range(1, len(_RECORDS) + 1))
    for record in _RECORDS:
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(record.name[:4])}. "), record.name
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, flags=re.MULTILINE) == ["Context", "Choice", "Cost"], record.name
        assert len(text.splitlines()) <= 24, record.name


def test_the_index_leads_to_every_page() -> None:
    """docs/README.md is where a reader begins; a page that is not linked there is found by nobody."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in re.findall(r"\]\(([^)#\s]+)", index.read_text())}
    pages = {page.resolve() for page in ROOT.glob("docs/**/*.md") if page.parent.name != "decisions"}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - linked - {index.resolve()}) == []
