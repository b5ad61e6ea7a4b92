"""Where each shown figure comes from, as W3C PROV (PROV-JSON): source records, the extracts that brought them, builds,
rows, pages.

Names are ours (`record:`, `row:` ...) and lead nowhere. What is in the pack as a bare digest is an entity without
attributes, so that a way never ends in the open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_SPACE = "https://provenance.example/prov/"  # our names, not addresses
_PREFIXES = ("archive", "build", "extract", "page", "paper", "person", "record", "row", "table")


@dataclass
class Lineage:
    """One PROV document, filled relation by relation."""

    entity: dict[str, dict[str, Any]] = field(default_factory=dict)
    activity: dict[str, dict[str, Any]] = field(default_factory=dict)
    agent: dict[str, dict[str, Any]] = field(default_factory=dict)
    relations: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    _said: set[tuple[str, ...]] = field(default_factory=set)

    def relate(self, kind: str, **ends: str) -> None:
        """A relation, once however often it is said."""
        key = kind, *(word for end in ends.items() for word in end)
        if key not in self._said:
            self._said.add(key)
            held = self.relations.setdefault(kind, {})
            held[f"_:{kind}{len(held) + 1}"] = {f"prov:{end}": value for end, value in ends.items()}

    def document(self) -> dict[str, Any]:
        """PROV-JSON, in the order of names."""
        parts = {"entity": self.entity, "activity": self.activity, "agent": self.agent, **self.relations}
        return {
            "prefix": {prefix: f"{_SPACE}{prefix}/" for prefix in _PREFIXES},
            **{kind: dict(sorted(held.items())) for kind, held in sorted(parts.items()) if held},
        }


def name(prefix: str, *words: str) -> str:
    """A qualified name in which any id may stand: what is no letter, digit or dash is written by its code."""
    said = ".".join(re.sub(r"[^A-Za-z0-9_-]", lambda c: f"~{ord(c[0]):x}~", word) for word in words)
    return f"{prefix}:{said}"


def extract(lineage: Lineage, number: int, *, cut_off: str, on: str, by: str, archive: str) -> None:
    """The receiving of one extract."""
    who = name("person", by)
    lineage.agent[who] = {"prov:type": _typed("prov:Person")}
    lineage.activity[name("extract", str(number))] = {
        "prov:endTime": on, "prov:type": "Received", "archive:cut_off": cut_off, "archive:of": archive,
    }  # fmt: skip
    lineage.relate("wasAssociatedWith", activity=name("extract", str(number)), agent=who)


def build(lineage: Lineage, label: str, said: Mapping[str, Any]) -> None:
    """The making of one build: `said` has operator, started_on, finished_on, version, code, papers and tables."""
    who, program = name("person", said["operator"]), name("archive", "code", said["version"], said["code"][:12])
    lineage.agent[who] = {"prov:type": _typed("prov:Person")}
    lineage.agent[program] = {"prov:type": _typed("prov:SoftwareAgent"), "archive:code": said["code"]}
    lineage.activity[name("build", label)] = {
        "prov:startTime": said["started_on"], "prov:endTime": said["finished_on"], "prov:type": "Built",
        "archive:root": said["root"], "archive:cut_off": said["cut_off"],
    }  # fmt: skip
    lineage.relate("wasAssociatedWith", activity=name("build", label), agent=who)
    lineage.relate("wasAssociatedWith", activity=name("build", label), agent=program)
    for kind, items in (("paper", said["papers"]), ("table", said["tables"])):
        for title, digest in items.items():
            lineage.entity.setdefault(name(kind, title, digest[:12]), {"archive:sha256": digest, "prov:label": title})
            lineage.relate("used", activity=name("build", label), entity=name(kind, title, digest[:12]))


def rows(lineage: Lineage, label: str, shown: Iterable[tuple[str, str, Mapping[str, Any] | None]]) -> None:
    """Rows of one build as (table, leaf, content): links come from records, people and networks from links.

    Without content the row is there as a bare digest.
    """
    listed = list(shown)
    records = {
        (row["system"], row["record_id"]): leaf for table, leaf, row in listed if table == "record" and row is not None
    }
    links: list[tuple[str, Mapping[str, Any]]] = []
    for table, leaf, row in listed:
        this = name("row", leaf)
        lineage.entity[this] = {"prov:type": table} if row is not None else {}
        lineage.relate("wasGeneratedBy", entity=this, activity=name("build", label))
        if table == "link" and row is not None:
            links.append((leaf, row))
            lineage.entity[this] |= {"archive:strength": row["strength"], "archive:theme": row["theme"]}
            for support in supports(row):
                source = record(lineage, support)
                lineage.relate("wasDerivedFrom", generatedEntity=this, usedEntity=source)
                if held := records.get((support["system"], support["record_id"])):
                    lineage.relate("specializationOf", specificEntity=name("row", held), generalEntity=source)
    for table, leaf, row in listed:
        if table == "nominal" and row is not None:
            lineage.entity[name("row", leaf)] |= {"archive:strength": row["strength"], "archive:links": row["links"]}
            for held, link in links:
                if row["nominal"] in (link["a"], link["b"]) and link["theme"] == row["theme"]:
                    lineage.relate("wasDerivedFrom", generatedEntity=name("row", leaf), usedEntity=name("row", held))
        elif table == "network" and row is not None:
            for held, link in links:
                if link["theme"] == row["theme"]:
                    lineage.relate("wasDerivedFrom", generatedEntity=name("row", leaf), usedEntity=name("row", held))


def supports(link: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records behind a link's row, one object each, whichever of the names have something."""
    held = link["supports"]
    count = max((len(values) for values in held.values()), default=0)
    return [{key: values[at] for key, values in held.items()} for at in range(count)]


def record(lineage: Lineage, support: Mapping[str, Any]) -> str:
    """The source record that a support names, in the version that counted."""
    said = name("record", support["system"], support["record_id"], f"v{support['version']}")
    lineage.entity.setdefault(
        said,
        {"prov:type": support["kind"], "prov:label": f"{support['system']} {support['record_id']}"}
        | {f"archive:{key}": support[key] for key in ("grade", "handling", "occurred_at") if support.get(key)},
    )
    return said


def page(lineage: Lineage, digest: str, *, title: str, leaves: Iterable[str]) -> None:
    """A page as it was shown, from the rows of its proof."""
    this = name("page", digest)
    lineage.entity[this] = {"prov:type": "page", "prov:label": title}
    for leaf in leaves:
        lineage.relate("wasDerivedFrom", generatedEntity=this, usedEntity=name("row", leaf))


def received(lineage: Lineage, source: str, number: int) -> None:
    """Which extract brought a record."""
    lineage.relate("wasGeneratedBy", entity=source, activity=name("extract", str(number)))


def _typed(value: str) -> dict[str, str]:
    return {"$": value, "type": "xsd:QName"}
