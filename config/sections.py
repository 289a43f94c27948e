"""The sections of app.yml: every knob with its default, unit, bounds and what it does.

A section whose values become a rule of another package offers `rule()`; the rule class stays where it is used, free of
pydantic, and is imported only when asked for, so that reading the configuration does not start numba.
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from config.knobs import Anchored, AnchoredUrl, Section, knob
from monitoring import thresholds

if TYPE_CHECKING:
    from evaluation.drift_lines import DriftRule
    from market.barriers import BarrierRule
    from market.candidates import CandidateRule
    from registry.signing import Trust

Recorded = Literal[
    "standx", "binance_ws", "binance_vision", "binance_spot_diff", "hyperliquid", "bitstamp_l3", "tardis"
]
"""Formats of recordings that archive.sources reads."""


class Paths(Section):
    """Where files lie; relative ones start at the folder above the one that holds app.yml."""

    lake: AnchoredUrl = knob(
        "data/parquet", "Folder or object-store URL (s3://bucket/prefix) of the parquet lake.", min_length=1
    )
    symbols: Anchored = knob(Path("data/reference/symbols.yml"), "The symbol table: ticks, lots, fees.")
    var: Anchored = knob(Path("var"), "Folder of all run-time state: Dagster home, logs, reports.")


class Source(Section):
    """Where the days of market data come from."""

    kind: Literal["simulator", Recorded] = knob(
        "simulator", "Format of the recordings, or simulator for seeded synthetic days."
    )
    path: Anchored | None = knob(None, "Folder that holds the recordings; empty for the simulator.")

    @model_validator(mode="after")
    def _recordings_have_a_place(self) -> Self:
        if self.kind != "simulator" and self.path is None:
            raise ValueError(f"source.path must name a folder when source.kind is {self.kind}, was empty")
        return self


class Backfill(Section):
    """Where a missing or damaged day is fetched from when it is asked for again."""

    kind: Literal["same", Recorded] = knob("same", "Format of the second source; same asks source once more.")
    path: Anchored | None = knob(None, "Folder of the second source; empty when kind is same.")

    @model_validator(mode="after")
    def _recordings_have_a_place(self) -> Self:
        if self.kind != "same" and self.path is None:
            raise ValueError(f"backfill.path must name a folder when backfill.kind is {self.kind}, was empty")
        return self


class Simulator(Section):
    """The synthetic market, read when source.kind is simulator; its one planted gap is healed by a backfill."""

    seed: int = knob(7, "Seed of every random choice; the same seed makes the same days.", ge=0, le=2**31 - 1)
    depth_interval_ms: int = knob(500, "Time between two depth updates.", "milliseconds", ge=1, le=10_000)
    order_flow_effect: float = knob(
        0.4, "Share of the price's variance that order flow announces; 0 is a coin.", "share", ge=0, lt=1
    )
    gap_symbol: str = knob("BTCUSDT", "Symbol whose feed goes silent once; empty plants no gap.")
    gap_day: date = knob(date(2026, 1, 6), "Day of the planted gap, UTC.")
    gap_start_hour: float = knob(9.5, "Start of the planted gap, after midnight.", "hours", ge=0, lt=24)
    gap_minutes: float = knob(25.0, "Length of the planted gap.", "minutes", ge=0, le=1_440)


class Market(Section):
    """Which partitions exist: every symbol on every day of the range."""

    symbols: tuple[str, ...] = knob(("BTCUSDT", "ETHUSDT"), "Symbols by their names in the symbol table.", min_length=1)
    first_day: date = knob(date(2026, 1, 5), "First day, UTC.")
    last_day: date | None = knob(date(2026, 1, 7), "Last day, UTC, itself included; empty goes on up to yesterday.")

    @model_validator(mode="after")
    def _range_and_symbols_make_sense(self) -> Self:
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError(f"market.last_day must be >= market.first_day {self.first_day}, was {self.last_day}")
        if doubled := sorted({name for name in self.symbols if self.symbols.count(name) > 1}):
            raise ValueError(f"market.symbols must name each symbol once, was given {', '.join(doubled)} again")
        return self


class Ingest(Section):
    """What makes a day of data fit to be read by the assets behind it."""

    gap_threshold_seconds: float = knob(
        thresholds.GAP_SECONDS, "A silence of the book longer than this is a gap.", "seconds", ge=10, le=86_400
    )
    max_silent_seconds_per_day: float = knob(
        900.0, "A day with more silence than this in its gaps is damaged.", "seconds", ge=0, le=86_400
    )
    min_book_rows: int = knob(1_000, "Fewest book rows of a day.", "rows", ge=1, le=1_000_000_000)
    max_shrink_share: float = knob(
        0.01, "Share of its rows a partition may lose when it is ingested again.", "share", ge=0, le=1
    )


class Candidate(Section):
    """When a moment becomes a signal candidate, and for which side."""

    interval_ms: int = knob(
        1_000, "At most one candidate in each interval of the clock.", "milliseconds", ge=1, le=3_600_000
    )
    min_pressure: float = knob(0.0, "Least absolute value of the pressure feature.", ge=0, le=1)
    max_spread_ticks: int = knob(1_000, "Widest spread at which a candidate is made.", "ticks", ge=0, le=1_000_000)
    pressure_feature: str = knob(
        "queue_imbalance_5", "Feature whose sign gives the side (buy at zero and above).", min_length=1
    )

    def rule(self) -> "CandidateRule":
        """Return the rule of market.candidates with these values."""
        from market.candidates import CandidateRule

        return CandidateRule(**self.model_dump())


class Label(Section):
    """The triple barrier a candidate is judged by, on executable prices."""

    tp_pct: float = knob(0.00048, "Profit barrier as a share of the entry price.", "share", gt=0, lt=1)
    sl_pct: float = knob(0.00048, "Loss barrier as a share of the entry price.", "share", gt=0, lt=1)
    horizon_seconds: float = knob(
        60.0, "Time after which an untouched candidate is closed.", "seconds", gt=0, le=86_400
    )
    net_of_fees: bool = knob(
        False, "Whether the profit barrier is measured after both taker fees; the loss barrier is not moved."
    )

    def rule(self) -> "BarrierRule":
        """Return the rule of market.barriers with these values."""
        from market.barriers import BarrierRule

        return BarrierRule(**self.model_dump())


class Training(Section):
    """How the model is fitted, on rows in time order: trees, then stopping, then calibration, then the test days."""

    learning_rate: float = knob(0.03, "Shrinkage of each tree.", gt=0, le=1)
    num_leaves: int = knob(15, "Leaves of a tree.", "leaves", ge=2, le=1_024)
    min_data_in_leaf: int = knob(2_000, "Fewest rows a leaf may hold.", "rows", ge=1, le=1_000_000)
    feature_fraction: float = knob(0.3, "Share of the features each tree may use.", "share", gt=0, le=1)
    bagging_fraction: float = knob(0.4, "Share of the rows each tree sees.", "share", gt=0, le=1)
    bagging_freq: int = knob(1, "Trees between two draws of the rows; 0 draws never.", "trees", ge=0, le=1_000)
    lambda_l2: float = knob(50.0, "L2 penalty on leaf values.", ge=0, le=1e6)
    max_rounds: int = knob(300, "Most trees.", "trees", ge=1, le=100_000)
    early_stopping_rounds: int = knob(
        60, "Trees without a better validation loss before fitting stops.", "trees", ge=1, le=100_000
    )
    engine: Literal["local", "dask"] = knob(
        "local",
        "local fits in this process; dask on the workers of scale.dask_address, for more rows than fit in memory.",
    )
    num_threads: int = knob(
        1, "Threads of the trainer; one keeps a bundle's sha256 reproducible.", "threads", ge=1, le=256
    )
    seed: int = knob(7, "Seed of every random choice of the trainer.", ge=0, le=2**31 - 1)
    validation_share: float = knob(0.15, "Share of the time span that decides when to stop.", "share", gt=0, lt=0.4)
    calibration_share: float = knob(0.15, "Share of the time span the calibrator is fitted on.", "share", gt=0, lt=0.4)
    calibration: Literal["isotonic", "platt"] = knob("isotonic", "Shape of the calibrator behind the trees.")
    calibration_steps: int = knob(30, "Most knots of the isotonic calibrator.", "knots", ge=2, le=10_000)
    min_piece_rows: int = knob(
        200, "Fewest rows in each of the pieces for fitting, stopping and calibration.", "rows", ge=1, le=1_000_000
    )
    test_days: int = knob(1, "Last days that neither trees nor calibrator see.", "days", ge=1, le=365)


class Evaluation(Section):
    """The gates a trained model passes before it becomes a candidate version."""

    precision_target: float = knob(0.45, "Precision at which tau_entry is chosen.", "share", gt=0, lt=1)
    min_samples: int = knob(200, "Fewest rows above tau_entry for its precision to count.", "rows", ge=1, le=10_000_000)
    auc_min: float = knob(0.55, "Least area under the ROC curve on the test span.", ge=0.5, le=1)
    ece_max: float = knob(0.03, "Greatest debiased calibration error on the test span.", gt=0, le=1)
    psi_warn: float = knob(thresholds.PSI_WARN, "PSI of a feature that is worth a look.", gt=0, le=10)
    psi_block: float = knob(thresholds.PSI_BLOCK, "PSI over which an armed feature blocks.", gt=0, le=10)
    ks_block: float = knob(
        thresholds.KS_BLOCK, "Kolmogorov-Smirnov statistic D over which an armed feature blocks.", gt=0, le=1
    )
    drift_min_effective_rows: float = knob(
        200.0, "Independent rows a window must be worth for a feature's drift to be armed.", "rows", gt=0, le=1e6
    )

    min_candidates_per_day: int = knob(
        100, "Fewest candidates a day of features must hold.", "rows", ge=1, le=10_000_000
    )
    min_class_share: float = knob(
        0.02, "Least share of wins, and of losses, among a day's labels.", "share", ge=0, lt=0.5
    )

    @model_validator(mode="after")
    def _a_warning_comes_before_a_block(self) -> Self:
        if self.psi_warn > self.psi_block:
            raise ValueError(
                f"evaluation.psi_warn must be <= evaluation.psi_block {self.psi_block}, was {self.psi_warn}"
            )
        return self

    def drift_rule(self) -> "DriftRule":
        """The lines of drift; KS warns at its usual line, or where it blocks when that is lower."""
        from evaluation.drift_lines import DriftRule

        return DriftRule(
            psi_warn=self.psi_warn,
            psi_block=self.psi_block,
            ks_warn=min(DriftRule().ks_warn, self.ks_block),
            ks_block=self.ks_block,
            min_effective_rows=self.drift_min_effective_rows,
        )


class Parity(Section):
    """How hard the exported graph is compared with the trained model."""

    random_rows: int = knob(
        200_000, "Random rows beside the training rows and the threshold rows.", "rows", ge=1_000, le=10_000_000
    )


class Registry(Section):
    """Where model versions live."""

    name: str = knob("signal_scorer", "Name of the registered model.", pattern=r"^[A-Za-z0-9_-]+$")
    tracking_uri: AnchoredUrl = knob(
        "sqlite:///var/mlflow.db", "MLflow's database or server.", pattern=r"^(sqlite|postgresql|https?)[^:]*://"
    )
    artifacts: AnchoredUrl = knob(
        "var/mlartifacts",
        "Folder or object-store URL of run artifacts and bundles; mlflow-artifacts:/// leaves them to MLflow's server.",
        min_length=1,
    )
    mirror: Anchored = knob(Path("models/registry"), "Folder of the verified copies that live trades with.")
    signing: Literal["none", "required"] = knob(
        "none",
        "required: models are signed with REGISTRY_SIGNING_KEY, and live loads those alone that a known key signed.",
    )
    trusted_keys: Anchored | None = knob(
        None, "File of the public keys, a line each, as scripts/signing_key.py prints."
    )

    @model_validator(mode="after")
    def _signatures_need_keys(self) -> Self:
        if self.signing == "required" and self.trusted_keys is None:
            raise ValueError("registry.trusted_keys must name a file of public keys when registry.signing is required")
        return self

    def trust(self) -> "Trust | None":
        """Whose bundles are loaded; None is anybody's. Raises FileError."""
        from registry.signing import trust_of

        return trust_of(self.signing, self.trusted_keys)


class Schedule(Section):
    """When Dagster works by itself."""

    automatic: bool = knob(True, "Whether the daily schedule and the backfill sensor start switched on.")
    daily_hour: int = knob(1, "Hour at which the day before is ingested, UTC.", "hour", ge=0, le=23)
    backfill_seconds: int = knob(
        300, "Time between two looks for missing or gapped partitions.", "seconds", ge=30, le=86_400
    )
    backfill_max_partitions: int = knob(50, "Most partitions asked for in one look.", "partitions", ge=1, le=1_000)
