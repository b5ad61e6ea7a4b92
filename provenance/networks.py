"""Which people hang together, by a rule that can be said aloud, and under which name from week to week.

A network is the people of one theme whom supported links connect (`supported.py`). So removing a person changes that
person's network and no other. Nothing here is random, nothing is a fraction, and nothing depends on the order in which
people or links come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from provenance import params, sets
from provenance import supported as support
from provenance.errors import Conflict, Malformed

Integers = NDArray[np.int64]

NODES = pa.schema(
    [
        ("nominal", pa.string()),
        ("network", pa.string()),  # "" when no supported link holds this person
        ("links", pa.int64()),  # all of this person's links in the theme
        ("strength", pa.int64()),  # points, over those
        ("supported_links", pa.int64()),  # the ones that make the network
        ("supported_strength", pa.int64()),
    ]
)
NETWORKS = pa.schema(
    [
        ("network", pa.string()),
        ("members", pa.int64()),
        ("links", pa.int64()),  # supported ones, as in all figures of a network
        ("strength", pa.int64()),
        ("harm", pa.int64()),  # the sum over members; one edition
        ("alarm", pa.int64()),  # 1 when it holds more than the allowed share of the theme's linked people
    ]
)
# How many members passed from which network to which: a network all of whose members come from "" is born, one whose
# members all go to "" is dead, a merge has several `before` and a split several `after`. "" is being in no network.
PASSAGES = pa.schema([("before", pa.string()), ("after", pa.string()), ("members", pa.int64())])


@dataclass(frozen=True, slots=True)
class Result:
    """One theme's networks in one build."""

    nodes: pa.Table  # NODES, in the order of `names` as given
    networks: pa.Table  # NETWORKS, largest first, then strongest, then by the smallest name in it
    passages: pa.Table  # PASSAGES, by before and after
    supported: np.ndarray  # bool, one a link, in the order in which they came


def over_members(result: Result, figure: Integers) -> pa.Array:
    """For each of the networks of `result` the sum of a figure of its members, which stands beside `names`."""
    at = pc.index_in(result.nodes["network"], value_set=result.networks["network"].combine_chunks())
    at = pc.fill_null(at, result.networks.num_rows).to_numpy()
    total = np.zeros(result.networks.num_rows + 1, np.int64)
    np.add.at(total, at, figure)
    return pa.array(total[:-1])


def components(a: Integers, b: Integers, size: int) -> Integers:
    """For each of `size` nodes, the smallest node that the edges `a[i]`-`b[i]` connect it to (itself if none)."""
    if not size:
        return np.zeros(0, np.int64)
    from scipy.sparse import coo_array  # half a second, which most questions need not wait
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    # SciPy numbers components as it meets them; the smallest member is a name that no library chooses.
    smallest = np.full(size, size, np.int64)
    np.minimum.at(smallest, label, np.arange(size))
    return smallest[label]


def networks(
    theme: str,
    a: Integers,
    b: Integers,
    strength: Integers,
    records: Integers,
    sole: Integers,
    rule: params.Networks,
    names: pa.Array,
    harm: Integers,
    previous: pa.Array,
    label: str,
) -> Result:
    """The networks of one theme in the build `label`.

    Link i joins the people `names[a[i]]` and `names[b[i]]`, with its strength in points, its distinct records, and a
    number for the one it rests on if it is one (`supported.SEVERAL` otherwise).
    `harm` (days) and `previous` (the network of the build before, "" if none) stand beside `names`, which are distinct;
    people of the build before who are gone belong among them too, without links, or the passages lack them.

    An id of `previous` goes to the network that now holds most of its members; where several ids reach one network,
    the one that brings most members stays, and the others end. Ties go to the larger network, then to the first in
    canonical order. A network that no id reaches gets the next number of this build, in canonical order. Raises
    Malformed on links or columns that do not fit, and Conflict when `previous` already holds ids of this build.
    """
    size = len(names)
    _fit(a, b, strength, records, sole, names, harm, previous)
    if size and pc.any(pc.starts_with(previous, pattern=f"{theme}-{label}-")).as_py():
        raise Conflict(f"network ids of this build exist already: {theme}, {label}; wanted an earlier build before it")
    # From here on a person is a place in the sorted names, so that the smallest number is the smallest name.
    order = pc.sort_indices(names).to_numpy().astype(np.int64)
    place = np.empty(size, np.int64)
    place[order] = np.arange(size)
    a, b = place[a], place[b]
    kept = support.supported(a, b, strength, records, sole, rule)
    root = components(a[kept], b[kept], size)
    linked = _sum(np.ones(2 * len(a), np.int64), np.concatenate((a, b)), size)
    supported = _sum(np.ones(2 * int(kept.sum()), np.int64), np.concatenate((a[kept], b[kept])), size)

    inside = np.flatnonzero(supported)
    roots, network = np.unique(root[inside], return_inverse=True)
    count = len(roots)
    of_link = np.searchsorted(roots, root[a[kept]])
    members = _sum(np.ones(len(inside), np.int64), network, count)
    points = _sum(strength[kept], of_link, count)
    canonical = np.lexsort((roots, -points, -members))
    rank = np.empty(count, np.int64)
    rank[canonical] = np.arange(count)
    network = rank[network]  # and from here on a network is its place in canonical order
    members, points = members[canonical], points[canonical]

    now = np.full(size, -1, np.int64)
    now[inside] = network
    known = pc.unique(previous.filter(pc.not_equal(previous, ""))).sort()
    before = pc.fill_null(pc.index_in(previous, known), -1).to_numpy(zero_copy_only=False).astype(np.int64)[order]
    ids, fresh = _persist(before, now, known, members)
    ids[fresh] = [f"{theme}-{label}-{number:03d}" for number in range(1, len(fresh) + 1)]
    id_of = pa.array([*ids, ""], pa.string())  # the last is where -1 points

    total = _sum(np.concatenate((strength, strength)), np.concatenate((a, b)), size)
    inner = _sum(np.tile(strength[kept], 2), np.concatenate((a[kept], b[kept])), size)
    at = now[place]
    nodes = pa.table(
        [names, id_of.take(pa.array(at % (count + 1))), linked[place], total[place], supported[place], inner[place]],
        schema=NODES,
    )
    limit = rule.alarm_share_percent * int(np.count_nonzero(linked))
    table = pa.table(
        [
            id_of.slice(0, count),
            members,
            _sum(np.ones(len(of_link), np.int64), rank[of_link], count),
            points,
            _sum(harm[order][inside], network, count),
            (members * 100 > limit).astype(np.int64),
        ],
        schema=NETWORKS,
    )
    return Result(nodes, table, _passages(before, now, known, id_of), kept)


