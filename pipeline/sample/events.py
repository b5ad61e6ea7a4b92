"""What happened: blocks of records with the people in them, drawn as codes and written as the contract's text.

A block depends on the plan and its first record's number alone. No record is without people, and nobody has the same
role twice in one record. The blocks of the first week open with a walk through every grade, handling code, offence and
set of themes, so that the smallest force holds them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sample import shapes, words
from pipeline.sample.chance import Flags, Numbers, Reals, Stream, below, generator, pick
from pipeline.sample.people import Groups, digits, nominal_id, text
from pipeline.sample.plan import CONNECT_LIVE, Plan
from provenance.records import ASSESSED, INVOLVEMENTS, KINDS, RECORDS, ROLES, SCHEMES

CRIME, CUSTODY, INTELLIGENCE, RELEASE, MISSING = (
    KINDS.index(kind) for kind in ("crime", "custody", "intelligence", "prison_release", "missing")
)
SUSPECT, OFFENDER, VICTIM, WITNESS, ARRESTED, RELEASED, MISSED, ASSOCIATE, SUBJECT, OTHER = (
    ROLES.index(role)
    for role in (
        "suspect", "offender", "victim", "witness", "arrested", "released", "missing", "associate", "subject", "other"
    )
)  # fmt: skip
SCHEME_NAMES = ("", "3x5x2", "5x5x5")
UNGRADED, THREE, FIVE = range(3)
_SOURCES, _ASSESSMENTS, _HANDLING = (
    tuple(("", *getattr(SCHEMES[name], part)) if name else ("",) for name in SCHEME_NAMES)
    for part in ("source", "assessment", "handling")
)
# Weights of the codes, in the order of the scheme.
_SOURCE_WEIGHTS = {THREE: (62, 33, 5), FIVE: (24, 46, 10, 3, 17)}
_ASSESSMENT_WEIGHTS = {THREE: (40, 22, 20, 15, 3), FIVE: (22, 28, 22, 25, 3)}
_HANDLING_WEIGHTS = {THREE: (78, 22), FIVE: (70, 10, 4, 8, 8)}
OF_INVOLVEMENTS = frozenset(("row", "person", "role", "assessed"))  # these of a Batch's fields; the rest are of records
_PERSON_BITS = 23  # people are fewer than 2**23, so that (row, person) fits one integer


@dataclass(frozen=True, slots=True)
class Batch:
    """Records and their involvements as codes. `row` is the place of an involvement's record, ascending."""

    number: Numbers
    system: Numbers
    kind: Numbers
    occurred: Numbers  # seconds since 1970
    dated: Flags  # the day is known, the hour is not
    recorded: Numbers
    offence: Numbers
    themes: Numbers
    scheme: Numbers
    source: Numbers  # grade codes count from 1 in the order of the scheme; 0 is none
    assessment: Numbers
    handling: Numbers
    conditions: Numbers
    place: Numbers
    easting: Numbers
    northing: Numbers
    mopi: Numbers
    status: Numbers
    row: Numbers
    person: Numbers
    role: Numbers
    assessed: Numbers

    def __len__(self) -> int:
        return len(self.number)

    def only(self, chosen: Flags) -> Batch:
        """The chosen records with all their involvements."""
        place = np.cumsum(chosen) - 1
        kept = chosen[self.row]
        cut = {f.name: getattr(self, f.name)[kept if f.name in OF_INVOLVEMENTS else chosen] for f in fields(self)}
        return Batch(**{**cut, "row": place[self.row[kept]]})

    @classmethod
    def together(cls, batches: Sequence[Batch]) -> Batch:
        starts = np.cumsum([0] + [len(batch) for batch in batches])
        moved = [replace(batch, row=batch.row + start) for batch, start in zip(batches, starts, strict=False)]
        return cls(**{f.name: np.concatenate([getattr(batch, f.name) for batch in moved]) for f in fields(cls)})

    def record_ids(self) -> pa.Array:
        prefixes = tuple(prefix for prefixes in words.ID_PREFIX for prefix in prefixes)
        return pc.binary_join_element_wise(
            text(prefixes, self.system * len(KINDS) + self.kind), digits(self.number, 8), ""
        )

    def records(self) -> pa.Table:
        instant = pc.utf8_slice_codeunits(_instants(self.occurred), 0, 10)
        occurred = pc.if_else(self.dated, instant, _instants(self.occurred))
        graded = tuple(self.scheme == scheme for scheme in (THREE, FIVE))
        grades = [
            pc.if_else(graded[0], text(codes[THREE], code * graded[0]), text(codes[FIVE], code * graded[1]))
            for codes, code in (
                (_SOURCES, self.source), (_ASSESSMENTS, self.assessment), (_HANDLING, self.handling)
            )
        ]  # fmt: skip
        nowhere = self.place == 0
        return pa.table(
            [
                text(words.SYSTEMS, self.system),
                self.record_ids(),
                text(KINDS, self.kind),
                occurred,
                _instants(self.recorded),
                text(words.OFFENCES, self.offence),
                text(words.THEME_SETS, self.themes),
                text(SCHEME_NAMES, self.scheme),
                *grades,
                text(words.CONDITIONS, self.conditions),
                text(words.PLACES, self.place),
                pc.if_else(nowhere, "", pa.array(self.easting).cast(pa.string())),
                pc.if_else(nowhere, "", pa.array(self.northing).cast(pa.string())),
                text(("", "1", "2", "3", "4"), self.mopi),
                text(words.STATUSES, self.status),
            ],
            schema=RECORDS,
        )

    def involvements(self) -> pa.Table:
        return pa.table(
            [
                text(words.SYSTEMS, self.system[self.row]),
                self.record_ids().take(pa.array(self.row)),
                nominal_id(self.person),
                text(ROLES, self.role),
                text(("", *ASSESSED), self.assessed),
            ],
            schema=INVOLVEMENTS,
        )


