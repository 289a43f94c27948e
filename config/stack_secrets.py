"""The passwords of a stack, as files: one for each secret that docker-compose.yml names, and Redis's users of them all.

Nothing here needs a package: a host with an engine has this repository and a Python, and installs neither.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

REDIS_USERS = "redis_users"
"""The secret that is made of others: the ACL file of Redis, with digests of the passwords that services send."""
ADDRESSES = {"alert_webhook": "http://host.docker.internal:9095/alerts"}
"""Secrets that a person writes, because they may hold a token, and what stands there before: a program on the host."""
_NAMED = re.compile(r"^  (\w+): \{file: \./deploy/compose/secrets/(\w+)\}$", flags=re.MULTILINE)
_BYTES = 24


def wanted(compose: str) -> list[str]:
    """Return the secrets that the text of docker-compose.yml asks for, in order of the alphabet.

    Raises ValueError when it asks for none: the file is then written in another way than this reads.
    """
    names = sorted(name for name, file in _NAMED.findall(compose) if name == file)
    if not names:
        raise ValueError("docker-compose.yml has no `  NAME: {file: ./deploy/compose/secrets/NAME}`; restore the file")
    return names


def make(folder: Path, names: Sequence[str], renew: Sequence[str], template: str) -> list[str]:
    """Write every secret that is missing or to be renewed, then Redis's users; returns what was written.

    The folder is ours alone; the files in it can be read, because containers read them as users of their own. An
    address is written when it is missing, and never renewed. Raises OSError.
    """
    (folder / "exchange").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = []
    for name in names:
        file = folder / name
        if name in ADDRESSES:
            if not file.exists():
                _write(file, ADDRESSES[name] + "\n", mode=0o644)
                made.append(name)
        elif name != REDIS_USERS and (name in renew or not file.exists()):
            _write(file, secrets.token_urlsafe(_BYTES))
            made.append(name)
    users = redis_users(template, folder)
    if not (folder / REDIS_USERS).exists() or (folder / REDIS_USERS).read_text(encoding="utf-8") != users:
        _write(folder / REDIS_USERS, users)
        made.append(REDIS_USERS)
    return made


def redis_users(template: str, folder: Path) -> str:
    """Return the ACL file of Redis: the template's users, each `#@name@` in it the digest of redis_NAME.

    Raises FileNotFoundError for a user without a secret.
    """

    def digest(found: re.Match[str]) -> str:
        password = (folder / f"redis_{found[1]}").read_text(encoding="utf-8").strip()
        return f"#{hashlib.sha256(password.encode()).hexdigest()}"

    return re.sub(r"#@(\w+)@", digest, template)


def _write(file: Path, text: str, mode: int = 0o444) -> None:
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(mode)
    beside.replace(file)
