"""St. Louis: 829 people in 551 crimes with their roles, and nothing else; everything but who and how is invented.

Refuses a role that the data set's description does not have.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc

from pipeline.sources import Step, connect, count, load
from pipeline.sources.overlay import Overlay
from pipeline.sources.writing import Extract, note, write
from provenance import moments
from provenance.errors import Malformed

SYSTEMS = {"STLOUIS": ("crime",)}

# Roles as published, and the involvement rows that each stands for: "Victim Suspect" is one person in two roles.
_ROLES = {"Suspect": ["suspect"], "Victim": ["victim"], "Witness": ["witness"], "Victim Suspect": ["suspect", "victim"]}

# Home Office recorded-crime codes (classification of 2018), the MOPI group that goes with the offence (1 homicide, 2
# other serious violence and robbery, 3 the rest; a project rule) and how many in a hundred records have it.
_OFFENCES = {
    "1/4.1/4.10/4.2": ("1", 2), "5D": ("2", 10), "8N": ("2", 33), "34B": ("2", 15), "105A": ("3", 20), "58D": ("3", 8),
    "28E": ("3", 6), "92D": ("3", 6),
}  # fmt: skip
_AREAS = {f"STL-{number:02d}": 1 for number in range(1, 13)}
_DAYS_LATE = {"0": 70, "1": 15, "3": 10, "30": 5}  # from the event to the record
_INVENTED = ("occurred_at", "recorded_at", "offence_code", "themes", "place", "mopi_group")


def adapt(source: Path, out: Path, *, seed: int, step: Step) -> None:
    """Write one full extract, `stlouis_crime`."""
    step("Reading the involvements")
    connection, overlay = connect(), Overlay("stlouis_crime", seed)
    load(connection, "raw", source / "involvements.csv", ("person_id", "crime_id", "role", "person_sex_code"))
    meant = ", ".join(f"'{role}': {roles}" for role, roles in _ROLES.items())
    if strange := count(connection, f"SELECT count(*) FROM raw WHERE role NOT IN {tuple(_ROLES)} OR role IS NULL"):
        raise Malformed(f"source has roles that are not described: {strange} rows, wanted one of {', '.join(_ROLES)}")
    step("Writing the extract")
    offences = overlay.choose("offence_code", {code: share for code, (_, share) in _OFFENCES.items()})
    groups = " ".join(f"WHEN '{code}' THEN '{group}'" for code, (group, _) in _OFFENCES.items())
    records = connection.sql(f"""
        SELECT 'STLOUIS' AS system, record_id, 'crime' AS kind, day::TEXT AS occurred_at,
            london_day(day + {overlay.choose("recorded_at", _DAYS_LATE)}::INTEGER) AS recorded_at,
            offence AS offence_code, 'SOC' AS themes, {overlay.choose("place", _AREAS)} AS place,
            CASE offence {groups} END AS mopi_group
        FROM (SELECT *, DATE '1990-01-01' + {overlay.draw("occurred_at", 2191)} AS day, {offences} AS offence
              FROM (SELECT DISTINCT 'STL-' || crime_id AS record_id FROM raw))""").to_arrow_table()
    involvements = connection.sql(f"""
        SELECT DISTINCT 'STLOUIS' AS system, 'STL-' || crime_id AS record_id, 'STL-P' || person_id AS nominal_id,
            unnest(MAP {{{meant}}}[role]) AS role FROM raw""").to_arrow_table()
    nominals = connection.sql(
        "SELECT 'STL-P' || person_id AS nominal_id, min(person_sex_code) AS sex FROM raw GROUP BY person_id"
    ).to_arrow_table()
    tables = {"records": records, "involvements": involvements, "nominals": nominals}
    last = moments.parse(pc.max(records["recorded_at"]).as_py()).astimezone(moments.LONDON)
    cut_off = moments.utc(moments.day(last.date().isoformat())[1])  # the midnight after the last invented day
    write(out, Extract("stlouis_crime", "full", cut_off, tuple(SYSTEMS), tables, _INVENTED))
    note(
        out,
        "St. Louis crimes (KONECT moreno_crime)",
        seed=seed,
        real=[
            "Which person was in which crime, and as what: suspect, victim, witness.",
            "The sex code, 1 or 0 as published; the publisher gives no key to it.",
        ],
        invented=[
            "When it happened (1990 to 1995) and when it was recorded, up to thirty days later.",
            "The offence (a Home Office code) and, by the offence, the MOPI group.",
            "The area, one of twelve. The theme: SOC for every record.",
        ],
        read_as=[
            "A person published as both victim and suspect of a crime has two involvements in it.",
            "No names, dates of birth or grades: the source has none, and crimes need no grade.",
        ],
        counts=[
            ("rows read", count(connection, "SELECT count(*) FROM raw")),
            ("rows left out", 0),
            ("people", nominals.num_rows),
            ("records", records.num_rows),
            ("involvements", involvements.num_rows),
        ],
    )
