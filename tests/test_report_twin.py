"""Every number in a report of counts, worked out a second time: from what each build answers, from the records as they
were handed over, and from the log's entries as JSON. No count is asked of `tallies`, `suppression` or `ethics` here.

People in rings over three builds, eight of them long due. One was disposed of, a case holds a record, pages were looked
at, an error was reported and settled.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import reference
from force import PARAMS, Force, record
from scipy.stats import norm

from provenance import entries, ethics, granting, holding, issuing, reporting, reviewing, viewing
from provenance.asking import Ask
from provenance.asof import Snapshot
from provenance.records import THEMES

LEAST = PARAMS.suppression.least_count
CUTS = [f"2026-01-{day:02d}T23:00:00Z" for day in (10, 17, 24)]
LABELS = ("2026-W02", "2026-W03", "2026-W04")
MADE = "2026-04-01T09:00:00Z"
GONE = "ZN-7"
BORN = [f"{1956 + n % 60}-06-01" for n in range(68)]
SEXES, ETHNICITIES = ("M", "F", "F"), ("W1", "A2", "B1", "W1")
PEOPLE = [
    {"nominal_id": f"ZN-{n}", "name": f"QUILLFEATHER {n}", "born": BORN[n], "sex": SEXES[n % 3],
     "ethnicity": ETHNICITIES[n % 4], "is_child": "0"}
    for n in range(68)
]  # fmt: skip
OFFENDING = {role for role, of in PARAMS.links.role_classes.items() if of == "offending"}
pytestmark = pytest.mark.usefixtures("_few_rows")


def area(n: int) -> str:
    """One area that is large enough to be told, and small ones."""
    return f"WM-{0 if n < 56 else n % 6}"


def rows(week: int) -> list[dict[str, Any]]:
    """Links of one record and of several, of one source and of two; some too old to keep, some that link nobody."""
    made = []
    for n in range(60):
        made.append(record(f"RC-{n}", f"ZN-{n}", f"ZN-{(n + 1) % 60}", place=area(n)))
        made.append(record(f"RD-{n}", f"ZN-{n}", f"ZN-{(n + 30) % 60}:victim", place=area(n), themes="SOC;CL"))
    for n in range(8):
        said = {"occurred_at": "2011-01-05", "recorded_at": "2011-01-05T12:00:00Z"}
        for twice in ("RO", "RP"):  # so that the eight are one network
            made.append(record(f"{twice}-{n}", f"ZN-{60 + n}", f"ZN-{60 + (n + 1) % 8}", place="WM-2", **said))
    for n in range(24):
        said = {"kind": "intelligence", "grade_scheme": "3x5x2", "source_grade": "1", "handling": "P"}
        grade = "D" if n % 4 == 0 else "A"
        met = (f"ZN-{n}:associate", f"ZN-{n + (1 if n % 2 else 25)}:associate")
        made.append(record(f"RI-{n}", *met, **said, assessment_grade=grade))
    made += [record(f"RA-{n}", f"ZN-{n}", place="WM-1") for n in range(6)]  # names one person only
    made += [record(f"RW-{n}", f"ZN-{5 * n}", f"ZN-{5 * n + 3}", place=f"WM-{n % 6}") for n in range(6 * week)]
    return made


@pytest.fixture(scope="module")
def force(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Force]:
    made = Force(tmp_path_factory.mktemp("twin"))
    for week in range(3):
        made.receive(*rows(week), cut_off=CUTS[week], nominals=PEOPLE)
        made.build(CUTS[week])
    archive = made.archive
    granting.grant(archive, "chief", role="administrator", on="2026-01-20T09:00:00Z", by="tests", under="founding")
    granting.grant(archive, "ana", role="analyst", on="2026-01-20T10:00:00Z", by="chief", under="memo")
    for by, under, ask in (
        ("ana", "analyst", Ask(view="associations", theme="SOC")),
        ("ana", "analyst", Ask(view="nominal", nominals=("ZN-1",))),
        ("ivo", "intelligence user", Ask(view="nominal", nominals=("ZN-2",))),
    ):
        shown = viewing.page(Snapshot(archive, archive.history.build(LABELS[2]), None, ""), None, ask)
        place = viewing.log(archive, shown, case="", at="", on="2026-02-01T09:00:00Z", by=by, under=under)
        for wrong in ("wrong-figure", "out-of-date") if by == "ivo" else ():
            reporting.report(archive, place, wrong=wrong, words="", on="2026-02-02T09:00:00Z", by=by, under=under)
    reporting.settle(
        archive, 1, finding="in-error", cause="grading", corrected=False, on="2026-02-09T10:00:00Z", by="dee", under="m"
    )
    holding.place(
        archive, PARAMS, case="24/0113", basis="inquiry", review_on="2026-03-01", on="2026-02-10T10:00:00Z", by="off",
        under="Inquiries Act", records=[("CONNECT", "RC-50")],
    )  # fmt: skip
    made.dispose(GONE, on="2026-02-12T10:00:00Z")
    yield made
    archive.close()


@pytest.fixture(scope="module")
def said(force: Force) -> dict[str, Any]:
    with issuing.alone(force.archive):
        return ethics.report(force.archive, ethics.of_quarter(force.archive, "2026-Q1"), PARAMS, on=MADE)


@pytest.fixture(scope="module")
def answers(force: Force) -> list[dict[str, Any]]:
    return [force.as_of(cut).answer() for cut in CUTS]


@pytest.fixture(scope="module")
def log(force: Force) -> list[dict[str, Any]]:
    """As anybody reads it who has the files."""
    force.archive.refresh()
    return [json.loads(entries.to_bytes(act)) for act in force.archive.log.acts(0, force.archive.log.size)]


def held() -> list[dict[str, Any]]:
    """The last build's records, as they were handed over, without whoever is gone; and not one that had nobody else."""
    without = [row | {"people": [(who, role) for who, role in row["people"] if who != GONE]} for row in rows(2)]
    return [row for row in without if row["people"]]


