"""Written means on disk.

Every file of the archive is written through here: new bytes under another name, flushed to the disk, then
renamed into place, then the folder flushed. A reader sees the old file or the new one, never half.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from provenance.errors import Conflict

_AT_ONCE = 16  # files whose flushing is waited for together


def write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `data` in one step that survives a power cut."""
    with replacing(path, mode=mode) as staged:
        staged.write_bytes(data)


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """A path to write to; when the block ends well, it takes the place of `path` durably.

    When the block raises, the staged file is removed and `path` is as it was.
    """
    _make_folder(path.parent)
    _clear(path)
    staged = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        os.close(os.open(staged, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode))
        yield staged
        with open(staged, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _clear(path: Path) -> None:
    """Remove what processes that were killed left of writing `path`: nobody else would ever look for it."""
    start = f".{path.name}."
    for name in os.listdir(path.parent):  # not `glob`, which takes ten times as long in a folder of 256 tiles
        if name.startswith(start) and name.endswith(".part"):
            writer = name.removeprefix(start).removesuffix(".part")
            if writer.isdigit() and not is_running(int(writer)):
                (path.parent / name).unlink(missing_ok=True)


def sync_all(folder: Path) -> None:
    """Every file and folder in a folder that was just written: several at once, so that the disk can group them."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(_flush, [*sorted(folder.rglob("*")), folder]))


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_running(process: int) -> bool:
    """Whether a process of that number is there, whoever's it is."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    return True


def _make_folder(folder: Path) -> None:
    """Create a folder and those above it; each new name is flushed in the folder that holds it."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder (created, renamed, removed) durable."""
    _flush(folder)


def remove(path: Path) -> None:
    """Remove a file durably, and what was left of writing it; one that is not there is as good as removed."""
    path.unlink(missing_ok=True)
    if path.parent.exists():
        _clear(path)
        sync_folder(path.parent)


@contextmanager
def one_writer(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the folder's writer lock; with `wait=False` a second writer gets Conflict at once.

    The kernel drops the lock when the holder dies, so a crash leaves nothing to clear up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".writer", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise Conflict(f"another process is writing to {folder.name}: wanted to be the only writer") from error
        yield
    finally:
        os.close(handle)


def is_being_written(folder: Path) -> bool:
    """Whether another process holds the folder's writer lock at this moment."""
    try:
        handle = os.open(folder / ".writer", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
