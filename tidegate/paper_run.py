"""The second part of the demo: a rehearsal. The model just trained trades on paper over a market it has not seen.

No alias is moved for it: the version stands in a mirror of the rehearsal's own. The services are the real ones, in a
process of their own on a real server of streams, in market time: a replay is handled as fast as it can be, and every
timer of theirs runs on the market's clock.
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from config.settings import Settings
from monitoring.scrape import Scrape
from tidegate.live_stack import LiveStack, StackError, running

if TYPE_CHECKING:
    from registry.store import ModelStore
    from registry.versions import Version

_READY_SECONDS = 60.0
_LONGEST_SECONDS = 600.0
_QUIET_POLLS = 5
_MINUTES = 60.0


@dataclass(frozen=True, slots=True)
class PaperRun:
    """What the services showed at the end, how much market they handled, and how long that took.

    `skew` says how the rows that were scored live compare with those the lake gives, `costs` what a round trip pays.
    """

    scrape: Scrape
    market: str
    market_seconds: float
    wall_seconds: float
    folder: Path
    skew: str
    costs: str


def run(
    console: Console, settings: Settings, store: "ModelStore", version: "Version", test_day: date | None
) -> PaperRun:
    """Replay a market through the live services with the version as their active one, and return what they showed.

    A simulated market goes on with the day behind the last one; recordings are replayed from the lake, on the test day.
    Raises StackError when the services fail.
    """
    var = Path(settings.paths.var) / "demo"
    shutil.rmtree(var, ignore_errors=True)
    mirror = var / "mirror"
    seat(settings, store, version, mirror)
    environ, market = replay_of(settings, test_day)
    # Its streams, journal, rollout and recorded rows are its own: it neither goes on from a former run nor spoils one.
    environ = {**environ, "PATHS_VAR": str(var), "REGISTRY_MIRROR": str(mirror)}
    console.print(f"[bold cyan]5  live on paper[/] over {market}; every message goes through Redis streams")
    started = time.perf_counter()
    with running(var / "redis", var / "logs" / "live.log", environ=environ) as stack:
        stack.wait_for(["ai_scorer", "executor", "risk"], _READY_SECONDS)
        scrape = watch(console, stack)
    seconds = time.perf_counter() - started
    day = date.fromisoformat(environ["FEED_START"][:10])
    market_seconds = 60.0 * float(environ["FEED_MINUTES"])
    return PaperRun(scrape, market, market_seconds, seconds, var, skew_of(settings, day), costs_of(settings))


def skew_of(settings: Settings, day: date) -> str:
    """Compare the rows that live scored on a day with those the lake gives, bit for bit, and say what came of it."""
    from archive.store import Lake
    from pipelines.partitions import Cell
    from pipelines.skew import compare

    found = [compare(Lake(settings.paths.lake), Cell(day, name)) for name in settings.market.symbols]
    if strange := [each.problem for each in found if not each.is_comparable]:
        return f"cannot be compared: {strange[0]}"
    return f"{sum(each.differing for each in found):,} of {sum(each.rows for each in found):,}"


def costs_of(settings: Settings) -> str:
    """The target of a trade beside what a round trip pays: in by the maker's fee, out by the taker's."""
    from market.symbols import SymbolTable

    table = SymbolTable.load(settings.paths.symbols)
    fees = {table[name].maker_fee_bps + table[name].taker_fee_bps for name in settings.market.symbols}
    return f"target {settings.label.tp_pct * 1e4:.1f} bps, fees {max(fees):.1f} bps a round trip"


def seat(settings: Settings, store: "ModelStore", version: "Version", mirror: Path) -> None:
    """Put a version into the active slot of a mirror.

    Raises StackError when it was not made for this configuration.
    """
    from live.errors import ModelRefused
    from live.model_slots import Engine, check_made_for
    from market.feature_spec import schema_hash
    from registry.manifest import Cause, Mirror

    with TemporaryDirectory(prefix="tidegate-") as beside:
        folder = store.download(version, Path(beside) / "bundle")
        cause = Cause(at=version.tags.get("created_at", ""), by="demo", reason="rehearsal on paper")
        card = Mirror(mirror).fill("active", folder, cause, version.sha256)
    engine = Engine(schema_hash(), settings.candidate.rule(), settings.label.rule())
    try:
        check_made_for(card, engine, f"version {version.number}")
    except ModelRefused as refused:
        raise StackError(f"the version just trained cannot trade here: {refused}") from refused


def replay_of(settings: Settings, test_day: date | None) -> tuple[Mapping[str, str], str]:
    """The overrides that make the collector replay a market, and what that market is.

    It is an hour long unless feed.minutes says otherwise.
    """
    minutes = settings.feed.minutes or _MINUTES
    common = {
        "FEED_SPEED": "0", "FEED_MINUTES": f"{minutes:g}", "EXCHANGE_MODE": "paper", "SERVING_LOG_FORMAT": "json"
    }  # fmt: skip
    if settings.source.kind == "simulator":
        last = settings.market.last_day or date.fromisoformat("2026-01-07")
        day = last + timedelta(days=1)
        feed = {"FEED_KIND": "simulator", "FEED_START": f"{day}T13:00:00"}
        return {**common, **feed}, f"{minutes:g} simulated minutes of {day}, a day not seen"
    day = test_day or settings.market.first_day
    feed = {"FEED_KIND": "lake", "FEED_START": f"{day}T12:00:00"}
    return {**common, **feed}, f"{minutes:g} recorded minutes of {day}, the test day"


def watch(console: Console, stack: LiveStack) -> Scrape:
    """Draw what happens until the market is over and nothing waits on a stream any more."""
    columns = (
        SpinnerColumn(finished_text="[green]+"), TextColumn("{task.description:<14}"), BarColumn(bar_width=28),
        TimeElapsedColumn(), TextColumn("[dim]{task.fields[detail]}"),
    )  # fmt: skip
    deadline = time.monotonic() + _LONGEST_SECONDS
    with Progress(*columns, console=console) as drawing:
        task = drawing.add_task("market", total=None, detail="")
        quiet, before = 0, ""
        while quiet < _QUIET_POLLS:
            stack.check()
            if time.monotonic() > deadline:
                raise StackError(f"the replay did not end within {_LONGEST_SECONDS:g} s; see {stack.log}")
            time.sleep(0.2)
            told = _progress(stack, drawing, task)
            collector = stack.heartbeats().get("collector")
            finished = collector is not None and bool(collector.status.get("finished"))
            quiet = quiet + 1 if finished and told == before else 0
            before = told
        scrape = stack.scrape()
        drawing.update(task, total=1, completed=1)
    return scrape


def _progress(stack: LiveStack, drawing: Progress, task: TaskID) -> str:
    try:
        scrape = stack.scrape()
    except StackError:
        return ""
    told = (
        f"{scrape.total('market_events_total'):,.0f} events, {scrape.total('candidates_total'):,.0f} candidates, "
        f"{scrape.total('approvals_total'):,.0f} approvals, {scrape.total('fills_total'):,.0f} fills, "
        f"{scrape.total('outcomes_total'):,.0f} outcomes"
    )
    drawing.update(task, detail=told)
    return told
