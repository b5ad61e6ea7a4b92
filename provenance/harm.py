"""What an offence weighs, by one edition of one table; which codes that edition does not price; and what adds up.

Each edition has its own unit, and harm by one is never added to harm by another: a `Harm` carries its edition, and to
add two editions raises. Refuses a weight that is not a whole number, is negative or stands twice, and a file other than
the one pinned. Halves are rounded by whoever imports a table, once, before it is pinned. A code that is unknown or
expired has no weight here: it is counted and flagged, and never looked up in another edition.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.errors import Malformed, Missing, Tampered

DAYS, SEVERITY = "days", "severity-points"
# Per unit: how the file's third column is called, and the most that a weight may be; more is a number that slid into
# the wrong column. Days: a hundred years. Severity: the published scores end below 8,000 (murder).
UNITS = {DAYS: ("days", 36_525), SEVERITY: ("weight", 100_000)}
SCHEMA = pa.schema(
    [("offence_code", pa.string()), ("offence", pa.string()), ("weight", pa.int64()), ("expired", pa.bool_())]
)

_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")


def columns(unit: str) -> tuple[str, ...]:
    """The columns of the file of a table in that unit. Raises Malformed for a unit that there is not."""
    if unit not in UNITS:
        raise Malformed(f"harm unit is not known: found {unit}, wanted one of {', '.join(UNITS)}")
    return "offence_code", "offence", UNITS[unit][0], "expired"


@dataclass(frozen=True, slots=True)
class Harm:
    """An amount of harm by one edition. It adds to harm by the same edition, and to nothing else (R49)."""

    amount: int  # in `unit`
    edition: str
    unit: str

    def __add__(self, other: Harm) -> Harm:
        """Raises Malformed for another edition or unit."""
        if not isinstance(other, Harm):
            return NotImplemented
        if (self.edition, self.unit) != (other.edition, other.unit):
            raise Malformed(
                f"harm is not added across editions: found {self.edition} in {self.unit} and {other.edition} in "
                f"{other.unit}, wanted one edition"
            )
        return replace(self, amount=self.amount + other.amount)


def added(harms: Iterable[Harm]) -> Harm:
    """The sum of at least one. Raises Malformed where there is none, or where two are by different editions."""
    held = list(harms)
    if not held:
        raise Malformed("harm of nothing is of no edition: found no harm to add, wanted at least one")
    return functools.reduce(operator.add, held)


@dataclass(frozen=True, slots=True)
class HarmTable:
    """One edition, in the order of its codes; and the editions that stand `beside` it, never added to it.

    Of several editions in one unit the first counts: of those in days as a person's `harm`, of those in severity points
    as a person's `severity`. The others are shown wherever harm is broken down.
    """

    edition: str
    sha256: str  # of the file's bytes
    rows: pa.Table = field(repr=False)  # SCHEMA
    unit: str = DAYS
    content: bytes = field(default=b"", repr=False)  # the file itself, which an archive keeps with its builds
    beside: tuple[HarmTable, ...] = ()

    def __post_init__(self) -> None:
        if self.rows.schema != SCHEMA:
            raise Malformed(f"harm table has the wrong columns: found {self.rows.schema.names}, wanted {SCHEMA.names}")
        columns(self.unit)
        names = [table.edition for table in self.all]
        if len(set(names)) != len(names) or any(table.beside for table in self.beside):
            raise Malformed(f"harm tables stand side by side once each: found {', '.join(names)}")

    @property
    def all(self) -> tuple[HarmTable, ...]:
        """This edition, and those beside it."""
        return self, *self.beside

    @property
    def severity(self) -> HarmTable | None:
        """The edition that counts as a person's `severity`, if there is one."""
        return next((table for table in self.beside if table.unit == SEVERITY), None)

    @property
    def identity(self) -> str:
        """What tells these editions from others: each by its name and the digest of its file."""
        return " ".join(f"{table.edition} {table.sha256}" for table in self.all)


def side_by_side(tables: Sequence[HarmTable]) -> HarmTable:
    """The first edition in days, which counts as `harm`, with all others beside it. Raises Malformed without one."""
    place = next((place for place, table in enumerate(tables) if table.unit == DAYS), None)
    if place is None:
        found = ", ".join(f"{table.edition} in {table.unit}" for table in tables) or "no edition"
        raise Malformed(f"harm needs an edition in days: found {found}, wanted at least one under harm.editions")
    return replace(tables[place], beside=(*tables[:place], *tables[place + 1 :]))


