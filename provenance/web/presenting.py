"""What templates draw of a page beyond what it says: lists of choices, drawings, drawers, links to elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provenance.asking import Ask
from provenance.records import KINDS, ROLES
from provenance.web import words

_LISTED = 200  # rows of a list that has no pages
_MEASURES = (("strength", "Strength, points"), ("links", "Links"), ("harm", "Harm, days"), ("records", "Records"))
STEPS = {
    "disposal": "Disposal",
    "expired": "Expired or withdrawn",
    "identity": "Merge or split",
    "corrected": "Correction or regrade",
    "new_record": "New records",
    "method": "Method",
    "table": "Harm table",
}
To = Callable[..., str]


def extra(said: Mapping[str, Any], ask: Ask, to: To, here: To, labels: list[str]) -> dict[str, Any]:
    """What the template of this view draws besides; `labels` are those of the builds before, latest first."""
    if "causes" in said:
        return _compared(said, ask, to)
    views: Mapping[str, Callable[[], dict[str, Any]]] = {
        "key-nominals": lambda: _key_nominals(said),
        "change": lambda: _change(said, labels),
        "places": lambda: {"map": "", "map_note": ""},
        "network": lambda: _network(said, ask, to, labels),
        "nominal": lambda: _nominal(said, ask, to, labels),
        "link": lambda: {"links": [_evidence(link, said, to) for link in said["links"]]},
    }
    return views[ask.view]() if ask.view in views else {}


def _options(labels: list[str]) -> list[dict[str, str]]:
    return [{"value": label, "text": label} for label in labels]


def _key_nominals(said: Mapping[str, Any]) -> dict[str, Any]:
    columns = [{"text": "Figure", "numeric": False, "href": None, "sorted": ""}]
    columns += [{"text": text, "numeric": True, "href": None, "sorted": ""} for _, text in _MEASURES]
    spread = said["spread"]
    rows = []
    for size in range(max(map(len, spread.values()), default=0)):
        what = "0" if not size else f"{10 ** (size - 1):,} to {10**size - 1:,}"
        rows.append([what, *(spread[name][size] if size < len(spread[name]) else 0 for name, _ in _MEASURES)])
    return {"spread_columns": columns, "spread": rows}


def _change(said: Mapping[str, Any], labels: list[str]) -> dict[str, Any]:
    return {"drawings": [], "since_options": _options(labels)}


def _network(said: Mapping[str, Any], ask: Ask, to: To, labels: list[str]) -> dict[str, Any]:
    network = said["network"]
    links = sorted(said["links"], key=lambda link: (-link["strength"], link["a"], link["b"]))[:_LISTED]
    named = {row["nominal"]: row for row in said["people"]}
    return {
        "counts": [
            {"number": network[name], "text": text, "href": None}
            for name, text in (("members", "nominals"), ("links", "supported links"), ("strength", "points of strength"), ("harm", "days of harm"))
            if isinstance(network[name], int)
        ],
        "hinges": [hinge | {"words": _hinge(hinge)} for hinge in said["hangs_on"].get("hinges", [])[:10]],
        "links_first": [
            link | {f"{side}_{what}": named[link[side]][f"nominal_{what}"] for side in "ab" for what in ("name", "child")}
            for link in links
        ],
        "network_drawing": "",
        "drawings": [],
        **_beside(ask, labels, {"id": ask.network}),
    }  # fmt: skip


def _hinge(hinge: Mapping[str, Any]) -> str:
    parts, loose = hinge["parts"], hinge["loose"]
    if hinge["change"] == "ends":
        return "the network would end"
    if hinge["change"] == "splits":
        return f"it would fall apart into {len(parts):,} networks" + (f", and {loose:,} would be in none" if loose else "")
    return f"{loose:,} nominals would fall out of it"


def _nominal(said: Mapping[str, Any], ask: Ask, to: To, labels: list[str]) -> dict[str, Any]:
    person = said["person"]
    known: list[dict[str, Any]] = [{"key": "Nominal", "value": said["nominal"], "href": None, "action": ""}]
    rows = [("Name", "name"), ("Date of birth", "born"), ("Sex", "sex"), ("Ethnicity", "ethnicity")]
    known += [
        {"key": text, "value": person[name] or "not recorded", "href": None, "action": ""}
        for text, name in rows
        if name in person
    ]
    if person.get("is_child") in ("yes", "true", "1"):
        known.append({"key": "Child", "value": "Yes: under 18 by the source's word", "href": None, "action": ""})
    if said["merged"]:
        known.append({"key": "Also known by the ids", "value": ", ".join(said["merged"]), "href": None, "action": ""})
    if said["asked_as"] != said["nominal"]:
        known.append({"key": "Asked for as", "value": said["asked_as"], "href": None, "action": ""})
    drawers = [
        {
            "a": {"text": said["nominal"], "href": to("nominal", nominals=(said["nominal"],)), "victim": False},
            "b": {
                "text": f"{link['other']} {link['other_name']}".strip(),
                "href": to("nominal", nominals=(link["other"],)),
                "victim": "victim" in link["shown_as"],
            },
            "theme": words.THEMES[link["theme"]],
            "strength": link["strength"],
            "unit": "points",
            "supports": [],
            "note": "",
            "href": to("link", nominals=(link["a"], link["b"]), theme=link["theme"]),
        }
        for link in said["links"][:_LISTED]
    ]
    return {
        "known": known,
        "drawers": drawers,
        "network_drawing": "",
        "drawings": [],
        **_beside(ask, labels, {"id": said["asked_as"]}),
    }


def _beside(ask: Ask, labels: list[str], keep: Mapping[str, str]) -> dict[str, Any]:
    return {
        "keep": dict(keep),
        "kinds": [{"value": kind, "text": words.KINDS[kind]} for kind in KINDS],
        "grades": [{"value": grade, "text": grade} for grade in ("ungraded", *sorted(_GRADES))],
        "roles": [{"value": role, "text": role.capitalize()} for role in ROLES],
        "since_options": _options(labels),
    }


_GRADES = {f"{source}{assessment}" for source in "123" for assessment in "ABCDE"}


def _evidence(link: Mapping[str, Any], said: Mapping[str, Any], to: To) -> dict[str, Any]:
    names = {row["nominal"]: row["nominal_name"] for row in said["people"]}
    sides = [
        {
            "text": f"{link[side]} {names.get(link[side], '')}".strip(),
            "href": to("nominal", nominals=(link[side],)),
            "victim": bool(said["victim_only"].get(link[side], 0)),
        }
        for side in "ab"
    ]
    return {
        "a": sides[0],
        "b": sides[1],
        "theme": link["theme"],
        "strength": link["strength"],
        "unit": "points",
        "note": "Some of what stood behind this link has since gone." if link["reduced"] else "",
        "supports": [
            {
                "system": support["system"],
                "record": support["record_id"],
                "href": None,
                "kind": words.KINDS[support["kind"]],
                "on": words.day(support["occurred_at"]),
                "roles": [
                    {"who": link[side], "role": role}
                    for side, roles in zip("ab", support["roles"], strict=True)
                    for role in roles.split("+")
                ],
                "grade": support["grade"],
                "scheme": support["grade_scheme"],
                "handling": support["handling"],
                "conditions": support["conditions"],
                "contribution": support["contribution"],
                "state": "assessment" if support["assessed"] == "assessment" else "",
            }
            for support in link["supports"]
        ],
    }


def _compared(said: Mapping[str, Any], ask: Ask, to: To) -> dict[str, Any]:
    steps = said["causes"]["steps"]
    columns = [{"text": text, "numeric": number, "href": None, "sorted": ""} for text, number in (
        ("What", False), ("Figure", False), ("Before", True), ("After", True))]  # fmt: skip
    columns += [
        {"text": STEPS[step], "numeric": True, "href": None, "sorted": ""}
        for step in steps
    ]
    rows = []
    for row in said["causes"]["changes"]:
        what = f"{row['a']} and {row['b']}" if row["kind"] == "link" else row["a"]
        rows.append(
            {
                "what": f"{words.THEMES[row['theme']]}: {what}",
                "figure": row["figure"].replace("_", " "),
                "before": row["before"],
                "after": row["after"],
                "steps": [row[step] for step in steps],
            }
        )
    subject = ask.network or " and ".join(ask.nominals)
    return {"columns": columns, "rows": rows, "subject": subject}


def sides(said: Mapping[str, Any], ask: Ask) -> list[list[dict[str, Any]]]:
    """The large numbers of both sides of a comparison; an empty list for a side that has no such thing."""
    return [_numbers(said[side], ask) for side in ("before", "after")]


def _numbers(said: Mapping[str, Any], ask: Ask) -> list[dict[str, Any]]:
    found: list[tuple[Any, str]] = []
    if not said:
        return []
    if ask.view == "network":
        network = said["network"]
        found = [(network[name], text) for name, text in (("members", "nominals"), ("strength", "points"), ("harm", "days of harm"))]
    elif ask.view == "nominal":
        for row in said["figures"]:
            theme = words.THEMES[row["theme"]]
            found += [(row["links"], f"links ({theme})"), (row["strength"], f"points ({theme})"), (row["harm"], f"days of harm ({theme})")]
    elif ask.view == "link":
        found = [(link["strength"], f"points ({words.THEMES[link['theme']]})") for link in said["links"]]
    return [{"number": number, "text": text, "href": None} for number, text in found if isinstance(number, int)]
