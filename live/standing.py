"""Who stands where, by the mirror on this host, and which trials follow from it. Looked at once a second.

What is traded and scored comes from the mirror alone, so risk asks nobody else. A version whose card cannot be read
just then (the slot is being turned) stays until it can.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bus.messages import Trial
from config.live_sections import Rollout as Config
from live.rollout import Rollout, effective
from registry.card import decode
from registry.errors import ManifestError, RegistryError
from registry.rollout import ROLLOUT_FILE, RolloutState, read
from registry.slots import SLOTS, Slot


@dataclass(frozen=True, slots=True)
class Seat:
    """A version in a slot, and the 95 % quantile of the entries in an hour that its card promises."""

    version: int
    model_id: str
    entries_per_hour_p95: float


class Key(NamedTuple):
    """What makes a trial another one. `draw` is the seed of a canary's routes, `salt` the registry's part of it."""

    trial: Trial
    version: int
    model_id: str
    against: int
    salt: str
    draw: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The slots and the rollout as they stand. `since_ns` is when the rollout's state was written, 0 without one."""

    active: Seat | None = None
    shadow: Seat | None = None
    previous: Seat | None = None
    rollout: Rollout = field(default_factory=lambda: Rollout("disabled", 0.0, "", 0))
    salt: str = ""
    since_ns: int = 0

    @property
    def control(self) -> int:
        """The version before, while it is scored beside the active one; 0 while it is not."""
        if self.active is None or self.shadow is None or self.previous is None:
            return 0
        return self.shadow.version if self.shadow.version == self.previous.version != self.active.version else 0

    def trials(self) -> dict[Trial, Key]:
        """The trials that are to run. The active version's goes on whatever stands beside it."""
        found: dict[Trial, Key] = {}
        active, shadow = self.active, self.shadow
        if active is None:
            return found
        found["active"] = Key("active", active.version, active.model_id, 0, "", "")
        if shadow is None or shadow.version == active.version:
            return found
        if not self.control:
            found["shadow"] = Key("shadow", shadow.version, shadow.model_id, active.version, "", "")
        if self.rollout.has_canary:
            found["canary"] = Key(
                "canary", shadow.version, shadow.model_id, active.version, self.salt, self.rollout.seed
            )
        return found


class Standings:
    """Follows one mirror."""

    def __init__(self, config: Config, root: Path) -> None:
        self._config, self._root = config, root
        self._seats: dict[Slot, tuple[object, Seat | None]] = {}
        self._stamp: object = ()
        self._state: RolloutState | None = None
        self._is_readable = True

    def look(self, wall_ns: int) -> Standing:
        """Return who stands where; files are read when they changed."""
        active, shadow, previous = (self._seat(slot) for slot in SLOTS)
        stamp = _stamp(self._root / ROLLOUT_FILE)
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()
        state = self._state
        rollout = effective(self._config, state, wall_ns)
        if not self._is_readable:
            rollout = Rollout("disabled", 0.0, self._config.seed, rollout.epoch, "the rollout state cannot be read")
        at_ns = round(state.at.timestamp() * 1e6) * 1_000 if state else 0
        return Standing(active, shadow, previous, rollout, state.salt if state else "", at_ns)

    def _seat(self, slot: Slot) -> Seat | None:
        path = self._root / slot / "model.json"
        stamp = _stamp(path)
        known = self._seats.get(slot)
        if known is not None and known[0] == stamp:
            return known[1]
        if not (self._root / slot).is_symlink() and not path.exists():
            self._seats[slot] = (stamp, None)
            return None
        try:
            card = decode(path.read_bytes(), str(path))
        except (OSError, RegistryError):
            return known[1] if known else None
        seat = Seat(card.version or 0, card.id, card.baseline.trades_per_hour_p95)
        self._seats[slot] = (stamp, seat)
        return seat

    def _read(self) -> None:
        try:
            found = read(self._root)
        except ManifestError:
            self._is_readable = False
        else:
            self._is_readable = found is not None or self._state is None  # one that is gone is not one never written
            self._state = found or self._state


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
