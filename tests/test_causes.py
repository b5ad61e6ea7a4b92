"""Why figures changed: a story for each cause, two causes at once, any weeks at all, and what the commands say of it.

In every story the causes are checked twice: each is what the story did, and together they are the whole change.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from force import HARM, PARAMS, ROOT, Force, record, surroundings
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_builds import Weeks, ruled

import provenance
from provenance import asof, builds, causes, comparing, figures, harm, holding, series
from provenance.asof import Snapshot
from provenance.causes import STEPS, Split
from provenance.cli import main
from provenance.entries import Happening
from provenance.errors import Malformed, Missing, Tampered
from provenance.harm import HarmTable
from provenance.params import Params

pytestmark = pytest.mark.usefixtures("_few_rows")

WEEKS = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z", "2026-02-01T23:59:59Z")
LOOSE = {"stale_watermark_days": 60, "max_drop_percent": 100}
USUAL = ruled(thresholds=LOOSE, networks={"least_records": 1})
GRADED = {"kind": "intelligence", "grade_scheme": "3x5x2", "source_grade": "1", "handling": "P"}


def split(force: Force, first: int = 0, second: int = 1, *, case: str = "", **said: Any) -> Split:
    """The causes between two weeks; they add up, and the records behind each come to what it did."""
    one, other = (force.as_of(WEEKS[place], case=case) for place in (first, second))
    found = causes.causes(one, other, **said)
    adds_up(found)
    return found


def adds_up(found: Split) -> None:
    behind: dict[tuple, int] = {}
    for row in found.behind.to_pylist():
        key = (*(row[name] for name in ("theme", "kind", "a", "b", "figure")), row["cause"])
        behind[key] = behind.get(key, 0) + row["amount"]
    for row in found.changes.to_pylist():
        if None in (row["before"], row["after"]):
            assert row["disposal"] is None
        else:
            assert sum(row[cause] for cause in STEPS) == row["after"] - row["before"], row
        if row["kind"] == "network" or row["figure"] in ("links", "member"):
            continue  # no sum over records
        key = tuple(row[name] for name in ("theme", "kind", "a", "b", "figure"))
        for cause in STEPS[1:]:
            assert behind.get((*key, cause), 0) == row[cause], (row, cause)


def told(found: Split, kind: str, figure: str = "strength", theme: str = "SOC") -> dict[Any, tuple]:
    """Of one figure, by whom it is of: before, after, and each cause that did something."""
    return {
        (row["a"], row["b"]) if row["b"] else row["a"]: (
            row["before"],
            row["after"],
            *((cause, row[cause]) for cause in STEPS if row[cause] != 0),
        )
        for row in found.changes.to_pylist()
        if (row["kind"], row["figure"], row["theme"]) == (kind, figure, theme)
    }


def records(found: Split, kind: str = "link", figure: str = "strength") -> set[tuple]:
    return {
        (row["a"], row["b"], row["cause"], row["record_id"], row["amount"])
        for row in found.behind.to_pylist()
        if (row["kind"], row["figure"]) == (kind, figure)
    }


@pytest.fixture
def force(tmp_path: Path) -> Force:
    return Force(tmp_path)


def week(force: Force, place: int, *rows: dict, rules: Params = USUAL, table: HarmTable = HARM, **said: Any) -> None:
    """What the sources hand over, and the build on it."""
    force.receive(*rows, cut_off=WEEKS[place], **({"systems": ["CONNECT"]} | said))
    build(force, place, rules, table)


def build(force: Force, place: int, rules: Params = USUAL, table: HarmTable = HARM) -> None:
    cut_off = WEEKS[place]
    if table is not HARM:
        editions = (
            {"name": held.edition, "file": "of-the-day.csv", "unit": held.unit, "sha256": held.sha256}
            for held in table.all
        )
        rules = Params.model_validate(
            rules.model_dump() | {"harm": rules.harm.model_dump() | {"editions": (*editions,)}}
        )
    builds.build(
        force.archive, rules, table, cut_off=cut_off, published_at=cut_off, around=lambda _: surroundings(cut_off)
    )


def judged(source: str, into: str, at: str) -> dict[str, str]:
    return {"from_nominal": source, "into_nominal": into, "evidence": "fingerprints", "by": "bureau", "at": at}


MET = record("R-1", "ANN", "BOB")

# ---- a story per cause -----------------------------------------------------------------------------------------------


def test_nothing_happened(force):
    week(force, 0, MET)
    week(force, 1, MET)
    found = split(force)
    assert (found.changes.num_rows, found.behind.num_rows) == (0, 0)
    assert (found.method, found.disposals) == ((), ())


def test_a_record_that_came_and_one_that_came_late(force):
    new = record("R-2", "ANN", "BOB:witness", occurred_at="2026-01-14", recorded_at="2026-01-14T10:00:00Z")
    late = record("R-3", "BOB", "CAT", occurred_at="2026-01-05", recorded_at="2026-01-15T10:00:00Z")
    week(force, 0, MET)
    week(force, 1, MET, new, late)
    found = split(force)
    assert told(found, "link") == {
        ("ANN", "BOB"): (100, 120, ("new_record", 20)),
        ("BOB", "CAT"): (0, 100, ("new_record", 100)),
    }
    assert told(found, "person")["BOB"] == (100, 220, ("new_record", 120))
    assert told(found, "person", "links") == {"BOB": (1, 2, ("new_record", 1)), "CAT": (0, 1, ("new_record", 1))}
    assert told(found, "person", "witness") == {"BOB": (0, 1, ("new_record", 1))}
    assert records(found) == {("ANN", "BOB", "new_record", "R-2", 20), ("BOB", "CAT", "new_record", "R-3", 100)}
    assert {row["record_id"] for row in found.behind.to_pylist() if row["late"]} == {"R-3"}
    (network,) = told(found, "network", "members")
    assert told(found, "network", "members")[network] == (2, 3, ("new_record", 1))
    assert told(found, "person", "member") == {("CAT", network): (0, 1, ("new_record", 1))}


def test_a_record_that_was_withdrawn(force):
    week(force, 0, MET, record("R-2", "ANN", "CAT"))
    week(force, 1, MET)
    found = split(force)
    assert told(found, "link") == {("ANN", "CAT"): (100, 0, ("expired", -100))}
    assert told(found, "person", "records") == {"ANN": (2, 1, ("expired", -1)), "CAT": (1, 0, ("expired", -1))}
    assert records(found) == {("ANN", "CAT", "expired", "R-2", -100)}


def test_a_record_whose_new_status_counts_for_nothing_and_back(force):
    out = MET | {"status": "cancelled"}
    week(force, 0, MET)
    week(force, 1, out)
    week(force, 2, MET)
    assert told(split(force), "link") == {("ANN", "BOB"): (100, 0, ("expired", -100))}
    assert told(split(force, 1, 2), "link") == {("ANN", "BOB"): (0, 100, ("corrected", 100))}


def test_a_regrade(force):
    week(force, 0, record("I-1", "ANN:subject", "BOB:subject", **GRADED, assessment_grade="A"))
    week(force, 1, record("I-1", "ANN:subject", "BOB:subject", **GRADED, assessment_grade="C"))
    found = split(force)
    ((before, after, cause),) = told(found, "link").values()
    assert 0 < after < before
    assert cause == ("grading", after - before)
    assert records(found) == {("ANN", "BOB", "grading", "I-1", after - before)}


def test_a_regrade_and_another_role_in_one_record_are_parted(force):
    week(force, 0, record("I-1", "ANN:subject", "BOB:subject", **GRADED, assessment_grade="A"))
    week(force, 1, record("I-1", "ANN:subject", "BOB:subject", **GRADED, assessment_grade="C"))
    week(force, 2, record("I-1", "ANN:subject", "BOB:witness", **GRADED, assessment_grade="C"))
    by_grade, by_role = (told(split(force, *pair), "link")["ANN", "BOB"][2] for pair in ((0, 1), (1, 2)))
    assert (by_grade[0], by_role[0]) == ("grading", "corrected")
    whole = split(force, 0, 2)
    assert told(whole, "link")["ANN", "BOB"][2:] == (by_grade, by_role)
    assert records(whole) == {("ANN", "BOB", cause, "I-1", amount) for cause, amount in (by_grade, by_role)}


def test_a_build_is_asked_for_by_its_label_and_what_each_was_made_with_is_told(force, monkeypatch):
    week(force, 0, MET)
    plain = surroundings

    def other(on: str):
        return dataclasses.replace(plain(on), environment="9" * 64)

    monkeypatch.setattr(sys.modules[__name__], "surroundings", other)
    week(force, 1, MET)
    found = causes.causes(asof.asked(force.archive, "2026-W02"), asof.asked(force.archive, "2026-W03"))
    assert [stated.environment for stated in found.statements] == ["2" * 64, "9" * 64]
    assert found.changes.num_rows == 0  # and it changed no figure
    with pytest.raises(Missing, match="build 2026-W09 is not in this archive"):
        asof.asked(force.archive, "2026-W09")


def test_a_record_moves_to_another_theme_and_another_offence(force):
    week(force, 0, MET)
    week(force, 1, record("R-1", "ANN", "BOB", themes="CL", offence_code="1"))
    found = split(force)
    assert told(found, "link") == {("ANN", "BOB"): (100, 0, ("corrected", -100))}
    assert told(found, "link", theme="CL") == {("ANN", "BOB"): (0, 100, ("corrected", 100))}
    days = {row["offence_code"]: row["weight"] for row in HARM.rows.to_pylist()}
    assert told(found, "person", "harm", "CL")["ANN"] == (0, days["1"], ("corrected", days["1"]))


def test_a_person_is_dropped_from_a_record_and_another_added(force):
    week(force, 0, record("R-1", "ANN", "BOB"))
    week(force, 1, record("R-1", "ANN", "CAT"))
    found = split(force)
    assert told(found, "link") == {
        ("ANN", "BOB"): (100, 0, ("corrected", -100)),
        ("ANN", "CAT"): (0, 100, ("corrected", 100)),
    }
    assert "ANN" not in told(found, "person", "links") or told(found, "person", "links")["ANN"][:2] == (1, 1)


def test_a_merge_nets_to_nothing_over_the_two_links_and_so_does_its_split(force):
    standing = [MET, record("R-2", "ANN-2", "CAT")]
    week(force, 0, *standing)
    week(force, 1, *standing, merges=[judged("ANN-2", "ANN", "2026-01-14T10:00:00Z")])
    week(force, 2, *standing, merges=[judged("ANN-2", "split", "2026-01-21T10:00:00Z")])
    for first, sign in ((0, 1), (1, -1)):
        found = split(force, first, first + 1)
        links = told(found, "link")
        assert {key: row[2] for key, row in links.items()} == {
            ("ANN", "CAT"): ("identity", 100 * sign), ("ANN-2", "CAT"): ("identity", -100 * sign),
        }  # fmt: skip
        assert told(found, "person", "records")["ANN"][2] == ("identity", sign)
    assert split(force, 0, 2).changes.num_rows == 0


def test_a_merge_of_two_who_were_in_one_record_loses_their_link(force):
    week(force, 0, record("R-1", "ANN", "ANN-2", "CAT"))
    week(force, 1, record("R-1", "ANN", "ANN-2", "CAT"), merges=[judged("ANN-2", "ANN", "2026-01-14T10:00:00Z")])
    assert told(split(force), "link") == {
        ("ANN", "ANN-2"): (100, 0, ("identity", -100)),
        ("ANN-2", "CAT"): (100, 0, ("identity", -100)),
    }


def test_other_params(force):
    week(force, 0, MET)
    week(force, 1, MET, rules=ruled(thresholds=LOOSE, networks={"least_records": 1}, links={"ungraded_percent": 50}))
    found = split(force)
    assert told(found, "link") == {("ANN", "BOB"): (100, 50, ("method", -50))}
    assert found.method == ("links.ungraded_percent",)
    assert records(found) == {("ANN", "BOB", "method", "R-1", -50)}


def test_another_rule_for_networks_touches_networks_alone(force):
    week(force, 0, MET)
    week(force, 1, MET, rules=ruled(thresholds=LOOSE, networks={"least_records": 2}))
    found = split(force)
    assert set(found.changes["kind"].to_pylist()) == {"network", "person"}
    (members,) = told(found, "network", "members").values()
    assert members == (2, 0, ("method", -2))
    assert set(told(found, "person", "member").values()) == {(1, 0, ("method", -1))}


@pytest.fixture
def dearer(tmp_path: Path) -> HarmTable:
    """The table with every weight ten days up, as another edition."""
    lines = (ROOT / PARAMS.harm.editions[0].file).read_text("utf-8").splitlines()
    cells = [line.rsplit(",", 2) for line in lines[1:]]
    raised = [f"{head},{int(days) + 10},{expired}" for head, days, expired in cells]
    path = tmp_path / "dearer.csv"
    path.write_text("\n".join([lines[0], *raised]) + "\n", "utf-8")
    return harm.read(path, "dearer")


def test_another_harm_table(force, dearer):
    week(force, 0, MET)
    week(force, 1, MET, table=dearer)
    found = split(force, 0, 1)
    (ann,) = {row[2] for row in told(found, "person", "harm").values()}
    assert ann == ("table", 10)
    assert set(told(found, "network", "harm").values()) == {
        (row[0], row[0] + 20, ("table", 20)) for row in told(found, "network", "harm").values()
    }
    assert found.editions == (HARM.edition, "dearer")
    assert not told(found, "link")


def severities(folder: Path, points: int) -> HarmTable:
    """The usual table in days, and beside it one in points that prices two offences, the second at twice as much."""
    path = folder / f"points-{points}.csv"
    rows = f"34B,Robbery,{points},\n1,Murder,{2 * points},\n"
    path.write_text(f"offence_code,offence,weight,expired\n{rows}", "utf-8")
    return harm.side_by_side([HARM, harm.read(path, f"points-{points}", unit=harm.SEVERITY)])


def test_a_second_table_alone_and_records_of_the_same_week(force, tmp_path):
    """The days stay as they are; severity is split like harm, of people and of networks, and in a series."""
    was, now = severities(tmp_path, 100), severities(tmp_path, 130)
    new = record("R-2", "ANN", "BOB:victim", offence_code="1", recorded_at="2026-01-14T10:00:00Z")
    week(force, 0, MET)
    week(force, 1, MET, table=was)
    week(force, 2, MET, new, table=now)
    bare = split(force, 0, 1)
    assert bare.changes.num_rows == 3  # of two people and their network
    assert told(bare, "person", "severity") == dict.fromkeys(("ANN", "BOB"), (0, 100, ("table", 100)))
    assert list(told(bare, "network", "severity").values()) == [(0, 200, ("table", 200))]
    found = split(force, 1, 2)
    assert told(found, "person", "severity")["ANN"] == (100, 390, ("new_record", 200), ("table", 90))
    assert told(found, "person", "severity")["BOB"] == (100, 130, ("table", 30))
    assert list(told(found, "network", "severity").values()) == [(200, 520, ("new_record", 200), ("table", 120))]
    assert {row[2] for row in told(found, "network", "harm").values()} == {told(found, "person", "harm")["ANN"][2]}
    assert (found.editions, found.severity_editions) == ((HARM.edition,) * 2, ("points-100", "points-130"))
    assert split(force, 0, 2, people=["ANN"]).severity_editions == ("", "points-130")
    snapshots = [force.as_of(when) for when in WEEKS[:3]]
    rows = series.series(snapshots, nominal="ANN", figure="severity").to_pylist()
    assert [(row["value"], row["table"], row["new_record"]) for row in rows] == [
        (0, None, None), (100, 100, 0), (390, 90, 200),
    ]  # fmt: skip
    (network,) = set(snapshots[0].nominals(nominal="ANN")["network"].to_pylist())
    rows = series.series(snapshots, network=network, figure="severity").to_pylist()
    assert [(row["value"], row["change"]) for row in rows] == [(0, None), (200, 200), (520, 320)]


def test_a_harm_table_that_is_not_kept_any_more_is_missed(force, dearer):
    week(force, 0, MET)
    week(force, 1, MET, table=dearer)
    force.archive.harm_file(HARM.sha256).unlink()
    with pytest.raises(Missing, match="harm table is missing"):
        causes.causes(force.as_of(WEEKS[0]), force.as_of(WEEKS[1]))


# ---- what is gone, and what is out of view ---------------------------------------------------------------------------


def test_disposal_of_a_record_is_told_under_no_other_name_and_withheld_where_the_figure_is(force):
    standing = [MET, record("R-2", "ANN", "BOB"), record("R-3", "BOB", "CAT")]
    week(force, 0, *standing)
    force.dispose("CONNECT R-2", on="2026-01-13T10:00:00Z")
    week(force, 1, MET, record("R-3", "BOB", "CAT"), record("R-4", "ANN", "CAT", recorded_at="2026-01-14T10:00:00Z"))
    found = split(force)
    assert told(found, "link") == {("ANN", "CAT"): (0, 100, ("new_record", 100))}
    ann = next(r for r in found.changes.to_pylist() if (r["a"], r["figure"]) == ("ANN", "records"))
    assert (ann["before"], ann["after"], ann["disposal"], ann["new_record"]) == (None, 2, None, 1)
    assert len(found.disposals) == 1
    assert not [row for row in found.behind.to_pylist() if row["record_id"] == "R-2" or row["cause"] == "disposal"]


def test_disposal_of_a_crowd_member_links_the_rest_and_is_the_cause(force):
    rules = ruled(thresholds=LOOSE, networks={"least_records": 1}, links={"people_per_record": 3})
    crowd = record("R-1", "ANN", "BOB", "CAT", "DAN")
    week(force, 0, crowd, MET | {"record_id": "R-2"}, rules=rules)
    force.dispose("DAN", on="2026-01-13T10:00:00Z")
    week(force, 1, record("R-1", "ANN", "BOB", "CAT"), MET | {"record_id": "R-2"}, rules=rules)
    assert told(split(force), "link") == {
        ("ANN", "BOB"): (100, 200, ("disposal", 100)),
        ("ANN", "CAT"): (0, 100, ("disposal", 100)),
        ("BOB", "CAT"): (0, 100, ("disposal", 100)),
    }


def test_disposal_after_both_builds_is_no_change_between_them(force):
    rules = ruled(thresholds=LOOSE, networks={"least_records": 1}, links={"people_per_record": 3})
    crowd = record("R-1", "ANN", "BOB", "CAT", "DAN")
    for place in (0, 1):
        week(force, place, crowd, MET | {"record_id": "R-2"}, rules=rules)
    force.dispose("DAN", on="2026-01-20T10:00:00Z")
    assert told(split(force), "link") == {}


def test_disposal_of_the_nominal_into_whom_another_was_merged_brings_that_other_back(force):
    standing = [record("R-1", "ANN-2", "BOB"), record("R-2", "ANN", "CAT")]
    week(force, 0, *standing, merges=[judged("ANN-2", "ANN", "2026-01-06T10:00:00Z")])
    force.dispose("ANN", on="2026-01-13T10:00:00Z")
    week(force, 1, record("R-1", "ANN-2", "BOB"), record("R-2", "CAT"))
    found = split(force)
    assert told(found, "link") == {("ANN-2", "BOB"): (0, 100, ("disposal", 100))}
    assert told(found, "person")["ANN-2"] == (0, 100, ("disposal", 100))
    assert "ANN" not in found.changes["a"].to_pylist()


def test_a_network_of_which_nobody_is_left_is_not_told_of(force):
    week(force, 0, MET, record("R-2", "CAT:victim"))
    force.dispose("ANN", "BOB", on="2026-01-13T10:00:00Z")
    week(force, 1, record("R-2", "CAT:victim"))
    assert split(force).changes.num_rows == 0


def test_a_restriction_shows_to_its_case_as_a_disposal_and_to_nobody_else(force):
    standing = [MET, record("R-2", "ANN", "BOB")]
    week(force, 0, *standing)
    holding.place(
        force.archive, PARAMS, case="24/0113", basis="cpia-1996", review_on="2026-06-01",
        records=[("CONNECT", "R-2")], events=[Happening(event="proceedings-instituted", day="2026-01-02")],
        on="2026-01-12T10:00:00Z", by="D. Officer", under="CPIA 1996 s.23",
    )  # fmt: skip
    force.dispose("CONNECT R-2", on="2026-01-13T10:00:00Z")
    assert force.archive.history.restricted
    build(force, 1)
    assert told(split(force), "link") == {}
    assert told(split(force, case="24/0113"), "link") == {("ANN", "BOB"): (200, 100, ("disposal", -100))}


def test_of_one_person_it_is_what_it_is_among_everybody(force):
    """The way by the person's records and the way by all rows of both builds, whatever became of some of them."""
    standing = [
        MET, record("R-2", "ANN-2", "CAT"), record("R-3", "BOB", "CAT:witness", "DAN", themes="SOC;CL"),
        record("R-4", "DAN", "EVE"), record("R-5", "EVE", "ANN"), record("R-6", "ANN", "ANN-2", "FAY"),
        record("R-7", "EVE", "FAY"),
    ]  # fmt: skip
    late = record("R-8", "CAT", "GUS", recorded_at="2026-01-14T10:00:00Z")
    week(force, 0, *standing)
    week(force, 1, *standing[1:], late, merges=[judged("ANN-2", "ANN", "2026-01-14T10:00:00Z")])
    found = alone_and_among_all(force, 1, "")
    holding.place(
        force.archive, PARAMS, case="24/0113", basis="cpia-1996", review_on="2026-06-01", nominals=["FAY"],
        records=[("CONNECT", "R-3")], events=[Happening(event="proceedings-instituted", day="2026-01-02")],
        on="2026-01-19T10:00:00Z", by="D. Officer", under="CPIA 1996 s.23",
    )  # fmt: skip
    force.dispose("FAY", "GUS", "CONNECT R-3", "CONNECT R-5", on="2026-01-19T11:00:00Z")
    assert force.archive.history.restricted
    build(force, 2)
    for case in ("", "24/0113"):
        found += alone_and_among_all(force, 2, case)
    assert found > 100


