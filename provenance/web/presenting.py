"""What templates draw of a page beyond what it says: lists of choices, drawings, drawers, links to elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from markupsafe import Markup

from provenance import charts, diagrams, layouts, maps
from provenance.asking import Ask
from provenance.asof import Snapshot
from provenance.diagrams import Role
from provenance.records import KINDS, ROLES
from provenance.reports import CAUSES, WRONG, Report
from provenance.scales import class_of, classes
from provenance.viewing import Page
from provenance.web import words

TITLES = {
    "associations": "Associations", "change": "Change over time", "key-nominals": "Key nominals", "places": "Places",
    "network": "Network", "nominal": "Nominal", "figures": "How the figures come about", "link": "Link",
    "search": "Search",
}  # fmt: skip
_LISTED = 200  # rows of a list that has no pages
_MEASURES = (("strength", "Strength, points"), ("links", "Links"), ("harm", "Harm, days"), ("records", "Records"))
STEPS = {
    "disposal": "Disposal",
    "expired": "Expired or withdrawn",
    "identity": "Merge or split",
    "grading": "Graded otherwise",
    "corrected": "Correction",
    "new_record": "New records",
    "method": "Method",
    "table": "Harm table",
}
To = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page stands among: how to write addresses, the builds up to this one, and the map."""

    to: To
    here: To
    labels: Sequence[str]  # of the builds up to this one, in order
    dates: Sequence[date]  # of their cut-offs
    outline: maps.Outline | None

    @property
    def earlier(self) -> list[dict[str, str]]:
        """Builds to compare with, latest first."""
        return [{"value": label, "text": label} for label in reversed(self.labels[:-1])]


def banner(snapshot: Snapshot, when: str, *, verified: bool | None, verified_words: str) -> dict[str, Any]:
    """Which build answers, and what has become of it; `when` is the moment that was asked for, if any.

    `verified` is None where nobody has checked yet; `verified_words` say what is known of it.
    """
    gone, publication = snapshot.disposed, snapshot.publication
    return {
        "asked": words.moment(when) if when else f"build {snapshot.label}",
        "past": snapshot.built.number < len(snapshot.archive.history.builds),
        "label": snapshot.label,
        "href": f"/build/{snapshot.label}",
        "live_from": words.instant(publication.start) if publication else "never",
        "live_to": words.instant(publication.end) if publication and publication.end else None,
        "cut_off": words.instant(snapshot.built.cut_off),
        "root": snapshot.root,
        "verified": verified,
        "verified_words": verified_words,
        "disposed": gone["disposed"],
        "reduced": gone["reduced"],
        "restricted": gone["restricted"],
        "since_href": f"/build/{snapshot.label}/since",
        "open": False,
    }


def reference(page: Page, href: str) -> dict[str, str]:
    """What to quote for exactly this page."""
    return {"text": f"{page.label}/{page.ask.view}/{page.digest[:16]}", "href": href, "digest": page.digest}


def extra(said: Mapping[str, Any], ask: Ask, frame: Frame) -> dict[str, Any]:
    """What the template of this view draws besides."""
    if "causes" in said:
        return _compared(said, ask)
    views: Mapping[str, Callable[[], dict[str, Any]]] = {
        "key-nominals": lambda: _key_nominals(said),
        "change": lambda: _change(said, frame),
        "places": lambda: _places(said, frame),
        "network": lambda: _network(said, ask, frame),
        "nominal": lambda: _nominal(said, ask, frame),
        "link": lambda: {"links": [_evidence(link, said, frame.to) for link in said["links"]]},
    }
    return views[ask.view]() if ask.view in views else {}


def _chart(frame: Frame, caption: str, series: Mapping[str, Sequence[Any]], prefix: str, unit: str) -> dict[str, Any]:
    """Lines over builds; of several builds of one day the last. Beside them the builds in which something changed."""
    last = {day: place for place, day in enumerate(frame.dates)}
    places = sorted(last.values())
    drawn = charts.lines(
        [frame.dates[place] for place in places],
        [frame.labels[place] for place in places],
        [
            charts.Series(name, tuple(values[place] if isinstance(values[place], int) else None for place in places))
            for name, values in series.items()
        ],
        title=caption, said=f"{caption}, in {len(places)} builds", prefix=prefix, unit=unit, steps=True,
    )  # fmt: skip
    before, rows = None, []
    for row in drawn.rows:
        _, _, *figures = row
        if figures != before:
            rows.append(row)
        before = figures
    left_out = len(drawn.rows) - len(rows)
    note = "A build whose figures are those of the one before it is not listed." if left_out else ""
    return {"caption": caption, "svg": drawn.svg, "note": "", "columns": drawn.columns, "rows": rows, "left_out": note}


