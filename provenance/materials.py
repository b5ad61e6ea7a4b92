"""What an item of unused material is made of: rows of a build, all that they rest on, and the strictest handling.

Of a person: their figures and their links in that build. Of a pair: their links. Of a record: the record. Of a network:
its totals, which speak of nobody. An item is a thing that somebody looks at alone, so two people's pages are two items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from provenance import canonical, merkle, rows, sets, vault
from provenance.asof import Snapshot
from provenance.errors import Malformed, Missing
from provenance.scheduling import Material

_HANDLED = ("link", "record")


def material(
    snapshot: Snapshot,
    *,
    nominal: str = "",
    pair: tuple[str, str] | None = None,
    record: tuple[str, str] | None = None,
    network: str = "",
) -> Material:
    """The rows of one thing. Raises Malformed unless one is named, Missing where the build shows none of it."""
    if sum(map(bool, (nominal, pair, record, network))) != 1:
        raise Malformed("item is about one thing: wanted a nominal, a pair, a record, or a network")
    if record:
        system, id = (pa.array([part], pa.string()) for part in record)
        token = int(snapshot.archive.vault.tokens(vault.record_keys(system, id))[0])
        found = {"record": snapshot.standing_of("record", [token]) if token else np.zeros(0, np.int64)}
    elif network:
        at = snapshot.standing("network")
        named = snapshot.content("network", at)["network"].to_numpy(zero_copy_only=False) == network
        found = {"network": at[named & ~snapshot.is_near_withheld("network", at)]}
    else:
        one = snapshot.token(nominal or pair[0])
        links = snapshot.standing_of("link", [one])
        if pair:
            index, other = snapshot.archive.index("link"), snapshot.token(pair[1])
            found = {"link": links[(index.a[links] == other) | (index.b[links] == other)]}
        else:
            figures = snapshot.standing_of("nominal", [one])
            marked = snapshot.is_near_withheld("nominal", figures)
            found = {"nominal": figures[~marked], "link": links}
    found = {table: at[snapshot.archive.shown(table, at, case=snapshot.case)] for table, at in found.items()}
    if not sum(map(len, found.values())):
        raise Missing(f"build {snapshot.label} shows nothing of that: it is not in it, or is restricted")
    leaves = sorted(
        (table, leaf.tobytes().hex()) for table, at in found.items() for leaf in snapshot.archive.index(table).leaf[at]
    )
    nominals, records = _parents(snapshot, found)
    handling, conditions = strictest(snapshot, found)
    return Material(nominals, records, snapshot.label, tuple(leaves), handling, conditions)


def strictest(snapshot: Snapshot, found: Mapping[str, np.ndarray]) -> tuple[str, str]:
    """The strictest handling code of these rows, by the order that the build had, and all their conditions (R28)."""
    order = ("", *snapshot.archive.handling_order(snapshot.built))
    codes, conditions = {""}, set()
    for table in _HANDLED:
        for row in snapshot.content(table, found[table]).to_pylist() if table in found else ():
            codes.add(row["handling"])
            conditions |= {s["conditions"] for s in row.get("supports", [row]) if s["conditions"]}
    return max(codes, key=order.index), "; ".join(sorted(conditions))


def contents(snapshot: Snapshot, leaves: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Table, leaf and content of rows of this build, for an edited copy. Raises Missing for one that is not shown."""
    for table, leaf in leaves:
        index, at = snapshot.archive.index(table), snapshot.standing(table)
        at = at[(index.leaf[at] == np.frombuffer(bytes.fromhex(leaf), np.uint8)).all(axis=1)]
        at = at[snapshot.archive.shown(table, at, case=snapshot.case)]
        if not len(at):
            raise Missing(f"build {snapshot.label} shows no row {leaf}: it was disposed of, or is restricted")
        yield table, leaf, canonical.loads(snapshot.entries(table, at)[0].as_py()[merkle.DIGEST :])


def _parents(snapshot: Snapshot, found: Mapping[str, np.ndarray]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tokens of the people and of the records that these rows rest on."""
    nominals, records = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for table, at in found.items():
        tokens, _ = rows.parents_of(snapshot.archive.index(table).rows(at))
        tokens = tokens[tokens != vault.ARCHIVE_TOKEN]  # a network's totals rest on nobody
        keys = snapshot.archive.vault.keys(tokens)
        people = np.array([key.startswith("n") for key in keys.to_pylist()], bool)
        nominals.append(tokens[people])
        records.append(tokens[~people])
    return tuple(map(int, sets.distinct(np.concatenate(nominals)))), tuple(
        map(int, sets.distinct(np.concatenate(records)))
    )
