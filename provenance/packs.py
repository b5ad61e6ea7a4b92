"""The form of a pack: which files it has, and exactly what each line of its own two files may hold.

What is in no form is refused before it is believed: a field more or less, a count that is text, a file of a name that
no pack has. docs/reference.md, section "A pack", says what the fields mean.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

FORMAT = "provenance-pack/1"
_COUNT = r"(?:0|[1-9][0-9]{0,15})"
# What lies beside a proof looks proved, so nothing else may.
KNOWN = re.compile(
    r"pack\.json|rows\.jsonl|checkpoint|head|policy|statement\.json|heads\.txt|verify\.(html|py)|READ-ME-FIRST\.txt"
    rf"|log/{_COUNT}\.(entry|tlog-proof)|certificates/[0-9a-f]{{16}}\.json|heads/{_COUNT}\.add-checkpoint"
    r"|stamps/[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.(tsr|pem)"
)
_Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
_Index = Annotated[int, Field(ge=0, lt=2**53)]
_IndexOrNone = Annotated[int, Field(ge=-1, lt=2**53)]


def _in_calendar(instant: str) -> str:
    """Raises ValueError where there is no such moment."""
    if instant:
        datetime(*map(int, re.findall("[0-9]+", instant)))  # type: ignore[arg-type]
    return instant


_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"  # \d has the digits of every script
_Instant = Annotated[str, StringConstraints(pattern=f"^{_INSTANT}$"), AfterValidator(_in_calendar)]
_InstantOrNone = Annotated[str, StringConstraints(pattern=f"^({_INSTANT})?$"), AfterValidator(_in_calendar)]
_Figures, _Link = Literal["nominal", "network"], Literal["link"]


class _Form(BaseModel):
    """Exactly these fields, of exactly these kinds."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Place(_Form):
    index: _Index
    path: list[str]


class _Question(_Form):
    nominal: str
    person: str
    network: str
    theme: str
    case: str


class _Indexes(_Form):
    keys: list[_Index]
    built: _Index
    published: _IndexOrNone
    ended: _IndexOrNone
    certified: list[_Index]


class _Claim(_Form):
    theme: str
    nominal: _Hex
    links: list[_Hex]


class _NoClaim(_Form):
    theme: str
    why: str


class Said(_Form):
    """pack.json"""

    format: Literal["provenance-pack/1"]
    archive: str
    build: str
    number: _Index
    as_of: _InstantOrNone
    published_from: _InstantOrNone
    published_to: _InstantOrNone
    cut_off: _Instant
    root: _Hex
    question: _Question
    handling: str
    conditions: str
    caveat: str
    caveat_version: str
    made_on: _Instant
    disposed: dict[str, Any]
    entries: _Indexes
    complete: list[_Claim]
    incomplete: list[_NoClaim]


class _Shown(_Place):
    table: str
    entry: str


class _Marked(_Shown):
    table: _Figures
    computed_with_erased: Literal[True]


class _Heir(_Place):
    disposal: _Id
    leaf: _Hex


class _Disposed(_Place):
    table: _Link
    leaf: _Hex
    withheld: Literal["disposed"]
    disposal: _Id
    hole: _Place


class _Reduced(_Place):
    table: _Link
    leaf: _Hex
    withheld: Literal["reduced"]
    heirs: Annotated[list[_Heir], Field(min_length=1)]
    entry: str


class _Less(_Place):
    """Reduced by a restriction, which no certificate tells of."""

    table: _Link
    leaf: _Hex
    withheld: Literal["reduced"]
    heirs: Annotated[list[_Heir], Field(max_length=0)]


class _Restricted(_Place):
    table: _Link
    leaf: _Hex
    withheld: Literal["restricted"]


class _Hidden(_Place):
    table: _Figures
    leaf: _Hex
    withheld: Literal["figures"]


class _Sensitive(_Place):
    """Of unused material that is not on the schedule for the defence."""

    table: str
    leaf: _Hex
    withheld: Literal["sensitive"]


ROW: TypeAdapter[Any] = TypeAdapter(
    _Shown | _Marked | _Disposed | _Reduced | _Less | _Restricted | _Hidden | _Sensitive
)
