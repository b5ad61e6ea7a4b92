"""The rules of schedules, leaks and edited copies, without an archive: numbering as a property, leaks as a table."""

from __future__ import annotations

import calendar
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import edits, leaks, subjectaccess
from provenance.entries import Scheduled
from provenance.errors import Malformed, Missing, Tampered
from provenance.schedules import APART, MG6C, MG6D, WITHDRAWN, Register, Said

ACT = Scheduled(
    on="2026-01-12T10:00:00Z", by="D. Officer", under="CPIA 1996", case="24/0113", item=1, number=0, schedule=MG6D,
    reviewer="", nominals="", records="", paper="0" * 64, apart="0" * 64,
)  # fmt: skip


# ---- numbering -------------------------------------------------------------------------------------------------------

MOVES = st.lists(
    st.tuples(st.sampled_from(["24/0113", "25/0007"]), st.integers(0, 6), st.sampled_from([MG6C, MG6D, WITHDRAWN])),
    max_size=40,
)


def played(moves) -> list[Scheduled]:
    """Acts as `scheduling` makes them: item 0, or one that is not there, is a new one."""
    register, acts = Register(), []
    for case, item, schedule in moves:
        items = register.of(case)
        if 1 <= item <= len(items):
            before = items[item - 1].act
            number = before.number or (register.next_number(case) if schedule == MG6C else 0)
            act = replace(before, number=number, schedule=schedule)
        else:
            act = replace(ACT, case=case, item=register.next_item(case))
        register.extend([act])
        acts.append(act)
    return acts


@given(MOVES)
def test_each_schedule_numbers_from_1_without_a_gap_and_no_number_is_ever_another_items(moves):
    acts = played(moves)
    whole = Register().extend(acts)
    owners: dict[tuple[str, str, int], set[int]] = {}
    for act in acts:
        owners.setdefault((act.case, MG6D, act.item), set()).add(act.item)
        if act.number:
            owners.setdefault((act.case, MG6C, act.number), set()).add(act.item)
    assert all(len(items) == 1 for items in owners.values())
    for case, items in whole.cases.items():
        for schedule, most in ((MG6D, len(items)), (MG6C, max((i.act.number for i in items), default=0))):
            assert {n for c, s, n in owners if (c, s) == (case, schedule)} == set(range(1, most + 1))


@given(MOVES, st.integers(0, 39))
def test_a_register_read_in_two_halves_is_the_one_read_at_once(moves, cut):
    acts = played(moves)
    assert Register().extend(acts[:cut]).extend(acts[cut:]) == Register().extend(acts)


@pytest.mark.parametrize(
    ("acts", "message"),
    [
        ([replace(ACT, item=2)], "goes on with item 2: wanted 1"),
        ([replace(ACT, item=0)], "goes on with item 0: wanted 1"),
        ([replace(ACT, schedule=MG6C, number=1)], "begins on schedule mg6c: wanted mg6d"),
        ([ACT, replace(ACT, schedule=MG6C, number=2)], "has number 2 on its MG6C: wanted 1"),
        ([ACT, replace(ACT, schedule=MG6C, number=0)], "has number 0 on its MG6C: wanted 1"),
        ([ACT, replace(ACT, number=1)], "has number 1 on its MG6C: wanted 0"),
        (
            [ACT, replace(ACT, item=2), replace(ACT, schedule=MG6C, number=1),
             replace(ACT, item=2, schedule=MG6C, number=1)],
            "item 2 of a case has number 1 on its MG6C: wanted 2",
        ),
    ],
)  # fmt: skip
def test_a_log_that_skips_a_number_or_gives_one_twice_is_refused(acts, message):
    with pytest.raises(Tampered, match=message):
        Register().extend(acts)


def test_an_item_that_is_not_there_is_missing():
    with pytest.raises(Missing, match="case has no item 2: it has 1"):
        Register().extend([ACT]).item("24/0113", 2)
    assert Register().extend([replace(ACT, schedule=APART)]).item("24/0113", 1).act.schedule == APART


# ---- leaks -----------------------------------------------------------------------------------------------------------

CLEAN = [
    "Printed page of the network analysis of 14 March 2026 that names the defendant and five other people",
    "Summary of a custody record for the arrest on 3 January 2026 at the High Street police station",
    "Email between two officers about the time of a meeting at Cafe Probert, 12 pages",
    "Photographs of the outside of a shop, taken by the reporting officer on the day of the offence",
]
SEEDED = [
    ("Report from a CHIS about the movements of the defendant", "source"),
    ("Report from a C.H.I.S. about the movements of the defendant", "source"),
    ("Report from a c h i s about the movements of the defendant", "source"),
    ("Report from a СНІЅ about the movements of the defendant", "source"),
    ("Report from a CH\u200bIS about the movements of the defendant", "source"),
    ("Note of two informants who spoke about the defendant", "source"),
    ("Covert human-intelligence  source record of a meeting", "source"),
    ("Printed log, source ref 4471, about the vehicle", "source"),
    ("Printed page of intelligence report number four", "source"),
    ("Page of the log, graded highly, of the defendant's friends", "grade"),
    ("Page of the log marked B22 about the defendant", "grade"),
    ("Page of the log marked 1-A-P about the defendant", "grade"),
    ("Page of the log marked e 4 1 about the defendant", "grade"),
    ("Page of the log, evaluated as B2, about the defendant", "grade"),
    ("A 5 x 5 x 5 report about the defendant and his friends", "grade"),
    ("Page with handling code P about the defendant", "handling code"),
    ("Page under conditions A1 about the defendant", "handling code"),
    ("Page for no further dissemination about the defendant", "handling code"),
    ("Log of directed SURVEILLANCE of the defendant's home", "technique"),
    ("Log of the ｕｎｄｅｒｃｏｖｅｒ officer about the defendant", "technique"),
    ("Product of a listening-device in the defendant's car", "technique"),
    ("Cell site of the defendant's telephone in March", "technique"),
    ("ANPR hits of the defendant's car in March 2026", "technique"),
]


