"""The candidate's rehearsal: stretches of the lake replayed through the real services on paper, as live would trade.

Each stretch has a lake, a mirror and streams of its own below var/rehearsal, in which the candidate is the active
version; nothing of it reaches the lake or the mirror that trade. What came of it is judged by `pipelines.canary_days`
and added to the version's run in MLflow.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from archive.errors import ArchiveError
from archive.layout import day_of
from archive.store import Lake
from bus.errors import BusError
from pipelines.canary_days import DayGate, Kind, Rules, Shown, Stretch, choose, held_out, judge, stretches
from pipelines.errors import PipelineError
from registry.bundle import Scorer, verify_bundle
from registry.errors import RegistryError
from registry.manifest import Cause, Mirror
from tidegate import paper_run
from tidegate.environment import prepare
from tidegate.live_stack import StackError, running

if TYPE_CHECKING:
    from config.settings import Settings
    from pipelines.workspace import Workspace
    from registry.versions import Version

_READY_SECONDS = 60.0
_SERVICES = ("ai_scorer", "executor", "risk")


def run(which: str, minutes: float | None, *, as_json: bool) -> int:
    """Rehearse a version; 0 when every gate passed, 1 with the name of the first that did not, or why none was judged.

    Raises SettingsError when the configuration is wrong.
    """
    from pipelines.lineage import find
    from pipelines.workspace import Workspace

    console = Console(highlight=False, stderr=as_json)
    now = datetime.now(UTC)  # noqa: TID251 - an entry point owns the clock
    workspace = Workspace(prepare(None), now.date())
    length = minutes or workspace.settings.release.rehearsal_minutes
    try:
        version = find(workspace.store, which)
        shown = rehearse(console, workspace, version, length, now)
        gates = judge(shown, rules_of(workspace.settings))
        record(workspace, version, shown, gates)
    except (RegistryError, PipelineError, ArchiveError, BusError, StackError) as error:
        Console(stderr=True, highlight=False).print(f"refused: {escape(str(error))}", soft_wrap=True)
        return 1
    failed = [gate for gate in gates if not gate.passed]
    print(json.dumps(told(version, shown, gates), indent=2)) if as_json else show(console, shown, gates)
    verdict = f"refused: {failed[0]}" if failed else f"passed: version {version.number}, {len(gates)} gates"
    console.print(escape(verdict), soft_wrap=True)
    return 1 if failed else 0


def rehearse(
    console: Console, workspace: "Workspace", version: "Version", minutes: float, now: datetime
) -> list[Shown]:
    """Choose the stretches and replay a version over each.

    Raises what choosing, fetching and replaying raise: NotEnoughData, RegistryError, ArchiveError, StackError.
    """
    settings = workspace.settings
    bundle = workspace.store.download(version, workspace.folder("cache", version.sha256[:16]) / "bundle")
    card = verify_bundle(bundle, version.sha256)
    days = held_out(workspace.lake, settings.market.symbols, date.fromisoformat(card.training.last_day))
    chosen = choose(stretches(workspace.lake, settings.market.symbols, days, minutes, workspace.gap_ns))
    shown = []
    for kind, stretch in chosen.items():
        console.print(f"[bold cyan]{kind.replace('_', ' ')}[/] {stretch}", soft_wrap=True)
        folder = workspace.folder("rehearsal") / kind
        shutil.rmtree(folder, ignore_errors=True)
        cut_out(workspace.lake, Lake.create(folder / "lake"), settings.market.symbols, stretch)
        cause = Cause(at=now.isoformat(timespec="seconds"), by="rehearsal", reason=f"rehearsal of a {kind} stretch")
        Mirror(folder / "mirror").fill("active", bundle, cause, version.sha256)
        with running(folder / "redis", folder / "live.log", environ=overrides(folder, stretch)) as stack:
            stack.wait_for(_SERVICES, _READY_SECONDS)
            paper_run.watch(console, stack)
        shown.append(measure(settings, folder, kind, stretch, Scorer(bundle, version.sha256), version.number))
    return shown


def cut_out(lake: Lake, into: Lake, symbols: Sequence[str], stretch: Stretch) -> None:
    """Copy the market data of a stretch, which lies within one UTC day, into a lake of its own."""
    day = day_of(stretch.start_ns)
    span = {"start_ns": stretch.start_ns, "end_ns": stretch.end_ns}
    for symbol in symbols:
        source = lake.info("book", symbol, day).source
        into.write_book(symbol, day, lake.read_book(symbol, day, **span), source=source)
        into.write_trades(symbol, day, lake.read_trades(symbol, day, **span), source=source, allow_empty=True)


def overrides(folder: Path, stretch: Stretch) -> Mapping[str, str]:
    """The settings that make the services replay a stretch below a folder, on paper, by the active version alone."""
    start = datetime.fromtimestamp(stretch.start_ns // 1_000_000_000, UTC)
    minutes = (stretch.end_ns - stretch.start_ns) / 60e9
    return {
        "PATHS_VAR": str(folder / "var"), "PATHS_LAKE": str(folder / "lake"), "REGISTRY_MIRROR": str(folder / "mirror"),
        "FEED_KIND": "lake", "FEED_START": f"{start:%Y-%m-%dT%H:%M:%S}", "FEED_MINUTES": f"{minutes:g}",
        "FEED_SPEED": "0", "EXCHANGE_MODE": "paper", "ROLLOUT_MODE": "disabled", "SERVING_LOG_FORMAT": "json",
    }  # fmt: skip


def measure(settings: "Settings", folder: Path, kind: Kind, stretch: Stretch, scorer: Scorer, version: int) -> Shown:
    """Read what a replay recorded: what was traded, and whether rows and margins are the lake's and the bundle's."""
    from archive.live_tables import LIVE_SCORES, OUTCOMES, REPORTS
    from pipelines.fill_markouts import fill_markouts
    from pipelines.live_judging import cluster_length
    from pipelines.live_measures import of_everything
    from pipelines.live_proof import rescore
    from pipelines.live_rows import outcomes, read, survey, traded
    from pipelines.partitions import Cell
    from pipelines.skew import compare

    lake = Lake(folder / "lake")
    trades = traded(lake, survey(lake, REPORTS, 1))
    gap_ns = round(settings.ingest.gap_threshold_seconds * 1e9)
    markouts = fill_markouts(lake, trades.fills, gap_ns)
    figures = of_everything(outcomes(lake, survey(lake, OUTCOMES, 1)), trades, markouts, cluster_length(settings))
    proof = rescore(read(lake, survey(lake, LIVE_SCORES, 1)), version, scorer)
    rows = [compare(lake, Cell(day_of(stretch.start_ns), symbol)) for symbol in settings.market.symbols]
    parity = scorer.card.parity
    exported = parity.margin_mismatches + parity.flips
    problems = [each.problem for each in rows if each.problem]
    first = proof.first or next(iter(problems), "") or (f"{exported} in the card's own proof" if exported else "")
    return Shown(
        kind=kind,
        stretch=stretch,
        traded=figures,
        compared=proof.rows + sum(each.rows for each in rows),
        differing=proof.mismatches + sum(each.differing for each in rows) + exported,
        first_difference=first,
    )


def rules_of(settings: "Settings") -> Rules:
    """The gates as configured: the win rate is that at which tau_entry was chosen."""
    release = settings.release
    return Rules(settings.evaluation.precision_target, release.fill_rate_floor, release.rehearsal_min_trades)


def record(workspace: "Workspace", version: "Version", shown: Sequence[Shown], gates: Sequence[DayGate]) -> None:
    """Add what was found to the version's run, the same names for each version."""
    metrics: dict[str, float] = {}
    for each in shown:
        traded, prefix = each.traded, f"rehearsal_{each.kind}"
        metrics |= {
            f"{prefix}_winrate": traded.judged_winrate.value,
            f"{prefix}_trades": float(traded.judged_winrate.rows),
            f"{prefix}_markout_1000ms_bps": traded.markouts_bps[1_000].value,
            f"{prefix}_fill_rate": traded.fill_rate.value,
            f"{prefix}_pnl_quote": traded.pnl_quote,
            f"{prefix}_parity_mismatches": float(each.differing),
        }
    failed = [str(gate) for gate in gates if not gate.passed]
    workspace.store.add_to_run(
        version.run_id,
        metrics=metrics,
        tags={"rehearsal": "; ".join(failed) or "passed"},
        artifacts={"rehearsal/gates.json": json.dumps(told(version, shown, gates), indent=1)},
    )


