"""How many shortest paths between others lead through a person: in integers, so that no order of adding can matter.

Paths are counted in steps; the strength of a link is no distance. The figure is rounded to thousandths, and the true
one is never further off than one thousandth: a person for whom that cannot be promised is left out, and it says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from provenance.cuts import Cuts
from provenance.errors import Malformed
from provenance.graphs import Graph, Integers

COMPUTED, TOO_LARGE, TOO_MANY_PATHS = 0, 1, 2  # why a person has no betweenness
LARGEST_LIMIT = 2**15 - 1  # people in a block; distances are kept in 16 bits
_CELLS = 50_000  # pairs of people at a time: a few arrays that a processor keeps at hand


def betweenness(graph: Graph, cuts: Cuts, most_members: int) -> tuple[Integers, Integers]:
    """Each person's betweenness in thousandths (-1 if left out), and why it was left out: COMPUTED if it was not.

    The sum, over pairs of other members, of the share of the shortest paths between the two that lead through the
    person (Freeman 1977, A set of measures of centrality based on betweenness). All paths of a pair whom the person's
    removal severs lead through the person; the others are counted block by block, a seat standing for everybody who
    reaches the block through it (Puzis and others 2012, Heuristics for speeding up betweenness centrality computation).

    Whoever is in a block of more than `most_members` people is left out: the work grows with the people in a block
    times its links times its longest distance. Raises Malformed when that limit is beyond LARGEST_LIMIT.
    """
    if not 0 <= most_members <= LARGEST_LIMIT:
        raise Malformed(f"the limit for betweenness is out of range: found {most_members}, wanted 0 to {LARGEST_LIMIT}")
    unit = _unit(graph.each(graph.members))
    whole, rest, paths = (np.zeros(graph.size, np.int64) for _ in range(3))
    sizes = np.diff(cuts.bounds)
    for chosen in _batches(sizes, np.flatnonzero(sizes <= most_members)):
        block = _Blocks(cuts, unit, chosen)
        for column, into in zip(block.dependencies(), (whole, rest, paths), strict=True):
            np.add.at(into, block.people, column)
    whole, rest = whole + (rest >> unit), rest & ((1 << unit) - 1)
    # Each pair was met from both its ends: a whole is worth half.
    thousandths = 1000 * cuts.severed + 500 * whole + ((500 * rest + (1 << (unit - 1))) >> unit)
    reason = np.where(paths > _most_paths(unit), TOO_MANY_PATHS, COMPUTED)
    reason[cuts.people[np.repeat(sizes > most_members, sizes)]] = TOO_LARGE
    return np.where(reason == COMPUTED, thousandths, -1), reason


def _unit(members: Integers) -> Integers:
    """Bits after the point in which shares of paths are counted, so that a share for each of `members` fits 61 bits."""
    return np.minimum(52, 61 - np.frexp(members.astype(np.float64))[1]).astype(np.int64)


def _most_paths(unit: Integers) -> Integers:
    """The most paths that may be counted for a person, for the figure to be true to half a thousandth before rounding.

    Each share 1 / paths is rounded by half a part at most, and is added once for each path: over all pairs, both ways,
    and halved, that is a quarter of a part for each path.
    """
    return (1 << unit) // 500


def _batches(sizes: Integers, chosen: Integers) -> Iterator[Integers]:
    """Blocks of nearly one size, as many at a time as fit."""
    chosen = chosen[np.argsort(sizes[chosen], kind="stable")]
    start = 0
    while start < len(chosen):
        # Sizes ascend: with its next block a batch has (people in all) x (that block's size) cells.
        ahead = sizes[chosen[start : start + _CELLS]]
        stop = start + max(1, int(np.searchsorted(np.cumsum(ahead) * ahead, _CELLS, side="right")))
        yield chosen[start:stop]
        start = stop


class _Blocks:
    """Some blocks side by side: a row for each seat, and in column j the paths that begin at each block's j-th seat."""

    def __init__(self, cuts: Cuts, unit: Integers, chosen: Integers) -> None:
        from scipy.sparse import csr_array

        self.sizes = cuts.bounds[chosen + 1] - cuts.bounds[chosen]
        self.starts = np.cumsum(self.sizes) - self.sizes
        moved = np.repeat(cuts.bounds[chosen] - self.starts, self.sizes)
        seats = np.arange(len(moved)) + moved
        self.people, self.weight = cuts.people[seats], cuts.weight[seats]
        self.unit = unit[self.people]
        self.most = _most_paths(self.unit) + 1
        rows = cuts.steps[seats]
        indices = rows.indices - np.repeat(moved, np.diff(rows.indptr)).astype(rows.indices.dtype)
        self.steps = csr_array((rows.data, indices, rows.indptr), shape=(len(seats), len(seats)))

    def dependencies(self) -> tuple[Integers, Integers, Integers]:
        """For each seat: wholes and parts of shares of the paths through it, and how many paths its block has.

        Ends of paths count by their weight. Paths are counted up to one too many.
        """
        rows, largest = self.steps.shape[0], int(self.sizes.max())
        whole, rest, paths = (np.zeros(rows, np.int64) for _ in range(3))
        width = max(1, _CELLS // rows)
        for first in range(0, largest, width):
            begins = first + np.arange(min(width, largest - first))
            at = np.minimum(self.starts[:, None] + begins, rows - 1)
            weight = np.where(begins < self.sizes[:, None], self.weight[at], 0).repeat(self.sizes, axis=0)
            through, count = self._columns(begins)
            whole += ((through >> self.unit[:, None]) * weight).sum(axis=1)
            rest += ((through & ((1 << self.unit[:, None]) - 1)) * weight).sum(axis=1)
            met = np.minimum((count * weight).sum(axis=1), self.most)
            paths += np.minimum(np.add.reduceat(met, self.starts).repeat(self.sizes), self.most)
        return whole, rest, np.minimum(paths, self.most)

    def _columns(self, begins: Integers) -> tuple[Integers, Integers]:
        """Shares of the paths through each seat, in parts, and paths to it; by where they begin.

        After Brandes 2001 (A faster algorithm for betweenness centrality), section 3, in another form: with p(v)
        shortest paths from the beginning to v, let g(v) = weight(v) / p(v) + the sum of g(w) over v's successors w;
        then p(v) g(v) - weight(v) is the dependency of v. Only weight / p is rounded, half up; then integers are added.
        """
        shape = self.steps.shape[0], len(begins)
        away, paths = np.full(shape, -1, np.int16), np.zeros(shape, np.int64)
        block, column = np.nonzero(begins < self.sizes[:, None])
        row = self.starts[block] + begins[column]
        away[row, column], paths[row, column] = 0, 1
        edge, distance = paths.copy(), 0
        while True:
            edge = self.steps @ edge
            edge *= away < 0
            fresh = edge > 0
            if not fresh.any():
                break
            distance += 1
            np.minimum(edge, self.most[:, None], out=edge)  # beyond, people are left out; and nothing overflows here
            paths += edge
            away[fresh] = distance
        weight = (self.weight << self.unit)[:, None]
        share = np.maximum(paths, 1)
        share = (weight + (share >> 1)) // share
        for nearer in range(distance - 1, 0, -1):
            back = self.steps @ (share * (away == nearer + 1))
            back *= away == nearer
            share += back
        return (paths * share - weight) * (away > 0), paths
