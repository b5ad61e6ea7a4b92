"""What is due in an archive: from received records to the list a records manager reads, and the reviews that keep."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from provenance import entries, reviewing, vault
from provenance.cli import main
from provenance.errors import Malformed, Missing, Refused
from provenance.records import ROLES
from provenance.reviewing import Subject
from tests.force import PARAMS, ROOT, Force, record

TODAY = "2026-11-22"
NOW = f"{TODAY}T09:00:00Z"
GOLDEN = Path(__file__).parent / "golden"
SAID = {"on": NOW, "by": "J. Smith", "under": "MOPI review 12"}


def nominal(id: str) -> Subject:
    return Subject("nominal", "", id)


def crime(id: str) -> Subject:
    return Subject("record", "CONNECT", id)


def person(id: str, born: str = "1970-06-15", **cells: str) -> dict[str, str]:
    return {"nominal_id": id, "born": born} | cells


def event(id: str, day: str, *people: str, **cells: str) -> dict[str, Any]:
    return record(id, *people, occurred_at=day, recorded_at=f"{day[:10]}T12:00:00Z", **cells)


def merge(one: str, other: str, at: str = "2026-02-01T00:00:00Z") -> dict[str, str]:
    return {"from_nominal": one, "into_nominal": other, "evidence": "fingerprints", "by": "PC 7", "at": at}


def lines(force: Force, on: str = TODAY) -> dict[str, tuple[str, str, str]]:
    """Due, action and rule of everything held, by id."""
    register = reviewing.register(force.archive, PARAMS, on=on)
    return {x["id"]: (str(x["due"]), x["action"], x["rule"]) for x in register.lines().to_pylist()}


def line(force: Force, subject: Subject, on: str = TODAY) -> tuple[str, str, str]:
    """The same of one, asked alone."""
    register = reviewing.register(force.archive, PARAMS, on=on, subject=subject)
    (found,) = register.line(subject.what, subject.token(force.archive)).to_pylist()
    return str(found["due"]), found["action"], found["rule"]


def steps(force: Force, subject: Subject, on: str = TODAY) -> list[str]:
    register = reviewing.register(force.archive, PARAMS, on=on, subject=subject)
    return register.explain(subject.what, subject.token(force.archive))


def retain(force: Force, subject: Subject, next_review: str, reason: str = "associations") -> entries.Reviewed:
    return reviewing.retain(force.archive, PARAMS, subject, reason=reason, next_review=next_review, **SAID)


@pytest.fixture
def force(tmp_path: Path) -> Force:
    """N-1 was last a suspect in 2019 and is a victim since; N-2 goes on; N-3 is N-4 too."""
    force = Force(tmp_path)
    force.receive(
        event("R-1", "2019-03-02", "N-1"),
        event("R-2", "2023-01-05", "N-1:victim", "N-2"),
        event("R-3", "2012-01-01", "N-3", mopi_group="2"),
        event("R-4", "2018-01-01", "N-4", "N-5:victim"),
        cut_off="2026-01-11T23:59:59Z",
        nominals=[person(f"N-{n}") for n in range(1, 6)],
        merges=[merge("N-4", "N-3", at="2026-01-02T00:00:00Z")],
    )
    return force


# ---- what is due -----------------------------------------------------------------------------------------------------


def test_who_and_what_is_due_longest_first(force):
    due = reviewing.register(force.archive, PARAMS, on=TODAY).due()
    assert due.schema == reviewing.DUE
    assert [(str(x["due"]), x["what"], x["id"], x["action"]) for x in due.to_pylist()] == [
        ("2025-03-02", "nominal", "N-1", "review"),
        ("2025-03-02", "record", "R-1", "dispose"),
    ]
    assert reviewing.register(force.archive, PARAMS, on="2025-03-01").due().num_rows == 0
    assert reviewing.register(force.archive, PARAMS, on="2025-03-02").due().num_rows == 2


def test_a_date_is_explained_in_plain_english(force):
    assert steps(force, nominal("N-1")) == [
        "MOPI group 3 governs: that of the one record in which this person came to notice.",
        "Last came to notice as suspect on 2019-03-02 (crime).",
        "A later event as victim on 2023-01-05 (crime) does not count.",
        "Six years clear ended 2025-03-02.",
        "Still in 1 record kept for longer, the last as victim on 2023-01-05 (crime), until 2029-01-05.",
        "So a person decides: the records that are due can go without this person.",
        "Due for review since 2025-03-02.",
    ]


def test_all_ids_of_a_person_are_judged_together(force):
    # Group 2 from one id, the last event from the other; alone the second would have been due in 2024.
    assert lines(force)["N-3"] == ("2028-01-01", "review", "group-2")
    assert "N-4" not in lines(force)
    assert line(force, nominal("N-4")) == line(force, nominal("N-3")) == ("2028-01-01", "review", "group-2")
    assert lines(force)["R-4"] == ("2028-01-01", "review", "group-2")
    assert lines(force)["N-5"] == ("2028-01-01", "review", "with-its-records")
    register = reviewing.register(force.archive, PARAMS, on=TODAY)
    both = [subject.token(force.archive) for subject in (nominal("N-3"), nominal("N-4"))]
    assert register.ids(both[1]) == sorted(both)


def test_a_split_parts_them_again(force):
    force.receive(
        event("R-9", "2025-12-30", "N-9"),
        cut_off="2026-01-18T23:59:59Z",
        mode="delta",
        merges=[merge("N-4", "split", at="2026-01-12T00:00:00Z")],
    )
    assert lines(force)["N-4"] == ("2024-01-01", "dispose", "group-3")
    assert lines(force)["N-3"] == ("2022-01-01", "review", "group-2")


def test_the_newest_version_of_a_record_counts(force):
    force.receive(
        event("R-1", "2019-03-02", "N-1:witness"), cut_off="2026-01-18T23:59:59Z", mode="delta"
    )  # a mistake put right: N-1 never was a suspect
    assert lines(force)["N-1"] == ("2029-01-05", "dispose", "with-its-records")
    assert lines(force)["R-1"] == ("2025-03-02", "dispose", "group-3")


def test_what_a_source_withdrew_is_not_forgotten_because_past_builds_hold_it(force):
    force.receive(event("R-2", "2023-01-05", "N-1:victim", "N-2"), cut_off="2026-06-30T23:30:00Z")
    found = lines(force)
    # The cut-off is half past midnight of 1 July in London.
    assert {found[id] for id in ("R-1", "R-3", "R-4")} == {("2026-07-01", "review", "withdrawn")}
    assert found["N-3"] == found["N-5"] == ("2026-07-01", "review", "with-its-records")
    assert found["N-2"] == ("2029-01-05", "dispose", "group-3")
    assert line(force, crime("R-4")) == found["R-4"]
    force.receive(event("R-1", "2019-03-02", "N-1"), cut_off="2026-08-01T00:00:00Z", mode="delta")
    assert lines(force)["R-1"] == ("2025-03-02", "dispose", "group-3")  # handed over again


def test_a_record_that_changed_before_it_was_withdrawn_has_the_people_it_had_last(force):
    force.receive(event("R-1", "2019-03-02", "N-8"), cut_off="2026-01-18T23:59:59Z", mode="delta")
    force.receive(event("R-2", "2023-01-05", "N-1:victim", "N-2"), cut_off="2026-06-30T12:00:00Z")
    assert [lines(force)[id] for id in ("R-1", "R-3", "R-4")] == [("2026-06-30", "review", "withdrawn")] * 3
    assert lines(force)["N-8"] == ("2026-06-30", "review", "with-its-records")
    assert lines(force)["N-1"] == ("2029-01-05", "dispose", "with-its-records")


def test_the_day_of_an_event_is_londons(tmp_path):
    force = Force(tmp_path)
    force.receive(
        event("R-1", "2019-07-01T23:30:00Z", "N-1"),
        event("R-2", "2019-12-01T23:30:00Z", "N-2"),
        event("R-3", "2019-07-01T22:59:59Z", "N-3"),
        event("R-4", "2019-12-31", "N-4"),
        cut_off="2026-01-11T23:59:59Z",
        nominals=[person(f"N-{n}") for n in range(1, 5)],
    )
    assert [lines(force)[f"R-{n}"][0] for n in (1, 2, 3, 4)] == [
        "2025-07-02", "2025-12-01", "2025-07-01", "2025-12-31",
    ]  # fmt: skip
    summer = pa.chunked_array([["1943-06-01T22:30:00Z", "1943-06-01T21:59:59Z", "1943-06-01"]])  # two hours ahead
    assert [str(day) for day in reviewing.london_days(summer).to_pylist()] == ["1943-06-02", "1943-06-01", "1943-06-01"]


def test_of_two_birth_dates_of_one_person_the_later_counts(tmp_path):
    force = Force(tmp_path)
    force.receive(
        event("R-1", "2020-01-01", "N-1", "N-2"),
        cut_off="2026-01-11T23:59:59Z",
        nominals=[person("N-1", "1985-01-01"), person("N-2", "2003-01-01")],
        merges=[merge("N-1", "N-2", at="2026-01-02T00:00:00Z")],
    )
    assert lines(force)["N-2"] == ("2026-01-01", "review", "group-3")
    assert "Younger than 18 then: six years at the most, and a person decides." in steps(force, nominal("N-1"))


def test_a_person_in_no_record_is_listed(tmp_path):
    force = Force(tmp_path)
    force.receive(event("R-1", "2025-01-01", "N-1"), cut_off="2026-01-11T23:59:59Z", nominals=[person("N-7")])
    assert lines(force)["N-7"] == (TODAY, "review", "no-record")
    assert line(force, nominal("N-7")) == (TODAY, "review", "no-record")


def test_a_review_cannot_keep_a_person_beyond_the_100th_birthday(tmp_path):
    force = Force(tmp_path)
    force.receive(
        event("R-1", "2019-03-02", "N-1", mopi_group="1"), cut_off="2026-01-11T23:59:59Z",
        nominals=[person("N-1", "1930-05-01")],
    )  # fmt: skip
    words = "next review is after the age up to which this person is kept: found 2030-05-02, wanted .* than 2030-05-01"
    with pytest.raises(Refused, match=words):
        retain(force, nominal("N-1"), "2030-05-02")
    assert retain(force, nominal("N-1"), "2030-05-01").next_review == "2030-05-01"


def test_what_is_restricted_is_not_asked_about(force):
    token = crime("R-1").token(force.archive)
    force.archive.append(
        entries.Restricted(
            **SAID, disposal="0" * 16, part=1, nominals="", records=entries.packed([token]), approved_by="A. Jones",
            reason="mopi-clear-period", plan="0" * 64, judged=0, holds=(entries.HoldRef(hold="1" * 16),),
        )
    )  # fmt: skip
    found = lines(force)
    assert "R-1" not in found
    assert found["N-1"] == ("2029-01-05", "dispose", "with-its-records")
    with pytest.raises(Missing, match=r"no record of that id is held: .* or is restricted"):
        reviewing.register(force.archive, PARAMS, on=TODAY, subject=crime("R-1"))


def test_one_subject_asked_alone_is_judged_as_among_all(tmp_path):
    rng = np.random.default_rng(11)
    rows = []
    for n in range(60):
        people = [f"N-{p}:{ROLES[rng.integers(len(ROLES))]}" for p in rng.choice(25, rng.integers(1, 4), replace=False)]
        day = str(np.datetime64("2008-01-01") + int(rng.integers(0, 6_500)))
        kind = {"COMPACT": "missing", "PINS": "prison_release"}
        system = ["CONNECT", "LEGACY", "COMPACT", "PINS"][rng.integers(4)]
        cells = {"system": system, "mopi_group": ["", "1", "2", "3", "4"][rng.integers(5)]}
        kinds = kind.get(system, ["crime", "intelligence"][rng.integers(2)])
        rows.append(event(f"R-{n}", day, *people, kind=kinds, **cells))
    force = Force(tmp_path)
    force.receive(
        *rows,
        cut_off="2026-01-11T23:59:59Z",
        nominals=[person(f"N-{n}", str(np.datetime64("1990-01-01") + n * 400)) for n in range(20)],
        merges=[merge(f"N-{n}", f"N-{n + 10}", at=f"2026-01-02T00:00:0{n}Z") for n in range(0, 8, 2)],
    )
    force.receive(*[row for row in rows if row["record_id"] != "R-5"], cut_off="2026-02-01T00:00:00Z")
    retain(force, nominal("N-3"), "2030-01-01")
    register = reviewing.register(force.archive, PARAMS, on=TODAY)
    every = register.lines().to_pylist()
    assert len(every) > 70
    assert len({x["rule"] for x in every}) > 6
    for found in every:
        subject = Subject(found["what"], found["system"], found["id"])
        assert line(force, subject) == (str(found["due"]), found["action"], found["rule"])
        assert steps(force, subject) == register.explain(found["what"], found["token"])


# ---- retaining -------------------------------------------------------------------------------------------------------


def test_a_review_that_keeps_is_logged_and_moves_the_date(force):
    act = retain(force, nominal("N-1"), "2028-05-01")
    assert (act.reason, act.next_review, act.by, act.under) == ("associations", "2028-05-01", "J. Smith", SAID["under"])
    assert entries.unpacked(act.nominals) == [nominal("N-1").token(force.archive)]
    assert lines(force)["N-1"] == lines(force)["R-1"] == ("2028-05-01", "review", "kept-by-review")
    again = force.reopened()
    assert again.archive.history.reviews == [act]
    assert line(again, nominal("N-1")) == ("2028-05-01", "review", "kept-by-review")
    assert b"N-1" not in entries.to_bytes(act)


def test_the_last_of_several_reviews_counts(force):
    retain(force, crime("R-1"), "2030-05-01")
    retain(force, crime("R-1"), "2028-05-01")
    assert lines(force)["R-1"] == ("2028-05-01", "review", "kept-by-review")
    assert lines(force)["N-1"] == ("2025-03-02", "review", "group-3")


def test_a_review_is_of_all_ids_of_a_person(force):
    act = retain(force, nominal("N-4"), "2029-01-01")
    assert len(entries.unpacked(act.nominals)) == 2
    assert lines(force)["N-3"] == ("2029-01-01", "review", "kept-by-review")


def test_a_review_of_one_id_does_not_count_for_a_person_who_turns_out_to_have_two(force):
    retain(force, nominal("N-1"), "2029-01-01")
    force.receive(
        event("R-9", "2025-12-30", "N-9"),
        cut_off="2026-01-18T23:59:59Z",
        mode="delta",
        merges=[merge("N-1", "N-2", at="2026-01-12T00:00:00Z")],
    )
    assert lines(force)["N-2"] == ("2029-01-05", "dispose", "group-3")
    assert "An earlier review was of some ids of this person and not of all, so it does not count." in (
        steps(force, nominal("N-1"))
    )


def test_of_two_reviewed_ids_that_become_one_person_the_earlier_date_counts(force):
    retain(force, nominal("N-1"), "2031-01-01")
    retain(force, nominal("N-2"), "2030-01-01")
    force.receive(
        event("R-9", "2025-12-30", "N-9"),
        cut_off="2026-01-18T23:59:59Z",
        mode="delta",
        merges=[merge("N-1", "N-2", at="2026-01-12T00:00:00Z")],
    )
    assert lines(force)["N-2"] == ("2030-01-01", "review", "kept-by-review")


@pytest.mark.parametrize(
    ("subject", "reason", "next_review", "kind", "says"),
    [
        (nominal("N-1"), "because", "2028-01-01", Malformed, "reason is not in params: found aaaaaaa, wanted one of "
         "serious-harm, vulnerable, "),
        (nominal("N-1"), "vulnerable", "2026-11-22", Refused, "next review has passed: found 2026-11-22, wanted a day "
         "after 2026-11-22"),
        (nominal("N-1"), "vulnerable", "2036-11-23", Refused, "next review is too far off: found 2036-11-23; params "
         "allow 10 years, to 2036-11-22"),
        (nominal("N-1"), "vulnerable", "2028-02-30", Malformed, "no such day or time in the calendar"),
        (nominal("N-77"), "vulnerable", "2028-01-01", Missing, "no nominal of that id is held"),
        (crime("R-77"), "vulnerable", "2028-01-01", Missing, "no record of that id is held"),
        (Subject("record", "LEGACY", "R-1"), "vulnerable", "2028-01-01", Missing, "no record of that id is held"),
    ],
)  # fmt: skip
def test_a_review_without_reason_or_end_or_subject_is_refused(force, subject, reason, next_review, kind, says):
    size = force.archive.log.size
    with pytest.raises(kind) as caught:
        retain(force, subject, next_review, reason)
    assert str(caught.value).startswith(says)
    assert "77" not in str(caught.value)
    assert force.archive.log.size == size


def test_the_longest_interval_itself_is_allowed(force):
    assert retain(force, nominal("N-1"), "2036-11-22").next_review == "2036-11-22"


def test_an_id_of_the_vault_without_any_row_is_not_held(force):
    force.archive.vault.admit(vault.nominal_keys(pa.array(["N-50"])))
    with pytest.raises(Missing, match="no nominal of that id is held"):
        retain(force, nominal("N-50"), "2028-01-01")


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(force) -> Any:
    """`provenance review ...` on that force, as a person types it."""
    shutil.copy(ROOT / "params.yaml", force.root)
    shutil.copytree(ROOT / "harm", force.root / "harm")
    force.archive.close()

    def ask(*arguments: str) -> Result:
        return CliRunner(env={"SOURCE_DATE_EPOCH": "1795338000"}).invoke(
            main, ["--archive", str(force.root), "review", *arguments]
        )

    return ask


def test_the_list_fits_80_columns_and_says_who_since_when_and_by_which_rule(asked):
    said = asked("due", "--on", TODAY)
    assert said.exit_code == 0, said.output
    assert max(map(len, said.stdout.splitlines())) <= 80
    shown = [" ".join(row.split()) for row in said.stdout.splitlines()]
    assert shown[:3] == [
        "Due on 22 November 2026, by retention rules mopi-1",
        "nominals 1 for review 0 for disposal, since 2025-03-02",
        "records 0 for review 1 for disposal, since 2025-03-02",
    ]
    assert "2025-03-02 N-1 3 2019-03-02 review group-3" in shown
    assert "2025-03-02 CONNECT R-1 3 2019-03-02 disposal group-3" in shown
    assert "group-3: All other offences: six years clear, then disposal." in shown
    assert "APP Review, retention and disposal; force paper, review schedule, group 3;" in shown


def test_a_list_is_explained_when_asked(asked):
    shown = [" ".join(row.split()) for row in asked("due", "--on", TODAY, "--explain").stdout.splitlines()]
    assert shown.index("Nominal N-1") < shown.index("Last came to notice as suspect on 2019-03-02 (crime).")
    assert "Due for disposal since 2025-03-02." in shown


def test_one_subject_is_explained_whether_due_or_not(asked):
    said = asked("due", "--nominal", "N-4")
    assert said.exit_code == 0, said.output
    assert "Ten years clear end 2028-01-01, after which group 2 is reviewed." in said.stdout
    assert "Not due for review before 2028-01-01." in said.stdout
    assert "Crime of 2019-03-02, MOPI group 3." in asked("due", "--record", "CONNECT", "R-1").stdout


def test_the_list_as_json_has_every_line_and_its_rule(asked):
    said = json.loads(asked("due", "--on", TODAY, "--json").stdout)
    assert (said["on"], said["rules"]) == (TODAY, "mopi-1")
    assert said["nominals"] == {"review": 1, "dispose": 0, "earliest": "2025-03-02"}
    assert said["lines"][1] == {
        "what": "record", "system": "CONNECT", "id": "R-1", "group": "3", "last": "2019-03-02", "due": "2025-03-02",
        "action": "dispose", "rule": "group-3", "held": [],
    }  # fmt: skip
    assert said["instruments"]["group-3"]["read"] == "2026-11-22"
    assert json.loads(asked("due", "--on", TODAY, "--group", "2", "--json").stdout)["lines"] == []
    later = json.loads(asked("due", "--on", "2028-01-01", "--group", "2", "--explain", "--json").stdout)["lines"]
    assert [(x["id"], x["steps"][-1]) for x in later] == [
        ("N-3", "Due for review since 2028-01-01."), ("R-3", "Due for review since 2028-01-01."),
    ]  # fmt: skip


def test_what_a_case_holds_is_marked(asked, force):
    held = CliRunner(env={"SOURCE_DATE_EPOCH": "1795338000"}).invoke(
        main,
        ["--archive", str(force.root), "hold", "add", "--case", "24/0113", "--basis", next(iter(PARAMS.holds.bases)),
         "--record", "CONNECT", "R-1", "--review-on", "2027-01-15", "--event", "investigation-opened", "2026-01-01",
         "--by", "DC 4", "--under", "CPIA"],
    )  # fmt: skip
    assert held.exit_code == 0, held.output
    assert "disposal (held)" in asked("due", "--on", TODAY).stdout
    assert "Held for 24/0113: until that ends, a disposal would be a restriction." in " ".join(
        asked("due", "--record", "CONNECT", "R-1").stdout.split()
    )


def test_retain_says_what_it_logged(asked):
    said = asked(
        "retain", "--nominal", "N-4", "--reason", "associations", "--next", "2030-01-01", "--by", "J. Smith",
        "--under", "MOPI review 12",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines() == [
        "Kept: nominal N-4, with 1 more id of this person.",
        "Reason: established links or associations that might increase the risk of harm.",
        "Due for review again on 2030-01-01. Logged as decided by J. Smith.",
    ]
    assert "kept-by-review" in asked("due", "--nominal", "N-3").stdout
    again = json.loads(
        asked("retain", "--record", "CONNECT", "R-1", "--reason", "vulnerable", "--next", "2029-01-01", "--by", "A",
              "--under", "B", "--json").stdout
    )  # fmt: skip
    assert (again["id"], again["ids"], again["next_review"]) == ("R-1", 1, "2029-01-01")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["due", "--nominal", "N-1", "--record", "CONNECT", "R-1"], 2),
        (["due", "--nominal", "N-1", "--group", "3"], 2),
        (["due", "--group", "5"], 2),
        (["due", "--on", "22/11/2026"], 7),
        (["due", "--nominal", "N-77"], 5),
        (["retain", "--reason", "vulnerable", "--next", "2028-01-01", "--by", "A", "--under", "B"], 2),
        (["retain", "--nominal", "N-1", "--reason", "vulnerable", "--next", "2028-01-01", "--by", "A"], 2),
        (["retain", "--nominal", "N-1", "--reason", "vulnerable", "--next", "2020-01-01", "--by", "A", "--under", "B"],
         3),
    ],
)  # fmt: skip
def test_a_slip_has_its_exit_code(asked, arguments, code):
    said = asked(*arguments)
    assert said.exit_code == code, said.output
    assert "N-1" not in said.output
