"""Holds in a small force: placed, moved on, released; whom and what they reach; and what `provenance hold` says of it.

Reach is checked against a twin that opens every row and asks, person by person and record by record.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import provenance
import provenance.archive
from provenance import disposal, entries, holding, moments, vault
from provenance.cli import main
from provenance.entries import Happening
from provenance.errors import Conflict, Malformed, Missing, Refused
from provenance.holds import EVENTS, Hold
from tests.force import HARM, PARAMS, ROOT, Force, record

WEEKS = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z")
WHO = {"on": "2026-01-26T10:00:00Z", "by": "D. Officer", "under": "CPIA 1996 s.23"}
ANOTHER = WHO | {"by": "A. Nother"}
TRIAL = Happening(event="proceedings-instituted", day="2026-01-02")
GUILTY = Happening(event="convicted", day="2026-01-20")
BLOCKED = "same name and DOB"  # no evidence: such a judgement is not applied (R17)


def judged(source: str, into: str, evidence: str = "fingerprints", at: str = "2026-01-06T00:00:00Z") -> dict[str, str]:
    return {"from_nominal": source, "into_nominal": into, "evidence": evidence, "by": "bureau", "at": at}


def told_by(folder: Path) -> Force:
    """A story of three weeks.

    ANN and BOB are in R-1 and R-2, and so in one network. ANN-2 was judged to be ANN in the first week only, and to be
    CAT in the third; DAN was said to be ANN on name and birth date, which is no evidence. R-6 occurred in the last hour
    of 9 January. R-7 was moved by a correction from the 3rd to the 12th. JOE was KIM in the first week, and LEE was in
    the third.
    """
    force = Force(folder)
    force.receive(
        record("R-1", "ANN", "BOB"),
        record("R-2", "ANN", "BOB:victim"),
        record("R-3", "ANN-2", "CAT"),
        record("R-4", "DAN", "CAT:witness"),
        record("R-5", "BOB", "IDA:witness", themes=""),  # no theme, so no link: they share nothing but the record
        record("R-6", "EVE", "FAY", occurred_at="2026-01-09T23:30:00Z", recorded_at="2026-01-10T09:00:00Z"),
        record("R-7", "GUS", "HAL", occurred_at="2026-01-03"),
        cut_off=WEEKS[0],
        merges=[judged("ANN-2", "ANN"), judged("DAN", "ANN", BLOCKED), judged("JOE", "KIM")],
    )
    force.build(WEEKS[0])
    force.receive(
        record("R-7", "GUS", "HAL", occurred_at="2026-01-12", recorded_at="2026-01-13T09:00:00Z"),
        record("R-8", "HAL", "BOB", occurred_at="2026-01-12", recorded_at="2026-01-13T09:00:00Z"),
        cut_off=WEEKS[1],
        mode="delta",
        merges=[judged(name, "split", "interview", "2026-01-14T00:00:00Z") for name in ("ANN-2", "JOE")],
    )
    force.build(WEEKS[1])
    force.receive(
        record("R-9", "ANN-2", "IDA", occurred_at="2026-01-19", recorded_at="2026-01-20T09:00:00Z"),
        cut_off=WEEKS[2],
        mode="delta",
        merges=[
            judged("ANN-2", "CAT", "DNA", "2026-01-21T00:00:00Z"),
            judged("LEE", "KIM", "DNA", "2026-01-21T00:00:00Z"),
        ],
    )
    force.build(WEEKS[2])
    return force


PEOPLE = ("ANN", "ANN-2", "BOB", "CAT", "DAN", "EVE", "FAY", "GUS", "HAL", "IDA", "JOE", "KIM", "LEE")
RECORDS = tuple(f"R-{n}" for n in range(1, 10))
NETWORK = "SOC-2026-W02-001"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Force:
    """The story, only to be read."""
    return told_by(tmp_path_factory.mktemp("told"))


@pytest.fixture
def force(told: Force, tmp_path: Path) -> Force:
    """A copy to act upon."""
    copy = object.__new__(Force)
    copy.folder, copy.root, copy.keys, copy._extracts = tmp_path, tmp_path / "force", tmp_path / "force.keys", 3
    shutil.copytree(told.root, copy.root)
    shutil.copytree(told.keys, copy.keys)
    copy.archive = provenance.archive.Archive(copy.root, copy.keys)
    return copy


def people(force: Force, *ids: str) -> np.ndarray:
    return force.archive.vault.tokens(vault.nominal_keys(pa.array(ids, pa.string())))


def crimes(force: Force, *ids: str) -> np.ndarray:
    return force.archive.vault.tokens(
        vault.record_keys(pa.array(["CONNECT"] * len(ids), pa.string()), pa.array(ids, pa.string()))
    )


def place(force: Force, **said: Any) -> Hold:
    return holding.place(
        force.archive, PARAMS, **({"case": "24/0113", "basis": "cpia-1996", "review_on": "2026-06-01"} | WHO | said)
    )


def reasons(force: Force, nominals: Iterable[str] = PEOPLE, of: Iterable[str] = RECORDS) -> dict[str, str]:
    """What is held and why, by id; for a single hold."""
    nominals, of = tuple(nominals), tuple(of)
    tokens = [*people(force, *nominals).tolist(), *crimes(force, *of).tolist()]
    names = dict(zip(tokens, (*nominals, *of), strict=True))
    found = holding.why_held(force.archive, people(force, *nominals), crimes(force, *of))
    assert [reach.token for reach in found] == sorted(reach.token for reach in found)
    return {names[reach.token]: reach.words for reach in found}


def case_words(case: str, said: dict[str, str]) -> dict[str, str]:
    return {name: f"held for case {case}: {words}" for name, words in said.items()}


# ---- placed, moved on, released --------------------------------------------------------------------------------------


def test_a_hold_is_logged_by_tokens_and_read_back_after_a_restart(force):
    hold = place(
        force, nominals=["ANN", "BOB"], records=[("CONNECT", "R-4")], networks=[NETWORK], first_day="2026-01-01",
        last_day="2026-01-05", events=[TRIAL], draw=lambda size: bytes(range(size)),
    )  # fmt: skip
    assert hold.id == "0001020304050607"
    assert hold.nominals == tuple(sorted(people(force, "ANN", "BOB").tolist()))
    assert hold.records == tuple(crimes(force, "R-4").tolist())
    assert (hold.case, hold.basis, hold.networks, hold.events) == ("24/0113", "cpia-1996", (NETWORK,), (TRIAL,))
    assert (hold.placed_on, hold.by, hold.under, hold.stands) == (*WHO.values(), True)
    assert force.reopened().archive.history.holds == {hold.id: hold}
    logged = b"".join(
        path.read_bytes() for path in (force.root / "log" / "tile" / "entries").rglob("*") if path.is_file()
    )
    assert b"24/0113" in logged
    for name in (b"ANN", b"BOB", b"R-4"):
        assert name not in logged


def test_two_holds_have_two_ids(force):
    assert re.fullmatch("[0-9a-f]{16}", place(force, nominals=["ANN"]).id)
    assert len({place(force, nominals=["ANN"]).id for _ in range(2)}) == 2


def test_the_same_event_for_two_accused_is_two_events(force):
    hold = place(force, nominals=["ANN"], events=[TRIAL, GUILTY, TRIAL])
    assert [e.event for e in hold.events] == ["proceedings-instituted", "proceedings-instituted", "convicted"]
    hold = holding.progress(force.archive, PARAMS, hold.id, events=[GUILTY], **WHO)
    assert [e.event for e in hold.events] == ["proceedings-instituted"] * 2 + ["convicted"] * 2
    assert hold.review_on == "2026-06-01"
    assert force.reopened().archive.history.holds[hold.id] == hold


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ({"nominals": ["ANN", "ZOE"]}, Missing, "no nominal of that id is held: number 2 of the 2 named"),
        ({"records": [("CONNECT", "R-77")]}, Missing, "no record of that id is held: number 1 of the 1 named"),
        ({"records": [("PINS", "R-1")]}, Missing, "no record of that id is held: number 1 of the 1 named"),
        (
            {"networks": [NETWORK, "SOC-2026-W02-009"]},
            Missing,
            "no build has a network of that id: 1 of the 2 networks named",
        ),
        ({}, Malformed, "hold names nothing: wanted nominals, records, networks, days, or everything"),
        (
            {"everything": True, "nominals": ["ANN"]},
            Malformed,
            "hold on everything names something too: wanted one or the other",
        ),
        (
            {"first_day": "2026-01-01"},
            Malformed,
            "days of a hold are no range: found 2026-01-01 to no last, wanted both, in order",
        ),
        (
            {"first_day": "2026-01-02", "last_day": "2026-01-01"},
            Malformed,
            "days of a hold are no range: found 2026-01-02 to 2026-01-01, wanted both, in order",
        ),
        ({"first_day": "2026-02-30", "last_day": "2026-03-01"}, Malformed, "no such day or time in the calendar"),
        (
            {"nominals": [f"N-{n}" for n in range(3_001)]},
            Malformed,
            "hold names too much: found 3,001 nominals and records, wanted at most 3,000",
        ),
        (
            {"nominals": ["ANN"], "basis": "habit"},
            Malformed,
            "basis is not in params: found aaaaa, wanted one of cpia-1996, inquiry, litigation",
        ),
        (
            {"nominals": ["ANN"], "review_on": "2026-01-26"},
            Malformed,
            "review of a hold has passed: found 2026-01-26, wanted a day after 2026-01-26",
        ),
        (
            {"nominals": ["ANN"], "review_on": "2027-01-27"},
            Refused,
            "review of a hold is too far off: found 2027-01-27; params allow 365 days, to 2027-01-26",
        ),
        ({"nominals": ["ANN"], "events": [GUILTY]}, Malformed, "event has no beginning: found convicted on 2026-01-20"),
        (
            {"nominals": ["ANN"], "events": [replace(TRIAL, day="2026-01-27")]},
            Malformed,
            "event is in the future: found proceedings-instituted on 2026-01-27, wanted a day no later than 2026-01-26",
        ),
        (
            {"nominals": ["ANN"], "events": [TRIAL], "basis": "inquiry"},
            Malformed,
            "basis inquiry has no table: found 1 event(s), wanted none",
        ),
        ({"nominals": ["ANN"], "case": ""}, Malformed, "Held.case: nothing, wanted text of one line"),
    ],
)
def test_what_cannot_be_held_is_refused_and_nothing_is_logged(force, said, error, message):
    before = force.archive.log.size
    with pytest.raises(error) as caught:
        place(force, **said)
    assert str(caught.value).startswith(message)
    assert not re.search("ZOE|R-77|ANN", str(caught.value))
    assert force.archive.log.size == before
    assert not force.archive.history.holds


def test_a_review_may_be_as_far_off_as_params_allow(force):
    assert place(force, nominals=["ANN"], review_on="2027-01-26").review_on == "2027-01-26"


def test_days_are_days_in_london(force):
    """At half past eleven in the evening of 30 June, UTC, it is 1 July in London."""
    late = WHO | {"on": "2026-06-30T23:30:00Z"}
    with pytest.raises(Malformed, match="found 2026-07-01, wanted a day after 2026-07-01"):
        place(force, nominals=["ANN"], **(late | {"review_on": "2026-07-01"}))
    tomorrow = replace(TRIAL, day="2026-07-01")
    assert place(force, nominals=["ANN"], events=[tomorrow], **(late | {"review_on": "2026-07-02"})).events == (
        tomorrow,
    )


def test_a_review_is_moved_and_an_overdue_one_is_listed(force):
    first = place(force, nominals=["ANN"], review_on="2026-03-01")
    second = place(force, nominals=["BOB"], review_on="2026-02-01")
    history = force.archive.history
    assert holding.overdue(history, "2026-02-01") == []
    assert holding.overdue(history, "2026-02-01T23:59:59Z") == []
    assert holding.overdue(history, "2026-02-02T00:00:00Z") == [second]
    assert holding.overdue(history, "2026-03-02") == [second, first]
    moved = holding.progress(force.archive, PARAMS, second.id, review_on="2026-04-01", **WHO)
    assert (moved.review_on, moved.events) == ("2026-04-01", ())
    assert holding.overdue(history, "2026-03-02") == [first]
    holding.release(force.archive, PARAMS, first.id, reason="placed-in-error", **ANOTHER)
    assert holding.overdue(history, "2026-03-02") == []


def test_what_happened_is_checked_with_what_had_happened(force):
    hold = place(force, nominals=["ANN"], events=[TRIAL])
    with pytest.raises(Malformed, match="event has no beginning: found appeal-lodged on 2026-01-21"):
        holding.progress(
            force.archive, PARAMS, hold.id, events=[Happening(event="appeal-lodged", day="2026-01-21")], **WHO
        )
    with pytest.raises(Malformed, match=f"hold {hold.id} is left as it is: wanted an event or another review"):
        holding.progress(force.archive, PARAMS, hold.id, **WHO)
    with pytest.raises(Refused, match="review of a hold is too far off"):
        holding.progress(force.archive, PARAMS, hold.id, review_on="2028-01-01", **WHO)
    with pytest.raises(Missing, match="no hold of that id: found aaaaaa; `provenance hold list` has them"):
        holding.progress(force.archive, PARAMS, "nobody", events=[GUILTY], **WHO)
    assert force.archive.history.holds == {hold.id: hold}


def test_a_story_convicted_in_january_released_in_july(force):
    hold = place(force, nominals=["ANN"], events=[TRIAL])
    with pytest.raises(Refused) as caught:
        holding.release(force.archive, PARAMS, hold.id, reason="period-ended", **WHO)
    assert str(caught.value) == (
        f"hold {hold.id} may not be released yet: case 24/0113 is in the state proceedings, kept until acquittal, "
        "conviction, or a decision not to proceed (Code of Practice 2020, 5.9, to be confirmed). Not ended: 1 of 1 "
        "proceedings, the last of 2026-01-02."
    )
    holding.progress(force.archive, PARAMS, hold.id, events=[GUILTY], **WHO)
    with pytest.raises(Refused) as caught:
        holding.release(force.archive, PARAMS, hold.id, reason="period-ended", **(WHO | {"on": "2026-07-20T22:59:59Z"}))
    assert str(caught.value) == (
        f"hold {hold.id} may not be released before 2026-07-21: case 24/0113 is in the state six-months, kept until "
        "six months from conviction (Code of Practice 2020, 5.10, to be confirmed). 6 months from the last conviction, "
        "on 2026-01-20, end with 2026-07-20. No custodial sentence or hospital order is entered."
    )
    midnight = WHO | {"on": "2026-07-20T23:00:00Z"}  # in London's summer
    ended = holding.release(force.archive, PARAMS, hold.id, reason="period-ended", **midnight)
    assert (ended.stands, ended.released_on) == (False, "2026-07-20T23:00:00Z")
    (act,) = force.archive.acts(["Released"])
    assert (act.hold, act.earliest, act.reason) == (hold.id, "2026-07-21", "period-ended")

    for again in (
        lambda: holding.release(force.archive, PARAMS, hold.id, reason="period-ended", **midnight),
        lambda: holding.progress(force.archive, PARAMS, hold.id, review_on="2026-09-01", **midnight),
    ):
        with pytest.raises(Conflict, match=f"hold {hold.id} was released on 2026-07-20T23:00:00Z: wanted one that sta"):
            again()


def test_an_inquiry_ends_by_decision_and_a_criminal_case_does_not(force):
    inquiry, case = place(force, basis="inquiry", everything=True), place(force, nominals=["ANN"])
    with pytest.raises(Malformed, match="basis inquiry has no table: found reason period-ended, wanted decided"):
        holding.release(force.archive, PARAMS, inquiry.id, reason="period-ended", **WHO)
    with pytest.raises(Refused, match=f"hold {case.id} is not released by decision: basis cpia-1996 has a table"):
        holding.release(force.archive, PARAMS, case.id, reason="decided", **WHO)
    with pytest.raises(Malformed, match="reason is not one for a release: found aaaaa, wanted period-ended, decided"):
        holding.release(force.archive, PARAMS, case.id, reason="tired", **WHO)
    assert not holding.release(force.archive, PARAMS, inquiry.id, reason="decided", **WHO).stands
    (act,) = force.archive.acts(["Released"])
    assert act.earliest == ""


@pytest.mark.parametrize("name", ["D. Officer", "d officer", "D. Officer ", "Ｄ. Officer", "D. \u041efficer", "."])
def test_a_mistake_is_the_word_of_another_person(force, name):
    hold = place(force, nominals=["ANN"], events=[TRIAL])
    with pytest.raises(Refused, match=f"hold {hold.id} was placed by the person who calls it an error"):
        holding.release(force.archive, PARAMS, hold.id, reason="placed-in-error", **(WHO | {"by": name}))
    assert not holding.release(force.archive, PARAMS, hold.id, reason="placed-in-error", **ANOTHER).stands


def test_a_hold_is_superseded_by_a_standing_one_of_the_same_case_that_holds_as_much(force):
    """As when the case turns out to need more than was named at first."""
    hold = place(force, nominals=["ANN", "BOB"], events=[TRIAL])
    narrower = place(force, nominals=["ANN"])
    place(force, case="24/0999", nominals=["ANN", "BOB"], events=[TRIAL])
    for _ in range(2):  # itself, a narrower one, one of another case, and then one that was released
        with pytest.raises(Refused, match=f"hold {hold.id} is not superseded: wanted a standing hold of case 24/0113"):
            holding.release(force.archive, PARAMS, hold.id, reason="superseded", **WHO)
        gone = place(force, nominals=["ANN", "BOB"], events=[TRIAL])
        holding.release(force.archive, PARAMS, gone.id, reason="placed-in-error", **ANOTHER)
    assert not holding.release(force.archive, PARAMS, narrower.id, reason="superseded", **WHO).stands
    place(force, nominals=["ANN", "BOB", "CAT"], events=[TRIAL])
    assert not holding.release(force.archive, PARAMS, hold.id, reason="superseded", **WHO).stands


@pytest.mark.parametrize(
    "said",
    [
        {"basis": "litigation"},  # its end would be one person's decision, in the middle of a trial
        {"basis": "cpia-1996", "events": []},
        {"basis": "cpia-1996", "events": [TRIAL]},  # of two accused one is forgotten
        {"basis": "cpia-1996", "events": [TRIAL, Happening(event="proceedings-instituted", day="2026-01-11")]},
    ],
)
def test_a_hold_by_the_table_is_superseded_only_by_one_that_the_table_ends_no_sooner(force, said):
    hold = place(force, nominals=["ANN"], events=[TRIAL, TRIAL])
    place(force, nominals=["ANN", "BOB"], **said)
    with pytest.raises(Refused, match="under basis cpia-1996 or one that keeps as long, with all 2 of its events"):
        holding.release(force.archive, PARAMS, hold.id, reason="superseded", **WHO)
    assert force.archive.history.holds[hold.id].stands
    later = Happening(event="acquitted", day="2026-01-12")
    place(force, nominals=["ANN", "BOB"], events=[TRIAL, later, TRIAL])
    assert not holding.release(force.archive, PARAMS, hold.id, reason="superseded", **WHO).stands


def test_two_bases_that_end_by_the_table_keep_as_long_as_each_other(force):
    said = PARAMS.model_dump()
    said["holds"]["bases"]["cpia-1996-s23"] = said["holds"]["bases"]["cpia-1996"]
    rules = type(PARAMS).model_validate(said)
    hold = place(force, nominals=["ANN"], events=[TRIAL])
    holding.place(
        force.archive, rules, case=hold.case, basis="cpia-1996-s23", nominals=["ANN"], events=[TRIAL],
        review_on="2026-06-01", **WHO,
    )  # fmt: skip
    assert not holding.release(force.archive, rules, hold.id, reason="superseded", **WHO).stands


def test_a_second_writer_is_told_to_try_again(force):
    hold = place(force, nominals=["ANN"])
    with force.archive.writing():
        for act in (
            lambda: place(force, nominals=["BOB"]),
            lambda: holding.progress(force.archive, PARAMS, hold.id, review_on="2026-05-01", **WHO),
            lambda: holding.release(force.archive, PARAMS, hold.id, reason="placed-in-error", **ANOTHER),
        ):
            with pytest.raises(Conflict):
                act()


# ---- reach, as stories -----------------------------------------------------------------------------------------------


def test_a_hold_on_a_person_reaches_their_records_and_those_they_are_linked_with(force):
    place(force, nominals=["HAL"])
    assert reasons(force) == case_words(
        "24/0113",
        {
            "HAL": "is named in the hold",
            "GUS": "shares a record with a held nominal",
            "BOB": "shares a record with a held nominal",
            "R-7": "has a held nominal in it",
            "R-8": "has a held nominal in it",
        },
    )


def test_a_hold_on_a_record_reaches_its_people_and_what_lies_behind_the_same_links(force):
    place(force, records=[("CONNECT", "R-1")])
    assert reasons(force) == case_words(
        "24/0113",
        {
            "R-1": "is named in the hold",
            "ANN": "is in a record that is held",
            "BOB": "is in a record that is held",
            "R-2": "is behind a link together with a held record",
        },
    )


def test_a_record_without_a_link_reaches_its_people_all_the_same(force):
    place(force, records=[("CONNECT", "R-5")])
    assert set(reasons(force)) == {"R-5", "BOB", "IDA"}


def test_a_hold_on_a_person_covers_every_id_that_was_ever_judged_to_be_theirs(force):
    place(force, nominals=["ANN-2"])
    found = reasons(force)
    same = "held for case 24/0113: is the same person as a nominal that is held"
    assert {name for name, words in found.items() if words == same} == {"ANN", "CAT"}
    # And so ANN's records and CAT's, and BOB, who is linked with ANN. DAN is linked with CAT.
    assert {"R-1", "R-2", "R-3", "R-4", "R-9", "BOB", "DAN", "IDA"} <= set(found)
    assert not {"EVE", "FAY", "GUS", "HAL", "R-5", "R-6", "R-7", "R-8"} & set(found)


def test_two_who_were_each_once_the_same_as_a_third_are_not_the_same_as_each_other(force):
    place(force, nominals=["JOE"])
    assert reasons(force) == case_words(
        "24/0113", {"JOE": "is named in the hold", "KIM": "is the same person as a nominal that is held",
                    "LEE": "was compared with a held nominal, as to who is who"},
    )  # fmt: skip
    place(force, case="24/0999", nominals=["CAT"])
    assert reasons(force)["ANN-2"] == "held for case 24/0999: is the same person as a nominal that is held"
    assert "R-1" not in reasons(force)


def test_a_judgement_that_was_never_applied_makes_nobody_the_same_but_its_row_is_shared(force):
    place(force, nominals=["DAN"])
    assert reasons(force)["ANN"] == "held for case 24/0113: was compared with a held nominal, as to who is who"
    assert "R-1" not in reasons(force)


def test_a_judgement_received_and_not_yet_built_counts(force):
    place(force, nominals=["FAY"])
    assert "R-7" not in reasons(force)
    force.receive(
        record("R-10", "EVE", recorded_at="2026-01-27T00:00:00Z"),
        cut_off="2026-02-01T23:59:59Z",
        mode="delta",
        merges=[judged("FAY", "GUS", at="2026-01-28T00:00:00Z")],
    )
    assert reasons(force)["GUS"] == "held for case 24/0113: is the same person as a nominal that is held"
    assert reasons(force)["R-7"] == "held for case 24/0113: has a held nominal in it"


def test_a_hold_on_a_network_holds_all_who_were_in_it_in_any_build(force):
    members = {p["nominal"] for p in force.as_of("2026-01-12").nominals(network=NETWORK).to_pylist()}
    assert members == {"ANN", "BOB"}
    place(force, networks=[NETWORK])
    found = reasons(force)
    inside = "held for case 24/0113: was in a network that is held"
    assert {name for name, words in found.items() if words == inside} == members
    assert found["ANN-2"] == "held for case 24/0113: is the same person as a nominal that is held"
    assert found["HAL"] == "held for case 24/0113: shares a record with a held nominal"
    assert found["R-3"] == "held for case 24/0113: has a held nominal in it"
    assert not {"EVE", "R-6", "GUS", "R-7"} & set(found)


@pytest.mark.parametrize(
    ("first", "last", "records"),
    [
        ("2026-01-09", "2026-01-09", {"R-6"}),  # at half past eleven in the evening, in winter
        ("2026-01-10", "2026-01-11", set()),
        ("2026-01-03", "2026-01-03", {"R-7"}),  # as an earlier version had it
        ("2026-01-12", "2026-01-12", {"R-7", "R-8"}),
        ("2026-01-06", "2026-01-12", {"R-6", "R-7", "R-8"}),
        ("2026-01-01", "2026-01-05", {"R-1", "R-2", "R-3", "R-4", "R-5", "R-7"}),
    ],
)
def test_a_hold_on_days_holds_what_any_version_of_a_record_says_occurred_then(force, first, last, records):
    place(force, first_day=first, last_day=last)
    on_days = "held for case 24/0113: occurred in the days that are held"
    assert {name for name, words in reasons(force).items() if words == on_days} == records


def test_a_time_in_summer_belongs_to_its_day_in_london(tmp_path):
    summer = Force(tmp_path)
    cells = {"occurred_at": "2026-06-30T23:30:00Z", "recorded_at": "2026-07-01T09:00:00Z"}
    summer.receive(record("R-1", "ANN", "BOB", **cells), cut_off="2026-07-05T23:59:59Z")
    later = WHO | {"on": "2026-07-06T10:00:00Z", "review_on": "2026-08-01"}
    place(summer, first_day="2026-06-30", last_day="2026-06-30", **later)
    assert reasons(summer, ["ANN"], ["R-1"]) == {}
    place(summer, first_day="2026-07-01", last_day="2026-07-01", **later)
    assert set(reasons(summer, ["ANN"], ["R-1"])) == {"ANN", "R-1"}


def test_an_inquiry_holds_everything(force):
    place(force, basis="inquiry", case="public inquiry", everything=True)
    assert reasons(force) == dict.fromkeys(
        [*PEOPLE, *RECORDS], "held for case public inquiry: all that the archive has is held"
    )


def test_a_released_hold_reaches_nothing_and_a_token_may_have_several(force):
    asked = people(force, "HAL"), crimes(force, "R-8", "R-6")
    assert holding.holds_on(force.archive, *asked) == {}
    first, second = place(force, nominals=["HAL"]), place(force, case="24/0999", records=[("CONNECT", "R-8")])
    hal, (eight, six) = int(asked[0][0]), asked[1].tolist()
    assert holding.holds_on(force.archive, *asked) == {hal: (first.id, second.id), eight: (first.id, second.id)}
    holding.release(force.archive, PARAMS, first.id, reason="placed-in-error", **ANOTHER)
    assert holding.holds_on(force.archive, *asked) == {hal: (second.id,), eight: (second.id,)}
    assert [reach.words for reach in holding.why_held(force.archive, asked[0], asked[1][:0])] == [
        "held for case 24/0999: is in a record that is held"
    ]
    assert six not in holding.holds_on(force.archive, *asked)
    nothing = np.zeros(0, np.int64)
    assert holding.holds_on(force.archive, nothing, nothing) == {}
    assert holding.holds_on(force.archive, np.array([0, 12345]), nothing) == {}  # no token of this archive


# ---- reach, against its twin -----------------------------------------------------------------------------------------


class Twin:
    """Every row opened, its parents by their natural ids."""

    def __init__(self, force: Force) -> None:
        archive = force.archive
        content = {
            table: archive.sealer.open(table, archive.index(table).rows(np.arange(len(archive.index(table)))))
            for table in ("record", "involvement", "identity", "link", "nominal")
        }
        self.rows: list[set[str]] = [{x["record_id"], x["nominal_id"]} for x in content["involvement"].to_pylist()]
        self.rows += [{x["from_nominal"], x["into_nominal"]} - {"split"} for x in content["identity"].to_pylist()]
        self.rows += [
            {x["a"], x["b"]}.union(*({s["record_id"], *s["sources_a"], *s["sources_b"]} for s in x["supports"]))
            for x in content["link"].to_pylist()
        ]
        self.members = {(x["network"], x["nominal"]) for x in content["nominal"].to_pylist() if x["network"]}
        self.days = {(self._day(x["occurred_at"]), x["record_id"]) for x in content["record"].to_pylist()}
        self.same = {
            frozenset((one, other))
            for week in WEEKS
            for snapshot in [force.as_of(week)]
            for one in PEOPLE
            for other in PEOPLE
            if snapshot.canonical(one) == snapshot.canonical(other)
        }

    @staticmethod
    def _day(occurred: str) -> str:
        return (
            occurred if len(occurred) == 10 else moments.parse(occurred).astimezone(moments.LONDON).date().isoformat()
        )

    def reach(self, *, nominals: set[str], records: set[str], network: str, days: tuple[str, str]) -> set[str]:
        held = nominals | {nominal for name, nominal in self.members if name == network}
        held = {one for one in PEOPLE if any(frozenset((one, other)) in self.same for other in held)}
        held |= records | {name for day, name in self.days if days[0] <= day <= days[1] and days[0]}
        return held.union(*(row for row in self.rows if row & held))


scopes = st.fixed_dictionaries(
    {
        "nominals": st.sets(st.sampled_from(PEOPLE), max_size=2),
        "records": st.sets(st.sampled_from(RECORDS), max_size=2),
        "network": st.sampled_from(["", "", NETWORK]),
        "days": st.sampled_from(
            [
                ("", ""),
                ("", ""),
                ("2026-01-03", "2026-01-04"),
                ("2026-01-09", "2026-01-12"),
                ("2026-01-19", "2026-01-19"),
            ]
        ),
    }
)


@pytest.fixture(scope="module")
def twin(told: Force) -> Twin:
    return Twin(told)


@given(st.lists(scopes, min_size=1, max_size=3), st.sets(st.sampled_from(PEOPLE)), st.sets(st.sampled_from(RECORDS)))
@settings(max_examples=60)
def test_the_twin_agrees_on_whom_and_what_holds_reach(told, twin, several, nominals, records):
    history, kept = told.archive.history, dict(told.archive.history.holds)
    tokens = {**dict(zip(PEOPLE, people(told, *PEOPLE).tolist(), strict=True)),
              **dict(zip(RECORDS, crimes(told, *RECORDS).tolist(), strict=True))}  # fmt: skip
    for number, scope in enumerate(several):
        history.holds[f"{number}"] = Hold(
            id=f"{number}", case="x", basis="litigation", nominals=tuple(tokens[n] for n in scope["nominals"]),
            records=tuple(tokens[r] for r in scope["records"]), networks=(scope["network"],) * bool(scope["network"]),
            first_day=scope["days"][0], last_day=scope["days"][1], everything=False, review_on="2026-06-01", events=(),
            placed_on="2026-01-26T10:00:00Z", by="x", under="x",
        )  # fmt: skip
    try:
        found = holding.holds_on(told.archive, people(told, *nominals), crimes(told, *records))
    finally:
        history.holds.clear()
        history.holds.update(kept)
    wanted = {
        tokens[name]: tuple(f"{number}" for number, scope in enumerate(several) if name in twin.reach(**scope))
        for name in nominals | records
    }
    assert found == {token: of for token, of in wanted.items() if of}


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(force: Force, monkeypatch: pytest.MonkeyPatch) -> Force:
    """The force with its params, at noon of 26 January 2026."""
    shutil.copy(ROOT / "params.yaml", force.root)
    shutil.copytree(ROOT / "harm", force.root / "harm")
    force.archive.close()
    clock(monkeypatch, "2026-01-26T12:00")
    return force


def clock(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(moments.parse(when).timestamp())))


def run(force: Force, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--archive", str(force.root), "hold", *arguments])


def done(force: Force, *arguments: str) -> str:
    result = run(force, *arguments)
    assert result.exit_code == 0, result.output
    assert "--json" in arguments or max(map(len, result.output.splitlines())) <= 80
    return result.output


def flat(text: str) -> str:
    return " ".join(text.split())


SAID = ("--by", "D. Officer", "--under", "CPIA 1996 s.23")
CASE = ("add", "--case", "24/0113", "--basis", "cpia-1996", "--review-on", "2026-06-01", *SAID)


def finished(monkeypatch: pytest.MonkeyPatch, *done: SimpleNamespace) -> list[dict[str, Any]]:
    """Let `disposal.finish` report these; returns the calls it will have had."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(disposal, "finish", lambda archive, rules, table, **said: calls.append(said) or list(done))
    return calls


