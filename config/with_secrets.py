"""Run a program of others with secrets in its environment: python -m config.with_secrets NAME [NAME ...] -- COMMAND.

Ours read NAME or NAME_FILE by themselves; MLflow's server, Dagster and libpq know only the variable. Each NAME is read
from the file that NAME_FILE names, as config.secrets does, and the command takes this process's place: no shell, no
secret on a command line, signals go straight to it.

exit status: the command's own; 1 a secret cannot be read or the command not be started (one line says why), 2 wrong use
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from config.secrets import FILE_SUFFIX, resolved

Execute = Callable[[str, Sequence[str], Mapping[str, str]], NoReturn]


def become(program: str, command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Let a command take this process's place. Raises OSError when it cannot be started."""
    os.execvpe(program, list(command), dict(environ))  # noqa: S606 - the command is ours, and no shell is wanted


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ, execute: Execute = become) -> int:
    """Become the command; returns an exit status when that cannot be."""
    names, separator, command = _parted(arguments)
    if not (names and separator and command):
        sys.stderr.write("usage: python -m config.with_secrets NAME [NAME ...] -- COMMAND [ARGUMENT ...]\n")
        return 2
    filled, problems = handed_over(names, environ)
    if problems:
        sys.stderr.write("".join(f"with_secrets: {each}\n" for each in problems))
        return 1
    try:
        execute(command[0], command, filled)
    except OSError as error:
        sys.stderr.write(f"with_secrets: {command[0]} cannot be started ({error.strerror}); is it on PATH?\n")
    return 1


def handed_over(names: Sequence[str], environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the environment with every NAME set and no NAME_FILE left, and what is wrong, without any value."""
    filled = dict(environ)
    problems = []
    for name in names:
        value, problem = resolved(name, environ)
        if problem or not value:
            problems.append(problem or f"environment {name}: is empty; set it, or {name}{FILE_SUFFIX} to its file")
        filled[name] = value.strip()
        filled.pop(name + FILE_SUFFIX, None)
    return filled, problems


def _parted(arguments: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in arguments:
        return list(arguments), False, []
    at = list(arguments).index("--")
    return list(arguments[:at]), True, list(arguments[at + 1 :])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
