"""How far ahead of a resting paper order the queue reaches, and how that shrinks: pure, one place at a time.

The displayed size of a level is all we see; who canceled when it shrinks, we do not. The models differ in that guess:
RiskAverse says that only those behind us cancel, Power(n) splits a cancellation by where we stand. Touch and Through
are no models but the two ends of what can be believed: nobody is ever ahead, everybody always is.
"""

import math
from dataclasses import dataclass
from typing import Protocol

NAMES = ("risk_averse", "power_0.5", "power_1", "power_3")
"""The models by the names of paper.queue_model and of the label queue_model."""


@dataclass(slots=True)
class Place:
    """A place in a queue, in lots: what stands ahead, and the prints at the level since its size last changed."""

    ahead: float = 0.0
    printed: float = 0.0


class QueueModel(Protocol):
    """One guess about places in queues."""

    def join(self, place: Place, displayed: float) -> None:
        """Take the place behind everything that is displayed."""
        ...

    def printed(self, place: Place, size: float) -> None:
        """Move on by a print at the level. Below 0 ahead, the order itself has traded."""
        ...

    def changed(self, place: Place, before: float, after: float) -> None:
        """Move on by a change of the level's displayed size."""
        ...


class RiskAverse:
    """Whoever cancels stood behind us, as long as the level is large enough for that."""

    def join(self, place: Place, displayed: float) -> None:
        """Take the last place."""
        place.ahead = displayed

    def printed(self, place: Place, size: float) -> None:
        """Prints are at the front of the queue."""
        place.ahead -= size

    def changed(self, place: Place, before: float, after: float) -> None:  # noqa: ARG002 (the protocol's)
        """No more can be ahead than is there."""
        place.ahead = min(place.ahead, after)


class Power:
    """A cancellation was ahead of us with chance (ahead / level) ** n; the rest of it was behind."""

    def __init__(self, n: float) -> None:
        self._n = n

    def join(self, place: Place, displayed: float) -> None:
        """Take the last place."""
        place.ahead, place.printed = displayed, 0.0

    def printed(self, place: Place, size: float) -> None:
        """Prints are at the front, and are not canceled once more when the level's new size shows them."""
        place.ahead -= size
        place.printed += size

    def changed(self, place: Place, before: float, after: float) -> None:
        """Share what is gone and did not trade between those ahead and those behind."""
        canceled = before - after - place.printed
        place.printed = 0.0
        if canceled < 0:
            place.ahead = min(place.ahead, after)
            return
        ahead, behind = place.ahead, before - place.ahead
        was_behind = self._chance_behind(ahead, ahead + behind)
        guess = ahead - (1.0 - was_behind) * canceled + min(behind - was_behind * canceled, 0.0)
        place.ahead = after if math.isnan(guess) else min(guess, after)

    def _chance_behind(self, ahead: float, level: float) -> float:
        """NaN where there is no answer: an empty level, a negative share with a broken power. Infinite reads as 1."""
        if level == 0.0:
            return 1.0 if ahead != 0.0 else math.nan
        share = ahead / level
        if share < 0.0 and not float(self._n).is_integer():
            return math.nan
        chance = 1.0 - math.pow(share, self._n)
        return 1.0 if math.isinf(chance) else chance


class Touch:
    """Nobody is ahead: any print at our price is ours. More than can be had."""

    def join(self, place: Place, displayed: float) -> None:  # noqa: ARG002
        """Take the first place."""
        place.ahead = 0.0

    def printed(self, place: Place, size: float) -> None:
        """All of it is for us."""
        place.ahead -= size

    def changed(self, place: Place, before: float, after: float) -> None:
        """Nothing is known from it."""


class Through:
    """Everybody is ahead: only a market that goes through our price fills. Less than can be had."""

    def join(self, place: Place, displayed: float) -> None:  # noqa: ARG002
        """Take a place that no print reaches."""
        place.ahead = math.inf

    def printed(self, place: Place, size: float) -> None:
        """Never for us."""

    def changed(self, place: Place, before: float, after: float) -> None:
        """Never for us."""


def queue_model(name: str) -> QueueModel:
    """Return the model of one of NAMES; raises KeyError for another name."""
    models: dict[str, QueueModel] = {
        "risk_averse": RiskAverse(),
        "power_0.5": Power(0.5),
        "power_1": Power(1.0),
        "power_3": Power(3.0),
    }
    return models[name]
