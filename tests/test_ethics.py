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
        table = counts(said, f"groups-by-{theme.replace('_', '-')}")
        for of, among in fairness.RATES.items():
            for group, one in groups_of[of].items():
                assert (one.get("of", 0), one.get("among", 0)) == (
                    table.get((group, of), 0),
                    table.get((group, among), 0),
                )
                off_by = LEAST - 1 + LEAST * (group == "everybody")
                again = fairness.rate(one.get("of", 0), one.get("among", 0), off_by)
                assert (one.get("per_mille"), one.get("low"), one.get("high")) == (again.rate, again.low, again.high)


@pytest.fixture(scope="module")
def said(force) -> dict:
    with issuing.alone(force.archive):
        period = ethics.of_quarter(force.archive, "2026-Q1")
        return ethics.report(force.archive, period, PARAMS, on="2026-02-20T09:00:00Z")


def shown(said: dict) -> str:
    """All that a reader of the page sees, without its style."""
    return documents.html(committee.document(said)).decode().split("</style>")[1]


def told(said: dict, kind: str) -> list[str]:
    """What the first pages say under one heading."""
    return [each["text"] for each in committee.document(said)["findings"] if each["kind"] == kind]


def asked(said: dict) -> list[str]:
    """What the committee is asked to do, each with what it is to ask."""
    (section,) = [each for each in committee.document(said)["sections"] if each["id"] == "asks"]
    (block,) = section["blocks"]
    return [" ".join([step["text"], *step["items"]]) for step in block["items"]]


def test_the_first_page_says_what_is_wrong_and_asks_the_committee_for_what_follows(said):
    found = committee.document(said)
    page = told(said, "look")
    assert page[:4] == [
        "The records are not described. Nobody has said what they are and who answers for them.",
        "Papers are missing. None of the 7 papers that should govern the system was supplied. They may exist "
        "elsewhere: "
        "this report cannot tell. See chapter 2.",
        "Harm cannot be relied on. Harm adds up how grave the crimes are of which somebody is suspected. It is counted "
        "here with a sample table that no force has adopted.",
        "22 settings of the program were never confirmed. They decide which intelligence counts, what is kept for a "
        "court, how long things are kept and how grave a crime is (annex A). The makers set them from memory; nobody "
        "has held them against the laws and rules that they name.",
    ]  # fmt: skip
    # On 20 February seven of the quarter's thirteen Sundays have passed; three weeks have a build.
    assert page[4] == "Weeks are missing. 4 of the 7 weeks of the quarter so far have no result."
    assert said["weeks"]["missing"] == ["2026-W01", "2026-W05", "2026-W06", "2026-W07"]
    assert told(said, "unknown")[1] == (
        "Whether anybody uses it. Nobody looked at a page in this time. So it proves nothing that no error was "
        "reported."
    )
    assert said["weeks"] == {
        "in_period": 13, "ended": 7, "built": 3, "missing": said["weeks"]["missing"], "since_first": 3,
        "built_since_first": 3,
    }  # fmt: skip
    assert found["facts"][0][1].endswith("It is not over yet, so the figures will change")
    assert asked(said)[:2] == [
        "Advise whether to use, change or stop the system, or say what you need first. Each result names your advice; "
        "none in force was supplied.",
        "Say whether the system serves the public interest. No figure can answer that.",
    ]
    assert "Settings to confirm, 22 in all" in shown(said)
    assert (
        "Ask the head of the analysts: Why do some weeks have no result? When will somebody check that the same "
        "records "
        "give the same result?" in asked(said)
    )  # fmt: skip
    assert [each["id"] for each in found["sections"]] == ["does", "know", "asks", "good", "look", "unknown"]
    for text in [*asked(said)[:2], "The force has not said what these records are."]:
        assert text.replace("'", "&#39;") in shown(said)


