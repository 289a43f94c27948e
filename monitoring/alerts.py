"""Every alert: what is watched, against the numbers of `monitoring.thresholds`.

Conditions hold over the processes of a stack, each of which shows all metrics: a gauge that is nobody's business there
stays at 0 or NaN, and no condition holds for such a value. Counters are born at 0, so the first event is seen.
"""

from collections.abc import Iterator
from typing import Final

from monitoring.alert import Alert, Recording, Watch, duration, number
from monitoring.processes import RELEASE_SENSORS, SERVICES
from monitoring.thresholds import Spans, Thresholds

_SHARE: Final = "(:[0-9]+)?"
"""Behind the name of a service that runs once for each share of the symbols: collector:1 is the second."""
LADDER: Final = "tidegate:ladder_high:rate"
"""Orders of the high bucket in a second, over all executors."""


def watch(limits: Thresholds | None = None, spans: Spans | None = None) -> Watch:
    """What is watched under these thresholds and times, by default those of `monitoring.thresholds`."""
    limits, spans = limits or Thresholds(), spans or Spans()
    recordings = (
        Recording(
            LADDER, "execution",
            f'sum(rate(exec_ladder_aggressiveness_total{{bucket="high"}}[{duration(spans.ladder_window)}]))',
        ),
    )  # fmt: skip
    made = (_model, _drift, _execution, _canary, _release, _market, _guards, _data, _platform)
    return Watch(recordings, tuple(alert for part in made for alert in part(limits, spans)))


def _measured(name: str, condition: str) -> str:
    """A condition whose series say what was measured: the message can name it, and a second measure is told too."""
    return f'label_replace({condition}, "measure", "{name}", "", "")'


def _model(limits: Thresholds, spans: Spans) -> Iterator[Alert]:
    floor, slack, sample = number(limits.win_rate_floor), limits.canary_delta_pp / 100.0, limits.canary_alert_sample
    promised = "(winrate_baseline_active > 0)"
    yield Alert(
        "WinRateDrop", "model", "critical", "active", "risk",
        # A model whose tau_entry aims lower than the floor is held against its own promise.
        f'(rolling_precision{{route!="canary"}} < {floor}'
        f" and rolling_precision < on (job, instance) group_left () ({promised} - {number(slack)}"
        " or on (job, instance) winrate_baseline_active + 1))"
        f' and on (job, instance, route) rolling_sample{{route!="canary"}} >= {number(sample)}',
        spans.win_rate_for,
        "Precision of route {{ $labels.route }} is {{ $value | humanizePercentage }}",
        f"Under {limits.win_rate_floor:.0%}, and over {limits.canary_delta_pp:g} points under what the active model"
        f" promised, for {duration(spans.win_rate_for)}. Most approvals lose.",
        "precision-halt", "precision",
    )  # fmt: skip
    above = number(limits.brier_margin)
    yield Alert(
        "CalibrationOutOfSpec", "model", "warning", "active", "risk",
        _measured("ECE", f"ece_online > {number(limits.ece_block)}") + " or "
        + _measured("Brier score", f"brier_online > brier_baseline_active + {above} and brier_baseline_active > 0"),
        spans.calibration_for,
        'Scores do not mean what they say: {{ $labels.measure }} is {{ $value | printf "%.3f" }}',
        f"The active model's debiased calibration error (ECE) is over {limits.ece_block:g}, or its Brier score"
        f" more than {limits.brier_margin:g} over the one at training, for {duration(spans.calibration_for)}.",
        "precision-halt", "calibration",
    )  # fmt: skip


def _drift(limits: Thresholds, spans: Spans) -> Iterator[Alert]:
    window = duration(spans.drift_window)
    # Only an armed feature counts, over the limit and over the line that its own clean history gave it.
    each = " or ".join(
        _measured(
            name.upper(),
            f"max by (feature) (max_over_time(({name}_feature > {number(block)} and {name}_feature >= drift_{name}_line"
            f" and drift_armed == 1)[{window}:]))",
        )
        for name, block in (("psi", limits.psi_block), ("ks", limits.ks_block))
    )
    yield Alert(
        "DriftDetected", "model", "critical", "features", "risk", each, 0.0,
        'Feature {{ $labels.feature }} has drifted: {{ $labels.measure }} is {{ $value | printf "%.2f" }}',
        f"Within {window} its PSI was over {limits.psi_block:g} or its KS distance over {limits.ks_block:g}, on a"
        " window worth enough independent rows.",
        "drift-breach", "drift-psi",
    )  # fmt: skip
    window = duration(spans.parity_window)
    yield Alert(
        "OnnxParityFailure", "model", "critical", "bundle", "", f"increase(onnx_parity_fail_total[{window}]) > 0", 0.0,
        "A bundle failed its golden rows in the process of {{ $labels.job }}",
        f"Within {window} a model answered other than its trainer did; it was refused, or its share taken away.",
        "parity-fail", "parity-and-schema",
    )  # fmt: skip


