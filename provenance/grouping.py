"""The networks stage: from a build's links to the figures of its people and its networks.

Everyone with an admitted record in a theme has a row there: counts of records by role, harm, links, strength, network.
A row also carries the root over the leaves of the person's own links, so that an answer about one person can be proved
complete. A network's row carries a digest of what its people came to by each measure of influence: those are worked out
again when somebody asks, and seen to be the same. Only rows whose figures changed are sealed anew.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import durable, figures, influence, merkle, networks, rows, sets, supported, vault
from provenance.archive import Archive
from provenance.draft import COUNTS, TALLIES, Draft, Tallies
from provenance.harm import HarmTable
from provenance.index import Index
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
    figures.recall(archive, draft.number - 1)
    link, people = archive.index("link", draft), archive.index("nominal")
    standing = link.standing(draft.number)
    strength, records = figures.of_links(archive, standing)
    before = people.living(people.standing(draft.number - 1))
    held = archive.opened("nominal", before).append_column("token", pa.array(people.a[before]))
    disposals = [disposal.number for disposal in archive.history.since(draft.number - 1)]
    held = held.append_column("lost", pa.array(sets.among(people.marked[before], disposals)))
    now = _counts(held, tallies)
    groups = archive.index("network")
    last = groups.living(groups.standing(draft.number - 1))
    # A network that nothing touched was measured before, if by the same rule.
    measured = archive.opened("network", last[~sets.among(groups.marked[last], disposals)]).select(MEASURED)
    if not _same_rule(archive, params):
        measured = measured.slice(0, 0)

    links = Links(link, standing, strength, records)
    content, groups = figured(archive, draft, params, table, now=now, held=held, links=links, measured=measured)
    opened, changes = 0, []
    for name, fresh in (("nominal", content), ("network", groups)):
        index = archive.index(name)
        every = index.standing(draft.number - 1)
        last = index.living(every)
        stays, stayed = _the_same(fresh, archive.opened(name, last), TABLES[name].key)
        new = fresh.filter(pa.array(~stays))
        gone = np.concatenate([last[~stayed], sets.difference(every, last)])
        rows.write_segment(archive.segment(draft.label, name), archive.sealer.seal(name, new))
        changes.append(index.references(gone, opened=False))
        opened += new.num_rows
    rows.write_changes(archive.changes("networks", draft.label), pa.concat_tables(changes))
    durable.sync_folder(archive.root / "store" / "networks")
    return GroupReport(content.num_rows, groups.num_rows, opened, int(pc.sum(groups["alarm"]).as_py() or 0))


def figured(
    archive: Archive,
    draft: Draft,
    params: Params,
    table: HarmTable,
    *,
    now: pa.Table,
    held: pa.Table,
    links: Links,
    measured: pa.Table,
) -> tuple[pa.Table, pa.Table]:
    """What the rows of people and of networks of `draft` say. Nothing is read from files, and nothing written.

    `now` has the people's counts (TALLIES, sorted by theme and token); `held` their rows in the build before, with
    `token`, and `lost` where a disposal took from them since; `measured` (MEASURED) the networks of that build whose
    measures may be kept.
    """
    parts, found = [], []
    for code, theme in enumerate(THEMES, start=1):
        part = _Theme(
            theme,
            now.filter(pc.equal(now["theme"], theme)).combine_chunks(),
            held.filter(pc.equal(held["theme"], theme)).combine_chunks(),
            links.only(links.index.theme[links.at] == code),
            measured,
        )
        if part.now.num_rows:
            content, networks_here = part.grouped(archive, draft, params, table)
            parts.append(content)
            found.append(networks_here)
    content = pa.concat_tables([TABLES["nominal"].columns.empty_table(), *parts])
    return content, pa.concat_tables([TABLES["network"].columns.empty_table(), *found])


def _the_same(one: pa.Table, other: pa.Table, key: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of either say what a row of the other says. The key is of text, and no two rows of one share it."""
    mine, theirs = (
        pc.binary_join_element_wise(*(table[name] for name in key), "\x1f").combine_chunks() for table in (one, other)
    )
    at = pc.index_in(mine, value_set=theirs)
    there, same = other.take(at), pc.is_valid(at)
    for name in one.column_names:
        same = pc.and_(same, pc.fill_null(pc.equal(one[name], there[name]), False).combine_chunks())
    found = np.zeros(other.num_rows, bool)
    found[at.filter(same).to_numpy()] = True
    return same.to_numpy(zero_copy_only=False), found


