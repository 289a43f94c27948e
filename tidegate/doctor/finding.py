"""What the doctor says of one thing: how it is, and the command that mends it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]
"""ok; warn: something will not work, or not yet; fail: nothing should be run before it is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `mend` is a command, or a sentence where none is enough; raises ValueError for trouble without it."""

    name: str
    level: Level
    says: str
    mend: str = ""

    def __post_init__(self) -> None:
        if (self.level == "ok") is bool(self.mend):
            raise ValueError(f"{self.name}: {self.level} with {self.mend!r}; all but ok says what mends it")


def joined(name: str, well: str, troubles: Iterable[Finding]) -> Sequence[Finding]:
    """The troubles of one thing; where there is none, that it is well."""
    return tuple(troubles) or (Finding(name, "ok", well),)