def _key_nominals(said: Mapping[str, Any]) -> dict[str, Any]:
    columns = [{"text": "Figure", "numeric": False, "href": None, "sorted": ""}]
    columns += [{"text": text, "numeric": True, "href": None, "sorted": ""} for _, text in _MEASURES]
    spread = said["spread"]
    rows = []
    for size in range(max(map(len, spread.values()), default=0)):
        what = "0" if not size else f"{10 ** (size - 1):,} to {10**size - 1:,}"
        rows.append([what, *(spread[name][size] if size < len(spread[name]) else 0 for name, _ in _MEASURES)])
    return {"spread_columns": columns, "spread": rows}


def _change(said: Mapping[str, Any], frame: Frame) -> dict[str, Any]:
    series = said["series"]
    counts = {"nominals": series["people"], "links": series["links"]}
    return {
        "drawings": [
            _chart(frame, "Nominals and links in each build", counts, "counts", "number"),
            _chart(frame, "Networks in each build", {"networks": series["networks"]}, "networks", "number"),
            *(
                [
                    _chart(
                        frame,
                        "Strength of all links in each build",
                        {"strength": series["strength"]},
                        "strength",
                        "points",
                    )
                ]
                if "strength" in series
                else []
            ),
        ],
        "since_options": frame.earlier,
    }


def _places(said: Mapping[str, Any], frame: Frame) -> dict[str, Any]:
    if frame.outline is None:
        return {"map": "", "area_names": {}}
    drawn = maps.areas(
        frame.outline, {row["place"]: row["records"] for row in said["places"] if row["place"]},
        title="Records behind links, by area", said="Each area is tinted by how many records happened there",
        prefix="map", unit="records",
    )  # fmt: skip
    names = dict(zip(frame.outline.codes, frame.outline.names, strict=True))
    return {"map": drawn.svg, "area_names": names}


def _network(said: Mapping[str, Any], ask: Ask, frame: Frame) -> dict[str, Any]:
    network, to = said["network"], frame.to
    links = sorted(said["links"], key=lambda link: (-link["strength"], link["a"], link["b"]))
    named = {row["nominal"]: row for row in said["people"]}
    key = {one["nominal"]: place for place, one in _first(said["key_players"])}
    drawn = said["drawn"]
    people = [
        (who, _role(named[who]), named[who]["strength"], key.get(who, 0), named[who]["computed_with_erased"])
        for who in drawn
    ]
    counts = (
        ("members", "nominals"),
        ("links", "supported links"),
        ("strength", "points of strength"),
        ("harm", "days of harm"),
    )
    return {
        "counts": [
            {"number": network[name], "text": text, "href": None}
            for name, text in counts
            if isinstance(network[name], int)
        ],
        "hinges": [hinge | {"words": _hinge(hinge)} for hinge in said["hangs_on"].get("hinges", [])[:10]],
        "links_first": [
            link | {f"{end}_{what}": named[link[end]][f"nominal_{what}"] for end in "ab" for what in ("name", "child")}
            for link in links[:_LISTED]
        ],
        "network_drawing": _diagram(people, links, f"Network {network['network']}", to, network["theme"]),
        "drawings": _series(said["series"], frame, "this network", ("members", "strength", "harm")),
        **_beside(ask, frame, {"id": ask.network}),
    }  # fmt: skip


