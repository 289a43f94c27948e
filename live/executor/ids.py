"""Client order ids: a function of what the order is for, so that the same intent has the same id for ever.

`tg`, sixteen letters of the approval's hash, the leg, the rung and which replacement it is: `tgabcdefghijklmnop-e0-0`.
At most 36 characters of [A-Za-z0-9_-], as Binance and Bybit take them.
"""

import re
from base64 import b32encode
from hashlib import blake2b

from bus.messages import Leg

LONGEST = 36
_OURS = re.compile(r"^tg[a-z2-7]{16}-[ex]\d{1,2}-\d{1,9}$")
_LETTER = {"entry": "e", "exit": "x"}


def client_id(approval_id: str, leg: Leg, rung: int, replacement: int) -> str:
    """Return the id of one order of an approval."""
    digest = blake2b(approval_id.encode(), digest_size=10).digest()
    return f"tg{b32encode(digest).decode().lower()}-{_LETTER[leg]}{rung}-{replacement}"


def is_ours(found: str) -> bool:
    """Tell whether an id that the venue shows was made here, by this process or an earlier one."""
    return _OURS.match(found) is not None
