"""Nominals by a part of their name or id, among those of one build.

What the sources said people are called is kept in memory from the first search on and nowhere else; a disposal drops
it, as all that was read of rows. So a search goes through text that is at hand, and asks the index which of the few
rows that fit the build had, and which of those may be shown.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.errors import Missing

_SHARE = 100_000  # rows opened at a time
_KEPT = "search"  # beside the lookups, which go when rows do
_SAID = ("nominal_id", "name")


@dataclass(frozen=True, slots=True)
class _Called:
    """What people are called in the rows of all builds that could be opened."""

    rows: int  # of the index, the dead among them
    at: np.ndarray  # positions of those that could be
    text: pa.Table  # _SAID, and both in small letters


def search(snapshot: Snapshot, words: str, most: int = 20) -> list[str]:
    """Nominals of the build whose id is `words`, or in whose id or name they stand, in order of id. Words of a name may
    stand in any order, and have a comma between. Capitals and small letters are the same."""
    wanted, archive = words.strip(), snapshot.archive
    if not wanted:
        return []
    called = prepare(archive)
    small = pc.utf8_lower(wanted).as_py()
    fits = [pc.match_substring(called.text[f"small_{name}"], small) for name in _SAID]
    if len(parts := small.replace(",", " ").split()) > 1:
        fits.append(reduce(pc.and_, (pc.match_substring(called.text["small_name"], part) for part in parts)))
    which = np.flatnonzero(reduce(pc.or_, fits).to_numpy(zero_copy_only=False))
    which = which[snapshot.still_shows("person", called.at[which])]
    found = set(called.text["nominal_id"].take(pa.array(which)).to_pylist())
    with contextlib.suppress(Missing):
        snapshot.token(wanted)
        found.add(wanted)
    return sorted(found)[:most]


def prepare(archive: Archive) -> _Called:
    """Have in memory what people are called; rows are opened for it once."""
    index = archive.index("person")
    none = pa.table({name: pa.array([], pa.string()) for name in (*_SAID, *(f"small_{name}" for name in _SAID))})
    held: _Called = archive.lookups.get(_KEPT) or _Called(0, np.zeros(0, np.int64), none)
    if held.rows != len(index):
        more = np.arange(held.rows, len(index))
        more = more[index.died[more] == 0]
        shares = (index.rows(more[start : start + _SHARE]) for start in range(0, len(more), _SHARE))
        read = [said.select(_SAID) for said in archive.sealer.read("person", shares, _SAID)]
        text = pa.concat_tables([none, *map(_with_small_letters, read)])
        held = _Called(
            len(index), np.concatenate([held.at, more]), pa.concat_tables([held.text, text]).combine_chunks()
        )
        archive.lookups[_KEPT] = held
    return held


def _with_small_letters(said: pa.Table) -> pa.Table:
    for name in _SAID:
        said = said.append_column(f"small_{name}", pc.utf8_lower(said[name]))
    return said
