"""What may be committed: nothing of one machine, no package host, no secret, nothing large; a lock that is whole."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

import conftest
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from provenance import __version__, params

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 1_000_000  # bytes

HOSTS = re.compile(r"://[\w.@:-]*(?:pypi|pythonhosted|npmjs|crates\.io|conda|artifactory|nexus)", re.I)
FLAGS = re.compile(r"(?<![\w-])--(?:index-url|extra-index-url|find-links|trusted-host)\b")
MACHINE = re.compile(r"(?<![\w.})\]])/(?:home|Users|root|work|tmp|mnt)/[\w.]|\b[A-Z]:\\Users")
SECRET = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{36}\b")


def committed() -> list[Path]:
    """Files that git holds, or would with the next `git add -A`."""
    if not (ROOT / ".git").exists():
        pytest.skip("this folder is no git repository, so nothing is committed in it")
    said = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in said.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """`file:line` of each line that the pattern finds."""
    return [
        f"{path.relative_to(ROOT).as_posix()}:{number}"
        for path in committed()
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), start=1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize(
    ("pattern", "bad"),
    [
        (HOSTS, "https://" + "pypi.org/simple"),
        (HOSTS, "https://" + "user:pw@nexus.force.example/repo"),
        (FLAGS, "pip install --" + "index-url x"),
        (MACHINE, 'path = "/' + 'home/someone/archive"'),
        (SECRET, "-----" + "BEGIN PRIVATE KEY-----"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern, bad):
    assert pattern.search(bad)


def test_no_committed_file_names_a_package_host_or_an_option_that_would():
    assert lines_with(HOSTS) == []
    assert lines_with(FLAGS) == []


def test_no_committed_file_names_a_path_of_one_machine():
    assert lines_with(MACHINE) == []
    assert [path.name for path in committed() if str(ROOT).encode() + b"/" in path.read_bytes()] == []


def test_no_committed_file_holds_a_secret_or_is_a_key():
    assert lines_with(SECRET) == []
    assert [path.name for path in committed() if path.suffix in (".pem", ".key", ".p12") or ".keys" in path.parts] == []


def test_no_committed_file_is_large():
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in committed()}
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}
    assert len(sizes) > 50  # or git told us nothing


def locked() -> dict[str, tuple[Version, list[str]]]:
    """What requirements.lock pins: per package its version and hashes."""
    text = (ROOT / "requirements.lock").read_text("utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line and not line.lstrip().startswith("#"):
            requirement, *hashes = line.split(" --hash=")
            pinned = Requirement(requirement.split(" #")[0].strip())
            (exact,) = pinned.specifier
            assert exact.operator == "==", f"{pinned.name} is not pinned"
            found[canonicalize_name(pinned.name)] = Version(exact.version), [h.split()[0] for h in hashes]
    return found


def wanted(name: str) -> list[Requirement]:
    """What requirements.in or pyproject.toml asks for."""
    if name == "pyproject.toml":
        project = tomllib.loads((ROOT / name).read_text("utf-8"))
        extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
        required = project["project"]["dependencies"] + project["build-system"]["requires"]
        return [Requirement(line) for line in required + extras]
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def test_the_lock_pins_every_package_with_its_hashes():
    pins = locked()
    assert len(pins) > 80
    for name, (_, hashes) in pins.items():
        assert hashes, f"{name} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), name


@pytest.mark.parametrize("file", ["requirements.in", "pyproject.toml"])
def test_the_lock_gives_what_was_asked_for(file):
    pins = locked()
    for requirement in wanted(file):
        version, _ = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}"


def test_requirements_and_project_ask_for_the_same():
    ranges = {canonicalize_name(r.name): (r.extras, r.specifier) for r in wanted("requirements.in")}
    for requirement in wanted("pyproject.toml"):
        assert ranges[canonicalize_name(requirement.name)] == (requirement.extras, requirement.specifier)
    asked = {canonicalize_name(r.name) for r in wanted("pyproject.toml")}
    assert set(ranges) - asked == {  # the tests' own
        "bagit", "flask", "flask-cors", "hypothesis", "jsonschema", "matplotlib", "moto", "playwright", "proofbundle",
        "prov", "pytest", "pytest-xdist", "rfc8785", "roc-validator", "ruff", "securesystemslib",
    }  # fmt: skip


def test_the_house_of_a_new_archive_is_the_one_at_the_root():
    house = ROOT / "pipeline" / "house"
    names = sorted(path.name for path in house.iterdir())
    assert names == ["dvc.yaml", "harm", "params.yaml", "requirements.lock"]
    for name in names:
        assert (house / name).resolve(strict=True) == ROOT / name


def test_a_wheel_would_hold_every_file_that_the_code_reads():
    """An editable install reads them from here; any other install has only what package-data names."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    for package in ("provenance", "pipeline"):
        base = ROOT / package
        held = {found for pattern in named.get(package, []) for found in base.glob(pattern)}
        # `glob` does not walk into the linked folder harm/, so its files are listed by hand.
        read = {path for path in base.rglob("*") if path.is_file()} | set((base / "house" / "harm").glob("*"))
        built_from = base / "web" / "assets"  # no code reads these: what is built of them is in web/static
        lacking = [p for p in read - held if p.suffix not in (".py", ".pyc") and p.parent != built_from]
        assert not lacking, f"package-data of {package} lacks {sorted(p.name for p in lacking)}"


def test_the_params_that_come_with_the_product_are_whole_and_pin_the_table_that_comes_with_it():
    edition = params.read(ROOT / "params.yaml").harm.editions[0]
    assert edition.sha256 == hashlib.sha256((ROOT / edition.file).read_bytes()).hexdigest()


def test_the_licence_is_one_and_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert project["license"] == "MIT"
    assert text.startswith("MIT License\n")
    assert "the provenance authors" in text
    assert "MIT" in (ROOT / "README.md").read_text("utf-8")


def test_the_changelog_speaks_of_the_version_that_is_here():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert version == __version__
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_files_that_are_begun_first_are_there():
    """A file that was renamed would be begun anywhere, and perhaps be run alone at the end."""
    assert [name for name in conftest.LONGEST if not (ROOT / "tests" / f"test_{name}.py").exists()] == []
    assert len(set(conftest.LONGEST)) == len(conftest.LONGEST)
