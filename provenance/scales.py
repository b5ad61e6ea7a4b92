"""Round numbers for axes, months for dates, and classes for counts: integers in, integers out, each rule sayable.

Nothing is drawn here. A class is told by its bounds, so that whoever reads a legend can say which class a number is in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date

from provenance.errors import Malformed


def ticks(low: int, high: int, most: int = 6) -> list[int]:
    """At most `most` + 1 multiples of 1, 2 or 5 times a power of ten, from not above `low` to not below `high`.

    The finest step that does. Requires low <= high and most >= 2, for around nothing no one step would do.
    """
    if low > high:
        raise Malformed(f"scale is upside down: found {low} to {high}, wanted the lower end first")
    step, factors = 1, (2, 5, 10)
    while (first := low // step) + most < (last := -(-high // step)):
        at = len(str(step)) - 1
        step = next(factor * 10**at for factor in factors if factor * 10**at > step)
    return [count * step for count in range(first, max(last, first + 1) + 1)]


def months(first: date, last: date, most: int = 8) -> list[date]:
    """First days of months from `first` to `last`, every 1, 2, 3, 6 or 12 months or some years, at most `most` of them.

    Whatever the step, counted from a January, so that a longer chart has some of the ticks of a shorter one.
    """
    start = first.year * 12 + first.month - (1 if first.day == 1 else 0)
    stop = last.year * 12 + last.month - 1
    step = next(step for step in _MONTHS if stop // step - (start - 1) // step <= most)
    return [date(at // 12, at % 12 + 1, 1) for at in range(-(-start // step) * step, stop + 1, step)]


_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 12000)


def classes(values: Iterable[int], most: int = 5) -> list[int]:
    """Upper bounds of at most `most` classes of the values above 0, as equally filled as whole classes can be.

    A value lies in the first class whose bound is not below it. Equal values lie in one class, so there may be fewer.
    Bounds are values that occur. The last is the largest value; none, when no value is above 0.
    """
    above = sorted(value for value in values if value > 0)
    bounds = {above[-(-len(above) * part // most) - 1] for part in range(1, most + 1)} if above else set()
    return sorted(bounds)


def class_of(value: int, bounds: list[int]) -> int:
    """From 1; 0 for what is not above 0; the last class for what is above its bound."""
    return 0 if value <= 0 else min(bisect_left(bounds, value) + 1, len(bounds))


def bins(values: Iterable[int], most: int = 12) -> list[tuple[int, int, int]]:
    """(from, up to but not including, how many) for equal steps over all values, empty steps among them."""
    found = sorted(values)
    if not found:
        return []
    edges = ticks(found[0], found[-1] + 1, most)
    at = [bisect_left(found, edge) for edge in edges]
    return [(low, high, b - a) for low, high, a, b in zip(edges, edges[1:], at, at[1:], strict=False)]
