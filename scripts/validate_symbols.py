"""Check the table of instruments, by itself and against the exchanges' own filters.

`--exchange-info` takes a saved Binance exchangeInfo or Bybit v5 instruments-info answer and may be given several files.
Exit status: 0 sound, 1 mismatches (one line for each), 2 usage.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from market.events import BadReference
from market.exchange_filters import mismatches, read_filters
from market.symbols import SymbolTable, read_symbols


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each mismatch, or what was found sound, and return the exit status."""
    parser = argparse.ArgumentParser(description="Check the table of instruments.")
    parser.add_argument("--symbols", type=Path, required=True, help="the table, data/reference/symbols.yml")
    parser.add_argument("--exchange-info", type=Path, nargs="+", default=[], help="saved answers of the exchanges")
    options = parser.parse_args(arguments)
    try:
        symbols, problems = read_symbols(options.symbols)
    except BadReference as error:
        symbols, problems = {}, [str(error)]
    problems.extend(_compared(SymbolTable(symbols), options.exchange_info))
    for line in problems:
        print(line)
    if not problems:
        print(f"{options.symbols}: {len(symbols)} instruments, compared with {len(options.exchange_info)} files: sound")
    return 1 if problems else 0


def _compared(table: SymbolTable, saved: list[Path]) -> Iterator[str]:
    for path in saved:
        try:
            yield from (f"{path}: {line}" for line in mismatches(table, read_filters(path)))
        except BadReference as error:
            yield str(error)


if __name__ == "__main__":
    sys.exit(main())