def test_add_says_what_is_held_and_from_when_it_may_go(shop):
    said = done(
        shop, *CASE, "--nominal", "ANN", "--nominal", "BOB", "--record", "CONNECT", "R-4", "--network", NETWORK,
        "--from", "2026-01-01", "--to", "2026-01-05", "--event", "proceedings-instituted", "2026-01-02",
        "--event", "convicted", "2026-01-20",
    )  # fmt: skip
    hold = re.search(r"^Hold ([0-9a-f]{16}) stands\.$", said, re.M)[1]
    page = flat(said)
    assert "Case 24/0113" in page
    assert "For a criminal case (Criminal Procedure and Investigations Act 1996, s.23(1))" in page
    assert (
        f"Holds 2 nominals; 1 record; all who were in {NETWORK}; records that occurred from 2026-01-01 to 2026-01-05; "
        "and what shares a row with them" in page
    )
    assert "State convicted, without either" in page
    assert "Release from 2026-07-21" in page
    assert (
        "end with 2026-07-20. No custodial sentence or hospital order is entered. [Code of Practice 2020, 5.10" in page
    )
    assert "Review 2026-06-01 Placed 26 January 2026, 12:00 GMT, by D. Officer, under CPIA 1996 s.23" in page
    assert "ANN" not in said
    assert "R-4" not in said
    assert list(shop.reopened().archive.history.holds) == [hold]


