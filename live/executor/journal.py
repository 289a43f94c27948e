"""The intent journal: append-only, checksummed, hash-chained; what is on it is durable before a venue hears of it.

A record is a CRC of what follows, its length, how much of the file was durable when it was written, the chain's hash
before it, and its payload. `head` is the hash of everything ever written, compactions included: one history, one head.

A crash of the machine tears the end: the tail is cut behind the last whole record that follows from its predecessor.
Records that were durable are never cut: where one of them is damaged, a record behind it says so, and the journal is
refused (JournalDamaged), because positions may hang on what is lost.
"""

import struct
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from live.errors import JournalDamaged, JournalError
from live.executor.journal_files import JournalFile

HASH_BYTES = 16
GENESIS = bytes(HASH_BYTES)
LONGEST_RECORD = 64 * 1024 * 1024
_CHECK = struct.Struct("<I")
_HEAD = struct.Struct("<IQ16s")
_BEGIN = _CHECK.size + _HEAD.size


class Recovered(NamedTuple):
    """What a file holds: payloads in order, the chain's head behind them, its whole bytes, and how many follow them."""

    payloads: list[bytes]
    head: bytes
    whole_bytes: int
    torn_bytes: int


def frame(payload: bytes, before: bytes, durable: int) -> bytes:
    """A record's bytes."""
    checked = _HEAD.pack(len(payload), durable, before) + payload
    return _CHECK.pack(zlib.crc32(checked)) + checked


def chain(before: bytes, payload: bytes) -> bytes:
    """The chain's hash behind a record."""
    return blake2b(before + payload, digest_size=HASH_BYTES).digest()


def recover(data: bytes) -> Recovered:
    """Read a journal's bytes. Raises JournalDamaged when a record that was durable is not whole."""
    payloads: list[bytes] = []
    at, head = 0, b""
    while (found := _record_at(data, at)) is not None:
        before, payload, _ = found
        if head and before != head:
            break
        payloads.append(payload)
        head = chain(before, payload)
        at += _BEGIN + len(payload)
    if at < len(data):
        _refuse_damage(data, at)
    return Recovered(payloads, head or GENESIS, at, len(data) - at)


class Journal:
    """One journal over one file. Raises JournalDamaged, and JournalError when the disk refuses."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        self.problem = ""
        """Why nothing can be written, empty while it can."""
        try:
            found = recover(file.read())
            if found.torn_bytes:
                file.truncate(found.whole_bytes)
        except OSError as refused:
            raise JournalError(f"the journal cannot be read: {refused}") from refused
        self.recovered: Sequence[bytes] = found.payloads
        self.torn_bytes = found.torn_bytes
        self._head = found.head
        self._size = self._durable = found.whole_bytes

    @property
    def head(self) -> str:
        """The chain's hash, hexadecimal."""
        return self._head.hex()

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._size

    @property
    def is_durable(self) -> bool:
        """Whether everything that was appended is durable."""
        return self._durable == self._size

    def append(self, payloads: Sequence[bytes]) -> None:
        """Write records. Raises JournalError; then none of them counts, and nothing is written until `replace`."""
        self._refuse_when_broken()
        head, parts = self._head, []
        for payload in payloads:
            parts.append(frame(payload, head, self._durable))
            head = chain(head, payload)
        data = b"".join(parts)
        try:
            self._file.append(data)
        except OSError as refused:
            self._break(refused)
        self._head = head
        self._size += len(data)

    def sync(self) -> None:
        """Make durable what was appended. Raises JournalError."""
        if self._durable == self._size:
            return
        self._refuse_when_broken()
        try:
            self._file.sync()
        except OSError as refused:
            # The kernel may have dropped the pages and call the next sync a success: only a new file is believed.
            self._break(refused)
        self._durable = self._size

    def replace(self, payload: bytes) -> None:
        """Become one record that stands for all before it, durably: compaction, and the way back from a full disk.

        Raises JournalError; the old file is as it was then.
        """
        data = frame(payload, self._head, 0)
        try:
            self._file.replace(data)
        except OSError as refused:
            self._break(refused)
        self._head = chain(self._head, payload)
        self._size = self._durable = len(data)
        self.problem = ""

    def close(self) -> None:
        """Give the file up; what was appended is durable, if the disk lets it."""
        try:
            if not self.problem:
                self.sync()
        finally:
            self._file.close()

    def _refuse_when_broken(self) -> None:
        if self.problem:
            raise JournalError(self.problem)

    def _break(self, refused: OSError) -> None:
        self.problem = f"the journal cannot be written: {refused}"
        raise JournalError(self.problem) from refused


def _record_at(data: bytes, at: int) -> tuple[bytes, bytes, int] | None:
    """The record that begins at an offset: the hash before it, its payload, what was durable. None when it is none."""
    if at + _BEGIN > len(data):
        return None
    length, durable, before = _HEAD.unpack_from(data, at + _CHECK.size)
    end = at + _BEGIN + length
    if length > LONGEST_RECORD or end > len(data):
        return None
    if zlib.crc32(memoryview(data)[at + _CHECK.size : end]) != _CHECK.unpack_from(data, at)[0]:
        return None
    return before, data[at + _BEGIN : end], durable


def _refuse_damage(data: bytes, at: int) -> None:
    """Raise when a whole record behind the break proves that the break was durable."""
    for later in range(at + 1, len(data) - _BEGIN + 1):
        found = _record_at(data, later)
        if found is not None and found[2] > at and len(found[1]) > 0:
            raise JournalDamaged(
                f"the journal is damaged at byte {at}: {found[2]} bytes were durable when byte {later} was written; "
                "keep the file, compare positions with the venue, and start with a new one"
            )
