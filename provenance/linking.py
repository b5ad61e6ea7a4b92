"""The link stage: from the source rows that a build takes to its sealed links.

Only what the week's changes touch is worked out again: the records that came, changed or went, the people whose
identity was judged anew, and the links that rest on them. Every other link stands as it was sealed. When a rule
changes, everything is worked out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import durable, figures, propagation, rows, selection, sets, vault
from provenance.archive import Archive
from provenance.draft import AFRESH, LEFT_OUT, Draft, Tallies
from provenance.engine import Engine
from provenance.entries import LeftOut
from provenance.harm import HarmTable
from provenance.history import Disposal
from provenance.params import Params
from provenance.records import THEMES
from provenance.selection import Selection, Side
from provenance.tables import SUPPORTS, TABLES


@dataclass(frozen=True, slots=True)
class LinkReport:
    """What the link stage did, for the person who watches it."""

    records: int  # newly taken, changed or gone
    opened: int  # links sealed
    closed: int  # links that ended or were replaced
    left_out: pa.Table  # draft.LEFT_OUT: counts by reason over the whole build, without content


def link(archive: Archive, draft: Draft, params: Params, table: HarmTable) -> LinkReport:
    """Write the links of `draft`: a segment of new rows, and what was opened and closed. Nothing is logged yet."""
    archive.sweep()
    chosen = selection.select(archive, draft.cut_off, draft.number)
    again = draft.relinks(archive, params, table)
    last = {t: archive.index(t).standing(draft.number - 1) for t in chosen.taken}
    before = Side(archive, {t: at[archive.index(t).died[at] == 0] for t, at in last.items()})
    after = Side(archive, chosen.taken)
    disposals = archive.history.since(draft.number - 1)
    afresh, reached = propagation.to_work_out_again(archive, disposals)
    moved = _moved(archive, chosen, before, after, again, afresh, reached)

    old_records, old_parts = before.content(moved)
    new_records, new_parts = after.content(moved)
    rules = archive.crew.rules(params, table)
    supports = rules.supports(new_records, new_parts)
    added, removed = rules.tallies(new_records, new_parts), rules.tallies(old_records, old_parts)
    left_out = _left_out(
        archive, again, disposals, rules.left_out(new_records, new_parts), rules.left_out(old_records, old_parts)
    )

    index = archive.index("link")
    every = index.standing(draft.number - 1)
    standing = np.sort(index.living(every))  # where a disposal left less of a link, its heir
    if again:
        touched, kept = standing, SUPPORTS.empty_table()
    else:
        touched, kept = _touched(archive, standing, supports, moved)
    del old_records, old_parts, new_records, new_parts
    made = sealed(archive, rules, pa.concat_tables([kept, supports.select(SUPPORTS.names).cast(SUPPORTS)]), params)
    same = sets.among(rows.as_keys(rows.leaf_matrix(made.rows["leaf"])), rows.as_keys(index.leaf[touched]))
    stays = sets.among(rows.as_keys(index.leaf[touched]), rows.as_keys(rows.leaf_matrix(made.rows["leaf"])))
    new = made.rows.filter(pa.array(~same)).combine_chunks()
    fresh = rows.Sealed("link", new.select(rows.SEGMENT.names))

    gone = touched[~stays]
    changes = [
        index.references(sets.union(sets.difference(every, standing), sets.intersection(gone, every)), opened=False),
        index.references(sets.difference(standing, sets.union(every, gone)), opened=True),
    ]

    tallies = Tallies(
        again,
        counted(archive, added),
        counted(archive, removed),
        left_out,
        pa.table([pa.array(afresh)], schema=AFRESH),
    )
    draft.write_tallies(archive, tallies)
    rows.write_changes(archive.changes("records", draft.label), chosen.changes(archive))
    rows.write_segment(archive.segment(draft.label, "link"), fresh)
    figures.put_links(archive, draft.number, np.stack([new[name].to_numpy() for name in _FIGURES], axis=1))
    rows.write_changes(archive.changes("links", draft.label), pa.concat_tables(changes))
    durable.sync_folder(archive.root / "store" / "links")
    return LinkReport(len(moved), fresh.rows.num_rows, len(gone), left_out)


_SHARE = 400_000  # supports worked on at a time
_FIGURES = ("strength", "records")  # carried beside the sealed rows, which are not opened for them again


def _moved(
    archive: Archive,
    chosen: Selection,
    before: Side,
    after: Side,
    again: bool,
    afresh: np.ndarray,
    reached: np.ndarray,
) -> np.ndarray:
    """Tokens of the records whose part in links may differ from the build before, and of all that are to be counted
    again: the records `reached` by a disposal, and those of the people `afresh`."""
    record, part = archive.index("record"), archive.index("involvement")
    if again:
        return sets.distinct(np.concatenate([record.a[before.taken["record"]], record.a[after.taken["record"]]]))
    tokens = [reached] + [
        index.a[side[table][index.died[side[table]] == 0]]
        for table, index in (("record", record), ("involvement", part))
        for side in (chosen.opened, chosen.closed)
    ]
    judged = rejudged(before.identities, after.identities)
    people = sets.union(afresh, archive.vault.tokens(vault.nominal_keys(judged)))
    if len(people):
        for side in (before, after):
            mine = side.taken["involvement"]
            tokens.append(part.a[mine[sets.among(part.b[mine], people)]])
    return sets.distinct(np.concatenate(tokens))


def rejudged(before: pa.Table, after: pa.Table) -> pa.Array:
    """Nominals who stand for someone else now than they did."""
    said = [pc.binary_join_element_wise(t["nominal"], t["canonical"], "\x1f") for t in (before, after)]
    changed = [
        table.filter(pc.invert(pc.is_in(mine, value_set=_flat(other))))["nominal"]
        for table, mine, other in ((before, said[0], said[1]), (after, said[1], said[0]))
    ]
    return pc.unique(pa.concat_arrays([_flat(column) for column in changed]))


def _touched(
    archive: Archive, standing: np.ndarray, supports: pa.Table, moved: np.ndarray
) -> tuple[np.ndarray, pa.Table]:
    """Links of the build before that the change touches, and those of their supports that it does not."""
    index = archive.index("link")
    resting = sets.intersection(index.resting_on(moved), standing)
    theme, one, other = _named(archive, supports)
    near = standing[sets.among(index.a[standing], one) & sets.among(index.b[standing], other)]
    wanted = rows.pair_keys(theme, one, other)
    meeting = near[sets.among(rows.pair_keys(index.theme[near], index.a[near], index.b[near]), wanted)]
    touched = sets.union(resting, meeting)
    old = archive.sealer.open("link", index.rows(touched))
    whole, _ = propagation.unfolded(old)
    tokens = archive.vault.tokens(vault.record_keys(_flat(whole["system"]), _flat(whole["record_id"])))
    return touched, whole.filter(pa.array(~sets.among(tokens, moved)))


def _named(archive: Archive, supports: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Theme codes and tokens of the pairs that supports speak of, each pair once."""
    pairs = supports.group_by(["theme", "a", "b"]).aggregate([])
    return (
        pc.add(pc.index_in(_flat(pairs["theme"]), pa.array(THEMES)), 1).to_numpy().astype(np.int8),
        archive.vault.tokens(vault.nominal_keys(_flat(pairs["a"]))),
        archive.vault.tokens(vault.nominal_keys(_flat(pairs["b"]))),
    )


