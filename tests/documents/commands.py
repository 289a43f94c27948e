"""Commands on the pages: what they are, and how each is proven. What no row of WAYS knows is proven by nobody."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.style_bar import ROOT

PAGES: Final = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
_PROGRAMS: Final = (
    "python3?|bash|sh|make|tidegate|pip|uv|git|cd|export|docker|docker-compose|buildah|helm|kubectl|promtool|amtool|"
    "prometheus|alertmanager|curl|redis-cli|redis-server|openssl|npx|apt-get|dagster|mlflow"
)
_BEFORE: Final = r"(?:[A-Z][A-Z0-9_]*=\S* )*"
_FENCED: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", flags=re.DOTALL | re.MULTILINE)
_SHELLS: Final = ("sh", "bash", "shell", "console")


@dataclass(frozen=True, slots=True)
class Way:
    """How commands are proven. Those with a `reason` act for long, or on what is not here: they are only looked at.

    The others are run in the stack, must exit with 0 and say something. `endless` options are left out.
    """

    pattern: str
    reason: str = ""
    endless: tuple[str, ...] = ()
    may_be_silent: bool = False


WAYS: Final = (
    # Run, on services that run.
    Way(r"python -m tidegate (doctor|status|why)\b", endless=("--watch",)),
    Way(r"python -m tidegate tail\b", endless=("--follow", "-f"), may_be_silent=True),
    Way(r"python -m tidegate (runbook|compare|audit (log|verify))\b"),
    Way(r"python -m tidegate drill list$"),
    Way(r"python -m tidegate --help$"),
    Way(r"python scripts/(validate_config|validate_symbols|scan_parquet_gaps|read_journal|control)\.py"),
    Way(r"python -m live\.health \w+"),
    # Looked at.
    Way(r"make [a-z]+", "tests of their own run what targets run; the Makefile has each"),
    Way(r"python -m live( \w+)+", "runs until it is stopped: tests/journeys/live start every service"),
    Way(
        r"python -m tidegate (demo|up)\b",
        "minutes: tests/journeys/test_demo_command.py and tests/journeys/browser/test_pages.py",
    ),
    Way(r"python -m tidegate drill [a-z-]+$", "its own market and processes: .ci/run has them all"),
    Way(r"python -m tidegate (promote|rollback|rollout|release)\b", "moves a version: the drill `operations` does"),
    Way(r"python -m tidegate (retrain|audit (replay|why-changed))\b", "trainings: tests/tidegate and tests/journeys"),
    Way(r"python -m tidegate snapshot\b", "half a minute of Prometheus: docs/dashboards.md has the pages it made"),
    Way(r"python -m tidegate monitoring \w+", "writes, or starts a Prometheus: tests/monitoring"),
    Way(r"python -m tidegate soak\b", "half an hour of market: docs/reliability.md has its figures"),
    Way(r"python3? scripts/(promote_model|canary_pipeline|make_secrets)\.py", "moves or makes: tests/scripts"),
    Way(r"bash scripts/release\.sh", "moves a version: tests/scripts/test_release.py"),
    Way(r"python -m (benchmarks|config\.reference|monitoring\.reference|tidegate\.command_reference)", "write pages"),
    Way(r"python -m tests\.", "tests"),
    Way(r"python -m dagster (job execute|run list)", "tests/documents/test_runbook.py knows the job, drills run it"),
    Way(r"(docker|docker-compose|buildah) ", "no engine is here: tests/journeys/compose runs what the file says"),
    Way(r"(helm|kubectl) ", "no cluster is here: tests read the values"),
    Way(r"(promtool|amtool|prometheus|alertmanager) ", "tests/monitoring run them"),
    Way(r"(git|cd|export|apt-get|pip|curl|openssl|redis-cli|redis-server) ", "another program's, typed as it stands"),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a page: the variables before it, and its words, without what a comment says behind them."""

    page: Path
    line: str

    @property
    def variables(self) -> dict[str, str]:
        """NAME=value before the program."""
        head = re.match(_BEFORE, self.line)
        return dict(each.split("=", 1) for each in (head[0].split() if head else ()))

    @property
    def bare(self) -> str:
        """The command without variables and comment."""
        return re.sub(r" +# .*$", "", re.sub(rf"^{_BEFORE}", "", self.line))

    @property
    def words(self) -> list[str]:
        """What the program is given, itself first."""
        return shlex.split(self.bare)

    @property
    def way(self) -> Way | None:
        """How it is proven; None where nobody knows."""
        return next((way for way in WAYS if re.match(way.pattern, self.bare)), None)


def commands_of(page: Path, text: str) -> Iterator[Command]:
    """Yield the commands in the fenced blocks of a page.

    In a block of a shell every line is one. In a block without a language those lines are that begin with a program,
    so that diagrams and outputs are left alone. A line that ends with a backslash goes on in the next one.
    """
    for language, block in _FENCED.findall(text):
        if language and language not in _SHELLS:
            continue
        for raw in re.sub(r"\\\n\s*", "", block).splitlines():
            line = raw.strip().removeprefix("$ ")
            is_one = re.match(rf"{_BEFORE}(?:\.venv/bin/)?(?:{_PROGRAMS})(?= |$)(?!  )", line)
            if is_one or (language in _SHELLS and line and not line.startswith("#")):
                yield Command(page, line.replace(".venv/bin/", ""))


def every() -> list[Command]:
    """Every command of every page, each once."""
    found = {each.line: each for page in PAGES for each in commands_of(page, page.read_text(encoding="utf-8"))}
    return list(found.values())
