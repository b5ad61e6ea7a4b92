"""The slow, obvious twins: the tree of RFC 6962, section 2.1, recursion and all; the weekly build, from the design; and
what a disposal leaves of it, and a hold keeps.

All are written from their definitions and share no code with the product.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import rfc8785

from provenance.params import Params


def tree_hash(entries: list[bytes]) -> bytes:
    """MTH(D[n]), section 2.1."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = largest_power_of_two_below(len(entries))
    return hashlib.sha256(b"\x01" + tree_hash(entries[:k]) + tree_hash(entries[k:])).digest()


def audit_path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]), section 2.1.1."""
    if len(entries) == 1:
        return []
    k = largest_power_of_two_below(len(entries))
    if m < k:
        return [*audit_path(m, entries[:k]), tree_hash(entries[k:])]
    return [*audit_path(m - k, entries[k:]), tree_hash(entries[:k])]


def consistency_proof(m: int, entries: list[bytes]) -> list[bytes]:
    """PROOF(m, D[n]), section 2.1.2, for 0 < m <= n."""
    return subproof(m, entries, True)


def subproof(m: int, entries: list[bytes], known: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b), section 2.1.2; `known` is its b: the verifier has the root of these m entries."""
    if m == len(entries):
        return [] if known else [tree_hash(entries)]
    k = largest_power_of_two_below(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], known), tree_hash(entries[k:])]
    return [*subproof(m - k, entries[k:], False), tree_hash(entries[:k])]


def largest_power_of_two_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def as_text(row: dict[str, Any]) -> bytes:
    """A row as it is sealed: what is empty left out, and what several objects say written by name."""
    said: dict[str, Any] = {}
    for name, cell in row.items():
        if cell and isinstance(cell, list) and isinstance(cell[0], dict):
            said[name] = {}
            for inner in cell[0]:
                if any(one[inner] or isinstance(one[inner], int) for one in cell):
                    said[name][inner] = [one[inner] for one in cell]
        elif cell or isinstance(cell, int):
            said[name] = cell
    return rfc8785.dumps(said)


# The weekly build, from sections 1 and 6 to 8 of the design: whole extracts in, whole tables out, a row at a time. It
# remembers nothing from week to week, and knows no tokens, no files and no builds.


@dataclass(frozen=True)
class Handed:
    """One extract as the sources meant it. A row of `rows` has a record's cells, and under "people" (nominal, role)."""

    cut_off: str
    mode: str
    systems: tuple[str, ...]
    rows: Sequence[dict[str, Any]]
    nominals: Sequence[dict[str, str]] = ()
    merges: Sequence[dict[str, str]] = ()
    orders: Sequence[dict[str, str]] = ()


def build_tables(
    extracts: Sequence[Handed], cut_off: str, rules: Params, days: dict[str, int]
) -> dict[str, list[dict]]:
    """What a build with this cut-off says after these extracts: rows of `record`, `involvement`, `person`, `identity`,
    `link` and `nominal`; and under `network` a row per network, with its people in place of an id."""
    source = taken(extracts, cut_off)
    stands_for = canonical_people(source["identity"])
    supports = [one for row in source["record"] for one in supports_of(row, parts_of(source, row, stands_for), rules)]
    found = {key: link_of(key, mine, rules) for key, mine in grouped(supports, ("theme", "a", "b")).items()}
    figures, groups = figures_of(source, stands_for, found, rules, days)
    links = [found[key] for key in sorted(found)]
    return {**source, "link": links, "nominal": figures, "network": groups}


def answering(extracts: Sequence[Handed], cut_off: str) -> dict[str, list[int]]:
    """Which extracts speak for each system: those cut off by then, or else the system's first."""
    speak = {}
    for system in {name for extract in extracts for name in extract.systems}:
        mine = [place for place, extract in enumerate(extracts) if system in extract.systems]
        speak[system] = [place for place in mine if extracts[place].cut_off <= cut_off] or mine[:1]
    return speak


