"""The watch over releases in a process of its own, to be killed: python -m tests.live.doomed_release FOLDER COUNT.

Says the number of each outcome once it is on risk's journal, and at the end what every trial knows, as JSON: doubles
survive that to the last bit.
"""

import json
import sys
from pathlib import Path
from random import Random

import msgspec
import structlog

from bus.messages import Outcome
from live.routing import draw
from tests.live.parts import START_NS
from tests.live.release_stage import SECOND, ReleaseStage

SALT, FRACTION = "seed:one", 0.5


def outcome(stage: ReleaseStage, number: int) -> Outcome:
    """The outcome of a number, whichever process makes it: one each second, scored and drawn by its number alone."""
    rng = Random(number)
    stage.number = number
    found = stage.outcome(
        won=rng.random() < 0.55, probabilities={1: rng.uniform(0.5, 0.6), 2: rng.uniform(0.5, 0.6)}, salt=SALT,
        fraction=FRACTION,
    )  # fmt: skip
    t_ns = START_NS + (10 + number) * SECOND
    id_ = f"BTCUSDT-{t_ns}"
    route = "canary" if draw(SALT, id_) < FRACTION else "paper"
    return msgspec.structs.replace(found, candidate_id=id_, t_ns=t_ns, route=route)


def main(folder: Path, count: int) -> None:
    """Go on where the journal ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    stage = ReleaseStage(folder)
    if not stage.mirror.exists():
        stage.seat(active=1, shadow=2)
        stage.roll(1)
    stage.start()
    for number in range(len(stage.evidence.folded.ended), count):
        stage.clock.advance_to(START_NS + (11 + number) * SECOND)
        stage.ended(outcome(stage, number))
        stage.release.tick(60 * SECOND)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
    stage.mature()
    stage.pass_second()
    known = {name: trial.fold.state().state for name, trial in stage.release._trials.items()}
    said = {name: stage.last(name).numbers for name in known}
    sys.stdout.write(json.dumps({"known": known, "said": said}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
