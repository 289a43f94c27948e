"""The seeded simulator as a source of days, with the hole that the configuration plants in the primary feed.

A backfill reads the same days without the hole, as a second archive would hold them.
"""

from datetime import date

from archive.layout import day_bounds_ns
from archive.sources.day import DayOfMarket
from config.sections import Simulator
from market.simulator import simulate_columns
from market.simulator_defects import Defect
from market.simulator_rule import usual_rule
from market.symbols import Symbol, SymbolTable

_NS_PER_SECOND = 1_000_000_000


class SimulatedSource:
    """Days of Binance USD-M market data that never were; the same seed makes the same days."""

    name = "simulator"

    def __init__(self, settings: Simulator, table: SymbolTable, *, with_defects: bool) -> None:
        self._settings = settings
        self._table = table
        self._with_defects = with_defects

    def symbols(self) -> tuple[Symbol, ...]:
        """Return the instruments it can simulate: the USD-M perpetuals of the table."""
        return tuple(s for s in self._table.values() if s.venue == "binance" and s.market == "perp")

    def days(self, symbol: Symbol) -> tuple[date, ...]:  # noqa: ARG002 - a Source is asked by symbol
        """Return no day: a simulator has all of them."""
        return ()

    def read_day(self, symbol: Symbol, day: date) -> DayOfMarket:
        """Simulate one UTC day of a symbol."""
        start_ns, end_ns = day_bounds_ns(day)
        rule = usual_rule(symbol.name, self._settings.depth_interval_ms, self._settings.order_flow_effect)
        defects = self._planted(symbol, day, start_ns) if self._with_defects else ()
        book, trades = simulate_columns(
            symbol, start_ns, end_ns, self._settings.seed, rule=rule, defects=defects, carried=True
        )
        return DayOfMarket(book, trades, {"planted_gaps": len(defects)} if defects else {})

    def _planted(self, symbol: Symbol, day: date, start_ns: int) -> tuple[Defect, ...]:
        wanted = self._settings
        if symbol.name != wanted.gap_symbol or day != wanted.gap_day or not wanted.gap_minutes:
            return ()
        at_ns = start_ns + round(wanted.gap_start_hour * 3_600 * _NS_PER_SECOND)
        return (Defect("gap", at_ns, duration_ns=round(wanted.gap_minutes * 60 * _NS_PER_SECOND)),)
