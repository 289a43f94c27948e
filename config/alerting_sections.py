"""The section of app.yml that alerts alone read; what they share with gates stands in the gates' own sections."""

from config.knobs import Section, knob
from monitoring import thresholds


class Alerting(Section):
    """When a person is paged, and where the page leads. Files follow by `python -m tidegate monitoring write`."""

    runbook_url: str = knob("docs/runbook.md", "Address of the runbook's page; without one alerts link Grafana's.")
    dashboards_url: str = knob("http://127.0.0.1:3001", "Address of Grafana in alerts.")
    webhook_url: str = knob(
        "http://127.0.0.1:9095/alerts",
        "Where Alertmanager sends alerts, by POST; in containers a secret says it.",
        pattern=r"^https?://",
    )
    win_rate_floor: float = knob(
        thresholds.WIN_RATE_FLOOR, "Precision of a route under it, and under the model's promise.", "share", ge=0, le=1
    )
    canary_min_sample: int = knob(
        thresholds.CANARY_ALERT_SAMPLE, "Judged signals before a win rate may page.", "signals", ge=1, le=1_000_000
    )
    brier_margin: float = knob(
        thresholds.BRIER_MARGIN, "Brier score of the active model over the one at training.", "Brier", ge=0, le=1
    )
    fill_rate_floor: float = knob(
        thresholds.FILL_RATE_FLOOR_ALERT, "Fill rate under it while the ladder gets bolder.", "share", ge=0, le=1
    )
    ladder_rise_ratio: float = knob(
        thresholds.LADDER_RISE_RATIO, "Rate of bold orders over that of half an hour before.", "times", gt=1, le=100
    )
    canary_fraction_tolerance: float = knob(
        thresholds.CANARY_FRACTION_TOLERANCE, "Realized share of the canary off its target.", "share", gt=0, le=1
    )
    service_silent_seconds: float = knob(
        thresholds.SERVICE_SILENT_SECONDS, "Age of a service's heartbeat.", "seconds", gt=1, le=3_600
    )
    sensor_silent_seconds: float = knob(
        thresholds.SENSOR_SILENT_SECONDS, "Age of a release sensor's heartbeat.", "seconds", gt=1, le=86_400
    )
