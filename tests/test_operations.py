"""What an administrator installs and starts: the wheel, the units, the alert, the container file.

The whole way, from `make wheelhouse` to a weekly build in a new environment without a network, is
tests/soak/test_install.py.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy import wheelhouse
from provenance import errors
from provenance.cli import main
from tests.force import record, write_extract

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
SERVICES = sorted(path for path in (DEPLOY / "systemd").glob("*.service"))
OURS = [path for path in SERVICES if "alert" not in path.name]


# ---- the wheel -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: a wheel is made of a commit")
    if not (ROOT / wheelhouse.STATIC / "manifest.json").exists():
        pytest.skip("what pages are drawn with is not built: `make assets`")
    home = tmp_path_factory.mktemp("wheel")
    return wheelhouse.our_wheel(home, home / "workshop")


def test_the_wheel_holds_every_file_of_the_product_and_what_is_built(wheel):
    """Code, templates, tables, the page and the program that stand alone: whatever git has of the two packages."""
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "HEAD", "provenance", "pipeline"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    wanted = {name for name in listed.stdout.split() if not name.startswith("provenance/web/assets/")}
    wanted.discard("pipeline/house/harm")  # a link to a folder
    wanted |= {f"pipeline/house/harm/{path.name}" for path in (ROOT / "harm").iterdir()}
    wanted |= {path.relative_to(ROOT).as_posix() for path in (ROOT / wheelhouse.STATIC).iterdir()}
    wanted |= {"pipeline/house/commit", "pipeline/house/code.bundle"}
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
        assert held == wanted
        named = re.findall(
            r'"([\w.-]+\.[\da-f]{12}\.\w+)"', opened.read("provenance/web/static/manifest.json").decode()
        )
        assert named
        assert {f"provenance/web/static/{name}" for name in named} < held
    assert {"provenance/standalone/verify.html", "provenance/standalone/verify.py", "provenance/rows-1.zdict"} < wanted


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The wheel laid out as pip would, away from the repository; packages are those of the tests."""
    site = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(site)
    return site


THERE = """
import json, os, sys
from click.testing import CliRunner
from provenance.cli import doors, main
assert "the lock file is not as it was committed" not in doors.unlocked()
os.fsync = lambda _: None  # nothing pulls the plug
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(main, ["--archive", "force", *arguments], catch_exceptions=False)
    print(done.output)
    if done.exit_code:
        sys.exit(done.exit_code)
"""


