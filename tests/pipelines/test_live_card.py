import math

from evaluation.clustered import Estimate
from pipelines.live_card import artifacts_of, card_text, metrics_of
from pipelines.live_drift import LiveDrift
from pipelines.live_measures import Evaluation, TradedFigures, VersionFigures
from pipelines.live_proof import Rescored

NONE = Estimate(0.0, 0.0, 1.0, 0, 0.0)
UNBOUNDED = Estimate(0.0, -math.inf, math.inf, 0, 0.0)
IDLE = TradedFigures(NONE, NONE, NONE, UNBOUNDED, {100: UNBOUNDED, 500: UNBOUNDED, 1_000: UNBOUNDED}, 0.0)
BUSY = TradedFigures(
    Estimate(0.5, 0.4, 0.6, 90, 40.0), Estimate(0.3, 0.2, 0.4, 50, 30.0), NONE,
    Estimate(-2.0, -math.inf, math.inf, 9, 1.0),
    {100: UNBOUNDED, 500: UNBOUNDED, 1_000: Estimate(0.1, -0.1, 0.3, 20, 10.0)}, -1.5,
)  # fmt: skip
PROOF, DRIFT = Rescored(1, 100, 0, ""), LiveDrift(1, 2_000, "spread_bps", 0.12, 0.05)


def version(number: int, traded: TradedFigures) -> VersionFigures:
    """A version's figures."""
    return VersionFigures(number, ("active",), 100, 0.2, 0.01, 0.6, NONE, traded)


def test_a_version_that_traded_nothing_has_every_metric_of_one_that_did() -> None:
    """A figure of nothing is 0 with 0 rows, and none is infinite: MLflow would refuse it."""
    idle, busy = (metrics_of(version(1, traded), PROOF, DRIFT) for traded in (IDLE, BUSY))
    assert set(idle) == set(busy)
    assert all(math.isfinite(value) for value in (*idle.values(), *busy.values()))
    assert (idle["live_net_bps"], idle["live_net_bps_rows"]) == (0.0, 0.0)
    assert (busy["live_net_bps"], busy["live_net_bps_low"], busy["live_net_bps_rows"]) == (-2.0, 0.0, 9.0)


def test_the_card_says_none_for_nothing_and_one_stretch_for_one() -> None:
    """Rather than an interval that is none."""
    found = Evaluation(0, 1, ("BTCUSDT",), 100, 0, (version(1, BUSY),), {"paper": BUSY, "canary": IDLE}, None)
    text = card_text(found, [PROOF], [DRIFT], ["live_routes"])
    assert "| canary | none | none | none | none | +0.00 |" in text
    assert "-2.00 (one stretch of market, n=9)" in text
    assert "0.500 (0.400 to 0.600, n=90)" in text
    assert "![live_routes](live_routes.png)" in text
    assert "against version" not in text


def test_an_endless_interval_is_null_in_the_json() -> None:
    """JSON knows no infinity."""
    found = Evaluation(0, 1, ("BTCUSDT",), 100, 0, (version(1, IDLE),), {}, None)
    kept = artifacts_of(found, "text", {"live_routes": b"png"}, __file__)  # type: ignore[arg-type]
    assert set(kept) == {"live/live_routes.png", "live/card.md", "live/evaluation.json", "live/drift.html"}
    told = kept["live/evaluation.json"]
    assert isinstance(told, str)
    assert '"low": null' in told
    assert "Infinity" not in told
