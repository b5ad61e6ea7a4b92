"""What a network hangs on: the single records, the grade and the source systems that it would not stand without.

Found by looking at the links that one record alone holds up, and at what would still connect their ends; nothing is
tried that cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import cuts, sets
from provenance import supported as support
from provenance.asof import Snapshot
from provenance.graphs import graph
from provenance.networks import components
from provenance.supported import Integers
from provenance.whatif import ENDS, SMALLER, SPLITS, View, Without, added_up, becomes, numbered, view


def sensitivity(snapshot: Snapshot, network: str, now: View | None = None) -> dict[str, Any]:
    """What a network hangs on: single records, one grade, one source system. `now` is the network's `whatif.view`.

    `hinges` are the records whose removal alone ends the network, splits it, or drops people from it, worst first. Only
    a record that some supported link cannot do without is tried. `without` says what becomes of it without what is
    graded C in 3x5x2, and without each source system; `alone` which of these it stands on and on nothing else.
    """
    if now is None:
        snapshot.networks(network=network)
        now = view(snapshot, network=network)
    names = now.names.to_pylist()
    of_supported = now.supports.filter(pa.array(now.supported[now.owner]))
    systems = pc.unique(of_supported["system"]).to_pylist()
    tried = [_GRADE_C, *map(_of_system, sorted(systems))]
    without, alone = [], []
    for what, away in tried:
        gone = away.takes(of_supported)
        if gone.any():
            without.append({"what": what, **_outcome(now.without(away), len(names))})
            if gone.all():
                alone.append(what)
    hinges, apart = [], _Apart(now)
    for (system, record), lost in _fragile(now):
        found = apart.parts(tuple(lost))
        if found is None:
            continue
        hinges.append(
            {
                "system": system,
                "record_id": record,
                "change": becomes(len(names), found, 1),
                "parts": found,
                "loose": len(names) - sum(found),
                "links_lost": [{"a": names[now.a[i]], "b": names[now.b[i]]} for i in lost],
            }
        )
    order = (ENDS, SPLITS, SMALLER)
    hinges.sort(key=lambda x: (order.index(x["change"]), max(x["parts"], default=0), x["system"], x["record_id"]))
    return {"network": network, "members": len(names), "hinges": hinges, "without": without, "alone": alone}


def alone(supports: Sequence[Mapping[str, Any]]) -> list[str]:
    """What one link rests on and on nothing else: a single record, what is graded C in 3x5x2, one source system."""
    table = pa.Table.from_pylist([{name: support[name] for name in _ASKED} for support in supports])
    system, record = supports[0]["system"], supports[0]["record_id"]
    tried = [(f"record {system} {record}", Without(records=((system, record),))), _GRADE_C, _of_system(system)]
    return [what for what, away in tried if away.takes(table).all()]


_ASKED = ("system", "record_id", "kind", "grade_scheme", "grade")
_GRADE_C = ("grade C of 3x5x2", Without(grades=("C",)))


def _of_system(system: str) -> tuple[str, Without]:
    return f"source system {system}", Without(systems=(system,))


def _outcome(then: View, members: int) -> dict[str, Any]:
    parts = sorted((row["members"] for row in then.grouped.networks.to_pylist()), reverse=True)
    return {"change": becomes(members, parts, 1), "parts": parts, "loose": members - sum(parts)}


def _pieces(now: View, kept: np.ndarray) -> list[int]:
    """How many people the networks have that these links make, largest first."""
    root = components(now.a[kept], now.b[kept], len(now.names))
    return sorted((count for count in np.bincount(root).tolist() if count > 1), reverse=True)


def _fragile(now: View) -> Iterator[tuple[tuple[str, str], list[int]]]:
    """Each record that some supported link cannot do without, and those links."""
    number, points = numbered(now.supports), now.supports["contribution"].to_numpy()
    owner, rule = now.owner, now.rule
    if rule.shared_associate:
        lost = _lost_by_triangle(now, number)
    else:
        short = (now.records[owner] - 1 < rule.least_records) | (now.strength[owner] - points < rule.least_strength)
        at = np.flatnonzero(now.supported[owner] & short)
        lost = {}
        for record, link in zip(number[at].tolist(), owner[at].tolist(), strict=True):
            lost.setdefault(record, []).append(link)
    _, first = np.unique(number, return_index=True)  # numbers begin at 0 and leave none out
    named = now.supports.select(["system", "record_id"]).take(pa.array(first)).to_pylist()
    for record in sorted(lost):
        yield (named[record]["system"], named[record]["record_id"]), sorted(lost[record])


def _lost_by_triangle(now: View, number: Integers) -> dict[int, list[int]]:
    """As above where a shared associate supports too: a link needs what the rest of its triangle rests on too."""
    near: dict[int, set[int]] = {}
    for x, y in zip(now.a.tolist(), now.b.tolist(), strict=True):
        near.setdefault(x, set()).add(y)
        near.setdefault(y, set()).add(x)
    lost: dict[int, list[int]] = {}
    order = np.argsort(number, kind="stable")
    for place in np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(order) else []:
        touched = sets.distinct(now.owner[place])
        ends = set(now.a[touched].tolist()) | set(now.b[touched].tolist())
        around = np.array(sorted(ends.union(*(near[x] for x in ends))), np.int64)
        at = np.flatnonzero(sets.among(now.a, around) & sets.among(now.b, around))
        mine = sets.among(now.owner, at)
        mine[place] = False
        whole = added_up(now.supports.filter(pa.array(mine)), now.owner[mine], len(now.a))
        strength, records, sole = (part[at] for part in whole)
        held = np.flatnonzero(records)
        still = np.zeros(len(at), bool)
        still[held] = support.supported(
            now.a[at][held], now.b[at][held], strength[held], records[held], sole[held], now.rule
        )
        # What lies further off rests on triangles that are not all in sight here, and on nothing of this record.
        concerned = sets.among(now.a[at], list(ends)) | sets.among(now.b[at], list(ends))
        if len(gone := at[now.supported[at] & ~still & concerned]):
            lost[int(number[place[0]])] = gone.tolist()
    return lost


class _Apart:
    """What a network comes to without some of its supported links, found without looking at all of it each time."""

    def __init__(self, now: View) -> None:
        self.now, self._found = now, dict[tuple[int, ...], list[int] | None]()
        self._near: dict[int, list[int]] = {}
        at = np.flatnonzero(now.supported)
        for x, y in zip(now.a[at].tolist(), now.b[at].tolist(), strict=True):
            self._near.setdefault(x, []).append(y)
            self._near.setdefault(y, []).append(x)
        self.whole = _pieces(now, now.supported)
        self._beyond = self._bridges(at) if len(self.whole) == 1 else {}

    def parts(self, lost: tuple[int, ...]) -> list[int] | None:
        """How many people each part has without these links; None where everybody stays in reach of everybody."""
        if lost not in self._found:
            self._found[lost] = self._parts(lost)
        return self._found[lost]

    def _parts(self, lost: tuple[int, ...]) -> list[int] | None:
        now = self.now
        if len(self.whole) == 1 and len(lost) == 1:
            if lost[0] not in self._beyond:
                return None
            beyond = self._beyond[lost[0]]
            return [size for size in sorted((beyond, self.whole[0] - beyond), reverse=True) if size > 1]
        away = {(int(now.a[i]), int(now.b[i])) for i in lost}

        def around(person: int) -> Iterator[int]:
            return (other for other in self._near[person] if (min(person, other), max(person, other)) not in away)

        if not any(i in self._beyond for i in lost) and all(_meet(x, y, around) for x, y in sorted(away)):
            return None
        kept = now.supported.copy()
        kept[list(lost)] = False
        return _pieces(now, kept)

    def _bridges(self, at: Integers) -> dict[int, int]:
        """The links that are on no circle, each with how many people are on one side of it."""
        now = self.now
        whole = graph(now.names, now.network, now.a[at], now.b[at], now.strength[at])
        cut = cuts.cuts(whole)
        place, steps = whole.people[cut.people], cut.steps.tocoo()
        size = len(now.names)
        circled = sets.distinct(place[steps.row] * size + place[steps.col])  # both ways
        bridge = at[~sets.among(now.a[at] * size + now.b[at], circled)]
        ring = sets.difference(at, bridge)
        root = components(now.a[ring], now.b[ring], size)  # what circles hold together is one knot of a tree
        people = np.bincount(root, minlength=size).tolist()
        near: dict[int, list[tuple[int, int]]] = {}
        for link, x, y in zip(bridge.tolist(), root[now.a[bridge]].tolist(), root[now.b[bridge]].tolist(), strict=True):
            near.setdefault(x, []).append((y, link))
            near.setdefault(y, []).append((x, link))
        if not near:
            return {}
        first = min(near)
        order, above = [first], {first: (-1, -1)}
        for knot in order:
            for other, link in near[knot]:
                if other not in above:
                    above[other] = (knot, link)
                    order.append(other)
        beyond = {}
        for knot in reversed(order[1:]):
            parent, link = above[knot]
            beyond[link] = people[knot]
            people[parent] += people[knot]
        return beyond


def _meet(x: int, y: int, around: Any) -> bool:
    """Whether a walk leads from x to y: from both ends at once, the smaller side first."""
    sides, edges = [{x}, {y}], [[x], [y]]
    while edges[0] and edges[1]:
        mine = 0 if len(sides[0]) <= len(sides[1]) else 1
        step = []
        for person in edges[mine]:
            for other in around(person):
                if other in sides[1 - mine]:
                    return True
                if other not in sides[mine]:
                    sides[mine].add(other)
                    step.append(other)
        edges[mine] = step
    return False
