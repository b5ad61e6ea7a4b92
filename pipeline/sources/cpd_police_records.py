"""Chicago: three systems about the same people, and one register as five releases told it differently.

`together` gives each record once, with everyone whom any release names in it. `separate` gives what was handed over
each time: what is added, corrected, dropped and expunged between releases is real, and so are the changes of identity
in 2018. Nobody is linked by guesswork: a row without the publisher's person identifier is left out and counted.

The people stand in for nominals only. Most are police officers named in complaints, many of them unfounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sources import Step, connect, count, load
from pipeline.sources.overlay import MOPI_SHARES, Overlay
from pipeline.sources.writing import Extract, note, write
from provenance import moments
from provenance.errors import Malformed
from provenance.records import SPLIT, TABLES

COMPLAINTS, FORCE, CIVIL = "CPD-COMPLAINTS", "CPD-FORCE", "CPD-CIVIL"
SYSTEMS = {COMPLAINTS: ("crime",), FORCE: ("custody",), CIVIL: ("intelligence",)}

_ZONE = "America/Chicago"
_CONDITION = "Ask the originator before passing this on"
_PUBLISHER = "Invisible Institute"
_INVENTED = {
    COMPLAINTS: ("themes", "mopi_group"),
    FORCE: ("themes", "mopi_group"),
    CIVIL: ("themes", "mopi_group", "grade_scheme", "source_grade", "assessment_grade", "handling", "conditions"),
}
_ATTRIBUTES = ("incident", "complaint", "beat", "category", "status")  # of a complaint, as the releases state them
_PRESENT, _EARLIER = "'UID-' || uid", "earlier_id"  # the identifier of a person, in a query over who is named


@dataclass(frozen=True, slots=True)
class Release:
    """One hand-over, on `day`. Only the redirect states its day; of the others, the last of the month stands for it."""

    name: str
    day: str

    @property
    def said_at(self) -> str:
        return moments.utc(moments.day(self.day)[0])

    @property
    def cut_off(self) -> str:
        """The midnight that ends the day."""
        return moments.utc(moments.day(self.day)[1])


FORCE_RELEASE = Release("2016-09", "2016-09-30")
CIVIL_RELEASE = Release("2017-01", "2017-01-31")
REDIRECT = Release("2018-06", "2018-06-01")
COMPLAINT_RELEASES = (  # in the order of hand-over; the second covers an earlier period than the first
    Release("2016-11", "2016-11-30"),
    Release("2016-12", "2016-12-31"),
    Release("2018-03", "2018-03-31"),
    Release("2020-07", "2020-07-31"),
    Release("2022-09", "2022-09-30"),
)

_FOLDERS = {
    "2016-11": "complaints_release_2016-11_scope_2000-2016",
    "2016-12": "complaints_release_2016-12_scope_1967-1999",
    "2018-03": "complaints_release_2018-03_scope_2000-2018",
    "2020-07": "complaints_release_2020-07_scope_2000-2020",
    "2022-09": "complaints_release_2022-09_scope_2000-2022",
}

# What each release states about a complaint: file, and its columns for the incident day, the day of the complaint, the
# beat, the category and the status. Accused and witness files repeat some of it, and for 2,305 complaints whose
# witnesses the release of 2018-03 names it has nothing else.
_STATED = (
    ("2016-11", "complaints", ("incident_date", "complaint_date", "beat", None, None)),
    ("2016-11", "accused", (None, None, None, "complaint_category", None)),
    ("2016-12", "complaints", ("incident_date", "complaint_date", "incident_beat", None, "complaint_status")),
    ("2016-12", "accused", (None, None, None, "complaint_category", None)),
    (
        "2018-03",
        "complaints",
        (
            "incident_start_date",
            "complaint_date",
            "incident_beat",
            "current_complaint_category_code",
            "current_complaint_status",
        ),
    ),
    ("2018-03", "police_witnesses", (None, "complaint_date", None, None, None)),
    ("2020-07", "complaints", ("incident_date", "complaint_date", "beat", None, "current_status")),
    ("2022-09", "complaints", ("incident_date", "complaint_date", "beat", "category_code", "current_status")),
)
# Whom each release names: file, role, and whether the file carries the identifier of the earlier person matching.
_NAMED = (
    ("2016-11", "accused", "suspect", True),
    ("2016-11", "police_witnesses", "witness", False),
    ("2016-12", "accused", "suspect", False),
    ("2018-03", "accused", "suspect", False),
    ("2018-03", "police_witnesses", "witness", False),
)


def adapt(source: Path, out: Path, *, seed: int, step: Step, releases: str) -> None:
    """Write the extracts in the way that `releases` says: `together` or `separate`."""
    if releases not in ("together", "separate"):
        raise Malformed(f"no such way to read the releases: found {releases}, wanted together or separate")
    connection, overlay = connect(), Overlay("cpd_police_records", seed)
    step("Reading the releases")
    _load(connection, source)
    _identities(connection)
    _complaint_rows(connection)
    if releases == "together":
        counts = _together(connection, out, overlay, step)
    else:
        counts = _separate(connection, out, overlay, step)
    note(
        out,
        f"Chicago police records, releases {releases}",
        seed=seed,
        real=[
            "Who is named in which complaint, use-of-force encounter and settled case, and as what.",
            "Dates, beats, complaint categories, statutes and statuses; sex; who was certainly under 18 or an adult.",
            "What changed between releases, and which identifiers of the earlier person matching became which.",
        ],
        invented=[
            "The theme: SOC for every record. The MOPI group.",
            "For settled cases, the grade (3x5x2, source 1, assessment A to C), the handling code and its condition.",
        ],
        read_as=[*_READ_AS, *(_READ_AS_TOGETHER if releases == "together" else _READ_AS_SEPARATE)],
        counts=counts,
    )


_READ_AS = (
    "A complaint (`CR-`) is a crime record: accused officers are its suspects, police witnesses its witnesses. Victims,"
    " complainants and civilian witnesses have no identifier, so they are not in the extracts.",
    "An encounter (`TRR-E`, the register's event number) is one custody record with all its officers (role other) and"
    " the people they used force on, so that all who met, meet. Its date is that of its first report. Some event"
    " numbers gather reports of many days; they are kept as the register has them.",
    "The person force was used on is `arrested` where a charge is listed for the report, else `subject`.",
    "A settled case (`CIV-`) is an intelligence record; every officer named in it is an associate. Its location is a"
    " street address, not an area code, and is left out.",
    "Times of use-of-force reports are Chicago time, turned into UTC. Complaints have days only: two of the five"
    " releases give no hour.",
    "A complaint is recorded on the day it was made; an encounter when it was reported; a settled case on the day of"
    " the release. Where the source has no incident date, or one before 1900 or after the release, the day of recording"
    " stands for it. Incident dates after the complaint are the register's own errors and are kept.",
    "Where a release gives several values for one complaint, the one already held stands, else the least.",
    "A beat that is 0, or anything but a number with at most one letter, is left empty. Categories are written `CPD-`,"
    " statutes `ILCS-`, so that none matches a Home Office code by chance. Of several, the least stands.",
    "A complaint with no identified officer is left out: a record needs somebody in it.",
)
_READ_AS_TOGETHER = (
    "Each complaint is as the last release that knows it says, a blank never replacing a value, and names everyone whom"
    " any release names. A complaint whose last status is DELETED keeps that text and still counts here.",
    "Identifiers are the present ones, `UID-`. Expunged complaints are in no other release and so not here at all.",
    "All extracts have one cut-off, the end of the last release's month, and may be received in any order or singly.",
)
_READ_AS_SEPARATE = (
    "A release states only its month: its last day stands for it, and the cut-off is the midnight after.",
    "The first release of each system is full, later ones are deltas: absence from a release is not deletion, since"
    " releases differ in scope. Each restates every complaint it lists whose people are known by then.",
    "Accused and police witnesses are separate statements. Where a release identifies an accused of a complaint, its"
    " accused replace the earlier ones; where it identifies none, the earlier ones stand. The same for its witnesses."
    " So a person whom the release names no longer is dropped, and one on whom it is silent is not.",
    "The release of 2018-03 names witnesses of some complaints that it does not list. Its witness file then gives the"
    " day of the complaint, which may differ from the day held.",
    "Releases of 2020-07 and 2022-09 name nobody: they correct dates, beats and statuses of complaints whose people are"
    " known. A blank is a release that lacks the field, not a correction.",
    "Status EXPUNGED becomes a disposal of the record, status DELETED the status `withdrawn`.",
    "Before June 2018 people carry the identifier of the person matching then in force, `V0-`, where they had one, in"
    " all files alike; after it, `UID-`. The extract of 2018-06 merges the one into the other, with no records.",
    "Two earlier identifiers (2862, 11724) were each split into two people. Until 2018-06 these people have their"
    " present identifiers, merged into the earlier one by the extract of 2016-11; that of 2018-06 splits them again.",
    "Merges are given for identifiers that some extract uses, and for every identifier that was absorbed by another.",
)


def _load(connection: duckdb.DuckDBPyConnection, source: Path) -> None:
    """Every file as a table; those of the complaint releases are named `complaints_2016_11` and so on."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for release, file, columns in _STATED:
        wanted.setdefault((release, file), {"cr_id"}).update(column for column in columns if column)
    for release, file, _, earlier in _NAMED:
        wanted.setdefault((release, file), {"cr_id"}).update({"UID", "old_UID"} if earlier else {"UID"})
    for (release, file), columns in wanted.items():
        load(connection, _table(file, release), source / _FOLDERS[release] / f"{file}.csv.gz", tuple(sorted(columns)))
    force = source / "use_of_force_release_2016-09"
    load(connection, "reports", force / "reports.csv.gz", ("trr_id", "trr_date", "trr_time", "beat"))
    load(connection, "officers", force / "officers.csv.gz", ("trr_id", "UID", "old_UID"))
    load(
        connection, "subjects", force / "subjects.csv.gz", ("trr_id", "event_id", "subject_ID", "gender", "birth_year")
    )
    load(connection, "charges", force / "charges.csv.gz", ("trr_id", "statute"))
    civil = source / "settlements_release_2017-01"
    load(connection, "settlements", civil / "case_officers.csv.gz", ("case_id", "incident_date", "UID"))
    load(connection, "profiles", source / "identity" / "officers.csv.gz", ("UID", "gender"))
    redirect = source / "identity" / "uid_redirect_v0_v2_2018-06-01.csv.gz"
    load(connection, "redirect", redirect, ("UID", "link_UID", "old_UID"))


