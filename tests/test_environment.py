"""What a build says of the machine and the packages it ran on, and when it is refused for them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import types
from pathlib import Path

import pytest
from force import PARAMS, ROOT, record, write_extract
from test_bygone import wheel

from provenance import open as provenance_open
from provenance.cli import doors
from provenance.cli.reproduce import _answered
from provenance.cli.weeks import Week, read_week
from provenance.errors import Malformed, Missing, Refused, Tampered

NOON = "2026-01-11T12:00:00Z"


@pytest.fixture
def odd(monkeypatch):
    """A package of another version than the lock's, one that is not installed, one as it should be."""
    held = [("numpy", "2.4.6", "2.4.7"), ("pywin32", "312", ""), ("rich", "14.0", "14.0")]
    monkeypatch.setattr(doors, "_pinned", lambda: iter(held))


@pytest.mark.usefixtures("odd")
def test_a_build_with_another_package_version_is_refused_and_the_version_named():
    with pytest.raises(
        Refused, match=r"numpy 2\.4\.7 is installed, the lock says 2\.4\.6; wanted those, or `--other-lock"
    ):
        doors.surroundings(PARAMS, NOON, "ana")


@pytest.mark.usefixtures("odd")
def test_a_build_that_asks_for_it_says_why_and_what_was_installed():
    around = doors.surroundings(PARAMS, NOON, "ana", "a security fix")("2026-W02")
    assert around.machine.other_lock == "a security fix"
    assert around.environment == hashlib.sha256(b"numpy==2.4.7\nrich==14.0\n").hexdigest()


def test_a_lock_that_is_kept_to_is_the_environment_and_no_reason_is_stated(monkeypatch):
    monkeypatch.setattr(doors, "unlocked", list)
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    around = doors.surroundings(PARAMS, NOON, "ana", "to no purpose")("2026-W02")
    assert around.environment == hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    assert (around.machine.other_lock, around.machine.hash_seed) == ("", "7")
    assert around.machine.python == f"CPython {sys.version.split()[0]}"
    assert around.machine.threads >= 1


def test_pins_are_read_for_this_python_alone():
    pins = {name: wanted for name, wanted, _ in doors._pinned()}
    assert "pywin32" not in pins  # of another system
    assert pins["click"].split(".")[0].isdigit()
    found = [name for name, _, _ in doors._pinned()]
    assert len(found) == len(set(found))  # two versions of numpy are for two Pythons


def test_the_versions_found_are_those_that_python_itself_tells():
    told = {name: found for name, _, found in doors._pinned()}
    assert len(told) > 50
    for name, found in told.items():
        try:
            assert found == importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            assert found == "", name


def test_week_yaml_may_say_why_other_packages_are_used(tmp_path):
    week = 'cut_off: "2026-01-11T12:00:00Z"\npublished_at: ""\n'
    (tmp_path / "week.yaml").write_text(week)
    assert read_week(tmp_path) == Week(NOON, "", "")
    (tmp_path / "week.yaml").write_text(week + 'other_lock: "a security fix"\n')
    assert read_week(tmp_path) == Week(NOON, "", "a security fix")


# ---- by the code of its commit ---------------------------------------------------------------------------------------


WHO = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]


class Clone:
    """A clone of this repository as it is committed, and an archive that its code works on."""

    def __init__(self, home: Path) -> None:
        self.home, self.code, self.archive = home, home / "code", home / "force"
        self.python, self.around = sys.executable, {}
        git(home, "clone", "-q", "--shared", str(ROOT), str(self.code))

    def commits(self, **files: str) -> None:
        for name, text in files.items():
            (self.code / name).write_text(text)
        git(self.code, *WHO, "commit", "-qam", "another commit")

    def runs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [self.python, "-m", "provenance.cli", "--archive", str(self.archive), *arguments]
        around = {**os.environ, "PYTHONPATH": "", **self.around}
        return subprocess.run(command, cwd=self.code, capture_output=True, text=True, check=False, env=around)

    def builds(self, *said: str) -> None:
        extract = write_extract(self.home / "extract", [record("R-1", "N-1", "N-2")], cut_off=NOON)
        for command in (["init"], ["receive", str(extract)], ["build", *said]):
            done = self.runs(*command)
            assert done.returncode == 0, done.stderr

    def carried_away(self) -> Clone:
        """A machine with a clone of the code, one of the archive, what a DVC remote has, and the vault with its keys.

        Of the machine before nothing is left.
        """
        remote = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {self.home / 'remote'}\n"
        (self.archive / ".dvc" / "config.local").write_text(remote)
        dvc(self.archive, "push", "-q")
        fresh = self.home / "fresh"
        for name in ("code", "force"):
            git(self.home, "clone", "-q", str(self.home / name), str(fresh / name))
        shutil.copytree(self.archive / "vault", fresh / "force" / "vault")
        shutil.copytree(self.home / "force.keys", fresh / "force.keys")
        for name in ("code", "force", "force.keys", "extract"):
            shutil.rmtree(self.home / name)
        (fresh / "force" / ".dvc" / "config.local").write_text(remote)
        dvc(fresh / "force", "pull", "-q")
        self.home, self.code, self.archive = fresh, fresh / "code", fresh / "force"
        return self

    def verdicts(self) -> list[str]:
        with provenance_open(self.archive) as force:
            return [act.verdict for act in force._inner.acts(["Reproduced"])]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def dvc(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True)


