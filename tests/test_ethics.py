"""The ethics report: what it tells recomputes from the archive a second way, names no one, and betrays no disposal."""

from __future__ import annotations

import copy
import re
from collections import Counter

import pytest
from force import PARAMS, Force, record

from provenance import canonical, charts, entries, ethics, fairness, issuing, tallies
from provenance.errors import Malformed, Missing, Tampered
from provenance.web import committee, documents

LEAST = PARAMS.suppression.least_count
SEXES, ETHNICITIES = ("M", "F", "F"), ("W1", "A2", "B1", "W1")
NAMES = [f"QUILLFEATHER{n}" for n in range(60)]
CUTS = [f"2026-01-{day:02d}T23:00:00Z" for day in (10, 17, 24, 31)]
UNDER = "the data ethics committee"


def people() -> list[dict[str, str]]:
    return [
        {"nominal_id": f"ZN-{n}", "name": NAMES[n], "born": f"{1950 + n}-06-01", "sex": SEXES[n % 3],
         "ethnicity": ETHNICITIES[n % 4], "is_child": "1" if n >= 58 else "0"}
        for n in range(60)
    ]  # fmt: skip


def area(n: int) -> str:
    """One area that is large enough to be told, and small ones."""
    return f"WM-{0 if n < 53 else n % 6}"


def rows(week: int) -> list[dict]:
    """Records up to a week: each person in several, in rings, with some intelligence and victims."""
    made = []
    for n in range(60):
        other, third = (n + 1) % 60, (n + 7) % 60
        made.append(record(f"RC-{n}", f"ZN-{n}", f"ZN-{other}", place=area(n), themes="SOC"))
        made.append(record(f"RD-{n}", f"ZN-{n}", f"ZN-{third}:victim", place=area(n), themes="SOC;CL"))
    for n in range(12):
        made.append(
            record(
                f"RI-{n}", f"ZN-{n}:associate", f"ZN-{n + 20}:associate", kind="intelligence", grade_scheme="3x5x2",
                source_grade="1", assessment_grade="A" if n % 3 else "D", handling="P", themes="SOC",
            )
        )  # fmt: skip
    for n in range(week):
        made.append(
            record(f"RW-{n}", f"ZN-{(5 * n) % 60}", f"ZN-{(5 * n + 3) % 60}", place=f"WM-{n % 6}", themes="SOC")
        )
    return made


@pytest.fixture(scope="module")
def force(tmp_path_factory) -> Force:
    made = Force(tmp_path_factory.mktemp("ethics"))
    for week in range(3):
        made.receive(*rows(week), cut_off=CUTS[week], nominals=people())
        made.build(CUTS[week])
    yield made
    made.archive.close()


def issued(force: Force, name: str, on: str) -> dict:
    with issuing.alone(force.archive):
        period = ethics.of_quarter(force.archive, name) if "Q" in name else ethics.of_build(force.archive, name)
        said = ethics.report(force.archive, period, PARAMS, on=on)
        issuing.issue(force.archive, said, {}, on=on, by="tests", under=UNDER)
    return said


def counts(said: dict, table: str) -> dict[tuple[str, str], int]:
    return {(r, c): n for r, cells in said["tables"][table]["counts"].items() for c, n in cells.items()}


