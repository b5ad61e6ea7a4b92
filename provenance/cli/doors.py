"""Where a command meets the world: the clock, the user, the environment, params, the terminal."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance import __version__
from provenance.errors import Malformed, Refused
from provenance.world import hash_seed, now, python, system, unlock, user, workers_python

if TYPE_CHECKING:
    from rich.console import Console

    from provenance.archive import Archive
    from provenance.asof import Snapshot
    from provenance.feeding import Renewed
    from provenance.harm import HarmTable
    from provenance.params import Params
    from provenance.publishing import Surroundings
    from provenance.spark import Cluster

WEEKLY = "weekly build under the force's approved operating principles"


@dataclass(frozen=True, slots=True)
class Door:
    """The archive that a command is about, and how it prints."""

    root: str
    keys: str | None

    @property
    def path(self) -> Path:
        return Path(self.root)

    @property
    def keys_path(self) -> Path:
        from provenance.archive import keys_beside

        return Path(self.keys) if self.keys else keys_beside(self.path)

    @contextmanager
    def archive(self) -> Iterator[Archive]:
        """The archive, open. A disposal that was cut off, or that a restored copy has not seen, is completed first; and
        so is one that waited for a hold, where its release was cut off."""
        from provenance import disposal, durable
        from provenance.archive import Archive

        archive = Archive(self.path, self.keys_path, unlock=unlock())
        try:
            undone = disposal.is_unsettled(archive) or disposal.is_waiting(archive)
            if undone and not durable.is_being_written(self.path / "store"):
                with progress("Completing a disposal that was cut off") as report:
                    disposal.finish(archive, *self.params(), on=now(), by=user(), report=report)
                    renewed(archive)
            yield archive
        finally:
            archive.close()

    def params(self) -> tuple[Params, HarmTable]:
        """The archive's params, and the harm tables they name: the first one in days, with the others beside it."""
        from provenance import harm, params

        read = params.read(self.path / "params.yaml")
        if not read.harm.editions:
            raise Malformed("params.yaml names no edition under harm.editions: wanted at least one")
        editions = read.harm.editions
        return read, harm.side_by_side([harm.read(self.path / e.file, e.name, e.sha256, e.unit) for e in editions])


@contextmanager
def working(archive: Archive, engine: str, master: str) -> Iterator[Cluster | None]:
    """Have the rules and the sealing done as `--engine` and `--master` say; None is this process and its workers."""
    if engine != "spark":
        yield None
        return
    from provenance import spark
    from provenance.crew import Crew

    with spark.cluster(master, python=workers_python()) as cluster:
        archive.employ(spark.Crew(cluster))
        try:
            yield cluster
        finally:
            archive.employ(Crew())


def surroundings(
    params: Params, started_on: str, operator: str, other_lock: str = "", cluster: Cluster | None = None
) -> Callable[[str], Surroundings]:
    """What the build statement says of the code, the environment and the papers; asked for when the build is done.

    Raises Refused, before anything is built, where the packages are not those of the committed lock, unless
    `other_lock` says why.
    """
    from provenance import governing
    from provenance.publishing import Surroundings
    from provenance.statements import Document, Machine

    odd = unlocked()
    if odd and not other_lock:
        raise Refused(
            f"packages are not those of the committed lock: {'; '.join(odd[:5])}{' and more' * (len(odd) > 5)}; wanted "
            "those, or `--other-lock REASON`, which the build statement then says"
        )
    machine = Machine(
        system=f"{system()}, {cluster}" if cluster else system(),
        python=python(),
        threads=cluster.cores if cluster else len(os.sched_getaffinity(0)),
        hash_seed=hash_seed(),
        other_lock=other_lock if odd else "",
    )
    documents = tuple(
        Document(name=name, version=paper.version, digest=paper.sha256)
        for name, paper in governing.papers(params.governance).items()
    )

    code, package, environment = code_commit(), package_digest(), environment_digest()  # what runs was loaded by now

    def around(_label: str) -> Surroundings:
        return Surroundings(
            operator=operator,
            under=WEEKLY,
            code=code,
            package=package,
            environment=environment,
            machine=machine,
            version=__version__,
            started_on=started_on,
            finished_on=now(),
            documents=documents,
        )

    return around


def keep(door: Door) -> None:
    """Let DVC have what a disposal wrote, and git the log and the certificate."""
    from provenance import pins

    if (door.path / ".git").exists():
        pins.pin(door.path, [], "disposal: log and certificate", on=now())


def renewed(archive: Archive) -> Renewed:
    """Write again the feeds that an act left behind (`feeding.renew`), and say on a terminal which were not reached."""
    from provenance import feeding

    done = feeding.renew(archive, on=now(), by=user())
    for place in done.missed:
        click.echo(
            f"Feed {place} is not reached, and may still have what is gone: `provenance dispose resume` tries again.",
            err=True,
        )
    return done


def consulted(archive: Archive, snapshot: Snapshot) -> None:
    """Log that restricted rows are about to be shown for a case, before they are (R38); see `consulting.consult`."""
    from provenance import consulting

    if snapshot.case:
        consulting.consult(archive, snapshot, on=now(), by=user())


def watched(archive: Archive) -> list[str]:
    """Ask every saved query again, since something has just happened; those whose answer has changed, by id (R22)."""
    from provenance import watching

    return [
        one.saved.id
        for one in watching.look_at_all(archive, on=now(), by=user(), under=watching.DUTY)
        if one.is_changed
    ]


