"""Cards of models, for what live reads of them without loading one."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from evaluation.clean_windows import WindowShape
from evaluation.drift import Reference
from evaluation.drift_lines import CleanHistory
from market.feature_spec import FEATURE_NAMES, schema_hash
from registry.card import (
    Baseline,
    Calibration,
    DriftBaseline,
    Label,
    ModelCard,
    Parity,
    ScoreBaseline,
    Thresholds,
    Training,
)
from registry.drift_baseline import clean_baseline


def card(
    *, winrate: float = 0.5, per_hour_p95: float = 120.0, brier: float = 0.2, clean: WindowShape | None = None
) -> ModelCard:
    """A card whose features were uniform on 0 to 1 in training, independently in windows of the shape `clean`."""
    rows = np.random.default_rng(3).random((400, len(FEATURE_NAMES)), np.float32)
    reference = Reference.fit(rows, FEATURE_NAMES)
    return ModelCard(
        name="signal_scorer",
        id=f"m-{winrate}",
        schema_hash=schema_hash(),
        feature_names=FEATURE_NAMES,
        candidate_rule={"interval_ms": 1_000},
        label=Label(tp_pct=0.0005, sl_pct=0.0004, horizon_s=30.0, net_of_fees=True),
        thresholds=Thresholds(tau_entry=0.5, tau_hold=0.4),
        calibration=Calibration(kind="platt", rows=10),
        metrics={},
        training=Training(
            symbols=("BTCUSDT",), first_day="2026-01-05", last_day="2026-01-06", rows=400, data_hash="d",
            code_version="c", seed=7,
        ),
        parity=Parity(rows=1, margin_mismatches=0, flips=0, max_abs_diff=0.0),
        baseline=Baseline(
            drift=msgspec.convert(reference.to_dict(), DriftBaseline),
            scores=ScoreBaseline(edges=(0.0, 1.0), shares=(1.0,)),
            brier=brier,
            winrate=winrate,
            trades_per_hour_p95=per_hour_p95,
            clean=clean_baseline(_history(clean), FEATURE_NAMES, clean) if clean else None,
        ),
        limitations=(),
        created_at="2026-01-07T00:00:00+00:00",
    )  # fmt: skip


def _history(shape: WindowShape) -> CleanHistory:
    """The laws of PSI and KS over ten bins of independent rows; the high quantiles are loose."""

    def of(value: float) -> NDArray[np.float64]:
        return np.full(len(FEATURE_NAMES), value)

    return CleanHistory(shape.rows, 25, of(9.0 / shape.rows), of(30.0 / shape.rows), of(0.05))