def taken(extracts: Sequence[Handed], cut_off: str) -> dict[str, list[dict]]:
    """The rows of the sources' tables that a build takes."""
    speak, numbered = answering(extracts, cut_off), list(versions(extracts))
    held: dict[tuple[str, str], dict] = {}
    for place, extract in enumerate(extracts):
        for system in extract.systems:
            if place not in speak[system]:
                continue
            if extract.mode == "full":
                held = {key: row for key, row in held.items() if key[0] != system}
            held |= {key: row for key, row in numbered[place].items() if key[0] == system}
    records = [held[key] for key in sorted(held) if held[key]["recorded_at"] <= cut_off]

    used = [extract for place, extract in enumerate(extracts) if any(place in places for places in speak.values())]
    parts = [
        {"system": r["system"], "record_id": r["record_id"], "nominal_id": n, "role": role, "assessed": "fact"}
        for r in records
        for n, role in sorted(set(r["people"]))
    ]
    details: dict[str, dict] = {}  # what was last said by then, or else what was said first
    for extract in sorted(extracts, key=lambda extract: extract.cut_off > cut_off):
        for row in extract.nominals:
            if extract.cut_off <= cut_off or row["nominal_id"] not in details:
                details[row["nominal_id"]] = row
    judged = {tuple(sorted(row.items())): row for extract in used for row in extract.merges if row["at"] <= cut_off}
    return {
        "record": [{name: cell for name, cell in row.items() if name != "people"} for row in records],
        "involvement": parts,
        "person": [details[name] for name in sorted({part["nominal_id"] for part in parts} & details.keys())],
        "identity": list(judged.values()),
    }


def versions(extracts: Sequence[Handed]) -> Iterator[dict[tuple[str, str], dict]]:
    """Each extract's records, numbered: a record that is not as the archive last held it is its next version. A row
    that was given its version when it came keeps it, whatever has gone since."""
    last: dict[tuple[str, str], tuple] = {}
    count: Counter[tuple[str, str]] = Counter()
    for extract in extracts:
        rows = {(row["system"], row["record_id"]): row for row in extract.rows}
        if extract.mode == "full":
            last = {key: said for key, said in last.items() if key[0] not in extract.systems or key in rows}
        for key, row in rows.items():
            said = (sorted(set(row["people"])), {name: cell for name, cell in row.items() if name != "people"})
            if last.get(key) != said:
                count[key] += 1
                last[key] = said
        yield {key: {"version": count[key]} | row for key, row in rows.items()}


def canonical_people(judgements: Sequence[dict[str, str]]) -> Callable[[str], str]:
    """Who stands for whom after all judgements in the order of their dates."""
    into: dict[str, str] = {}
    parted: set[frozenset[str]] = set()
    for row in sorted(judgements, key=lambda row: [row[name] for name in ("at", "from_nominal", "into_nominal")]):
        one, other = row["from_nominal"], row["into_nominal"]
        if other == "split":
            if one in into:
                parted.add(frozenset((one, into.pop(one))))
        elif row["evidence"] != "same name" and frozenset((one, other)) not in parted and one not in into:
            into[one] = other

    def stands_for(name: str) -> str:
        while name in into:
            name = into[name]
        return name

    return stands_for


def parts_of(
    source: dict[str, list[dict]], record: dict, stands_for: Callable[[str], str]
) -> dict[str, dict[str, set]]:
    """Per person in a record: the roles they had in it, and the ids that it knows them by."""
    parts: dict[str, dict[str, set]] = {}
    for part in source["involvement"]:
        if (part["system"], part["record_id"]) == (record["system"], record["record_id"]):
            mine = parts.setdefault(stands_for(part["nominal_id"]), {"roles": set(), "ids": set()})
            mine["roles"].add(part["role"])
            mine["ids"].add(part["nominal_id"])
    return parts


def counts(record: dict, rules: Params) -> bool:
    """Whether a record counts for anything: its status, its grade, and a theme."""
    if record["status"] in rules.links.statuses_left_out:
        return False
    scheme = record["grade_scheme"]
    if not scheme:
        return record["kind"] not in rules.grading.needs_grade
    return rules.grading.admitted[scheme][record["source_grade"]][record["assessment_grade"]]


def themes_of(record: dict) -> list[str]:
    return record["themes"].split(";") if record["themes"] else []


def orders_taken(extracts: Sequence[Handed], cut_off: str) -> list[dict]:
    """The disposal orders that a build takes: events, like judgements."""
    used = {place for places in answering(extracts, cut_off).values() for place in places}
    orders = {tuple(sorted(row.items())): row for place in sorted(used) for row in extracts[place].orders}
    return [row for row in orders.values() if row["at"] <= cut_off]


def left_out(source: dict[str, list[dict]], rules: Params) -> dict[str, tuple[int, int]]:
    """Records that gave no link and the people in them, by `SYSTEM kind: reason`, the first reason that holds."""
    stands_for = canonical_people(source["identity"])
    found: dict[str, tuple[int, int]] = {}
    for record in source["record"]:
        people = len(parts_of(source, record, stands_for))
        if reason := why_left_out(record, people, rules):
            what = f"{record['system']} {record['kind']}: {reason}"
            records, counted = found.get(what, (0, 0))
            found[what] = records + 1, counted + people
    return found


