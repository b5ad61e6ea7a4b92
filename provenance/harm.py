"""What an offence weighs, in days, by one edition of one table; and which codes that edition does not price.

Refuses a weight that is not a whole number of days, is negative or stands twice, and a file other than the one pinned.
Half days are rounded by whoever imports a table, once, before it is pinned. A code that is unknown or expired has no
weight here: it is counted and flagged, and never looked up in another edition.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from provenance.errors import Malformed, Missing, Tampered

COLUMNS = ("offence_code", "offence", "days", "expired")
SCHEMA = pa.schema(
    [("offence_code", pa.string()), ("offence", pa.string()), ("days", pa.int64()), ("expired", pa.bool_())]
)
MOST_DAYS = 36_525  # a hundred years; more is a number that slid into the wrong column

_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class HarmTable:
    """One edition, in the order of its codes."""

    edition: str
    sha256: str  # of the file's bytes
    rows: pa.Table = field(repr=False)  # SCHEMA

    def __post_init__(self) -> None:
        if self.rows.schema != SCHEMA:
            raise Malformed(f"harm table has the wrong columns: found {self.rows.schema.names}, wanted {list(COLUMNS)}")


def read(path: Path, edition: str, sha256: str = "") -> HarmTable:
    """The CSV file `path` (offence_code, offence, days, expired) as `edition`.

    `expired` is `yes` or empty. `sha256` is the pinned digest of the file, "" where none is. Raises Missing, Malformed
    with the line at fault, or Tampered when the file is not the pinned one.
    """
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
    if not lines or tuple(lines[0][1]) != COLUMNS:
        found = ", ".join(lines[0][1]) if lines else "an empty file"
        raise Malformed(f"harm table has the wrong columns: {path.name}: found {found}, wanted {', '.join(COLUMNS)}")
    priced: dict[str, tuple[str, int, bool]] = {}
    for line, cells in lines[1:]:
        at = f"{path.name}, line {line}"
        if len(cells) != len(COLUMNS):
            raise Malformed(f"harm table row is torn: {at}: found {len(cells)} cells, wanted {len(COLUMNS)}")
        code, offence, days, expired = cells
        if not code or code != code.strip():
            raise Malformed(f"harm table code is empty or padded: {at}: found {code!r}")
        if code in priced:
            raise Malformed(f"harm table code stands twice: {at}: found {code}")
        if not _WHOLE.fullmatch(days) or int(days) > MOST_DAYS:
            raise Malformed(f"harm table days are not whole days from 0 to {MOST_DAYS}: {at}: found {days!r}")
        if expired not in ("", "yes"):
            raise Malformed(f"harm table expired is yes or empty: {at}: found {expired!r}")
        priced[code] = (offence, int(days), expired == "yes")
    codes = sorted(priced)
    columns = list(zip(*(priced[code] for code in codes), strict=True)) or [[], [], []]
    return HarmTable(edition, digest, pa.table([codes, *map(list, columns)], schema=SCHEMA))
