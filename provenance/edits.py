"""An edited copy of a row: what is struck out, by whom and why, and the leaf of the row that stays as it was (R29).

The copy has no salt. With the salt and the leaf, whoever holds the copy could try what the struck-out words may have
been; without it the leaf tells nothing, and still names the one row that the force has to produce if a court asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provenance.errors import Malformed

EDITED = "[edited]"


@dataclass(frozen=True, slots=True)
class Copy:
    """What may be disclosed of a row, and the log of its edits."""

    table: str
    unedited: str  # leaf of the row
    row: Mapping[str, Any]
    log: tuple[Mapping[str, str], ...]  # column, reason, by, on

    def as_json(self) -> dict[str, Any]:
        """For a pack."""
        return {
            "table": self.table, "unedited": self.unedited, "row": dict(self.row), "edits": list(map(dict, self.log)),
        }  # fmt: skip


def copied(table: str, leaf: str, row: Mapping[str, Any], struck: Mapping[str, str], *, on: str, by: str) -> Copy:
    """A copy of `row` without the columns in `struck`, each with its reason; `supports.grade` is of every support.

    Raises Malformed for a column that the row does not have, and for an edit without a reason.
    """
    left: dict[str, Any] = {name: dict(value) if isinstance(value, dict) else value for name, value in row.items()}
    log = []
    for column, reason in sorted(struck.items()):
        if not reason.strip():
            raise Malformed(f"edit of column {column} has no reason: wanted one")
        outer, _, inner = column.partition(".")
        within = left.get(outer) if inner else left
        if not isinstance(within, dict) or (inner or outer) not in within:
            raise Malformed(f"row of table {table} says nothing in column {column}: wanted one of {_columns(row)}")
        value = within[inner or outer]
        if isinstance(value, dict):
            raise Malformed(f"column {column} has columns of its own: wanted one of {_columns(row)}")
        within[inner or outer] = [EDITED] * len(value) if inner else EDITED
        log.append({"column": column, "reason": reason, "by": by, "on": on})
    if not log:
        raise Malformed("edited copy has no edits: wanted a column and a reason")
    return Copy(table, leaf, left, tuple(log))


def _columns(row: Mapping[str, Any]) -> str:
    inner = (f"{name}.{each}" for name, value in row.items() if isinstance(value, dict) for each in value)
    return ", ".join(sorted([*(name for name, value in row.items() if not isinstance(value, dict)), *inner]))
