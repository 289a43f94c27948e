"""What the tests of live build services of: settings, a clock that is turned, an output that remembers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import structlog
from prometheus_client import CollectorRegistry

from bus.messages import VERSION, Header, Message, Received
from config.settings import Settings
from live.clock import ManualClock
from live.service import Parts
from market.symbols import SymbolTable
from monitoring.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
START_NS = 1_767_787_200_000_000_000
"""2026-01-07T12:00:00Z."""

M = TypeVar("M")


@dataclass(frozen=True)
class Said:
    """One published message."""

    stream: str
    body: Message
    message_id: str
    writer: str


@dataclass
class RecordingOutput:
    """Remembers what was published."""

    said: list[Said] = field(default_factory=list)

    def publish(
        self,
        stream: str,
        body: Message,
        *,
        message_id: str,
        exchange_ns: int = 0,
        received_ns: int = 0,
        writer: str = "",
    ) -> None:
        """Remember a message."""
        self.said.append(Said(stream, body, message_id, writer))

    def of(self, kind: type[M]) -> list[M]:
        """Every body of a kind, in order."""
        return [each.body for each in self.said if isinstance(each.body, kind)]


def settings(
    sections: Mapping[str, Mapping[str, Any]] | None = None, symbols: tuple[str, ...] = ("BTCUSDT",)
) -> Settings:
    """The defaults, with these knobs set."""
    tree: dict[str, Any] = {"market": {"symbols": symbols}}
    for name, knobs in (sections or {}).items():
        tree[name] = {**tree.get(name, {}), **knobs}
    return Settings.model_validate(tree, context={"root": ROOT})


def parts(
    tmp_path: Path, sections: Mapping[str, Mapping[str, Any]] | None = None, symbols: tuple[str, ...] = ("BTCUSDT",)
) -> Parts:
    """Parts whose clock is a ManualClock and whose output a RecordingOutput."""
    table = SymbolTable.load(ROOT / "data" / "reference" / "symbols.yml")
    return Parts(
        settings=settings(sections, symbols),
        symbols={name: table[name] for name in symbols},
        clock=ManualClock(START_NS),
        out=RecordingOutput(),
        metrics=Metrics(CollectorRegistry()),
        log=structlog.get_logger(),
        wake=lambda: None,
        var=tmp_path,
    )


def received(stream: str, body: Message, *, kind: str = "", entry_id: str = "1-0", deliveries: int = 1, seq: int = 1,
             published_ns: int = START_NS, writer: str = "test", message_id: str = "m") -> Received:  # fmt: skip
    """A message as a host hands it to a service."""
    header = Header(VERSION, kind, writer, 1, seq, 0, published_ns, published_ns, message_id)
    return Received(stream, entry_id, header, body, deliveries)