def _table(file: str, release: str) -> str:
    return f"{file}_{release.replace('-', '_')}"


def _identities(connection: duckdb.DuckDBPyConnection) -> None:
    """The earlier identifier of each person, as macro `earlier(uid, old)`, and `persons`: everyone by every identifier.

    Of several earlier identifiers a person goes by the one that the publisher links to. Identifiers that were split
    name two people, so they are nobody's.
    """
    connection.execute("""
        CREATE TABLE divided AS
        SELECT old_UID FROM redirect WHERE old_UID IS NOT NULL GROUP BY old_UID HAVING count(DISTINCT UID) > 1""")
    connection.execute("""
        CREATE TABLE earlier_of AS
        SELECT UID, CASE WHEN bool_or(old_UID = link_UID) THEN any_value(link_UID)
                         WHEN count(*) = 1 THEN any_value(old_UID) END AS old_UID
        FROM redirect WHERE UID IS NOT NULL AND old_UID IS NOT NULL GROUP BY UID""")
    connection.execute("""
        CREATE MACRO earlier(uid, old) AS
        CASE WHEN old IS NULL OR old IN (SELECT old_UID FROM divided) THEN 'UID-' || uid ELSE 'V0-' || old END""")
    connection.execute("""
        CREATE TABLE persons AS
        SELECT nominal_id, min(CASE gender WHEN 'MALE' THEN 'M' WHEN 'FEMALE' THEN 'F' END) AS sex, '' AS is_child
        FROM (SELECT 'UID-' || UID AS nominal_id, gender FROM profiles
              UNION ALL
              SELECT 'V0-' || old_UID, gender FROM redirect JOIN profiles USING (UID) ANTI JOIN divided USING (old_UID))
        WHERE nominal_id IS NOT NULL GROUP BY nominal_id""")


