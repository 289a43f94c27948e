"""The mirror kept in step with the registry: the one live service that asks MLflow, and nothing waits for it.

A thread asks, downloads and fills; the service looks at what came of it. A registry that does not answer is told of
once, and trading goes on with what the mirror holds. Where journal, mirror, registry and scorer do not name the same
versions, registry_divergence is 1, and a difference that lasts is told of.
"""

import os
import queue
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from bus.errors import BusUnavailable
from bus.heartbeats import Heartbeat
from bus.messages import ControlEvent, Received, Severity
from bus.streams import CONTROL
from live.mirroring import BY, Mirroring, Round, Store, Unfit
from live.model_slots import Engine, severity_of
from live.scorer_view import strays
from live.service import Parts, Subscription
from live.worker import Run, Worker
from market.feature_spec import schema_hash
from registry.errors import RegistryError, StoreUnavailable

NAME: Final = BY
SCORER: Final = "ai_scorer"
_SQLITE = "sqlite:///"
# MLflow's own patience is minutes, and it sleeps longer and longer: a server that is back would not be seen for long.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}

LASTING_NS: Final = 30_000_000_000
"""A difference that has lasted for so long is told of: a move takes less, MLflow's part of it included."""

OpenStore = Callable[[], Store]
Beats = Callable[[], Mapping[str, Heartbeat]]


def _nobody() -> Mapping[str, Heartbeat]:
    return {}


class ModelSync:
    """The service. `run` has the registry asked (by a worker's thread unless told otherwise), `open_store` opens it.

    `beats` gives everybody's heartbeat, of which the scorer's says what it scores with; it may raise BusUnavailable.
    """

    name = NAME

    def __init__(
        self,
        parts: Parts,
        run: Run | None = None,
        open_store: OpenStore | None = None,
        beats: Beats = _nobody,
    ) -> None:
        self._parts = parts
        settings = parts.settings
        self._worker = Worker(f"{NAME}-registry")
        self._run = run or self._worker.submit
        self._open = open_store or partial(_opened, parts)
        self._beats = beats
        engine = Engine(schema_hash(), settings.candidate.rule(), settings.label.rule(), settings.registry.trust())
        self._mirroring = Mirroring(settings.registry.mirror, parts.var, engine)
        self._store: Store | None = None
        self._rounds: queue.SimpleQueue[tuple[Round | None, str]] = queue.SimpleQueue()
        self._is_asking = False
        self._answered_ns = self._due_ns = parts.clock.mono_ns()
        self._is_silent = False
        self._problem = "the registry was not asked yet"
        self._told: set[tuple[str, int, str]] = set()
        self._last = Round(0)
        self._differences: tuple[str, ...] = ()
        self._differs_ns: int | None = None
        self._is_difference_told = False

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
            self._heard(*self._rounds.get_nowait())
            self._compare()
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
        return {
            "ready": not self._problem,
            "age_seconds": round(self._age_seconds(), 3),
            "text": self._problem,
            "epoch": self._last.epoch,
            "differences": list(self._differences),
        }

    def stop(self) -> None:
        """Leave the thread; it ends with the process, and a fill that is under way is whole or not at all."""
        self._worker.stop(1.0)

    def _ask(self) -> None:
        """Runs on the worker. Where the registry is silent, the journal on this host is followed all the same."""
        silence = ""
        found: Round | None = None
        try:
            self._store = self._store or self._open()
            found = self._mirroring.round(self._store, self._parts.clock.wall_ns())
        except Exception as error:  # what MLflow and its database raise has no end
            self._store = None
            silence = str(error) if isinstance(error, RegistryError) else f"{type(error).__name__}: {error}"
            with suppress(RegistryError):  # our own disk, then: the same will be said of it at the next look
                found = self._mirroring.alone(self._parts.clock.wall_ns())
        self._rounds.put((found, silence))
        self._parts.wake()

    def _heard(self, found: Round | None, silence: str) -> None:
        if silence:
            if silence != self._problem:
                self._parts.log.warning("registry_silent", text=silence)
            self._problem = silence
        elif found is not None:
            self._answered_ns = self._parts.clock.mono_ns()
            if self._is_silent:
                self._parts.log.info("registry_answers_again")
            self._is_silent = False
            self._problem = "" if found.versions else "the registry has no version yet: train a model"
        if found is None:
            return
        self._last = found
        self._parts.metrics.registry_epoch.set(found.epoch)
        for turned in found.turned:
            self._parts.log.info("mirror_turned", slot=turned.slot, version=turned.version)
        for unfit in found.unfit:
            self._refuse(unfit)

    def _compare(self) -> None:
        """Show whether everybody names the same, and tell of a difference that lasts."""
        with suppress(BusUnavailable):  # what the scorer has is not known then; the host tells of the bus
            found = strays(self._last.named, self._beats().get(SCORER), self._parts.clock.wall_ns())
            self._differences = (*self._last.differences, *found)
        self._parts.metrics.registry_divergence.set(bool(self._differences))
        now_ns = self._parts.clock.mono_ns()
        if not self._differences:
            if self._is_difference_told:
                self._parts.log.info("registry_agrees_again", epoch=self._last.epoch)
            self._differs_ns, self._is_difference_told = None, False
            return
        self._differs_ns = now_ns if self._differs_ns is None else self._differs_ns
        if now_ns - self._differs_ns >= LASTING_NS and not self._is_difference_told:
            self._is_difference_told = True
            self._alert("WARN", f"the registry does not agree with itself: {'; '.join(self._differences)}")

    def _refuse(self, unfit: Unfit) -> None:
        """Tell of a bundle that may not trade, once."""
        about = (unfit.slot, unfit.version, unfit.reason)
        if about in self._told:
            return
        self._told.add(about)
        self._parts.metrics.model_swap_refused_total.labels(unfit.slot, unfit.reason).inc()
        if unfit.reason == "parity":
            self._parts.metrics.onnx_parity_fail_total.inc()
        text = f"{unfit.slot}: not mirrored ({unfit.reason}), the one before stays: {unfit.text}"
        self._alert(severity_of(unfit.slot), text)

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
