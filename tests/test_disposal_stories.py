"""Disposals and holds as stories: a long one through the commands, and a short one for each thing easily done wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from force import HARM, PARAMS, ROOT, SYSTEMS, Force, record, write_extract
from test_builds import links_proved, ruled
from test_disposal_model import bare, shown

from provenance import disposal, extracts, holding, receiving, reviewing, verify
from provenance.archive import Overtaken
from provenance.cli import main
from provenance.disposal import Line, Request
from provenance.errors import Conflict, Malformed, Missing, Refused
from provenance.holds import Hold

WEEK = [f"2026-01-{day}T23:59:59Z" for day in (11, 18, 25)]
AFTER = ["2026-01-12T10:00:00Z", "2026-01-19T10:00:00Z", "2026-01-26T10:00:00Z"]  # the day after each


@pytest.fixture(scope="module", autouse=True)
def _no_power_cut() -> Iterator[None]:
    """Nothing here pulls the plug, so nothing waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def force(tmp_path: Path) -> Iterator[Force]:
    """A force that has not received anything; at the end of each story its archive verifies."""
    force = Force(tmp_path)
    yield force
    verify.insist(verify.verify(force.archive))
    verify.insist(verify.verify(force.reopened().archive))
    force.archive.close()


def week(force: Force, number: int, *rows: dict[str, Any], **said: Any) -> None:
    """One week: an extract, full the first time, and its build."""
    mode = said.pop("mode", "delta" if number else "full")
    force.receive(*rows, cut_off=WEEK[number], mode=mode, systems=["CONNECT"], **said)
    force.build(WEEK[number])


def merged(source: str, into: str, at: str = "2026-01-06T00:00:00Z", evidence: str = "fingerprints") -> dict[str, str]:
    return {"from_nominal": source, "into_nominal": into, "evidence": evidence, "by": "bureau", "at": at}


def strengths(force: Force, when: str, case: str = "") -> dict[str, int | None]:
    return {row["nominal"]: row["strength"] for row in force.as_of(when, case=case).nominals().to_pylist()}


def left_out(force: Force) -> dict[str, tuple[int, int]]:
    return {count.what: (count.records, count.people) for count in force.archive.history.builds[-1].left_out}


def counts(force: Force, when: str, case: str = "") -> dict[str, Any]:
    """What has become of a build's rows, per table."""
    return dict(force.as_of(when, case=case).disposed["tables"])


def place(force: Force, case: str, on: str = AFTER[0], **scope: Any) -> Hold:
    said = {"basis": "inquiry", "review_on": "2026-09-01", "on": on, "by": "D. Officer", "under": "Inquiries Act"}
    return holding.place(force.archive, PARAMS, case=case, **(said | scope))


def release(force: Force, hold: Hold, on: str) -> list[disposal.Outcome]:
    holding.release(force.archive, PARAMS, hold.id, reason="decided", on=on, by="D. Officer", under="a decision")
    return force.finish(on=on)


def names_in_vault(force: Force) -> set[str]:
    held = force.archive.vault
    return {name.split("\x1f")[-1] for name in held.keys(held.secrets()[0][1:]).to_pylist()}


# ---- held in March, due in June, still there in July, released in August, gone that evening --------------------------

HELD, PLANNED, CARRIED, ASKED, EARLY, RELEASED = (
    f"2026-{day}T10:00:00Z" for day in ("03-10", "06-15", "06-16", "07-14", "08-12", "08-13")
)
MONTHS = {month: f"2026-{month}-02T09:00:00Z" for month in ("03", "04", "06", "07", "08", "09")}
SHOWN_TO_ALL = {"ANN": 200, "BOB": 400, "CAT": 200}