def test_no_sentence_of_the_first_pages_is_long_and_none_wants_a_glossary(said):
    """Words that the program and its trade use among themselves, and nobody else."""
    document = committee.document(said)
    texts = [each["text"] for each in document["findings"]] + asked(said) + [text for _, text in document["facts"]]
    texts += [b["text"] for s in document["sections"] for b in s["blocks"] if b["kind"] == "text"]
    ours = re.compile(r"\b(build|nominal|dispos\w+|archive|fingerprint|corroborat\w+|cosign\w+|node|graph|per mille)\b")
    for text in texts:
        assert not ours.search(text), text
        for sentence in re.split(r"[.:;?](?: |$)", text):
            assert len(sentence.split()) <= 26, sentence


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
            one |= {"low": one["per_mille"], "high": one["per_mille"]} if "per_mille" in one else {}
    assert told(good, "look") == []
    assert "Nothing that this report can see." in shown(good)
    assert "No clear difference was seen between groups. By sex" in " ".join(told(good, "good"))
    assert "for small groups" not in " ".join(told(good, "good"))
    vague = copy.deepcopy(good)
    vague["rates"]["ethnicity"]["linked"]["W1"] |= {"low": 500, "high": 990}
    assert "for small groups nothing can be said" in " ".join(told(vague, "good"))
    assert "one group by ethnicity, too little is known" in " ".join(told(vague, "unknown"))
    for one in vague["rates"]["sex"]["linked"].values():  # so little is known of either that nothing is good
        one |= {"low": 100, "high": 900} if "per_mille" in one else {}
    assert "between groups. By sex" not in " ".join(told(vague, "good"))
    assert {"The papers are in order.", "No week is missing.", "Nothing is kept too long."} <= {
        text[: text.index(".") + 1] for text in told(good, "good")
    }
    assert asked(good) == [
        "Say whether the system serves the public interest. No figure can answer that.",
        "Ask the chief officer who answers for the system: How are staff trained, and how can somebody affected "
        "complain?",
    ]  # fmt: skip
    assert "ethics@force.example" in shown(good)
    # And each by itself comes back.
    good["feeds"][0]["days_before"] = 2 * 365 + 65
    (line,) = told(good, "look")
    system = good["feeds"][0]["system"]
    assert line == (
        f"Record systems are behind. Their records end before the result does: {system} by 2 years and 2 months."
    )
    good["feeds"][0]["days_before"] = 0
    good["rates"]["sex"]["linked"]["F"] |= {"against": "lower", "per_mille": 812}
    (line,) = told(good, "look")
    assert line.startswith(
        "Groups differ in the result. Female: less often linked (81 in 100; of all whose sex is recorded, "
    )
    assert "Ask the head of the analysts: What explains" in " ".join(asked(good))
    # A difference by a harm table that nobody adopted is no question to the force.
    good["rates"]["sex"]["harmed"]["F"]["against"] = "higher"
    good["rates"]["sex"]["linked"]["F"]["against"] = ""
    good["harm_editions"][0]["adopted"] = 0
    assert "What explains" not in " ".join(asked(good))
    assert "more often counted with harm" not in shown(good)
    good["harm_editions"][0]["adopted"] = 1
    (line,) = told(good, "look")
    assert line.startswith("Groups differ in the result. Female: more often counted with harm")
    good["rates"]["sex"]["harmed"]["F"]["against"] = ""
    good["tables"]["people-due"]["counts"] = {"due for disposal": {"now": 60, "for a year or more": 60}}
    (line,) = told(good, "look")
    assert line == (
        "Things are kept too long. All data about 60 people should have been destroyed by Friday 20 February 2026. All "
        "of it has been late for a year or more. Nothing has ever been destroyed. Together that is nearly everybody."
    )
    assert "data-protection officer" in " ".join(asked(good))
    good["owner"]["invented"] = ["grades", "retention"]
    (line,) = told(good, "look")
    assert line.endswith("The dates were made up for this trial, so it is not a real failing.")
    assert "data-protection officer" not in " ".join(asked(good))
    assert "What real grades would change." in " ".join(told(good, "unknown"))
    good["tables"]["people-due"]["counts"] = {}
    good["tables"]["groups-by-age-band"] |= {"counts": {}, "left_out": 0}
    assert "Whether it is fair by age. The records do not say it." in told(good, "unknown")
    assert "Ages are not recorded, so nobody can say how many are under 18" in shown(good)