def alone_and_among_all(force: Force, last: int, case: str) -> int:
    """How many changes were told of somebody from the first build to the `last`."""
    one, other = (force.as_of(WEEKS[place], case=case) for place in (0, last))
    whole, count = causes.causes(one, other), 0
    for who in ("ANN-2", "BOB", "CAT", "FAY", "NOBODY"):
        alone = causes.causes(one, other, people=[who])
        same(whole, alone, one, other, who)
        keys = {tuple(row[name] for name in causes._KEY) for row in alone.changes.to_pylist()}
        behind = [row for row in whole.behind.to_pylist() if tuple(row[name] for name in causes._KEY) in keys]
        assert alone.behind.to_pylist() == behind
        count += len(keys)
    assert causes.causes(one, other, named=False).changes.equals(whole.changes)
    return count


def test_a_change_that_nothing_accounts_for_is_no_cause_of_its_own(force):
    week(force, 0, MET)
    week(force, 1, MET, record("R-2", "ANN", "CAT"))
    one, other = (force.as_of(when) for when in WEEKS[:2])
    figures.of_links(force.archive, np.arange(2))
    force.archive.figures[1, 0] += 7
    with pytest.raises(Tampered, match="links of theme SOC changed by what no record accounts for: 1 links, the first"):
        causes.causes(one, other)


