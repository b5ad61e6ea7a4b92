"""An append upon a disk that fails: the old head or the new one, never another, and what was returned is durable.

Three disks. One refuses a single step (an opening, a write, a flush, a rename, a new folder, a removal), before or
after doing it. One refuses every step from some moment on. And one forgets, in a power cut, whatever was not flushed:
it keeps of each file what it had at its last flush, and of each folder the names at its last flush.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from provenance import durable, merkle
from provenance.errors import Conflict, Tampered
from provenance.log import Log
from tests.test_log import KEY, acts, create, logged, reopened

STEPS = ("open", "fsync", "replace", "mkdir", "unlink", "rmdir")  # of `os`; and write_bytes: open, write, close
GROWTH = [(0, 1), (250, 10), (255, 1), (250, 600)]


@contextmanager
def watched(patch: pytest.MonkeyPatch, around: Callable[[str, Callable[[], Any]], Any]) -> Iterator[None]:
    """Every step towards the disk is `around(its name, what it does)`."""
    for name in STEPS:
        real = getattr(os, name)
        patch.setattr(
            os, name, lambda *a, _real=real, _name=name, **k: around(_named(_name, a), lambda: _real(*a, **k))
        )
    write = Path.write_bytes
    patch.setattr(Path, "write_bytes", lambda path, data: around("write", lambda: write(path, data)))
    yield
    patch.undo()


def _named(name: str, given: tuple) -> str:
    """What `shutil.rmtree` opens to look inside is neither written to nor flushed: its removal is only tried."""
    looks = name == "open" and not given[1] & (os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY)
    return "look" if looks else name


def given_up(name: str, done: Any) -> None:
    """What a step gave, when its caller is told that it failed."""
    if name in ("open", "look"):
        os.close(done)


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@contextmanager
def failing(patch: pytest.MonkeyPatch, nth: int, *, after: bool, for_good: bool) -> Iterator[list[str]]:
    """The nth step fails, before or after it did its work; `for_good`, so does each one that follows."""
    steps: list[str] = []

    def around(name: str, step: Callable[[], Any]) -> Any:
        steps.append(name)
        fails = len(steps) == nth or (for_good and len(steps) > nth)
        if not fails or (after and len(steps) == nth):
            done = step()
            if fails:
                given_up(name, done)
        if fails:
            raise OSError(errno.EIO, "Input/output error")
        return done

    with watched(patch, around):
        yield steps


class _Thing:
    """A file or folder of the disk: what of it would be there after a power cut."""

    def __init__(self) -> None:
        self.content = b""
        self.names: dict[str, _Thing] = {}
        self.is_folder = False


class Disk:
    """What was flushed, beside the real file system. A file's bytes, and a folder's names, each as of its own flush."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[int, _Thing] = {}
        self.root = self._flushed(folder)

    def _flushed(self, path: Path) -> _Thing:
        """All that is there now is taken to be flushed."""
        thing = self._thing(path)
        if path.is_dir():
            for inner in path.iterdir():
                thing.names[inner.name] = self._flushed(inner)
        else:
            thing.content = path.read_bytes()
        return thing

    def _thing(self, path: Path) -> _Thing:
        found = path.stat()
        thing = self._known.setdefault(found.st_ino, _Thing())
        thing.is_folder = stat.S_ISDIR(found.st_mode)
        return thing

    def forget(self, path: str | Path, dir_fd: int | None = None) -> None:
        """The number of a file that goes may soon be another's."""
        with suppress(FileNotFoundError):
            self._known.pop(os.stat(path, dir_fd=dir_fd).st_ino, None)

    def flush(self, handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        thing = self._thing(path)
        if thing.is_folder:
            thing.names = {inner.name: self._thing(inner) for inner in path.iterdir()}
        else:
            thing.content = path.read_bytes()

    def after_a_power_cut(self, folder: Path, *, thing: _Thing | None = None) -> Path:
        """Lay out in `folder` what is left."""
        folder.mkdir()
        for name, inner in (thing or self.root).names.items():
            if inner.is_folder:
                self.after_a_power_cut(folder / name, thing=inner)
            else:
                (folder / name).write_bytes(inner.content)
        return folder

    @contextmanager
    def behind(self, patch: pytest.MonkeyPatch, seen: Callable[[], None]) -> Iterator[None]:
        """Follow every step, and call `seen` after each."""
        fsync, replace, unlink, rmdir = os.fsync, os.replace, os.unlink, os.rmdir

        def flushing(handle):
            fsync(handle)
            self.flush(handle)
            seen()

        def replacing(source, target):
            self.forget(target)
            replace(source, target)
            seen()

        def removing(real):
            def remove(path, *, dir_fd=None):
                self.forget(path, dir_fd)
                real(path, dir_fd=dir_fd)
                seen()

            return remove

        patch.setattr(os, "fsync", flushing)
        patch.setattr(os, "replace", replacing)
        patch.setattr(os, "unlink", removing(unlink))
        patch.setattr(os, "rmdir", removing(rmdir))
        yield
        patch.undo()


def goes_on(log: Log, held: list[bytes]) -> None:
    """The ordinary way: what was not logged is not logged later; step by step past everything that was left behind."""
    for more, writer in ((1, log), (7, reopened(log)), (300, log)):
        writer.append(acts(10_000, 10_000 + more), key=KEY)
        held += logged(10_000, 10_000 + more)
        reopened(writer).verify()
    assert list(reopened(log).entries()) == held
    assert log.root == merkle.root(b"".join(map(merkle.leaf_hash, held)))


@pytest.mark.parametrize(("size", "added"), GROWTH)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for-good"])
def test_a_step_that_fails_leaves_the_old_head_or_the_new(tmp_path, monkeypatch, size, added, after, for_good):
    quick(monkeypatch)
    base = create(tmp_path / "base", *([size] if size else []))
    failed, heads = set(), set()
    every = 1 if added < 100 else 5  # 600 acts are many steps of the same kind
    for nth in itertools.count(1):
        if nth % every and nth > 20:
            continue
        folder = Path(shutil.copytree(base.folder, tmp_path / "failing"))
        log = Log.open(folder, vkey=KEY.verifier)
        with failing(monkeypatch, nth, after=after, for_good=for_good) as steps:
            try:
                log.append(acts(size, size + added), key=KEY)
                returned = True
            except OSError:
                returned = False
        quick(monkeypatch)
        held = list(reopened(log).entries())
        assert held in (logged(0, size), logged(0, size + added))
        if returned:  # nothing failed, or the making of what is there, or the removal of what a full tile replaced
            assert held == logged(0, size + added)
            assert len(steps) < nth or steps[nth - 1] in ("mkdir", "look", "unlink", "rmdir")
        if len(steps) < nth:
            break
        failed |= {steps[nth - 1]} if nth > 1 else set()
        heads.add(len(held))
        goes_on(log, held)
        shutil.rmtree(folder)
    assert {"open", "write", "fsync", "replace", "mkdir"} <= failed
    assert heads == {size, size + added}  # with `after`, or at the last flush, the new head may be there


def quick(patch: pytest.MonkeyPatch) -> None:
    """Flushing is slow, and where nobody pulls the plug nothing depends on it."""
    patch.setattr(os, "fsync", lambda handle: None)


@pytest.mark.parametrize(("size", "added"), [*GROWTH, (3, 2)])
def test_a_power_cut_loses_nothing_that_was_returned(tmp_path, monkeypatch, size, added):
    log = create(tmp_path / "log", *([size] if size else []))
    disk, found, number = Disk(tmp_path), [], itertools.count()

    def cut() -> None:
        if added < 100 or next(number) % 20 == 0:
            found.append(disk.after_a_power_cut(tmp_path / "cut"))
            left = Log.open(found[-1] / "log", vkey=KEY.verifier)
            left.verify()
            sizes.append(left.size)
            assert list(left.entries()) == logged(0, left.size)
            shutil.move(found[-1], elsewhere / str(len(found)))

    elsewhere = tmp_path.parent / f"{tmp_path.name}-cuts"
    elsewhere.mkdir()
    sizes: list[int] = []
    with disk.behind(monkeypatch, cut):
        log.append(acts(size, size + added), key=KEY)
    at_last = disk.after_a_power_cut(elsewhere / "last")
    assert Log.open(at_last / "log", vkey=KEY.verifier).size == size + added  # durable on return
    assert sorted(sizes) == sizes
    assert set(sizes) <= {size, size + added}
    assert added > 100 or len(set(sizes)) == 2
    quick(monkeypatch)
    for folder in sorted(elsewhere.iterdir(), key=lambda folder: folder.name)[:: 1 if added < 100 else 10]:
        left = Log.open(folder / "log", vkey=KEY.verifier)
        goes_on(left, list(left.entries()))
    shutil.rmtree(elsewhere)


def test_the_forgetful_disk_forgets(tmp_path, monkeypatch):
    """Control: a file without a flush is empty, a name without one is not there."""
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk")
    with disk.behind(monkeypatch, lambda: None):
        (tmp_path / "disk" / "a").write_bytes(b"unflushed")
        (tmp_path / "disk" / "b").write_bytes(b"unnamed")
        durable.sync_folder(tmp_path / "disk")
        durable.write(tmp_path / "disk" / "c", b"flushed")
        os.replace(tmp_path / "disk" / "c", tmp_path / "disk" / "d")
    left = disk.after_a_power_cut(tmp_path / "left")
    assert {path.name: path.read_bytes() for path in left.iterdir()} == {"a": b"", "b": b"", "c": b"flushed"}


def test_threads_upon_a_disk_that_fails_now_and_then(tmp_path, monkeypatch):
    """Who was told its place has it; who was told of a failure is in the log once or not at all; nobody waits for ever.

    16 threads share commits, so one failure is that of many.
    """
    quick(monkeypatch)
    log = create(tmp_path / "log", 200)
    chance, guard = random.Random(16), threading.Lock()
    told: dict[int, int] = {}
    failures: list[int] = []

    def around(name: str, step: Callable[[], Any]) -> Any:
        with guard:
            before, after = chance.random() < 0.01, chance.random() < 0.01
        if before:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = step()
        if after:
            given_up(name, done)
            raise OSError(errno.EIO, "Input/output error")
        return done

    def write(writer: int) -> None:
        for turn in range(40):
            number = 1000 + writer * 100 + turn
            try:
                (told[number],) = log.append(acts(number, number + 1), key=KEY)
            except OSError:
                failures.append(number)

    with watched(monkeypatch, around), ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(16)))
    quick(monkeypatch)
    view = reopened(log)
    view.verify()
    held = list(view.entries())
    assert len(failures) > 20
    assert len(told) + len(failures) == 640
    assert all(held[place] == logged(number, number + 1)[0] for number, place in told.items())
    assert len(set(told.values())) == len(told)
    rest = [entry for place, entry in enumerate(held[200:], start=200) if place not in set(told.values())]
    assert len(set(rest)) == len(rest)
    assert set(rest) <= {logged(number, number + 1)[0] for number in failures}
    for writer in range(16):  # each writer's own order
        own = [told[n] for n in range(1000 + writer * 100, 1040 + writer * 100) if n in told]
        assert own == sorted(own)
    goes_on(log, held)