def _execution(limits: Thresholds, spans: Spans) -> Iterator[Alert]:
    yield Alert(
        "ThroughputSpike", "execution", "warning", "orders", "risk",
        f"trades_per_hour > {number(limits.throughput_ratio)} * trades_per_hour_prev_release_p95"
        " and trades_per_hour_prev_release_p95 > 0",
        spans.throughput_for,
        '{{ $value | printf "%.0f" }} entries in an hour',
        f"Over {limits.throughput_ratio:g} times the 95th percentile of the release before, for"
        f" {duration(spans.throughput_for)}. Quiet until there is a release before.",
        "throughput-spike", "throughput",
    )  # fmt: skip
    yield Alert(
        "ExecutionDegradation", "execution", "critical", "orders", "risk",
        f"fill_rate_rolling < {number(limits.fill_rate_floor_alert)} and on () ({LADDER} >"
        f" {number(limits.ladder_rise_ratio)} * ({LADDER} offset {duration(spans.ladder_before)}))",
        spans.execution_for,
        "Fill rate {{ $value | humanizePercentage }} on route {{ $labels.route }} while the ladder gets bolder",
        f"Under {limits.fill_rate_floor_alert:.0%}, with orders of the high bucket at over"
        f" {limits.ladder_rise_ratio:g} times their rate of {duration(spans.ladder_before)} before.",
        "backpressure--queue-build-up", "fill-rate",
    )  # fmt: skip
    yield Alert(
        "BackpressureHigh", "execution", "warning", "orders", "executor",
        'max without (stream, group) (stream_depth{stream="sig:approved", group="executor"})'
        f" > {number(limits.queue_length)} or backpressure_active == 1",
        spans.backpressure_for,
        "Approvals pile up before the executor",
        f"More than {limits.queue_length} approvals wait for the executor, or it sheds them, for"
        f" {duration(spans.backpressure_for)}.",
        "backpressure--queue-build-up", "backpressure",
    )  # fmt: skip


def _canary(limits: Thresholds, spans: Spans) -> Iterator[Alert]:
    behind = number(limits.canary_delta_pp / 100.0)
    yield Alert(
        "CanaryWinrateDrop", "release", "warning", "canary", "risk",
        # The win rate of a canary that was withdrawn stays where it was: it counts while there is a share.
        f"winrate_baseline_active - winrate_canary > {behind} and sample_canary >= {number(limits.canary_alert_sample)}"
        " and on () max(canary_fraction_target) > 0",
        spans.canary_for,
        "The canary wins {{ $value | humanizePercentage }} less than the active model promised",
        f"More than {limits.canary_delta_pp:g} points behind for {duration(spans.canary_for)}, over at least"
        f" {limits.canary_alert_sample} judged signals.",
        "rollback-guard-trigger", "win-rate",
    )  # fmt: skip
    off, routed = limits.canary_fraction_tolerance, limits.canary_fraction_sample
    yield Alert(
        "CanaryFractionDeviation", "release", "warning", "canary", "ai_scorer",
        f"abs(canary_fraction_realized - canary_fraction_target) > {number(off)}"
        f" and canary_fraction_sample >= {number(routed)}",
        spans.canary_fraction_for,
        "The canary's share is off its target by {{ $value | humanizePercentage }}",
        f"By more than {100 * off:g} points for {duration(spans.canary_fraction_for)}, over at least {routed} signals"
        " since it was moved: they do not go where the rollout says.",
        "rollback-guard-trigger", "canary-fraction",
    )  # fmt: skip


def _release(limits: Thresholds, spans: Spans) -> Iterator[Alert]:
    window = duration(spans.rollback_window)
    yield Alert(
        "RollbackHappened", "release", "warning", "rollback", "risk", f"increase(rollback_total[{window}]) > 0", 0.0,
        "A version was withdrawn: {{ $labels.reason }}",
        f"Within {window}. The version before trades again, and nothing is promoted until the cooldown is over.",
        "rollback-guard-trigger", "rollouts-and-modes",
    )  # fmt: skip
    yield Alert(
        "RegistryDivergence", "release", "critical", "registry", "model_sync", "registry_divergence == 1",
        spans.divergence_for,
        "Journal, mirror, registry and scorers name different versions",
        f"For {duration(spans.divergence_for)}, longer than any move takes. Nobody can be sure what trades.",
        "rollback-guard-trigger", "registry",
    )  # fmt: skip
    silent = limits.registry_silent_seconds
    yield Alert(
        "ModelSyncStale", "release", "warning", "registry", "model_sync", f"model_sync_age_seconds > {number(silent)}",
        spans.model_sync_for,
        "The registry has not answered for {{ $value | humanizeDuration }}",
        f"For more than {silent:g} s. Trading goes on with the copies of the mirror; releases reach it late.",
        "rollback-guard-trigger", "registry",
    )  # fmt: skip


