"""One value, one text: the `rfc8785` package and the slow writer judge the fast one.

What two engines could print apart is refused.
"""

import pyarrow as pa
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from provenance import canonical
from provenance.errors import Malformed
from provenance.tables import TABLES, chosen
from tests.reference import as_text

SAFE = 2**53 - 1
INTEGERS = st.integers(-SAFE, SAFE)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = st.text(st.characters(max_codepoint=127))
VALUES = st.recursive(
    ANY_TEXT | INTEGERS | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
# JSON has short escapes for these control characters; the others are refused in bulk.
SHORT = "\b\t\n\f\r"
CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(SHORT + '\x7f\x85"\\/u0\u2028'))


def filled(kind: pa.DataType) -> st.SearchStrategy:
    """Any value of an Arrow type that rows may have."""
    if pa.types.is_struct(kind):
        return st.fixed_dictionaries({field.name: filled(field.type) for field in kind})
    if pa.types.is_list(kind):
        return st.lists(filled(kind.value_type), max_size=3)
    return CELLS if pa.types.is_string(kind) or pa.types.is_large_string(kind) else INTEGERS


def content(schema: pa.Schema) -> st.SearchStrategy[list[dict]]:
    return st.lists(st.fixed_dictionaries({field.name: filled(field.type) for field in schema}), max_size=5)


@given(VALUES)
def test_one_value_is_written_as_rfc_8785_has_it(value):
    written = canonical.dumps(value)
    assert written == rfc8785.dumps(value)
    assert canonical.loads(written) == value


@given(st.data(), st.sampled_from(sorted(TABLES)))
def test_rows_in_bulk_are_what_the_slow_writer_says_and_come_back(data, name):
    schema = TABLES[name].columns
    rows = data.draw(content(schema))
    table = pa.Table.from_pylist(rows, schema)
    written = canonical.rows(table)
    texts = [as_text(row) for row in rows]
    assert [row.as_py() for row in written] == texts == [rfc8785.dumps(canonical.loads(text)) for text in texts]
    assert canonical.table(written, schema) == table


@given(st.data())
def test_some_columns_are_those_of_the_whole(data):
    schema = TABLES["link"].columns
    rows = data.draw(content(schema))
    names = [n for n in schema.names if n != "supports"]
    inner = [f"supports.{field.name}" for field in schema.field("supports").type.value_type]
    some = chosen("link", data.draw(st.lists(st.sampled_from(names + inner), min_size=1, unique=True)))
    found = canonical.columns(canonical.rows(pa.Table.from_pylist(rows, schema)), some)
    assert found.schema == some
    told = [{name: row[name] for name in some.names} for row in rows]
    if "supports" in some.names:
        mine = [field.name for field in some.field("supports").type.value_type]
        told = [row | {"supports": [{name: one[name] for name in mine} for one in row["supports"]]} for row in told]
    assert found.to_pylist() == told


OBJECTS = pa.schema([("s", pa.list_(pa.struct([("n", pa.int64()), ("t", pa.string())])))])


@pytest.mark.parametrize(
    ("row", "meant"),
    [
        (b"{}", []),
        (b'{"s":{"n":[1,2]}}', [(1, ""), (2, "")]),
        (b'{"s":{"n":[1,2],"t":["","x"]}}', [(1, ""), (2, "x")]),
        (b'{"s":{"n":[1,2],"t":["x"]}}', None),
        (b'{"s":{"n":[1],"t":["x","y"]}}', None),
        (b'{"s":{"n":[1],"t":[]}}', None),
        (b'{"s":{"t":["x"]}}', None),
        (b'{"s":{"n":[1,null]}}', None),
        (b'{"s":{"n":[1],"t":[null]}}', None),
        (b'{"s":{"n":["1"]}}', None),
    ],
)
def test_objects_are_written_by_name_and_as_many_of_each_name(row, meant):
    good = canonical.rows(pa.table({"s": [[{"n": 7, "t": "seven"}]]}, OBJECTS))[0].as_py()
    assert good == b'{"s":{"n":[7],"t":["seven"]}}'
    for rows in ([row], [good, row], [row, good]):
        for reader in (canonical.table, canonical.columns):
            if meant is None:
                if reader is canonical.columns and b'["1"]' in row:
                    continue  # it reads a number written as text
                with pytest.raises(Malformed, match=r"sealed rows are not in the form that was expected: columns s$"):
                    reader(canonical.packed(rows), OBJECTS)
            else:
                found = reader(canonical.packed(rows), OBJECTS).to_pylist()[rows.index(row)]
                assert found == {"s": [{"n": n, "t": t} for n, t in meant]}


