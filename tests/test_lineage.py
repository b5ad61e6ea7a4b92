"""Lineage in forms that others read, judged by readers that nobody here wrote."""

from __future__ import annotations

import json

import jsonschema
import pytest
from force import Force, record
from prov.model import ProvDocument, ProvEntity

from provenance import derivation
from provenance.errors import Malformed, Missing

WEEKS = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z")

# What RunEvent of OpenLineage 2-0-2 asks for, by its specification.
DATASET = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {
        "namespace": {"type": "string"},
        "name": {"type": "string"},
        "facets": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["_producer", "_schemaURL"],
                "properties": {name: {"type": "string", "format": "uri"} for name in ("_producer", "_schemaURL")},
            },
        },
    },
}
RUN_EVENT = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
    "properties": {
        "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"},
        "producer": {"type": "string", "pattern": "^https?://"},
        "schemaURL": {"type": "string", "pattern": r"^https://openlineage\.io/spec/2-0-2/OpenLineage\.json#/\$defs/RunEvent$"},
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "run": {
            "type": "object",
            "required": ["runId"],
            "properties": {
                "runId": {"pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"}
            },
        },
        "job": {"type": "object", "required": ["namespace", "name"]},
        "inputs": {"type": "array", "items": DATASET},
        "outputs": {"type": "array", "items": DATASET},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    force = Force(tmp_path_factory.mktemp("lineage"))
    for week, rows in zip(
        WEEKS, ([("R-1", "N-1", "N-2")], [("R-1", "N-1", "N-2"), ("R-2", "N-2", "N-3")]), strict=True
    ):
        force.receive(*(record(*row) for row in rows), cut_off=week)
        force.build(week)
    return force.archive


def test_prov_json_is_read_by_the_prov_package_and_says_what_the_statement_says(archive):
    said = derivation.of(archive, "2026-W03", "prov")
    document = ProvDocument.deserialize(content=json.dumps(said), format="json")
    entities = {str(entity.identifier): entity for entity in document.get_records(ProvEntity)}
    built = archive.history.build("2026-W03")
    assert {name for name in entities if "/table/" in f"/{name[2:]}"} == {
        f"p:table/2026-W03/{table.name}" for table in built.tables
    }
    assert said["entity"]["p:statement/2026-W03"]["p:sha256"] == built.statement
    assert said["entity"]["p:previous"]["p:sha256"] == archive.history.build("2026-W02").statement
    assert {"p:extract/1", "p:extract/2", "p:code", "p:params"} <= entities.keys()
    named = {e["prov:entity"] for key in ("used", "wasGeneratedBy") for e in said[key].values()}
    named |= {e[side] for e in said["wasDerivedFrom"].values() for side in ("prov:generatedEntity", "prov:usedEntity")}
    assert named <= entities.keys()  # nothing points to what is not there
    assert ProvDocument.deserialize(content=document.serialize(format="json"), format="json") == document


def test_the_first_build_has_no_previous_and_only_its_own_extract(archive):
    said = derivation.of(archive, "2026-W02", "prov")
    assert "p:previous" not in said["entity"]
    assert [name for name in said["entity"] if "extract" in name] == ["p:extract/1"]


def test_each_stage_has_two_events_that_fit_the_specification(archive):
    events = derivation.of(archive, "2026-W03", "openlineage")
    for event in events:
        jsonschema.validate(event, RUN_EVENT)
    assert [(e["eventType"], e["job"]["name"].split(".")[1]) for e in events] == [
        (kind, stage) for stage in ("receive", "link", "networks", "publish") for kind in ("START", "COMPLETE")
    ]
    assert len({e["run"]["runId"] for e in events}) == 4
    assert all(one["run"] == other["run"] for one, other in zip(events[::2], events[1::2], strict=True))
    link = events[3]["outputs"][0]
    root = next(t.root for t in archive.history.build("2026-W03").tables if t.name == "link")
    assert link["facets"]["version"]["datasetVersion"] == f"rfc6962-sha256:{root}"
    assert derivation.of(archive, "2026-W03", "openlineage") == events


def test_no_form_names_anybody(archive):
    text = json.dumps([derivation.of(archive, "2026-W03", form) for form in derivation.FORMS])
    assert not any(id in text for id in ("N-1", "N-2", "N-3", "R-1", "R-2"))


def test_an_unknown_form_or_build_is_refused(archive):
    with pytest.raises(Malformed, match="none of prov, openlineage"):
        derivation.of(archive, "2026-W03", "dot")
    with pytest.raises(Missing, match="build 2026-W30 is not in this archive"):
        derivation.of(archive, "2026-W30", "prov")
