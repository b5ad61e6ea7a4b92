"""A build made by the code of ten commits ago and the packages of its lock, made again on a machine that has neither.

Wants the packages of that lock within reach of pip. What it took is told by `pytest -m soak -rP`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from provenance import bygone
from tests.force import ROOT
from tests.test_environment import Clone, git

pytestmark = pytest.mark.soak

AT_MOST = 300  # seconds beyond the build's own


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Clone:
    """Clones of the code and the archive, pulled from the remote, and the vault; its lock is not the build's."""
    home = tmp_path_factory.mktemp("past")
    clone = Clone(home)
    git(clone.code, "checkout", "-q", "--detach", "HEAD~10")
    clone.python = str(bygone.environment(home / "then", clone.code, lambda *_: None))
    clone.builds()
    git(clone.code, "checkout", "-q", "-")
    clone.python = sys.executable
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    clone.commits(**{"requirements.lock": f"{lock}# another lock, by these words\n"})
    return clone.carried_away()


def seconds(clone: Clone) -> float:
    """How long it takes."""
    began = time.monotonic()
    done = clone.runs("reproduce", "2026-W02", "--json")
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["verdict"], said["other_than_stated"]) == ("same", [])
    assert (said["code_of"], said["packages_of"]) == ("commit", "lock")
    return took


def test_it_comes_out_the_same_in_under_five_minutes_beyond_its_own_time(fresh, tmp_path):
    fresh.around = {"PIP_CACHE_DIR": str(tmp_path / "nothing-yet")}
    first, again = seconds(fresh), seconds(fresh)
    (environment,) = (fresh.archive / "index" / "code").glob("packages-*")
    size = sum(path.lstat().st_size for path in Path(environment).rglob("*")) / 1e6
    print(f"first {first:.0f} s, with no package in pip's cache; again {again:.0f} s; environment {size:,.0f} MB")
    assert first - again < AT_MOST
    assert fresh.verdicts() == ["same", "same"]
