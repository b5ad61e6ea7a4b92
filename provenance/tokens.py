"""Tokens are random 63-bit numbers, so the first bits of one nearly say where it stands among many that are sorted.

Looking up a million of them costs a few passes over the answers, where a binary search would cost twenty misses of the
processor's cache for each.
"""

from __future__ import annotations

import numpy as np

_BITS = 63  # of a token
_FEW = 512  # below this a binary search needs no preparation


class Sorted:
    """Distinct numbers of at least 0 and below 2**63, in ascending order, and where each of them is."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self._starts: np.ndarray | None = None  # by first bits: where the numbers that begin with them start
        self._shift = self._longest = 0

    def __len__(self) -> int:
        return len(self.values)

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """The place of each of `wanted`, int64; -1 where it is not among them."""
        if len(self.values) < _FEW or len(wanted) < _FEW:
            at = np.searchsorted(self.values, wanted)
            at[at == len(self.values)] = 0
            return np.where(self.values[at] == wanted, at, -1) if len(self.values) else at - 1
        self._prepare()
        at = self._starts.take(wanted >> self._shift).astype(np.int64)
        held = self.values.take(at, mode="clip")
        found = np.where(held == wanted, at, -1)
        left = np.flatnonzero(held < wanted)  # those further on; the others are found, or are not there
        for further in range(1, self._longest):
            if not len(left):
                break
            here, sought = at.take(left) + further, wanted.take(left)
            held = self.values.take(here, mode="clip")
            same = held == sought
            found[left[same]] = here[same]
            left = left[held < sought]
        return found

    def _prepare(self) -> None:
        if self._starts is not None:
            return
        bits = min(_BITS, max(1, len(self.values).bit_length()))
        self._shift = _BITS - bits
        counts = np.bincount(self.values >> self._shift, minlength=1 << bits)
        self._longest = int(counts.max()) + 1
        self._starts = (np.cumsum(counts) - counts).astype(np.int32 if len(self.values) < 2**31 else np.int64)


def merged(values: np.ndarray, at: np.ndarray, more: np.ndarray) -> np.ndarray:
    """`values` with `more[i]` put before the one that stands at `at[i]`; like `np.insert`, for ascending `at`."""
    out = np.empty((len(values) + len(more), *values.shape[1:]), values.dtype)
    places = at + np.arange(len(more))
    kept = np.ones(len(out), bool)
    kept[places] = False
    out[places], out[kept] = more, values
    return out
