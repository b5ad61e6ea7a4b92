"""The tables of a page, as a file can hold them: named columns of text or of whole numbers.

What a page says is nested; a sheet is flat, and of one page the sheets say the same as the page: whoever is a victim is
told as one in each row that names them. A figure that is withheld is no number, and is left empty (None).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance.themes import WITHHELD


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in a file, its heading on paper, and whether it holds whole numbers."""

    name: str
    title: str
    number: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table, its rows in the order of the page."""

    name: str  # in names of files: lowercase words
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


_TEXTS = {
    "theme": "Theme", "nominal": "Nominal", "name": "Name", "child": "Child", "network": "Network", "a": "Nominal",
    "a_name": "Name", "a_child": "Child", "b": "Linked to", "b_name": "Name", "b_child": "Child",
    "handling": "Handling", "conditions": "Conditions", "change": "Change", "place": "Area", "system": "System",
    "record_id": "Record", "kind": "Kind", "occurred_at": "Occurred", "grade_scheme": "Scheme", "grade": "Grade",
    "assessed": "Fact or assessment", "role_a": "Role of the first", "role_b": "Role of the second",
    "shown_as": "Roles in the records", "figure": "Figure", "build": "Build", "moved": "Which", "edition": "Table",
    "offence": "Offence", "offence_code": "Code", "roles": "Roles", "unit": "Unit", "how": "How", "status": "Check",
    "what": "What", "harm_edition": "Harm table", "severity_edition": "Severity table", "size": "Size",
    "born": "Born", "sex": "Sex", "ethnicity": "Ethnicity", "other": "Linked to", "other_name": "Name",
    "other_child": "Child", "measure": "Measure", "merged_ids": "Also known by the ids", "asked_as": "Asked for as",
    "worked_out": "Worked out", "stored": "Stored",  # a digest among them
}  # fmt: skip
_NUMBERS = {
    "strength": "Strength, points", "records": "Records", "links": "Links", "members": "Nominals", "people": "Nominals",
    "networks": "Networks", "harm": "Harm, days", "harm_unknown": "Harm unknown", "severity": "Severity",
    "severity_unknown": "Severity unknown", "offending": "Offending", "victim": "As victim", "witness": "As witness",
    "other_roles": "Other roles", "victim_only": "Victim only", "a_victim": "First is a victim",
    "b_victim": "Second is a victim", "reduced": "Reduced", "alarm": "Alarm",
    "computed_with_erased": "With erased", "members_before": "Nominals before", "members_after": "after",
    "strength_before": "Strength before", "strength_after": "Strength after", "harm_before": "Harm before",
    "harm_after": "Harm after", "before": "Before", "after": "After", "contribution": "Points",
    "rank_strength": "Rank: strength", "rank_links": "Rank: links", "rank_harm": "Rank: harm",
    "rank_records": "Rank: records", "core": "Core", "triangles": "Triangles", "severed": "Severed",
    "severed_per_mille": "Severed, per mille", "reach_two": "Reach in two", "subgroup": "Sub-group",
    "pagerank_billionths": "PageRank, billionths", "betweenness_thousandths_rounded": "Betweenness, thousandths",
    "betweenness_left_out": "Betweenness left out",
    "weight": "Weight", "counts": "Counts", "counted": "Counted", "unknown": "Unknown", "expired": "Expired",
    "rank": "Rank", "value": "Value", "parts": "Parts", "loose": "Fall out", "links_lost": "Links lost",
}  # fmt: skip
_PERSON = (
    "links", "strength", "records", "offending", "victim", "witness", "other_roles", "victim_only", "harm", "severity",
    "computed_with_erased",
)  # fmt: skip
_MEASURES = (
    "core", "triangles", "severed", "severed_per_mille", "reach_two", "pagerank_billionths",
    "betweenness_thousandths_rounded", "betweenness_left_out", "subgroup",
)  # fmt: skip
_LINK = (
    "theme", "a", "a_name", "a_child", "a_victim", "b", "b_name", "b_child", "b_victim", "strength", "records",
    "handling", "conditions", "reduced",
)  # fmt: skip


def sheets(view: str, said: Mapping[str, Any]) -> tuple[Sheet, ...]:
    """The tables of what a page of this view said, those without a row left out."""
    found = _compared(said) if "causes" in said else _VIEWS[view](said)
    return tuple(sheet for sheet in found if sheet.rows)


def _sheet(name: str, title: str, names: Sequence[str], rows: Iterable[Mapping[str, Any]], note: str = "") -> Sheet:
    columns = tuple(Column(each, _NUMBERS.get(each) or _TEXTS[each], each in _NUMBERS) for each in names)
    return Sheet(name, title, columns, tuple(tuple(_cell(row.get(c.name), c) for c in columns) for row in rows), note)


def _cell(value: Any, column: Column) -> Any:
    if column.number:
        return None if value in (None, "", WITHHELD) else int(value)
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)


def _person(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "name": row.get("nominal_name", ""), "child": row.get("nominal_child", "")} | (
        {"other_roles": row["other"]} if isinstance(row.get("other"), int) or row.get("other") == WITHHELD else {}
    )


def _totals(title: str, figures: Mapping[str, Any]) -> Sheet:
    rows = [{"figure": name.replace("_", " "), "value": value} for name, value in figures.items()]
    return _sheet("totals", title, ("figure", "value"), rows)


def _associations(said: Mapping[str, Any]) -> list[Sheet]:
    networks = ("network", "members", "links", "strength", "harm", "severity", "alarm", "computed_with_erased")
    return [
        _totals("Totals", said["totals"]),
        _sheet("networks", "Networks", networks, said["networks"]),
        _sheet("links", "Strongest links", _LINK, said.get("links", ())),
    ]


def _change(said: Mapping[str, Any]) -> list[Sheet]:
    series = said["series"]
    names = ("people", "links", "networks", "strength")
    moved = {"gained": "strength rose", "lost": "strength fell", "harm_rose": "harm rose"}
    builds = [
        {"build": label} | {name: series[name][place] for name in names} for place, label in enumerate(said["labels"])
    ]
    words = ("new", "gone", "changed")
    counted = [
        {"change": word, "links": said["links"][word], "strength": said["strength"][word]}
        for word in words
        if "links" in said
    ]
    sides = [f"{name}_{side}" for name in ("members", "strength", "harm") for side in ("before", "after")]
    ends = ("a", "a_name", "a_child", "a_victim", "b", "b_name", "b_child", "b_victim")
    pairs = (*ends, "change", "strength_before", "strength_after")
    people = [
        _person(row) | {"moved": title} for name, title in moved.items() for row in said.get("people", {}).get(name, ())
    ]
    return [
        _sheet("counts", f"What changed since build {said['since']}", ("change", "links", "strength"), counted),
        _sheet("networks", "Networks that changed", ("network", *sides), said.get("networks", ())),
        _sheet("links", "Links that changed most", pairs, said.get("links_listed", ())),
        _sheet(
            "nominals", "Nominals whose figures moved most", ("moved", "nominal", "name", "child", "before", "after"),
            people,
        ),
        _sheet("builds", "Each build", ("build", *names), builds),
    ]  # fmt: skip


def _key_nominals(said: Mapping[str, Any]) -> list[Sheet]:
    measures = said["measures"]
    people = [
        _person(row) | {f"rank_{name}": row["ranks"][name] for name in measures} for row in said.get("listed", ())
    ]
    spread = [
        {"size": "0" if not size else f"{10 ** (size - 1)} to {10**size - 1}"}
        | {name: said["spread"][name][size] if size < len(said["spread"][name]) else 0 for name in measures}
        for size in range(max(map(len, said["spread"].values()), default=0))
    ]
    counts = {name: said[name] for name in ("people", "withheld", "victims_only")}
    return [
        _totals("Totals", {"nominals": counts["people"], "figures withheld": counts["withheld"],
                           "named as victims only": counts["victims_only"]}),
        _sheet("nominals", "Key nominals", ("nominal", "name", "child", "network", *(f"rank_{m}" for m in measures),
               *_PERSON), people),
        _sheet("spread", "How many nominals have a figure of each size", ("size", *measures), spread),
    ]  # fmt: skip


def _places(said: Mapping[str, Any]) -> list[Sheet]:
    names = ("place", "records", "people", "harm", "harm_unknown", "harm_edition", "severity", "severity_edition")
    return [_sheet("places", "Records behind links, by area", names, said["places"])]


def _network(said: Mapping[str, Any]) -> list[Sheet]:
    network = said["network"]
    named = {row["nominal"]: row for row in said["people"]}
    links = [
        link | {f"{end}_{what}": named[link[end]][f"nominal_{what}"] for end in "ab" for what in ("name", "child")}
        for link in said["links"]
    ]
    hinges = [
        hinge | {"parts": len(hinge["parts"]), "links_lost": len(hinge["links_lost"])}
        for hinge in said["hangs_on"].get("hinges", ())
    ]
    totals = {name: network[name] for name in ("members", "links", "strength", "harm", "severity")}
    return [
        _totals("The network as a whole", totals),
        _sheet("nominals", "Nominals", ("nominal", "name", "child", *_PERSON, *_MEASURES),
               map(_person, said["people"])),
        _sheet("links", "Links", [name for name in _LINK if name != "theme"], links),
        _sheet(
            "hinges", "Records that the network hangs on",
            ("system", "record_id", "change", "parts", "loose", "links_lost"), hinges,
        ),
        _series(said, "builds", "Each build", said["series"]),
    ]  # fmt: skip


def _series(said: Mapping[str, Any], name: str, title: str, series: Mapping[str, Sequence[Any]]) -> Sheet:
    rows = [
        {"build": label} | {each: values[place] for each, values in series.items()}
        for place, label in enumerate(said["labels"])
        if any(values[place] != "" for values in series.values())
    ]
    return _sheet(name, title, ("build", *series), rows)


def _nominal(said: Mapping[str, Any]) -> list[Sheet]:
    about = {"nominal": said["nominal"], "merged_ids": said["merged"], "asked_as": said["asked_as"]} | {
        "child" if name == "is_child" else name: value for name, value in said["person"].items()
    }
    listed = ("theme", "other", "other_name", "other_child", "shown_as", "strength", "records", "handling",
              "conditions", "reduced")  # fmt: skip
    known = ("nominal", "name", "born", "sex", "ethnicity", "child", "merged_ids", "asked_as")
    return [
        _sheet("nominal", "Nominal", known, [about]),
        _sheet("figures", "Figures, by theme", ("theme", "network", *_PERSON, "harm_edition"),
               map(_person, said["figures"])),
        _sheet("links", "Links, strongest first", listed, said["links"]),
        *(
            _series(said, f"builds-{theme.lower()}", f"Each build: {theme}", series)
            for theme, series in said["series"].items()
        ),
    ]  # fmt: skip


def _figures(said: Mapping[str, Any]) -> list[Sheet]:
    figures = [
        {"theme": one["theme"], "status": figure["status"], "how": figure["how"]}
        | {"figure": figure["figure"].replace("_", " "), "worked_out": figure["worked_out"], "stored": figure["stored"]}
        for one in said["explained"]
        for figure in one["figures"]
    ]
    harm = ("theme", "system", "record_id", "kind", "occurred_at", "offence_code", "offence", "roles", "counts",
            "edition", "unit", "weight", "counted", "unknown", "expired")  # fmt: skip
    counted = [{"theme": one["theme"]} | record for one in said["explained"] for record in one["records"]]
    return [
        _sheet("figures", "How each figure comes about",
               ("theme", "figure", "worked_out", "stored", "status", "how"), figures),
        _sheet("records", "Records that count", ("theme", "system", "record_id", "kind", "occurred_at", "offence_code",
               "roles", "grade_scheme", "grade"), counted),
        _sheet("harm", "Harm of each record", harm, said["harm"]["records"]),
    ]  # fmt: skip


def _link(said: Mapping[str, Any]) -> list[Sheet]:
    names = {row["nominal"]: row for row in said["people"]}
    links = [
        {
            **link, **{f"{end}_name": names[link[end]]["nominal_name"] for end in "ab"},
            **{f"{end}_child": names[link[end]]["nominal_child"] for end in "ab"},
            **{f"{end}_victim": max(s["victims"][place] for s in link["supports"]) for place, end in enumerate("ab")},
        }
        for link in said["links"]
    ]  # fmt: skip
    supports = [
        support | {"theme": link["theme"], "a": link["a"], "b": link["b"]}
        | {"role_a": support["roles"][0], "role_b": support["roles"][1]}
        for link in said["links"]
        for support in link["supports"]
    ]  # fmt: skip
    behind = ("theme", "a", "role_a", "b", "role_b", "system", "record_id", "kind", "occurred_at", "grade_scheme",
              "grade", "assessed", "handling", "conditions", "contribution")  # fmt: skip
    return [
        _sheet("links", "The link, in each theme", _LINK, links),
        _sheet("records", "Every record behind it", behind, supports),
    ]


def _search(said: Mapping[str, Any]) -> list[Sheet]:
    rows = [_person(row) | where for row in said["found"] for where in (row["in"] or [{"theme": "", "network": ""}])]
    return [_sheet("nominals", "Nominals found", ("nominal", "name", "child", "theme", "network"), rows)]


def _compared(said: Mapping[str, Any]) -> list[Sheet]:
    steps = said["causes"]["steps"]
    names = ("theme", "kind", "a", "b", "figure", "before", "after")
    columns = tuple(Column(name, _NUMBERS.get(name) or _TEXTS[name], name in _NUMBERS) for name in names)
    columns += tuple(Column(step, step.replace("_", " ").capitalize(), True) for step in steps)
    rows = tuple(tuple(_cell(row[c.name], c) for c in columns) for row in said["causes"]["changes"])
    note = "Each difference is the sum of its causes."
    return [Sheet("changes", f"What changed since build {said['since']}, by cause", columns, rows, note)]


_VIEWS = {
    "associations": _associations, "change": _change, "key-nominals": _key_nominals, "places": _places,
    "network": _network, "nominal": _nominal, "figures": _figures, "link": _link, "search": _search,
}  # fmt: skip