def why_left_out(record: dict, people: int, rules: Params) -> str:
    if record["status"] in rules.links.statuses_left_out:
        return "status"
    if not counts(record, rules):
        return "grade-not-admitted" if record["grade_scheme"] else "no-grade"
    if not themes_of(record):
        return "no-theme"
    return "one-person" if people < 2 else "over-cap" if people > rules.links.people_per_record else ""


def supports_of(record: dict, parts: dict[str, dict[str, set]], rules: Params) -> Iterator[dict[str, Any]]:
    """A record's part in every link that it makes."""
    if not counts(record, rules) or len(parts) > rules.links.people_per_record:
        return
    scheme, source, assessment = (record[name] for name in ("grade_scheme", "source_grade", "assessment_grade"))
    percent = rules.links.grade_percents[scheme][source][assessment] if scheme else rules.links.ungraded_percent
    classes, pairs = rules.links.role_classes, rules.links.role_pairs
    for theme in themes_of(record):
        for a in parts:
            for b in (name for name in parts if name > a):
                meetings = [(classes[x], classes[y]) for x in parts[a]["roles"] for y in parts[b]["roles"]]
                best = max(pairs.get(f"{x}-{y}", pairs.get(f"{y}-{x}")) for x, y in meetings)
                yield {
                    "theme": theme, "a": a, "b": b,
                    **{name: record[name] for name in _CARRIED},
                    "role_a": "+".join(sorted(parts[a]["roles"])), "role_b": "+".join(sorted(parts[b]["roles"])),
                    "sources_a": sorted(parts[a]["ids"] - {a}), "sources_b": sorted(parts[b]["ids"] - {b}),
                    "assessed": "fact", "grade": source + assessment,
                    "contribution": max(1, rules.links.kind_points[record["kind"]] * best * percent // 10_000),
                }  # fmt: skip


_CARRIED = ("system", "record_id", "version", "kind", "occurred_at", "grade_scheme", "handling", "conditions")


def grouped(rows: Iterable[dict], key: Sequence[str]) -> dict[tuple, list[dict]]:
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in key), []).append(row)
    return groups


def link_of(key: tuple[str, str, str], supports: list[dict], rules: Params) -> dict[str, Any]:
    """A link: its supports and what they add up to; handled as the strictest of them, under all their conditions."""
    order = ["", *rules.grading.handling_order]
    ordered = sorted(supports, key=lambda one: (one["system"], one["record_id"]))
    return {
        **dict(zip(("theme", "a", "b"), key, strict=True)),
        "strength": sum(one["contribution"] for one in supports),
        "records": len(supports),
        "handling": max((one["handling"] for one in supports), key=order.index),
        "conditions": "; ".join(sorted({one["conditions"] for one in supports} - {""})),
        "rule": rules.links.rule,
        "supports": [{name: one[name] for name in one if name not in ("theme", "a", "b")} for one in ordered],
    }


def figures_of(
    source: dict[str, list[dict]],
    stands_for: Callable[[str], str],
    links: dict[tuple[str, str, str], dict],
    rules: Params,
    days: dict[str, int],
) -> tuple[list[dict], list[dict]]:
    """A row per theme and person with a record that counts, and a row per network."""
    people: dict[tuple[str, str], Counter[str]] = {}
    for record in source["record"]:
        if not counts(record, rules):
            continue
        for name, part in parts_of(source, record, stands_for).items():
            for theme in themes_of(record):
                mine = people.setdefault((theme, name), Counter())
                mine.update({"records": 1} | {rules.links.role_classes[role]: 1 for role in part["roles"]})
                if part["roles"] & set(rules.harm.roles):
                    mine["harm"] += days.get(record["offence_code"], 0)
                    mine["harm_unknown"] += record["offence_code"] not in days
    groups = []
    figures = []
    for theme in sorted({theme for theme, _ in people}):
        here = [link for link in links.values() if link["theme"] == theme]
        strong = [
            x
            for x in here
            if x["records"] >= rules.networks.least_records and x["strength"] >= rules.networks.least_strength
        ]
        linked = {name for link in here for name in (link["a"], link["b"])}
        nets = connected([(link["a"], link["b"]) for link in strong])
        for net in nets:
            inside = [link for link in strong if link["a"] in net]
            groups.append(
                {
                    "theme": theme, "network": net, "members": len(net), "links": len(inside),
                    "strength": sum(link["strength"] for link in inside),
                    "harm": sum(people[theme, name]["harm"] for name in net), "severity": 0,  # no second table
                    "alarm": int(len(net) * 100 > rules.networks.alarm_share_percent * len(linked)),
                }
            )  # fmt: skip
        for name in sorted(name for of, name in people if of == theme):
            mine, own = people[theme, name], [link for link in here if name in (link["a"], link["b"])]
            figures.append(
                {
                    "theme": theme, "nominal": name, "links": len(own), "strength": sum(x["strength"] for x in own),
                    "network": next((net for net in nets if name in net), frozenset()),
                    **{what: mine[what] for what in _COUNTED},
                    "victim_only": int(mine["victim"] == mine["records"] and not any(mine[what] for what in _ELSE)),
                }
            )  # fmt: skip
    return figures, groups


