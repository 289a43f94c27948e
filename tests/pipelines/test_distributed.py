"""Training on a Dask cluster of this machine against the fit in one process."""

from collections.abc import Iterator

import numpy as np
import pytest
from distributed import LocalCluster
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.artifacts import TrainedModel, TrainingSet
from pipelines.dataset import load
from pipelines.distributed import Spans, cluster, stopped
from pipelines.errors import ClusterUnavailable
from pipelines.estimator import TrainingRule, split
from pipelines.learning import make_training_set, train
from pipelines.workspace import Workspace
from tests.pipelines.days import CELLS, Bench

pytestmark = [
    # Dask tells of what it does to its own workers, and LightGBM of parameters it sets itself.
    pytest.mark.filterwarnings("ignore::UserWarning:distributed.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightgbm.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ONE_SYMBOL = [each for each in CELLS if each.symbol == CELLS[0].symbol]


@pytest.fixture(scope="module")
def addresses() -> Iterator[str]:
    """A cluster of two workers, each a process, for all tests of this module."""
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as local:
        yield local.scheduler_address


def on(workspace: Bench, engine: str, address: str = "", **scale: object) -> Workspace:
    """The same lake, with another training engine."""
    settings = workspace.settings
    training = settings.training.model_copy(update={"engine": engine})
    scaled = settings.scale.model_copy(update={"dask_address": address, **scale})
    update = {"training": training, "scale": scaled}
    return Workspace(settings.model_copy(update=update), workspace.today)


def log_loss(workspace: Workspace, model: TrainedModel, chosen: TrainingSet) -> float:
    """Of the test days."""
    test = load(workspace.lake, chosen.test_cells)
    p = model.fitted().probabilities(test.oriented()).astype(np.float64).clip(1e-6, 1 - 1e-6)
    return float(-np.where(test.won, np.log(p), np.log1p(-p)).mean())


def test_one_worker_and_one_symbol_give_the_local_model_bit_for_bit(finished: Bench) -> None:
    """Trees, stopping round, calibrator and threshold: only who computed it differs. The worker is started for it."""
    chosen = make_training_set(finished, ONE_SYMBOL)
    local = train(on(finished, "local"), chosen)
    spread = train(on(finished, "dask", dask_workers=1), chosen)
    assert trees(spread) == trees(local)
    assert spread.calibrator == local.calibrator
    assert (spread.measured.tau_entry, spread.validation_log_loss) == pytest.approx(
        (local.measured.tau_entry, local.validation_log_loss), abs=1e-12
    )
    assert {name: spread.sizes[name] for name in local.sizes} == local.sizes


def test_two_workers_learn_as_much_and_the_same_every_time(finished: Bench, addresses: str) -> None:
    """The trees are others, since each worker draws its own bag; what they are worth is not."""
    chosen = make_training_set(finished, CELLS)
    local = train(on(finished, "local"), chosen)
    workspace = on(finished, "dask", addresses)
    spread, again = train(workspace, chosen), train(workspace, chosen)
    assert spread.fitted_sha256 == again.fitted_sha256
    assert "127.0.0.1" not in spread.model_text, "an address would make equal models unequal"
    assert trees(spread) != trees(local)
    assert spread.sizes["train_rows"] == local.sizes["train_rows"]
    assert spread.train_base_rate == pytest.approx(local.train_base_rate)
    assert abs(log_loss(workspace, spread, chosen) - log_loss(workspace, local, chosen)) < 0.02


def test_a_cluster_that_is_not_there_is_named(finished: Bench) -> None:
    """With what to do."""
    workspace = on(finished, "dask", "tcp://127.0.0.1:9", dask_timeout_seconds=0.2)
    with (
        pytest.raises(ClusterUnavailable, match=r"tcp://127\.0\.0\.1:9 did not answer within 0\.2 s"),
        cluster(workspace.settings.scale),
    ):
        pass


def trees(model: TrainedModel) -> str:
    """The model text without the parameters it was grown by."""
    return model.model_text.partition("\nparameters:")[0].partition("\ntree_sizes=")[2].partition("\n")[2]


@given(
    arrays.arrays(np.int64, st.integers(40, 300), elements=st.integers(0, 1_000)),
    st.integers(0, 50),
)
def test_cutting_by_time_cuts_where_cutting_by_row_does(t_ns: np.ndarray, horizon_ns: int) -> None:
    """Rows of one moment are never parted, so half-open spans of time hold the very rows of the pieces."""
    t_ns.sort()
    pieces, until_ns = split(t_ns, horizon_ns, TrainingRule()), int(t_ns[-1]) + 1
    spans = Spans.of(pieces, t_ns, until_ns)
    for name in ("train", "validation", "calibration"):
        start, end = getattr(spans, name)
        held = (t_ns >= start) & (t_ns < end)
        assert np.array_equal(t_ns[held], t_ns[getattr(pieces, name)])


@pytest.mark.parametrize(
    ("losses", "patience", "kept"),
    [
        ([3.0, 2.0, 1.0], 2, 3),
        ([3.0, 1.0, 2.0, 2.0, 0.5], 2, 2),
        ([3.0, 1.0, 2.0, 0.5], 2, 4),
        ([1.0, 1.0, 1.0], 5, 1),
    ],
)
def test_the_round_kept_is_the_one_early_stopping_keeps(losses: list[float], patience: int, kept: int) -> None:
    """The best before `patience` rounds in a row were no better; a better one that comes later is not seen."""
    assert stopped(np.array(losses), patience) == (kept, losses[kept - 1])
