"""Audit what is installed from others: `python -m tests.dependency_audit`, part of `make check`.

Always: requirements.lock pins every package to one version, from an index and from nowhere else; .venv holds those
versions; each has a licence that lets this project use it. When PyPI's advisory service answers: no package has a known
vulnerability but those that are listed here with a reason. When it does not answer, that is said, and `--strict` makes
it a failure; CI on a machine with a network runs it so.
"""

import argparse
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"

ACCEPTED: Mapping[str, str] = {}
"""Advisories that are known and do not reach us, each with the reason: `"PYSEC-1": "we never call ..."`."""

UNWANTED = ("AGPL", "Affero", "SSPL", "Server Side Public", "BUSL", "Business Source", "Commons Clause")
"""Licences that would bind who runs this as a service."""

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[a-z0-9,_-]+\])?==([A-Za-z0-9.!+_-]+)(?: *;.*)?$")
_SECONDS = 60


def main(arguments: list[str] | None = None) -> int:
    """Run the audit and return the exit status: 0 nothing found, 1 something, 2 usage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strict", action="store_true", help="fail when the advisory service does not answer")
    asked = parser.parse_args(arguments)
    text = LOCK.read_text(encoding="utf-8")
    problems = [*unpinned(text), *strays(pins(text)), *unwanted(pins(text))]
    advisories, was_asked = _advisories()
    problems += advisories
    if not was_asked and asked.strict:
        problems.append("the advisory service did not answer, and --strict asks for it")
    for each in problems:
        sys.stderr.write(f"{each}\n")
    done = "no known vulnerability" if was_asked else "VULNERABILITIES NOT LOOKED UP: the service did not answer"
    sys.stdout.write(f"dependencies: {len(pins(text))} pinned, licences read; {done}\n")
    return 1 if problems else 0


def pins(lock: str) -> dict[str, str]:
    """Return the version of each package that a lock has for this platform and Python, by its normalized name."""
    wanted = (Requirement(line) for line in _entries(lock) if _PIN.match(line))
    here = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    return {canonicalize_name(each.name): next(iter(each.specifier)).version for each in here}


def unpinned(lock: str) -> Iterator[str]:
    """Yield the lines that are no `name==version`: a range, a URL, a path, an index of somebody's."""
    for line in _entries(lock):
        if not _PIN.match(line):
            yield f"{LOCK.name}: {line!r} pins no package of the index to one version; run make lock"


def strays(pinned: Mapping[str, str]) -> Iterator[str]:
    """Yield the packages that are installed in another version than the lock says."""
    for name, version in pinned.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform, or an extra that was left out
        if Version(found) != Version(version):
            yield f"{name} {found} is installed, {LOCK.name} says {version}; run make setup"


def unwanted(pinned: Iterable[str]) -> Iterator[str]:
    """Yield the packages whose licence binds who runs them as a service."""
    for name in pinned:
        try:
            about = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        said = [about.get("License-Expression") or "", (about.get("License") or "")[:80]]
        said += [each for each in about.get_all("Classifier") or [] if each.startswith("License")]
        if any(word in each for word in UNWANTED for each in said):
            yield f"{name}: its licence is {'; '.join(each for each in said if each)}; take another package"


def known(report: str) -> list[str]:
    """Return a sentence for each vulnerability in pip-audit's JSON report that is not accepted."""
    return [
        f"{each['name']} {each['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no release'}"
        for each in json.loads(report)["dependencies"]
        for flaw in each.get("vulns", [])
        if flaw["id"] not in ACCEPTED
    ]


def was_looked_up(report: str) -> bool:
    """Whether a report is of most packages: those that were skipped were not looked up, and prove nothing."""
    listed = json.loads(report)["dependencies"]
    return 2 * sum("vulns" in each for each in listed) > len(listed)


def _advisories() -> tuple[list[str], bool]:
    """Ask pip-audit; what it found, and whether it knew the packages: a mirror of the index says it knows none."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--format", "json", "--timeout", "5"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd=ROOT)
        return known(told.stdout), was_looked_up(told.stdout)
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return [], False


def _entries(lock: str) -> list[str]:
    lines = (line.strip() for line in lock.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


if __name__ == "__main__":
    sys.exit(main())