def test_shares_that_rest_on_made_up_grades_are_marked(said):
    assert said["rates_on_invented_grades"] == []
    assert "made-up grades" not in shown(said)
    marked = said | {"rates_on_invented_grades": ["linked", "key", "harmed"]}
    assert "How many of the people in the records are linked to somebody (in part by made-up grades)" in shown(marked)
    assert "How many of the people in the records are suspects in one (in part" not in shown(marked)


def test_every_size_of_network_is_a_row_and_the_largest_is_told_by_its_people(said):
    large = copy.deepcopy(said)
    large["tables"]["people-in-largest"]["counts"] = {"largest network": {"SOC": 60}}
    chapters = {chapter["id"]: chapter for chapter in committee.document(large)["chapters"]}
    (sizes,) = [block for block in chapters["accurate"]["blocks"]
                if block.get("title") == "Networks, by the number of people in them"]  # fmt: skip
    assert [row[0] for row in sizes["rows"]] == [tallies.of_line(*each) for each in tallies.SIZES]
    assert {cell for row in sizes["rows"] for cell in row[1:]} >= {"0 to 4"}
    (glance,) = [block for section in committee.document(large)["sections"] for block in section["blocks"]
                 if block["kind"] == "table"]  # fmt: skip
    (soc,) = [row for row in glance["rows"] if row[0] == "Serious and organised crime"]
    assert (glance["heads"][-1], soc[-1]) == ("People in largest network", "60")
    # After a disposal it may have been any number, so it is not told.
    large["tables"]["people-in-largest"]["off_by"] = tallies._ALL_OF_IT
    assert "People in largest network" not in shown(large)


def test_a_network_of_more_than_a_tenth_of_the_people_is_worrying_and_says_nothing(said):
    large = copy.deepcopy(said)
    everybody = counts(said, "people-by-part")["everybody", "SOC"]
    assert everybody == 60
    large["tables"]["people-in-largest"]["counts"] = {"largest network": {"SOC": 6}}
    assert "too large to mean anything" not in " ".join(told(large, "look"))
    large["tables"]["people-in-largest"]["counts"] = {"largest network": {"SOC": 15}}
    (line,) = [text for text in told(large, "look") if "too large to mean anything" in text]
    assert "It holds 15 of 60 people (Serious and organised crime)." in line
    assert "Staff are warned only above 20 in 100 of those who are linked." in line
    assert "should they be warned sooner?" in " ".join(asked(large))
    assert "does not show who acts together (page 2)" in shown(large)


def test_of_whom_a_thing_is_not_recorded_is_a_gap_that_is_neither_drawn_nor_judged_but_told_where_it_is_wide(said):
    gap = copy.deepcopy(said)
    gap["tables"]["groups-by-sex"]["counts"]["not recorded"] = {"recorded": 50, "linked": 40}
    linked = {"of": 40, "among": 50, "per_mille": 800, "low": 700, "high": 880, "against": "no clear difference"}
    for share in gap["rates"]["sex"].values():
        share["not recorded"] = {"among": 50, "against": "too few to say"}
    gap["rates"]["sex"]["linked"]["not recorded"] = linked
    every = gap["rates"]["sex"]["linked"]["everybody"] | {"per_mille": 990}
    gap["rates"]["sex"]["linked"]["everybody"] = every
    blocks = blocks_of(gap, "responsible")
    drawn = [row[0] for block in blocks if block["kind"] == "figure" for row in block["rows"]]
    assert "Female" in drawn
    assert "not recorded" not in drawn
    texts = [block["text"] for block in blocks if block["kind"] == "text"]
    assert any(text.startswith("Of 50 people the sex is not recorded. They are no group") for text in texts)
    (table,) = [block for block in blocks if block.get("title") == "The numbers behind it, by sex"]
    assert [row[-1] for row in table["rows"] if row[0] == "not recorded"] == ["a gap, not judged"]
    assert not any("too little is recorded" in text for text in told(gap, "unknown"))
    linked["against"] = "lower"
    (line,) = [text for text in told(gap, "unknown") if "too little is recorded" in text]
    assert "Of 50 people the sex is not recorded: 80 in 100 are linked (of the others, 99)." in line
    assert "What is said by sex misses them." in " ".join(
        block["text"] for block in blocks_of(gap, "responsible") if block["kind"] == "text"
    )


