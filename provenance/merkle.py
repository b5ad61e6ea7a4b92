"""One root commits to a list of entries, and a short path proves one of them.

The Merkle tree of RFC 6962, 2.1 (and RFC 9162, 2.1), over SHA-256. Leaves and nodes are hashed under different
first bytes, so neither can pass for the other. A digest that is not 32 bytes, a path of the wrong length and an
index outside the tree are refused before anything is hashed.

The functions that compute never see what is claimed: the caller compares last.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from provenance.errors import Malformed, Tampered

DIGEST = 32  # bytes
EMPTY_ROOT = hashlib.sha256(b"").digest()  # RFC 6962, 2.1: the hash of an empty list is that of an empty string

NodeReader = Callable[[int, int], bytes]
"""`read(level, index)`: the root of the complete subtree over leaves index * 2**level up to (index + 1) * 2**level."""


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: bytes | bytearray | memoryview | np.ndarray) -> bytes:
    """Root of the tree over leaf hashes laid end to end, in the order given.

    A million leaves take about half a second on one core.
    """
    for level in levels(leaves):
        last = level
    return last or EMPTY_ROOT


SHARE = 1 << 16  # leaves of the complete subtrees that are worked out apart
BLOCK = 8  # levels from the leaves up to the digests that are kept: each stands for 256 leaves


def blocks(leaves: bytes | bytearray | memoryview | np.ndarray) -> bytes:
    """The digests at level BLOCK laid end to end, the last perhaps of fewer leaves: a tree over them has the same root.

    Of at most 256 leaves the root alone, and of none nothing.
    """
    *_, found = itertools.islice(levels(leaves), BLOCK + 1)
    return found


def levels(leaves: bytes | bytearray | memoryview | np.ndarray) -> Iterator[bytes]:
    """The digests of each level laid end to end, leaves first, the root last.

    One pass per level over one buffer, a lone last digest rising as it is: the same tree as RFC 6962's split at the
    largest power of two.
    """
    level = leaves.tobytes() if isinstance(leaves, np.ndarray) else bytes(leaves)
    if len(level) % DIGEST:
        raise Malformed(f"leaf hashes laid end to end: found {len(level)} bytes, wanted a multiple of {DIGEST}")
    yield level
    sha256 = hashlib.sha256
    while len(level) > DIGEST:
        paired = len(level) // (2 * DIGEST) * (2 * DIGEST)
        pairs = struct.iter_unpack(f"{2 * DIGEST}s", memoryview(level)[:paired])
        level = b"".join([sha256(b"\x01" + pair).digest() for (pair,) in pairs]) + level[paired:]
        yield level


class Tree:
    """All levels of a tree over leaf hashes laid end to end: for many paths at once. 64 bytes of memory a leaf."""

    def __init__(self, leaves: bytes | np.ndarray) -> None:
        self._all = list(levels(leaves))

    @property
    def size(self) -> int:
        return len(self._all[0]) // DIGEST

    @property
    def root(self) -> bytes:
        return self._all[-1] or EMPTY_ROOT

    def path(self, index: int) -> list[bytes]:
        """As `inclusion_path`, for the whole tree."""
        if not 0 <= index < self.size:
            raise Malformed(f"inclusion path: index {index} in a tree of {self.size} leaves, wanted 0 <= index < size")
        starts = (DIGEST * (index >> up ^ 1) for up in range(len(self._all) - 1))
        siblings = [level[start : start + DIGEST] for level, start in zip(self._all, starts, strict=False)]
        return [sibling for sibling in siblings if sibling]  # a lone last digest has none, and rises as it is


def range_root(start: int, end: int, read: NodeReader) -> bytes:
    """Root of the leaves from `start` up to `end`, as a tree of their own.

    Requires start < end, and `start` a multiple of the largest power of two below end - start, as every subtree of
    RFC 6962 has it; then the range is a row of complete subtrees, largest first.
    """
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(read(level, start >> level))
        start += 1 << level
    return fold(peaks)


def fold(peaks: Sequence[bytes]) -> bytes:
    """Root over the complete subtrees of a tree, largest first; at least one."""
    computed = peaks[-1]
    for peak in reversed(peaks[:-1]):
        computed = node_hash(peak, computed)
    return computed


def inclusion_path(index: int, size: int, read: NodeReader) -> list[bytes]:
    """Sibling digests from leaf `index` up to the root of the first `size` leaves.

    Lowest first, at most ceil(log2(size)) of them. Requires 0 <= index < size. RFC 6962, 2.1.1.
    """
    if not 0 <= index < size:
        raise Malformed(f"inclusion path: index {index} in a tree of {size} leaves, wanted 0 <= index < size")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_root(middle, end, read))
            end = middle
        else:
            path.append(range_root(start, middle, read))
            start = middle
    return path[::-1]


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that this leaf and path make: compare it with the sealed one. RFC 9162, 2.1.3.2.

    Raises Malformed when a path for that index and size could not look like this.
    """
    if not 0 <= index < size:
        raise Malformed(f"inclusion path: index {index} in a tree of {size} leaves, wanted 0 <= index < size")
    _check_digests("inclusion path", [leaf, *path])
    # Below `inner` the leaf's way and the last leaf's way differ, so each level has a sibling; above it only right
    # turns do.
    inner = (index ^ (size - 1)).bit_length()
    wanted = inner + (index >> inner).bit_count()
    if len(path) != wanted:
        raise Malformed(f"inclusion path: {len(path)} digests for leaf {index} of {size}, wanted {wanted}")
    computed = leaf
    for level, sibling in enumerate(path):
        on_the_right = level >= inner or index >> level & 1
        computed = node_hash(sibling, computed) if on_the_right else node_hash(computed, sibling)
    return computed


