"""Check config/app.yml and the environment's overrides against the schema.

Exit status: 0 valid, 1 refused (one line on stderr for each thing to mend), 2 usage.
"""

import argparse
import sys
from pathlib import Path

from config.errors import SettingsError, shown
from config.loading import shown_path
from config.settings import APP_YML, Effective, explain


def main(arguments: list[str] | None = None) -> int:
    """Check one file, print what is wrong or what is in force, and return the exit status."""
    parser = argparse.ArgumentParser(description="Check the configuration and its environment overrides.")
    parser.add_argument("path", nargs="?", type=Path, default=APP_YML, help="file to check (default: config/app.yml)")
    parser.add_argument("--show", action="store_true", help="print each value in force and where it came from")
    options = parser.parse_args(arguments)
    try:
        effective = explain(options.path)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    if options.show:
        print(_table(effective))
    else:
        overrides = sum(origin.startswith("environment") for origin in effective.origins.values())
        print(f"{shown_path(options.path)}: valid, {len(effective.origins)} keys, {overrides} from the environment")
    return 0


def _table(effective: Effective) -> str:
    rows = [(key, shown(effective.value(key)), origin) for key, origin in effective.origins.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for key, value, origin in rows)


if __name__ == "__main__":
    sys.exit(main())
