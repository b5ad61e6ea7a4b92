"""Every row of one table over all builds: whom it speaks of, where it lies, from which build until which it stood.

Worked out from segments, change files and fate files when an archive is asked, and kept in memory: tokens, numbers and
leaves. The boxes stay on disk, and are read one by one. Nothing here writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import sets
from provenance.errors import Tampered
from provenance.rows import CHANGES, DIED, SEGMENT, leaf_matrix, read_boxes, read_segment
from provenance.sealing import LEAF
from provenance.tokens import merged


class Index:
    """Every row of one table over all builds: whom it speaks of, where it lies, and from which build until which.

    `since` and `until` count builds from 1; until 0 means it still stands. A row that comes back (a person who is in a
    taken record again) has those of its last stay, and earlier stays are kept beside. For the sources' tables the
    segment is the number of the extract that brought the row, and `replaced` the extract that took its place (0: none).
    `died` is the disposal after which nobody is shown the row (0: none), `heir` the position of the row that took its
    place (-1: none), `marked` the last disposal of something that the row was computed with. The segment of an heir is
    the number of the disposal, below zero. Arrays are parallel, in order of arrival.
    """

    def __init__(self, table: str) -> None:
        self.table = table
        self.paths: dict[int, Path] = {}
        self.a = self.b = np.zeros(0, np.int64)
        self.theme = np.zeros(0, np.int8)
        self.segment = self.row = self.since = self.until = self.replaced = np.zeros(0, np.int32)
        self.died = self.marked = np.zeros(0, np.int32)
        self.heir = np.zeros(0, np.int64)
        self.leaf = np.zeros((0, 32), np.uint8)
        self.begins = np.zeros(0, np.int64)  # where in its segment's file the box of a row begins, and its bytes
        self.size = np.zeros(0, np.int32)
        self.others = np.zeros(
            0, np.int64
        )  # all further parents in row order; row i has those from ends[i] to ends[i + 1]
        self.ends = np.zeros(1, np.int64)
        self.bequests = np.zeros(0, np.int64)  # positions of dead rows that have an heir
        self.touched = np.zeros(0, np.int64)  # of all rows that a disposal killed or marked
        self._spans = np.zeros((0, 3), np.int64)  # position, since and until of stays before the last
        self._starts: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        self._room: dict[str, np.ndarray] = {}  # the arrays, and space behind them
        self._ends: dict[str, _Ends] = {}  # the rows by either end, once somebody asks

    def __len__(self) -> int:
        return len(self.a)

    def add(self, segment: int, path: Path, *, since: int) -> np.ndarray:
        """File the rows of a segment as standing from build `since` on (0: in no build); returns their positions."""
        rows, begins = read_segment(path)
        self.paths[segment] = path
        return self._enter(segment, rows, begins, rows["size"].to_numpy(), since=since)

    def add_unfiled(self, segment: int, rows: pa.Table, *, since: int) -> np.ndarray:
        """The same of sealed rows (SEGMENT) that lie in no file: they are indexed, and cannot be opened from here."""
        count = rows.num_rows
        rows = rows.combine_chunks()
        return self._enter(segment, rows, np.zeros(count, np.int64), np.zeros(count, np.int32), since=since)

    def _enter(self, segment: int, rows: pa.Table, begins: np.ndarray, size: np.ndarray, *, since: int) -> np.ndarray:
        start, count = len(self), rows.num_rows
        self._starts[segment], self._counts[segment] = start, count
        others = rows["others"].chunk(0) if count else pa.array([], SEGMENT.field("others").type)
        fresh = {
            "a": rows["a"].to_numpy(),
            "b": rows["b"].to_numpy(),
            "theme": rows["theme"].to_numpy(),
            "segment": np.full(count, segment, np.int32),
            "row": np.arange(count, dtype=np.int32),
            "since": np.full(count, since, np.int32),
            **{name: np.zeros(count, np.int32) for name in ("until", "replaced", "died", "marked")},
            "heir": np.full(count, -1, np.int64),
            "leaf": leaf_matrix(rows["leaf"]),
            "begins": begins,
            "size": size,
            "others": others.flatten().to_numpy(),
            "ends": self.ends[-1] + np.cumsum(pc.list_value_length(others).to_numpy()),
        }
        for name, values in fresh.items():
            self._extend(name, values)
        return np.arange(start, start + count)

    def of_segment(self, segment: int) -> slice:
        """Where the rows of a segment lie in the arrays."""
        start = self._starts[segment]
        return slice(start, start + self._counts[segment])

    def _extend(self, name: str, values: np.ndarray) -> None:
        """Lengthen an array, with room for more: hundreds of segments are not to be copied hundreds of times."""
        held = getattr(self, name)
        count, wanted = len(held), len(held) + len(values)
        room = self._room.get(name)
        if room is None or len(room) < wanted:
            # Room that nothing was written to takes no memory: neither what is behind, nor the columns that are nought
            # everywhere, as the disposals of most archives are.
            room = np.zeros((max(wanted, count * 2), *held.shape[1:]), held.dtype)
            if held.any():
                room[:count] = held
            self._room[name] = room
        if values.any():
            room[count:wanted] = values
        setattr(self, name, room[:wanted])

    def resting_on(self, tokens: np.ndarray) -> np.ndarray:
        """Positions of the rows that have one of `tokens` among their further parents."""
        return sets.distinct(
            np.searchsorted(self.ends, np.flatnonzero(sets.among(self.others, tokens)), side="right") - 1
        )

    def parents_beside(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The further parents of the rows at `at`, one after the other, and for each which of `at` it is of."""
        place, owner = self.places_beside(at)
        return self.others[place], owner

    def places_beside(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same, as places in `others`."""
        first, count = self.ends[at], self.ends[at + 1] - self.ends[at]
        owner = np.repeat(np.arange(len(at)), count)
        place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
        return place, owner

    def positions(self, segment: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Where references (segment, row) lie in the arrays. Raises Tampered when there is no such row."""
        if not len(segment):
            return np.zeros(0, np.int64)
        starts = np.full(int(segment.max()) - int(segment.min()) + 1, len(self), np.int64)
        for number, start in self._starts.items():
            if 0 <= number - int(segment.min()) < len(starts):
                starts[number - int(segment.min())] = start
        at = starts[segment - int(segment.min())] + row
        if (at >= len(self)).any() or (self.segment[at] != segment).any() or (self.row[at] != row).any():
            raise Tampered(f"changes of table {self.table} name a row that no segment has")
        return at

    def apply(self, changes: pa.Table, build: int) -> None:
        """Let a build's changes take effect."""
        mine = changes.filter(pc.equal(changes["table"], self.table))
        at = self.positions(mine["segment"].to_numpy(), mine["row"].to_numpy())
        opened = mine["opened"].to_numpy()
        again = at[opened & (self.since[at] > 0)]
        self._spans = np.concatenate([self._spans, np.stack([again, self.since[again], self.until[again]], axis=1)])
        self.since[at[opened]], self.until[at[opened]] = build, 0
        self.until[at[~opened]] = build

    def replace(self, changes: pa.Table, extract: int) -> None:
        """Let an extract's replacements and withdrawals take effect."""
        mine = changes.filter(pc.equal(changes["table"], self.table))
        self.replaced[self.positions(mine["segment"].to_numpy(), mine["row"].to_numpy())] = extract

    def suffer(self, fates: pa.Table, disposal: int) -> None:
        """Let a disposal's fates take effect, whose heirs were added as segment `-disposal`."""
        mine = fates.filter(pc.equal(fates["table"], self.table))
        at = self.positions(mine["segment"].to_numpy(), mine["row"].to_numpy())
        dead = mine["fate"].to_numpy() == DIED
        self.died[at[dead]] = disposal
        heirs = mine["heir"].to_numpy()[dead]
        self.heir[at[dead]] = np.where(heirs < 0, -1, self._starts.get(-disposal, 0) + heirs)
        self.bequests = sets.union(self.bequests, at[dead][heirs >= 0])
        self.marked[at[~dead]] = disposal
        self.touched = sets.union(self.touched, at)

    def living(self, positions: np.ndarray) -> np.ndarray:
        """`positions` with each dead row's heir in its place, or without it where it has none; in no order."""
        while len(dead := np.flatnonzero(self.died[positions] > 0)):
            heirs = self.heir[positions[dead]]
            positions = np.concatenate([np.delete(positions, dead), heirs[heirs >= 0]])
        return positions

    def stays(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From the first build that had each row to the last one's end (0: it stands), gaps between included."""
        since = self.since.astype(np.int64)
        if len(self._spans):
            np.minimum.at(since, self._spans[:, 0], self._spans[:, 1])
        return since[positions], self.until[positions].astype(np.int64)

    def spans(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every stay of the rows at `positions`: which of them, from which build, until which (0: it stands)."""
        place = np.full(len(self), -1)
        place[positions] = np.arange(len(positions))
        mine = self._spans[place[self._spans[:, 0]] >= 0] if len(self._spans) else self._spans
        which = np.concatenate([np.arange(len(positions)), place[mine[:, 0]]])
        since = np.concatenate([self.since[positions], mine[:, 1]])
        return which, since, np.concatenate([self.until[positions], mine[:, 2]])

    def reached(self, tokens: np.ndarray) -> np.ndarray:
        """Positions of the living rows that have one of `tokens` among their parents."""
        found = sets.among(self.a, tokens) | sets.among(self.b, tokens)
        found[self.resting_on(tokens)] = True
        return np.flatnonzero(found & (self.died == 0))

    def standing(self, build: int) -> np.ndarray:
        """Positions of the rows that a build has, the dead among them: what its root is over."""
        return np.flatnonzero(self._had(build))

    def between(self, before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the rows that one build has and the other has not, the dead among them: gone, and come."""
        old, new = self._had(before), self._had(after)
        return np.flatnonzero(old & ~new), np.flatnonzero(new & ~old)

    def _had(self, build: int) -> np.ndarray:
        had = (self.since <= build) & (self.since > 0) & ((self.until > build) | (self.until == 0))
        had[self._earlier(build)] = True
        return had

    def _earlier(self, build: int) -> np.ndarray:
        """Positions of the rows that stood in a build and came again later."""
        return self._spans[(self._spans[:, 1] <= build) & (self._spans[:, 2] > build), 0]

    def of(self, *tokens: int) -> np.ndarray:
        """Positions of the rows that speak of one of `tokens`, first or second, over all builds; ascending."""
        wanted = np.array(tokens, np.int64)
        return sets.distinct(np.concatenate([self._by(side).of(getattr(self, side), wanted) for side in ("a", "b")]))

    def knows(self, tokens: np.ndarray) -> np.ndarray:
        """Which of `tokens` some row of all builds speaks of first."""
        return self._by("a").knows(self.a, tokens)

    def _by(self, side: str) -> _Ends:
        ends = self._ends.setdefault(side, _Ends())
        ends.grow(getattr(self, side))
        return ends

    def stood(self, positions: np.ndarray, build: int) -> np.ndarray:
        """Those of `positions` that a build has, the dead among them; in their order. As `standing`, for a few."""
        since, until = self.since[positions], self.until[positions]
        had = (since > 0) & (since <= build) & ((until == 0) | (until > build))
        if len(self._spans):
            had |= sets.among(positions, self._earlier(build))
        return positions[had]

    def rows(self, positions: np.ndarray) -> pa.Table:
        """The sealed rows (SEGMENT) at `positions`, in that order. Raises Missing, or Tampered naming the file."""
        if not len(positions):
            return SEGMENT.empty_table()
        first = self.ends[positions]
        lengths = self.ends[positions + 1] - first
        ends = np.zeros(len(positions) + 1, np.int64)
        np.cumsum(lengths, out=ends[1:])
        others = self.others.take(np.arange(ends[-1]) + np.repeat(first - ends[:-1], lengths))
        leaves = self.leaf.take(positions, axis=0)
        return pa.table(
            [
                pa.array(self.a[positions]),
                pa.array(self.b[positions]),
                pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), pa.array(others)),
                pa.array(self.theme[positions]),
                pa.FixedSizeBinaryArray.from_buffers(LEAF, len(positions), [None, pa.py_buffer(leaves)]),
                self._boxes(positions),
            ],
            schema=SEGMENT,
        )

    def _boxes(self, positions: np.ndarray) -> pa.Array:
        segment = self.segment[positions]
        order = np.argsort(segment, kind="stable")
        cuts = np.flatnonzero(np.diff(segment[order])) + 1
        found = []
        for chosen in np.split(order, cuts):
            at = positions[chosen]
            try:
                found.append(self._boxes_of(int(self.segment[at[0]]), at))
            except Tampered:  # a disposal has written the file again since: rows keep their places, boxes do not
                self._locate(int(self.segment[at[0]]))
                found.append(self._boxes_of(int(self.segment[at[0]]), at))
        if len(found) == 1:
            return found[0]
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return pa.concat_arrays(found).take(pa.array(place))

    def _boxes_of(self, segment: int, at: np.ndarray) -> pa.Array:
        """Boxes of rows of one segment, by position; in their order."""
        row = self.row[at]
        if (row[1:] > row[:-1]).all():
            return read_boxes(self.paths[segment], self.begins[at], self.size[at].astype(np.int64))
        _, which, place = np.unique(row, return_index=True, return_inverse=True)
        first = at[which]
        found = read_boxes(self.paths[segment], self.begins[first], self.size[first].astype(np.int64))
        return found.take(pa.array(place))

    def _locate(self, segment: int) -> None:
        """Read again where the boxes of a segment lie. Raises Tampered when it has not as many rows as it had."""
        rows, begins = read_segment(self.paths[segment])
        mine = self.of_segment(segment)
        if len(begins) != mine.stop - mine.start:
            raise Tampered(f"file {self.paths[segment].name} has {len(begins)} rows: it had {mine.stop - mine.start}")
        self.begins[mine], self.size[mine] = begins, rows["size"].to_numpy()

    def references(self, positions: np.ndarray, *, opened: bool) -> pa.Table:
        """CHANGES that name these rows."""
        count = len(positions)
        return pa.table(
            [
                pa.array([self.table] * count, pa.string()),
                pa.array(self.segment[positions], pa.int32()),
                pa.array(self.row[positions], pa.int32()),
                pa.array(np.full(count, opened)),
            ],
            schema=CHANGES,
        )


class _Ends:
    """The rows of a table in the order of one of their tokens, so that those of one are found by halving.

    The tokens themselves stay with the index: in order once more they would take as much memory again.
    """

    def __init__(self) -> None:
        self._rows = np.zeros(0, np.intp)

    def grow(self, tokens: np.ndarray) -> None:
        """Take in what has come behind the rows that are known."""
        known = len(self._rows)
        if len(tokens) == known:
            return
        order = np.argsort(tokens[known:], kind="stable")
        at = self._places(tokens[:known], tokens[known:][order], "right")
        self._rows = merged(self._rows, at, order + known)

    def of(self, tokens: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        low, high = (self._places(tokens, wanted, side) for side in ("left", "right"))
        counts = high - low
        return self._rows[np.arange(counts.sum()) + np.repeat(low - np.cumsum(counts) + counts, counts)]

    def knows(self, tokens: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        if not len(tokens):
            return np.zeros(len(wanted), bool)
        at = self._places(tokens, wanted, "left")
        return tokens[self._rows[np.minimum(at, len(tokens) - 1)]] == wanted

    def _places(self, tokens: np.ndarray, wanted: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
        return np.searchsorted(tokens, wanted, side=side, sorter=self._rows)
