"""Which papers a build was made under, and whether each was in force: the assessments and approvals of a force (R01).

A paper is named by `params.yaml` with its version, digest and the days from and to which it holds. A build cites all of
them. Whether one that has lapsed, or was never supplied, stops the build or is flagged, the force says (`lapsed`).
"""

from __future__ import annotations

from typing import Any

from provenance.errors import Refused
from provenance.params import Governance, Params
from provenance.statements import Statement

IN_FORCE, NOT_SUPPLIED, NOT_YET, LAPSED = "in force", "not supplied", "not yet in force", "lapsed"


def state(paper: Any, day: str) -> str:
    """Whether a paper of the params holds on a day; without a first or last day it holds from or to any."""
    if not paper.sha256:
        return NOT_SUPPLIED
    if paper.first_day and day < paper.first_day:
        return NOT_YET
    return LAPSED if paper.last_day and day > paper.last_day else IN_FORCE


def papers(governance: Governance) -> dict[str, Any]:
    """The papers by name, in the order of the params."""
    return {name: getattr(governance, name) for name in type(governance).model_fields if name != "lapsed"}


def faults(governance: Governance, day: str) -> list[str]:
    """A sentence for each paper that does not hold on a day."""
    said = {
        NOT_SUPPLIED: "has not been supplied",
        NOT_YET: "is not in force yet: it is from {first}",
        LAPSED: "has lapsed: it held to {last}",
    }
    found = []
    for name, paper in papers(governance).items():
        if (now := state(paper, day)) != IN_FORCE:
            found.append(f"{name} {said[now].format(first=paper.first_day, last=paper.last_day)}")
    return found


def check(governance: Governance, label: str, day: str) -> list[str]:
    """The faults of the papers on a day, to be shown. Raises Refused naming them where the force wants them to stop a
    build."""
    found = faults(governance, day)
    if found and governance.lapsed == "block":
        raise Refused(f"build {label} is blocked by its papers, on {day}: " + "; ".join(found))
    return found


def standing(statement: Statement, rules: Params, day: str) -> list[dict[str, str]]:
    """The papers that a build cites, and whether each held on the day."""
    cited = {document.name: document for document in statement.documents}
    found = []
    for name, paper in papers(rules.governance).items():
        held = cited.get(name)
        found.append(
            {
                "name": name,
                "title": paper.title,
                "version": held.version if held else "",
                "sha256": held.digest if held else "",
                "first_day": paper.first_day or "",
                "last_day": paper.last_day or "",
                "state": state(paper, day),
            }
        )
    return found
