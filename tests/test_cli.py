"""The command line as a person meets it: help, answers, exit codes, and text of the sources that tries to be more.

One archive, made through the commands themselves with DVC and git, is asked by most tests; what they change is a copy.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from click.testing import CliRunner, Result

import provenance
from provenance import entries, rows
from provenance.cli import COMMANDS, main
from tests.force import record, write_extract

GOLDEN = Path(__file__).parent / "golden"

# Ids and words as no source should have them, and as one day one will.
MARKUP = "N-[bold red]7[/bold red]"
CLOSING = "N-[/]8\\"  # a backslash at the end, and a closing tag of nothing
LONG = "PNC/" + "1234567890" * 6  # 64 characters: wider than any column of an 80-column table
LINKED = "R-[link=x]9[/link] :boom:"
CONDITIONS = "A1 [blink]do not[/blink] =HYPERLINK() [/]"

UNTOUCHED = {
    "disposed": 0, "reduced": 0, "restricted": 0, "computed_with_erased": 0, "tables": {}, "reasons": {},
}  # fmt: skip

WEEKS = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z")


def run(archive: Path, *arguments: str) -> Result:
    """The command, in this process, its output as on an 80-column page."""
    return CliRunner().invoke(main, ["--archive", str(archive), *arguments])


def done(archive: Path, *arguments: str) -> str:
    """What a command that should succeed printed."""
    result = run(archive, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def answer(archive: Path, *arguments: str) -> Any:
    """The JSON that a command answers."""
    return json.loads(done(archive, *arguments, "--json"))


@pytest.fixture(scope="module")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three weeks: a full extract, a delta that corrects a record, a delta with a row that is turned away."""
    home = tmp_path_factory.mktemp("extracts")
    graded = {
        "kind": "intelligence", "grade_scheme": "3x5x2", "source_grade": "1", "assessment_grade": "A",
        "handling": "C", "conditions": CONDITIONS,
    }  # fmt: skip
    write_extract(
        home / "one",
        [
            record("R-1", "N-1", "N-2"),
            record("R-2", "N-1", "N-2:victim"),
            record(LINKED, MARKUP, CLOSING, **graded),
            record("R-3", LONG, MARKUP),
            record("R-4", "N-8:victim"),
        ],
        cut_off=WEEKS[0],
        nominals=[{"nominal_id": "N-1", "name": "Ada [i]Quoxby[/i]", "born": "1990-01-31"}],
    )
    late = {"occurred_at": "2026-01-12", "recorded_at": "2026-01-13T09:00:00Z"}
    write_extract(
        home / "two",
        [record("R-2", "N-1", "N-3"), record("R-5", "N-2", "N-3", **late)],
        cut_off=WEEKS[1],
        mode="delta",
        since=WEEKS[0],
    )
    crowd = [record(f"R-{n}", "N-3", f"N-{n}", **late) for n in range(100, 140)]
    write_extract(
        home / "three",
        [*crowd, record("R-6", "N-1", "N-2", easting="somewhere", **late)],
        cut_off=WEEKS[2],
        mode="delta",
    )
    return home


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What the commands that made `force` printed."""
    return {}


@pytest.fixture(scope="module")
def force(tmp_path_factory: pytest.TempPathFactory, extracts: Path, said: dict[str, str]) -> Path:
    """An archive of three weekly builds."""
    archive = tmp_path_factory.mktemp("archive") / "force"
    said["init"] = done(archive, "init")
    for name, cut_off in zip(("one", "two", "three"), WEEKS, strict=True):
        said[f"receive {name}"] = done(archive, "receive", str(extracts / name), *(["--json"] * (name == "two")))
        said[f"build {name}"] = done(archive, "build", "--published-at", cut_off, *(["--json"] * (name == "two")))
    return archive


@pytest.fixture
def copied(force: Path, tmp_path: Path) -> Path:
    """The archive, to spoil."""
    shutil.copytree(force.with_name("force.keys"), tmp_path / "force.keys")
    return shutil.copytree(force, tmp_path / "force")


# ---- help ------------------------------------------------------------------------------------------------------------


def pages_of_help() -> list[str]:
    """What can be followed by `--help`: the program, its commands, and the commands of those that are groups."""
    found = ["provenance"]
    for name in COMMANDS:
        command = main.get_command(None, name)
        found += [name, *(f"{name} {inner}" for inner in getattr(command, "commands", {}))]
    return found


@pytest.mark.parametrize("name", pages_of_help())
def test_help_is_as_it_was_agreed(name, monkeypatch):
    """When it is meant to change: `provenance COMMAND --help > tests/golden/COMMAND.txt`, and read the difference."""
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["--help"] if name == "provenance" else [*name.split(), "--help"]
    shown = CliRunner().invoke(main, arguments, prog_name="provenance").output
    assert shown == (GOLDEN / f"{name.replace(' ', '-')}.txt").read_text("utf-8")
    assert max(map(len, shown.splitlines())) <= 80


def test_there_is_no_golden_file_without_a_command():
    assert {path.stem for path in GOLDEN.iterdir()} == {name.replace(" ", "-") for name in pages_of_help()}


def test_the_version_is_the_packages(force):
    from provenance import __version__

    assert CliRunner().invoke(main, ["--version"]).output == f"provenance, version {__version__}\n"


# ---- what each command says ------------------------------------------------------------------------------------------


def test_init_says_where_the_keys_are_and_what_comes_next(force, said):
    assert "Its keys lie beside it, in force.keys." in said["init"]
    assert "Next: provenance receive" in said["init"]
    assert (force.with_name("force.keys") / "master").stat().st_mode & 0o777 == 0o600


def test_receive_counts_what_came(force, said):
    assert "Received extract 1, cut off at 2026-01-11T23:59:59Z: 5 new or changed records" in said["receive one"]
    assert "1 nominals" in said["receive one"]


def test_receive_names_the_report_of_what_it_turned_away_and_the_report_holds_no_content(force, said):
    # The record is turned away for its easting, and its two involvements with it.
    assert "Turned away: 3 rows; see audit_reports/rejects/2026-01-25T235959Z-delta.csv." in said["receive three"]
    report = (force / "audit_reports" / "rejects" / "2026-01-25T235959Z-delta.csv").read_text()
    assert '"records.csv",42,"easting","bad-coordinate","aaaaaaaaa"' in report
    assert "somewhere" not in report


def test_receive_as_json(force, said):
    assert json.loads(said["receive two"]) == {
        "extract": 2,
        "again": False,
        "cut_off": WEEKS[1],
        "sealed": {"record": 2, "involvement": 3, "person": 0, "identity": 0, "order": 0},
        "replaced": {"record": 1, "involvement": 1, "person": 0},
        "rejected": 0,
        "returned": 0,
        "rejects": "",
    }


def test_the_same_extract_again_is_no_news(force, extracts):
    before = (force / "log" / "checkpoint").read_bytes()
    assert "received before, as number 3; nothing was written" in done(force, "receive", str(extracts / "three"))
    assert answer(force, "receive", str(extracts / "three"))["again"] is True
    assert (force / "log" / "checkpoint").read_bytes() == before


def test_build_says_what_it_holds_and_what_it_left_out(force, said):
    assert "Build 2026-W02 is live from 11 January 2026, 23:59:59 GMT." in said["build one"]
    assert "It holds 5 records, 3 links, 6 people's figures and 1 networks." in " ".join(said["build one"].split())
    assert "left out: 1 crime records of CONNECT: one-person" in said["build one"]


def test_build_as_json(force, said):
    built = json.loads(said["build two"])
    assert {"build", "cut_off", "published_from", "tables", "left_out", "disclosure_changed"} == set(built)
    assert built["disclosure_changed"] == []
    assert (built["build"], built["cut_off"], built["published_from"]) == ("2026-W03", WEEKS[1], WEEKS[1])
    assert built["tables"]["link"]["size"] == 5
    assert all(re.fullmatch(r"[0-9a-f]{64}", table["root"]) for table in built["tables"].values())


def test_asof_as_json_is_what_the_design_promises(force):
    shown = answer(force, "asof", "2026-01-12T09:00", "--nominal", "N-1")
    assert {
        "build", "published_from", "published_to", "cut_off", "root", "verified", "disposed", "nominals", "links",
        "networks", "caveat", "caveat_version", "case",
    } <= set(shown)  # fmt: skip
    assert (shown["build"], shown["published_from"], shown["published_to"]) == ("2026-W02", WEEKS[0], WEEKS[1])
    assert shown["verified"] is True
    assert shown["case"] == ""
    assert shown["disposed"] == UNTOUCHED
    (link,) = shown["links"]
    assert (link["a"], link["b"], link["theme"], link["strength"]) == ("N-1", "N-2", "SOC", 150)
    first, second = link["supports"]
    assert {
        "system", "record_id", "kind", "occurred_at", "roles", "grade", "handling", "contribution",
    } <= set(first)  # fmt: skip
    assert (first["record_id"], first["roles"], first["contribution"]) == ("R-1", ["suspect", "suspect"], 100)
    assert (second["record_id"], second["roles"], second["contribution"]) == ("R-2", ["suspect", "victim"], 50)


def test_asof_narrows_to_a_person_a_network_or_a_theme(force):
    whole = answer(force, "asof", "2026-01-12T09:00")
    (network,) = whole["networks"]
    inside = answer(force, "asof", "2026-01-12T09:00", "--network", network["network"])
    assert sorted(p["nominal"] for p in inside["nominals"]) == ["N-1", "N-2"]
    assert answer(force, "asof", "2026-01-12T09:00", "--theme", "CL")["links"] == []
    assert len(answer(force, "asof", "2026-01-12T09:00", "--theme", "SOC")["links"]) == 3


def test_a_date_on_which_two_builds_were_live_lists_them(force):
    listed = answer(force, "asof", "2026-01-18")["live_that_day"]
    assert [(x["build"], x["published_from"], x["published_to"]) for x in listed] == [
        ("2026-W02", WEEKS[0], WEEKS[1]),
        ("2026-W03", WEEKS[1], WEEKS[2]),
    ]
    shown = done(force, "asof", "2026-01-18")
    assert "On 2026-01-18 2 builds were live. Say the time as well:" in shown
    assert answer(force, "asof", "2026-01-14")["build"] == "2026-W02"  # one build that day: it answers


def test_explain_as_json_is_the_link_with_its_records_under_the_same_heading(force):
    shown = answer(force, "explain", "N-2", "N-1", "--as-of", "2026-01-12T09:00")
    heading = answer(force, "asof", "2026-01-12T09:00", "--nominal", "N-1")
    (link,) = shown.pop("links")
    assert shown == {key: heading[key] for key in shown}
    assert [support["record_id"] for support in link["supports"]] == ["R-1", "R-2"]
    assert link["strength"] == sum(support["contribution"] for support in link["supports"])


def test_explain_adds_up_before_the_readers_eyes(force):
    shown = done(force, "explain", "N-1", "N-2", "--as-of", "2026-01-12T09:00")
    assert "N-1 and N-2, theme SOC: strength 150 points from 2 record(s)" in shown
    assert "100 + 50 = 150 points" in shown


def test_a_correction_shows_only_from_its_build_on(force):
    assert "100 + 50 = 150" in done(force, "explain", "N-1", "N-2", "--as-of", "2026-01-18T12:00")
    later = answer(force, "explain", "N-1", "N-2", "--as-of", "2026-01-19T12:00")["links"][0]
    assert [support["record_id"] for support in later["supports"]] == ["R-1"]


def test_diff_names_the_records_behind_each_change(force):
    changes = answer(force, "diff", "2026-01-12T09:00", "2026-01-19T09:00")
    assert set(changes) == {"before", "after", "links", "networks"}
    assert (changes["before"]["build"], changes["after"]["build"]) == ("2026-W02", "2026-W03")
    found = {(x["a"], x["b"]): (x["change"], x["strength_before"], x["strength_after"]) for x in changes["links"]}
    assert found == {
        ("N-1", "N-2"): ("changed", 150, 100),
        ("N-1", "N-3"): ("new", 0, 100),
        ("N-2", "N-3"): ("new", 0, 100),
    }
    lost = next(x for x in changes["links"] if x["change"] == "changed")
    assert (lost["records_come"], lost["records_gone"], lost["records_changed"]) == ([], ["CONNECT R-2"], [])
    shown = done(force, "diff", "2026-01-12T09:00", "2026-01-19T09:00")
    assert re.search(r"2 links new", shown)
    assert re.search(r"1 links changed", shown)
    # R-2 was corrected away under the two who had two records in common, and so their network is no more.
    assert re.search(r"1 networks died", shown)
    assert [(x["event"], x["members_before"]) for x in changes["networks"]] == [("died", ["N-1", "N-2"])]


def test_diff_by_cause_adds_up_and_names_the_records(force):
    split = answer(force, "diff", "2026-01-12T09:00", "2026-01-19T09:00", "--causes")
    links = {(x["a"], x["b"]): x for x in split["causes"] if x["kind"] == "link"}
    assert {pair: (x["corrected"], x["new_record"]) for pair, x in links.items()} == {
        ("N-1", "N-2"): (-50, 0), ("N-1", "N-3"): (100, 0), ("N-2", "N-3"): (0, 100),
    }  # fmt: skip
    behind = {(x["a"], x["b"]): (x["cause"], x["record_id"]) for x in split["behind"] if x["kind"] == "link"}
    assert behind["N-2", "N-3"] == ("new_record", "R-5")
    shown = done(force, "diff", "2026-01-12T09:00", "2026-01-19T09:00", "--causes", "--nominal", "N-3")
    assert re.search(r"^ +\+100 +0  another version of a record$", shown, re.M)
    assert "Networks" not in shown
    refused = run(force, "diff", "2026-01-12T09:00", "2026-01-19T09:00", "--nominal", "N-3")
    assert (refused.exit_code, "--nominal goes with --causes" in refused.stderr) == (2, True)


def test_verify_numbers_its_steps_and_says_so(force):
    shown = done(force, "verify")
    assert re.findall(r"^ *(\d+)  ", shown, re.M) == [str(n) for n in range(1, 15)]
    assert "The archive verifies" in shown
    assert "Build 2026-W03 verifies" in done(force, "verify", "--build", "2026-W03")
    checked = answer(force, "verify")
    assert checked["verified"] is True
    assert [set(step) for step in checked["steps"]] == [{"step", "name", "checked", "faults"}] * 14
    assert checked["relied_on"][1:] == [
        "no witness outside the force: none has signed a head", "no published head: none has been published",
        "no time stamp: all times are by the force's own clock",
    ]  # fmt: skip


def test_backfill_publishes_each_past_build_at_its_cut_off(extracts, tmp_path):
    archive = tmp_path / "past"
    done(archive, "init")
    assert answer(archive, "backfill", str(extracts), "--every", "week") == {
        "builds": [{"build": f"2026-W0{week}", "cut_off": cut} for week, cut in zip((2, 3, 4), WEEKS, strict=True)]
    }
    assert answer(archive, "asof", "2026-01-12T09:00")["published_from"] == WEEKS[0]


# ---- the seven ways to end -------------------------------------------------------------------------------------------


def test_0_done(force):
    assert run(force, "verify").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bild"], "No such command 'bild'"),
        (["asof"], "Missing argument 'WHEN'"),
        (["asof", "2026-01-12", "--person", "N-1"], "No such option '--person'"),
        (["backfill", "."], "say either --every week or --cut-offs FILE"),
        (["receive", "no-such-folder"], "does not exist"),
    ],
)
def test_2_usage(force, arguments, message):
    result = run(force, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr.replace(": --person", " '--person'")


def test_3_refused_a_feed_that_fell_is_let_pass_by_a_person_and_the_log_says_who(copied, extracts):
    rules = copied / "params.yaml"
    rules.write_text(rules.read_text().replace("least_rows: 200", "least_rows: 10"))
    cut_off = "2026-02-01T23:59:59Z"
    fell = write_extract(copied / "inbox" / "four", [record("R-7", "N-1", "N-2")], cut_off=cut_off, mode="delta")
    done(copied, "receive", str(fell))

    blocked = run(copied, "build", "--published-at", cut_off)
    assert blocked.exit_code == 3
    assert "Refused: build 2026-W05 is blocked until a person confirms: CONNECT sent 1 records" in blocked.stderr
    assert "97 % fewer than the 41 before; params allow 20 %" in blocked.stderr

    # The week that failed is answered by the build then in effect, and says so.
    stood = done(copied, "asof", "2026-02-03T10:00")
    assert "2026-W04" in stood
    assert "build 2026-W05 failed (refused); this one stayed live" in stood
    assert [f["build"] for f in answer(copied, "asof", "2026-02-03T10:00")["failed_since"]] == ["2026-W05"]

    done(copied, "build", "--published-at", cut_off, "--confirm", "feed checked by phone, ticket 4711")
    assert answer(copied, "asof", "2026-02-03T10:00")["build"] == "2026-W05"
    bundles = [path for path in (copied / "log" / "tile" / "entries").rglob("*") if path.is_file()]
    assert any(b"feed checked by phone, ticket 4711" in path.read_bytes() for path in bundles)


def test_4_tampered_names_the_file(copied):
    segment = sorted((copied / "store" / "links").glob("2026-W02.link.parquet"))[0]
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    result = run(copied, "verify")
    assert result.exit_code == 4
    assert "The archive does NOT verify" in " ".join(result.stdout.split())
    assert "store/links/2026-W02.link.parquet has other bytes than those that were logged" in " ".join(
        result.stdout.split()
    )
    assert "Tampered: archive does not verify" in result.stderr


def test_4_a_build_whose_statement_was_edited_gives_no_answer(copied):
    statement = copied / "builds" / "2026-W02.json"
    spoilt = bytearray(statement.read_bytes())
    spoilt[spoilt.index(b'"payload"') + 60] ^= 1
    statement.write_bytes(spoilt)
    result = run(copied, "asof", "2026-01-12T09:00")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "Tampered: statement of build 2026-W02 is not the one that was logged" in result.stderr


def hide(archive: Path, table: str) -> None:
    """Take the rows of a table out of a build, as someone might who can edit files: a whole file in its right form."""
    changes = archive / "store" / "records" / "2026-W02.changes.parquet"
    held = rows.read_changes(changes)
    rows.write_changes(changes, held.filter(pc.not_equal(held["table"], table)))


@pytest.mark.parametrize(
    "arguments", [["asof", "2026-01-12T09:00"], ["explain", "N-1", "N-2", "--as-of", "2026-01-12T09:00"]]
)
def test_4_an_answer_that_does_not_verify_says_so_first_and_ends_so(copied, arguments):
    hide(copied, "person")
    shown = run(copied, *arguments)
    assert shown.exit_code == 4
    assert "NO: see `provenance verify`" in shown.stdout
    assert "Tampered: build 2026-W02 does not verify" in shown.stderr
    as_json = run(copied, *arguments, "--json")
    assert as_json.exit_code == 4
    assert json.loads(as_json.stdout)["verified"] is False


def test_4_a_link_whose_record_was_hidden_is_not_explained(copied):
    hide(copied, "record")
    shown = run(copied, "explain", "N-1", "N-2", "--as-of", "2026-01-12T09:00")
    assert shown.exit_code == 4
    assert "Tampered: build 2026-W02 has a link without the record behind it" in shown.stderr


def test_5_missing(force):
    result = run(force, "asof", "2025-12-24T10:00")
    assert (result.exit_code, result.stdout) == (5, "")
    assert "Missing: no build was live at 24 December 2025, 10:00 GMT" in result.stderr
    assert "the first build went live 11 January 2026, 23:59:59 GMT" in result.stderr
    assert run(force, "verify", "--build", "2019-W01").exit_code == 5
    nobody = run(force, "explain", "N-1", "N-no-such-person", "--as-of", "2026-01-12T09:00")
    assert nobody.exit_code == 5
    assert "N-no-such-person" not in nobody.stderr


def test_5_missing_a_folder_that_is_no_archive(tmp_path):
    result = run(tmp_path, "verify")
    assert result.exit_code == 5
    assert "is not an archive: archive.json is not there; `provenance init` makes one" in result.stderr
    assert list(tmp_path.iterdir()) == []  # nothing is created by being opened


def test_6_conflict(force):
    again = run(force, "build")
    assert again.exit_code == 6
    assert "Conflict: build with cut-off 2026-01-25T23:59:59Z would run backwards" in again.stderr
    assert run(force, "init").exit_code == 6


def test_7_malformed(force, tmp_path):
    empty = run(force, "receive", str(tmp_path))
    assert empty.exit_code == 7
    assert "Malformed: extract.json is missing" in empty.stderr
    wrong = run(force, "asof", "14 March 2026")
    assert wrong.exit_code == 7
    assert "Malformed: no moment: found 99 Aaaaa 9999, wanted YYYY-MM-DDTHH:MM" in wrong.stderr


def test_7_a_time_that_clocks_show_twice_asks_which(force):
    result = run(force, "asof", "2026-10-25T01:30")
    assert result.exit_code == 7
    assert "say +01:00 or +00:00" in result.stderr


# ---- disposal --------------------------------------------------------------------------------------------------------

BEFORE = "2026-01-18T12:00"  # when the first build was live, with N-1 and N-2 linked by
AUTHORITY = "MOPI review 26/0412 [bold]with brackets[/]"
PEOPLE = ("--by", "R. Officer", "--approved-by", "S. Inspector")


def planned(archive: Path, *subjects: str, by: str = "A. Clerk") -> tuple[Path, str]:
    """A plan's file and what the command printed."""
    path = archive.with_name("plan.yaml")
    path.unlink(missing_ok=True)
    said = ("--under", AUTHORITY, "--reason", "mopi-review", "--by", by, "--out", str(path))
    return path, done(archive, "dispose", "plan", *subjects, *said)


