"""The registrar of a configuration: MLflow's store, the rules, and a voice on the bus. Imports no Dagster.

Sensors, scripts, the operator's commands, the demo and the drills all open it here, so that whoever moves a version
moves it by the same rules. It also reads what risk last said of each trial.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bus.client import RedisBus
from bus.codec import decode
from bus.errors import BadMessage, BusNotFound
from bus.messages import ControlEvent, Trial, Verdict
from bus.protocol import Bus
from bus.publisher import Publisher
from bus.server import running
from bus.streams import CONTROL, VERDICTS
from config.settings import Settings
from registry.effects import Announce
from registry.states import Announcement

if TYPE_CHECKING:
    from registry.promotion import Registrar
    from registry.store import ModelStore

WRITER = "registrar"
"""Under which the moves are told on control:events."""
_BUS_TIMEOUT_SECONDS = 1.0
_LOOKED_AT = 300
"""Newest verdicts that are read: three trials that speak every five seconds, and again with every change."""


class Heard(NamedTuple):
    """A verdict and the id of its entry on the stream."""

    entry_id: str
    verdict: Verdict


def open_store(settings: Settings) -> "ModelStore":
    """The model registry of a configuration. MLflow is imported, and asked, with the first use."""
    from registry.store import ModelStore  # brings onnxruntime, which reading verdicts does not need

    registry = settings.registry
    lock_folder = Path(settings.paths.var) if "://" in registry.artifacts else None
    return ModelStore(registry.tracking_uri, registry.artifacts, registry.name, lock_folder=lock_folder)


def address_of(settings: Settings) -> str:
    """Where the streams are: as configured, else the server that runs under `paths.var`.

    Raises BusNotFound when none runs there.
    """
    folder = Path(settings.paths.var) / "redis"
    url = settings.redis.url or running(folder)
    if url is None:
        raise BusNotFound(f"redis.url is empty and no server runs in {folder}; start the live services, or set it")
    return url


@contextmanager
def open_streams(settings: Settings, bus_url: str = "") -> Iterator[Bus]:
    """The streams, with a patience of a second. Raises BusNotFound; a server that is away shows at the first use."""
    with RedisBus(bus_url or address_of(settings), _BUS_TIMEOUT_SECONDS) as bus:
        yield bus


@contextmanager
def open_registrar(settings: Settings, now: Callable[[], datetime], bus_url: str = "") -> Iterator["Registrar"]:
    """A registrar of the configured registry and mirror, with the configured rules.

    `now` tells the time, zone-aware UTC. `bus_url` overrides where its moves are told; a bus that is away stops no
    move. Raises nothing: MLflow and the bus are asked only when a move needs them.
    """
    from registry.promotion import Registrar

    yield Registrar(
        open_store(settings),
        Path(settings.registry.mirror),
        settings.release.rules(),
        now=now,
        announce=announcer(settings, bus_url),
    )


def announcer(settings: Settings, bus_url: str = "") -> Announce:
    """What tells the bus of a move. It raises BusError when the bus is away."""

    def announce(move: Announcement) -> None:
        with open_streams(settings, bus_url) as bus:
            tell(bus, control_event(move), move.tx)

    return announce


def tell(bus: Bus, event: ControlEvent, message_id: str) -> None:
    """Write one control event in the registrar's name. Raises BusError."""
    voice = Publisher(bus, WRITER, lambda: event.at_ns)
    voice.publish(CONTROL, event, message_id=message_id)
    voice.flush()


def control_event(move: Announcement) -> ControlEvent:
    """The move as every service hears of it."""
    return ControlEvent(
        event=move.event, severity=move.severity, source=move.source, target=move.target, reason=move.reason,
        by=move.by, at_ns=nanoseconds(move.at), symbol="", route="", text=move.text,
    )  # fmt: skip


def nanoseconds(at: datetime) -> int:
    """A moment in nanoseconds since the epoch; a datetime holds microseconds."""
    return round(at.timestamp() * 1e6) * 1_000


def latest_verdicts(bus: Bus) -> dict[Trial, Verdict]:
    """What risk last said of each trial. Raises BusUnavailable."""
    return {trial: heard.verdict for trial, heard in hear(bus).items()}


def hear(bus: Bus) -> dict[Trial, Heard]:
    """The newest verdict of each trial with its entry, among the stream's newest 300; what cannot be read is none.

    Raises BusUnavailable.
    """
    found: dict[Trial, Heard] = {}
    for entry in bus.recent(VERDICTS, _LOOKED_AT):
        with suppress(BadMessage):
            body = decode(entry).body
            if isinstance(body, Verdict):
                found[body.trial] = Heard(entry.id, body)
    return found
