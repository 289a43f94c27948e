"""Drift gates on days drawn from real recordings: false blocks in clean days, and how surely a shift is blocked.

The recorded StandX days 2026-01-06 and 07 are cut into blocks that keep their hours, and new days are drawn of them
(block bootstrap): seven to train on, whose clean history goes into the card, and others for live, which are as clean
as those by their making. Blocks of an hour mix the two days; whole days keep all that differs between them, so both
are asked. Live is the real thing: its window, its lines, its gate, a look each half hour.

Skipped where ../shared/data is not there. Run with `python -m benchmarks.drift_gates`.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive.sources.protocol import open_source
from archive.store import Lake
from benchmarks.rows import Absent, fact, row, show
from bus.messages import Score
from config.live_sections import Risk
from config.release_sections import Release
from config.sections import Candidate, Evaluation
from evaluation.clean_windows import LEAST_SPANS, WindowShape, clean_history
from evaluation.drift import Reference
from evaluation.drift_gate import DriftGate, DriftView
from evaluation.drift_lines import CleanHistory, drift_report
from live.drift_window import DriftWindow
from market.feature_spec import orient
from market.features import CONTEXT_NAMES, FEATURE_NAMES, schema_hash
from market.symbols import SymbolTable
from pipelines.feature_days import compute_day
from pipelines.partitions import Cell

RECORDINGS = Path(__file__).resolve().parents[2] / "shared/data/standx"
SYMBOLS = Path(__file__).resolve().parents[1] / "data/reference/symbols.yml"
SYMBOL, DAYS = "BTC-USD", 2
DAY_NS = 86_400 * 10**9
LOOK_NS = 1_800 * 10**9
TRAIN_DAYS, CLEAN_DAYS, SHIFTED_DAYS = 7, 30, 20
BLOCK_HOURS = (1, 24)
SHIFT = 0.6
_SCHEMA, _CONTEXT = schema_hash(), bytes(4 * len(CONTEXT_NAMES))
_STEP = 4
"""Every so many candidates are shown to live, for time: a window draws 2,000 of 18,000 a day rather than of 72,000."""


@dataclass(frozen=True)
class Recorded:
    """Candidates of whole days, from midnight of the first: t_ns int64[n], rows float32[n, F] as a model sees them."""

    t_ns: NDArray[np.int64]
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class Trained:
    """What the card of a model trained on drawn days holds, and each feature's deviation."""

    reference: Reference
    clean: CleanHistory | None
    deviation: NDArray[np.float64]

    @property
    def armed(self) -> int:
        """Features that a whole window arms."""
        report = drift_report(self.reference, self.reference.ordered.T, Evaluation().drift_rule(), self.clean)
        return sum(each.armed for each in report.features)


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}."""
    recorded = recordings()
    found: list[dict[str, Any]] = []
    for hours in BLOCK_HOURS:
        rng = np.random.default_rng(hours)
        trained = train(recorded, *drawn(recorded, rng, TRAIN_DAYS, hours))
        blocks = sum(1 for _ in false_blocks(recorded, trained, rng, hours))
        hits, asked = shifted(recorded, trained, rng, hours)
        name = f"drift gates: blocks of {hours} h"
        found += [
            fact(f"{name}, false blocks in {CLEAN_DAYS} clean days", blocks, "blocks", below=2),
            row(f"{name}, days between false blocks, at least", CLEAN_DAYS / max(1, blocks), "days"),
            _share(f"{name}, {SHIFT} sd blocked within a window", hits / max(1, asked), 0.85),
            row(f"{name}, armed features", asked / SHIFTED_DAYS, f"of {len(FEATURE_NAMES)}"),
        ]
    return [*found, *_real_days(recorded), _two_days_arm_nothing(recorded)]


def recordings(folder_of: Path = RECORDINGS) -> Recorded:
    """Return the candidates of the two whole days, by the pipelines' own importer and kernel."""
    if not folder_of.is_dir():
        raise Absent(f"{folder_of} is not there")
    table, rule = SymbolTable.load(SYMBOLS), Candidate().rule()
    source = open_source("standx", folder_of, table)
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.create(Path(folder) / "lake")
        days = source.days(table[SYMBOL])[-DAYS:]
        for day in days:
            held = source.read_day(table[SYMBOL], day)
            lake.write_book(SYMBOL, day, held.book, source=source.name, notes={})
            lake.write_trades(SYMBOL, day, held.trades, source=source.name, allow_empty=True)
            parts.append(compute_day(lake, Cell(day, SYMBOL), rule))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    t_ns = columns["t_ns"].astype(np.int64)
    rows = np.stack([columns[name] for name in FEATURE_NAMES], axis=1).astype(np.float32)
    return Recorded(t_ns - t_ns[0] // DAY_NS * DAY_NS, orient(rows, columns["side"].astype(np.int8)))


def drawn(
    recorded: Recorded, rng: np.random.Generator, days: int, hours: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row indices and times of new days: each block of hours comes from either recorded day, at its hours."""
    rows, times = [], []
    block_ns = hours * 3_600 * 10**9
    for start_ns in range(0, days * DAY_NS, block_ns):
        source_ns = int(rng.integers(DAYS)) * DAY_NS + start_ns % DAY_NS
        begin, end = np.searchsorted(recorded.t_ns, (source_ns, source_ns + block_ns)).tolist()
        rows.append(np.arange(begin, end))
        times.append(recorded.t_ns[begin:end] - source_ns + start_ns)
    return np.concatenate(rows), np.concatenate(times)


def train(recorded: Recorded, at: NDArray[np.int64], t_ns: NDArray[np.int64]) -> Trained:
    """Return what a card says of a model trained on these rows."""
    rows = recorded.rows[at]
    reference = Reference.fit(rows, FEATURE_NAMES)
    clean = clean_history(t_ns, rows, FEATURE_NAMES, Risk().drift_window())
    return Trained(reference.thinned(512), clean, rows.std(axis=0, dtype=np.float64))


def looks(
    recorded: Recorded,
    trained: Trained,
    days: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    shift_from_ns: int = 2**62,
) -> Iterator[DriftView]:
    """Look each half hour from the first whole day on; from a time on each feature is moved by SHIFT deviations.

    All are moved at once, since each is judged by itself alone.
    """
    shape: WindowShape = Risk().drift_window()
    window, rule = DriftWindow(shape), Evaluation().drift_rule()
    gate = DriftGate(Release().drift_minutes * 60.0)
    moved = (SHIFT * trained.deviation).astype(np.float32)
    due_ns = DAY_NS
    for index, t_ns in zip(days[0][::_STEP].tolist(), days[1][::_STEP].tolist(), strict=True):
        if t_ns >= due_ns:
            taken = window.draw()
            assert taken is not None
            rows = taken.rows
            yield gate.take(
                drift_report(trained.reference, rows, rule, trained.clean, spans=taken.spans(shape)),
                due_ns, shape.span_seconds, taken.covered_seconds,
            )  # fmt: skip
            due_ns += LOOK_NS
        row_of = recorded.rows[index]
        window.take(_score(t_ns, row_of + moved if t_ns >= shift_from_ns else row_of))


def false_blocks(recorded: Recorded, trained: Trained, rng: np.random.Generator, hours: int) -> Iterator[str]:
    """Yield the features that begin to block in clean days."""
    blocking: set[str] = set()
    for view in looks(recorded, trained, drawn(recorded, rng, CLEAN_DAYS + 1, hours)):
        now = {each.name for each in view.blocking}
        yield from sorted(now - blocking)
        blocking = now


def shifted(recorded: Recorded, trained: Trained, rng: np.random.Generator, hours: int) -> tuple[int, int]:
    """Return how many armed features, over some days, blocked within a window of their shift, and of how many."""
    hits = asked = 0
    for _ in range(SHIFTED_DAYS):
        blocked: set[str] = set()
        for view in looks(recorded, trained, drawn(recorded, rng, 2, hours), shift_from_ns=DAY_NS):
            blocked |= {each.name for each in view.blocking}
        armed = {each.name for each in view.features if each.armed}
        hits, asked = hits + len(armed & blocked), asked + len(armed)
    return hits, asked


def _real_days(recorded: Recorded) -> Iterator[dict[str, Any]]:
    """The recorded days themselves: the second against the first, unarmed for want of days, and what would cry."""
    first, second = (np.flatnonzero(recorded.t_ns // DAY_NS == day) for day in range(DAYS))
    trained = train(recorded, first, recorded.t_ns[first])
    report = drift_report(trained.reference, recorded.rows[second], Evaluation().drift_rule(), trained.clean)
    over = sum(each.state == "block" for each in report.features)
    yield fact(
        "drift gates: one recorded day against the other, features over a line", over, f"of {len(FEATURE_NAMES)}"
    )
    yield fact("drift gates: of these blocking, one day being no history", len(report.blocking), "features", wanted=0)


def _two_days_arm_nothing(recorded: Recorded) -> dict[str, Any]:
    trained = train(recorded, np.arange(len(recorded.t_ns)), recorded.t_ns)
    name = f"drift gates: armed features after {DAYS} train days, {LEAST_SPANS} being the least"
    return fact(name, trained.armed, "features", wanted=0)


def _share(name: str, value: float, least: float) -> dict[str, Any]:
    return {
        "name": name, "value": value, "unit": "share", "ratio": None, "goal": f">= {least:g}", "holds": value >= least,
    }  # fmt: skip


def _score(t_ns: int, oriented: NDArray[np.float32]) -> Score:
    """The score of an oriented row, as of a long: it is judged as it is."""
    content = oriented.astype("<f4").tobytes() + _CONTEXT
    return Score(str(t_ns), SYMBOL, t_ns, t_ns, 1, "paper", 0.0, True, [], 1, 2, _SCHEMA, 0, content)


if __name__ == "__main__":
    show(run())
