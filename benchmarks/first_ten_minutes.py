"""From nothing to a rollback drill: every command a new user types, run in a fresh clone, with waits and own time.

    python -m benchmarks.first_ten_minutes [--write docs/first-ten-minutes.md]

A person's own time is counted, not felt: typing at 4 characters a second, reading every line that a command prints at
200 words a minute, and a minute for each page that is to be looked at. Waits are what the commands really took here;
a line is read as it appears, so what is read before a command ends costs its wait and no time of one's own.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.page import replaced
from tidegate.up import Page, answers

_ROOT = Path(__file__).resolve().parents[1]
_CHARACTERS_A_SECOND, _WORDS_A_SECOND, _PAGE_SECONDS = 4.0, 200 / 60, 60.0
_UP_SECONDS, _STOP_SECONDS = 300.0, 60.0
_OPENED = (Page("Dagster", [], 3000, "/server_info"), Page("MLflow", [], 5000, "/health"))
_LAST_WORD = "Ctrl-C here"
"""Of what `make up` says once everything is up."""
_KEPT = ("PATH", "LANG", "TERM")
_KEPT_BEGINNINGS = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_", "GIT_SSL")
"""What of this environment a new user's shell would have as well: where to find programs and packages."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command as the README has it, what a person gets by it, and how many pages there are to look at."""

    typed: str
    gets: str
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """A step gone through: seconds of waiting, words printed, and seconds of reading left when it ended."""

    step: Step
    wait_seconds: float
    words: int
    reading_seconds: float

    @property
    def own_seconds(self) -> float:
        """What it asks of a person: typing, reading, looking."""
        typing = len(self.step.typed) / _CHARACTERS_A_SECOND
        return typing + self.reading_seconds + self.step.pages * _PAGE_SECONDS


class Reader:
    """A person in front of the terminal: reads each line when it is there and the ones before are read."""

    def __init__(self) -> None:
        self.words = 0
        self._done_at = 0.0

    def line(self, text: str, at: float) -> None:
        """Take a line that appeared at a time (seconds); frames of tables are no words."""
        words = sum(any(letter.isalnum() for letter in word) for word in text.split())
        self.words += words
        self._done_at = max(self._done_at, at) + words / _WORDS_A_SECOND

    def left(self, at: float) -> float:
        """Return the seconds of reading that are left at a time."""
        return max(0.0, self._done_at - at)


CLONE = Step("git clone <URL> tidegate && cd tidegate", "the checkout")
SETUP = Step("make setup", "the environment, from the lock")
UP = Step("make up", "Dagster, MLflow and the live services on paper; Ctrl-C at the end", pages=2)
STEPS: Sequence[Step] = (
    SETUP,
    Step("make demo", "a version proven, promoted by sensors, and a bad one withdrawn"),
    UP,
    Step(".venv/bin/python -m tidegate runbook rollback-guard-trigger", "what to do when a rollback is reported"),
    Step(".venv/bin/python -m tidegate drill rollback-guard", "that trouble, caused for real, and how it ends"),
)


def main() -> int:
    """Go through it and print the table; returns 0, or 1 when a command failed or own time is over ten minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this Markdown page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidegate-first-") as folder:
        taken = list(_gone_through(Path(folder)))
    table = "\n".join(lines(taken))
    print(table)
    if arguments.write:
        arguments.write.write_text(replaced(arguments.write.read_text(), "first ten minutes", table))
    return 0 if sum(each.own_seconds for each in taken) <= 600 else 1


def lines(taken: Sequence[Taken]) -> Iterator[str]:
    """The table, one row a command and a sum below."""
    yield "| | command | what it gives | wait, s | own time, s |"
    yield "|---|---|---|---|---|"
    for number, each in enumerate(taken, 1):
        seconds = f"{each.wait_seconds:.0f} | {each.own_seconds:.0f}"
        yield f"| {number} | `{each.step.typed}` | {each.step.gets} | {seconds} |"
    waits, own = sum(each.wait_seconds for each in taken), sum(each.own_seconds for each in taken)
    yield f"| | **{len(taken)} commands** | | **{waits:.0f}** | **{own:.0f}** |"


def _gone_through(folder: Path) -> Iterator[Taken]:
    """Run every step in a new clone, the later ones beside what `make up` keeps running."""
    checkout = folder / "tidegate"
    began = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(checkout)], check=True)
    yield _told(Taken(CLONE, time.monotonic() - began, 0, 0.0))
    environ = _environ(folder)
    running: subprocess.Popen[bytes] | None = None
    try:
        for step in STEPS:
            began, reader = time.monotonic(), Reader()
            if step is UP:
                running = _opened(checkout, environ, reader)
            else:
                _run(step, checkout, environ, reader)
            ended = time.monotonic()
            yield _told(Taken(step, ended - began, reader.words, reader.left(ended)))
    finally:
        if running is not None:
            os.killpg(running.pid, signal.SIGINT)
            running.wait(_STOP_SECONDS)


def _run(step: Step, checkout: Path, environ: Mapping[str, str], reader: Reader) -> None:
    """Run one command to its end before a reader. Raises SystemExit when it failed."""
    told: list[str] = []
    with subprocess.Popen(
        step.typed.split(), cwd=checkout, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        stdin=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line)
            reader.line(line, time.monotonic())
    # `runbook` exits 1 where a service says that it is in trouble or none runs; it is read either way.
    if process.returncode and "runbook" not in step.typed:
        raise SystemExit(f"{step.typed}: exit {process.returncode}\n{''.join(told)[-3_000:]}")


def _opened(checkout: Path, environ: Mapping[str, str], reader: Reader) -> "subprocess.Popen[bytes]":
    """Start `make up` and wait until both pages answer and it has said where they are; a reader reads that."""
    log = checkout.parent / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            UP.typed.split(), cwd=checkout, env=environ, stdout=out, stderr=out, start_new_session=True
        )
    deadline = time.monotonic() + _UP_SECONDS
    while not (all(map(answers, _OPENED)) and _LAST_WORD in log.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"make up did not open its pages:\n{log.read_text()[-3_000:]}")
        time.sleep(0.5)
    reader.line(log.read_text(), time.monotonic())
    return process


def _environ(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_BEGINNINGS)}
    # A terminal shows each line when it is printed; a pipe would get them in lumps.
    return {**kept, "HOME": str(home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


def _told(taken: Taken) -> Taken:
    print(f"{taken.step.typed}: waited {taken.wait_seconds:.0f} s, {taken.words} words", file=sys.stderr)
    return taken


if __name__ == "__main__":
    sys.exit(main())
