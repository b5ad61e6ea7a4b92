"""Where the people of a network stand in a drawing: the same graph gives the same places, on any machine.

A start by pivot MDS (Brandes and Pich 2006), then rounds in which links pull and everybody pushes, then room for each.
Between two steps everything is an integer; within one, only + - * / and the square root are used, which IEEE 754 fixes
to the last bit, and whatever is summed is an integer below 2^53, so that neither the order of links nor a processor's
width can change a sum. No chance, no thread. Who stands close to whom is a picture to look at, never a measure.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from provenance import sets
from provenance.errors import Malformed
from provenance.networks import components

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

SIDE = 10_000  # places are 0 to SIDE, both ways
WIDTH_TO_HEIGHT = 1.4  # of the drawing as a whole, as far as its components allow: about that of a screen
ROOM = 0.4  # of the square that each would have if all stood in a lattice, what a person keeps clear on each side
_UNIT = 4096  # the length of a link at rest, in the integers that the rounds work with
_FIELD = 1 << 20  # bound of the integers in a force field and in a start
_PIVOTS = 20
_ROUNDS = 32
_SPACINGS = 25


def place(links: NDArray[np.integer], weight: NDArray[np.integer], people: int) -> NDArray[np.int32]:
    """(people, 2): x and y of each person, 0 to SIDE, no two closer than `clearance(people)`.

    `links` is (m, 2), places 0 to `people` - 1 in any order and either way round; `weight`, 0 or more, draws two
    people closer the larger it is. Components stand side by side, the largest first. Raises Malformed for links that do
    not fit.
    """
    ends, pull = _canonical(links, weight, people)
    if people == 0:
        return np.zeros((0, 2), np.int32)
    component = components(ends[:, 0], ends[:, 1], people)
    _, first, of, members = np.unique(component, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(members), np.int64)
    rank[np.lexsort((first, -members))] = np.arange(len(members))
    of, members = rank[of], np.sort(members)[::-1]
    order = np.lexsort((np.arange(people), of))
    within = np.empty(people, np.int64)
    bounds = np.concatenate(([0], np.cumsum(members)))
    within[order] = np.arange(people) - np.repeat(bounds[:-1], members)
    mine = of[ends[:, 0]]
    by_component = np.argsort(mine, kind="stable")
    cuts = np.searchsorted(mine[by_component], np.arange(len(members) + 1))
    at = np.zeros((people, 2), np.int64)
    boxes = []
    for number, size in enumerate(members.tolist()):
        inside = by_component[cuts[number] : cuts[number + 1]]
        found = _component(within[ends[inside]], pull[inside], size)
        found -= found.min(axis=0)
        at[order[bounds[number] : bounds[number + 1]]] = found
        boxes.append(found.max(axis=0) + _UNIT)
    at += _packed(np.array(boxes))[of]
    return _spaced(_fitted(at), clearance(people)).astype(np.int32)


def clearance(people: int) -> int:
    """The least distance between two people in a drawing of so many: nodes drawn no wider do not overlap."""
    return int(SIDE * ROOM / math.sqrt(max(people, 4) * WIDTH_TO_HEIGHT))


def _canonical(links: NDArray[np.integer], weight: NDArray[np.integer], people: int) -> tuple[Integers, Integers]:
    """Links once each, the smaller place first, in order; and the class of their weight, 1 to 6."""
    links, weight = np.asarray(links, np.int64).reshape(-1, 2), np.asarray(weight, np.int64)
    if len(links) != len(weight):
        raise Malformed(f"links and weights differ in number: found {len(links)} and {len(weight)}")
    if not len(links):
        return links, weight
    if links.min() < 0 or links.max() >= people:
        raise Malformed(
            f"link ends are beyond the people: found {links.min()} to {links.max()}, wanted 0 to {people - 1}"
        )
    if (links[:, 0] == links[:, 1]).any():
        raise Malformed(
            f"links join a person to themselves: found {int((links[:, 0] == links[:, 1]).sum())}, wanted none"
        )
    if weight.min() < 0:
        raise Malformed(f"weight of a link is below nothing: found {weight.min()}, wanted 0 or more")
    ends = np.sort(links, axis=1)
    order = np.lexsort((weight, ends[:, 1], ends[:, 0]))
    ends, weight = ends[order], weight[order]
    last = np.append((ends[1:] != ends[:-1]).any(axis=1), True)  # of a pair given twice, the heavier
    ends, weight = ends[last], weight[last]
    share = weight * 100 // max(int(np.sort(weight)[len(weight) * 9 // 10]), 1)  # of what nine in ten stay under
    return ends, 1 + np.minimum(share // 20, 5)


# -- one component -----------------------------------------------------------------------------------------------------


def _component(ends: Integers, pull: Integers, people: int) -> Integers:
    if people == 1:
        return np.zeros((1, 2), np.int64)
    if people == 2:
        return np.array([[0, 0], [_UNIT, 0]])
    at = _scattered(_start(ends, people))
    rounds = min(_ROUNDS, 10 + people)
    for number in range(rounds):
        at = at + _moves(at, ends, pull, (rounds - number) / rounds)
    return _evened(_levelled(at))


def _evened(at: Integers) -> Integers:
    """Drawn halfway to where each would stand if all were spread evenly from left to right and from top to bottom."""
    span = at.max(axis=0) - at.min(axis=0)
    rank = np.empty_like(at)
    for axis in range(2):
        rank[np.lexsort((np.arange(len(at)), at[:, 1 - axis], at[:, axis])), axis] = np.arange(len(at))
    even = np.rint(rank * (span / (len(at) - 1.0))).astype(np.int64)
    return (at - at.min(axis=0) + even) // 2


def _start(ends: Integers, people: int) -> Integers:
    """Pivot MDS: the two directions in which the steps to a few people, each far from the others, differ most."""
    both = np.concatenate((ends, ends[:, ::-1]))
    steps = csr_array(coo_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(people, people)))
    far = np.full(people, np.inf)
    pivot, columns = int(np.argmax(np.diff(steps.indptr))), []
    for _ in range(min(_PIVOTS, people)):
        column = dijkstra(steps, indices=pivot, unweighted=True)
        columns.append(column)
        far = np.minimum(far, column)
        pivot = int(np.argmax(far))  # the first of those farthest from all pivots so far
    squares = np.array(columns, np.int64).T ** 2
    count, pivots = squares.shape
    # Twice centred, times count * pivots so that it stays whole; then brought under 2^15, so that sums are exact.
    centred = (
        squares * (count * pivots)
        - squares.sum(axis=1, keepdims=True) * count
        - squares.sum(axis=0, keepdims=True) * pivots
        + squares.sum()
    )
    centred = np.rint(centred / max(np.abs(centred).max(), 1) * (1 << 15))
    gram = _bounded(centred.T @ centred)
    axes: list[Floats] = []
    for number in range(2):
        axis = _bounded(np.arange(pivots) * (number + 1) % 7 - 3.0)
        for _ in range(40):  # the power method, in whole numbers
            axis = gram @ axis
            for other in axes:
                axis = axis - other * ((axis * other / _FIELD).round().sum() / (other * other / _FIELD).round().sum())
            axis = _bounded(axis)
        axes.append(axis)
    found = centred @ np.stack(axes, axis=1)
    # The second direction never so flat that the first round has nothing to work with.
    found = np.rint(found / np.maximum(np.abs(found).max(axis=0), 1) * _FIELD)
    spread = _UNIT * math.sqrt(count) / _FIELD / 2
    return np.rint(found * (spread, spread * 0.7)).astype(np.int64)


def _bounded(values: Floats) -> Floats:
    """Whole numbers in the same proportions, none beyond 2^20."""
    return np.rint(values / max(np.abs(values).max(), 1.0) * _FIELD)


def _scattered(at: Integers) -> Integers:
    """People moved a little, each by their number, for two in one place could not push each other apart."""
    number = np.arange(len(at), dtype=np.int64)
    return at + np.stack((number * 40_503 % 2039, number * 30_011 % 2029), axis=1) - 1000


@lru_cache(maxsize=4)
def _kernel(cells: int) -> tuple[Floats, Floats]:
    """What a weight in each cell of a mesh does to each other cell: 1 over the distance in cells, x and y, in 2^-10."""
    i, j = np.divmod(np.arange(cells * cells), cells)
    dx, dy = np.subtract.outer(i, i).astype(float), np.subtract.outer(j, j).astype(float)
    square = dx * dx + dy * dy + 0.25
    return np.rint(dx / square * 1024), np.rint(dy / square * 1024)


def _moves(at: Integers, ends: Integers, pull: Integers, heat: float) -> Integers:
    """How far each person goes in one round, which is less the less `heat`, of 1, is left."""
    people = len(at)
    degree = np.bincount(ends.ravel(), minlength=people)
    mass = np.sqrt(1.0 + np.minimum(degree, 48))
    force = _pushed(at.astype(float), mass)
    # Links pull in proportion to their length; of a person with many links each pulls less, or hubs gather everybody.
    one, other = ends[:, 0], ends[:, 1]
    apart = (at[other] - at[one]).astype(float)
    length = np.sqrt(apart[:, 0] * apart[:, 0] + apart[:, 1] * apart[:, 1])
    eased = np.rint(apart * (length / _UNIT * (0.75 + 0.25 * pull))[:, None])
    for axis in range(2):
        force[:, axis] += np.bincount(one, eased[:, axis], people) - np.bincount(other, eased[:, axis], people)
    force = force / mass[:, None]
    length = np.sqrt(force[:, 0] * force[:, 0] + force[:, 1] * force[:, 1])
    limit = _UNIT * math.sqrt(people) * 0.25 * heat * heat
    return np.rint(force * (0.6 * np.minimum(1.0, limit / np.maximum(length * 0.6, 1.0)))[:, None]).astype(np.int64)


def _pushed(at: Floats, mass: Floats) -> Floats:
    """Push by all on each, as mass times mass over distance: near people one by one, the rest through a mesh."""
    people = len(at)
    low, span = at.min(axis=0), max(float((at.max(axis=0) - at.min(axis=0)).max()), 1.0)
    strength = _UNIT * _UNIT * 1.0
    if people <= _ONE_BY_ONE:
        dx, dy = np.subtract.outer(at[:, 0], at[:, 0]), np.subtract.outer(at[:, 1], at[:, 1])
        scale = mass * strength / (dx * dx + dy * dy + 256.0)
        return np.stack((np.rint(dx * scale).sum(axis=1), np.rint(dy * scale).sum(axis=1)), axis=1) * mass[:, None]
    cells = _CELLS
    cell = span / (cells - 1.001)
    place = (at - low) / cell
    corner = np.floor(place)
    part = np.rint((place - corner) * 64)
    corner = corner.astype(np.int64)
    shares = [(i, j, (64 - part[:, 0] if i == 0 else part[:, 0]) * (64 - part[:, 1] if j == 0 else part[:, 1]))
              for i in (0, 1) for j in (0, 1)]  # fmt: skip
    index = [
        np.minimum(corner[:, 0] + i, cells - 1) * cells + np.minimum(corner[:, 1] + j, cells - 1) for i, j, _ in shares
    ]
    whole = sum(
        np.bincount(where, np.rint(share * mass), cells * cells)
        for where, (_, _, share) in zip(index, shares, strict=True)
    )
    force = np.empty((people, 2))
    for axis, kernel in enumerate(_kernel(cells)):
        field = kernel @ whole
        force[:, axis] = sum(field[where] * share for where, (_, _, share) in zip(index, shares, strict=True))
    force = np.rint(force * (mass * (strength / cell / (1024.0 * 4096 * 4096)))[:, None])
    pairs = cKDTree(at).query_pairs(min(cell, 3.0 * _UNIT), output_type="ndarray")
    one, other = pairs[:, 0], pairs[:, 1]
    apart = at[one] - at[other]
    square = apart[:, 0] * apart[:, 0] + apart[:, 1] * apart[:, 1]
    # What the mesh has said of a near pair already, roughly: it softens within a cell.
    more = mass[one] * mass[other] * strength * (1.0 / (square + 256.0) - 1.0 / (square + cell * cell))
    for axis in range(2):
        push = np.rint(apart[:, axis] * more)
        force[:, axis] += np.bincount(one, push, people) - np.bincount(other, push, people)
    return force


_ONE_BY_ONE = 150  # people up to whom every pair is taken
_CELLS = 20  # of the mesh, each way


def _levelled(at: Integers) -> Integers:
    """Turned so that it is widest from left to right, the half with the first person on the left and on top."""
    centred = at - np.rint(at.sum(axis=0) / len(at)).astype(np.int64)
    x, y = (np.rint(centred[:, axis] / 16.0) for axis in range(2))
    xx, yy, xy = (x * x).sum(), (y * y).sum(), (x * y).sum()
    gap = np.sqrt((xx - yy) * (xx - yy) + 4 * xy * xy)
    if gap == 0:
        return centred
    cosine = float(np.sqrt(np.maximum((1 + (xx - yy) / gap) / 2, 0)))
    sine = float(np.sqrt(np.maximum((1 - (xx - yy) / gap) / 2, 0))) * (1 if xy >= 0 else -1)
    x, y = centred[:, 0], centred[:, 1]  # one product at a time: a library's would round some machines' sums once
    turned = np.rint(np.stack((x * cosine + y * sine, y * cosine - x * sine), axis=1)).astype(np.int64)
    return turned * np.where(turned[0] > 0, -1, 1)


# -- the whole ---------------------------------------------------------------------------------------------------------


def _packed(boxes: Integers) -> Integers:
    """Where the corner of each box lies: the tallest rows first, in a row column by column, each as full as it gets.

    Of a few widths the one that can be drawn largest.
    """
    area = float((boxes[:, 0] * boxes[:, 1].astype(float)).sum())
    best, drawn = np.zeros_like(boxes), np.inf
    for share in range(8, 17):
        width = max(int(boxes[:, 0].max()), round(math.sqrt(area * WIDTH_TO_HEIGHT) * share / 8))
        corners = _rows(boxes, width)
        wide, high = (corners + boxes).max(axis=0).tolist()
        if (size := max(wide, high * WIDTH_TO_HEIGHT)) < drawn:
            best, drawn = corners, size
    return best


def _rows(boxes: Integers, width: int) -> Integers:
    corners = []
    left = top = right = bottom = below = 0  # the column under way, the row's lower edge, the column's lower edge
    for wide, high in boxes.tolist():
        if below + high > bottom or (below > top and left + wide > right):
            left, below = right, top  # another column
        if left + wide > width or (left == 0 and below == top):
            left = right = 0
            top = below = bottom
            bottom = top + high
        corners.append((left, below))
        below, right = below + high, max(right, left + wide)
    return np.array(corners)


def _fitted(at: Integers) -> Integers:
    """Into WIDTH_TO_HEIGHT at most, the longer side from 0 to SIDE, in the middle of the square."""
    at = at - at.min(axis=0)
    span = at.max(axis=0)
    scale = SIDE / max(int(span.max()), 1)
    at = np.rint(at * scale).astype(np.int64)
    return at + (SIDE - at.max(axis=0)) // 2


def _spaced(at: Integers, clear: int) -> Integers:
    """Everybody at least `clear` from everybody, as near as may be to where they were."""
    people = len(at)
    for _ in range(_SPACINGS):
        pairs = cKDTree(at).query_pairs(_just_under(clear), output_type="ndarray")
        if not len(pairs):
            return at
        low, high = pairs.min(axis=1), pairs.max(axis=1)
        apart = (at[high] - at[low]).astype(float)
        length = np.sqrt(apart[:, 0] * apart[:, 0] + apart[:, 1] * apart[:, 1])
        same = length == 0
        apart[same] = np.stack((1 + low[same] % 3, 1 + high[same] % 5), axis=1)  # a direction, always the same
        length = np.where(same, clear, length)
        push = np.rint(apart * ((clear * 1.15 - length) / length / 2)[:, None])
        for axis in range(2):
            moved = np.bincount(high, push[:, axis], people) - np.bincount(low, push[:, axis], people)
            at[:, axis] += np.clip(moved, -clear, clear).astype(np.int64)
        np.clip(at, 0, SIDE, out=at)
    return _lodged(at, clear)


def _just_under(clear: int) -> float:
    """A radius that every distance of whole places below `clear` is within, and `clear` itself is not."""
    return math.sqrt(clear * clear - 0.5)


def _crowded(at: Integers, clear: int) -> Integers:
    """Of each two people closer than `clear`, the later; so that all others keep clear of each other."""
    pairs = cKDTree(at).query_pairs(_just_under(clear), output_type="ndarray")
    return sets.distinct(pairs.max(axis=1)) if len(pairs) else np.zeros(0, np.int64)


def _lodged(at: Integers, clear: int) -> Integers:
    """Those still crowded, each in the nearest free knot of a lattice.

    There always is one: a person is too close to at most four knots, and with ROOM under 0.42 there are more than four
    for each.
    """
    crowded = _crowded(at, clear)
    if not len(crowded):
        return at
    side = SIDE // clear + 1
    knots = np.stack(np.divmod(np.arange(side * side), side), axis=1) * clear
    settled = np.delete(at, crowded, axis=0)
    knots = knots[cKDTree(settled).query(knots)[0] >= clear]
    for person in crowded.tolist():
        away = knots - at[person]
        best = int(np.argmin(away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1]))
        at[person] = knots[best]
        knots = np.delete(knots, best, axis=0)  # knots are clear of one another
    return at