# -- the tables --------------------------------------------------------------------------------------------------------


def band(value: int, *limits: int) -> str:
    """`1`, `3 to 4`, `10 or more`: where a value lies between limits, of which each begins a band."""
    low = max(limit for limit in limits if limit <= value)
    above = [limit for limit in limits if limit > value]
    if not above:
        return f"{low:,} or more"
    return f"{low:,}" if above[0] - low == 1 else f"{low:,} to {above[0] - 1:,}"


def of_records() -> dict[str, Counter]:
    found = {name: Counter() for name in ("source", "grade", "handling", "theme", "out")}
    for row in held():
        graded = row["grade_scheme"]
        may = not graded or PARAMS.grading.admitted[graded][row["source_grade"]][row["assessment_grade"]]
        grade = f"{graded}: {row['source_grade']}{row['assessment_grade']}" if graded else "no grade"
        found["source"][row["system"], row["kind"]] += 1
        found["grade"][grade, "may count towards a link" if may else "may not"] += 1
        found["handling"][f"{graded}: {row['handling']}" if row["handling"] else "no handling code", "records"] += 1
        found["theme"].update((theme, "records") for theme in row["themes"].split(";"))
    # What the build left out, it counted when it was made.
    for row in rows(2):
        if reason := reference.why_left_out(row, len({who for who, _ in row["people"]}), PARAMS):
            found["out"][f"{row['system']} {row['kind']}: {reason}", "records"] += 1
    by = {"source": "by-source", "grade": "by-grade", "handling": "by-handling", "theme": "by-theme", "out": "left-out"}
    return {f"records-{by[name]}": cells for name, cells in found.items()}


def of_links(answer: dict[str, Any]) -> dict[str, Counter]:
    records, sources, hangs = Counter(), Counter(), Counter()
    for link in answer["links"]:
        theme, behind = link["theme"], {(s["system"], s["record_id"]) for s in link["supports"]}
        told = all(s["kind"] == "intelligence" for s in link["supports"])
        records[band(len(behind), 1, 2, 3, 5, 10), theme] += 1
        sources[band(len({system for system, _ in behind}), 1, 2, 3), theme] += 1
        hangs["all links", theme] += 1
        hangs["rest on one record", theme] += len(behind) == 1
        hangs["rest on intelligence alone", theme] += told
        hangs["rest on one piece of intelligence, which nothing else bears out", theme] += told and len(behind) == 1
    return {"links-by-records": records, "links-by-sources": sources, "links-that-hang": hangs}


