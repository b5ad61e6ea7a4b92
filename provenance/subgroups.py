"""Closer groups inside one network, as a view to look at: never a fact, and never evidence of who belongs to whom.

The Leiden method draws lots. Here they are drawn by the network's own content, so that the same network gives the same
groups in every build, whatever else is in the archive. The arithmetic is the library's: floating point, on one thread.
"""

from __future__ import annotations

import hashlib

import graspologic_native
import numpy as np
import pyarrow as pa

from provenance.graphs import Graph, Integers, graph

SUBGROUPS = pa.schema(
    [
        ("nominal", pa.string()),
        ("network", pa.string()),
        ("subgroup", pa.int64()),  # within the network, from 1: largest first, then by the smallest name in it
    ]
)
_TAG = b"provenance subgroups v1\n"


def subgroups(
    names: pa.Array, network: pa.Array, a: Integers, b: Integers, strength: Integers, *, least_members: int
) -> pa.Table:
    """One row per person who is in a network (SUBGROUPS), by name; arguments as in `influence.influence`.

    A network of fewer than `least_members` is one sub-group. Others are split by modularity with resolution 1, weighted
    by strength (Traag, Waltman and van Eck 2019, From Louvain to Leiden).
    """
    whole = graph(names, network, a, b, strength)
    found = np.ones(whole.size, np.int64)
    for chosen in np.flatnonzero(whole.members >= max(least_members, 2)):
        first, stop = whole.bounds[chosen : chosen + 2]
        found[first:stop] = _split(whole, int(first), int(stop))
    place = pa.array(whole.people)
    return pa.table([names.take(place), network.take(place), found], schema=SUBGROUPS).sort_by("nominal")


def _split(whole: Graph, first: int, stop: int) -> Integers:
    """Sub-groups of the people at places `first` to `stop` - 1, who are one network."""
    rows, links = whole.links.indptr[first : stop + 1], whole.links
    within = slice(rows[0], rows[-1])
    indptr, points = (rows - rows[0]).astype(np.int64), links.data[within]
    to = (links.indices[within] - first).astype(np.int32)
    if not points.any():
        return np.ones(stop - first, np.int64)
    content = hashlib.sha256(_TAG)
    for column in (indptr, to, points):  # their lengths follow from the first, so no two networks read the same
        content.update(column.astype("<i8").tobytes())
    seed = int.from_bytes(content.digest()[:8], "little")
    _, told = graspologic_native.leiden_csr(indptr, to, points.astype(np.float64), stop - first, seed=seed)
    group = np.empty(stop - first, np.int64)
    group[np.fromiter(told.keys(), np.int64, len(told))] = np.fromiter(told.values(), np.int64, len(told))
    return _canonical(group)


def _canonical(group: Integers) -> Integers:
    """The same groups, numbered from 1: largest first, then by the smallest place in them."""
    _, smallest, label, members = np.unique(group, return_index=True, return_inverse=True, return_counts=True)
    number = np.empty(len(members), np.int64)
    number[np.lexsort((smallest, -members))] = np.arange(1, len(members) + 1)
    return number[label]
