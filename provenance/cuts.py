"""What falls apart when one person is taken away: every network's blocks, and what hangs on whom, in one pass.

A block is a largest set of links any two of which lie on a common circle; taking a person away parts exactly the
blocks that meet in that person. Integers throughout, and nothing is walked person by person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from provenance.graphs import Graph, Integers

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, slots=True)
class Cuts:
    """What each person holds together, and the blocks of three people or more.

    A person has a seat in each block that they are in. Everybody outside a block reaches it through one seat.
    """

    severed: Integers  # for each person, the pairs of other members of the network whom only this person holds together
    people: Integers  # for each seat, the person
    weight: Integers  # for each seat, how many people reach the block through it, the person among them
    bounds: Integers  # block i has the seats bounds[i] to bounds[i + 1] - 1
    steps: csr_array  # 1 between two seats of a block whose people are linked


def cuts(graph: Graph) -> Cuts:
    """Take every person away in turn, all at once.

    With pieces s_1 ... s_k of the other n - 1 members, ((n - 1)^2 - sum of s_i^2) / 2 pairs are severed. Pieces are
    read off the blocks: each block has one person nearest the root of a spanning tree, its top, and to that person it
    is one piece, of whoever is beneath it; whoever is not beneath the person is the last piece.
    """
    from scipy.sparse import coo_array  # half a second, which most questions need not wait

    order, parent = _forest(graph)
    before, size = _preorder(graph, order, parent)
    # From here on a person is their place in preorder, so that whoever is beneath q is q to q + size[q] - 1.
    at = np.argsort(before)
    size, parent = size[at], np.where(parent < 0, -1, before[parent])[at]
    u, w = _pairs(graph, before)
    block = _blocks(graph, parent, size, u, w)

    child = np.flatnonzero(parent >= 0)
    above = parent[child]
    heads = (parent[above] < 0) | (block[above] != block[child])  # the block begins at `above` and does not pass it
    piece, top = np.zeros(graph.size, np.int64), np.full(graph.size, -1, np.int64)
    np.add.at(piece, block[child[heads]], size[child[heads]])
    top[block[child[heads]]] = above[heads]
    label = np.flatnonzero(top >= 0)
    beneath, squares = np.zeros(graph.size, np.int64), np.zeros(graph.size, np.int64)
    np.add.at(beneath, top[label], piece[label])
    np.add.at(squares, top[label], piece[label] ** 2)
    others = graph.each(graph.members) - 1  # preorder keeps each network in its own places
    severed = (others * others - squares - (others - beneath) ** 2) // 2

    # Seats: number c is that of person c in the block of the link to their parent, number size + i that of i's top.
    large = np.bincount(block[child], minlength=graph.size) >= 2
    large[block[parent < 0]] = False
    child, label = child[large[block[child]]], label[large[label]]
    passing = np.zeros(graph.size, np.int64)  # people beneath c in c's own block or beyond it
    inner = np.flatnonzero(parent >= 0)[~heads]
    np.add.at(passing, parent[inner], size[inner])
    people, of = np.concatenate((child, top[label])), np.concatenate((block[child], label))
    weight = np.concatenate((size[child] - passing[child], others[top[label]] + 1 - piece[label]))
    sorted_ = np.argsort(of * graph.size + people)
    seat = np.full(2 * graph.size, -1, np.int64)
    seat[np.concatenate((child, graph.size + label))[sorted_]] = np.arange(len(people))
    # Of two linked people the later one is never a top: a link belongs to the block of that one's link upwards.
    kept = large[block[w]]
    u, w = u[kept], w[kept]
    ends = seat[np.where(block[u] == block[w], u, graph.size + block[w])], seat[w]
    ends = np.concatenate(ends).astype(np.int32), np.concatenate(ends[::-1]).astype(np.int32)
    steps = coo_array((np.ones(len(ends[0]), np.int64), ends), shape=(len(people), len(people))).tocsr()
    starts = np.flatnonzero(np.diff(of[sorted_], prepend=-1))
    return Cuts(severed[before], at[people][sorted_], weight[sorted_], np.append(starts, len(people)), steps)


def _forest(graph: Graph) -> tuple[Integers, Integers]:
    """People in breadth-first order, all networks abreast, and each one's parent (-1 for a network's first person)."""
    size, links = graph.size, graph.links
    # One more node, with a one-way link to each network's first person, so that one search reaches all of them.
    ends = np.append(links.indptr, links.nnz + len(graph.bounds) - 1)
    to = np.concatenate((links.indices, graph.bounds[:-1].astype(np.int32)))
    from scipy.sparse import csgraph, csr_array

    whole = csr_array((np.ones(len(to)), to, ends), shape=(size + 1, size + 1))
    order, parent = csgraph.breadth_first_order(whole, size, directed=True, return_predecessors=True)
    parent = parent[:size].astype(np.int64)
    return order[1:].astype(np.int64), np.where(parent == size, -1, parent)


def _preorder(graph: Graph, order: Integers, parent: Integers) -> tuple[Integers, Integers]:
    """Each person's place when a parent comes just before all who are beneath, and how many are beneath, self included.

    The tour that goes down to each person and up again is ranked by doubling (Wyllie 1979), in as many rounds as the
    longest tour has binary digits: a chain of a million people is no worse than a crowd.
    """
    count = graph.size
    kids = order[parent[order] >= 0]
    of = parent[kids]  # breadth-first order has the children of one parent side by side
    first = np.append(True, of[1:] != of[:-1])[: len(of)]
    child, sibling = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    child[of[first]] = kids[first]
    sibling[kids[:-1][~first[1:]]] = kids[1:][~first[1:]]

    # Down to person v is step v, and up from v is step count + v.
    end = 2 * count
    up = np.where(sibling >= 0, sibling, np.where(parent >= 0, count + parent, end))
    following = np.concatenate((np.where(child >= 0, child, np.arange(count, end)), up, [end]))
    left = np.repeat(np.array([1, 0], np.int64), [count, count + 1])  # steps down, from this one on
    walking = np.arange(end)
    while len(walking):
        ahead = following[walking]
        left[walking] += left[ahead]
        following[walking] = following[ahead]
        walking = walking[following[walking] != end]
    before = graph.each(graph.bounds[1:]) - left[:count]
    return before, left[:count] - left[count:end]


def _pairs(graph: Graph, before: Integers) -> tuple[Integers, Integers]:
    """Each link once: the earlier person in preorder, and the later."""
    place = before.astype(np.int32)
    u, w = np.repeat(place, np.diff(graph.links.indptr)), place[graph.links.indices]
    return u[u < w], w[u < w]


def _blocks(graph: Graph, parent: Integers, size: Integers, u: Integers, w: Integers) -> Integers:
    """For each person in preorder, a number for the block of the link to their parent; of their own if they have none.

    Tarjan and Vishkin 1985 (An efficient parallel biconnectivity algorithm, SIAM J. Comput. 14, section 3). In a
    breadth-first tree, a link outside the tree joins two people neither of whom is beneath the other.
    """
    outside = parent[w] != u
    u, w = u[outside], w[outside]
    low, high = np.arange(graph.size), np.arange(graph.size)
    np.minimum.at(low, w, u)
    np.maximum.at(high, u, w)
    low, high = _beneath(low, size, np.minimum), _beneath(high, size, np.maximum)
    # Two links of the tree share a block when a link outside it closes a circle through both.
    grown = np.flatnonzero(parent >= 0)
    grown = grown[parent[parent[grown]] >= 0]
    over = parent[grown]
    past = (low[grown] < over) | (high[grown] >= over + size[over])
    ends = np.concatenate((u, grown[past])), np.concatenate((w, over[past]))
    from scipy.sparse import coo_array, csgraph

    joined = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=graph.links.shape)
    return csgraph.connected_components(joined, directed=False)[1].astype(np.int64)


def _beneath(values: Integers, size: Integers, least: np.ufunc) -> Integers:
    """The least (or greatest) value among whoever is beneath each person, self included; people in preorder."""
    found = values.copy()
    table, span = values, 1
    while span < size.max(initial=0):
        # `table[q]` covers q to q + span - 1: two of these, overlapping, cover up to twice the span.
        wide = np.flatnonzero((size > span) & (size <= 2 * span))
        found[wide] = least(table[wide], table[wide + size[wide] - span])
        table = least(table[:-span], table[span:])
        span *= 2
    return found