def age(who: str) -> int:
    born = BORN[int(who.removeprefix("ZN-"))]
    return int(CUTS[2][:4]) - int(born[:4]) - (CUTS[2][5:10] < born[5:])


def of_people(answer: dict[str, Any]) -> dict[str, Counter]:
    parts, children = Counter(), Counter()
    for one in answer["nominals"]:
        theme = one["theme"]
        parts["everybody", theme] += 1
        if one["offending"] is None:
            parts["figures withheld", theme] += 1
            continue
        crossed = {
            (True, True): "suspected in one record, victim in another",
            (True, False): "suspected, never a victim",
        }
        plain = "victim and nothing else" if one["victim_only"] else "witness, or another part"
        parts[crossed.get((bool(one["offending"]), bool(one["victim"])), plain), theme] += 1
        if age(one["nominal"]) < 18:
            children["children, in all", theme] += 1
            children["children suspected of something", theme] += bool(one["offending"])
            children["children who are victims and nothing else", theme] += bool(one["victim_only"])
    return {"people-by-part": parts, "children-by-part": children}


def of_networks(answer: dict[str, Any], before: dict[str, Any]) -> dict[str, Counter]:
    now, was = ({(n["theme"], n["network"]): n["members"] for n in one["networks"]} for one in (answer, before))
    sizes, stayed = Counter(), Counter()
    for key in now.keys() | was.keys():
        both = now.get(key, 0), was.get(key, 0)
        if both[0]:
            sizes[band(both[0], 2, 3, 6, 11, 26, 101, 1001), key[0]] += 1
        word = ("gone" if key not in now else "new" if key not in was else "stayed, size withheld" if None in both else
                "stayed, as many people" if both[0] == both[1] else "stayed, more or fewer people")  # fmt: skip
        stayed[word, key[0]] += 1
    largest: Counter = Counter()
    for (theme, _), members in now.items():
        largest["largest network", theme] = max(largest["largest network", theme], members or 0)
    return {"networks-by-size": sizes, "networks-that-stayed": stayed, "people-in-largest": largest}


def over_builds(answers: list[dict[str, Any]]) -> dict[str, Counter]:
    names = {"people": "nominals", "links": "links", "networks": "networks"}
    return {
        f"{unit}-over-builds": Counter(
            (label, row["theme"]) for label, answer in zip(LABELS, answers, strict=True) for row in answer[name]
        )
        for unit, name in names.items()
    }


def of_groups(force: Force, answer: dict[str, Any]) -> dict[str, Counter]:
    sets: dict[str, set[str]] = {"recorded": set(), "offending": set()}
    places: dict[str, Counter] = {}
    for row in held():
        for who, role in row["people"]:
            sets["recorded"].add(who)
            if role in OFFENDING:
                sets["offending"].add(who)
            places.setdefault(who, Counter())[row["place"] or "not recorded"] += 1
    sets["linked"] = {end for link in answer["links"] for end in (link["a"], link["b"])}
    sets["harmed"] = {one["nominal"] for one in answer["nominals"] if one["harm"]} & sets["linked"]
    sets["key"] = set()
    for theme in THEMES:  # whom the page lists
        page = viewing.page(force.as_of(CUTS[2]), None, Ask(view="key-nominals", theme=theme))
        sets["key"] |= {row["nominal"] for row in page.said["said"]["listed"]}
    sets["key"] &= sets["linked"]
    bands = (0, 10, 18, 25, 35, 50, 65)

    def group(who: str, by: str) -> str:
        at = int(who.removeprefix("ZN-"))
        if by == "area":
            return min(places[who], key=lambda place: (-places[who][place], place))
        found = band(age(who), *bands)
        return {"sex": SEXES[at % 3], "ethnicity": ETHNICITIES[at % 4]}.get(by, found.replace("or more", "and over"))

    found = {"people-in-all": Counter({("people", name): len(members) for name, members in sets.items()})}
    for by in ("sex", "ethnicity", "age-band", "area"):
        cells: Counter = Counter()
        for name, members in sets.items():
            for who in members:
                cells[group(who, by), name] += 1
                cells["everybody", name] += 1
        found[f"groups-by-{by}"] = cells
    return found


