"""The mirror kept in step with the registry: the one live service that asks MLflow, and nothing waits for it.

A thread asks, downloads and fills; the service looks at what came of it. A registry that does not answer is told of
once, and trading goes on with what the mirror holds.
"""

import os
import queue
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from bus.messages import ControlEvent, Received, Severity
from bus.streams import CONTROL
from live.mirroring import BY, Mirroring, Round, Store, Unfit
from live.model_slots import Engine
from live.service import Parts, Subscription
from live.worker import Run, Worker
from market.feature_spec import schema_hash
from registry.errors import RegistryError, StoreUnavailable

NAME: Final = BY
_SQLITE = "sqlite:///"
# MLflow's own patience is minutes, and it sleeps longer and longer: a server that is back would not be seen for long.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}

OpenStore = Callable[[], Store]


class ModelSync:
    """The service. `run` has the registry asked (by a worker's thread unless told otherwise), `open_store` opens it."""

    name = NAME

    def __init__(self, parts: Parts, run: Run | None = None, open_store: OpenStore | None = None) -> None:
        self._parts = parts
        settings = parts.settings
        self._worker = Worker(f"{NAME}-registry")
        self._run = run or self._worker.submit
        self._open = open_store or partial(_opened, parts)
        engine = Engine(schema_hash(), settings.candidate.rule(), settings.label.rule())
        self._mirroring = Mirroring(settings.registry.mirror, parts.var, engine)
        self._store: Store | None = None
        self._rounds: queue.SimpleQueue[Round | str] = queue.SimpleQueue()
        self._is_asking = False
        self._answered_ns = self._due_ns = parts.clock.mono_ns()
        self._is_silent = False
        self._problem = "the registry was not asked yet"
        self._told: set[tuple[str, int, str]] = set()

    def subscriptions(self) -> Sequence[Subscription]:
        """Control events: a promotion is followed at once."""
        return [Subscription(CONTROL)]

    def start(self) -> None:
        """Nothing to recover: what was followed is read with the first look."""

    def handle(self, received: Received) -> None:
        """Look at once when aliases were moved."""
        if isinstance(received.body, ControlEvent) and received.body.event in ("PROMOTION", "ROLLBACK"):
            self._due_ns = self._parts.clock.mono_ns()

    def tick(self) -> None:
        """Ask when it is time, and tell of what came of it."""
        while not self._rounds.empty():
            self._is_asking = False
            self._heard(self._rounds.get_nowait())
        now_ns = self._parts.clock.mono_ns()
        if not self._is_asking and now_ns >= self._due_ns:
            self._is_asking = True
            self._due_ns = now_ns + round(self._parts.settings.model_sync.poll_seconds * 1e9)
            self._run(self._ask)
        age = self._age_seconds()
        self._parts.metrics.model_sync_age_seconds.set(age)
        if age > self._parts.settings.model_sync.stale_seconds and not self._is_silent:
            self._is_silent = True
            self._alert("WARN", f"the registry has not answered for {age:.0f} s, the mirror stays: {self._problem}")

    def status(self) -> Mapping[str, Any]:
        """How long ago the registry answered, what is wrong, and what the mirror holds."""
        return {"ready": not self._problem, "age_seconds": round(self._age_seconds(), 3), "text": self._problem}

    def stop(self) -> None:
        """Leave the thread; it ends with the process, and a fill that is under way is whole or not at all."""
        self._worker.stop(1.0)

    def _ask(self) -> None:
        """Runs on the worker."""
        try:
            self._store = self._store or self._open()
            found: Round | str = self._mirroring.round(self._store, self._parts.clock.wall_ns())
        except Exception as error:  # what MLflow and its database raise has no end
            self._store = None
            found = str(error) if isinstance(error, RegistryError) else f"{type(error).__name__}: {error}"
        self._rounds.put(found)
        self._parts.wake()

    def _heard(self, found: Round | str) -> None:
        if isinstance(found, str):
            if found != self._problem:
                self._parts.log.warning("registry_silent", text=found)
            self._problem = found
            return
        self._answered_ns = self._parts.clock.mono_ns()
        if self._is_silent:
            self._parts.log.info("registry_answers_again")
        self._is_silent = False
        self._problem = "" if found.versions else "the registry has no version yet: train a model"
        for turned in found.turned:
            self._parts.log.info("mirror_turned", slot=turned.slot, version=turned.version)
        for unfit in found.unfit:
            self._refuse(unfit)

    def _refuse(self, unfit: Unfit) -> None:
        """Tell of a bundle that may not trade, once."""
        about = (unfit.slot, unfit.version, unfit.reason)
        if about in self._told:
            return
        self._told.add(about)
        self._parts.metrics.model_swap_refused_total.labels(unfit.slot, unfit.reason).inc()
        if unfit.reason == "parity":
            self._parts.metrics.onnx_parity_fail_total.inc()
        self._alert("CRIT", f"{unfit.slot}: not mirrored ({unfit.reason}), the one before stays: {unfit.text}")

    def _age_seconds(self) -> float:
        return (self._parts.clock.mono_ns() - self._answered_ns) / 1e9

    def _alert(self, severity: Severity, text: str) -> None:
        now_ns = self._parts.clock.wall_ns()
        self._parts.log.error("model_sync_alert", severity=severity, text=text)
        alert = ControlEvent(
            event="ALERT", severity=severity, source="", target="", reason="model_error", by=NAME, at_ns=now_ns,
            symbol="", route="", text=text,
        )  # fmt: skip
        self._parts.out.publish(CONTROL, alert, message_id=f"{NAME}-{now_ns}-{len(self._told)}")


def _opened(parts: Parts) -> Store:
    """The registry of the settings. Imports MLflow, which takes seconds; raises StoreUnavailable."""
    registry = parts.settings.registry
    path = Path(registry.tracking_uri.removeprefix(_SQLITE))
    if registry.tracking_uri.startswith(_SQLITE) and not path.exists():
        raise StoreUnavailable(f"MLflow database {path} is not there yet: train a model")  # asking would make it
    for variable, value in _PATIENCE.items():
        os.environ.setdefault(variable, value)
    from registry.store import ModelStore  # noqa: PLC0415  # the one import of MLflow in live, when it is needed

    is_url = "://" in registry.artifacts
    return ModelStore(
        registry.tracking_uri, registry.artifacts, registry.name, lock_folder=parts.var if is_url else None
    )
