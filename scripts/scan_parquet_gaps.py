"""Scan a parquet lake for gaps: missing days, silences, sequence breaks, foreign schema versions, corrupt files.

Exit status: 0 no gap, 1 gaps, 2 no scan was possible (usage, no lake at --root, an empty lake and nothing expected).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date, timedelta

from rich.console import Console
from rich.table import Column, Table

from archive.errors import ArchiveError
from archive.gap_report import HEADINGS, GapReport
from archive.gaps import scan
from archive.store import Lake


def main(arguments: Sequence[str] | None = None) -> int:
    """Scan, print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="the lake: a folder or any URL fsspec knows")
    parser.add_argument("--symbols", nargs="+", help="expected symbols (default: those the lake has)")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, help="first expected UTC day, with --to")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, help="last expected UTC day, with --from")
    parser.add_argument("--threshold-seconds", type=float, default=60, help="longest silence that is no gap (60)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--verify", action="store_true", help="read the rows; trust neither footers nor manifest")
    asked = parser.parse_args(arguments)
    days = None
    if asked.first or asked.last:
        if not asked.first or not asked.last or asked.first > asked.last:
            parser.error(f"--from and --to must name a first and a last day, were {asked.first} and {asked.last}")
        days = [asked.first + timedelta(days=n) for n in range((asked.last - asked.first).days + 1)]
    try:
        lake = Lake(asked.root)
        report = scan(lake, asked.symbols, days, threshold_seconds=asked.threshold_seconds, verify=asked.verify)
    except ArchiveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.to_json(), indent=2)) if asked.json else _show(report)
    return 1 if report.gaps else 0


def _show(report: GapReport) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    if report.gaps:
        table = Table(*(Column(heading, overflow="fold") for heading in HEADINGS))
        for row in report.rows():
            table.add_row(*row)
        console.print(table)
    console.print(report.summary())


if __name__ == "__main__":
    sys.exit(main())
