"""Candidates of a drill's own: rows that the model approves of, on the market as it is now.

They go through the scorer like any other, so what becomes of them is what becomes of the engine's.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bus.messages import BookImage, Candidate
from bus.protocol import Bus
from bus.publisher import Publisher
from bus.streams import CANDIDATES
from market.feature_spec import CONTEXT_NAMES, schema_hash
from tidegate.drills.errors import DrillFailed
from tidegate.drills.knobs import SYMBOL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.settings import Settings

_APART_NS = 1_000
"""Between two candidates of one moment: their ids must differ."""


@dataclass
class Probes:
    """Says candidates. `now` is the market's time in nanoseconds, `bundle` that of the model that has to approve."""

    bus: Bus
    now: "Callable[[], int]"
    settings: "Settings"
    bundle: "Path"
    _publisher: Publisher | None = None
    _rows: list[bytes] = field(default_factory=list)
    _said: int = 0

    def say(self, count: int, image: BookImage) -> list[str]:
        """Say so many candidates at the touch of a book; returns their ids. Raises DrillFailed, BusUnavailable."""
        if self._publisher is None:
            self._publisher = Publisher(self.bus, "drill", self.now)
            self._rows = self._approved_rows()
        rule_id, at_ns, ids = self.settings.candidate.rule().id, self.now(), []
        for number in range(count):
            t_ns = at_ns - (count - number) * _APART_NS
            ids.append(f"{SYMBOL}-{t_ns}")
            self._said += 1
            found = Candidate(
                id=ids[-1], symbol=SYMBOL, t_ns=t_ns, local_ns=t_ns, side=1, rule_id=rule_id,
                schema_hash=schema_hash(), book_sequence=image.sequence, bid_ticks=image.bid_ticks[0],
                bid_lots=image.bid_lots[0], ask_ticks=image.ask_ticks[0], ask_lots=image.ask_lots[0],
                row=self._rows[self._said % len(self._rows)], session_ns=image.local_ns,
            )  # fmt: skip
            self._publisher.publish(CANDIDATES, found, message_id=ids[-1])
        self._publisher.flush()
        return ids

    def _approved_rows(self) -> list[bytes]:
        """Golden rows of the bundle whose score is over its entry threshold, with the context columns at zero."""
        from registry.bundle import verify_bundle
        from tidegate.drills.bundles import golden_rows

        rows, scores = golden_rows(self.bundle)
        tau = verify_bundle(self.bundle).thresholds.tau_entry
        context = np.zeros(len(CONTEXT_NAMES), np.float32)
        found = [np.concatenate([row, context]).astype("<f4").tobytes() for row in rows[scores >= tau]]
        if not found:
            raise DrillFailed(f"{self.bundle}: no golden row is over its entry threshold {tau:.3f}")
        return found
