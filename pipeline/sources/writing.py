"""An extract folder in the contract's form, the list of its invented cells beside it, and a note in plain English.

`extract.json` is written last, so a folder that was left half written is not an extract. Refuses to write over an
extract: a file of last time's among this time's would pass for data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from provenance import canonical, durable
from provenance.errors import Conflict, Malformed
from provenance.records import TABLES

INVENTED = ("system", "record_id", "column", "value")


@dataclass(frozen=True, slots=True)
class Extract:
    """One hand-over. Tables may lack columns of the contract, which are then empty; the order of rows is free."""

    name: str
    mode: str  # "full" of the systems it names, or "delta"
    cut_off: str
    systems: tuple[str, ...]
    tables: Mapping[str, pa.Table] = field(repr=False)
    invented: tuple[str, ...] = ()  # columns of `records` whose every filled cell comes from the overlay
    since: str = ""
    watermark: str = ""  # of a system without a record here, which is complete up to the same moment as before
    parquet: bool = False  # else CSV

    def __post_init__(self) -> None:
        unknown = set(self.tables) - set(TABLES)
        if unknown:
            raise Malformed(f"extract has tables outside the contract: found {', '.join(sorted(unknown))}")


def write(out: Path, extract: Extract) -> None:
    """Write `out`/<name>/ and `out`/<name>.overlay.csv. Raises Conflict when that extract is there already."""
    folder = out / extract.name
    if folder.exists():
        raise Conflict(f"extract is there already: {extract.name}, wanted a new or empty folder to write to")
    tables = {name: _conformed(name, table) for name, table in sorted(extract.tables.items())}
    suffix = "parquet" if extract.parquet else "csv"
    for name, table in tables.items():
        with durable.replacing(folder / f"{name}.{suffix}") as staged:
            if extract.parquet:
                pq.write_table(table, staged, compression="zstd")
            else:
                pa_csv.write_csv(table, staged)
    with durable.replacing(out / f"{extract.name}.overlay.csv") as staged:
        pa_csv.write_csv(_invented(tables["records"], extract.invented), staged)
    said = {"cut_off": extract.cut_off, "mode": extract.mode, "systems": _systems(extract, tables)}
    if extract.since:
        said["since"] = extract.since
    durable.write(folder / "extract.json", canonical.dumps(said) + b"\n")


def note(
    out: Path,
    title: str,
    *,
    seed: int,
    real: Sequence[str],
    invented: Sequence[str],
    read_as: Sequence[str],
    counts: Sequence[tuple[str, int]],
) -> None:
    """Write SOURCE-NOTE.md: what is real, what was invented, how the source was read, and the counts."""
    lines = [f"# {title}", "", "## Real", *(f"- {line}" for line in real), "", f"## Invented (overlay, seed {seed})"]
    lines += [f"- {line}" for line in invented] or ["- Nothing."]
    if invented:
        lines += [
            "",
            "Each invented cell is listed in the `.overlay.csv` beside its extract: system, record, column, value.",
        ]
    lines += ["", "## How the source was read", *(f"- {line}" for line in read_as)]
    lines += ["", "## Counts", "| what | number |", "|---|---:|"]
    lines += [f"| {what} | {number:,} |" for what, number in counts]
    durable.write(out / "SOURCE-NOTE.md", ("\n".join(lines) + "\n").encode())


def _conformed(name: str, table: pa.Table) -> pa.Table:
    """The contract's columns in its order, "" for what is not there, rows sorted."""
    schema = TABLES[name].schema
    empty = pa.array([""] * table.num_rows, pa.string())
    columns = [
        pc.fill_null(table[column].cast(pa.string()), "") if column in table.column_names else empty
        for column in schema.names
    ]
    order = TABLES[name].order + tuple(column for column in schema.names if column not in TABLES[name].order)
    return pa.table(columns, schema=schema).sort_by([(column, "ascending") for column in order]).combine_chunks()


def _invented(records: pa.Table, columns: tuple[str, ...]) -> pa.Table:
    schema = pa.schema([(column, pa.string()) for column in INVENTED])
    parts = [schema.empty_table()]
    for column in columns:
        filled = records.filter(pc.not_equal(records[column], ""))
        named = pa.array([column] * filled.num_rows, pa.string())
        parts.append(pa.table([filled["system"], filled["record_id"], named, filled[column]], schema=schema))
    return pa.concat_tables(parts).sort_by([(column, "ascending") for column in INVENTED])


def _systems(extract: Extract, tables: Mapping[str, pa.Table]) -> dict[str, dict[str, str | int]]:
    """Counted from the very tables that were written, so that the counts match the files."""
    said: dict[str, dict[str, str | int]] = {}
    for system in extract.systems:
        records, involvements = (
            table.filter(pc.equal(table["system"], system)) for table in (tables["records"], tables["involvements"])
        )
        said[system] = {
            "watermark": pc.max(records["recorded_at"]).as_py() or extract.watermark,
            "records": records.num_rows,
            "involvements": involvements.num_rows,
        }
    return said
