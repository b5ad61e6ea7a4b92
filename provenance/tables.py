"""The tables of a snapshot: what a row of each says, and whose secrets close it.

Five tables hold what the sources said, as of a build: `record`, `involvement`, `person`, `identity`, `order`. Three
hold what was concluded: `link`, `nominal`, `network`. A row has exactly the columns below: text and integers only,
written as `canonical` says. Columns are never renamed or reused; a new meaning is a new table beside the old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa

from provenance import records
from provenance.errors import Malformed

SUPPORT = pa.struct(
    [
        ("system", pa.string()),
        ("record_id", pa.string()),
        ("version", pa.int64()),  # the archive's count of this record's versions; the record row carries it too
        ("kind", pa.string()),
        ("occurred_at", pa.string()),
        ("role_a", pa.string()),
        ("role_b", pa.string()),
        ("sources_a", pa.list_(pa.string())),  # the ids the record itself has for a, where nominals were merged
        ("sources_b", pa.list_(pa.string())),
        ("assessed", pa.string()),  # `assessment` when either person's part is one (DPA 2018 s.38(2))
        ("grade_scheme", pa.string()),
        ("grade", pa.string()),  # as recorded
        ("handling", pa.string()),
        ("conditions", pa.string()),
        ("contribution", pa.int64()),  # points
    ]
)
SUPPORTS = pa.schema([("theme", pa.string()), ("a", pa.string()), ("b", pa.string()), *SUPPORT])  # one a row


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its row and its parents.

    `a` and `b` name the columns whose parents are filed first and second: "nominal:COLUMN" or "record". The parents of
    a row are those, plus what `others` a caller names (the records behind a link); a table without any lies under the
    archive's secret.
    """

    name: str
    columns: pa.Schema
    a: str = ""
    b: str = ""
    key: tuple[str, ...] = ()  # the columns that name the thing a row speaks of; one row per key in a snapshot


def _table(name: str, columns: pa.Schema | list, *, a: str = "", b: str = "", key: tuple[str, ...]) -> Table:
    fields = list(columns if isinstance(columns, pa.Schema) else pa.schema(columns))
    return Table(name, pa.schema(sorted(fields, key=lambda field: field.name)), a, b, key)


_LIST = [
    _table("record", records.RECORDS.append(pa.field("version", pa.int64())), a="record", key=("system", "record_id")),
    _table("involvement", records.INVOLVEMENTS, a="record", b="nominal:nominal_id", key=records.INVOLVEMENTS.names),
    _table("person", records.NOMINALS, a="nominal:nominal_id", key=("nominal_id",)),
    _table("identity", records.MERGES, a="nominal:from_nominal", b="nominal:into_nominal", key=records.MERGES.names),
    _table("order", records.DISPOSALS, a="order", key=records.DISPOSALS.names),
    _table(
        "link",
        [
            ("theme", pa.string()),
            ("a", pa.string()),
            ("b", pa.string()),
            ("strength", pa.int64()),  # points: the sum of the supports' contributions
            ("records", pa.int64()),
            ("handling", pa.string()),  # the strictest of the supports'
            ("conditions", pa.string()),
            ("rule", pa.string()),
            ("supports", pa.list_(SUPPORT)),
        ],
        a="nominal:a",
        b="nominal:b",
        key=("theme", "a", "b"),
    ),
    _table(
        "nominal",
        [
            ("theme", pa.string()),
            ("nominal", pa.string()),
            ("network", pa.string()),  # "" when no supported link holds this person
            ("links", pa.int64()),
            ("strength", pa.int64()),  # points, over all links of this person in this theme
            ("records", pa.int64()),  # distinct admitted records, of which in the role of:
            ("offending", pa.int64()),
            ("victim", pa.int64()),
            ("witness", pa.int64()),
            ("other", pa.int64()),
            ("victim_only", pa.int64()),  # 1 when every record is as a victim and no other
            ("harm", pa.int64()),  # days, of the records in which this person offended; one table edition
            ("harm_unknown", pa.int64()),  # such records whose offence the table does not price
            ("harm_edition", pa.string()),
            ("severity", pa.int64()),  # points by the second table, which is never added to the first; 0 without one
            ("severity_unknown", pa.int64()),
            ("severity_edition", pa.string()),  # "" without a second table
            ("links_root", pa.string()),  # RFC 6962 root over the sorted leaves of this person's links in this theme
        ],
        a="nominal:nominal",
        key=("theme", "nominal"),
    ),
    _table(
        "network",
        [
            ("theme", pa.string()),
            ("network", pa.string()),
            ("members", pa.int64()),
            ("links", pa.int64()),
            ("strength", pa.int64()),
            ("harm", pa.int64()),
            ("severity", pa.int64()),
            ("alarm", pa.int64()),  # 1 when it outgrew the share that params allow
            ("influence", pa.string()),  # digest of its people's measures (`influence.digest`), which are not stored
        ],
        key=("network",),
    ),
]

TABLES: Mapping[str, Table] = MappingProxyType({table.name: table for table in _LIST})
SOURCE_TABLES = ("record", "involvement", "person", "identity", "order")
DERIVED_TABLES = ("link", "nominal", "network")
EXTRACT_TABLES: Mapping[str, str] = MappingProxyType(
    dict(zip(("records", "involvements", "nominals", "merges", "disposals"), SOURCE_TABLES, strict=True))
)


def chosen(table: str, columns: Sequence[str]) -> pa.Schema:
    """Some columns of a table, in its own order; `supports.grade` names a field within the supports of a link, and
    brings a whole number of each along, by which they are counted (`canonical`).

    Raises Malformed for a column that it has not.
    """
    spec, found = TABLES[table].columns, []
    fields = {f"{field.name}.{inner.name}" for field in spec for inner in _inner(field)} | set(spec.names)
    if unknown := sorted(set(columns) - fields):
        raise Malformed(f"table {table} has no column {unknown[0]}: wanted some of {', '.join(sorted(fields))}")
    for field in spec:
        inner = [part for part in _inner(field) if f"{field.name}.{part.name}" in columns]
        if field.name in columns:
            found.append(field)
        elif inner:
            if not any(pa.types.is_int64(part.type) for part in inner):
                inner.append(next(part for part in _inner(field) if pa.types.is_int64(part.type)))
            found.append(pa.field(field.name, pa.list_(pa.struct(inner))))
    return pa.schema(found)


def _inner(field: pa.Field) -> Sequence[pa.Field]:
    kind = field.type.value_type if pa.types.is_list(field.type) else field.type
    return list(kind) if pa.types.is_struct(kind) else []
