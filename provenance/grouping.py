"""The networks stage: from a build's links to the figures of its people and its networks.

Everyone with an admitted record in a theme has a row there: counts of records by role, harm, links, strength, network. A row also
carries the root over the leaves of the person's own links, so that an answer about one person can be proved complete. Only rows whose
figures changed are sealed anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import canonical, durable, merkle, networks, rows
from provenance.archive import Archive
from provenance.draft import COUNTS, TALLIES, Draft, Tallies
from provenance.harm import HarmTable
from provenance.params import Params
from provenance.records import THEMES
from provenance.tables import TABLES


@dataclass(frozen=True, slots=True)
class GroupReport:
    """What the networks stage did."""

    people: int
    networks: int
    opened: int  # rows sealed, of people and networks
    alarms: int  # networks that outgrew the share that params allow


def group(archive: Archive, draft: Draft, params: Params, table: HarmTable) -> GroupReport:
    """Write the people's and networks' rows of `draft`. Nothing is logged yet."""
    tallies = draft.read_tallies(archive)
    link = archive.index("link", draft)
    standing = link.standing(draft.number)
    strength, records = _figures(archive, draft, standing)
    people = archive.index("nominal")
    before = people.standing(draft.number - 1)
    held = archive.opened("nominal", before)
    tokens = people.a[before]

    now = _counts(held.append_column("token", pa.array(tokens)), tallies)
    roots = _roots(archive, draft, held, tokens, standing, now)
    content, found, alarms = _grouped(archive, draft, params, table, now, roots, (standing, strength, records), held, tokens)

    opened, changes = 0, []
    for name, fresh in (("nominal", content), ("network", found)):
        index = archive.index(name)
        last = index.standing(draft.number - 1)
        old = archive.opened(name, last)
        ours, theirs = canonical.rows(_of(name, fresh)), canonical.rows(_of(name, old))
        new = _of(name, fresh).filter(pc.invert(pc.is_in(ours, value_set=theirs)))
        gone = last[~pc.is_in(theirs, value_set=ours).to_numpy(zero_copy_only=False)]
        rows.write_segment(archive.segment(draft.label, name), archive.sealer.seal(name, new))
        changes.append(index.references(gone, opened=False))
        opened += new.num_rows
    rows.write_changes(archive.changes("networks", draft.label), pa.concat_tables(changes))
    durable.sync_folder(archive.root / "store" / "networks")
    return GroupReport(content.num_rows, found.num_rows, opened, alarms)


def _figures(archive: Archive, draft: Draft, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strength and distinct records of the links at `positions`; each row is opened for them once."""
    index = archive.index("link", draft)
    known = archive.figures
    if len(known) < len(index):
        known = np.concatenate([known, np.full((len(index) - len(known), 2), -1, np.int64)])
    unread = positions[known[positions, 0] < 0]
    if len(unread):
        content = archive.sealer.open("link", index.rows(unread))
        known[unread, 0], known[unread, 1] = content["strength"].to_numpy(), content["records"].to_numpy()
    archive.figures = known
    return known[positions, 0], known[positions, 1]


def _counts(held: pa.Table, tallies: Tallies) -> pa.Table:
    """Each person's counts now (TALLIES), sorted by theme and token; people without a record are gone."""
    parts = [tallies.added]
    if not tallies.again:
        parts.append(held.select(TALLIES.names).cast(TALLIES))
        taken = [pc.negate(tallies.removed[name]) for name in COUNTS]
        parts.append(pa.table([tallies.removed["theme"], tallies.removed["token"], *taken], schema=TALLIES))
    whole = pa.concat_tables(parts).group_by(["theme", "token"]).aggregate([(name, "sum") for name in COUNTS])
    whole = whole.rename_columns(["theme", "token", *COUNTS]).filter(pc.field("records") > 0)
    return whole.sort_by([("theme", "ascending"), ("token", "ascending")]).combine_chunks()


