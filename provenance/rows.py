"""Sealed rows on disk: Parquet segments written once, and the spans of builds in which each row stood.

A segment holds rows of one table: the tokens of what a row speaks of (`a`, `b`), of its other parents (`others`), its
theme, its leaf and its box; nothing that names anyone. A row is never written twice. Which rows a build has is said by
change files: references (segment, row) to what it opened and what it closed. What a disposal did is said by a fate
file: references to the rows that died, with the row that took their place, and to those that were computed with what
is gone. A dead row is blanked: it keeps its place and its leaf, so that every root stands, and nothing else.

Who writes: the receive, link and networks stages and disposals, each in its own folder, before the log names the files
with their SHA-256. If a segment is lost, its rows are lost (DVC holds a copy) and the roots still commit to them. A
liar who edits one is found: the file's digest is in the log, each leaf is under a root in the log, and a box opens to
its own leaf or not at all.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance import canonical, durable, records, sets, vault
from provenance.crew import Crew, Round, joined
from provenance.errors import Missing, Tampered
from provenance.sealing import LEAF, Unopened
from provenance.tables import TABLES, Table, chosen
from provenance.tokens import merged
from provenance.vault import Vault

SEGMENT = pa.schema(
    [
        ("a", pa.int64()),
        ("b", pa.int64()),
        ("others", pa.list_(pa.int64())),
        ("theme", pa.int8()),  # 0 none, else the place in records.THEMES counted from 1
        ("leaf", LEAF),
        ("box", pa.large_binary()),
    ]
)
CHANGES = pa.schema([("table", pa.string()), ("segment", pa.int32()), ("row", pa.int32()), ("opened", pa.bool_())])
FATES = pa.schema(
    [
        ("table", pa.string()),
        ("segment", pa.int32()),
        ("row", pa.int32()),
        ("fate", pa.int8()),
        ("heir", pa.int32()),  # the row in the disposal's own segment that takes a dead one's place; -1 without
    ]
)
DIED, MARKED = 1, 2  # fates: of no more use to anyone; computed with what has since been erased (R35)
# As a file has it. The boxes come last in a row group, and the bytes of each tell where it begins.
FILED = SEGMENT.insert(len(SEGMENT) - 1, pa.field("size", pa.int32()))
_INDEXED = pa.schema([field for field in FILED if field.name != "box"])
_GROUP = 4096  # rows of a row group: what is held in memory at a time when a file is written again
_ONE_PAGE = 2**30  # bytes: more than a row group has, so that its boxes lie in one page, one behind the other
_NEAR = 16_384  # bytes that are read over rather than sought past
_MAGIC = 4  # bytes before the first row group
_LENGTH = 4  # bytes before each box in the file (Parquet, PLAIN encoding of BYTE_ARRAY)


@dataclass(frozen=True, slots=True)
class Sealed:
    """Rows of one table, sealed, in file order (by a, b, leaf)."""

    table: str
    rows: pa.Table  # SEGMENT


class Sealer:
    """Seals and opens whole tables for one vault."""

    def __init__(self, vault: Vault, crew: Crew) -> None:
        self.vault, self.crew = vault, crew

    def subjects(self, table: str, content: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of the things each row speaks of, first and second; new things are admitted to the vault."""
        spec = TABLES[table]
        return self._subject(spec.a, content), self._subject(spec.b, content)

    def seal(
        self, table: str, content: pa.Table, others: tuple[np.ndarray, np.ndarray] | None = None, *, filed: bool = True
    ) -> Sealed:
        """Seal `content`; `others` are further parents: (all tokens in row order, how many each row has).

        With `filed=False` the rows stay in the order of `content`.
        """
        content = _shaped(TABLES[table], content)
        a, b = self.subjects(table, content)
        owners, counts = _parents(a, b, others)
        leaves, boxes = self.crew.seal(table, joined(self.vault.secrets_of(owners), counts), canonical.rows(content))
        flat, lengths = others or (np.zeros(0, np.int64), np.zeros(len(a), np.int64))
        sealed = pa.table(
            [
                pa.array(a),
                pa.array(b),
                pa.ListArray.from_arrays(
                    pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), pa.array(flat)
                ),
                theme_codes(content),
                leaves,
                boxes,
            ],
            schema=SEGMENT,
        )
        return Sealed(table, filed_in_order(sealed) if filed else sealed)

    def leaves(self, table: str, content: pa.Table) -> pa.Array:
        """What each row of a table without further parents would be filed under, in the order of `content`."""
        content = _shaped(TABLES[table], content)
        a, b = self.subjects(table, content)
        owners, counts = _parents(a, b, None)
        return self.crew.leaves(table, joined(self.vault.secrets_of(owners), counts), canonical.rows(content))

    def open(self, table: str, rows: pa.Table) -> pa.Table:
        """The content of sealed rows, in their order. Raises Tampered naming the leaf, Missing for a lost secret."""
        schema = TABLES[table].columns
        rounds = [canonical.table(_only(found["row"]), schema) for found in self._opened("open", table, [rows])]
        return pa.concat_tables([schema.empty_table(), *rounds])

    def read(self, table: str, rows: Iterable[pa.Table], columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of sealed rows, as `tables.chosen` names them, a share at a time; in half the time. Raises as
        `open` does."""
        return self._opened("read", table, rows, chosen(table, columns))

    def check(self, table: str, rows: Iterable[pa.Table]) -> Iterator[None]:
        """Open each row to its leaf, and keep nothing; an answer for each share of at most `crew.round` rows. Raises as
        `open` does."""
        return (None for _ in self._opened("check", table, rows))

    def entries(self, table: str, rows: pa.Table) -> pa.Array:
        """Salt and row of each, for a proof."""
        found = [_only(part["row"]) for part in self._opened("entry", table, [rows])]
        return pa.concat_arrays([canonical.packed([]), *found])

    def _opened(
        self, job: str, table: str, rows: Iterable[pa.Table], columns: pa.Schema | None = None
    ) -> Iterator[pa.Table]:
        """A round at a time, so that the secrets of two rounds are in memory and not those of a table. While the
        workers open one round, the one before is made use of and the next is got ready."""
        begun: deque[tuple[pa.Table, Round]] = deque()
        try:
            for part in self._rounds(rows):
                owners, counts = parents_of(part)
                secrets = joined(self.vault.secrets_of(owners), counts)
                round_ = self.crew.begin(job, table, secrets, _only(part["leaf"]), _only(part["box"]), columns)
                begun.append((part, round_))
                if len(begun) > 1:
                    yield self._answered(table, *begun.popleft())
            while begun:
                yield self._answered(table, *begun.popleft())
        finally:
            for _, round_ in begun:
                round_.drop()

    def _rounds(self, rows: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for whole in rows:
            for start in range(0, whole.num_rows, self.crew.round):
                yield whole.slice(start, self.crew.round).combine_chunks()

    @staticmethod
    def _answered(table: str, part: pa.Table, round_: Round) -> pa.Table:
        """A row that does not open is named by its leaf."""
        try:
            return round_.answer()
        except Unopened as error:
            leaf = part["leaf"][error.position].as_py().hex()
            raise Tampered(f"row {leaf} of table {table} does not open to its leaf") from None

    def _subject(self, source: str, content: pa.Table) -> np.ndarray:
        if source == "record":
            return self.vault.admit(vault.record_keys(content["system"], content["record_id"]))
        if source == "order":
            nominal = pc.equal(content["what"], "nominal")
            keys = pc.if_else(
                nominal, vault.nominal_keys(content["id"]), vault.record_keys(content["system"], content["id"])
            )
            return self.vault.admit(_only(keys))
        if not source:
            return np.zeros(content.num_rows, np.int64)
        ids = content[source.removeprefix("nominal:")]
        if source == "nominal:into_nominal":  # a split names no second person
            split = pc.equal(ids, records.SPLIT)
            tokens = np.zeros(content.num_rows, np.int64)
            tokens[~split.to_numpy()] = self.vault.admit(_only(vault.nominal_keys(ids.filter(pc.invert(split)))))
            return tokens
        return self.vault.admit(_only(vault.nominal_keys(ids)))


def filed_in_order(sealed: pa.Table) -> pa.Table:
    """Sealed rows in the order of a segment: by a, b and leaf."""
    return sealed.take(pa.array(file_order(sealed)))


def file_order(sealed: pa.Table) -> np.ndarray:
    """The order in which rows are filed in a segment."""
    return pc.sort_indices(sealed, [(name, "ascending") for name in ("a", "b", "leaf")]).to_numpy()


def theme_codes(content: pa.Table) -> pa.Array:
    """The theme column as a number, 0 where the table has none."""
    if "theme" not in content.column_names:
        return pa.array(np.zeros(content.num_rows, np.int8))
    return pc.add(pc.index_in(_only(content["theme"]), pa.array(records.THEMES)), 1).cast(pa.int8())


def parents_of(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """All parents of sealed rows, in token order within each row, and how many each has."""
    others = _only(rows["others"])
    return _parents(
        rows["a"].to_numpy(),
        rows["b"].to_numpy(),
        (others.flatten().to_numpy(), pc.list_value_length(others).to_numpy()),
    )


def _parents(
    a: np.ndarray, b: np.ndarray, others: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    flat, lengths = others or (np.zeros(0, np.int64), np.zeros(len(a), np.int64))
    starts, counts = np.cumsum(lengths) - lengths, np.zeros(len(a), np.int64)
    parts = []
    for length in sets.distinct(lengths).tolist():  # rows with as many parents as one another are sorted side by side
        mine = np.flatnonzero(lengths == length)
        side = np.empty((len(mine), length + 2), np.int64)
        side[:, 0], side[:, 1] = a[mine], b[mine]
        side[:, 2:] = flat[starts[mine, None] + np.arange(length)]
        side.sort(axis=1)
        fit = side != 0
        fit[:, 1:] &= side[:, 1:] != side[:, :-1]
        counts[mine] = fit.sum(axis=1)
        parts.append((mine, side, fit))
    counts[counts == 0] = 1  # no personal parent: the archive's own secret
    tokens = np.full(int(counts.sum()), vault.ARCHIVE_TOKEN, np.int64)
    starts = np.cumsum(counts) - counts
    for mine, side, fit in parts:
        tokens[(starts[mine, None] + np.cumsum(fit, axis=1) - 1)[fit]] = side[fit]
    return tokens, counts


def _shaped(spec: Table, content: pa.Table) -> pa.Table:
    return content.select(spec.columns.names).cast(spec.columns).combine_chunks()


def _only(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def write_segment(path: Path, sealed: Sealed) -> str:
    """Write a segment durably; returns the SHA-256 of the file."""
    return _write_parquet(path, _filed(sealed.rows))


def write_changes(path: Path, changes: pa.Table) -> str:
    """Write which rows a build opened and closed; returns the SHA-256 of the file."""
    order = pc.sort_indices(changes, [(name, "ascending") for name in CHANGES.names])
    return _write_parquet(path, changes.take(order).cast(CHANGES), compression="zstd")


def read_changes(path: Path) -> pa.Table:
    """What `write_changes` wrote."""
    return _read_parquet(path, CHANGES)


def write_fates(path: Path, fates: pa.Table) -> str:
    """Write what a disposal did to which rows; returns the SHA-256 of the file."""
    order = pc.sort_indices(fates, [(name, "ascending") for name in FATES.names])
    return _write_parquet(path, fates.take(order).cast(FATES), compression="zstd")


def read_fates(path: Path) -> pa.Table:
    """What `write_fates` wrote."""
    return _read_parquet(path, FATES)


def by_table(references: pa.Table) -> Mapping[str, pa.Table]:
    """CHANGES or FATES, parted; a table that they do not touch is not in it."""
    tables = pc.unique(references["table"]).to_pylist()
    return {name: references.filter(pc.equal(references["table"], name)).combine_chunks() for name in tables}


def write_table(path: Path, table: pa.Table) -> str:
    """Write a small table of tokens and counts durably; returns the SHA-256 of the file."""
    return _write_parquet(path, table, compression="zstd")


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """What `write_table` wrote."""
    return _read_parquet(path, schema)


def blank(source: Path, target: Path, dead: np.ndarray) -> str:
    """Write a segment again with the rows numbered `dead` blanked, a row group at a time; returns its SHA-256.

    All other rows, and every leaf, are written as they are: the same file with the same dead gives the same bytes.
    """
    with _reading(source):
        file = pq.ParquetFile(source, page_checksum_verification=True)
    dead = np.sort(dead)
    with file, durable.replacing(target) as staged:
        with pq.ParquetWriter(staged, FILED, **_form("none")) as writer:
            for group in range(file.num_row_groups):
                with _reading(source):  # and no more: a disk that is full is no fault of the file that is read
                    table = _as_wanted(file.read_row_group(group), FILED).combine_chunks()
                first, last = np.searchsorted(dead, [group * _GROUP, (group + 1) * _GROUP])
                blanked = _blanked(table.select(SEGMENT.names), dead[first:last] - group * _GROUP)
                writer.write_table(_filed(blanked), row_group_size=_GROUP)
        return digest(staged)


def _filed(rows: pa.Table) -> pa.Table:
    size = pc.binary_length(_only(rows["box"])).cast(pa.int32())
    return rows.add_column(FILED.names.index("size"), FILED.field("size"), size)


def _blanked(table: pa.Table, dead: np.ndarray) -> pa.Table:
    if not len(dead):
        return table
    mask = np.zeros(table.num_rows, bool)
    mask[dead] = True
    gone = pa.array(mask)
    blanks = {"others": pa.array([[]], pa.list_(pa.int64())), "box": pa.array([b""], pa.large_binary())}
    columns = []
    for name in SEGMENT.names:
        column = _only(table[name])
        if name in blanks:
            # The row after the last stands for a blank: a list column knows no `if_else`.
            at = np.where(mask, table.num_rows, np.arange(table.num_rows))
            column = pa.concat_arrays([column, blanks[name].cast(column.type)]).take(pa.array(at))
        elif name != "leaf":
            column = pc.if_else(gone, pa.scalar(0, column.type), column)
        columns.append(column)
    return pa.table(columns, schema=SEGMENT)


def is_blank(rows: pa.Table) -> np.ndarray:
    """True for the rows that a disposal has blanked."""
    return pc.equal(pc.binary_length(_only(rows["box"])), 0).to_numpy(zero_copy_only=False)


def _write_parquet(path: Path, table: pa.Table, compression: str = "none") -> str:
    with durable.replacing(path) as staged:
        pq.write_table(
            table, staged, row_group_size=_GROUP if compression == "none" else 1_000_000, **_form(compression)
        )
        return digest(staged)


def _form(compression: str) -> dict[str, Any]:
    form = {
        "compression": compression,  # boxes and tokens are random: compressing them only costs time
        "use_dictionary": False,
        "write_page_checksum": True,
        "write_statistics": False,
        "store_schema": True,
    }
    if compression == "none":
        packed = {"theme": "DELTA_BINARY_PACKED", "size": "DELTA_BINARY_PACKED"}
        form |= {"data_page_size": _ONE_PAGE, "max_rows_per_page": _GROUP, "column_encoding": packed}
    return form


def _read_parquet(path: Path, wanted: pa.Schema) -> pa.Table:
    with _reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read(columns=wanted.names)
        if table.num_rows != file.metadata.num_rows:
            raise ValueError
        return _as_wanted(table, wanted)


def read_segment(path: Path) -> tuple[pa.Table, np.ndarray]:
    """A segment without its boxes (FILED but for `box`), and where in the file each box begins, int64.

    Raises Missing, or Tampered naming the file.
    """
    with _reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read(columns=_INDEXED.names)
        if table.num_rows != file.metadata.num_rows:
            raise ValueError
        table = _as_wanted(table, _INDEXED).combine_chunks()
        sizes, first, end = table["size"].to_numpy().astype(np.int64), 0, _MAGIC
        begins = np.empty(len(sizes), np.int64)
        for group in range(file.metadata.num_row_groups):
            meta = file.metadata.row_group(group)
            mine = slice(first, first + meta.num_rows)
            whole = sizes[mine] + _LENGTH
            end += meta.total_byte_size  # nothing lies between two row groups
            begins[mine] = end - whole.sum() + np.cumsum(whole) - sizes[mine]
            first += meta.num_rows
    return table, begins


def read_boxes(path: Path, begins: np.ndarray, sizes: np.ndarray) -> pa.LargeBinaryArray:
    """Boxes of a segment, by where they begin (ascending, each once) and how many bytes they have.

    They are guarded by their leaves and not by the checksums of their pages, which whole pages would have to be read
    for. Raises Missing, or Tampered naming the file.
    """
    ends = begins + sizes
    cuts = np.flatnonzero(begins[1:] - ends[:-1] > _NEAR) + 1  # what lies close together is read at once
    firsts = np.concatenate([[0], cuts]) if len(begins) else cuts
    lasts = np.concatenate([cuts, [len(begins)]]) - 1 if len(begins) else cuts
    starts, parts, at = begins[firsts] - _LENGTH, [], begins.copy()
    with _reading(path), open(path, "rb", buffering=0) as file:
        before = 0
        for first, last, start, end in zip(firsts, lasts, starts.tolist(), ends[lasts].tolist(), strict=True):
            parts.append(os.pread(file.fileno(), end - start, start))
            if len(parts[-1]) != end - start:
                raise ValueError
            at[first : last + 1] += before - start
            before += end - start
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        told = np.frombuffer(data, np.uint8)[(at - _LENGTH)[:, None] + np.arange(_LENGTH)]
        if (told.view("<i4").ravel() != sizes).any():
            raise ValueError
    # What lies between two boxes is taken for a value of its own, and left out.
    marks = np.stack([at, at + sizes], axis=1).ravel()
    both = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), max(len(marks) - 1, 0), [None, pa.py_buffer(marks), pa.py_buffer(data)]
    )
    return both.take(pa.array(np.arange(0, len(marks), 2)))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What a reader says of a file that is gone or damaged, in our words; what is read is whole when the block ends."""
    try:
        yield
    except FileNotFoundError:
        raise Missing(f"file {_tail(path)} is not there: fetch it with `dvc pull` or restore it") from None
    except (OSError, ValueError, KeyError, pa.ArrowException):
        raise Tampered(f"file {_tail(path)} cannot be read: its bytes are not those that were written") from None


def _as_wanted(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    if not table.schema.equals(wanted):  # page checksums cover the cells, not the names and types in the footer
        raise ValueError
    return table


def _tail(path: Path) -> str:
    parts = path.parts
    return "/".join(parts[parts.index("store") :]) if "store" in parts else path.name


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def leaf_matrix(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Leaves as (n, 32) uint8."""
    array = _only(column)
    raw = np.frombuffer(array.buffers()[1], np.uint8) if len(array) else np.zeros(0, np.uint8)
    return raw[array.offset * 32 : (array.offset + len(array)) * 32].reshape(-1, 32)


def in_byte_order(leaves: np.ndarray) -> np.ndarray:
    """(n, 32) leaves in byte order."""
    return leaves.take(byte_order(leaves), axis=0)  # a fifth of the time of an index, for rows of 32 bytes


def byte_order(leaves: np.ndarray) -> np.ndarray:
    """Places of (n, 32) leaves in byte order. Leaves are digests, so the first eight bytes nearly always decide."""
    leaves = np.ascontiguousarray(leaves)
    firsts = leaves.view(">u8")[:, 0].astype(np.uint64)
    order = np.argsort(firsts)
    firsts = firsts[order]
    if (firsts[1:] == firsts[:-1]).any():
        order = np.argsort(as_keys(leaves), kind="stable")
    return order


def with_changes(ordered: np.ndarray, gone: np.ndarray, come: np.ndarray) -> np.ndarray:
    """Leaves in byte order without those `gone` and with those `come`; (n, 32) each. Every one of `gone` is there."""
    keys = as_keys(ordered)
    kept = np.delete(ordered, np.searchsorted(keys, as_keys(gone)), axis=0) if len(gone) else ordered
    if not len(come):
        return kept
    come = in_byte_order(come)
    return merged(kept, np.searchsorted(as_keys(kept), as_keys(come)), come)


def as_keys(leaves: np.ndarray) -> np.ndarray:
    """(n, 32) leaves as one comparable value each, for sorting and set operations in byte order."""
    # NumPy drops trailing zero bytes of an S value; among values of one length that loses nothing.
    return np.ascontiguousarray(leaves).view("S32").ravel()


def with_leaves(leaves: np.ndarray, wanted: Iterable[str]) -> np.ndarray:
    """Positions among (n, 32) leaves of those that are `wanted`, in hexadecimal; few are."""
    few = np.frombuffer(b"".join(map(bytes.fromhex, sorted(wanted))), np.uint8).reshape(-1, 32)
    firsts = (np.ascontiguousarray(some[:, :8]).view(np.int64).ravel() for some in (leaves, few))
    at = np.flatnonzero(sets.among(*firsts))
    return at[sets.among(as_keys(leaves[at]), as_keys(few))]


def pair_keys(theme: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One comparable value per theme and pair of tokens; a and b are filed in the order of their names."""
    return np.ascontiguousarray(np.stack([a, b, theme.astype(np.int64)], axis=1)).view("V24").ravel()
