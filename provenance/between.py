"""The states between two builds: the sources of the earlier one turned into those of the later one, a cause at a time.

Each state is a whole set of source rows with identities and rules, under which every figure can be worked out, so what
one cause did is what figures come to behind it less what they came to before it: the causes add up by construction.
The order decides where two causes meet in one record, and is the order of STEPS:

    disposal    what was destroyed, or is restricted and out of the later build
    expired     records that the source no longer hands over, or whose new status the params leave out
    identity    who was judged to be whom: on the records that stayed, as they were said before
    grading     records that stayed and are graded otherwise, with all else as it was
    corrected   other versions of records that stayed: reclassified, people added or dropped, open again
    new_record  records that came, the late ones among them
    method      params: what the later build's records give under its rules, less what they give under the earlier ones
    table       the editions of the harm tables

Only records are worked out whose part can differ. Nothing here is stored, and nothing that was disposed of is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import harm, linking, propagation, selection, sets, vault
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.draft import COUNTS
from provenance.errors import Malformed
from provenance.harm import HarmTable
from provenance.identity import resolve
from provenance.index import Index
from provenance.params import Params, stated
from provenance.records import THEMES

STEPS = ("disposal", "expired", "identity", "grading", "corrected", "new_record", "method", "table")
GRADING = ("grade_scheme", "source_grade", "assessment_grade", "handling", "conditions")  # columns of a record
_SOURCES = ("record", "involvement", "identity")


@dataclass(frozen=True, slots=True)
class State:
    """Source rows by place in their index, who stands for whom, and the rules; `cause` led here ("": the first)."""

    cause: str
    record: np.ndarray
    involvement: np.ndarray
    identities: pa.Table  # identity.CANONICAL
    params: Params
    table: HarmTable
    graded: np.ndarray  # other versions of some of `record`, by place: their grading counts in the place of its own


@dataclass(frozen=True, slots=True)
class Figures:
    """What the records at hand give in one state, a row per record: links, and the counts of people.

    Themes are places in THEMES from 1, people and records are tokens. Parallel arrays, in no order.
    """

    link: Mapping[str, np.ndarray]  # theme, a, b, record, points
    count: Mapping[str, np.ndarray]  # theme, person, record, and `counts`: (n, len(COUNTS)) int64


@dataclass(frozen=True, slots=True)
class Between:
    """What stands between two builds, for those records whose part may differ."""

    archive: Archive
    states: Sequence[State]
    disturbed: np.ndarray  # tokens of the records that a disposal or restriction since took someone from
    afresh: np.ndarray  # tokens of the people whose counts it took from: all their records are at hand
    focus: np.ndarray | None  # tokens of the people asked about; None: everybody
    _opened: dict[str, tuple[np.ndarray, pa.Table]] = field(default_factory=dict)

    def figures(self, state: State) -> Figures:
        """Work a state out."""
        records, parts = (self._content(name, getattr(state, name)) for name in ("record", "involvement"))
        records = self._regraded(records, state)
        parts = selection.judged(parts, state.identities)
        rules = self.archive.crew.rules(state.params, state.table)
        supports = rules.supports(records, parts)
        theme = pc.add(pc.index_in(_flat(supports["theme"]), pa.array(THEMES)), 1).to_numpy().astype(np.int64)
        link = {"theme": theme, "points": supports["contribution"].to_numpy()}
        link |= {side: self._people(supports[side]) for side in "ab"}
        link["record"] = self.archive.vault.tokens(
            vault.record_keys(_flat(supports["system"]), _flat(supports["record_id"]))
        )
        # The counts of one person in one record: the same rule, with each person taken for another in each record.
        token = pa.array(self.archive.index("involvement").a[state.involvement]).cast(pa.string())
        apart = pc.binary_join_element_wise(token, _flat(parts["nominal"]), "\x1f")
        place = parts.column_names.index("nominal")
        tallies = rules.tallies(records, parts.set_column(place, "nominal", apart))
        named = pc.split_pattern(_flat(tallies["nominal"]), "\x1f", max_splits=1)
        count = {
            "theme": pc.add(pc.index_in(_flat(tallies["theme"]), pa.array(THEMES)), 1).to_numpy().astype(np.int64),
            "person": self._people(pc.list_element(named, 1)),
            "record": pc.list_element(named, 0).cast(pa.int64()).to_numpy(),
            "counts": np.stack([tallies[name].to_numpy() for name in COUNTS], axis=1),
        }
        return Figures(link, count)

    def cells(self, tokens: np.ndarray, column: str) -> pa.Array:
        """A column of the last version at hand of each of these records; null for one that is not at hand."""
        at = self._opened["record"][0]
        held, place = np.unique(self.archive.index("record").a[at][::-1], return_index=True)
        found = np.searchsorted(held, tokens)
        known = (found < len(held)) & (held[np.minimum(found, len(held) - 1)] == tokens) if len(held) else tokens < 0
        where = pa.array(len(at) - 1 - place[np.minimum(found, max(len(held) - 1, 0))] if len(held) else found)
        return _flat(self._opened["record"][1][column]).take(pc.if_else(pa.array(known), where, None))

    def _regraded(self, records: pa.Table, state: State) -> pa.Table:
        if not len(state.graded):
            return records
        index, other = self.archive.index("record"), self._content("record", state.graded)
        place = pc.index_in(pa.array(index.a[state.record]), value_set=pa.array(index.a[state.graded]))
        for name in GRADING:
            cells = pc.coalesce(_flat(other[name]).take(place), _flat(records[name]))
            records = records.set_column(records.column_names.index(name), name, cells)
        return records

    def _people(self, names: pa.Array | pa.ChunkedArray) -> np.ndarray:
        return self.archive.vault.tokens(vault.nominal_keys(_flat(names)))

    def _content(self, table: str, at: np.ndarray) -> pa.Table:
        held, content = self._opened[table]
        return content.take(pa.array(np.searchsorted(held, at))).combine_chunks()


def between(before: Snapshot, after: Snapshot, *, people: Sequence[str] = ()) -> Between:
    """The states from one build to the other; with `people`, of what concerns these nominals alone.

    Raises Malformed where the two are not of one archive and one case, or a build's params are of another form.
    """
    archive = before.archive
    if after.archive is not archive or after.case != before.case:
        raise Malformed("two builds are to be of one archive, asked under one case: found two")
    for snapshot in (before, after):
        snapshot.keep_up()
    rules = _rules(before, after)
    who = [snapshot.identities for snapshot in (before, after)]
    focus = near = None
    if people:
        focus, ids = _about(archive, people, who)
        near = sets.distinct(np.concatenate([_records_of(snapshot, ids) for snapshot in (before, after)]))
    old, new = (_taken(snapshot, near) for snapshot in (before, after))
    people_hit, disturbed = _disturbed(before, after)
    moved = _moved(archive, old, new, who, rules, disturbed, people_hit)
    if near is not None:
        moved = sets.intersection(moved, near)
    for side in (old, new):
        for name in ("record", "involvement"):
            side[name] = np.sort(selection.of_records(archive.index(name), side[name], moved))
    opened = {}
    for name in ("record", "involvement"):
        at = sets.union(old[name], new[name])
        opened[name] = at, selection.contents(archive, name, at)
    found = Between(archive, [], disturbed, people_hit, focus, opened)
    return replace(found, states=_states(found, old, new, who, rules))


def _states(
    held: Between,
    old: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    who: Sequence[pa.Table],
    rules: Sequence[tuple[Params, HarmTable]],
) -> list[State]:
    """The first state, and one for each cause that changed something."""
    archive, record, part = held.archive, held.archive.index("record"), held.archive.index("involvement")

    def only(at: np.ndarray, index: Index, tokens: np.ndarray) -> np.ndarray:
        return at[sets.among(index.a[at], tokens)]

    none = np.zeros(0, np.int64)
    first = State("", old["record"], old["involvement"], who[0], *rules[0], graded=none)
    left = {name: _unrestricted(archive, name, old[name], new[name]) for name in _SOURCES}
    apart = replace(
        first, cause="disposal", record=left["record"], involvement=left["involvement"],
        identities=first.identities if len(left["identity"]) == len(old["identity"])
        else _resolved(archive, left["identity"]),
    )  # fmt: skip
    here, there = record.a[apart.record], record.a[new["record"]]
    ended = sets.union(sets.difference(here, there), _left_out_now(held, apart, new["record"]))
    stays = sets.difference(here, ended)
    kept = replace(
        apart, cause="expired",
        record=only(apart.record, record, stays), involvement=only(apart.involvement, part, stays),
    )  # fmt: skip
    known = replace(kept, cause="identity", identities=who[1])
    graded = replace(known, cause="grading", graded=_graded_otherwise(held, known.record, new["record"]))
    said = replace(
        graded, cause="corrected", graded=none,
        record=only(new["record"], record, here), involvement=only(new["involvement"], part, here),
    )  # fmt: skip
    whole = replace(said, cause="new_record", record=new["record"], involvement=new["involvement"])
    ruled = replace(whole, cause="method", params=rules[1][0])
    last = replace(ruled, cause="table", table=rules[1][1])
    states = [first]
    for state in (apart, kept, known, graded, said, whole, ruled, last):
        if not _same(states[-1], state):
            states.append(state)
    return states


def _same(one: State, other: State) -> bool:
    return (
        np.array_equal(one.record, other.record)
        and np.array_equal(one.involvement, other.involvement)
        and np.array_equal(one.graded, other.graded)
        and one.identities.equals(other.identities)
        and one.params is other.params
        and one.table.identity == other.table.identity
    )


def _taken(snapshot: Snapshot, near: np.ndarray | None) -> dict[str, np.ndarray]:
    """The source rows of a build that may be read, by place in their index; of records, those whose tokens are `near`
    alone, unless it is None."""
    archive, found = snapshot.archive, {}
    for name in _SOURCES:
        if near is None or name == "identity":
            at = snapshot.positions(name)
        else:
            index = archive.index(name)
            at = selection.of_records(index, index.stood(index.of(*near.tolist()), snapshot.built.number), near)
        found[name] = at[archive.shown(name, at, case=snapshot.case)]
    return found


def _records_of(snapshot: Snapshot, ids: np.ndarray) -> np.ndarray:
    """Tokens of the records in which a build has one of `ids`, and which may be read."""
    index = snapshot.archive.index("involvement")
    at = index.stood(index.of(*ids.tolist()), snapshot.built.number)
    at = at[sets.among(index.b[at], ids)]
    return index.a[at[snapshot.archive.shown("involvement", at, case=snapshot.case)]]


def _unrestricted(archive: Archive, table: str, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """`old` without what the later build lacks because it is restricted; shown here only because of a case."""
    away = ~archive.shown(table, old) & ~sets.among(old, new)
    return old[~away]


def _graded_otherwise(held: Between, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Those of the versions `new` that grade their record otherwise than the version of it among `old`."""
    index = held.archive.index("record")
    new = new[sets.among(index.a[new], index.a[old])]
    place = pc.index_in(pa.array(index.a[new]), value_set=pa.array(index.a[old]))
    was, now = held._content("record", old).take(place), held._content("record", new)
    differs = np.zeros(len(new), bool)
    for name in GRADING:
        differs |= pc.not_equal(_flat(was[name]), _flat(now[name])).to_numpy(zero_copy_only=False)
    return new[differs]