def _complaint_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """All that the complaint releases say, as two tables: `stated` about complaints, `named` about people in them."""
    connection.execute("""
        CREATE MACRO usable(day, last) AS
        CASE WHEN try_cast(day AS DATE) BETWEEN DATE '1900-01-01' AND last::DATE THEN day END""")
    # 0211, 211 and 211.0 are one beat, and 0 is none.
    connection.execute(r"""
        CREATE MACRO beat_code(beat) AS
        'CPD-' || nullif(regexp_extract(beat, '^0*([1-9][0-9]*[A-Z]?)(\.0)?$', 1), '')""")
    parts = []
    for release, file, columns in _STATED:
        incident, complaint, beat, category, status = (column or "NULL::TEXT" for column in columns)
        day = next(r.day for r in COMPLAINT_RELEASES if r.name == release)
        parts.append(
            f"SELECT '{release}' AS release, cr_id, usable({incident}, '{day}') AS incident,"
            f" usable({complaint}, '{day}') AS complaint, beat_code({beat}) AS beat,"
            f" 'CPD-' || split_part({category}, '-', 1) AS category, {status} AS status"  # 05A, or 05A-ARRESTEE
            f" FROM {_table(file, release)} WHERE cr_id IS NOT NULL"
        )
    connection.execute(f"CREATE TABLE stated AS {' UNION ALL '.join(parts)}")
    parts = [
        f"SELECT '{release}' AS release, cr_id, '{role}' AS role, n.UID AS uid,"
        f" earlier(n.UID, {'coalesce(n.old_UID, e.old_UID)' if has_old else 'e.old_UID'}) AS earlier_id"
        f" FROM {_table(file, release)} n LEFT JOIN earlier_of e ON n.UID = e.UID"
        for release, file, role, has_old in _NAMED
    ]
    connection.execute(f"""
        CREATE TABLE named AS
        SELECT DISTINCT * FROM ({" UNION ALL ".join(parts)}) WHERE cr_id IS NOT NULL AND uid IS NOT NULL""")
    # What is held already stands where the release still gives it among others.
    connection.execute("""
        CREATE MACRO stands(held, said) AS
        CASE WHEN said IS NULL THEN held WHEN list_contains(said, held) THEN held ELSE said[1] END""")
    connection.execute(f"CREATE TABLE held (cr_id TEXT, {', '.join(f'{column} TEXT' for column in _ATTRIBUTES)})")
    connection.execute("CREATE TABLE people (cr_id TEXT, role TEXT, uid TEXT, earlier_id TEXT)")


