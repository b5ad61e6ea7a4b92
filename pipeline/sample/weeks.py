"""One extract folder per week, written as it is drawn: the first full, each later one a delta on the one before.

A folder is an extract only once `extract.json` is in it, and that is written last. It refuses a folder that already
holds something: an extract is handed over once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from pipeline.sample import words
from pipeline.sample.chance import Numbers, Stream, below, generator
from pipeline.sample.corrections import NONE, carry_out, fates
from pipeline.sample.events import Batch, draw
from pipeline.sample.orders import Orders
from pipeline.sample.people import Groups, render
from pipeline.sample.plan import HAND_OVER, Plan
from provenance import durable, sets
from provenance.errors import Conflict
from provenance.records import INVOLVEMENTS, NOMINALS, RECORDS

Format = Literal["csv", "parquet"]
_RENAMED = 500  # one known person takes another name for so many records of a week, at least one a week


@dataclass(slots=True)
class Totals:
    """What was written. Distinct records, rows for records that came again, involvement rows, distinct nominals."""

    records: int = 0
    again: int = 0
    involvements: int = 0
    nominals: int = 0
    merges: int = 0
    disposals: int = 0


@dataclass(slots=True)
class _Force:
    """What must be remembered from week to week: two bytes a person, and the corrections that are still to come."""

    plan: Plan
    groups: Groups
    orders: Orders
    known: np.ndarray  # the week that first handed over each person, -1 for not yet
    due: dict[int, list[tuple[Batch, Numbers]]] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)


def write(
    plan: Plan, out: Path, form: Format = "csv", on_progress: Callable[[int], None] = lambda records: None
) -> Totals:
    """Write every week's extract below `out`; `on_progress` is told the number of records written so far.

    Raises Conflict, before anything is written, when a week's folder already holds something.
    """
    for week in range(plan.weeks):
        folder = out / plan.label(week)
        if folder.exists() and any(folder.iterdir()):
            raise Conflict(f"sample extract {folder.name} is already there: wanted a folder without it")
    groups = Groups.of(plan)
    force = _Force(plan, groups, Orders(plan, groups), np.full(plan.people, -1, dtype=np.int16))
    for week in range(plan.weeks):
        _extract(force, week, out / plan.label(week), form, on_progress)
    return force.totals


def _extract(force: _Force, week: int, folder: Path, form: Format, on_progress: Callable[[int], None]) -> None:
    plan, totals = force.plan, force.totals
    counts = np.zeros((2, len(words.SYSTEMS)), dtype=np.int64)
    with ExitStack() as files:
        tables = {
            name: files.enter_context(_Writer(folder / f"{name}.{form}", schema))
            for name, schema in (("records", RECORDS), ("involvements", INVOLVEMENTS), ("nominals", NOMINALS))
        }

        def hand_over(batch: Batch) -> None:
            tables["records"].write(batch.records())
            tables["involvements"].write(batch.involvements())
            new = sets.distinct(batch.person)
            new = new[force.known[new] < 0]
            force.known[new] = week
            tables["nominals"].write(render(plan, force.groups, new, week))
            counts[0] += np.bincount(batch.system, minlength=len(words.SYSTEMS))
            counts[1] += np.bincount(batch.system[batch.row], minlength=len(words.SYSTEMS))
            totals.nominals += len(new)
            totals.involvements += len(batch.row)

        for first, end in plan.blocks(week):
            batch = draw(plan, force.groups, week, first, end)
            hand_over(batch)
            _await_corrections(force, week, batch)
            totals.records += len(batch)
            on_progress(totals.records)
        if week in force.due:
            batches, fate = zip(*force.due.pop(week), strict=True)
            again = carry_out(plan, week, Batch.together(batches), np.concatenate(fate))
            hand_over(again)
            totals.again += len(again)
        if week:
            tables["nominals"].write(render(plan, force.groups, _renamed(force, week), week, renamed=True))

    merges, disposals = force.orders.merges(week, force.known), force.orders.disposals(week)
    totals.merges += len(merges)
    totals.disposals += len(disposals)
    for name, table in (("merges", merges), ("disposals", disposals)):
        if len(table):
            with _Writer(folder / f"{name}.{form}", table.schema) as writer:
                writer.write(table)
    _statement(plan, week, folder, counts)


def _await_corrections(force: _Force, week: int, batch: Batch) -> None:
    fate, due = fates(force.plan, week, batch)
    if batch.number[0] == 0:
        force.orders.consider(batch, fate)
    for when in sets.distinct(due[fate != NONE]):
        chosen = (fate != NONE) & (due == when)
        force.due.setdefault(int(when), []).append((batch.only(chosen), fate[chosen]))


def _renamed(force: _Force, week: int) -> Numbers:
    """Known people who take another name; even numbers only, as those are never disposed of and are no twins."""
    plan = force.plan
    rng = generator(plan.seed, Stream.CHANGES, week)
    wanted = max(1, (plan.first_record(week + 1) - plan.first_record(week)) // _RENAMED)
    chosen = sets.distinct(below(rng.random(4 * wanted), plan.people) // 2 * 2)
    before = (force.known[chosen] >= 0) & (force.known[chosen] < week)
    known = chosen[before]
    return np.sort(known[np.argsort(rng.random(len(known)))[:wanted]])


def _statement(plan: Plan, week: int, folder: Path, counts: np.ndarray) -> None:
    """extract.json. A system's watermark is the moment up to which it handed over everything: LEGACY, which is closed,
    keeps up with the others although nothing new comes from it."""
    cut_off = plan.cut_off(week)
    behind = below(generator(plan.seed, Stream.WATERMARKS, week).random(len(words.SYSTEMS)), HAND_OVER.seconds)
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    statement = {
        "cut_off": cut_off.strftime(stamp),
        "mode": "delta" if week else "full",
        "systems": {
            system: {
                "watermark": np.datetime_as_string(
                    np.datetime64(int(cut_off.timestamp()) - int(behind[code]), "s"), timezone="UTC"
                ),
                "records": int(counts[0][code]),
                "involvements": int(counts[1][code]),
            }
            for code, system in enumerate(words.SYSTEMS)
        },
    }
    if week:
        statement["since"] = plan.cut_off(week - 1).strftime(stamp)
    durable.write(
        folder / "extract.json",
        orjson.dumps(statement, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE),
    )


class _Writer:
    """One file of an extract, written table by table; it takes its name when all of it is on disk."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._files = ExitStack()

    def __enter__(self) -> _Writer:
        staged = self._files.enter_context(durable.replacing(self._path))
        self._sink = self._files.enter_context(
            pq.ParquetWriter(staged, self._schema, compression="zstd")
            if self._path.suffix == ".parquet"
            else pacsv.CSVWriter(str(staged), self._schema)
        )
        return self

    def write(self, table: pa.Table) -> None:
        if len(table):
            self._sink.write_table(table)

    def __exit__(self, *failure: object) -> bool | None:
        return self._files.__exit__(*failure)
