"""Models of 200 trees swapped under a scorer that takes 1,000 candidates a second: the pause, and what is lost.

A link of the mirror is turned every quarter of a second. The pause is all that a candidate may find between its
arrival and its handler: the tick before it, with the swap where there is one. Beside a swap runs the load of the next
model on the worker's thread; the slowest handling shows what that costs, and on a busy machine what others cost: so
the worst pause is judged by its CPU time. Run with `python -m benchmarks.model_swap`.
"""

import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm as lgb
import msgspec
import numpy as np
import structlog
from prometheus_client import CollectorRegistry

from benchmarks.rows import fact, row, show
from bus.messages import VERSION, Candidate, Header, Message, Received, Score
from bus.streams import CANDIDATES
from config.settings import Settings
from live.ai_scorer import AiScorer
from live.clock import SystemClock
from live.logs import configure
from live.service import Parts
from market.feature_spec import FEATURE_NAMES, N_COLUMNS, N_FEATURES, schema_hash
from monitoring.metrics import Metrics
from pipelines.calibrators import Platt
from pipelines.onnx_export import export
from registry import card as cards
from registry.bundle import GraphScorer, stamp_bundle, write_bundle
from registry.files import point
from registry.manifest import BUNDLES_FOLDER, Cause, Mirror

TREES, LEAVES, TRAINING_ROWS = 200, 31, 20_000
SECONDS, PER_SECOND, TURN_SECONDS = 6.0, 1_000, 0.25
_CAUSE = Cause(at="2026-01-07T12:00:00Z", by="benchmark", reason="swap")


@dataclass
class _Heard:
    """An output that keeps who was scored by whom."""

    versions: list[tuple[str, int]] = field(default_factory=list)
    others: int = 0

    def publish(
        self,
        stream: str,  # noqa: ARG002  # as the protocol has it
        body: Message,
        *,
        message_id: str,  # noqa: ARG002
        exchange_ns: int = 0,  # noqa: ARG002
        received_ns: int = 0,  # noqa: ARG002
        writer: str = "",  # noqa: ARG002
    ) -> None:
        """Keep a score."""
        if isinstance(body, Score):
            self.versions.append((body.candidate_id, body.judgements[0].version))
        else:
            self.others += 1


@dataclass
class _Run:
    """What was timed, in seconds."""

    quiet: list[float] = field(default_factory=list)
    loading: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    pauses_cpu: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    asked: int = 0


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = Settings.model_validate({"registry": {"mirror": str(root / "mirror")}}, context={"root": root})
        links = _mirrored(root, settings)
        heard = _Heard()
        log = configure("benchmark", level="error")
        names = frozenset(settings.market.symbols)
        parts = Parts(settings, dict.fromkeys(names), SystemClock(), heard, Metrics(CollectorRegistry()), log,  # type: ignore[arg-type]
                      lambda: None, root)  # fmt: skip
        scorer = AiScorer(parts)
        scorer.start()
        found = _measured(scorer, settings, root / "mirror" / "active", links)
        scorer.stop()
        structlog.reset_defaults()
    return _rows(found, heard)


def _rows(found: _Run, heard: _Heard) -> list[dict[str, Any]]:
    times = Counter(candidate for candidate, _ in heard.versions)
    quiet, loading = (np.array(each) * 1e3 for each in (found.quiet, found.loading))
    return [
        fact("model swap: pause by a swap, p50", float(np.median(found.pauses)) * 1e3, "ms", below=5.0),
        fact("model swap: pause by a swap, worst, CPU", max(found.pauses_cpu) * 1e3, "ms", below=5.0),
        fact("model swap: pause by a swap, worst", max(found.pauses) * 1e3, "ms"),
        fact("model swap: swaps", len(found.pauses), "swaps"),
        fact("model swap: link turned to first score, worst", max(found.late) * 1e3, "ms", below=2_000.0),
        fact("model swap: candidate, p50 quiet", float(np.median(quiet)), "ms"),
        fact("model swap: candidate, p99 quiet", float(np.quantile(quiet, 0.99)), "ms"),
        row("model swap: candidate, p99 beside a load", float(np.quantile(loading, 0.99)), "ms",
            ratio=float(np.quantile(loading, 0.99) / np.quantile(quiet, 0.99))),
        fact("model swap: candidate, worst quiet", float(quiet.max()), "ms"),
        fact("model swap: candidate, worst beside a load", float(loading.max()), "ms"),
        fact("model swap: candidates not scored", found.asked - len(times), "candidates", wanted=0),
        fact("model swap: candidates scored twice", sum(each > 1 for each in times.values()), "candidates", wanted=0),
    ]  # fmt: skip


