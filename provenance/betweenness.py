"""How many shortest paths between others lead through a person: in integers, so that no order of adding can matter.

Paths are counted in steps; the strength of a link is no distance. The figure is rounded to thousandths, and the true
one is never further off than one thousandth: a network for which that cannot be promised is left out, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from provenance.errors import Malformed
from provenance.graphs import Graph, Integers

COMPUTED, TOO_LARGE, TOO_MANY_PATHS = 0, 1, 2  # why a network has no betweenness
LARGEST_LIMIT = 2**15 - 1  # members; distances are kept in 16 bits
_CELLS = 1_000_000  # pairs of people at a time: a few arrays of 8 MB


def betweenness(graph: Graph, most_members: int) -> tuple[Integers, Integers]:
    """Each person's betweenness in thousandths (-1 if left out), and why it was left out: COMPUTED if it was not.

    The sum, over pairs of other members, of the share of the shortest paths between the two that lead through the
    person (Freeman 1977, A set of measures of centrality based on betweenness). Only in networks of at most
    `most_members`. The work grows with members times links times the longest distance. Raises Malformed when that
    limit is beyond LARGEST_LIMIT.
    """
    if not 0 <= most_members <= LARGEST_LIMIT:
        raise Malformed(f"the limit for betweenness is out of range: found {most_members}, wanted 0 to {LARGEST_LIMIT}")
    members = graph.members
    found, reason = np.zeros(graph.size, np.int64), np.zeros(len(members), np.int64)
    reason[(members > most_members) & (members > 2)] = TOO_LARGE  # in a pair there is nobody to stand between
    steps = graph.pattern()
    for chosen in _batches(members, np.flatnonzero((members > 2) & (members <= most_members))):
        sizes = members[chosen]
        starts = np.cumsum(sizes) - sizes
        people = np.repeat(graph.bounds[chosen] - starts, sizes) + np.arange(sizes.sum())
        part = _part(steps, people, np.repeat(graph.bounds[chosen] - starts, sizes))
        found[people], paths = _thousandths(part, starts, sizes)
        reason[chosen[paths > _most_paths(_unit(int(sizes.max())))]] = TOO_MANY_PATHS
    reason = graph.each(reason)
    return np.where(reason == COMPUTED, found, -1), reason


def _batches(members: Integers, chosen: Integers) -> Iterator[Integers]:
    """Networks of nearly one size, as many at a time as fit; all of one batch have sizes of one length in binary."""
    chosen = chosen[np.argsort(members[chosen], kind="stable")]
    sizes = members[chosen]
    start = 0
    while start < len(chosen):
        # Sizes ascend: with the k-th network the batch takes (their members) x (its size) cells.
        ahead = sizes[start : start + _CELLS]
        cells = np.cumsum(ahead) * ahead
        alike = np.searchsorted(ahead, 1 << int(ahead[0]).bit_length())
        stop = start + max(1, min(int(np.searchsorted(cells, _CELLS, side="right")), int(alike)))
        yield chosen[start:stop]
        start = stop


def _part(steps: csr_array, people: Integers, moved: Integers) -> csr_array:
    """The rows of `people`, who are whole networks, with columns numbered as the rows."""
    part = steps[people]
    indices = part.indices - np.repeat(moved, np.diff(part.indptr)).astype(part.indices.dtype)
    return csr_array((part.data, indices, part.indptr), shape=(len(people), len(people)))


def _unit(size: int) -> int:
    """2^61 over the members, as a power of two: a share of paths is counted in so many parts."""
    return 61 - size.bit_length()


def _most_paths(unit: int) -> int:
    """The most shortest paths that a network may have for its figures to be true to half a thousandth before rounding.

    Each 1 / paths is rounded by half a part at most, and is counted once for each path: over all pairs, both ways, and
    halved, that is a quarter of a part for each path. The other rounding, of each sum, is far smaller.
    """
    return (1 << unit) // 1000


def _thousandths(steps: csr_array, starts: Integers, sizes: Integers) -> tuple[Integers, Integers]:
    """Betweenness of each person, and how many shortest paths each network has (counted up to one too many)."""
    largest = int(sizes.max())
    unit, rows = _unit(largest), steps.shape[0]
    fine = min(40, unit - largest.bit_length())  # bits after the point: a sum over everyone's paths still fits
    width = max(1, _CELLS // rows)
    total, paths = np.zeros(rows, np.int64), np.zeros(len(sizes), np.int64)
    # Column j holds the paths that begin at the j-th member, in each of the networks at once.
    for first in range(0, largest, width):
        through, count = _columns(steps, starts, sizes, first, min(first + width, largest), unit)
        total += ((through + (1 << (unit - fine - 1))) >> (unit - fine)).sum(axis=1)
        paths += np.minimum(np.add.reduceat(count, starts), _most_paths(unit) + 1)
    # Each pair was met from both its ends, so a whole has one bit more.
    whole, rest = total >> (fine + 1), total & ((1 << (fine + 1)) - 1)
    return whole * 1000 + ((rest * 1000 + (1 << fine)) >> (fine + 1)), paths


def _columns(
    steps: csr_array, starts: Integers, sizes: Integers, first: int, stop: int, unit: int
) -> tuple[Integers, Integers]:
    """For each person and each beginning: shares of paths through the person, in 2^-unit; and paths to each person.

    After Brandes 2001 (A faster algorithm for betweenness centrality), section 3, in another form: with p(v) shortest
    paths from the beginning to v, let g(v) = 1 / p(v) + the sum of g(w) over v's successors w; then p(v) g(v) - 1 is
    the dependency of v. Only 1 / p(v) is rounded; what follows adds integers, in whatever order.
    """
    rows, columns, most = steps.shape[0], stop - first, _most_paths(unit) + 1
    away = np.full((rows, columns), -1, np.int16)
    paths = np.zeros((rows, columns), np.int64)
    begins = np.flatnonzero(sizes > first)
    width = np.minimum(sizes[begins], stop) - first
    column = np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
    row = np.repeat(starts[begins] + first, width) + column
    away[row, column], paths[row, column] = 0, 1
    edge, distance = paths.copy(), 0
    while True:
        edge = steps @ edge
        edge *= away < 0
        fresh = edge > 0
        if not fresh.any():
            break
        distance += 1
        np.minimum(edge, most, out=edge)  # beyond, the network is left out; and nothing overflows meanwhile
        paths += edge
        away[fresh] = distance
    count = np.minimum(paths.sum(axis=1), most)
    share = np.maximum(paths, 1)
    share = ((1 << unit) + (share >> 1)) // share
    for nearer in range(distance - 1, 0, -1):
        back = steps @ (share * (away == nearer + 1))
        back *= away == nearer
        share += back
    through = (paths * share - (1 << unit)) * (away > 0)
    return through, count
