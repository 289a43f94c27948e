"""Risk's gauges: rolling figures carried into the metrics. A figure of nothing is not set, so no panel shows a 0."""

from live.baseline import ActiveBaseline
from live.evidence import Folded
from live.markouts import HORIZONS_MS
from live.rolling import ROUTES, JudgedFigures, TradedFigures
from market.barriers import STOP, TARGET, TIMEOUT, UNRESOLVED
from monitoring.metrics import Metrics

OUTCOME_NAMES = {TARGET: "target", STOP: "stop", TIMEOUT: "timeout", UNRESOLVED: "unresolved"}


class Figures:
    """Carries them over."""

    def __init__(self, metrics: Metrics, least: int) -> None:
        self._metrics = metrics
        self._least = least

    def judged(self, figures: JudgedFigures, folded: Folded, open_candidates: int) -> None:
        """What outcomes say."""
        metrics = self._metrics
        metrics.outcomes_unresolved.set(open_candidates)
        metrics.sample_canary.set(folded.canary.judged)
        if folded.canary.judged:
            metrics.winrate_canary.set(folded.canary.won / folded.canary.judged)
        if (overall := figures.precision()) is not None:
            metrics.precision.set(overall)
        for route in ROUTES:
            metrics.rolling_sample.labels(route).set(figures.sample(route))
            if (share := figures.precision(route)) is not None:
                metrics.rolling_precision.labels(route).set(share)
        if (found := figures.calibration(self._least)) is not None:
            metrics.ece_online.set(found.ece)
            metrics.ece_online_raw.set(found.ece_raw)
            metrics.brier_online.set(found.brier)

    def traded(self, figures: TradedFigures, folded: Folded, entries_per_hour: int) -> None:
        """What reports say."""
        metrics = self._metrics
        metrics.trades_per_hour.set(entries_per_hour)
        for route in ROUTES:
            metrics.pnl_quote.labels(route).set(folded.pnl.by_route.get(route, 0.0))
            for gauge, value in (
                (metrics.winrate_rolling, figures.winrate(route)),
                (metrics.fill_rate_rolling, figures.fill_rate(route)),
                (metrics.cancel_to_fill_ratio, figures.cancel_to_fill(route)),
                *(
                    (getattr(metrics, f"avg_markout_{horizon}ms"), value)
                    for horizon, value in zip(HORIZONS_MS, figures.markouts(route), strict=True)
                ),
            ):
                if value is not None:
                    gauge.labels(route).set(value)

    def promised(self, baseline: ActiveBaseline) -> None:
        """What the active model's card says."""
        if baseline.promise is None:
            return
        promise = baseline.promise.card.baseline
        self._metrics.winrate_baseline_active.set(promise.winrate)
        self._metrics.brier_baseline_active.set(promise.brier)
        self._metrics.trades_per_hour_prev_release_p95.set(promise.trades_per_hour_p95)
