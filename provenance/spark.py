"""The rules and the sealing on Apache Spark, for a force whose weeks outgrow one machine.

The rules are the Ibis expressions of `links`, said in Spark's SQL; rows are sealed and opened by the very function that
the crew's own workers run, over Arrow batches. What comes back is filed as ever, so every leaf and every root is the
same. Only this process reads the vault, writes and logs: a worker that dies loses nothing, and its part is worked
out again by another.

Rows, and the secrets of the rows in hand, leave this process for the memory of Spark's. On the wire, and wherever Spark
puts on a disk what its memory does not hold, they are encrypted under keys that end with the application; a cluster
that will not have it so is not used. `docs/decisions/0021-spark.md` says what that comes to, and what it does not.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.sql.compilers import PySparkCompiler

from provenance import crew, engine, sealing
from provenance.errors import Conflict, Missing, Refused
from provenance.harm import HarmTable
from provenance.params import Params

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ALWAYS = {  # whatever a cluster's own settings say
    "spark.app.name": "provenance",
    # Nobody takes part who does not know the cluster's secret, and nobody else can read what is said.
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.network.crypto.cipher": "AES/GCM/NoPadding",
    "spark.network.crypto.saslFallback": "false",
    # What is spilled, shuffled or kept as a block is encrypted; and PySpark hands tables to Spark through a socket, and
    # not, as it would, in a temporary file.
    "spark.io.encryption.enabled": "true",
    "spark.io.encryption.keySizeBits": "256",
    # No record of what was done but ours, and no page that shows it.
    "spark.eventLog.enabled": "false",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.catalogImplementation": "in-memory",
    # A sum beyond 64 bits is an error here as it is in DuckDB, and no instant depends on where a machine stands.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.maxResultSize": "0",  # what is asked for is what this process will hold
    "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "100000",  # as many links as one part of a shuffle has
}
_KINDS = {"leaf": sealing.LEAF, "box": pa.large_binary(), "row": pa.large_binary()}
_ALONE = 20_000  # rows below which a round trip costs more than it saves
_ROUND = 200_000  # rows for each processor that are handed over at a time: memory here and in Spark's driver follows it
_TASKS = 4  # for each processor, of what is handed over, so that none waits long for another
_LEAST = 5_000  # rows of a task
_SHUFFLED = 100_000  # rows for each part of a shuffle
_PATIENCE = 300  # seconds in which a worker must have answered at first; a cold one on a busy machine takes long


class Cluster:
    """A session with a Spark master. Use `cluster`, which ends it."""

    def __init__(self, session: SparkSession, master: str) -> None:
        self._session, self._master = session, master

    @property
    def cores(self) -> int:
        """Processors of the workers that take part."""
        with self._asking():
            return int(self._session.sparkContext.defaultParallelism)

    def __str__(self) -> str:
        return f"Apache Spark {self._session.version}"

    def ask(self, sql: str, schema: pa.Schema, tables: Mapping[str, pa.Table]) -> pa.Table:
        """The answer to a question about `tables`, which it calls by these names; rows in no order."""
        with self._asking():
            for name, content in tables.items():
                self._frame(content).createOrReplaceTempView(name)
            most = max(content.num_rows for content in tables.values())
            parts = max(self.cores, most // _SHUFFLED)
            self._session.conf.set("spark.sql.shuffle.partitions", str(parts))
            # To compile a question takes seconds, which few rows do not give back.
            self._session.conf.set("spark.sql.codegen.wholeStage", str(most > _SHUFFLED).lower())
            try:
                return self._session.sql(sql).toArrow().cast(schema)
            finally:
                for name in tables:
                    self._session.catalog.dropTempView(name)

    def mapped(
        self, work: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]], content: pa.Table, answer: str
    ) -> pa.Table:
        """What `work` makes of the rows of `content`; `answer` has its columns, as Spark writes them."""
        with self._asking():
            return self._frame(content).mapInArrow(work, answer).toArrow()

    def _frame(self, content: pa.Table) -> DataFrame:
        """The table in Spark, in so many parts that all processors have some."""
        rows = max(_LEAST, -(-content.num_rows // (self.cores * _TASKS)))
        self._session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(rows))
        return self._session.createDataFrame(content)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Spark's errors in our words. Its own may quote a value, so they go no further."""
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        try:
            yield
        except (PySparkException, Py4JError, OSError, EOFError) as error:
            found = type(error).__name__
            raise Conflict(f"Spark at {self._master} did not answer: {found}; see its logs, and try again") from None


