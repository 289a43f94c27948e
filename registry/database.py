"""The file beneath MLflow: is it one that MLflow can open, and what to do when it is not. Free of MLflow."""

import re
from pathlib import Path

from registry.errors import StoreUnavailable

_SQLITE = "sqlite:///"
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


def why_not_opened(tracking_uri: str, said: str) -> str:
    """Say in our words why MLflow does not open a database."""
    if "out-of-date database schema" in said:
        return (
            f"MLflow database {tracking_uri} has the schema of another MLflow release ({said.partition('.')[0]}); "
            f"open it with the release that wrote it, or, if it is older, copy it and run 'mlflow db upgrade "
            f"{tracking_uri}'"
        )
    return f"MLflow at {tracking_uri} cannot be opened: {said}"


def shortened(said: str) -> str:
    """What MLflow says; of a server that is away without the tale of the connection, which is ten lines long."""
    if "ConnectionPool" not in said:
        return said
    cause = re.search(r"\[Errno -?\d+\] ([^\"')]+)", said)
    return f"the server does not answer{f' ({cause[1]})' if cause else ''}"