def _left_out_now(held: Between, state: State, new: np.ndarray) -> np.ndarray:
    """Tokens of the records whose later status the params leave out, and whose earlier one they did not."""
    index, out = held.archive.index("record"), pa.array(sorted(state.params.links.statuses_left_out), pa.string())
    was, now = (
        index.a[at][
            pc.is_in(_flat(held._content("record", at)["status"]), value_set=out).to_numpy(zero_copy_only=False)
        ]
        for at in (state.record, new)
    )
    return sets.difference(sets.intersection(now, index.a[state.record]), was)


def _resolved(archive: Archive, at: np.ndarray) -> pa.Table:
    return resolve(selection.contents(archive, "identity", at)).canonical.combine_chunks()


def _rules(before: Snapshot, after: Snapshot) -> list[tuple[Params, HarmTable]]:
    """Params and harm tables of both builds; where they are the same, the very same objects. Raises as `_table`."""
    first, last = (stated(snapshot.statement.params) for snapshot in (before, after))
    if first is not last and first.digest() == last.digest():
        last = first
    table = _table(before)
    same = last is first and before.statement.harm_tables == after.statement.harm_tables
    return [(first, table), (last, table if same else _table(after))]


def _table(snapshot: Snapshot) -> HarmTable:
    """The harm tables that a build counted by. Raises Missing or Tampered."""
    return harm.side_by_side(snapshot.archive.harm_tables(snapshot.statement))