def due(force: Force) -> dict[str, Counter]:
    """Asked of one person and of one record at a time."""
    found = {"people-due": Counter(), "records-due": Counter()}
    words = {"review": "due for review", "dispose": "due for disposal"}
    subjects = [("people-due", reviewing.Subject("nominal", "", p["nominal_id"])) for p in PEOPLE]
    subjects += [("records-due", reviewing.Subject("record", "CONNECT", row["record_id"])) for row in held()]
    for table, subject in subjects:
        if subject.id == GONE:
            continue
        register = reviewing.register(force.archive, PARAMS, on=MADE[:10], subject=subject)
        (line,) = register.line(subject.what, subject.token(force.archive)).to_pylist()
        if line["action"] in words and str(line["due"]) <= MADE[:10]:
            found[table][words[line["action"]], "now"] += 1
            if str(line["due"]) <= f"{int(MADE[:4]) - 1}{MADE[4:10]}":
                found[table][words[line["action"]], "for a year or more"] += 1
    return found


def test_every_count_of_every_table_is_counted_a_second_way(force, said, answers):
    expected = {
        **of_records(), **of_links(answers[2]), **of_people(answers[2]), **of_networks(answers[2], answers[1]),
        **over_builds(answers), **of_groups(force, answers[2]), **due(force),
    }  # fmt: skip
    assert said["tables"].keys() == expected.keys()
    # The nearest multiple, and nothing below the least count; there is no earlier report to hold it against.
    rounded = {
        name: {cell: near(n) for cell, n in exact.items() if near(n)} for name, exact in expected.items()
    }  # fmt: skip
    for name in rounded:
        if name.startswith("groups-by"):
            fewest = FEWEST_OF_AREA if name.endswith("area") else FEWEST
            rounded[name] = large(rounded[name], fewest, rounded["people-in-all"]["people", "recorded"])
    safe_totals(rounded)
    for name, cells in rounded.items():
        told = {
            (row, column): n for row, cells in said["tables"][name]["counts"].items() for column, n in cells.items()
        }
        assert told == cells, name
        assert (said["tables"][name]["off_by"], said["tables"][name]["off_by_of_totals"]) == (LEAST - 1, 2 * LEAST - 1)
        assert said["tables"][name]["unsaid"] == []
    # Such a table would agree with anything; beside the one large area there are too few people to tell of it.
    assert [name for name, cells in rounded.items() if not cells] == ["groups-by-area"]


def near(count: int) -> int:
    """The nearest multiple of the least count, and 0 for what is below it."""
    return LEAST * math.floor(count / LEAST + 0.5) if count >= LEAST else 0


def meant(told: int) -> list[int]:
    """The counts of which this is told."""
    return [count for count in range(told + LEAST) if near(count) == told]


def is_safe(total: int, parts: list[int], rest: bool) -> bool:
    """Whether each small part may still be anything from 0 on: for each there are counts of the other parts, and of the
    rest where there may be one, with which all add up to a count of which `total` is told."""
    for at, part in enumerate(parts):
        for count in meant(part) if not part else ():
            others = [meant(other) for which, other in enumerate(parts) if which != at]
            least = count + sum(map(min, others))
            most = math.inf if rest else count + sum(map(max, others))
            if not any(least <= whole <= most for whole in meant(total)):
                return False
    return True


