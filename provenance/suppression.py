"""Counts that leave the archive, so that no two tables of them tell who was disposed of in between.

One rule for every count, in the order in which it is applied; `least` is the force's least count (params, suppression):

1. What is told is a multiple of `least`: the nearest one, and 0 for every count below `least`, which reads "under 5".
   Each cell stands for itself, totals among them: nothing told is a sum of things not told.
2. What an earlier report told is told again while the count is within `least` of it, so that a step says that at least
   so many came or went.
3. What was disposed of, or restricted, since a figure was first told is reckoned as if it might all have been in the
   cell, or none of it: unless the figure would be given up in either case, it stays. So no disposal moves a figure;
   what moves it is what else happened. This ends where `CROWD` times `least` people have gone since: then the step is
   of so many that it tells of none of them.

To hide a second cell beside a small one, as tables of one census do, was tried for places and tells by its choice which
cell is small (0013). Noise that is drawn for each cell and report averages out over fifty-two of them.

A total beside its parts is told so that no part that is too small to tell can be worked out from it more closely: it
is moved to the nearest figure from which none can (`total_told`), by what is told of the parts alone, so that no
disposal moves it either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

CROWD = 4
Cell = tuple[str, str, str]  # table, row, column


@dataclass(frozen=True, slots=True)
class Told:
    """A figure as a report told it, and when it was first told so."""

    value: int  # a multiple of the least count; 0: fewer than that
    build: int  # number of the build that it was of then
    disposals: int  # how many there had been
    people: int  # disposed of by then
    hidden: int  # things of the kind in that build which were restricted then


@dataclass(frozen=True, slots=True)
class Since:
    """What has gone since a figure was first told."""

    things: int  # of those that the figure could have counted: disposed of, or restricted then or now
    people: int  # disposed of


def tell(count: int, earlier: Iterable[Told], since: Callable[[Told], Since], least: int, now: Told) -> Told:
    """What is told of a cell that has `count`: the first of the `earlier` figures that must stay, or a new one.

    `earlier` is the cell in every report that was issued, the nearest build first; `now` says of what a new figure is
    first told, its value is not read.
    """
    for told in earlier:
        if _stays(told, count, since(told), least):
            return told
    return Told(nearest(count, least), now.build, now.disposals, now.people, now.hidden)


def nearest(count: int, least: int) -> int:
    """The nearest multiple of `least`, and 0 for every count below it: what is told of a count for the first time."""
    return (2 * count + least) // (2 * least) * least if count >= least else 0


def _stays(told: Told, count: int, gone: Since, least: int) -> bool:
    slack = 0 if gone.people >= CROWD * least else gone.things
    return abs(count - told.value) - slack < least


def table_told(
    cells: Mapping[str, int],
    earlier: Iterable[Mapping[str, Told]],
    since: Callable[[Told], Since],
    least: int,
    now: Told,
) -> dict[str, Told]:
    """Every cell of a table, by its name: those that it has, and those that an earlier report gave it (0 now)."""
    before = list(earlier)
    names = sorted({*cells, *(name for told in before for name in told)})
    return {
        name: tell(cells.get(name, 0), (told[name] for told in before if name in told), since, least, now)
        for name in names
    }


@dataclass(frozen=True, slots=True)
class Sum:
    """A cell that is the sum of others. `rest`: a reader knows that there are further parts, which no cell tells."""

    total: Cell
    parts: tuple[Cell, ...]
    rest: bool = False


def total_told(value: int, sums: Sequence[Sum], told: Mapping[Cell, int], least: int) -> int | None:
    """What is told of a total that would by itself be told as `value`: the nearest figure from which no part could be
    worked out, by any of the ways in which it is the sum of others. None where there is no such figure.

    `told` has the parts that are told. They are taken for no further from their counts than a first figure is: who has
    older figures knows less. The answer may be off by `least` more than another figure.
    """
    if not value:
        return value
    spans = [_safe(each, told, least) for each in sums]
    lowest = max([least, *(low for low, _ in spans)])
    highest = min([high for _, high in spans if high is not None], default=None)
    if highest is not None and highest < lowest:
        return None
    return max(value, lowest) if highest is None else min(max(value, lowest), highest)


def _safe(each: Sum, told: Mapping[Cell, int], least: int) -> tuple[int, int | None]:
    """The least and the greatest figure of a total that say no more of any part than is told of it; None: there is no
    greatest. Of a small part no more than that it is from nothing to `least` - 1; and, unless it is known that there
    are further parts, not that there are any."""
    spans = [_span(told.get(part, 0), least) for part in each.parts]
    low, high = (sum(ends) for ends in zip(*spans, strict=True)) if spans else (0, 0)
    small = any(not told.get(part) for part in each.parts)
    lowest = -(-(low + least - 1 - (least - 1) // 2) // least) * least if small else 0
    if each.rest:
        return lowest, None
    reach = high - (least - 1) * small  # a total of at least more than this tells that a small part is not nothing
    highest = (reach + least // 2) // least * least
    return lowest, highest if _span(highest, least)[0] <= reach else highest - least


def _span(value: int, least: int) -> tuple[int, int]:
    """The counts of which a first report tells `value`."""
    return (max(value - least // 2, least), value + (least - 1) // 2) if value else (0, least - 1)


def rule_in_words(least: int) -> str:
    """The rule as a report says it."""
    return (
        f"Numbers of people, records, links and networks are rounded to the nearest {least}. Those under {least} are "
        f"not shown. A number that an earlier report gave is repeated until it has moved by at least {least}. Where "
        "data about people was destroyed since, it is repeated until it would have moved without them, or until at "
        f"least {CROWD * least} people are gone. So two reports, laid side by side, do not tell who went between them. "
        "A total is moved a little where a number under "
        f"{least} could be worked out from it. So numbers need not add up."
    )
