"""What a build was made of, by whom and with what, in two forms that others read: PROV-JSON and OpenLineage.

Both say what the signed statement and the log say, and nothing else: names of systems, digests, counts and dates. No
person and no record is named. An event of OpenLineage has the times of the whole build, since the stages' own are not
kept; its run id is drawn from the statement's digest, so that the same build gives the same events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from provenance import entries, statements
from provenance.archive import Archive
from provenance.errors import Malformed
from provenance.statements import Statement
from provenance.tables import SOURCE_TABLES

FORMS = ("prov", "openlineage")
NAMES = "https://provenance.example/lineage/v1/"  # our names, not addresses: nothing is fetched from them
EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
STAGES = {  # stage: what it reads beside the extracts, and the tables it writes
    "receive": ((), SOURCE_TABLES),
    "link": (("record", "involvement", "identity"), ("link",)),
    "networks": (("record", "involvement", "identity", "link"), ("nominal", "network")),
    "publish": ((*SOURCE_TABLES, "link", "nominal", "network"), ("statement",)),
}


def of(archive: Archive, label: str, form: str) -> dict[str, Any] | list[dict[str, Any]]:
    """The lineage of a build. Raises Missing for one that is not there, Malformed for a form that is none of FORMS."""
    built = archive.history.build(label)
    stated = archive.stated(built)
    received = [act for act in archive.history.extracts if act.extract <= built.extracts] or archive.history.extracts
    if form == "prov":
        return _prov(archive.name, built, stated, received)
    if form == "openlineage":
        return list(_events(archive.name, built, stated, received))
    raise Malformed(f"form of lineage is none of {', '.join(FORMS)}: found another")


def _prov(name: str, built: entries.Built, stated: Statement, received: list[entries.Received]) -> dict[str, Any]:
    """One PROV-JSON document (W3C member submission, 24 April 2013)."""
    build, statement = f"p:build/{stated.label}", f"p:statement/{stated.label}"
    times = {"prov:startTime": stated.started_on, "prov:endTime": stated.finished_on}
    entities: dict[str, dict[str, Any]] = {
        statement: {"prov:type": "statement", "p:sha256": built.statement, "p:cutOff": stated.cut_off}
    }
    used, tables = [], {}
    for entity, digest in _materials(stated).items():
        entities[f"p:{entity}"] = {"p:digest": digest}
        used.append(f"p:{entity}")
    for act in received:
        entity = f"p:extract/{act.extract}"
        systems = ";".join(sorted(feed.system for feed in act.systems))
        entities[entity] = {"prov:type": "extract", "p:cutOff": act.cut_off, "p:mode": act.mode, "p:systems": systems}
        used.append(entity)
    for table in stated.tables:
        tables[table.name] = f"p:table/{stated.label}/{table.name}"
        entities[tables[table.name]] = {"prov:type": "table", "p:root": table.root, "p:rows": table.size}
    made = [statement, *tables.values()]
    document: dict[str, Any] = {
        "prefix": {"p": NAMES},
        "entity": entities,
        "activity": {build: {**times, "prov:type": "weekly build", "p:number": stated.number}},
        "agent": {
            "p:operator": {"prov:type": {"$": "prov:Person", "type": "prov:QUALIFIED_NAME"},
                           "prov:label": stated.operator},
            "p:software": {"prov:type": {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"},
                           "prov:label": f"provenance {stated.builder_version}", "p:python": stated.machine.python,
                           "p:system": stated.machine.system},
            "p:force": {"prov:type": {"$": "prov:Organization", "type": "prov:QUALIFIED_NAME"}, "prov:label": name},
        },
        "used": {f"_:used{n}": {"prov:activity": build, "prov:entity": e} for n, e in enumerate(used, start=1)},
        "wasGeneratedBy": {
            f"_:made{n}": {"prov:entity": e, "prov:activity": build} for n, e in enumerate(made, start=1)
        },
        "wasAssociatedWith": {
            "_:by1": {"prov:activity": build, "prov:agent": "p:operator"},
            "_:by2": {"prov:activity": build, "prov:agent": "p:software"},
        },
        "actedOnBehalfOf": {"_:for1": {"prov:delegate": "p:operator", "prov:responsible": "p:force"}},
    }  # fmt: skip
    derived = [
        (tables[table], tables[source])
        for reads, writes in STAGES.values()
        for table in writes
        for source in reads
        if table in tables and source in tables
    ]
    if stated.previous:
        entities["p:previous"] = {"prov:type": "statement", "p:sha256": stated.previous}
        derived.append((statement, "p:previous"))
    document["wasDerivedFrom"] = {
        f"_:from{n}": {"prov:generatedEntity": one, "prov:usedEntity": other}
        for n, (one, other) in enumerate(derived, start=1)
    }
    return document


def _materials(stated: Statement) -> Mapping[str, str]:
    """What a statement says the build was made with, and the digest of each."""
    found = {"code": stated.code, "package": stated.package, "environment": stated.environment}
    found["params"] = hashlib.sha256(stated.params).hexdigest()
    found |= {f"harm/{_word(edition.name)}": edition.digest for edition in stated.harm_tables}
    return found | {f"document/{paper.name}": paper.digest for paper in stated.documents if paper.digest}


def _word(name: str) -> str:
    """A name without what an identifier may not have."""
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def _events(
    name: str, built: entries.Built, stated: Statement, received: list[entries.Received]
) -> Iterator[dict[str, Any]]:
    """A START and a COMPLETE of each stage, in their order (OpenLineage 2-0-2)."""
    producer = _producer(stated)
    extracts = [{"namespace": name, "name": f"extract/{act.extract}"} for act in received]
    materials = [{"namespace": name, "name": f"{what}/{digest}"} for what, digest in _materials(stated).items()]
    tables = {table.name: table for table in stated.tables}
    for stage, (reads, writes) in STAGES.items():
        inputs = (extracts if stage == "receive" else []) + [_dataset(name, stated, tables, table) for table in reads]
        inputs += materials if stage == "publish" else []
        for kind, when in (("START", stated.started_on), ("COMPLETE", stated.finished_on)):
            yield {
                "eventType": kind,
                "eventTime": when,
                "producer": producer,
                "schemaURL": EVENT,
                "run": {"runId": _run_id(built.statement, stage)},
                "job": {"namespace": name, "name": f"weekly-build.{stage}"},
                "inputs": inputs,
                "outputs": [_dataset(name, stated, tables, table) for table in writes] if kind == "COMPLETE" else [],
            }


def _dataset(name: str, stated: Statement, tables: Mapping[str, entries.Table], table: str) -> dict[str, Any]:
    """A table of the build, under its label; how many rows it has and its root is its version."""
    found: dict[str, Any] = {"namespace": name, "name": f"{stated.label}/{table}"}
    if table in tables:
        found["facets"] = {
            "version": {
                "_producer": _producer(stated),
                "_schemaURL": "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json"
                "#/$defs/DatasetVersionDatasetFacet",
                "datasetVersion": f"{statements.ROOT_DIGEST}:{tables[table].root}",
            }
        }
    return found


def _producer(stated: Statement) -> str:
    return f"{NAMES}provenance/{stated.builder_version}"


def _run_id(digest: str, stage: str) -> str:
    """A UUID of version 8 (RFC 9562, 5.8): the first bits of a digest of the statement's digest and the stage."""
    bits = hashlib.sha256(f"{digest} {stage}".encode()).hexdigest()
    return f"{bits[:8]}-{bits[8:12]}-8{bits[13:16]}-{'89ab'[int(bits[16], 16) % 4]}{bits[17:20]}-{bits[20:32]}"
