"""Training above one machine's memory: the same fit, its rows loaded and its trees grown by the workers of Dask.

Every worker reads its cells from the lake and keeps their rows; LightGBM's data-parallel learner exchanges histograms
between them. Here only times, losses and the held-out rows arrive. That learner knows no early stopping, so all rounds
are grown, and the round at which a fit in one process would have stopped is found afterwards from the validation piece.

It is what `lightgbm.dask` does, but for the order: that one numbers its machines, and joins its parts, in the order of
a set, so that the same data give other trees in the next run. Here a cell goes to the same worker of as many, and the
same data, seed and number of workers give the same model. With one worker and one symbol it is that of a local fit.
With more it differs: each worker draws its own bag, and rows of several symbols come by cell instead of by time.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from socket import socket
from typing import Any
from urllib.parse import urlparse

import lightgbm as lgb
import numpy as np
from distributed import Client, LocalCluster
from numpy.typing import NDArray

from archive.layout import LABELS
from archive.store import Lake
from config.scale_sections import Scale
from market.barriers import UNRESOLVED
from pipelines.artifacts import TrainingSet
from pipelines.dataset import TP, Candidates, load, load_cell
from pipelines.errors import ClusterUnavailable, PipelineError
from pipelines.estimator import Fitted, Pieces, TrainingRule, check_piece, finished, parameters, split, time_order
from pipelines.partitions import Cell
from pipelines.workspace import Workspace

_ADDRESSES = re.compile(r"\[(machines|local_listen_port): .*\]")
"""Lines of a model text that name machines: they would make equal models unequal."""

Rows = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Spans:
    """Where time was cut: [start, end) in nanoseconds of each piece, end of the last one left open."""

    train: tuple[int, int]
    validation: tuple[int, int]
    calibration: tuple[int, int]

    @classmethod
    def of(cls, pieces: Pieces, t_ns: NDArray[np.int64], until_ns: int) -> "Spans":
        """The pieces of sorted times int64[n] as spans: rows of one moment are never parted, so none is lost."""
        train, validation, calibration = pieces.train, pieces.validation, pieces.calibration
        return cls(
            (int(t_ns[0]), int(t_ns[train.stop])),
            (int(t_ns[validation.start]), int(t_ns[validation.stop])),
            (int(t_ns[calibration.start]), until_ns),
        )


@contextmanager
def cluster(scale: Scale) -> Iterator[Client]:
    """A client of the configured cluster, or of workers started on this machine that end with the block.

    Raises ClusterUnavailable when nobody answers within `scale.dask_timeout_seconds`.
    """
    seconds = scale.dask_timeout_seconds
    try:
        if scale.dask_address:
            with Client(scale.dask_address, timeout=seconds) as client:
                client.wait_for_workers(1, timeout=seconds)
                yield client
        else:
            with (
                LocalCluster(
                    n_workers=scale.dask_workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
                ) as local,
                Client(local, timeout=seconds) as client,
            ):
                client.wait_for_workers(scale.dask_workers, timeout=seconds)
                yield client
    except (TimeoutError, OSError) as error:
        where = scale.dask_address or f"{scale.dask_workers} workers on this machine"
        raise ClusterUnavailable(
            f"training.engine is dask, but {where} did not answer within {seconds:g} s ({error}); start the cluster, "
            "correct scale.dask_address, or set training.engine to local"
        ) from error


def fit_on_cluster(
    workspace: Workspace, training_set: TrainingSet, test: Candidates, horizon_ns: int, rule: TrainingRule
) -> tuple[Fitted, Candidates, float]:
    """Fit as `pipelines.estimator.fit` does; return the model, the held-out candidates, and the share of wins.

    Raises ClusterUnavailable, NotEnoughData, and what reading the lake raises.
    """
    settings = workspace.settings
    with cluster(settings.scale) as client:
        return _Fit(client, settings.paths.lake, training_set.train_cells, rule).run(
            int(test.t_ns[0]) - horizon_ns, horizon_ns, settings.training.seed
        )


def workers_of(client: Client) -> list[str]:
    """The addresses of a cluster's workers, in an order that does not change."""
    return sorted(client.scheduler_info(n_workers=-1)["workers"])


