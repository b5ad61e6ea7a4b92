"""Places are areas with counts that anybody can add up again; boundaries are whole, or refused by feature."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
from collections import defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner
from force import HARM, PARAMS, ROOT, Force, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance import geography
from provenance.archive import Archive
from provenance.cli import main
from provenance.errors import Malformed, Missing, Tampered

CUT_OFF = "2026-01-12T00:00:00Z"
ROBBERY = next(row["weight"] for row in HARM.rows.to_pylist() if row["offence_code"] == "34B")
STORY = (
    record("R-1", "ANN", "BEN:victim", place="E05001178", offence_code="34B"),
    record("R-2", "ANN", "BEN", place="E05001178", offence_code="99Z"),
    record("R-3", "ANN:victim", "CAT:witness", place="E05001178", offence_code="34B"),
    record("R-4", "BEN:arrested", "ANN:arrested", place="E05001179", kind="custody", offence_code="34B"),
    record("R-5", "DAN", "EVE", place="NOWHERE", offence_code="34B"),
    record("R-6", "DAN", "EVE", place="", offence_code="34B", themes="SOC;CL"),
    record("R-7", "DAN", place="E05001180"),  # links nobody
)


def force_of(folder: Path, *rows) -> Force:
    force = Force(folder)
    force.receive(*rows, cut_off=CUT_OFF)
    force.build(CUT_OFF)
    return force


def counted(table) -> dict[tuple[str, str, str], tuple[int, int, int, int]]:
    return {
        (row["theme"], row["network"], row["place"]): tuple(
            row[name] for name in ("records", "people", "harm", "harm_unknown")
        )
        for row in table.to_pylist()
    }


def test_places_of_a_network_a_person_and_whole_areas(tmp_path):
    snapshot = force_of(tmp_path, *STORY).as_of(CUT_OFF)
    of = dict(snapshot.nominals(theme="SOC").select(["nominal", "network"]).to_pandas().to_numpy().tolist())
    ours, theirs = of["ANN"], of["DAN"]
    assert ours == of["BEN"] != theirs
    assert of["CAT"] == ""  # one record is not enough
    whole = {
        ("CL", "", ""): (1, 2, ROBBERY, 0),
        ("SOC", "", "E05001178"): (1, 2, 0, 0),  # a victim and a witness: the harm is not counted
        ("SOC", ours, "E05001178"): (2, 2, ROBBERY, 1),
        ("SOC", ours, "E05001179"): (1, 2, 0, 0),  # the custody of the same offence
        ("SOC", theirs, ""): (1, 2, ROBBERY, 0),
        ("SOC", theirs, "NOWHERE"): (1, 2, ROBBERY, 0),
    }
    found = snapshot.places()
    assert found.schema == geography.PLACES
    assert counted(found) == whole
    assert counted(snapshot.places(network=ours)) == {key: row for key, row in whole.items() if key[1] == ours}
    assert counted(snapshot.places(theme="CL")) == {key: row for key, row in whole.items() if key[0] == "CL"}
    assert counted(snapshot.places(nominal="CAT")) == {("SOC", "", "E05001178"): (1, 2, 0, 0)}
    assert counted(snapshot.places(by=())) == {
        ("", "", ""): (1, 2, ROBBERY, 0),  # R-6 is in two themes, and one record
        ("", "", "E05001178"): (3, 3, ROBBERY, 1),
        ("", "", "E05001179"): (1, 2, 0, 0),
        ("", "", "NOWHERE"): (1, 2, ROBBERY, 0),
    }
    assert found.equals(snapshot.places())
    with pytest.raises(Missing, match="has no network of that id"):
        snapshot.places(network="SOC-1999-W01-001")
    with pytest.raises(Missing, match="no nominal of that id"):
        snapshot.places(nominal="ZOE")


def test_what_was_disposed_of_is_in_no_place(tmp_path):
    force = force_of(tmp_path, *STORY)
    force.dispose("CONNECT R-4", "DAN", on=CUT_OFF)
    assert {row["place"] for row in force.as_of(CUT_OFF).places(by=()).to_pylist()} == {"E05001178"}


def test_a_build_without_links_has_no_places(tmp_path):
    assert force_of(tmp_path, STORY[-1]).as_of(CUT_OFF).places().num_rows == 0


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["E1", "E2", ""]),
            st.sampled_from(["34B", "99Z", ""]),
            st.dictionaries(st.sampled_from("ABCD"), st.sampled_from(["suspect", "victim", "arrested"]), min_size=2),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_places_are_the_slow_obvious_counts(tmp_path_factory, rows):
    force = force_of(
        tmp_path_factory.mktemp("twin"),
        *(
            record(f"R-{n}", *(f"{who}:{role}" for who, role in people.items()), place=place, offence_code=code)
            for n, (place, code, people) in enumerate(rows)
        ),
    )
    snapshot = force.as_of(CUT_OFF)
    network = {row["nominal"]: row["network"] for row in snapshot.nominals().to_pylist()}
    met, people_at, harmful = defaultdict(set), defaultdict(set), set()
    for n, (place, _, people) in enumerate(rows):
        for a in people:
            for b in people:
                if a < b:
                    key = "SOC", network[a] if network[a] == network[b] else "", place
                    met[key].add(n)
                    people_at[key] |= {a, b}
                    if "suspect" in (people[a], people[b]):
                        harmful.add((key, n))
    days = {row["offence_code"]: row["weight"] for row in HARM.rows.to_pylist()}
    wanted = {
        key: (
            len(numbers),
            len(people_at[key]),
            sum(days.get(rows[n][1], 0) for n in numbers if (key, n) in harmful),
            sum(rows[n][1] not in days for n in numbers if (key, n) in harmful),
        )
        for key, numbers in met.items()
    }
    assert counted(snapshot.places()) == wanted
    force.archive.close()


# ---- boundaries ------------------------------------------------------------------------------------------------------

SQUARE = [[-1.9, 52.4], [-1.8, 52.4], [-1.8, 52.5], [-1.9, 52.4]]


def area(code, ring=SQUARE, name="Here", kind="Polygon"):
    coordinates = [ring] if kind == "Polygon" else [[ring]]
    return {
        "type": "Feature", "properties": {"code": code, "name": name},
        "geometry": {"type": kind, "coordinates": copy.deepcopy(coordinates)},
    }  # fmt: skip


def written(folder: Path, *features, **more) -> Path:
    path = folder / "areas.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features), **more}))
    return path


def read(path: Path, **said) -> geography.Boundaries:
    return geography.read_boundaries(path, code_property="code", name_property="name", **said)


@pytest.mark.parametrize(
    ("file", "code", "name", "areas", "first"),
    [
        ("west_midlands_wards", "WD13CD", "WD13NM", 163, ("E05001178", "Acocks Green")),
        ("west_midlands_lsoa", "LSOA11CD", "LSOA11NM", 1_680, ("E01008881", "Birmingham 067A")),
    ],
)
def test_the_published_boundaries_are_read(shared, file, code, name, areas, first):
    path = shared / "data" / "wm_geography" / f"{file}.geojson.gz"
    found = geography.read_boundaries(path, code_property=code, name_property=name)
    assert (len(found.codes), found.codes) == (areas, tuple(sorted(found.codes)))
    assert found.names[found.codes.index(first[0])] == first[1]
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_areas_are_in_the_order_of_their_codes_and_pinned(tmp_path):
    path = written(tmp_path, area("B", kind="MultiPolygon"), area("A", name="There"))
    found = read(path, attribution="Crown copyright")
    assert (found.codes, found.names, found.attribution) == (("A", "B"), ("There", "Here"), "Crown copyright")
    assert read(path, sha256=found.sha256).codes == ("A", "B")
    with pytest.raises(
        Tampered, match=f"boundary file is not the pinned one: areas.geojson is {found.sha256}, pinned 0"
    ):
        read(path, sha256="0" * 64)
    with pytest.raises(Missing, match="boundary file is missing: wanted absent"):
        read(tmp_path / "absent")


@pytest.mark.parametrize(
    ("feature", "says"),
    [
        (area(None), "boundary has no area code: areas.geojson, feature 2: found None in property code, wanted text"),
        (area(7), "found 7 in property code"),
        (area(" E1"), "found ' E1' in property code"),
        (area("E1"), "boundary code stands twice: areas.geojson, feature 2: found E1"),
        (area("E2", name=None), "boundary has no name: areas.geojson, feature 2, area E2: found None in property name"),
        (area("E2", SQUARE[:3]), "ring is too short: areas.geojson, feature 2, area E2, ring 1: found 3 positions"),
        (area("E2", [*SQUARE, [-1.7, 52.4]]), "ring is not closed: areas.geojson, feature 2, area E2, ring 1: begins "
                                             "at -1.9, 52.4 and ends at -1.7, 52.4"),
        (area("E2", [[406_000, 286_000]] * 4), "lies outside the world: areas.geojson, feature 2, area E2, ring 1: "
                                               "found 406000, 286000, wanted degrees of longitude"),
        (area("E2", [[0, 91]] * 4), "found 0, 91, wanted degrees"),
        (area("E2", [[0, "x"]] * 4), "ring is torn"),
        (area("E2", [[0]] * 4), "ring is torn"),
        (area("E2", [[0, 0], [1], [1, 1], [0, 0]]), "ring is torn"),
        (area("E2", None), "ring is torn"),
        ({"type": "Point"}, "boundary is not a feature: areas.geojson, feature 2: wanted an object of type Feature"),
        (area("E2") | {"geometry": None}, "boundary is not an area: areas.geojson, feature 2, area E2: found None"),
        (area("E2") | {"geometry": {"type": "Point", "coordinates": [0, 0]}}, "found Point, wanted Polygon or Multi"),
        (area("E2") | {"geometry": {"type": "Polygon", "coordinates": []}}, "boundary has no rings"),
        (area("E2") | {"geometry": {"type": "MultiPolygon", "coordinates": [[]]}}, "boundary has no rings"),
    ],
)  # fmt: skip
def test_a_bad_feature_is_named(tmp_path, feature, says):
    with pytest.raises(Malformed) as caught:
        read(written(tmp_path, area("E1"), feature))
    assert says in str(caught.value)


def test_a_file_that_is_no_collection_is_refused(tmp_path):
    path = tmp_path / "areas.geojson"
    for text, says in (("[]", "found list"), ("{}", "found None"), ('{"type": "Feature"}', "found Feature")):
        path.write_text(text)
        with pytest.raises(Malformed, match=f"boundary file is not a FeatureCollection: areas.geojson: {says}"):
            read(path)
    for name, data in (("a.geojson", b"{"), ("a.geojson.gz", b"{}"), ("b.gz", gzip.compress(b"[" * 9)[:-9])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(Malformed, match=f"boundary file is not JSON: {name}"):
            read(tmp_path / name)


# ---- for whoever may know no one -------------------------------------------------------------------------------------

PRICED = ("harm", "harm_unknown", "severity", "severity_unknown")


def test_an_area_is_told_where_both_its_counts_may_be_and_harm_never_is():
    told = {"records": {"A": 5, "B": 10, "D": 5, "": 15}, "people": {"A": 5, "C": 10, "D": 10, "": 5}}
    found = geography.as_told(told)
    shown = [(row["place"], row["records"], row["people"]) for row in found.to_pylist()]
    assert shown == [("", 15, 5), ("A", 5, 5), ("D", 5, 10)]
    assert {value for name in PRICED for value in found[name].to_pylist()} == {None}
    assert geography.as_told({"records": {}, "people": {}}).num_rows == 0


def test_the_command_for_an_auditor_says_no_small_count(tmp_path):
    met = [record(f"R-{n}", "ANN", "BEN", f"P{n}", place="E05001178") for n in range(5)]
    force = force_of(tmp_path, *met, record("R-9", *"ABCDEF", place="E05001179"), record("R-10", "X", "Y"))
    force.archive.close()

    def run(*arguments: str):
        return CliRunner().invoke(main, ["--archive", str(force.root), "places", CUT_OFF, "--suppress", *arguments])

    text = (ROOT / "params.yaml").read_text()
    (force.root / "params.yaml").write_text(text.replace("suppression:\n  least_count: 5\n", ""))
    assert (told := run()).exit_code == 7
    assert "names no least count under suppression" in told.output
    (force.root / "params.yaml").write_text(text)
    said = json.loads(run("--json").output)
    # Seven people are told as five; an area with one record is not told of at all, not even that it has any.
    assert [(row["place"], row["records"], row["people"]) for row in said["areas"]] == [("E05001178", 5, 5)]
    assert {row["harm"] for row in said["areas"]} == {None}
    assert said["least_count"] == 5
    assert said["networks"] == []
    assert not {"disposed", "left_out"} & set(said)
    shown = run().output
    assert max(map(len, shown.splitlines())) <= 80
    words = " ".join(shown.split())
    assert "Those under 5 are not shown" in words
    assert "E05001179" not in shown
    with Archive(force.root, force.keys) as archive:
        acts = archive.acts(["Issued"])
        assert [(act.report, act.number) for act in acts] == [("areas", 1), ("areas", 2)]
    assert "Since then" not in words
    assert "harm days" not in words
    for other in (("--theme", "SOC"), ("--nominal", "ANN"), ("--case", "24/0113")):
        assert run(*other).exit_code == 2, other


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command_writes_areas_and_lists_the_unknown(tmp_path, shared):
    force = force_of(tmp_path, *STORY)
    force.archive.close()
    source = shared / "data" / "wm_geography" / "west_midlands_wards.geojson.gz"
    (force.root / source.name).write_bytes(source.read_bytes())
    params = (ROOT / "params.yaml").read_text()
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    where = f"""
geography:
  file: {source.name}
  sha256: {digest}
  code_property: WD13CD
  name_property: WD13NM
  attribution: Contains National Statistics data
