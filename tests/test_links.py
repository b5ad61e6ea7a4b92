"""Links against a slow twin written from the definition, the rules by name, and real records counted twice."""

from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.backends.sql.compilers import PySparkCompiler

from provenance import grading, harm, links, params, tables
from provenance.records import INVOLVEMENTS, KINDS, RECORDS, ROLES, SCHEMES

ROOT = Path(__file__).parent.parent
SHIPPED = params.read(ROOT / "params.yaml")
CON = links.connection(2)
NO_PRICES = harm.HarmTable("none", "", harm.SCHEMA.empty_table())

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # inside Ibis 12


@pytest.fixture(scope="module")
def prices(tmp_path_factory) -> harm.HarmTable:
    path = tmp_path_factory.mktemp("harm") / "trial.csv"
    path.write_text("offence_code,offence,days,expired\n1,Murder,5000,\n49,Theft,3,\n62,Old,7,yes\n")
    return harm.read(path, "trial")


def ruled(**sections: dict) -> params.Params:
    """The shipped params with some keys of some sections changed."""
    whole = SHIPPED.model_dump()
    for section, keys in sections.items():
        whole[section] |= keys
    return params.Params.model_validate(whole)


def record(record_id: str, kind: str = "crime", **cells: object) -> dict:
    blank: dict[str, object] = dict.fromkeys(RECORDS.names, "")
    blank |= {"system": "CONNECT", "record_id": record_id, "kind": kind, "occurred_at": "2026-01-02", "themes": "SOC"}
    return blank | {"version": 1} | cells


def graded(record_id: str, grade: str, scheme: str = "3x5x2", **cells: object) -> dict:
    source, assessment = grade
    cells = {"grade_scheme": scheme, "source_grade": source, "assessment_grade": assessment} | cells
    return record(record_id, "intelligence", **cells)


def involved(of: dict, nominal: str, role: str = "suspect", assessed: str = "fact", known_as: str = "") -> dict:
    return {
        "system": of["system"], "record_id": of["record_id"], "nominal_id": known_as or nominal, "role": role,
        "assessed": assessed, "nominal": nominal,
    }  # fmt: skip


Rows = list[dict]
PEOPLE = INVOLVEMENTS.append(pa.field("nominal", pa.string()))
VERSIONS = RECORDS.append(pa.field("version", pa.int64()))
ORDERS = {
    "supports": ["theme", "a", "b", "system", "record_id"],
    "links": ["theme", "a", "b"],
    "tallies": ["theme", "nominal"],
    "left_out": ["reason", "system", "kind"],
}
PLANS: dict[tuple[str, str, str], tuple[ibis.Table, str]] = {}


def expression(what: str, rules: params.Params, prices: harm.HarmTable) -> ibis.Table:
    if what == "links":
        return links.links(CON.table("s"), rules.grading.handling_order)
    r, i = CON.table("r"), CON.table("i")
    if what == "tallies":
        return links.tallies(r, i, rules, prices)
    return {"supports": links.supports, "left_out": links.left_out}[what](r, i, rules)


def load(records: Rows, involvements: Rows) -> None:
    for name, rows, schema in (("r", records, VERSIONS), ("i", involvements, PEOPLE)):
        CON.con.register("loaded", pa.Table.from_pylist(rows, schema))
        CON.raw_sql(f"CREATE OR REPLACE TABLE {name} AS FROM loaded")


def ask(what: str, rules: params.Params, prices: harm.HarmTable = NO_PRICES) -> pa.Table:
    """The expression's answer. Building it takes longer than answering it, so its SQL is kept for the next rows."""
    key = (what, rules.digest(), prices.sha256)
    if key not in PLANS:
        ordered = expression(what, rules, prices).order_by(ORDERS[what])
        ordered.to_pyarrow()  # registers the small tables of the rules, which live as long as the expression
        PLANS[key] = ordered, CON.compile(ordered)
    return CON.con.sql(PLANS[key][1]).to_arrow_table()