@given(st.data())
def test_a_slice_of_a_table_is_written_as_its_own_rows(data):
    schema = TABLES["link"].columns
    rows = data.draw(content(schema))
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    table = pa.concat_tables([pa.Table.from_pylist(rows, schema)] * 2)  # two chunks
    part = (rows + rows)[start : len(rows) + stop]
    written = canonical.rows(table.slice(start, len(part)))
    assert [row.as_py() for row in written] == [as_text(row) for row in part]
    assert canonical.table(written.slice(1), schema).to_pylist() == part[1:]


@pytest.mark.parametrize("text", ["\\u0041", "a\\u00", "\\\\u001f", "\\", '"\\u000', "C:\\users\\u00"])
def test_text_that_looks_like_an_escape_is_text(text):
    (row,) = canonical.rows(pa.table({"cell": [text]}))
    assert row.as_py() == canonical.dumps({"cell": text})


@pytest.mark.parametrize("code", [c for c in range(0x20) if chr(c) not in SHORT])
@pytest.mark.parametrize("around", ["{}", "a{}b", "\\{}", "\\\\u00{}"])
def test_control_characters_are_refused_in_bulk(code, around):
    with pytest.raises(Malformed, match=r"canonical rows hold no control characters but tab and newline: found one"):
        canonical.rows(pa.table({"good": ["plain"], "cell": [around.format(chr(code))]}))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1.0, "no float"),
        ([0.5], "no float"),
        ({"a": {"b": float("nan")}}, "no float"),
        (None, "no NoneType"),
        ({"a": [None]}, "no NoneType"),
        (b"raw", "no bytes"),
        ({"a": {1, 2}}, "no set"),
        (2**53, "within 2**53 - 1: found a larger one"),
        (-(2**53), "within 2**53 - 1: found a larger one"),
        ({1: "a"}, "keys are ASCII text: found a key of type int"),
        ({"é": "a"}, "keys are ASCII text: found a key of type str"),
        ("\ud800", "canonical JSON holds text, integers, lists and objects"),
    ],
)
def test_what_two_engines_could_print_apart_is_refused(value, found):
    with pytest.raises(Malformed) as caught:
        canonical.dumps(value)
    assert found in str(caught.value)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array([0.5]), "column cell is double"),
        (pa.array([1], pa.int32()), "column cell is int32"),
        (pa.array([True]), "column cell is bool"),
        (pa.array([b"x"]), "column cell is binary"),
        (pa.array([None]), "column cell is null"),
        (pa.array([[0.5]]), "column cell is double"),
        (pa.array([{"deep": 0.5}]), "column cell is struct<deep: double>"),
        (pa.array([[{"n": 1, "deep": 0.5}]]), "column deep is double"),
        (pa.array([[{"n": 1, "deep": [{"n": 1}]}]]), "column deep is list<item: struct<n: int64>>"),
        (pa.array([[{"deep": "x"}]]), "column cell has none"),
        (pa.array([None], pa.string()), "hold no nulls: column cell has 1"),
        (pa.array(["a", None, None]), "hold no nulls: column cell has 2"),
        (pa.array([["a", None]]), "hold no nulls: column cell has 1"),
        (
            pa.array([[{"n": 1, "deep": None}]], pa.list_(pa.struct([("n", pa.int64()), ("deep", pa.string())]))),
            "hold no nulls: column deep has 1",
        ),
        (pa.array([[{"deep": None}]], pa.list_(pa.struct([("deep", pa.int64())]))), "hold no nulls: column deep has 1"),
        (pa.array([2**53]), "within 2**53 - 1: column cell has a larger one"),
        (pa.array([-(2**53)]), "within 2**53 - 1: column cell has a larger one"),
        (pa.array([-(2**63)]), "within 2**53 - 1: column cell has a larger one"),
    ],
)
def test_columns_that_rows_cannot_have_are_refused(column, found):
    with pytest.raises(Malformed) as caught:
        canonical.rows(pa.table({"good": ["plain"] * len(column), "cell": column}))
    assert found in str(caught.value)


