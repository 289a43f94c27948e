"""The section of app.yml that decides on releases: who may move a model, on what evidence, and how fast."""

from dataclasses import fields
from typing import Literal, Self

from pydantic import field_validator, model_validator

from config.knobs import Section, knob
from evaluation.verdict import Policy
from monitoring import thresholds
from registry.freezes import freeze_of
from registry.states import ReleaseRules

GateName = Literal[
    "winrate_delta", "winrate_seq", "onnx_parity_fail", "psi_feature", "ks_feature", "calibration", "throughput",
    "markout", "fill_rate", "post_promotion", "precision_halt", "shadow_quality", "shadow_money",
]  # fmt: skip


class Release(Section):
    """From candidate to active, and back."""

    auto_shadow: bool = knob(True, "Whether a candidate whose gates are green becomes the shadow by itself.")
    auto_canary: bool = knob(False, "Whether a shadow with enough evidence becomes the canary by itself.")
    auto_promote: bool = knob(False, "Whether a canary that passed becomes active by itself.")
    auto_rollback: bool = knob(True, "Whether a version that is found bad is withdrawn by itself.")
    observe: tuple[GateName, ...] = knob(
        ("shadow_money",), "Gates that only say what they would do: they are counted and shown, and decide nothing."
    )
    external_moves: Literal["revert", "adopt"] = knob(
        "revert", "An alias moved past tidegate (by hand in MLflow): put back, or taken over with a record."
    )
    ramp: tuple[float, ...] = knob(
        (0.1, 0.25, 0.5), "Shares that the canary gets one after another; behind the last it becomes active.", "share"
    )
    step_hours: float = knob(6.0, "Shortest stay on each share of the ramp.", "hours", ge=0, le=1_000)
    min_hours: float = knob(24.0, "Shortest canary: a daily cycle.", "hours", ge=0, le=1_000)
    freeze: tuple[str, ...] = knob(
        (), "Times without promotions, UTC: `Fri 20:00-Mon 06:00`, or `Tue 13:00-Tue 15:30`. Rollbacks go on."
    )
    cooldown_minutes: float = knob(
        thresholds.COOLDOWN_MINUTES, "After a rollback nothing is promoted for so long.", "minutes", ge=0, le=10_080
    )
    max_rollbacks_per_hour: int = knob(
        2, "The rollback that makes so many in an hour also disables the rollout and calls CRIT.", ge=1, le=100
    )
    rollback_window: int = knob(
        3, "An operator may go straight back to one of so many last active versions.", ge=1, le=50
    )
    shadow_min_candidates: int = knob(
        2_000, "Matured candidates that a shadow needs.", "candidates", ge=1, le=10_000_000
    )
    # A shadow that wins 2.5 points less is worse by 0.0037 (benchmarks.verdict_errors), so the margin lies below that;
    # at 0.003 an equal one passes in 1,100 candidates by the median, 3,500 in 19 of 20; at 0.002 it takes twice that.
    shadow_margin: float = knob(
        0.003, "A shadow may be worse than the active version by less than so much Brier score.", "Brier", gt=0, le=0.5
    )
    shadow_evidence: float = knob(20.0, "Evidence at which a shadow is taken as good, or as worse.", gt=1, le=1e12)
    min_sample: int = knob(
        500, "Canary trades from which on the win rate itself decides.", "trades", ge=1, le=1_000_000
    )
    winrate_delta_pp: float = knob(
        thresholds.CANARY_DELTA_PP,
        "A canary whose win rate is lower by more than so much is withdrawn.",
        "percentage points",
        gt=0,
        le=100,
    )
    alpha: float = knob(0.02, "False-rollback budget of the label bet.", "probability", gt=0, lt=1)
    alpha_promote: float = knob(
        0.05, "Chance that a canary worse by winrate_delta_pp is promoted.", "probability", gt=0, lt=1
    )
    false_rollback_budget: float = knob(
        0.05,
        "At the start a WARN says when min_sample and winrate_delta_pp together cost more.",
        "probability",
        gt=0,
        lt=1,
    )
    seq_min_sample: int = knob(50, "Canary trades before the label bet may decide.", "trades", ge=1, le=1_000_000)
    cap_trades: int = knob(
        2_000, "A canary undecided after so many trades goes back to shadow.", "trades", ge=1, le=10_000_000
    )
    cap_days: float = knob(7.0, "A canary undecided after so long goes back to shadow.", "days", gt=0, le=365)
    parity_minutes: float = knob(
        thresholds.PARITY_MINUTES, "A parity failure within so long rolls back.", "minutes", gt=0, le=1_440
    )
    drift_minutes: float = knob(
        thresholds.DRIFT_MINUTES, "Drift over a line for so long rolls back.", "minutes", ge=0, le=1_440
    )
    ece_block: float = knob(thresholds.ECE_BLOCK, "Debiased calibration error over it rolls back.", "share", gt=0, le=1)
    ece_min_rows: int = knob(1_000, "Fewest judged candidates for calibration to count.", "rows", ge=100, le=1_000_000)
    throughput_ratio: float = knob(
        thresholds.THROUGHPUT_RATIO,
        "Entries in an hour over so many times the previous release's p95 roll back.",
        "times",
        gt=1,
        le=100,
    )
    markout_floor_bps: float = knob(
        thresholds.MARKOUT_FLOOR_BPS,
        "Mean 1 s markout of the version's fills under it rolls back.",
        "bps",
        ge=-1_000,
        le=0,
    )
    fill_rate_floor: float = knob(
        thresholds.FILL_RATE_FLOOR, "Fill rate of the version's entries under it rolls back.", "share", ge=0, le=1
    )
    execution_min_sample: int = knob(100, "Fewest orders, or fills, for the two above.", "orders", ge=1, le=1_000_000)
    rehearsal_minutes: float = knob(
        30.0, "Length of each stretch of the lake that canary_pipeline.py replays.", "minutes", ge=5, le=1_440
    )
    rehearsal_min_trades: int = knob(
        30, "Fewest judged approvals, and ended entries, of a whole rehearsal.", "trades", ge=1, le=1_000_000
    )
    detector_threshold: float = knob(
        100_000.0, "Candidates between false alarms of the detector that watches a promoted version.", ge=1, le=1e12
    )
    watch_days: float = knob(
        7.0, "For how long the version before is scored beside a promoted one.", "days", gt=0, le=365
    )
    clean_evaluations: int = knob(
        3, "Clean verdicts in a row before a disabled rollout may be enabled.", ge=1, le=1_000
    )
    evidence_seconds: float = knob(
        15.0,
        "Evidence from live older than this is none: nothing is promoted, and an alert says so.",
        "seconds",
        gt=0,
        le=3_600,
    )
    sensor_seconds: int = knob(
        5, "Between two looks of the release sensors; Dagster's own floor is 5.", "seconds", ge=5, le=3_600
    )
    notify: tuple[str, ...] = knob(
        ("log",), "Where promotions, rollbacks and failed runs are told: log, or apprise URLs (json://, mailto://)."
    )  # fmt: skip

    @model_validator(mode="after")
    def _ramp_rises(self) -> Self:
        if not self.ramp or list(self.ramp) != sorted(set(self.ramp)) or not all(0 < each <= 1 for each in self.ramp):
            raise ValueError(f"release.ramp must be shares that rise, each over 0 and at most 1, was {list(self.ramp)}")
        return self

    @field_validator("freeze")
    @classmethod
    def _freezes_are_understood(cls, freeze: tuple[str, ...]) -> tuple[str, ...]:
        for text in freeze:
            freeze_of(text)
        return freeze

    def policy(self) -> Policy:
        """Return the limits by which verdicts are made."""
        return Policy(
            observe=frozenset(self.observe),
            shadow_min_candidates=self.shadow_min_candidates,
            shadow_margin=self.shadow_margin,
            shadow_evidence=self.shadow_evidence,
            min_sample=self.min_sample,
            winrate_delta=self.winrate_delta_pp / 100.0,
            alpha=self.alpha,
            alpha_promote=self.alpha_promote,
            seq_min_sample=self.seq_min_sample,
            cap_trades=self.cap_trades,
            cap_seconds=self.cap_days * 86_400.0,
            drift_seconds=self.drift_minutes * 60.0,
            ece_block=self.ece_block,
            ece_min_rows=self.ece_min_rows,
            throughput_ratio=self.throughput_ratio,
            markout_floor_bps=self.markout_floor_bps,
            fill_rate_floor=self.fill_rate_floor,
            execution_min_sample=self.execution_min_sample,
            detector_threshold=self.detector_threshold,
        )

    def rules(self) -> ReleaseRules:
        """Return the limits by which versions are moved."""
        return ReleaseRules(**{each.name: getattr(self, each.name) for each in fields(ReleaseRules)})