def nearest(exact: Counter, fewest: int = LEAST) -> dict:
    """As they are told; a group of fewer people than `fewest` is not."""
    told = {cell: (2 * n + LEAST) // (2 * LEAST) * LEAST for cell, n in exact.items() if n >= LEAST}
    return {cell: n for cell, n in told.items() if cell[0] in ("everybody", "not recorded") or n >= fewest}


def test_every_count_of_a_first_report_is_counted_again_from_what_the_build_shows(force):
    with issuing.alone(force.archive):
        period = ethics.of_quarter(force.archive, "2026-Q1")
        said = ethics.report(force.archive, period, PARAMS, on="2026-04-01T09:00:00Z")
    answer = force.as_of(CUTS[2]).answer()
    assert (said["build"], said["root"]) == (answer["build"], answer["root"])
    links, hang, sources = Counter(), Counter(), Counter()
    for link in answer["links"]:
        behind = {(s["system"], s["record_id"]) for s in link["supports"]}
        of, theme = len(behind), link["theme"]
        for low, high in tallies.RECORDS_BEHIND:
            links[tallies.of_line(low, high), theme] += low <= of <= (high or of)
        sources[str(len({system for system, _ in behind})), theme] += 1
        intelligence = all(s["kind"] == "intelligence" for s in link["supports"])
        hang["all links", theme] += 1
        hang["rest on one record", theme] += of == 1
        hang["rest on intelligence alone", theme] += intelligence
        hang["rest on one piece of intelligence, which nothing else bears out", theme] += intelligence and of == 1
    assert counts(said, "links-by-records") == nearest(links)
    assert counts(said, "links-by-sources") == nearest(sources)
    assert counts(said, "links-that-hang") == nearest(hang)
    assert hang["rest on one piece of intelligence, which nothing else bears out", "SOC"] >= LEAST
    parts, sizes = Counter(), Counter()
    for person in answer["nominals"]:
        both = person["offending"] and person["victim"]
        parts["everybody", person["theme"]] += 1
        part = ("suspected in one record, victim in another" if both else
                "suspected, never a victim" if person["offending"] else
                "victim and nothing else" if person["victim_only"] else "witness, or another part")  # fmt: skip
        parts[part, person["theme"]] += 1
    for network in answer["networks"]:
        for low, high in tallies.SIZES:
            sizes[tallies.of_line(low, high), network["theme"]] += low <= network["members"] <= (high or 10**9)
    assert counts(said, "people-by-part") == nearest(parts)
    assert counts(said, "networks-by-size") == nearest(sizes)
    kinds, themes = Counter(), Counter()
    for row in rows(2):
        kinds[row["system"], row["kind"]] += 1
        themes.update((theme, "records") for theme in row["themes"].split(";"))
    assert counts(said, "records-by-source") == nearest(kinds)
    assert counts(said, "records-by-theme") == nearest(themes)
    groups = {("everybody", "recorded"): 60}
    for person in people():
        cell = person["sex"], "recorded"
        groups[cell] = groups.get(cell, 0) + 1
    assert {c: n for c, n in counts(said, "groups-by-sex").items() if c[1] == "recorded"} == nearest(
        Counter(groups), 20
    )
    areas = Counter({("everybody", "recorded"): 60})
    for n in range(60):
        mine = Counter(r["place"] or "not recorded" for r in rows(2) if any(who == f"ZN-{n}" for who, _ in r["people"]))
        areas[min(mine, key=lambda place: (-mine[place], place)), "recorded"] += 1
    assert {c: n for c, n in counts(said, "groups-by-area").items() if c[1] == "recorded"} == nearest(areas, 50)
    assert {area for area, _ in counts(said, "groups-by-area")} == {"everybody", "WM-0"}
    ages = Counter({("everybody", "recorded"): 60})
    ages.update((fairness.age_band(p["born"], "2026-01-24"), "recorded") for p in people())
    assert {c: n for c, n in counts(said, "groups-by-age-band").items() if c[1] == "recorded"} == nearest(ages, 20)
    for theme, groups_of in said["rates"].items():
        table = counts(said, f"groups-by-{theme.replace(' ', '-')}")
        for share, (of, among) in fairness.RATES.items():
            for group, one in groups_of[share].items():
                assert (one.get("of", 0), one.get("among", 0)) == (
                    table.get((group, of), 0),
                    table.get((group, among), 0),
                )
                again = fairness.rate(one.get("of", 0), one.get("among", 0), LEAST - 1)
                assert (one.get("per_mille"), one.get("low"), one.get("high")) == (again.rate, again.low, again.high)


@pytest.fixture(scope="module")
def said(force) -> dict:
    with issuing.alone(force.archive):
        period = ethics.of_quarter(force.archive, "2026-Q1")
        return ethics.report(force.archive, period, PARAMS, on="2026-02-20T09:00:00Z")


def shown(said: dict) -> str:
    """All that a reader of the page sees, without its style."""
    return documents.html(committee.document(said)).decode().split("</style>")[1]


def test_the_first_page_says_what_is_wrong_and_asks_the_committee_for_what_follows(said):
    found = committee.document(said)
    page = [each["text"] for each in found["findings"] if each["kind"] == "look"]
    assert page[:4] == [
        "Nobody has said what these records are and who answers for them.",
        "None of the 7 papers that should govern the analyses was supplied to the archive; this report does not know "
        "whether they exist.",
        "Harm figures rest on the table “illustrative”, a sample that no force has adopted: rely on none of them.",
        "22 settings, the harm table among them, still wait for the force to confirm; until then the choices of the "
        "program's makers are used (annex A).",
    ]  # fmt: skip
    # On 20 February seven of the quarter's thirteen Sundays have passed; three weeks have a build.
    assert page[4] == "In 4 of the 7 weeks of the quarter so far no build (one week's result) was made."
    assert (
        "Nobody looked at a page of the dashboard in this period, so that no error was reported proves nothing." in page
    )
    assert said["weeks"] == {
        "in_period": 13, "ended": 7, "built": 3, "since_first": 3, "built_since_first": 3
    }  # fmt: skip
    assert found["facts"][0][1].endswith("The quarter is not over (7 weeks have ended): provisional")
    assert found["asks"][0] == "Give its own advice, or say what it needs first: that paper is not in force."
    assert found["asks"][1] == "Say whether the tool serves the public interest, which no count can say (chapter 7)."
    assert "Settings to confirm, 22 in all" in shown(said)
    assert (
        "Ask the head of the analysts: why builds are missing; when a build will be made again as a check"
        in " ".join(found["asks"])
    )
    for text in [*page, *found["asks"], "The force has not said what these records are."]:
        assert text.replace("'", "&#39;") in shown(said)


def test_the_page_can_be_drawn_again_from_the_data_file(said):
    assert shown(canonical.loads(canonical.dumps(said))) == shown(said)
    assert set(ethics._COUNTED) == set(committee._ACTS)


def test_what_is_in_order_is_not_on_the_first_page(said):
    good = copy.deepcopy(said)
    good["owner"] |= {"records": "Crimes.", "name": "A force", "contact": "ethics@force.example"}
    good["papers"] = [paper | {"state": "in force"} for paper in good["papers"]]
    good["harm_editions"] = [edition | {"adopted": 1} for edition in good["harm_editions"]]
    good["rules"]["to_confirm"] = []
    good["weeks"] |= {"built": 7}
    good["use"] |= {"views": 3, "staff": 1, "by_view": {"nominal": 3}, "by_role": {"analyst": 3}}
    good["heads"]["shown"] = [
        {"size": 9, "root": "ab", "cosigned_by": ["witness"], "stamped_by": [], "enough_witnesses": 1}
    ]
    good["reproductions"] = [{"build": good["build"], "on": good["made_on"], "verdict": "the same"}]
    for name in ("people-due", "records-due"):
        good["tables"][name]["counts"] = {}
    for groups in (groups for shares in good["rates"].values() for groups in shares.values()):
        for one in groups.values():
            one["against"] = ""
    found = committee.document(good)
    assert [each["kind"] for each in found["findings"]] == ["know"] * 4
    assert found["asks"] == ["Say whether the tool serves the public interest, which no count can say (chapter 7)."]
    assert "ethics@force.example" in shown(good)
    # And each by itself comes back.
    good["feeds"][0]["days_before"] = 2 * 365 + 65
    (line,) = [each["text"] for each in committee.document(good)["findings"] if each["kind"] == "look"]
    assert line == f"Sources were older than the build: {good['feeds'][0]['system']} by 2 years and 2 months."
    good["feeds"][0]["days_before"] = 0
    good["rates"]["area"]["linked"]["WM-0"]["against"] = "lower"
    (line,) = [each["text"] for each in committee.document(good)["findings"] if each["kind"] == "look"]
    assert "less often linked: area WM-0" in line
    assert "Ask the head of the analysts: what explains" in " ".join(committee.document(good)["asks"])
    # A difference by a harm table that nobody adopted is no question to the force.
    good["rates"]["area"]["with harm"]["WM-0"]["against"] = "higher"
    good["rates"]["area"]["linked"]["WM-0"]["against"] = ""
    good["harm_editions"][0]["adopted"] = 0
    assert "what explains" not in " ".join(committee.document(good)["asks"])
    (line,) = [each["text"] for each in committee.document(good)["findings"] if "with a harm figure" in each["text"]]
    assert line == (
        "Harm is counted by a table that nobody adopted: not to be relied on. By it, more often with a harm figure: "
        "area WM-0."
    )
    good["harm_editions"][0]["adopted"] = 1
    good["rates"]["area"]["with harm"]["WM-0"]["against"] = ""
    good["rates"]["area"]["linked"]["WM-0"]["against"] = ""
    good["tables"]["people-due"]["counts"] = {"due for disposal": {"now": 60, "for a year or more": 60}}
    (line,) = [each["text"] for each in committee.document(good)["findings"] if each["kind"] == "look"]
    assert line == (
        "As at Friday 20 February 2026: what is held about 60 people is past its destruction date, all of it by a "
        "year or more. None has ever been destroyed. Together that is nearly everybody in the archive."
    )
    good["owner"]["records"] = "Crimes; groups of offences are invented."
    (line,) = [each for each in committee.document(good)["findings"] if each["kind"] == "look"]
    assert line["text"].endswith("This rests on what the owner, above, says is invented: it is not a real failing.")
    assert "data-protection officer" not in " ".join(committee.document(good)["asks"])
    good["tables"]["people-due"]["counts"] = {}
    good["tables"]["groups-by-age-band"] |= {"counts": {}}
    (line,) = [each["text"] for each in committee.document(good)["findings"] if each["kind"] == "look"]
    assert line == "Fairness by age cannot be judged, because the records do not say it (0 to 4 people)."
    assert "ages are not recorded, so children cannot be counted" in shown(good)


def test_every_size_of_network_is_a_row_and_the_largest_is_told_by_its_people(said):
    told = copy.deepcopy(said)
    told["tables"]["people-in-largest"]["counts"] = {"largest network": {"SOC": 60}}
    chapters = {chapter["id"]: chapter for chapter in committee.document(told)["chapters"]}
    (sizes,) = [block for block in chapters["accurate"]["blocks"]
                if block.get("title") == "Networks, by the number of people in them"]  # fmt: skip
    assert [row[0] for row in sizes["rows"]] == [tallies.of_line(*each) for each in tallies.SIZES]
    assert {cell for row in sizes["rows"] for cell in row[1:]} >= {"0 to 4"}
    assert sizes["note"] == "People in the largest network: Serious and organised crime: about 60."
    # After a disposal it may have been any number, so it is not told.
    told["tables"]["people-in-largest"]["off_by"] = tallies._ALL_OF_IT
    assert "People in the largest network" not in shown(told)


def blocks_of(said: dict, chapter: str) -> list[dict]:
    (found,) = [each for each in committee.document(said)["chapters"] if each["id"] == chapter]
    return found["blocks"]


def test_a_quarter_without_a_record_says_so_on_the_first_page(said):
    old = copy.deepcopy(said)
    assert "holds no record" not in shown(old)
    for feed in old["feeds"]:
        feed["watermark"] = "2025-11-04T00:00:00Z"
    old["acts"] = {}
    text = committee.document(old)["findings"][1]["text"]
    assert text == (
        "This report holds no record from the quarter: the latest are of Monday 3 November 2025. The build "
        "of week 4 of 2026 stands as of Saturday 24 January 2026, but was made later: the log has no build in this "
        "period. How old people and sources are is counted to Saturday 24 January 2026."
    )


def test_papers_that_are_out_of_date_are_told_from_those_not_supplied(said):
    late = copy.deepcopy(said)
    late["papers"] = [paper | {"state": "in force"} for paper in late["papers"]]
    late["papers"][0]["state"] = "lapsed"
    document = committee.document(late)
    assert document["findings"][1]["text"] == (
        "6 of the 7 papers that should govern the analyses can be shown to have been in force on the day of the "
        "build; 1 was out of date or not yet in force (chapter 2)."
    )
    assert "new versions of the 1 paper not in force, and by when" in " ".join(document["asks"])


def test_a_share_that_is_not_of_all_is_never_said_to_be(said):
    graded = copy.deepcopy(said)
    graded["tables"]["records-by-grade"]["counts"] = {
        "3x5x2: 1A": {"may count towards a link": 995}, "3x5x2: 1D": {"may not": 5},
        "no grade": {"may count towards a link": 9000},
    }  # fmt: skip
    graded["tables"]["records-by-source"]["counts"] = {"CONNECT": {"crime": 9000, "intelligence": 1000}}
    graded["tables"]["records-left-out"]["counts"] = {
        "CONNECT crime: one-person": {"records": 5000}, "CONNECT intelligence: grade-not-admitted": {"records": 5}
    }  # fmt: skip
    (chapter,) = [each for each in committee.document(graded)["chapters"] if each["id"] == "granular"]
    assert chapter["answer"].startswith(
        "Of about 1,000 graded pieces of intelligence, more than 99 in 100 may count. The other records need no grade. "
        "Of all records, about 50 in 100 count for nothing or link nobody: it names one person only, so it links "
        "nobody (about 5,000); its grade is not among those that count (about 5). "
    )
    everybody = charts.Range("all", 950, 900, 990)
    drawn = charts.ranges([charts.Range("Male", 995, 990, 999), charts.Range("Female", 3, 1, 9)], everybody,
                          title="t", said="s", prefix="p").svg  # fmt: skip
    assert ">over 99 %<" in drawn
    assert ">under 1 %<" in drawn


def test_few_rights_are_not_told_by_role_and_builds_of_earlier_weeks_are_counted(said):
    told = copy.deepcopy(said)
    told["granted"] = {"analyst": 7, "auditor": 1}
    told["acts"] = {"Built": 52, "Granted": 8}
    (table,) = [block for block in blocks_of(told, "owned") if block["kind"] == "table"]
    assert table["note"] == (
        "49 of the 52 builds were made afterwards, for earlier weeks. Rights were granted to: analyst 7, auditor "
        "0 to 4. Other entries of the log, such as its own beginning, are not listed."
    )


def test_networks_are_compared_with_a_build_that_is_named_and_rows_of_none_are_shown(said):
    (table,) = [block for block in blocks_of(said, "accurate") if "compared with" in block.get("title", "")]
    assert table["title"] == "Networks, compared with the build before, of week 3 of 2026"
    assert [row[0] for row in table["rows"]] == ["stayed, as many people", "grew or shrank", "new", "gone"]


def test_the_first_page_says_what_cannot_be_said_of_groups_and_how_large_the_largest_network_is(said):
    told = copy.deepcopy(said)
    told["tables"]["people-in-largest"]["counts"] = {"largest network": {"SOC": 15}}
    told["tables"]["people-by-part"]["counts"]["everybody"]["SOC"] = 60
    told["rates"]["area"] = {share: {} for share in told["rates"]["area"]}
    page = [each["text"] for each in committee.document(told)["findings"] if each["kind"] == "know"]
    (unsaid,) = [text for text in page if text.startswith("For want of people")]
    assert "anything by area (no area has 50 people)" in unsaid
    assert "The largest network. Serious and organised crime: about 15 people, about 25 in 100 of the theme." in page


def test_where_a_group_is_left_out_no_total_stands_beside_the_others(said):
    told = copy.deepcopy(said)

    def rows_by_sex() -> list[str]:
        (table,) = [block for block in blocks_of(told, "responsible")
                    if block.get("title") == "The counts behind it, by sex"]  # fmt: skip
        return [row[0] for row in table["rows"]]

    assert {"all whose sex is recorded", "all people"} <= {*rows_by_sex()}
    told["tables"]["groups-by-sex"]["left_out"] = 1
    assert rows_by_sex() == ["Female", "Male"]


def test_only_groups_of_some_size_are_told_and_the_twelve_largest_areas():
    def table(**recorded: int) -> dict:
        cells = {group.replace("_", " "): {"recorded": n, "linked": 5} for group, n in recorded.items()}
        return {"unit": "people", "off_by": 4, "counts": cells, "first_told": dict.fromkeys(cells, "as told")}

    areas = {f"a{n:02d}": 45 + 5 * n for n in range(16)}
    told = {
        "groups-by-sex": table(everybody=100, M=80, X=15, F=20, not_recorded=5), "groups-by-ethnicity": table(),
        "groups-by-age-band": table(everybody=60, young=15), "groups-by-area": table(everybody=900, **areas),
        "records-by-theme": table(SOC=5),
    }  # fmt: skip
    kept = ethics._without_small_groups(told, LEAST)
    assert kept["groups-by-sex"]["counts"].keys() == {"everybody", "M", "F", "not recorded"}
    assert kept["groups-by-sex"]["first_told"].keys() == {"everybody", "M", "F", "not recorded"}
    assert kept["groups-by-age-band"]["counts"].keys() == {"everybody"}
    assert kept["groups-by-area"]["counts"].keys() == {"everybody", *(f"a{n:02d}" for n in range(4, 16))}
    assert [kept[name]["left_out"] for name in sorted(kept) if name.startswith("groups")] == [1, 1, 0, 1]
    assert kept["records-by-theme"] == told["records-by-theme"]


def test_a_report_has_no_id_and_no_name_in_any_form(force):
    with issuing.alone(force.archive):
        period = ethics.of_build(force.archive, force.archive.history.builds[-1].label)
        said = ethics.report(force.archive, period, PARAMS, on="2026-04-01T09:00:00Z")
    document = committee.document(said)
    texts = [canonical.dumps(said).decode(), documents.html(document).decode()]
    seeded = [*NAMES, *(p["nominal_id"] for p in people()), *(r["record_id"] for r in rows(2))]
    found = re.compile("|".join(rf"(?<![\w-]){re.escape(word)}(?![\w-])" for word in seeded))
    assert found.search(" RC-1 ")
    assert not found.search(" RC-1000 ")
    networks = [row["network"] for row in force.as_of(CUTS[2]).answer()["networks"]]
    for text in texts:
        assert not found.search(text)
        assert not any(network in text for network in networks)
    assert "<script" not in texts[1]
    assert "http" not in texts[1].split("</style>")[1].replace("http://www.w3.org/2000/svg", "")
    assert documents.pdf(document).startswith(b"%PDF")


def test_a_report_that_is_lost_or_altered_stops_the_next(tmp_path):
    force = Force(tmp_path)
    force.receive(*rows(0), cut_off=CUTS[0], nominals=people())
    label = force.build(CUTS[0]).built.label
    first = issued(force, label, CUTS[1])
    assert [first["number"], issued(force, label, CUTS[2])["number"]] == [1, 2]
    folder = force.root / "audit_reports" / "ethics"
    assert sorted(path.name for path in folder.iterdir()) == [f"{label}-2.json", f"{label}.json"]
    held = (folder / f"{label}.json").read_bytes()
    (folder / f"{label}.json").write_bytes(held.replace(b"ethics", b"Ethics", 1))
    with pytest.raises(Tampered, match=f"not the one that was issued: audit_reports/ethics/{label}.json"):
        issued(force, label, CUTS[3])
    (folder / f"{label}.json").unlink()
    with pytest.raises(Missing, match="without it no further one is made"):
        issued(force, label, CUTS[3])
    (folder / f"{label}.json").write_bytes(held)
    assert issued(force, label, CUTS[3])["number"] == 3
    acts = force.archive.acts(["Issued"])
    assert [(act.report, act.period, act.number, act.under) for act in acts] == [
        ("ethics", label, number, UNDER) for number in (1, 2, 3)
    ]  # fmt: skip
    assert all(isinstance(act, entries.Issued) for act in acts)
    force.archive.close()


def test_a_period_is_a_build_or_a_quarter_in_which_one_went_live(force):
    with pytest.raises(Malformed, match="quarter is not one: found '2026-Q5'"):
        ethics.of_quarter(force.archive, "2026-Q5")
    with pytest.raises(Missing, match="no build went live in 2025-Q4"):
        ethics.of_quarter(force.archive, "2025-Q4")
    period = ethics.of_quarter(force.archive, "2026-Q1")
    assert (period.start, period.end) == ("2026-01-01T00:00:00Z", "2026-03-31T23:00:00Z")
    assert list(period.builds) == [built.label for built in force.archive.history.builds]
    assert ethics.of_build(force.archive, period.builds[1]).start == CUTS[0]


def asked_of_areas(force: Force, on: str) -> dict:
    """What `places --suppress` tells and keeps."""
    with issuing.alone(force.archive):
        snapshot = _last(force)
        said = ethics.of_areas(snapshot, snapshot.places(by=()), PARAMS, on=on)
        issuing.issue(force.archive, said, {}, on=on, by="tests", under=UNDER)
    return said


def test_fifty_two_weekly_reports_betray_nobody_who_was_disposed_of_between_two(tmp_path):
    """Nothing else happens in the weeks of a disposal: whoever compares neighbours has the best of cases. Before and
    after each there is a report of the same day too, between which nothing comes to be due; and areas were asked for.
    """
    force = Force(tmp_path)
    long_ago = {"occurred_at": "2011-01-05", "recorded_at": "2011-01-05T12:00:00Z"}
    force.receive(*(row | long_ago for row in rows(0)), cut_off="2026-01-06T23:00:00Z", nominals=people())
    force.build("2026-01-06T23:00:00Z")
    said, exact, gone = [], [], []
    label = force.archive.history.builds[-1].label
    for week in range(52):
        month, day = divmod(week, 5)
        on = f"2026-{month + 2:02d}-{day * 5 + 4:02d}T12:00:00Z"
        if week in WEEKS:
            gone.append(week)
            same_day = [tables(issued(force, label, on)), tables(asked_of_areas(force, on))]
            fell = [due_now(force, on), areas_now(force)]
            force.dispose(f"ZN-{3 * len(gone)}", on=on)
            # The counts as they are do fall, of what is due and of areas; what is told of them and of all else stays.
            after = [due_now(force, on), areas_now(force)]
            assert all(sum(now.values()) < sum(was.values()) for was, now in zip(fell, after, strict=True))
            assert [tables(issued(force, label, on)), tables(asked_of_areas(force, on))] == same_day
        said.append(issued(force, label, on))
        exact.append(
            {
                (name, *cell): n
                for name, table in tallies.tallies(_last(force), None).items()
                for cell, n in table.cells.items()
            }
        )
    told = [{(name, *cell): n for name in one["tables"] for cell, n in counts(one, name).items()} for one in said]
    assert {name for one in told for name, *_ in one} >= {"people-due", "records-due"}
    for week in gone:
        fell = {c for c in exact[week - 1] if exact[week].get(c, 0) < exact[week - 1][c] and c[0].startswith("groups")}
        assert len(fell) >= 4  # counts as they are would have told sex, ethnicity, age and area
        assert told[week] == told[week - 1]
    files = sorted((force.root / "audit_reports" / "ethics").glob("*.json"))
    assert len(files) == 52 + 2 * len(WEEKS)
    force.archive.close()


WEEKS = (3, 9, 20, 33, 47)


def tables(said: dict) -> dict[str, dict]:
    """What a reader has of a report's counts, and no more."""
    return {name: table["counts"] for name, table in said["tables"].items()}


def due_now(force: Force, on: str) -> Counter:
    found = ethics._overdue(force.archive, PARAMS, on)
    return sum((Counter(table.cells) for table in found.values()), Counter())


def areas_now(force: Force) -> Counter:
    return Counter({row["place"]: row["records"] for row in _last(force).places(by=()).to_pylist()})


def _last(force: Force):
    from provenance.asof import Snapshot

    return Snapshot(force.archive, force.archive.history.builds[-1], None)