def _disturbed(before: Snapshot, after: Snapshot) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of the people and of the records from which a disposal, or what is restricted here, took something.

    A build after a disposal was made without what it took; so only those since the earlier of the two matter.
    """
    archive = before.archive
    since = archive.history.since(min(before.built.number, after.built.number))
    people, records = propagation.to_work_out_again(archive, since)
    withheld = archive.withheld(before.case)
    if len(withheld):
        near, of = propagation.touched(archive, withheld)
        people, records = sets.union(people, near), sets.union(records, of)
    # Figures that are withheld are not looked at here either: they are worked out again from what may be read.
    marked = [archive.index("nominal").a[snapshot.marked_people()] for snapshot in (before, after)]
    whole = sets.union(people, np.concatenate(marked))
    return propagation.same_people(archive, whole) if len(whole) else whole, records


def _moved(
    archive: Archive,
    old: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    who: Sequence[pa.Table],
    rules: Sequence[tuple[Params, HarmTable]],
    disturbed: np.ndarray,
    afresh: np.ndarray,
) -> np.ndarray:
    """Tokens of the records whose part may differ, and of all those by which a withheld figure is worked out again."""
    record, part = archive.index("record"), archive.index("involvement")
    (params, table), (later, other) = rules
    tallied_otherwise = params is not later and params.tallying_digest() != later.tallying_digest()
    if tallied_otherwise or table.identity != other.identity:
        return sets.distinct(np.concatenate([record.a[side["record"]] for side in (old, new)]))
    tokens = [disturbed] + [
        index.a[np.setxor1d(old[name], new[name], assume_unique=True)]
        for name, index in (("record", record), ("involvement", part))
    ]
    judged = archive.vault.tokens(vault.nominal_keys(linking.rejudged(*who)))
    people = sets.union(judged, afresh)
    if len(people):
        for side in (old, new):
            mine = side["involvement"]
            tokens.append(part.a[mine[sets.among(part.b[mine], people)]])
    return sets.distinct(np.concatenate(tokens))


def _about(archive: Archive, people: Sequence[str], who: Sequence[pa.Table]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of those whom `people` were judged to be on either side, and of every id that stands for one of them."""
    stands, names = set(people), set(people)
    for side in who:
        mine = side.filter(pc.is_in(side["nominal"], value_set=pa.array(people, pa.string())))
        stands |= set(mine["canonical"].to_pylist())
    for side in who:
        mine = side.filter(pc.is_in(side["canonical"], value_set=pa.array(sorted(stands), pa.string())))
        names |= set(mine["nominal"].to_pylist())
    found = [
        sets.difference(archive.vault.tokens(vault.nominal_keys(pa.array(sorted(part), pa.string()))), [0])
        for part in (stands, names | stands)
    ]
    return found[0], found[1]


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column if isinstance(column, pa.Array) else pa.concat_arrays([pa.array([], column.type), *column.chunks])
