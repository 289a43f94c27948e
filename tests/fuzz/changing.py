"""Valid bytes changed at random, the ways in which files break and people cheat."""

from random import Random

_TELLING = (
    b"\x00",
    b"\xff",
    b"\x80",
    b"\x7f",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"[" * 200,
    b"{",
    b'"',
    b"\xc0\xc1",
    b"9" * 30,
)


def changed(content: bytes, chance: Random) -> bytes:
    """Return the content with one to four changes: bits, bytes, cuts, doubled pieces, telling insertions."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found) + 1)
        kind = chance.randrange(5)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(found):
            found[at] = chance.randrange(256)
        elif kind == 2:
            del found[at : at + chance.randint(1, 64)]
        elif kind == 3:
            found[at:at] = found[at : at + chance.randint(1, 64)]
        else:
            found[at:at] = chance.choice(_TELLING)
    return bytes(found)