def _hear(connection: duckdb.DuckDBPyConnection, release: Release) -> None:
    """Bring `held` and `people` up to what they are after `release`; table `said` lists its complaints."""
    values = ", ".join(
        f"list_sort(list(DISTINCT {column}) FILTER ({column} IS NOT NULL)) AS said_{column}" for column in _ATTRIBUTES
    )
    connection.execute(f"""
        CREATE OR REPLACE TABLE said AS
        SELECT cr_id, {values} FROM stated WHERE release = '{release.name}' GROUP BY cr_id
        HAVING NOT coalesce(bool_or(status = 'EXPUNGED'), false)""")
    connection.execute(f"""
        CREATE OR REPLACE TABLE held AS
        SELECT cr_id, {", ".join(f"stands({column}, said_{column}) AS {column}" for column in _ATTRIBUTES)}
        FROM held FULL JOIN said USING (cr_id)""")
    connection.execute(f"""
        CREATE OR REPLACE TABLE people AS
        WITH now AS (SELECT cr_id, role, uid, earlier_id FROM named WHERE release = '{release.name}')
        FROM people ANTI JOIN now USING (cr_id, role) UNION ALL FROM now""")


def _complaints(
    connection: duckdb.DuckDBPyConnection, overlay: Overlay, *, nominal: str, deleted: str
) -> dict[str, pa.Table]:
    """The complaints of `said` that have somebody in `people`; DELETED becomes the status `deleted`."""
    connection.execute("""
        CREATE OR REPLACE TABLE told AS
        SELECT *, 'CR-' || cr_id AS record_id
        FROM held SEMI JOIN said USING (cr_id) SEMI JOIN people USING (cr_id) WHERE complaint IS NOT NULL""")
    records = connection.sql(f"""
        SELECT '{COMPLAINTS}' AS system, record_id, 'crime' AS kind, coalesce(incident, complaint) AS occurred_at,
            london_day(complaint) AS recorded_at, category AS offence_code, 'SOC' AS themes, beat AS place,
            {overlay.choose("mopi_group", MOPI_SHARES)} AS mopi_group,
            CASE status WHEN 'DELETED' THEN '{deleted}' ELSE status END AS status
        FROM told""").to_arrow_table()
    involvements = connection.sql(f"""
        SELECT DISTINCT '{COMPLAINTS}' AS system, 'CR-' || cr_id AS record_id, {nominal} AS nominal_id, role
        FROM people SEMI JOIN told USING (cr_id)""").to_arrow_table()
    return {"records": records, "involvements": involvements, "nominals": _nominals(connection, involvements)}