class Told:
    """The story's archive, and a hand on its commands at a moment."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.force, self.patch = Force(folder), patch
        shutil.copy(ROOT / "params.yaml", self.force.root)
        shutil.copytree(ROOT / "harm", self.force.root / "harm")

    def run(self, on: str, *arguments: str) -> Result:
        instant = datetime.fromisoformat(on).replace(tzinfo=UTC)
        self.patch.setenv("SOURCE_DATE_EPOCH", str(int(instant.timestamp())))
        return CliRunner().invoke(main, ["--archive", str(self.force.root), *arguments])

    def answer(self, on: str, *arguments: str) -> Any:
        result = self.run(on, *arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, on: str, *arguments: str) -> str:
        result = self.run(on, *arguments)
        assert result.exit_code == 3, result.output
        return " ".join(result.output.split())

    def month(self, name: str, *rows: dict[str, Any]) -> None:
        """The build that went live on the 2nd of a month."""
        self.force.archive.refresh()
        cut_off = f"2026-{name}-01T00:00:00Z"
        self.force.receive(*rows, cut_off=cut_off, mode="full" if name == "03" else "delta", systems=["CONNECT"])
        self.force.build(cut_off, MONTHS[name])

    def dashboard(self, on: str, month: str, *case: str) -> tuple[dict[str, int | None], dict[str, list[str]], dict]:
        """Who is shown with what strength, which links on which records, and what is said to be missing."""
        told = self.answer(on, "asof", MONTHS[month], *case)
        assert told["verified"]
        people = {row["nominal"]: row["strength"] for row in told["nominals"]}
        links = {f"{x['a']}-{x['b']}": [s["record_id"] for s in x["supports"]] for x in told["links"]}
        return people, links, {what: n for what, n in told["disposed"].items() if n}


def old(record_id: str, *people: str, day: str) -> dict[str, Any]:
    return record(record_id, *people, occurred_at=day, recorded_at=f"{day}T12:00:00Z")


def test_held_in_march_due_in_june_still_there_in_july_released_in_august(tmp_path, monkeypatch):
    """ANN's six clear years end on 10 June 2026, and BOB's do not; a trial needs R-2 until six months have passed."""
    story = Told(tmp_path, monkeypatch)
    story.month(
        "03",
        old("R-1", "ANN", "BOB", day="2020-06-09"),
        old("R-2", "ANN", "BOB", day="2020-06-10"),
        old("R-3", "BOB", "CAT", day="2025-11-01"),
        old("R-4", "BOB", "CAT", day="2025-11-02"),
    )
    whole = {"ANN-BOB": ["R-1", "R-2"], "BOB-CAT": ["R-3", "R-4"]}
    assert story.dashboard(HELD, "03") == (SHOWN_TO_ALL, whole, {})
    roots = {built.label: built.tables for built in story.force.archive.history.builds}

    # March
    held = story.answer(
        HELD, "hold", "add", "--case", "24/0113", "--basis", "cpia-1996", "--record", "CONNECT", "R-2",
        "--event", "proceedings-instituted", "2026-01-15", "--event", "convicted", "2026-02-12",
        "--review-on", "2026-09-01", "--by", "D. Officer", "--under", "CPIA 1996 s.23",
    )  # fmt: skip
    assert (held["state"], held["earliest_release"]) == ("six-months", "2026-08-13")
    story.month("04")
    story.month("06")
    assert story.dashboard(MONTHS["06"], "06") == (SHOWN_TO_ALL, whole, {})  # a hold changes nothing in view

    # June
    file = tmp_path / "plan.yaml"
    plan = story.answer(
        PLANNED, "dispose", "plan", "--due", "2026-06-15", "--under", "MOPI", "--by", "R. Keeper", "--out", str(file)
    )
    assert plan["reason"] == "mopi-clear-period"
    assert plan["effects"]["to restrict"] == 1
    (line,) = plan["lines"]
    assert (line["what"], line["id"], line["outcome"], line["holds"]) == ("nominal", "ANN", "restrict", [held["hold"]])
    assert line["rule"] == (
        "retention rule group-3: due 2026-06-10; `provenance review due --nominal` explains the date; "
        "but held for case 24/0113: is in a record that is held"
    )
    words = story.refused(CARRIED, "dispose", "carry-out", str(file), "--by", "R. Keeper", "--approved-by", "r.keeper")
    assert "disposal needs a second person" in words
    done = story.answer(CARRIED, "dispose", "carry-out", str(file), "--by", "R. Keeper", "--approved-by", "S. Second")
    assert done["disposals"] == [
        {"certificate": "", "nominals": 0, "records": 0, "restricted": 1, "again": False}
    ]  # fmt: skip
    assert not file.exists()
    withheld = {"BOB": None, "CAT": 200}
    for month in ("03", "04", "06"):
        people, links, missing = story.dashboard(CARRIED, month)
        assert (people, links) == (withheld, {"BOB-CAT": ["R-3", "R-4"]}), month
        # Two involvements, the link and her own figures; BOB's figures and those of the network tell of her.
        assert missing["restricted"] == 4
        assert missing["computed_with_erased"] == 2

    # July
    story.month("07", old("R-5", "BOB", "CAT", day="2026-06-20"))
    assert story.dashboard(ASKED, "07") == ({"BOB": 300, "CAT": 300}, {"BOB-CAT": ["R-3", "R-4", "R-5"]}, {})
    people, links, missing = story.dashboard(ASKED, "06", "--case", "24/0113")
    assert (people, links) == (SHOWN_TO_ALL, whole)
    assert missing == {}
    story.force.archive.refresh()
    consulted = list(story.force.archive.acts(["Consulted"]))
    assert [(act.on, act.case, act.label, act.rows) for act in consulted] == [(ASKED, "24/0113", "2026-W23", 4)]
    assert "no hold of that case stands" in story.refused(ASKED, "asof", MONTHS["06"], "--case", "24/0999")
    assert len(list(story.force.archive.acts(["Consulted"]))) == 1
    (listed,) = story.answer(ASKED, "hold", "list")["holds"]
    assert (listed["earliest_release"], listed["overdue"]) == ("2026-08-13", False)

    # August
    story.month("08")
    goes = ("hold", "release", held["hold"], "--reason", "period-ended", "--by", "D. Officer", "--under", "CPIA")
    words = story.refused(EARLY, *goes)
    assert f"hold {held['hold']} may not be released before 2026-08-13" in words
    ended = story.answer(RELEASED, *goes)
    (certified,) = ended["disposed"]
    assert (certified["nominals"], certified["records"]) == (1, 0)

    # That evening
    for month in ("03", "04", "06"):
        people, links, missing = story.dashboard(RELEASED, month)
        assert (people, links) == (withheld, {"BOB-CAT": ["R-3", "R-4"]}), month
        assert (missing["disposed"], missing["reasons"]) == (4, {"mopi-clear-period": 4})
        assert "restricted" not in missing
    assert "no hold of that case stands" in story.refused(RELEASED, "asof", MONTHS["06"], "--case", "24/0113")
    certificate = story.answer(RELEASED, "certificate", certified["certificate"])
    assert [build["label"] for build in certificate["builds"]] == ["2026-W09", "2026-W14", "2026-W23"]
    assert (certificate["by"], certificate["approved_by"]) == ("R. Keeper", "S. Second")
    assert (certificate["authority"], certificate["reason"]) == ("MOPI", "mopi-clear-period")
    force = story.force.reopened()
    verify.insist(verify.verify(force.archive))
    assert roots.items() <= {built.label: built.tables for built in force.archive.history.builds}.items()
    assert "ANN" not in names_in_vault(force)
    story.month("09")
    assert story.dashboard("2026-09-03T10:00:00Z", "09") == (
        {"BOB": 300, "CAT": 300}, {"BOB-CAT": ["R-3", "R-4", "R-5"]}, {},
    )  # fmt: skip
    force.archive.close()


def test_who_is_due_tomorrow_is_not_planned_today(tmp_path, monkeypatch):
    """ANN's clear period ends on 10 June 2026; until then she may come to notice again."""
    story = Told(tmp_path, monkeypatch)
    story.month("03", old("R-1", "ANN", "BOB:victim", day="2020-06-10"))
    wanted = ("dispose", "plan", "--under", "MOPI", "--by", "R. Keeper", "--out", str(tmp_path / "plan.yaml"), "--due")
    for today, day in (("2026-06-09T12:00", "2026-06-10"), ("2026-06-09T12:00", "2040-01-01")):
        told = story.run(today, *wanted, day)
        assert told.exit_code == 7, told.output
        assert f"found {day}, wanted a day no later than 2026-06-09" in " ".join(told.stderr.split())
        assert not (tmp_path / "plan.yaml").exists()
    # In London it is the 10th already.
    assert len(story.answer("2026-06-09T23:30", *wanted, "2026-06-10")["lines"]) == 3


OTHER_IDS = ("ANN", "ZED")  # of one person


def two_old_crimes(story: Told) -> None:
    """ANN and ZED were judged to be one person, who has not come to notice since 2010; BOB is the victim of both."""
    crimes = [old("R-1", "ANN", "BOB:victim", day="2010-01-05"), old("R-2", "ZED", "BOB:victim", day="2010-02-05")]
    story.force.receive(*crimes, cut_off="2026-03-01T00:00:00Z", merges=[merged("ZED", "ANN")])
    story.force.build("2026-03-01T00:00:00Z", MONTHS["03"])


def planned(story: Told, *wanted: str) -> tuple[dict[str, Any], str]:
    file = str(story.force.folder / "plan.yaml")
    said = ("--under", "MOPI", "--by", "R. Keeper", "--out", file)
    return story.answer(PLANNED, "dispose", "plan", *wanted, *said), file


def test_a_person_who_is_due_goes_under_all_ids(tmp_path, monkeypatch):
    """R31: to plan the id that stands for the others would leave the others in the vault."""
    story = Told(tmp_path, monkeypatch)
    two_old_crimes(story)
    plan, file = planned(story, "--due", "2026-06-15")
    lines = {line["id"]: line for line in plan["lines"]}
    assert set(lines) == {*OTHER_IDS, "BOB", "R-1", "R-2"}
    assert all(line["judged"] for line in lines.values())
    assert lines["ANN"]["rule"] == lines["ZED"]["rule"]
    assert lines["ZED"]["rule"].startswith("retention rule group-3: due 2016-02-05;")
    story.answer(CARRIED, "dispose", "carry-out", file, "--by", "R. Keeper", "--approved-by", "S. Second")
    assert names_in_vault(story.force.reopened()) == set()


@pytest.mark.parametrize("wanted", [("--nominal", "ANN", "--reason", "mopi-review"), ("--due", "2026-06-15")])
def test_what_comes_in_about_one_id_of_a_person_comes_in_about_the_person(tmp_path, monkeypatch, wanted):
    story = Told(tmp_path, monkeypatch)
    two_old_crimes(story)
    _, file = planned(story, *wanted)
    story.month("07", old("R-9", "ZED", "CAT", day="2026-06-16"))
    told = story.run("2026-07-02T10:00", "dispose", "carry-out", file, "--by", "R. Keeper", "--approved-by", "S. Two")
    assert told.exit_code == 6, told.output
    assert "plan is out of date: since it was made, something came in about" in " ".join(told.stderr.split())
    assert {*OTHER_IDS} < names_in_vault(story.force.reopened())


@pytest.mark.parametrize(("ordered", "judged"), [((), True), (("--record", "CONNECT", "R-1"), False)])
def test_a_record_whose_suspect_offends_again_is_not_due_any_more(tmp_path, monkeypatch, ordered, judged):
    """Nothing came in about the record itself: the rules are asked again, but not of what somebody ordered."""
    story = Told(tmp_path, monkeypatch)
    story.month("03", old("R-1", "ANN", "BOB:victim", day="2010-01-05"), old("R-2", "ANN:victim", day="2024-01-05"))
    plan, file = planned(story, "--due", "2026-06-15", *ordered, *(("--reason", "mopi-review") if ordered else ()))
    assert [(line["id"], line.get("judged", False)) for line in plan["lines"]] == [("BOB", True), ("R-1", judged)]
    story.month("07", old("R-9", "ANN", "CAT", day="2026-06-16"))
    told = story.run("2026-07-02T10:00", "dispose", "carry-out", file, "--by", "R. Keeper", "--approved-by", "S. Two")
    assert told.exit_code == 6, told.output
    kept = 1 + judged  # BOB stays as long as a record that he is in
    words = f"of its 2 lines the retention rules would now keep {kept}, or leave them to a review; make the plan again"
    assert words in " ".join(told.stderr.split())
    assert "R-1" in names_in_vault(story.force.reopened())