def _roots(
    archive: Archive, draft: Draft, held: pa.Table, tokens: np.ndarray, standing: np.ndarray, now: pa.Table
) -> np.ndarray:
    """For each row of `now`, the root over the sorted leaves of that person's links in that theme, hexadecimal."""
    link = archive.index("link", draft)
    codes = _codes(now["theme"])
    people = _pairs(codes, now["token"].to_numpy())
    roots = np.full(len(people), merkle.EMPTY_ROOT.hex(), dtype="U64")
    old = _pairs(_codes(held["theme"]), tokens)
    at, known = _places(people, old)
    roots[known] = held["links_root"].to_numpy(zero_copy_only=False)[at[known]].astype("U64")

    touched = np.flatnonzero((link.since == draft.number) | (link.until == draft.number))
    moved = np.unique(np.concatenate([_pairs(link.theme[touched], side[touched]) for side in (link.a, link.b)]))
    owners = np.concatenate([_pairs(link.theme[standing], side[standing]) for side in (link.a, link.b)])
    leaves = np.tile(rows.as_keys(link.leaf[standing]), 2)
    mine = np.isin(owners, moved)
    owners, leaves = owners[mine], leaves[mine]
    order = np.lexsort((leaves, owners["token"], owners["theme"]))
    owners, leaves = owners[order], np.ascontiguousarray(leaves[order])
    first = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1]])) if len(owners) else np.zeros(0, int)
    data, bounds = leaves.tobytes(), [*(first * 32).tolist(), len(owners) * 32]
    fresh = np.array(
        [merkle.root(data[a:b]).hex() for a, b in zip(bounds[:-1], bounds[1:], strict=True)], dtype="U64"
    )
    roots[np.isin(people, moved)] = merkle.EMPTY_ROOT.hex()
    at, known = _places(people, owners[first])
    roots[known] = fresh[at[known]]
    return roots


def _grouped(archive, draft, params, table, now, roots, link_figures, held, tokens) -> tuple[pa.Table, pa.Table, int]:
    standing, strength, records = link_figures
    link = archive.index("link", draft)
    old = _pairs(_codes(held["theme"]), tokens)
    parts, found = [], []
    codes = _codes(now["theme"])
    for code, theme in enumerate(THEMES, start=1):
        rows_here = np.flatnonzero(codes == code)
        if not len(rows_here):
            continue
        mine = now.take(pa.array(rows_here))
        people = mine["token"].to_numpy()  # sorted
        links_here = link.theme[standing] == code
        a, b = (np.searchsorted(people, side[standing][links_here]).astype(np.int64) for side in (link.a, link.b))
        names = pc.list_element(pc.split_pattern(archive.vault.keys(people), "\x1f", max_splits=1), 1)
        at, known = _places(_pairs(np.full(len(people), code, np.int8), people), old)
        previous = np.full(len(people), "", dtype=object)
        previous[known] = held["network"].to_numpy(zero_copy_only=False)[at[known]]
        result = networks.networks(
            theme, a, b, strength[links_here], records[links_here], params.networks, names,
            mine["harm"].to_numpy(), pa.array(previous, pa.string()), draft.label,
        )  # fmt: skip
        only_victim = pc.and_(
            pc.equal(mine["victim"], mine["records"]),
            pc.equal(pc.add(pc.add(mine["offending"], mine["witness"]), mine["other"]), 0),
        )
        parts.append(
            mine.drop_columns(["token"])
            .append_column("nominal", names)
            .append_column("network", result.nodes["network"])
            .append_column("links", result.nodes["links"])
            .append_column("strength", result.nodes["strength"])
            .append_column("victim_only", only_victim.cast(pa.int64()))
            .append_column("harm_edition", pa.array([table.edition] * mine.num_rows, pa.string()))
            .append_column("links_root", pa.array(roots[rows_here], pa.string()))
        )
        found.append(
            result.networks.append_column("theme", pa.array([theme] * result.networks.num_rows, pa.string()))
        )
    content = pa.concat_tables([_of("nominal", part) for part in parts] or [TABLES["nominal"].columns.empty_table()])
    groups = pa.concat_tables([_of("network", part) for part in found] or [TABLES["network"].columns.empty_table()])
    return content, groups, int(pc.sum(groups["alarm"]).as_py() or 0)


def _of(name: str, content: pa.Table) -> pa.Table:
    columns = TABLES[name].columns
    return content.select(columns.names).cast(columns).combine_chunks()


_PAIR = np.dtype([("theme", np.int8), ("token", np.int64)])


def _pairs(theme: np.ndarray, token: np.ndarray) -> np.ndarray:
    pairs = np.empty(len(token), _PAIR)
    pairs["theme"], pairs["token"] = theme, token
    return pairs


def _codes(themes: pa.ChunkedArray) -> np.ndarray:
    return pc.add(pc.index_in(themes, pa.array(THEMES)), 1).to_numpy().astype(np.int8)


def _places(wanted: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `wanted` stands in `among` (any order, distinct), and whether it does."""
    if not len(among):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    order = np.lexsort((among["token"], among["theme"]))
    ordered = among[order]
    at = np.searchsorted(ordered, wanted)
    at[at == len(ordered)] = 0
    return order[at], ordered[at] == wanted

