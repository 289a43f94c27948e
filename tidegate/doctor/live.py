"""The live side: the streams' server, the services, the mode, clocks of other processes, by one look at the bus."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bus.client import RedisBus
from bus.errors import BusError
from config.errors import SettingsError
from config.secrets import API_KEY, API_SECRET, read_secret
from config.settings import Settings
from tidegate.doctor.finding import Finding, joined
from tidegate.situation import Snapshot
from tidegate.wording import age

START: Final = "python -m live all"
_AHEAD_SECONDS = 1.0
"""A heartbeat stamped so far ahead of our clock was written by another one; live refuses messages like it."""


def streams(bus: RedisBus) -> Sequence[Finding]:
    """Whether the server keeps what it is given. Raises BusUnavailable."""

    def troubles() -> Iterator[Finding]:
        try:
            for text in bus.checks():
                yield Finding("redis", "warn", text, "the server's configuration; deploy/compose has one that fits")
        except BusError as error:
            yield Finding("redis", "fail", str(error), START)

    found = tuple(troubles())
    if found:
        return found
    facts = bus.facts()
    said = f"version {facts.get('redis_version', '?')}, {facts.get('used_memory_human', '?')}, appends to a file"
    return (Finding("redis", "ok", said),)


def services(snapshot: Snapshot) -> Sequence[Finding]:
    """Whether all that trades is ready; who is silent died or hangs."""

    def troubles() -> Iterator[Finding]:
        for row in snapshot.services:
            if row.verdict == "silent":
                says = f"{row.name} is silent for {age(row.age_seconds)}: it died or hangs"
                yield Finding("services", "fail", says, _start_of(row.name))
            elif row.verdict == "not ready" and row.beat is not None:
                text = str(row.beat.status.get("text") or row.beat.status.get("error") or "waits")
                yield Finding(
                    "services", "warn", f"{row.name} is not ready: {text}", "python -m tidegate status --watch"
                )
            elif row.verdict in ("absent", "stopped") and row.name != "model_sync":
                yield Finding("services", "warn", f"{row.name} does not run", _start_of(row.name))

    return joined("services", f"{sum(row.verdict == 'ready' for row in snapshot.services)} ready", troubles())


def clocks(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether somebody else's clock is ahead of ours; nothing is said where nobody's is."""
    beats = [row.beat for row in (*snapshot.services, *snapshot.sensors) if row.beat]
    ahead = max(((beat.at_ns - snapshot.at_ns) / 1e9 for beat in beats), default=0.0)
    if ahead > _AHEAD_SECONDS:
        yield Finding("clock", "fail", f"a service's clock is {age(ahead)} ahead of this one", "apt-get install chrony")


def mode(settings: Settings, environ: Mapping[str, str], snapshot: Snapshot | None) -> Sequence[Finding]:
    """Whether orders are real, and whether what runs is what is configured. `snapshot` is None where nothing runs."""
    wanted = settings.exchange.mode
    said = str(snapshot.status_of("executor").get("mode", "")) if snapshot else ""

    def troubles() -> Iterator[Finding]:
        if wanted == "real":
            for secret in (API_KEY, API_SECRET):
                try:
                    is_given = bool(read_secret(secret, environ))
                except SettingsError as error:
                    yield Finding("mode", "fail", str(error), "docs/how-to/trade-for-real.md")
                    continue
                if not is_given:
                    says = f"exchange.mode is real and {secret.variable} is not given"
                    yield Finding("mode", "fail", says, f"{secret.variable}_FILE=/path/to/file python -m live all")
        if said and said != wanted:
            says = f"exchange.mode is {wanted}, the executor trades on {said}"
            yield Finding("mode", "warn", says, "python -m tidegate status (cooldown, or a person is wanted)")

    return joined("mode", wanted.upper() if wanted == "real" else f"{wanted}: no order leaves this machine", troubles())


def _start_of(service: str) -> str:
    """What starts a service, of the share that its name says: the recorder lives in the collector's process."""
    name, _, share = service.partition(":")
    command = f"python -m live {'collector' if name == 'recorder' else name}"
    return f"SHARD_INDEX={share} {command}" if share else command