def _instants(seconds: Numbers) -> pa.Array:
    # The cast writes "2026-03-29 00:30:00Z"; strftime gives the T at once and takes ten times as long.
    return pc.utf8_replace_slice(pa.array(seconds, pa.timestamp("s", "UTC")).cast(pa.string()), 10, 11, "T")


def draw(plan: Plan, groups: Groups, week: int, first: int, end: int) -> Batch:
    """Records `first` to `end` (not included) of a week, in the order of their recording."""
    rng = generator(plan.seed, Stream.EVENTS, first)
    count = end - first
    number = np.arange(first, end)
    kind = pick(rng.random(count), shapes.KIND_WEIGHTS)
    recorded = _recorded(plan, week, number, rng.random(count))
    group, grouped, cross = _company(plan, groups, rng, kind, recorded)
    sort = np.where(grouped, groups.sort[group], 0)
    household = grouped & (sort == shapes.HOUSEHOLD)

    core, chance = _sizes(rng, kind, grouped, sort, household, opening=first == 0)
    row, person, role = _people(plan, groups, rng, (first, end), kind, group, cross, household, core, chance)
    row, person, role = _duals(rng, kind, row, person, role)

    offending = np.where(grouped, np.array([s.offending for s in shapes.SORTS])[sort], 0)
    offence = _offences(rng, kind, offending)
    themes = _themes(rng, kind, grouped, sort, offence)
    scheme = np.where(kind == INTELLIGENCE, np.where(recorded < CONNECT_LIVE, FIVE, THREE), UNGRADED)
    source, assessment, handling = _grades(rng, scheme, walk=week == 0)
    if week == 0:
        _walk(offence, kind == CRIME, np.arange(1, len(words.OFFENCES)))
        _walk(themes, kind == CRIME, np.arange(len(words.THEME_SETS)))
    stated = ((scheme == THREE) | (scheme == FIVE)) & (handling > 1)  # P and 1 are free of conditions
    detected = np.zeros(count, dtype=bool)
    detected[row[(role == SUSPECT) | (role == OFFENDER)]] = True
    undetected = (kind == CRIME) & ~detected
    status = np.zeros(count, dtype=np.int64)
    for code, weights in enumerate(words.STATUS_WEIGHTS):
        mine = kind == code
        status[mine] = pick(rng.random(int(mine.sum())), weights)
    status[undetected] = words.UNDETECTED
    mopi = np.array(words.OFFENCE_MOPI)[offence]
    mopi = np.where(undetected | (kind == MISSING), 4, np.where(rng.random(count) < 0.01, 0, mopi))
    place, easting, northing = _places(rng, grouped, groups.area[group])
    assessed = np.where(kind[row] == INTELLIGENCE, 1 + (rng.random(len(row)) < 0.4), rng.random(len(row)) < 0.95)
    return Batch(
        number=number,
        system=np.where(
            kind == RELEASE,
            words.PINS,
            np.where(kind == MISSING, words.COMPACT, np.where(recorded < CONNECT_LIVE, words.LEGACY, words.CONNECT)),
        ),
        kind=kind,
        occurred=recorded - shapes.delay_seconds(rng.random(count)),
        dated=rng.random(count) < 0.3,
        recorded=recorded,
        offence=offence,
        themes=themes,
        scheme=scheme,
        source=source,
        assessment=assessment,
        handling=handling,
        conditions=np.where(stated, 1 + below(rng.random(count), len(words.CONDITIONS) - 1), 0),
        place=place,
        easting=easting,
        northing=northing,
        mopi=mopi,
        status=status,
        row=row,
        person=person,
        role=role,
        assessed=assessed.astype(np.int64),
    )


