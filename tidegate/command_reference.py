"""Write docs/command-line.md from the command itself: `python -m tidegate.command_reference > docs/command-line.md`."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from typer.main import get_command

from tidegate.__main__ import app

_HEAD: Final = """# The command line

Written by `python -m tidegate.command_reference` from the command itself; a test fails when it is out of date.

`python -m tidegate` and a verb, or `tidegate` and a verb with the environment active (`. .venv/bin/activate`). `--help`
behind any verb shows its options.

## Exit codes

| code | means |
|---|---|
| 0 | done, and well |
| 1 | refused, failed, or not well: one line on stderr says why. The table of each verb says what it means there |
| 2 | wrong use: an option, an argument or a name that there is not |
| 130 | ended by Ctrl-C before it was done |

Every script in `scripts/` and `python -m live` keep to the same. Answers go to stdout, troubles to stderr.

## For programs

`--json` is on every verb that only reads; it prints one document on stdout, also when the answer is that there is
none: then it holds `error`. `snapshot` makes a page instead. A verb that acts asks before it does; `--yes` answers.

`NO_COLOR`, set to anything, takes the colours away, everywhere; output that goes to no terminal has none.

## Completion

`tidegate --install-completion` writes it for the shell it is typed in (bash, zsh, fish); a new shell then completes
verbs and options with Tab. `tidegate --show-completion` prints it instead.
"""

EXITS: Final[Mapping[str, str]] = {
    "demo": "1: it stopped, and says at which step",
    "up": "0: stopped by hand; 1: a port was taken, or a part ended by itself",
    "doctor": "1: something must be mended; what is only to be known of leaves it 0",
    "status": "1: not all that trades is ready, or there are no streams",
    "why": "1: no such symbol, or no streams",
    "tail": "1: no streams",
    "retrain": "1: a training gave another model, or was not possible",
    "promote": "1: refused by the registrar, or not confirmed",
    "rollback": "1: refused by the registrar, or not confirmed",
    "rollout": "1: refused by the registrar, or not confirmed",
    "release": "1: refused by the registrar",
    "compare": "1: a version is not known, or its card is not to be had",
    "audit verify": "1: the journal, its evidence or an anchor is not as it was written",
    "audit log": "1: the journal cannot be read",
    "audit why-changed": "1: a training set is not to be had",
    "audit replay": "1: nothing was recorded, or the policy cannot be read",
    "runbook": "1: no service could be asked; the steps are printed all the same. 2: no such section",
    "drill": "1: a drill failed. 2: no such drill",
    "snapshot": "1: nothing could be asked",
    "monitoring write": "1: a file could not be written",
    "monitoring check": "1: a file is not what the configuration asks for",
    "monitoring alerts": "1: an alert did not fire or did not resolve. 2: no such alert",
}
"""What each verb means by its exit code, beside 0 and 2."""


def verbs(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every verb, and verb of verbs, with its command."""
    found = command or get_command(app)
    inner = getattr(found, "commands", None)
    if inner is None:
        yield " ".join(words), found
        return
    for name, each in inner.items():
        yield from verbs(each, (*words, name))


def markdown() -> str:
    """Return the page: exit codes, what holds for all, then a section a verb."""
    return "\n".join([_HEAD, *(_section(name, command) for name, command in verbs())])


def _section(name: str, command: Any) -> str:
    lines = [f"## {name}", "", str(command.help).strip()]
    usage = " ".join([name, *(_placed(each) for each in command.params if each.param_type_name == "argument")])
    lines += ["", f"`python -m tidegate {usage}`", ""]
    if rows := [_row(each) for each in command.params if each.name != "help"]:
        lines += ["| option | default | what it does |", "|---|---|---|", *rows, ""]
    return "\n".join([*lines, f"Exit {EXITS.get(name, '')}.", ""])


def _placed(param: Any) -> str:
    """An argument as it is written in the usage line."""
    word = param.metavar or str(param.name).upper()
    word = f"{word} ..." if param.nargs == -1 else word
    return word if param.required else f"[{word}]"


def _row(param: Any) -> str:
    names = ", ".join(f"`{each}`" for each in (*param.opts, *param.secondary_opts))
    if param.param_type_name == "argument":
        names = f"`{(param.metavar or str(param.name).upper()).replace('|', ' or ')}`"
    default = param.default
    shown = "" if default in (None, False, "") or callable(default) else f"`{str(default).lower()}`"
    return f"| {names} | {'required' if param.required else shown} | {param.help or ''} |"


if __name__ == "__main__":
    sys.stdout.write(markdown())
