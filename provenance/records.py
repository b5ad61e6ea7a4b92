"""What the source systems may say: the five tables of an extract and the words that are admitted in them.

Values only, no file and no clock. A word that is not listed here is refused at the door (`extracts.py`), row by row;
which of the listed grades count towards a link is a matrix in `params.yaml`, not a fact of this module. Grades keep
the scheme they were recorded in: `E` is an untested source in 5x5x5 and a suspected falsehood in 3x5x2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa

KINDS = ("crime", "custody", "intelligence", "prison_release", "missing")
ROLES = (
    "suspect", "offender", "victim", "witness", "arrested", "released", "missing", "associate", "subject", "other",
)  # fmt: skip
THEMES = ("SOC", "CSE", "CL")  # serious and organised crime, child sexual exploitation, county lines
ASSESSED = ("fact", "assessment")
MOPI_GROUPS = ("1", "2", "3", "4")
DISPOSABLE = ("nominal", "record")
SPLIT = "split"  # as `into_nominal`: the merge of `from_nominal` is undone

MAX_ID = 200  # characters of an id; a longer one is a paragraph that slid into the wrong column
MAX_CELL = 10_000  # characters of any cell


@dataclass(frozen=True, slots=True)
class Scheme:
    """The codes that exist in one grading scheme, in the order of its form."""

    source: tuple[str, ...]
    assessment: tuple[str, ...]
    handling: tuple[str, ...]


SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        # Current. Source 1 reliable, 2 untested, 3 not reliable; assessment A known directly to E suspected false;
        # handling P lawful sharing permitted, C with conditions. College of Policing, APP Intelligence management.
        "3x5x2": Scheme(source=("1", "2", "3"), assessment=("A", "B", "C", "D", "E"), handling=("P", "C")),
        # Before it. Source A always reliable to D unreliable, E untested; intelligence 1 known to be true to 5 thought
        # false or malicious; handling 1 to 5. HMRC internal manual MLR3C14000, National Intelligence Model.
        "5x5x5": Scheme(
            source=("A", "B", "C", "D", "E"), assessment=("1", "2", "3", "4", "5"), handling=("1", "2", "3", "4", "5")
        ),
    }
)  # an ungraded record has the scheme "" and no codes


def _text(*columns: str) -> pa.Schema:  # every cell is text and never null: "" is an empty one
    return pa.schema([(column, pa.string()) for column in columns])


RECORDS = _text(
    "system", "record_id", "kind", "occurred_at", "recorded_at", "offence_code", "themes", "grade_scheme",
    "source_grade", "assessment_grade", "handling", "conditions", "place", "easting", "northing", "mopi_group",
    "status",
)  # fmt: skip
INVOLVEMENTS = _text("system", "record_id", "nominal_id", "role", "assessed")
NOMINALS = _text("nominal_id", "name", "born", "sex", "ethnicity", "is_child")
MERGES = _text("from_nominal", "into_nominal", "evidence", "by", "at")
DISPOSALS = _text("what", "system", "id", "authority", "reason", "at")


@dataclass(frozen=True, slots=True)
class Table:
    """One table of an extract. Every column of the schema is in the file; the cells in `filled` are never empty."""

    schema: pa.Schema
    filled: tuple[str, ...]
    order: tuple[str, ...]  # the canonical order of rows; the remaining columns break ties
    ids: tuple[str, ...]  # columns that name something: at most MAX_ID characters, no space at either end
    unique: tuple[str, ...] = ()  # these cells occur once; an exact repeat is one row, anything else contradicts
    required: bool = False  # the file must be in the extract


TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "records": Table(
            RECORDS,
            filled=("system", "record_id", "kind", "occurred_at", "recorded_at"),
            order=("system", "record_id"),
            ids=("system", "record_id"),
            unique=("system", "record_id"),
            required=True,
        ),
        "involvements": Table(
            INVOLVEMENTS,
            filled=("system", "record_id", "nominal_id", "role"),
            order=("system", "record_id", "nominal_id", "role"),
            ids=("system", "record_id", "nominal_id"),
            required=True,
        ),
        "nominals": Table(
            NOMINALS, filled=("nominal_id",), order=("nominal_id",), ids=("nominal_id",), unique=("nominal_id",)
        ),
        # In the order of events, so that replaying merges and splits from top to bottom is right.
        "merges": Table(
            MERGES,
            filled=("from_nominal", "into_nominal", "evidence", "by", "at"),
            order=("at", "from_nominal", "into_nominal"),
            ids=("from_nominal", "into_nominal"),
        ),
        # A disposal without authority is not one. `system` is filled for a record and empty for a nominal.
        "disposals": Table(
            DISPOSALS,
            filled=("what", "id", "authority", "at"),
            order=("at", "what", "system", "id"),
            ids=("system", "id"),
        ),
    }
)