def _recorded(plan: Plan, week: int, number: Numbers, u: Reals) -> Numbers:
    """Evenly over the week, ascending with the number; over a history, more of it lately."""
    start, end = plan.recording(week)
    first = plan.first_record(week)
    part = (number - first + u) / (plan.first_record(week + 1) - first)
    return np.minimum(start + 1 + ((end - start) * (part**0.85 if week == 0 else part)).astype(np.int64), end)


def _company(
    plan: Plan, groups: Groups, rng: np.random.Generator, kind: Numbers, recorded: Numbers
) -> tuple[Numbers, Flags, Flags]:
    """Which group a record is about, whether it is about one at all, and whether a member of another is there too."""
    start, end = plan.recording(0)[0], plan.recording(plan.weeks - 1)[1]
    group = groups.meet(rng, kind, (recorded - start) / (end - start))
    grouped = rng.random(len(kind)) < np.array(shapes.GROUPED)[kind]
    return group, grouped, grouped & (rng.random(len(kind)) < np.array(shapes.STRANGERS)[kind])


def _sizes(
    rng: np.random.Generator, kind: Numbers, grouped: Flags, sort: Numbers, household: Flags, *, opening: bool
) -> tuple[Numbers, Numbers]:
    """For each record, how many of its people are drawn from the group and how many are met by chance."""
    count = len(kind)
    total, u = np.zeros(count, dtype=np.int64), rng.random(count)
    for code, weights in (
        (CRIME, shapes.CRIME_PEOPLE), (CUSTODY, shapes.CUSTODY_PEOPLE), (INTELLIGENCE, shapes.INTELLIGENCE_PEOPLE),
        (RELEASE, shapes.RELEASE_PEOPLE), (MISSING, shapes.MISSING_PEOPLE),
    ):  # fmt: skip
        mine = kind == code
        total[mine] = pick(u[mine], weights)
    core = total.copy()  # custody, intelligence, release and missing: all of the group
    split = 1 + below(rng.random(count), 1 + (total - 1) * 6 // 10)  # suspects first, then victims and witnesses
    core = np.where(kind == CRIME, np.where(household, np.minimum(np.maximum(total, 2), 4), split), core)
    core = np.where(grouped, core, 0)
    chance = np.where(household & (kind == CRIME), rng.random(count) < 0.15, total - core)
    missing = grouped & (kind == MISSING)
    chance = np.where(missing, rng.random(count) < 0.3, chance)

    meeting = grouped & (kind == INTELLIGENCE) & (sort >= shapes.MEETS) & (rng.random(count) < shapes.SUMMITS)
    core = np.where(meeting, shapes.meeting_people(rng.random(count)), core)
    chance = np.where(meeting, 0, chance)
    crowd = (kind == INTELLIGENCE) & (rng.random(count) < shapes.CROWDS)
    if opening:
        crowd[np.flatnonzero(kind == INTELLIGENCE)[:1]] = True
    return core, np.where(crowd, shapes.crowd_people(rng.random(count)), chance).astype(np.int64)


def _people(
    plan: Plan,
    groups: Groups,
    rng: np.random.Generator,
    block: tuple[int, int],
    kind: Numbers,
    group: Numbers,
    cross: Flags,
    household: Flags,
    core: Numbers,
    chance: Numbers,
) -> tuple[Numbers, Numbers, Numbers]:
    """Row, person and role of every involvement; a person drawn twice for a record is in it once, by the first draw."""
    rows = np.arange(len(kind))
    row, place = _slots(rows, core)
    of = group[row]
    size, used = groups.size[of], groups.exploited[of]
    member = below(rng.random(len(row)) ** 1.7, size)  # the core of a group comes to notice most
    runaway = (kind[row] == MISSING) & (place == 0) & (used > 0)
    member = np.where(runaway, size - 1 - below(rng.random(len(row)), used), member)
    person = groups.start[of] + member
    last = place == core[row] - 1
    visiting = cross[row] & last & (place > 0)
    person = np.where(visiting, below(rng.random(len(row)), plan.repeaters), person)
    role = _group_roles(rng, kind[row], place, member >= size - used, household[row])

    met, spot = _slots(rows, chance)
    stranger = _by_chance(plan, rng, block, runaway=(kind[met] == MISSING) & (spot == 0) & (core[met] == 0))
    rival = cross[met] & (spot == 0) & (kind[met] == CRIME)
    stranger = np.where(rival, below(rng.random(len(met)), plan.repeaters), stranger)
    duty = _chance_roles(rng, kind[met], spot, core[met] == 0)

    row, person, role = (np.concatenate(pair) for pair in ((row, met), (person, stranger), (role, duty)))
    _, kept = np.unique(row << _PERSON_BITS | person, return_index=True)  # the first draw of each
    kept = kept[np.argsort(row[kept] * len(row) + kept)]  # record by record, in the order of drawing
    return row[kept], person[kept], role[kept]


def _slots(rows: Numbers, counts: Numbers) -> tuple[Numbers, Numbers]:
    """Each row as often as it is counted, and 0, 1, 2 ... within it."""
    row = np.repeat(rows, counts)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)


