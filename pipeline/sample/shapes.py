"""The shapes that the sample shares with real sets, as plain tables and quantiles.

People per crime follow St. Louis (551 crimes: 1 to 18 people, mean 2.7); people per surveilled meeting follow the
Infinito summits (47 meetings: 4 to 25, mean 9.7); the delay from event to record follows the Chicago complaints
(median 1 day, 90 % within 22, 1 % over 611). The rest (groups, households, cells) is set by hand and is no finding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.sample.chance import Numbers, Reals, below
from pipeline.sample.words import CL, CSE, SOC

# Index = people in the record; weights per thousand.
CRIME_PEOPLE = (0, 260, 355, 172, 92, 52, 21, 15, 13, 6, 3, 2, 2, 3, 1, 1, 1, 1, 1)
CUSTODY_PEOPLE = (0, 780, 150, 50, 15, 5)
INTELLIGENCE_PEOPLE = (0, 240, 340, 200, 110, 50, 25, 15, 10, 6, 4)
RELEASE_PEOPLE = (0, 850, 110, 40)
MISSING_PEOPLE = (0, 450, 330, 150, 70)

KIND_WEIGHTS = (50, 16, 24, 4, 6)  # crime, custody, intelligence, prison release, missing
# Chance that the people of a record come from a group (or are a known lone offender), by kind.
GROUPED = (0.45, 0.80, 0.94, 0.85, 0.55)

SUMMITS = 0.03  # of the intelligence about organised groups: meetings, 4 to 25 people
CROWDS = 0.0004  # of the intelligence: lists of 34 to 60 people, beyond any sensible cap
STRANGERS = (0.08, 0.05, 0.07, 0.05, 0.05)  # of the grouped records, by kind: somebody of another group is there too
DUAL = 0.09  # of the suspects in crimes with two or more people: also a victim there (about 3 % of its people)


def meeting_people(u: Reals) -> Numbers:
    return 4 + below(u**2.6, 22)


def crowd_people(u: Reals) -> Numbers:
    return 34 + below(u, 27)


_DELAY_AT = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_DELAY_HOURS = np.log((0.2, 4.0, 24.0, 96.0, 22 * 24.0, 605 * 24.0, 2500 * 24.0))


def delay_seconds(u: Reals) -> Numbers:
    """From what happened to its being recorded, by interpolating the quantiles on a logarithmic scale."""
    return (np.exp(np.interp(u, _DELAY_AT, _DELAY_HOURS)) * 3600).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of group: how common, how large, what it is analysed for, and where it comes to notice."""

    name: str
    share: float  # of all groups
    least: int
    most: int
    skew: float  # 1 spreads sizes evenly; more makes large ones rarer
    themes: int  # a THEME_SETS index
    offending: int  # a row of OFFENCE_WEIGHTS
    exploited: float  # share of its members, at the far end of its numbers, who are used by the others: mostly children
    notice: tuple[float, float, float, float, float]  # relative activity by kind of record


SORTS = (
    Sort("lone offender", 0.36, 1, 1, 1.0, SOC, 0, 0.0, (1.0, 1.5, 0.6, 1.6, 0.5)),
    Sort("household", 0.33, 2, 5, 1.4, SOC, 0, 0.3, (1.3, 0.5, 0.3, 0.3, 2.0)),
    Sort("crew", 0.16, 3, 12, 2.2, SOC, 0, 0.0, (1.0, 1.2, 1.2, 1.0, 0.4)),
    Sort("gang", 0.06, 6, 40, 2.4, SOC | CL, 3, 0.1, (1.0, 1.2, 1.6, 1.3, 1.0)),
    Sort("county lines cell", 0.05, 5, 15, 1.5, CL, 1, 0.4, (0.8, 1.0, 1.8, 0.8, 6.0)),
    Sort("exploitation ring", 0.03, 4, 14, 1.6, CSE, 2, 0.5, (0.8, 0.6, 1.8, 0.6, 6.0)),
    Sort("organised crime group", 0.01, 8, 40, 1.4, SOC, 3, 0.0, (0.6, 0.8, 2.6, 1.2, 0.2)),
)
HOUSEHOLD = 1
MEETS = 2  # sorts from this one on hold meetings


def activity(u: Reals, size: Numbers) -> Reals:
    """How often a group comes to notice: by size, with a heavy tail (Pareto, exponent 1.67) cut at 12 times."""
    return size**0.8 * np.minimum((1.0 - u) ** -0.6, 12.0)
