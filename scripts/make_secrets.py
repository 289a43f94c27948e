"""Make the passwords that docker-compose.yml asks for, as files in deploy/compose/secrets. Those that are there stay.

Any Python 3.11 or newer will do; nothing of this project needs to be installed.

Exit status: 0 all are there, 1 refused (one line says why), 2 usage.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from config.stack_secrets import ADDRESSES, make, wanted  # noqa: E402 - found by the line above, where nothing is installed

FOLDER = ROOT / "deploy" / "compose" / "secrets"


def main(arguments: list[str] | None = None) -> int:
    """Make what is missing and say what was made; no password is shown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder of the files")
    parser.add_argument("--renew", nargs="+", default=[], metavar="NAME", help="give these a new password")
    asked = parser.parse_args(arguments)
    try:
        names = wanted((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
        passwords = [name for name in names if name not in ADDRESSES]
        if strange := sorted({*asked.renew} - {*passwords}):
            raise ValueError(f"no password is called {', '.join(strange)}; there are {', '.join(passwords)}")
        made = make(asked.into, names, asked.renew, (ROOT / "deploy/redis/users.acl").read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        print(f"make_secrets: {error}", file=sys.stderr)
        return 1
    print(f"{asked.into}: {len(names)} secrets, {len(made)} of them new ({', '.join(made) or 'none'})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
