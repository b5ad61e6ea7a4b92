"""`make register`, from end to end, on a register of a few lines in the form of the real one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from pipeline import register
from pipeline.sources import cpd_police_records
from tests.test_sources import LITTLE


@pytest.fixture
def little(tmp_path: Path) -> Path:
    for name, text in LITTLE.items():
        path = tmp_path / "register" / f"{name}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress((dedent(text).strip() + "\n").encode()))
    return tmp_path / "register"


def test_a_register_becomes_an_archive_and_a_report_of_its_last_quarter(little, tmp_path, monkeypatch):
    monkeypatch.setattr(register, "DATA", little)
    done = CliRunner().invoke(register.register, [str(tmp_path / "home"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{register.QUARTER}.{suffix}" for suffix in ("html", "json", "pdf")
    ]
    said = json.loads((tmp_path / "out" / f"{register.QUARTER}.json").read_bytes())
    releases = {each.cut_off for each in (
        *cpd_police_records.COMPLAINT_RELEASES, cpd_police_records.FORCE_RELEASE, cpd_police_records.CIVIL_RELEASE,
        cpd_police_records.REDIRECT,
    )}  # fmt: skip
    assert (said["build_number"], said["cut_off"]) == (len(releases), max(releases))
    assert said["owner"] == register.OWNER
    assert said["rates_on_invented_grades"] == ["linked", "key", "harmed"]
    assert said["verified"] == 1
    assert {feed["system"] for feed in said["feeds"]} == set(cpd_police_records.SYSTEMS)
    # A few people and records are too few to tell of, and nobody's id is in what is told.
    assert said["tables"]["people-in-all"]["counts"].get("people", {}).get("recorded", 0) <= 10
    assert "UID-" not in (tmp_path / "out" / f"{register.QUARTER}.html").read_text("utf-8")


def test_without_the_register_there_is_nothing_to_build(tmp_path, monkeypatch):
    monkeypatch.setattr(register, "DATA", tmp_path / "nowhere")
    done = CliRunner().invoke(register.register, [str(tmp_path / "home")])
    assert done.exit_code == 1
    assert "is not here: nothing to build" in done.output
    assert not (tmp_path / "home").exists()
