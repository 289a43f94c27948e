"""Which way a signal goes. Decided once, by its id: whoever asks again gets the same answer."""

from collections import deque
from hashlib import blake2b

from bus.messages import Route
from live.rollout import Rollout

_BITS = 53
"""Of the hash: as many as a float holds, so that the draw is below 1."""


def draw(seed: str, signal_id: str) -> float:
    """Return a number in [0, 1) that seed and id decide, spread evenly over ids."""
    digest = blake2b(f"{seed}\x00{signal_id}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> (64 - _BITS)) / (1 << _BITS)


def route_of(signal_id: str, rollout: Rollout) -> Route:
    """Return the route: all `paper`, all `full`, or `canary` for the share of signals that it may have."""
    if rollout.mode == "full":
        return "full"
    if rollout.has_canary and draw(rollout.seed, signal_id) < rollout.canary_fraction:
        return "canary"
    return "paper"


class RealizedShare:
    """The share of the newest signals that went to the canary, of those since `restart`."""

    def __init__(self, window: int = 1_000) -> None:
        self._routes: deque[bool] = deque(maxlen=window)
        self._canaries = 0
        self.share = 0.0

    @property
    def sample(self) -> int:
        """How many signals the share is of."""
        return len(self._routes)

    def restart(self) -> None:
        """Forget them: the share that they were meant to have is another now."""
        self._routes.clear()
        self._canaries, self.share = 0, 0.0

    def add(self, route: Route) -> float:
        """Take a signal's route and return the share, this one included."""
        if len(self._routes) == self._routes.maxlen:
            self._canaries -= self._routes[0]
        self._routes.append(route == "canary")
        self._canaries += route == "canary"
        self.share = self._canaries / len(self._routes)
        return self.share
