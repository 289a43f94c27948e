"""When each drill was last run and what came of it, kept beside the drills' folders: results.json."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from registry.files import locked, write_file

_FILE = "results.json"


@dataclass(frozen=True, slots=True)
class Result:
    """One run of a drill: `at` in UTC, and why it failed, empty when it was passed."""

    drill: str
    section: str
    at: str
    seconds: float
    failure: str

    @property
    def passed(self) -> bool:
        """Whether it was passed."""
        return not self.failure

    def line(self) -> str:
        """In one line."""
        told = "passed" if self.passed else "FAILED"
        return f"{told} {datetime.fromisoformat(self.at):%Y-%m-%d %H:%M}, {self.seconds:.0f} s"


def read(root: Path) -> dict[str, Result]:
    """The last result of each drill; empty where none was kept or it cannot be read."""
    try:
        found = json.loads((root / _FILE).read_text(encoding="utf-8"))
        return {name: Result(**facts) for name, facts in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def keep(root: Path, result: Result) -> None:
    """Keep a result in place of the drill's last one; safe beside other drills. Raises FileError."""
    root.mkdir(parents=True, exist_ok=True)
    with locked(root):
        kept = {name: asdict(each) for name, each in {**read(root), result.drill: result}.items()}
        write_file(root / _FILE, json.dumps(kept, indent=2).encode() + b"\n")