def show(console: Console, shown: Sequence[Shown], gates: Sequence[DayGate]) -> None:
    """Print every gate, those that did not pass in red."""
    table = Table("gate", "where", "found", "")
    for gate in gates:
        verdict = "[green]passed[/]" if gate.passed else "[red]failed[/]"
        table.add_row(gate.name, gate.where.replace("_", " "), escape(gate.said), verdict)
    console.print(table)
    profit = ", ".join(f"{each.kind.replace('_', ' ')} {each.traded.pnl_quote:+.2f}" for each in shown)
    console.print(f"profit after fees, quote units (no gate): {profit}", soft_wrap=True)


def told(version: "Version", shown: Sequence[Shown], gates: Sequence[DayGate]) -> dict[str, object]:
    """The rehearsal as JSON-able facts."""
    return {
        "version": version.number,
        "model_id": version.model_id,
        "passed": all(gate.passed for gate in gates),
        "stretches": {
            each.kind: {
                "start_ns": each.stretch.start_ns, "end_ns": each.stretch.end_ns,
                "volatility_bps": each.stretch.volatility_bps, "burst": each.stretch.burst,
                "pnl_quote": each.traded.pnl_quote,
            }
            for each in shown
        },
        "gates": [
            {"name": gate.name, "where": gate.where, "passed": gate.passed, "found": gate.said} for gate in gates
        ],
    }  # fmt: skip
