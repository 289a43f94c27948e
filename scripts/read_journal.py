"""Print an executor's journal, one JSON line a record, then what it holds together. Safe beside a running executor.

Exit status: 0 whole, 1 unreadable or damaged (the line on stderr says where), 2 usage.
"""

import argparse
import json
import sys
from pathlib import Path

import msgspec

from config.settings import load
from live.errors import JournalError
from live.executor.journal import recover
from live.executor.records import decode


def main(arguments: list[str] | None = None) -> int:
    """Print one journal and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, help="file (default: executor.journal below paths.var)")
    path = parser.parse_args(arguments).path
    try:
        path = path or Path(load().paths.var) / "live" / "executor" / "executor.journal"
        found = recover(path.read_bytes())
        for payload in found.payloads:
            record = decode(payload)
            facts = {name: msgspec.to_builtins(getattr(record, name)) for name in record.__struct_fields__}
            print(json.dumps({"record": type(record).__name__, **facts}))
    except BrokenPipeError:
        return 0
    except (OSError, JournalError, msgspec.DecodeError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    summary = {"records": len(found.payloads), "head": found.head.hex(), "torn_bytes": found.torn_bytes}
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