def sealed(archive: Archive, rules: Engine, supports: pa.Table, params: Params) -> rows.Sealed:
    """All links that the supports make, sealed, with their `strength` and `records` beside.

    In shares of the people in them, so that memory follows the share.
    """
    shares = -(-supports.num_rows // _SHARE)
    if shares <= 1:
        return rows.Sealed("link", rows.filed_in_order(_share(archive, rules, supports, params)))
    share = archive.vault.tokens(vault.nominal_keys(_flat(supports["a"]))) % shares
    parts = [_share(archive, rules, supports.filter(pa.array(share == number)), params) for number in range(shares)]
    return rows.Sealed("link", rows.filed_in_order(pa.concat_tables(parts)))


def _share(archive: Archive, rules: Engine, supports: pa.Table, params: Params) -> pa.Table:
    if not supports.num_rows:
        return pa.schema([*rows.SEGMENT, *((name, pa.int64()) for name in _FIGURES)]).empty_table()
    content = contents(rules, supports, params)
    sealed = archive.sealer.seal("link", content, propagation.others_of(archive, content), filed=False).rows
    for name in _FIGURES:
        sealed = sealed.append_column(name, content[name])
    return sealed


def contents(rules: Engine, supports: pa.Table, params: Params) -> pa.Table:
    """What the rows of the links say that the supports make."""
    found = rules.links(supports)
    content = found.append_column("rule", pa.array([params.links.rule] * found.num_rows, pa.string()))
    return content.select(TABLES["link"].columns.names).cast(TABLES["link"].columns).combine_chunks()


def _left_out(archive: Archive, again: bool, disposals: Sequence[Disposal], come: pa.Table, gone: pa.Table) -> pa.Table:
    """What the whole build leaves out: the counts of the build before, less what was disposed of, with this week's
    changes."""
    parts = [come]
    if not again:
        negated = [pc.negate(gone[name]) for name in ("records", "people")]
        parts.append(pa.table([gone[name] for name in ("reason", "system", "kind")] + negated, names=LEFT_OUT.names))
        held = [_parted(act) for act in archive.history.builds[-1].left_out]
        parts.append(pa.Table.from_pylist(held, schema=LEFT_OUT))
        parts += [rows.read_table(archive.disposal_file(d.number, "left_out"), LEFT_OUT) for d in disposals]
    whole = pa.concat_tables([part.select(LEFT_OUT.names).cast(LEFT_OUT) for part in parts])
    summed = whole.group_by(["reason", "system", "kind"]).aggregate([("records", "sum"), ("people", "sum")])
    summed = summed.rename_columns(LEFT_OUT.names).filter(pc.field("records") > 0)
    return summed.sort_by([(name, "ascending") for name in ("reason", "system", "kind")])


def _parted(left_out: LeftOut) -> dict[str, object]:
    subject, _, reason = left_out.what.rpartition(": ")
    system, _, kind = subject.rpartition(" ")
    return {
        "reason": reason, "system": system, "kind": kind, "records": left_out.records, "people": left_out.people,
    }  # fmt: skip


def counted(archive: Archive, tallies: pa.Table) -> pa.Table:
    """Tallies with a token in the place of the nominal."""
    token = archive.vault.tokens(vault.nominal_keys(_flat(tallies["nominal"])))
    return tallies.drop_columns(["nominal"]).append_column("token", pa.array(token))


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return (
        column
        if isinstance(column, pa.Array)
        else pa.concat_arrays(column.chunks)
        if column.num_chunks
        else pa.array([], column.type)
    )
