"""Everything that a machine without internet needs to install the product, in one folder: `make wheelhouse`.

    dist/provenance-0.1.0-1a2b3c4d5e6f/
      wheels/            our wheel, and each package of the lock that it needs on a machine like this one
      requirements.txt   their names and SHA-256, as pip takes them; of what one of the project's extras needs besides,
                         requirements-spark.txt and so on, which are installed where they are asked for
      install.sh         checks the sums, then installs without asking any network
      systemd/ ...       units, the alert, the container file, docs/
      SHA256SUMS         of all these

Our wheel is made of what was committed, never of an edit: from a copy of the commit, with what pages are drawn with
built into it. It says which commit it is, for a build's statement names that, and carries the commits themselves, so
that `provenance reproduce` can go back to an older one. The same commit gives the same wheel.

The wheels are for one Python and one kind of machine, those of whoever runs this: folder and wheels say which.
Packages that only tests and measurements need stay out.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
STATIC = Path("provenance", "web", "static")
HOUSE = Path("pipeline", "house")
SUMS = "SHA256SUMS"
# What lies in the folder beside the wheels: where it is in the repository, and what it is called there.
BESIDE = {
    "deploy/install.sh": "install.sh",
    "deploy/alert.sh": "alert.sh",
    "deploy/Containerfile": "Containerfile",
    "deploy/systemd": "systemd",
    "docs": "docs",
    "LICENSE": "LICENSE",
}


class Unfit(Exception):
    """Why no folder was made, and what to do."""


def main() -> int:
    try:
        made = wheelhouse(ROOT / "dist")
    except Unfit as error:
        print(f"wheelhouse: {error}", file=sys.stderr)
        return 2
    wheels = list((made / "wheels").iterdir())
    size = sum(path.stat().st_size for path in wheels) / 1e6
    print(f"{made.relative_to(ROOT)} holds {len(wheels)} wheels, {size:,.0f} MB.")
    print(f"SHA-256 of its {SUMS}, to be told by another way than the folder goes:")
    print(digest(made / SUMS))
    return 0


def wheelhouse(into: Path) -> Path:
    """The folder for the commit that is checked out, complete or not there. Raises Unfit."""
    if edited := _git("status", "--porcelain", "--untracked-files=no"):
        raise Unfit(f"{edited.splitlines()[0].split()[-1]} is not as it was committed: commit it, or take it back")
    commit = _git("rev-parse", "HEAD")
    made = into / f"provenance-{version()}-{commit[:12]}"
    half = into / f".{made.name}.part"
    shutil.rmtree(half, ignore_errors=True)
    (half / "wheels").mkdir(parents=True)
    wheel = our_wheel(half / "wheels", half / "made")
    _packages(half, needed(*extras()))
    _committed(half / "made")
    for name, called in BESIDE.items():
        (half / "made" / name).rename(half / called)
    shutil.rmtree(half / "made")
    always, wheels = needed(), sorted((half / "wheels").iterdir(), key=lambda path: (path != wheel, path.name))
    named = {path: canonicalize_name(path.name.partition("-")[0]) for path in wheels}
    wanted = {"requirements": always | {named[wheel]}}
    wanted |= {f"requirements-{extra}": needed(extra) - always for extra in extras()}
    for name, packages in wanted.items():
        lines = [f"./wheels/{path.name} --hash=sha256:{digest(path)}\n" for path in wheels if named[path] in packages]
        (half / f"{name}.txt").write_text("".join(lines))
    files = sorted(path for path in half.rglob("*") if path.is_file())
    (half / SUMS).write_text("".join(f"{digest(path)}  {path.relative_to(half).as_posix()}\n" for path in files))
    shutil.rmtree(made, ignore_errors=True)
    half.rename(made)
    return made


def our_wheel(into: Path, workshop: Path) -> Path:
    """The product's wheel, of the commit that is checked out. Raises Unfit where the assets are not built."""
    if not (ROOT / STATIC / "manifest.json").exists():
        raise Unfit("what pages are drawn with is not built: `make assets` first")
    _committed(workshop)
    shutil.copytree(ROOT / STATIC, workshop / STATIC)
    (workshop / HOUSE / "commit").write_text(_git("rev-parse", "HEAD") + "\n")
    # One thread, or the same commits are packed into other bytes.
    _git("-c", "pack.threads=1", "bundle", "create", "-q", str(workshop / HOUSE / "code.bundle"), "HEAD")
    before = set(into.glob("*.whl"))
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(into), str(workshop))
    shutil.rmtree(workshop)
    (wheel,) = set(into.glob("provenance-*.whl")) - before
    return wheel


def _committed(folder: Path) -> None:
    """The files of the commit, and no other that lies about."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    packed = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=packed, check=True)


def _packages(folder: Path, wanted: set[str]) -> None:
    """Fetch, or build where there is no wheel, these packages: the versions and hashes of the lock."""
    lines = [line for line in locked() if canonicalize_name(Requirement(_pin(line)).name) in wanted]
    part = folder / "lock.txt"
    part.write_text("\n".join(lines) + "\n")
    _pip(
        "wheel", "--no-deps", "--no-build-isolation", "--require-hashes", "-r", str(part), "-w", str(folder / "wheels")
    )
    part.unlink()


def extras() -> list[str]:
    """What the project can be installed with besides: `spark` and so on."""
    return sorted(_project()["optional-dependencies"])


def needed(*extras: str) -> set[str]:
    """Packages that pyproject.toml asks for, with these extras, and what those ask for, as they are installed here.

    Raises Unfit.
    """
    project = _project()
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    found: dict[str, set[str]] = {}
    left = [(Requirement(line), "") for line in lines]
    while left:
        one, extra = left.pop()
        if one.marker and not one.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(one.name)
        extras = {"", *one.extras}
        if extras <= found.get(name, set()):
            continue
        left += [(one, each) for each in extras - found.get(name, set()) for one in _asked_by(name)]
        found.setdefault(name, set()).update(extras)
    return set(found)


@cache
def _asked_by(name: str) -> list[Requirement]:
    """What an installed package asks for: kept, as it is asked once for the product and once for each extra."""
    try:
        return [Requirement(line) for line in importlib.metadata.requires(name) or []]
    except importlib.metadata.PackageNotFoundError:
        raise Unfit(f"package {name} is not installed here: `make .venv/.ready` first") from None


def locked() -> list[str]:
    """The lines of requirements.lock, each with its hashes."""
    text = (ROOT / "requirements.lock").read_text("utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _pin(line: str) -> str:
    return line.partition(" --hash=")[0].strip()


def version() -> str:
    return _project()["version"]


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def digest(path: Path) -> str:
    with open(path, "rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Unfit(f"git {arguments[0]} says: {done.stderr.strip()}")
    return done.stdout.strip()


def _pip(*arguments: str) -> None:
    """Times inside the wheels are the commit's: the same commit gives the same bytes."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct")}
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise Unfit(f"pip says: {said[0] if said else done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
