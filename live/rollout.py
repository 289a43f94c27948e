"""The rollout that holds now: the smaller of what people configured and what promotions and guards left in the mirror.

A fence takes the canary's share away within this process, at once, until the rollout's epoch changes: whoever withdrew
the canary may need a moment to write that down.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from config.live_sections import Rollout as Config
from registry.errors import ManifestError
from registry.rollout import ROLLOUT_FILE, RolloutState, read

Mode = Literal["disabled", "canary", "full"]
_RANK: tuple[Mode, ...] = ("disabled", "canary", "full")


@dataclass(frozen=True, slots=True)
class Rollout:
    """What routing needs: `canary_fraction` is the share of signals the canary decides, 0 in any mode but canary.

    `seed` salts the draw, `epoch` is the state's (0 without one), `reason` says what made it smaller than configured.
    """

    mode: Mode
    canary_fraction: float
    seed: str
    epoch: int
    reason: str = ""

    @property
    def has_canary(self) -> bool:
        """Whether some signals are the canary's."""
        return self.canary_fraction > 0.0


def effective(config: Config, state: RolloutState | None, wall_ns: int) -> Rollout:
    """Return the smaller of the two; a state in its cooldown disables."""
    if state is None:
        return _rollout(config, config.mode, config.canary_fraction, 0, "")
    if state.cooldown_until is not None and wall_ns < _nanoseconds(state.cooldown_until.timestamp()):
        return _rollout(config, "disabled", 0.0, state.epoch, f"cooldown: {state.reason}", state.salt)
    mode = min(config.mode, state.mode, key=_RANK.index)
    fraction = min(config.canary_fraction, state.canary_fraction)
    is_smaller = (mode, fraction) != (config.mode, config.canary_fraction)
    return _rollout(config, mode, fraction, state.epoch, state.reason if is_smaller else "", state.salt)


class RolloutWatch:
    """Follows the rollout of one mirror since `started_ns`; `problem` says why its state cannot be read, or nothing."""

    def __init__(self, config: Config, root: Path, started_ns: int) -> None:
        self._config, self._root, self._started_ns = config, root, started_ns
        self._stamp: object = ()
        self._state: RolloutState | None = None
        self._fenced_epoch: int | None = None
        self.fenced_by = ""
        self.problem = ""

    def look(self, wall_ns: int) -> Rollout:
        """Return the rollout that holds at a time; the file is read when it changed."""
        stamp = _stamp(self._root / ROLLOUT_FILE)
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()
        if self.problem:
            return _rollout(self._config, "disabled", 0.0, self._epoch, "the rollout state cannot be read")
        if self._fenced_epoch not in (None, self._epoch):
            self._fenced_epoch, self.fenced_by = None, ""
        found = effective(self._config, self._state, wall_ns)
        if self._fenced_epoch is None or found.mode != "canary":
            return found
        return _rollout(self._config, "disabled", 0.0, found.epoch, f"fenced: {self.fenced_by}")

    def fence(self, reason: str, at_ns: int) -> bool:
        """Withdraw the canary until the epoch changes; False for what whoever wrote the state, or started us, knew."""
        if at_ns < (_nanoseconds(self._state.at.timestamp()) if self._state else self._started_ns):
            return False
        self._fenced_epoch, self.fenced_by = self._epoch, reason
        return True

    @property
    def seed(self) -> str:
        """What the canary's share is drawn by."""
        return seed_of(self._config.seed, self._state.salt if self._state else "")

    @property
    def _epoch(self) -> int:
        return self._state.epoch if self._state else 0

    def _read(self) -> None:
        try:
            found = read(self._root)
        except ManifestError as error:
            self.problem = str(error)
        else:
            if found is None and self._state is not None:
                # Not as if nobody had said anything: by that a canary that was withdrawn would have its share again.
                self.problem = f"{self._root / ROLLOUT_FILE}: was there and is gone; the registrar writes it anew"
                return
            self._state, self.problem = found, ""


def _rollout(config: Config, mode: Mode, fraction: float, epoch: int, reason: str, salt: str = "") -> Rollout:
    return Rollout(mode, fraction if mode == "canary" else 0.0, seed_of(config.seed, salt), epoch, reason)


def seed_of(configured: str, salt: str) -> str:
    """Return what the share of a canary with this salt is drawn by."""
    return f"{configured}:{salt}" if salt else configured


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e6) * 1_000  # datetimes hold microseconds; a float second does not hold more


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_ino, found.st_size
