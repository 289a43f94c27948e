"""python -m tidegate monitoring: the files that Prometheus, Alertmanager and Grafana read, from the configuration.

Those in deploy/ are the defaults'; an operator who changes app.yml writes his own, so that alerts, lines in panels and
gates go on naming the same numbers.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from config.settings import Settings
from monitoring.alerts import watch
from monitoring.panels import PANELS, panels_of, path_of
from monitoring.processes import SERVICES
from monitoring.rules import Links, rule_file
from monitoring.scraping import alertmanager_file, prometheus_file, targets_file
from monitoring.thresholds import Spans, Thresholds
from tidegate.environment import ROOT
from tidegate.runbook import page

DEPLOY: Final = ROOT / "deploy"
_LEAST_SECONDS = 60.0
_DASHBOARD = "grafana/dashboards/tidegate.json"
_RUNBOOK = "grafana/dashboards/runbook.json"
_WEBHOOK_SECRET = "/run/secrets/alert_webhook"  # noqa: S105 - the file of it, in a container
Say = Callable[[str], None]


def thresholds_of(settings: Settings) -> Thresholds:
    """The values that alerts and panels' lines compare with, each from the knob of its gate."""
    alerting, evaluation, release, risk, gates = (
        settings.alerting, settings.evaluation, settings.release, settings.risk, settings.gates,
    )  # fmt: skip
    return Thresholds(
        win_rate_floor=alerting.win_rate_floor,
        canary_delta_pp=release.winrate_delta_pp,
        canary_alert_sample=alerting.canary_min_sample,
        psi_block=evaluation.psi_block,
        ks_block=evaluation.ks_block,
        ece_block=release.ece_block,
        brier_margin=alerting.brier_margin,
        throughput_ratio=release.throughput_ratio,
        fill_rate_floor_alert=alerting.fill_rate_floor,
        fill_rate_floor=release.fill_rate_floor,
        markout_floor_bps=release.markout_floor_bps,
        ladder_rise_ratio=alerting.ladder_rise_ratio,
        canary_fraction_tolerance=alerting.canary_fraction_tolerance,
        queue_length=settings.backpressure.max_queue_len,
        precision_floor=risk.precision_floor,
        stale_book_seconds=gates.stale_book_ms / 1_000.0,
        stale_market_seconds=risk.stale_market_seconds,
        volatility_halt_bps=risk.volatility_halt_bps,
        spread_bps=gates.max_spread_bps,
        near_liquidation_bps=gates.near_liq_bps,
        gap_seconds=settings.ingest.gap_threshold_seconds,
        registry_silent_seconds=settings.model_sync.stale_seconds,
        service_silent_seconds=alerting.service_silent_seconds,
        sensor_silent_seconds=alerting.sensor_silent_seconds,
    )


def spans_of(settings: Settings) -> Spans:
    """How far alerts look back and how long they wait, where a gate has a knob for it."""
    release, warmup = settings.release, settings.warmup
    return Spans(
        parity_window=max(_LEAST_SECONDS, release.parity_minutes * 60.0),
        drift_window=max(_LEAST_SECONDS, release.drift_minutes * 60.0),
        warmup_for=max(_LEAST_SECONDS, 2.0 * (warmup.seconds + warmup.recover_seconds)),
        fail_safe_window=max(_LEAST_SECONDS, settings.fail_safe.cooldown_seconds),
        reference_window=2.0 * settings.risk.reference_check_minutes * 60.0,
        rollback_window=max(_LEAST_SECONDS, release.cooldown_minutes * 60.0),
    )


def links_of(settings: Settings) -> Links:
    """Where alerts lead."""
    alerting = settings.alerting
    return Links(alerting.runbook_url, alerting.dashboards_url, {each.id: path_of(each.id) for each in PANELS})


def files_of(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each file below deploy/ with its text."""
    watched, port = watch(thresholds_of(settings), spans_of(settings)), settings.serving.metrics_port
    targets: Mapping[str, str] = {
        name: f"{settings.serving.host}:{port + place}" for place, name in enumerate(SERVICES)
    }
    yield "prometheus/prometheus.yml", prometheus_file()
    yield "prometheus/targets/services.yml", targets_file(targets)
    yield "prometheus/rules/tidegate.yml", rule_file(watched, links_of(settings))
    yield "alertmanager/alertmanager.yml", alertmanager_file(settings.alerting.webhook_url)
    yield "compose/alertmanager.yml", alertmanager_file(_WEBHOOK_SECRET)


def boards_of(settings: Settings) -> Mapping[str, str]:
    """Grafana's files; none where grafana-foundation-sdk, a tool of development, is not installed."""
    from monitoring.dashboards import dashboard_json, runbook_json

    try:
        return {
            _DASHBOARD: dashboard_json(panels_of(thresholds_of(settings)), settings.alerting.runbook_url),
            _RUNBOOK: runbook_json({each.anchor: each.text for each in page().values()}),
        }
    except ModuleNotFoundError:
        return {}


def write(settings: Settings, into: Path | None = None, say: Say = print) -> int:
    """Write every file below a folder (deploy/ without one), and say which; returns the exit status, 0."""
    folder = into or DEPLOY
    boards = boards_of(settings)
    files = {**dict(files_of(settings)), **boards}
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        say(f"wrote {target}")
    if not boards:
        say(f"not written: {_DASHBOARD}, {_RUNBOOK}; they need grafana-foundation-sdk (make setup installs it)")
    return 0


def check(settings: Settings, into: Path | None = None, say: Say = print) -> int:
    """Say which files are not what the configuration asks for; returns the exit status, 1 when there is one."""
    folder = into or DEPLOY
    files = {**dict(files_of(settings)), **boards_of(settings)}
    stale = [name for name, text in files.items() if not _is_text(folder / name, text)]
    for name in stale:
        say(f"{folder / name} is not what the configuration asks for; run python -m tidegate monitoring write")
    return 1 if stale else 0


def _is_text(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text
