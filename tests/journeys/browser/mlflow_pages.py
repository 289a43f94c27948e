"""What a person looks at on MLflow's pages: a model with its aliases, two of its versions beside each other."""

import json
import urllib.request
from collections.abc import Sequence
from urllib.parse import quote

from playwright.sync_api import expect

from registry.versions import Version
from tests.journeys.browser.chromium import Window

_ASSISTANT_CLOSES = "[data-component-id='mlflow.assistant.chat_panel.close']"


def close_assistant(window: Window) -> None:
    """From here on the assistant that opens beside a page is closed, as a person does at the first look."""
    button = window.page.locator(_ASSISTANT_CLOSES)
    window.page.add_locator_handler(button, lambda found: found.click())


def look_at_model(window: Window, url: str, name: str, aliases: Sequence[str]) -> None:
    """The page of a model shows each alias."""
    window.page.goto(f"{url}/#/models/{name}")
    for alias in aliases:
        expect(window.page.get_by_text(f"@ {alias}").first).to_be_visible()


def compare(window: Window, url: str, versions: Sequence[Version], metric: str) -> None:
    """The page that lays runs side by side has one column for each version, and the row of a metric."""
    runs = quote(json.dumps([each.run_id for each in versions]))
    experiments = quote(json.dumps([_experiment_of(url, versions[0].run_id)]))
    window.page.goto(f"{url}/#/compare-runs?runs={runs}&experiments={experiments}")
    for version in versions:
        expect(window.page.get_by_role("link", name=version.run_id).first).to_be_visible()
    expect(window.page.get_by_text(metric, exact=True).first).to_be_attached()


def _experiment_of(url: str, run_id: str) -> str:
    address = f"{url}/api/2.0/mlflow/runs/get?run_id={run_id}"
    with urllib.request.urlopen(address, timeout=60) as reply:
        return str(json.load(reply)["run"]["info"]["experiment_id"])
