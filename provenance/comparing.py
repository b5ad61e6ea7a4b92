"""What changed in links and networks from one build to another, and which records and people are behind each change.

`changes` opens nothing: what two builds have and have not in common says which links, and what those came to was put
away. `difference` opens the rows that differ, and says which records came, went, or say something else. `passages`
says who went from which network to which, and `events` what that made of the networks. Why is told by `causes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import figures, sets, vault
from provenance.asof import Snapshot
from provenance.records import THEMES

CHANGES = pa.schema(
    [
        ("theme", pa.string()),
        ("a", pa.string()),
        ("b", pa.string()),
        ("change", pa.string()),
        ("strength_before", pa.int64()),
        ("strength_after", pa.int64()),
    ]
)
DIFFERENCE = pa.schema(
    [
        *CHANGES,
        ("records_come", pa.list_(pa.string())),
        ("records_gone", pa.list_(pa.string())),
        ("records_changed", pa.list_(pa.string())),
    ]
)


def changes(before: Snapshot, after: Snapshot) -> pa.Table:
    """Which links changed from one build to another, by theme, a and b; the first columns of `difference`.

    No row is opened: which rows one build has and the other has not says it, and what they came to was put away. Only
    where something was reduced or is out of view the rows themselves are asked.
    """
    archive, index = before.archive, before.archive.index("link")
    for snapshot in (before, after):
        snapshot.keep_up()
    gone, come = index.between(before.built.number, after.built.number)
    whole = np.concatenate([gone, come])
    if len(sets.intersection(whole, index.bequests)) or (index.segment[whole] < 0).any() or len(archive.withheld()):
        return difference(before, after).select(CHANGES.names)
    gone, come = (at[index.died[at] == 0] for at in (gone, come))
    theme, a, b = (np.concatenate([part[gone], part[come]]) for part in (index.theme, index.a, index.b))
    order = np.lexsort((theme, b, a))
    same = [(part[order][1:] == part[order][:-1]) for part in (theme, a, b)]
    place = np.cumsum(np.concatenate([[True], ~(same[0] & same[1] & same[2])])) - 1 if len(order) else order
    pair = np.empty(len(order), np.int64)
    pair[order] = place
    first = np.full(len(sets.distinct(place)), -1)
    first[pair] = np.arange(len(pair))
    strengths = np.zeros((2, len(first)), np.int64)
    is_there = np.zeros((2, len(first)), bool)
    for side, (at, place) in enumerate(((gone, pair[: len(gone)]), (come, pair[len(gone) :]))):
        strengths[side, place], _ = figures.of_links(archive, at)
        is_there[side, place] = True
    names = vault.nominal_ids(archive.vault.keys(np.concatenate([a[first], b[first]])))
    words = pa.array(["gone", "new", "changed"])
    found = pa.table(
        [
            pa.array(THEMES).take(pa.array(theme[first] - 1)),
            names.slice(0, len(first)),
            names.slice(len(first)),
            words.take(pa.array(is_there[1].astype(np.int8) + (is_there[0] & is_there[1]))),
            *map(pa.array, strengths),
        ],
        schema=CHANGES,
    )
    return found.sort_by([(name, "ascending") for name in ("theme", "a", "b")]).combine_chunks()


def difference(before: Snapshot, after: Snapshot) -> pa.Table:
    """What changed in the links from one build to another, by theme, a and b.

    `change` is `new`, `gone` or `changed`; `strength_before` and `strength_after` are points (0 where there is no
    link); the record columns list `SYSTEM RECORD` behind the change: those that came, those that went, and those that
    say something else now.
    """
    old, new = before.standing("link"), after.standing("link")
    gone = before.content("link", sets.difference(old, new)).to_pylist()
    come = after.content("link", sets.difference(new, old)).to_pylist()
    sides: dict[tuple[str, str, str], list[Any]] = {}
    for place, links in enumerate((gone, come)):
        for link in links:
            sides.setdefault((link["theme"], link["a"], link["b"]), [None, None])[place] = link
    said = [
        _changed(key, *pair)
        for key, pair in sorted(sides.items())
        # What a disposal left of a link stands in the next build as a row of its own, and says the same.
        if not (pair[0] and pair[1] and pair[0]["supports"] == pair[1]["supports"])
    ]
    return pa.Table.from_pylist(said, schema=DIFFERENCE)


def _changed(key: tuple[str, str, str], old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any]:
    behind = [
        {f"{s['system']} {s['record_id']}": s for s in (link or {"supports": []})["supports"]} for link in (old, new)
    ]
    return {
        **dict(zip(("theme", "a", "b"), key, strict=True)),
        "change": "changed" if old and new else "new" if new else "gone",
        "strength_before": old["strength"] if old else 0,
        "strength_after": new["strength"] if new else 0,
        "records_come": sorted(behind[1].keys() - behind[0].keys()),
        "records_gone": sorted(behind[0].keys() - behind[1].keys()),
        "records_changed": sorted(k for k in behind[0].keys() & behind[1].keys() if behind[0][k] != behind[1][k]),
    }


PASSAGES = pa.schema(
    [
        ("theme", pa.string()),
        ("before", pa.string()),  # network; "" is being in none
        ("after", pa.string()),
        ("members", pa.list_(pa.string())),  # who passed, in order
    ]
)
EVENTS = pa.schema(
    [
        ("theme", pa.string()),
        ("event", pa.string()),
        ("before", pa.list_(pa.string())),  # networks
        ("after", pa.list_(pa.string())),
        ("members_before", pa.list_(pa.string())),
        ("members_after", pa.list_(pa.string())),
    ]
)


def passages(before: Snapshot, after: Snapshot) -> pa.Table:
    """Who passed from which network to which, by theme, before and after; only people whom both may be told of.

    Somebody who was judged another in the later build passes as two: out of the one network, into the other.
    """
    sides = []
    for snapshot, name in ((before, "before"), (after, "after")):
        held = snapshot.nominals().select(["theme", "nominal", "network"])
        sides.append(held.rename_columns(["theme", "nominal", name]))
    whole = sides[0].join(sides[1], ["theme", "nominal"], join_type="full outer")
    for name in ("before", "after"):
        whole = whole.set_column(whole.column_names.index(name), name, pc.fill_null(whole[name], ""))
    whole = whole.filter((pc.field("before") != "") | (pc.field("after") != ""))
    whole = whole.sort_by([(name, "ascending") for name in ("theme", "before", "after", "nominal")])
    found = whole.group_by(["theme", "before", "after"], use_threads=False).aggregate([("nominal", "list")])
    found = found.rename_columns({"nominal_list": "members"}).select(PASSAGES.names).cast(PASSAGES)
    return found.sort_by([(name, "ascending") for name in ("theme", "before", "after")]).combine_chunks()


def events(passed: pa.Table) -> pa.Table:
    """What became of each network, from the passages between two builds; by theme, then the networks before and after.

    `born`: none of its members was in a network before. `died`: none is in one after. `merged`: one network after with
    members of several before; `split`: one before with members in several after. `continued`: everything else, with or
    without people who came or left. A network may both merge and split, and then stands in both.
    """
    inner: list[dict[str, Any]] = []
    # A walk over networks and not over people: thousands, where there are millions.
    for theme in pc.unique(passed["theme"]).to_pylist():
        mine = passed.filter(pc.equal(passed["theme"], theme)).to_pylist()
        into: dict[str, set[str]] = {}
        out: dict[str, set[str]] = {}
        people: tuple[dict[str, list[str]], dict[str, list[str]]] = {}, {}
        for row in mine:
            for side, network in enumerate((row["before"], row["after"])):
                if network:
                    people[side].setdefault(network, []).extend(row["members"])
            if row["before"] and row["after"]:
                out.setdefault(row["before"], set()).add(row["after"])
                into.setdefault(row["after"], set()).add(row["before"])
        told = [("died", {name}, set()) for name in people[0].keys() - out.keys()]
        told += [("born", set(), {name}) for name in people[1].keys() - into.keys()]
        told += [("merged", froms, {name}) for name, froms in into.items() if len(froms) > 1]
        told += [("split", {name}, tos) for name, tos in out.items() if len(tos) > 1]
        told += [
            ("continued", froms, {name})
            for name, froms in into.items()
            if len(froms) == 1 and len(out[next(iter(froms))]) == 1
        ]
        inner += [
            {
                "theme": theme,
                "event": event,
                "before": sorted(froms),
                "after": sorted(tos),
                "members_before": sorted(p for name in froms for p in people[0][name]),
                "members_after": sorted(p for name in tos for p in people[1][name]),
            }
            for event, froms, tos in told
        ]
    inner.sort(key=lambda row: (row["theme"], row["before"], row["after"], row["event"]))
    return pa.Table.from_pylist(inner, schema=EVENTS)
