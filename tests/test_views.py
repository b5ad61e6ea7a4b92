"""What pages say: the same twice, nothing learned later, nobody who is gone, and each figure as its rows have it.

A force of three weeks, told once; whoever acts upon it gets a copy. Twins are written from the rows, and slow.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
import pyarrow as pa
import pytest
from dashboard import ANALYST, AUDITOR, OFFICER, Dashboard
from force import HARM, PARAMS, Force, record
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from provenance import canonical, holding, lookups, openings, searching, standings, themes, vault, viewing
from provenance.archive import Archive
from provenance.asking import ORDERS, THEME_VIEWS, VIEWS, Ask, read, read_view
from provenance.asof import Snapshot
from provenance.errors import Malformed, Missing, Tampered
from provenance.records import KINDS, ROLES, THEMES
from provenance.tables import TABLES
from provenance.viewing import DIFFERS, LESS, OTHER_FORM, SAME, Page, Replay
from provenance.web import addresses, presenting
from provenance.web.addresses import Moment
from provenance.web.looks import STATIC
from provenance.web.reader import Reader

pytestmark = pytest.mark.usefixtures("_few_rows")
drawn = pytest.mark.skipif(
    not (STATIC / "manifest.json").exists(), reason="what pages are drawn with is not built here: `make assets` does"
)

WEEK = [f"2026-01-{day}T23:59:59Z" for day in (11, 18, 25)]
LATER = [f"2026-02-{day:02d}T10:00:00Z" for day in range(1, 20)]
NAMES = {
    "ANN": "Annabel Quillfeather", "BOB": "Bobbin Ashgrove", "CAT": "Catrin Vexleyholm", "DAN": "Dannel Umberfold",
    "EVE": "Evelith Sorrelby", "FAY": "Fayette Brindlecombe",
}  # fmt: skip
WHO = {"on": LATER[0], "by": "viewer", "under": "analyst"}


def intelligence(record_id: str, *people: str, grade: str, **cells: str) -> dict[str, Any]:
    said = {"grade_scheme": "3x5x2", "source_grade": grade[0], "assessment_grade": grade[1], "handling": "P"}
    return record(record_id, *people, kind="intelligence", offence_code="", **(said | cells))


def told_by(folder: Path) -> Force:
    """ANN, BOB and CAT are one network, DAN, EVE and FAY another, and FAY is in both themes.

    R-7 is out of the second week and back in the third; I-2 is of the third alone.
    """
    force = Force(folder)
    rows = [
        record("R-1", "ANN", "BOB", place="WM-001"),
        record("R-2", "ANN", "BOB:victim", place="WM-002"),
        record("R-3", "ANN", "CAT:victim"),
        record("R-4", "ANN", "CAT:suspect+witness"),
        record("R-5", "BOB", "CAT:witness"),
        intelligence("I-1", "BOB:subject", "CAT:associate", grade="1B", handling="C", conditions="Ask the source unit"),
        record("R-6", "DAN", "EVE:victim", themes="SOC;CL"),
        record("R-7", "DAN", "EVE", "FAY:victim", themes="SOC;CL"),
        record("R-8", "DAN", "FAY"),
        record("R-9", "EVE", "FAY:witness"),
    ]
    people = [
        {"nominal_id": who, "name": name, "born": "1990-01-01", "sex": "F", "is_child": str(int(who == "FAY"))}
        for who, name in NAMES.items()
    ]
    late = intelligence("I-2", "CAT:subject", "DAN:subject", grade="1A", recorded_at="2026-01-20T12:00:00Z")
    for number, extract in enumerate(([*rows], [r for r in rows if r["record_id"] != "R-7"], [*rows, late])):
        force.receive(*extract, cut_off=WEEK[number], nominals=people)
        force.build(WEEK[number])
    return force


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Force]:
    """The story, only to be read."""
    force = told_by(tmp_path_factory.mktemp("told"))
    yield force
    force.archive.close()


@pytest.fixture
def force(told: Force, tmp_path: Path) -> Iterator[Force]:
    """A copy to act upon."""
    copy = object.__new__(Force)
    copy.folder, copy.root, copy.keys, copy._extracts = tmp_path, tmp_path / "force", tmp_path / "force.keys", 3
    shutil.copytree(told.root, copy.root)
    shutil.copytree(told.keys, copy.keys)
    copy.archive = Archive(copy.root, copy.keys)
    yield copy
    copy.archive.close()


def build(archive: Archive, number: int, case: str = "") -> Snapshot:
    """The build of that number, from 1, as nobody has asked about it yet."""
    built = archive.history.builds[number - 1]
    live = [p for p in archive.history.publications if p.label == built.label]
    return Snapshot(archive, built, live[-1], case)


def asks(snapshot: Snapshot) -> list[Ask]:
    """Every page of a build, and some with filters."""
    found = [
        Ask(view=view, theme=theme, names=names, by="harm" if view == "key-nominals" else "strength")
        for view, theme, names in itertools.product(THEME_VIEWS, ("SOC", "CL"), (True, False))
    ]
    people = sorted(set(snapshot.nominals()["nominal"].to_pylist()))
    links = sorted({(row["a"], row["b"]) for row in snapshot.links().to_pylist()})
    for network in snapshot.networks()["network"].to_pylist():
        found += [
            Ask(view="network", network=network),
            Ask(view="network", network=network, roles=("victim",), least=2),
        ]
    for who in people:
        found += [Ask(view=view, nominals=(who,)) for view in ("nominal", "figures", "search")]
    return found + [Ask(view="link", nominals=pair) for pair in links]


def page(archive: Archive, number: int, ask: Ask, case: str = "") -> Page:
    """A page, worked out with nothing remembered of another one."""
    before = build(archive, number - 1) if ask.view == "change" and number > 1 else None
    return viewing.page(build(archive, number, case), before, ask)


def pages(archive: Archive) -> dict[tuple[int, Ask], Page]:
    return {(number, ask): page(archive, number, ask) for number in (1, 3) for ask in asks(build(archive, number))}


@pytest.fixture(scope="module")
def whole(told: Force) -> dict[tuple[int, Ask], Page]:
    """Every page of the first and the last week."""
    return pages(told.archive)


def log(archive: Archive, shown: Page, case: str = "") -> int:
    return viewing.log(archive, shown, case=case, at="", **WHO)


def replay(archive: Archive, place: int) -> Replay:
    """As the dashboard does it, with nothing in memory."""
    reader = Reader(archive)
    return reader.replay(reader.viewed(place))


# ---- the same twice --------------------------------------------------------------------------------------------------


def digests(archive: Archive) -> dict[str, list[str]]:
    return {
        f"{number} {ask.logged()} {' '.join(ask.nominals)}": [shown.digest, shown.leaves]
        for (number, ask), shown in pages(archive).items()
    }


def test_the_same_page_has_the_same_digest_after_a_restart_and_under_another_hash_seed(force, whole):
    was = {
        f"{number} {ask.logged()} {' '.join(ask.nominals)}": [shown.digest, shown.leaves]
        for (number, ask), shown in whole.items()
    }
    force.archive.close()
    command = [sys.executable, __file__, str(force.root), str(force.keys)]
    environment = os.environ | {"PYTHONHASHSEED": "31337", "TZ": "Asia/Kolkata"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == was
    force.archive = Archive(force.root, force.keys)
    assert len({digest for digest, _ in was.values()}) == len(was) > 90, (
        "pages that say different things have one digest"
    )


def test_each_page_is_shown_again_as_it_was_and_after_a_restart_too(force, whole):
    places = {}
    for (number, _), shown in whole.items():
        if number == 3:
            places[log(force.archive, shown)] = shown
    reader = Reader(force.reopened().archive)
    for place, shown in places.items():
        act = reader.viewed(place)
        again = reader.replay(act)
        assert (again.verdict, again.gone, again.certificates) == (SAME, {}, ())
        assert again.page.said == shown.said
        assert reader.asked(act) == shown.ask
        assert reader.find(shown.citation)[1].shown == shown.digest


def test_a_page_is_cited_by_build_view_and_digest_and_by_no_less(force):
    shown = page(force.archive, 3, Ask(view="nominal", nominals=("ANN",)))
    place = log(force.archive, shown)
    log(force.archive, shown)
    for reference in (shown.citation, shown.citation[:-40]):
        assert viewing.find(force.archive, reference)[0] == place
    other = page(force.archive, 2, shown.ask)
    for reference in (f"2026-W04/nominal/{shown.digest[:11]}", other.citation, f"2026-W04/link/{shown.digest}", ""):
        with pytest.raises(Missing, match="no page was shown under that reference: wanted BUILD/VIEW/DIGEST"):
            viewing.find(force.archive, reference)


def test_a_page_of_a_past_build_contains_nothing_learned_later(tmp_path):
    """Each page of the first week, before the second and after the third."""
    force = Force(tmp_path)
    rows = [record("R-1", "ANN", "BOB"), record("R-2", "ANN", "BOB", "CAT:victim"), record("R-3", "BOB", "CAT")]
    force.receive(*rows, cut_off=WEEK[0], nominals=[{"nominal_id": "ANN", "name": "As they knew her"}])
    force.build(WEEK[0])
    asked = asks(build(force.archive, 1))
    before = {ask: page(force.archive, 1, ask) for ask in asked}
    for number in (1, 2):
        later = record(f"R-{number + 3}", "ANN", "CAT", "DAN", recorded_at=WEEK[number - 1][:-1] + "Z")
        force.receive(
            *rows, later, cut_off=WEEK[number], nominals=[{"nominal_id": "ANN", "name": "Learned later"}],
            merges=[{"from_nominal": "BOB", "into_nominal": "CAT", "evidence": "DNA", "by": "b", "at": WEEK[0]}],
        )  # fmt: skip
        force.build(WEEK[number])
    for ask, shown in before.items():
        for again in (page(force.archive, 1, ask), page(force.reopened().archive, 1, ask)):
            assert canonical.dumps(again.said) == canonical.dumps(shown.said), ask
            assert again.digest == shown.digest
    ann = page(force.archive, 3, Ask(view="nominal", nominals=("ANN",))).said["said"]
    assert ann["person"]["name"] == "Learned later"  # or the weeks told nothing new
    assert {row["other"] for row in ann["links"]} == {"CAT", "DAN"}
    force.archive.close()


# ---- what has gone since ---------------------------------------------------------------------------------------------


def names_on(shown: Page) -> set[str]:
    said = canonical.dumps(shown.said).decode()
    return {who for who, name in NAMES.items() if f'"{who}"' in said or name in said}


def without(rows: list[dict[str, Any]], who: str) -> list[dict[str, Any]]:
    return [row for row in rows if who not in (row["a"], row["b"])]


def test_after_a_disposal_a_page_says_lawfully_less_and_names_the_certificate(force, whole):
    places = {log(force.archive, shown): (key, shown) for key, shown in whole.items()}
    (outcome,) = force.dispose("CAT", on=LATER[1], reason="mopi-clear-period")
    force.reopened()
    verdicts: dict[str, int] = {}
    for place, ((number, ask), shown) in places.items():
        again = replay(force.archive, place)
        verdicts[again.verdict] = verdicts.get(again.verdict, 0) + 1
        assert again.verdict in (SAME, LESS), (number, ask)
        if again.verdict == LESS:
            assert again.gone.keys() <= {"mopi-clear-period", "figures withheld"}
            assert again.gone
            assert again.rows >= sum(again.gone.values())
            assert again.certificates == (outcome.certificate_id,)
        else:
            assert "CAT" not in names_on(shown), (number, ask)
        assert again.page is None or "CAT" not in names_on(again.page)
        if "CAT" in ask.nominals and ask.view != "search":
            assert again.page is None
        elif ask.view == "associations" and ask.names and again.page:
            then, now = shown.said["said"]["links"], again.page.said["said"]["links"]
            assert now == without(then, "CAT")
    assert verdicts[SAME] > 20
    assert verdicts[LESS] > 20


def place_hold(force: Force, on: str, **scope: Any):
    return holding.place(
        force.archive, PARAMS, case="24/0113", basis="inquiry", review_on="2026-09-01", on=on, by="D. Officer",
        under="Inquiries Act", **scope,
    )  # fmt: skip


def test_what_a_hold_keeps_is_out_of_view_until_its_case_asks_and_gone_when_it_ends(force):
    ask = Ask(view="nominal", nominals=("ANN",))
    shown = page(force.archive, 3, ask)
    place = log(force.archive, shown)
    hold = place_hold(force, LATER[1], records=[("CONNECT", "R-4")])
    assert replay(force.archive, place).verdict == SAME  # a hold changes nothing in view
    force.dispose("CONNECT R-4", on=LATER[2])
    held = replay(force.archive, place)
    assert (held.verdict, held.certificates) == (LESS, ())
    assert held.gone["restricted"] > 0
    strengths = {row["other"]: row["strength"] for row in held.page.said["said"]["links"]}
    assert strengths["CAT"] < {row["other"]: row["strength"] for row in shown.said["said"]["links"]}["CAT"]
    for_case = page(force.archive, 3, ask, case="24/0113")
    assert for_case.said["said"]["links"] == shown.said["said"]["links"]
    assert for_case.digest != shown.digest  # it is another page: it says for which case it was shown
    seen = log(force.archive, for_case, case="24/0113")
    assert replay(force.archive, seen).verdict == SAME
    holding.release(force.archive, PARAMS, hold.id, reason="decided", on=LATER[3], by="D. Officer", under="a decision")
    (outcome,) = force.finish(on=LATER[3])
    for number in (place, seen):
        gone = replay(force.reopened().archive, number)
        assert (gone.verdict, gone.certificates) == (LESS, (outcome.certificate_id,))
        assert "restricted" not in gone.gone


def test_a_planted_difference_is_found(force, monkeypatch):
    ask = Ask(view="associations", theme="SOC")
    told, place = themes.answer, log(force.archive, page(force.archive, 3, ask))

    def planted(*asked: Any) -> dict[str, Any]:
        said = told(*asked)
        said["links"][0]["strength"] += 1
        return said

    monkeypatch.setattr(themes, "answer", planted)
    assert replay(force.archive, place).verdict == DIFFERS
    # And the reverse: what was shown was planted, and is told now as it is.
    place = log(force.archive, page(force.archive, 3, ask))
    monkeypatch.setattr(themes, "answer", told)
    assert replay(force.archive, place).verdict == DIFFERS


def test_a_page_of_an_earlier_form_says_so_whatever_rows_that_program_opened(force, monkeypatch):
    ask = Ask(view="network", network=network_of(force, 3))
    place = log(force.archive, page(force.archive, 3, ask))
    monkeypatch.setattr(viewing, "FORM", viewing.FORM + 1)
    assert replay(force.archive, place).verdict == OTHER_FORM
    monkeypatch.setattr(openings, "root", lambda *_: bytes(32))
    assert replay_without_rows(force.archive, place).verdict == OTHER_FORM
    monkeypatch.setattr(viewing, "FORM", viewing.FORM - 1)
    assert replay_without_rows(force.archive, place).verdict == DIFFERS


def network_of(force: Force, number: int) -> str:
    """The largest network of a build."""
    return build(force.archive, number).networks()["network"].to_pylist()[0]


def replay_without_rows(archive: Archive, place: int) -> Replay:
    """Held to other rows than were opened then."""
    act = Reader(archive).viewed(place)
    shown = page(archive, 3, viewing.asked(archive, act))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openings, "read", lambda *_: {})
        return viewing.replay(archive, act, shown)


def test_a_total_that_counted_what_has_gone_since_is_lawfully_less_and_planted_it_differs(force, monkeypatch):
    """Series count rows of other builds that nobody opened. What went before the page was shown explains nothing."""
    force.dispose("EVE", on=LATER[1])
    ask = Ask(view="change", theme="SOC", names=False)
    shown = page(force.archive, 3, ask)
    place = viewing.log(force.archive, shown, case="", at="", **(WHO | {"on": LATER[2]}))
    with monkeypatch.context() as patch:
        patch.setattr(standings, "over_builds", lambda *_: {"people": [], "links": [], "networks": [], "strength": []})
        assert replay(force.archive, place).verdict == DIFFERS
    assert replay(force.archive, place).verdict == SAME
    (outcome,) = force.dispose("CONNECT R-8", on=LATER[3])
    again = replay(force.archive, place)
    assert (again.verdict, again.certificates) == (LESS, (outcome.certificate_id,))
    assert again.rows > sum(again.gone.values()) > 0


def seen_files(force: Force) -> list[Path]:
    return sorted(path for path in (force.root / "seen").rglob("*") if path.is_file())


def test_a_spoilt_list_of_what_was_opened_is_found(force):
    first = log(force.archive, page(force.archive, 3, Ask(view="nominal", nominals=("ANN",))))
    (mine,) = seen_files(force)
    log(force.archive, page(force.archive, 3, Ask(view="nominal", nominals=("DAN",))))
    (other,) = set(seen_files(force)) - {mine}
    whole, name = mine.read_bytes(), mine.relative_to(force.root).as_posix()
    assert mine.stat().st_mode & 0o777 == 0o600
    for spoilt in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), other.read_bytes(), b""):
        mine.write_bytes(spoilt)
        with pytest.raises(Tampered):
            replay(force.archive, first)
    mine.unlink()
    with pytest.raises(Missing, match=f"file {name} is missing: which rows a page opened lies in it"):
        replay(force.archive, first)
    mine.write_bytes(whole)
    assert replay(force.archive, first).verdict == SAME


@drawn
def test_a_disposed_nominal_is_on_no_page_and_in_no_search_series_drawing_or_file(force, tmp_path, caplog):
    dashboard = Dashboard(force.archive, tmp_path / "sessions")
    browser = dashboard.browser()
    where = [
        addresses.address(Moment(label=build(force.archive, number).label), ask)
        for number in (1, 3)
        for ask in asks(build(force.archive, number))
        if ask.names and ask.view != "search"
    ]
    labels = [built.label for built in force.archive.history.builds]
    where += [f"/build/{label}/search?q=an" for label in labels] + [
        f"/build/{labels[2]}/nominal?id=ANN&since={labels[0]}"
    ]
    shown = {address: browser.get(address).text for address in where}
    assert sum("Vexleyholm" in text for text in shown.values()) > 15
    force.dispose("CAT", on=LATER[1])
    (force.root / "seen").rename(tmp_path / "seen-before")  # places in files, by token: none of it names her
    for address in where:
        answer = browser.get(address)
        about = "id=CAT" in address
        assert answer.status_code == (404 if about else 200), address
        assert [name for name in ("Vexleyholm", "CAT") if name in answer.text] == [], address
    for asked in ("CAT", "Vexleyholm", "catrin"):
        text = browser.get(f"/at/2026-01-31/search?q={asked}").text
        assert "Nobody of that name or id is in this build" in text
    files = [path for path in [*force.root.rglob("*"), *tmp_path.joinpath("seen-before").rglob("*")] if path.is_file()]
    for path in files:
        content = path.read_bytes()
        assert [name for name in (b"Vexleyholm", b'"CAT"') if name in content] == [], path
    assert "Vexleyholm" not in caplog.text
    assert "CAT" not in caplog.text
    dashboard.close()


# ---- without names ---------------------------------------------------------------------------------------------------


def test_pages_of_counts_name_nobody(whole):
    counts = {key: shown for key, shown in whole.items() if not key[1].names}
    assert len(counts) == 2 * len(THEME_VIEWS) * 2
    for (number, ask), shown in counts.items():
        assert names_on(shown) == set(), ask
        said, named = (of.said["said"] for of in (shown, whole[number, Ask(view=ask.view, theme=ask.theme, by=ask.by)]))
        assert said["least_count"] == 5
        assert all(value % 5 == 0 for value in numbers(said)), ask  # none tells how many fewer than five there are
        for total in ("people", "victims_only"):
            if ask.view == "key-nominals":
                assert said[total] == (0 if named[total] < 5 else 5 * math.floor(named[total] / 5 + 0.5))
        for listed in ("networks", "places"):
            assert len(said.get(listed, [])) == sum(is_told(row) for row in named.get(listed, [])), ask


def numbers(said: Any) -> Iterator[int]:
    """Every whole number in what a page says."""
    if isinstance(said, dict):
        said = list(said.values())
    if isinstance(said, list):
        for value in said:
            yield from numbers(value)
    elif isinstance(said, int):
        yield said


def is_told(row: dict[str, Any]) -> bool:
    """Whether a row of networks or places has no count between 0 and 5 of people, links or records."""
    counted = ("members", "links", "records", "people", "members_before", "members_after")
    values = [row[name] for name in counted if name in row]
    return any(values) and all(isinstance(value, int) and (value == 0 or value >= 5) for value in values)


@drawn
def test_an_auditor_reads_counts_and_no_name_whatever_the_address_says(told, tmp_path):
    dashboard = Dashboard(told.archive, tmp_path / "sessions")
    browser = dashboard.browser(AUDITOR)
    by_name = dashboard.browser(ANALYST)
    for view, theme in itertools.product(THEME_VIEWS, THEMES):
        for query in ("", "?by=harm", "?least=1", "?since=2026-W02" if view == "change" else "?page=2"):
            answer = browser.get(f"/build/2026-W04/{theme}/{view}{query}")
            assert answer.status_code == 200
            for who, name in NAMES.items():
                assert who not in answer.text.replace("OFFICIAL", "")
                assert name not in answer.text
    assert "Annabel Quillfeather" in by_name.get("/build/2026-W04/SOC/key-nominals").text
    for address in (
        "nominal?id=ANN",
        "link?id=ANN&id=BOB",
        "network?id=SOC-2026-W02-001",
        "figures?id=ANN",
        "search?q=an",
    ):
        answer = browser.get(f"/build/2026-W04/{address}")
        assert answer.status_code == 403
        assert "not allowed to see who is in a network" in answer.text.lower()
    assert browser.get("/build/2026-W04").status_code == 200
    assert "Find a nominal" not in browser.get("/build/2026-W04").text
    dashboard.close()


# ---- figures, against twins ------------------------------------------------------------------------------------------


def kept_by(link: dict[str, Any], kinds: set, grades: set, roles: set) -> list[dict[str, Any]]:
    """The twin: the records behind a link that somebody would tick off on paper."""
    kept = []
    for support in link["supports"]:
        held = set(support["role_a"].split("+")) | set(support["role_b"].split("+"))
        grade = "ungraded" if support["grade_scheme"] == "" else support["grade"]
        if kinds and support["kind"] not in kinds:
            continue
        if grades and grade not in grades:
            continue
        if roles and not held & roles:
            continue
        kept.append(support)
    return kept


def test_a_filtered_strength_is_the_sum_of_the_records_that_fit(told):
    snapshot = build(told.archive, 3)
    few = {"ungraded"} | {s["grade"] for link in snapshot.links().to_pylist() for s in link["supports"]} - {""}
    assert len(few) > 2
    some = [
        ({"intelligence"}, set(), set(), 0), ({"crime", "custody"}, {"ungraded"}, set(), 60), (set(), {"1A"}, set(), 0),
        (set(), few - {"ungraded"}, {"subject"}, 10), (set(), set(), {"victim"}, 0), (set(), set(), set(), 150),
        ({"crime"}, set(), {"suspect", "witness"}, 60),
    ]  # fmt: skip
    for kinds, grades, roles, least in some:
        filters = {"kinds": tuple(kinds), "grades": tuple(grades), "roles": tuple(roles), "least": least}
        for network in snapshot.networks()["network"].to_pylist():
            said = page(told.archive, 3, Ask(view="network", network=network, **filters)).said["said"]
            wanted = {}
            for link in snapshot.links(network=network).to_pylist():
                kept = kept_by(link, kinds, grades, roles)
                if kept and sum(s["contribution"] for s in kept) >= least:
                    wanted[link["a"], link["b"]] = (sum(s["contribution"] for s in kept), len(kept))
            assert {(row["a"], row["b"]): (row["strength"], row["records"]) for row in said["links"]} == wanted, filters
        said = page(told.archive, 3, Ask(view="nominal", nominals=("CAT",), **filters)).said["said"]
        for row in said["links"]:
            links = snapshot.links(nominal="CAT", theme=row["theme"]).to_pylist()
            (link,) = [x for x in links if (x["a"], x["b"]) == (row["a"], row["b"])]
            kept = kept_by(link, kinds, grades, roles)
            assert row["strength"] == sum(s["contribution"] for s in kept) >= least


def alter(force: Force, steps: int = 3) -> None:
    """A disposal, a record that goes, and one that a case keeps out of view."""
    acts = [
        lambda: force.dispose("CAT", on=LATER[1]),
        lambda: force.dispose("CONNECT R-9", on=LATER[2]),
        lambda: (place_hold(force, LATER[3], nominals=["FAY"]), force.dispose("FAY", on=LATER[4])),
    ]
    for act in acts[:steps]:
        act()


def compare_lookups(archive: Archive) -> int:
    """What is looked up is what the rows say, for every row that can be opened."""
    compared = 0
    for table, names in lookups.COLUMNS.items():
        index = archive.index(table)
        at = np.flatnonzero(index.died == 0)
        held = lookups.of(archive, table, at)
        content = archive.opened(table, at)
        for name in names:
            values = held[name][index.places_beside(at)[0] if name == "roles" else at].tolist()
            found = [held.words[name][code] for code in values] if name in held.words else values
            assert found == (roles_beside(archive, at) if name == "roles" else content[name].to_pylist()), (table, name)
        compared += len(at)
    return compared


def roles_beside(archive: Archive, at: np.ndarray) -> list[str]:
    """For every further parent of the links at `at` the roles of both in it, "" for what is no record."""
    found = []
    for place, link in zip(at.tolist(), archive.opened("link", at).to_pylist(), strict=True):
        said = {
            vault.record_keys(pa.array([s["system"]]), pa.array([s["record_id"]])).to_pylist()[0]: s
            for s in link["supports"]
        }
        tokens, _ = archive.index("link").parents_beside(np.array([place]))
        for key in archive.vault.keys(tokens).to_pylist():
            found.append(f"{said[key]['role_a']}|{said[key]['role_b']}" if key in said else "")
    return found


@pytest.mark.parametrize("steps", [0, 1, 2, 3, "less"])
@pytest.mark.parametrize("case", ["", "24/0113"])
def test_places_are_counted_as_the_links_and_records_of_the_build_say(force, steps, case):
    if steps == "less":  # a link is left with one of its records while a case keeps the other
        place_hold(force, LATER[1], records=[("CONNECT", "R-2")])
        force.dispose("CONNECT R-2", on=LATER[2])
    else:
        alter(force, steps)
    lookups.mend(force.archive)
    areas = 0
    for archive in (force.archive, force.reopened().archive):
        for number, theme in itertools.product((1, 2, 3), (*THEMES, None)):
            snapshot = build(archive, number, case)
            for by in ((), ("theme", "network"), ("theme",)):
                rows = snapshot.places(theme=theme, by=by).to_pylist()
                found = {(r["theme"], r["network"], r["place"]): counts_of(r) for r in rows}
                assert len(found) == len(rows)
                assert found == slowly_placed(snapshot, theme, by), (number, theme, by)
                areas += len(rows)
    assert areas > 20


def counts_of(row: dict) -> tuple[int, ...]:
    return tuple(row[name] for name in ("records", "people", "harm", "harm_unknown"))


def slowly_placed(snapshot: Snapshot, theme: str | None, by: tuple[str, ...]) -> dict[tuple, tuple[int, ...]]:
    links = snapshot.links(theme=theme)
    network = {(p["theme"], p["nominal"]): p["network"] for p in snapshot.nominals().to_pylist()}
    supports = pa.table({name: pa.array([s[name] for link in links["supports"].to_pylist() for s in link], pa.string())
                         for name in ("system", "record_id")})  # fmt: skip
    records = {(r["system"], r["record_id"]): r for r in snapshot.records_of(supports).to_pylist()}
    weights = {row["offence_code"]: row["weight"] for row in HARM.rows.to_pylist()}
    met, people, offended = defaultdict(set), defaultdict(set), defaultdict(set)
    for link in links.to_pylist():
        one, other = (network.get((link["theme"], link[side]), "") for side in "ab")
        for support in link["supports"]:
            name = support["system"], support["record_id"]
            said = {"theme": link["theme"], "network": one if one == other else ""}
            key = *(said[column] if column in by else "" for column in said), records[name]["place"]
            met[key].add(name)
            people[key] |= {link["a"], link["b"]}
            if set(PARAMS.harm.roles) & {*support["role_a"].split("+"), *support["role_b"].split("+")}:
                offended[key].add(name)
    return {
        key: (
            len(names), len(people[key]),
            sum(weights.get(records[n]["offence_code"], 0) for n in offended[key]),
            sum(records[n]["offence_code"] not in weights for n in offended[key]),
        )
        for key, names in met.items()
    }  # fmt: skip


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_lookups_say_what_rows_say_after_disposals_and_without_their_files(force, steps):
    alter(force, steps)
    assert compare_lookups(force.archive) > 10
    assert compare_lookups(force.reopened().archive) > 10
    lookups.mend(force.archive)
    assert lookups.differs(force.archive) == ""
    files = sorted((force.root / "index").glob("*.*.figures"))
    assert len(files) >= 4
    spoilt = files[0].read_bytes()
    files[0].write_bytes(spoilt[:-1] + bytes([spoilt[-1] ^ 1]))
    files[1].unlink()
    shutil.copy(files[3], files[2])
    assert lookups.differs(force.archive) == (
        f"index/{files[0].name} does not open: a byte of it was changed, or it is another's"
    )
    assert compare_lookups(force.reopened().archive) > 10
    lookups.mend(force.archive)  # what is missing comes back; what is spoilt is left for whoever looks into it
    assert files[1].exists()
    files[0].write_bytes(spoilt)


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@pytest.mark.parametrize("case", ["", "24/0113"])
def test_a_theme_over_builds_is_what_each_build_answers(force, steps, case):
    alter(force, steps)
    builds = [build(force.archive, number, case) for number in (1, 2, 3)]
    for theme, last in itertools.product(THEMES, (1, 2, 3)):
        wanted: dict[str, list[int]] = {"people": [], "links": [], "networks": [], "strength": []}
        for snapshot in builds[:last]:
            links = snapshot.links(theme=theme).to_pylist()
            wanted["people"].append(snapshot.nominals(theme=theme).num_rows)
            wanted["links"].append(len(links))
            wanted["networks"].append(snapshot.networks(theme=theme).num_rows)
            wanted["strength"].append(sum(link["strength"] for link in links))
        assert standings.over_builds(builds[last - 1], theme) == wanted, (theme, last)
    if not steps:
        assert wanted["links"] != []
        soc = standings.over_builds(builds[2], "SOC")["strength"]
        assert soc[1] < soc[0] < soc[2]  # R-7 went and came back, I-2 came


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@pytest.mark.parametrize("case", ["", "24/0113"])
def test_a_person_or_network_over_builds_is_what_each_build_answers(force, steps, case):
    alter(force, steps)
    builds = [build(force.archive, number, case) for number in (1, 2, 3)]
    for who in sorted({n for snapshot in builds for n in snapshot.nominals()["nominal"].to_pylist()}):
        held = {theme: [row_of(s.nominals(nominal=who, theme=theme)) for s in builds] for theme in THEMES}
        for theme, series in (
            page(force.archive, 3, Ask(view="nominal", nominals=(who,)), case).said["said"]["series"].items()
        ):
            for name, values in series.items():
                assert values == ["" if not row else row[name] if row[name] is not None else "" for row in held[theme]]
    for network in builds[2].networks()["network"].to_pylist():
        held_ = [row_of(s.networks(network=network)) if in_build(s, network) else {} for s in builds]
        for name, values in (
            page(force.archive, 3, Ask(view="network", network=network), case).said["said"]["series"].items()
        ):
            assert values == ["" if not row or row[name] is None else row[name] for row in held_], (network, name)


def test_a_server_that_got_ready_has_logged_nothing_and_says_what_it_would_have_said(force, whole):
    size, reader = force.archive.log.size, Reader(force.archive)
    reader.prepare()
    assert force.archive.log.size == size
    for ask in asks(build(force.archive, 3)):
        assert reader.page(reader.snapshot(label=build(force.archive, 3).label), ask).digest == whole[3, ask].digest


def test_a_server_gets_ready_where_something_is_wrong_and_tells_whoever_asks(force):
    for file in (force.root / "harm").rglob("*") if (force.root / "harm").exists() else ():
        file.unlink(missing_ok=True)
    (held,) = {edition.digest for edition in build(force.archive, 3).statement.harm_tables}
    force.archive.harm_file(held).unlink()
    reader = Reader(force.archive)
    reader.prepare()
    with pytest.raises(Missing, match="harm"):
        reader.page(reader.snapshot(label=build(force.archive, 3).label), Ask(view="figures", nominals=("ANN",)))


def row_of(table: Any) -> dict[str, Any]:
    rows = table.to_pylist()
    return rows[0] if rows else {}


def in_build(snapshot: Snapshot, network: str) -> bool:
    return network in snapshot.networks()["network"].to_pylist()


# ---- what is asked ---------------------------------------------------------------------------------------------------

IDS = st.text(min_size=1, max_size=12).filter(lambda s: s.isprintable() or "\n" in s) | st.sampled_from(
    ["A&id=B", "../x", "%2F", "a b+c", "#top", "?q", "é", "مرحبا", "<b>", "a\u2028b", "\x00", "1;DROP", "="]
)


def _ask(draw: st.DrawFn, ids: st.SearchStrategy[str]) -> Ask:
    view = draw(st.sampled_from(sorted(VIEWS)))
    wants_theme, wants_network, people = VIEWS[view]
    themes_ = st.sampled_from(THEMES)
    filters = {
        "kinds": st.lists(st.sampled_from(KINDS), max_size=3).map(tuple),
        "roles": st.lists(st.sampled_from(ROLES), max_size=3).map(tuple),
        "grades": st.lists(st.sampled_from(["ungraded", "1A", "2B", "B2", "E41"]), max_size=3).map(tuple),
        "least": st.integers(0, 10**9 - 1),
        "page": st.integers(1, 99_999),
        "by": st.sampled_from([*ORDERS, "members"]),
        "since": st.sampled_from(["", "2026-W02", "2026-W53.12"]),
    }
    chosen = {name: draw(values) for name, values in filters.items() if draw(st.booleans())}
    nominals = draw(st.lists(ids, unique=True, min_size=max(people, 0), max_size=people if people >= 0 else 4))
    theme = draw(themes_) if wants_theme or draw(st.booleans()) else ""
    return Ask(
        view=view, theme=theme,
        network=draw(st.sampled_from(["SOC-2026-W02-001", "CL-1.x_y"])) if wants_network else "",
        nominals=tuple(nominals), names=view not in THEME_VIEWS or draw(st.booleans()), **chosen,
    )  # fmt: skip


ASKS = st.composite(_ask)(IDS)


@settings(max_examples=60)
@given(ASKS)
def test_what_was_asked_is_read_from_the_log_again(ask):
    logged = ask.logged()
    assert read(logged, ask.nominals) == ask
    assert read_view(logged) == ask.view
    assert canonical.dumps(canonical.loads(logged.encode())) == logged.encode()
    assert "nominals" not in canonical.loads(logged.encode())


@settings(max_examples=60)
@given(ASKS, st.sampled_from([Moment("2026-03-14T10:00"), Moment("2026-03-14"), Moment(label="2026-W10.2")]), st.text())
def test_an_address_says_what_was_asked(ask, moment, case):
    where = addresses.address(moment, ask, case=case)
    assert where.isascii()
    assert " " not in where
    assert where.startswith("/")
    parts = urlsplit(where)
    assert not parts.netloc
    assert not parts.fragment
    _, kind, when, *rest = parts.path.split("/")
    assert unquote(when) == (moment.label or moment.when)
    assert kind == ("build" if moment.label else "at")
    theme, view = rest if len(rest) == 2 else ("", rest[0])
    query = QueryParams(parse_qsl(parts.query, keep_blank_values=True))
    assert addresses.read(view, theme, query, names=ask.names) == ask
    assert query.get("case", "") == case


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"view": "secret"}, "view is not one that there is: wanted one of associations"),
        ({"view": "associations"}, "view associations wants a theme: one of SOC, CSE, CL"),
        ({"view": "nominal", "nominals": ("A",), "theme": "XXX"}, "view nominal wants a theme"),
        ({"view": "network"}, "view network wants the id of a network"),
        ({"view": "network", "network": "../../etc"}, "view network wants the id of a network"),
        ({"view": "nominal", "nominals": ("A",), "network": "SOC-1"}, "view nominal wants no network"),
        ({"view": "nominal"}, "view nominal wants 1 nominals: found 0"),
        ({"view": "link", "nominals": ("A", "A")}, "view link wants 2 nominals: found 1"),
        (
            {"view": "associations", "theme": "SOC", "kinds": ("gossip",)},
            "filter kinds has 1 values that there are not",
        ),
        ({"view": "associations", "theme": "SOC", "roles": ("boss",)}, "filter roles has 1 values that there are not"),
        (
            {"view": "associations", "theme": "SOC", "grades": ("<b>",)},
            "filter grades wants grades as they were recorded",
        ),
        ({"view": "associations", "theme": "SOC", "since": "last week"}, "filter since wants the label of a build"),
        ({"view": "associations", "theme": "SOC", "by": "guilt"}, "order is not one that there is"),
        ({"view": "associations", "theme": "SOC", "least": -1}, "filter least wants points, 0 or more"),
        ({"view": "associations", "theme": "SOC", "page": 0}, "filter least wants points, 0 or more"),
        (
            {"view": "nominal", "nominals": ("A",), "names": False},
            "view nominal names people: wanted one of associations",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_without_its_value(said, message):
    with pytest.raises(Malformed) as refused:
        Ask(**said)
    assert str(refused.value).startswith(message)
    for value in ("gossip", "boss", "<b>", "guilt", "etc"):
        assert value not in str(refused.value)


def test_a_word_of_another_version_is_not_guessed_at():
    with pytest.raises(Malformed, match="view was logged with a word that this version does not know"):
        read('{"colour":"red","theme":"SOC","view":"change"}', [])


@drawn
def test_a_moment_without_a_build_and_addresses_that_say_nothing(told, tmp_path):
    dashboard = Dashboard(told.archive, tmp_path / "sessions")
    browser = dashboard.browser(OFFICER)
    for address, status in {
        "/at/2025-01-01": 404, "/at/yesterday": 400, "/at/2026-13-01": 400, "/build/2026-W40/SOC/change": 404,
        "/build/2026-W04/SOC/nothing": 400, "/build/2026-W04/XXX/change": 400, "/build/2026-W04/network?id=x": 400,
        "/build/2026-W04/network?id=SOC-2099-W01-001": 404, "/build/2026-W04/nominal": 400, "/nowhere": 404,
        "/build/2026-W04/SOC/associations?least=many": 400, "/build/2026-W04/nominal?id=NOBODY": 404, "/seen/0": 404,
        "/seen/99999": 404, "/cite/2026-W04/link/00": 404, "/build/2026-W04/nominal?id=ANN&since=2026-W04": 404,
        "/build/2026-W04/SOC/change?case=24/0113": 403, "/moment?day=31&month=2&year=2026": 400, "/health": 200,
        "/build/2026-W04/SOC/associations?page=40": 200, "/at/2026-01-18": 200, "/at/2026-01-18/SOC/change": 200,
    }.items():  # fmt: skip
        answer = browser.get(address)
        assert answer.status_code == status, (address, answer.status_code)
        if status >= 400:
            for quoted in ("NOBODY", "ANN", "yesterday", "2099"):
                assert quoted not in answer.text, address
    dashboard.close()


if __name__ == "__main__":
    archive = Archive(Path(sys.argv[1]), Path(sys.argv[2]))
    print(json.dumps(digests(archive)))


def stages(force: Force) -> Iterator[str]:
    """The archive as it was built; with somebody restricted for a case; and with two who are gone."""
    yield "built"
    place_hold(force, LATER[3], nominals=["FAY"])
    force.dispose("FAY", on=LATER[4])
    yield "restricted"
    force.dispose("CONNECT R-1", on=LATER[5])  # ANN and BOB's link has an heir
    force.dispose("CAT", on=LATER[6])
    yield "disposed"


def test_a_search_finds_who_is_called_so_in_the_rows_of_that_build(force):
    asked = ["a", "ANN", "ann", "quill", "QUILLFEATHER", "ey", "FAY", "fayette b", "cat", "Zz", "%", "."]
    asked += ["Quillfeather, Annabel", "ash bob", "bob  ASH", ",", "a, ", "quill ash", "fay, a b"]
    hits = 0
    for stage in stages(force):
        for number in (1, 2, 3):
            snapshot = build(force.archive, number)
            rows_ = snapshot.content("person", snapshot.standing("person")).to_pylist()
            for words in asked:
                wanted = {
                    row["nominal_id"] for row in rows_
                    if any(words.lower().strip() in row[name].lower() for name in ("name", "nominal_id"))
                    or ((parts := words.lower().replace(",", " ").split())
                    and len(parts) > 1 and all(part in row["name"].lower() for part in parts))
                }  # fmt: skip
                found = searching.search(build(force.archive, number), words)
                assert found == sorted(wanted), (stage, number, words)
                hits += len(found)
            assert searching.search(snapshot, "a", most=2) == searching.search(snapshot, "a")[:2]
            assert searching.search(snapshot, "  ") == []
    assert hits > 100
    surname_first = searching.search(build(force.archive, 1), "quillfeather, annabel")
    assert surname_first == ["ANN"]


def test_rows_that_a_disposal_touched_are_known_without_looking_at_all(force):
    gone = 0
    for _ in stages(force):
        for index, at in ((index, np.arange(len(index))) for index in map(force.archive.index, TABLES)):
            assert np.array_equal(index.touched, at[(index.died > 0) | (index.marked > 0)])
            gone += len(index.touched)
    assert gone > 20


def test_the_rank_of_a_key_person_is_one_more_than_how_many_have_more(told):
    places = set()
    for theme in THEMES:
        said = page(told.archive, 3, Ask(view="key-nominals", theme=theme)).said["said"]
        people = build(told.archive, 3).nominals(theme=theme).to_pylist()
        for one in said["listed"]:
            mine = next(row for row in people if row["nominal"] == one["nominal"])
            more = {name: 1 + sum(row[name] > mine[name] for row in people) for name in standings.MEASURES}
            assert one["ranks"] == more
            places |= set(more.values())
    assert len(places) > 2


@given(st.lists(st.integers(0, 6), max_size=80), st.integers(1, 12), st.randoms(use_true_random=False))
def test_those_with_the_most_are_found_with_all_who_tie_for_the_last_place(values, count, chance):
    value = np.array([0, *values], np.int64)
    at = np.array(chance.sample(range(1, len(value)), len(values)), np.int64)
    found = standings._most(at, value, count)
    ranked = sorted(values, reverse=True)
    least = ranked[count - 1] if len(values) >= count else 0
    wanted = {one for one in at.tolist() if value[one] >= least}
    assert wanted <= set(found.tolist()) <= set(at.tolist())
    assert len(found) in (len(wanted), len(at))


@pytest.mark.parametrize("known", [True, False])
def test_the_rows_of_a_network_are_those_that_say_so(force, known):
    ids: set[str] = set()
    for stage in stages(force):
        for number in (1, 2, 3):
            force.archive.lookups.clear()
            if known:
                lookups.prepare(force.archive)
                assert lookups.whole(force.archive, "nominal") is not None
            for table in ("nominal", "network"):
                snapshot = build(force.archive, number)
                at = snapshot.standing(table)
                said = force.archive.sealer.open(table, force.archive.index(table).rows(at))["network"].to_pylist()
                ids |= {*said} - {""}
                for network in ids:
                    held = [place for place, name in zip(at.tolist(), said, strict=True) if name == network]
                    assert sorted(snapshot.standing_in(table, network).tolist()) == sorted(held), (stage, number, table)
            assert not len(snapshot.standing_in("network", "SOC-none"))
    assert len(ids) > 2


def test_links_of_a_network_are_those_between_its_members(force):
    found = 0
    for _ in stages(force):
        for number in (1, 2, 3):
            snapshot = build(force.archive, number)
            people, links = snapshot.nominals().to_pylist(), snapshot.links().to_pylist()
            for network in sorted({row["network"] for row in people} - {""}):
                theme = network.split("-")[0]
                members = {row["nominal"] for row in people if row["network"] == network}
                wanted = [link for link in links if link["theme"] == theme and {link["a"], link["b"]} <= members]
                assert snapshot.links(network=network).to_pylist() == wanted
                one = min(members)
                mine = [link for link in wanted if one in (link["a"], link["b"])]
                assert snapshot.links(network=network, nominal=one).to_pylist() == mine
                assert [row["nominal"] for row in snapshot.nominals(network=network, nominal=one).to_pylist()] == [one]
                assert {row["nominal"] for row in snapshot.nominals(network=network).to_pylist()} == members
                found += len(wanted)
    assert found > 20


@pytest.mark.parametrize("weeks", [[3, 3, 3, 7, 7, 3], [1, 2, 3, 4, 5, 6], [0] * 6])
def test_a_chart_is_beside_the_builds_in_which_something_changed(weeks):
    days = [date(2026, 1, 11) + timedelta(weeks=number) for number in range(len(weeks))]
    frame = presenting.Frame(str, str, [f"2026-W{number:02d}" for number in range(2, 8)], days, None)
    drawn = presenting._chart(frame, "Points", {"strength": weeks, "links": [1] * 6}, "points", "points")
    changed = [at for at in range(len(weeks)) if not at or weeks[at] != weeks[at - 1]]
    assert [row[0] for row in drawn["rows"]] == [frame.labels[at] for at in changed]
    assert [row[2] for row in drawn["rows"]] == [str(weeks[at]) for at in changed]
    assert bool(drawn["left_out"]) == (len(changed) < len(weeks))
    assert len(re.findall(r"<path", drawn["svg"])) >= 2  # the line goes through all of them


def test_in_lists_of_links_whoever_is_a_victim_in_a_record_behind_one_is_marked(force):
    """CAT is a victim towards ANN and a witness towards BOB; EVE is one in a record and a suspect in another."""
    wanted = {("ANN", "BOB"): "B", ("ANN", "CAT"): "B", ("BOB", "CAT"): "", ("DAN", "EVE"): "B"}
    wanted |= {("DAN", "FAY"): "B", ("EVE", "FAY"): "B"}
    snapshot = build(force.archive, 1)
    networks = snapshot.networks(theme="SOC")["network"].to_pylist()
    lists = [page(force.archive, 1, Ask(view="associations", theme="SOC", names=True)).said["said"]["links"]]
    lists += [
        page(force.archive, 1, Ask(view="network", network=network, names=True)).said["said"]["links"]
        for network in networks
    ]
    for links in (lists[0], [link for one in lists[1:] for link in one]):
        found = {(each["a"], each["b"]): "A" * each["a_victim"] + "B" * each["b_victim"] for each in links}
        assert found == wanted
    # A filter that leaves out the record in which FAY is a victim does not make her somebody else.
    ask = Ask(view="network", network=networks[0], roles=("suspect",))
    filtered = [
        link for network in networks
        for link in page(force.archive, 1, replace(ask, network=network)).said["said"]["links"]
    ]  # fmt: skip
    assert {(each["a"], each["b"]): each["b_victim"] for each in filtered}["DAN", "FAY"] == 1
    # R-7 is out of the second week, and in it FAY was a victim beside DAN and EVE.
    changed = page(force.archive, 2, Ask(view="change", theme="SOC", names=True)).said["said"]["links_listed"]
    assert {(each["a"], each["b"]): each["b_victim"] for each in changed} == {
        ("DAN", "EVE"): 1, ("DAN", "FAY"): 1, ("EVE", "FAY"): 1,
    }  # fmt: skip


def test_what_files_of_references_said_is_not_kept(force):
    """Each table took it in; one that is asked about anew reads it again."""
    for table in TABLES:
        force.archive.index(table)
    kept = [said for left in force.archive._references.values() for said in left.values()]
    assert max(said.get_total_buffer_size() for said in kept) <= 8  # the offsets of no text
    before = {table: force.archive.index(table).standing(3).tolist() for table in TABLES}
    force.archive._indexes.clear()
    assert {table: force.archive.index(table).standing(3).tolist() for table in TABLES} == before
