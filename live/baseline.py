"""What the active model promised: its card in the mirror, read anew when the slot is turned. Loads no model."""

from dataclasses import dataclass
from pathlib import Path

from market.barriers import BarrierRule
from registry.card import ModelCard, decode
from registry.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Promise:
    """The active card, and its label as a rule."""

    card: ModelCard
    rule: BarrierRule


class ActiveBaseline:
    """The promise of the mirror's active slot. `trouble` says why there is none, empty when there is one or no slot."""

    def __init__(self, mirror: Path) -> None:
        self.promise: Promise | None = None
        self.trouble = ""
        self._path = mirror / "active" / "model.json"
        self._stamp: tuple[int, int, int] | None = None

    def look(self) -> bool:
        """Read the card if it has changed; return whether it was. A card that cannot be read leaves the one before."""
        try:
            found = self._path.stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp == self._stamp:
                return False
            content = self._path.read_bytes()
        except OSError:
            # No active model (yet), or the slot is being turned: the next look finds it.
            return False
        self._stamp = stamp
        try:
            card = decode(content, str(self._path))
        except RegistryError as refused:
            self.trouble = str(refused)
            return False
        label = card.label
        self.trouble = ""
        self.promise = Promise(card, BarrierRule(label.tp_pct, label.sl_pct, label.horizon_s, label.net_of_fees))
        return True