def test_list_shows_what_is_overdue_in_plain_sight(shop, monkeypatch):
    done(shop, *CASE, "--nominal", "ANN", "--event", "proceedings-instituted", "2026-01-02")
    inquiry = ["add", "--case", "inquiry", "--basis", "inquiry", "--everything", "--review-on", "2026-03-01", *SAID]
    done(shop, *inquiry)
    assert done(shop, "list").startswith("2 holds on 2026-01-26; none overdue.\n")
    assert done(shop, "list", "--on", "2026-03-01").startswith("2 holds on 2026-03-01; none overdue.\n")
    late = done(shop, "list", "--on", "2026-03-04")
    assert late.startswith("2 holds on 2026-03-04; 1 OVERDUE for review.\n")
    assert "Review 2026-03-01 OVERDUE by 3 days" in flat(late)
    assert "Release not yet: kept until acquittal, conviction, or a decision not to proceed" in flat(late)
    assert "Holds everything in the archive Release by decision: this duty has no table of days" in flat(late)
    assert done(shop, "list", "--on", "2026-01-25") == "0 holds on 2026-01-25; none overdue.\n"

    clock(monkeypatch, "2026-03-02T09:00")
    answer = json.loads(done(shop, "list", "--json"))
    assert answer["on"] == "2026-03-02"
    assert [(h["case"], h["overdue"], h["state"], h["earliest_release"]) for h in answer["holds"]] == [
        ("24/0113", False, "proceedings", ""),
        ("inquiry", True, "", ""),
    ]
    assert answer["holds"][0]["events"] == [{"event": "proceedings-instituted", "day": "2026-01-02"}]
    assert answer["holds"][0]["nominals"] == 1
    assert [step["state"] for step in answer["holds"][0]["steps"]] == ["proceedings"]