@pytest.fixture(scope="module")
def disposed(force: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A copy of the archive of which R-2 and N-3 are disposed of, and what was printed on the way."""
    home = tmp_path_factory.mktemp("disposed")
    shutil.copytree(force.with_name("force.keys"), home / "force.keys")
    archive = shutil.copytree(force, home / "force")
    plan, shown = planned(archive, "--record", "CONNECT", "R-2", "--nominal", "N-3", "--nominal", "N-nobody")
    said = {"plan": shown, "file": plan.read_text("utf-8"), "mode": oct(plan.stat().st_mode & 0o777)}
    said["carry-out"] = done(archive, "dispose", "carry-out", str(plan), *PEOPLE)
    return archive, said


def flat(text: str) -> str:
    """Without the folds of an 80-column page."""
    return " ".join(text.split())


def test_a_plan_names_each_line_with_its_rule_and_says_what_to_do_next(disposed):
    _, said = disposed
    shown = flat(said["plan"])
    rule = "ordered by hand, for the reason mopi-review: a review found no reason to keep it"
    assert f"dispose: record CONNECT R-2 {rule}" in shown
    assert f"dispose: nominal N-3 {rule}" in shown
    assert "nothing to do: nominal N-nobody not held: it was never received, or has been disposed of" in shown
    assert "2 to dispose of, 0 to restrict because a case needs them, 1 that the archive does not have." in shown
    assert "A second person reads it" in shown
    assert max(map(len, (line for line in said["plan"].splitlines() if "carry-out" not in line))) <= 80
    assert "id: N-3\n  outcome: dispose\n" in said["file"]
    assert said["mode"] == "0o600"


def test_carry_out_removes_the_plan_and_says_what_is_left_to_people(disposed):
    archive, said = disposed
    shown = flat(said["carry-out"])
    assert "Disposed of: 1 nominal and 1 record, in every build." in shown
    assert "The plan plan.yaml is removed. Remove every copy of it" in shown
    assert "Older backups of the vault no longer open" in shown
    assert not archive.with_name("plan.yaml").exists()


def test_an_answer_says_what_has_gone_since_and_shows_none_of_it(disposed, force):
    archive, _ = disposed
    was, now = (answer(each, "asof", BEFORE, "--nominal", "N-1") for each in (force, archive))
    (old,), (new,) = was["links"], now["links"]
    assert (old["strength"], old["reduced"], new["strength"], new["reduced"]) == (150, 0, 100, 1)
    assert [support["record_id"] for support in new["supports"]] == ["R-1"]
    assert now["root"] == was["root"]
    assert now["verified"] is True
    assert now["disposed"] == {
        "disposed": 3, "reduced": 1, "restricted": 0, "computed_with_erased": 3,
        "tables": {
            "record": {"disposed": 1}, "involvement": {"disposed": 2}, "link": {"reduced": 1},
            "nominal": {"computed_with_erased": 2}, "network": {"computed_with_erased": 1},
        },
        "reasons": {"mopi-review": 4},
    }  # fmt: skip
    (person,) = now["nominals"]
    assert (person["computed_with_erased"], person["strength"], person["links"]) == (1, None, None)

    shown = flat(done(archive, "asof", BEFORE, "--nominal", "N-1"))
    assert "Since then 3 rows disposed of, 1 row reduced (mopi-review 4)" in shown
    assert "figures that counted what is out of view are not shown (-)" in shown
    assert "N-1 SOC SOC-2026-W02-001 - - - see the records" in shown
    assert "It rested on more when it was shown" in flat(done(archive, "explain", "N-1", "N-2", "--as-of", BEFORE))


def test_what_is_gone_is_missing_without_a_word_of_it(disposed):
    archive, _ = disposed
    gone = run(archive, "asof", "2026-01-19T12:00", "--nominal", "N-3")
    assert gone.exit_code == 5
    assert "N-3" not in gone.stderr + gone.stdout


def test_a_disposal_is_listed_and_its_certificate_shown_in_80_columns_as_it_was_typed(disposed):
    archive, _ = disposed
    (listed,) = answer(archive, "dispose", "list")["disposals"]
    assert (listed["nominals"], listed["records"], listed["certified"]) == (1, 1, True)
    assert (listed["by"], listed["approved_by"], listed["authority"]) == ("R. Officer", "S. Inspector", AUTHORITY)
    shown = done(archive, "dispose", "list")
    assert re.search(rf"^{listed['certificate']}  .*  mopi-review$", shown, re.M)
    assert "1 nominal, 1 record; certified" in shown

    page = done(archive, "certificate", listed["certificate"])
    assert "Destroyed    1 nominal, 1 record" in page
    assert f"Authority    {AUTHORITY}" in page
    assert "Builds       3 builds, 2026-W02 to 2026-W04" in page
    assert max(map(len, page.splitlines())) <= 80
    held = answer(archive, "certificate", listed["certificate"])
    assert [build["label"] for build in held["builds"]] == ["2026-W02", "2026-W03", "2026-W04"]
    assert held["reduced"] == 1
    assert not any(name in page + json.dumps(held) for name in ("N-3", "R-2"))


def test_the_archive_verifies_after_a_disposal_and_git_has_the_certificate(disposed):
    archive, _ = disposed
    assert answer(archive, "verify")["verified"] is True
    (listed,) = answer(archive, "dispose", "list")["disposals"]
    kept = archive / "audit_reports" / "certificates" / f"{listed['certificate']}.json"
    assert kept.exists()
    tracked = subprocess.run(["git", "ls-files", "audit_reports"], cwd=archive, capture_output=True, text=True).stdout
    assert kept.name in tracked


def test_a_disposal_that_rewrites_more_files_than_one_entry_names(copied, monkeypatch):
    """A year of weeks has more of them than an entry of the log has room for."""
    monkeypatch.setattr(entries, "FILES_AT_MOST", 2)
    plan, _ = planned(copied, "--record", "CONNECT", "R-2")
    (outcome,) = json.loads(done(copied, "dispose", "carry-out", str(plan), *PEOPLE, "--json"))["disposals"]
    with provenance.open(copied) as archive:
        acts = [entries.from_bytes(data) for data in archive._inner.log.entries(0, archive._inner.log.size)]
    named = [len(each.files) for each in acts if isinstance(each, entries.Expunged)]
    assert len(named) > 1
    assert max(named) == 2
    assert len(answer(copied, "certificate", outcome["certificate"])["files"]) == sum(named)
    assert answer(copied, "verify")["verified"] is True


def test_resume_has_nothing_to_do_after_a_disposal_that_came_to_its_end(disposed):
    archive, _ = disposed
    assert answer(archive, "dispose", "resume") == {
        "completed": [], "disposals": [], "feeds": {"written": [], "missed": []}, "disclosure_changed": [],
    }  # fmt: skip
    assert "No disposal was waiting to be completed." in done(archive, "dispose", "resume")


def test_what_comes_back_is_kept_out_until_somebody_says_why(disposed, tmp_path):
    source, _ = disposed
    shutil.copytree(source.with_name("force.keys"), tmp_path / "force.keys")
    archive = shutil.copytree(source, tmp_path / "force")
    back = write_extract(
        tmp_path / "back",
        [record("R-300", "N-1", "N-3", recorded_at="2026-01-27T09:00:00Z", occurred_at="2026-01-26")],
        cut_off="2026-02-01T23:59:59Z",
        mode="delta",
    )
    shown = done(archive, "receive", str(back))
    assert "name a person or record that was disposed of: 1. Have the source corrected" in shown
    report = (archive / "audit_reports" / "rejects" / "2026-02-01T235959Z-delta.csv").read_text()
    assert '"nominal_id","returned","A-9"' in report
    assert answer(archive, "receive", str(back), "--admit-returned", "a new crime")["returned"] == 0


def test_what_a_case_needs_is_restricted_shown_for_the_case_alone_and_goes_when_the_hold_ends(copied):
    soon = (date.today() + timedelta(days=90)).isoformat()  # a hold's review is always ahead of the clock
    place = ("--case", "26/0113", "--basis", "cpia-1996", "--nominal", "N-1", "--review-on", soon)
    who = ("--by", "D. Officer", "--under", "CPIA 1996 s.23")
    event = ("--event", "proceedings-instituted", "2026-01-05")
    hold = answer(copied, "hold", "add", *place, *event, *who)["hold"]
    plan, shown = planned(copied, "--record", "CONNECT", "R-2")
    assert "restrict: record CONNECT R-2" in shown
    assert "but held for case 26/0113: has a held nominal in it" in flat(shown)
    shown = flat(done(copied, "dispose", "carry-out", str(plan), *PEOPLE))
    assert "Restricted, because a case needs them: 1 of what the plan names." in shown
    assert "Older backups" not in shown
    assert "Restricted in its place, because a case needs them: 1." in flat(done(copied, "dispose", "list"))

    plain = answer(copied, "asof", BEFORE, "--nominal", "N-1")
    assert (plain["disposed"]["restricted"], plain["links"][0]["strength"]) == (3, 100)
    size = int((copied / "log" / "checkpoint").read_text().splitlines()[1])
    shown = answer(copied, "asof", BEFORE, "--nominal", "N-1", "--case", "26/0113")
    assert (shown["case"], shown["links"][0]["strength"]) == ("26/0113", 150)
    assert int((copied / "log" / "checkpoint").read_text().splitlines()[1]) == size + 1  # one entry for the reading
    page = done(copied, "explain", "N-1", "N-2", "--as-of", BEFORE, "--case", "26/0113")
    assert "Case       26/0113: what is restricted for it is shown; this was logged" in page
    assert "100 + 50 = 150 points" in page
    other = run(copied, "asof", BEFORE, "--case", "26/0114")
    assert (other.exit_code, other.stdout) == (3, "")
    assert "Refused: no hold of that case stands" in other.stderr

    done(copied, "hold", "event", hold, "acquitted", "2026-01-06", *who)
    ended = done(copied, "hold", "release", hold, "--reason", "period-ended", *who)
    assert "waited for it and is carried out: 0 nominals and 1 record." in flat(ended)
    assert run(copied, "asof", BEFORE, "--case", "26/0113").exit_code == 3
    assert answer(copied, "asof", BEFORE, "--nominal", "N-1")["disposed"]["restricted"] == 0


def test_a_plan_of_nothing_that_is_held_has_nothing_to_carry_out(copied):
    plan, shown = planned(copied, "--nominal", "N-nobody")
    assert "There is nothing to carry out." in shown
    shown = flat(done(copied, "dispose", "carry-out", str(plan), *PEOPLE))
    assert "Nothing in the plan is in the archive, so nothing was done." in shown
    assert "Older backups" not in shown


@pytest.mark.parametrize(
    ("by", "approved_by"), [("R. Officer", "r. officer"), ("R. Officer", "A. Clerk"), ("A. Clerk", " A.Clerk ")]
)
def test_3_refused_without_a_second_person(copied, by, approved_by):
    plan, _ = planned(copied, "--record", "CONNECT", "R-2")
    result = run(copied, "dispose", "carry-out", str(plan), "--by", by, "--approved-by", approved_by)
    assert result.exit_code == 3
    assert "Refused: disposal needs a second person" in result.stderr
    assert plan.exists()
    assert answer(copied, "asof", BEFORE)["disposed"] == UNTOUCHED


def test_a_plan_that_is_not_fit_to_carry_out(copied):
    assert run(copied, "dispose", "plan", "--nominal", "N-1", "--under", "x", "--out", "p").exit_code == 2  # no reason
    plan, _ = planned(copied, "--record", "CONNECT", "R-2")
    again = run(copied, "dispose", "plan", "--nominal", "N-1", "--under", "x", "--reason", "child", "--out", str(plan))
    assert (again.exit_code, again.stderr) == (6, "Conflict: plan file plan.yaml is there already: wanted a new name\n")
    plan.write_text(plan.read_text().replace("R-2", "R-1"))
    edited = run(copied, "dispose", "carry-out", str(plan), *PEOPLE)
    assert edited.exit_code == 7
    assert "Malformed: plan file plan.yaml is not as it was made for this archive" in edited.stderr
    absent = run(copied, "dispose", "carry-out", "no-such-plan.yaml", *PEOPLE)
    assert (absent.exit_code, "Missing: plan file no-such-plan.yaml is not there" in absent.stderr) == (5, True)
    unknown = run(copied, "certificate", "0123456789abcdef")
    assert (unknown.exit_code, "Missing: disposal 9999999999aaaaaa is not in this archive" in unknown.stderr) == (
        5,
        True,
    )
    assert answer(copied, "asof", BEFORE)["disposed"] == UNTOUCHED


def test_4_a_certificate_that_was_altered_is_not_shown(disposed, tmp_path):
    source, _ = disposed
    shutil.copytree(source.with_name("force.keys"), tmp_path / "force.keys")
    archive = shutil.copytree(source, tmp_path / "force")
    (listed,) = answer(archive, "dispose", "list")["disposals"]
    path = archive / "audit_reports" / "certificates" / f"{listed['certificate']}.json"
    path.write_bytes(path.read_bytes().replace(b"payload", b"paYload", 1))
    result = run(archive, "certificate", listed["certificate"])
    assert (result.exit_code, result.stdout) == (4, "")
    assert f"Tampered: file audit_reports/certificates/{path.name} has other bytes than those" in result.stderr
    assert run(archive, "verify").exit_code == 4


# ---- text that tries to be more --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(force: Path) -> dict[str, str]:
    """Every page that shows ids, at 80 columns."""
    when = "2026-01-12T09:00"
    return {
        "asof": done(force, "asof", when),
        "nominal": done(force, "asof", when, "--nominal", MARKUP),
        "explain": done(force, "explain", MARKUP, CLOSING, "--as-of", when),
        "long": done(force, "explain", LONG, MARKUP, "--as-of", when),
    }


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("asof", ["N-1", "N-2", MARKUP, CLOSING, LONG]),
        ("nominal", [MARKUP, CLOSING, LONG]),
        ("explain", [MARKUP, CLOSING, f"CONNECT {LINKED}", CONDITIONS]),
        ("long", [LONG, MARKUP, "CONNECT R-3", "2026-01-05", "100"]),
    ],
)
def test_ids_and_conditions_are_shown_as_they_are_on_one_line(pages, page, texts):
    lines = pages[page].splitlines()
    for text in texts:
        # Whole, and followed by nothing that a copy would take along.
        assert any(re.search(rf"(?<!\S){re.escape(text)}(?!\S)", line.replace(",", " ")) for line in lines), text
    assert "\x1b" not in pages[page]


def test_pages_without_long_ids_fit_80_columns(force):
    for arguments in (
        ["asof", "2026-01-12T09:00", "--nominal", "N-1"],
        ["explain", "N-1", "N-2", "--as-of", "2026-01-12T09:00"],
        ["diff", "2026-01-12T09:00", "2026-01-19T09:00"],
        ["verify"],
    ):
        assert max(map(len, done(force, *arguments).splitlines())) <= 80, arguments


def test_who_was_a_victim_is_said_and_who_was_nothing_else_is_marked(force):
    def of(nominal: str) -> str:
        shown = done(force, "asof", "2026-01-12T09:00", "--nominal", nominal)
        return " ".join(shown[shown.index("Nominals:") :].split())

    assert "SOC SOC-2026-W02-001 1 150 400 suspect or offender, victim Links" in of("N-2")
    assert "VICTIM" not in of("N-2")
    assert "SOC - 0 0 0 VICTIM Links" in of("N-8")


def test_no_page_shows_a_name(pages):
    assert not any("Quoxby" in page for page in pages.values())
