"""What a drill is: a section of the runbook, a market, how the services run, and a function that goes through it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from market.simulator_defects import Defect
from tidegate.drills.scene import Scene
from tidegate.drills.stack import APART


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill. `about` says what trouble it causes.

    Its market is a recording of `seconds` with `defects`, replayed in its own time, or as fast as it can be handled
    (`is_fast`); 0 seconds is no recording: then `knobs` name the feed. `groups` are the processes that run before it
    begins. `by_machine`: the timeline is in the machine's time, although the market runs ahead of it.
    """

    name: str
    section: str
    about: str
    run: Callable[[Scene], None]
    seconds: float = 0.0
    defects: Sequence[Defect] = ()
    is_fast: bool = False
    by_machine: bool = False
    groups: Sequence[Sequence[str]] = APART
    knobs: Mapping[str, str] = field(default_factory=dict)
