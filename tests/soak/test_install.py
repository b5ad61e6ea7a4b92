"""`make wheelhouse`, carried to a machine without a network, installed, and a week built there.

Wants a clean tree, what pages are drawn with (`make assets`), and the packages of the lock within reach of pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import wheelhouse
from tests.force import record, write_extract

pytestmark = pytest.mark.soak
CUT_OFF = "2026-01-11T23:59:59Z"
EXTRAS = "dvc_s3, dvc_ssh, pg8000, pkcs11, pyspark"


def alone(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program that reaches no network, and knows of no settings of ours."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PIP_CONFIG_FILE": os.devnull}
    apart = ["unshare", "--net", "--map-root-user"]
    return subprocess.run([*apart, *command], cwd=cwd, env=kept | environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    if alone("true", cwd=Path("/")).returncode:
        pytest.skip("no network namespace may be made here")
    home = tmp_path_factory.mktemp("carried")
    made = wheelhouse.wheelhouse(home / "dist")
    again = wheelhouse.our_wheel(tmp_path_factory.mktemp("again"), home / "workshop")
    assert wheelhouse.digest(again) == wheelhouse.digest(made / "wheels" / again.name)  # same commit, same bytes
    return shutil.copytree(made, home / "stick" / made.name)


def test_installed_without_a_network_with_every_extra_it_builds_a_week(carried, tmp_path):
    install = ["sh", str(carried / "install.sh"), str(tmp_path / "opt"), *wheelhouse.extras()]
    done = alone(*install, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is this version now" in done.stdout
    there = tmp_path / "opt" / "current" / "bin"
    done = alone(str(there / "python"), "-c", f"import {EXTRAS}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    program = str(there / "provenance")
    write_extract(tmp_path / "extract", [record("R-1", "N-1", "N-2")], cut_off=CUT_OFF)
    # `build` is refused where packages are not those of the lock.
    build = ["build", "--cut-off", CUT_OFF, "--published-at", CUT_OFF]
    for command in (["init"], ["receive", "extract"], build, ["verify"], ["asof", "2026-01-12"]):
        done = alone(program, "--archive", "force", *command, cwd=tmp_path, USER="ops")
        assert done.returncode == 0, done.stdout + done.stderr
    again = alone(*install, cwd=tmp_path)
    assert "is installed in" in again.stdout
    assert "already" in again.stdout


def test_an_installation_that_was_cut_off_is_begun_anew(carried, tmp_path):
    done = alone("timeout", "-s", "KILL", "8", "sh", str(carried / "install.sh"), str(tmp_path / "opt"), cwd=tmp_path)
    assert done.returncode != 0
    assert not (tmp_path / "opt" / "current").exists()
    done = alone("sh", str(carried / "install.sh"), str(tmp_path / "opt"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    there = tmp_path / "opt" / "current" / "bin"
    assert (there / "provenance").exists()
    done = alone(str(there / "python"), "-c", f"import {EXTRAS}", cwd=tmp_path)
    assert "No module named" in done.stderr  # nobody asked for one