def _encounters(connection: duckdb.DuckDBPyConnection, overlay: Overlay, *, nominal: str) -> dict[str, pa.Table]:
    connection.execute("""
        CREATE TABLE reported AS
        SELECT 'TRR-E' || event_id AS record_id, trr_id, 'SUBJ-' || subject_ID AS subject, gender, birth_year,
            try_cast(trr_date || ' ' || trr_time AS TIMESTAMP) AS local, beat_code(beat) AS beat,
            o.UID AS uid, earlier(o.UID, coalesce(o.old_UID, e.old_UID)) AS earlier_id, statute
        FROM subjects JOIN reports USING (trr_id) JOIN officers o USING (trr_id) LEFT JOIN earlier_of e ON o.UID = e.UID
        LEFT JOIN (SELECT trr_id, min(statute) AS statute FROM charges GROUP BY trr_id) USING (trr_id)""")
    connection.execute(f"""
        DELETE FROM reported
        WHERE local IS NULL OR local::DATE NOT BETWEEN DATE '1900-01-01' AND DATE '{FORCE_RELEASE.day}'""")
    records = connection.sql(f"""
        SELECT '{FORCE}' AS system, record_id, 'custody' AS kind, moment(min(local), '{_ZONE}') AS occurred_at,
            moment(min(local), '{_ZONE}') AS recorded_at, 'ILCS-' || min(statute) AS offence_code, 'SOC' AS themes,
            min_by(beat, (local, trr_id)) AS place, {overlay.choose("mopi_group", MOPI_SHARES)} AS mopi_group
        FROM reported GROUP BY record_id""").to_arrow_table()
    involvements = connection.sql(f"""
        SELECT DISTINCT '{FORCE}' AS system, record_id, {nominal} AS nominal_id, 'other' AS role
        FROM reported WHERE uid IS NOT NULL
        UNION ALL
        SELECT '{FORCE}', record_id, subject, CASE WHEN count(statute) > 0 THEN 'arrested' ELSE 'subject' END
        FROM reported GROUP BY record_id, subject""").to_arrow_table()
    # Only the year of birth is known: 17 years on, certainly a child; 19 years on, certainly an adult.
    connection.execute("""
        INSERT INTO persons
        SELECT subject, min(CASE gender WHEN 'MALE' THEN 'M' WHEN 'FEMALE' THEN 'F' END),
            CASE WHEN max(year(local) - birth_year::INTEGER) <= 17 THEN '1'
                 WHEN min(year(local) - birth_year::INTEGER) >= 19 THEN '0' END
        FROM reported GROUP BY subject""")
    return {"records": records, "involvements": involvements, "nominals": _nominals(connection, involvements)}