def supports(records: Rows, involvements: Rows, rules: params.Params = SHIPPED) -> Rows:
    load(records, involvements)
    return ask("supports", rules).to_pylist()


def linked(records: Rows, involvements: Rows, rules: params.Params = SHIPPED) -> Rows:
    load(records, involvements)
    CON.con.register("found", ask("supports", rules))
    CON.raw_sql("CREATE OR REPLACE TABLE s AS FROM found")
    return ask("links", rules).to_pylist()


def left_out(records: Rows, involvements: Rows, rules: params.Params = SHIPPED) -> Rows:
    load(records, involvements)
    return ask("left_out", rules).to_pylist()


def tallied(records: Rows, involvements: Rows, prices: harm.HarmTable, rules: params.Params = SHIPPED) -> Rows:
    load(records, involvements)
    return ask("tallies", rules, prices).to_pylist()


# The twin: each rule as the docstrings say it, a record at a time.


def reason(row: dict, people: int, rules: params.Params) -> str:
    scheme, cap = row["grade_scheme"], rules.links.people_per_record
    if row["status"] in rules.links.statuses_left_out:
        return "status"
    if not scheme and row["kind"] in rules.grading.needs_grade:
        return "no-grade"
    if scheme:
        matrix = rules.grading.admitted[scheme]
        if not matrix.get(row["source_grade"], {}).get(row["assessment_grade"], False):
            return "grade-not-admitted"
    if not set(row["themes"].split(";")) & set(rules.themes):
        return "no-theme"
    if people < 2:
        return "one-person"
    return "over-cap" if cap and people > cap else ""


