"""One value, one text: canonical JSON (RFC 8785) for rows, entries and statements.

Only objects, arrays, strings, integers and booleans. A float is refused, because two engines print one float
differently; text with unpaired surrogates is refused, because it has no UTF-8.

A row says what there is to say: a column whose text or list is empty is left out, and of several objects (the supports
of a link) each name is written once, with what every one of them has under it in a list, in their order:

    {"a":"N-1","b":"N-2","supports":{"grade":["B2","E5"],"record_id":["R-17","R-18"],"version":[1,2]},"theme":"SOC"}

A name is left out where all of them are empty there; a whole number never is, so that the objects can be counted.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from provenance import memory
from provenance.errors import Malformed

_CONTROL = r"(?:^|[^\\])(?:\\\\)*\\u00"  # an escape, and not the text of one: a backslash in text is written twice
_FEW = 1_000  # rows that are read before threads are got ready
_THREADS = len(os.sched_getaffinity(0))
_SAFE_INTEGER = 2**53 - 1  # RFC 8785 3.2.2.3 with RFC 7493 2.2: integers every JSON reader keeps exact


def dumps(value: Any) -> bytes:
    """The RFC 8785 bytes of `value`. Raises Malformed on a float, a null or an integer beyond 2**53 - 1."""
    _check(value)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError) as error:
        raise Malformed(f"canonical JSON holds text, integers, lists and objects: {error}") from error


def loads(data: bytes) -> Any:
    """Read JSON and insist that it was canonical. Raises Malformed when writing it again gives other bytes."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"canonical JSON expected: {error.msg} at character {error.pos}") from error
    if dumps(value) != data:
        raise Malformed("canonical JSON expected: keys sorted, no spaces, shortest escapes")
    return value


def _check(value: Any) -> None:
    # orjson sorts keys by UTF-8 bytes, RFC 8785 by UTF-16 units: the same for the ASCII keys that are used here.
    # Text is most of what there is, and passed over where it stands: pages and statements go through here whole.
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise Malformed(f"canonical JSON keys are ASCII text: found a key of type {type(key).__name__}")
            if type(item) is not str:  # most are, and a call costs more than all else here
                _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) is not str:
                _check(item)
    elif isinstance(value, bool | str):
        return
    elif isinstance(value, int):
        if abs(value) > _SAFE_INTEGER:
            raise Malformed("canonical JSON integers lie within 2**53 - 1: found a larger one")
    else:
        raise Malformed(f"canonical JSON holds no {type(value).__name__}: wanted text, an integer, a list or an object")


def rows(table: pa.Table) -> pa.Array:
    """Each row of a table as RFC 8785 JSON in the form above, large_binary.

    Columns may be text, integers, lists of them, and lists of objects of all these that have an integer; none of them
    null. Raises Malformed on any other type, on integers beyond 2**53 - 1, and on control characters that have no short
    escape, which the input contract never lets in.
    """
    for field in table.schema:
        _check_type(field.name, field.type)
        for chunk in table[field.name].chunks:
            _check_values(field.name, chunk)
    if not table.num_columns:
        raise Malformed("canonical rows have columns: found a table without any")
    cells: list[pa.Array] = []  # what is to be written of each column, null where it is left out
    written = _object([_member(field, _whole(table[field.name]), cells) for field in _sorted(table.schema)])
    said = pa.table(cells, names=[f"c{place}" for place in range(len(cells))])
    # DuckDB writes text as RFC 8785 does except for the rare control characters: \u001F with a capital letter.
    text = memory.answer(f"SELECT coalesce({written}, '{{}}') AS j FROM rows_in", _THREADS, rows_in=said)
    texts = _whole(text["j"]).cast(pa.large_string())
    suspects = texts.filter(pc.match_substring(texts, "\\u00"))  # few or none, so the dearer question is asked of these
    if pc.any(pc.match_substring_regex(suspects, _CONTROL)).as_py():
        raise Malformed("canonical rows hold no control characters but tab and newline: found one")
    return texts.cast(pa.large_binary())


def _member(field: pa.Field, column: pa.Array, cells: list[pa.Array]) -> str:
    """SQL for a column and its name, with a comma before; null where it is left out."""
    if not _has_objects(field.type):
        cells.append(_unless_empty(column))
        return f"""',"{field.name}":' || to_json(c{len(cells) - 1})"""
    offsets, inner = column.offsets, []
    ends = offsets.to_numpy()
    first, last = int(ends[0]), int(ends[-1])
    each = column.values.slice(first, last - first)
    ends = ends - first
    for member, values in zip(field.type.value_type, each.flatten(), strict=True):
        counted = np.concatenate([[0], np.cumsum(_is_said(values))])
        silent = counted[ends[1:]] == counted[ends[:-1]]
        cells.append(pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values, mask=pa.array(silent)))
        inner.append((member.name, f"""',"{member.name}":' || to_json(c{len(cells) - 1})"""))
    return f"""',"{field.name}":' || {_object([written for _, written in sorted(inner)])}"""


