"""One message of every kind, drawn at random within what its schema allows, and entries made of them."""

from typing import Any, Literal, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from bus.codec import encode
from bus.messages import KINDS, VERSION, Body, ControlEvent, Header, MarketTrade, Message
from bus.protocol import Entry

_INTEGERS = st.integers(-(2**63), 2**63 - 1)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) is list:
        return st.lists(_values(get_args(hint)[0]), max_size=4)
    if isinstance(hint, type) and issubclass(hint, Body):
        return bodies(hint)
    plain = {int: _INTEGERS, float: st.floats(allow_nan=False), str: st.text(max_size=8), bool: st.booleans()}
    return plain.get(hint, st.binary(max_size=8))


def bodies(kind: type[Body]) -> st.SearchStrategy[Any]:
    """Any body of a kind."""
    return st.builds(kind, **{name: _values(hint) for name, hint in get_type_hints(kind).items()})


def any_message() -> st.SearchStrategy[tuple[Header, Message]]:
    """Any header with a body that fits it."""
    stamps = st.integers(0, 2**63 - 1)

    def headed(item: tuple[str, type[Body]]) -> st.SearchStrategy[tuple[Header, Any]]:
        kind, body = item
        text = st.text(max_size=8)
        header = st.builds(Header, st.just(VERSION), st.just(kind), text, stamps, stamps, stamps, stamps, stamps, text)
        return st.tuples(header, bodies(body))

    return st.sampled_from(list(KINDS.items())).flatmap(headed)


def trade(price_ticks: int = 100) -> MarketTrade:
    """A print."""
    return MarketTrade("BTCUSDT", 1, 2, 3, price_ticks, 5, 1)


def alert(text: str = "") -> ControlEvent:
    """A control event."""
    return ControlEvent("ALERT", "INFO", "", "", "test", "test", 1, "", "", text)


def header(kind: str, *, writer: str = "w", epoch: int = 1, seq: int = 1, message_id: str = "m") -> Header:
    """A header with times that do not matter."""
    return Header(VERSION, kind, writer, epoch, seq, 10, 20, 30, message_id)


def entry(data: bytes, stream: str = "sig:candidates", entry_id: str = "5-1", deliveries: int = 1) -> Entry:
    """An entry as a group delivers it."""
    return Entry(stream, entry_id, data, deliveries, "g")


def trade_bytes(price_ticks: int = 100, **fields: Any) -> bytes:
    """The bytes of a print's message."""
    return encode(header("trade", **fields), trade(price_ticks))