_ELSE = ("offending", "witness", "other")
_COUNTED = ("records", "offending", "victim", "witness", "other", "harm", "harm_unknown", "severity",
            "severity_unknown")  # fmt: skip


def connected(pairs: Iterable[tuple[str, str]]) -> list[frozenset[str]]:
    """The sets of people that the pairs connect."""
    nets: list[frozenset[str]] = []
    for pair in pairs:
        touched = [net for net in nets if net & set(pair)]
        nets = [net for net in nets if net not in touched] + [frozenset(pair).union(*touched)]
    return nets


# Disposal and holds, from sections 2 and 3 of the design and requirements R14, R31 to R39. A thing that may be disposed
# of is a nominal, named by its id, or a record, named by its system and id.

Thing = str | tuple[str, str]


def parents(table: str, row: dict[str, Any]) -> set[Thing]:
    """The things that a row was derived from: it is read only while all of them are retained."""
    match table:
        case "record":
            return {(row["system"], row["record_id"])}
        case "involvement":
            return {(row["system"], row["record_id"]), row["nominal_id"]}
        case "person":
            return {row["nominal_id"]}
        case "identity":
            return {row["from_nominal"], row["into_nominal"]} - {"split"}
        case "order":
            return {row["id"] if row["what"] == "nominal" else (row["system"], row["id"])}
        case "nominal":
            return {row["nominal"]}
        case "link":
            return {row["a"], row["b"]}.union(*map(behind, row["supports"]))
    return set()  # a network names no one


def behind(support: dict[str, Any]) -> set[Thing]:
    """The record of a support, and the ids by which that record knew the two people, where they were merged."""
    return {(support["system"], support["record_id"]), *support["sources_a"], *support["sources_b"]}


def without(table: str, row: dict[str, Any], gone: Set[Thing], rules: Params) -> dict[str, Any] | None:
    """What is left of a row of any build when some things are gone: all of it, nothing, or of a link what its other
    supports add up to."""
    if not parents(table, row) & gone:
        return row
    if table != "link" or {row["a"], row["b"]} & gone:
        return None
    kept = [support for support in row["supports"] if not behind(support) & gone]
    return link_of((row["theme"], row["a"], row["b"]), kept, rules) if kept else None


def never_received(extract: Handed, gone: Set[Thing]) -> Handed:
    """An extract as if it had never spoken of these things."""
    return replace(
        extract,
        rows=[
            row | {"people": [(name, role) for name, role in row["people"] if name not in gone]}
            for row in extract.rows
            if not parents("record", row) & gone
        ],
        nominals=[row for row in extract.nominals if not parents("person", row) & gone],
        merges=[row for row in extract.merges if not parents("identity", row) & gone],
        orders=[row for row in extract.orders if not parents("order", row) & gone],
    )


def persons(judgements: Sequence[dict[str, str]]) -> list[set[str]]:
    """The ids that judgements put together, person by person."""
    stands_for, found = canonical_people(judgements), {}
    for name in {row[side] for row in judgements for side in ("from_nominal", "into_nominal")} - {"split"}:
        found.setdefault(stands_for(name), {stands_for(name)}).add(name)
    return list(found.values())


def reached(named: Set[Thing], same: Iterable[Set[str]], rows: Iterable[Set[Thing]]) -> set[Thing]:
    """What a hold reaches: what it names, the same people under other ids (`same`: persons that anybody judged to be
    one), and whatever shares a row with those (`rows`: the parents of each)."""
    held = set(named).union(*(person for person in same if person & named))
    return held.union(*(row for row in rows if row & held))