def _object(members: Sequence[str]) -> str:
    """SQL for an object of members; null where all are left out."""
    return f"""'{{' || substr(nullif(concat({", ".join(members)}), ''), 2) || '}}'"""


def _is_said(values: pa.Array) -> np.ndarray:
    if pa.types.is_int64(values.type):
        return np.ones(len(values), bool)
    length = pc.list_value_length if pa.types.is_list(values.type) else pc.binary_length
    return pc.greater(length(values), 0).to_numpy(zero_copy_only=False)


def _unless_empty(column: pa.Array) -> pa.Array:
    said = _is_said(column)
    if said.all():
        return column
    if pa.types.is_list(column.type):  # a list column knows no `if_else`
        return column.take(pa.array(np.arange(len(column)), mask=~said))
    return pc.if_else(pa.array(said), column, pa.scalar(None, column.type))


def table(rows: pa.Array, schema: pa.Schema) -> pa.Table:
    """The table that `rows` wrote, in `schema`. Raises Malformed when a row has other columns or types."""
    if not len(rows):
        return schema.empty_table()
    lines = b"\n".join(slices(rows))
    try:
        read = pj.read_json(
            pa.BufferReader(lines),
            read_options=pj.ReadOptions(block_size=_block(rows), use_threads=len(rows) > _FEW),
            parse_options=pj.ParseOptions(explicit_schema=_as_written(schema), unexpected_field_behavior="error"),
        )
    except pa.ArrowInvalid:
        raise Malformed(_not_expected(schema)) from None
    return _restored(read, schema)


def columns(rows: pa.Array, schema: pa.Schema) -> pa.Table:
    """Some columns of the table that `rows` wrote, in `schema`; what else a row says is passed over, and not checked.

    Of objects, one integer at least is among what is asked for (`tables.chosen` sees to that). A quarter of the time of
    `table`. Raises Malformed when a row lacks an integer that it was asked for, or is not JSON.
    """
    if not len(rows):
        return schema.empty_table()
    text = pa.table({"row": rows.cast(pa.large_string())})
    form = orjson.dumps({field.name: _form(field.type) for field in _as_written(schema)}).decode()
    try:
        # One thread: the others of a crew are at work on the other cores.
        read = memory.answer(f"SELECT unnest(from_json(row, '{form}')) FROM rows_in", 1, rows_in=text)
    except duckdb.Error:
        raise Malformed(_not_expected(schema)) from None
    return _restored(read, schema)


@cache
def _as_written(schema: pa.Schema) -> pa.Schema:
    """The types of columns as rows have them: of several objects, one object of lists."""

    def written(kind: pa.DataType) -> pa.DataType:
        if not _has_objects(kind):
            return kind
        return pa.struct([(member.name, pa.list_(member.type)) for member in kind.value_type])

    return pa.schema([(field.name, written(field.type)) for field in schema])


def _restored(read: pa.Table, schema: pa.Schema) -> pa.Table:
    """What was read of rows, with what they left out. Raises Malformed where that was more than is empty."""
    try:
        written, read = _as_written(schema), read.select(schema.names)
        if read.schema != written:
            read = read.cast(written)
        cells = [_cells(field, _whole(read[field.name])) for field in schema]
    except (Malformed, pa.ArrowInvalid):
        raise Malformed(_not_expected(schema)) from None
    return pa.table(cells, schema=schema)


def _cells(field: pa.Field, column: pa.Array) -> pa.Array:
    if not _has_objects(field.type):
        whole = _filled(column)
        _check_values(field.name, whole)
        return whole
    members = list(zip(field.type.value_type, column.flatten(), strict=True))
    counts = next(_lengths(lists) for member, lists in members if pa.types.is_int64(member.type))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    inner = [_each(member, lists, counts, int(offsets[-1])) for member, lists in members]
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.StructArray.from_arrays(inner, fields=list(field.type.value_type))
    )