def twin_supports(records: Rows, involvements: Rows, rules: params.Params) -> Rows:
    found = []
    for row in records:
        parts = defaultdict(list)
        for part in involvements:
            if (part["system"], part["record_id"]) == (row["system"], row["record_id"]):
                parts[part["nominal"]].append(part)
        if reason(row, len(parts), rules):
            continue
        percent = rules.links.ungraded_percent
        if row["grade_scheme"]:
            percent = rules.links.grade_percents[row["grade_scheme"]][row["source_grade"]][row["assessment_grade"]]
        for a, b in combinations(sorted(parts), 2):
            classes = [{rules.links.role_classes[part["role"]] for part in parts[person]} for person in (a, b)]
            best = max(
                rules.links.role_pairs.get(f"{x}-{y}", rules.links.role_pairs.get(f"{y}-{x}"))
                for x in classes[0]
                for y in classes[1]
            )
            flags = {part["assessed"] for part in parts[a] + parts[b]}
            for theme in sorted(set(row["themes"].split(";")) & set(rules.themes)):
                one = {
                    name: row[name] for name in ("system", "record_id", "version", "kind", "occurred_at", "handling")
                }
                one |= {"theme": theme, "a": a, "b": b, "conditions": row["conditions"]}
                one |= {"grade_scheme": row["grade_scheme"]}
                one |= {"grade": row["source_grade"] + row["assessment_grade"] if row["grade_scheme"] else ""}
                one |= {"assessed": "assessment" if "assessment" in flags else "fact" if flags == {"fact"} else ""}
                points = rules.links.kind_points[row["kind"]]
                one |= {"contribution": max(1, points * best * percent // 10_000)}
                for side, person in (("a", a), ("b", b)):
                    one[f"role_{side}"] = "+".join(sorted({part["role"] for part in parts[person]}))
                    one[f"sources_{side}"] = sorted({part["nominal_id"] for part in parts[person]} - {person})
                found.append(one)
    return sorted(found, key=lambda one: [one[name] for name in ("theme", "a", "b", "system", "record_id")])


def twin_links(found: Rows, rules: params.Params) -> Rows:
    groups = defaultdict(list)
    for one in found:
        groups[one["theme"], one["a"], one["b"]].append(one)
    rows = []
    for (theme, a, b), group in sorted(groups.items()):
        parts = [(one["handling"], one["conditions"]) for one in group]
        handling, conditions = grading.strictest(parts, rules.grading.handling_order)
        rows.append(
            {
                "theme": theme, "a": a, "b": b, "records": len(group), "handling": handling, "conditions": conditions,
                "strength": sum(one["contribution"] for one in group),
                "supports": [{field.name: one[field.name] for field in tables.SUPPORT} for one in group],
            }
        )  # fmt: skip
    return rows


def weights(table: harm.HarmTable) -> dict[str, int]:
    return {row["offence_code"]: row["weight"] for row in table.rows.to_pylist() if not row["expired"]}


def twin_tallies(records: Rows, involvements: Rows, prices: harm.HarmTable, rules: params.Params) -> Rows:
    days = weights(prices)
    points = weights(prices.severity) if prices.severity else None
    sums: dict = defaultdict(Counter)
    for row in records:
        roles = defaultdict(set)
        for part in involvements:
            if (part["system"], part["record_id"]) == (row["system"], row["record_id"]):
                roles[part["nominal"]].add(part["role"])
        if reason(row, 2, rules):  # as if of two people: only what counts for nothing at all is left out here
            continue
        for theme in set(row["themes"].split(";")) & set(rules.themes):
            for person, had in roles.items():
                sums[theme, person].update({"records": 1} | {rules.links.role_classes[role]: 1 for role in had})
                if had & set(rules.harm.roles):
                    known = row["offence_code"] in days
                    sums[theme, person].update(harm=days.get(row["offence_code"], 0), harm_unknown=int(not known))
                    if points is not None:
                        known = row["offence_code"] in points
                        points_here = points.get(row["offence_code"], 0)
                        sums[theme, person].update(severity=points_here, severity_unknown=int(not known))
    columns = ("records", *params.CLASSES, "harm", "harm_unknown", "severity", "severity_unknown")
    return [
        {"theme": theme, "nominal": person} | {name: count[name] for name in columns}
        for (theme, person), count in sorted(sums.items())
    ]


def twin_left_out(records: Rows, involvements: Rows, rules: params.Params) -> Rows:
    sums: dict = defaultdict(Counter)
    for row in records:
        key = row["system"], row["record_id"]
        people = len({part["nominal"] for part in involvements if (part["system"], part["record_id"]) == key})
        if why := reason(row, people, rules):
            sums[why, row["system"], row["kind"]].update(records=1, people=people)
    return [
        {"reason": why, "system": system, "kind": kind, "records": count["records"], "people": count["people"]}
        for (why, system, kind), count in sorted(sums.items())
    ]


@st.composite
def forces(draw) -> tuple[Rows, Rows]:
    """A few records of every sort, in which few people meet often."""
    records, involvements = [], []
    for number in range(draw(st.integers(1, 9))):
        scheme = draw(st.sampled_from(["", "", "3x5x2", "5x5x5"]))
        row = record(
            f"R{number % 7}",
            draw(st.sampled_from(KINDS)),
            system="CONNECT" if number < 7 else "LEGACY",  # the same record id in two systems
            themes=draw(st.sampled_from(["", "SOC", "CL;SOC", "CL;CSE;SOC"])),
            grade_scheme=scheme,
            offence_code=draw(st.sampled_from(["", "1", "49", "62", "999"])),
            status=draw(st.sampled_from(["", "", "open", "withdrawn", "cancelled"])),
            handling=draw(st.sampled_from(["", "P", "C", "1", "5"])),
            conditions=draw(st.sampled_from(["", "", "ask first", "A1; S2"])),
            version=draw(st.integers(1, 3)),
        )
        if scheme:
            row["source_grade"] = draw(st.sampled_from(SCHEMES[scheme].source[:2]))
            row["assessment_grade"] = draw(st.sampled_from(SCHEMES[scheme].assessment))
        records.append(row)
        for _ in range(draw(st.integers(0, 6))):
            person = draw(st.sampled_from(["N1", "N10", "N2", "n1", "É1"]))
            known_as = draw(st.sampled_from(["", "", "OLD1", "OLD2"]))
            role, assessed = draw(st.sampled_from(ROLES)), draw(st.sampled_from(["", "fact", "fact", "assessment"]))
            involvements.append(involved(row, person, role, assessed, known_as))
    return records, involvements


@settings(max_examples=40, deadline=None)
@given(forces(), st.sampled_from([0, 3]), st.randoms())
def test_as_the_slow_twin_and_in_any_order(prices, force, cap, chance: random.Random):
    records, involvements = force
    rules = ruled(links={"people_per_record": cap})
    expected = twin_supports(records, involvements, rules)
    chance.shuffle(records)
    chance.shuffle(involvements)
    assert supports(records, involvements, rules) == expected
    found = linked(records, involvements, rules)
    assert found == twin_links(expected, rules)
    assert tallied(records, involvements, prices, rules) == twin_tallies(records, involvements, prices, rules)
    assert left_out(records, involvements, rules) == twin_left_out(records, involvements, rules)
    for link in found:  # R09, R10: no link without a support, and the shares are the whole
        assert link["supports"]
        assert sum(one["contribution"] for one in link["supports"]) == link["strength"]
        assert min(one["contribution"] for one in link["supports"]) >= 1


@settings(max_examples=20, deadline=None)
@given(forces(), st.integers(0, 511))
def test_tallies_of_parts_add_up_to_the_whole(prices, force, choice):
    records, involvements = force
    whole: dict = defaultdict(Counter)
    for part in (0, 1):
        some = [row for number, row in enumerate(records) if choice >> number & 1 == part]
        keys = {(row["system"], row["record_id"]) for row in some}
        parts = [row for row in involvements if (row["system"], row["record_id"]) in keys]
        for row in tallied(some, parts, prices):
            whole[row.pop("theme"), row.pop("nominal")].update(row)
    expected = {(row.pop("theme"), row.pop("nominal")): row for row in tallied(records, involvements, prices)}
    assert {key: dict(count) for key, count in whole.items()} == expected


def test_the_columns_are_those_of_the_sealed_tables(prices):
    row = record("R1")
    linked([row], [involved(row, "A"), involved(row, "B")])
    link = ask("links", SHIPPED).schema
    assert link.field("supports").type.value_type == tables.SUPPORT
    assert link.names == ["theme", "a", "b", "records", "strength", "handling", "supports", "conditions"]
    # As the engine itself types them: Ibis would cast on the way out what a table or a Parquet file does not.
    for what in ORDERS:
        for field in ask(what, SHIPPED, prices).schema:
            assert field.type in (pa.string(), pa.int64(), pa.list_(pa.string())) or field.name == "supports", field
    assert {field.name for field in ask("tallies", SHIPPED, prices).schema} == {
        "theme", "nominal", "records", *params.CLASSES, "harm", "harm_unknown", "severity", "severity_unknown",
    }  # fmt: skip


def test_the_same_expressions_are_sql_for_spark(prices):
    linked([], [])
    for what in ORDERS:
        said = PySparkCompiler().to_sqlglot(expression(what, SHIPPED, prices)).sql("spark")
        assert all(f"`{name}`" in said for name in ORDERS[what])


def test_nothing_is_spilled_to_disk():
    assert CON.raw_sql("SELECT current_setting('temp_directory')").fetchone() == ("",)


def test_every_pair_of_grades_in_and_out():
    """R12: admit one pair of each scheme; of all 15 and 25 records exactly that one links, and the rest are counted."""
    codes = {
        name: [(source, assessment) for source in scheme.source for assessment in scheme.assessment]
        for name, scheme in SCHEMES.items()
    }
    assert {name: len(pairs) for name, pairs in codes.items()} == {"3x5x2": 15, "5x5x5": 25}
    records = [graded(f"{name} {s}{a}", s + a, name) for name, pairs in codes.items() for s, a in pairs]
    load(records, [involved(row, person) for row in records for person in ("A", "B")])
    for number in range(25):
        chosen = {name: pairs[number % len(pairs)] for name, pairs in codes.items()}
        matrix = {
            name: {s: {a: (s, a) == chosen[name] for a in row} for s, row in rows.items()}
            for name, rows in SHIPPED.grading.admitted.items()
        }
        rules = ruled(grading={"admitted": matrix})
        found = links.supports(CON.table("r"), CON.table("i"), rules).record_id.to_pyarrow().to_pylist()
        assert sorted(found) == [f"{name} {s}{a}" for name, (s, a) in sorted(chosen.items())]
    (out,) = ask("left_out", rules).to_pylist()
    assert (out["reason"], out["records"], out["people"]) == ("grade-not-admitted", 38, 76)


def test_a_grade_means_what_its_scheme_says():
    """The same two letters: 1E is a suspected falsehood, E1 an untested source, and neither is taken for the other."""
    rows = [graded("R1", "1E"), graded("R2", "E1", "5x5x5"), graded("R3", "1A"), graded("R4", "A1", "5x5x5")]
    wrong = [graded("R5", "A1"), graded("R6", "1A", "5x5x5")]  # codes of the other scheme are no grade of this one
    involvements = [involved(row, person) for row in rows + wrong for person in ("A", "B")]
    found = supports(rows + wrong, involvements)
    assert [(one["record_id"], one["grade_scheme"], one["grade"]) for one in found] == [
        ("R3", "3x5x2", "1A"), ("R4", "5x5x5", "A1"),
    ]  # fmt: skip


def test_intelligence_needs_a_grade_and_a_crime_does_not():
    rows = [record("R1", "intelligence"), record("R2", "crime")]
    involvements = [involved(row, person) for row in rows for person in ("A", "B")]
    assert [one["record_id"] for one in supports(rows, involvements)] == ["R2"]
    assert [(row["reason"], row["kind"]) for row in left_out(rows, involvements)] == [("no-grade", "intelligence")]


def test_less_of_a_link_with_each_source_and_none_without_the_last():
    """R14."""
    rows = [record("R1"), record("R2", "custody"), graded("R3", "1C")]
    involvements = [involved(row, person) for row in rows for person in ("A", "B")]
    strengths = [linked(rows[:number], involvements)[0]["strength"] for number in (3, 2, 1)]
    assert strengths == [100 + 80 + 60 * 50 // 100, 100 + 80, 100]
    assert linked([], involvements) == []
    withdrawn = [row | {"status": "withdrawn"} for row in rows]
    assert linked(withdrawn, involvements) == []
    assert {row["reason"] for row in left_out(withdrawn, involvements)} == {"status"}


def test_a_victim_stays_a_victim(prices):
    """R16, R49: in the link, in the tallies, and in harm."""
    row = record("R1", offence_code="1")
    involvements = [involved(row, "A", "suspect"), involved(row, "B", "victim"), involved(row, "C", "victim")]
    found = {(one["a"], one["b"]): one for one in supports([row], involvements)}
    assert (found["A", "B"]["role_a"], found["A", "B"]["role_b"]) == ("suspect", "victim")
    assert [found[pair]["contribution"] for pair in (("A", "B"), ("B", "C"))] == [50, 30]
    harms = {one["nominal"]: one for one in tallied([row], involvements, prices)}
    assert (harms["A"]["harm"], harms["A"]["victim"]) == (5000, 0)
    assert (harms["B"]["harm"], harms["B"]["victim"], harms["B"]["offending"]) == (0, 1, 0)
    both = [*involvements, involved(row, "B", "suspect")]
    assert found["A", "B"]["role_b"] == "victim"
    one = next(one for one in supports([row], both) if one["b"] == "B")
    assert (one["role_b"], one["contribution"]) == ("suspect+victim", 100)


def test_one_person_in_several_rows_and_under_two_ids_is_one_involvement():
    row = record("R1")
    twice = [involved(row, "A"), involved(row, "A", "witness"), involved(row, "A", known_as="A-OLD")]
    assert supports([row], twice) == []
    assert left_out([row], twice) == [
        {"reason": "one-person", "system": "CONNECT", "kind": "crime", "records": 1, "people": 1}
    ]
    (one,) = supports([row], [*twice, involved(row, "B", known_as="B-OLD")])
    assert (one["role_a"], one["sources_a"], one["sources_b"]) == ("suspect+witness", ["A-OLD"], ["B-OLD"])


def test_ten_thousand_people_in_one_record_link_no_one_and_are_counted(prices):
    row = record("R1", offence_code="49")
    crowd = [involved(row, f"N{number:05d}") for number in range(10_000)]
    assert supports([row], crowd) == []
    assert left_out([row], crowd) == [
        {"reason": "over-cap", "system": "CONNECT", "kind": "crime", "records": 1, "people": 10_000}
    ]
    assert len(tallied([row], crowd, prices)) == 10_000
    assert len(supports([row], crowd[:30])) == 30 * 29 // 2
    assert supports([row], crowd[:31]) == []
    assert len(supports([row], crowd[:31], ruled(links={"people_per_record": 0}))) == 31 * 30 // 2


def test_harm_is_of_offending_roles_and_flags_what_is_not_priced(prices):
    rows = [record(f"R{code}", offence_code=code) for code in ("1", "49", "62", "999", "")]
    involvements = [involved(row, "A") for row in rows] + [involved(row, "B", "arrested") for row in rows]
    suspect, arrested = tallied(rows, involvements, prices)
    assert (suspect["harm"], suspect["harm_unknown"], suspect["offending"]) == (5003, 3, 5)
    assert (arrested["harm"], arrested["harm_unknown"], arrested["offending"]) == (0, 0, 5)


def test_contributions_of_no_percent_still_count_one():
    rules = ruled(links={"role_pairs": dict.fromkeys(params.ROLE_PAIRS, 0)})
    row = record("R1")
    (one,) = supports([row], [involved(row, "A"), involved(row, "B")], rules)
    assert one["contribution"] == 1


# Real records, counted a second way from the raw files.


def pair_records(rows: list[dict[str, str]], record_id: str, person_id: str) -> dict[tuple[str, str], set[str]]:
    people = defaultdict(set)
    for row in rows:
        people[row[record_id]].add(row[person_id])
    found = defaultdict(set)
    for name, those in people.items():
        for pair in combinations(sorted(those), 2):
            found[pair].add(name)
    return found


def as_found(records: Rows, involvements: Rows) -> dict[tuple[str, str], set[str]]:
    rules = ruled(links={"people_per_record": 0})
    return {
        (one["a"], one["b"]): {s["record_id"] for s in one["supports"]} for one in linked(records, involvements, rules)
    }


def test_st_louis_gives_its_pairs_with_exactly_their_records(shared):
    with (shared / "data" / "stlouis_crime" / "involvements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    records = {row["crime_id"]: record(row["crime_id"]) for row in rows}
    roles = {
        "Suspect": ["suspect"],
        "Victim": ["victim"],
        "Witness": ["witness"],
        "Victim Suspect": ["suspect", "victim"],
    }
    involvements = [
        involved(records[row["crime_id"]], row["person_id"], role) for row in rows for role in roles[row["role"]]
    ]
    found = as_found(list(records.values()), involvements)
    assert (len(found), sum(map(len, found.values()))) == (2253, 2353)
    assert found == pair_records(rows, "crime_id", "person_id")


def test_infinito_gives_its_pairs_with_exactly_their_records(shared):
    with (shared / "data" / "infinito_summits" / "attendance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    records = {row["event_id"]: graded(row["event_id"], "1B", occurred_at=row["date"]) for row in rows}
    involvements = [involved(records[row["event_id"]], row["person_id"], "associate") for row in rows]
    found = as_found(list(records.values()), involvements)
    assert (len(found), sum(map(len, found.values()))) == (1619, 2458)
    assert found == pair_records(rows, "event_id", "person_id")
