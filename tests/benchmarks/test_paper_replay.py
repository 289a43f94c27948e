"""Our matching beside hftbacktest's partial fill exchange on the recorded evening, and how the comparison works."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.level_depth import LevelDepth
from benchmarks.paper_replay import Life, Run, actions, differences, fill_rate, model_of, ours
from live.exchange.paper_depth import NO_BEST
from live.exchange.queue_models import Power, RiskAverse
from tests import recorded


@pytest.mark.slow
@pytest.mark.parametrize(("model", "size"), [(("risk_averse", 0.0), 10.7), (("power", 0.5), 500.7)])
def test_every_order_ends_as_in_hftbacktest(
    model: tuple[str, float], size: float, evening: tuple[Any, Path, Any]
) -> None:
    """Status, what is left and the time of the fill of 1,346 orders; the benchmark has all eight configurations."""
    reference, folder, tape = evening
    wanted = reference.reference(folder, model, size)
    found = ours(tape, model_of(model), size, wanted.pairs)
    compared, lines = differences(wanted, found)
    assert (compared, lines) == (1346, [])
    assert 0.5 < fill_rate(found) < 0.7


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Any]:
    """hftbacktest, the folder with its events, the events."""
    capture = recorded.path("binance_ws", "usdm", "btcusdt_20240808.gz")
    reference = pytest.importorskip("benchmarks.paper_reference")
    folder = tmp_path_factory.mktemp("evening")
    return reference, folder, reference.events(capture, folder)


def test_a_difference_is_told() -> None:
    """State, leaves and time of a fill count; orders still open at the end do not."""
    pairs = [(0, 1, 2)] * 20
    wanted = Run({1: Life("filled", 0, 5), 2: Life("canceled", 3, 9), 39: Life("new", 3, 9)}, pairs, 0.0)
    same = Run({1: Life("filled", 0, 5), 2: Life("canceled", 3, 8), 39: Life("filled", 0, 9)}, pairs, 0.0)
    assert differences(wanted, same) == (2, [])
    other = Run({1: Life("filled", 0, 6), 2: Life("canceled", 2, 9)}, pairs, 0.0)
    assert len(differences(wanted, other)[1]) == 2


def test_a_pair_is_sent_every_step_and_the_one_of_eight_steps_ago_is_taken_back_first() -> None:
    """In order of arrival."""
    found = list(actions([(step * 100, 10, 11) for step in range(9)], 2.0))
    assert [(each.number, each.order is None) for each in found[-4:]] == [
        (1, True),
        (2, True),
        (17, False),
        (18, False),
    ]
    assert isinstance(model_of(("risk_averse", 0)), RiskAverse) and isinstance(model_of(("power", 3.0)), Power)


def test_a_new_best_price_pushes_the_other_side_back_and_leaves_its_levels() -> None:
    """As hftbacktest's book: a bid at 103 over asks at 102 and 104."""
    book = LevelDepth()
    for side, ticks, size in ((1, 100, 2.0), (-1, 102, 3.0), (-1, 104, 4.0)):
        assert book.set_level(side, ticks, size) == 0.0
    assert book.set_level(1, 103, 1.0) == 0.0
    assert (book.best(1), book.best(-1), book.known(-1, 102)) == (103, 104, 3.0)
    assert book.set_level(1, 103, 0.0) == 1.0 and book.best(1) == 100
    assert list(book.in_sight(1, 0)) == [(100, 2.0)]


def test_a_snapshot_clears_what_it_replaces() -> None:
    """From the best price to its last level; an empty side has no best."""
    book = LevelDepth()
    for ticks in (100, 99, 97):
        book.set_level(1, ticks, 1.0)
    book.clear_to(1, 99)
    assert book.best(1) == 97 and book.known(1, 100) == 0.0
    book.clear_to(1, 90)
    assert book.best(1) == NO_BEST[1]
