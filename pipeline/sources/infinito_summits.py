"""Operation Infinito: 47 dated meetings watched by the police, who came, and how sure the source was of each date.

Refuses an attendance at a meeting that is not listed, since it would be a record without a date.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.sources import Step, connect, count, load
from pipeline.sources.overlay import MOPI_SHARES, Overlay
from pipeline.sources.writing import Extract, note, write
from provenance.errors import Malformed

SYSTEMS = {"INFINITO": ("intelligence",)}
CUT_OFF = "2009-11-01T00:00:00Z"  # the day after the last meeting

_INVENTED = (
    "themes", "grade_scheme", "source_grade", "assessment_grade", "handling", "conditions", "mopi_group",
)  # fmt: skip
_CONDITION = "Ask the originator before passing this on"


def adapt(source: Path, out: Path, *, seed: int, step: Step) -> None:
    """Write one full extract, `infinito_summits`; a backfill cuts it by week, since each record has its real date."""
    step("Reading the meetings")
    connection, overlay = connect(), Overlay("infinito_summits", seed)
    load(connection, "events", source / "events.csv", ("event_id", "date", "date_flag"))
    load(connection, "attendance", source / "attendance.csv", ("person_id", "event_id"))
    if strays := count(connection, "SELECT count(*) FROM attendance ANTI JOIN events USING (event_id)"):
        raise Malformed(f"source names meetings that it does not list: {strays} attendances, wanted all in events.csv")
    step("Writing the extract")
    records = connection.sql(f"""
        SELECT 'INFINITO' AS system, record_id, 'intelligence' AS kind, date AS occurred_at,
            london_day(date) AS recorded_at, 'SOC' AS themes, '3x5x2' AS grade_scheme, '1' AS source_grade,
            CASE date_flag WHEN '?' THEN 'C' ELSE {overlay.choose("assessment_grade", {"A": 2, "B": 1})} END
                AS assessment_grade,
            handling, CASE handling WHEN 'C' THEN '{_CONDITION}' END AS conditions,
            {overlay.choose("mopi_group", MOPI_SHARES)} AS mopi_group
        FROM (SELECT *, {overlay.choose("handling", {"P": 3, "C": 1})} AS handling
              FROM (SELECT 'INF-' || event_id AS record_id, date, coalesce(date_flag, '') AS date_flag FROM events))
    """).to_arrow_table()
    involvements = connection.sql("""
        SELECT DISTINCT 'INFINITO' AS system, 'INF-' || event_id AS record_id, 'INF-' || person_id AS nominal_id,
            'associate' AS role FROM attendance""").to_arrow_table()
    nominals = connection.sql("SELECT DISTINCT 'INF-' || person_id AS nominal_id FROM attendance").to_arrow_table()
    tables = {"records": records, "involvements": involvements, "nominals": nominals}
    write(out, Extract("infinito_summits", "full", CUT_OFF, tuple(SYSTEMS), tables, _INVENTED))
    note(
        out,
        "Meetings of Operation Infinito (covert networks collection)",
        seed=seed,
        real=[
            "Who was at which meeting, and the day of each meeting.",
            "The source's own doubt about a date (its question mark), which decides the assessment C.",
        ],
        invented=[
            "The grade: 3x5x2, source 1, assessment A or B, and C where the source doubts the date.",
            "The handling code, P or C, and the condition that C states. The MOPI group. The theme: SOC.",
        ],
        read_as=[
            "A meeting is recorded on the day it took place: the source has no other date.",
            "The venue is a description, not an area code, so the place is left empty.",
            "Everyone present is an associate; the source does not say what anyone did.",
        ],
        counts=[
            ("meetings read", records.num_rows),
            ("attendances read", count(connection, "SELECT count(*) FROM attendance")),
            ("rows left out", 0),
            ("people", nominals.num_rows),
            ("involvements", involvements.num_rows),
        ],
    )
