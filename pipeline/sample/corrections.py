"""What was wrong: one record in thirty or so comes again, with something changed, or withdrawn.

A record's fate is drawn once, with the record, so it is corrected at most once. What comes again keeps its id, is
recorded in the week that brings it, and restates all its involvements. It always differs in more than that date.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.sample import words
from pipeline.sample.chance import Flags, Numbers, Stream, below, generator
from pipeline.sample.events import (
    ASSOCIATE,
    CRIME,
    FIVE,
    INTELLIGENCE,
    OF_INVOLVEMENTS,
    OTHER,
    SUBJECT,
    SUSPECT,
    THREE,
    VICTIM,
    WITNESS,
    Batch,
)
from pipeline.sample.plan import Plan
from provenance import sets
from provenance.records import ROLES

NONE, REGRADED, REDATED, RECAST, DROPPED, RECLASSIFIED, WITHDRAWN = range(7)
_WEIGHTS = np.array((0, 20, 20, 18, 14, 16, 12)) / 100
_FRESH = 0.06  # of a week's own records are corrected later, mostly within two weeks
_OLD = 0.05  # of a week's number: so many corrections of the history come with it
_RECAST = np.arange(len(ROLES))
_RECAST[[SUSPECT, VICTIM, WITNESS, SUBJECT, ASSOCIATE, OTHER]] = WITNESS, SUSPECT, VICTIM, ASSOCIATE, SUBJECT, WITNESS


def fates(plan: Plan, week: int, batch: Batch) -> tuple[Numbers, Numbers]:
    """For each record what will be found wrong with it (NONE for most), and the week in which it comes again."""
    first = int(batch.number[0])
    rng = generator(plan.seed, Stream.FATES, first)
    count, later = len(batch), plan.weeks - 1
    fate = 1 + np.searchsorted(np.cumsum(_WEIGHTS[1:]), rng.random(count), side="right").clip(max=WITHDRAWN - 1)
    if week:
        rate = _FRESH
        due = week + 1 + np.floor(-np.log2(1.0 - rng.random(count))).astype(np.int64)
    else:
        history = plan.first_record(1)
        rate = _OLD * (plan.records - history) / history
        due = 1 + below(rng.random(count), later)
    fate[rng.random(count) >= rate] = NONE
    if first == 0 and later:  # the smallest force has one of each
        fate[: 2 * WITHDRAWN] = 1 + np.arange(2 * WITHDRAWN) % WITHDRAWN
        due[: 2 * WITHDRAWN] = 1 + np.arange(2 * WITHDRAWN) % later
    fate[due > later] = NONE
    return fate, due


def carry_out(plan: Plan, week: int, batch: Batch, fate: Numbers) -> Batch:
    """The records as they come again in this week, in the order of their recording."""
    rng = generator(plan.seed, Stream.CORRECTIONS, week)
    count = len(batch)
    rows = np.bincount(batch.row, minlength=count)
    person_first = np.unique(np.stack((batch.row, batch.person)), axis=1)[0]
    people = np.bincount(person_first, minlength=count)

    # What cannot be done to a record becomes a change of date, which can be done to any.
    possible = np.select(
        [fate == REGRADED, fate == RECAST, fate == DROPPED, fate == RECLASSIFIED],
        [
            batch.kind == INTELLIGENCE,
            sets.among(batch.kind, (CRIME, INTELLIGENCE)) & (rows == people),
            people > 1,
            batch.kind == CRIME,
        ],
        True,
    )
    fate = np.where(possible, fate, REDATED)

    regraded = fate == REGRADED
    top = np.select([batch.scheme == THREE, batch.scheme == FIVE], [3, 5], 1)
    source = np.where(regraded, batch.source % top + 1, batch.source)
    assessment = np.where(regraded & (rng.random(count) < 0.5), batch.assessment % 5 + 1, batch.assessment)
    redated = fate == REDATED
    occurred = batch.occurred - redated * 86_400 * (1 + below(rng.random(count), 30))
    offence = np.where(fate == RECLASSIFIED, batch.offence % (len(words.OFFENCES) - 1) + 1, batch.offence)
    status = np.where(fate == WITHDRAWN, words.WITHDRAWN, batch.status)

    starts = np.cumsum(rows) - rows
    role = batch.role.copy()
    recast = starts[fate == RECAST]
    role[recast] = _RECAST[role[recast]]
    last = batch.person[starts + rows - 1]
    kept = ~((fate == DROPPED)[batch.row] & (batch.person == last[batch.row]))

    start, end = plan.recording(week)
    recorded = start + 1 + below(rng.random(count), end - start)
    order = np.lexsort((batch.number, recorded))
    place = np.argsort(order)
    changed = replace(
        batch, source=source, assessment=assessment, occurred=occurred, offence=offence, status=status, role=role,
        recorded=recorded,
    )  # fmt: skip
    return _reordered(changed, order, place, kept)


def _reordered(batch: Batch, order: Numbers, place: Numbers, kept: Flags) -> Batch:
    moved = place[batch.row[kept]]
    by_record = np.argsort(moved, kind="stable")
    cells = {name: getattr(batch, name)[order] for name in Batch.__dataclass_fields__ if name not in OF_INVOLVEMENTS}
    cells |= {name: getattr(batch, name)[kept][by_record] for name in OF_INVOLVEMENTS - {"row"}}
    return Batch(**cells, row=moved[by_record])
