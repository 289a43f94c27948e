"""What must be given before one real order may be sent: the mode, keys of our own, symbols as the venue has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from config.errors import SettingsError
from config.secrets import API_KEY, API_SECRET, Secret, read_secret
from config.settings import Settings
from live.errors import RealModeRefused
from market.exchange_filters import Filters, mismatches
from market.symbols import Symbol, SymbolTable


@dataclass(frozen=True, slots=True)
class Keys:
    """The venue's key and secret. Not shown by repr, so that no log and no traceback has them."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)


def require(
    settings: Settings, environ: Mapping[str, str], symbols: Mapping[str, Symbol], filters: Sequence[Filters]
) -> Keys:
    """Return the keys. Raises RealModeRefused with every reason why real orders must not be sent, one a line.

    `filters` is what the venue says of its instruments now (live.exchange.venue_filters.fetch).
    """
    problems: list[str] = []
    if settings.exchange.mode != "real":
        problems.append(f"exchange.mode must be real, was {settings.exchange.mode}; set it in config/app.yml")
    values = [_secret(each, environ, problems) for each in (API_KEY, API_SECRET)]
    problems += _symbol_problems(settings.exchange.venue, symbols, filters)
    if problems:
        raise RealModeRefused("real orders are refused:\n" + "\n".join(f"- {each}" for each in problems))
    return Keys(*values)


def _secret(secret: Secret, environ: Mapping[str, str], problems: list[str]) -> str:
    """A key; a problem is noted and the value is empty."""
    try:
        value = read_secret(secret, environ)
    except SettingsError as error:
        problems.extend(error.problems)
        return ""
    if not value:
        name = secret.variable
        problems.append(f"{name} is not in the environment; set it, or {name}_FILE to a file that holds it")
    return value


def _symbol_problems(venue: str, symbols: Mapping[str, Symbol], filters: Sequence[Filters]) -> list[str]:
    problems: list[str] = []
    for symbol in symbols.values():
        if (symbol.venue, symbol.market) != (venue, "perp"):
            problems.append(
                f"{symbol.name}: symbols.yml has it as {symbol.venue} {symbol.market}, exchange.venue is {venue} perp"
            )
        elif not symbol.listed:
            problems.append(f"{symbol.name}: symbols.yml has listed: false, it is known for its recordings alone")
    if not filters:
        return [*problems, f"{venue} has told nothing about its instruments; ask it again"]
    return problems + list(mismatches(SymbolTable(symbols), list(filters)))
