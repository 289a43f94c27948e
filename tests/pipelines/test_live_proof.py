import numpy as np
import pytest

from market.feature_spec import N_FEATURES
from pipelines.live_proof import comparable, oriented, rescore
from pipelines.live_rows import Rows
from registry.bundle import Scorer
from tests.live.mirrors import registered
from tests.pipelines.live_tables import judged, scored


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """A small real model, registered as version 1."""
    folder = tmp_path_factory.mktemp("proof") / "v1"
    return Scorer(folder, registered(folder, 1))


def live(scorer: Scorer, rows: int = 60) -> Rows:
    """Scores whose margins are what the scorer says, row by row, as live asks it."""
    columns = scored(judged(rows, shadow=0))
    columns["side"] = np.where(np.arange(rows) % 2, -1, 1).astype(np.int8)
    found = Rows(("BTCUSDT",), {**columns, "symbol": np.zeros(rows, np.int16)})
    columns["active_margin"] = np.array([scorer.answer(row)[0] for row in oriented(found)])
    return Rows(("BTCUSDT",), {**columns, "symbol": np.zeros(rows, np.int16)})


def test_what_live_scored_is_what_the_bundle_says(scorer: Scorer) -> None:
    """One row at a time or all at once, from either side."""
    found = rescore(live(scorer), 1, scorer)
    assert (found.rows, found.mismatches, found.first) == (60, 0, "")
    assert oriented(live(scorer)).shape == (60, N_FEATURES)


def test_one_bit_of_one_margin_is_found_and_named(scorer: Scorer) -> None:
    """The least that a float64 can differ by."""
    scores = live(scorer)
    scores["active_margin"][17] = np.nextafter(scores["active_margin"][17], np.inf)
    found = rescore(scores, 1, scorer)
    assert (found.rows, found.mismatches) == (60, 1)
    assert found.first.startswith(f"BTCUSDT-{scores['t_ns'][17]}: active said ")


def test_rows_of_other_versions_and_other_kernels_are_not_compared(scorer: Scorer) -> None:
    """They say nothing of this one."""
    scores = live(scorer)
    scores["schema_key"][:20] = 5
    assert len(comparable(scores)) == 40
    assert rescore(scores, 1, scorer).rows == 40
    assert rescore(scores, 9, scorer).rows == 0