def test_what_is_installed_from_the_wheel_builds_and_names_its_commit_and_goes_back_to_it(installed, tmp_path):
    """In a process that finds nothing else of the product, away from any repository."""
    write_extract(tmp_path / "extract", [record("R-1", "N-1", "N-2")], cut_off="2026-01-11T23:59:59Z")
    build, again = ["build", "--other-lock", "as the tests are run"], ["reproduce", "2026-W02", "--code", "commit"]
    commands = [["init"], ["receive", "extract"], build, again]
    path = os.pathsep.join([str(installed), sysconfig.get_paths()["purelib"]])
    done = subprocess.run(
        [sys.executable, "-c", THERE, json.dumps(commands)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Build 2026-W02: same" in done.stdout
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    envelope = json.loads((tmp_path / "force" / "builds" / "2026-W02.json").read_text())
    assert f'"gitCommit":"{head}"' in base64.b64decode(envelope["payload"]).decode()
    assert (tmp_path / "force" / "index" / "code" / head / "provenance").is_dir()


def test_the_packages_that_go_along_are_those_of_the_lock_and_no_judge_of_the_tests():
    needed, pins = wheelhouse.needed(), "\n".join(wheelhouse.locked())
    assert {"duckdb", "dvc", "pyarrow", "setuptools", "starlette", "typst"} <= needed
    assert not needed & {"pytest", "playwright", "hypothesis", "matplotlib", "ruff", "roc-validator"}
    for name in needed:
        assert re.search(rf"^{name}(\[\w+\])?==", pins, re.M), f"{name} is needed and not in the lock"


def test_of_each_extra_all_that_it_needs_is_in_the_lock():
    """Whoever installs one types its name."""
    said = {"pkcs11": "python-pkcs11", "postgresql": "pg8000", "s3": "dvc-s3", "spark": "pyspark", "ssh": "dvc-ssh"}
    always, pins = wheelhouse.needed(), "\n".join(wheelhouse.locked())
    for extra in wheelhouse.extras():
        besides = wheelhouse.needed(extra) - always
        assert said.pop(extra) in besides
        for name in besides:
            assert re.search(rf"^{name}(\[\w+\])?==", pins, re.M), f"{name} is needed and not in the lock"
    assert said == {}


# ---- the install script ----------------------------------------------------------------------------------------------


@pytest.fixture
def parcel(tmp_path):
    """A folder as `make wheelhouse` makes it, with a wheel that is none."""
    folder = tmp_path / "parcel"
    (folder / "wheels").mkdir(parents=True)
    shutil.copy(DEPLOY / "install.sh", folder)
    (folder / "wheels" / "provenance-0.1.0-py3-none-any.whl").write_bytes(b"not a wheel")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = "".join(f"{wheelhouse.digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    (folder / "SHA256SUMS").write_text(sums)
    return folder


@pytest.mark.parametrize("damage", ["changed", "added", "lacking"])
def test_nothing_is_installed_from_a_folder_that_is_not_as_its_sums_say(parcel, damage, tmp_path):
    wheel = parcel / "wheels" / "provenance-0.1.0-py3-none-any.whl"
    if damage == "changed":
        wheel.write_bytes(b"not a wheeL")
    elif damage == "added":
        (parcel / "wheels" / "numpy-9-cp311-cp311-any.whl").write_bytes(b"")
    else:
        wheel.unlink()
    done = subprocess.run(["sh", str(parcel / "install.sh"), str(tmp_path / "opt")], capture_output=True, text=True)
    assert done.returncode == 2
    words = "files lie here that SHA256SUMS does not name" if damage == "added" else "files differ from SHA256SUMS"
    assert words in done.stderr
    assert not (tmp_path / "opt").exists()


def test_an_extra_that_the_folder_does_not_carry_is_named_and_nothing_is_installed(parcel, tmp_path):
    (parcel / "requirements-spark.txt").write_text("")
    command = ["sh", str(parcel / "install.sh"), str(tmp_path / "opt"), "sparc"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "install: there is no extra sparc here: requirements-spark.txt\n")
    assert not (tmp_path / "opt").exists()


def test_the_scripts_are_plain_shell_without_faults():
    for script in ("install.sh", "alert.sh"):
        assert subprocess.run(["sh", "-n", str(DEPLOY / script)]).returncode == 0


# ---- units of systemd ------------------------------------------------------------------------------------------------

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine")


def analyzed(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["systemd-analyze", *arguments], cwd=cwd, capture_output=True, text=True)
    return done.stdout + done.stderr


@needs_systemd
def test_systemd_finds_no_fault_in_a_unit(tmp_path):
    """The programs that units start are not there: a file that can be run stands in for them."""
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text().replace("/opt/provenance/current/bin/provenance", "/bin/true")
        (tmp_path / path.name).write_text(re.sub(r"^(Documentation|EnvironmentFile)=.*\n", "", text, flags=re.M))
    units = [path.name.replace("@.", "@force.") for path in SERVICES]
    for unit in units:
        (tmp_path / unit).symlink_to(unit.replace("@force.", "@."))
    units += [path.name for path in tmp_path.glob("*.timer")]
    assert len(units) == 8
    assert analyzed("verify", *(f"./{unit}" for unit in units), cwd=tmp_path) == ""
    # Or this would see nothing:
    broken = (tmp_path / "provenance-serve@.service").read_text().replace("Type=exec", "Type=no-such-type")
    (tmp_path / "provenance-broken.service").write_text(broken)
    assert "no-such-type" in analyzed("verify", "./provenance-broken.service", cwd=tmp_path)


@needs_systemd
@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_a_unit_can_do_little_that_it_need_not(path):
    """systemd's own mark, from 0 (nothing can be done) to 10; the dashboard may use the network, the others may not."""
    said = analyzed("security", "--offline=yes", f"./{path.name}", cwd=path.parent)
    mark = float(re.search(r"exposure level for \S+: ([\d.]+)", said)[1])
    assert mark <= (1.2 if "serve" in path.name else 0.5)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_a_unit_gives_a_command_that_there_is_and_tells_somebody_when_it_fails(path):
    text = path.read_text().replace("\\\n", " ")
    assert "OnFailure=provenance-alert@%n.service" in text
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.M)
    program, *arguments = shlex.split(line.replace("%i", "force").replace("/srv/provenance-backups/force", "."))
    assert program == "/opt/provenance/current/bin/provenance"
    done = CliRunner().invoke(main, [*arguments, "--help"])  # what it does not know, it says before it helps
    assert done.exit_code == 0, done.output
    name = arguments[4]
    assert f"Usage: main {name}" in done.output
    writable = re.search(r"^ReadWritePaths=(.*)$", text, re.M)[1].split()
    assert {"/srv/provenance/%i", "/srv/provenance-keys/%i"} <= set(writable)
    assert ("/srv/provenance-backups/%i" in writable) == (name == "weekly")


def test_each_timer_has_its_service():
    timers = {path.stem for path in (DEPLOY / "systemd").glob("*.timer")}
    assert timers == {f"provenance-{name}@" for name in ("weekly", "verify", "health")}
    assert timers < {path.stem for path in SERVICES}


# ---- the alert -------------------------------------------------------------------------------------------------------


def alerted(folder: Path, code: int, result: str = "exit-code", **environment: str) -> tuple[int, str, str]:
    """What alert.sh sent by mail and by web for a unit that ended so; stubs stand for the three programs it asks."""
    programs = {
        "systemctl": f'case "$*" in *ExecMainStatus*) echo {code} ;; *) echo {result} ;; esac',
        "sendmail": f'cat > "{folder}/mail"',
        "curl": f'for last; do :; done; {{ echo "$last"; cat; }} > "{folder}/web"; exit ${{CURL_ENDS:-0}}',
    }
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        ["sh", str(DEPLOY / "alert.sh"), "provenance-weekly@force.service"],
        env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", **environment}, capture_output=True, text=True,
    )  # fmt: skip
    sent = [(folder / name).read_text() if (folder / name).exists() else "" for name in ("mail", "web")]
    return done.returncode, *sent


def test_an_alert_says_what_failed_what_the_code_means_and_where_to_look(tmp_path):
    code, mail, web = alerted(tmp_path, 5, MAIL_TO="networks@force.example", WEBHOOK="https://chat.force.example/hook")
    assert code == 0
    head, _, body = mail.partition("\n\n")
    assert head == "To: networks@force.example\nSubject: provenance-weekly@force.service ended with code 5"
    assert "missing: something that was wanted is not there" in body
    assert "journalctl -u provenance-weekly@force.service" in body
    address, text = web.split("\n", 1)
    assert address == "https://chat.force.example/hook"
    assert json.loads(text) == {"text": body.strip()}


def test_an_alert_knows_every_exit_code_and_what_the_machine_ended(tmp_path):
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type)} - {1}
    meanings = {code: alerted(tmp_path, code, MAIL_TO="a@b.example")[1].partition("\n\n")[2] for code in codes | {2}}
    assert all("an error of the program" not in said for said in meanings.values())
    assert "DOES NOT VERIFY" in meanings[4]
    assert "an error of the program" in alerted(tmp_path, 1, MAIL_TO="a@b.example")[1]
    assert "ended by the machine: oom-kill" in alerted(tmp_path, 9, "oom-kill", MAIL_TO="a@b.example")[1]


