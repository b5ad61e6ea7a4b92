"""What a build would have said without something: against builds that were made without it, and as stories."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from force import HARM, PARAMS, Force, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance import hinges, whatif
from provenance.asof import Snapshot
from provenance.errors import Malformed, Missing
from provenance.params import Params
from provenance.whatif import Without

pytestmark = pytest.mark.usefixtures("_few_rows")

CUT_OFF, WHEN = "2026-01-11T23:59:59Z", "2026-01-12T09:00"


def graded(record_id: str, *people: str, grade: str = "1C", **cells: str) -> dict[str, Any]:
    """An intelligence report of 3x5x2."""
    said = {"grade_scheme": "3x5x2", "source_grade": grade[0], "assessment_grade": grade[1], "handling": "P"}
    return record(record_id, *people, kind="intelligence", **said, **cells)


def told(folder: Path, *rows: dict[str, Any], name: str = "force", rules: Params = PARAMS) -> tuple[Force, Snapshot]:
    """A force with one build of these records, and the build."""
    force = Force(folder, name)
    force.receive(*rows, cut_off=CUT_OFF)
    force.build(CUT_OFF, rules=rules)
    return force, force.as_of(WHEN)


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Iterator[Snapshot]:
    """ANN - BOB - CAT - DEE; between CAT and DEE there is one report, graded C, and one crime of another system."""
    force, snapshot = told(
        tmp_path_factory.mktemp("chain"),
        record("R-1", "ANN", "BOB"),
        record("R-2", "ANN", "BOB"),
        record("R-3", "ANN", "BOB"),
        record("R-4", "BOB", "CAT", "EVE:victim"),
        record("R-5", "BOB", "CAT"),
        graded("R-6", "CAT", "DEE"),
        record("R-7", "CAT", "DEE", system="LEGACY"),
        record("R-8", "DEE", "FAY"),
    )
    yield snapshot
    force.archive.close()


NET = "SOC-2026-W02-001"


def test_a_link_without_one_of_its_records_is_weaker_and_without_all_of_them_gone(chain):
    (weaker,) = whatif.link(chain, "DEE", "CAT", Without(records=(("CONNECT", "R-6"),)))
    (whole,) = chain.explain("CAT", "DEE")
    assert (weaker["change"], weaker["strength_before"]) == ("weaker", whole["strength"])
    assert weaker["strength_after"] == sum(s["contribution"] for s in whole["supports"] if s["record_id"] != "R-6")
    assert (weaker["records_before"], weaker["records_after"]) == (2, 1)
    assert (weaker["supported_before"], weaker["supported_after"]) == (True, False)
    assert [s["record_id"] for s in weaker["supports_gone"]] == ["R-6"]
    (gone,) = whatif.link(chain, "CAT", "DEE", Without(grades=("C",), systems=("LEGACY",)))
    assert (gone["change"], gone["strength_after"], gone["records_after"]) == ("gone", 0, 0)
    (same,) = whatif.link(chain, "CAT", "DEE", Without(kinds=("custody",)))
    assert (same["change"], same["strength_after"]) == ("unchanged", same["strength_before"])


def test_a_network_falls_apart_into_its_parts_and_says_who_is_in_none(chain):
    said = whatif.network(chain, NET, Without(records=(("CONNECT", "R-4"),)))
    assert (said["change"], said["members"], said["loose"]) == ("splits", 4, [])
    assert [part["members"] for part in said["parts"]] == [["ANN", "BOB"], ["CAT", "DEE"]]
    assert [part["network"] for part in said["parts"]] == [NET, "SOC-without-001"]
    assert said["links_lost"] == [{"a": "BOB", "b": "CAT"}]

    smaller = whatif.network(chain, NET, Without(grades=("1C",)))
    assert (smaller["change"], smaller["loose"]) == ("smaller", ["DEE"])
    ends = whatif.network(chain, NET, Without(systems=("CONNECT",)))
    assert (ends["change"], ends["parts"], ends["loose"]) == ("ends", [], ["ANN", "BOB", "CAT", "DEE"])
    weaker = whatif.network(chain, NET, Without(records=(("CONNECT", "R-3"),)))
    assert (weaker["change"], weaker["links_weaker"], weaker["links_lost"]) == ("unchanged", 1, [])


def test_ranks_before_and_after(chain):
    without = Without(records=(("CONNECT", "R-4"),))
    rows = {row["nominal"]: row for row in whatif.ranking(chain, "severed", without, network=NET).to_pylist()}
    assert {who: (row["before"], row["after"]) for who, row in rows.items()} == {
        "ANN": (0, 0), "BOB": (2, 0), "CAT": (2, 0), "DEE": (0, 0)
    }  # fmt: skip
    assert {who: (row["rank_before"], row["rank_after"]) for who, row in rows.items()} == {
        "ANN": (3, 1), "BOB": (1, 1), "CAT": (1, 1), "DEE": (3, 1)
    }  # fmt: skip
    harm = {r["nominal"]: r for r in whatif.ranking(chain, "harm", without, theme="SOC").to_pylist()}
    days = next(row["weight"] for row in HARM.rows.to_pylist() if row["offence_code"] == "34B")
    assert harm["BOB"]["before"] - harm["BOB"]["after"] == days
    assert (harm["EVE"]["before"], harm["EVE"]["after"], harm["EVE"]["rank_after"]) == (0, None, None)


def test_what_a_network_hangs_on_is_said_worst_first(chain):
    note = hinges.sensitivity(chain, NET)
    assert [(x["record_id"], x["change"], x["parts"], x["loose"]) for x in note["hinges"]] == [
        ("R-4", "splits", [2, 2], 0),
        ("R-5", "splits", [2, 2], 0),
        ("R-6", "smaller", [3], 1),
        ("R-7", "smaller", [3], 1),
    ]  # ANN and BOB have three records, so that none of them matters
    assert note["alone"] == []
    assert [(x["what"], x["change"]) for x in note["without"]] == [
        ("grade C of 3x5x2", "smaller"),
        ("source system CONNECT", "ends"),
        ("source system LEGACY", "smaller"),
    ]


def test_a_network_on_grade_c_alone_says_so(tmp_path):
    _, snapshot = told(tmp_path, graded("R-1", "ANN", "BOB"), graded("R-2", "ANN", "BOB"))
    note = hinges.sensitivity(snapshot, NET)
    assert note["alone"] == ["grade C of 3x5x2", "source system CONNECT"]
    assert [x["change"] for x in note["hinges"]] == ["ends", "ends"]


def test_what_is_not_there_is_missing_and_what_is_no_grade_is_refused(chain):
    with pytest.raises(Missing, match=r"build 2026-W02 has no record of that system and id"):
        whatif.network(chain, NET, Without(records=(("CONNECT", "R-99"),)))
    with pytest.raises(Missing, match="no nominal of that id is shown"):
        whatif.network(chain, NET, Without(nominals=("NOBODY",)))
    with pytest.raises(Malformed, match="source system is not one of this build's: wanted CONNECT, LEGACY"):
        whatif.network(chain, NET, Without(systems=("NICHE",)))
    with pytest.raises(Malformed, match="grade is none of its scheme"):
        Without(grades=("5x5x5:1A",))
    with pytest.raises(Malformed, match="kind of record is not one of crime"):
        Without(kinds=("rumour",))
    with pytest.raises(Malformed, match="nothing is named"):
        whatif.network(chain, NET, Without())
    with pytest.raises(Malformed, match="figure is not one of links"):
        whatif.ranking(chain, "guilt", Without(kinds=("crime",)), theme="SOC")


def test_a_grade_of_one_scheme_is_never_that_of_the_other(tmp_path):
    old = {"kind": "intelligence", "grade_scheme": "5x5x5", "source_grade": "B", "assessment_grade": "1"}
    rows = [graded("R-1", "ANN", "BOB"), record("R-2", "ANN", "BOB", **old, handling="1")]
    _, snapshot = told(tmp_path, *rows)
    for grade, gone in (("C", "R-1"), ("1", "R-1"), ("5x5x5:B", "R-2"), ("5x5x5:1", "R-2"), ("5x5x5:B1", "R-2")):
        (said,) = whatif.link(snapshot, "ANN", "BOB", Without(grades=(grade,)))
        assert [s["record_id"] for s in said["supports_gone"]] == [gone], grade


def test_a_merged_nominal_goes_with_all_of_their_ids(tmp_path):
    force = Force(tmp_path)
    merge = {"from_nominal": "BOBBY", "into_nominal": "BOB", "evidence": "fingerprints"}
    merge |= {"by": "A", "at": "2026-01-06T09:00:00Z"}
    rows = [record("R-1", "ANN", "BOBBY"), record("R-2", "ANN", "BOB"), record("R-3", "ANN", "CAT")]
    force.receive(*rows, cut_off=CUT_OFF, merges=[merge])
    force.build(CUT_OFF)
    said = whatif.network(force.as_of(WHEN), NET, Without(nominals=("BOBBY",)))
    assert (said["change"], said["loose"]) == ("ends", ["ANN", "BOB"])


def test_after_a_disposal_the_rest_is_thought_away_from_what_is_left(tmp_path):
    rows = [record(f"R-{n}", "ANN", "BOB") for n in range(1, 5)]
    force, _ = told(tmp_path, *rows)
    force.dispose("CONNECT R-1", on="2026-01-20T09:00:00Z")
    left = whatif.network(force.as_of(WHEN), NET, Without(records=(("CONNECT", "R-2"),)))
    assert (left["change"], left["links_weaker"]) == ("unchanged", 1)
    with pytest.raises(Missing):
        whatif.network(force.as_of(WHEN), NET, Without(records=(("CONNECT", "R-1"),)))


# ---- any records at all, against a build that was made without -------------------------------------------------------

PEOPLE = [f"N{number}" for number in range(1, 9)]
ROLES = ("suspect", "offender", "victim", "witness", "associate")
ALSO_BY_ASSOCIATE = PARAMS.model_copy(
    update={"networks": PARAMS.networks.model_copy(update={"shared_associate": True})}
)


def world(seed: int) -> list[dict[str, Any]]:
    chance, rows = Random(seed), []
    for number in range(chance.randint(4, 16)):
        people = [f"{who}:{chance.choice(ROLES)}" for who in chance.sample(PEOPLE, chance.choice((1, 2, 2, 2, 3, 4)))]
        system = chance.choice(("CONNECT", "CONNECT", "LEGACY"))
        themes = chance.choice(("SOC", "SOC", "SOC;CL"))
        code = chance.choice(("34B", "", "ZZZ"))
        said = {"system": system, "themes": themes, "offence_code": code}
        if chance.random() < 0.4:
            rows.append(graded(f"R-{number}", *people, grade=chance.choice(("1A", "1C", "2B")), **said))
        else:
            rows.append(record(f"R-{number}", *people, **said))
    return rows


def links_of(view: whatif.View) -> set[tuple[str, str, int, int, bool]]:
    names = view.names.to_pylist()
    columns = (view.a, view.b, view.strength, view.records, view.supported)
    return {
        (names[a], names[b], strength, records, supported)
        for a, b, strength, records, supported in zip(*(column.tolist() for column in columns), strict=True)
        if records
    }


def groups_of(names: list[str], networks: list[str]) -> set[frozenset[str]]:
    pairs = sorted(zip(networks, names, strict=True))
    return {frozenset(n for _, n in group) for id, group in itertools.groupby(pairs, lambda p: p[0]) if id}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), shared=st.booleans())
def test_without_something_is_what_a_build_without_it_says(tmp_path_factory, seed, shared):
    rows, chance, rules = world(seed), Random(seed), ALSO_BY_ASSOCIATE if shared else PARAMS
    folder = tmp_path_factory.mktemp("twins")
    force, snapshot = told(folder, *rows, rules=rules)
    one, nominal = chance.choice(rows), chance.choice(sorted({who for row in rows for who, _ in row["people"]}))
    cases = {
        "record": (
            Without(records=((one["system"], one["record_id"]),)),
            [row for row in rows if row is not one],
        ),
        "nominal": (
            Without(nominals=(nominal,)),
            [row | {"people": [part for part in row["people"] if part[0] != nominal]} for row in rows],
        ),
        "grade": (Without(grades=("C",)), [row for row in rows if row["assessment_grade"] != "C"]),
    }
    for name, (without, left) in cases.items():
        left = [row for row in left if row["people"]]
        if not left or not any(row["kind"] for row in left):
            continue
        other, twin = told(folder, *left, name=name, rules=rules)
        for theme in ("SOC", "CL"):
            then, made = whatif.view(snapshot, theme=theme).without(without), whatif.view(twin, theme=theme)
            assert links_of(then) == links_of(made)
            shown = twin.nominals(theme=theme)
            stored = groups_of(shown["nominal"].to_pylist(), shown["network"].to_pylist())
            assert groups_of(then.names.to_pylist(), then.network.to_pylist()) == stored
            assert measures_of(then) == measures_of(made)
            figures = {row["nominal"]: row for row in shown.to_pylist()}
            if not snapshot.nominals(theme=theme).num_rows:
                continue
            for figure in ("strength", "links", "harm", "harm_unknown", "offending", "victim", "records"):
                ranked = whatif.ranking(snapshot, figure, without, theme=theme).to_pylist()
                found = {row["nominal"]: row["after"] for row in ranked if row["after"]}
                assert found == {who: row[figure] for who, row in figures.items() if row[figure]}, figure
        other.archive.close()
    force.archive.close()


def measures_of(view: whatif.View) -> dict[str, dict[str, int]]:
    return {who: {name: row[name] for name in whatif.MEASURES} for who, row in view.measured.items()}


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), shared=st.booleans())
def test_a_network_hangs_on_the_records_that_trying_each_finds(tmp_path_factory, seed, shared):
    rules = ALSO_BY_ASSOCIATE if shared else PARAMS
    force, snapshot = told(tmp_path_factory.mktemp("hinges"), *world(seed), rules=rules)
    for network in snapshot.networks()["network"].to_pylist():
        view = whatif.view(snapshot, network=network)
        tried = {}
        for row in view.supports.select(["system", "record_id"]).to_pylist():
            key = row["system"], row["record_id"]
            said = whatif.network(snapshot, network, Without(records=(key,)))
            if said["change"] in ("ends", "splits", "smaller"):
                tried[key] = said["change"], [len(part["members"]) for part in said["parts"]], len(said["loose"])
        note = hinges.sensitivity(snapshot, network)
        found = {(x["system"], x["record_id"]): (x["change"], x["parts"], x["loose"]) for x in note["hinges"]}
        assert found == tried
    force.archive.close()