def _by_chance(plan: Plan, rng: np.random.Generator, block: tuple[int, int], runaway: Flags) -> Numbers:
    """People outside groups. Each block first meets its own newcomers, once each; other places go to known faces.

    Known faces are even numbers, and the more often a number can be halved the more often it comes: a heavy tail.
    Odd numbers are met once, except children (7 modulo 8), who go missing again.
    """
    count = len(runaway)
    fresh, known = plan.newcomers(block[0]), plan.newcomers(block[1])
    u, halvings = rng.random(count), np.floor(-np.log2(1.0 - rng.random(count)))
    deepest = max(1, int(np.log2(max(known, 16) / 8)))
    unit = 1 << np.minimum(1 + halvings, min(deepest, 12)).astype(np.int64)
    met = below(u, known) // unit * unit
    turn = np.argsort(rng.random(count))[: known - fresh]
    met[np.sort(turn)] = np.arange(fresh, fresh + len(turn))
    child = np.minimum(met | 7, known - 1)
    return plan.repeaters + np.where(runaway & (child % 8 == 7), child, met)


def _group_roles(
    rng: np.random.Generator, kind: Numbers, place: Numbers, exploited: Flags, household: Flags
) -> Numbers:
    u = rng.random(len(kind))
    crime = np.where(exploited & (u < 0.55), VICTIM, np.where(u > 0.85, OFFENDER, SUSPECT))
    at_home = np.where(place == 0, SUSPECT, np.where((place == 1) | (u < 0.6), VICTIM, WITNESS))
    intelligence = np.where(
        (place == 0) | (u < 0.12),
        SUBJECT,
        np.where(exploited & (u < 0.4), VICTIM, np.where(u < 0.94, ASSOCIATE, OTHER)),
    )
    return np.select(
        [kind == CRIME, kind == CUSTODY, kind == INTELLIGENCE, kind == RELEASE],
        [
            np.where(household, at_home, crime),
            np.full(len(kind), ARRESTED),
            intelligence,
            np.where(place == 0, RELEASED, ASSOCIATE),
        ],
        np.where(place == 0, MISSED, ASSOCIATE),
    )


def _chance_roles(rng: np.random.Generator, kind: Numbers, place: Numbers, alone: Flags) -> Numbers:
    """`alone`: the record has nobody from a group, so that the first person met is what the record is about."""
    u = rng.random(len(kind))
    crime = np.where(
        place == 0, VICTIM,
        np.where(alone & (u < 0.5), SUSPECT, np.where(u < 0.55, WITNESS, np.where(u < 0.95, VICTIM, OTHER))),
    )  # fmt: skip
    principal = alone & (place == 0)
    return np.select(
        [kind == CRIME, kind == CUSTODY, kind == INTELLIGENCE, kind == RELEASE],
        [
            crime,
            np.full(len(kind), ARRESTED),
            np.where(principal, SUBJECT, OTHER),
            np.where(principal, RELEASED, ASSOCIATE),
        ],
        np.where(principal, MISSED, np.where(u < 0.5, WITNESS, OTHER)),
    )


