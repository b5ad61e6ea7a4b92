"""What the force decides about its records: merges of two ids of one person, a few undone, and disposals.

A merge or a disposal names only what was handed over before, or in the same extract for a merge. What is disposed of
does not come again: nobody and nothing that is due for a correction is chosen, and only people who are met once.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sample import words
from pipeline.sample.chance import Numbers, Stream, below, generator
from pipeline.sample.corrections import NONE
from pipeline.sample.events import CRIME, Batch
from pipeline.sample.people import Groups, digits, nominal_id, text, twins
from pipeline.sample.plan import Plan
from provenance import sets
from provenance.records import DISPOSALS, MERGES, SPLIT

_SPLIT = 0.12  # of the merges are undone, within three weeks; the first one always is
_RECORDS_PER_DISPOSAL = 100_000  # one record a week for so many of the force, at least one
_PEOPLE_PER_DISPOSAL = 200_000


class Orders:
    """The standing of merges and disposals between one week and the next. Weeks are asked for in order."""

    def __init__(self, plan: Plan, groups: Groups) -> None:
        rng = generator(plan.seed, Stream.ORDERS, 0)
        self._plan = plan
        self._twins = twins(plan, groups)
        count = len(self._twins)
        self._week = below(rng.random(count), plan.weeks)  # in which each is noticed, if both ids are known by then
        self._undone = np.where(rng.random(count) < _SPLIT, 1 + below(rng.random(count), 3), 0)  # weeks later
        self._merged = np.full(count, -1)
        self._records = pa.table([[], []], schema=pa.schema([("system", pa.string()), ("id", pa.string())]))
        self._people = np.zeros(0, dtype=np.int64)

    def consider(self, batch: Batch, fate: Numbers) -> None:
        """Take the oldest block of the history into the list of what may be disposed of."""
        free = fate == NONE
        few = self._plan.weeks * max(1, self._plan.records // _RECORDS_PER_DISPOSAL)
        old = batch.only(free & (batch.kind == CRIME) & (batch.mopi == 3))
        self._records = pa.table({"system": text(words.SYSTEMS, old.system), "id": old.record_ids()}).slice(0, few)
        once = batch.person[free[batch.row] & (batch.person >= self._plan.repeaters)] - self._plan.repeaters
        self._people = self._plan.repeaters + sets.distinct(once[once % 16 == 5])

    def merges(self, week: int, known: Numbers) -> pa.Table:
        """`known`: for each person the week that first handed over the id, -1 for not yet."""
        plan, rng = self._plan, generator(self._plan.seed, Stream.ORDERS, 1 + 2 * week)
        ready = (self._merged < 0) & (self._week <= week) & (known[self._twins] >= 0) & (known[self._twins - 1] >= 0)
        if ready.any() and not (self._merged >= 0).any():
            self._undone[np.flatnonzero(ready)[0]] = 1
        undone = (self._merged >= 0) & (self._undone > 0) & (self._merged + self._undone == week)
        self._merged[ready] = week
        merged, split = np.flatnonzero(ready), np.flatnonzero(undone)
        of = self._twins[np.concatenate((merged, split))]
        evidence = pa.concat_arrays(
            [
                text(vocabulary, below(rng.random(len(part)), len(vocabulary)))
                for part, vocabulary in ((merged, words.EVIDENCE), (split, words.SPLIT_EVIDENCE))
            ]
        )
        into = pa.concat_arrays([nominal_id(self._twins[merged] - 1), pa.array([SPLIT] * len(split), pa.string())])
        by = pc.binary_join_element_wise("officer ", digits(below(rng.random(len(of)), 900) + 100, 4), "")
        table = pa.table([nominal_id(of), into, evidence, by, _moments(plan, week, rng, len(of))], schema=MERGES)
        return table.sort_by([("at", "ascending"), ("from_nominal", "ascending")])

    def disposals(self, week: int) -> pa.Table:
        plan, rng = self._plan, generator(self._plan.seed, Stream.ORDERS, 2 + 2 * week)
        records, people = (
            max(1, plan.records // one) * (week > 0) for one in (_RECORDS_PER_DISPOSAL, _PEOPLE_PER_DISPOSAL)
        )
        gone, self._records = self._records.slice(0, records), self._records.slice(records)
        erased, self._people = self._people[:people], self._people[people:]
        count = len(gone) + len(erased)
        reasons = [
            text(vocabulary, below(rng.random(size), len(vocabulary)))
            for size, vocabulary in ((len(gone), words.RECORD_REASONS), (len(erased), words.NOMINAL_REASONS))
        ]
        reference = pc.binary_join_element_wise(
            text(words.AUTHORITIES, below(rng.random(count), len(words.AUTHORITIES))),
            digits(week * 10_000 + np.arange(count), 7),
            " ",
        )
        table = pa.table(
            [
                pa.array(["record"] * len(gone) + ["nominal"] * len(erased), pa.string()),
                pa.concat_arrays([gone["system"].combine_chunks(), pa.array([""] * len(erased), pa.string())]),
                pa.concat_arrays([gone["id"].combine_chunks(), nominal_id(erased)]),
                reference,
                pa.concat_arrays(reasons),
                _moments(plan, week, rng, count),
            ],
            schema=DISPOSALS,
        )
        return table.sort_by([("at", "ascending"), ("what", "ascending"), ("id", "ascending")])


def _moments(plan: Plan, week: int, rng: np.random.Generator, count: int) -> pa.Array:
    """Instants in the seven days before the cut-off."""
    end = plan.recording(week)[1]
    seconds = end - below(rng.random(count), 6 * 86_400)
    return pc.utf8_replace_slice(pa.array(seconds, pa.timestamp("s", "UTC")).cast(pa.string()), 10, 11, "T")