def consistency_path(old: int, new: int, read: NodeReader) -> list[bytes]:
    """Digests which show that the tree of `old` leaves is a prefix of the tree of `new` leaves. RFC 6962, 2.1.2.

    Requires 0 <= old <= new. Empty when the sizes agree, and from the empty tree, which begins every list.
    """
    if not 0 <= old <= new:
        raise Malformed(f"consistency path: from {old} to {new} leaves, wanted 0 <= old <= new")
    if old in (0, new):
        return []
    path = []
    start, end = 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(range_root(middle, end, read))
            end = middle
        else:
            path.append(range_root(start, middle, read))
            start = middle
    if start:  # at 0 the subtree left over is the old tree itself, whose root the verifier has
        path.append(range_root(start, end, read))
    return path[::-1]


def roots_from_consistency(old: int, new: int, old_root: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The old and the new root that this path makes. RFC 9162, 2.1.4.2.

    `old_root` is the root that the verifier kept, and the path starts from it when `old` is a power of two; compare
    both results with what was kept and what is claimed. Requires 0 < old < new. Raises Malformed when a path between
    those sizes could not look like this.
    """
    if not 0 < old < new:
        raise Malformed(f"consistency path: from {old} to {new} leaves, wanted 0 < old < new")
    _check_digests("consistency path", [old_root, *path])
    # The climb starts at the largest complete subtree that ends where the old tree ends.
    lowest = (old & -old).bit_length() - 1
    node, last = (old - 1) >> lowest, (new - 1) >> lowest
    if node:
        if not path:
            raise Malformed(f"consistency path: 0 digests from {old} to {new} leaves, wanted at least 1")
        before = after = path[0]
        rest = path[1:]
    else:
        before = after = old_root
        rest = path
    inner = (node ^ last).bit_length()
    wanted = inner + (node >> inner).bit_count()
    if len(rest) != wanted:
        given = len(path)
        raise Malformed(
            f"consistency path: {given} digests from {old} to {new} leaves, wanted {given - len(rest) + wanted}"
        )
    for level, sibling in enumerate(rest):
        if level >= inner or node >> level & 1:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
        else:
            after = node_hash(after, sibling)
    return before, after


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Raise unless the tree of `old` leaves is a prefix of the tree of `new` leaves.

    Raises Malformed on an impossible path, Tampered when a root comes out otherwise.
    """
    _check_digests("consistency path", [old_root, new_root])
    if old == 0 and not path:  # any list continues the empty one
        before, after = EMPTY_ROOT, new_root if new else EMPTY_ROOT
    elif old == new and not path:
        before, after = old_root, old_root
    else:
        before, after = roots_from_consistency(old, new, old_root, path)
    if before != old_root:
        raise Tampered(
            f"the log's past was rewritten: the first {old} entries have root {before.hex()}, kept as {old_root.hex()}"
        )
    if after != new_root:
        raise Tampered(
            f"the log's head does not follow: {new} entries have root {after.hex()}, claimed as {new_root.hex()}"
        )


def _split(count: int) -> int:
    """The largest power of two below `count`; RFC 6962, 2.1. Requires count > 1."""
    return 1 << (count - 1).bit_length() - 1


def _check_digests(thing: str, digests: Sequence[bytes]) -> None:
    for digest in digests:
        if len(digest) != DIGEST:
            raise Malformed(f"{thing}: a digest of {len(digest)} bytes, wanted {DIGEST}")