# ---- what becomes of a link ------------------------------------------------------------------------------------------


def test_a_link_whose_only_record_goes_is_gone_and_its_people_stay(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "BOB", "CAT"))
    force.dispose("CONNECT R-1", on=AFTER[0])
    assert force.pairs(AFTER[0]) == {("BOB", "CAT"): ["R-2"]}
    assert strengths(force, AFTER[0]) == {"ANN": None, "BOB": None, "CAT": 100}
    assert counts(force, AFTER[0]) == {
        "record": {"disposed": 1}, "involvement": {"disposed": 2}, "link": {"disposed": 1},
        "nominal": {"computed_with_erased": 2},
    }  # fmt: skip
    with pytest.raises(Missing, match="build 2026-W02 has no link between these two nominals"):
        force.as_of(AFTER[0]).explain("ANN", "BOB")
    week(force, 1)
    assert strengths(force, AFTER[1]) == {"BOB": 100, "CAT": 100}  # ANN is in no record any more
    links_proved(force.as_of(AFTER[1]))
    assert counts(force, AFTER[1]) == {}
    assert strengths(force, AFTER[0]) == {"ANN": None, "BOB": None, "CAT": 100}


def test_a_link_that_loses_one_of_three_records_twice(force):
    """It is one reduced row, not two, and the reason is that for which it first lost (R14, R19)."""
    week(force, 0, *(record(f"R-{n}", "ANN", "BOB") for n in (1, 2, 3)))
    shown_then = [({("ANN", "BOB"): ["R-1", "R-2", "R-3"]}, 300)]
    for gone, reason in (("CONNECT R-2", "court-order"), ("CONNECT R-1", "mopi-review")):
        force.dispose(gone, on=AFTER[0], reason=reason)
        (link,) = force.as_of(AFTER[0]).links().to_pylist()
        assert link["reduced"] == 1
        shown_then.append((force.pairs(AFTER[0]), link["strength"]))
    assert shown_then == [
        ({("ANN", "BOB"): ["R-1", "R-2", "R-3"]}, 300),
        ({("ANN", "BOB"): ["R-1", "R-3"]}, 200),
        ({("ANN", "BOB"): ["R-3"]}, 100),
    ]
    assert counts(force, AFTER[0])["link"] == {"reduced": 1}
    # Two records with two involvements each, and the link for the reason of the first.
    assert force.as_of(AFTER[0]).disposed["reasons"] == {"court-order": 4, "mopi-review": 3}
    week(force, 1)
    (link,) = force.as_of(AFTER[1]).links().to_pylist()
    assert (link["strength"], link["reduced"]) == (100, 0)  # that build never had more
    assert strengths(force, AFTER[1]) == {"ANN": 100, "BOB": 100}
    assert (force.as_of(AFTER[0]).links()["reduced"].to_pylist(), counts(force, AFTER[1])) == ([1], {})


def test_two_versions_of_a_link_that_leave_the_same_one(force):
    """R-2 was corrected between the builds; without it both builds show R-1 alone, from one row."""
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "ANN", "BOB"))
    week(force, 1, record("R-2", "ANN", "BOB:victim"))
    before = [force.as_of(when).links()["strength"].to_pylist() for when in AFTER[:2]]
    assert before == [[200], [150]]
    (done,) = force.dispose("CONNECT R-2", on=AFTER[1])
    for when in AFTER[:2]:
        assert force.pairs(when) == {("ANN", "BOB"): ["R-1"]}
        assert counts(force, when)["link"] == {"reduced": 1}
    certificate = disposal.certificate(force.archive, done.certificate_id)
    assert certificate.reduced == 2
    assert int((force.archive.index("link").segment < 0).sum()) == 1
    report = force.build(WEEK[2])
    assert (report.links.opened, report.links.closed) == (0, 0)  # it stands as it was sealed
    assert [row["records"] for row in force.as_of(AFTER[2]).links().to_pylist()] == [1]
    links_proved(force.as_of(AFTER[2]))


def test_a_withdrawn_record_is_disposed_of_in_the_builds_that_had_it(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "ANN", "BOB"))
    week(force, 1, record("R-1", "ANN", "BOB"), mode="full")
    (done,) = force.dispose("CONNECT R-2", on=AFTER[1])
    assert [b.label for b in disposal.certificate(force.archive, done.certificate_id).builds] == ["2026-W02"]
    assert (counts(force, AFTER[0])["link"], counts(force, AFTER[1])) == ({"reduced": 1}, {})
    assert strengths(force, AFTER[0]) == {"ANN": None, "BOB": None}
    assert strengths(force, AFTER[1]) == {"ANN": 100, "BOB": 100}


# ---- people who were merged ------------------------------------------------------------------------------------------


def two_ids(force: Force) -> None:
    """ANN-2 was judged to be ANN: R-1 knows her as the one, R-2 as the other, R-3 as both, R-4 alone as ANN-2."""
    week(
        force, 0,
        record("R-1", "ANN-2", "BOB"), record("R-2", "ANN", "BOB"), record("R-3", "ANN", "ANN-2:victim", "CAT"),
        record("R-4", "ANN-2"),
        merges=[merged("ANN-2", "ANN")],
    )  # fmt: skip
    assert force.pairs(AFTER[0]) == {("ANN", "BOB"): ["R-1", "R-2"], ("ANN", "CAT"): ["R-3"]}


def test_an_id_that_was_merged_into_another_goes(force):
    """What records said of ANN under it goes with it, also where they knew her by the other id too."""
    two_ids(force)
    plan = force.plan("ANN-2", on=AFTER[0])
    assert plan.stays == (
        "3 records in which these nominals are: the record of an event stays, without them, for the other people in it",
        "1 judgement that one of these nominals is the same person as another id: the other id was not asked for, and "
        "stays under its own name",
    )
    force.carry_out(plan, on=AFTER[0])
    assert force.pairs(AFTER[0]) == {("ANN", "BOB"): ["R-2"]}
    assert strengths(force, AFTER[0]) == {"ANN": None, "BOB": None, "CAT": None}
    assert force.as_of(AFTER[0]).canonical("ANN-2") == "ANN-2"
    assert "ANN-2" not in names_in_vault(force)
    week(force, 1)
    assert force.pairs(AFTER[1]) == {("ANN", "BOB"): ["R-2"], ("ANN", "CAT"): ["R-3"]}
    assert strengths(force, AFTER[1]) == {"ANN": 200, "BOB": 100, "CAT": 100}
    assert left_out(force) == {"CONNECT crime: one-person": (2, 1)}  # R-1 of BOB, and R-4 of nobody


def test_the_id_that_another_was_merged_into_goes_and_the_other_stands_for_itself(force):
    two_ids(force)
    force.dispose("ANN", on=AFTER[0])
    assert force.pairs(AFTER[0]) == {}
    assert strengths(force, AFTER[0]) == {"BOB": None, "CAT": None}
    week(force, 1)
    assert force.pairs(AFTER[1]) == {("ANN-2", "BOB"): ["R-1"], ("ANN-2", "CAT"): ["R-3"]}
    assert strengths(force, AFTER[1]) == {"ANN-2": 150, "BOB": 100, "CAT": 50}
    links_proved(force.as_of(AFTER[1]))


def test_the_record_that_merged_ids_share_goes(force):
    two_ids(force)
    force.dispose("CONNECT R-3", on=AFTER[0])
    assert force.pairs(AFTER[0]) == {("ANN", "BOB"): ["R-1", "R-2"]}
    assert strengths(force, AFTER[0]) == {"ANN": None, "BOB": 200, "CAT": None}
    week(force, 1)
    assert strengths(force, AFTER[1]) == {"ANN": 200, "BOB": 200}


