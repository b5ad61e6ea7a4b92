"""Chance that can be drawn again: every draw depends on the seed, the stream and a number, and on nothing else.

So a block of records needs no other block, and a person has the same name whichever block asks. No global generator,
no clock. Only uniform draws are used, because those keep their values between NumPy versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Stream(IntEnum):
    """What a draw is for. A value is never reused: another order of draws in one stream must not move another."""

    GROUPS = 1
    EVENTS = 2
    FATES = 3
    CORRECTIONS = 4
    ORDERS = 5
    CHANGES = 6
    WATERMARKS = 7
    PERSON = 8
    TWINS = 9


def generator(seed: int, stream: Stream, block: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, stream, block))))


def uniform(seed: int, stream: Stream, part: int, numbers: Numbers) -> Reals:
    """One draw in [0, 1) for each number, the same wherever the number is met (SplitMix64 of the number)."""
    key, odd = np.random.SeedSequence((seed, stream, part)).generate_state(2, np.uint64)
    z = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27)) ^ odd) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pick(u: Reals, weights: Sequence[float]) -> Numbers:
    """The index that each draw falls upon, indexes weighted by `weights` (any positive sum)."""
    cumulative = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.searchsorted(cumulative, u * cumulative[-1], side="right").clip(max=len(cumulative) - 1)


def below(u: Reals, bound: int | Numbers) -> Numbers:
    """Whole numbers 0 <= n < bound. A bound of 0 gives 0."""
    return (u * bound).astype(np.int64)