@pytest.mark.parametrize("text", CLEAN)
def test_a_plain_description_is_let_through(text):
    assert leaks.terms().found(text) == ()
    assert not leaks.terms().is_thin(text)


@pytest.mark.parametrize(("text", "kind"), SEEDED)
def test_each_seeded_leak_is_found_and_named_by_its_kind(text, kind):
    assert kind in leaks.terms().found(text)


@pytest.mark.parametrize("text", CLEAN)
def test_the_reference_of_an_intelligence_record_is_a_source_reference(text):
    assert leaks.terms().found(f"{text}, IR-2026/77", references=["IR-2026/77"]) == ("source",)
    assert leaks.terms().found(f"{text}, ir 2026 77", references=["IR-2026/77"]) == ("source",)
    assert leaks.terms().found(text, references=["IR-2026/77"]) == ()


@pytest.mark.parametrize("text", ["MG11", "CONNECT record", "MG 15 form 12 of CONNECT", "5x5x5", "the a of it"])
def test_a_form_number_or_a_systems_name_describes_nothing(text):
    assert leaks.terms().is_thin(text, systems=["CONNECT"])


def test_the_words_have_a_version_and_tell_chis_material_by_its_conditions():
    assert leaks.terms().version == "1"
    assert leaks.terms().speaks_of_chis("A1; CHIS - see handler")
    assert not leaks.terms().speaks_of_chis("A1; consult originator")


# ---- what an item says -----------------------------------------------------------------------------------------------


def test_what_an_item_says_is_text_that_reads_as_it_is():
    said = Said("<b>'\"=1+1 & é", "box 4", reasons="line\nline", leaves=(("link", "ab"),), edits=({"column": "a"},))
    assert Said.from_json(said.as_json()) == said
    for hostile in ("a\u202eb", "a\x00b", "a\u2028b", "a\ud800b", "x" * 4_001):
        with pytest.raises(Malformed, match="item's reasons: wanted at most 4,000 characters") as caught:
            replace(said, reasons=hostile)
        assert hostile not in str(caught.value)
    with pytest.raises(Malformed, match="item's description is empty"):
        replace(said, description=" ")


ROW = {"a": "N-1", "b": "N-2", "strength": 70, "supports": {"grade": ["B2", "E4"], "version": [1, 1]}}


def test_an_edited_copy_names_the_row_and_every_edit_and_leaves_the_row_alone():
    struck = {"supports.grade": "says how reliable the source is", "b": "a witness"}
    copy = edits.copied("link", "ab" * 32, ROW, struck, on="2026-01-12T10:00:00Z", by="D. Officer")
    assert copy.row == {
        "a": "N-1", "b": "[edited]", "strength": 70, "supports": {"grade": ["[edited]"] * 2, "version": [1, 1]},
    }  # fmt: skip
    assert copy.unedited == "ab" * 32
    assert [(line["column"], line["reason"], line["by"]) for line in copy.log] == [
        ("b", "a witness", "D. Officer"),
        ("supports.grade", "says how reliable the source is", "D. Officer"),
    ]
    assert (ROW["b"], ROW["supports"]["grade"]) == ("N-2", ["B2", "E4"])
    assert "salt" not in str(copy.as_json())  # with it, whoever has the copy could try what was struck out


@pytest.mark.parametrize(
    ("struck", "message"),
    [
        ({"c": "x"}, "says nothing in column c"),
        ({"supports": "x"}, "column supports has columns of its own"),
        ({"supports.x": "x"}, "says nothing in column supports.x"),
        ({"a.b": "x"}, "says nothing in column a.b"),
        ({"a": " "}, "edit of column a has no reason"),
        ({}, "has no edits"),
    ],
)
def test_an_edit_that_cannot_be_is_refused(struck, message):
    with pytest.raises(Malformed, match=message):
        edits.copied("link", "ab" * 32, ROW, struck, on="2026-01-12T10:00:00Z", by="D. Officer")


# ---- the month -------------------------------------------------------------------------------------------------------


@given(st.dates(date(2020, 1, 1), date(2040, 12, 31)))
def test_a_request_is_due_on_the_same_day_of_the_next_month_or_its_last(day):
    due = date.fromisoformat(subjectaccess.due_on(day.isoformat()))
    assert (due.year * 12 + due.month) - (day.year * 12 + day.month) == 1
    assert due.day == min(day.day, calendar.monthrange(due.year, due.month)[1])


def test_the_last_of_january_is_due_on_the_last_of_february():
    assert subjectaccess.due_on("2027-01-31") == "2027-02-28"
    assert subjectaccess.due_on("2026-12-01") == "2027-01-01"


def test_national_security_is_no_ground_since_2025():
    with pytest.raises(Malformed, match="no such ground"):
        subjectaccess.Withheld("CONNECT", "R-1", "national-security", "x")
    with pytest.raises(Malformed, match="has no reason"):
        subjectaccess.Withheld("CONNECT", "R-1", "crime", " ")
