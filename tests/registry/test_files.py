"""Files that appear whole or not at all: refusals, leftovers, a killed writer, a lock between processes."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from registry import files
from registry.errors import FileError

_ROOT = Path(__file__).resolve().parents[2]

_KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from registry import files

real_fsync = os.fsync
def fsync(descriptor):
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
if sys.argv[1] == "file":
    files.write_file(Path(sys.argv[2]), b"new")
else:
    files.write_folder(Path(sys.argv[2]), {"a": b"new", "b": b"new"})
"""

_FULL_DISK = """
import sys, resource, signal
from pathlib import Path
from registry import files
from registry.errors import FileError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write_file(Path(sys.argv[1]), b"x" * 5000)
except FileError as refused:
    print(refused)
"""


def test_a_file_is_replaced(tmp_path: Path) -> None:
    """The new bytes stand where the old ones stood, parents are made, nothing is left beside."""
    path = tmp_path / "deep" / "manifest.json"
    files.write_file(path, b"old")
    files.write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["manifest.json"]


def test_a_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    """Every file is there, readable by others, and nothing is left beside."""
    files.write_folder(tmp_path / "bundle", {"a": b"1", "b": b"2"})
    assert {entry.name: entry.read_bytes() for entry in (tmp_path / "bundle").iterdir()} == {"a": b"1", "b": b"2"}
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o755
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    """A folder which holds something stays, and the attempt leaves nothing beside it."""
    files.write_folder(tmp_path / "bundle", {"a": b"1"})
    with pytest.raises(FileError, match=r"bundle: .*not empty; nothing was changed"):
        files.write_folder(tmp_path / "bundle", {"b": b"2"})
    assert [entry.name for entry in (tmp_path / "bundle").iterdir()] == ["a"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


def test_a_name_that_is_none_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """When one file of a folder cannot be written, none is."""
    with pytest.raises(FileError):
        files.write_folder(tmp_path / "bundle", {"a": b"1", "no/such/place": b"2"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_writer_killed_before_its_fsync_changes_nothing(tmp_path: Path, kind: str) -> None:
    """SIGKILL in the middle of a write leaves the old file, or no folder, under the name that readers use."""
    target = tmp_path / "target"
    if kind == "file":
        files.write_file(target, b"old")
    ended = subprocess.run([sys.executable, "-c", _KILLED_WRITER, kind, target], cwd=_ROOT, check=False)
    assert ended.returncode == -9
    if kind == "file":
        assert target.read_bytes() == b"old"
    else:
        assert not target.exists()
        files.write_folder(target, {"a": b"again"})
        assert (target / "a").read_bytes() == b"again"


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    """When the system takes no more bytes, the old ones stay and the temporary file is gone."""
    path = tmp_path / "manifest.json"
    files.write_file(path, b"old")
    ended = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, path], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    assert os.strerror(errno.EFBIG) in ended.stdout
    assert "nothing was changed" in ended.stdout
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.json"]


def test_a_link_turns_in_one_step_and_moves_with_its_tree(tmp_path: Path) -> None:
    """A link is replaced, and being relative it still holds after the tree was moved."""
    for name in ("one", "two"):
        files.write_folder(tmp_path / "tree" / "bundles" / name, {"which": name.encode()})
        files.point(tmp_path / "tree" / "active", tmp_path / "tree" / "bundles" / name)
        assert (tmp_path / "tree" / "active" / "which").read_text() == name
    (tmp_path / "tree").rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "active" / "which").read_text() == "two"


def test_a_link_does_not_replace_a_folder(tmp_path: Path) -> None:
    """Where a folder stands, no link is put."""
    files.write_folder(tmp_path / "active", {"a": b"1"})
    with pytest.raises(FileError, match="active"):
        files.point(tmp_path / "active", tmp_path / "elsewhere")
    assert [entry.name for entry in tmp_path.iterdir()] == ["active"]


def test_removal_takes_links_and_folders_and_forgives_absence(tmp_path: Path) -> None:
    """A link goes without what it points at; a folder goes with what it holds; nothing is no error."""
    files.write_folder(tmp_path / "bundle", {"a": b"1"})
    files.point(tmp_path / "active", tmp_path / "bundle")
    files.remove(tmp_path / "active")
    assert (tmp_path / "bundle" / "a").exists()
    files.remove(tmp_path / "bundle")
    files.remove(tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    """Twenty read-and-write rounds by four threads lose no count."""
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        for _ in range(20):
            with files.locked(tmp_path):
                files.write_file(counter, str(int(counter.read_text()) + 1).encode())

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text() == "80"


def test_a_lock_on_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    """A file in the folder's place is a FileError that names it."""
    (tmp_path / "root").write_text("a file")
    with pytest.raises(FileError, match="root"), files.locked(tmp_path / "root"):
        pass
