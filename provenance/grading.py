"""What a grade says, in the scheme it was recorded in; and which handling a thing of many parts must have.

A code that the scheme does not have is refused. No grade is ever converted: `as_3x5x2` is a view for reading, made with
a versioned table that may answer `no_equivalent`, and its result cannot be taken for a grading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provenance.errors import Malformed, shape
from provenance.params import ViewConversion
from provenance.records import SCHEMES

if TYPE_CHECKING:
    import ibis.expr.types as ir

CONDITIONS_JOINED = "; "


@dataclass(frozen=True, slots=True)
class Grading:
    """One grade, as entered by the person who graded it. Equal only within one scheme (R11)."""

    scheme: str
    source: str
    assessment: str
    handling: str
    conditions: str = ""

    def __post_init__(self) -> None:
        scheme = SCHEMES.get(self.scheme)
        if scheme is None:
            raise Malformed(f"grading scheme is unknown: found {shape(self.scheme)}, wanted {' or '.join(SCHEMES)}")
        for axis in ("source", "assessment", "handling"):
            code, codes = getattr(self, axis), getattr(scheme, axis)
            if code not in codes:
                raise Malformed(
                    f"grading code is unknown: {self.scheme} {axis} is one of {', '.join(codes)}, found {shape(code)}"
                )
        if self.scheme == "3x5x2" and (self.handling == "C") != bool(self.conditions):
            raise Malformed("handling code C states its conditions, and P has none")

    @property
    def as_recorded(self) -> str:
        """Source, assessment and handling as police write them: `1AP`, `B22`. Meaningless without the scheme."""
        return self.source + self.assessment + self.handling


@dataclass(frozen=True, slots=True)
class View:
    """How a grade would look in 3x5x2. Not a Grading: `source` and `assessment` may be `no_equivalent`."""

    source: str
    assessment: str
    handling: str
    conditions: str
    version: str  # of the conversion table; "" when the grade was recorded in 3x5x2


def as_3x5x2(grading: Grading, table: ViewConversion) -> View:
    """`grading` for a reader who knows only 3x5x2. For screens; nothing is stored, counted or admitted by it."""
    if grading.scheme == "3x5x2":
        return View(grading.source, grading.assessment, grading.handling, grading.conditions, "")
    stated = {table.conditions.get(grading.handling, ""), grading.conditions} - {""}
    return View(
        table.source[grading.source],
        table.assessment[grading.assessment],
        table.handling[grading.handling],
        CONDITIONS_JOINED.join(sorted(stated)),
        table.version,
    )


def strictest(parts: Iterable[tuple[str, str]], order: Sequence[str]) -> tuple[str, str]:
    """Handling code and conditions of what rests on `parts`, each (code, conditions) as recorded (R13).

    `order` is `params.grading.handling_order`; no code at all is less strict than any. Conditions are free text, so
    each part's is kept whole: identical ones once, sorted, joined with `; `. Give it the records' own conditions, never
    an earlier answer of this function, or one condition is listed twice.
    """
    rank, conditions = 0, set()
    ranks = {"": 0} | {code: place for place, code in enumerate(order, start=1)}
    for code, stated in parts:
        if code not in ranks:
            raise Malformed(f"handling code is unknown: found {shape(code)}, wanted one of {', '.join(order)}")
        rank = max(rank, ranks[code])
        conditions.add(stated)
    return ("", *order)[rank], CONDITIONS_JOINED.join(sorted(conditions - {""}))


def strictest_handling(handling: ir.StringColumn, order: Sequence[str]) -> ir.StringScalar:
    """`strictest` in bulk, as an aggregate: the code. A code that `order` lacks counts as the strictest, never less."""
    ranks = [("", 0), *((code, place) for place, code in enumerate(order, start=1))]
    worst = handling.cases(*ranks, else_=len(order)).max()
    return worst.cases(*((place, code) for code, place in ranks), else_=order[-1])


def all_conditions(conditions: ir.StringColumn) -> ir.StringScalar:
    """`strictest` in bulk, as an aggregate: the conditions."""
    import ibis  # half a second, which who only reads a grade need not wait

    stated = conditions.collect(where=conditions != "", distinct=True).sort()
    return ibis.coalesce(stated.join(CONDITIONS_JOINED), "")