def _each(member: pa.Field, lists: pa.Array, counts: np.ndarray, count: int) -> pa.Array:
    """What all objects have under one name; rows have as many of it as they have objects, or left it out."""
    if lists.null_count == len(lists) and not pa.types.is_int64(member.type):
        return _nothing(member.type, count)
    values, lengths = lists.flatten(), _lengths(lists)
    _check_values(member.name, values)
    if lists.null_count and not pa.types.is_int64(member.type):
        said = pc.is_valid(lists).to_numpy(zero_copy_only=False)
        if (lengths[said] != counts[said]).any():
            raise Malformed(_uneven(member.name))
        mine = np.repeat(said, counts)
        at = np.full(count, len(values))
        at[mine] = np.arange(len(values))
        return pa.concat_arrays([values, _nothing(member.type, 1)]).take(pa.array(at))
    if (lengths != counts).any():
        raise Malformed(_uneven(member.name))
    return values


def _uneven(name: str) -> str:
    return f"canonical rows say of every object what they say of one: {name} is missing in some"


def _lengths(lists: pa.Array) -> np.ndarray:
    lengths = pc.list_value_length(lists)
    return (pc.fill_null(lengths, 0) if lists.null_count else lengths).to_numpy()


def _filled(column: pa.Array) -> pa.Array:
    """What was left out is empty."""
    if not column.null_count or pa.types.is_int64(column.type):
        return column
    if not pa.types.is_list(column.type):
        return pc.fill_null(column, "")
    offsets = np.concatenate([[0], np.cumsum(_lengths(column))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), column.flatten())


def _nothing(kind: pa.DataType, count: int) -> pa.Array:
    if not pa.types.is_list(kind):
        return pa.repeat(pa.scalar("", kind), count)
    return pa.ListArray.from_arrays(pa.array(np.zeros(count + 1, np.int32)), pa.array([], kind.value_type))


def _form(kind: pa.DataType) -> Any:
    if pa.types.is_struct(kind):
        return {field.name: _form(field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_form(kind.value_type)]
    return "BIGINT" if pa.types.is_int64(kind) else "VARCHAR"


def _has_objects(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)


def _sorted(fields: Iterable[pa.Field]) -> list[pa.Field]:
    return sorted(fields, key=lambda field: field.name)


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _not_expected(schema: pa.Schema) -> str:
    return f"sealed rows are not in the form that was expected: columns {', '.join(schema.names)}"


def slices(array: pa.Array) -> list[bytes]:
    """The values of a binary or text array as bytes, several times faster than `to_pylist`."""
    if pa.types.is_fixed_size_binary(array.type):
        cells = np.frombuffer(array.buffers()[1], f"V{array.type.byte_width}")
        return cells[array.offset : array.offset + len(array)].tolist()
    large = pa.types.is_large_binary(array.type) or pa.types.is_large_string(array.type)
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64 if large else np.int32)[array.offset : array.offset + len(array) + 1]
    if not len(array):
        return []
    raw = data.slice(int(ends[0]), int(ends[-1] - ends[0])).to_pybytes() if data is not None else b""
    marks = (ends - ends[0]).tolist()
    return [raw[a:b] for a, b in itertools.pairwise(marks)]


def packed(values: Iterable[bytes]) -> pa.LargeBinaryArray:
    """Bytes as an Arrow array."""
    values = list(values)
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=offsets[1:])
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    )


def _block(rows: pa.Array) -> int:
    """Bytes the reader takes at once: it must hold the longest row whole."""
    longest = pc.max(pc.binary_length(rows)).as_py()
    return max(1 << 22, 2 * longest)


def _check_type(name: str, kind: pa.DataType) -> None:
    if _has_objects(kind):
        for field in kind.value_type:
            if _has_objects(field.type):
                raise Malformed(f"canonical rows hold objects of text and numbers: column {field.name} is {field.type}")
            _check_type(field.name, field.type)
        if not any(pa.types.is_int64(field.type) for field in kind.value_type):
            raise Malformed(f"canonical rows count objects by a 64-bit integer in each: column {name} has none")
    elif pa.types.is_list(kind):
        _check_type(name, kind.value_type)
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_int64(kind)):
        raise Malformed(f"canonical rows hold text and 64-bit integers: column {name} is {kind}")


def _check_values(name: str, column: pa.Array) -> None:
    if column.null_count:
        raise Malformed(f"canonical rows hold no nulls: column {name} has {column.null_count}")
    if pa.types.is_struct(column.type):
        for field, part in zip(column.type, column.flatten(), strict=True):
            _check_values(field.name, part)
    elif pa.types.is_list(column.type):
        _check_values(name, column.flatten())
    elif pa.types.is_int64(column.type) and len(column):
        ends = pc.min_max(column)
        if max(-ends["min"].as_py(), ends["max"].as_py()) > _SAFE_INTEGER:
            raise Malformed(f"canonical JSON integers lie within 2**53 - 1: column {name} has a larger one")