def test_figures_tell_of_a_merged_id_although_it_gave_no_link(force):
    """ANN-2 is alone in R-4, so no link of ANN's dies; but R-4 was counted as one of ANN's records."""
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-4", "ANN-2"), merges=[merged("ANN-2", "ANN")])
    assert force.as_of(AFTER[0]).nominals(nominal="ANN")["records"].to_pylist() == [2]
    hold = place(force, "24/0113", nominals=["ANN-2"])
    for gone in (False, True):
        if gone:
            release(force, hold, AFTER[0])
        else:
            force.dispose("ANN-2", on=AFTER[0])
        (row,) = force.as_of(AFTER[0]).nominals(nominal="ANN").to_pylist()
        assert (row["records"], row["strength"], row["computed_with_erased"]) == (None, None, 1)
        assert strengths(force, AFTER[0]) == {"ANN": None, "BOB": 100}
    week(force, 1)
    assert force.as_of(AFTER[1]).nominals(nominal="ANN")["records"].to_pylist() == [1]


def test_figures_tell_of_a_record_that_gave_no_link_and_knew_somebody_by_another_id(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-4", "ANN-2"), merges=[merged("ANN-2", "ANN")])
    force.dispose("CONNECT R-4", on=AFTER[0])
    assert strengths(force, AFTER[0]) == {"ANN": None, "BOB": 100}
    week(force, 1)
    assert force.as_of(AFTER[1]).nominals(nominal="ANN")["records"].to_pylist() == [1]


def test_the_id_in_the_middle_of_a_chain_goes_and_its_ends_part(force):
    """ANN-3 was judged to be ANN-2, and she to be ANN. Nobody said that ANN-3 is ANN."""
    week(
        force, 0, record("R-1", "ANN", "BOB"), record("R-2", "ANN-3", "BOB"), record("R-3", "ANN", "ANN-3"),
        merges=[merged("ANN-3", "ANN-2"), merged("ANN-2", "ANN")],
    )  # fmt: skip
    assert force.pairs(AFTER[0]) == {("ANN", "BOB"): ["R-1", "R-2"]}
    assert left_out(force) == {"CONNECT crime: one-person": (1, 1)}
    force.dispose("ANN-2", on=AFTER[0])
    # The past build judged so then; its figures for ANN rest on a judgement that is gone.
    assert force.pairs(AFTER[0]) == {("ANN", "BOB"): ["R-1", "R-2"]}
    assert strengths(force, AFTER[0])["ANN"] is None
    week(force, 1)
    assert force.pairs(AFTER[1]) == {("ANN", "ANN-3"): ["R-3"], ("ANN", "BOB"): ["R-1"], ("ANN-3", "BOB"): ["R-2"]}
    assert left_out(force) == {}


def test_without_the_judgement_that_came_first_another_takes_effect(force):
    """ANN-2 was judged to be ANN, and later to be CAT, which was blocked; ANN goes."""
    week(
        force, 0, record("R-1", "ANN-2", "BOB"), record("R-2", "CAT", "BOB"), record("R-3", "ANN", "BOB"),
        merges=[merged("ANN-2", "ANN"), merged("ANN-2", "CAT", at="2026-01-07T00:00:00Z")],
    )  # fmt: skip
    assert force.pairs(AFTER[0]) == {("ANN", "BOB"): ["R-1", "R-3"], ("BOB", "CAT"): ["R-2"]}
    force.dispose("ANN", on=AFTER[0])
    week(force, 1)
    assert force.pairs(AFTER[1]) == {("BOB", "CAT"): ["R-1", "R-2"]}
    assert strengths(force, AFTER[1]) == {"BOB": 200, "CAT": 200}


def not_made(snapshot: Any, *nominals: str) -> list[tuple[str, str, str]]:
    found = snapshot.merges_not_made(nominals or None).to_pylist()
    return [(row["from_nominal"], row["into_nominal"], row["reason"]) for row in found]


def test_a_merge_that_was_not_made_is_shown_and_goes_with_either_of_the_two(force):
    """R17: who proposed it, when, on what evidence, and why not; to whoever asks about one of them, by any id."""
    week(
        force, 0, *(record(f"R-{n}", name, "BOB") for n, name in enumerate(("ANN", "ANN-2", "CAT", "DAN"))),
        merges=[
            merged("ANN-2", "ANN"), merged("ANN-2", "CAT", at="2026-01-07T00:00:00Z"),
            merged("DAN", "CAT", at="2026-01-08T00:00:00Z", evidence="same name, DOB 1990-01-31"),
        ],
    )  # fmt: skip
    told = ("ANN-2", "CAT", "already-merged"), ("DAN", "CAT", "no-evidence")
    snapshot = force.as_of(AFTER[0])
    assert not_made(snapshot) == not_made(snapshot, "CAT") == list(told)
    assert not_made(snapshot, "ANN") == not_made(snapshot, "ANN-2") == [told[0]]
    assert not_made(snapshot, "BOB") == not_made(snapshot, "DAN", "BOB")[1:] == []
    said = snapshot.answer(nominal="DAN")["merges_not_made"]
    assert [(row["by"], row["at"], row["evidence"]) for row in said] == [
        ("bureau", "2026-01-08T00:00:00Z", "same name, DOB 1990-01-31")
    ]
    assert snapshot.answer()["merges_not_made"] == snapshot.merges_not_made().to_pylist()
    assert snapshot.answer(theme="CL")["merges_not_made"] == []  # nobody of that theme
    force.dispose("DAN", on=AFTER[0])
    assert not_made(force.as_of(AFTER[0])) == [told[0]]
    with pytest.raises(Overtaken):
        snapshot.merges_not_made()  # and what was read before is not told again
    assert not_made(snapshot) == [told[0]]
    # ANN, to whom ANN-2 was judged to belong, is held for a case: without it, no such judgement is told of.
    place(force, "24/0113", nominals=["ANN"])
    force.dispose("ANN", on=AFTER[0])
    assert not_made(force.as_of(AFTER[0], case="24/0113")) == [told[0]]
    assert not_made(force.as_of(AFTER[0])) == []


# ---- who is in a record ----------------------------------------------------------------------------------------------


def test_a_victim_is_still_shown_as_a_victim_when_the_offender_goes(force):
    """R16."""
    week(force, 0, record("R-1", "ANN", "VIC:victim"), record("R-2", "BOB", "VIC:victim"))
    force.dispose("ANN", on=AFTER[0])
    (row,) = force.as_of(AFTER[0]).nominals(nominal="VIC").to_pylist()
    assert (row["victim_only"], row["victim"], row["links"]) == (1, None, None)
    week(force, 1)
    (row,) = force.as_of(AFTER[1]).nominals(nominal="VIC").to_pylist()
    assert (row["victim_only"], row["victim"], row["links"], row["strength"]) == (1, 2, 1, 50)


def test_a_crowd_of_31_that_becomes_30_links_its_people_in_the_next_build_and_in_no_past_one(force):
    assert PARAMS.links.people_per_record == 30
    people = [f"P-{n:02}" for n in range(31)]
    week(force, 0, record("R-1", *people))
    assert (force.pairs(AFTER[0]), left_out(force)) == ({}, {"CONNECT crime: over-cap": (1, 31)})
    force.dispose("P-07", on=AFTER[0])
    assert force.pairs(AFTER[0]) == {}
    assert set(strengths(force, AFTER[0]).values()) == {0}  # nothing of theirs was counted with P-07
    week(force, 1)
    left = [name for name in people if name != "P-07"]
    assert set(force.pairs(AFTER[1])) == {(a, b) for a in left for b in left if a < b}
    assert left_out(force) == {}
    assert set(strengths(force, AFTER[1]).values()) == {2900}
    assert force.pairs(AFTER[0]) == {}


def test_a_record_whose_people_all_go_stays_as_the_record_of_an_event(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "CAT", "DAN"))
    force.dispose("ANN", "BOB", on=AFTER[0])
    week(force, 1)
    assert [row["record_id"] for row in shown(force.as_of(AFTER[1]))["record"]] == ["R-1", "R-2"]
    assert left_out(force) == {"CONNECT crime: one-person": (1, 0)}
    assert strengths(force, AFTER[1]) == {"CAT": 100, "DAN": 100}


