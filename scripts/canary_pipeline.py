"""Replay a candidate over a normal, an event and a high-volatility stretch of the lake, on paper, as live would trade.

Exit status: 0 every gate passed (winrate, markout, fill_rate, parity, sample), 1 refused: one line names the gate, or
why none could be judged, 2 usage. The figures go into the version's run in MLflow.
"""

import argparse
import sys
from collections.abc import Sequence

from config.errors import SettingsError
from tidegate.rehearsal import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse one version and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--id", default="candidate", help="version number, model id or alias (default: candidate)")
    parser.add_argument("--minutes", type=float, help="length of each stretch (default: release.rehearsal_minutes)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args(arguments)
    if asked.minutes is not None and not 5 <= asked.minutes <= 1_440:
        parser.error(f"--minutes must be from 5 to 1440, was {asked.minutes:g}")
    try:
        return run(asked.id, asked.minutes, as_json=asked.json)
    except SettingsError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