def test_event_moves_the_case_on_and_list_knows_what_was_so_before(shop, monkeypatch):
    hold = json.loads(done(shop, *CASE, "--nominal", "ANN", "--json"))["hold"]
    clock(monkeypatch, "2026-02-10T09:00")
    moved = flat(done(shop, "event", hold, "proceedings-instituted", "2026-02-02", *SAID))
    assert f"Hold {hold} is now as follows." in moved
    assert "State the proceedings" in moved
    assert "Review 2026-07-01" in flat(done(shop, "event", hold, "--review-on", "2026-07-01", *SAID))
    both = done(shop, "event", hold, "acquitted", "2026-02-09", "--review-on", "2026-08-01", *SAID)
    assert "Release from 2026-02-09" in flat(both)
    assert "Review 2026-08-01" in flat(both)
    assert "State the investigation" in flat(done(shop, "list", "--on", "2026-01-30"))


def test_release_carries_out_what_waited_and_says_so(shop, monkeypatch):
    hold = json.loads(done(shop, *CASE, "--nominal", "ANN", "--json"))["hold"]
    calls = finished(monkeypatch, SimpleNamespace(certificate_id="00ff00ff00ff00ff", nominals=1, records=2))
    refused = run(shop, "release", hold, "--reason", "period-ended", *SAID)
    assert refused.exit_code == 3
    assert f"Refused: hold {hold} may not be released yet: case 24/0113 is in the state investigation" in refused.stderr
    assert calls == []
    clock(monkeypatch, "2026-02-10T09:00")
    done(shop, "event", hold, "decided-no-proceedings", "2026-02-09", *SAID)
    said = flat(done(shop, "release", hold, "--reason", "period-ended", *SAID))
    assert said == (
        f"Hold {hold} for case 24/0113 is released. Disposal 00ff00ff00ff00ff waited for it and is carried out: 1 "
        "nominal and 2 records."
    )
    assert [call["on"] for call in calls] == ["2026-02-10T09:00:00Z"]
    assert run(shop, "release", hold, "--reason", "period-ended", *SAID).exit_code == 6

    assert done(shop, "list") == "0 holds on 2026-02-10; none overdue.\n"
    whole = flat(done(shop, "list", "--all"))
    assert "Released 10 February 2026, 09:00 GMT" in whole
    assert "Review" not in whole
    assert done(shop, "list", "--on", "2026-02-09").startswith("1 hold on 2026-02-09; none overdue.\n")


