"""Which of the source rows a build takes.

Those of the extracts whose cut-off is not later than the build's, and of them the records that were recorded by then;
with a record come its involvements, with a person in them the person's details. What was disposed of or is restricted
is not among them. Before a system's first extract was cut
off, that first extract answers for it, and for no other system in it (that is how past builds are made from one record
set); so does what was first said of a person. So a late-recorded event appears only from its build on, and nothing
learned later appears at all (R07).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import identity, moments, sets
from provenance.archive import Archive
from provenance.history import History
from provenance.index import Index
from provenance.tables import SOURCE_TABLES

_UNREAD = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Selection:
    """Positions, per source table, of what a build takes, newly takes and no longer takes."""

    taken: Mapping[str, np.ndarray]
    opened: Mapping[str, np.ndarray]
    closed: Mapping[str, np.ndarray]

    def changes(self, archive: Archive) -> pa.Table:
        """The same as CHANGES."""
        return pa.concat_tables(
            archive.index(table).references(positions, opened=opened)
            for opened, sides in ((True, self.opened), (False, self.closed))
            for table, positions in sides.items()
        )


def select(archive: Archive, cut_off: str, build: int) -> Selection:
    """What build number `build`, with this cut-off (UTC), takes from what was received."""
    taken = take(archive, archive.history, cut_off, build)
    opened, closed = {}, {}
    for table, positions in taken.items():
        before = archive.index(table).standing(build - 1)
        opened[table] = sets.difference(positions, before)
        closed[table] = sets.difference(before, positions)
    return Selection(taken, opened, closed)


def take(archive: Archive, history: History, cut_off: str, build: int) -> dict[str, np.ndarray]:
    """Positions, per source table, of what build number `build` takes by what `history` had happened; what has been
    disposed of since is not among them."""
    answering = _answering(history, cut_off)
    extracts = np.array(sorted(set().union(*answering.values())), np.int32)
    withheld = history.withheld()
    taken: dict[str, np.ndarray] = {}
    for table in SOURCE_TABLES:
        index = archive.index(table)
        shown = archive.apart_from(table, np.arange(len(index)), withheld)
        available = sets.among(index.segment, extracts) & ~sets.among(index.replaced, extracts)
        if table in ("record", "involvement"):
            _part_by_system(archive, history, index, answering, available)
        available &= shown
        if table == "involvement":
            available &= sets.among(index.a, archive.index("record").a[taken["record"]])
        elif table == "person":
            available = _described(history, index, cut_off) & shown
            available &= sets.among(index.a, archive.index("involvement").b[taken["involvement"]])
        else:  # what the build before had was recorded before this cut-off too
            known = np.zeros(len(index), bool)
            known[index.standing(build - 1)] = True
            fresh = np.flatnonzero(available & ~known)
            available[fresh] = _by(archive, index, fresh)[fresh] <= _seconds(cut_off)
        taken[table] = np.flatnonzero(available)
    return taken


def _answering(history: History, cut_off: str) -> dict[str, set[int]]:
    """The extracts that speak for each system: those cut off by then, or else its first."""
    answering: dict[str, set[int]] = {}
    first: dict[str, int] = {}
    for held in history.extracts:
        for feed in held.systems:
            first.setdefault(feed.system, held.extract)
            by_then = answering.setdefault(feed.system, set())
            if held.cut_off <= cut_off:
                by_then.add(held.extract)
    return {system: by_then or {first[system]} for system, by_then in answering.items()}


def _part_by_system(
    archive: Archive, history: History, index: Index, answering: Mapping[str, set[int]], available: np.ndarray
) -> None:
    """Correct `available` where an extract speaks for one of its systems and holds later news of another."""
    mixed = [
        held.extract
        for held in history.extracts
        if len({held.extract in answering[feed.system] for feed in held.systems}) > 1
    ]
    if not mixed:
        return
    at = np.flatnonzero((sets.among(index.segment, mixed) | sets.among(index.replaced, mixed)) & (index.died == 0))
    systems = pc.list_element(pc.split_pattern(archive.vault.keys(index.a[at]), "\x1f"), 1)
    for system, speaking in answering.items():
        mine = at[pc.equal(systems, system).to_numpy(zero_copy_only=False)]
        numbers = sorted(speaking)
        available[mine] = sets.among(index.segment[mine], numbers) & ~sets.among(index.replaced[mine], numbers)


def _described(history: History, index: Index, cut_off: str) -> np.ndarray:
    """True for what the extracts cut off by then last said of each person, or else for what was said first.

    A person belongs to no system, so this does not ask which extract speaks for which.
    """
    by_then = [held.extract for held in history.extracts if held.cut_off <= cut_off]
    known = index.segment <= len(history.extracts)
    early = sets.among(index.segment, by_then)
    if early[known].all():
        return known & ((index.replaced == 0) | (index.replaced > len(history.extracts)))
    found = np.zeros(len(index), bool)
    at = np.flatnonzero(early)[::-1]
    found[at[np.unique(index.a[at], return_index=True)[1]]] = True
    at = np.flatnonzero(known & ~sets.among(index.a, index.a[early]))
    found[at[np.unique(index.a[at], return_index=True)[1]]] = True
    return found


def _by(archive: Archive, index: Index, positions: np.ndarray) -> np.ndarray:
    """When each row of the index was recorded or decided, in seconds since 1970; only `positions` are sure to be read.

    The instant lies inside the sealed row, so each row is opened for it once and the answer kept in memory.
    """
    known = archive.recorded.get(index.table, np.zeros(0, np.int64))
    known = np.concatenate([known, np.full(len(index) - len(known), _UNREAD)])
    unread = positions[known[positions] == _UNREAD]
    if len(unread):
        content = archive.sealer.open(index.table, index.rows(unread))
        column = content["recorded_at" if index.table == "record" else "at"]
        known[unread] = _seconds_of(column)
    archive.recorded[index.table] = known
    return known


def first_recorded(archive: Archive) -> str:
    """When the earliest record of all was recorded, UTC."""
    index = archive.index("record")
    at = np.flatnonzero(archive.shown("record", np.arange(len(index))))
    return moments.utc(datetime.fromtimestamp(int(_by(archive, index, at)[at].min()), UTC))


def _seconds(instant: str) -> int:
    return int(moments.instant(instant).timestamp())


def _seconds_of(column: pa.ChunkedArray) -> np.ndarray:
    parsed = pc.strptime(column, format="%Y-%m-%dT%H:%M:%SZ", unit="s")
    return parsed.cast(pa.int64()).to_numpy()


def contents(archive: Archive, table: str, positions: np.ndarray) -> pa.Table:
    """The rows of a source table at `positions`, opened."""
    return archive.sealer.open(table, archive.index(table).rows(positions))


def of_records(index: Index, positions: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Those of `positions` whose first subject is one of `tokens`."""
    return positions[sets.among(index.a[positions], tokens)]


class Side:
    """The source rows of one build, or of what a disposal leaves of it."""

    def __init__(self, archive: Archive, taken: Mapping[str, np.ndarray]) -> None:
        self._archive, self.taken = archive, taken
        merges = contents(archive, "identity", taken["identity"])
        self.identities = identity.resolve(merges).canonical

    def content(self, moved: np.ndarray) -> tuple[pa.Table, pa.Table]:
        """Records and involvements of the records `moved`, the latter with the canonical `nominal`."""
        records, parts = (
            contents(self._archive, t, of_records(self._archive.index(t), self.taken[t], moved))
            for t in ("record", "involvement")
        )
        return records, judged(parts, self.identities)


def judged(parts: pa.Table, identities: pa.Table) -> pa.Table:
    """Involvements with `nominal`: who each `nominal_id` stands for by `identities` (identity.CANONICAL)."""
    at = pc.index_in(parts["nominal_id"], value_set=identities["nominal"].combine_chunks())
    stands = identities["canonical"].combine_chunks().take(at.combine_chunks())
    return parts.append_column("nominal", pc.coalesce(stands, parts["nominal_id"].combine_chunks()))
