"""A digest with each of its bits flipped, all at once: one value that stands for the 256, and hashes that take it.

What is judged then runs once for a digest and not once for a bit, and only what depends on the bit is hashed 256 times.
It is told nothing: it finds a digest of 32 bytes, and compares what comes of it with the root that it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Node = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Flips:
    """What each flip of a digest comes to. It equals whatever one of them equals: unequal are all, or it is equal."""

    each: Sequence[bytes]

    @classmethod
    def of(cls, digest: bytes) -> Flips:
        whole = int.from_bytes(digest, "big")
        return cls([(whole ^ 1 << bit).to_bytes(32, "big") for bit in range(256)])

    def __len__(self) -> int:
        [size] = {len(one) for one in self.each}
        return size

    def __eq__(self, other: object) -> bool:
        return any(one == other for one in self.each)

    __hash__ = None

    def hex(self) -> str:
        return self.each[0].hex()


def lifted(node: Node) -> Node:
    """The hash of a node, of which one side may be `Flips`."""

    def over(left: bytes | Flips, right: bytes | Flips) -> bytes | Flips:
        if isinstance(left, Flips):
            return Flips([node(one, right) for one in left.each])
        if isinstance(right, Flips):
            return Flips([node(left, one) for one in right.each])
        return node(left, right)

    return over


def flipped(path: list[bytes]) -> Iterator[int]:
    """Each digest of a path in turn is its `Flips`, in the list itself; which digest it is."""
    for place, digest in enumerate(path):
        path[place] = Flips.of(digest)
        yield place
        path[place] = digest
