"""How the drills' own stack is configured, as environment overrides: a small quick market, a small model, short waits.

What a drill shortens further it says itself. Nothing here is read by the operator's own services.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

SYMBOL: Final = "BTCUSDT"
TRAIN_DAYS: Final = ("2026-01-05", "2026-01-06")
MARKET_DAY: Final = "2099-01-09"
"""The day of the live market: ahead of every clock, as a market replayed at full speed soon is, and always the same."""

MARKET: Final[Mapping[str, str]] = {
    "MARKET_SYMBOLS": SYMBOL,
    "MARKET_FIRST_DAY": TRAIN_DAYS[0],
    "MARKET_LAST_DAY": TRAIN_DAYS[1],
    "SIMULATOR_DEPTH_INTERVAL_MS": "1000",
    "SIMULATOR_ORDER_FLOW_EFFECT": "0.8",
    "SIMULATOR_GAP_MINUTES": "0",
    "LABEL_HORIZON_SECONDS": "20",
    "LABEL_TP_PCT": "0.00008",
    "LABEL_SL_PCT": "0.00008",
    "RISK_DRIFT_ROWS": "600",
    "RISK_DRIFT_HOURS": "0.2",
}
"""One symbol, one book a second, outcomes within twenty seconds, drift by windows of twelve minutes."""

TRAINING: Final[Mapping[str, str]] = {
    "TRAINING_MAX_ROUNDS": "40",
    "TRAINING_LEARNING_RATE": "0.15",
    "TRAINING_EARLY_STOPPING_ROUNDS": "10",
    "PARITY_RANDOM_ROWS": "2000",
    "EVALUATION_PRECISION_TARGET": "0.6",
    "EVALUATION_ECE_MAX": "0.1",
}
"""A model that is learned in seconds. It knows the market well enough to be told from one that does not."""

GATES: Final = (
    "winrate_delta", "winrate_seq", "psi_feature", "ks_feature", "calibration", "throughput", "markout", "fill_rate",
    "post_promotion", "precision_halt", "shadow_quality", "shadow_money",
)  # fmt: skip
"""The gates of a release, parity apart, which no drill touches by accident."""


def observed_but(*acting: str) -> dict[str, str]:
    """The override that lets these gates act, and all others only watch."""
    return {"RELEASE_OBSERVE": ",".join(gate for gate in GATES if gate not in acting)}


LIVE: Final[Mapping[str, str]] = {
    "EXCHANGE_MODE": "paper",
    "EVALUATION_DRIFT_MIN_EFFECTIVE_ROWS": "5",
    "SERVING_METRICS_PORT": "0",
    "SERVING_LOG_FORMAT": "json",
    "FEED_KIND": "capture",
    "FEED_SPEED": "1",
    "SIGNALS_TTL_MS": "60000",
    "WARMUP_SECONDS": "2",
    "WARMUP_RECOVER_SECONDS": "3",
    "GATES_STALE_BOOK_MS": "2500",
    "GATES_FLIP_COOLDOWN_SECONDS": "0",
    "GATES_LOSS_STREAK": "10000",
    "GATES_DAILY_LOSS_CAP": "1000000",
    "GATES_MAX_OPEN_ORDERS": "1000",
    "GATES_MAX_SYMBOL_NOTIONAL": "1000000",
    "GATES_MAX_TOTAL_NOTIONAL": "1000000",
    "PAPER_BALANCE": "1000000",
    "LADDER_LIFE_MS": "2000",
    "RISK_MAX_LOSS": "1000000",
    "RISK_MAX_DRAWDOWN": "1000000",
    "RISK_PRECISION_FLOOR": "0",
    "RISK_MAX_TRADES_PER_HOUR": "1000000",
    "FAIL_SAFE_COOLDOWN_SECONDS": "4",
    "RELEASE_COOLDOWN_MINUTES": "0.05",
    **observed_but(),
    "SCHEDULE_AUTOMATIC": "false",
}
"""Guards that no drill is about are out of the way: each drill puts its own back."""


def paths(folder: Path, lake: Path) -> dict[str, str]:
    """Where everything of a stack below one folder lies."""
    return {
        "PATHS_VAR": str(folder / "var"),
        "PATHS_LAKE": str(lake),
        "REGISTRY_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "REGISTRY_ARTIFACTS": str(folder / "artifacts"),
        "REGISTRY_MIRROR": str(folder / "mirror"),
        "REDIS_URL": "",
    }
