"""Which instruments of the symbol table a recording holds."""

from collections.abc import Collection

from market.symbols import Symbol, SymbolTable


def known(
    table: SymbolTable, venue: str, venue_symbols: Collection[str], markets: Collection[str]
) -> tuple[Symbol, ...]:
    """Return the table's instruments of a venue and of these markets that are among the names, by name.

    Where one name stands for two, a pair before and after its steps were changed, the listed one is returned.
    """
    found: dict[tuple[str, str], Symbol] = {}
    for symbol in sorted(table.values(), key=lambda s: (not s.listed, s.name)):
        if symbol.venue == venue and symbol.venue_symbol in venue_symbols and symbol.market in markets:
            found.setdefault((symbol.venue_symbol, symbol.market), symbol)
    return tuple(sorted(found.values(), key=lambda s: s.name))
