"""Ask one service of this machine how it is, as container engines and people do: python -m live.health SERVICE.

It reads the service's own /metrics at the place the configuration gives it: a service counts as well when it says that
it does its work and gave a heartbeat in the last half minute. A process that hangs, or has lost its streams, gives
none.

exit status: 0 well, 1 not (one line says why), 2 wrong use
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from config.errors import SettingsError
from config.settings import Settings, load
from monitoring.scrape import Scrape, ScrapeError

SERVICES = ("collector", "signal_engine", "ai_scorer", "executor", "risk", "model_sync")
"""In the order of their ports: live.wiring's list, without what it imports."""
OLDEST_SECONDS = 30.0
"""A heartbeat is given every second; one older than this tells of a loop that stands still."""
_TIMEOUT_SECONDS = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how the service is and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m live.health", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("service", choices=SERVICES, metavar="SERVICE", help=", ".join(SERVICES))
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of config/app.yml")
    parser.add_argument(
        "--alive",
        action="store_true",
        help="be content with a heartbeat: a scorer without a model lives, not yet ready",
    )
    asked = parser.parse_args(arguments)
    try:
        url = url_of(asked.service, load(asked.config))
        problem = trouble(asked.service, Scrape.of(url, _TIMEOUT_SECONDS), time.time(), alive=asked.alive)  # noqa: TID251 - an entry point
    except (SettingsError, ScrapeError) as error:
        problem = str(error)
    sys.stdout.write(f"{asked.service}: {problem or 'well'}\n")
    return 1 if problem else 0


def url_of(service: str, settings: Settings) -> str:
    """Where the service shows its numbers, seen from its own machine.

    Raises ScrapeError when the configuration lets it take any free port.
    """
    first = settings.serving.metrics_port
    if not first:
        raise ScrapeError("serving.metrics_port is 0, so every start takes another port; set it to look from outside")
    listens = settings.serving.host
    host = "127.0.0.1" if listens in ("", "0.0.0.0") else listens  # noqa: S104 - compared, not bound
    return f"http://{host}:{first + SERVICES.index(service)}/metrics"


def trouble(service: str, page: Scrape, now: float, *, alive: bool = False) -> str:
    """What is wrong with a service by its page, empty when nothing is; `now` in seconds since the epoch.

    With `alive` a service that is not ready yet will do.
    """
    beat = page.value("heartbeat_timestamp_seconds", service=service)
    if not beat:
        return "it shows no heartbeat; it is starting, or another service answers on its port"
    if now - beat > OLDEST_SECONDS:
        return f"its last heartbeat is {now - beat:.0f} s old, {OLDEST_SECONDS:.0f} s are allowed; look at its log"
    if not alive and page.value("service_ready", service=service) != 1:
        return "it lives and is not ready; its log and python -m tidegate status say what it waits for"
    return ""


if __name__ == "__main__":
    sys.exit(main())
