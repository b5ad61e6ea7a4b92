"""The networks of one theme as one graph, in an order that nobody's row chose.

People stand network by network and, within a network, by name, so that the links of a network lie together, and
whatever is worked out over the whole graph is worked out within each network alone. Refuses links that are given twice,
that leave a network, or networks that their links do not hold together: a figure over such a graph would mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from provenance.errors import Malformed
from provenance.networks import components

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Graph:
    """People who are in a network, as places 0 to `size` - 1, and the supported links between them."""

    people: Integers  # for each place, the person's place among the names that were given
    bounds: Integers  # network i holds the places bounds[i] to bounds[i + 1] - 1, by name
    links: csr_array  # symmetric, nothing on the diagonal, int64 points, columns sorted

    @property
    def size(self) -> int:
        """How many people are in a network."""
        return len(self.people)

    @property
    def members(self) -> Integers:
        """How many people each network has."""
        return np.diff(self.bounds)

    @property
    def degree(self) -> Integers:
        """How many links each person has."""
        return np.diff(self.links.indptr).astype(np.int64)

    def each(self, of_network: Integers) -> Integers:
        """A value per network as a value per person."""
        return np.repeat(of_network, self.members)

    def pattern(self, kind: type = np.int64) -> csr_array:
        """The links with 1 in place of their points."""
        from scipy.sparse import csr_array

        ones = np.ones(self.links.nnz, kind)
        return csr_array((ones, self.links.indices, self.links.indptr), shape=self.links.shape)


def graph(names: pa.Array, network: pa.Array, a: Integers, b: Integers, strength: Integers) -> Graph:
    """The graph of one theme's supported links: `a[i]`-`b[i]` with `strength[i]` points, places in `names`.

    `network` stands beside `names`: the id of each person's network, "" if none, as `networks.networks` gives them.
    Raises Malformed on columns that do not fit, names or links given twice, points below 0, links that do not stay in
    one network, and networks that are more than one piece.
    """
    from scipy.sparse import coo_array  # half a second, which most questions need not wait

    _fit(names, network, a, b, strength)
    inside = pc.not_equal(network, "")
    people = pa.table({"network": network, "name": names, "place": np.arange(len(names))}).filter(inside)
    people = people.sort_by([("network", "ascending"), ("name", "ascending")])
    place = people["place"].to_numpy()
    codes = people["network"].combine_chunks().dictionary_encode().indices.to_numpy()
    bounds = np.searchsorted(codes, np.arange(codes.max(initial=-1) + 2)).astype(np.int64)
    now = np.full(len(names), -1, np.int64)
    now[place] = np.arange(len(place))
    of = np.full(len(names), -1, np.int64)
    of[place] = codes
    astray = (of[a] != of[b]) | (of[a] < 0)
    if astray.any():
        raise Malformed(f"links do not stay in one network: found {int(astray.sum())}, wanted none")
    a, b = now[a], now[b]
    size = len(place)
    ends = (np.concatenate((a, b)).astype(np.int32), np.concatenate((b, a)).astype(np.int32))
    links = coo_array((np.concatenate((strength, strength)), ends), shape=(size, size)).tocsr()
    links.sum_duplicates()
    if links.nnz != 2 * len(a):
        raise Malformed(f"links are given twice: found {len(a)} links, {links.nnz // 2} distinct pairs")
    pieces = int(np.count_nonzero(components(a, b, size) == np.arange(size)))
    if pieces != len(bounds) - 1:
        raise Malformed(f"networks are not held together by their links: found {pieces}, wanted {len(bounds) - 1}")
    return Graph(place, bounds, links)


def _fit(names: pa.Array, network: pa.Array, a: Integers, b: Integers, strength: Integers) -> None:
    if not len(a) == len(b) == len(strength):
        raise Malformed(f"link columns differ in length: found {(len(a), len(b), len(strength))}, wanted one length")
    if len(names) != len(network):
        raise Malformed(f"people's columns differ in length: found {len(names)}, {len(network)}, wanted one length")
    if (distinct := pc.count_distinct(names).as_py()) != len(names):
        raise Malformed(f"people are named twice: found {len(names)} names, {distinct} distinct")
    if not len(a):
        return
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    if low < 0 or high >= len(names):
        raise Malformed(f"link ends are beyond the people: found {low} to {high}, wanted 0 to {len(names) - 1}")
    if (a == b).any():
        raise Malformed(f"links join a person to themselves: found {int((a == b).sum())}, wanted none")
    if strength.min() < 0:
        raise Malformed(f"points of a link are below nothing: found {strength.min()}, wanted 0 or more")
