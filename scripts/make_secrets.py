"""Make the passwords that docker-compose.yml asks for, as files in deploy/compose/secrets. Those that are there stay.

Exit status: 0 all are there, 1 refused (one line says why), 2 usage.
"""

import argparse
import hashlib
import re
import secrets
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "deploy" / "compose" / "secrets"
ACL = ROOT / "deploy" / "redis" / "users.acl"
REDIS_USERS = "redis_users"
_BYTES = 24


def main(arguments: list[str] | None = None) -> int:
    """Make what is missing and say what was made; no password is shown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder of the files")
    parser.add_argument("--renew", nargs="+", default=[], metavar="NAME", help="give these a new password")
    asked = parser.parse_args(arguments)
    wanted = sorted(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["secrets"])
    if strange := sorted({*asked.renew} - {*wanted}):
        print(f"make_secrets: no secret is called {', '.join(strange)}; there are {', '.join(wanted)}", file=sys.stderr)
        return 1
    try:
        made = make(asked.into, wanted, asked.renew)
    except OSError as error:
        print(f"make_secrets: {error}; the folder must be ours to write", file=sys.stderr)
        return 1
    print(f"{asked.into}: {len(wanted)} secrets, {len(made)} of them new ({', '.join(made) or 'none'})")
    return 0


def make(folder: Path, wanted: list[str], renew: list[str]) -> list[str]:
    """Write every secret that is missing or to be renewed, then Redis's users with their passwords' digests.

    The folder is ours alone; the files in it are readable, because containers read them as users of their own.
    """
    (folder / "exchange").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = []
    for name in wanted:
        file = folder / name
        if name != REDIS_USERS and (name in renew or not file.exists()):
            _write(file, secrets.token_urlsafe(_BYTES))
            made.append(name)
    users = redis_users(ACL.read_text(encoding="utf-8"), folder)
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


def _write(file: Path, text: str) -> None:
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o444)
    beside.replace(file)


if __name__ == "__main__":
    sys.exit(main())
