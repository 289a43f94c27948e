"""What people are told of damaged partitions: when they are found, when they are mended, and when backfills gave up."""

from collections.abc import Collection, Iterator, Mapping

from monitoring.runbook import PAGE
from pipelines.notification import Notice
from pipelines.partitions import Cell

_SECTION = f"{PAGE}#data-gaps--quality-issues"
_MOST_NAMED = 5


def gap_notices(
    known: Mapping[str, int], wanted: Mapping[Cell, str], exhausted: Collection[str], attempts: int
) -> Iterator[Notice]:
    """Yield what is new since the last look; a look that finds what the one before found yields nothing.

    Args:
        known: partition keys that were wanting at the last look, with the backfills asked for each; one more than
            `attempts` once it was given up.
        wanted: the cells that are wanting now, and why.
        exhausted: keys of those for which no further backfill is asked.
        attempts: backfills of one partition before it is given up.
    """
    reasons = {str(each.key): why for each, why in sorted(wanted.items())}
    if found := [key for key in reasons if key not in known]:
        text = f"{_reasons(found, reasons)}; see {_SECTION}"
        yield Notice(_counted(found, "found missing or damaged"), text, "warning")
    if given_up := [key for key in exhausted if known.get(key, 0) == attempts]:
        text = f"{attempts} backfills did not mend {_reasons(given_up, reasons)}; mend the source; see {_SECTION}"
        yield Notice(_counted(given_up, "given up"), text, "failure")
    if mended := [key for key in known if key not in reasons]:
        yield Notice(_counted(mended, "mended"), _some(sorted(mended)), "success")


def _counted(keys: Collection[str], done: str) -> str:
    return f"1 partition {done}" if len(keys) == 1 else f"{len(keys)} partitions {done}"


def _reasons(keys: Collection[str], reasons: Mapping[str, str]) -> str:
    return _some([f"{key} ({reasons[key]})" for key in keys])


def _some(words: Collection[str]) -> str:
    more = f" and {len(words) - _MOST_NAMED} more" if len(words) > _MOST_NAMED else ""
    return ", ".join(list(words)[:_MOST_NAMED]) + more
