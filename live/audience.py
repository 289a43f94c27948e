"""From what services subscribe to, to what a host reads: which streams, from where, by which groups, for whom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bus.ids import ZERO, before, parse, write
from bus.ids import Key as IdKey
from bus.protocol import Bus
from live.errors import LiveError
from live.handing import writer_of
from live.service import Subscription

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Audience(Generic[S]):
    """Who gets what.

    `subscribers` are all services on a stream with their groups ("" for one that follows it); `members` finds the
    service behind (stream, group); `followers` are those that follow a stream, with the id each of them starts behind.
    `tails` are the streams to follow with the lowest of those ids. `history` are streams that a service of this very
    process writes: what is on them now is read once from there, and never what comes, for that is handed on directly.
    """

    subscribers: Mapping[str, Sequence[tuple[S, str]]]
    members: Mapping[tuple[str, str], S]
    followers: Mapping[str, Sequence[tuple[S, IdKey]]]
    tails: Mapping[str, str]
    history: Mapping[str, str]

    @property
    def groups(self) -> Sequence[tuple[str, str]]:
        """(stream, group) of every group."""
        return list(self.members)


def audience_of(
    rows: Sequence[tuple[S, str, Sequence[Subscription]]],
    bus: Bus,
    writer_of: Callable[[str], str | None] = writer_of,
) -> Audience[S]:
    """Resolve (service, its name, its subscriptions) rows against what the bus holds.

    `writer_of` tells the name of the one who writes a stream, None where there are several.

    Raises LiveError for a start that is none, or a group two services share; BusUnavailable.
    """
    hosted = {name for _, name, _ in rows}
    subscribers: dict[str, list[tuple[S, str]]] = {}
    members: dict[tuple[str, str], S] = {}
    followers: dict[str, list[tuple[S, IdKey]]] = {}
    for service, name, subscriptions in rows:
        for each in subscriptions:
            subscribers.setdefault(each.stream, []).append((service, each.group))
            if not each.group:
                followers.setdefault(each.stream, []).append((service, start_of(each, bus)))
            elif (each.stream, each.group) in members:
                raise LiveError(f"{name}: group {each.group} on {each.stream} is another service's; name it apart")
            else:
                members[each.stream, each.group] = service
    lowest = {stream: min(start for _, start in found) for stream, found in followers.items()}
    own = {stream for stream in lowest if writer_of(stream) in hosted}
    return Audience(
        subscribers=subscribers,
        members=members,
        followers=followers,
        tails={stream: write(start) for stream, start in lowest.items() if stream not in own},
        history={stream: write(start) for stream, start in lowest.items() if stream in own},
    )


def start_of(subscription: Subscription, bus: Bus) -> IdKey:
    """The id to read behind: `$`, `0`, `recent:N` or an id. Raises LiveError for anything else, BusUnavailable."""
    stream, start = subscription.stream, subscription.start
    if start == "$":
        return parse(bus.last_id(stream))
    if start == "0":
        return ZERO
    kind, _, rest = start.partition(":")
    if kind == "recent" and rest.isdigit() and int(rest) > 0:
        newest = bus.recent(stream, int(rest))
        return before(parse(newest[0].id)) if newest else ZERO
    milliseconds, dash, number = start.partition("-")
    if dash and milliseconds.isdigit() and number.isdigit():
        return parse(start)
    raise LiveError(f"{stream}: a subscription starts at $, 0, recent:N or an id like 1767787200000-0, was {start!r}")
