"""How long the newest day of each symbol in the lake is silent: `python -m live.lake_gaps ROOT SECONDS SYMBOL ...`.

A process of its own, asked by risk on a schedule, since reading the lake loads pyarrow. Prints JSON: symbol to seconds.
"""

import json
import sys
from collections.abc import Sequence
from datetime import timedelta

from archive.errors import ArchiveError, MissingLake
from archive.gap_report import GapKind
from archive.gaps import scan
from archive.layout import BOOK, day_bounds_ns
from archive.store import Lake

_DAY_SECONDS = 86_400.0


def longest_gaps(root: str, symbols: Sequence[str], threshold_seconds: float) -> dict[str, float]:
    """Return the longest silence in each symbol's newest day of books, in seconds; 0 for none above the threshold.

    From midnight when the day before is there too, else from the first row, and up to the last row. A newest day that
    cannot be read counts as silent all day. Symbols without a partition are left out; so is everything when there is
    no lake.
    """
    lake = Lake(root)
    longest: dict[str, float] = {}
    try:
        present = set(lake.partitions(BOOK))
    except MissingLake:
        return {}
    for symbol in symbols:
        days = [day for name, day in present if name == symbol]
        if not days:
            continue
        newest = max(days)
        try:
            facts = lake.info(BOOK, symbol, newest)
            midnight = (symbol, newest - timedelta(days=1)) in present
            first_ns = day_bounds_ns(newest)[0] if midnight else facts.first_ns
            report = scan(
                lake, [symbol], [newest], threshold_seconds=threshold_seconds, manifest=False, tables=(BOOK,),
                covers=(first_ns, facts.last_ns + 1),
            )  # fmt: skip
            silent = [gap.seconds for gap in report.gaps if gap.kind is not GapKind.BREAK]
            longest[symbol] = max(silent, default=0.0)
        except ArchiveError:
            longest[symbol] = _DAY_SECONDS
    return longest


def main(arguments: Sequence[str]) -> int:
    """Print what was found and return 0."""
    root, seconds, *symbols = arguments
    sys.stdout.write(json.dumps(longest_gaps(root, symbols, float(seconds))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