# One record of one person, as `links.charged` gives it.
CHARGED = pa.schema(
    [
        ("theme", pa.string()),
        ("nominal", pa.string()),
        ("system", pa.string()),
        ("record_id", pa.string()),
        ("kind", pa.string()),
        ("occurred_at", pa.string()),
        ("offence_code", pa.string()),
        ("roles", pa.string()),  # that this person has in it, joined with +
        ("counts", pa.int64()),  # 1 where one of them is a role whose harm counts towards the person; else 0
    ]
)
BREAKDOWN = pa.schema(
    [
        *CHARGED,
        ("edition", pa.string()),
        ("unit", pa.string()),
        ("offence", pa.string()),  # in the words of the edition; "" where it does not know the code
        ("weight", pa.int64()),  # of the offence by the edition; 0 where that is unknown or expired
        ("counted", pa.int64()),  # the weight where the record counts towards the person, else 0
        ("unknown", pa.int64()),  # 1 where the edition has no such code
        ("expired", pa.int64()),  # 1 where it has, and says that it is expired
    ]
)
TOTALS = pa.schema(
    [
        ("theme", pa.string()),
        ("nominal", pa.string()),
        ("edition", pa.string()),
        ("unit", pa.string()),
        ("harm", pa.int64()),
        ("unknown", pa.int64()),  # records that count and whose code the edition does not have
        ("expired", pa.int64()),  # records that count and whose code it calls expired
    ]
)


def priced(codes: pa.Array, table: HarmTable) -> pa.Table:
    """For each code its `offence`, `weight`, `unknown` and `expired` by one edition, as BREAKDOWN has them."""
    at = pc.index_in(codes, value_set=table.rows["offence_code"].combine_chunks())
    offence, weight, expired = (table.rows[name].combine_chunks().take(at) for name in SCHEMA.names[1:])
    expired = pc.fill_null(expired, False)
    return pa.table(
        {
            "offence": pc.fill_null(offence, ""),
            "weight": pc.if_else(expired, 0, pc.fill_null(weight, 0)),
            "unknown": pc.is_null(at).cast(pa.int64()),
            "expired": expired.cast(pa.int64()),
        }
    )


def broken_down(charged: pa.Table, tables: Sequence[HarmTable]) -> pa.Table:
    """BREAKDOWN of CHARGED rows: one row per record and edition; by theme, time, system and record id, then in the
    order of the editions."""
    order = ("theme", "occurred_at", "system", "record_id", "nominal")
    rows = charged.select(CHARGED.names).cast(CHARGED).sort_by([(name, "ascending") for name in order]).combine_chunks()
    parts = [BREAKDOWN.append(pa.field("place", pa.int64())).empty_table()]
    for table in tables:
        prices, count = priced(rows["offence_code"].combine_chunks(), table), rows.num_rows
        part = {name: rows[name] for name in CHARGED.names} | {name: prices[name] for name in prices.column_names}
        part |= {"edition": pa.array([table.edition] * count, pa.string())}
        part |= {"unit": pa.array([table.unit] * count, pa.string())}
        part |= {"counted": pc.multiply(rows["counts"], prices["weight"]), "place": pa.array(np.arange(count))}
        parts.append(pa.table(part).select(parts[0].column_names).cast(parts[0].schema))
    rank = np.repeat(np.arange(len(parts)), [part.num_rows for part in parts])
    whole = pa.concat_tables(parts).append_column("rank", pa.array(rank))
    whole = whole.sort_by([("place", "ascending"), ("rank", "ascending")])
    return whole.select(BREAKDOWN.names).combine_chunks()


def totals(breakdown: pa.Table) -> pa.Table:
    """TOTALS of a BREAKDOWN, by theme, person and edition: one edition at a time, and never a sum over two."""
    key = ["theme", "nominal", "edition", "unit"]
    flagged = {name: pc.multiply(breakdown["counts"], breakdown[name]) for name in ("unknown", "expired")}
    rows = pa.table({name: breakdown[name] for name in key} | {"harm": breakdown["counted"]} | flagged)
    found = rows.group_by(key).aggregate([(name, "sum") for name in ("harm", "unknown", "expired")])
    found = found.rename_columns(TOTALS.names).cast(TOTALS)
    return found.sort_by([(name, "ascending") for name in key]).combine_chunks()


# What a build stored of a person, by edition: the columns of the table `nominal` that hold it.
_STORED = (("harm", DAYS), ("severity", SEVERITY))


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One person's harm, record by record, and what it adds up to by each edition."""

    records: pa.Table  # BREAKDOWN
    totals: pa.Table  # COMPARED


COMPARED = pa.schema(
    [
        *TOTALS,
        ("stored", pa.int64()),  # what the build stored; null where it is withheld, or where this edition did not count
        ("stored_unknown", pa.int64()),  # its records without a weight: unknown and expired together
        ("gone", pa.int64()),  # records that were counted and are out of view; null where that is withheld
        ("computed_with_erased", pa.int64()),  # 1 where something that is gone was counted, so nothing was compared
    ]
)


