"""How Prometheus finds the services and Alertmanager, and how Alertmanager passes alerts on."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

_HEAD: Final = "# Written by `python -m tidegate monitoring write`{more}\n"
_SECONDS: Final = 5
ALERTMANAGER: Final = "127.0.0.1:9093"


def prometheus_file(alertmanager: str = ALERTMANAGER) -> str:
    """Prometheus's own configuration: targets and rules lie beside it."""
    said = {
        "global": {"scrape_interval": f"{_SECONDS}s", "evaluation_interval": f"{_SECONDS}s"},
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            {"job_name": "tidegate", "file_sd_configs": [{"files": ["targets/*.yml"]}]},
            {"job_name": "alertmanager", "static_configs": [{"targets": [alertmanager]}]},
        ],
    }
    return _HEAD.format(more="; targets/*.yml is read again when it changes") + _yaml(said)


def targets_file(targets: Mapping[str, str]) -> str:
    """Where each service shows its metrics, HOST:PORT by name; the name becomes the label `job`."""
    said = [{"targets": [address], "labels": {"job": name}} for name, address in targets.items()]
    return _HEAD.format(more=": serving.host and serving.metrics_port") + _yaml(said)


def alertmanager_file(webhook: str, waits: tuple[str, str, str] = ("10s", "1m", "4h")) -> str:
    """Alertmanager's configuration: one message a kind of alert and service, and no message that another one explains.

    `webhook` is where alerts are sent; a path is a file that holds the address, which Alertmanager knows from 0.26 on.
    `waits` are the first wait for others of a group, that before news of a group, and that before a repetition.
    """
    wait, interval, again = waits
    said = {
        "route": {
            "receiver": "webhook", "group_by": ["alertname", "service"],
            "group_wait": wait, "group_interval": interval, "repeat_interval": again,
        },
        "inhibit_rules": [
            # Of a service that is down nothing else can be known.
            {
                "source_matchers": ['alertname="ServiceDown"'],
                "target_matchers": ['alertname!="ServiceDown"'],
                "equal": ["service"],
            },
            # What is critical says all that a warning about the same thing would.
            {
                "source_matchers": ['severity="critical"'],
                "target_matchers": ['severity="warning"'],
                "equal": ["subject", "symbol"],
            },
        ],
        "receivers": [{"name": "webhook", "webhook_configs": [{_kind(webhook): webhook, "send_resolved": True}]}],
    }  # fmt: skip
    whence = "alerting.webhook_url" if _kind(webhook) == "url" else "the secret of this name"
    return _HEAD.format(more=f"; {whence} says where alerts go") + _yaml(said)


def _kind(webhook: str) -> str:
    return "url" if "://" in webhook else "url_file"


def _yaml(said: Any) -> str:
    return yaml.safe_dump(said, sort_keys=False, width=10_000)
