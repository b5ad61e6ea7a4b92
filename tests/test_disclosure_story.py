"""An officer answers a defence request, end to end, by commands alone; and is told when the answer changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from force import record, write_extract

from provenance.cli import main

WEEKS = [f"2026-01-{day}T23:59:59Z" for day in (11, 18, 25)]
WHO = ("--by", "D. Officer", "--under", "CPIA 1996 s.7A")


@pytest.fixture(scope="module", autouse=True)
def _quick(_few_rows: None) -> None:
    """Nothing here pulls the plug."""


class Office:
    def __init__(self, home: Path) -> None:
        self.home, self.archive = home, home / "force"

    def says(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["--archive", str(self.archive), *arguments])
        assert done.exit_code == code, done.output
        return done.output

    def answers(self, *arguments: str) -> dict:
        done = CliRunner().invoke(main, ["--archive", str(self.archive), *arguments, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def week(self, number: int, *rows: dict) -> str:
        folder = write_extract(self.home / f"week-{number}", rows, cut_off=WEEKS[number])
        self.says("receive", str(folder))
        return self.says("build", "--published-at", WEEKS[number])


def test_an_officer_answers_a_defence_request(tmp_path):
    office = Office(tmp_path)
    office.says("init")
    first = [record("R-1", "N-1", "N-2"), record("R-2", "N-1", "N-2:victim"), record("R-3", "N-1", "N-3")]
    office.week(0, *first)
    assert office.says("disclose", "status") == "No query is saved.\n"

    # The request comes in. It is saved, answered, and checked as its receiver will.
    asked = (
        "--case",
        "26/0113",
        "--purpose",
        "What linked N-1 to N-2 in January",
        "--period",
        "2026-01-11",
        "2026-01-20",
    )
    query = office.answers("disclose", "save", *asked, "--nominal", "N-1", *WHO)["query"]
    made = office.answers("disclose", "make", query[:8], "--for", "prosecutor", "--out", str(tmp_path / "pack"), *WHO)
    assert (made["builds"], made["pages"], made["complete"]) == (1, 2, 1)
    checked = office.answers("verify", str(tmp_path / "pack"))
    assert checked["verified"]
    assert any("all 2 links of the nominal are in the pack" in text for text in checked["proved"])
    assert "A link is not evidence" in (tmp_path / "pack/data/READ-ME-FIRST.html").read_text("utf-8")

    # A week later a record is corrected: the build itself says that an answer has changed.
    said = office.week(1, *first[:2], record("R-3", "N-1", "N-4"))
    assert query in said
    status = office.answers("disclose", "status")["queries"][0]
    assert status["changed"]
    assert {"since then: corrected", "new build or view in the period"} <= status["changes"].keys()
    office.says("disclose", "make", query, "--for", "prosecutor", "--out", str(tmp_path / "second"), *WHO)
    assert not office.answers("disclose", "status")["queries"][0]["changed"]

    # Somebody behind a link is disposed of: told again, and noted with a reason this time.
    plan = str(tmp_path / "plan.yaml")
    office.says("dispose", "plan", "--nominal", "N-4", "--under", "MOPI", "--reason", "mopi-review", "--out", plan)
    gone = office.answers("dispose", "carry-out", plan, "--by", "R. Officer", "--approved-by", "S. Inspector")
    assert gone["disclosure_changed"] == [query]
    text = office.says("disclose", "status", query)
    assert "CHANGED" in text
    assert "gone: mopi-review" in text
    office.says("disclose", "note", query, "--reason", "nothing of N-1 himself is lost", *WHO)
    assert "as it was" in office.says("disclose", "status", query)

    # Neither pack is refused for it, and the archive still accounts for every byte.
    assert office.answers("verify", str(tmp_path / "second"))["verified"]
    assert office.answers("verify")["verified"]
    log = b"".join(path.read_bytes() for path in (office.archive / "log").rglob("*") if path.is_file())
    for word in (b'N-1"', b'N-2"', b"January"):
        assert word not in log
