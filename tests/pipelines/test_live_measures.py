from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archive.live_tables import OUTCOMES, REPORTS, ROUTE_CODES
from archive.store import Lake
from evaluation.calibration import brier
from market.barriers import TARGET, UNRESOLVED
from pipelines.fill_markouts import HORIZONS_MS
from pipelines.live_measures import Evaluation, brier_path, evaluate, matched, of_everything, on_common
from pipelines.live_rows import Rows, outcomes, survey, traded
from tests.pipelines.live_tables import SECOND_NS, Columns, a_trade, judged, put, put_reports

CLUSTER_NS = 20 * SECOND_NS


def rows_of(columns: Columns) -> Rows:
    """Outcomes of one symbol."""
    return Rows(("BTCUSDT",), {**columns, "symbol": np.zeros(len(columns["t_ns"]), np.int16)})


def measured(folder: Path, columns: Columns, *reports: Any) -> Evaluation:
    """What is said of these outcomes and reports, each fill with markouts of 1, 2 and 3 basis points."""
    lake = Lake.create(folder / "lake")
    put(lake, columns)
    if reports:
        put_reports(lake, *reports)
    trades = traded(lake, survey(lake, REPORTS, 7))
    markouts = {horizon: np.full(len(trades.fills), 1.0 + place) for place, horizon in enumerate(HORIZONS_MS)}
    return evaluate(outcomes(lake, survey(lake, OUTCOMES, 7)), trades, markouts, CLUSTER_NS)


def test_both_versions_are_measured_on_the_same_candidates(tmp_path: Path) -> None:
    """Brier and precision of each are those of its own scores; unresolved candidates count nowhere but as such."""
    columns = judged(2_000, skill=0.9)
    columns["outcome"][:100] = UNRESOLVED
    found = measured(tmp_path, columns)
    assert (found.candidates, found.unresolved) == (2_000, 100)
    assert [(each.version, each.slots, each.candidates) for each in found.versions] == [
        (1, ("active",), 1_900), (2, ("shadow",), 1_900)
    ]  # fmt: skip
    won = columns["outcome"][100:] == TARGET
    for each, slot in zip(found.versions, ("active", "shadow"), strict=True):
        scores = columns[f"{slot}_probability"][100:]
        assert each.brier == pytest.approx(brier(scores, won))
        assert each.precision.rows == np.count_nonzero(scores >= 0.5)
        assert each.precision.value == pytest.approx(won[scores >= 0.5].mean())


def test_a_better_challenger_shows_below_zero_and_wins_where_it_alone_approves(tmp_path: Path) -> None:
    """The paired difference is the difference of the Brier scores, with an interval around it."""
    found = measured(tmp_path, judged(4_000, skill=0.95))
    assert found.paired is not None
    active, challenger = found.versions
    gap = found.paired.brier_difference
    assert gap.value == pytest.approx(challenger.brier - active.brier)
    assert gap.low < gap.value < gap.high < 0
    assert found.paired.only_challenger.value > found.paired.only_active.value
    assert (found.paired.active, found.paired.challenger, found.paired.candidates) == (1, 2, 4_000)


def test_without_a_challenger_there_is_one_version_and_no_pair(tmp_path: Path) -> None:
    """As on a first release."""
    found = measured(tmp_path, judged(300, shadow=0))
    assert [each.version for each in found.versions] == [1]
    assert found.paired is None
    assert list(found.routes) == ["paper"]


def test_the_newest_pair_is_the_one_that_is_compared() -> None:
    """Candidates of an earlier active version, or of an earlier challenger, are not mixed in."""
    columns = judged(300)
    columns["shadow_version"][:100] = 7
    columns["active_version"][100:200] = 9
    pair, active, other = matched(rows_of(columns))
    assert (active, other, len(pair)) == (1, 2, 100)
    assert matched(rows_of({name: column[:0] for name, column in columns.items()}))[1:] == (0, 0)


def test_slots_are_drawn_on_the_candidates_that_all_of_them_judged() -> None:
    """A shadow that raised on some takes those from the others, too."""
    columns = judged(200, canary_share=0.5)
    columns["shadow_probability"][:30] = np.nan
    said = on_common(rows_of(columns))
    assert list(said) == ["active", "shadow", "canary"]
    assert {len(each.won) for each in said.values()} == {170}
    t_ns, difference = brier_path(rows_of(columns))
    assert len(t_ns) == len(difference) == 200, "the canary's score stands in for the shadow's, being the same"


def test_routes_have_their_wins_fills_markouts_and_profit(tmp_path: Path) -> None:
    """A route's win rate is over its approved candidates; money is summed after fees."""
    columns = judged(400, canary_share=0.3)
    canary = {"route": ROUTE_CODES.index("canary")}
    trades = [report for n in range(40) for report in a_trade(10 * n, order=n, **(canary if n % 4 == 0 else {}))]
    found = measured(tmp_path, columns, *trades)
    assert list(found.routes) == ["canary", "paper"]
    route = found.routes["canary"]
    mine = (columns["route"] == canary["route"]) & (columns["approved"] == 1)
    assert route.judged_winrate.rows == np.count_nonzero(mine)
    assert route.judged_winrate.value == pytest.approx((columns["outcome"][mine] == TARGET).mean())
    assert (route.fill_rate.value, route.fill_rate.rows) == (1.0, 10)
    assert route.markouts_bps[1_000].value == 3.0
    assert route.net_bps.value == pytest.approx(-2.0)
    assert route.pnl_quote == pytest.approx(-2.0)
    assert found.routes["paper"].pnl_quote == pytest.approx(-6.0)


def test_all_routes_together_are_the_sum_of_them(tmp_path: Path) -> None:
    """As a rehearsal is judged."""
    lake = Lake.create(tmp_path / "lake")
    put(lake, judged(400, canary_share=0.3))
    put_reports(lake, *(report for n in range(10) for report in a_trade(10 * n, order=n)))
    trades = traded(lake, survey(lake, REPORTS, 7))
    rows = outcomes(lake, survey(lake, OUTCOMES, 7))
    markouts = {horizon: np.full(len(trades.fills), np.nan) for horizon in HORIZONS_MS}
    whole = of_everything(rows, trades, markouts, CLUSTER_NS)
    assert whole.judged_winrate.rows == np.count_nonzero(rows["approved"])
    assert whole.markouts_bps[1_000].rows == 0, "no markout is known"
    assert whole.fill_rate.rows == 10
