"""A small part of `make fuzz`: every decoder takes its valid inputs, and refuses changed ones as it should."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.fuzz import decoders
from tests.fuzz.changing import changed
from tests.fuzz.decoders import DECODERS, Decoder

_WANTED = 1_000_000
_NEVER_WHOLE = {"journal-line", "signature", "exchange-filters"}
"""Their seeds are refused for a reason that lies outside the bytes, or hold both kinds of file."""


@pytest.fixture(scope="module", autouse=True)
def _place() -> Iterator[None]:
    yield
    decoders.clean()


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda each: each.name)
def test_changed_bytes_are_taken_or_refused(decoder: Decoder) -> None:
    """Nothing but the refusals that are said to come comes out."""
    seeds, chance = decoder.seeds(), Random(7)
    whole = [decoder.try_on(each) for each in seeds]
    assert any(whole) or decoder.name in _NEVER_WHOLE, "no seed is valid, so nothing deep is reached"
    for _ in range(decoder.few):
        decoder.try_on(changed(chance.choice(seeds), chance))


def test_make_fuzz_tries_enough() -> None:
    """The figure the security page states."""
    assert sum(each.runs for each in DECODERS) >= _WANTED


def test_a_fault_is_found() -> None:
    """A decoder that lets another error out is told of."""

    def broken(content: bytes) -> None:
        raise IndexError(content)

    with pytest.raises(IndexError):
        Decoder("broken", lambda: [b"x"], broken, (ValueError,), 1).try_on(b"x")
