"""What moves were decided on: one JSON file each, named by its sha256, never changed."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from registry.errors import ManifestError
from registry.files import write_file

EVIDENCE_FOLDER = "evidence"


def sha256_of(evidence: Mapping[str, Any]) -> str:
    """The name that evidence is kept under."""
    return hashlib.sha256(_content(evidence)).hexdigest()


def keep(root: Path, evidence: Mapping[str, Any] | None) -> str:
    """Write evidence below a mirror and return its sha256, nothing for none. Raises FileError."""
    if not evidence:
        return ""
    content = _content(evidence)
    sha256 = hashlib.sha256(content).hexdigest()
    path = root / EVIDENCE_FOLDER / f"{sha256}.json"
    if not path.exists():
        write_file(path, content)
    return sha256


def find(root: Path, sha256: str) -> dict[str, Any]:
    """Return the evidence of a sha256, or of its beginning when that names one file only.

    Raises ManifestError when there is none, when there are several, or when the file is not what was written.
    """
    folder = root / EVIDENCE_FOLDER
    found = sorted(folder.glob(f"{sha256}*.json")) if sha256.isalnum() else []
    if len(found) != 1:
        raise ManifestError(f"{folder}: {len(found)} files begin with {sha256!r}, wanted one; give more of the sha256")
    content = found[0].read_bytes()
    if hashlib.sha256(content).hexdigest() != found[0].stem:
        raise ManifestError(f"{found[0]}: it was changed since it was written; restore it from a copy")
    return dict(msgspec.json.decode(content))


def _content(evidence: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(evidence, order="sorted")
