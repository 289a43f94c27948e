"""A figure of nothing is not shown; what is counted is."""

from prometheus_client import CollectorRegistry

from live.baseline import ActiveBaseline
from live.evidence import Folded
from live.figures import OUTCOME_NAMES, Figures
from live.rolling import ROUTES, JudgedFigures, TradedFigures
from market.barriers import TARGET
from monitoring.metrics import OUTCOMES, Metrics
from monitoring.metrics import ROUTES as METRIC_ROUTES
from tests.live.parts import ROOT
from tests.live.test_rolling import outcome


def test_a_figure_of_nothing_is_not_shown() -> None:
    """A precision of 0 would be an alarm; no series is none."""
    metrics = Metrics(CollectorRegistry())
    figures = Figures(metrics, 1)
    figures.judged(JudgedFigures(10), Folded(), 3)
    figures.traded(TradedFigures(10), Folded(), 0)
    figures.promised(ActiveBaseline(ROOT / "nowhere"))
    value = metrics.registry.get_sample_value
    assert value("outcomes_unresolved") == 3
    assert value("sample_canary") == 0
    for route in ROUTES:
        assert value("pnl_quote", {"route": route}) == 0.0
        for name in ("rolling_precision", "winrate_rolling", "fill_rate_rolling", "avg_markout_100ms"):
            assert value(name, {"route": route}) is None


def test_figures_are_shown_under_the_runbooks_labels() -> None:
    """Three routes, four outcomes."""
    metrics = Metrics(CollectorRegistry())
    judged, traded, folded = JudgedFigures(10), TradedFigures(10), Folded()
    won = outcome(TARGET, route="canary", canary="m2")
    judged.take(won)
    folded.canary.take(won)
    traded.take_closed("full", 1.0)
    traded.take_markouts("paper", [1.0, 2.0, 3.0])
    figures = Figures(metrics, 1)
    figures.judged(judged, folded, 0)
    figures.traded(traded, folded, 7)
    value = metrics.registry.get_sample_value
    assert value("rolling_precision", {"route": "canary"}) == value("precision") == value("winrate_canary") == 1.0
    assert value("winrate_rolling", {"route": "full"}) == 1.0
    assert value("avg_markout_1000ms", {"route": "paper"}) == 3.0
    assert value("trades_per_hour") == 7
    assert ROUTES == METRIC_ROUTES
    assert tuple(OUTCOME_NAMES.values()) == OUTCOMES