def test_a_table_without_columns_is_refused_and_one_without_rows_is_not():
    with pytest.raises(Malformed, match="canonical rows have columns: found a table without any"):
        canonical.rows(pa.table({}))
    for table in TABLES.values():
        assert len(canonical.rows(table.columns.empty_table())) == 0
        assert canonical.table(canonical.packed([]), table.columns) == table.columns.empty_table()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"b":1,"a":2}', "keys sorted"),
        (b'{"a": 1}', "no spaces"),
        (b'{"a":1}\n', "no spaces"),
        (b'{"a":"\\u0041"}', "shortest escapes"),
        (b'{"a":1,"a":1}', "keys sorted"),
        (b'{"a":1.0}', "no float"),
        (b'{"a":1e2}', "no float"),
        (b'{"a":null}', "no NoneType"),
        (b'{"a":1', "at character"),
        (b"", "at character"),
        (b'{"a":"\xff"}', "at character"),
    ],
)
def test_only_the_one_way_to_write_a_value_is_read(text, found):
    with pytest.raises(Malformed) as caught:
        canonical.loads(text)
    assert found in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        b'{"t":"x"}',
        b'{"n":1,"t":"x","u":"more"}',
        b'{"n":"1","t":"x"}',
        b'{"n":1,"t":2}',
        b'{"n":null,"t":"x"}',
        b'{"n":1.5,"t":"x"}',
        b'{"n":1,"t":"x"',
        b"[1]",
    ],
)
def test_a_row_of_another_form_is_not_read_as_a_table(row):
    schema = pa.schema([("n", pa.int64()), ("t", pa.string())])
    good = canonical.dumps({"n": 1, "t": "x"})
    for rows in ([row], [good, row]):
        with pytest.raises(Malformed, match=r"sealed rows are not in the form that was expected: columns n, t$"):
            canonical.table(canonical.packed(rows), schema)


def test_a_row_longer_than_a_block_is_read_whole():
    schema = pa.schema([("t", pa.string())])
    table = pa.table({"t": ["short", "x" * (9 << 20), "short"]}, schema)
    assert canonical.table(canonical.rows(table), schema) == table


@given(
    st.sampled_from([pa.binary(), pa.large_binary(), pa.string(), pa.large_string(), pa.binary(3)]),
    st.lists(st.integers(0, 40), max_size=8),
    st.integers(0, 8),
    st.integers(0, 8),
)
@example(pa.binary(3), [], 0, 0)
@example(pa.large_binary(), [1, 2], 2, 0)
def test_slices_are_the_values_of_sliced_arrays(kind, sizes, start, count):
    width = 3 if pa.types.is_fixed_size_binary(kind) else None
    values = [bytes([97 + place % 26]) * (width or size) for place, size in enumerate(sizes)]
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    array = pa.array([value.decode() for value in values] if text else values, kind).slice(
        min(start, len(values)), count
    )
    assert canonical.slices(array) == values[start : start + count]


@given(st.lists(st.binary(max_size=20)))
def test_packed_bytes_are_those_bytes(values):
    assert canonical.slices(canonical.packed(iter(values))) == values
