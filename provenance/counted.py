"""What each record counted for each person: the people's counts worked out again, one record at a time.

The builds add these up by the rules in `links.tallies`; here each record stands alone with its reason, so that a figure
can be explained by a list, and what is found can be held against what was stored. Nothing here sees a stored figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from provenance import harm, sets, vault
from provenance.asof import Snapshot
from provenance.harm import HarmTable
from provenance.params import CLASSES, Params, stated

COUNTS = ("records", *CLASSES, "harm", "harm_unknown", "severity", "severity_unknown")
# Why a record's harm is not in a person's sum, or why it weighs nothing there.
COUNTED, NOT_THEIRS, OTHER_ROLE = "counted", "not theirs", "role bears none"
NO_CODE, UNKNOWN, EXPIRED = "no code", "unknown code", "expired code"
UNPRICED = (NO_CODE, UNKNOWN, EXPIRED)


@dataclass(frozen=True, slots=True)
class Part:
    """One person's part in one record, as a build had both."""

    nominal: str  # who the record's id was judged to be
    record: Mapping[str, Any]  # a row of the record table
    roles: tuple[str, ...]  # sorted, each once
    leaf: str  # of the record's row


def rules(snapshot: Snapshot) -> Params:
    """The params that the build was made by, from its signed statement."""
    return stated(snapshot.statement.params)


def prices(snapshot: Snapshot) -> HarmTable:
    """The harm tables that the build counted by. Raises Missing or Tampered."""
    return harm.side_by_side(snapshot.archive.harm_tables(snapshot.statement))


def of_people(snapshot: Snapshot, nominals: Sequence[str]) -> list[Part]:
    """Every part of these people in a record of the build, also in records that count for nothing."""
    merged = snapshot.merged_into(nominals)
    tokens = snapshot.archive.vault.tokens(vault.nominal_keys(pa.array(sorted(merged), pa.string())))
    return _parts(snapshot, snapshot.standing_of("involvement", tokens[tokens != 0]), merged)


def of_records(snapshot: Snapshot, tokens: np.ndarray) -> list[Part]:
    """Everybody's part in these records of the build."""
    index, at = snapshot.archive.index("involvement"), snapshot.standing("involvement")
    return _parts(snapshot, at[sets.among(index.a[at], sets.distinct(tokens))], None)


def _parts(snapshot: Snapshot, at: np.ndarray, merged: Mapping[str, str] | None) -> list[Part]:
    index = snapshot.archive.index("record")
    found = snapshot.content("involvement", at).to_pylist()
    if not found:
        return []
    if merged is None:
        merged = snapshot.stands_for([row["nominal_id"] for row in found])
    wanted = sets.distinct(snapshot.archive.index("involvement").a[at])
    standing = snapshot.standing_of("record", wanted.tolist())
    standing = standing[snapshot.archive.shown("record", standing, case=snapshot.case)]
    leaf_of = {int(index.a[i]): index.leaf[i].tobytes().hex() for i in standing}
    content = snapshot.content("record", standing)
    tokens = snapshot.archive.vault.tokens(
        vault.record_keys(content["system"].combine_chunks(), content["record_id"].combine_chunks())
    )
    records = {
        (row["system"], row["record_id"]): (row, leaf_of[token])
        for row, token in zip(content.to_pylist(), tokens.tolist(), strict=True)
    }
    roles: dict[tuple[str, str, str], set[str]] = {}
    for row in found:
        roles.setdefault((row["system"], row["record_id"], merged[row["nominal_id"]]), set()).add(row["role"])
    return [
        Part(nominal, records[system, record_id][0], tuple(sorted(held)), records[system, record_id][1])
        for (system, record_id, nominal), held in sorted(roles.items())
        if (system, record_id) in records
    ]


def left_out(part: Part, params: Params) -> str:
    """Why the record counts for nobody (see `links.REASONS`), "" when it counts."""
    record = part.record
    if record["status"] in params.links.statuses_left_out:
        return "status"
    scheme = record["grade_scheme"]
    if not scheme and record["kind"] in params.grading.needs_grade:
        return "no-grade"
    matrix = params.grading.admitted.get(scheme, {})
    if scheme and not matrix.get(record["source_grade"], {}).get(record["assessment_grade"], False):
        return "grade-not-admitted"
    return "" if themes(part, params) else "no-theme"


def themes(part: Part, params: Params) -> list[str]:
    """The record's themes that are analysed."""
    return sorted(set(part.record["themes"].split(";")) & set(params.themes))


def classes(part: Part, params: Params) -> list[str]:
    """What the person was in the record, in the order of params.CLASSES."""
    held = {params.links.role_classes[role] for role in part.roles}
    return [name for name in CLASSES if name in held]


def weight(part: Part, params: Params, table: HarmTable) -> tuple[int, str]:
    """What the record adds to the person's harm by one table, in its unit, and why it is that."""
    if not set(part.roles) & set(params.harm.roles):
        return 0, OTHER_ROLE if "offending" in classes(part, params) else NOT_THEIRS
    code = part.record["offence_code"]
    price = _prices(table).get(code)
    if price is None:
        return 0, UNKNOWN if code else NO_CODE
    return (0, EXPIRED) if price[1] else (price[0], COUNTED)


def added(parts: Iterable[Part], params: Params, table: HarmTable) -> dict[tuple[str, str], Counter[str]]:
    """COUNTS per theme and person, of the parts in records that count."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for part in parts:
        if left_out(part, params):
            continue
        once = Counter(dict.fromkeys(("records", *classes(part, params)), 1))
        for figure, priced in (("harm", table), ("severity", table.severity)):
            if priced:
                amount, why = weight(part, params, priced)
                once[figure] += amount
                once[f"{figure}_unknown"] += why in UNPRICED
        for theme in themes(part, params):
            found.setdefault((theme, part.nominal), Counter()).update(once)
    return found


_known: dict[str, dict[str, tuple[int, bool]]] = {}


def _prices(table: HarmTable) -> dict[str, tuple[int, bool]]:
    if table.sha256 not in _known:
        if len(_known) > 8:
            _known.clear()
        columns = (table.rows[name].to_pylist() for name in ("offence_code", "weight", "expired"))
        _known[table.sha256] = {code: (weight, expired) for code, weight, expired in zip(*columns, strict=True)}
    return _known[table.sha256]