def _counts(held: pa.Table, tallies: Tallies) -> pa.Table:
    """Each person's counts now (TALLIES), sorted by theme and token; people without a record are gone."""
    parts = [tallies.added]
    if not tallies.again:
        stands, taken = (
            part.filter(pc.invert(pc.is_in(part["token"], value_set=tallies.afresh["token"].combine_chunks())))
            for part in (held, tallies.removed)
        )
        parts.append(stands.select(TALLIES.names).cast(TALLIES))
        negated = [pc.negate(taken[name]) for name in COUNTS]
        parts.append(pa.table([taken["theme"], taken["token"], *negated], schema=TALLIES))
    whole = pa.concat_tables(parts).group_by(["theme", "token"]).aggregate([(name, "sum") for name in COUNTS])
    return in_order(whole.rename_columns(["theme", "token", *COUNTS]).filter(pc.field("records") > 0))


def in_order(counts: pa.Table) -> pa.Table:
    """TALLIES as `figured` wants them."""
    return counts.sort_by([("theme", "ascending"), ("token", "ascending")]).combine_chunks()


@dataclass(frozen=True, slots=True)
class Links:
    """Links that stand in the draft: by place in their index, with what each came to."""

    index: Index
    at: np.ndarray
    strength: np.ndarray
    records: np.ndarray

    def only(self, fit: np.ndarray) -> Links:
        return Links(self.index, self.at[fit], self.strength[fit], self.records[fit])


