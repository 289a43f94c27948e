"""The accounts of an MLflow server with basic auth, made by its admin: python -m registry.accounts URL.

`trainer` records runs and owns the versions it registers; `reader` sees everything (the server's default permission is
READ) and changes nothing, which is all that model_sync needs. Passwords come from MLFLOW_ADMIN_PASSWORD,
MLFLOW_TRAINER_PASSWORD and MLFLOW_READER_PASSWORD, or from the files that the same names with _FILE name. Run again it
changes nothing that holds: a password that differs is set anew.

exit status: 0 the accounts stand, 1 they do not (one line says why), 2 wrong use
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from registry.errors import RegistryError

ACCOUNTS = ("trainer", "reader")
_API = "/api/2.0/mlflow/users"
_TIMEOUT_SECONDS = 20.0
_FEWEST = 12  # MLflow's own least length of a password


class Account(NamedTuple):
    """A name and its password."""

    name: str
    password: str


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Make the accounts of the server and say which; returns the exit status."""
    if len(arguments) != 1 or not arguments[0].startswith(("http://", "https://")):
        sys.stderr.write("usage: python -m registry.accounts URL (of an MLflow server, http or https)\n")
        return 2
    try:
        admin = Account("admin", _password("admin", environ))
        for name in ACCOUNTS:
            done = ensure(arguments[0].rstrip("/"), admin, Account(name, _password(name, environ)))
            sys.stdout.write(f"{name}: {done}\n")
    except RegistryError as error:
        sys.stderr.write(f"accounts: {error}\n")
        return 1
    return 0


def ensure(url: str, admin: Account, wanted: Account) -> str:
    """Let an account exist with this password; returns what was done. Raises RegistryError."""
    if _ask(url, wanted, "GET", f"/get?username={wanted.name}", {}) == "":
        return "stands"
    refused = _ask(url, admin, "POST", "/create", {"username": wanted.name, "password": wanted.password})
    if not refused:
        return "made"
    if "RESOURCE_ALREADY_EXISTS" not in refused:
        raise RegistryError(f"MLflow at {url} does not make account {wanted.name}: {refused}")
    refused = _ask(url, admin, "PATCH", "/update-password", {"username": wanted.name, "password": wanted.password})
    if refused:
        raise RegistryError(f"MLflow at {url} does not change the password of {wanted.name}: {refused}")
    return "has a new password"


def _ask(url: str, account: Account, method: str, path: str, body: Mapping[str, str]) -> str:
    """Send one request and return the server's refusal, empty when it did as asked. Raises RegistryError."""
    token = base64.b64encode(f"{account.name}:{account.password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - main admits http and https alone
        f"{url}{_API}{path}",
        json.dumps(body).encode() if body else None,
        {"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        said = error.read(500).decode(errors="replace")
        return f"{error.code} {said}"
    except (urllib.error.URLError, OSError) as error:
        raise RegistryError(f"MLflow at {url} does not answer ({error}); is the server up?") from error


def _password(name: str, environ: Mapping[str, str]) -> str:
    variable = f"MLFLOW_{name.upper()}_PASSWORD"
    value = environ.get(variable, "").strip()
    path = environ.get(f"{variable}_FILE", "").strip()
    if not value and path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"{variable}_FILE: {path} cannot be read ({type(error).__name__})") from None
    if len(value) < _FEWEST:
        raise RegistryError(
            f"{variable} must have at least {_FEWEST} characters, had {len(value)}; scripts/make_secrets.py makes one"
        )
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
