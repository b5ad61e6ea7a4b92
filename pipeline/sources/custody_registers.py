"""Custody as two registers and a list of jail stays show it: who was held, since when, and who was let out.

No two people share a record here, so these extracts make no links; they are for retention and for leaving a register.
Refuses nothing beyond the form of the files: a stay with impossible times loses its release, and that is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.sources import Step, connect, count, load
from pipeline.sources.overlay import MOPI_SHARES, Overlay
from pipeline.sources.writing import Extract, note, write

SYSTEMS = {"NYC-CUSTODY": ("custody",), "BROWARD-JAIL": ("custody", "prison_release")}

_INVENTED = ("themes", "mopi_group")
_ZONE = "America/New_York"  # of both New York and Broward County
_STILL_IN = "2020-01-01"  # Broward's placeholder for an out-time to come


@dataclass(frozen=True, slots=True)
class _Register:
    """One daily register. Its day is not published: the cut-off is the local midnight after its last admission."""

    name: str
    cut_off: str


_REGISTERS = (_Register("2017-06", "2017-06-25T04:00:00Z"), _Register("2021-02", "2021-02-11T05:00:00Z"))
_BROWARD_CUT_OFF = "2016-04-20T04:00:00Z"  # the local midnight after the last event


def adapt(source: Path, out: Path, *, seed: int, step: Step) -> None:
    """Write `nyc-2017-06`, `nyc-2021-02` and `broward-2016-04`, each a full extract of its system."""
    connection, overlay = connect(), Overlay("custody_registers", seed)
    counts = []
    for register in _REGISTERS:
        step(f"New York register {register.name}")
        counts += _new_york(connection, source, out, register, overlay)
    both = "SELECT count(DISTINCT INMATEID) FROM nyc_2017_06 SEMI JOIN nyc_2021_02 USING (INMATEID)"
    counts.append(("people in both New York registers", count(connection, both)))
    step("Broward County jail stays")
    counts += _broward(connection, source, out, overlay)
    note(
        out,
        "Custody registers (New York City, Broward County)",
        seed=seed,
        real=[
            "Who was in custody, admission and release times, charges, status codes, sex.",
            "Whether someone was under 18 when the register was made.",
        ],
        invented=["The MOPI group. The theme: SOC for every record."],
        read_as=[
            "One custody record per person and admission time; one person stands in the first register twice.",
            "Both New York extracts are full: whoever is absent from the second has left the register.",
            "A Broward stay gives a custody record and, by its out-time, a release record.",
            f"The out-time {_STILL_IN} is a placeholder for someone still inside, so it gives no release.",
            "An out-time before its in-time gives no release either: one is wrong, and which cannot be told.",
            "Times are local and were turned into UTC; later Broward stays have dates only.",
            "A record is recorded when it happens: neither source has another time.",
            "Charges stand as `NYPL-` (New York penal law section) or `FL-` (charge text), so that they match no Home"
            " Office code by chance.",
            "No two people share a case, so there are no links between people in these extracts.",
        ],
        counts=counts,
    )


def _new_york(
    connection: duckdb.DuckDBPyConnection, source: Path, out: Path, register: _Register, overlay: Overlay
) -> list[tuple[str, int]]:
    table = f"nyc_{register.name.replace('-', '_')}"
    path = source / f"nyc_custody_register_{register.name}.csv.gz"
    load(connection, table, path, ("INMATEID", "ADMITTED_DT", "GENDER", "AGE", "INMATE_STATUS_CODE", "TOP_CHARGE"))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE held AS
        SELECT *, 'NYC-' || INMATEID AS nominal_id, moment(admitted, '{_ZONE}') AS admission,
            'NYC-' || INMATEID || strftime(admitted, '-%Y%m%d%H%M%S') AS record_id
        FROM (SELECT *, try_cast(ADMITTED_DT AS TIMESTAMP) AS admitted FROM {table})
        WHERE admitted IS NOT NULL AND INMATEID IS NOT NULL""")
    # Where one admission stands in several rows the least values are taken: any rule that row order is not in.
    records = connection.sql(f"""
        SELECT 'NYC-CUSTODY' AS system, record_id, 'custody' AS kind, any_value(admission) AS occurred_at,
            any_value(admission) AS recorded_at, 'NYPL-' || min(TOP_CHARGE) AS offence_code, 'SOC' AS themes,
            {overlay.choose("mopi_group", MOPI_SHARES)} AS mopi_group, min(INMATE_STATUS_CODE) AS status
        FROM held GROUP BY record_id""").to_arrow_table()
    involvements = connection.sql(
        "SELECT DISTINCT 'NYC-CUSTODY' AS system, record_id, nominal_id, 'arrested' AS role FROM held"
    ).to_arrow_table()
    nominals = connection.sql("""
        SELECT nominal_id, min(GENDER) AS sex,
            CASE WHEN max(AGE::INTEGER) < 18 THEN '1' WHEN max(AGE::INTEGER) >= 18 THEN '0' END AS is_child
        FROM held GROUP BY nominal_id""").to_arrow_table()
    tables = {"records": records, "involvements": involvements, "nominals": nominals}
    write(out, Extract(f"nyc-{register.name}", "full", register.cut_off, ("NYC-CUSTODY",), tables, _INVENTED))
    read = count(connection, f"SELECT count(*) FROM {table}")
    return [
        (f"New York {register.name}: rows read", read),
        (
            f"New York {register.name}: rows left out, no admission time",
            read - count(connection, "SELECT count(*) FROM held"),
        ),
        (f"New York {register.name}: records", records.num_rows),
        (f"New York {register.name}: people", nominals.num_rows),
    ]


