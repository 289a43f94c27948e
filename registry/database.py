"""The file beneath MLflow: is it one that MLflow can open, and what to do when it is not. Free of MLflow."""

import re
from collections.abc import MutableMapping
from pathlib import Path

from monitoring.masking import masked
from registry.errors import StoreUnavailable

_SQLITE = "sqlite:///"
MALFORMED = (ValueError, KeyError, TypeError, AttributeError)
"""What MLflow's client, and we, raise on an answer that is no answer of a registry."""
_SQLITE_MAGIC = b"SQLite format 3\x00"


def check_database(tracking_uri: str) -> None:
    """Make the folder of a new database; refuse a file that is none, on which MLflow would retry for minutes."""
    if not tracking_uri.startswith(_SQLITE):
        return
    path = Path(tracking_uri.removeprefix(_SQLITE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as file:
            found = file.read(len(_SQLITE_MAGIC))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreUnavailable(f"MLflow database {path}: {error.strerror or error}; check path and rights") from error
    if found not in (b"", _SQLITE_MAGIC):
        raise StoreUnavailable(
            f"MLflow database {path} is not SQLite: it begins with {found!r}; restore it from a copy"
        )


def log_in(environ: MutableMapping[str, str]) -> None:
    """Let MLflow's client find the name and password that lie in files: it reads MLFLOW_TRACKING_PASSWORD alone.

    A variable that is set wins. Raises StoreUnavailable naming a file that cannot be read.
    """
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        path = environ.get(f"{name}_FILE", "").strip()
        if not path or environ.get(name):
            continue
        try:
            environ[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreUnavailable(f"{name}_FILE: {path} cannot be read ({type(error).__name__})") from None


def why_not_opened(tracking_uri: str, said: str) -> str:
    """Say in our words why MLflow does not open a database."""
    tracking_uri, said = masked(tracking_uri), masked(said)
    if "out-of-date database schema" in said:
        return (
            f"MLflow database {tracking_uri} has the schema of another MLflow release ({said.partition('.')[0]}); "
            f"open it with the release that wrote it, or, if it is older, copy it and run 'mlflow db upgrade "
            f"{tracking_uri}'"
        )
    return f"MLflow at {tracking_uri} cannot be opened: {said}"


def shortened(said: str) -> str:
    """What MLflow says, without passwords, and of a server that is away without ten lines about the connection."""
    said = masked(said)
    if "ConnectionPool" not in said:
        return said
    cause = re.search(r"\[Errno -?\d+\] ([^\"')]+)", said)
    return f"the server does not answer{f' ({cause[1]})' if cause else ''}"


def quotable(error: BaseException) -> BaseException | None:
    """Return the error if it may be told as the cause of one of ours, None if an address in its tale has a password.

    Whoever keeps a traceback (Dagster does, in its event log) keeps the causes too, and MLflow quotes addresses whole.
    """
    seen: list[BaseException] = []
    tale: BaseException | None = error
    while tale is not None and tale not in seen:
        if masked(str(tale)) != str(tale):
            return None
        seen.append(tale)
        tale = tale.__cause__ or tale.__context__
    return error
