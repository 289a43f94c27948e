"""What the paper exchange remembers of orders: enough to answer queries, also after they have ended."""

from dataclasses import dataclass, field
from typing import Literal

from live.exchange.protocol import Fill, OrderView, Place

_ENDED_KEPT = 1_000
_FILLS_KEPT = 200

State = Literal["open", "filled", "canceled", "expired", "rejected"]


@dataclass(slots=True)
class Record:
    """One order: as it was placed, how it stands, its fills. Open until `state` says otherwise."""

    place: Place
    venue_id: str
    state: State = "open"
    filled_lots: int = 0
    fills: list[Fill] = field(default_factory=list)

    def view(self) -> OrderView:
        """The order as the venue would show it."""
        ordered = self.place
        return OrderView(
            client_id=ordered.client_id,
            venue_id=self.venue_id,
            side=ordered.side,
            price_ticks=ordered.price_ticks,
            size_lots=ordered.size_lots,
            filled_lots=self.filled_lots,
            state=self.state,
        )


class Records:
    """The orders of one symbol by client id: all that are open, the newest of those that ended, the newest fills."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._ended: dict[str, None] = {}
        self._fills: list[Fill] = []

    def get(self, client_id: str) -> Record | None:
        """The order, None when there never was one (or it ended long ago)."""
        return self._records.get(client_id)

    def open(self) -> list[Record]:
        """Everything that rests, oldest first."""
        return [record for record in self._records.values() if record.state == "open"]

    def recent_fills(self) -> tuple[Fill, ...]:
        """The newest fills, oldest first."""
        return tuple(self._fills)

    def add(self, place: Place, filled_lots: int = 0) -> Record:
        """Remember a new order; its venue's id follows from ours, so that a restart gives the same."""
        record = self._records[place.client_id] = Record(place, f"paper-{place.client_id}", filled_lots=filled_lots)
        return record

    def fill(self, record: Record, fill: Fill) -> None:
        """Remember a fill."""
        record.filled_lots += fill.size_lots
        record.fills.append(fill)
        self._fills.append(fill)
        if len(self._fills) > 2 * _FILLS_KEPT:
            del self._fills[:_FILLS_KEPT]

    def end(self, record: Record, state: State) -> None:
        """Remember how it ended; the oldest that ended are forgotten."""
        record.state = state
        self._ended[record.place.client_id] = None
        if len(self._ended) > _ENDED_KEPT:
            oldest = next(iter(self._ended))
            del self._ended[oldest], self._records[oldest]
