"""Which instruments of the symbol table a recording holds."""

from collections.abc import Collection

from market.symbols import Symbol, SymbolTable


def known(
    table: SymbolTable, venue: str, venue_symbols: Collection[str], markets: Collection[str], *, listed: bool = True
) -> tuple[Symbol, ...]:
    """Return the table's instruments of a venue that are among the names, in the order of the table's names.

    Where one venue symbol stands for two (the same pair before and after its steps were changed), the one whose
    `listed` is as asked is returned.
    """
    found: dict[tuple[str, str], Symbol] = {}
    for symbol in sorted(table.values(), key=lambda s: (s.listed is not listed, s.name)):
        if symbol.venue == venue and symbol.venue_symbol in venue_symbols and symbol.market in markets:
            found.setdefault((symbol.venue_symbol, symbol.market), symbol)
    return tuple(sorted(found.values(), key=lambda s: s.name))