def _measured(scorer: AiScorer, settings: Settings, link: Path, targets: list[Path]) -> _Run:
    found, turned_at, wanted, swaps = _Run(), 0.0, 1, 0
    begin = time.perf_counter()
    rows = np.random.default_rng(5).normal(size=(512, N_COLUMNS)).astype(np.float32)
    while (now := time.perf_counter()) - begin < SECONDS:
        if not turned_at and now - begin > (swaps + 1) * TURN_SECONDS:
            wanted = 3 - wanted
            point(link, targets[wanted - 1])
            turned_at, swaps = time.perf_counter(), swaps + 1
        before = _version(scorer)
        message = _candidate(settings, found.asked, rows[found.asked % len(rows)])
        arrived, begun = time.perf_counter(), time.thread_time()
        scorer.tick()
        ticked, spent = time.perf_counter(), time.thread_time() - begun
        scorer.handle(message)
        done = time.perf_counter()
        is_swap = _version(scorer) != before
        if is_swap:
            found.pauses.append(ticked - arrived)
            found.pauses_cpu.append(spent)
        (found.loading if turned_at else found.quiet).append(done - arrived)
        found.asked += 1
        if is_swap:
            found.late.append(done - turned_at)
            turned_at = 0.0
        time.sleep(max(0.0, begin + found.asked / PER_SECOND - time.perf_counter()))
    return found


def _version(scorer: AiScorer) -> int:
    return int(scorer.status()["models"]["active"]["version"])


def _candidate(settings: Settings, number: int, values: Any) -> Received:
    now_ns = time.monotonic_ns() + _OFFSET_NS
    symbol = settings.market.symbols[0]
    body = Candidate(
        id=f"{symbol}-{now_ns}-{number}", symbol=symbol, t_ns=now_ns, local_ns=now_ns, side=1 - 2 * (number % 2),
        rule_id=settings.candidate.rule().id, schema_hash=schema_hash(), book_sequence=number, bid_ticks=1,
        bid_lots=1, ask_ticks=2, ask_lots=1, row=values.tobytes(), session_ns=now_ns,
    )  # fmt: skip
    header = Header(VERSION, "candidate", "signal_engine", 1, number, now_ns, now_ns, now_ns, body.id)
    return Received(CANDIDATES, f"{number}-0", header, body, 1)


_OFFSET_NS = time.time_ns() - time.monotonic_ns()


def _mirrored(root: Path, settings: Settings) -> list[Path]:
    """Put two versions into the mirror, the first of them active, and return their folders."""
    mirror = Mirror(root / "mirror")
    for version in (2, 1):
        folder = root / f"v{version}"
        sha256 = _bundle(folder, settings, seed=version)
        stamp_bundle(folder, version, run_id="benchmark")
        mirror.fill("active", folder, _CAUSE, sha256)
    return sorted((root / "mirror" / BUNDLES_FOLDER).iterdir())


def _bundle(folder: Path, settings: Settings, seed: int) -> str:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(TRAINING_ROWS, N_FEATURES)).astype(np.float32)
    wins = rng.random(TRAINING_ROWS) < 1 / (1 + np.exp(-rows[:, 0] + rows[:, 1] * rows[:, 2]))
    fitting = {"objective": "binary", "num_leaves": LEAVES, "seed": seed, "num_threads": 1, "verbosity": -1}
    booster = lgb.train(fitting, lgb.Dataset(rows, wins), num_boost_round=TREES)
    model = export(booster.model_to_string(), Platt(slope=1.1, offset=-0.05))
    told = GraphScorer(model, N_FEATURES).score_many(rows[:256])
    return write_bundle(
        folder, model, _card(settings, rows), golden_rows=rows[:256], golden_scores=told.probability,
        golden_margins=told.margin,
    )  # fmt: skip


def _card(settings: Settings, rows: Any) -> cards.ModelCard:
    from evaluation.drift import Reference  # noqa: PLC0415

    label = settings.label
    drift = msgspec.convert(Reference.fit(rows, FEATURE_NAMES).thinned(500).to_dict(), cards.DriftBaseline)
    return cards.ModelCard(
        name="signal_scorer", schema_hash=schema_hash(), feature_names=FEATURE_NAMES,
        candidate_rule=settings.candidate.model_dump(),
        label=cards.Label(tp_pct=label.tp_pct, sl_pct=label.sl_pct, horizon_s=label.horizon_seconds,
                          net_of_fees=label.net_of_fees),
        thresholds=cards.Thresholds(tau_entry=0.6, tau_hold=0.5),
        calibration=cards.Calibration(kind="platt", rows=len(rows)), metrics={},
        training=cards.Training(symbols=("BTCUSDT",), first_day="2026-01-05", last_day="2026-01-06", rows=len(rows),
                                data_hash="da" * 32, code_version="c0de", seed=1),
        parity=cards.Parity(rows=256, margin_mismatches=0, flips=0, max_abs_diff=0.0),
        baseline=cards.Baseline(drift=drift, scores=cards.ScoreBaseline(edges=(0.5,), shares=(0.5, 0.5)), brier=0.2,
                                winrate=0.5, trades_per_hour_p95=100.0),
        limitations=(), created_at="2026-01-07T12:00:00Z",
    )  # fmt: skip


if __name__ == "__main__":
    show(run())
