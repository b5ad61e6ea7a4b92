"""The code of a past commit, and the packages of its lock, ready to run.

    index/code/
      COMMIT/             a clone that shares the objects of the repository that this code lies in, at that commit
      packages-DIGEST/    an environment for it: what it asks for, in the versions and with the hashes of its lock
      history-DIGEST.git  the commits that an installed wheel carries

A clone, and no worktree: that is registered in the repository it is of, and a run that is killed leaves it there. All
is made under another name and renamed when it is whole, by one process at a time, so that what is cut off is never
taken for whole, and goes with the next run. It may be deleted at any time. A clone that is not as it was committed is
made again; of an environment nothing is known but that it was whole once, so whoever doubts it deletes it.

Past code sees the archive through links, beside an index of its own: what is derived has the form of the version that
derived it, and two versions that took turns at one index would each find the other's tampered with.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from provenance import database, durable, pins
from provenance.errors import Conflict, Missing

Report = Callable[[str, int, int], None]  # what is being done, how much of it, of how much

LOCK = "requirements.lock"
# Extras without which some archives do not open: a catalogue on a server, keys in a module. The others serve other
# commands, and PySpark alone is larger than all that reproducing needs.
_EXTRAS = ("postgresql", "pkcs11")
_BACK_END = "setuptools"  # what lies as source in the lock is built by this, and not by one that no hash was said of
_OWN = ("index", "inbox", ".git", ".dvc")  # of the archive, and no part of what makes a build
_STEP = 0.2  # seconds between two looks at how far pip is


@dataclass(frozen=True, slots=True)
class Pin:
    """A package of a lock that applies to this Python and system."""

    name: str
    line: str  # as pip reads it, with its hashes
    asked_by: frozenset[str]  # packages that need it, as the lock tells; "" where the project itself does


def code(home: Path, repository: Path, commit: str, report: Report) -> Path:
    """The folder with the files of a commit, in `home`. `repository` is a repository, a folder in one, or a bundle.

    Raises Missing for a commit that is not in the repository, and Conflict where git cannot write.
    """
    with _alone(home, report):
        history = _history(home, repository)
        _insist(history, commit)
        tree = home / commit
        if tree.exists() and not _is_as_committed(tree, commit):
            shutil.rmtree(tree)
        if not tree.exists():
            what = f"code of commit {commit[:12]}"
            report(what, 0, 1)
            with _made(tree) as part:
                pins.git(home, "", "clone", "-q", "--shared", "--no-checkout", str(history), str(part))
                pins.git(part, "", "checkout", "-q", "--detach", commit)
            report(what, 1, 1)
    return tree


def environment(home: Path, tree: Path, report: Report) -> Path:
    """The Python of an environment with what the code in `tree` asks for out of its lock.

    What it asks for are the dependencies in its pyproject.toml and theirs in turn; not what its tests need. Raises
    Missing where they cannot be had, or do not have the lock's hashes.
    """
    wanted = needed(tree)
    said = "".join(f"{pin.line}\n" for pin in wanted)
    # Another Python takes other wheels of the same lock.
    digest = hashlib.sha256(f"{sys.implementation.cache_tag}\n{said}".encode()).hexdigest()
    folder = home / f"packages-{digest[:16]}"
    with _alone(home, report):
        if not folder.exists():
            what = f"{len(wanted)} packages of its lock"
            report(what, 0, 1)
            with _made(folder) as part:
                _program([sys.executable, "-m", "venv", "--without-pip", str(part)])
                python = part / "bin" / "python"
                first = [pin for pin in wanted if pin.name == _BACK_END]
                for some in (first, [pin for pin in wanted if pin.name != _BACK_END]):
                    if some:
                        _install(python, some, lambda done: report(what, done, len(wanted)))
                _pip(python, ["check"])
            report(what, 1, 1)
    return folder / "bin" / "python"


@contextmanager
def seen(home: Path, root: Path, keys: Path) -> Iterator[tuple[Path, Path]]:
    """The archive `root` and the folder of its keys as past code is to see them, until the block ends.

    Links and an empty index. A catalogue on a server is left out: the index stands in for it.
    """
    folder = _named(home / "archive")
    (folder / "index").mkdir(parents=True)
    # Links to keys lie among the keys: a copy of the archive that follows links is to hold none.
    handed = _named(keys / "apart") if (keys / database.FILE).exists() else None
    try:
        for path in root.iterdir():
            if path.name not in _OWN:
                (folder / path.name).symlink_to(path.resolve())
        if handed:
            _sweep(keys)
            handed.mkdir(mode=0o700)
            for path in keys.iterdir():
                if path.name not in (database.FILE, handed.name):
                    (handed / path.name).symlink_to(path.resolve())
        yield folder, handed or keys
    finally:
        for made in (folder, handed):
            if made:
                shutil.rmtree(made, ignore_errors=True)


def needed(tree: Path) -> list[Pin]:
    """The pins of the lock that the code in `tree` needs to open an archive and make a build again, by name."""
    locked: dict[str, list[Pin]] = {}
    for pin in _pins((tree / LOCK).read_text("utf-8")):
        locked.setdefault(pin.name, []).append(pin)
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project.get("optional-dependencies", {})
    asked = [*project["dependencies"], *(line for name in _EXTRAS for line in extras.get(name, ()))]
    left = {canonicalize_name(Requirement(line).name) for line in asked} | {_BACK_END}
    found: set[str] = set()
    while left:
        found |= left
        left = {name for name, held in locked.items() for pin in held if pin.asked_by & left} - found
    return [pin for name in sorted(found) for pin in locked.get(name, ())]


def _pins(lock: str) -> Iterator[Pin]:
    """Each pin, with the comment beneath it that says what it is there for (`# via ...`, as `make lock` writes it)."""
    blocks = re.split(r"^(?=[^\s#])", lock, flags=re.MULTILINE)
    for block in blocks:
        lines = [line.strip() for line in block.splitlines()]
        pin = " ".join(line.rstrip("\\ ") for line in lines if line and not line.startswith("#"))
        if not pin:
            continue
        requirement = Requirement(pin.partition(" --hash=")[0])
        if requirement.marker and not requirement.marker.evaluate():
            continue
        told = (line.lstrip("# ").removeprefix("via").strip() for line in lines if line.startswith("#"))
        yield Pin(
            canonicalize_name(requirement.name),
            pin,
            frozenset("" if name.startswith("-r ") else canonicalize_name(name) for name in told if name),
        )


# ---- git -------------------------------------------------------------------------------------------------------------


def _history(home: Path, repository: Path) -> Path:
    """The folder in which git has the commits; a bundle is unpacked in `home`, once for each."""
    if not repository.is_file():
        try:
            said = pins.git(repository, "", "rev-parse", "--path-format=absolute", "--git-common-dir")
        except Conflict:
            raise Missing(
                "the code that runs lies in no git repository: wanted one with the build's commit, or `--code here`"
            ) from None
        return Path(said.decode().strip())
    with open(repository, "rb") as read:
        unpacked = home / f"history-{hashlib.file_digest(read, 'sha256').hexdigest()[:16]}.git"
    if not unpacked.exists():
        with _made(unpacked) as part:
            pins.git(home, "", "clone", "-q", "--bare", str(repository), str(part))
    return unpacked


def _insist(history: Path, commit: str) -> None:
    try:
        pins.git(history, "", "cat-file", "-e", f"{commit}^{{commit}}")
    except Conflict:
        is_shallow = pins.git(history, "", "rev-parse", "--is-shallow-repository").strip() == b"true"
        raise Missing(
            f"commit {commit} is not in the repository of this code{', which is a shallow clone' * is_shallow}: "
            f"wanted it there, as `git fetch{' --unshallow' * is_shallow}` may bring it, or `--code here`"
        ) from None


def _is_as_committed(tree: Path, commit: str) -> bool:
    try:
        head = pins.git(tree, "", "rev-parse", "HEAD").decode().strip()
        return head == commit and not pins.git(tree, "", "status", "--porcelain")
    except Conflict:  # the repository that it shares objects with has gone
        return False


# ---- pip -------------------------------------------------------------------------------------------------------------


def _install(python: Path, wanted: list[Pin], report: Callable[[int], None]) -> None:
    """Install pins, and no others. Their bytecode is written when they are first imported, and most never are."""
    part = python.parent.parent
    listed = part / "wanted.txt"
    listed.write_text("".join(f"{pin.line}\n" for pin in wanted))
    options = ["--no-deps", "--no-build-isolation", "--no-compile", "--require-hashes", "-r", str(listed)]
    _pip(python, ["install", *options], lambda: report(len(list(part.glob("lib/*/site-packages/*.dist-info")))))
    listed.unlink()


def _pip(python: Path, command: list[str], look: Callable[[], None] = lambda: None) -> None:
    # This interpreter's pip, told to work on the other: it takes seconds to put one into each environment.
    _program(
        [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--no-input", *command],
        look,
    )


def _program(command: list[str], look: Callable[[], None] = lambda: None) -> None:
    """Run a program to its end, looking on meanwhile. Raises Missing, with what it said was wrong."""
    # Without what leads Python to packages elsewhere: pip would take a package that it finds there for installed.
    around = {name: value for name, value in pins.handed_on().items() if not name.startswith("PYTHON")}
    started = subprocess.Popen(
        command, env=around, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with started:
        try:
            said = _heard(started, look)
        except BaseException:
            started.kill()
            raise
    if started.returncode:
        raise Missing(f"packages of the lock cannot be had: {command[2]} says {_wrong(said) or started.returncode}")


def _heard(started: subprocess.Popen[bytes], look: Callable[[], None]) -> str:
    while True:
        try:
            said, _ = started.communicate(timeout=_STEP)
        except subprocess.TimeoutExpired:
            look()
        else:
            return said.decode(errors="replace")


def _wrong(said: str) -> str:
    """From the first error on, which names the package, what was found and what was wanted; else the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("WARNING:")]
    first = next((at for at, line in enumerate(lines) if line.startswith("ERROR:")), len(lines) - 1)
    return " ".join(line.removeprefix("ERROR:").strip() for line in lines[max(first, 0) :])[:600]


# ---- files -----------------------------------------------------------------------------------------------------------


@contextmanager
def _alone(home: Path, report: Report) -> Iterator[None]:
    """The only process that makes something in `home`, with nothing in it that was cut off."""
    if durable.is_being_written(home):
        report("what another process makes ready", 0, 1)
    with durable.one_writer(home):
        _sweep(home)
        yield


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left in it."""
    for left in folder.glob("*.*.part"):
        maker = left.suffixes[-2].removeprefix(".")
        if left.is_dir() and maker.isdigit() and not durable.is_running(int(maker)):
            shutil.rmtree(left, ignore_errors=True)  # a program that it started may write yet: the next run gets it


@contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """A folder's name to be made under; it takes its own name when the block ends well, and is removed when not."""
    part = _named(folder)
    try:
        yield part
        durable.sync_all(part)  # thousands of files, which other programs wrote
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _named(folder: Path) -> Path:
    """What a folder of this process is called until it is whole."""
    return folder.with_name(f"{folder.name}.{os.getpid()}.part")
