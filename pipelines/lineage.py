"""What a training set is made of, as one hash: a Merkle tree over the content of every partition.

Dagster stops recording the versions of upstream partitions at a hundred of them; a month of four symbols is more. So
the root over all of them is ours, and it changes whenever a single byte of a single partition does.
"""

import hashlib
from collections.abc import Mapping


def merkle_root(leaves: Mapping[str, str]) -> str:
    """Return the root over named content hashes, hex; the order in which they are given does not matter.

    Leaves and inner nodes are hashed with different prefixes (RFC 6962, section 2.1), so that no inner node can pass
    for a leaf. An odd node is carried up unchanged. No leaves at all give the hash of nothing.
    """
    level = [_hash(b"\x00" + f"{name}={leaves[name]}".encode()) for name in sorted(leaves)]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        paired = [_hash(b"\x01" + left + right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = paired + level[len(level) & ~1 :]
    return level[0].hex()


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
