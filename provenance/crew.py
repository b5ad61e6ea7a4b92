"""Sealing and opening over all cores.

Threads do not help (each call is short and holds the interpreter), and `multiprocessing` would import the caller's
script again or fork a process that has threads. So a worker is this module run by the same interpreter: Arrow batches
in over a pipe, Arrow batches out. Secrets travel in the pipe and live in memory only. On a cluster (`spark.Crew`) the
same work is done upon the batches that a worker there is handed.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import zstandard

from provenance import canonical, merkle, sealing
from provenance.errors import Conflict, Malformed

if TYPE_CHECKING:
    from provenance.engine import Engine
    from provenance.harm import HarmTable
    from provenance.params import Params

_ROUND = 50_000  # rows that a worker is given at a time
_ALONE = 20_000  # rows below which starting and feeding workers costs more than it saves
_AT_HAND = 2_000  # the same, once they are there
_OPENING = ("open", "entry", "read", "check")  # jobs of which this process gets the next round ready meanwhile,
_OWN_SHARE = 0.6  # and of which it takes so much for each worker's 1
AFAR = {"seal": ("leaf", "box"), "leaf": ("leaf",), "open": ("row",), "entry": ("row",)}  # jobs for a cluster: answers
UNOPENED = "unopened"


class Crew:
    """This process and its workers, started when first needed."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size or len(os.sched_getaffinity(0))
        self._workers: list[subprocess.Popen[bytes]] = []
        atexit.register(self.dismiss)

    def rules(self, params: Params, table: HarmTable) -> Engine:
        """What runs the rules of `links` under these params."""
        from provenance import engine  # which no worker needs, and which takes a second to load

        return engine.engine(params, table, self.size)

    def seal(self, table: str, secrets: pa.Array, rows: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Leaves (binary(32)) and boxes (large_binary) of rows under `secrets` (Z of each row, see `sealing`)."""
        done = self._run("seal", table, pa.table({"z": secrets, "row": rows}))
        return done["leaf"], done["box"]

    def leaves(self, table: str, secrets: pa.Array, rows: pa.Array) -> pa.Array:
        """The leaves alone."""
        return self._run("leaf", table, pa.table({"z": secrets, "row": rows}))["leaf"]

    def open(self, table: str, secrets: pa.Array, leaves: pa.Array, boxes: pa.Array) -> pa.Array:
        """The rows. Raises `sealing.Unopened` with the position of the first that does not open."""
        return self._run("open", table, pa.table({"z": secrets, "leaf": leaves, "box": boxes}))["row"]

    def entries(self, table: str, secrets: pa.Array, leaves: pa.Array, boxes: pa.Array) -> pa.Array:
        """Salt and row together, as the leaf was made from."""
        return self._run("entry", table, pa.table({"z": secrets, "leaf": leaves, "box": boxes}))["row"]

    def begin(
        self,
        job: str,
        table: str,
        secrets: pa.Array,
        leaves: pa.Array,
        boxes: pa.Array,
        columns: pa.Schema | None = None,
    ) -> Callable[[], pa.Table]:
        """Have one round opened; the answer, once it is asked for. Meanwhile the next round can be got ready.

        `read` gives what the rows say in some of their columns, and Malformed as `canonical.columns`; `open` and
        `entry` give a column `row`; `check` gives nothing. Errors as for `open`. Until the answer was fetched the crew
        takes nothing else; if it never is, `abandon` what was begun.
        """
        sealed = pa.table({"z": secrets, "leaf": leaves, "box": boxes})
        batch = self._batch(job, table, sealed, columns.serialize().to_pybytes() if columns is not None else b"")
        if self._is_small(batch.num_rows):
            done = work(batch)
            return lambda: done
        with self._abandoning():
            fetch = self._round(batch, 0)

        def fetched() -> pa.Table:
            with self._abandoning():
                return pa.concat_tables(fetch())

        return fetched

    def root(self, leaves: np.ndarray) -> bytes:
        """RFC 6962 root over (n, 32) leaves in their order: `merkle.root`, over all cores."""
        whole = len(leaves) // merkle.SHARE
        data, width = np.ascontiguousarray(leaves), merkle.SHARE * merkle.DIGEST
        if whole < 2 or self.size == 1:
            return merkle.root(data)
        flat = pa.py_buffer(data[: whole * merkle.SHARE])
        shares = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), whole, [None, flat])
        roots = self._run_whole("root", "", pa.table({"leaves": shares}), weight=merkle.SHARE)
        return merkle.root_of_shares(roots["root"].to_pylist(), data[whole * merkle.SHARE :])

    def dismiss(self) -> None:
        """End the workers; the next large batch starts new ones."""
        for worker in self._workers:
            if worker.stdin:
                worker.stdin.close()
            worker.wait()
        self._workers = []

    def _run(self, job: str, table: str, batch: pa.Table) -> dict[str, pa.Array]:
        whole = self._run_whole(job, table, batch).combine_chunks()
        return {
            name: whole[name].chunk(0) if whole[name].num_chunks else pa.array([], whole[name].type)
            for name in whole.column_names
        }

    def _run_whole(self, job: str, table: str, batch: pa.Table, weight: int = 1) -> pa.Table:
        """`weight`: how many rows of the usual kind a row of this batch is worth."""
        batch = self._batch(job, table, batch)
        if self._is_small(batch.num_rows * weight):
            return work(batch)
        done: list[pa.Table] = []
        with self._abandoning():
            # In rounds, so that memory follows the size of a round and not of the table.
            for start in range(0, batch.num_rows, self.round):
                done += self._round(batch.slice(start, self.round), start)()
        return pa.concat_tables(done)

    @staticmethod
    def _batch(job: str, table: str, batch: pa.Table, columns: bytes = b"") -> pa.Table:
        return batch.combine_chunks().replace_schema_metadata({"job": job, "table": table, "columns": columns})

    def _is_small(self, rows: int) -> bool:
        return self.size == 1 or rows < (_AT_HAND if self._workers else _ALONE)

    @contextmanager
    def _abandoning(self) -> Iterator[None]:
        try:
            yield
        except (BrokenPipeError, EOFError):
            self.abandon()
            raise Conflict("a sealing worker ended before it answered: try again") from None
        except BaseException:
            self.abandon()
            raise

    @property
    def round(self) -> int:
        """Rows that all together are given at a time."""
        return _ROUND * self.size

    def _round(self, batch: pa.Table, first: int) -> Callable[[], list[pa.Table]]:
        """Hand out a round and do this process's own part of it; all parts in order, once they are asked for."""
        while len(self._workers) < self.size - 1:
            self._workers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "provenance.crew"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
        job, table = (batch.schema.metadata[key].decode() for key in (b"job", b"table"))
        shares = np.array([_OWN_SHARE if job in _OPENING else 1.0, *[1.0] * (self.size - 1)])
        edges = np.concatenate([[0], np.cumsum(shares) / shares.sum() * batch.num_rows]).round().astype(int)
        parts = [batch.slice(a, b - a) for a, b in itertools.pairwise(edges)]
        for worker, part in zip(self._workers, parts[1:], strict=True):
            _send(worker.stdin, part)
        try:
            own = work(parts[0])
        except sealing.Unopened as error:
            raise sealing.Unopened(table, first + error.position) from None

        def fetch() -> list[pa.Table]:
            done = [own]
            for worker, start in zip(self._workers, edges[1:-1], strict=True):
                reply = _receive(worker.stdout)
                meta = reply.schema.metadata or {}
                if b"unopened" in meta:
                    raise sealing.Unopened(table, first + int(start) + int(meta[b"unopened"]))
                if b"malformed" in meta:
                    raise Malformed(meta[b"malformed"].decode())
                done.append(reply)
            return done

        return fetch

    def abandon(self) -> None:
        """A worker with an answer nobody fetched would give it to the next question: start afresh."""
        for worker in self._workers:
            worker.kill()
            worker.wait()
        self._workers = []


def _column(table: pa.Table, name: str) -> list[bytes]:
    column = table[name]
    return [value for chunk in column.chunks for value in canonical.slices(chunk)]


def work(batch: pa.Table) -> pa.Table:
    """What a batch asks for in its metadata (`job`, `table`, `columns`), done here. Errors as of `Crew`."""
    job, table, columns = (batch.schema.metadata[key] for key in (b"job", b"table", b"columns"))
    job, table = job.decode(), table.decode()
    if job == "root":
        return pa.table({"root": pa.array([merkle.root(share) for share in _column(batch, "leaves")], sealing.LEAF)})
    secrets = _column(batch, "z")
    if job == "seal":
        leaves, boxes = sealing.seal_batch(table, secrets, _column(batch, "row"))
        return pa.table({"leaf": pa.array(leaves, sealing.LEAF), "box": canonical.packed(boxes)})
    if job == "leaf":
        return pa.table({"leaf": pa.array(sealing.leaf_batch(table, secrets, _column(batch, "row")), sealing.LEAF)})
    opener = sealing.entry_batch if job == "entry" else sealing.open_batch
    rows = opener(table, secrets, _column(batch, "leaf"), _column(batch, "box"))
    if job == "check":
        return pa.table({})
    if job == "read":
        return canonical.columns(canonical.packed(rows), pa.ipc.read_schema(pa.py_buffer(columns)))
    return pa.table({"row": canonical.packed(rows)})


def _send(pipe: BinaryIO, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue()
    pipe.write(struct.pack(">Q", data.size))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: BinaryIO) -> pa.Table:
    head = pipe.read(8)
    if len(head) < 8:
        raise EOFError
    size = struct.unpack(">Q", head)[0]
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """The worker's life: answer batches until the pipe closes."""
    while head := source.read(8):
        data = source.read(struct.unpack(">Q", head)[0])
        try:
            reply = work(pa.ipc.open_stream(pa.py_buffer(data)).read_all())
        except sealing.Unopened as error:
            reply = pa.table({}).replace_schema_metadata({"unopened": str(error.position)})
        except Malformed as error:
            reply = pa.table({}).replace_schema_metadata({"malformed": str(error)})
        _send(sink, reply)


def serve_batches(job: str, table: str, wanted: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A cluster's worker's life: the answer to each batch, a row for each with its place `n`, and no `fault`.

    A fault is a row of its own, with the place where the work stopped, and ends it: UNOPENED, or the `code` that runs
    here where that is not the one `wanted`.
    """
    what = {"job": job, "table": table, "columns": ""}
    for batch in batches:
        place, fault, at = batch["n"], "" if code() == wanted else code(), 0
        if not fault:
            given = pa.Table.from_batches([batch]).drop_columns(["n"]).replace_schema_metadata(what)
            try:
                answer = work(given)
            except sealing.Unopened as error:
                fault, at = UNOPENED, error.position
        if fault:
            nothing = {name: pa.nulls(1, pa.binary()) for name in AFAR[job]}
            yield pa.record_batch({"n": place.slice(at, 1), "fault": pa.array([fault]), **nothing})
            return
        columns = {name: answer[name].combine_chunks().cast(pa.binary()) for name in AFAR[job]}
        yield pa.record_batch({"n": place, "fault": pa.nulls(len(place), pa.string()), **columns})


@cache
def code() -> str:
    """A digest of what decides a leaf and a box: the code that seals, its dictionary and its compressor."""
    held = [resources.files("provenance").joinpath(name).read_bytes() for name in ("sealing.py", "rows-1.zdict")]
    total = hashlib.sha256(repr(zstandard.ZSTD_VERSION).encode())
    for part in held:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def joined(secrets: np.ndarray, counts: np.ndarray) -> pa.LargeBinaryArray:
    """Z of each row: secrets (n, 32), in row order, cut into runs of `counts`."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts * sealing.SECRET, out=offsets[1:])
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(counts), [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(secrets))]
    )


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