def _first(players: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    """The first five by strength, with their places."""
    return [
        (one["rank"], one) for measure in players if measure["measure"] == "strength" for one in measure["first"][:5]
    ]


def _role(row: Mapping[str, Any]) -> Role:
    held = {name for name in ("offending", "victim", "witness") if isinstance(row[name], int) and row[name] > 0}
    if row["victim_only"] == 1:
        return Role.VICTIM
    if {"offending", "victim"} <= held:
        return Role.BOTH
    for name, role in (("victim", Role.VICTIM), ("offending", Role.OFFENDING), ("witness", Role.WITNESS)):
        if name in held:
            return role
    return Role.OTHER


def _diagram(
    people: Sequence[tuple[str, Role, Any, int, int]],
    links: Sequence[Mapping[str, Any]],
    title: str,
    to: To,
    theme: str,
) -> Markup | str:
    """The picture of people (id, role, strength, place among the key players, withheld) and the links between them."""
    if not people or not links:
        return ""
    place = {one[0]: at for at, one in enumerate(people)}
    pairs = [link for link in links if link["a"] in place and link["b"] in place]
    ends = np.array([(place[link["a"]], place[link["b"]]) for link in pairs], np.int64).reshape(-1, 2)
    points = np.array([link["strength"] for link in pairs], np.int64)
    bounds = classes(points.tolist())
    strengths = [value if isinstance(value, int) else 0 for _, _, value, _, _ in people]
    person_bounds = classes(strengths)
    at = layouts.place(ends, points, len(people))
    return diagrams.network(
        [
            diagrams.Person(
                who, to("nominal", nominals=(who,)), role, _class(strength, person_bounds), key, bool(withheld)
            )
            for (who, role, _, key, withheld), strength in zip(people, strengths, strict=True)
        ],
        [
            diagrams.Link(
                int(a), int(b), to("link", nominals=(link["a"], link["b"]), theme=theme or link.get("theme", "")),
                _class(link["strength"], bounds),
            )
            for (a, b), link in zip(ends.tolist(), pairs, strict=True)
        ],
        at, title=title, said=f"{len(people)} nominals and {len(pairs)} links between them", prefix="network",
    )  # fmt: skip


def _class(value: int, bounds: list[int]) -> int:
    return min(max(class_of(value, bounds), 1), diagrams.STRENGTHS)


def _series(series: Mapping[str, Sequence[Any]], frame: Frame, of: str, names: Sequence[str]) -> list[dict[str, Any]]:
    units = {"strength": "points", "harm": "days", "links": "links", "members": "nominals"}
    titles = {"strength": "Strength", "harm": "Harm", "links": "Links", "members": "Nominals"}
    return [
        _chart(
            frame,
            f"{titles[name]} of {of} in each build",
            {titles[name].lower(): series[name]},
            f"series-{name}",
            units[name],
        )
        for name in names
        if any(isinstance(value, int) for value in series[name])
    ]


def _hinge(hinge: Mapping[str, Any]) -> str:
    parts, loose = hinge["parts"], hinge["loose"]
    if hinge["change"] == "ends":
        return "the network would end"
    if hinge["change"] == "splits":
        return f"it would fall apart into {len(parts):,} networks" + (
            f", and {loose:,} would be in none" if loose else ""
        )
    return f"{loose:,} nominals would fall out of it"


def _nominal(said: Mapping[str, Any], ask: Ask, frame: Frame) -> dict[str, Any]:
    person, to = said["person"], frame.to
    known: list[dict[str, Any]] = [{"key": "Nominal", "value": said["nominal"], "href": None, "action": ""}]
    rows = [("Name", "name"), ("Date of birth", "born"), ("Sex", "sex"), ("Ethnicity", "ethnicity")]
    known += [
        {"key": text, "value": words.known(name, person[name]), "href": None, "action": ""}
        for text, name in rows
        if name in person
    ]
    if person.get("is_child") in _YES:
        known.append({"key": "Child", "value": "Yes: under 18 by the source's word", "href": None, "action": ""})
    if said["merged"]:
        known.append({"key": "Also known by the ids", "value": ", ".join(said["merged"]), "href": None, "action": ""})
    if said["asked_as"] != said["nominal"]:
        known.append({"key": "Asked for as", "value": said["asked_as"], "href": None, "action": ""})
    drawers = [
        {
            "a": {
                "text": said["nominal"],
                "href": to("nominal", nominals=(said["nominal"],)),
                "victim": False,  # what this nominal is, the head of the page says
                "child": False,
            },
            "b": {
                "text": f"{link['other']} {link['other_name']}".strip(),
                "href": to("nominal", nominals=(link["other"],)),
                "victim": "victim" in link["shown_as"],
                "child": link["other_child"] in _YES,
            },
            "handling": link["handling"],
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
        "network_drawing": _near(said, to),
        "drawings": [
            drawing | {"caption": f"{words.THEMES[theme]}: {drawing['caption'][0].lower()}{drawing['caption'][1:]}"}
            for theme, series in said["series"].items()
            for drawing in _series(series, frame, "this nominal", ("strength", "links", "harm"))
        ],
        **_beside(ask, frame, {"id": said["asked_as"]}),
    }


def _near(said: Mapping[str, Any], to: To) -> Markup | str:
    """The nominal and those whom links join to them; each as the records of those links name them."""
    roles: dict[str, set[str]] = {}
    strength: dict[str, int] = {}
    for link in said["links"]:
        roles.setdefault(link["other"], set()).update(link["shown_as"])
        strength[link["other"]] = strength.get(link["other"], 0) + link["strength"]
    people = [(said["nominal"], _own_role(said["figures"]), max(strength.values(), default=0), 1, 0)]
    people += [(who, _named_as(roles[who]), strength[who], 0, 0) for who in said["near"]]
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    for link in said["between"]:
        held = pairs.setdefault((link["a"], link["b"]), {"a": link["a"], "b": link["b"], "strength": 0})
        held["strength"] += link["strength"]
    people.sort(key=lambda person: person[0])
    return _diagram(people, list(pairs.values()), f"Nominal {said['nominal']} and those linked to them", to, "")


def _own_role(figures: Sequence[Mapping[str, Any]]) -> Role:
    names = ("offending", "victim", "witness")
    summed = {name: sum(row[name] for row in figures if isinstance(row[name], int)) for name in names}
    return _role(summed | {"victim_only": int(all(row["victim_only"] == 1 for row in figures))})


def _named_as(roles: set[str]) -> Role:
    offended = bool(roles & {"suspect", "offender", "arrested"})
    return _role(
        {
            "offending": int(offended),
            "victim": int("victim" in roles),
            "witness": int("witness" in roles),
            "victim_only": 0,
        }
    )


def _beside(ask: Ask, frame: Frame, keep: Mapping[str, str]) -> dict[str, Any]:
    return {
        "keep": dict(keep),
        "kinds": [{"value": kind, "text": words.KINDS[kind]} for kind in KINDS],
        "grades": [{"value": grade, "text": grade} for grade in ("ungraded", *sorted(_GRADES))],
        "roles": [{"value": role, "text": role.capitalize()} for role in ROLES],
        "since_options": frame.earlier,
    }


_YES = ("yes", "true", "1")  # as sources write it
_GRADES = {f"{source}{assessment}" for source in "123" for assessment in "ABCDE"}


def _evidence(link: Mapping[str, Any], said: Mapping[str, Any], to: To) -> dict[str, Any]:
    people = {row["nominal"]: row for row in said["people"]}
    sides = [
        {
            "text": f"{link[side]} {people[link[side]]['nominal_name'] if link[side] in people else ''}".strip(),
            "href": to("nominal", nominals=(link[side],)),
            "victim": bool(
                said["victim_only"].get(link[side], 0) or any(each["victims"][place] for each in link["supports"])
            ),
            "child": link[side] in people and people[link[side]]["nominal_child"] in _YES,
        }
        for place, side in enumerate("ab")
    ]
    return {
        "a": sides[0],
        "b": sides[1],
        "handling": "",  # each record says its own
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


def _compared(said: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    steps = said["causes"]["steps"]
    columns = [{"text": text, "numeric": number, "href": None, "sorted": ""} for text, number in (
        ("What", False), ("Figure", False), ("Before", True), ("After", True))]  # fmt: skip
    columns += [{"text": STEPS[step], "numeric": True, "href": None, "sorted": ""} for step in steps]
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


def found_wrong(reports: Sequence[Report], link: Callable[[Report], str | None]) -> list[dict[str, Any]]:
    """What was later found to be in error of what a page shows: no part of what it says, nor of its digest. `link` is
    the address of a finding, for whoever may read it."""
    return [
        {
            "number": each.number,
            "on": words.day(words.london_day(each.finding.on)),
            "wrong": WRONG.get(each.act.wrong, each.act.wrong),
            "cause": CAUSES.get(each.finding.cause, each.finding.cause),
            "corrected": bool(each.finding.corrected),
            "first": each.finding.first,
            "carried": each.finding.carried,
            "href": link(each),
        }
        for each in reports
        if each.finding is not None
    ]


def sides(said: Mapping[str, Any], ask: Ask) -> list[list[dict[str, Any]]]:
    """The large numbers of both sides of a comparison; an empty list for a side that has no such thing."""
    return [_numbers(said[side], ask) for side in ("before", "after")]


def _numbers(said: Mapping[str, Any], ask: Ask) -> list[dict[str, Any]]:
    found: list[tuple[Any, str]] = []
    if not said:
        return []
    if ask.view == "network":
        network = said["network"]
        found = [
            (network[name], text)
            for name, text in (("members", "nominals"), ("strength", "points"), ("harm", "days of harm"))
        ]
    elif ask.view == "nominal":
        for row in said["figures"]:
            theme = words.THEMES[row["theme"]]
            found += [
                (row["links"], f"links ({theme})"),
                (row["strength"], f"points ({theme})"),
                (row["harm"], f"days of harm ({theme})"),
            ]
    elif ask.view == "link":
        found = [(link["strength"], f"points ({words.THEMES[link['theme']]})") for link in said["links"]]
    return [{"number": number, "text": text, "href": None} for number, text in found if isinstance(number, int)]
