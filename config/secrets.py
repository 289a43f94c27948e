"""Secrets: out of the environment, or out of a file that the environment names, and out of nowhere else.

`NAME` holds the value, or `NAME_FILE` the path of a file that does (Docker and Kubernetes mount secrets as files). The
same rule serves every knob, since an address may carry a password: REDIS_URL_FILE is the file of REDIS_URL. app.yml is
read by many, copied and committed, so a secret in it is refused, and no message here says what the secret is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config.errors import SettingsError
from monitoring.masking import holds_password

FILE_SUFFIX: Final = "_FILE"
MAX_BYTES: Final = 65_536
"""No secret is larger; a file that is was named by mistake."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that has no key in app.yml: the variable that gives it, what it opens, and whether it may be shown."""

    variable: str
    purpose: str
    is_open: bool = False


REDIS_PASSWORD: Final = Secret("REDIS_PASSWORD", "password of redis.username on the streams' server")
API_KEY: Final = Secret("EXCHANGE_API_KEY", "the venue's key, for real orders")
API_SECRET: Final = Secret("EXCHANGE_API_SECRET", "the venue's secret, for real orders")
MLFLOW_USERNAME: Final = Secret("MLFLOW_TRACKING_USERNAME", "our name on an MLflow server with accounts", True)
MLFLOW_PASSWORD: Final = Secret("MLFLOW_TRACKING_PASSWORD", "our password there")
SIGNING_KEY: Final = Secret("REGISTRY_SIGNING_KEY", "private key that bundles are signed with")

SECRETS: Final = (REDIS_PASSWORD, API_KEY, API_SECRET, MLFLOW_USERNAME, MLFLOW_PASSWORD, SIGNING_KEY)
"""Every secret that this project reads."""

_SUSPICIOUS = ("password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "signing_key")
_TARGETS = "release.notify"
_OPEN_TARGETS = ("log", "json://", "jsons://", "xml://", "xmls://", "form://", "forms://")


def read_secret(secret: Secret, environ: Mapping[str, str]) -> str:
    """Return a secret, empty when neither its variable nor its file is given. Raises SettingsError."""
    value, problem = resolved(secret.variable, environ)
    if problem:
        raise SettingsError([problem])
    return value.strip()


def resolved(variable: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return (value, problem) of a variable or of the file that VARIABLE_FILE names; both are empty when unset.

    Blank counts as unset: compose files pass `${NAME:-}` for everything they offer.
    """
    value, path = environ.get(variable, ""), environ.get(variable + FILE_SUFFIX, "").strip()
    if not path:
        return (value, "") if value.strip() else ("", "")
    named = f"environment {variable}{FILE_SUFFIX}"
    if value.strip():
        return "", f"{named}: {variable} is given too; keep one of the two"
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8").strip()
    except OSError as error:
        return "", f"{named}: {path} cannot be read ({error.strerror or type(error).__name__}); name a file that can"
    except UnicodeDecodeError as error:
        return "", f"{named}: {path}, byte {error.start} is not UTF-8; write the value as text"
    except ValueError:
        return "", f"{named}: it is no path"
    if len(content) > MAX_BYTES:
        return "", f"{named}: {path} holds more than {MAX_BYTES} bytes; name the file that holds the value alone"
    if not text:
        return "", f"{named}: {path} is empty; write the value into it"
    return text, ""


def known_values(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the secrets that are given, for whoever must keep them out of what is shown."""
    found = (resolved(each.variable, environ)[0].strip() for each in SECRETS if not each.is_open)
    return tuple(sorted({each for each in found if each}, key=len, reverse=True))


def secrets_in(tree: Mapping[str, Any], file: str) -> list[str]:
    """Return a sentence for each secret that stands in the values of app.yml; none of them quotes it."""
    problems = []
    for key, value in _leaves(tree):
        if any(part in key.rpartition(".")[2].lower() for part in _SUSPICIOUS):
            variable = key.replace(".", "_").upper()
            problems.append(
                f"{file}: {key} would be a secret, and secrets have no key; take it out, set {variable} or "
                f"{variable}{FILE_SUFFIX} (a file that holds it), and change the value if others have seen the file"
            )
        elif any(_gives_away(key, each) for each in (value if isinstance(value, list) else [value])):
            variable = key.replace(".", "_").upper()
            problems.append(
                f"{file}: {key} is an address with a secret in it; give it as {variable}, or in a file as "
                f"{variable}{FILE_SUFFIX}, and change the secret if others have seen the file"
            )
    return problems


def _gives_away(key: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    if key == _TARGETS:
        return holds_password(value) or not value.startswith(_OPEN_TARGETS)
    return holds_password(value)


def _leaves(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        elif prefix:  # a section that is no section is refused by the schema, which quotes it without secrets
            yield f"{prefix}{name}", value


def readable_variables(knobs: Iterable[str]) -> Iterator[str]:
    """Yield every variable that is read: of knobs and secrets, and of their files."""
    for name in (*knobs, *(each.variable for each in SECRETS)):
        yield name
        yield name + FILE_SUFFIX
