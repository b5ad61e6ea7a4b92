"""The rules of `links.py` as the engine's own SQL, turned into it once per set of params.

To turn the expressions into SQL takes longer than to run them on a week's changes. DuckDB runs it in memory (`memory`);
on a cluster the same rules are run by `spark.Engine`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from provenance import memory, records
from provenance.harm import HarmTable
from provenance.params import Params
from provenance.tables import SUPPORTS

if TYPE_CHECKING:
    import ibis.expr.types as ir

RECORDS = records.RECORDS.append(pa.field("version", pa.int64()))
INVOLVEMENTS = records.INVOLVEMENTS.append(pa.field("nominal", pa.string()))


class Engine:
    """DuckDB with the rules of one set of params and its harm tables; each rule is turned into SQL when first asked."""

    def __init__(self, params: Params, table: HarmTable, threads: int) -> None:
        self._params, self._table, self._threads = params, table, threads
        self._order = tuple(params.grading.handling_order)
        self._written: dict[str, _Written] = {}

    def rule(self, name: str) -> ir.Table:
        """The rule of that name in `links`, which takes a second to load: most commands ask no rule."""
        import ibis

        from provenance import links

        taken = (ibis.table(ibis.Schema.from_pyarrow(RECORDS), name="records"),
                 ibis.table(ibis.Schema.from_pyarrow(INVOLVEMENTS), name="involvements"))  # fmt: skip
        match name:
            case "tallies":
                return links.tallies(*taken, self._params, self._table)
            case "links":
                return _added_up(self._order)
        return {"supports": links.supports, "left_out": links.left_out, "charged": links.charged}[name](
            *taken, self._params
        )

    def supports(self, records: pa.Table, involvements: pa.Table) -> pa.Table:
        """See `links.supports`; rows in no order."""
        return self._run("supports", records=records, involvements=involvements)

    def left_out(self, records: pa.Table, involvements: pa.Table) -> pa.Table:
        """See `links.left_out`."""
        return self._run("left_out", records=records, involvements=involvements)

    def tallies(self, records: pa.Table, involvements: pa.Table) -> pa.Table:
        """See `links.tallies`; rows in no order."""
        return self._run("tallies", records=records, involvements=involvements)

    def charged(self, records: pa.Table, involvements: pa.Table) -> pa.Table:
        """See `links.charged`; rows in no order."""
        return self._run("charged", records=records, involvements=involvements)

    def links(self, supports: pa.Table) -> pa.Table:
        """See `links.links`; rows in no order."""
        return added_up(supports, self._order, self._threads)

    def _run(self, name: str, **tables: pa.Table) -> pa.Table:
        if name not in self._written:
            self._written[name] = _Written.of(self.rule(name))
        return self._written[name].run(self._threads, **tables)


def added_up(supports: pa.Table, handling_order: Sequence[str], threads: int) -> pa.Table:
    """See `links.links`; rows in no order."""
    return _links(tuple(handling_order)).run(threads, supports=supports)


@dataclass(frozen=True, slots=True)
class _Written:
    """A rule as SQL, with the small tables that it brings along."""

    sql: str
    small: Mapping[str, pa.Table]
    schema: pa.Schema

    @classmethod
    def of(cls, rule: ir.Table) -> _Written:
        import ibis

        return cls(ibis.to_sql(rule, dialect="duckdb"), small_tables(rule), rule.schema().to_pyarrow())

    def run(self, threads: int, **tables: pa.Table) -> pa.Table:
        if not any(content.num_rows for content in tables.values()):  # a week without news, or nothing before it
            return self.schema.empty_table()
        return memory.answer(self.sql, threads, **self.small, **tables).cast(self.schema)


@cache
def _links(handling_order: tuple[str, ...]) -> _Written:
    return _Written.of(_added_up(handling_order))


def _added_up(handling_order: tuple[str, ...]) -> ir.Table:
    import ibis

    from provenance import links

    return links.links(ibis.table(ibis.Schema.from_pyarrow(SUPPORTS), name="supports"), handling_order)


def small_tables(rule: ir.Table) -> Mapping[str, pa.Table]:
    """The tables that an expression brings along: grades, roles, prices."""
    import ibis.expr.operations as ops

    return {op.name: op.data.to_pyarrow(op.schema) for op in rule.op().find(ops.InMemoryTable)}


_kept: dict[tuple[str, str, int], Engine] = {}
_MOST = 8  # engines: a comparison of two builds asks those of both by turns


def engine(params: Params, table: HarmTable, threads: int) -> Engine:
    """The engine for these rules. The last few are kept: builds in a row follow the same rules."""
    key = (params.tallying_digest(), table.identity, threads)
    if key not in _kept:
        if len(_kept) >= _MOST:
            del _kept[next(iter(_kept))]
        _kept[key] = Engine(params, table, threads)
    return _kept[key]
