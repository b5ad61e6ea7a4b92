"""A pack described for machines: RO-Crate 1.1 with the Process Run Crate profile 0.5.

One `CreateAction` for the making of each build (what was used, with which code, by whom) and one for the making of the
pack. Files are named as they lie in the folder; everything that has no file is named by `#`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_KINDS = {
    "html": "text/html", "json": "application/json", "jsonl": "application/jsonl", "csv": "text/csv", "css": "text/css",
    "py": "text/x-python", "txt": "text/plain", "pem": "application/x-pem-file", "tsr": "application/timestamp-reply",
}  # fmt: skip
_CODE = "https://provenance.example/code/"  # our names, not addresses
LICENCE = "#terms"


def metadata(
    *,
    title: str,
    description: str,
    force: str,
    made_on: str,
    terms: str,
    version: str,
    files: Mapping[str, int],
    about: Mapping[str, str],
    builds: Iterable[Mapping[str, Any]],
    maker: str,
) -> dict[str, Any]:
    """`ro-crate-metadata.json`.

    `files` has the size of each, `about` what some of them are. Of each build: label, started_on, finished_on,
    operator, version, code, used (files), made (files). `maker` made the pack.
    """
    parts = sorted(files)
    people, programs, actions = {}, {}, []
    programs[f"{_CODE}{version}"] = _program(version, "")
    for one in builds:
        agent, program = f"#person-{_slug(one['operator'])}", f"{_CODE}{one['version']}-{one['code'][:12]}"
        people[agent] = _person(agent, one["operator"])
        programs[program] = _program(one["version"], one["code"]) | {"@id": program}
        actions.append(
            {
                "@id": f"#build-{one['label']}",
                "@type": "CreateAction",
                "name": f"Build {one['label']}",
                "description": f"The weekly analysis that was published as build {one['label']}.",
                "startTime": _instant(one["started_on"]),
                "endTime": _instant(one["finished_on"]),
                "agent": {"@id": agent},
                "instrument": {"@id": program},
                "object": _refs(one["used"]),
                "result": _refs(one["made"]),
                "actionStatus": "http://schema.org/CompletedActionStatus",
            }
        )
    agent = f"#person-{_slug(maker)}"
    people[agent] = _person(agent, maker)
    pages = [name for name in parts if name.startswith("pages/")]
    actions.append(
        {
            "@id": "#pack",
            "@type": "CreateAction",
            "name": "Making of this pack",
            "description": "The saved query was asked of the archive, and what answers it was written down.",
            "startTime": _instant(made_on),
            "endTime": _instant(made_on),
            "agent": {"@id": agent},
            "instrument": {"@id": f"{_CODE}{version}"},
            "object": _refs(["answer.json"]),
            "result": _refs([*pages, "READ-ME-FIRST.html"]),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        }
    )
    root = {
        "@id": "./", "@type": "Dataset", "name": title, "description": description, "datePublished": made_on,
        "license": {"@id": LICENCE}, "publisher": {"@id": "#force"}, "author": {"@id": "#force"},
        "conformsTo": {"@id": _PROFILE}, "hasPart": _refs(parts), "mentions": [{"@id": one["@id"]} for one in actions],
    }  # fmt: skip
    descriptor = {
        "@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": _CRATE},
    }  # fmt: skip
    graph = [
        descriptor,
        root,
        {"@id": "#force", "@type": "Organization", "name": force, "url": "https://provenance.example/"},
        {"@id": LICENCE, "@type": "CreativeWork", "name": "Terms of use", "description": terms},
        {"@id": _PROFILE, "@type": ["CreativeWork", "Profile"], "name": "Process Run Crate", "version": "0.5"},
        *(programs[key] for key in sorted(programs)),
        *(people[key] for key in sorted(people)),
        *actions,
        *(_file(name, files[name], about.get(name, "")) for name in parts),
    ]
    return {"@context": CONTEXT, "@graph": graph}


def _file(name: str, size: int, about: str) -> dict[str, Any]:
    kind = _KINDS.get(name.rpartition(".")[2] if "." in name.rpartition("/")[2] else "", "application/octet-stream")
    return {
        "@id": name, "@type": "File", "name": about or name, "description": about or f"{name} of this pack",
        "contentSize": str(size), "encodingFormat": kind,
    }  # fmt: skip


def _program(version: str, code: str) -> dict[str, Any]:
    return {
        "@id": f"{_CODE}{version}", "@type": "SoftwareApplication", "name": "provenance", "softwareVersion": version,
        "url": "https://provenance.example/", "description": f"Code commit {code}" if code else
        "The archive's own software, by which the pack was made",
    }  # fmt: skip


def _person(id: str, who: str) -> dict[str, Any]:
    return {"@id": id, "@type": "Person", "name": who}


def _refs(names: Iterable[str]) -> Any:
    """References, each once; one alone stands without a list."""
    found = [{"@id": name} for name in sorted(set(names))]
    return found[0] if len(found) == 1 else found


def _instant(text: str) -> str:
    """As the profile's checker reads ISO 8601: with the offset in numbers."""
    return text.replace("Z", "+00:00")


def _slug(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text)