def test_figures_of_people_that_their_records_do_not_give_are_tampered_with(force, monkeypatch):
    week(force, 0, MET)
    week(force, 1, MET, record("R-2", "ANN", "CAT"))
    plain = Snapshot.content

    def more(self: Snapshot, table: str, at: np.ndarray) -> Any:
        content = plain(self, table, at)
        if table == "nominal" and self.label == "2026-W03":
            place = content.column_names.index("harm")
            content = content.set_column(place, "harm", [[days + 1 for days in content["harm"].to_pylist()]])
        return content

    monkeypatch.setattr(Snapshot, "content", more)
    with pytest.raises(Tampered, match="figures of people of theme SOC changed by what no record accounts for: 3 figu"):
        causes.causes(force.as_of(WEEKS[0]), force.as_of(WEEKS[1]))


# ---- two at once -----------------------------------------------------------------------------------------------------


def test_a_correction_under_new_params_is_parted_in_the_stated_order(force):
    halved = ruled(thresholds=LOOSE, networks={"least_records": 1}, links={"ungraded_percent": 50})
    week(force, 0, record("R-1", "ANN", "BOB"))
    week(force, 1, record("R-1", "ANN", "BOB:victim"), rules=halved)
    assert told(split(force), "link") == {("ANN", "BOB"): (100, 25, ("corrected", -50), ("method", -25))}


