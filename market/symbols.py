"""What we trade and in which steps: the table of instruments behind data/reference/symbols.yml.

A `Symbol` turns the venue's decimal prices and sizes into integer ticks and lots and back. The conversion is exact:
decimal text never passes through a float, and a price the tick does not divide is refused, because it means that the
table is wrong and every number after it would be too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import yaml
from numpy.typing import NDArray

from market.events import BadEvent, BadReference

Market = Literal["perp", "spot", "inverse"]

_INT32_MAX = 2**31 - 1
_ARRAY_TOLERANCE = 1e-6
_BPS_LIMIT = 1_000.0
_KNOWN_LIMIT = 32_768


class Grid:
    """The whole multiples of one decimal step, and the exact way between a venue's decimal text and their number."""

    __slots__ = ("_decimals", "_scale", "_units", "known", "owner", "step")

    def __init__(self, owner: str, step: Decimal) -> None:
        self.owner = owner
        self.step = step
        exponent = step.as_tuple().exponent
        self._decimals = max(0, -cast(int, exponent))
        self._scale: int = 10**self._decimals
        self._units = int(step * self._scale)
        # The bound method, not the dict: subscripting a dict subclass costs half as much again.
        self.known = _Known(self.count).__getitem__

    def __reduce__(self) -> tuple[type["Grid"], tuple[str, Decimal]]:
        return Grid, (self.owner, self.step)

    def count(self, value: str | Decimal | float) -> int:
        """Return how many steps `value` is.

        Raises BadEvent when it is not a plain decimal number of 0 or more, BadReference when the step does not
        divide it. `known(text)` answers the same for text, from memory when it was asked before.
        """
        text = value if isinstance(value, str) else _plain(value)
        whole, _, fraction = text.partition(".")
        digits = whole + fraction
        if not (digits.isascii() and digits.isdecimal()):
            raise BadEvent(f"{self.owner}: wanted a plain decimal number of 0 or more, found {value!r}")
        units = int(whole + fraction[: self._decimals].ljust(self._decimals, "0"))
        steps, rest = divmod(units, self._units)
        if rest or fraction[self._decimals :].strip("0"):
            raise self.off_grid(repr(value))
        return steps

    def counts(self, values: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return how many steps each value is, int32[n]; raises BadReference for the first that is off the grid."""
        steps = np.multiply(np.asarray(values, dtype=np.float64), self._scale / self._units)
        whole = np.rint(steps)
        with np.errstate(invalid="ignore"):
            good = (np.abs(steps - whole) <= _ARRAY_TOLERANCE) & (whole >= 0) & (whole <= _INT32_MAX)
        if not good.all():
            first = int(np.argmin(good))
            raise self.off_grid(f"{float(np.ravel(values)[first])!r} at index {first}")
        return whole.astype(np.int32)

    def value(self, steps: int) -> float:
        """Return the float nearest to `steps` steps: one division of whole numbers, so rounded once."""
        return int(steps) * self._units / self._scale

    def off_grid(self, found: str) -> BadReference:
        """Return the error that says that `found` does not lie on this grid."""
        return BadReference(
            f"{self.owner}: {found} is not 0 to {_INT32_MAX} whole steps of {self.step}; "
            "mend the step in data/reference/symbols.yml or the data"
        )


class _Known(dict[str, int]):
    """Numbers of steps by their text. Venues repeat a few thousand texts all day, so most levels cost one look-up."""

    def __init__(self, count: Callable[[str], int]) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, text: str) -> int:
        if type(text) is not str:
            raise TypeError(f"wanted decimal text, found {text!r}")
        steps = self._count(text)
        if len(self) >= _KNOWN_LIMIT:
            self.clear()
        self[text] = steps
        return steps


@dataclass(frozen=True, slots=True)
class Symbol:
    """One instrument of one venue.

    `price_tick` and `size_lot` are in quote and base units (contracts for market "inverse", each worth
    `contract_value` of quote currency); fees are basis points of notional; `maintenance_margin_rate` is that of the
    lowest bracket, 0 for spot; `min_notional` 0 means that the venue publishes none. `listed` is False for an
    instrument that is here only because recordings of it exist; it is not compared with the venue's present filters.
    """

    name: str
    venue: str
    venue_symbol: str
    market: Market
    price_tick: Decimal
    size_lot: Decimal
    min_notional: Decimal
    maker_fee_bps: float
    taker_fee_bps: float
    maintenance_margin_rate: float
    contract_value: Decimal = Decimal(1)
    listed: bool = True
    price_grid: Grid = field(init=False, repr=False, compare=False)
    size_grid: Grid = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = list(_field_problems(self))
        if problems:
            raise BadReference(f"{self.name}: " + "; ".join(problems))
        object.__setattr__(self, "price_grid", Grid(f"{self.name} price", self.price_tick))
        object.__setattr__(self, "size_grid", Grid(f"{self.name} size", self.size_lot))

    def price_to_ticks(self, price: str | Decimal | float) -> int:
        """Return the price in ticks, exactly. Raises BadReference when the tick does not divide it."""
        return self.price_grid.count(price)

    def size_to_lots(self, size: str | Decimal | float) -> int:
        """Return the size in lots, exactly. Raises BadReference when the lot does not divide it."""
        return self.size_grid.count(size)

    def prices_to_ticks(self, prices: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return float64[n] prices as int32[n] ticks.

        Raises BadReference for the first price that is more than a millionth of a tick off the grid, not finite,
        negative, or beyond int32.
        """
        return self.price_grid.counts(prices)

    def sizes_to_lots(self, sizes: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return float64[n] sizes as int32[n] lots; raises BadReference as `prices_to_ticks` does."""
        return self.size_grid.counts(sizes)

    def ticks_to_price(self, ticks: int) -> float:
        """Return the float nearest to the exact price of `ticks`."""
        return self.price_grid.value(ticks)

    def lots_to_size(self, lots: int) -> float:
        """Return the float nearest to the exact size of `lots`."""
        return self.size_grid.value(lots)


class SymbolTable(Mapping[str, Symbol]):
    """The instruments we know, by name; asking for another one raises BadReference that lists the known ones."""

    def __init__(self, symbols: Mapping[str, Symbol]) -> None:
        self._symbols = dict(symbols)

    @classmethod
    def load(cls, path: str | Path) -> "SymbolTable":
        """Read symbols.yml. Raises BadReference with every problem found, one a line."""
        symbols, problems = read_symbols(path)
        if problems:
            raise BadReference("\n".join(problems))
        return cls(symbols)

    def __getitem__(self, name: str) -> Symbol:
        if name not in self._symbols:
            raise BadReference(f"unknown symbol {name!r}; symbols.yml has {', '.join(sorted(self._symbols))}")
        return self._symbols[name]

    def __contains__(self, name: object) -> bool:
        return name in self._symbols

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)


def read_symbols(path: str | Path) -> tuple[dict[str, Symbol], list[str]]:
    """Return the instruments of symbols.yml that are sound, and a line for each problem (file, symbol, wanted, found).

    Raises BadReference only when there is nothing to read: the file is missing or is not YAML.
    """
    try:
        document = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadReference(f"{path}: cannot be read as YAML: {error}") from error
    entries = document.get("symbols") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or not entries:
        return {}, [f"{path}: wanted a mapping 'symbols' with at least one instrument, found {entries!r}"]
    symbols: dict[str, Symbol] = {}
    problems: list[str] = []
    for name, entry in entries.items():
        try:
            symbols[str(name)] = _symbol(name, entry)
        except BadReference as error:
            problems.append(f"{path}: {error}")
    return symbols, problems + [f"{path}: {line}" for line in _clashes(symbols)]


class _StrictLoader(yaml.SafeLoader):
    """YAML's own rule lets a repeated key silently replace the first; in a table of instruments that is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
        if repeated:
            raise yaml.constructor.ConstructorError(
                None, None, f"key written twice: {', '.join(repeated)}", node.start_mark
            )
        return super().construct_mapping(node, deep)


_DECIMALS = ("price_tick", "size_lot", "min_notional", "contract_value")
_NUMBERS = ("maker_fee_bps", "taker_fee_bps", "maintenance_margin_rate")
_REQUIRED = ("venue", "venue_symbol", "market", "price_tick", "size_lot", "min_notional", *_NUMBERS)
_OPTIONAL = ("contract_value", "listed")


def _symbol(name: object, entry: object) -> Symbol:
    if not isinstance(entry, dict):
        raise BadReference(f"{name}: wanted a mapping of {', '.join(_REQUIRED)}, found {entry!r}")
    missing = [key for key in _REQUIRED if key not in entry]
    unknown = [str(key) for key in entry if key not in (*_REQUIRED, *_OPTIONAL)]
    if missing or unknown:
        raise BadReference(f"{name}: missing keys {missing}, unknown keys {unknown}")
    values = dict(entry)
    for key in _DECIMALS:
        if key in values:
            values[key] = _decimal(name, key, values[key])
    for key in _NUMBERS:
        if isinstance(values[key], bool) or not isinstance(values[key], int | float):
            raise BadReference(f"{name}: {key} must be a number, was {values[key]!r}")
        values[key] = float(values[key])
    return Symbol(name=cast(str, name), **values)


def _decimal(name: object, key: str, value: object) -> Decimal:
    """Read through text, so that 0.1 written without quotes is still one tenth."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise BadReference(f"{name}: {key} must be a decimal number, was {value!r}") from None


def _field_problems(symbol: Symbol) -> Iterator[str]:
    """Name each field that cannot be, with what was wanted and found."""
    letters = symbol.name.replace("_", "").replace("-", "") if isinstance(symbol.name, str) else ""
    if not (letters.isascii() and letters.isalnum() and letters == letters.upper()):
        yield f"name must be made of A-Z, 0-9, _ and -, was {symbol.name!r}"
    for key in ("venue", "venue_symbol"):
        if not isinstance(getattr(symbol, key), str) or not getattr(symbol, key):
            yield f"{key} must be a word, was {getattr(symbol, key)!r}"
    if symbol.market not in get_args(Market):
        yield f"market must be one of {', '.join(get_args(Market))}, was {symbol.market!r}"
    for key in ("price_tick", "size_lot", "contract_value"):
        if not (getattr(symbol, key).is_finite() and getattr(symbol, key) > 0):
            yield f"{key} must be above 0, was {getattr(symbol, key)}"
    if not (symbol.min_notional.is_finite() and symbol.min_notional >= 0):
        yield f"min_notional must be 0 or more, was {symbol.min_notional}"
    if not -_BPS_LIMIT < symbol.maker_fee_bps <= symbol.taker_fee_bps < _BPS_LIMIT:
        yield f"fees must be maker <= taker, was maker {symbol.maker_fee_bps}, taker {symbol.taker_fee_bps} bps"
    if not 0.0 <= symbol.maintenance_margin_rate < 1.0:
        yield f"maintenance_margin_rate must be a share from 0 to 1, was {symbol.maintenance_margin_rate}"
    elif (symbol.maintenance_margin_rate == 0.0) != (symbol.market == "spot"):
        yield f"maintenance_margin_rate must be 0 for spot and above 0 elsewhere, was {symbol.maintenance_margin_rate}"
    if not isinstance(symbol.listed, bool):
        yield f"listed must be true or false, was {symbol.listed!r}"


def _clashes(symbols: Mapping[str, Symbol]) -> Iterator[str]:
    """Name the listed instruments that stand for the same thing at the same venue."""
    owners: dict[tuple[str, str, str], str] = {}
    for symbol in symbols.values():
        if symbol.listed:
            owner = owners.setdefault((symbol.venue, symbol.market, symbol.venue_symbol), symbol.name)
            if owner != symbol.name:
                yield f"{symbol.name}: {owner} already is {symbol.venue} {symbol.market} {symbol.venue_symbol}"


def _plain(value: Decimal | float) -> str:
    """Write a number without exponent; a float by its shortest text, which is what its source printed."""
    return format(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), "f")