def test_an_alert_that_reaches_nobody_fails_itself(tmp_path):
    assert alerted(tmp_path, 5)[0] == 1
    assert alerted(tmp_path, 5, WEBHOOK="https://chat.force.example/hook", CURL_ENDS="22")[0] == 22


# ---- the container file ----------------------------------------------------------------------------------------------


def test_the_container_file_is_one_of_known_words_pinned_and_not_roots():
    """No engine builds it here: this is its form and what may be seen from it."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.M).replace("\\\n", " ")
    steps = [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]
    assert {word for word, _ in steps} == {
        "ARG", "FROM", "COPY", "RUN", "LABEL", "USER", "ENV", "VOLUME", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    assert [rest for word, rest in steps if word == "FROM"] == ["${BASE} AS made", "${BASE}"]
    assert "wanted an image by its digest" in text
    assert [rest for word, rest in steps if word == "USER"] == ["64310:64310"]
    after = [word for word, _ in steps][[word for word, _ in steps].index("USER") :]
    assert "RUN" not in after
    assert not re.search(r"apt|curl|pip |https?:", text)
    for word, rest in steps:
        if word in ("ENTRYPOINT", "CMD", "VOLUME"):
            assert isinstance(json.loads(rest), list)
    entry, command = (json.loads(rest) for word, rest in steps if word in ("ENTRYPOINT", "CMD"))
    assert entry == ["/opt/provenance/current/bin/provenance"]
    assert CliRunner().invoke(main, [*command, "--help"]).exit_code == 0