def _market(limits: Thresholds, spans: Spans) -> Iterator[Alert]:
    old = limits.stale_book_seconds
    yield Alert(
        "StaleBook", "market", "critical", "market", "collector", f"book_age_seconds > {number(old)}",
        spans.stale_book_for,
        "The book of {{ $labels.symbol }} is {{ $value | humanizeDuration }} old",
        f"No update within {old:g} s, for {duration(spans.stale_book_for)}. Nothing is sent on such a book.",
        "zero-liquidity--stale-book", "book-age",
    )  # fmt: skip
    yield Alert(
        "WarmupStuck", "market", "warning", "market", "executor",
        f"increase(warmup_drop_total[{duration(spans.warmup_window)}]) > 0",
        spans.warmup_for,
        "{{ $labels.symbol }} does not get warm",
        f"Approvals are dropped as warming up for {duration(spans.warmup_for)}, twice what warming up and recovering"
        " take together.",
        "warm-up-gate-active", "warmup-drops",
    )  # fmt: skip


def _guards(_limits: Thresholds, spans: Spans) -> Iterator[Alert]:
    window = duration(spans.fail_safe_window)
    yield Alert(
        "FailSafeTriggered", "execution", "critical", "mode", "executor",
        f"increase(fail_safe_trigger_total[{window}]) > 0", 0.0,
        "Fell back to paper: {{ $labels.reason }}",
        f"Within {window}. No real order is sent before the cooldown is over and a person switches back.",
        "fail-safe-alert", "fail-safe",
    )  # fmt: skip


def _data(limits: Thresholds, spans: Spans) -> Iterator[Alert]:
    longest = limits.gap_seconds
    yield Alert(
        "DataGap", "market", "warning", "lake", "risk", f"parquet_gap_detected_seconds > {number(longest)}",
        spans.gap_for,
        "The newest day of {{ $labels.symbol }} misses {{ $value | humanizeDuration }}",
        f"A silence of more than {longest:g} s in the lake. Days with gaps are not learned from until they are mended.",
        "data-gaps--quality-issues", "data-gaps",
    )  # fmt: skip
    window = duration(spans.reference_window)
    yield Alert(
        "ExchangeReferenceMismatch", "market", "critical", "reference", "risk",
        f"increase(exchange_reference_mismatch_total[{window}]) > 0", 0.0,
        "The venue's filters of {{ $labels.symbol }} are not those of the symbol table",
        f"Found within {window}. Prices and sizes would be rounded to a grid that is not the venue's.",
        "data-gaps--quality-issues", "reference",
    )  # fmt: skip


def _platform(limits: Thresholds, spans: Spans) -> Iterator[Alert]:
    ours, silent = "|".join(SERVICES), limits.service_silent_seconds
    missing = " or ".join(f'absent(service_ready{{service="{name}"}})' for name in SERVICES)
    yield Alert(
        "ServiceDown", "platform", "critical", "service", "",
        # Not there at all; there, but doing nothing (its page is served by a thread of its own); anything else.
        f'{missing} or max by (service) (heartbeat_age_seconds{{service=~"({ours}){_SHARE}"}}) > {number(silent)}'
        f' or label_replace(up{{job!~"{ours}"}} == 0, "service", "$1", "job", "(.+)")',
        spans.service_for,
        "{{ $labels.service }} is down",
        f"It shows no metrics, or its heartbeat is more than {silent:g} s old, for {duration(spans.service_for)}. No"
        " other alert of it can fire.",
        "fail-safe-alert", "heartbeats",
    )  # fmt: skip
    silent = limits.sensor_silent_seconds
    yield Alert(
        "SensorSilent", "platform", "warning", "sensor", "",
        f'max by (service) (heartbeat_age_seconds{{service=~"{"|".join(RELEASE_SENSORS)}"}}) > {number(silent)}',
        spans.sensor_for,
        "{{ $labels.service }} has not looked for {{ $value | humanizeDuration }}",
        f"For more than {silent:g} s. The canary is fenced without it, but no version is moved in the registry.",
        "rollback-guard-trigger", "heartbeats",
    )  # fmt: skip


ALERTS: Final = watch().alerts
"""Every alert under the defaults."""