def _duals(
    rng: np.random.Generator, kind: Numbers, row: Numbers, person: Numbers, role: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Some suspects in crimes with two or more people are also a victim there: a second row for the same person."""
    several = np.bincount(row, minlength=len(kind)) > 1
    dual = (kind[row] == CRIME) & (role == SUSPECT) & several[row] & (rng.random(len(row)) < shapes.DUAL)
    row, person = np.concatenate((row, row[dual])), np.concatenate((person, person[dual]))
    role = np.concatenate((role, np.full(int(dual.sum()), VICTIM)))
    order = np.argsort(row, kind="stable")
    return row[order], person[order], role[order]


def _offences(rng: np.random.Generator, kind: Numbers, offending: Numbers) -> Numbers:
    offence, u, stated = np.zeros(len(kind), dtype=np.int64), rng.random(len(kind)), rng.random(len(kind))
    for code, weights in enumerate(words.OFFENCE_WEIGHTS):
        mine = offending == code
        offence[mine] = pick(u[mine], weights)
    # Intelligence mostly names no offence, a missing episode never does, a release now and then does not.
    return offence * (stated < np.array((1.0, 1.0, 0.4, 0.8, 0.0))[kind])


def _themes(rng: np.random.Generator, kind: Numbers, grouped: Flags, sort: Numbers, offence: Numbers) -> Numbers:
    """A group's own themes, or those that the offence suggests; one in eight ordinary records is in none."""
    count = len(kind)
    codes = np.array(words.OFFENCES)[offence]
    ordinary = np.where(
        np.isin(codes, ("17A", "19C", "22B", "70")),
        words.CSE,
        np.where(np.isin(codes, ("92A", "92D")), words.CL, 1),
    )
    ordinary = np.where(kind == MISSING, np.where(rng.random(count) < 0.5, words.CL, words.CSE), ordinary)
    ordinary = ordinary * (rng.random(count) > 0.125)
    own = np.array([s.themes for s in shapes.SORTS])[sort]
    return np.where(grouped, own, ordinary) | (rng.random(count) < 0.04) * (1 << below(rng.random(count), 3))


def _grades(rng: np.random.Generator, scheme: Numbers, *, walk: bool) -> tuple[Numbers, Numbers, Numbers]:
    """Codes from 1; 0 where ungraded. A walk gives the first of each scheme every pair, with every handling code."""
    source, assessment, handling = (np.zeros(len(scheme), dtype=np.int64) for _ in range(3))
    for one in (THREE, FIVE):
        mine = scheme == one
        draws = int(mine.sum())
        source[mine] = 1 + pick(rng.random(draws), _SOURCE_WEIGHTS[one])
        assessment[mine] = 1 + pick(rng.random(draws), _ASSESSMENT_WEIGHTS[one])
        handling[mine] = 1 + pick(rng.random(draws), _HANDLING_WEIGHTS[one])
        if walk:
            step = np.arange(len(_SOURCE_WEIGHTS[one]) * 5)
            _walk(source, mine, 1 + step // 5)
            _walk(assessment, mine, 1 + step % 5)
            _walk(handling, mine, 1 + (step + step // 5) % len(_HANDLING_WEIGHTS[one]))
    return source, assessment, handling


def _walk(codes: Numbers, mine: Flags, through: Numbers) -> None:
    """Give the first of `mine` these codes in turn, in place."""
    first = np.flatnonzero(mine)[: len(through)]
    codes[first] = through[: len(first)]


def _places(rng: np.random.Generator, grouped: Flags, home: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Near the group's home, or anywhere; one in fifty is not known. A grid of metres that is on no map."""
    count = len(home)
    anywhere = below(rng.random(count), len(words.AREAS))
    near = grouped & (rng.random(count) < 0.8)
    area = np.where(near, (home + 20 * below(rng.random(count), 2) + below(rng.random(count), 2)) % 400, anywhere)
    easting = 10_000 + area % 20 * 2_000 + below(rng.random(count), 2_000)
    northing = 10_000 + area // 20 * 2_000 + below(rng.random(count), 2_000)
    return np.where(rng.random(count) < 0.02, 0, area + 1), easting, northing
