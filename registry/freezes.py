"""Freezes: times of the week in which nothing is promoted, as `Fri 20:00-Mon 06:00` or `Tue 13:00-Tue 15:30`, UTC.

A freeze begins with its first minute and ends before its last one. One whose end lies before its begin goes on over
the end of the week. Rollbacks know no freeze.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MINUTES_PER_DAY = 1_440
_PATTERN = re.compile(r"(\w{3} \d\d:\d\d)-(\w{3} \d\d:\d\d)")


class Freeze(NamedTuple):
    """A stretch of the week, in minutes behind Monday 00:00 UTC; `end` is the first minute behind it."""

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the week lies in it."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


def freeze_of(text: str) -> Freeze:
    """Read a freeze. Raises ValueError that says what was wanted and what was found."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ValueError(f"a freeze is written `Fri 20:00-Mon 06:00`, UTC, not {text!r}")
    begin, end = (_minute(moment, text) for moment in found.groups())
    if begin == end:
        raise ValueError(f"the freeze {text!r} ends when it begins; give it a length of less than a week")
    return Freeze(begin, end)


def frozen_by(freezes: Iterable[str], now: datetime) -> str | None:
    """The freeze that holds at a moment (zone-aware), as it is written; None when nothing is frozen."""
    at = now.astimezone(UTC)
    minute = at.weekday() * _MINUTES_PER_DAY + at.hour * 60 + at.minute
    return next((text for text in freezes if freeze_of(text).holds(minute)), None)


def _minute(moment: str, text: str) -> int:
    day, hour, minute = moment[:3], int(moment[4:6]), int(moment[7:9])
    if day not in _DAYS or hour > 23 or minute > 59:
        raise ValueError(f"the freeze {text!r} names no time of a week: days are {', '.join(_DAYS)}, hours 00 to 23")
    return _DAYS.index(day) * _MINUTES_PER_DAY + hour * 60 + minute
