"""Messages survive the wire, and whatever is no message of ours is refused with what was wanted and found."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.codec import MAX_BYTES, DeadLetter, decode, decode_dead, encode, encode_dead, kind_of
from bus.errors import BadMessage
from bus.messages import KINDS, Header, Message
from tests.bus.samples import alert, any_message, entry, header, trade, trade_bytes


@given(any_message())
def test_what_was_said_is_what_is_heard(message: tuple[Header, Message]) -> None:
    """Every kind comes back equal, with the stream, id and deliveries of its entry."""
    head, body = message
    received = decode(entry(encode(head, body), deliveries=3))
    assert received.header == head
    assert received.body == body
    assert (received.stream, received.entry_id, received.deliveries) == ("sig:candidates", "5-1", 3)


@given(any_message(), st.data())
def test_a_field_more_or_less_is_refused(message: tuple[Header, Message], data: st.DataObject) -> None:
    """In the header or in the body, at any place."""
    raw = msgspec.msgpack.decode(encode(*message))
    target = data.draw(st.sampled_from([raw, raw[-1]]))
    if data.draw(st.booleans()):
        target.append(0)
    else:
        target.pop()
    with pytest.raises(BadMessage, match="sig:candidates 5-1: wanted"):
        decode(entry(msgspec.msgpack.encode(raw)))


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_or_refused(noise: bytes) -> None:
    """Nothing but BadMessage ever comes out of noise."""
    with pytest.raises(BadMessage):
        decode(entry(noise))


@given(any_message(), st.data())
def test_damage_is_refused_or_harmless(message: tuple[Header, Message], data: st.DataObject) -> None:
    """A flipped byte either raises BadMessage or gives a message that fits the schema."""
    raw = bytearray(encode(*message))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        received = decode(entry(bytes(raw)))
    except BadMessage:
        return
    assert type(received.body) is KINDS[received.header.kind]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({0: 2}, "wanted version 1, found version 2"),
        ({0: "1"}, "wanted version 1, found version '1'"),
        ({1: "trades"}, "found 'trades'"),
        ({1: 7}, "found 7"),
        ({1: []}, "found []"),
        ({4: "one"}, "Expected `int`, got `str`"),
        ({9: []}, "a trade by its schema"),
        ({9: {}}, "Expected `array`, got `object`"),
    ],
)
def test_the_refusal_names_what_was_found(change: dict[int, Any], said: str) -> None:
    """Version first, then the kind, then the schema."""
    raw = msgspec.msgpack.decode(trade_bytes())
    for place, value in change.items():
        raw[place] = value
    with pytest.raises(BadMessage, match="sig:candidates 5-1") as refused:
        decode(entry(msgspec.msgpack.encode(raw)))
    assert said in str(refused.value)


@pytest.mark.parametrize("value", [b"", b"\xc1", msgspec.msgpack.encode({}), msgspec.msgpack.encode([1])])
def test_what_is_no_array_of_ours_is_refused(value: bytes) -> None:
    """Empty, broken, a map, only a version."""
    with pytest.raises(BadMessage, match="wanted"):
        decode(entry(value))


def test_a_version_that_is_longer_than_a_byte_is_told() -> None:
    """A message from the future may pack its version otherwise; the version is still what is named."""
    raw = msgspec.msgpack.decode(trade_bytes())
    raw[0] = 70_000
    with pytest.raises(BadMessage, match="found version 70000"):
        decode(entry(msgspec.msgpack.encode(raw)))


def test_another_encoder_may_pack_otherwise() -> None:
    """The version as two bytes is the same version."""
    plain = trade_bytes()
    assert decode(entry(plain[:1] + b"\xcc\x01" + plain[2:])) == decode(entry(plain))


def test_too_large_is_refused_on_both_sides() -> None:
    """Neither written nor read, and the limit is named."""
    with pytest.raises(BadMessage, match=f"at most {MAX_BYTES}"):
        encode(header("control"), alert("x" * MAX_BYTES))
    with pytest.raises(BadMessage, match=f"wanted at most {MAX_BYTES} bytes, found {MAX_BYTES + 1}"):
        decode(entry(b"\x9a" * (MAX_BYTES + 1)))


def test_a_header_of_another_kind_is_refused() -> None:
    """A print cannot travel as a book."""
    with pytest.raises(BadMessage, match="MarketTrade is no 'book'"):
        encode(header("book"), trade())
    assert kind_of(trade()) == "trade"


def test_dead_letters_keep_everything() -> None:
    """Place, group, tries, reason and the bytes as they were."""
    aside = entry(b"\xc1", deliveries=3)
    letter = decode_dead(entry(encode_dead(aside, "scorer", "e" * 3_000)))
    assert letter == DeadLetter("sig:candidates", "5-1", "scorer", 3, "e" * 2_000, b"\xc1")
    with pytest.raises(BadMessage, match="wanted a dead letter"):
        decode_dead(aside)
