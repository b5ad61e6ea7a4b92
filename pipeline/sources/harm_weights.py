"""Days of custody per offence code, from the Cambridge index by offence group: a harm table in the product's form.

Refuses an offence group that has no weight and is not known to be closed: a code must never weigh nothing in silence.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv as pa_csv

from pipeline.sources import Step, connect, count, load
from pipeline.sources.writing import note
from provenance import durable
from provenance.errors import Malformed

SYSTEMS: dict[str, tuple[str, ...]] = {}  # a harm table is no record
FILE = "cchi-2026-subgroup.csv"

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
_CLOSED = "Fraud offences to 2012/13"  # no longer recorded by the police, and not in the weights


def adapt(source: Path, out: Path, *, seed: int, step: Step) -> None:
    """Write the harm table `cchi-2026-subgroup.csv`. The seed goes unused: nothing is invented."""
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
