"""Real records in the contract's form: one adapter per research data set, each with its own way of being incomplete.

A published data set is read as it was supplied and never repaired in silence: what a row lacks comes from a seeded
overlay that is listed cell by cell beside the extract (`overlay.py`), what cannot be used is left out and counted in
SOURCE-NOTE.md. Refused: a source folder without one of its files, and a file without one of its columns.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb

from provenance.errors import Malformed, Missing

Step = Callable[[str], None]  # told what the adapter is about to do, in words for the person who waits


def connect() -> duckdb.DuckDBPyConnection:
    """DuckDB in memory that spills nothing to disk, with the two macros that every adapter writes its moments with.

    `moment(local, zone)` is the UTC form of a wall clock time somewhere; `london_day(day)` is 00:00 in London, which is
    what the contract means by a bare date.
    """
    connection = duckdb.connect(config={"temp_directory": ""})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "CREATE MACRO moment(local, zone) AS"
        " strftime(timezone(zone, local::TIMESTAMP) AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ')"
    )
    connection.execute("CREATE MACRO london_day(day) AS moment(day::DATE::TIMESTAMP, 'Europe/London')")
    return connection


def load(connection: duckdb.DuckDBPyConnection, name: str, path: Path, columns: tuple[str, ...]) -> None:
    """Read `columns` of one CSV file into table `name`, as text with spaces trimmed; an empty cell is NULL.

    Raises Missing without the file, Malformed when it is not such a file. DuckDB's own message is dropped, since it
    quotes rows.
    """
    where = f"{path.parent.name}/{path.name}"
    if not path.is_file():
        raise Missing(f"source file is missing: {where}, wanted as the data set supplies it")
    cells = ", ".join(f'nullif(trim("{column}"), \'\') AS "{column}"' for column in columns)
    try:
        connection.execute(
            f"CREATE TABLE {name} AS SELECT {cells} FROM"
            " read_csv($path, all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"')",
            {"path": str(path)},
        )
    except duckdb.Error:
        raise Malformed(
            f"source file is not in its form: {where}, wanted CSV with columns {', '.join(columns)}"
        ) from None


def count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one whole number that `query` gives."""
    return int(connection.sql(query).fetchall()[0][0])
