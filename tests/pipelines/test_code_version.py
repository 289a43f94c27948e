import re
import subprocess
from pathlib import Path

from pipelines.code_version import code_version, git_commit

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_a_short_hash_that_stays() -> None:
    """Sixteen hex digits; the same source gives the same."""
    assert re.fullmatch(r"[0-9a-f]{16}", code_version())
    assert code_version() == code_version.__wrapped__()


def test_the_commit_is_the_one_of_the_checkout() -> None:
    """With a plus when files differ from it; unknown where there is no checkout."""
    told = git_commit()
    if not (ROOT / ".git").exists():
        assert told == "unknown"
        return
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"[0-9a-f]{40}\+?", told)
    assert head.stdout.strip()[:4].isalnum()