def _broward(connection: duckdb.DuckDBPyConnection, source: Path, out: Path, overlay: Overlay) -> list[tuple[str, int]]:
    load(
        connection,
        "broward",
        source / "broward_jail_episodes_2013-2016.csv.gz",
        (
            "person_id",
            "sex",
            "age",
            "c_jail_in",
            "c_jail_out",
            "c_charge_desc",
            "r_jail_in",
            "r_jail_out",
            "r_charge_desc",
        ),
    )
    connection.execute("""
        CREATE TABLE stays AS
        SELECT 'BSO-' || person_id AS nominal_id, 'BSO-' || person_id || '-C' AS stay, c_jail_in AS jail_in,
            c_jail_out AS jail_out, c_charge_desc AS charge FROM broward
        UNION ALL
        SELECT 'BSO-' || person_id, 'BSO-' || person_id || '-R', r_jail_in, r_jail_out, r_charge_desc FROM broward""")
    connection.execute("DELETE FROM stays WHERE try_cast(jail_in AS TIMESTAMP) IS NULL")
    still_in = f"starts_with(jail_out, '{_STILL_IN}')"
    reversed_ = f"NOT {still_in} AND try_cast(jail_out AS TIMESTAMP) < jail_in::TIMESTAMP"
    # A bare date stays one: the hour is not known, and midnight would look like knowledge.
    connection.execute(f"""
        CREATE TABLE happened AS
        SELECT stay || '-IN' AS record_id, 'custody' AS kind, 'arrested' AS role, nominal_id, charge, jail_in AS local
        FROM stays
        UNION ALL
        SELECT stay || '-OUT', 'prison_release', 'released', nominal_id, charge, jail_out
        FROM stays WHERE try_cast(jail_out AS TIMESTAMP) IS NOT NULL AND NOT ({still_in}) AND NOT ({reversed_})""")
    records = connection.sql(f"""
        SELECT 'BROWARD-JAIL' AS system, record_id, kind,
            CASE WHEN length(local) = 10 THEN local ELSE moment(local, '{_ZONE}') END AS occurred_at,
            moment(local, '{_ZONE}') AS recorded_at, 'FL-' || charge AS offence_code, 'SOC' AS themes,
            {overlay.choose("mopi_group", MOPI_SHARES)} AS mopi_group
        FROM happened""").to_arrow_table()
    involvements = connection.sql(
        "SELECT 'BROWARD-JAIL' AS system, record_id, nominal_id, role FROM happened"
    ).to_arrow_table()
    nominals: pa.Table = connection.sql("""
        SELECT 'BSO-' || person_id AS nominal_id, CASE sex WHEN 'Male' THEN 'M' WHEN 'Female' THEN 'F' END AS sex,
            CASE WHEN age::INTEGER >= 18 THEN '0' ELSE '1' END AS is_child
        FROM broward WHERE 'BSO-' || person_id IN (SELECT nominal_id FROM stays)""").to_arrow_table()
    tables = {"records": records, "involvements": involvements, "nominals": nominals}
    write(out, Extract("broward-2016-04", "full", _BROWARD_CUT_OFF, ("BROWARD-JAIL",), tables, _INVENTED))
    people = count(connection, "SELECT count(*) FROM broward")
    return [
        ("Broward: people read", people),
        ("Broward: people left out, no jail stay", people - nominals.num_rows),
        ("Broward: custody records", count(connection, "SELECT count(*) FROM happened WHERE kind = 'custody'")),
        ("Broward: release records", count(connection, "SELECT count(*) FROM happened WHERE kind = 'prison_release'")),
        ("Broward: stays still in", count(connection, f"SELECT count(*) FROM stays WHERE {still_in}")),
        (
            "Broward: releases left out, out before in",
            count(connection, f"SELECT count(*) FROM stays WHERE {reversed_}"),
        ),
    ]
