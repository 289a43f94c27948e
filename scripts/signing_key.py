"""Make a key that bundles are signed with: the private one into a new file, the public one's line on stdout.

Append that line to the file that registry.trusted_keys names, on every trading host; give the private file's path as
REGISTRY_SIGNING_KEY_FILE where models are trained. Exit status: 0 made, 1 refused (one line on stderr), 2 usage.
"""

import argparse
import os
import sys
from pathlib import Path

from registry.signing import new_key


def main(arguments: list[str] | None = None) -> int:
    """Write a fresh private key and print its public line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="file of the private key; it must not be there yet")
    asked = parser.parse_args(arguments)
    private, public = new_key()
    try:
        descriptor = os.open(asked.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        print(f"{asked.path}: {error.strerror}; name a new file", file=sys.stderr)
        return 1
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(private)
    print(public)
    return 0


if __name__ == "__main__":
    sys.exit(main())
