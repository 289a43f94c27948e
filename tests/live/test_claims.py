"""Claims: one holder a service, all or nothing, let go of at the end."""

import subprocess
import sys
from pathlib import Path

import pytest

from live.claims import LOCK_FILE, claimed
from live.errors import ServiceBusy


def test_a_second_one_is_refused_by_name_and_place(tmp_path: Path) -> None:
    """Whether it runs the service alone or with others."""
    with claimed(tmp_path, ["executor", "risk"]):
        with pytest.raises(ServiceBusy, match=f"risk: another process runs it with {tmp_path / 'risk'}"):
            claimed(tmp_path, ["collector", "risk"]).__enter__()
        with claimed(tmp_path, ["collector"]):
            pass


def test_what_was_held_is_let_go_of(tmp_path: Path) -> None:
    """By the end of the block, also where it ends badly or holds only some of them."""
    with pytest.raises(ServiceBusy), claimed(tmp_path, ["risk"]), claimed(tmp_path, ["executor", "risk"]):
        pass
    with pytest.raises(RuntimeError), claimed(tmp_path, ["executor", "risk"]):
        raise RuntimeError
    with claimed(tmp_path, ["executor", "risk"]):
        pass


def test_folders_are_apart(tmp_path: Path) -> None:
    """Two runs of one machine have nothing to do with one another."""
    with claimed(tmp_path / "a", ["executor"]), claimed(tmp_path / "b", ["executor"]):
        pass


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    """Nor does a child of it that lives on."""
    code = (
        "import subprocess, sys, time\nfrom pathlib import Path\nfrom live.claims import claimed\n"
        "with claimed(Path(sys.argv[1]), ['risk']):\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=sys.stdin)\n"
        "    print(child.pid, flush=True)\n    time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert int(holder.stdout.readline()) > 0
        with pytest.raises(ServiceBusy):
            claimed(tmp_path, ["risk"]).__enter__()
        holder.kill()
        holder.wait()
        with claimed(tmp_path, ["risk"]):
            assert (tmp_path / "risk" / LOCK_FILE).exists()