def test_a_merge_and_a_new_record_of_the_merged(force):
    week(force, 0, record("R-1", "ANN-2", "BOB"), MET | {"record_id": "R-0"})
    week(
        force, 1, record("R-1", "ANN-2", "BOB"), MET | {"record_id": "R-0"},
        record("R-2", "ANN-2", "BOB", recorded_at="2026-01-14T10:00:00Z"),
        merges=[judged("ANN-2", "ANN", "2026-01-14T10:00:00Z")],
    )  # fmt: skip
    assert told(split(force), "link") == {
        ("ANN", "BOB"): (100, 300, ("identity", 100), ("new_record", 100)),
        ("ANN-2", "BOB"): (100, 0, ("identity", -100)),
    }


def test_a_withdrawal_and_a_merge_of_its_person(force):
    week(force, 0, record("R-1", "ANN-2", "BOB"), MET | {"record_id": "R-0"})
    week(force, 1, MET | {"record_id": "R-0"}, merges=[judged("ANN-2", "ANN", "2026-01-14T10:00:00Z")])
    assert told(split(force), "link") == {("ANN-2", "BOB"): (100, 0, ("expired", -100))}


def test_causes_that_offset_each_other_are_told(force):
    week(force, 0, record("R-1", "ANN", "BOB"))
    week(force, 1, record("R-2", "ANN", "BOB"))
    assert told(split(force), "link") == {("ANN", "BOB"): (100, 100, ("expired", -100), ("new_record", 100))}


