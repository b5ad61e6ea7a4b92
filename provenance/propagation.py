"""What a disposal reaches: the rows that die, those that live on with less, and those computed with what is gone.

A row dies with any of its parents. A link that rested on other records too has an heir: the same link without the
support, sealed under the parents that remain (R14). A support is gone as well when its record knew one of the two by an
id that is disposed of, since it tells what that id did there. Figures of people and networks, into which what is gone
was counted, are not worked out again: they were shown as they are, and are marked (R35). Everything here is read before
a secret is destroyed; nothing is destroyed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import engine, rows, sets, vault
from provenance.archive import Archive
from provenance.draft import LEFT_OUT, Draft
from provenance.errors import Malformed
from provenance.harm import HarmTable
from provenance.history import Disposal
from provenance.networks import components
from provenance.params import Params, stated
from provenance.records import THEMES
from provenance.rows import DIED, FATES, MARKED
from provenance.selection import Side
from provenance.tables import SUPPORTS, TABLES

AGAIN = pa.schema([("token", pa.int64()), ("person", pa.bool_())])
# Whose links died, by the token of each end that lives on: once the rows are blank, nothing else tells which leaves
# belong under a person's `links_root`. Where nothing is left of a link and both its people live on, two references to
# one row would tell that they were linked, which nobody is to know any more: they are blurred into a bare fact, row -1.
GAPS = pa.schema([("token", pa.int64()), ("theme", pa.int8()), ("segment", pa.int32()), ("row", pa.int32())])
_FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Reach:
    """What becomes of which rows when some secrets are destroyed."""

    fates: pa.Table  # rows.FATES
    heirs: rows.Sealed  # links that live on with less
    again: pa.Table  # AGAIN: the people and records that the next build works out again
    gaps: pa.Table  # GAPS
    left_out: pa.Table  # LEFT_OUT: by how much the last build's counts change; may be below zero


def reach(archive: Archive, tokens: np.ndarray, params: Params, table: HarmTable) -> Reach:
    """What destroying the secrets of `tokens` does to every row of every build."""
    tokens = sets.distinct(tokens)
    dying = {name: archive.index(name).reached(tokens) for name in TABLES}
    heirs, heir_of = _heirs(archive, dying["link"], tokens)
    groups = _Groups(archive)
    people, reached = _again(archive, dying, tokens, groups)
    marked = _marked(archive, dying, tokens, groups)
    fates = [_fates(archive, name, at, DIED, heir_of if name == "link" else None) for name, at in dying.items()]
    fates += [_fates(archive, name, at, MARKED, None) for name, at in marked.items()]
    both = np.concatenate([people, reached])
    return Reach(
        pa.concat_tables(fates),
        heirs,
        pa.table([pa.array(both), pa.array(np.arange(len(both)) < len(people))], schema=AGAIN),
        _gaps(archive, dying["link"], heir_of, tokens),
        _left_out(archive, dying, reached, params, table),
    )


def to_work_out_again(archive: Archive, disposals: Sequence[Disposal]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of the people and of the records that a build after these disposals works out again."""
    tables = [rows.read_table(archive.disposal_file(disposal.number, "again"), AGAIN) for disposal in disposals]
    whole = pa.concat_tables([AGAIN.empty_table(), *tables])
    person = whole["person"].to_numpy()
    tokens = whole["token"].to_numpy()
    return sets.distinct(tokens[person]), sets.distinct(tokens[~person])


