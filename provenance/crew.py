"""Sealing and opening over all cores.

Threads do not help (each call is short and holds the interpreter), and `multiprocessing` would import the caller's
script again or fork a process that has threads. So a worker is this module run by the same interpreter: Arrow batches
in and out through memory that both have open, and over a pipe only that they are there. Secrets live in that memory and
on no disk; it is gone with the last who has it open. On a cluster (`spark.Crew`) the same work is done upon the batches
that a worker there is handed.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from multiprocessing.connection import wait
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

_ROUND = 25_000  # rows for each of the crew that are begun at a time
_PART = 12_500  # rows that one of the crew takes at a time
_ALONE = 20_000  # rows below which starting and feeding workers costs more than it saves
_AT_HAND = 2_000  # the same, once they are there
_SLOTS = 2  # parts that a worker has: one at work, and one so that it need not wait for the next
_ASK, _REPLY = struct.Struct(">BQ"), struct.Struct(">Q")  # slot and bytes; bytes
_MEMORY = struct.Struct(f">{2 * _SLOTS}I")  # what is said first: its descriptors
AFAR = {"seal": ("leaf", "box"), "leaf": ("leaf",), "open": ("row",), "entry": ("row",)}  # jobs for a cluster: answers
UNOPENED = "unopened"
_SHARED = hasattr(os, "memfd_create")  # without it a part would go through files or 64 KiB at a time: work alone


class Round:
    """A batch that the crew has begun, in parts."""

    def __init__(self, crew: Crew, parts: list[pa.Table], first: int) -> None:
        self._crew, self._first = crew, first
        self._parts: list[pa.Table | None] = list(parts)  # None once somebody has it
        self._rows = [part.num_rows for part in parts]
        self._found: list[pa.Table | Exception | None] = [None] * len(parts)
        self._left = len(parts)
        self._lost = False

    def answer(self) -> pa.Table:
        """What the whole batch gave, in its order. Raises what the first part that went wrong did."""
        while self._left and not self._lost:
            self._crew.work_on()
        if self._lost:
            raise Conflict("a sealing worker ended before it answered: try again")
        before = self._first
        for found, rows in zip(self._found, self._rows, strict=True):
            if isinstance(found, sealing.Unopened):
                raise sealing.Unopened(found.table, before + found.position) from None
            if isinstance(found, Exception):
                raise found
            before += rows
        return pa.concat_tables(self._found)

    def take(self, number: int) -> pa.Table | None:
        """A part to be done; None where nobody waits for it any more."""
        part, self._parts[number] = self._parts[number], None
        return part

    def done(self, number: int, found: pa.Table | Exception) -> None:
        """What a part gave."""
        self._found[number] = found
        self._left -= 1

    def drop(self) -> None:
        """Nobody will ask for the answer."""
        self.lose()
        self._parts = [None] * len(self._parts)

    def lose(self) -> None:
        """It cannot be answered any more."""
        self._lost = True


class _Worker:
    """Another process with this module, and the memory that is shared with it: a question and an answer per slot."""

    def __init__(self) -> None:
        self._memory = [(_shared("asked"), _shared("answered")) for _ in range(_SLOTS)]
        fds = [fd for pair in self._memory for fd in pair]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "provenance.crew"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, pass_fds=fds,
        )  # fmt: skip
        self.process.stdin.write(_MEMORY.pack(*fds))
        self._free = deque(range(_SLOTS))
        self.taken: deque[tuple[int, Round, int]] = deque()  # slot, and which part of which round lies in it

    def fileno(self) -> int:
        return self.process.stdout.fileno()

    @property
    def has_room(self) -> bool:
        return bool(self._free)

    def give(self, round_: Round, number: int, part: pa.Table) -> None:
        slot = self._free.popleft()
        self.taken.append((slot, round_, number))
        size = _write(self._memory[slot][0], part)
        self.process.stdin.write(_ASK.pack(slot, size))

    def collect(self) -> None:
        """Fetch the answer to what it was given first. Raises EOFError when it has ended."""
        head = _exactly(self.process.stdout, _REPLY.size)
        if not head:
            raise EOFError
        slot, round_, number = self.taken.popleft()
        reply = _read(self._memory[slot][1], _REPLY.unpack(head)[0])
        self._free.append(slot)
        round_.done(number, _said(reply))

    def end(self, *, now: bool) -> None:
        if now:
            self.process.kill()
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        for pair in self._memory:
            for fd in pair:
                os.close(fd)


class Crew:
    """This process and its workers, started when first needed. What is begun first is answered first."""

    def __init__(self, size: int | None = None) -> None:
        self.size = (size or len(os.sched_getaffinity(0))) if _SHARED else 1
        self._workers: list[_Worker] = []
        self._queue: deque[tuple[Round, int]] = deque()
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
    ) -> Round:
        """Have rows opened. Until the answer is asked for, the workers are at it; then all are.

        `read` gives what the rows say in some of their columns, and Malformed as `canonical.columns`; `open` and
        `entry` give a column `row`; `check` gives nothing. Errors as for `open`. A round that nobody will ask for is
        to be dropped.
        """
        sealed = pa.table({"z": secrets, "leaf": leaves, "box": boxes})
        batch = self._batch(job, table, sealed, columns.serialize().to_pybytes() if columns is not None else b"")
        return self._begin(batch)

    def root(self, leaves: np.ndarray) -> bytes:
        """RFC 6962 root over (n, 32) leaves in their order: `merkle.root`, over all cores."""
        return merkle.root(self.blocks(leaves))

    def blocks(self, leaves: np.ndarray) -> bytes:
        """`merkle.blocks` of (n, 32) leaves in their order, over all cores."""
        whole = len(leaves) // merkle.SHARE
        data, width = np.ascontiguousarray(leaves), merkle.SHARE * merkle.DIGEST
        if whole < 2 or self.size == 1:
            return merkle.blocks(data)
        flat = pa.py_buffer(data[: whole * merkle.SHARE])
        shares = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), whole, [None, flat])
        found = self._run_whole("blocks", "", pa.table({"leaves": shares}), weight=merkle.SHARE)
        return b"".join([*_column(found, "blocks"), merkle.blocks(data[whole * merkle.SHARE :])])

    def dismiss(self) -> None:
        """End the workers; the next large batch starts new ones."""
        self._end(now=False)

    def work_on(self) -> None:
        """Hand out what there is, and do the next part of it or wait for a worker's."""
        with self._abandoning():
            fetched = self._collect(0)
            self._hand_out()
            if not self._queue:
                if not fetched:
                    self._collect(None)
                return
            round_, number = self._queue[0]
            part = round_.take(number)
            if part is not None:
                round_.done(number, _tried(part))
            self._queue.popleft()  # only now, so that an interruption loses the round and not just this part

    def _run(self, job: str, table: str, batch: pa.Table) -> dict[str, pa.Array]:
        whole = self._run_whole(job, table, batch).combine_chunks()
        return {
            name: whole[name].chunk(0) if whole[name].num_chunks else pa.array([], whole[name].type)
            for name in whole.column_names
        }

    def _run_whole(self, job: str, table: str, batch: pa.Table, weight: int = 1) -> pa.Table:
        """`weight`: how many rows of the usual kind a row of this batch is worth."""
        batch = self._batch(job, table, batch)
        begun: deque[Round] = deque()
        done: list[pa.Table] = []
        size = max(1, self.round // weight)
        try:
            # In rounds, so that memory follows the size of a round and not of the table; the next is begun before one
            # is answered, so that no worker waits at the end of each.
            for start in range(0, max(batch.num_rows, 1), size):
                begun.append(self._begin(batch.slice(start, size), start, weight))
                if len(begun) > 1:
                    done.append(begun.popleft().answer())
            while begun:
                done.append(begun.popleft().answer())
        finally:
            for round_ in begun:
                round_.drop()
        return pa.concat_tables(done)

    def _begin(self, batch: pa.Table, first: int = 0, weight: int = 1) -> Round:
        if self._is_small(batch.num_rows * weight):
            alone = Round(self, [batch], first)
            alone.done(0, _tried(batch))
            return alone
        # A small round too is one in which everybody takes part more than once, as some are slower than others.
        size = max(1, min(_PART // weight, -(-batch.num_rows // (2 * self.size))))
        round_ = Round(self, [batch.slice(at, size) for at in range(0, batch.num_rows, size)], first)
        self._queue += [(round_, number) for number in range(-(-batch.num_rows // size))]
        with self._abandoning():
            while len(self._workers) < self.size - 1:
                self._workers.append(_Worker())
            self._collect(0)
            self._hand_out()
        return round_

    def _hand_out(self) -> None:
        for depth in range(_SLOTS):
            for worker in self._workers:
                # A second part for later only where that leaves one for everybody now.
                while len(worker.taken) <= depth and len(self._queue) > depth * self.size and worker.has_room:
                    round_, number = self._queue.popleft()
                    part = round_.take(number)
                    if part is not None:
                        worker.give(round_, number, part)

    def _collect(self, timeout: float | None) -> bool:
        """Whether there was an answer."""
        ready = wait([worker for worker in self._workers if worker.taken], timeout)
        for worker in ready:
            worker.collect()
        return bool(ready)

    @staticmethod
    def _batch(job: str, table: str, batch: pa.Table, columns: bytes = b"") -> pa.Table:
        return batch.combine_chunks().replace_schema_metadata({"job": job, "table": table, "columns": columns})

    def _is_small(self, rows: int) -> bool:
        return self.size == 1 or rows < (_AT_HAND if self._workers else _ALONE)

    @contextmanager
    def _abandoning(self) -> Iterator[None]:
        """Whatever else goes wrong, nobody knows what a worker is at: start afresh."""
        try:
            yield
        except (BrokenPipeError, EOFError):  # said to each who waits for an answer
            self._end(now=True)
        except BaseException:
            self._end(now=True)
            raise

    @property
    def round(self) -> int:
        """Rows that all together are given at a time."""
        return _ROUND * self.size

    def _end(self, *, now: bool) -> None:
        for round_, _ in self._queue:
            round_.lose()
        self._queue.clear()
        for worker in self._workers:
            for _, round_, _ in worker.taken:
                round_.lose()
            worker.end(now=now)
        self._workers = []


def _shared(name: str) -> int:
    return os.memfd_create(f"provenance-{name}", os.MFD_CLOEXEC)


def _tried(batch: pa.Table) -> pa.Table | Exception:
    try:
        return _work(batch)
    except (sealing.Unopened, Malformed) as error:
        return error


def _said(reply: pa.Table) -> pa.Table | Exception:
    """What a worker's answer says: a table, or what went wrong."""
    meta = reply.schema.metadata or {}
    if b"unopened" in meta:
        return sealing.Unopened(meta[b"table"].decode(), int(meta[b"unopened"]))
    if b"malformed" in meta:
        return Malformed(meta[b"malformed"].decode())
    return reply


def _column(table: pa.Table, name: str) -> list[bytes]:
    column = table[name]
    return [value for chunk in column.chunks for value in canonical.slices(chunk)]


def _work(batch: pa.Table) -> pa.Table:
    job, table, columns = (batch.schema.metadata[key] for key in (b"job", b"table", b"columns"))
    job, table = job.decode(), table.decode()
    if job == "blocks":
        return pa.table({"blocks": canonical.packed([merkle.blocks(share) for share in _column(batch, "leaves")])})
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


def _write(memory: int, table: pa.Table) -> int:
    """Bytes written."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = memoryview(sink.getvalue())
    at = 0
    while at < len(data):
        at += os.pwrite(memory, data[at:], at)
    return len(data)


def _read(memory: int, size: int) -> pa.Table:
    data = bytearray(size)
    at = 0
    while at < size:
        got = os.preadv(memory, [memoryview(data)[at:]], at)
        if not got:
            raise EOFError
        at += got
    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    """So many bytes; none when the pipe is closed."""
    data = b""
    while len(data) < size:
        got = pipe.read(size - len(data))
        if not got:
            return b""
        data += got
    return data


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """The worker's life: answer batches until the pipe closes."""
    memory = _MEMORY.unpack(_exactly(source, _MEMORY.size))
    while head := _exactly(source, _ASK.size):
        slot, size = _ASK.unpack(head)
        reply = _tried(_read(memory[2 * slot], size))
        if isinstance(reply, sealing.Unopened):
            said = {"unopened": str(reply.position), "table": reply.table}
            reply = pa.table({}).replace_schema_metadata(said)
        elif isinstance(reply, Malformed):
            reply = pa.table({}).replace_schema_metadata({"malformed": str(reply)})
        sink.write(_REPLY.pack(_write(memory[2 * slot + 1], reply)))


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
                answer = _work(given)
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
    with open(0, "rb", buffering=0) as source, open(1, "wb", buffering=0) as sink:
        serve(source, sink)
