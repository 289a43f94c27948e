"""Messages to bytes and back: one msgpack array [version, kind, writer, epoch, seq, times, id, body], checked in full.

The first bytes name version and kind, so the fitting decoder reads the whole array in one pass; only what it refuses
is looked at again, to say what was wrong.
"""

from typing import Any

import msgspec

from bus.errors import BadMessage
from bus.messages import KINDS, VERSION, Body, Header, Message, Received
from bus.protocol import Entry

MAX_BYTES = 1_048_576
"""No message is larger; one that is stays out of the server's memory."""

_HEADER = (int, str, str, int, int, int, int, int, str)
_FIELDS = len(Header._fields) + 1
_NAMES: dict[type[Body], str] = {body: name for name, body in KINDS.items()}
_ENCODE = msgspec.msgpack.Encoder().encode


def _prefix(kind: str) -> bytes:
    return _ENCODE([VERSION, kind] + [None] * (_FIELDS - 2))[: 3 + len(kind)]


def _decoder(body: type[Body]) -> "msgspec.msgpack.Decoder[Any]":
    return msgspec.msgpack.Decoder(tuple.__class_getitem__((*_HEADER, body)))


_BY_KIND = {kind: _decoder(body).decode for kind, body in KINDS.items()}
_BY_PREFIX = {_prefix(kind): decode for kind, decode in _BY_KIND.items()}
_BROKEN = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)
"""What msgspec raises on bytes that are no message, some of it from inside Python."""


class DeadLetter(msgspec.Struct, array_like=True, frozen=True):
    """A message that was set aside: where it stood, who could not take it, why, and its bytes as they were."""

    stream: str
    entry_id: str
    group: str
    deliveries: int
    error: str
    data: bytes


_DEAD = msgspec.msgpack.Decoder(DeadLetter)


def kind_of(body: Message) -> str:
    """Return the name of a body's kind on the wire."""
    return _NAMES[type(body)]


def encode(header: Header, body: Message) -> bytes:
    """Return a message's bytes. Raises BadMessage when they are more than MAX_BYTES or the kinds disagree."""
    if _NAMES.get(type(body)) != header.kind:
        raise BadMessage(f"message {header.id!r} of {header.writer}: a {type(body).__name__} is no {header.kind!r}")
    data = _ENCODE((*header, body))
    if len(data) > MAX_BYTES:
        raise BadMessage(
            f"message {header.id!r} of {header.writer}: {header.kind} takes {len(data)} bytes, at most {MAX_BYTES}"
        )
    return data


def decode(entry: Entry) -> Received:
    """Return the message of an entry.

    Raises BadMessage, which names stream, entry, what was wanted and what was found: another version, an unknown kind,
    a field missing, too many or of a wrong type, more than MAX_BYTES, or no message at all.
    """
    data = entry.data
    if len(data) > MAX_BYTES:
        raise _bad(entry, f"at most {MAX_BYTES} bytes", f"{len(data)}")
    try:
        fields = _BY_PREFIX[data[: 3 + (data[2] & 0x1F)]](data)
    except (KeyError, IndexError):
        fields = _slowly(entry)
    except _BROKEN as refused:
        _slowly(entry)
        raise _bad(entry, "a message by its schema", str(refused)) from None
    return Received(entry.stream, entry.id, Header(*fields[:-1]), fields[-1], entry.deliveries)


def encode_dead(entry: Entry, group: str, error: str) -> bytes:
    """Return the bytes of an entry that is set aside; an error's text is cut at 2,000 characters."""
    return _ENCODE(DeadLetter(entry.stream, entry.id, group, entry.deliveries, error[:2_000], entry.data))


def decode_dead(entry: Entry) -> DeadLetter:
    """Return what stands on a `dlq:` stream; raises BadMessage for anything else."""
    try:
        return _DEAD.decode(entry.data)
    except _BROKEN as refused:
        raise _bad(entry, "a dead letter", str(refused)) from None


def _slowly(entry: Entry) -> Any:
    """Decode what another encoder may have packed otherwise, or say what is wrong, the most telling first."""
    try:
        raw = msgspec.msgpack.decode(entry.data)
    except _BROKEN as broken:
        raise _bad(entry, "a msgpack array", f"{len(entry.data)} bytes that are none ({broken})") from None
    if not isinstance(raw, list) or not raw:
        raise _bad(entry, "a msgpack array that begins with its version", type(raw).__name__)
    if raw[0] != VERSION:
        raise _bad(entry, f"version {VERSION}", f"version {raw[0]!r:.40}")
    kind = raw[1] if len(raw) > 1 else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise _bad(entry, f"a kind of {', '.join(KINDS)}", f"{kind!r:.40}")
    if len(raw) != _FIELDS:
        raise _bad(entry, f"{_FIELDS} fields", f"{len(raw)}")
    try:
        return _BY_KIND[kind](entry.data)
    except _BROKEN as refused:
        raise _bad(entry, f"a {kind} by its schema", str(refused)) from None


def _bad(entry: Entry, wanted: str, found: str) -> BadMessage:
    return BadMessage(f"{entry.stream} {entry.id}: wanted {wanted}, found {found}")
