"""The watch over releases as risk holds it: a mirror whose slots are turned, outcomes that mature, a clock that is
turned, and what is said."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import msgspec

from bus.messages import ControlEvent, Judgement, Outcome, Route, Trial, Verdict
from live.clock import ManualClock
from live.evidence import Ended, Evidence
from live.release_watch import ReleaseWatch
from live.routing import draw
from live.service import Parts
from live.watch import Watch
from market.barriers import STOP, TARGET
from registry.card import encode
from registry.rollout import RolloutState, write
from tests.live.cards import card
from tests.live.parts import START_NS, RecordingOutput, parts

SECOND = 1_000_000_000
HORIZON_NS = 60 * SECOND
CANARY = {"mode": "canary", "canary_fraction": 0.5, "seed": "seed"}


class ReleaseStage:
    """One risk after another over the same folder: `again` is the next, as if the one before had been killed."""

    def __init__(self, tmp_path: Path, sections: dict[str, dict[str, Any]] | None = None) -> None:
        self.mirror = tmp_path / "mirror"
        knobs: dict[str, dict[str, Any]] = {"registry": {"mirror": str(self.mirror)}, "rollout": CANARY}
        knobs |= sections or {}
        knobs["release"] = {"false_rollback_budget": 0.9, **knobs.get("release", {})}
        self.parts: Parts = parts(tmp_path, knobs)
        self.clock = cast(ManualClock, self.parts.clock)
        self.out = cast(RecordingOutput, self.parts.out)
        self.number = 0
        self._tmp_path = tmp_path

    def start(self) -> "ReleaseStage":
        """A process begins."""
        self.evidence = Evidence(self._tmp_path / "risk.journal")
        self.watch = Watch(self.parts, self.evidence.append)
        self.watch.restore(self.evidence.folded)
        self.release = ReleaseWatch(self.parts, self.watch)
        self.release.start(self.evidence.folded)
        self.pass_second()
        return self

    def seat(self, **versions: int) -> None:
        """Turn slots of the mirror to versions; 0 empties one."""
        for slot, version in versions.items():
            link = self.mirror / slot
            if not version:
                link.unlink(missing_ok=True)
                continue
            folder = self.mirror / "bundles" / f"v{version}"
            folder.mkdir(parents=True, exist_ok=True)
            described = msgspec.structs.replace(card(), id=f"m{version}", version=version)
            (folder / "model.json").write_bytes(encode(described))
            beside = self.mirror / f".{slot}.writing"
            beside.symlink_to(folder, target_is_directory=True)
            beside.replace(link)

    def roll(self, epoch: int, salt: str = "one", *, fraction: float = 0.5, mode: Any = "canary") -> None:
        """Write the rollout as a move leaves it."""
        at = datetime.fromtimestamp(self.clock.wall_ns() / 1e9, UTC)
        state = RolloutState(
            epoch=epoch, mode=mode, canary_fraction=fraction, salt=salt, reason="test", by="tests", at=at
        )
        write(self.mirror, state)

    def outcome(
        self, *, won: bool, probabilities: dict[int, float], route: Route = "paper", salt: str = "",
        fraction: float = 0.0, approved: bool = True,
    ) -> Outcome:  # fmt: skip
        """The next candidate's end; judged by these versions, all by tau 0.5."""
        self.number += 1
        t_ns = self.clock.wall_ns()
        judgements = [
            Judgement("active" if k == 0 else "shadow", f"m{version}", version, 0.0, p, 0.5)
            for k, (version, p) in enumerate(probabilities.items())
        ]
        return Outcome(
            f"BTCUSDT-{t_ns + self.number}", "BTCUSDT", 1, route, approved, t_ns, TARGET if won else STOP,
            t_ns + SECOND, 1.0, 0.0, [0.0, 0.0, 0.0], judgements, fraction, salt,
        )  # fmt: skip

    def routed(self, count: int, *, canary: float, active: float, salt: str = "seed:one", seed: int = 1) -> None:
        """So many candidates, half of them the canary's by their draw, which win with these chances; all matured."""
        rng = Random(seed)
        for _ in range(count):
            found = self.outcome(won=False, probabilities={1: 0.6, 2: 0.6}, salt=salt, fraction=0.5)
            is_canary = draw(salt, found.candidate_id) < 0.5
            won = rng.random() < (canary if is_canary else active)
            self.ended(
                msgspec.structs.replace(
                    found, route="canary" if is_canary else "paper", outcome=TARGET if won else STOP
                )
            )  # fmt: skip
        self.mature()

    def ended(self, outcome: Outcome) -> None:
        """It is on risk's journal and risk knows of it."""
        self.evidence.append(Ended(outcome))
        self.release.on_outcome(outcome)
        self.clock.advance(seconds=0.01)

    def mature(self) -> None:
        """Let every horizon pass."""
        self.clock.advance(seconds=62.0)
        self.release.tick(HORIZON_NS)

    def pass_second(self, count: int = 1, entries: float = 0.0) -> None:
        """Let seconds pass."""
        for _ in range(count):
            self.clock.advance(seconds=1.0)
            self.release.tick(HORIZON_NS)
            self.release.each_second(lambda _: entries, lambda _: 0.1)

    def verdicts(self, trial: Trial) -> list[Verdict]:
        """What was said of a trial, in order."""
        return [each for each in self.out.of(Verdict) if each.trial == trial]

    def last(self, trial: Trial) -> Verdict:
        """What was said of it last."""
        return self.verdicts(trial)[-1]

    def events(self, *kinds: str) -> list[ControlEvent]:
        """Control events of these kinds."""
        return [each for each in self.out.of(ControlEvent) if each.event in kinds]

    def halts(self) -> list[tuple[str, str, str, str]]:
        """(event, severity, reason, route) of every halt and its end."""
        return [(each.event, each.severity, each.reason, each.route) for each in self.events("HALT", "RESUME")]

    def logs(self, pattern: str = "*.log") -> list[Path]:
        """The logs of trials."""
        return sorted((self._tmp_path / "trials").glob(pattern))


def reasons(verdict: Verdict) -> list[str]:
    """Why a verdict withdraws."""
    return [each.reason for each in verdict.breaches]


def versions(found: Iterable[Verdict]) -> set[int]:
    """The versions verdicts are about."""
    return {each.version for each in found}


__all__ = ["HORIZON_NS", "SECOND", "START_NS", "ReleaseStage", "reasons", "versions"]
