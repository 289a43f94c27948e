"""Files that are there whole or not at all, whatever happens between: write beside, fsync, rename, fsync the folder."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from registry.errors import FileError


def write_file(path: Path, content: bytes) -> None:
    """Replace path by content; readers see the old bytes or the new. Raises FileError and leaves the old ones."""
    with _refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".writing", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_folder(path: Path, contents: Mapping[str, bytes]) -> None:
    """Create folder path with the given files; it appears complete. Raises FileError, also when path holds anything."""
    with _refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".writing", dir=path.parent))
        try:
            for name, content in contents.items():
                with (beside / name).open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            beside.chmod(0o755)  # mkdtemp keeps others out; the live services may run as another user
            sync_folder(beside)
            beside.rename(path)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        sync_folder(path.parent)


def point(link: Path, target: Path) -> None:
    """Make link a symbolic link to target, relative so that the whole tree can move; replaces an older link at once."""
    with _refusals(link):
        link.parent.mkdir(parents=True, exist_ok=True)
        beside = link.parent / f".{link.name}.{os.getpid()}.writing"
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
        try:
            beside.replace(link)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(link.parent)


def remove(path: Path) -> None:
    """Remove a link, or a folder with all it holds; a path which is not there is fine."""
    with _refusals(path):
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            return
        sync_folder(path.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; other processes and threads that ask for it wait. Freed by the kernel if we die."""
    with _refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as refused:
        raise FileError(f"{path}: {refused.strerror or refused}; nothing was changed") from refused


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