def _settlements(connection: duckdb.DuckDBPyConnection, overlay: Overlay, *, nominal: str) -> dict[str, pa.Table]:
    connection.execute(f"""
        CREATE TABLE settled AS
        SELECT 'CIV-' || case_id AS record_id, usable(incident_date, '{CIVIL_RELEASE.day}') AS incident,
            s.UID AS uid, earlier(s.UID, e.old_UID) AS earlier_id
        FROM settlements s LEFT JOIN earlier_of e ON s.UID = e.UID WHERE case_id IS NOT NULL AND s.UID IS NOT NULL""")
    handling = overlay.choose("handling", {"P": 3, "C": 1})
    records = connection.sql(f"""
        SELECT '{CIVIL}' AS system, record_id, 'intelligence' AS kind,
            coalesce(min(incident), '{CIVIL_RELEASE.day}') AS occurred_at, '{CIVIL_RELEASE.said_at}' AS recorded_at,
            'SOC' AS themes, '3x5x2' AS grade_scheme, '1' AS source_grade,
            {overlay.choose("assessment_grade", {"A": 1, "B": 2, "C": 1})} AS assessment_grade, {handling} AS handling,
            CASE {handling} WHEN 'C' THEN '{_CONDITION}' END AS conditions,
            {overlay.choose("mopi_group", MOPI_SHARES)} AS mopi_group
        FROM settled GROUP BY record_id""").to_arrow_table()
    involvements = connection.sql(f"""
        SELECT DISTINCT '{CIVIL}' AS system, record_id, {nominal} AS nominal_id, 'associate' AS role FROM settled
        """).to_arrow_table()
    return {"records": records, "involvements": involvements, "nominals": _nominals(connection, involvements)}


def _nominals(connection: duckdb.DuckDBPyConnection, naming: pa.Table) -> pa.Table:
    """A row for each `nominal_id` in the table."""
    return connection.sql(
        "SELECT DISTINCT nominal_id, sex, is_child FROM naming LEFT JOIN persons USING (nominal_id)"
    ).to_arrow_table()


def _together(connection: duckdb.DuckDBPyConnection, out: Path, overlay: Overlay, step: Step) -> list[tuple[str, int]]:
    """One full extract per system, all of one cut-off."""
    step("Complaints")
    for release in COMPLAINT_RELEASES:
        _hear(connection, release)
    connection.execute("CREATE OR REPLACE TABLE people AS SELECT DISTINCT cr_id, role, uid FROM named")
    connection.execute("CREATE OR REPLACE TABLE said AS SELECT cr_id FROM held")
    tables = {COMPLAINTS: _complaints(connection, overlay, nominal=_PRESENT, deleted="DELETED")}
    step("Use of force and settlements")
    tables[FORCE] = _encounters(connection, overlay, nominal=_PRESENT)
    tables[CIVIL] = _settlements(connection, overlay, nominal=_PRESENT)
    step("Writing the extracts")
    counts = _left_out(connection)
    for system, content in tables.items():
        extract = Extract(
            system.lower(), "full", COMPLAINT_RELEASES[-1].cut_off, (system,), content, _INVENTED[system], parquet=True
        )
        write(out, extract)
        counts += _sizes(extract)
    stood_in = "SELECT count(*) FROM told WHERE incident IS NULL"
    return [*counts, ("complaints whose incident date is the day of the complaint", count(connection, stood_in))]