def safe_totals(rounded: dict[str, dict]) -> None:
    """Moves each total in the tables to the nearest figure that is safe."""

    def move(table: str, row: str, column: str, *ways: tuple[list[int], bool]) -> None:
        total = rounded[table].get((row, column), 0)
        for step in range(total and 4):
            for figure in (total - step * LEAST, total + step * LEAST):
                if figure and all(is_safe(figure, *way) for way in ways):
                    rounded[table][row, column] = figure
                    return

    def parts(table: str, column: str, *rows: str) -> list[int]:
        return [rounded[table].get((row, column), 0) for row in rows]

    for theme in THEMES:
        by_records = parts("links-by-records", theme, "1", "2", "3 to 4", "5 to 9", "10 or more")
        by_sources = parts("links-by-sources", theme, "1", "2", "3 or more")
        for table, row in (("links-that-hang", "all links"), ("links-over-builds", LABELS[2])):
            move(table, row, theme, (by_records, False), (by_sources, False))
        of_people = parts(
            "people-by-part", theme, "suspected, never a victim", "suspected in one record, victim in another",
            "victim and nothing else", "witness, or another part", "figures withheld",
        )  # fmt: skip
        for table, row in (("people-by-part", "everybody"), ("people-over-builds", LABELS[2])):
            move(table, row, theme, (of_people, False))
        sizes = parts("networks-by-size", theme, "2", "3 to 5", "6 to 10", "11 to 25", "26 to 100", "101 to 1,000",
                      "1,001 or more")  # fmt: skip
        stayed = parts("networks-that-stayed", theme, "stayed, as many people", "stayed, more or fewer people",
                       "stayed, size withheld", "new")  # fmt: skip
        move("networks-over-builds", LABELS[2], theme, (sizes, False), (stayed, False))
    tables = [f"groups-by-{by}" for by in ("sex", "ethnicity", "age-band", "area")]
    for column in ("recorded", "offending", "linked", "key", "harmed"):
        groups = {table: {row for row, _ in rounded[table]} - {"everybody"} for table in tables}
        move("people-in-all", "people", column, *((parts(table, column, *groups[table]), True) for table in tables))
        for table in tables:  # everybody's sex, ethnicity, birth and area is recorded: so they are all people
            if ("everybody", column) in rounded[table]:
                rounded[table]["everybody", column] = rounded["people-in-all"]["people", column]


FEWEST, FEWEST_OF_AREA = 20, 50  # people in a group, and in an area, that is told


def large(cells: dict[tuple[str, str], int], fewest: int, people: int) -> dict[tuple[str, str], int]:
    """Without the groups that are too small; there are too few areas here for one to be too many. Where what is left of
    everybody is too few, without everybody; and then, where too few are left of all people, without the smallest."""
    groups = {group: n for (group, column), n in cells.items() if column == "recorded" and group != "everybody"}
    kept = sorted((n, group) for group, n in groups.items() if n >= fewest)
    everybody = {"everybody"}
    if len(kept) < len(groups) and cells["everybody", "recorded"] - sum(n for n, _ in kept) < fewest:
        everybody = set()
        while kept and people - sum(n for n, _ in kept) < fewest:
            kept.pop(0)
    names = {group for _, group in kept} | everybody
    return {cell: n for cell, n in cells.items() if cell[0] in names}


def span(part: int, whole: int, by: int) -> tuple[float, float]:
    """The least and the greatest share that 95 in 100 allow, of all counts that the two may stand for: those b at which
    the share is 1.96 standard errors of b away."""
    z2, ends = norm.ppf(0.975) ** 2, []
    off = range(1 - by, by)
    for n in (whole + at for at in off):
        for k in {min(max(min(part, whole) + at, 0), n) for at in off}:
            ends += np.roots([1 + z2 / n, -(2 * k / n + z2 / n), (k / n) ** 2]).real.tolist()
    return min(ends), max(ends)


def test_every_rate_is_its_counts_with_an_interval_by_another_hand(said):
    shares = {"offending": "recorded", "linked": "recorded", "key": "linked", "harmed": "linked"}
    seen = 0
    for by, rates in said["rates"].items():
        counts = dict(said["tables"][f"groups-by-{by.replace('_', '-')}"]["counts"])
        # Where everybody is not told beside the groups, all people stand in their place.
        counts.setdefault("everybody", said["tables"]["people-in-all"]["counts"]["people"])
        assert rates.keys() == shares.keys()
        for share, among in shares.items():
            assert rates[share].keys() == counts.keys()
            for group, one in rates[share].items():
                part, whole = counts[group].get(share, 0), counts[group].get(among, 0)
                assert (one.get("of", 0), one.get("among", 0)) == (part, whole)
                if not part or not whole:
                    assert not {"per_mille", "low", "high"} & one.keys()
                    continue
                low, high = span(part, whole, 2 * LEAST if group == "everybody" else LEAST)
                assert one["per_mille"] == math.floor(1000 * min(part, whole) / whole + 0.5)
                assert one["low"] == math.floor(1000 * low + 1e-9)
                assert one["high"] == math.ceil(1000 * high - 1e-9)
                seen += 1
    assert seen > 20


