"""Learning itself: the split into train and test days, the fit, the threshold, the measures. Imports the trainer."""

from dataclasses import asdict

import numpy as np

from archive.errors import MissingPartition
from archive.layout import FEATURES, LABELS
from market.features import schema_hash
from pipelines.artifacts import TrainedModel, TrainingSet
from pipelines.dataset import Candidates, load
from pipelines.errors import NotEnoughData
from pipelines.estimator import TrainingRule, fit, split
from pipelines.lineage import leaf, merkle_root
from pipelines.measures import choose_threshold, measure
from pipelines.partitions import Cell
from pipelines.workspace import Workspace


def make_training_set(workspace: Workspace, sound: list[Cell]) -> TrainingSet:
    """Split the sound partitions that hold features and labels into train and test days.

    Raises:
        NotEnoughData: fewer days than one to learn from and `training.test_days` to test on.
    """
    leaves: dict[str, str] = {}
    rows: dict[Cell, int] = {}
    for each in sound:
        try:
            feature = workspace.lake.info(FEATURES, each.symbol, each.day)
            label = workspace.lake.info(LABELS, each.symbol, each.day)
        except MissingPartition:
            continue
        if feature.rows:
            rows[each] = feature.rows
            leaves[each.key] = leaf(feature, label)
    days = sorted({each.day for each in rows})
    test_days = workspace.settings.training.test_days
    if len(days) <= test_days:
        raise NotEnoughData(
            f"training set: {len(days)} days with features and labels from {workspace.settings.market.first_day} to "
            f"{workspace.last_day}, more than training.test_days = {test_days} wanted; run ingest_job for them first"
        )
    first_test = days[-test_days]
    return TrainingSet(
        train=[str(each.key) for each in sorted(rows) if each.day < first_test],
        test=[str(each.key) for each in sorted(rows) if each.day >= first_test],
        leaves=leaves,
        data_hash=merkle_root(leaves),
        schema_hash=schema_hash(),
        candidate_rule=workspace.candidate_rule.id,
        barrier_rule=workspace.barrier_rule.id,
        rows=sum(rows.values()),
    )


def train(workspace: Workspace, training_set: TrainingSet) -> TrainedModel:
    """Fit on the train days, choose the threshold on their last part, measure on the test days."""
    settings = workspace.settings.training
    rule = TrainingRule(**settings.model_dump(include=set(TrainingRule.__dataclass_fields__)))
    horizon_ns = round(workspace.settings.label.horizon_seconds * 1e9)
    test = load(workspace.lake, training_set.test_cells)
    if settings.engine == "dask":
        from pipelines.distributed import fit_on_cluster

        fitted, held_out, rate = fit_on_cluster(workspace, training_set, test, horizon_ns, rule)
    else:
        known = purged(load(workspace.lake, training_set.train_cells), test, horizon_ns)
        rows, won, t_ns = known.both_sides()
        fitted = fit(rows, won, t_ns, horizon_ns=horizon_ns, rule=rule, seed=settings.seed)
        held_out, rate = _held_out(known, horizon_ns, rule), float(won.mean())
    gates = workspace.settings.evaluation
    tau = choose_threshold(fitted, held_out, gates.precision_target, gates.min_samples)
    return TrainedModel.of(
        fitted,
        training_set=training_set,
        train_base_rate=rate,
        parameters=asdict(rule),
        measured=measure(fitted, test, tau, rate),
        seed=settings.seed,
    )


def purged(known: Candidates, test: Candidates, horizon_ns: int) -> Candidates:
    """The candidates whose label is decided before the test days: a later one would tell the trees about them."""
    return known.where(known.t_ns < test.t_ns[0] - horizon_ns)


def _held_out(known: Candidates, horizon_ns: int, rule: TrainingRule) -> Candidates:
    """The train days' candidates that grew no tree: those of the validation and the calibration piece."""
    both = np.repeat(known.t_ns, 2)
    start_ns = both[split(both, horizon_ns, rule).validation.start]
    return known.where(known.t_ns >= start_ns)