# ---- what comes back -------------------------------------------------------------------------------------------------


def quarantined(force: Force) -> list[tuple[int, int]]:
    return [(act.extract, act.rows) for act in force.archive.acts(["Quarantined"])]


def take(force: Force, folder: Path, *, on: str, admit: str = "") -> tuple[receiving.Receipt, extracts.Extract]:
    """Receive what lies in a folder, as `provenance receive` does."""
    known = None if admit else receiving.erased(force.archive, on=on)
    read = extracts.read(folder, systems=SYSTEMS, erased=known)
    said = {"on": on, "by": "D. Officer", "under": "weekly"}
    return receiving.receive(force.archive, read, **said, max_rejects_percent=5, admit=admit), read


def lines(extract: extracts.Extract) -> list[tuple[str, int, str, str]]:
    return [(row["file"], row["line"], row["column"], row["reason"]) for row in extract.rejects.to_pylist()]


def test_what_comes_back_is_kept_out_line_by_line_counted_and_not_stored(force, tmp_path):
    """R41: in a full extract, in a delta, as a judgement and as an order."""
    first, second = record("R-1", "ANN", "BOB", "CAT"), record("R-2", "BOB", "CAT")
    week(force, 0, first, second)
    force.dispose("ANN", "CONNECT R-2", on=AFTER[0])

    full = write_extract(
        tmp_path / "full", [first, second], cut_off=WEEK[1], nominals=[{"nominal_id": "ANN", "name": "Ann"}]
    )
    receipt, read = take(force, full, on=WEEK[1])
    assert lines(read) == [
        ("involvements.csv", 2, "nominal_id", "returned"),
        ("involvements.csv", 5, "record_id", "returned"),
        ("involvements.csv", 6, "record_id", "returned"),
        ("nominals.csv", 2, "nominal_id", "returned"),
        ("records.csv", 3, "record_id", "returned"),
    ]
    assert read.rejects["wanted"].unique().to_pylist() == ["nothing that was disposed of, unless a person admits it"]
    assert not any(
        "ANN" in str(cell) or "R-2" in str(cell) for row in read.rejects.to_pylist() for cell in row.values()
    )
    assert (receipt.returned, receipt.rejected, dict(receipt.fresh)) == (
        5, 5, dict.fromkeys(("record", "involvement", "person", "identity", "order"), 0),
    )  # fmt: skip

    order = {"what": "nominal", "system": "", "id": "ANN", "authority": "x", "reason": "", "at": WEEK[1]}
    of_record = order | {"what": "record", "system": "CONNECT", "id": "R-2"}
    delta = write_extract(
        tmp_path / "delta", [record("R-3", "ANN"), record("R-4", "ANN", "DAN", "CAT")], cut_off=WEEK[2], mode="delta",
        merges=[merged("BOB", "ANN"), merged("ANN", "split"), merged("CAT", "BOB")], disposals=[order, of_record],
    )  # fmt: skip
    receipt, read = take(force, delta, on=WEEK[2])
    assert lines(read) == [
        ("involvements.csv", 2, "nominal_id", "returned"),
        ("involvements.csv", 3, "nominal_id", "returned"),
        ("merges.csv", 2, "into_nominal", "returned"),
        ("merges.csv", 3, "from_nominal", "returned"),
    ]  # and no word about the orders: that it is to go is no news
    assert (receipt.returned, dict(receipt.fresh)) == (
        4, {"record": 2, "involvement": 2, "person": 0, "identity": 1, "order": 0},
    )  # fmt: skip
    assert quarantined(force) == [(2, 5), (3, 4)]
    assert names_in_vault(force) == {"BOB", "CAT", "DAN", "R-1", "R-3", "R-4"}
    assert disposal.ordered(force.archive) == {}
    force.build(WEEK[2])
    assert force.pairs(AFTER[2]) == {("BOB", "DAN"): ["R-4"]}
    assert left_out(force) == {"CONNECT crime: one-person": (2, 1)}


def test_what_comes_back_is_admitted_by_a_person_with_a_reason_and_is_another_than_it_was(force, tmp_path):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "ANN", "BOB"))
    force.dispose("ANN", on=AFTER[0])
    again = write_extract(tmp_path / "again", [record("R-3", "ANN", "BOB")], cut_off=WEEK[1], mode="delta")
    unread = extracts.read(again, systems=SYSTEMS)
    with pytest.raises(Refused) as refused:
        receiving.receive(force.archive, unread, on=WEEK[1], by="x", under="x", max_rejects_percent=5)
    assert str(refused.value) == (
        "extract again brings back 1 nominals or records that were disposed of: wanted an extract read with those rows "
        "kept out, or a reason to admit them"
    )
    assert take(force, again, on=WEEK[1])[0].returned == 1
    assert take(force, again, on=WEEK[1])[0].again
    # The same extract once more, now that somebody has looked.
    receipt, _ = take(force, again, on=WEEK[1], admit="a new offence, other evidence")
    assert (receipt.again, receipt.returned, receipt.number) == (False, 0, 3)
    (said,) = force.archive.acts(["Confirmed"])
    assert (said.extract, said.threshold, said.by, said.reason) == (
        3, "returned", "D. Officer", "a new offence, other evidence",
    )  # fmt: skip
    force.build(WEEK[1])
    assert force.pairs(AFTER[1]) == {("ANN", "BOB"): ["R-3"]}
    assert force.pairs(AFTER[0]) == {}  # what was disposed of stays so
    assert strengths(force, AFTER[0]) == {"BOB": None}
    assert strengths(force, AFTER[1]) == {"ANN": 100, "BOB": 100}
    receipt, read = take(
        force, write_extract(tmp_path / "new", [record("R-4", "ANN")], cut_off=WEEK[2], mode="delta"), on=WEEK[2]
    )
    assert (receipt.returned, lines(read)) == (0, [])


def test_after_the_days_that_params_set_nobody_knows_it_again(force, tmp_path):
    """Disposed of in January 2026: recognised through January 2027, and from the first of February not even once."""
    assert PARAMS.retention.returns_days == 365
    week(force, 0, record("R-1", "ANN", "BOB"))
    force.dispose("ANN", on=AFTER[0])
    week(force, 1)
    for day, kept_out in (("2027-01-31", 1), ("2027-02-01", 0)):
        back = write_extract(
            tmp_path / day, [record(f"R-{day}", "ANN", "BOB")], cut_off=f"{day}T12:00:00Z", mode="delta"
        )
        receipt, read = take(force, back, on=f"{day}T12:00:00Z")
        assert (receipt.returned, len(lines(read))) == (kept_out, kept_out)
        verify.insist(verify.verify(force.archive))  # the figures of the last build still open
    assert "ANN" in names_in_vault(force)
    assert not list((force.root / "vault").glob("*.forgotten"))


def test_an_extract_that_was_received_before_a_disposal_is_the_same_extract_after_it(force):
    """The inbox still holds it, and the weekly run looks at all of the inbox."""
    week(force, 0, record("R-1", "ANN", "BOB"))
    week(force, 1, record("R-2", "BOB", "CAT"))
    force.dispose("ANN", "CONNECT R-2", on=AFTER[1])
    size = force.archive.log.size
    for number in (1, 2):
        receipt, read = take(force, force.folder / "inbox" / f"extract-{number}", on=AFTER[1])
        assert lines(read)
        assert (receipt.number, receipt.again) == (number, True)
    assert (force.archive.log.size, quarantined(force)) == (size, [])


# ---- what a hold keeps -----------------------------------------------------------------------------------------------


