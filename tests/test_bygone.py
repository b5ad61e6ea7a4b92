"""Code of a past commit and the packages of its lock: made whole or not at all, whatever goes wrong on the way.

The repository is a small one, its lock pins wheels that were made a moment ago, and pip may ask no index.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from force import ROOT

from deploy import wheelhouse
from provenance import bygone
from provenance.errors import Missing

WHO = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
PROJECT = """\
[project]
dependencies = ["Abacus>=1", "quill[ink]>=2"]
[project.optional-dependencies]
postgresql = ["postern>=1"]
spark = ["tinder>=1"]
"""


def wheel(folder: Path, name: str, files: dict[str, str], *, asks: str = "") -> str:
    """A wheel of version 1.0 with these files; how a lock pins it."""
    told = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{f'Requires-Dist: {asks}' if asks else ''}\n"
    path, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as packed:
        for file, text in files.items():
            packed.writestr(file, text)
        packed.writestr(f"{info}/METADATA", told)
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Project:
    """A repository with a lock, and the folder in which its past is made ready."""

    def __init__(self, folder: Path) -> None:
        self.root, self.home, self.wheels = folder / "project", folder / "index" / "code", folder / "wheels"
        self.wheels.mkdir()
        sizes = {"abacus": 10, "sand": 10, "quill": 300_000}
        self.pins = {name: wheel(self.wheels, name, {f"{name}.py": "#" * size}) for name, size in sizes.items()}
        self.said: list[tuple[str, int, int]] = []
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit = self.commits()

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *WHO, *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commits(self, **pins: str) -> str:
        """A commit with this lock."""
        (self.root / "pyproject.toml").write_text(PROJECT)
        held = self.pins | pins
        via = {"abacus": "-r requirements.in", "sand": "abacus", "quill": "-r requirements.in"}
        (self.root / "requirements.lock").write_text("".join(f"{held[n]}    # via {by}\n" for n, by in via.items()))
        self.git("add", ".")
        self.git("commit", "-q", "-m", "a lock")
        return self.git("rev-parse", "HEAD")

    def code(self, commit: str = "") -> Path:
        return bygone.code(self.home, self.root, commit or self.commit, self.report)

    def environment(self, commit: str = "") -> Path:
        return bygone.environment(self.home, self.code(commit), self.report)

    def report(self, *said) -> None:
        self.said.append(said)

    def made(self) -> set[str]:
        return {path.name.split("-")[0] for path in self.home.iterdir()} - {".writer"}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    made = Project(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.wheels))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return made


# ---- what is wanted of a lock ----------------------------------------------------------------------------------------


def test_of_a_lock_is_wanted_what_the_project_asks_for_and_what_that_asks_for(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "requirements.lock").write_text(
        "abacus==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:ab\n    # via -r requirements.in\n"
        "clay==3 --hash=sha256:cc\n    # via\n    #   sand\n    #   ruler\n"
        "ink==2 ; python_full_version < '3' \\\n    --hash=sha256:dd\n    # via quill\n"  # of another Python
        "Post.Ern==1 --hash=sha256:ee\n"
        "quill==2 --hash=sha256:ff\n    # via\n    #   -r requirements.in\n    #   ruler\n"
        "ruler==1 --hash=sha256:ba\n    # via -r requirements.in\n"  # of the tests
        "sand==1 --hash=sha256:bb\n    # via abacus\n"
        "setuptools==80 --hash=sha256:bc\n    # via -r requirements.in\n"
        "tinder==1 --hash=sha256:bd\n    # via -r requirements.in\n"
    )
    found = {pin.name: pin.line for pin in bygone.needed(tmp_path)}
    assert sorted(found) == ["abacus", "clay", "quill", "sand", "setuptools"]
    assert found["abacus"] == "abacus==1.0 --hash=sha256:aa --hash=sha256:ab"
    (tmp_path / "pyproject.toml").write_text(PROJECT.replace("postern", "post-ern"))
    assert "post-ern" in {pin.name for pin in bygone.needed(tmp_path)}


def test_of_our_own_lock_no_less_is_wanted_than_the_product_needs_and_no_judge_of_the_tests():
    """Told by the comments of the lock, against what the installed packages say of themselves."""
    found = {pin.name for pin in bygone.needed(ROOT)}
    assert wheelhouse.needed() <= found
    assert {"pg8000", "python-pkcs11", "setuptools"} <= found
    assert not found & {"pytest", "playwright", "hypothesis", "matplotlib", "ruff", "pyspark", "moto"}


# ---- code ------------------------------------------------------------------------------------------------------------


def test_code_is_a_clone_of_its_own_that_the_repository_knows_nothing_of(project):
    project.commits(abacus="abacus==2.0\n")
    tree = project.code()
    assert "abacus==1.0" in (tree / "requirements.lock").read_text()
    assert subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True).stdout.strip() == (
        project.commit
    )
    assert len(project.git("worktree", "list").splitlines()) == 1
    assert [said[1:] for said in project.said] == [(0, 1), (1, 1)]
    project.code()
    assert len(project.said) == 2  # nothing was made, and nothing said


def test_code_that_somebody_edited_is_made_again(project):
    tree = project.code()
    (tree / "pyproject.toml").write_text("another")
    (tree / "more.py").write_text("more")
    assert (project.code() / "pyproject.toml").read_text() == PROJECT
    assert not (tree / "more.py").exists()
    subprocess.run(["git", *WHO, "rm", "-q", "pyproject.toml"], cwd=tree, check=True)
    subprocess.run(["git", *WHO, "commit", "-q", "-m", "another"], cwd=tree, check=True)
    assert (project.code() / "pyproject.toml").exists()


def test_code_whose_repository_moved_is_made_again(project, tmp_path):
    project.code()
    project.root = project.root.rename(tmp_path / "moved")
    assert (project.code() / "pyproject.toml").read_text() == PROJECT


def test_what_a_killed_run_left_goes_with_the_next_and_what_a_live_one_makes_stays(project):
    dead = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    left = project.home / f"{project.commit}.{dead}.part" / "provenance"
    live = project.home / f"packages-0.{os.getppid()}.part"
    for folder in (left, live):
        folder.mkdir(parents=True)
    assert (project.code() / "requirements.lock").exists()
    assert not left.parent.exists()
    assert live.exists()


def test_a_commit_that_is_not_in_the_clone_any_more_is_named_with_how_to_get_it(project, tmp_path):
    project.commits(abacus="abacus==2.0\n")
    with pytest.raises(Missing, match=f"commit {'0' * 40} is not in the repository of this code: wanted it there, as "
                                      "`git fetch` may bring it, or `--code here`"):  # fmt: skip
        project.code("0" * 40)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{project.root}", str(shallow)], check=True)
    project.root = shallow
    with pytest.raises(Missing, match="which is a shallow clone: wanted it there, as `git fetch --unshallow`"):
        project.code()
    assert project.made() == set()
    assert (project.code(project.git("rev-parse", "HEAD")) / "pyproject.toml").exists()  # one that it has


def test_code_that_lies_in_no_repository_is_told_so(project):
    shutil.rmtree(project.root / ".git")
    with pytest.raises(Missing, match="the code that runs lies in no git repository"):
        project.code()


# ---- packages --------------------------------------------------------------------------------------------------------


def test_an_environment_has_the_packages_of_the_lock_and_is_made_once(project, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))  # where pip would find one, and take it for installed
    elsewhere = tmp_path / "elsewhere" / "sand-1.0.dist-info"
    elsewhere.mkdir(parents=True)
    (elsewhere / "METADATA").write_text("Metadata-Version: 2.1\nName: sand\nVersion: 1.0\n")
    python = project.environment()
    told = subprocess.run(
        [str(python), "-E", "-c", "import abacus, sand, quill, sys; print(quill.__file__, *sys.path)"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert told.startswith(str(python.parent.parent))
    assert "elsewhere" not in told
    assert project.made() == {project.commit, "packages"}
    of_packages = [said for said in project.said if said[0] == "3 packages of its lock"]
    assert of_packages[0][1:] == (0, 1)
    assert of_packages[-1][1:] == (1, 1)
    shutil.rmtree(project.wheels)
    assert project.environment() == python


@pytest.mark.parametrize(("pin", "said"), [
    ("sand==9.9 --hash=sha256:" + "0" * 64, r"pip says .*sand==9\.9.*from versions: 1\.0"),
    ("sand==1.0 --hash=sha256:" + "0" * 64, r"pip says .*DO NOT MATCH THE HASHES.* sand==1\.0 .*Expected sha256 0000"),
    ("sand==1.0", r"pip says .*Hashes are required in --require-hashes mode.*sand==1\.0"),
])  # fmt: skip
def test_a_package_that_cannot_be_had_is_named_and_nothing_stays(project, pin, said):
    commit = project.commits(sand=f"{pin}\n")
    with pytest.raises(Missing, match=f"packages of the lock cannot be had: {said}"):
        project.environment(commit)
    assert project.made() == {commit}


def test_a_lock_that_lacks_what_a_package_of_it_needs_is_told_so(project):
    commit = project.commits(sand=wheel(project.wheels, "sand", {}, asks="shovel"))
    with pytest.raises(Missing, match=r"pip says sand 1\.0 requires shovel, which is not installed"):
        project.environment(commit)
    assert project.made() == {commit}


def test_a_disk_that_takes_no_more_ends_it_and_nothing_stays(project):
    """A limit on the size of files stands in for a full disk: pip cannot write what it unpacks."""
    project.code()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(Missing, match=r"cannot be had: pip says Could not install packages due to an OSError"):
            project.environment()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert project.made() == {project.commit}
    project.environment()
    assert project.made() == {project.commit, "packages"}


def test_interrupted_it_ends_what_it_started_and_nothing_stays(project, monkeypatch):
    project.code()
    started = []

    def interrupted(process, _look):
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(bygone, "_heard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        project.environment()
    assert started[0].returncode == -signal.SIGKILL
    assert project.made() == {project.commit}


def test_two_at_once_make_it_once(project, monkeypatch):
    made, real = [], bygone._install
    monkeypatch.setattr(bygone, "_install", lambda *said: (made.append(said), real(*said)))
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: project.environment(), range(2))
    assert one == other
    assert len(made) == 1
    assert project.made() == {project.commit, "packages"}


# ---- what past code sees ---------------------------------------------------------------------------------------------


def test_past_code_sees_the_archive_with_an_index_of_its_own_and_no_server(tmp_path):
    root, keys, home = tmp_path / "force", tmp_path / "force.keys", tmp_path / "force" / "index" / "code"
    for folder in ("log", "store/links", "index", ".git", "inbox"):
        (root / folder).mkdir(parents=True)
    (root / "archive.json").write_text("{}")
    (root / "index" / "catalogue.sqlite").write_text("of today")
    keys.mkdir()
    (keys / "master").write_text("secret")
    with bygone.seen(home, root, keys) as (archive, handed):
        assert sorted(path.name for path in archive.iterdir()) == ["archive.json", "index", "log", "store"]
        assert (archive / "store" / "links").is_dir()
        assert handed == keys
        (archive / "index" / "catalogue.sqlite").write_text("of then")
    assert (root / "index" / "catalogue.sqlite").read_text() == "of today"
    assert list(home.iterdir()) == []

    (keys / "database").write_text("an address")
    with bygone.seen(home, root, keys) as (archive, handed):
        assert [path.name for path in handed.iterdir()] == ["master"]
        assert (handed / "master").read_text() == "secret"
        assert not handed.is_relative_to(root)  # a copy of the archive that follows links holds no key
    assert sorted(path.name for path in keys.iterdir()) == ["database", "master"]
    assert list(home.iterdir()) == []