class _Fit:
    """One fit on one cluster."""

    def __init__(self, client: Client, lake: str, cells: Sequence[Cell], rule: TrainingRule) -> None:
        self._client, self._lake, self._cells, self._rule = client, lake, sorted(cells), rule
        self._workers = workers_of(client)

    def run(self, until_ns: int, horizon_ns: int, seed: int) -> tuple[Fitted, Candidates, float]:
        """Cut, grow, stop, calibrate."""
        known = self._gathered(cell_times, until_ns)
        t_ns = np.sort(np.repeat(np.concatenate([times for times, _ in known]), 2))
        wins = sum(won for _, won in known)
        pieces = split(t_ns, horizon_ns, self._rule)
        spans = Spans.of(pieces, t_ns, until_ns)
        train, validation = self._kept(spans.train), self._kept(spans.validation)
        for name, kept in (("train", train), ("validation", validation)):
            held = self._client.gather([self._client.submit(size_of, each, pure=False) for _, each in kept])
            counted = (sum(rows for rows, _ in held), sum(won for _, won in held))
            check_piece(name, counted, self._rule.min_piece_rows, t_ns.size, pieces.purged)
        booster = self._grown(self._by_worker(train), seed)
        losses = self._client.gather(
            [self._client.submit(stage_losses, booster.model_to_string(), each, pure=False) for _, each in validation]
        )
        validation_rows = pieces.validation.stop - pieces.validation.start
        best, loss = stopped(sum(losses) / validation_rows, self._rule.early_stopping_rounds)
        text = booster.model_to_string(num_iteration=best)
        held_out = load(Lake(self._lake), self._cells_from(spans.validation[0]))
        held_out = held_out.where((held_out.t_ns >= spans.validation[0]) & (held_out.t_ns < until_ns))
        rows, won, times = held_out.where(held_out.t_ns >= spans.calibration[0]).both_sides()
        order = time_order(rows, won, times)
        check_piece("calibration", (won.size, int(won.sum())), self._rule.min_piece_rows, t_ns.size, pieces.purged)
        fitted = finished(
            (text, loss, best), (rows[order], won[order]), (pieces.train.stop, validation_rows, pieces.purged),
            self._rule,
        )  # fmt: skip
        return fitted, held_out, wins / t_ns.size

    def _worker_of(self, place: int) -> list[str]:
        return [self._workers[place % len(self._workers)]]

    def _gathered(self, work: Any, *more: int) -> list[Any]:
        """Do some work for every cell on its worker; return what they say, in the order of the cells."""
        submit = self._client.submit
        return list(
            self._client.gather(
                [
                    submit(work, self._lake, each, *more, workers=self._worker_of(place), pure=False)
                    for place, each in enumerate(self._cells)
                ]
            )
        )

    def _kept(self, span: tuple[int, int]) -> list[tuple[str, Any]]:
        """(worker, future) of the rows of every cell that may have some in the span; they stay where they are."""
        found = []
        for place, each in enumerate(self._cells):
            if each.start_ns - _SLACK_NS < span[1] and each.end_ns > span[0]:
                (worker,) = self._worker_of(place)
                rows = self._client.submit(cell_rows, self._lake, each, span, workers=[worker], pure=False)
                found.append((worker, rows))
        return found

    def _by_worker(self, kept: Sequence[tuple[str, Any]]) -> dict[str, list[Any]]:
        """The futures of each worker, workers in their order, those without rows left out: they cannot learn."""
        sizes = self._client.gather([self._client.submit(size_of, each, pure=False) for _, each in kept])
        return {
            worker: mine
            for worker in self._workers
            if (mine := [each for (at, each), (rows, _) in zip(kept, sizes, strict=True) if at == worker and rows])
        }

    def _grown(self, kept: Mapping[str, Sequence[Any]], seed: int) -> lgb.Booster:
        """Grow all rounds on every worker at once; every one of them ends with the same trees."""
        submit, ports = self._client.submit, {}
        for each in kept:
            ports[each] = submit(free_port, workers=[each], pure=False)
        ports = dict(zip(ports, self._client.gather(list(ports.values())), strict=True))
        knobs = parameters(self._rule, seed) | {
            "machines": ",".join(f"{urlparse(each).hostname}:{port}" for each, port in ports.items()),
            "num_machines": len(ports),
            "tree_learner": "data",
            "pre_partition": True,
            "time_out": _PATIENCE_MINUTES,
        }
        grown = [
            submit(
                grow, list(parts), knobs | {"local_listen_port": ports[each]}, self._rule.max_rounds, workers=[each],
                pure=False,
            )
            for each, parts in kept.items()
        ]  # fmt: skip
        text, *others = self._client.gather(grown)
        if any(other != text for other in others):
            raise PipelineError(f"training: {len(ports)} workers ended with different trees; are their versions equal?")
        return lgb.Booster(model_str=text)

    def _cells_from(self, start_ns: int) -> list[Cell]:
        return [each for each in self._cells if each.end_ns > start_ns]