def test_restricted_for_two_cases_and_each_reads_while_its_hold_stands(force):
    """One case holds ANN, the other a record that she is in; of the third, which holds CAT, nobody reads of her."""
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "ANN", "BOB"), record("R-3", "CAT", "DAN"))
    one, other = place(force, "24/0001", nominals=["ANN"]), place(force, "24/0002", records=[("CONNECT", "R-2")])
    place(force, "24/0003", nominals=["CAT"])
    plan = force.plan("ANN", on=AFTER[0])
    assert set(plan.lines[0].holds) == {one.id, other.id}
    assert plan.lines[0].rule.endswith(
        "; but held for case 24/0001: is named in the hold; held for case 24/0002: is in a record that is held"
    )
    force.carry_out(plan, on=AFTER[0])

    def read(case: str) -> dict:
        return {(x["a"], x["b"]): x["records"] for x in force.as_of(AFTER[0], case=case).links().to_pylist()}

    whole = {("ANN", "BOB"): 2, ("CAT", "DAN"): 1}
    without = {("CAT", "DAN"): 1}
    assert [read(case) for case in ("", "24/0001", "24/0002", "24/0003")] == [without, whole, whole, without]
    assert release(force, one, AFTER[1]) == []
    assert [read(case) for case in ("", "24/0001", "24/0002", "24/0003")] == [without, without, whole, without]
    (done,) = release(force, other, AFTER[1])
    assert (done.nominals, done.records) == (1, 0)
    assert [read(case) for case in ("", "24/0001", "24/0002", "24/0003")] == [without] * 4
    assert force.as_of(AFTER[0]).disposed["restricted"] == 0


def test_a_hold_on_what_is_restricted_already_keeps_it_and_its_case_may_read_it(force):
    week(force, 0, record("R-1", "ANN", "BOB"))
    first = place(force, "24/0001", nominals=["ANN"])
    force.dispose("ANN", on=AFTER[0], reason="court-order")
    second = place(force, "24/0002", nominals=["BOB"], on=AFTER[1])  # who shares R-1 with her
    force.finish(on=AFTER[1])
    for case in ("24/0001", "24/0002"):
        assert force.as_of(AFTER[0], case=case).links().num_rows == 1
    restricted = list(force.archive.acts(["Restricted"]))
    assert [{held.hold for held in act.holds} for act in restricted] == [{first.id}, {first.id, second.id}]
    assert len({(act.disposal, act.plan, act.approved_by, act.reason, act.nominals) for act in restricted}) == 1
    force.finish(on=AFTER[1])
    assert len(list(force.archive.acts(["Restricted"]))) == 2  # nothing new, so nothing is said
    assert release(force, first, AFTER[1]) == []
    assert force.as_of(AFTER[0], case="24/0002").links().num_rows == 1
    assert force.as_of(AFTER[0], case="24/0001").links().num_rows == 0
    (done,) = release(force, second, AFTER[2])
    assert (done.nominals, force.archive.history.disposals[-1].first.reason) == (1, "court-order")


def test_a_link_none_of_whose_records_is_in_view_is_restricted_and_not_reduced(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "BOB", "CAT"), record("R-3", "BOB", "CAT"))
    place(force, "24/0001", records=[("CONNECT", "R-1"), ("CONNECT", "R-2")])
    force.dispose("CONNECT R-1", "CONNECT R-2", on=AFTER[0])
    assert counts(force, AFTER[0])["link"] == {"reduced": 1, "restricted": 1}
    assert force.pairs(AFTER[0]) == {("BOB", "CAT"): ["R-3"]}
    snapshot = force.as_of(AFTER[0], case="24/0001")
    assert (snapshot.links().num_rows, snapshot.restricted_rows) == (2, 8)  # two records, four in them, two links
    week(force, 1)
    assert force.pairs(AFTER[1]) == {("BOB", "CAT"): ["R-3"]}
    assert force.as_of(AFTER[1], case="24/0001").restricted_rows == 0  # that build never had them


NEWS = [record("R-9", "ANN", "CAT", recorded_at="2026-01-13T00:00:00Z")]


def kept_by_review(force: Force) -> None:
    reviewing.retain(
        force.archive, PARAMS, reviewing.Subject("nominal", "", "ANN"), reason="serious-harm",
        next_review="2026-09-01", on=WEEK[1], by="R. Viewer", under="APP",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("happens", "next_review"),
    [
        (lambda force: week(force, 1, *NEWS), ""),  # she offends again
        (lambda force: week(force, 1, record("R-9", "ANN-2", "CAT", recorded_at="2026-01-13T00:00:00Z")), ""),
        (kept_by_review, "2026-09-01"),
    ],
)
def test_whoever_was_restricted_does_not_go_by_herself_with_what_came_in_about_her_since(force, happens, next_review):
    week(force, 0, record("R-1", "ANN", "BOB"), merges=[merged("ANN-2", "ANN")])
    hold = place(force, "24/0001", nominals=["ANN"])
    force.dispose("ANN", "ANN-2", on=AFTER[0], reason="mopi-clear-period")
    happens(force)
    second = place(force, "24/0002", nominals=["BOB"], on=AFTER[1])
    force.finish(on=AFTER[1])  # which says the restriction again, and does not make what is known older
    assert release(force, hold, AFTER[2]) == release(force, second, AFTER[2]) == []
    force.reopened()
    assert {"ANN", "ANN-2"} < names_in_vault(force)
    assert [(w.subject.id, w.since, w.next_review) for w in reviewing.waiting(force.archive)] == [
        ("ANN", AFTER[2], next_review), ("ANN-2", AFTER[2], next_review),
    ]  # fmt: skip
    assert "ANN" not in str(force.as_of(AFTER[0]).answer())
    assert not disposal.is_waiting(force.archive)
    size = force.archive.log.size
    assert (force.finish(on=AFTER[2]), force.archive.log.size) == ([], size)  # nothing new, so nothing is said
    third = place(force, "24/0003", nominals=["ANN"], on=AFTER[2])
    force.finish(on=AFTER[2])
    assert reviewing.waiting(force.archive) == []
    assert release(force, third, AFTER[2]) == []
    assert len(reviewing.waiting(force.archive)) == 2
    (done,) = force.dispose("ANN", "ANN-2", on=AFTER[2])  # by two who know
    assert (done.nominals, reviewing.waiting(force.archive)) == (2, [])


def test_what_waited_goes_when_the_archive_is_opened_after_a_release_was_cut_off(tmp_path, monkeypatch):
    """R39: the release is in the log, and the machine stopped before what waited for it was disposed of."""
    story = Told(tmp_path, monkeypatch)
    story.month("03", old("R-1", "ANN", "BOB", day="2026-01-05"))
    force = story.force
    hold = place(force, "24/0001", nominals=["ANN"], on=HELD)
    force.dispose("ANN", on=CARRIED)
    assert not disposal.is_waiting(force.archive)
    holding.release(force.archive, PARAMS, hold.id, reason="decided", on=RELEASED, by="D. Officer", under="Act")
    assert disposal.is_waiting(force.archive)
    story.answer(RELEASED, "asof", MONTHS["03"])
    force.reopened()
    assert "ANN" not in names_in_vault(force)
    assert force.archive.history.disposals[0].certified
    assert not disposal.is_waiting(force.archive)


def test_a_review_may_keep_what_is_restricted_already_and_waits(force):
    week(force, 0, record("R-1", "ANN", "BOB"))
    hold = place(force, "24/0001", nominals=["ANN"])
    force.dispose("ANN", on=AFTER[0])
    week(force, 1, *NEWS)
    release(force, hold, AFTER[1])
    kept_by_review(force)
    (waits,) = reviewing.waiting(force.archive)
    assert (waits.subject.id, waits.next_review) == ("ANN", "2026-09-01")


