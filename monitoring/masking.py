"""What of an address, or of a text that quotes one, may be shown: never the user, the password or a token in it.

Every log line, error message and table of settings passes here, so that no room has a rule of its own.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "***"

_PLAIN = {
    *("http", "https", "ws", "wss", "redis", "rediss", "unix", "sqlite", "postgresql", "mysql", "dask", "tcp", "tls"),
    *("mlflow-artifacts", "models", "runs", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hdfs", "file", "memory"),
    *("json", "jsons", "xml", "xmls", "form", "forms"),
}
"""Schemes whose host and path tell where something is; in any other (mailto, tgram, slack) they may be the secret."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(:/{2,3})([^\s'\"<>]*)")
_SECRET_QUERY = re.compile(
    r"((?:^|[?&;])(?:[a-z_-]*(?:password|passwd|token|secret|signature|api_?key|user(?:name)?))=)[^&;\s'\"]*",
    re.IGNORECASE,
)
_SHORTEST = 4
"""A shorter value is no secret, and hiding it would blot out ordinary words."""


def masked(text: str) -> str:
    """Return a text whose addresses show no user, no password and no token.

    `redis://me:pw@host:6379/0` becomes `redis://***@host:6379/0`; of a scheme that is no plain place (`tgram://...`)
    nothing behind the slashes is left.
    """
    if "://" not in text:
        return text
    return _ADDRESS.sub(_place, text)


def written(secret: str) -> tuple[str, ...]:
    """Return how a secret may stand in a line: as it is, quoted in an address, escaped by JSON or by Python's repr.

    A key of several lines is escaped wherever a line is one; its single lines are hidden too.
    """
    forms = [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]]
    return tuple(dict.fromkeys([*forms, *(secret.splitlines() if "\n" in secret else ())]))


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Return a text without these values, wherever they stand in it, and with its addresses masked."""
    for each in secrets:
        if len(each) >= _SHORTEST:
            text = text.replace(each, HIDDEN)
    return masked(text)


def holds_password(address: str) -> bool:
    """Whether showing an address would give something away: it is not what is left of it."""
    return masked(address) != address


def _place(found: re.Match[str]) -> str:
    scheme, slashes, rest = found.groups()
    if scheme.lower().partition("+")[0] not in _PLAIN:
        return f"{scheme}{slashes}{HIDDEN}"
    # A password may hold any sign, an @ or a slash that should have been quoted too: the last @ is the one that counts.
    user, at, place = rest.rpartition("@")
    shown = _SECRET_QUERY.sub(rf"\g<1>{HIDDEN}", place)
    return f"{scheme}{slashes}{HIDDEN if user else ''}{at}{shown}"