_PATIENCE_MINUTES = 5
"""A worker that hears nothing of another for so long gives up."""
_SLACK_NS = 60_000_000_000
"""Rows of a cell may be stamped a little before its day by a late feed; a minute is far more than any of ours."""


def cell_times(lake: str, at: Cell, until_ns: int) -> tuple[NDArray[np.int64], int]:
    """The times int64[n] of a cell's resolved candidates before `until_ns`, and how many wins both sides have."""
    label = Lake(lake).read(LABELS, at.symbol, at.day, ["t_ns", "outcome_long", "outcome_short"])
    long, short = label["outcome_long"], label["outcome_short"]
    kept = (long != UNRESOLVED) & (short != UNRESOLVED) & (label["t_ns"] < until_ns)
    return label["t_ns"][kept], int((long[kept] == TP).sum() + (short[kept] == TP).sum())


def cell_rows(lake: str, at: Cell, span: tuple[int, int]) -> Rows:
    """The rows float32[m, F] and labels float32[m] (0 or 1) of a cell within [start, end), both sides, by time."""
    known = load_cell(Lake(lake), at)
    rows, won, t_ns = known.where((known.t_ns >= span[0]) & (known.t_ns < span[1])).both_sides()
    order = time_order(rows, won, t_ns)
    return rows[order], won[order].astype(np.float32)


def free_port() -> int:
    """A port that nobody listens on, for LightGBM's own connections."""
    with socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


def grow(held: Sequence[Rows], knobs: Mapping[str, Any], rounds: int) -> str:
    """One worker's part in growing trees over several, on all rows it holds; returns the model text."""
    rows, y = (np.concatenate([each[column] for each in held]) for column in (0, 1))
    booster = lgb.train(dict(knobs), lgb.Dataset(rows, y, free_raw_data=True), num_boost_round=rounds)
    text = booster.model_to_string()
    booster.free_network()
    return _ADDRESSES.sub(r"[\1: ]", text)


def size_of(held: Rows) -> tuple[int, int]:
    """How many rows there are, and how many of them are wins."""
    return held[1].size, int(held[1].sum())


def stage_losses(model_text: str, held: Rows) -> NDArray[np.float64]:
    """The summed log loss float64[rounds] of some rows after each round."""
    booster = lgb.Booster(model_str=model_text)
    rounds = booster.current_iteration()
    if not held[1].size:
        return np.zeros(rounds)
    sign, margin, losses = 2.0 * held[1] - 1.0, np.zeros(held[1].size), np.empty(rounds)
    for stage in range(rounds):
        margin += booster.predict(held[0], raw_score=True, start_iteration=stage, num_iteration=1, num_threads=1)
        losses[stage] = np.logaddexp(0.0, -sign * margin).sum()
    return losses


def stopped(losses: NDArray[np.float64], patience: int) -> tuple[int, float]:
    """The round (from 1) early stopping keeps, and its loss: the best before `patience` rounds without a better."""
    best = 0
    for stage, loss in enumerate(losses):
        if loss < losses[best]:
            best = stage
        elif stage - best >= patience:
            break
    return best + 1, float(losses[best])
