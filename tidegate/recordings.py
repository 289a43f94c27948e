"""From a folder of recordings to the settings that read it: which format it is, which symbols and days it holds."""

from pathlib import Path

from archive.errors import SourceError
from archive.sources.protocol import KINDS, open_source
from config.settings import load
from market.symbols import SymbolTable


def overrides(folder: Path) -> dict[str, str]:
    """The environment overrides that make a folder of recordings the source of the pipelines.

    Raises:
        SourceError: there is no such folder, or no importer knows what lies in it; the message then tells what each of
            them looked for.
    """
    if not folder.exists():
        raise SourceError(f"{folder}: no such folder; give the folder that holds the recordings")
    table = SymbolTable.load(load(environ={}).paths.symbols)
    refusals: list[str] = []
    for kind in KINDS:
        try:
            source = open_source(kind, folder, table)
        except SourceError as error:
            refusals.append(f"{kind}: {error}")
            continue
        held = {symbol.name: source.days(symbol) for symbol in source.symbols()}
        days = sorted({day for each in held.values() for day in each})
        if days:
            return {
                "SOURCE_KIND": kind,
                "SOURCE_PATH": str(folder.resolve()),
                "MARKET_SYMBOLS": ",".join(sorted(held)),
                "MARKET_FIRST_DAY": days[0].isoformat(),
                "MARKET_LAST_DAY": days[-1].isoformat(),
            }
        refusals.append(f"{kind}: no day of a symbol that {table.__class__.__name__} knows")
    raise SourceError(f"{folder}: no importer can read it; " + "; ".join(refusals))
