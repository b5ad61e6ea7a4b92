"""Where people and networks stand in one build, and how a theme went from build to build, without opening its rows.

Positions in the index and the whole numbers of `lookups`. What may not be shown is left out, and figures that would
tell of what is gone or out of view are marked, as in `asof`. Where people tie, their other figures decide, and then a
digest of their id: each archive of the same records has the same order, and who was recorded first has no advantage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from provenance import figures, lookups, sets, vault
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.index import Index
from provenance.records import THEMES

KEY = 10  # people by each measure
MEASURES = ("strength", "links", "harm", "records")


def shown(snapshot: Snapshot, table: str, theme: str) -> np.ndarray:
    """Positions of the rows of a theme that the snapshot shows."""
    at = snapshot.standing(table, theme)
    return at[snapshot.archive.shown(table, at, case=snapshot.case)]


def visible(snapshot: Snapshot, table: str, at: np.ndarray) -> np.ndarray:
    """Which of the rows at `at` have figures that may be told."""
    hidden = snapshot.is_near_withheld(table, at) if snapshot.case else snapshot.is_marked(table, at)
    return ~hidden


def first(snapshot: Snapshot, table: str, at: np.ndarray, by: str, count: int, skip: int = 0) -> np.ndarray:
    """`count` of the rows at `at` from place `skip` on, by a column of `lookups`, most first; withheld ones last."""
    held = lookups.of(snapshot.archive, table, at)
    value = np.where(visible(snapshot, table, at), held[by][at], -1)
    kept = _most(np.arange(len(at)), value, skip + count)
    at, value = at[kept], value[kept]
    return at[np.lexsort((at, -value))][skip : skip + count]


def _most(at: np.ndarray, value: np.ndarray, count: int) -> np.ndarray:
    """Those of `at` who are among the `count` with the most by `value`, and who tie with the last of them: to sort a
    hundred thousand for the sake of twenty takes longer than the page."""
    if len(at) <= 4 * count:
        return at
    mine = value[at]
    return at[mine >= np.partition(mine, len(mine) - count)[len(mine) - count]]


def key_people(snapshot: Snapshot, at: np.ndarray) -> np.ndarray:
    """Positions of the first KEY people of those at `at` by each of MEASURES; nobody by a figure of 0, which so many
    may have that to list ten of them would say nothing."""
    held = lookups.of(snapshot.archive, "nominal", at)
    chosen = [np.zeros(0, np.int64)]
    for by in MEASURES:
        mine = _most(at[held[by][at] > 0], held[by], KEY)
        columns = np.stack([held[name][mine] for name in (by, *(name for name in MEASURES if name != by))])
        order = np.lexsort(-columns[::-1])
        mine, columns = mine[order], columns[:, order]
        if len(mine) > KEY:
            last = columns[:, KEY - 1]
            tied = (columns == last[:, None]).all(axis=0)
            before = int(np.argmax(tied))  # rows that rank above all who tie for the last place
            mine = np.concatenate([mine[:before], _by_digest(snapshot, mine[tied])[: KEY - before]])
        chosen.append(mine)
    return sets.distinct(np.concatenate(chosen))


def _by_digest(snapshot: Snapshot, at: np.ndarray) -> np.ndarray:
    """Rows of people in the order of the digests of their ids."""
    ids = vault.nominal_ids(snapshot.archive.vault.keys(snapshot.archive.index("nominal").a[at])).to_pylist()
    digests = [hashlib.sha256(each.encode()).digest() for each in ids]
    return at[sorted(range(len(at)), key=digests.__getitem__)]


def strongest(snapshot: Snapshot, at: np.ndarray, count: int, skip: int = 0, least: int = 0) -> tuple[np.ndarray, int]:
    """Links at `at` of at least so many points, strongest first, from place `skip` on; and how many there are."""
    strength, _ = figures.of_links(snapshot.archive, at)
    if least:
        at, strength = at[strength >= least], strength[strength >= least]
    found = len(at)
    if found > 4 * (skip + count):
        cut = np.partition(strength, found - skip - count)[found - skip - count]
        at, strength = at[strength >= cut], strength[strength >= cut]
    index = snapshot.archive.index("link")
    return at[np.lexsort((index.b[at], index.a[at], -strength))][skip : skip + count], found


def over_builds(snapshot: Snapshot, theme: str) -> dict[str, list[int]]:
    """A theme in each build up to this one: how many people, links and networks, and the strength of the links."""
    held = snapshot.archive.lookups
    key, stamp = f"builds {theme} {snapshot.case}", (snapshot.acts, len(snapshot.archive.history.builds))
    if held.get(key, (None,))[0] != stamp:
        held[key] = stamp, _over_all(snapshot.archive, theme, snapshot.case)
    return {name: values[: snapshot.built.number] for name, values in held[key][1].items()}


def _over_all(archive: Archive, theme: str, case: str) -> dict[str, list[int]]:
    code, builds = THEMES.index(theme) + 1, len(archive.history.builds)
    people, links, networks = (archive.index(table) for table in ("nominal", "link", "network"))
    strength = figures.of_links(archive, _alive(links))[0]
    points = np.zeros(len(links), np.int64)
    points[_alive(links)] = strength
    return {
        "people": _sums(archive, people, code, builds, np.ones(len(people), np.int64), case),
        "links": _sums(archive, links, code, builds, np.ones(len(links), np.int64), case),
        "networks": _sums(archive, networks, code, builds, np.ones(len(networks), np.int64), case),
        "strength": _sums(archive, links, code, builds, points, case),
    }


def of_rows(snapshot: Snapshot, table: str, at: np.ndarray, names: Sequence[str]) -> dict[str, list[int | None]]:
    """Figures of one person's or network's rows in each build up to this one; None where there was none, or it is
    withheld. `at` are positions over all builds, of one theme."""
    archive, builds = snapshot.archive, snapshot.built.number
    index = archive.index(table)
    found: dict[str, list[int | None]] = {name: [None] * builds for name in names}
    at = at[archive.shown(table, at, case=snapshot.case) & ~snapshot.is_near_withheld(table, at)]
    held = lookups.of(archive, table, at)
    after = np.array([0, *(disposal.after for disposal in archive.history.disposals)])
    told_from = np.zeros(len(at), np.int64) if snapshot.case else after[index.marked[at]] + 1
    for which, since, until in zip(*(part.tolist() for part in index.spans(at)), strict=True):
        for build in range(max(since, int(told_from[which])), min(until or builds + 1, builds + 1)):
            for name in names:
                found[name][build - 1] = int(held[name][at[which]])
    return found


def of_network(snapshot: Snapshot, network: str) -> np.ndarray:
    """Positions of the rows that any build up to this one had of a network."""
    index = snapshot.archive.index("network")
    at = np.flatnonzero((index.theme == THEMES.index(network.split("-")[0]) + 1) & (index.died == 0))
    held = lookups.of(snapshot.archive, "network", at)
    return at[held["network"][at] == held.code(network)]


def _alive(index: Index) -> np.ndarray:
    return np.flatnonzero(index.died == 0)


def _sums(archive: Archive, index: Index, code: int, builds: int, value: np.ndarray, case: str) -> list[int]:
    """For each build, what the rows that it shows come to; an heir counts in the place of its dead row."""
    at = np.flatnonzero((index.theme == code) | (index.died > 0))  # a dead row is of no theme, its heir may be of this
    last = at.copy()
    while len(dead := np.flatnonzero((last >= 0) & (index.died[last] > 0))):
        last[dead] = index.heir[last[dead]]
    there = (last >= 0) & (index.theme[last] == code)
    there[there] = archive.shown(index.table, last[there], case=case)
    worth = np.where(there, value[np.maximum(last, 0)], 0)
    which, since, until = index.spans(at)
    change = np.zeros(builds + 2, np.int64)
    had = (since > 0) & (since <= builds)
    np.add.at(change, since[had], worth[which[had]])
    ended = had & (until > 0) & (until <= builds)
    np.subtract.at(change, until[ended], worth[which[ended]])
    return np.cumsum(change)[1 : builds + 1].tolist()