def compared(build: str, charged: pa.Table, tables: Sequence[HarmTable], stored: pa.Table) -> Breakdown:
    """The breakdown of CHARGED rows beside what a build stored of the same people (rows of the table `nominal`, with
    `computed_with_erased`). Raises Tampered where nothing is gone and the two differ by a day.
    """
    breakdown = broken_down(charged, tables)
    summed = totals(breakdown)
    counted = charged.group_by(["theme", "nominal"]).aggregate([([], "count_all")])
    parts = [COMPARED.empty_table()]
    for table in tables:
        mine = summed.filter(pc.equal(summed["edition"], table.edition))
        at = _matched(stored, mine)
        part = {name: stored[name] for name in ("theme", "nominal", "computed_with_erased")}
        part |= {"edition": pa.array([table.edition] * stored.num_rows, pa.string())}
        part |= {"unit": pa.array([table.unit] * stored.num_rows, pa.string())}
        part |= {name: pc.fill_null(mine[name].combine_chunks().take(at), 0) for name in ("harm", "unknown", "expired")}
        seen = pc.fill_null(counted["count_all"].combine_chunks().take(_matched(stored, counted)), 0)
        part |= {"gone": pc.subtract(stored["records"], seen)}
        for column, unit in _STORED:
            if table.unit == unit:
                counts = pc.equal(stored[f"{column}_edition"], table.edition)
                nothing = pa.scalar(None, pa.int64())
                part |= {"stored": pc.if_else(counts, stored[column], nothing)}
                part |= {"stored_unknown": pc.if_else(counts, stored[f"{column}_unknown"], nothing)}
        parts.append(pa.table(part).select(COMPARED.names).cast(COMPARED))
    found = pa.concat_tables(parts)
    _insist_equal(build, found)
    rank = pa.array(np.repeat(np.arange(len(tables)), stored.num_rows))
    order = [(name, "ascending") for name in ("theme", "nominal", "rank")]
    return Breakdown(
        breakdown, found.append_column("rank", rank).sort_by(order).select(COMPARED.names).combine_chunks()
    )


def _matched(wanted: pa.Table, held: pa.Table) -> pa.Array:
    """Where in `held` the theme and person of each row of `wanted` are; null where they are not."""
    ours, theirs = (
        pc.binary_join_element_wise(table["theme"], table["nominal"], "\x1f").combine_chunks()
        for table in (wanted, held)
    )
    return pc.index_in(ours, value_set=theirs)


def _insist_equal(build: str, found: pa.Table) -> None:
    whole = found.filter(pc.equal(found["computed_with_erased"], 0))
    unpriced = pc.add(whole["unknown"], whole["expired"])
    for what, ours, theirs in (
        ("harm", whole["harm"], whole["stored"]),
        ("records without a weight", unpriced, whole["stored_unknown"]),
        ("records out of view", whole["gone"], pa.array([0] * whole.num_rows, pa.int64())),
    ):
        if pc.any(pc.fill_null(pc.not_equal(ours, theirs), False)).as_py():
            worse = pc.index(pc.fill_null(pc.not_equal(ours, theirs), False), True).as_py()
            raise Tampered(
                f"harm of build {build} does not come about as it was stored: {what} by edition "
                f"{whole['edition'][worse]} in {whole['theme'][worse]}, found {ours[worse]}, stored {theirs[worse]}"
            )


def read(path: Path, edition: str, sha256: str = "", unit: str = DAYS) -> HarmTable:
    """The CSV file `path` (offence_code, offence, days or weight, expired) as `edition`.

    The third column is called `days` in a table of days and `weight` in one of severity points. `expired` is `yes` or
    empty. `sha256` is the pinned digest of the file, "" where none is. Raises Missing, Malformed with the line at
    fault, or Tampered when the file is not the pinned one.
    """
    wanted = columns(unit)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Missing(f"harm table is missing: edition {edition}, wanted {path.name}") from error
    digest = hashlib.sha256(data).hexdigest()
    if sha256 not in ("", digest):
        raise Tampered(f"harm table is not the pinned one: edition {edition}, {path.name} is {digest}, pinned {sha256}")
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Malformed(f"harm table is not CSV in UTF-8: {path.name}: {error}") from error
    if not lines or tuple(lines[0][1]) != wanted:
        found = ", ".join(lines[0][1]) if lines else "an empty file"
        raise Malformed(f"harm table has the wrong columns: {path.name}: found {found}, wanted {', '.join(wanted)}")
    weighed: dict[str, tuple[str, int, bool]] = {}
    for line, cells in lines[1:]:
        at = f"{path.name}, line {line}"
        if len(cells) != len(wanted):
            raise Malformed(f"harm table row is torn: {at}: found {len(cells)} cells, wanted {len(wanted)}")
        code, offence, weight, expired = cells
        if not code or code != code.strip():
            raise Malformed(f"harm table code is empty or padded: {at}: found {code!r}")
        if code in weighed:
            raise Malformed(f"harm table code stands twice: {at}: found {code}")
        named, most = UNITS[unit]
        if not _WHOLE.fullmatch(weight) or int(weight) > most:
            whole = "whole days" if unit == DAYS else "whole numbers"
            raise Malformed(f"harm table {named} are not {whole} from 0 to {most}: {at}: found {weight!r}")
        if expired not in ("", "yes"):
            raise Malformed(f"harm table expired is yes or empty: {at}: found {expired!r}")
        weighed[code] = (offence, int(weight), expired == "yes")
    codes = sorted(weighed)
    cells = list(zip(*(weighed[code] for code in codes), strict=True)) or [[], [], []]
    return HarmTable(edition, digest, pa.table([codes, *map(list, cells)], schema=SCHEMA), unit, data)
