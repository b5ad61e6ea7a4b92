"""Backups, restores and disposals upon a disk that is really full: a small one, mounted where nobody else sees it.

What is damaged, cut off or older than a disposal is tried in test_backups.py, and through the commands by the runbook
(test_docs.py).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.force import ROOT, Force, record

CUT_OFF = "2026-01-11T23:59:59Z"
APART = ["unshare", "--mount", "--map-root-user"]
DRILL = """
import json, os, shutil, subprocess, sys
from pathlib import Path
from click.testing import CliRunner
from provenance.cli import main

home, said = Path(sys.argv[1]), []
os.fsync = lambda _: None  # nothing pulls the plug
small, own = home / "small", home / "own"
WHOM = ["--nominal", "N-2", "--under", "MOPI 26/1", "--reason", "mopi-review", "--by", "A"]


def mount(path, size):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "drill", str(path)], check=True)


def runs(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    said.append([done.exit_code, done.output])


mount(small, "96k")
runs("--archive", home / "force", "backup", small / "backup")
said.append(sorted(os.listdir(small)))
runs("--archive", home / "force", "backup", home / "backup")
shutil.copytree(home / "force.keys", small / "new.keys")
runs("restore", home / "backup", small / "new", "--log", home / "force" / "log")
said.append(sorted(os.listdir(small)))

for room in (16, 64):  # KiB, when the disposal begins
    mount(own, "64m")
    for name in ("force", "force.keys"):
        shutil.copytree(home / name, own / name)
    door = ["--archive", own / "force"]
    runs(*door, "dispose", "plan", *WHOM, "--out", home / "plan.yaml")
    with open(own / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            filler.truncate(filler.tell() - room * 1024)
    carry = [*door, "dispose", "carry-out", home / "plan.yaml", "--by", "B", "--approved-by", "C"]
    runs(*carry)
    runs(*door, "asof", "2026-01-12", "--json")
    (own / "filler").unlink()
    runs(*carry)
    runs(*door, "verify")
    runs(*door, "asof", "2026-01-12", "--json")
    subprocess.run(["umount", str(own)], check=True)
    own.rmdir()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> list:
    """What the drill saw: exit codes with what was printed, and what lay on the small disk."""
    if not shutil.which("unshare") or subprocess.run([*APART, "mount", "-t", "tmpfs", "drill", "/mnt"]).returncode:
        pytest.skip("no disk may be mounted here")
    home = tmp_path_factory.mktemp("drill")
    force = Force(home)
    shutil.copy(ROOT / "params.yaml", force.root)
    shutil.copytree(ROOT / "harm", force.root / "harm")
    force.receive(*(record(f"R-{n}", "N-1", f"N-{n}", "N-2") for n in range(3, 60)), cut_off=CUT_OFF)
    force.build(CUT_OFF)
    force.archive.close()
    done = subprocess.run(
        [*APART, sys.executable, "-c", DRILL, str(home)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def of_n2(answer: dict) -> int:
    return sum("N-2" in (link["a"], link["b"]) for link in answer["links"])


FULL = [6, "Conflict: disk has no room left: make some, and give the command again\n"]


def test_a_backup_that_does_not_fit_leaves_nothing_and_says_so(said):
    assert said[0] == FULL
    assert said[1] == []


def test_a_restore_that_does_not_fit_leaves_nothing_and_says_so(said):
    (backed_up, _), restored, left = said[2:5]
    assert backed_up == 0
    assert restored == FULL
    assert left == ["new.keys"]


@pytest.mark.parametrize("begun", [False, True])
def test_a_disposal_that_finds_no_room_is_completed_once_there_is_some(said, begun):
    """With next to no room nothing has happened yet; with some, the disposal is in the log, and nobody sees N-2."""
    planned, carried, asked, again, verified, answered = said[11:17] if begun else said[5:11]
    assert planned[0] == 0
    assert carried == FULL
    if begun:
        assert asked == FULL  # a question completes a disposal first, and there is no room for that
    else:
        assert of_n2(json.loads(asked[1])) == 58
    assert again[0] == 0, again
    assert ("Disposed of before" in again[1] or "had been cut off" in again[1]) == begun
    assert verified[0] == 0, verified
    answer = json.loads(answered[1])
    assert of_n2(answer) == 0
    assert len(answer["links"]) == 57
    assert answer["disposed"]["disposed"] > 100
