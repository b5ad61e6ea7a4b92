"""A what-if on params: what it did, and that the archive does not know of it."""

from __future__ import annotations

import pytest
from force import PARAMS, Force, record

from provenance.api import Archive
from provenance.errors import Malformed

WEEK = "2026-01-11T23:59:59Z"


@pytest.fixture(scope="module")
def force(tmp_path_factory):
    force = Force(tmp_path_factory.mktemp("experiment"))
    force.receive(
        record("R-1", "N-1", "N-2"), record("R-2", "N-1", "N-2"), record("R-3", "N-3", "N-4:witness"), cut_off=WEEK
    )
    force.build(WEEK)
    return force


def test_a_weight_one_point_up_is_one_point_on_each_record_and_nothing_else(force):
    points = PARAMS.links.kind_points["crime"]
    found = Archive(force.archive).experiment("2026-W02", params={"links.kind_points.crime": points + 100})
    assert found.changed == {"links.kind_points.crime": (points, points + 100)}
    pairs = {(row["a"], row["b"]): row for row in found.changes().to_pylist()}
    assert pairs.keys() == {("N-1", "N-2"), ("N-3", "N-4")}
    row = pairs["N-1", "N-2"]
    assert (row["change"], row["strength_after"] - row["strength_before"]) == ("changed", 200)
    assert found.links_before.equals(force.as_of(WEEK).links().select(found.links_before.column_names))
    before, after = found.metrics()["strength"]
    assert after - before == sum(r["strength_after"] - r["strength_before"] for r in pairs.values())


def test_a_status_that_is_left_out_takes_its_links_away(force):
    found = Archive(force.archive).experiment("2026-W02", params={"links.statuses_left_out": ["open"]})
    assert [row["change"] for row in found.changes().to_pylist()] == ["gone", "gone"]
    assert found.metrics()["links"] == (2, 0)


def test_nothing_is_stored_and_nothing_logged(force):
    before = {path: path.read_bytes() for path in force.root.rglob("*") if path.is_file()}
    Archive(force.archive).experiment("2026-W02", params=PARAMS)
    assert {path: path.read_bytes() for path in force.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("links.kind_points.crimes", 1, "params have no key links.kind_points.crimes"),
        ("links.kind_points.crime.more", 1, "params have no key links.kind_points.crime.more"),
        ("links.kind_points.crime", 1.5, "links.kind_points.crime: found a fraction"),
        ("links.people_per_record", -1, "links.people_per_record: found a whole number"),
    ],
)
def test_a_key_or_value_that_params_may_not_have_is_refused(force, key, value, said):
    with pytest.raises(Malformed, match=said):
        Archive(force.archive).experiment("2026-W02", params={key: value})


def test_what_was_disposed_of_is_in_neither_side(tmp_path):
    force = Force(tmp_path)
    force.receive(record("R-1", "N-1", "N-2"), record("R-3", "N-3", "N-4"), cut_off=WEEK)
    force.build(WEEK)
    force.dispose("N-1", on="2026-02-03T09:00:00Z")
    found = Archive(force.archive).experiment("2026-W02", params={"links.kind_points.crime": 7})
    named = {row[side] for table in (found.links, found.links_before) for row in table.to_pylist() for side in "ab"}
    assert named == {"N-3", "N-4"}
