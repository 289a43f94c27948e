"""The rollout state beside the mirror: how much of the trade the canary may have, as promotions and guards left it.

    ROOT/rollout.json   one record, replaced whole

Whoever trades takes the smaller of it and of the configuration. No file means nobody has said anything yet.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from registry.errors import ManifestError
from registry.files import write_file

ROLLOUT_FILE = "rollout.json"

Mode = Literal["disabled", "canary", "full"]
Moment = Annotated[datetime, Meta(tz=True)]


class RolloutState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """rollout.json. `epoch` rises with every change; `salt` is new for every canary, so that each draws its own share.

    Until `cooldown_until` the rollout is disabled whatever `mode` says.
    """

    epoch: Annotated[int, Meta(ge=1)]
    mode: Mode
    canary_fraction: Annotated[float, Meta(ge=0.0, le=1.0)]
    salt: str
    cooldown_until: Moment | None = None
    reason: str
    by: str
    at: Moment


def read(root: Path) -> RolloutState | None:
    """Return the state of a mirror, None where there is no file; raise ManifestError when it cannot be read."""
    path = root / ROLLOUT_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=RolloutState)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"{path}: {error}; until it is written anew the rollout is disabled") from error


def write(root: Path, state: RolloutState) -> None:
    """Replace the state of a mirror; raises FileError and leaves the old one."""
    write_file(root / ROLLOUT_FILE, msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
