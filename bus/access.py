"""Who may do what on the streams' server: one user a service, which may write its own streams and read its inputs.

`acl_file` makes the server's `aclfile` of it; `python -m bus.access` prints the template that is committed as
`deploy/redis/users.acl`. The rules are selectors (Redis 7): a command is let through with the keys of one bracket, so
whoever reads `sig:approved` in a group, which takes the right to change the group, still cannot add to the stream.
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bus import streams

_MARKET: Final = "md:*"
_CANDIDATES: Final = (streams.CANDIDATES, f"{streams.CANDIDATES}:*")
"""The first share's stream, and those of the others (`streams.candidates`)."""
_EVERYTHING: Final = (_MARKET, "sig:*", "exec:*", "eval:*", streams.CONTROL, "dlq:*")

_OF_EVERYBODY: Final = "+ping +info +time +scan +client|id +client|unblock +multi +exec"
"""Commands without a key; HELLO and AUTH are open to all."""
_LOOK: Final = "+xread +xrange +xrevrange +xinfo|stream +xinfo|groups +xpending"
_GROUP: Final = "+xreadgroup +xack +xclaim +xautoclaim +xgroup|create"
_PLACE: Final = "@"


@dataclass(frozen=True, slots=True)
class User:
    """One user: streams it adds to, streams it reads, streams it has a group on, streams it shortens.

    `names` are those it speaks under: the writers whose epochs it takes and whose heartbeats it leaves.
    """

    name: str
    names: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    trims: tuple[str, ...] = ()

    def rules(self) -> str:
        """The rules behind `user NAME on #HASH`."""
        everybody = _OF_EVERYBODY if self != HEALTH else "+ping"
        brackets = [
            _bracket(_LOOK, (*self.adds, *self.reads, *self.groups, *self.trims), "%R~"),
            _bracket("+xadd", (*self.adds, *(streams.dead_letters(each) for each in self.groups))),
            _bracket(_GROUP, self.groups),
            _bracket("+xtrim", self.trims),
            _bracket("+set +get +incr +incrby", tuple(f"epoch:{each}" for each in self.names)),
            _bracket("+set", tuple(f"{kind}:{each}" for each in self.names for kind in ("hb", "probe"))),
            _bracket("+mget", ("hb:*",) if self != HEALTH else (), "%R~"),
        ]
        return " ".join(["resetkeys", "resetchannels", "-@all", everybody, *(each for each in brackets if each)])


def _bracket(commands: str, keys: tuple[str, ...], kind: str = "~") -> str:
    return f"({commands} {' '.join(kind + key for key in dict.fromkeys(keys))})" if keys else ""


def _service(name: str, **streams_of: tuple[str, ...]) -> User:
    """A service: it speaks under its name, its instances' and its host's; anyone may say that something went wrong."""
    names = tuple(f"{host}{name}{share}" for host in ("", "host:") for share in ("", ":*"))
    adds = (*streams_of.pop("adds", ()), streams.CONTROL)
    return User(name, names, adds=adds, **streams_of)


HEALTH: Final = User("health")
"""Whoever asks whether the server answers, and may ask nothing else."""

USERS: Final = (
    User(
        "collector",
        # The recorder lives in the collector's process.
        tuple(
            f"{host}{each}{share}"
            for each in ("collector", "recorder")
            for host in ("", "host:")
            for share in ("", ":*")
        ),
        adds=(_MARKET, streams.CONTROL),
        groups=(streams.SCORES, streams.OUTCOMES, streams.REPORTS),
        trims=(_MARKET, *_CANDIDATES, *(each for each in streams.DURABLE if each != streams.CANDIDATES)),
    ),
    _service("signal_engine", adds=_CANDIDATES, reads=(_MARKET,)),
    _service("ai_scorer", adds=(streams.SCORES, streams.APPROVED), reads=(streams.VERDICTS,), groups=_CANDIDATES),
    _service("executor", adds=(streams.REPORTS,), reads=(_MARKET,), groups=(streams.APPROVED,)),
    _service(
        "risk",
        adds=(streams.OUTCOMES, streams.VERDICTS),
        reads=(_MARKET, *_CANDIDATES),
        groups=(streams.SCORES, streams.REPORTS),
    ),
    _service("model_sync"),
    # The operator's commands of a stack are typed in the pipelines' container.
    User("pipelines", ("registrar", "sensor:*", "operator:*"), adds=(streams.CONTROL,), reads=_EVERYTHING),
    User("operator", ("operator:*",), adds=(streams.CONTROL,), reads=_EVERYTHING),
    HEALTH,
)
"""Every user; `default` is switched off."""


def acl_file(hashes: Mapping[str, str] | None = None) -> str:
    """Return the aclfile, its passwords as sha256 in hex by user; without one a user has a place to put it.

    A user whose hash is not given is switched off when any is, so that no file lets somebody in by accident.
    """
    lines = ["user default off resetpass resetkeys resetchannels -@all"]
    for each in USERS:
        if hashes is None:
            lines.append(f"user {each.name} on #{_PLACE}{each.name}{_PLACE} {each.rules()}")
        elif found := hashes.get(each.name):
            lines.append(f"user {each.name} on #{found} {each.rules()}")
        else:
            lines.append(f"user {each.name} off {each.rules()}")
    return "\n".join(lines) + "\n"


def password_hash(password: str) -> str:
    """How a password stands in the aclfile: sha256 in hex. Make it long and random, for nothing slows down a guess."""
    return hashlib.sha256(password.encode()).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(acl_file())