def _separate(connection: duckdb.DuckDBPyConnection, out: Path, overlay: Overlay, step: Step) -> list[tuple[str, int]]:
    """One extract per release and system; their names sort in the order of hand-over."""
    step("Use of force and settlements")
    encounters = _encounters(connection, overlay, nominal=_EARLIER)
    settled = _settlements(connection, overlay, nominal=_EARLIER)
    extracts = [
        _handed_over(FORCE_RELEASE, FORCE, "force", encounters),
        _handed_over(CIVIL_RELEASE, CIVIL, "civil", settled),
    ]
    since = watermark = ""
    for release in sorted((*COMPLAINT_RELEASES, REDIRECT), key=lambda release: release.day):
        step(f"Complaints, release {release.name}")
        if release is REDIRECT:
            tables, what = _identity_tables(connection), "identity"
        else:
            _hear(connection, release)
            nominal = _EARLIER if release.day < REDIRECT.day else _PRESENT
            tables, what = _complaints(connection, overlay, nominal=nominal, deleted="withdrawn"), "complaints"
            watermark = pc.max(tables["records"]["recorded_at"]).as_py()
            if not since:
                tables["merges"] = _divided_before(connection, release)
                tables["nominals"] = _with_merged(connection, tables)
            if (expunged := _expunged(connection, release)).num_rows:
                tables["disposals"] = expunged
        extracts.append(_handed_over(release, COMPLAINTS, what, tables, since, watermark))
        since = release.cut_off
    step("Writing the extracts")
    counts = _left_out(connection)
    for extract in sorted(extracts, key=lambda extract: extract.name):
        write(out, extract)
        counts += _sizes(extract)
    both = "SELECT count(*) FROM redirect WHERE UID IS NOT NULL AND old_UID IS NOT NULL"
    return [
        *counts,
        ("redirect: people new to it", count(connection, "SELECT count(*) FROM redirect WHERE old_UID IS NULL")),
        ("redirect: identifiers retired", count(connection, "SELECT count(*) FROM redirect WHERE UID IS NULL")),
        (
            "redirect: left out, an identifier that nobody in these releases has",
            count(connection, both) - count(connection, "SELECT count(*) FROM redirected"),
        ),
    ]


def _handed_over(
    release: Release, system: str, what: str, tables: dict[str, pa.Table], since: str = "", watermark: str = ""
) -> Extract:
    """The extract of one release: a delta upon the one of cut-off `since`, full where that is empty."""
    name, mode = f"{release.name}-{what}", "delta" if since else "full"
    return Extract(name, mode, release.cut_off, (system,), tables, _INVENTED[system], since, watermark, parquet=True)


def _expunged(connection: duckdb.DuckDBPyConnection, release: Release) -> pa.Table:
    """Disposals for the complaints that the release lists as EXPUNGED: identifiers without content, its tombstones."""
    return connection.sql(f"""
        SELECT DISTINCT 'record' AS what, '{COMPLAINTS}' AS system, 'CR-' || cr_id AS id,
            'Chicago Police Department register, release {release.name}: status EXPUNGED' AS authority,
            'expunged by the source before this release' AS reason, '{release.said_at}' AS at
        FROM stated WHERE release = '{release.name}' AND status = 'EXPUNGED'""").to_arrow_table()


def _identity_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
    """The redirect, with no records: who is who, and nothing that happened."""
    nothing = {name: TABLES[name].schema.empty_table() for name in ("records", "involvements")}
    tables = {**nothing, "merges": _redirected(connection)}
    return {**tables, "nominals": _with_merged(connection, tables)}