# -- all else ----------------------------------------------------------------------------------------------------------


def numbers(value: Any, path: str = "") -> dict[str, int]:
    """Every whole number in it, by its path; what stands in a list by its place."""
    if isinstance(value, bool) or not isinstance(value, (dict, list, int)):
        return {}
    if isinstance(value, int):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {at: n for name, inner in items for at, n in numbers(inner, f"{path}/{name}").items()}


def unsure(value: dict[str, Any], path: str = "") -> list[str]:
    """The keys of what the force has yet to confirm, but for what stands in lists."""
    found = [path.removeprefix(".")] if value.get("force_to_confirm") else []
    inner = {name: one for name, one in value.items() if isinstance(one, dict)}
    return found + [key for name, one in inner.items() for key in unsure(one, f"{path}.{name}")]


def test_every_other_number_is_that_of_the_log_and_of_the_papers(force, said, answers, log):
    here = [act for act in log if said["start"] <= act["on"] < said["end"]]
    kinds = Counter(act["act"] for act in here)
    views = [act for act in here if act["act"] == "Viewed"]
    params = json.loads(PARAMS.canonical())
    statement = force.archive.stated(force.archive.history.builds[-1])
    expected = {
        "form": 4, "number": 1, "build_number": 3, "verified": 1, "least_count": LEAST, "disposals_so_far": 1,
        "people_so_far": 1,
        "rules": {
            "least_records": params["networks"]["least_records"],
            "shared_associate": int(params["networks"]["shared_associate"]),
            "alarm_share_percent": params["networks"]["alarm_share_percent"],
            "kind_points": params["links"]["kind_points"],
        },
        # Of 13 Sundays in the quarter, the builds went live on three; from the first of them on, in each week.
        "weeks": {"in_period": 13, "ended": 13, "built": 3, "since_first": 3, "built_since_first": 3},
        "harm_editions": [{"adopted": 0}], "granted": {"administrator": 1, "analyst": 1},
        "feeds": [{"days_before": 0} for _ in statement.feeds],
        "acts": {name: n for name, n in kinds.items() if name in said["acts"]},
        "use": {
            "views": 3, "staff": 2, "for_a_case": 0, "by_role": dict(Counter(act["under"] for act in views)),
            "by_view": dict(Counter(json.loads(act["asked"])["view"] for act in views)),
        },
        "disposals": [{"disposals": 1, "certified": 1}],
        "holds": {"standing": 1, "placed": 1, "released": 0, "overdue": 1, "restricted": 0},
        "errors": {
            "reported": 2, "settled": 1, "open": 1, "days_to_settle": {"median": 7, "longest": 7},
            "findings": {"in-error": 1}, "causes": {"grading": 1},
        },
        "heads": {"size": len(log)},
    }  # fmt: skip
    # Only what is counted by nobody is left out of a report: setting a key, the disposal's own steps.
    assert set(kinds) - set(said["acts"]) <= {"Founded", "Expunged"}
    assert (
        said["heads"]["root"]
        == reference.tree_hash([entries.to_bytes(act) for act in force.archive.log.acts(0, len(log))]).hex()
    )
    first = {
        f"/tables/{name}/first_told/{row}/{column}": told
        for name, table in said["tables"].items()
        for row, columns in table["first_told"].items()
        for column, told in columns.items()
    }
    # When each figure was first told: now, of the third build, after one disposal of one person.
    assert {tuple(told[:3]) for told in first.values()} == {(3, 1, 1)}
    assert all(bound == 0 or bound == 8 ** round(math.log(bound, 8)) for *_, bound in first.values())
    unsure_of = [*sorted(unsure(params)), "harm.editions.illustrative"]
    assert [each["key"] for each in said["rules"]["to_confirm"]] == unsure_of
    told = {path: n for path, n in numbers(said).items() if not path.startswith(("/tables/", "/rates/"))}
    assert told == numbers(expected)
    built = {act["label"] for act in log if act["act"] == "Built"}
    assert said["weeks"]["missing"] == [week for n in range(1, 14) if (week := f"2026-W{n:02d}") not in built]
    assert answers[2]["root"] == said["root"]
