"""The rules of `links.py` as the engine's own SQL, turned into it once per set of params.

To turn the expressions into SQL takes longer than to run them on a week's changes. DuckDB in memory, with nowhere to
spill to: plaintext stays in memory or the query fails. Another engine is another class with the same four methods.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa

from provenance import links, records
from provenance.harm import HarmTable
from provenance.params import Params

RECORDS = ibis.Schema.from_pyarrow(records.RECORDS.append(pa.field("version", pa.int64())))
INVOLVEMENTS = ibis.Schema.from_pyarrow(records.INVOLVEMENTS.append(pa.field("nominal", pa.string())))


class Engine:
    """DuckDB with the rules of one set of params and one harm table."""

    def __init__(self, params: Params, table: HarmTable, threads: int) -> None:
        taken = ibis.table(RECORDS, name="records"), ibis.table(INVOLVEMENTS, name="involvements")
        supports = links.supports(*taken, params)
        self._rules = {
            "supports": supports,
            "left_out": links.left_out(*taken, params),
            "tallies": links.tallies(*taken, params, table),
            "links": links.links(ibis.table(supports.schema(), name="supports"), params),
        }
        self._sql = {name: ibis.to_sql(rule, dialect="duckdb") for name, rule in self._rules.items()}
        self._small = {name: _small_tables(rule) for name, rule in self._rules.items()}
        self._threads = threads

    def supports(self, records: pa.Table, involvements: pa.Table) -> pa.Table:
        """See `links.supports`; rows in no order."""
        return self._run("supports", records=records, involvements=involvements)

    def left_out(self, records: pa.Table, involvements: pa.Table) -> pa.Table:
        """See `links.left_out`."""
        return self._run("left_out", records=records, involvements=involvements)

    def tallies(self, records: pa.Table, involvements: pa.Table) -> pa.Table:
        """See `links.tallies`; rows in no order."""
        return self._run("tallies", records=records, involvements=involvements)

    def links(self, supports: pa.Table) -> pa.Table:
        """See `links.links`; rows in no order."""
        return self._run("links", supports=supports)

    def _run(self, name: str, **tables: pa.Table) -> pa.Table:
        schema = self._rules[name].schema().to_pyarrow()
        if not any(content.num_rows for content in tables.values()):  # a week without news, or nothing before it
            return schema.empty_table()
        with duckdb.connect(config={"temp_directory": "", "threads": self._threads}) as connection:
            for table, content in {**self._small[name], **tables}.items():
                connection.register(table, content)
            return connection.sql(self._sql[name]).to_arrow_table().cast(schema)


def _small_tables(rule: ir.Table) -> Mapping[str, pa.Table]:
    """The tables that an expression brings along: grades, roles, prices."""
    return {op.name: op.data.to_pyarrow(op.schema) for op in rule.op().find(ops.InMemoryTable)}


_kept: dict[tuple[str, str, int], Engine] = {}


def engine(params: Params, table: HarmTable, threads: int) -> Engine:
    """The engine for these rules. The last one is kept: builds in a row follow the same rules."""
    key = (params.tallying_digest(), table.sha256, threads)
    if key not in _kept:
        _kept.clear()
        _kept[key] = Engine(params, table, threads)
    return _kept[key]
