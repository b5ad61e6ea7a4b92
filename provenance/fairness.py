"""Whether people of one group are linked, ranked or counted more than others: shares, and how far chance could go.

Pure rules over counts. A rate is held against the rate of everybody; what differs is named, not explained: records show
where police have looked, and a rate that differs is a question to the force. Whole numbers, per mille.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import ndtri

from provenance.errors import Malformed

CHARACTERISTICS = ("sex", "ethnicity", "age band", "area")
NOT_RECORDED = "not recorded"
AGES = ((0, 9), (10, 17), (18, 24), (25, 34), (35, 49), (50, 64), (65, 120))  # from and to, both included
CONFIDENCE = 95  # percent
_Z = float(ndtri(0.5 + CONFIDENCE / 200))
_EXACT = 1e-9  # so that 1000 per mille, which comes out a hair off, is not rounded outwards past itself

# What each rate is a share of: (of whom it is told, among whom).
RATES: Mapping[str, tuple[str, str]] = {
    "offending in a source record": ("offending", "recorded"),
    "linked": ("linked", "recorded"),
    "key nominal": ("key", "linked"),
    "with harm": ("harmed", "linked"),
}


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


def rate(of: int, among: int) -> Rate:
    """The share with its Wilson interval at CONFIDENCE, rounded outwards. Raises Malformed for counts below 0.

    Rounded counts may have a few more `of` than `among`; the share is then of all. Where either is 0, as every count is
    told that is too small to tell, there is no share.
    """
    if of < 0 or among < 0:
        raise Malformed(f"share of a group is not one: found {of} of {among}, wanted counts")
    if not of or not among:
        return Rate(of, among, None, None, None)
    part = min(of, among)
    share, square = part / among, _Z * _Z
    middle = share + square / (2 * among)
    half = _Z * math.sqrt(share * (1 - share) / among + square / (4 * among * among))
    bounds = ((middle + sign * half) / (1 + square / among) for sign in (-1, 1))
    low, high = (min(max(bound, 0.0), 1.0) * 1000 for bound in bounds)
    low, high = math.floor(low + _EXACT), math.ceil(high - _EXACT)
    return Rate(of, among, (2000 * part + among) // (2 * among), low, high)


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
