"""Which code made a model: a hash over the source that decides what a bundle contains, and the git commit if any."""

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_DECIDING = ("market", "evaluation", "pipelines", "registry", "requirements.lock")


@cache
def code_version() -> str:
    """Return a sha256 over the source of the rooms that decide what a model is, and over the pinned packages.

    Unlike a commit it does not change with the README, and it does change with an edit that is not committed.
    """
    digest = hashlib.sha256()
    for name in _DECIDING:
        start = _ROOT / name
        for path in sorted(start.rglob("*.py")) if start.is_dir() else [start] * start.exists():
            digest.update(f"{path.relative_to(_ROOT)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def git_commit() -> str:
    """Return the commit of the checkout, with a plus when files differ from it.

    Outside a checkout, as in an image, it is what GIT_COMMIT says, else `unknown`.
    """
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("GIT_COMMIT", "unknown")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True)  # noqa: S603, S607
    return done.stdout.strip()