def touched(archive: Archive, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, of what going without `tokens` would take from: they are out of view here, and not destroyed."""
    dying = {name: archive.index(name).reached(tokens) for name in ("involvement", "identity")}
    return _again(archive, dying, tokens, _Groups(archive))


def same_people(archive: Archive, tokens: np.ndarray) -> np.ndarray:
    """`tokens` of nominals and of all who were ever judged to be the same person as one of them; each once."""
    return _Groups(archive).whole(tokens)


def gaps(archive: Archive, token: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of the links of a nominal that died by a disposal, whatever build had them; the theme of each; and the
    themes in which one ended that cannot be told of.
    """
    tables = [rows.read_table(archive.disposal_file(d.number, "gaps"), GAPS) for d in archive.history.disposals]
    found = pa.concat_tables([GAPS.empty_table(), *tables])
    mine = found.filter(pc.equal(found["token"], token)).combine_chunks()
    theme, row = mine["theme"].to_numpy(), mine["row"].to_numpy()
    at = archive.index("link").positions(mine["segment"].to_numpy()[row >= 0], row[row >= 0])
    return at, theme[row >= 0], sets.distinct(theme[row < 0])


def reduced(archive: Archive, links: pa.Table, away: np.ndarray, handling_order: Sequence[str]) -> pa.Table:
    """`links` (content of the link table) without the supports that rest on `away`; a link without any is not in it.

    `away` are sorted tokens. The column `owner` (int64) says which of `links` each row was. Figures are added up by the
    rule that made them.
    """
    supports, owner = unfolded(links)
    gone = sets.among(
        archive.vault.tokens(vault.record_keys(_flat(supports["system"]), _flat(supports["record_id"]))), away
    )
    for side in ("sources_a", "sources_b"):
        named = _flat(supports[side])
        mine = sets.among(archive.vault.tokens(vault.nominal_keys(named.flatten())), away)
        gone[pc.list_parent_indices(named).to_numpy()[mine]] = True
    # Several builds' versions of one link are added up at once, so each is its own theme for as long as that takes.
    apart = pa.array(owner).cast(pa.string())
    kept = supports.set_column(0, "theme", apart).filter(pa.array(~gone))
    found = engine.added_up(kept, handling_order, archive.crew.size)
    at = found["theme"].combine_chunks().cast(pa.int64())
    columns = TABLES["link"].columns
    whole = found.set_column(found.column_names.index("theme"), "theme", links["theme"].take(at))
    whole = whole.append_column("rule", links["rule"].take(at)).select(columns.names).cast(columns)
    return whole.append_column("owner", at).sort_by("owner").combine_chunks()


def unfolded(links: pa.Table) -> tuple[pa.Table, np.ndarray]:
    """The supports of links, one a row (tables.SUPPORTS), and which link each is of."""
    each = _flat(links["supports"])
    owner = pc.list_parent_indices(each)
    parts = pa.Table.from_struct_array(each.flatten())
    named = [_flat(links[name]).take(owner) for name in ("theme", "a", "b")]
    return pa.table(named + parts.columns, schema=SUPPORTS), owner.to_numpy().astype(np.int64)


def others_of(archive: Archive, links: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The parents of links beside their two ends: records, and the ids by which those knew the two (see rows.seal)."""
    each = _flat(links["supports"])
    parts, owners = each.flatten(), pc.list_parent_indices(each)
    at = [owners]
    tokens = [archive.vault.tokens(vault.record_keys(parts.field("system"), parts.field("record_id")))]
    for side in ("sources_a", "sources_b"):  # a merged nominal's own secret closes what came from its records
        named = parts.field(side)
        at.append(owners.take(pc.list_parent_indices(named)))
        tokens.append(archive.vault.tokens(vault.nominal_keys(named.flatten())))
    owner, token = np.concatenate([o.to_numpy() for o in at]), np.concatenate(tokens)
    order = np.lexsort((token, owner))
    owner, token = owner[order], token[order]
    first = np.ones(len(owner), bool)
    first[1:] = (owner[1:] != owner[:-1]) | (token[1:] != token[:-1])
    return token[first], np.bincount(owner[first], minlength=links.num_rows)


def _heirs(archive: Archive, dying: np.ndarray, tokens: np.ndarray) -> tuple[rows.Sealed, np.ndarray]:
    """The heirs' rows in file order, and for each dying link the row of its heir, -1 where the link ends."""
    index = archive.index("link")
    heir_of = np.full(len(dying), -1, np.int64)
    fit = np.flatnonzero(~sets.among(index.a[dying], tokens) & ~sets.among(index.b[dying], tokens))
    if not len(fit):
        return rows.Sealed("link", rows.SEGMENT.empty_table()), heir_of
    old = archive.sealer.open("link", index.rows(dying[fit]))
    parts, orders = [], _handling_orders(archive, dying[fit])
    for order in sorted(set(orders)):
        mine = np.flatnonzero([said == order for said in orders])
        part = reduced(archive, old.take(pa.array(mine)), tokens, order)
        owners = pa.array(mine[part["owner"].to_numpy()])
        parts.append(part.set_column(part.column_names.index("owner"), "owner", owners))
    less = pa.concat_tables(parts).sort_by("owner").combine_chunks()
    owner, content = less["owner"].to_numpy(), less.drop_columns(["owner"])
    if not content.num_rows:
        return rows.Sealed("link", rows.SEGMENT.empty_table()), heir_of
    sealed = archive.sealer.seal("link", content, others_of(archive, content), filed=False)
    leaves = rows.as_keys(rows.leaf_matrix(sealed.rows["leaf"]))
    _, first, which = np.unique(leaves, return_index=True, return_inverse=True)  # two versions may leave one link
    once = sealed.rows.take(pa.array(first))
    order = rows.file_order(once)
    place = np.empty(len(first), np.int64)
    place[order] = np.arange(len(first))
    heir_of[fit[owner]] = place[which]
    return rows.Sealed("link", once.take(pa.array(order)).combine_chunks()), heir_of


def _handling_orders(archive: Archive, at: np.ndarray) -> list[tuple[str, ...]]:
    """For each link the order of handling codes under which the build that sealed it was made."""
    index = archive.index("link")
    first, _ = index.stays(at)
    order_of = {
        number: archive.handling_order(archive.history.builds[number - 1]) if number else ()
        for number in sets.distinct(first).tolist()
    }
    fallback = archive.handling_order(archive.history.builds[-1])
    return [order_of[number] or fallback for number in first.tolist()]


def blurred(archive: Archive, held: pa.Table) -> pa.Table:
    """GAPS without the references by which two people could be told to have been linked, see there."""
    index = archive.index("link")
    token, theme, segment, row = (held[name].to_numpy() for name in GAPS.names)
    known = np.flatnonzero(row >= 0)
    at = last = index.positions(segment[known], row[known])
    while len(dead := np.flatnonzero((last >= 0) & (index.died[last] > 0))):
        last = last.copy()
        last[dead] = index.heir[last[dead]]
    _, place, count = np.unique(at, return_inverse=True, return_counts=True)
    return _sorted_gaps(token, theme, segment, row, known[(last < 0) & (count[place] > 1)])


def _gaps(archive: Archive, dying: np.ndarray, heir_of: np.ndarray, tokens: np.ndarray) -> pa.Table:
    index = archive.index("link")
    one, other = (~sets.among(side[dying], tokens) for side in (index.a, index.b))
    stays, ends = np.concatenate([one, other]), np.concatenate([index.a[dying], index.b[dying]])
    untold, at = np.tile(one & other & (heir_of < 0), 2)[stays], np.tile(dying, 2)[stays]
    return _sorted_gaps(ends[stays], index.theme[at], index.segment[at], index.row[at], np.flatnonzero(untold))


def _sorted_gaps(
    token: np.ndarray, theme: np.ndarray, segment: np.ndarray, row: np.ndarray, untold: np.ndarray
) -> pa.Table:
    whole = np.stack([token, theme, segment, row], axis=1).astype(np.int64)
    whole[untold, 2:] = 0, -1
    columns = [
        pa.array(column).cast(field.type) for column, field in zip(np.unique(whole, axis=0).T, GAPS, strict=True)
    ]
    return pa.table(columns, schema=GAPS)


class _Groups:
    """Which nominals were ever judged to be one person, by their tokens: what touched one touched the others."""

    def __init__(self, archive: Archive) -> None:
        index = archive.index("identity")
        merged = np.flatnonzero((index.died == 0) & (index.b != 0))
        self._tokens = sets.distinct(np.concatenate([index.a[merged], index.b[merged]]))
        one, other = np.searchsorted(self._tokens, index.a[merged]), np.searchsorted(self._tokens, index.b[merged])
        self._group = components(one, other, len(self._tokens))

    def whole(self, tokens: np.ndarray) -> np.ndarray:
        """`tokens` and whoever was judged the same person as one of them; each once."""
        mine = sets.distinct(self._group[sets.among(self._tokens, tokens)])
        return sets.union(tokens, self._tokens[sets.among(self._group, mine)])

    def members(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every (place in `tokens`, token of the same person), the token itself among them."""
        place, member = [np.arange(len(tokens))], [tokens]
        held = np.flatnonzero(sets.among(tokens, self._tokens))
        group = self._group[np.searchsorted(self._tokens, tokens[held])]
        order = np.argsort(self._group, kind="stable")
        first = np.searchsorted(self._group[order], group, side="left")
        size = np.searchsorted(self._group[order], group, side="right") - first
        place.append(np.repeat(held, size))
        member.append(self._tokens[order][_ranges(first, size)])
        return np.concatenate(place), np.concatenate(member)


def _again(
    archive: Archive, dying: Mapping[str, np.ndarray], tokens: np.ndarray, groups: _Groups
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of the people whose counts or identity change, and of the records whose people change."""
    part, judged = archive.index("involvement"), archive.index("identity")
    at = dying["involvement"]
    of_records = sets.among(part.a[at], tokens)
    merged = dying["identity"]
    people = groups.whole(sets.distinct(np.concatenate([part.b[at[of_records]], judged.a[merged], judged.b[merged]])))
    apart = groups.whole(sets.difference(np.concatenate([judged.a[merged], judged.b[merged]]), [0]))
    near = np.flatnonzero(sets.among(part.b, apart) & (part.died == 0)) if len(apart) else np.zeros(0, np.int64)
    records = sets.distinct(np.concatenate([part.a[at], part.a[near]]))
    return sets.difference(people, np.append(tokens, 0)), sets.difference(records, tokens)


def _marked(
    archive: Archive, dying: Mapping[str, np.ndarray], tokens: np.ndarray, groups: _Groups
) -> dict[str, np.ndarray]:
    """Positions of the figures of people and networks into which a dying row was counted."""
    people, link = archive.index("nominal"), archive.index("link")
    since, until = link.stays(dying["link"])
    ends = np.concatenate([link.a[dying["link"]], link.b[dying["link"]]])
    spans = [np.stack([ends, np.tile(link.theme[dying["link"]], 2), np.tile(since, 2), np.tile(until, 2)], axis=1)]
    # Whoever was in a record under an id was counted there, and so was whom that id was judged to be; the judgement
    # itself put other ids' records into that count.
    for name, sides in (("involvement", "b"), ("identity", "ab")):
        index, lost = archive.index(name), dying[name]
        since, until = index.stays(lost)
        for side in sides:
            place, member = groups.members(getattr(index, side)[lost])
            spans += [
                np.stack([member, np.full(len(member), code), since[place], until[place]], axis=1)
                for code in range(1, len(THEMES) + 1)  # the themes of a record are inside its sealed row
            ]
    whole = np.concatenate(spans).astype(np.int64)
    whole = whole[~sets.among(whole[:, 0], np.append(tokens, 0)) & (whole[:, 2] > 0)]
    near = np.flatnonzero(sets.among(people.a, whole[:, 0]) & (people.died == 0) & (people.since > 0))
    first, last = people.stays(near)
    met = _meeting(_keyed(people.a[near], people.theme[near]), first, last, _keyed(whole[:, 0], whole[:, 1]), whole)
    found = near[met]
    return {"nominal": found, "network": _networks(archive, np.concatenate([found, dying["nominal"]]))}


def counted_in(archive: Archive, links: np.ndarray, parts: np.ndarray, record: int) -> dict[str, np.ndarray]:
    """Positions of the figures of people and networks into which these rows of links and involvements were counted,
    because of one record."""
    at = {"link": links, "involvement": parts, "identity": np.zeros(0, np.int64), "nominal": np.zeros(0, np.int64)}
    return _marked(archive, at, np.array([record], np.int64), _Groups(archive))


def _networks(archive: Archive, people: np.ndarray) -> np.ndarray:
    """Positions of the rows of networks that held one of these people's rows at the same time."""
    index, person = archive.index("network"), archive.index("nominal")
    alive = np.flatnonzero((index.died == 0) & (index.since > 0))
    if not len(people) or not len(alive):
        return np.zeros(0, np.int64)
    named = archive.sealer.open("nominal", person.rows(people))["network"].combine_chunks()
    ids = archive.sealer.open("network", index.rows(alive))["network"].combine_chunks()
    at = pc.fill_null(pc.index_in(named, value_set=pc.unique(ids)), -1).to_numpy()
    mine = pc.index_in(ids, value_set=pc.unique(ids)).to_numpy().astype(np.int64)
    since, until = person.stays(people)
    whole = np.stack([at, np.zeros(len(at)), since, until], axis=1).astype(np.int64)[at >= 0]
    first, last = index.stays(alive)
    return alive[_meeting(mine, first, last, whole[:, 0], whole)]


def _keyed(tokens: np.ndarray, theme: np.ndarray) -> np.ndarray:
    """One number per token and theme, for the tokens at hand; two tokens that share it only mark one figure more."""
    return (tokens.astype(np.int64) << np.int64(2)) | theme.astype(np.int64)


def _meeting(
    keys: np.ndarray, first: np.ndarray, last: np.ndarray, others: np.ndarray, spans: np.ndarray
) -> np.ndarray:
    """True for each of `keys`, standing from build `first` until `last` (0: still), that meets one of the `spans`
    (columns 2 and 3) of the same key."""
    order = np.argsort(others, kind="stable")
    low = np.searchsorted(others[order], keys, side="left")
    size = np.searchsorted(others[order], keys, side="right") - low
    mine = np.repeat(np.arange(len(keys)), size)
    theirs = order[_ranges(low, size)]
    end, other_end = (np.where(u == 0, _FOREVER, u) for u in (last, spans[:, 3]))
    overlap = (first[mine] < other_end[theirs]) & (spans[theirs, 2] < end[mine])
    met = np.zeros(len(keys), bool)
    met[mine[overlap]] = True
    return met


def _ranges(first: np.ndarray, size: np.ndarray) -> np.ndarray:
    """first[0], first[0] + 1, ... for size[0] numbers, then from first[1], and so on."""
    ends = np.cumsum(size)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - size, size) + np.repeat(first, size)


def _fates(archive: Archive, name: str, at: np.ndarray, fate: int, heir_of: np.ndarray | None) -> pa.Table:
    index = archive.index(name)
    return pa.table(
        [
            pa.array([name] * len(at), pa.string()),
            pa.array(index.segment[at], pa.int32()),
            pa.array(index.row[at], pa.int32()),
            pa.array(np.full(len(at), fate), pa.int8()),
            pa.array(np.full(len(at), -1) if heir_of is None else heir_of, pa.int32()),
        ],
        schema=FATES,
    )


def _left_out(
    archive: Archive, dying: Mapping[str, np.ndarray], records: np.ndarray, params: Params, table: HarmTable
) -> pa.Table:
    """By how much the last build's counts of what it left out change, by the rules that it counted by: the next build
    may follow them, whatever params say meanwhile."""
    builds = archive.history.builds
    if not builds:
        return LEFT_OUT.empty_table()
    if builds[-1].rules != Draft.rules(params, table):
        try:
            params = stated(archive.stated(builds[-1]).params)
        except Malformed:  # no build of this version can follow those rules: the next one counts anew
            return LEFT_OUT.empty_table()
    taken = {
        name: at[archive.index(name).died[at] == 0]
        for name in ("record", "involvement", "identity")
        for at in [archive.index(name).standing(len(builds))]
    }
    dead = archive.index("record").a[dying["record"]]
    touched = sets.intersection(np.concatenate([records, dead]), archive.index("record").a[taken["record"]])
    if not len(touched):
        return LEFT_OUT.empty_table()
    left = {name: sets.difference(at, dying[name]) for name, at in taken.items()}
    rules = archive.crew.rules(params, table)
    was, now = (rules.left_out(*Side(archive, side).content(touched)) for side in (taken, left))
    negated = [pc.negate(was[name]) for name in ("records", "people")]
    gone = pa.table([was[name] for name in ("reason", "system", "kind")] + negated, schema=LEFT_OUT)
    whole = pa.concat_tables([gone, now.select(LEFT_OUT.names).cast(LEFT_OUT)])
    summed = whole.group_by(["reason", "system", "kind"]).aggregate([("records", "sum"), ("people", "sum")])
    summed = summed.rename_columns(LEFT_OUT.names).filter((pc.field("records") != 0) | (pc.field("people") != 0))
    return summed.sort_by([(name, "ascending") for name in ("reason", "system", "kind")]).cast(LEFT_OUT)


def builds_with(archive: Archive, number: int) -> tuple[str, ...]:
    """Labels of the builds that had one of the rows that died by disposal `number`."""
    return builds_of(archive, {name: np.flatnonzero(archive.index(name).died == number) for name in TABLES})


def builds_of(archive: Archive, dying: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Labels of the builds in which one of these rows stood."""
    had = np.zeros(len(archive.history.builds) + 2, np.int64)
    for name, at in dying.items():
        since, until = archive.index(name).stays(at)
        stood = since > 0
        np.add.at(had, since[stood], 1)
        np.add.at(had, np.where(until[stood] == 0, len(had) - 1, until[stood]), -1)
    standing = np.cumsum(had)
    return tuple(built.label for built in archive.history.builds if standing[built.number] > 0)


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column if isinstance(column, pa.Array) else pa.concat_arrays([pa.array([], column.type), *column.chunks])
