"""Each build is pinned: DVC takes in the sealed rows, git the log, statements and params, under the build's tag.

So a clone, the DVC remote and the vault are the whole archive. DVC and git are used as programs. Neither is
evidence: DVC's MD5 is transport and a tag can be moved; what proves a build is the log.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from provenance import durable
from provenance.custody import UNLOCK
from provenance.errors import Conflict, Missing

COMMITTED = (  # what git holds of an archive
    "archive.json", "params.yaml", "week.yaml", "dvc.yaml", "dvc.lock", ".gitignore", ".dvcignore", ".dvc/.gitignore",
    ".dvc/config", "harm", "log", "builds", "audit_reports", "papers",
)  # fmt: skip
# The log and the statements answer for themselves; week.yaml is edited to announce a build.
_SETTINGS = tuple(name for name in COMMITTED if name not in ("log", "builds", "week.yaml", "audit_reports", "papers"))
_SETTINGS += ("log/policy", "log/tsa")
_IGNORED = """\
# Secrets and what is derived never enter git; DVC carries the sealed rows.
/vault/
/index/
/inbox/
/store/
/seen/
/reported/
/disclosure/
.writer
*.part
"""
# What `dvc init` writes, but for the settings: it takes half a second, and `dvc config` another for each line. A hard
# link in the cache would let an edit in the workspace change the cached object. Settings come last: a folder without
# them is laid out again.
_DVC_FOLDER = {
    ".dvcignore": """\
# Add patterns of files dvc should ignore, which could improve
# the performance. Learn more at
# https://dvc.org/doc/user-guide/dvcignore
""",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvc/config": """\
[core]
    analytics = false
    check_update = false
    autostage = false
[cache]
    type = "reflink,copy"
""",
}


def lay_out(root: Path) -> None:
    """Make a folder a git and DVC repository with the product's pipeline and params; what is there already stays."""
    root.mkdir(parents=True, exist_ok=True)
    house = resources.files("pipeline").joinpath("house")
    for name in ("dvc.yaml", "params.yaml"):
        if not (root / name).exists():
            durable.write(root / name, house.joinpath(name).read_bytes())
    if not (root / "harm").exists():
        for table in house.joinpath("harm").iterdir():
            durable.write(root / "harm" / table.name, table.read_bytes())
    if not (root / ".gitignore").exists():
        durable.write(root / ".gitignore", _IGNORED.encode())
    if not (root / ".git").exists():
        _run(root, "git", "init", "-q", "-b", "main")
    if not (root / ".dvc" / "config").exists():
        for name, text in _DVC_FOLDER.items():
            durable.write(root / name, text.encode())


def pin(root: Path, labels: Sequence[str], message: str, *, on: str) -> None:
    """Take the workspace into DVC, commit what git holds, and tag the commit `build/LABEL` for each label."""
    for folder in ("store/disposals", "store/received", "store/records", "store/links", "store/networks", "builds"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    _dvc(root, "commit", "-q", "-f")
    commit(root, message, on=on)
    for label in labels:
        git(root, on, "tag", "-a", f"build/{label}", "-m", message)


def commit(root: Path, message: str, *, on: str) -> None:
    """Commit the files that git holds; nothing to commit is no fault."""
    present = [name for name in COMMITTED if (root / name).exists()]
    git(root, on, "add", "--", *present)
    if git(root, on, "status", "--porcelain", "--untracked-files=no"):
        git(root, on, "commit", "-q", "-m", message)


def edited(root: Path) -> list[str]:
    """Settings whose bytes are not those of the last commit, and objects of git that are damaged."""
    if not (root / ".git").exists():
        return []
    said = git(root, "", "-c", "core.fileMode=false", "status", "--porcelain", "--untracked-files=no", "--", *_SETTINGS)
    changed = [f"file {line[3:]} is not as it was committed" for line in said.decode().splitlines()]
    sound = subprocess.run(
        ["git", "fsck", "--no-dangling", "--no-progress"], cwd=root, capture_output=True, check=False
    )
    return changed + ([] if sound.returncode == 0 else ["git: an object of the repository is damaged"])


def git(root: Path, on: str, *arguments: str, fed: bytes = b"") -> bytes:
    """What git prints, given `fed` to read; commits and tags that it makes are dated `on`. Raises Conflict."""
    # Dates come from the door, so that the same acts give the same commits; names from git's own settings if there are
    # any.
    environment = handed_on()
    if on:
        environment |= {"GIT_AUTHOR_DATE": on, "GIT_COMMITTER_DATE": on}
    for role in ("AUTHOR", "COMMITTER"):
        environment.setdefault(f"GIT_{role}_NAME", "provenance")
        environment.setdefault(f"GIT_{role}_EMAIL", "provenance@localhost")
    return _run(root, "git", *arguments, environment=environment, fed=fed)


def _dvc(root: Path, *arguments: str) -> None:
    _run(root, sys.executable, "-m", "dvc", *arguments, environment={**handed_on(), "DVC_NO_ANALYTICS": "1"})


def handed_on() -> dict[str, str]:
    """The environment as other programs get it: without what opens the keys, which is none of their business."""
    return {name: value for name, value in os.environ.items() if name not in UNLOCK.values()}


def _run(root: Path, *command: str, environment: dict[str, str] | None = None, fed: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            command, cwd=root, env=environment or handed_on(), input=fed, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise Missing(f"program {command[0]} is not installed: wanted on the PATH") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise Conflict(
            f"{Path(command[0]).name} {' '.join(command[1:3])} failed: {said[-1] if said else done.returncode}"
        )
    return done.stdout