def test_a_record_that_was_due_and_is_restricted_is_judged_again_when_its_hold_ends(tmp_path, monkeypatch):
    """Its suspect offends again meanwhile: nothing came in about the record, and it is not due any more."""
    story = Told(tmp_path, monkeypatch)
    story.month("03", old("R-1", "ANN", "BOB:victim", day="2010-01-05"), old("R-2", "ANN:victim", day="2024-01-05"))
    hold = story.answer(
        HELD, "hold", "add", "--case", "24/0113", "--basis", "litigation", "--record", "CONNECT", "R-1",
        "--review-on", "2026-09-01", "--by", "D. Officer", "--under", "CPIA 1996 s.23",
    )["hold"]  # fmt: skip
    _, file = planned(story, "--due", "2026-06-15")
    story.answer(CARRIED, "dispose", "carry-out", file, "--by", "R. Keeper", "--approved-by", "S. Second")
    story.month("07", old("R-9", "ANN", "CAT", day="2026-06-16"))
    goes = ("hold", "release", hold, "--reason", "decided", "--by", "D. Officer", "--under", "CPIA")
    told = story.run(RELEASED, *goes)
    words = "2 that waited for it stay restricted, since something came in about them or a review kept them"
    assert words in " ".join(told.stdout.split())
    assert {"R-1", "BOB"} < names_in_vault(story.force.reopened())
    due = story.answer(RELEASED, "review", "due")
    assert [(x["what"], x["system"], x["id"], x["since"], x["next_review"]) for x in due["restricted"]] == [
        ("nominal", "", "BOB", RELEASED, ""), ("record", "CONNECT", "R-1", RELEASED, ""),
    ]  # fmt: skip
    shown = story.run(RELEASED, "review", "due").stdout
    assert "Restricted, no longer held: a person decides" in shown
    assert "CONNECT R-1" in shown
    assert story.answer(RELEASED, "dispose", "list")["for_review"] == 2
    assert "2 of them no hold keeps any more" in " ".join(story.run(RELEASED, "dispose", "list").stdout.split())


def test_restricted_material_stays_restricted_when_its_source_sends_it_again(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "BOB", "CAT"))
    hold = place(force, "24/0001", records=[("CONNECT", "R-1")])
    force.dispose("CONNECT R-1", on=AFTER[0])
    week(force, 1, record("R-1", "ANN", "BOB", "CAT:victim"), record("R-2", "BOB", "CAT"), mode="full")
    assert quarantined(force) == []  # it is held, so it was not forgotten
    assert force.pairs(AFTER[1]) == {("BOB", "CAT"): ["R-2"]}
    release(force, hold, AFTER[1])
    week(force, 2, record("R-2", "BOB", "CAT"), mode="full")
    assert force.pairs(AFTER[2]) == {("BOB", "CAT"): ["R-2"]}
    # Who decided that it go did not know that CAT was harmed: somebody has to decide again.
    assert [each.subject.id for each in reviewing.waiting(force.archive)] == ["R-1"]
    force.dispose("CONNECT R-1", on=AFTER[2])
    assert names_in_vault(force) == {"ANN", "BOB", "CAT", "R-2"}


# ---- when ------------------------------------------------------------------------------------------------------------


def test_before_the_first_build(force):
    force.receive(record("R-1", "ANN", "BOB"), record("R-2", "BOB", "CAT"), cut_off=WEEK[0])
    (done,) = force.dispose("ANN", "CONNECT R-2", on=WEEK[0])
    certificate = disposal.certificate(force.archive, done.certificate_id)
    assert (certificate.builds, certificate.reduced) == ((), 0)
    assert {count.table: count.rows for count in certificate.died} == {"involvement": 3, "record": 1}
    force.build(WEEK[0])
    assert strengths(force, AFTER[0]) == {"BOB": 0}
    assert left_out(force) == {"CONNECT crime: one-person": (1, 1)}
    assert counts(force, AFTER[0]) == {}


def test_between_an_extract_and_its_build(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "BOB", "CAT"))
    force.receive(
        record("R-2", "BOB", "CAT", "DAN"), record("R-3", "ANN", "CAT"), record("R-4", "CAT", "DAN"),
        cut_off=WEEK[1], mode="delta",
    )  # fmt: skip
    (done,) = force.dispose("CAT", on=WEEK[1])
    assert [b.label for b in disposal.certificate(force.archive, done.certificate_id).builds] == ["2026-W02"]
    force.build(WEEK[1])
    assert force.pairs(AFTER[0]) == {("ANN", "BOB"): ["R-1"]}
    assert force.pairs(AFTER[1]) == {("ANN", "BOB"): ["R-1"], ("BOB", "DAN"): ["R-2"]}
    assert strengths(force, AFTER[1]) == {"ANN": 100, "BOB": 200, "DAN": 100}
    assert left_out(force) == {"CONNECT crime: one-person": (2, 2)}


def test_of_everything_there_is(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "BOB", "CAT"), record("R-3", "ANN", "BOB"))
    roots = force.archive.history.builds[0].tables
    force.dispose("ANN", "BOB", "CAT", "CONNECT R-1", "CONNECT R-2", "CONNECT R-3", on=AFTER[0])
    snapshot = force.as_of(AFTER[0])
    assert (snapshot.built.tables, snapshot.verified) == (roots, True)
    assert {name: rows for name, rows in shown(snapshot).items() if rows and name != "network"} == {}
    assert [row["members"] for row in snapshot.networks().to_pylist()] == [None]
    assert names_in_vault(force) == set()
    week(force, 1)
    assert {name: rows for name, rows in shown(force.as_of(AFTER[1])).items() if rows} == {}
    week(force, 2, record("R-9", "DAN", "EVE"))
    assert force.pairs(AFTER[2]) == {("DAN", "EVE"): ["R-9"]}


def test_a_build_of_other_rules_after_a_disposal(force):
    """Everything is worked out again; the link that had lost a record stood under the old rules until then."""
    rules = ruled(links={"ungraded_percent": 50})
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "ANN", "BOB"), record("R-3", "BOB", "CAT"))
    force.dispose("CONNECT R-2", "CAT", on=AFTER[0])
    force.build(WEEK[1], rules=rules)
    assert strengths(force, AFTER[1]) == {"ANN": 50, "BOB": 50}
    assert left_out(force) == {"CONNECT crime: one-person": (1, 1)}
    assert [link["strength"] for link in force.as_of(AFTER[0]).links().to_pylist()] == [100]
    force.dispose("CONNECT R-3", on=AFTER[1])
    force.build(WEEK[2], rules=rules)
    assert (strengths(force, AFTER[2]), left_out(force)) == ({"ANN": 50, "BOB": 50}, {})
    links_proved(force.as_of(AFTER[2]))


def test_a_build_after_disposals_is_the_one_of_an_archive_that_never_received_them(force, tmp_path):
    """But for versions, since this archive has seen the records change."""
    everyone = ("ANN", "BOB", "CAT:victim")
    week(force, 0, record("R-1", *everyone), record("R-2", "BOB", "DAN"), merges=[merged("DAN", "CAT")])
    week(force, 1, record("R-1", "BOB", "CAT:victim"), record("R-3", "ANN", "DAN"))
    force.dispose("ANN", "CONNECT R-2", on=AFTER[1])
    week(force, 2)
    never = Force(tmp_path, "never")
    week(never, 0, record("R-1", "BOB", "CAT:victim"), record("R-3", "DAN"), merges=[merged("DAN", "CAT")])
    never.build(WEEK[2])
    assert bare(shown(force.as_of(AFTER[2]))) == bare(shown(never.as_of(AFTER[2])))
    assert force.archive.history.builds[-1].left_out == never.archive.history.builds[-1].left_out
    never.archive.close()


# ---- plans -----------------------------------------------------------------------------------------------------------