def test_a_disposal_that_waited_for_two_holds_goes_with_the_second(shop, monkeypatch):
    """With nothing in the place of `disposal.finish`."""
    first, second = (json.loads(done(shop, *CASE, "--nominal", name, "--json"))["hold"] for name in ("EVE", "FAY"))
    archive = shop.reopened().archive
    eve = people(shop, "EVE")
    order = disposal.plan(
        archive, PARAMS, HARM, [disposal.Request("nominal", "", "EVE")], reason="mopi-clear-period", **WHO
    )
    disposal.carry_out(archive, order, PARAMS, HARM, on=WHO["on"], by="R. Officer", approved_by="S. Officer")
    assert list(archive.history.restricted) == eve.tolist()
    archive.close()

    other = ("--reason", "placed-in-error", "--by", "A. Nother", "--under", "review")
    assert "No disposal was waiting for it alone." in done(shop, "release", first, *other)
    assert shop.reopened().archive.vault.retained(eve).all()
    shop.archive.close()
    assert "is carried out: 1 nominal and 0 records." in flat(done(shop, "release", second, *other))
    archive = shop.reopened().archive
    assert not archive.vault.retained(eve).any()
    assert archive.history.restricted == {}


def test_release_says_when_nothing_waited(shop, monkeypatch):
    inquiry = ["add", "--case", "inquiry", "--basis", "inquiry", "--everything", "--review-on", "2026-03-01", *SAID]
    hold = json.loads(done(shop, *inquiry, "--json"))["hold"]
    finished(monkeypatch)
    said = done(shop, "release", hold, "--reason", "decided", *SAID)
    assert said.endswith("No disposal was waiting for it alone.\n")


