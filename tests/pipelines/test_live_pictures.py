from pathlib import Path

import numpy as np
import pytest

from archive.live_tables import ROUTE_CODES
from pipelines import live_pictures
from pipelines.live_measures import Evaluation, brier_path, matched, on_common
from pipelines.live_rows import Rows
from tests.pipelines.live_tables import a_trade, at, judged
from tests.pipelines.test_live_measures import measured, rows_of

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """An hour with a canary."""
    canary = {"route": ROUTE_CODES.index("canary")}
    trades = [report for n in range(40) for report in a_trade(10 * n, order=n, **(canary if n % 4 == 0 else {}))]
    return measured(tmp_path_factory.mktemp("pictures"), judged(600, canary_share=0.3), *trades)


def trips(rows: int) -> Rows:
    """Closed round trips on two routes."""
    columns = {
        "at_ns": np.array([at(n) for n in range(rows)], np.int64), "route": np.arange(rows, dtype=np.int8) % 2,
        "net_quote": np.linspace(-1, 2, rows),
    }  # fmt: skip
    return Rows(("BTCUSDT",), columns)


def test_every_picture_is_a_png_and_the_same_twice(found: Evaluation) -> None:
    """Bytes depend on nothing but what is drawn."""
    pair = rows_of(judged(600, canary_share=0.3))
    drawn = [
        (
            live_pictures.reliability_of_slots(on_common(pair)),
            live_pictures.routes_compared(found, 0.45),
            live_pictures.profit_over_time(trips(30)),
            live_pictures.paired_path(found, *brier_path(matched(pair)[0])),
        )
        for _ in range(2)
    ]
    assert all(picture.startswith(PNG) for picture in drawn[0])
    assert drawn[0] == drawn[1]


def test_routes_without_a_trade_and_trips_that_are_none_are_drawn(tmp_path: Path) -> None:
    """An empty canary is a picture too."""
    empty = measured(tmp_path, judged(80))
    assert live_pictures.routes_compared(empty, 0.45).startswith(PNG)
    assert live_pictures.profit_over_time(trips(0)).startswith(PNG)