@contextmanager
def cluster(master: str, *, python: str) -> Iterator[Cluster]:
    """A session with the master at `master`, whose workers run `python`; it ends with the block.

    Raises Missing where PySpark, Java, the master or a worker is not there, Refused where a worker runs other code.
    """
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)  # which is not used
    try:
        from pyspark import SparkContext
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise Missing("package pyspark is not installed: wanted `pip install 'provenance[spark]'`") from None
    from py4j.protocol import Py4JError

    try:
        conf, gateway = _gateway()
        context = SparkContext(master=master, conf=conf, gateway=gateway)
    except PySparkException:
        raise Missing("Spark does not start: wanted Java 17 or later on this machine, by JAVA_HOME or PATH") from None
    except Py4JError:
        raise Missing(
            f"Spark master {master} is not to be had: wanted one that runs, and its spark.authenticate.secret in "
            "spark-defaults.conf of the folder that SPARK_CONF_DIR names"
        ) from None
    try:
        context.pythonExec = python
        found = Cluster(SparkSession(context), master)
        late = threading.Timer(_PATIENCE, context.cancelAllJobs)
        late.start()
        try:
            Crew(found).try_out()
        except Conflict:
            raise Missing(f"Spark at {master} has no worker that answers, in {_PATIENCE} seconds: start one") from None
        finally:
            late.cancel()
        yield found
    finally:
        with contextlib.suppress(Py4JError, OSError):  # it may have gone by itself
            context.stop()


@cache
def _gateway() -> tuple[Any, Any]:
    """The settings, and the one JVM of this process that Spark's driver runs in. It says nothing on this terminal: its
    log goes where log4j2.properties in the folder of SPARK_CONF_DIR sends it."""
    from pyspark import SparkConf
    from pyspark.java_gateway import launch_gateway

    conf = SparkConf(loadDefaults=False)
    for name, value in _ALWAYS.items():
        conf.set(name, value)
    return conf, launch_gateway(conf, {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL})


class Engine(engine.Engine):
    """Spark with the rules of one set of params and its harm tables."""

    def __init__(self, params: Params, table: HarmTable, cluster: Cluster) -> None:
        super().__init__(params, table, cluster.cores)
        self._cluster = cluster
        self._said: dict[str, tuple[str, pa.Schema, Mapping[str, pa.Table]]] = {}

    def links(self, supports: pa.Table) -> pa.Table:
        """See `links.links`; rows in no order."""
        return self._run("links", supports=supports)

    def _run(self, name: str, **tables: pa.Table) -> pa.Table:
        if name not in self._said:
            self._said[name] = _said(self.rule(name))
        sql, schema, small = self._said[name]
        if not any(content.num_rows for content in tables.values()):  # a week without news, or nothing before it
            return schema.empty_table()
        return self._cluster.ask(sql, schema, {**small, **tables})


def _said(rule: ir.Table) -> tuple[str, pa.Schema, Mapping[str, pa.Table]]:
    sql = PySparkCompiler().to_sqlglot(rule).sql("spark")
    return sql, rule.schema().to_pyarrow(), engine.small_tables(rule)


class Crew(crew.Crew):
    """Spark's workers in the place of this process's own. What is few, public or read in part is still done here."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster
        self._engines: dict[tuple[str, str], Engine] = {}

    def rules(self, params: Params, table: HarmTable) -> Engine:
        """See `crew.Crew.rules`."""
        key = (params.tallying_digest(), table.identity)
        if key not in self._engines:
            self._engines[key] = Engine(params, table, self._cluster)
        return self._engines[key]

    @property
    def round(self) -> int:
        """Rows that all together are given at a time."""
        return _ROUND * self._cluster.cores

    def try_out(self) -> None:
        """Have every worker that is there seal a row. Raises as its work does."""
        few = self._cluster.cores * 4
        rows = pa.table({"z": [bytes(sealing.SECRET)] * few, "row": [b"{}"] * few})
        self._answered("leaf", "record", self._batch("leaf", "record", rows))

    def _is_small(self, rows: int) -> bool:
        return rows < _ALONE

    def _begin(self, batch: pa.Table, first: int = 0, weight: int = 1) -> crew.Round:
        job, table = (batch.schema.metadata[key].decode() for key in (b"job", b"table"))
        if job not in crew.AFAR or self._is_small(batch.num_rows * weight):
            return super()._begin(batch, first, weight)
        afar = crew.Round(self, [batch], first)
        afar.done(0, self._answered(job, table, batch))
        return afar

    def _answered(self, job: str, table: str, batch: pa.Table) -> pa.Table | sealing.Unopened:
        content = pa.table({name: batch[name].cast(pa.binary()) for name in batch.column_names})
        content = content.append_column("n", pa.array(np.arange(batch.num_rows)))
        answer = ", ".join(["n long", "fault string", *(f"{name} binary" for name in crew.AFAR[job])])
        done = self._cluster.mapped(partial(crew.serve_batches, job, table, crew.code()), content, answer)
        faults = done.filter(pc.is_valid(done["fault"])).sort_by("n").slice(0, 1).to_pylist()
        if faults and faults[0]["fault"] == crew.UNOPENED:
            return sealing.Unopened(table, faults[0]["n"])
        if faults:
            raise Refused(
                f"a worker of Spark runs other code: found sealing of {faults[0]['fault']}, wanted {crew.code()}; "
                "install there what is installed here"
            )
        done = done.take(pc.sort_indices(done["n"]))  # Spark gives them in order, and does not promise it
        if not np.array_equal(done["n"].to_numpy(), np.arange(batch.num_rows)):
            raise Conflict(f"Spark answered for {done.num_rows:,} rows of {batch.num_rows:,}: try again")
        return pa.table({name: done[name].cast(_KINDS[name]) for name in crew.AFAR[job]})
