"""What a person does at Dagster's pages, by the words that stand on them."""

from playwright.sync_api import Locator, expect

from tests.journeys.browser.chromium import Window


def look_at_lineage(window: Window, url: str, groups: tuple[str, ...]) -> None:
    """Every group of assets stands in the graph."""
    window.page.goto(f"{url}/asset-groups")
    for group in groups:
        expect(window.page.get_by_text(group, exact=True).first).to_be_visible()


def open_picture(window: Window, url: str, asset: str, entry: str) -> int:
    """Open a picture in the metadata of an asset; returns its width in pixels, 0 where nothing was drawn."""
    window.page.goto(f"{url}/assets/{asset}")
    window.page.get_by_role("row").filter(has_text=entry).get_by_text("Show Markdown").click()
    picture = window.page.get_by_role("dialog").locator("img").first
    expect(picture).to_be_visible()
    return int(picture.evaluate("each => each.decode().then(() => each.naturalWidth)"))


def materialize(window: Window, url: str, job: str, days: str, tag: tuple[str, str] | None = None) -> None:
    """Launch a job for days (`2026-01-07`, `[2026-01-07...2026-01-08]`) of every symbol, from the job's own page."""
    window.page.goto(f"{url}/locations/tidegate/jobs/{job}")
    window.page.get_by_role("button", name="Materialize").first.click()
    dialog = window.page.get_by_role("dialog")
    dialog.get_by_placeholder("ex:").fill(days)
    window.page.keyboard.press("Enter")
    dialog.get_by_role("button", name="All", exact=True).nth(1).click()
    if tag is not None:
        _tag(window, dialog, tag)


def launch(window: Window) -> None:
    """Press the button of the open dialog, and wait until the dialog has gone."""
    dialog = window.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Launch").click()
    expect(dialog).to_have_count(0)


def look_at_failed_check(window: Window, url: str, asset: str, check: str) -> None:
    """The checks of an asset show one that failed."""
    window.page.goto(f"{url}/assets/{asset}?view=checks&checkDetail={check}")
    expect(window.page.get_by_text(check, exact=True).first).to_be_visible()
    expect(window.page.get_by_text("Failed").first).to_be_visible()


def switch_sensor_on(window: Window, url: str, sensor: str) -> None:
    """Switch a sensor on from its page."""
    window.page.goto(f"{url}/locations/tidegate/sensors/{sensor}")
    switch = window.page.get_by_role("row").filter(has_text="Running").locator("input[type=checkbox]")
    switch.locator("xpath=..").click()
    expect(switch).to_be_checked()


def look_at_tick(window: Window, run_id: str) -> None:
    """The runs of the sensor whose page is open hold the one that its tick asked for."""
    window.page.get_by_role("button", name="Runs", exact=True).click()
    expect(window.page.get_by_role("link", name=run_id[:8]).first).to_be_visible()


def _tag(window: Window, dialog: Locator, tag: tuple[str, str]) -> None:
    dialog.get_by_text("Tags", exact=True).click()
    dialog.get_by_text("Add tags").click()
    window.page.get_by_placeholder("Tag Key").fill(tag[0])
    window.page.get_by_placeholder("Tag Value").fill(tag[1])
    window.page.get_by_role("button", name="Apply").click()
    expect(dialog.get_by_text(f"{tag[0]}: {tag[1]}").first).to_be_visible()
