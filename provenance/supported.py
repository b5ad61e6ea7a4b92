"""Which links make networks: those that rest on enough records, or on an associate that both people share.

A shared associate counts only through other records: three people of one crime are one crime, not three links that
confirm one another. The rule looks at links of the same triangle alone, and treats its three links alike, so whoever
is the shared associate is in the same network. That is why removing a person changes that person's network only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from provenance import params

Integers = NDArray[np.int64]

SEVERAL = -1  # in place of the one record of a link that rests on more
_AT_ONCE = 4_000_000  # associates looked at in one go: some 200 MB


def supported(
    a: Integers, b: Integers, strength: Integers, records: Integers, sole: Integers, rule: params.Networks
) -> NDArray[np.bool_]:
    """For each link `a[i]`-`b[i]` of one theme, whether it is supported by `rule`.

    `a` and `b` are any numbers for people, and no pair stands twice; `strength` is in points; `sole` is a number for
    the one record of a link that rests on one, and SEVERAL otherwise.

    A link of `least_strength` is supported by `least_records` distinct records; with `shared_associate`, also by an
    associate whose links with both are of that strength, where no two of the three links rest on the same one record.
    """
    strong = strength >= rule.least_strength
    found = strong & (records >= rule.least_records)
    if rule.shared_associate and not found[strong].all():
        place = np.flatnonzero(strong)
        by_triangle = _triangles(a[place], b[place], sole[place], np.flatnonzero(~found[place]))
        found[place[by_triangle]] = True
    return found


def _triangles(a: Integers, b: Integers, sole: Integers, asked: Integers) -> Integers:
    """Which of the links `asked` are in a triangle of links no two of which rest on the same one record."""
    people, ends = np.unique(np.concatenate([a, b]), return_inverse=True)
    a, b = ends[: len(a)], ends[len(a) :]
    count = len(people)
    source, target, link = np.concatenate([a, b]), np.concatenate([b, a]), np.tile(np.arange(len(a)), 2)
    order = np.lexsort((target, source))
    source, target, link = source[order], target[order], link[order]
    key = source * count + target
    degree = np.bincount(source, minlength=count)
    first = np.concatenate([[0], np.cumsum(degree)])

    near = np.where(degree[a] <= degree[b], a, b)[asked]  # the end with fewer associates to look through
    far = (a + b)[asked] - near
    ends = np.cumsum(degree[near])
    found, start = np.zeros(len(asked), bool), 0
    while start < len(asked):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right")))
        here = np.arange(start, stop)
        times = degree[near[here]]
        owner = np.repeat(here, times)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(times) - times, times)
        one = first[near[owner]] + offset  # the link from `near` to an associate
        at = np.searchsorted(key, far[owner] * count + target[one])
        at[at == len(key)] = 0
        closes = key[at] == far[owner] * count + target[one]
        owner, sides = owner[closes], (sole[asked[owner[closes]]], sole[link[one[closes]]], sole[link[at[closes]]])
        apart = np.ones(len(owner), bool)
        for x, y in ((0, 1), (0, 2), (1, 2)):
            apart &= (sides[x] != sides[y]) | (sides[x] == SEVERAL)
        found[owner[apart]] = True
        start = stop
    return asked[found]