@pytest.fixture
def clone(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: there is no commit to go back to")
    return Clone(tmp_path)


def test_a_build_of_ten_commits_ago_comes_out_of_a_fresh_clone_the_remote_and_the_vault_alone(clone):
    """The code counts one point more from the tenth commit on: by it the build differs, by its own it is the same."""
    clone.builds("--other-lock", "as the tests are run")
    for number in range(9):
        clone.commits(**{"README.md": f"another {number}\n"})
    plain, text = "    found = rules.links(supports)\n", (clone.code / "provenance" / "linking.py").read_text()
    assert text.count(plain) == 1
    more = "    more, at = pc.add(found['strength'], 1), found.column_names.index('strength')\n"
    more += "    found = found.set_column(at, 'strength', more)\n"
    clone.commits(**{"provenance/linking.py": text.replace(plain, plain + more)})
    clone = clone.carried_away()

    here = clone.runs("reproduce", "2026-W02", "--code", "here", "--json")
    assert here.returncode == 4, here.stderr
    said = json.loads(here.stdout)
    assert (said["verdict"], said["other_than_stated"]) == ("differs", ["code"])
    assert (said["first_difference"]["table"], said["first_difference"]["field"]) == ("link", "strength")
    assert not any(id in here.stdout + here.stderr for id in ("N-1", "N-2", "R-1"))  # nobody is named

    commit = clone.runs("reproduce", "2026-W02")
    assert commit.returncode == 0, commit.stderr
    assert "Build 2026-W02: same\n" in commit.stdout
    assert re.search(r"code of commit [0-9a-f]{12}, with the packages that are installed", commit.stdout)
    assert "other" not in commit.stdout
    assert clone.verdicts() == ["differs", "same"]


def test_a_build_by_another_lock_is_made_again_in_an_environment_of_that_lock(clone, tmp_path):
    """The lock has one package, which leads to those of the tests: it stands in for what pip would bring."""
    (tmp_path / "wheels").mkdir()
    pin = wheel(tmp_path / "wheels", "led", {"led.pth": sysconfig.get_paths()["purelib"]})
    clone.commits(**{
        "pyproject.toml": '[project]\ndependencies = ["led"]\n',
        "requirements.lock": f"{pin}    # via -r requirements.in\n",
    })  # fmt: skip
    clone.builds()
    clone.commits(**{"requirements.lock": "# another lock\n"})
    clone.around = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    nothing = clone.runs("reproduce", "2026-W02", "--json")
    assert nothing.returncode == 5, nothing.stderr
    assert "build 2026-W02 cannot be made again by its own code: packages of the lock cannot be had: pip says" in (
        " ".join(nothing.stderr.split())
    )
    clone.around["PIP_FIND_LINKS"] = str(tmp_path / "wheels")
    commit = clone.runs("reproduce", "2026-W02", "--json")
    assert commit.returncode == 0, commit.stderr
    said = json.loads(commit.stdout)
    assert (said["verdict"], said["other_than_stated"]) == ("same", [])
    assert (said["code_of"], said["packages_of"]) == ("commit", "lock")
    assert clone.verdicts() == ["same"]  # the one that was to be logged, and was found


@pytest.mark.parametrize(("code", "kind"), [(4, Tampered), (5, Missing), (7, Malformed), (1, Missing)])
def test_what_past_code_ends_with_is_what_the_command_ends_with(code, kind, tmp_path):
    stated = types.SimpleNamespace(code="a" * 40, label="2026-W02")
    program = f"import sys; print('a warning', file=sys.stderr); print('Kind: why', file=sys.stderr); sys.exit({code})"
    with pytest.raises(kind, match=f"code of commit {'a' * 40} did not make build 2026-W02 again: Kind: why$"):
        _answered([sys.executable, "-c", program], tmp_path, stated)
