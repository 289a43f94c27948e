"""tidegate tail STREAM: messages as they come, one line each, since redis-cli cannot read them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape

from bus.codec import decode, decode_dead
from bus.errors import BadMessage, BusError
from bus.protocol import Bus, Entry
from bus.streams import DURABLE
from config.settings import Settings
from tidegate.complaint import complain
from tidegate.streams import NoStreams, opened

_WAIT_MS = 500


def run(settings: Settings, url: str, streams: Sequence[str], count: int, *, follow: bool, as_json: bool) -> int:
    """Print the newest `count` messages of each stream, then what comes; returns 0, or 1 without streams."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        with opened(settings, url) as bus:
            names = list(streams) or list(DURABLE)
            recent = sorted((each for name in names for each in bus.recent(name, count)), key=_place)
            for entry in recent:
                show(console, entry, as_json=as_json)
            if follow:
                for entry in _coming(bus, names):
                    show(console, entry, as_json=as_json)
    except KeyboardInterrupt:
        return 0
    except (NoStreams, BusError) as error:
        complain(str(error))
        return 1
    return 0


def show(console: Console, entry: Entry, *, as_json: bool) -> None:
    """Print one entry: a message, a dead letter, or what is wrong with it."""
    plain = as_plain(entry)
    if as_json:
        console.out(json.dumps(plain), highlight=False)
        return
    body = ", ".join(f"[dim]{name}[/] {escape(str(value))}" for name, value in plain.get("body", {}).items())
    colour = "red" if "error" in plain else "cyan"
    told = escape(str(plain.get("error", ""))) or body
    console.print(f"[{colour}]{escape(entry.stream)}[/] {entry.id} [bold]{plain.get('kind', '')}[/] {told}")


def as_plain(entry: Entry) -> Mapping[str, Any]:
    """An entry as plain values: its header and body by name; bytes are shown by their length."""
    place = {"stream": entry.stream, "entry": entry.id}
    try:
        if entry.stream.startswith("dlq:"):
            dead = decode_dead(entry)
            inside = as_plain(Entry(dead.stream, dead.entry_id, dead.data, dead.deliveries, dead.group))
            return {**place, "kind": "dead letter", "group": dead.group, "error": dead.error, "message": inside}
        received = decode(entry)
    except BadMessage as error:
        return {**place, "error": str(error)}
    header = received.header._asdict()
    body = {name: _plain(getattr(received.body, name)) for name in received.body.__struct_fields__}
    return {**place, **header, "body": body}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _coming(bus: Bus, names: Sequence[str]) -> Iterator[Entry]:
    reader = bus.reader("tail", dict.fromkeys(names, "$"), [])
    while True:
        yield from reader.poll(_WAIT_MS)


def _place(entry: Entry) -> tuple[int, int]:
    milliseconds, _, number = entry.id.partition("-")
    return int(milliseconds), int(number)