def test_a_call_that_is_interrupted_hands_on_its_turn(tmp_path, monkeypatch):
    """Whoever commits is stopped from outside: the others are told, and the next to come commits."""
    quick(monkeypatch)
    log = create(tmp_path / "log", 5)
    committing, go = threading.Event(), threading.Event()
    real, calls = durable.write, itertools.count()

    def stopped(path, data, **said):
        if path.name == "checkpoint" and next(calls) == 1:
            committing.set()
            raise KeyboardInterrupt
        if path.name == "checkpoint":
            committing.set()
            assert go.wait(10)
        real(path, data, **said)

    monkeypatch.setattr(durable, "write", stopped)
    outcomes: list[object] = []

    def write(number: int) -> None:
        try:
            outcomes.append(log.append(acts(number, number + 1), key=KEY))
        except BaseException as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in (5, 6, 7, 8)]
    threads[0].start()
    assert committing.wait(10)  # the first is at work, alone; the others gather, and one of them is to commit them all
    for thread in threads[1:]:
        thread.start()
    while len(log._queue) < 3:
        time.sleep(0.01)
    go.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert outcomes[0] == range(5, 6)
    assert sorted(map(str, outcomes[1:])) == sorted(map(str, [KeyboardInterrupt, Conflict, Conflict]))
    assert log.append(acts(9, 10), key=KEY) == range(6, 7)
    assert list(reopened(log).entries()) == logged(0, 6) + logged(9, 10)


def test_those_who_shared_a_commit_hear_the_same(tmp_path, monkeypatch):
    """A head that was rolled back is Tampered to each of them, not to the one alone whose turn it was."""
    quick(monkeypatch)
    early = create(tmp_path / "early", 5)
    log = create(tmp_path / "log", 300)
    shutil.rmtree(log.folder)
    shutil.copytree(early.folder, log.folder)
    said: list[str] = []

    def write(number: int) -> None:
        try:
            log.append(acts(number, number + 1), key=KEY)
        except Tampered as error:
            said.append(str(error))

    with ThreadPoolExecutor(8) as pool:
        with durable.one_writer(log.folder):
            waiting = [pool.submit(write, number) for number in range(8)]
            time.sleep(0.2)  # one or more have a commit in hand, and the others gather behind it
        for each in waiting:
            each.result(10)
    assert said == ["log was rolled back: 5 entries, wanted the 300 seen before"] * 8
    assert log.size == 300
