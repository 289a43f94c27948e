"""How often verdicts err, and how soon they find a bad version: 2,000 simulated canaries, hundreds of shadow replays.

Canaries share a swing of the win rate with the active route, outcomes come in bursts of ten, and there is a look after
every trade until 2,000 canary trades; `all metrics` also feeds markout, fill and latency, which are alike on both
routes, so that the win rate has 0.4 of the evidence alone. Run with `python -m benchmarks.verdict_errors`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.rows import fact, row, show
from benchmarks.shadow_pairs import EQUAL, MUCH_WORSE, WORSE, draw
from config.release_sections import Release
from evaluation.canary_simulation import Limits, Scenario, simulate
from evaluation.trials import Judged, Routed
from evaluation.verdict import Evidence, Policy, decide

CANARIES = 2_000
REPLAYS = 500
_SEED = 11
_LONGEST_SHADOW = 6_000


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    policy = Release().policy()
    return canary_rows(policy) + shadow_rows(policy) + cost_rows(policy)


def canary_rows(policy: Policy) -> list[dict[str, Any]]:
    """Return the canaries' rates under this policy."""
    limits = Limits(
        policy.min_sample, policy.winrate_delta, policy.alpha, policy.alpha_promote, policy.seq_min_sample,
        policy.cap_trades,
    )  # fmt: skip
    rows = []
    for text, base in (("win rate alone", Scenario()), ("all metrics", Scenario(has_executions=True))):
        name = f"verdict errors: canary, {text}"
        equal, better, worse, bad = (
            simulate(replace(base, worse=points / 100.0), limits, CANARIES, _SEED) for points in (0, -3, 8, 15)
        )
        rows += [
            fact(f"{name}, equal: rolled back", equal.rate() * 100, "%", below=5.0),
            row(f"{name}, equal: promoted", float((equal.promoted > 0).mean()) * 100, "%"),
            row(f"{name}, 3 points better: promoted", float((better.promoted > 0).mean()) * 100, "%"),
            fact(f"{name}, 8 points worse: missed", (1 - worse.rate()) * 100, "%", below=1.0),
            fact(f"{name}, 8 points worse: median canary trades", worse.median(), "trades", below=400.5),
            fact(f"{name}, 15 points worse: median canary trades", bad.median(), "trades", below=120.5),
        ]
    return rows


def shadow_rows(policy: Policy) -> list[dict[str, Any]]:
    """Return how shadows end under this policy."""
    name = "verdict errors: shadow"
    worse = [_ended(policy, WORSE, policy.shadow_min_candidates, seed) for seed in range(REPLAYS)]
    much = [_ended(policy, MUCH_WORSE, policy.shadow_min_candidates, seed) for seed in range(REPLAYS)]
    equal = [_ended(policy, EQUAL, _LONGEST_SHADOW, seed) for seed in range(REPLAYS)]
    undecided = sum(decision != "roll_back" for decision, _ in worse)
    passed = sorted(at for decision, at in equal if decision == "promote")
    return [
        fact(f"{name}, 2.5 points worse: not withdrawn in time", undecided / REPLAYS * 100, "%", below=5.0),
        row(f"{name}, 2.5 points worse: median candidates", _median(worse), "rows"),
        row(f"{name}, 4.7 points worse: median candidates", _median(much), "rows"),
        fact(f"{name}, equal: withdrawn", _share(equal, "roll_back"), "%", below=5.0),
        row(f"{name}, equal: passed within {_LONGEST_SHADOW:,} candidates", _share(equal, "promote"), "%"),
        row(f"{name}, equal: 90 % of these passed after", float(passed[len(passed) * 9 // 10]), "rows"),
    ]


def cost_rows(policy: Policy) -> list[dict[str, Any]]:
    """Return what an observation costs."""
    judged = draw(EQUAL, 20_000, 1).seen
    routed = [Routed("salt", 0.1, index % 10 == 0, True, each.has_won) for index, each in enumerate(judged)]
    canary, shadow, active = policy.canary_trial("salt"), policy.shadow_trial(), policy.active_trial()
    return [
        row("verdict errors: canary, one observation", _micros(canary.take, routed), "us"),
        row("verdict errors: shadow, one observation", _micros(shadow.take, judged), "us"),
        row("verdict errors: active, one observation", _micros(active.take, judged), "us"),
        row(
            "verdict errors: one verdict", _micros(lambda _: decide(policy, Evidence(canary.evidence())), routed), "us"
        ),
    ]


def _ended(policy: Policy, noise: float, most: int, seed: int) -> tuple[str, int]:
    """Return the first decision of a replay but hold, and the candidates by then; hold at the end."""
    trial = policy.shadow_trial()
    for seen in draw(noise, most, seed).seen:
        trial.take(seen)
        is_passed = trial.candidates >= policy.shadow_min_candidates and trial.not_worse_peak >= policy.shadow_evidence
        if is_passed or trial.worse_peak >= policy.shadow_evidence:
            return decide(policy, Evidence(trial.evidence())).decision, trial.candidates
    return "hold", most


def _share(endings: list[tuple[str, int]], wanted: str) -> float:
    return sum(decision == wanted for decision, _ in endings) / len(endings) * 100


def _median(endings: list[tuple[str, int]]) -> float:
    return float(sorted(at for _, at in endings)[len(endings) // 2])


def _micros(call: Callable[[Any], object], rows: Sequence[Judged | Routed]) -> float:
    begin = time.process_time()
    for each in rows:
        call(each)
    return (time.process_time() - begin) / len(rows) * 1e6


if __name__ == "__main__":
    show(run())
