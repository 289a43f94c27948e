"""Move a model version: to shadow, to canary, to active, or back to one that was active before.

An older id to `active` is the rollback: it needs no evidence, no registry, and waits for no cooldown. What changes is
shown; nothing is asked. `python -m tidegate promote` does the same and asks first.

Exit status: 0 moved, 1 refused (one line on stderr says why), 2 usage.
"""

import argparse
import getpass
import sys

from config.errors import SettingsError
from config.settings import load
from tidegate.releasing import Order, refuse, run


def main(arguments: list[str] | None = None) -> int:
    """Move what the command line asks for and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, choices=["shadow", "canary", "active"], help="where to")
    parser.add_argument("--id", required=True, metavar="ID", help="the model's id, or its version number")
    parser.add_argument("--force", action="store_true", help="without evidence, before its time; needs --reason")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; the journal keeps it")
    parser.add_argument("--by", default=getpass.getuser(), help="your name (default: the user's)")
    parser.add_argument("--redis-url", default="", help="streams to tell, instead of redis.url")
    asked = parser.parse_args(arguments)
    if asked.force and not asked.reason:
        parser.error("--force needs --reason TEXT")
    order = Order(asked.to, asked.by, asked.reason or f"promoted to {asked.to} by script", asked.id, asked.force)
    try:
        return run(load(), order, is_sure=True, bus_url=asked.redis_url)
    except SettingsError as error:
        return refuse(str(error))


if __name__ == "__main__":
    sys.exit(main())
