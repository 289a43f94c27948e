"""Ages and times as people read them."""

import re
from datetime import UTC, datetime

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def age(seconds: float) -> str:
    """A length of time in two figures or so: 40 ms, 1.2 s, 3 min, 5 h, 2 d."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3_600:.0f} h"
    return f"{seconds / 86_400:.0f} d"


def clock_time(nanoseconds: int) -> str:
    """A moment, to the second: 12:03:04 UTC."""
    return f"{datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC):%H:%M:%S} UTC"


def length_of(text: str) -> float:
    """Seconds of 90s, 10m, 2h, 1d. Raises ValueError, which says so, for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if not found:
        raise ValueError(f"a length of time is a number with s, m, h or d, like 10m; was {text!r}")
    return float(found[1]) * _UNITS[found[2]]
