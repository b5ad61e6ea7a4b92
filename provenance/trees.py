"""Where a row stands in its build's tree, and the way from there to the root, for many builds one after the other.

A tree of a million leaves takes half a second to hash and longer to sort. So the leaves of all builds are sorted once,
and the upper part of each tree is put away when its build is published, or where it is gone, when somebody asks for a
proof: that then takes 256 leaves and a few digests. What is put away is derived, names nothing, and stays right for
ever, since a build's leaves do; whoever edits it makes proofs that lead to another root, and those are refused where
they are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from provenance import durable, merkle, rows
from provenance.archive import Archive
from provenance.errors import Tampered


@dataclass
class _Order:
    """All rows of a table in the byte order of their leaves; `place` has where in it each position is."""

    positions: np.ndarray
    place: np.ndarray


def keep(archive: Archive, number: int, blocks: Mapping[str, bytes]) -> None:
    """Put away the upper parts of the trees of build `number`, of whose tables these are the `merkle.blocks`."""
    for table, lowest in blocks.items():
        if len(lowest) > merkle.DIGEST:
            durable.write(_path(archive, table, number), b"".join(merkle.levels(lowest)))


class Trees:
    """The trees of one archive's builds."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._orders: dict[str, _Order] = {}

    def paths(self, table: str, number: int, at: np.ndarray) -> list[tuple[int, list[bytes]]]:
        """Place and path of the rows at positions `at` in the tree of build `number`, each of which the build has.

        Raises Tampered where the leaves do not come to the root that was logged.
        """
        index, order = self.archive.index(table), self._order(table)
        had = np.zeros(len(index), bool)
        had[index.standing(number)] = True
        standing = order.positions[had[order.positions]]
        before = np.cumsum(had[order.positions])
        places = before[order.place[at]] - 1
        upper = self._upper(table, number, standing)
        found, blocks = [], {}
        for place in places.tolist():
            block = place >> merkle.BLOCK
            if block not in blocks:
                share = index.leaf[standing[block << merkle.BLOCK : (block + 1) << merkle.BLOCK]]
                blocks[block] = merkle.Tree(np.ascontiguousarray(share))
            path = blocks[block].path(place & (1 << merkle.BLOCK) - 1)
            for up, level in enumerate(upper[:-1], start=merkle.BLOCK):
                start = merkle.DIGEST * (place >> up ^ 1)
                if sibling := level[start : start + merkle.DIGEST]:
                    path.append(sibling)
            found.append((place, path))
        return found

    def _order(self, table: str) -> _Order:
        index = self.archive.index(table)
        held = self._orders.get(table)
        if held is None or len(held.positions) != len(index):
            positions = rows.byte_order(index.leaf)
            place = np.empty(len(positions), np.int64)
            place[positions] = np.arange(len(positions))
            held = self._orders[table] = _Order(positions, place)
        return held

    def _upper(self, table: str, number: int, standing: np.ndarray) -> list[bytes]:
        """The levels from merkle.BLOCK up, the root last; of a smaller tree nothing but its root."""
        path, size = _path(self.archive, table, number), len(standing)
        counts = [-(-size >> merkle.BLOCK)]
        while counts[-1] > 1:
            counts.append(-(-counts[-1] // 2))
        wanted = self._root(table, number)
        if path.exists():
            data = path.read_bytes()
            if len(data) == sum(counts) * merkle.DIGEST and data[-merkle.DIGEST :].hex() == wanted:
                starts = np.cumsum([0, *counts]) * merkle.DIGEST
                return [data[start:end] for start, end in pairwise(starts)]
        levels = list(merkle.levels(self.archive.index(table).leaf[standing]))
        upper = levels[merkle.BLOCK :] or levels[-1:]
        if upper[-1].hex() != wanted:
            raise Tampered(f"table {table} of build number {number} does not come to the root that was logged")
        if len(levels) > merkle.BLOCK:
            durable.write(path, b"".join(upper))
        return upper

    def _root(self, table: str, number: int) -> str:
        built = self.archive.history.builds[number - 1]
        return next(held.root for held in built.tables if held.name == table)


def _path(archive: Archive, table: str, number: int) -> Path:
    return archive.root / "index" / "trees" / f"{table}-{number:04d}"
