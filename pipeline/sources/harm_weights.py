"""A harm table in the product's form: days per code from the Cambridge index, or points from a table of weights.

The Cambridge index comes by offence group. Refuses a group that has no weight and is not known to be closed: a code
must never weigh nothing in silence. Any other table comes as a file `severity_weights.csv`, a row per code; the
weights of the ONS Crime Severity Score would come so, and were not at hand when this was written.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv as pa_csv

from pipeline.sources import Step, connect, count, load
from pipeline.sources.writing import note
from provenance import durable, harm
from provenance.errors import Malformed

SYSTEMS: dict[str, tuple[str, ...]] = {}  # a harm table is no record
FILE = "cchi-2026-subgroup.csv"
WEIGHTS, SEVERITY_FILE = "severity_weights.csv", "severity.csv"  # read, and written

# The code list is of 2018, the weights of 2026: groups that were renamed in between, old name to new. Domestic and
# non-domestic burglary became residential and non-residential (SOURCE.md of the data set); the three vehicle groups are
# one in the weights.
_RENAMED = {
    "Rape": "Rape offences",
    "Harassment": "Stalking and harassment",
    "Domestic burglary": "Residential burglary",
    "Non-domestic burglary": "Non-residential burglary",
    "Theft from a vehicle": "Vehicle offences",
    "Theft of a motor vehicle": "Vehicle offences",
    "Vehicle interference": "Vehicle offences",
}
# These codes stand under violence with injury in 2018 and in a group of their own in 2026. Both groups weigh the same
# today; named here so that it stays right when they no longer do.
_UNLAWFUL_DRIVING = ("37.1", "4.4", "4.6", "4.8", "4.9")
_NUMBER = r"regexp_full_match(weight, '[0-9]{1,6}(\.[0-9]{1,3})?')"
_CLOSED = "Fraud offences to 2012/13"  # no longer recorded by the police, and not in the weights


def adapt(source: Path, out: Path, *, seed: int, step: Step) -> None:
    """Write the harm table `cchi-2026-subgroup.csv`, or `severity.csv` where the folder holds `severity_weights.csv`.

    The seed goes unused: nothing is invented.
    """
    if (source / WEIGHTS).exists():
        _points(source, out, seed, step)
    else:
        _days(source, out, seed, step)


def _points(source: Path, out: Path, seed: int, step: Step) -> None:
    """A table of severity points, from offence_code, offence, weight (a decimal number) and expired (yes or empty)."""
    step("Reading weights")
    connection = connect()
    load(connection, "weights", source / WEIGHTS, ("offence_code", "offence", "weight", "expired"))
    wrong = "SELECT count(*) FROM weights WHERE "
    for fault, wanted, rows in (
        ("rows without a code", "a code in each", "offence_code IS NULL"),
        (
            "weights that are no number from 0 up",
            "such as 7979 or 2.5",
            f"NOT coalesce({_NUMBER}, expired = 'yes', false)",
        ),
        ("expired marks", "yes or empty", "expired <> 'yes'"),
    ):
        if found := count(connection, wrong + rows):
            raise Malformed(f"{WEIGHTS} has {fault} that cannot be read: found {found}, wanted {wanted}")
    if found := count(connection, "SELECT count(*) - count(DISTINCT offence_code) FROM weights"):
        raise Malformed(f"{WEIGHTS} has codes that stand twice: found {found}, wanted each code once")
    weight = "coalesce(weight, '0')::DECIMAL(12, 3)"
    table = connection.sql(f"""
        SELECT offence_code, coalesce(offence, '') AS offence, round({weight})::BIGINT AS weight,
            coalesce(expired, '') AS expired
        FROM weights ORDER BY offence_code""").to_arrow_table()
    with durable.replacing(out / SEVERITY_FILE) as staged:
        pa_csv.write_csv(table, staged)
    harm.read(out / SEVERITY_FILE, "imported", unit=harm.SEVERITY)  # or the archive would refuse it later
    note(
        out,
        "Severity weights",
        seed=seed,
        real=["Offence codes, their names and weights, as the file has them; where that came from is for you to say."],
        invented=[],
        read_as=["Whole points, half a point rounded up. Not days: never added to a table of days."],
        counts=[
            ("codes", table.num_rows),
            ("codes expired", count(connection, "SELECT count(*) FROM weights WHERE expired = 'yes'")),
            ("weights rounded", count(connection, f"SELECT count(*) FROM weights WHERE {weight} <> round({weight})")),
        ],
    )


def _days(source: Path, out: Path, seed: int, step: Step) -> None:
    step("Joining codes and weights")
    connection = connect()
    load(
        connection,
        "codes",
        source / "home_office_offence_codes_2018.csv",
        ("offence_subgroup", "offence_code", "offence"),
    )
    load(connection, "weights", source / "cchi_weights_by_subgroup.csv", ("prc_subgroup", "cchi_days"))
    renamed = " ".join(f"WHEN '{old}' THEN '{new}'" for old, new in _RENAMED.items())
    connection.execute(f"""
        CREATE TABLE priced AS
        SELECT c.*, w.cchi_days::DECIMAL(9, 2) AS days, offence_subgroup = '{_CLOSED}' AS closed
        FROM (SELECT *, CASE WHEN offence_code IN {_UNLAWFUL_DRIVING} THEN 'Death or serious injury - unlawful driving'
                ELSE CASE offence_subgroup {renamed} ELSE offence_subgroup END END AS prc_subgroup FROM codes) c
        LEFT JOIN weights w USING (prc_subgroup)""")
    if bare := count(connection, "SELECT count(*) FROM priced WHERE days IS NULL AND NOT closed"):
        raise Malformed(f"offence codes without a weight: found {bare}, wanted one for each code that is still in use")
    # `round` on a decimal takes halves away from zero: 273.5 days become 274.
    table = connection.sql("""
        SELECT offence_code, offence, coalesce(round(days)::BIGINT, 0) AS days,
            CASE WHEN closed THEN 'yes' ELSE '' END AS expired
        FROM priced ORDER BY offence_code""").to_arrow_table()
    with durable.replacing(out / FILE) as staged:
        pa_csv.write_csv(table, staged)
    rounded = connection.sql("""
        SELECT prc_subgroup, days::TEXT, round(days)::BIGINT::TEXT FROM priced WHERE days <> round(days)
        GROUP BY ALL ORDER BY ALL""").fetchall()
    note(
        out,
        "Harm weights (Cambridge Crime Harm Index 2026, by offence subgroup)",
        seed=seed,
        real=[
            "Offence codes and their names (2018). Days per offence subgroup: a median, not the weight of each offence."
        ],
        invented=[],
        read_as=[
            "Whole days, half a day rounded up: "
            + "; ".join(f"{group} {days} to {whole}" for group, days, whole in rounded)
            + ".",
            "Renamed since 2018: " + "; ".join(f"{old} is {new}" for old, new in _RENAMED.items()) + ".",
            f"Codes {', '.join(_UNLAWFUL_DRIVING)} take the weight of death or serious injury by unlawful driving.",
            "Fraud codes closed after 2012/13 have no weight: marked expired, with 0 days.",
            "Some other codes are 'outcome only' too; they keep the weight of their subgroup.",
        ],
        counts=[
            ("codes", table.num_rows),
            ("codes expired", count(connection, "SELECT count(*) FROM priced WHERE closed")),
            ("subgroups with a weight", count(connection, "SELECT count(*) FROM weights")),
            ("subgroups used", count(connection, "SELECT count(DISTINCT prc_subgroup) FROM priced WHERE NOT closed")),
        ],
    )
