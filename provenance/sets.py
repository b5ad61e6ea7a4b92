"""Sets of numbers as sorted arrays without repeats.

NumPy 2.3 and later find distinct values by a hash table where no places are asked for, and its set operations rest on
that: for a million different numbers a second, where sorting takes 25 ms (docs/decisions/0011-speed.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Numbers = np.ndarray | Sequence[int]


def distinct(values: Numbers) -> np.ndarray:
    """Each value once, in ascending order: `np.unique` of one column."""
    ordered = np.sort(values, axis=None)
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered if new.all() else ordered[new]


def union(one: Numbers, other: Numbers) -> np.ndarray:
    """What is in either."""
    return distinct(np.concatenate([one, other]))


def difference(one: Numbers, other: Numbers) -> np.ndarray:
    """What is in the first and not in the other."""
    mine = distinct(one)
    return mine[~among(mine, other)]


def intersection(one: Numbers, other: Numbers) -> np.ndarray:
    """What is in both."""
    mine = distinct(one)
    return mine[among(mine, other)]


def among(values: Numbers, wanted: Numbers) -> np.ndarray:
    """True where a value is one of `wanted`: `np.isin`, many times faster where few of many are wanted."""
    values = np.asarray(values)
    if not len(wanted):
        return np.zeros(len(values), bool)
    wanted = np.sort(wanted)
    # Of anything but whole numbers the last bits cannot be had, and short ones have few.
    if len(wanted) * 4 > len(values) or values.dtype != np.int64 or wanted.dtype != np.int64:
        return _is_one_of(values, wanted)
    # Most values are not wanted, and their last bits already tell.
    mask = (1 << max(16, 6 + len(wanted).bit_length())) - 1
    may_be = np.zeros(mask + 1, bool)
    may_be[wanted & mask] = True
    found = may_be[values & mask]
    at = np.flatnonzero(found)
    found[at] = _is_one_of(values[at], wanted)
    return found


def _is_one_of(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    at = np.searchsorted(ordered, values)
    at[at == len(ordered)] = 0
    return ordered[at] == values
