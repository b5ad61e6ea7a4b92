"""One figure over many builds, with the causes of each step from build to build (R20)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from provenance.asof import Snapshot
from provenance.between import STEPS
from provenance.causes import NETWORK, PERSON, Split, causes, links_of
from provenance.errors import Malformed, Tampered
from provenance.records import THEMES

SERIES = pa.schema(
    [
        *((name, pa.string()) for name in ("theme", "build", "cut_off")),
        *((name, pa.int64()) for name in ("value", "change", *STEPS, "links_new", "links_gone")),
    ]
)


def series(
    snapshots: Sequence[Snapshot],
    *,
    nominal: str = "",
    network: str = "",
    figure: str = "strength",
) -> pa.Table:
    """What one figure came to in each of these builds, with the causes of each step (SERIES, by theme and build).

    Of a nominal (one of PERSON), of a network (one of NETWORK), or without either of a whole theme: the `strength` of
    all its links. A nominal is whoever they were judged to be in each build; what a merge or split brings so stands
    under `identity`. `links_new` and `links_gone` are theirs. `value` and `disposal` are null where withheld; `change`
    is from the build before, null for the first. Raises Malformed for a figure that there is not.
    """
    wanted = PERSON if nominal else NETWORK if network else ("strength",)
    if figure not in wanted:
        raise Malformed(f"figure {figure!r} is not one of {', '.join(wanted)}")
    themes = [network.split("-")[0]] if network else THEMES
    found: list[dict[str, Any]] = []
    before: dict[str, int | None] = {}
    for place, snapshot in enumerate(snapshots):
        split = None
        if place:
            split = causes(snapshots[place - 1], snapshot, people=[nominal] if nominal else [])
        for theme in themes:
            who = snapshot.canonical(nominal) if nominal else ""
            value = _value(snapshot, theme, who, network, figure)
            row = {"theme": theme, "build": snapshot.label, "cut_off": snapshot.built.cut_off, "value": value}
            if split is not None:
                last = snapshots[place - 1]
                row |= _step(split, last, snapshot, theme, nominal, network, figure)
                # Judged another since, the person goes on from what that other came to.
                held = _value(last, theme, who, network, figure)
                if None in (value, before[theme], held):
                    row["disposal"] = None
                else:
                    row["change"] = value - before[theme]
                    row["identity"] += held - before[theme]
                    if row["change"] != sum(row[cause] for cause in STEPS):
                        raise Tampered(
                            f"series of theme {theme} does not add up: build {snapshot.label} changed it by "
                            f"{row['change']}, its causes by {sum(row[cause] for cause in STEPS)}"
                        )
            before[theme] = value
            found.append(row)
    table = pa.Table.from_pylist(found, schema=SERIES)
    there = {row["theme"] for row in found if row["value"] != 0}
    kept = table.filter(pc.is_in(table["theme"], value_set=pa.array(sorted(there), pa.string())))
    return pa.concat_tables([kept.filter(pc.equal(kept["theme"], theme)) for theme in themes]).combine_chunks()


def _value(snapshot: Snapshot, theme: str, who: str, network: str, figure: str) -> int | None:
    """The figure as the build shows it: 0 where it has no such thing, None where it is withheld."""
    if who:
        held = snapshot.nominals(nominal=who, theme=theme)
        found = held.filter(pc.equal(held["nominal"], who))[figure].to_pylist()
    elif network:
        held = snapshot.networks(theme=theme)
        found = held.filter(pc.equal(held["network"], network))[figure].to_pylist()
    else:
        return int(links_of(snapshot, THEMES.index(theme) + 1, None)["strength"].sum())
    return found[0] if found else 0


def _step(
    split: Split, before: Snapshot, after: Snapshot, theme: str, nominal: str, network: str, figure: str
) -> dict[str, int | None]:
    """The causes of one step, and links that are new and gone."""
    mine = split.changes.filter(pc.equal(split.changes["theme"], theme))
    links = mine.filter(pc.equal(mine["kind"], "link"))
    if nominal:
        thing = ("person", after.canonical(nominal))
        sides = [pa.array([snapshot.canonical(nominal)], pa.string()) for snapshot in (before, after)]
        near = [pc.or_(*(pc.is_in(links[end], value_set=who) for end in "ab")) for who in sides]
    elif network:
        thing = ("network", network)
        sides = [snapshot.nominals(theme=theme) for snapshot in (before, after)]
        sides = [held.filter(pc.equal(held["network"], network))["nominal"].combine_chunks() for held in sides]
        near = [pc.and_(*(pc.is_in(links[end], value_set=who) for end in "ab")) for who in sides]
    else:
        thing = ("link", "")
        near = [pa.array([True] * links.num_rows, pa.bool_())] * 2
    gone = links.filter(pc.and_(near[0], pc.equal(links["after"], 0)))
    new = links.filter(pc.and_(near[1], pc.equal(links["before"], 0)))
    held = links
    if thing[1]:
        held = mine.filter(
            (pc.field("kind") == thing[0]) & (pc.field("a") == thing[1]) & (pc.field("figure") == figure)
        )
    told = {cause: pc.sum(held[cause]).as_py() or 0 for cause in STEPS}
    return told | {"links_new": new.num_rows, "links_gone": gone.num_rows}
