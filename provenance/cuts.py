"""What falls apart when one person is taken away: every network's blocks, and what hangs on whom, in one pass.

A block is a largest set of links any two of which lie on a common circle; taking a person away parts exactly the
blocks that meet in that person. Integers throughout, and nothing is walked person by person.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from provenance.graphs import Graph, Integers


def severed(graph: Graph) -> Integers:
    """For each person, the pairs of other members of the network whom only this person holds together.

    With pieces s_1 ... s_k of the other n - 1 members: ((n - 1)^2 - sum of s_i^2) / 2. Pieces are read off the blocks:
    each block has one person nearest the root of a spanning tree, and to that person it is one piece, of whoever is
    beneath it; whoever is not beneath the person is the last piece.
    """
    if not graph.size:
        return np.zeros(0, np.int64)
    order, parent = _forest(graph)
    before, size = _preorder(graph, order, parent)
    # From here on a person is their place in preorder, so that whoever is beneath q is q to q + size[q] - 1.
    at = np.argsort(before)
    size, parent = size[at], np.where(parent < 0, -1, before[parent])[at]
    block = _blocks(graph, before, parent, size)

    child = np.flatnonzero(parent >= 0)
    top = parent[child]
    heads = (parent[top] < 0) | (block[top] != block[child])  # the block begins at `top` and does not pass it
    child, top = child[heads], top[heads]
    piece, owner = np.zeros(graph.size, np.int64), np.zeros(graph.size, np.int64)
    np.add.at(piece, block[child], size[child])
    owner[block[child]] = top
    beneath, squares = np.zeros(graph.size, np.int64), np.zeros(graph.size, np.int64)
    np.add.at(beneath, owner, piece)
    np.add.at(squares, owner, piece * piece)
    others = graph.each(graph.members) - 1  # preorder keeps each network in its own places
    lost = (others * others - squares - (others - beneath) ** 2) // 2
    return lost[before]


def _forest(graph: Graph) -> tuple[Integers, Integers]:
    """People in breadth-first order, all networks abreast, and each one's parent (-1 for a network's first person)."""
    size, links = graph.size, graph.links
    # One more node, with a one-way link to each network's first person, so that one search reaches all of them.
    ends = np.append(links.indptr, links.nnz + len(graph.bounds) - 1)
    to = np.concatenate((links.indices, graph.bounds[:-1].astype(np.int32)))
    whole = csr_array((np.ones(len(to)), to, ends), shape=(size + 1, size + 1))
    order, parent = breadth_first_order(whole, size, directed=True, return_predecessors=True)
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


def _blocks(graph: Graph, before: Integers, parent: Integers, size: Integers) -> Integers:
    """For each person in preorder, a number for the block of the link to their parent.

    Tarjan and Vishkin 1985 (An efficient parallel biconnectivity algorithm, SIAM J. Comput. 14, section 3). In a
    breadth-first tree, a link outside the tree joins two people neither of whom is beneath the other.
    """
    links, place = graph.links, before.astype(np.int32)
    u, w = np.repeat(place, np.diff(links.indptr)), place[links.indices]
    outside = (parent[u] != w) & (parent[w] != u)
    reach = np.where(outside, w, u)
    low, high = np.empty(graph.size, np.int64), np.empty(graph.size, np.int64)
    low[before] = np.minimum.reduceat(reach, links.indptr[:-1])
    high[before] = np.maximum.reduceat(reach, links.indptr[:-1])
    low, high = _beneath(low, size, np.minimum), _beneath(high, size, np.maximum)
    # Two links of the tree share a block when a link outside it closes a circle through both.
    grown = np.flatnonzero(parent >= 0)
    grown = grown[parent[parent[grown]] >= 0]
    over = parent[grown]
    past = (low[grown] < over) | (high[grown] >= over + size[over])
    once = outside & (u < w)
    ends = np.concatenate((u[once], grown[past])), np.concatenate((w[once], over[past]))
    joined = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=links.shape)
    return connected_components(joined, directed=False)[1].astype(np.int64)


def _beneath(values: Integers, size: Integers, least: np.ufunc) -> Integers:
    """The least (or greatest) value among whoever is beneath each person, self included; people in preorder."""
    found = values.copy()
    table, span = values, 1
    while span < size.max():
        # `table[q]` covers q to q + span - 1: two of these, overlapping, cover up to twice the span.
        wide = np.flatnonzero((size > span) & (size <= 2 * span))
        found[wide] = least(table[wide], table[wide + size[wide] - span])
        table = least(table[:-span], table[span:])
        span *= 2
    return found
