"""The loopback ports: free, held by what belongs there, or held by a stranger."""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from config.settings import Settings
from live.health import SERVICES
from tidegate.doctor.finding import Finding, joined

DAGSTER_PORT, MLFLOW_PORT = 3000, 5000
_HOST = "127.0.0.1"
_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """A port, whose it is, a path that only its owner answers with `sign` in it, and how to take another."""

    port: int
    owner: str
    path: str
    sign: bytes
    otherwise: str


def places(settings: Settings) -> Sequence[Place]:
    """Every port that a stack on this machine takes by default."""
    found = [
        Place(DAGSTER_PORT, "Dagster", "/server_info", b"dagster", "python -m tidegate up --dagster-port 3010"),
        Place(MLFLOW_PORT, "MLflow", "/health", b"OK", "python -m tidegate up --mlflow-port 5010"),
    ]
    if first := settings.serving.metrics_port:
        mend = f"SERVING_METRICS_PORT={first + 100} python -m live all"
        found += [
            Place(first + number, name, "/metrics", b"service_ready", mend) for number, name in enumerate(SERVICES)
        ]
    return found


def findings(settings: Settings) -> Sequence[Finding]:
    """Say which ports a stranger holds, else which are free and which are held by whom."""
    held: list[str] = []

    def troubles() -> Iterator[Finding]:
        for place in places(settings):
            if not listens(place.port):
                continue
            if answers(place):
                held.append(f"{place.port} {place.owner}")
            else:
                says = f"{place.port} is that of {place.owner} and another program holds it"
                yield Finding("ports", "warn", says, place.otherwise)

    strangers = tuple(troubles())
    return joined("ports", f"held: {', '.join(held)}" if held else "all are free", strangers)


def listens(port: int) -> bool:
    """Whether something answers on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(_SECONDS)
        return probe.connect_ex((_HOST, port)) == 0


def answers(place: Place) -> bool:
    """Whether it is the owner who answers."""
    try:
        with urllib.request.urlopen(f"http://{_HOST}:{place.port}{place.path}", timeout=_SECONDS) as reply:
            return place.sign in reply.read()
    except urllib.error.HTTPError as error:
        error.close()
        # An MLflow server with accounts asks for one on every page.
        return place.owner == "MLflow" and error.code == 401
    except (urllib.error.URLError, OSError, ValueError):
        return False