def test_whoever_was_merged_into_another_is_described_by_what_was_said_of_either(tmp_path):
    force = Force(tmp_path)
    pairs = [record(f"RC-{n}", f"ZN-{n}", f"ZN-{n + 1}", place="WM-0") for n in range(59)]
    judged = {"evidence": "fingerprints", "by": "DI Brown", "at": "2026-01-05T10:00:00Z"}
    merges = [{"from_nominal": f"ZN-{n}", "into_nominal": f"UID-{n}"} | judged for n in range(30)]
    force.receive(*pairs, cut_off=CUTS[0], nominals=people(), merges=merges)
    force.build(CUTS[0])
    with issuing.alone(force.archive):
        period = ethics.of_quarter(force.archive, "2026-Q1")
        said = ethics.report(force.archive, period, PARAMS, on="2026-04-01T09:00:00Z")
    by_sex = {group: cells["recorded"] for group, cells in said["tables"]["groups-by-sex"]["counts"].items()}
    assert by_sex == {"M": 20, "F": 40, "everybody": 60}
    force.archive.close()


def blocks_of(said: dict, chapter: str) -> list[dict]:
    (found,) = [each for each in committee.document(said)["chapters"] if each["id"] == chapter]
    return found["blocks"]


def test_a_quarter_without_a_record_says_so_on_the_first_page(said):
    old = copy.deepcopy(said)
    assert "The records are old." not in shown(old)
    for feed in old["feeds"]:
        feed["complete_to"] = "2025-11-03"
    old["acts"] = {}
    assert told(old, "look")[1] == (
        "The records are old. None is from this quarter. The newest is of Monday 3 November 2025, so the result is "
        "too. "
        "It was worked out later, as it would have stood on Saturday 24 January 2026."
    )
    assert committee.document(old)["facts"][1][1] == "Monday 3 November 2025, long before that"


def test_papers_that_are_out_of_date_are_told_from_those_not_supplied(said):
    late = copy.deepcopy(said)
    late["papers"] = [paper | {"state": "in force"} for paper in late["papers"]]
    late["papers"][0]["state"] = "lapsed"
    assert told(late, "look")[1] == (
        "Papers are not in force. Of the 7 papers that should govern the system, 1 was out of date or not yet in "
        "force. "
        "See chapter 2."
    )
    assert "Will the 1 paper not in force be renewed, and by when?" in " ".join(asked(late))


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
        "Intelligence (what the police were told) has a grade: how far it can be trusted. Of about 1,000 graded "
        "pieces, "
        "more than 99 in 100 count; the rest are left aside. Of all records, about 50 in 100 link nobody. "
    )
    (why,) = [block for block in chapter["blocks"] if block.get("title") == "Why records link nobody"]
    assert why["rows"] == [["it names one person only, so it links nobody", "5,000"], ["its grade is too low", "5"]]
    everybody = charts.Range("all", 950, 900, 990)
    drawn = charts.ranges([charts.Range("Male", 995, 990, 999), charts.Range("Female", 3, 1, 9)], everybody,
                          title="t", said="s", prefix="p").svg  # fmt: skip
    assert ">over 99 %<" in drawn
    assert ">under 1 %<" in drawn


def test_few_rights_are_not_told_by_role_and_builds_of_earlier_weeks_are_counted(said):
    let_in = copy.deepcopy(said)
    let_in["granted"] = {"analyst": 7, "auditor": 1}
    let_in["acts"] = {"Built": 52, "Granted": 8}
    (table,) = [block for block in blocks_of(let_in, "owned") if block["kind"] == "table"]
    assert table["note"] == (
        "49 of the 52 weekly results were worked out afterwards, for earlier weeks. Given the right to look, by role: "
        "analyst 7, auditor 0 to 4. Whoever may look need not have done so: chapter 1 says who did."
    )


def test_networks_are_compared_with_a_build_that_is_named_and_rows_of_none_are_shown(said):
    (table,) = [block for block in blocks_of(said, "accurate") if "compared with" in block.get("title", "")]
    assert table["title"] == "Networks, compared with the result before, of week 3 of 2026"
    assert [row[0] for row in table["rows"]] == ["stayed, with as many people", "grew or shrank", "new", "gone"]


