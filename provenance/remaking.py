"""A build's conclusions made again from its sources, in memory: links, people's figures, networks.

By the very rules of the link and networks stages, and all of it afresh: what those two carry over from week to week is
never looked at, but for the network ids of the build before, which pass on by who is in them. Nothing is written, and
nobody is admitted to the vault: whoever a source row names is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import grouping, identity, linking, merkle, rows, selection
from provenance.archive import Archive
from provenance.draft import Draft
from provenance.engine import Engine
from provenance.harm import HarmTable
from provenance.index import Index
from provenance.params import Params
from provenance.tables import SUPPORTS, TABLES


@dataclass(frozen=True, slots=True)
class Remade:
    """What a build comes to when it is made again."""

    supports: pa.Table  # tables.SUPPORTS, in no order
    links: pa.Table  # rows.SEGMENT, in file order
    contents: Mapping[str, pa.Table]  # of `nominal` and `network`
    left_out: pa.Table  # draft.LEFT_OUT
    rules: Engine

    def link_contents(self, params: Params) -> pa.Table:
        """What the rows of the links say, in no order."""
        return linking.contents(self.rules, self.supports, params)


def remake(
    archive: Archive,
    draft: Draft,
    taken: Mapping[str, np.ndarray],
    params: Params,
    table: HarmTable,
    *,
    before: pa.Table,
    less: Callable[[pa.Table], pa.Table] = lambda supports: supports,
) -> Remade:
    """Make `draft` of the source rows `taken`, by place in their indexes.

    `before` has `theme`, `token` and `network` of the people of the build before; `less` may take supports away.
    """
    merges = archive.opened("identity", taken["identity"])
    records = archive.opened("record", taken["record"])
    parts = selection.judged(
        archive.opened("involvement", taken["involvement"]), identity.resolve(merges).canonical.combine_chunks()
    )
    rules = archive.crew.rules(params, table)
    supports = less(rules.supports(records, parts).select(SUPPORTS.names).cast(SUPPORTS))
    made = linking.sealed(archive, rules, supports, params).rows
    index = Index("link")
    at = index.add_unfiled(draft.number, made.select(rows.SEGMENT.names), since=draft.number)
    now = grouping.in_order(linking.counted(archive, rules.tallies(records, parts)))
    held = before.append_column("links_root", pa.array([merkle.EMPTY_ROOT.hex()] * before.num_rows, pa.string()))
    held = held.append_column("lost", pa.array([False] * before.num_rows, pa.bool_()))
    people, networks = grouping.figured(
        archive,
        draft,
        params,
        table,
        now=now,
        held=held,
        links=grouping.Links(index, at, made["strength"].to_numpy(), made["records"].to_numpy()),
        measured=TABLES["network"].columns.empty_table().select(grouping.MEASURED),
    )
    left_out = rules.left_out(records, parts)
    return Remade(supports, made.select(rows.SEGMENT.names), {"nominal": people, "network": networks}, left_out, rules)


def networks_of(archive: Archive, build: int) -> pa.Table:
    """`theme`, `token` and `network` of the people of build number `build` who are still retained; of none for 0."""
    people = archive.index("nominal")
    at = people.living(people.standing(build))
    held = archive.opened("nominal", at).select(["theme", "network"])
    return held.append_column("token", pa.array(people.a[at]))


def sources(archive: Archive, build: int) -> dict[str, np.ndarray]:
    """The source rows of build number `build` that are still retained, by place in their indexes."""
    found = {}
    for name in ("record", "involvement", "person", "identity", "order"):
        at = archive.index(name).standing(build)
        found[name] = at[archive.index(name).died[at] == 0]
    return found


def without(supports: pa.Table, fit: np.ndarray) -> pa.Table:
    """Supports for which `fit` holds not."""
    return supports.filter(pc.invert(pa.array(fit)))
