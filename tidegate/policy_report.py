"""tidegate audit replay: what every recorded trial would have come to under other knobs of the section release."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.errors import SettingsError
from config.release_sections import Release
from config.settings import Settings, explain
from live.errors import TrialLogUnreadable
from live.policy_replay import Answer, Comparison, Replayed, compare, replay
from live.trial_log import recorded
from tidegate.releasing import refuse

_SECTION = "release."


def run(settings: Settings, policy: Path, *, as_json: bool) -> int:
    """Show it; 0, or 1 when the policy is wrong, a log cannot be read, or no trial was recorded yet."""
    folder = Path(settings.paths.var) / "live" / "risk" / "trials"
    try:
        release, changed = changed_by(settings.release, policy)
        found = list(replay(recorded(folder), release.policy()))
    except (SettingsError, TrialLogUnreadable, OSError) as error:
        return refuse(str(error))
    if not found:
        return refuse(f"no trial was recorded yet in {folder}; risk records one as soon as a shadow or a canary runs")
    told = compare(found)
    if as_json:
        facts = {"changed": changed, "summary": msgspec.to_builtins(told), "trials": [_plain(each) for each in found]}
        print(json.dumps(facts, indent=2))
    else:
        _show(changed, told, found)
    return 0


def changed_by(release: Release, policy: Path) -> tuple[Release, dict[str, object]]:
    """Lay the knobs of a file over those in force; return them, and which ones the file changes.

    The file is laid out as config/app.yml is. Raises SettingsError naming file and key, also for other sections.
    """
    if not policy.is_file():
        raise SettingsError([f"{policy}: is not there; a policy is YAML with the knobs of section release to try"])
    named = explain(policy, {})
    keys = [key for key, origin in named.origins.items() if origin != "default"]
    if strange := [key for key in keys if not key.startswith(_SECTION)]:
        raise SettingsError([f"{policy}: {', '.join(strange)}: a policy holds knobs of the section release alone"])
    given = {key.removeprefix(_SECTION): named.value(key) for key in keys}
    changed = {name: value for name, value in given.items() if getattr(release, name) != value}
    return release.model_copy(update=changed), changed


def _show(changed: dict[str, object], told: Comparison, found: Sequence[Replayed]) -> None:
    console = Console(highlight=False)
    knobs = ", ".join(f"release.{name} = {value}" for name, value in changed.items())
    console.print(f"policy: {knobs or 'as it is in force'}", soft_wrap=True)
    table = Table("trial", "version", "recorded", "under this policy", "verdicts", "otherwise")
    for each in found:
        style = "bold yellow" if each.is_flipped else ""
        table.add_row(
            each.begun.trial, str(each.begun.version), _answer(each.recorded), _answer(each.replayed),
            f"{each.verdicts:,}", f"{len(each.differs):,}", style=style,
        )  # fmt: skip
    console.print(table)
    console.print(
        f"{told.trials} trials, {told.flips} end otherwise; withdrawn: {told.recorded_rollbacks} recorded,"
        f" {told.replayed_rollbacks} under this policy, {told.missed_rollbacks} of the recorded ones missed"
    )
    console.print(f"of those that did well {told.false_rollback_rate:.1%} would have been withdrawn")
    if told.sooner_trades is not None and told.sooner_seconds is not None:
        console.print(f"median lead: {told.sooner_trades:+g} trades, {told.sooner_seconds:+.0f} s (later is negative)")


def _answer(answer: Answer) -> str:
    reasons = f" ({', '.join(answer.reasons)})" if answer.reasons else ""
    return escape(f"{answer.decision.replace('_', ' ')}{reasons} after {answer.rows:,} rows, {answer.trades:,} trades")


def _plain(each: Replayed) -> dict[str, object]:
    begun = each.begun
    return {
        "log": each.path.name, "trial": begun.trial, "version": begun.version, "model_id": begun.model_id,
        "recorded": msgspec.to_builtins(each.recorded), "replayed": msgspec.to_builtins(each.replayed),
        "is_flipped": each.is_flipped, "verdicts": each.verdicts, "differs": list(each.differs),
    }  # fmt: skip