def test_the_same_plan_twice_is_carried_out_once(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "CAT", "DAN"))
    place(force, "24/0001", nominals=["CAT"])
    plan = force.plan("ANN", "CAT", on=AFTER[0])
    first, size = force.carry_out(plan, on=AFTER[0]), force.archive.log.size
    second = force.reopened().carry_out(plan, on=AFTER[1])
    assert [(o.certificate_id, o.number, o.nominals, o.restricted, o.again) for o in second] == [
        (o.certificate_id, o.number, o.nominals, o.restricted, True) for o in first
    ]
    assert [(o.nominals, o.restricted) for o in first] == [(1, 0), (0, 1)]
    assert force.archive.log.size == size


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Force]:
    """An archive that only refuses."""
    force = Force(tmp_path_factory.mktemp("steady"))
    week(force, 0, record("R-1", "ANN", "BOB"))
    size = force.archive.log.size
    yield force
    assert force.archive.log.size == size
    assert force.pairs(AFTER[0]) == {("ANN", "BOB"): ["R-1"]}
    verify.insist(verify.verify(force.archive))
    force.archive.close()


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("id: BOB", "id: ANN"),
        ("outcome: dispose", "outcome: restrict"),
        ("made_by: planner", "made_by: somebody else"),
        ("reason: mopi-review", "reason: court-order"),
        ("to dispose of: 1", "to dispose of: 0"),
        ("archive: force", "archive: another"),
        ("seal: ", "seal: 0"),
        ("lines:", "rows:"),
        ("what: nominal", "what: person"),
    ],
)
def test_a_plan_that_was_edited_is_refused(steady, tmp_path, was, now):
    path = tmp_path / "plan.yaml"
    made = steady.plan("BOB", on=AFTER[0])
    disposal.write(steady.archive, made, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert disposal.read(steady.archive, path) == made
    text = path.read_text("utf-8")
    assert was in text
    path.write_text(text.replace(was, now, 1), "utf-8")
    with pytest.raises(Malformed) as refused:
        disposal.read(steady.archive, path)
    assert str(refused.value) == "plan file plan.yaml is not as it was made for this archive: make the plan again"


@pytest.mark.parametrize(
    ("by", "approved_by"),
    [
        ("A. Smith", "A. Smith"),
        ("A. Smith", "a.smith "),
        ("A. Smith", "\uff21. \uff33\uff4d\uff49\uff54\uff48"),  # in full-width letters
        ("another", "Planner"),  # who made the plan
        ("another", "\u200bplanner"),  # with a space that nobody sees
        ("Gro\u00df", "GROSS"),
        ("Ren\u00e9", "Rene\u0301"),  # one letter, or a letter and its accent
        ("another", ""),
        ("another", " . "),
    ],
)
def test_who_approves_is_somebody_else_however_they_spell_it(steady, by, approved_by):
    """R48."""
    plan = steady.plan("ANN", on=AFTER[0])
    with pytest.raises(Refused) as refused:
        disposal.carry_out(steady.archive, plan, PARAMS, HARM, on=AFTER[0], by=by, approved_by=approved_by)
    assert str(refused.value) == (
        "disposal needs a second person: who approves it is neither who asked for it nor who carries it out, and each "
        "name has letters of one script"
    )


@pytest.mark.parametrize("change", ["held", "released", "gone", "merged"])
def test_a_plan_that_would_come_out_otherwise_now_is_refused(force, change):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "CAT", "DAN"), record("R-3", "EVE", "FAY"))
    hold = place(force, "24/0001", nominals=["CAT"])
    plan = force.plan("ANN", "CAT", "EVE", on=AFTER[0])
    match change:
        case "held":
            place(force, "24/0002", nominals=["BOB"])  # who shares a record with ANN
            now = "restrict"
        case "released":
            release(force, hold, AFTER[0])
            now = "dispose"
        case "gone":
            force.dispose("EVE", on=AFTER[0])
            now = "nothing to do"
        case "merged":  # ANN is CAT now, whom a hold names
            force.receive(cut_off=WEEK[1], mode="delta", systems=["CONNECT"], merges=[merged("ANN", "CAT")])
            now = "restrict"
    size = force.archive.log.size
    with pytest.raises(Conflict) as stale:
        force.carry_out(plan, on=AFTER[1])
    assert str(stale.value) == (
        f"plan is out of date: 1 of its 3 lines would come out differently now, the first as: {now}; "
        "make the plan again"
    )
    assert force.archive.log.size == size
    assert force.carry_out(force.plan("ANN", "CAT", "EVE", on=AFTER[1]), on=AFTER[1])


def test_a_plan_says_why_of_every_line_and_what_stays(force):
    week(force, 0, record("R-1", "ANN", "BOB"), record("R-2", "ANN", "BOB"), record("R-3", "CAT", "DAN"))
    place(force, "24/0001", nominals=["CAT"])
    plan = force.plan("ANN", "CAT", "NOBODY", "CONNECT R-1", on=AFTER[0])
    hand = f"ordered by hand, for the reason mopi-review: {PARAMS.retention.disposal_reasons['mopi-review']}"
    held = force.archive.history.holds
    assert plan.lines == (
        Line(Request("nominal", "", "ANN"), "dispose", hand),
        Line(
            Request("nominal", "", "CAT"), "restrict",
            f"{hand}; but held for case 24/0001: is named in the hold", tuple(held),
        ),
        Line(
            Request("nominal", "", "NOBODY"), "nothing to do",
            "not held: it was never received, or has been disposed of",
        ),
        Line(Request("record", "CONNECT", "R-1"), "dispose", hand),
    )  # fmt: skip
    assert plan.stays == (
        "1 record in which these nominals are: the record of an event stays, without them, for the other people in it",
        "1 nominal in these records: they were not asked for, and their other records stay",
    )
    assert plan.effects == {
        "to dispose of": 2, "to restrict": 1, "nothing to do": 1, "builds": 1,
        "rows that go": {"record": 1, "involvement": 3, "link": 1, "nominal": 1},
        "links that may live on with less": 0,
    }  # fmt: skip


def test_an_order_of_a_source_is_carried_out_by_people_and_is_then_gone_itself(force):
    order = {"what": "nominal", "system": "", "id": "ANN", "authority": "MOPI 4", "reason": "weeded", "at": WEEK[0]}
    unknown = order | {"id": "NOBODY"}
    week(force, 0, record("R-1", "ANN", "BOB"), disposals=[order, unknown])
    assert disposal.ordered(force.archive) == {
        Request("nominal", "", "ANN"): f"ordered by its source system on {WEEK[0]}, under MOPI 4: weeded"
    }
    assert "NOBODY" not in names_in_vault(force)
    hold = place(force, "24/0001", nominals=["BOB"])
    force.dispose("ANN", on=AFTER[0])
    assert disposal.ordered(force.archive) == {}  # it waits for a hold, and needs no second order
    release(force, hold, AFTER[0])
    assert disposal.ordered(force.archive) == {}
    assert counts(force, AFTER[0])["order"] == {"disposed": 1}


def test_an_order_about_somebody_whom_only_a_merge_of_the_same_extract_names_is_kept(force):
    order = {"what": "nominal", "system": "", "id": "ZED", "authority": "MOPI 4", "reason": "weeded", "at": WEEK[0]}
    week(force, 0, record("R-1", "ANN", "BOB"), merges=[merged("ZED", "ANN")], disposals=[order])
    assert [request.id for request in disposal.ordered(force.archive)] == ["ZED"]


def test_judgements_that_were_no_circle_with_somebody_are_none_without_them(force):
    """ANN was judged to be ZED, later to be BOB, which was blocked, and BOB to be ANN; ZED goes. Of a circle the last
    judgement is to be blocked: a disposal, and the weeks to come, must not fail for what the sources said in order."""
    week(
        force, 0, record("R-1", "ANN", "CAT"), record("R-2", "BOB", "CAT"), record("R-3", "ZED", "CAT"),
        merges=[
            merged("ANN", "ZED", at="2026-01-06T01:00:00Z"), merged("ANN", "BOB", at="2026-01-06T02:00:00Z"),
            merged("BOB", "ANN", at="2026-01-06T03:00:00Z"),
        ],
    )  # fmt: skip
    assert force.pairs(AFTER[0]) == {("CAT", "ZED"): ["R-1", "R-2", "R-3"]}
    force.dispose("ZED", on=AFTER[0])
    week(force, 1)
    assert force.pairs(AFTER[1]) == {("BOB", "CAT"): ["R-1", "R-2"]}
