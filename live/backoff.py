"""How long to wait before the next try: at once, then doubling with jitter, never above the cap.

The jitter is drawn below the wait, so the cap holds, and from a seeded generator, so a test replays it.
"""

from random import Random


class Backoff:
    """The waits of one thing that is tried again until it works."""

    def __init__(self, first_seconds: float, most_seconds: float, rng: Random) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._rng = rng
        self._tries = 0

    def next_seconds(self) -> float:
        """Return the wait before the next try: 0 for the first, then between half and all of the doubled wait."""
        tries, self._tries = self._tries, self._tries + 1
        if tries == 0:
            return 0.0
        # The exponent is held: after a night of failures two to the power of it would be no float any more.
        wait = min(self._most, self._first * 2.0 ** min(tries - 1, 32))
        return wait * (1.0 - 0.5 * self._rng.random())

    def reset(self) -> None:
        """Begin anew: what was tried works."""
        self._tries = 0
