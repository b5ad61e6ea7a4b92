"""Every figure of a person is a list or a formula: it adds up and is what was stored, or it says why it cannot be."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import networkx
import pyarrow as pa
import pytest
from click.testing import CliRunner
from force import HARM, PARAMS, Force, record
from test_real_data import build, rules_for, take

from pipeline.sample import weeks
from pipeline.sample.plan import Plan
from pipeline.sources import infinito_summits
from provenance import counted, explaining, hinges, influence, moments, whatif
from provenance.asof import Snapshot
from provenance.cli import main
from provenance.errors import Malformed, Missing, Tampered
from provenance.tables import TABLES

pytestmark = pytest.mark.usefixtures("_few_rows")

CUT_OFF, WHEN = "2026-01-11T23:59:59Z", "2026-01-12T09:00"
DAYS = {row["offence_code"]: row["weight"] for row in HARM.rows.to_pylist()}
NET = "SOC-2026-W02-001"


def told(folder: Path, *rows: dict[str, Any]) -> Force:
    force = Force(folder)
    force.receive(*rows, cut_off=CUT_OFF)
    force.build(CUT_OFF)
    return force


def figures(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {said["figure"]: said for said in row["figures"]}


@pytest.fixture(scope="module")
def force(tmp_path_factory) -> Iterator[Force]:
    made = told(
        tmp_path_factory.mktemp("explained"),
        record("R-1", "ANN", "BOB:victim"),
        record("R-2", "ANN", "BOB:victim"),
        record("R-3", "ANN:suspect+victim", "CAT", offence_code="NO-SUCH"),
        record("R-4", "ANN:arrested", "CAT", kind="custody", offence_code="34B"),
        record("R-5", "ANN", "DEE", status="cancelled"),
        record("R-6", "CAT", "DEE:witness"),
        record("R-7", "CAT", "DEE"),
    )
    yield made
    made.archive.close()


@pytest.fixture(scope="module")
def ann(force) -> dict[str, Any]:
    (row,) = explaining.person(force.as_of(WHEN), "ANN")
    return row


def test_harm_is_explained_offence_by_offence_and_a_victims_is_never_theirs(force, ann):
    days = {r["record_id"]: (r["harm_days"], r["harm"]) for r in ann["records"]}
    assert days == {
        "R-1": (DAYS["34B"], "counted"),
        "R-2": (DAYS["34B"], "counted"),
        "R-3": (0, "unknown code"),
        "R-4": (0, "role bears none"),  # the crime of which it is the arrest is counted, and not twice
    } | ({} if "R-5" in {r["record_id"] for r in ann["left_out"]} else {"R-5": (DAYS["34B"], "counted")})
    assert figures(ann)["harm"]["worked_out"] == sum(d for d, _ in days.values()) == figures(ann)["harm"]["stored"]
    assert "in edition illustrative" in figures(ann)["harm"]["how"]
    assert figures(ann)["harm_unknown"]["stored"] == 1

    (bob,) = explaining.person(force.as_of(WHEN), "BOB")
    assert [(r["counted_as"], r["harm_days"], r["harm"]) for r in bob["records"]] == [(["victim"], 0, "not theirs")] * 2
    assert (bob["victim_only"], figures(bob)["harm"]["worked_out"]) == (1, 0)


def test_links_are_split_by_kind_and_grade_and_add_up(ann):
    by = {x["with"]: x for x in ann["links"]}
    assert sum(x["strength"] for x in ann["links"]) == figures(ann)["strength"]["stored"]
    for link in ann["links"]:
        for split in ("by_kind", "by_grade"):
            assert sum(part["points"] for part in link[split]) == link["strength"]
    assert [part["kind"] for part in by["CAT"]["by_kind"]] == ["crime", "custody"]
    assert by["CAT"]["supported"] == 1


def test_a_network_is_explained_by_its_rule_and_by_who_holds_the_person_in_it(ann):
    assert ann["rule"].startswith("A link is supported when it rests on at least 2 distinct records and 1 points")
    assert [x["with"] for x in figures(ann)["network"]["held_by"]] == ["BOB", "CAT"]
    assert figures(ann)["severed"]["pieces"] == [2, 1]
    assert figures(ann)["severed"]["how"] == "(3^2 - 2^2 - 1^2) / 2, for 4 members"
    assert figures(ann)["severed"]["worked_out"] == 2
    assert figures(ann)["reach_two"]["associates_of_associates"] == ["DEE"]


def test_what_it_was_worked_out_to_is_held_against_what_was_stored(force, monkeypatch):
    snapshot = force.as_of(WHEN)
    stored = snapshot.nominals(nominal="ANN")
    for name in ("harm", "strength", "records", "victim"):
        place = stored.column_names.index(name)
        false = stored.set_column(place, name, [[stored[name][0].as_py() + 1]])
        monkeypatch.setattr(snapshot, "nominals", lambda said=false, **_: said)
        with pytest.raises(Tampered, match=f"figure {name} of a person in theme SOC of build 2026-W02 is"):
            explaining.person(snapshot, "ANN")


def test_after_a_disposal_a_figure_cannot_be_worked_out_again_and_says_so(tmp_path):
    made = told(tmp_path, *(record(f"R-{n}", "ANN", "BOB") for n in range(1, 5)))
    made.dispose("CONNECT R-1", on="2026-01-20T09:00:00Z")
    (row,) = explaining.person(made.as_of(WHEN), "ANN")
    said = figures(row)
    assert said["records"]["stored"] is None
    assert said["records"]["status"].startswith("cannot be worked out again: ")
    assert "since been disposed of, reduced or restricted" in said["records"]["status"]
    assert {held["status"] == "agrees" for held in row["figures"]} == {False}
    assert row["links"][0]["reduced"] == 1
    made.archive.close()


def test_without_the_table_of_that_edition_harm_is_not_guessed(tmp_path):
    made = told(tmp_path, record("R-1", "ANN", "BOB"))
    made.archive.harm_file(HARM.sha256).unlink()
    with pytest.raises(Missing, match="harm table is missing: edition illustrative"):
        explaining.person(made.as_of(WHEN), "ANN")
    made.archive.close()


def test_who_is_not_there_and_what_is_no_figure(force):
    with pytest.raises(Missing):
        explaining.person(force.as_of(WHEN), "NOBODY")
    with pytest.raises(Missing, match="has no figures of that nominal in CL"):
        explaining.person(force.as_of(WHEN), "ANN", theme="CL")
    with pytest.raises(Malformed, match="figure 'guilt' is not one of records"):
        explaining.person(force.as_of(WHEN), "ANN", figure="guilt")


def test_every_figure_of_a_row_has_its_sentence(ann):
    named = set(TABLES["nominal"].columns.names) - {"theme", "nominal", "harm_edition", "severity_edition"}
    assert named | set(whatif.MEASURES) | set(explaining.VIEWS) >= set(figures(ann)) >= named
    assert set(explaining.MEANS) == set(figures(ann))


def test_a_subgroup_is_marked_as_a_view_and_is_what_was_sealed(tmp_path, monkeypatch):
    """Two crowds of four who share one link: Leiden parts them there."""
    crowds = [itertools.combinations(names, 2) for names in ("ABCD", "EFGH")]
    pairs = [*itertools.chain(*crowds), ("D", "E")]
    made = told(tmp_path, *(record(f"R-{n}-{k}", *pair) for n, pair in enumerate(pairs) for k in "12"))
    snapshot = made.as_of(WHEN)
    (row,) = explaining.person(snapshot, "A", figure="subgroup")
    (said,) = row["figures"]
    assert (said["status"], said["is_view"], said["stored"]) == ("worked out", 1, None)
    assert said["means"].startswith("A view to look at, and never a fact")
    assert said["subgroup_of"] == list("ABCD")
    others = {who: figures(explaining.person(snapshot, who)[0])["subgroup"]["worked_out"] for who in "AE"}
    assert others == {"A": 1, "E": 2}
    monkeypatch.setattr(influence, "subgroups", lambda names, *_, **__: pa.table({"subgroup": [1] * 7 + [2]}))
    with pytest.raises(Tampered, match="measures in a network of theme SOC of build 2026-W02 have the digest"):
        explaining.person(snapshot, "A")
    made.archive.close()


def test_a_network_is_explained_and_held_against_what_was_stored(force, monkeypatch):
    snapshot = force.as_of(WHEN)
    said = explaining.network(snapshot, NET)
    stored = snapshot.networks(network=NET).to_pylist()[0]
    assert {f["figure"]: f["worked_out"] for f in said["figures"]} == {name: stored[name] for name in figures(said)}
    assert {f["status"] for f in said["figures"]} == {"agrees"}
    assert said["people"] == ["ANN", "BOB", "CAT", "DEE"]
    harm = sorted((row["harm"] for row in snapshot.nominals(network=NET).to_pylist()), reverse=True)
    assert figures(said)["harm"]["how"].endswith(f"{' + '.join(f'{days:,}' for days in harm)} = {sum(harm):,}")
    assert said["hangs_on"] == hinges.sensitivity(snapshot, NET)
    whole = snapshot.networks(network=NET)
    for name in explaining.OF_NETWORK:
        false = whole.set_column(whole.column_names.index(name), name, [[whole[name][0].as_py() + 1]])
        monkeypatch.setattr(snapshot, "networks", lambda said=false, **_: said)
        with pytest.raises(Tampered, match=f"figure {name} of a network in theme SOC of build 2026-W02 is"):
            explaining.network(snapshot, NET)


def test_after_a_disposal_a_network_is_not_worked_out_again_and_says_so(tmp_path):
    made = told(tmp_path, *(record(f"R-{n}", "ANN", "BOB") for n in range(1, 5)))
    made.dispose("CONNECT R-1", on="2026-01-20T09:00:00Z")
    said = explaining.network(made.as_of(WHEN), NET)
    assert {f["stored"] for f in said["figures"]} == {None}
    assert all(f["status"].startswith("cannot be worked out again: ") for f in said["figures"])
    made.archive.close()


def test_what_a_link_hangs_on_alone(tmp_path):
    weak = {"kind": "intelligence", "grade_scheme": "3x5x2", "source_grade": "1", "handling": "P", "offence_code": ""}
    made = told(
        tmp_path,
        record("R-1", "ANN", "BOB", **weak, assessment_grade="C"),
        record("R-2", "ANN", "CAT", **weak, assessment_grade="C"),
        record("R-3", "ANN", "CAT", **weak, assessment_grade="C"),
        record("R-4", "ANN", "DEE", **weak, assessment_grade="B"),
        record("R-5", "ANN", "DEE", system="LEGACY"),
    )
    snapshot = made.as_of(WHEN)
    found = {who: explaining.link(snapshot, "ANN", who)[0]["alone"] for who in ("BOB", "CAT", "DEE")}
    grade, system = "grade C of 3x5x2", "source system CONNECT"
    assert found == {"BOB": ["record CONNECT R-1", grade, system], "CAT": [grade, system], "DEE": []}
    made.archive.close()


# ---- key players -----------------------------------------------------------------------------------------------------


def test_key_players_stand_side_by_side_and_a_victim_is_said_to_be_one(force):
    said = explaining.key_players(force.as_of(WHEN), network=NET)
    assert [m["measure"] for m in said["measures"]] == [*explaining.PLAYERS, explaining.WITHIN]
    assert all(m["means"] and m["how"] for m in said["measures"])
    assert not any("score" in key for key in keys(said))
    people = {x["nominal"]: x for x in said["side_by_side"]}
    assert {who for who, x in people.items() if x["victim_only"]} == {"BOB"}
    severed = next(m for m in said["measures"] if m["measure"] == "severed")
    assert [(x["rank"], x["nominal"], x["figure"]) for x in severed["first"]] == [(1, "ANN", 2), (1, "CAT", 2)]
    across = explaining.key_players(force.as_of(WHEN), theme="SOC")
    assert explaining.WITHIN not in [m["measure"] for m in across["measures"]]
    with pytest.raises(Malformed, match="within one network or one theme"):
        explaining.key_players(force.as_of(WHEN))


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


# ---- everybody -------------------------------------------------------------------------------------------------------


def everybody(snapshot: Snapshot, people: list[str]) -> int:
    """Explain people one by one; each figure that is stored agrees, and is a sum of what is listed."""
    seen = 0
    for who in people:
        for row in explaining.person(snapshot, who):
            said = figures(row)
            assert {held["status"] for held in said.values()} <= {"agrees", "worked out"}
            listed, links = row["records"], row["links"]
            assert said["records"]["stored"] == len(listed)
            assert said["harm"]["stored"] == sum(r["harm_days"] for r in listed)
            assert said["strength"]["stored"] == sum(part["points"] for x in links for part in x["by_kind"])
            if row["network"]:
                _by_hand(snapshot, row, said)
            seen += 1
    return seen


def _by_hand(snapshot: Snapshot, row: dict[str, Any], said: dict[str, Any]) -> None:
    """The measures of a person, by networkx over the links that make the network."""
    graph, who = networkx.Graph(), row["nominal"]
    rule = counted.rules(snapshot).networks
    for link in snapshot.links(network=row["network"]).to_pylist():
        if link["records"] >= rule.least_records and link["strength"] >= rule.least_strength:
            graph.add_edge(link["a"], link["b"])
    assert said["core"]["worked_out"] == networkx.core_number(graph)[who]
    assert said["triangles"]["worked_out"] == networkx.triangles(graph, who)
    held = networkx.single_source_shortest_path_length(graph, who, cutoff=2)
    assert said["reach_two"]["worked_out"] == len(held) - 1
    assert {x["with"] for x in said["network"]["held_by"]} == set(graph[who])
    graph.remove_node(who)
    pieces = sorted(map(len, networkx.connected_components(graph)), reverse=True)
    assert said["severed"]["pieces"] == pieces
    assert said["severed"]["worked_out"] == sum(x * y for x, y in itertools.combinations(pieces, 2))


def test_everybody_of_the_sample_force(tmp_path):
    plan = Plan(records=1_000, weeks=2, seed=7, monday=date(2025, 11, 17))
    weeks.write(plan, tmp_path / "told")
    made = Force(tmp_path)
    for folder in sorted((tmp_path / "told").iterdir()):
        cut_off, _ = take(made, folder, PARAMS)
        build(made, PARAMS, cut_off)
    snapshot = made.as_of(moments.utc(plan.cut_off(1)))
    people = sorted(set(snapshot.nominals()["nominal"].to_pylist()))
    assert everybody(snapshot, people) == snapshot.nominals().num_rows > 100
    made.archive.close()


def test_everybody_of_infinito(shared, tmp_path):
    infinito_summits.adapt(shared / "data" / "infinito_summits", tmp_path / "told", seed=1, step=lambda _: None)
    rules, made = rules_for(infinito_summits.SYSTEMS), Force(tmp_path)
    cut_off, _ = take(made, tmp_path / "told" / "infinito_summits", rules)
    build(made, rules, cut_off)
    snapshot = made.as_of(cut_off)
    people = sorted(set(snapshot.nominals()["nominal"].to_pylist()))
    assert everybody(snapshot, people) == snapshot.nominals().num_rows > 100
    made.archive.close()


# ---- at the terminal -------------------------------------------------------------------------------------------------


def page(force: Force, *arguments: str) -> str:
    asked = ["--archive", str(force.root), "--keys", str(force.keys), *arguments]
    done = CliRunner().invoke(main, asked, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_pages_fit_eighty_columns_and_say_what_json_says(force):
    asked = {
        "person": ["explain", "ANN", "--as-of", WHEN],
        "figure": ["explain", "ANN", "--as-of", WHEN, "--figure", "severed"],
        "link": ["explain", "ANN", "CAT", "--as-of", WHEN, "--without-record", "CONNECT", "R-4"],
        "network": ["explain", "--network", NET, "--as-of", WHEN, "--without-nominal", "ANN"],
        "ranks": ["explain", "CAT", "--as-of", WHEN, "--without-kind", "custody", "--figure", "victim"],
        "players": ["asof", WHEN, "--network", NET, "--key-players"],
        "note": ["asof", WHEN, "--network", NET],
        "whole": ["explain", "--network", NET, "--as-of", WHEN],
        "pair": ["explain", "ANN", "CAT", "--as-of", WHEN],
        "view": ["explain", "ANN", "--as-of", WHEN, "--figure", "subgroup"],
    }
    shown = {name: page(force, *arguments) for name, arguments in asked.items()}
    for name, text in shown.items():
        # A root is one word of 64 characters after its name: it stays whole.
        wide = [line for line in text.splitlines() if len(line.rstrip()) > 80 and "links_root" not in line]
        assert not wide, name
    said = {name: json.loads(page(force, *arguments, "--json")) for name, arguments in asked.items()}
    assert "severed 2" in shown["figure"]
    assert "strength" not in shown["figure"].split("severed")[1]
    assert [f["figure"] for f in said["figure"]["figures_of"][0]["figures"]] == ["severed"]
    assert "weaker: 100 points from 1 record" in shown["link"]
    assert said["link"]["links_without"][0]["strength_after"] == 100
    assert "It would be smaller: 2 fall out of it, 2 stay" in " ".join(shown["network"].split())
    assert said["network"]["networks_without"][0]["change"] == "smaller"
    assert "VICTIM" in shown["players"]
    assert "they are not added up" in " ".join(shown["players"].split())
    assert said["note"]["hangs_on"]["hinges"][0]["change"] == "splits"
    assert "What network" in shown["note"]
    assert said["whole"]["figures_of_network"]["hangs_on"] == said["note"]["hangs_on"]
    assert "\nmembers 4\n" in shown["whole"]
    assert f"What network {NET} hangs on" in shown["whole"]
    assert said["pair"]["links"][0]["alone"] == ["source system CONNECT"]
    assert "It rests on source system CONNECT alone." in shown["pair"]
    assert "subgroup 1 (a view, not a fact)" in shown["view"]
    assert "In it: ANN, BOB, CAT, DEE." in shown["view"]
    assert said["ranks"]["person_without"][0]["figures"]["victim"]["before"] == 0


def test_a_merge_that_was_not_made_is_said_where_it_concerns_the_person(tmp_path):
    force = Force(tmp_path)
    merges = [
        {"from_nominal": who, "into_nominal": "BOB", "evidence": evidence, "by": "DS [7]", "at": f"2026-01-0{day}"}
        for who, evidence, day in (("ANN", "fingerprints", 6), ("CAT", "same name and DOB", 7), ("ANN", "CCTV", 9))
    ]
    merges.append(merges[0] | {"into_nominal": "split", "evidence": "DNA", "by": "DS 8", "at": "2026-01-08"})
    rows = [record(f"R-{n}", *people) for n, people in enumerate((("ANN", "BOB"), ("ANN", "BOB"), ("CAT", "DEE")))]
    force.receive(*rows, cut_off=CUT_OFF, merges=merges)
    force.build(CUT_OFF)
    force.archive.close()
    proposed = "was proposed on {} January 2026, 00:00 GMT by DS [7], and was not made: {}"
    apart = f"A merge of ANN into BOB {proposed.format(9, 'the two had been judged to be different people. ')}"
    weak = f"A merge of CAT into BOB {proposed.format(7, 'a name and a date of birth alone merge no one. ')}"
    for arguments, wanted in (
        (["explain", "ANN", "--as-of", WHEN], {"CCTV": apart}),
        (["explain", "ANN", "BOB", "--as-of", WHEN], {"CCTV": apart, "same name and DOB": weak}),
        (["asof", WHEN, "--nominal", "CAT"], {"same name and DOB": weak}),
        (["asof", WHEN, "--nominal", "DEE"], {}),
    ):
        told = json.loads(page(force, *arguments, "--json"))["merges_not_made"]
        assert {row["evidence"] for row in told} == set(wanted), arguments
        shown = " ".join(page(force, *arguments).split())
        assert shown.count("A merge of") == len(wanted), arguments
        assert all(f"{words}Its evidence: {evidence}" in shown for evidence, words in wanted.items()), shown


def test_what_cannot_be_asked_is_said(force):
    for arguments in (
        ["explain"],
        ["explain", "ANN", "--network", NET],
        ["explain", "--network", NET, "--figure", "harm"],
        ["explain", "ANN", "CAT", "--theme", "SOC"],
        ["asof", WHEN, "--key-players"],
    ):
        asked = ["--archive", str(force.root), "--keys", str(force.keys), *arguments]
        assert CliRunner().invoke(main, asked).exit_code == 2, arguments