def _divided_before(connection: duckdb.DuckDBPyConnection, release: Release) -> pa.Table:
    """Whom the earlier person matching took for one: what the redirect of 2018 splits again."""
    return connection.sql(f"""
        SELECT 'UID-' || UID AS from_nominal, 'V0-' || old_UID AS into_nominal,
            'earlier person matching: one identifier for both' AS evidence, '{_PUBLISHER}' AS by,
            '{release.said_at}' AS at
        FROM redirect JOIN divided USING (old_UID)""").to_arrow_table()


def _redirected(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The redirect as judgements: earlier identifiers merged into present ones, and the divided ones split."""
    connection.execute("""
        CREATE TABLE redirected AS
        WITH used AS (SELECT earlier_id FROM named UNION FROM (SELECT earlier_id FROM reported)
            UNION FROM (SELECT earlier_id FROM settled)),
        absorbing AS (SELECT UID FROM redirect WHERE old_UID IS NOT NULL GROUP BY UID HAVING count(*) > 1)
        SELECT UID, old_UID, old_UID IN (SELECT old_UID FROM divided) AS split FROM redirect
        WHERE UID IS NOT NULL AND old_UID IS NOT NULL AND ('V0-' || old_UID IN (SELECT earlier_id FROM used)
            OR UID IN (SELECT UID FROM absorbing) OR old_UID IN (SELECT old_UID FROM divided))""")
    return connection.sql(f"""
        SELECT CASE WHEN split THEN 'UID-' || UID ELSE 'V0-' || old_UID END AS from_nominal,
            CASE WHEN split THEN 'split' ELSE 'UID-' || UID END AS into_nominal,
            'redirect table of 2018-06-01, earlier to present person matching' AS evidence, '{_PUBLISHER}' AS by,
            '{REDIRECT.said_at}' AS at
        FROM redirected""").to_arrow_table()


def _with_merged(connection: duckdb.DuckDBPyConnection, tables: dict[str, pa.Table]) -> pa.Table:
    """A row for each nominal of the involvements and at either end of a merge."""
    merges = tables["merges"]
    into = merges["into_nominal"].filter(pc.not_equal(merges["into_nominal"], SPLIT))
    columns = (tables["involvements"]["nominal_id"], merges["from_nominal"], into)
    every = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
    return _nominals(connection, pa.table({"nominal_id": every}))


def _left_out(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    """What the source has and no extract will."""
    unnamed = [(f"{file} of {release}", _table(file, release)) for release, file, _, _ in _NAMED]
    unnamed += [("officers of use-of-force reports", "officers"), ("settlements", "settlements")]
    known = "SELECT cr_id FROM stated WHERE status IS DISTINCT FROM 'EXPUNGED' GROUP BY cr_id"
    bare_cases = (
        "SELECT count(DISTINCT case_id) FROM settlements WHERE 'CIV-' || case_id NOT IN (SELECT record_id FROM settled)"
    )
    undated = (
        "SELECT count(DISTINCT cr_id) FROM named ANTI JOIN (FROM stated WHERE complaint IS NOT NULL) USING (cr_id)"
    )
    return [
        *(
            (
                f"rows left out, no person identifier: {what}",
                count(connection, f"SELECT count(*) FROM {table} WHERE UID IS NULL"),
            )
            for what, table in unnamed
        ),
        (
            "complaints left out, no identified officer in any release",
            count(connection, f"SELECT count(*) FROM ({known}) ANTI JOIN named USING (cr_id)"),
        ),
        ("complaints left out, no usable day of complaint", count(connection, undated)),
        ("settled cases left out, no identified officer", count(connection, bare_cases)),
        (
            "use-of-force reports left out, no usable time",
            count(connection, "SELECT count(*) FROM subjects ANTI JOIN reported USING (trr_id)"),
        ),
    ]


def _sizes(extract: Extract) -> list[tuple[str, int]]:
    return [(f"{extract.name}: {table}", content.num_rows) for table, content in extract.tables.items()]