"""

    def run(*arguments: str):
        return CliRunner().invoke(main, ["--archive", str(force.root), "places", CUT_OFF, *arguments])

    (force.root / "params.yaml").write_text(params)
    bare = run()
    assert bare.exit_code == 0, bare.output
    assert "E05001178" in bare.output
    assert "Acocks Green" not in bare.output
    refused = run("--geojson", str(tmp_path / "map.geojson"))
    assert refused.exit_code == 7
    assert "names no boundaries under geography" in refused.output
    (force.root / "params.yaml").write_text(params + where)
    shown = run("--geojson", str(tmp_path / "map.geojson"))
    assert shown.exit_code == 0, shown.output
    for words in ("Acocks Green", "No boundary for 2: (none recorded), NOWHERE", "Contains National Statistics data"):
        assert words in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    drawn = json.loads((tmp_path / "map.geojson").read_bytes())
    assert drawn["unknown_areas"] == ["", "NOWHERE"]
    by_code = {feature["properties"]["place"]: feature for feature in drawn["features"]}
    assert sorted(by_code) == ["", "E05001178", "E05001179", "NOWHERE"]
    assert by_code["NOWHERE"]["geometry"] is None
    assert by_code["E05001178"]["geometry"]["type"] == "Polygon"
    here = by_code["E05001178"]["properties"]
    assert (here["name"], here["records"], here["harm"], here["known"]) == ("Acocks Green", 3, ROBBERY, 1)
    assert sum(row["records"] for row in here["networks"]) == 3
    said = json.loads(run("--theme", "CL", "--json").output)
    assert [(row["place"], row["records"]) for row in said["areas"]] == [("", 1)]
    assert (said["asked"], said["unknown_areas"]) == ({"theme": "CL"}, [""])
    again = run("--geojson", str(tmp_path / "map.geojson"))
    assert again.exit_code == 6
    assert not PARAMS.geography
