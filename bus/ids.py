"""Entry ids of streams, `<milliseconds>-<number>`: read, written, compared, and the one before."""

from bus.errors import BusError

Key = tuple[int, int]
"""An id that compares."""

_HIGHEST = 2**64 - 1
ZERO: Key = (0, 0)


def parse(text: str) -> Key:
    """Return an id as a pair that compares; `5` is 5-0. Raises BusError for anything else."""
    ms, dash, number = text.partition("-")
    try:
        return int(ms), int(number) if dash else 0
    except ValueError:
        raise BusError(f"an entry id is <milliseconds>-<number>, was {text!r}") from None


def write(key: Key) -> str:
    """Return the text of an id."""
    return f"{key[0]}-{key[1]}"


def before(key: Key) -> Key:
    """Return the highest id below one; 0-0 has none and stays."""
    ms, number = key
    if number:
        return ms, number - 1
    return (ms - 1, _HIGHEST) if ms else ZERO


def after(key: Key) -> Key:
    """Return the lowest id above one."""
    ms, number = key
    return (ms, number + 1) if number < _HIGHEST else (ms + 1, 0)
