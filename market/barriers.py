"""The triple barrier of one entry: its rule, its prices in ticks, its gains. Without numba, so that live may use it.

`market.labels` judges a day of entries by the same numbers; a test holds the two equal to the bit.
"""

import math
import struct
from dataclasses import dataclass

from market.events import BadRule

TARGET = 1
STOP = -1
TIMEOUT = 0
UNRESOLVED = 2

GRID_TOLERANCE_TICKS = 1e-6
"""A price so near to a tick counts as on it, whatever the product of two floats says."""

_NS_PER_SECOND = 1_000_000_000
_FLOAT32 = struct.Struct("<f")


@dataclass(frozen=True, slots=True)
class BarrierRule:
    """Where an entry ends: `tp_pct` and `sl_pct` are shares of the entry price (0.001 is 10 bps), both above 0.

    `net_of_fees` moves the target so far out that the gain is `tp_pct` after the taker fees of entry and exit; the
    stop stays where it is. Raises BadRule on shares outside (0, 1) or a horizon that is not above 0.
    """

    tp_pct: float
    sl_pct: float
    horizon_seconds: float
    net_of_fees: bool = False

    def __post_init__(self) -> None:
        for name in ("tp_pct", "sl_pct"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise BadRule(f"{name} must be a share between 0 and 1, was {getattr(self, name)}")
        if not 0.0 < self.horizon_seconds < math.inf:
            raise BadRule(f"horizon_seconds must be above 0, was {self.horizon_seconds}")

    @property
    def horizon_ns(self) -> int:
        """The horizon in nanoseconds."""
        return round(self.horizon_seconds * _NS_PER_SECOND)

    def factors(self, side: int, taker_fee: float) -> tuple[float, float]:
        """Return target and stop of one side as multiples of the entry price, at a taker fee in shares.

        The fee is paid on the entry and on the exit price. So a long gains tp after fees where
        exit * (1 - fee) = entry * (1 + tp + fee), a short where exit * (1 + fee) = entry * (1 - tp - fee).
        """
        fee = taker_fee if self.net_of_fees else 0.0
        target = (1.0 + side * (self.tp_pct + fee)) / (1.0 - side * fee)
        return target, 1.0 - side * self.sl_pct

    @property
    def id(self) -> str:
        """The rule in one word, as model cards name it."""
        after = "after fees" if self.net_of_fees else "before fees"
        return f"tp {self.tp_pct:g}, sl {self.sl_pct:g}, {self.horizon_seconds:g} s, {after}"


def barrier_ticks(entry_ticks: int, side: int, rule: BarrierRule, taker_fee: float) -> tuple[int, int]:
    """Return target and stop in ticks of an entry of `side` (+1, -1), at a taker fee in shares.

    Each is the nearest tick that gains, or loses, at least what the rule says, and at least one tick away.
    """
    target, stop = rule.factors(side, taker_fee)
    # Signed prices, as in the label kernel: a short is a long on negated ones.
    signed = side * entry_ticks
    upper = max(math.ceil(signed * target - GRID_TOLERANCE_TICKS), signed + 1)
    lower = min(math.floor(signed * stop + GRID_TOLERANCE_TICKS), signed - 1)
    return side * upper, side * lower


def gains_bps(entry_ticks: int, exit_ticks: int, side: int, taker_fee: float) -> tuple[float, float]:
    """Return what a round trip gains in basis points of the entry price, before and after both taker fees.

    Rounded to float32, as labels are stored.
    """
    move = (exit_ticks - entry_ticks) / entry_ticks
    gross, net = side * move * 1e4, (side * move - taker_fee * (2.0 + move)) * 1e4
    return _float32(gross), _float32(net)


def _float32(value: float) -> float:
    rounded: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    return rounded