def test_the_first_page_says_what_cannot_be_said_of_groups(said):
    areas = copy.deepcopy(said)
    areas["rates"]["area"] = {share: {} for share in areas["rates"]["area"]}
    (unsaid,) = [text for text in told(areas, "unknown") if text.startswith("Whether it is fair to small groups.")]
    assert "anything by area (no area has 50 people)" in unsaid


def test_a_total_that_is_not_told_beside_groups_is_no_row_and_one_that_cannot_be_told_is_no_small_number(said):
    few = copy.deepcopy(said)

    def by_sex() -> dict[str, list[str]]:
        (table,) = [block for block in blocks_of(few, "responsible")
                    if block.get("title") == "The numbers behind it, by sex"]  # fmt: skip
        return {row[0]: row[1:] for row in table["rows"]}

    assert by_sex()["all whose sex is recorded"][0] == "60"
    few["tables"]["groups-by-sex"]["unsaid"] = [["everybody", "recorded"]]
    assert by_sex()["all whose sex is recorded"][0] == "not said"
    del few["tables"]["groups-by-sex"]["counts"]["everybody"]
    few["tables"]["groups-by-sex"]["left_out"] = 1
    assert by_sex().keys() == {"Female", "Male"}


def test_only_groups_of_some_size_are_told_and_the_twelve_largest_areas():
    def table(**recorded: int) -> dict:
        cells = {group.replace("_", " "): {"recorded": n, "linked": 5} for group, n in recorded.items()}
        return {"unit": "people", "off_by": 4, "counts": cells, "first_told": dict.fromkeys(cells, "as told")}

    people = {"unit": "people", "off_by": 4, "counts": {"people": {"recorded": 1170}}, "first_told": {}}

    areas = {f"a{n:02d}": 45 + 5 * n for n in range(16)}
    whole = {
        "groups-by-sex": table(everybody=130, M=80, X=15, F=20, not_recorded=5), "groups-by-ethnicity": table(),
        "groups-by-age-band": table(everybody=60, young=15), "groups-by-area": table(everybody=1150, **areas),
        "records-by-theme": table(SOC=5), "people-in-all": people,
    }  # fmt: skip
    kept = ethics._without_small_groups(whole, [], LEAST)
    assert kept["groups-by-sex"]["counts"].keys() == {"everybody", "M", "F", "not recorded"}
    assert kept["groups-by-sex"]["first_told"].keys() == {"everybody", "M", "F", "not recorded"}
    assert kept["groups-by-age-band"]["counts"].keys() == {"everybody"}
    assert [kept[name]["left_out"] for name in sorted(kept) if name.startswith("groups")] == [1, 1, 0, 1]
    assert kept["records-by-theme"] == whole["records-by-theme"]
    # Twelve areas, 4 to 15; they leave fewer than 50 of everybody, but enough of all people.
    assert kept["groups-by-area"]["counts"].keys() == {f"a{n:02d}" for n in range(4, 16)}
    # What M and F leave of everybody is too few: they are not told, nor those of whom nothing is recorded.
    whole["groups-by-sex"] = table(everybody=115, M=80, X=15, F=20, not_recorded=5)
    kept = ethics._without_small_groups(whole, [], LEAST)
    assert kept["groups-by-sex"]["counts"].keys() == {"M", "F"}
    # And of all people: nor is the smaller of the two.
    whole["people-in-all"] = people | {"counts": {"people": {"recorded": 115}}}
    kept = ethics._without_small_groups(whole, [], LEAST)
    assert kept["groups-by-sex"]["counts"].keys() == {"M"}
    # A group that an earlier report left out is told to be small by now: it is left out still.
    whole["groups-by-sex"] = table(everybody=115, M=80, F=20, not_recorded=5)
    earlier = [{"tables": {"groups-by-sex": {"left_out": 1}}}]
    assert ethics._without_small_groups(whole, earlier, LEAST)["groups-by-sex"]["counts"].keys() == {"M"}
    assert ethics._without_small_groups(whole, [], LEAST)["groups-by-sex"]["counts"].keys() == {
        "everybody", "M", "F", "not recorded"
    }  # fmt: skip


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