@dataclass(frozen=True, slots=True)
class _Theme:
    """One theme of a draft: its people's counts now (sorted by token), their rows in the build before, its links."""

    name: str
    now: pa.Table
    held: pa.Table
    links: Links
    measured: pa.Table  # MEASURED of all themes: the networks of the build before that were measured by this rule

    def grouped(self, archive: Archive, draft: Draft, params: Params, table: HarmTable) -> tuple[pa.Table, pa.Table]:
        """The people's rows and the networks' rows."""
        now, index, at = self.now, self.links.index, self.links.at
        people = now["token"].to_numpy()
        a, b = (np.searchsorted(people, side[at]).astype(np.int64) for side in (index.a, index.b))
        names = vault.nominal_ids(archive.vault.keys(people))
        was = pc.index_in(now["token"].combine_chunks(), value_set=self.held["token"].combine_chunks())
        previous = pc.fill_null(self.held["network"].combine_chunks().take(was), "")
        # The rule asks for nothing else.
        sole = np.full(len(at), supported.SEVERAL)
        if params.networks.shared_associate:
            sole = figures.sole_records(archive, index, at, self.links.records)
        result = networks.networks(
            self.name, a, b, self.links.strength, self.links.records, sole,
            params.networks, names, now["harm"].to_numpy(), previous, draft.label,
        )  # fmt: skip
        moved = self._moved(draft, was)
        only_victim = pc.and_(
            pc.equal(now["victim"], now["records"]),
            pc.equal(pc.add(pc.add(now["offending"], now["witness"]), now["other"]), 0),
        )
        count, second = now.num_rows, table.severity
        content = pa.table(
            {
                **{name: now[name] for name in ("theme", *COUNTS)},
                "nominal": names,
                **{name: result.nodes[name] for name in ("network", "links", "strength")},
                "victim_only": only_victim.cast(pa.int64()),
                "harm_edition": pa.array([table.edition] * count, pa.string()),
                "severity_edition": pa.array([second.edition if second else ""] * count, pa.string()),
                "links_root": self._roots(a, b, was, moved),
            }
        )
        theme = pa.array([self.name] * result.networks.num_rows, pa.string())
        groups = result.networks.append_column("theme", theme)
        influence = self._influence(result, a, b, previous, moved, params)
        groups = groups.append_column("severity", networks.over_members(result, now["severity"].to_numpy()))
        return _of("nominal", content), _of("network", groups.append_column("influence", influence))

    def _influence(
        self, result: networks.Result, a: np.ndarray, b: np.ndarray, previous: pa.Array, moved: np.ndarray, rule: Params
    ) -> pa.Array:
        """For each network of `result` the digest of its people's measures; one that stands as it was keeps it."""
        network, table = result.nodes["network"].combine_chunks(), result.networks
        stirred = pc.or_(pc.not_equal(network, previous), pa.array(moved))
        before = pc.index_in(table["network"].combine_chunks(), value_set=self.measured["network"].combine_chunks())
        same = pc.equal(table["members"], self.measured["members"].combine_chunks().take(before)).combine_chunks()
        stands = pc.and_(
            pc.fill_null(same, False),
            pc.invert(pc.is_in(table["network"], value_set=pc.unique(network.filter(stirred)))),
        ).combine_chunks()
        fresh = table["network"].filter(pc.invert(stands)).combine_chunks()
        measured_now = pc.is_in(network, value_set=fresh)
        links = result.supported & measured_now.to_numpy(zero_copy_only=False)[a]
        names = result.nodes["nominal"].combine_chunks()
        found = influence.measured(
            names, pc.if_else(measured_now, network, ""), a[links], b[links], self.links.strength[links], rule.networks
        )
        token = self.now["token"].to_numpy()[pc.index_in(found["nominal"].combine_chunks(), value_set=names).to_numpy()]
        digests = influence.digests(token, found)
        kept = self.measured["influence"].combine_chunks().take(before)
        said = pa.array([digests.get(name) for name in table["network"].to_pylist()], pa.string())
        return pc.if_else(stands, kept, said)

    def _moved(self, draft: Draft, was: pa.Array) -> np.ndarray:
        """For each person, whether one of their links came, went or changed."""
        index, tokens = self.links.index, self.now["token"].to_numpy()
        touched = np.flatnonzero(
            ((index.since == draft.number) | (index.until == draft.number))
            & (index.theme == THEMES.index(self.name) + 1)
        )
        moved = sets.among(tokens, np.concatenate([index.a[touched], index.b[touched]]))
        # A link that a disposal ended names nobody any more: whose it was, the marks on their figures tell.
        return moved | pc.fill_null(self.held["lost"].combine_chunks().take(was), False).to_numpy(zero_copy_only=False)

    def _roots(self, a: np.ndarray, b: np.ndarray, was: pa.Array, moved: np.ndarray) -> pa.Array:
        """For each person the root over the sorted leaves of their links, hex; worked out again where one moved."""
        index, at, count = self.links.index, self.links.at, self.now.num_rows
        roots = pc.fill_null(self.held["links_root"].combine_chunks().take(was), merkle.EMPTY_ROOT.hex())
        owner, place = np.concatenate([a, b]), np.concatenate([np.arange(len(at))] * 2)
        mine = moved[owner]
        owner, place = owner[mine], place[mine]
        leaves = rows.as_keys(index.leaf[at])
        rank = np.empty(len(at), np.int64)
        rank[np.argsort(leaves)] = np.arange(len(at))
        order = np.lexsort((rank[place], owner))
        data = np.ascontiguousarray(index.leaf[at[place[order]]]).tobytes()
        counts = np.bincount(owner, minlength=count)[moved]
        bounds = np.concatenate([[0], np.cumsum(counts)]) * 32
        fresh = [merkle.root(data[x:y]).hex() for x, y in itertools.pairwise(bounds.tolist())]
        return pc.replace_with_mask(roots, pa.array(moved), pa.array(fresh, pa.string()))


MEASURED = ["network", "members", "influence"]


def _same_rule(archive: Archive, params: Params) -> bool:
    """Whether the last build made and measured its networks by these params."""
    builds = archive.history.builds
    return bool(builds) and json.loads(archive.stated(builds[-1]).params).get("networks") == params.networks.model_dump(
        mode="json"
    )


def _of(name: str, content: pa.Table) -> pa.Table:
    columns = TABLES[name].columns
    return content.select(columns.names).cast(columns).combine_chunks()
