"""What a past build would have said by other params: its sources and identities, other weights, thresholds, admissions.

In memory, and nothing of it is stored or logged. Beside it stands the build itself, made again in the same way, so that
every difference is what the params did. What was disposed of or is restricted is in neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from provenance import harm, remaking, tables
from provenance.asof import Snapshot
from provenance.draft import Draft
from provenance.errors import Malformed
from provenance.params import Params, stated
from provenance.remaking import Remade

COMPARED = pa.schema(
    [
        *((name, pa.string()) for name in ("theme", "a", "b", "change")),
        ("strength_before", pa.int64()),
        ("strength_after", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One what-if on the params of a build."""

    label: str
    params: Params  # that were tried
    changed: Mapping[str, tuple[Any, Any]]  # dotted keys of params, with the build's value and the one tried
    links: pa.Table  # as tables.TABLES, by key
    nominals: pa.Table
    networks: pa.Table
    links_before: pa.Table  # the same by the build's own params
    nominals_before: pa.Table
    networks_before: pa.Table

    def changes(self) -> pa.Table:
        """Which links came, went or weigh otherwise (COMPARED, by theme, a and b)."""
        key = ["theme", "a", "b"]
        sides = [
            side.select([*key, "strength"]).rename_columns([*key, name])
            for side, name in ((self.links_before, "strength_before"), (self.links, "strength_after"))
        ]
        whole = sides[0].join(sides[1], key, join_type="full outer")
        one, other = (whole[name] for name in ("strength_before", "strength_after"))
        word = pc.if_else(pc.is_null(one), "new", pc.if_else(pc.is_null(other), "gone", "changed"))
        for name in ("strength_before", "strength_after"):
            whole = whole.set_column(whole.column_names.index(name), name, pc.fill_null(whole[name], 0))
        whole = whole.append_column("change", word).select(COMPARED.names).cast(COMPARED)
        whole = whole.filter(pc.field("strength_before") != pc.field("strength_after"))
        return whole.sort_by([(name, "ascending") for name in key]).combine_chunks()

    def metrics(self) -> dict[str, tuple[int, int]]:
        """Whole numbers to set side by side, as `dvc metrics diff` does: by the build's params, and by those tried."""
        found = {}
        for name, before, after in (
            ("links", self.links_before, self.links),
            ("people", self.nominals_before, self.nominals),
            ("networks", self.networks_before, self.networks),
        ):
            found[name] = before.num_rows, after.num_rows
        sides = (self.links_before, self.links), (self.networks_before, self.networks)
        found["strength"] = tuple(pc.sum(side["strength"]).as_py() or 0 for side in sides[0])
        found["largest_network"] = tuple(pc.max(side["members"]).as_py() or 0 for side in sides[1])
        found["alarms"] = tuple(pc.sum(side["alarm"]).as_py() or 0 for side in sides[1])
        return found


def experiment(snapshot: Snapshot, params: Params | Mapping[str, Any]) -> Experiment:
    """What the build would say by `params`: whole ones, or dotted keys with their values over the build's own.

    Raises Malformed for a key that the build's params have not, or a value that they may not have; and what reading a
    build raises.
    """
    archive, built = snapshot.archive, snapshot.built
    snapshot.keep_up()
    own = stated(snapshot.statement.params)
    tried = params if isinstance(params, Params) else own.with_values(params)
    if tried.harm.editions != own.harm.editions:
        raise Malformed("experiment names other harm tables than the build: wanted its own")
    table = harm.side_by_side(archive.harm_tables(snapshot.statement))
    taken = remaking.sources(archive, built.number)
    taken = {name: at[archive.shown(name, at)] for name, at in taken.items()}
    before = remaking.networks_of(archive, built.number - 1)
    draft = Draft(built.label, built.number, built.cut_off)

    def made(rules: Params) -> list[pa.Table]:
        found: Remade = remaking.remake(archive, draft, taken, rules, table, before=before)
        contents = {"link": found.link_contents(rules), **found.contents}
        return [
            contents[name].sort_by([(key, "ascending") for key in tables.TABLES[name].key])
            for name in ("link", "nominal", "network")
        ]

    after, ours = made(tried), made(own)
    snapshot.keep_up()
    return Experiment(built.label, tried, own.differing(tried), *after, *ours)
