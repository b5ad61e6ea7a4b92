"""One value, one text: canonical JSON (RFC 8785) for rows, entries and statements.

Only objects, arrays, strings, integers and booleans. A float is refused, because two engines print one float
differently; text with unpaired surrogates is refused, because it has no UTF-8.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import cache
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from provenance.errors import Malformed

_CONTROL = r"(?:^|[^\\])(?:\\\\)*\\u00"  # an escape, and not the text of one: a backslash in text is written twice
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
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise Malformed(f"canonical JSON keys are ASCII text: found a key of type {type(key).__name__}")
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    elif isinstance(value, bool | str):
        return
    elif isinstance(value, int):
        if abs(value) > _SAFE_INTEGER:
            raise Malformed("canonical JSON integers lie within 2**53 - 1: found a larger one")
    else:
        raise Malformed(f"canonical JSON holds no {type(value).__name__}: wanted text, an integer, a list or an object")


def rows(table: pa.Table) -> pa.Array:
    """Each row of a table as RFC 8785 JSON, large_binary.

    Columns may be text, integers, and lists and structs of them, none of them null. Raises Malformed on any other
    type, on integers beyond 2**53 - 1, and on control characters that have no short escape, which the input contract
    never lets in.
    """
    for field in table.schema:
        _check_type(field.name, field.type)
        for chunk in table[field.name].chunks:
            _check_values(field.name, chunk)
    if not table.num_columns:
        raise Malformed("canonical rows have columns: found a table without any")
    # DuckDB writes text as RFC 8785 does except for the rare control characters: \u001F with a capital letter.
    with _database().cursor() as connection:
        connection.register("rows_in", table)
        written = connection.sql(f"SELECT to_json({_json('rows_in', table.schema)}) AS j FROM rows_in").to_arrow_table()
    column = written["j"].combine_chunks()
    column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    texts = column.cast(pa.large_string())
    suspects = texts.filter(pc.match_substring(texts, "\\u00"))  # few or none, so the dearer question is asked of these
    if pc.any(pc.match_substring_regex(suspects, _CONTROL)).as_py():
        raise Malformed("canonical rows hold no control characters but tab and newline: found one")
    return texts.cast(pa.large_binary())


@cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"temp_directory": ""})  # nowhere to spill: plaintext stays in memory


def table(rows: pa.Array, schema: pa.Schema) -> pa.Table:
    """The table that `rows` wrote, in `schema`. Raises Malformed when a row has other columns or types."""
    if not len(rows):
        return schema.empty_table()
    lines = b"\n".join(slices(rows))
    try:
        read = pj.read_json(
            pa.BufferReader(lines),
            read_options=pj.ReadOptions(block_size=_block(rows)),
            parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
    except pa.ArrowInvalid:
        raise Malformed(_not_expected(schema)) from None
    try:  # what a row lacks is read as null
        for field in schema:
            for chunk in read[field.name].chunks:
                _check_values(field.name, chunk)
    except Malformed:
        raise Malformed(_not_expected(schema)) from None
    return read.select(schema.names).cast(schema)


def columns(rows: pa.Array, schema: pa.Schema) -> pa.Table:
    """Some columns of the table that `rows` wrote, in `schema`; what else a row says is passed over, and not checked.

    Half the time of `table`. Raises Malformed when a row lacks one of them, or is not JSON.
    """
    if not len(rows):
        return schema.empty_table()
    text = pa.table({"row": rows.cast(pa.large_string())})
    form = orjson.dumps({field.name: _form(field.type) for field in schema}).decode()
    try:
        with _database().cursor() as connection:
            connection.register("rows_in", text)
            read = connection.sql(f"SELECT unnest(from_json_strict(row, '{form}')) FROM rows_in").to_arrow_table()
        for field in schema:
            for chunk in read[field.name].chunks:
                _check_values(field.name, chunk)
    except (duckdb.Error, Malformed):
        raise Malformed(_not_expected(schema)) from None
    return read.select(schema.names).cast(schema)


def _form(kind: pa.DataType) -> Any:
    if pa.types.is_struct(kind):
        return {field.name: _form(field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_form(kind.value_type)]
    return "BIGINT" if pa.types.is_int64(kind) else "VARCHAR"


def _not_expected(schema: pa.Schema) -> str:
    return f"sealed rows are not in the form that was expected: columns {', '.join(schema.names)}"


def slices(array: pa.Array) -> list[bytes]:
    """The values of a binary or text array as bytes, several times faster than `to_pylist`."""
    if pa.types.is_fixed_size_binary(array.type):
        width = array.type.byte_width
        raw = array.buffers()[1].to_pybytes()
        return [raw[i : i + width] for i in range(array.offset * width, (array.offset + len(array)) * width, width)]
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
    return pa.array(values, pa.large_binary())


def _block(rows: pa.Array) -> int:
    """Bytes the reader takes at once: it must hold the longest row whole."""
    longest = pc.max(pc.binary_length(rows)).as_py()
    return max(1 << 22, 2 * longest)


def _check_type(name: str, kind: pa.DataType) -> None:
    if pa.types.is_struct(kind):
        for field in kind:
            _check_type(field.name, field.type)
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


def _json(path: str, fields: pa.Schema | pa.StructType) -> str:
    """An SQL struct of the fields at `path`, keys sorted at every depth."""
    parts = [f"'{field.name}': {_value(f'{path}.{_quoted(field.name)}', field.type)}" for field in fields]
    return "{" + ", ".join(sorted(parts)) + "}"


def _value(path: str, kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return _json(path, kind)
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return f"list_transform({path}, lambda item: {_json('item', kind.value_type)})"
    return path


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