def test_release_as_json(shop, monkeypatch):
    hold = json.loads(done(shop, *CASE, "--nominal", "ANN", "--json"))["hold"]
    finished(monkeypatch, SimpleNamespace(certificate_id="00ff00ff00ff00ff", nominals=1, records=2))
    other = ("--by", "A. Nother", "--under", "review")
    assert json.loads(done(shop, "release", hold, "--reason", "placed-in-error", *other, "--json")) == {
        "hold": hold, "case": "24/0113", "released_on": "2026-01-26T12:00:00Z",
        "disposed": [{"certificate": "00ff00ff00ff00ff", "nominals": 1, "records": 2}], "for_review": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([*CASE, "--nominal", "ZOE"], 5, "Missing: no nominal of that id is held: number 1 of the 1 named"),
        ([*CASE, "--nominal", "ANN", "--event", "pardoned", "2026-01-02"], 2, "'pardoned' is not one of"),
        ([*CASE, "--nominal", "ANN", "--event", "acquitted", "yesterday"], 7, "Malformed: Happening.day: aaaaaaaaa"),
        ([*CASE[:-4], "--nominal", "ANN"], 2, "Missing option '--by'"),
        (["event", "0" * 16, "acquitted", *SAID], 2, "takes 2 values"),
        (
            ["event", "0" * 16, "acquitted", "2026-01-02", *SAID],
            5,
            "Missing: no hold of that id: found 9999999999999999",
        ),
        (["release", "0" * 16, "--reason", "tired", *SAID], 2, "'tired' is not one of"),
        (["list", "--on", "March"], 7, "Malformed: no date: found Aaaaa, wanted YYYY-MM-DD"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(shop, arguments, code, message):
    result = run(shop, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in flat(result.stderr)
    assert "ZOE" not in result.stderr


def test_text_of_a_case_is_shown_as_it_is(shop):
    said = done(shop, *((*CASE[:2], "24/[bold]0113[/bold] :boom:", *CASE[3:])), "--nominal", "ANN")
    assert "24/[bold]0113[/bold] :boom:" in said
    assert "24/[bold]0113[/bold] :boom:" in done(shop, "list")


def test_help_names_every_event(shop):
    for command in ("add", "event"):
        shown = run(shop, command, "--help").output
        assert all(re.search(rf"^  {code} ", shown, re.M) for code in EVENTS)


def test_acts_of_holds_are_those_of_the_log():
    assert {"Held", "Progressed", "Released"} <= set(entries.ACTS)
