"""What the bus refuses.

BusError
├── BadMessage      bytes that are no message of ours: unknown version or kind, missing field, wrong type, too large
├── BusUnavailable  the server does not answer, is loading, or refuses to write (out of memory)
├── NotDurable      the server could lose what it acknowledged, and durability was asked for
├── Fenced          a newer process speaks under our name; this one must end
└── BusNotFound     no server by URL, none on PATH, none in the environment
"""


class BusError(Exception):
    """Anything the bus refuses; its subclasses are drawn in the docstring of `bus.errors`."""


class BadMessage(BusError):
    """Bytes that are no message of ours."""


class BusUnavailable(BusError):
    """The server does not answer, or does not take what it is given."""


class NotDurable(BusError):
    """The server could lose what it has acknowledged."""


class Fenced(BusError):
    """A newer process speaks under our name."""


class BusNotFound(BusError):
    """There is no server to be had."""
