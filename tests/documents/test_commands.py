"""Every command that a page tells to type is run on services that run, or has a reason why it is only looked at."""

import os
import re
import runpy
import sys
from collections.abc import Iterator
from functools import cache

import pytest

from archive.store import Lake
from config.settings import explain
from tests.archive.lakes import DAY, put_book, steady_ns, trades_at
from tests.documents.commands import WAYS, Command, commands_of, every
from tests.live.journals import moved
from tests.live.mirrors import Models
from tests.style_bar import ROOT
from tidegate.command_reference import verbs
from tidegate.environment import FIXED
from tidegate.live_stack import SERVICES, running

_COMMANDS = every()
_RUN = [each for each in _COMMANDS if each.way and not each.way.reason]
_LOOKED_AT = [each for each in _COMMANDS if each.way and each.way.reason]


def _id(command: Command) -> str:
    return command.line[:80]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """Services on the simulator with three small models, and a whole day in the lake; this process sees the same."""
    place = tmp_path_factory.mktemp("docs")
    models = Models(place / "store", place / "mirror")
    for version, slot in enumerate(("active", "shadow", "previous"), start=1):
        models.put(slot, version)  # type: ignore[arg-type]  # the slots by name
    moved(models.root, active=1, shadow=2, previous=3)
    lake = Lake.create(str(place / "lake"))
    put_book(lake, "BTCUSDT", DAY, steady_ns())
    lake.write_trades("BTCUSDT", DAY, trades_at(steady_ns()), source="test", allow_empty=True)
    environ = {
        "PATHS_VAR": str(place / "var"), "PATHS_LAKE": str(place / "lake"), "REGISTRY_MIRROR": str(models.root),
        "REGISTRY_TRACKING_URI": f"sqlite:///{place}/mlflow.db", "WARMUP_SECONDS": "0", "SERVING_METRICS_PORT": "0",
        "COLUMNS": "200",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (*FIXED.items(), *environ.items()):
            patch.setenv(name, value)
        with running(place / "var" / "redis", place / "live.log", SERVICES, environ) as live:
            live.wait_for([*SERVICES, "recorder"], 120)
            yield models


def test_every_command_is_known() -> None:
    """Whoever writes a new one says here how it is proven."""
    assert [f"{each.page.name}: {each.line}" for each in _COMMANDS if each.way is None] == []
    assert len(_RUN) > 10


@pytest.mark.parametrize("command", _RUN, ids=_id)
def test_it_does_what_the_page_says(
    command: Command, stack: Models, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typed as it stands, but for names that a reader puts in, it exits with 0 and says something."""
    assert command.way is not None
    values = {"<MODEL_ID>": stack.id(1), "<PREVIOUS_MODEL_ID>": stack.id(3), "data/parquet": os.environ["PATHS_LAKE"]}
    words = [values.get(word, word) for word in command.words if word not in command.way.endless]
    for name, value in command.variables.items():
        monkeypatch.setenv(name, value)
    code = _typed(words, monkeypatch)
    told = capsys.readouterr()
    assert code == 0, told.out[-2_000:] + told.err
    assert told.out or command.way.may_be_silent


@pytest.mark.parametrize("command", _LOOKED_AT, ids=_id)
def test_what_is_not_run_can_be_typed(command: Command) -> None:
    """The target, module, script or verb is there, its options too, and its variables make a configuration."""
    if knobs := {name: value for name, value in command.variables.items() if name not in ("BIN", "ARGS", "SOURCE")}:
        explain(environ=knobs)
    words = command.words
    match words:
        case ["make", target, *_]:
            assert target in _targets()
        case ["python", "-m", "tidegate", *rest]:
            assert _is_verb(rest), command.line
        case ["python", "-m", module, *_] if module != "dagster":
            assert (ROOT / f"{module.replace('.', '/')}.py").exists() or (ROOT / module / "__main__.py").exists()
        case [_, script, *options] if script.startswith("scripts/"):
            text = (ROOT / script).read_text(encoding="utf-8")
            assert [each for each in options if each.startswith("--") and each not in text] == []


def test_a_command_that_nobody_knows_is_found() -> None:
    """The check itself is no stub: in a block of a shell every line is a command, elsewhere those of programs are."""
    page = ROOT / "README.md"
    text = "```\n a ──▶ b\npython -m nothing.of_ours\n```\n\n```sh\nwhatever --now\n```\n\n```yaml\nmake: 1\n```\n"
    found = list(commands_of(page, text))
    assert [(each.line, each.way) for each in found] == [("python -m nothing.of_ours", None), ("whatever --now", None)]


def test_variables_and_comments_are_no_part_of_a_command() -> None:
    """A line that goes on is one."""
    text = "```\nA_B=1 make up  # with pages\n```\n  ```\n  python -m live \\\n    all\n  ```\n"
    first, second = commands_of(ROOT / "README.md", text)
    assert (first.variables, first.words) == ({"A_B": "1"}, ["make", "up"])
    assert second.words == ["python", "-m", "live", "all"]


def test_reasons_name_tests_that_exist() -> None:
    """A reason that points at a test that went is none."""
    named = [path for way in WAYS for path in re.findall(r"tests/[\w/.]*\w", way.reason)]
    assert [path for path in named if not (ROOT / path).exists()] == []


@cache
def _targets() -> frozenset[str]:
    """What make can make."""
    return frozenset(
        re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )


def _typed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a python command in this process and return its exit status."""
    if words[:2] == ["python", "-m"]:
        place = ROOT / words[2].replace(".", "/")
        file, given = (place / "__main__.py" if place.is_dir() else place.with_suffix(".py")), words[3:]
    else:
        file, given = ROOT / words[1], words[2:]
    monkeypatch.setattr(sys, "argv", [str(file), *given])
    try:
        runpy.run_path(str(file), run_name="__main__")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _is_verb(words: list[str]) -> bool:
    """Whether the words begin with a verb that has the options among them."""
    for name, command in verbs():
        parts = name.split()
        if words[: len(parts)] == parts:
            known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
            return {word.partition("=")[0] for word in words[len(parts) :] if word.startswith("-")} <= known
    return False
