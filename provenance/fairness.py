"""Whether people of one group are linked, ranked or counted more than others: shares, and how far chance could go.

Pure rules over counts, which may be rounded. A rate is held against the rate of everybody; what differs is named, not
explained: records show where police have looked, and a rate that differs is a question to the force. Whole numbers, per
mille.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import ndtri

from provenance.errors import Malformed

CHARACTERISTICS = ("sex", "ethnicity", "age_band", "area")
NOT_RECORDED = "not recorded"
AGES = ((0, 9), (10, 17), (18, 24), (25, 34), (35, 49), (50, 64), (65, 120))  # from and to, both included
CONFIDENCE = 95  # percent
_Z = float(ndtri(0.5 + CONFIDENCE / 200))
_EXACT = 1e-9  # so that 1000 per mille, which comes out a hair off, is not rounded outwards past itself

# Of whom each rate is told, and among whom: columns of the tables of groups.
RATES: Mapping[str, str] = {"offending": "recorded", "linked": "recorded", "key": "linked", "harmed": "linked"}


@dataclass(frozen=True, slots=True)
class Rate:
    """A share and the interval in which it may lie by chance, per mille; None where there are too few to tell."""

    of: int
    among: int
    rate: int | None
    low: int | None
    high: int | None

    def against(self, all_: Rate) -> str:
        """How it stands to the rate of everybody."""
        if self.rate is None or all_.rate is None:
            return "too few to say"
        if self.low > all_.high:
            return "higher"
        if self.high < all_.low:
            return "lower"
        return "no clear difference"


def rate(of: int, among: int, off_by: int = 0) -> Rate:
    """The share of two counts as they are told, and the interval of all that they may stand for: each may be off by
    `off_by`, and then there is chance. From the least of the Wilson intervals at CONFIDENCE to the greatest, rounded
    outwards. Raises Malformed for counts below 0.

    Rounded counts may have a few more `of` than `among`; the share is then of all. Where either is 0, as every count is
    told that is too small to tell, there is no share.
    """
    if of < 0 or among < 0 or off_by < 0:
        raise Malformed(f"share of a group is not one: found {of} of {among}, off by {off_by}, wanted counts")
    if not of or not among:
        return Rate(of, among, None, None, None)
    part = min(of, among)
    low, _ = _wilson(max(part - off_by, 0), among + off_by)
    fewest = max(among - off_by, 1)
    _, high = _wilson(min(of + off_by, fewest), fewest)
    low, high = math.floor(1000 * low + _EXACT), math.ceil(1000 * high - _EXACT)
    return Rate(of, among, (2000 * part + among) // (2 * among), low, high)


def _wilson(part: int, among: int) -> tuple[float, float]:
    """The interval of a share of exact counts. Its lower end falls with fewer of them and among more, and its upper end
    rises with more of them and among fewer: so the two ends of a span of counts are those of its corners."""
    share, square = part / among, _Z * _Z
    middle = share + square / (2 * among)
    half = _Z * math.sqrt(share * (1 - share) / among + square / (4 * among * among))
    low, high = ((middle + sign * half) / (1 + square / among) for sign in (-1, 1))
    return min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)


def age_band(born: str, day: str) -> str:
    """The band of somebody born on `born` on `day` (dates, YYYY-MM-DD); NOT_RECORDED where no date was recorded."""
    if len(born) != 10:
        return NOT_RECORDED
    age = int(day[:4]) - int(born[:4]) - (day[5:10] < born[5:10])
    for first, last in AGES:
        if first <= age <= last:
            return f"{first} to {last}" if last < 120 else f"{first} and over"
    return NOT_RECORDED


AGE_BANDS = (*(f"{first} to {last}" if last < 120 else f"{first} and over" for first, last in AGES), NOT_RECORDED)