def tell(changed: list[str]) -> None:
    """Say which saved queries have another answer now, for whoever is at the keyboard to pass on."""
    if changed:
        answers = (
            "answer of a saved query has" if len(changed) == 1 else f"answers of {len(changed):,} saved queries have"
        )
        click.echo(f"The {answers} changed: {', '.join(changed)}. See: provenance disclose status")


def code_commit() -> str:
    """The git commit of the code that runs: as its wheel says, or its repository; "" where neither does."""
    if (stamp := _house("commit")).is_file():
        return stamp.read_text("ascii").strip()
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD:./", "HEAD"], cwd=here, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.split()[-1] if done.returncode == 0 else ""


def code_history() -> Path:
    """Where git finds the commits that this code came from: its repository, or the bundle that its wheel carries."""
    bundle = _house("code.bundle")
    return bundle if bundle.is_file() else Path(__file__).resolve().parent


def package_digest() -> str:
    """SHA-256 over the names and bytes of the code's files, so that an uncommitted edit shows too."""
    total = hashlib.sha256()
    for package in ("provenance", "pipeline"):
        base = Path(str(resources.files(package)))
        for path in sorted(p for p in base.rglob("*") if p.suffix in (".py", ".zdict")):
            total.update(f"{package}/{path.relative_to(base).as_posix()}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def environment_digest() -> str:
    """SHA-256 of the lock file; where something else is installed, over the names and versions of that."""
    if unlocked():
        installed = sorted(f"{name}=={found}\n" for name, _, found in _pinned() if found)
        return hashlib.sha256("".join(installed).encode()).hexdigest()
    return hashlib.sha256(_lock().read_bytes()).hexdigest()


def unlocked() -> list[str]:
    """How what is installed differs from the lock, and the lock from the one that was committed; [] where neither does.

    A package of the lock that is not installed takes no part in a build, and is no difference.
    """
    odd = [
        f"{name} {found} is installed, the lock says {wanted}"
        for name, wanted, found in _pinned()
        if found not in ("", wanted)
    ]
    if _house("commit").is_file():  # a wheel's lock came with its commit; and git, asked elsewhere, sees a difference
        return odd
    lock = _lock().resolve()
    try:
        done = subprocess.run(
            ["git", "diff", "--quiet", "HEAD", "--", lock.name], cwd=lock.parent, capture_output=True, check=False
        )
    except FileNotFoundError:
        return odd
    return odd + ["the lock file is not as it was committed"] * (done.returncode == 1)


def _lock() -> Path:
    return _house("requirements.lock")


def _house(name: str) -> Path:
    """A file that comes with the code; `commit` and `code.bundle` are in a wheel alone (deploy/wheelhouse.py)."""
    return Path(str(resources.files("pipeline").joinpath("house", name)))


def _pinned() -> Iterator[tuple[str, str, str]]:
    """Each package that the lock pins for this Python and system: its name, that version, the one installed or ""."""
    return iter(_pinned_by(_lock().read_text("utf-8")))


@cache
def _pinned_by(lock: str) -> tuple[tuple[str, str, str], ...]:
    """Kept, as a process works with the packages that it began with, and a year of builds is one process."""
    from packaging.requirements import Requirement

    pins = [Requirement(line.rstrip("\\ ")) for line in lock.splitlines() if line and line[0] not in " #-"]
    return tuple(
        (pin.name, str(pin.specifier).removeprefix("=="), _installed(pin.name))
        for pin in pins
        if not pin.marker or pin.marker.evaluate()
    )


def _installed(name: str) -> str:
    """The version, or "". Only the line that has it is read: the whole of 300 packages would take most of a second."""
    try:
        said = importlib.metadata.distribution(name).read_text("METADATA") or ""
    except importlib.metadata.PackageNotFoundError:
        return ""
    found = re.search(r"^Version: *(\S+)", said, re.MULTILINE)
    return found[1] if found else ""


other_lock = click.option(
    "--other-lock", default="", metavar="REASON", help="Build with other packages than the lock says, and state why."
)


def engines(command: Callable[..., None]) -> Callable[..., None]:
    """`--engine` and `--master`, which `working` understands."""

    def wanted(context: click.Context, _option: click.Parameter, master: str) -> str:
        if (context.params["engine"] == "spark") != bool(master):
            raise click.UsageError("--engine spark and --master URL are said together")
        return master

    command = click.option(
        "--master", default="", metavar="URL", callback=wanted, help="The Spark master, such as spark://HOST:7077."
    )(command)
    return click.option(
        "--engine",
        type=click.Choice(["duckdb", "spark"]),
        default="duckdb",
        is_eager=True,
        help="What runs the rules and the sealing: this machine, or a Spark cluster.",
    )(command)


def console() -> Console:
    """A terminal of the user's width; 80 columns where there is none."""
    from rich.console import Console

    return Console(highlight=False, width=None if os.isatty(1) else 80)


@contextmanager
def progress(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """Bars on a terminal, nothing elsewhere: one bar per piece of work, shown once it has taken a second."""
    if not os.isatty(2):
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(f"{title}: {what}", total=max(total, 1))
            bars.update(tasks[what], completed=done, total=max(total, 1))

        yield report


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A word and a moving sign on a terminal, while a question is worked on that has no countable steps."""
    if not os.isatty(2):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def several(count: int, noun: str) -> str:
    """`1 nominal`, `2 nominals`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def emit_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


as_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
case = click.option(
    "--case", default="", metavar="REF", help="Show too what is restricted and held for this case; it is logged."
)