def _persist(before: Integers, now: Integers, known: pa.Array, members: Integers) -> tuple[np.ndarray, Integers]:
    """The ids of networks in canonical order, and which of them have none yet."""
    both = (before >= 0) & (now >= 0)
    pair, shared = np.unique(before[both] * len(members) + now[both], return_counts=True)
    old, new = np.divmod(pair, max(len(members), 1))
    # Canonical order begins with the size, so the smaller number is the tie-break by size and by order at once.
    choice = np.lexsort((new, -shared, old))
    choice = choice[np.unique(old[choice], return_index=True)[1]]
    former = np.bincount(before[before >= 0], minlength=len(known))
    stay = np.lexsort((old[choice], -former[old[choice]], -shared[choice], new[choice]))
    stay = choice[stay[np.unique(new[choice][stay], return_index=True)[1]]]
    ids = np.full(len(members), "", dtype=object)
    ids[new[stay]] = known.take(pa.array(old[stay])).to_numpy(zero_copy_only=False)
    return ids, sets.difference(np.arange(len(members)), new[stay])


def _passages(before: Integers, now: Integers, known: pa.Array, id_of: pa.Array) -> pa.Table:
    some = (before >= 0) | (now >= 0)
    width = len(id_of)
    pair, members = np.unique((before[some] + 1) * width + now[some] % width, return_counts=True)
    old, new = np.divmod(pair, width)
    named = pa.concat_arrays([pa.array([""], pa.string()), known]).take(pa.array(old))
    table = pa.table([named, id_of.take(pa.array(new)), members.astype(np.int64)], schema=PASSAGES)
    return table.sort_by([("before", "ascending"), ("after", "ascending")])


def _sum(values: Integers, into: Integers, size: int) -> Integers:
    """Sums by place, as int64: NumPy's bincount would add in doubles."""
    sums = np.zeros(size, np.int64)
    np.add.at(sums, into, values)
    return sums


def _fit(
    a: Integers,
    b: Integers,
    strength: Integers,
    records: Integers,
    sole: Integers,
    names: pa.Array,
    harm: Integers,
    previous: pa.Array,
) -> None:
    lengths: Sequence[int] = (len(a), len(b), len(strength), len(records), len(sole))
    if len(set(lengths)) != 1:
        raise Malformed(f"link columns differ in length: found {lengths}, wanted one length")
    if not len(names) == len(harm) == len(previous):
        raise Malformed(
            f"people's columns differ in length: found {len(names)}, {len(harm)}, {len(previous)}, wanted one length"
        )
    if pc.count_distinct(names).as_py() != len(names):
        raise Malformed(
            f"people are named twice: found {len(names)} names, {pc.count_distinct(names).as_py()} distinct"
        )
    ends = np.concatenate((a, b))
    if len(ends) and (ends.min() < 0 or ends.max() >= len(names)):
        raise Malformed(
            f"link ends are beyond the people: found {ends.min()} to {ends.max()}, wanted 0 to {len(names) - 1}"
        )
    if (a == b).any():
        raise Malformed(f"links join a person to themselves: found {int((a == b).sum())}, wanted none")