# ---- any weeks at all ------------------------------------------------------------------------------------------------


@settings(max_examples=2, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # whole builds: no time to shrink
@given(chance=st.randoms(use_true_random=True))
def test_in_any_weeks_the_causes_are_the_change(tmp_path_factory, chance: Random):
    weeks, force, cut_offs = Weeks(chance), Force(tmp_path_factory.mktemp("weeks")), []
    for _ in range(4):
        handed, cut_off = weeks.week()
        for extract in handed:
            force.hand_over(extract)
        rules = ruled(
            thresholds=LOOSE,
            links={"ungraded_percent": chance.choice((50, 100, 100))},
            networks={"least_records": chance.choice((1, 2, 2))},
        )
        force.build(cut_off, rules=rules)
        cut_offs.append(cut_off)
    snapshots = [force.as_of(cut_off) for cut_off in cut_offs]
    for place, one in enumerate(snapshots):
        for other in snapshots[place + 1 :]:
            found = causes.causes(one, other)
            adds_up(found)
            assert not any(found.changes["disposal"].to_pylist())
            everything(one, other, found)
            passed(one, other)
            for who in ("N1", "N5"):  # of one person alone: the same
                same(found, causes.causes(one, other, people=[who]), one, other, who)
    for who in ("N1", "N2"):
        for figure in ("strength", "links", "harm", "records"):
            rows = series.series(snapshots, nominal=who, figure=figure).to_pylist()
            assert all(row["change"] == sum(row[c] for c in STEPS) for row in rows if row["change"] is not None)
    force.archive.close()


def everything(one: Snapshot, other: Snapshot, found: Split) -> None:
    """Nothing that changed is left out, counted from the tables themselves, row by row."""
    wanted: dict[tuple, tuple[int, int]] = {}
    for kind, keys, names, sides in (
        ("link", ("a", "b"), ("strength",), [s.links().to_pylist() for s in (one, other)]),
        ("person", ("nominal",), causes.PERSON, [s.nominals().to_pylist() for s in (one, other)]),
    ):
        for place, rows in enumerate(sides):
            for row in rows:
                for name in names:
                    key = (row["theme"], kind, *([*(row[k] for k in keys), ""][:2]), name)
                    pair = list(wanted.get(key, (0, 0)))
                    pair[place] = row[name]
                    wanted[key] = tuple(pair)
    changed = {key: pair for key, pair in wanted.items() if pair[0] != pair[1]}
    told_ = {
        tuple(row[name] for name in ("theme", "kind", "a", "b", "figure")): (row["before"], row["after"])
        for row in found.changes.to_pylist()
        if row["kind"] != "network" and row["figure"] != causes.MEMBER and row["before"] != row["after"]
    }
    assert told_ == changed


def same(found: Split, alone: Split, one: Snapshot, other: Snapshot, who: str) -> None:
    names = {one.canonical(who), other.canonical(who)}

    def mine(part: Split) -> list[dict]:
        return [
            row
            for row in part.changes.to_pylist()
            if row["kind"] != "network" and row["figure"] != causes.MEMBER and names & {row["a"], row["b"]}
        ]

    assert mine(found) == alone.changes.to_pylist()


def passed(one: Snapshot, other: Snapshot) -> None:
    """Passages against the two builds' people, one by one."""
    went = comparing.passages(one, other)
    sides = [{(p["theme"], p["nominal"]): p["network"] for p in s.nominals().to_pylist()} for s in (one, other)]
    assert sum(len(row["members"]) for row in went.to_pylist()) == sum(
        bool(sides[0].get(key) or sides[1].get(key)) for key in sides[0].keys() | sides[1].keys()
    )
    for row in went.to_pylist():
        for who in row["members"]:
            assert [side.get((row["theme"], who), "") for side in sides] == [row["before"], row["after"]]


# ---- networks that come, go, merge and split -------------------------------------------------------------------------


def test_what_becomes_of_networks(force):
    pairs = [record(f"R-{n}", *people) for n, people in enumerate([("A1", "A2"), ("A3", "A4", "A5"), ("B1", "B2")])]
    week(force, 0, *pairs)
    bridge = record("R-7", "A2", "A3", recorded_at="2026-01-14T10:00:00Z")
    fresh = record("R-8", "C1", "C2", recorded_at="2026-01-14T10:00:00Z")
    week(force, 1, pairs[0], pairs[1], bridge, fresh)
    week(force, 2, pairs[0], pairs[1], fresh)

    def became(first: int, second: int) -> list[tuple]:
        went = comparing.passages(force.as_of(WEEKS[first]), force.as_of(WEEKS[second]))
        return sorted(
            (row["event"], len(row["before"]), len(row["after"]), row["members_before"], row["members_after"])
            for row in comparing.events(went).to_pylist()
        )

    five = ["A1", "A2", "A3", "A4", "A5"]
    assert became(0, 1) == [
        ("born", 0, 1, [], ["C1", "C2"]),
        ("died", 1, 0, ["B1", "B2"], []),
        ("merged", 2, 1, five, five),
    ]
    assert became(1, 2) == [("continued", 1, 1, ["C1", "C2"], ["C1", "C2"]), ("split", 1, 2, five, five)]


def test_a_network_that_came_again_under_another_id_is_no_change(force):
    week(force, 0, MET)
    week(force, 1, record("R-9", "CAT:victim"))
    week(force, 2, MET)
    ids = [force.as_of(WEEKS[place]).networks()["network"].to_pylist() for place in (0, 2)]
    assert ids[0] != ids[1]
    assert split(force, 0, 2).changes.num_rows == 0


# ---- a series --------------------------------------------------------------------------------------------------------


def test_a_series_of_a_person_tells_each_step(force):
    second = record("R-2", "ANN", "CAT", recorded_at="2026-01-14T10:00:00Z")
    week(force, 0, MET, record("R-5", "ANN-2", "DAN"))
    week(force, 1, MET, second, record("R-5", "ANN-2", "DAN"))
    week(force, 2, second, record("R-5", "ANN-2", "DAN"), merges=[judged("ANN", "ANN-2", "2026-01-21T10:00:00Z")])
    snapshots = [force.as_of(when) for when in WEEKS[:3]]
    rows = series.series(snapshots, nominal="ANN").to_pylist()
    # In the third week ANN goes on as ANN-2: what that row came to before is what ANN's own lost with R-1.
    assert [[row[name] for name in ("value", "change", "new_record", "expired", "identity")] for row in rows] == [
        [100, None, None, None, None],
        [200, 100, 100, 0, 0],
        [200, 0, 0, 0, 0],
    ]
    assert (rows[1]["links_new"], rows[1]["links_gone"]) == (1, 0)

    (network,) = set(snapshots[0].nominals(nominal="ANN")["network"].to_pylist())
    grown = series.series(snapshots[:2], network=network, figure="members").to_pylist()
    assert [(row["value"], row["new_record"], row["links_new"]) for row in grown] == [(2, None, None), (3, 1, 1)]
    whole = series.series(snapshots).to_pylist()
    assert [row["value"] for row in whole] == [200, 300, 200]
    with pytest.raises(Malformed, match="figure 'joy' is not one of links, strength"):
        series.series(snapshots, nominal="ANN", figure="joy")


# ---- doors -----------------------------------------------------------------------------------------------------------


def test_the_command_and_the_notebook_say_the_same(force):
    (force.root / "harm").mkdir(exist_ok=True)
    shutil.copy(ROOT / PARAMS.harm.editions[0].file, force.root / "harm")
    week(force, 0, MET)
    week(force, 1, record("R-2", "ANN", "BOB:victim"))
    force.archive.close()
    said = ["--archive", str(force.root), "--keys", str(force.keys), "diff", WEEKS[0], WEEKS[1], "--causes"]
    shown = CliRunner().invoke(main, said, catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "+50           0  records that came" in shown.stdout
    assert "0        -100  left by their source, or closed by status" in shown.stdout
    answer = json.loads(CliRunner().invoke(main, [*said, "--json"]).stdout)
    with provenance.open(force.root, keys=force.keys) as archive:
        split_ = archive.causes(WEEKS[0], WEEKS[1])
        assert answer["causes"] == split_.changes.to_pylist()
        assert answer["behind"] == split_.behind.to_pylist()
        alone = archive.causes(WEEKS[0], WEEKS[1], nominal="ANN").changes
        assert set(alone["a"].to_pylist()) == {"ANN"}
        assert archive.series(nominal="ANN")["value"].to_pylist() == [100, 50]
        assert archive.series(nominal="ANN", last=1)["value"].to_pylist() == [50]
        assert archive.passages(WEEKS[0], WEEKS[1]).num_rows == 1
