"""Segments hold sealed rows and no name; the index fetches any of them, and knows which builds had which."""

import itertools
import random
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import rows, vault
from provenance.crew import Crew
from provenance.errors import Missing, Tampered
from provenance.index import Index
from provenance.keys import MasterKey
from provenance.records import THEMES
from provenance.rows import CHANGES, FILED, SEGMENT, Sealer
from provenance.tables import TABLES
from provenance.vault import Vault

IDS = [f"NOMINAL-{n:03}" for n in range(60)]
RECORDS = [f"RECORD-{n:03}" for n in range(60)]
SUPPORT = {
    field.name: 0 if pa.types.is_int64(field.type) else ""
    for field in TABLES["link"].columns.field("supports").type.value_type
}
SUPPORT |= {"system": "CONNECT", "sources_a": [], "sources_b": []}


@pytest.fixture(scope="module")
def sealer(tmp_path_factory):
    opened = Vault.create(tmp_path_factory.mktemp("rows") / "vault", MasterKey(bytes(32)))
    opened.admit(vault.nominal_keys(pa.array(IDS)))
    opened.admit(vault.record_keys(pa.array(["CONNECT"] * len(RECORDS)), pa.array(RECORDS)))
    return Sealer(opened, Crew(1))


def links(count: int, seed: int) -> list[dict]:
    """Links of two people and one to four records each, no two alike."""
    drawn = random.Random(seed)
    found = []
    for n in range(count):
        a, b = sorted(drawn.sample(IDS, 2))
        behind = sorted(drawn.sample(RECORDS, drawn.randint(1, 4)))
        supports = [SUPPORT | {"record_id": record, "contribution": seed * 100_000 + n} for record in behind]
        found.append(
            {"theme": drawn.choice(THEMES), "a": a, "b": b, "strength": n, "records": len(behind), "handling": "P",
             "conditions": "", "rule": "same-record/1", "supports": supports}
        )  # fmt: skip
    return found


def others(sealer: Sealer, content: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    behind = [s["record_id"] for link in content for s in link["supports"]]
    keys = vault.record_keys(pa.array(["CONNECT"] * len(behind), pa.string()), pa.array(behind, pa.string()))
    return sealer.vault.tokens(keys), np.array([len(link["supports"]) for link in content], np.int64)


def sealed(sealer: Sealer, content: list[dict]) -> rows.Sealed:
    return sealer.seal("link", pa.Table.from_pylist(content, TABLES["link"].columns), others(sealer, content))


def filed(sealer: Sealer, folder, sizes: list[int]) -> tuple[Index, list[dict]]:
    """An index over segments of these sizes, and by position what each row says."""
    index, said = Index("link"), []
    for number, size in enumerate(sizes, start=1):
        part = sealed(sealer, links(size, number))
        path = folder / "store" / "links" / f"W{number}.link.parquet"
        rows.write_segment(path, part)
        assert index.add(number, path, since=number).tolist() == list(range(len(said), len(said) + size))
        said += sealer.open("link", part.rows).to_pylist()
    return index, said


@pytest.fixture(scope="module")
def many(sealer, tmp_path_factory):
    """Eight segments, one without rows and one of several row groups."""
    return filed(sealer, tmp_path_factory.mktemp("many"), [3, 0, 40, 1, 2 * 4096 + 7, 17, 1, 200])


# ---- what is written -------------------------------------------------------------------------------------------------


def test_a_segment_holds_tokens_theme_leaf_and_box_and_no_word_of_the_row(sealer, tmp_path):
    content = links(50, 1)
    part = sealed(sealer, content)
    path = tmp_path / "w.parquet"
    sha256 = rows.write_segment(path, part)
    assert sha256 == rows.digest(path)
    held = pq.read_table(path)
    assert held.schema.equals(FILED)
    assert held.select(SEGMENT.names) == part.rows
    assert held["size"].to_pylist() == [len(box) for box in part.rows["box"].to_pylist()]
    data = path.read_bytes()
    for word in ("NOMINAL", "RECORD", "CONNECT", "same-record", "supports"):
        assert word.encode() not in data
        assert word in str(content)
    order = list(zip(*(held[name].to_pylist() for name in ("a", "b", "leaf")), strict=True))
    assert order == sorted(order)


def test_what_was_sealed_is_opened_in_the_order_asked_for(sealer):
    content = links(30, 1)
    part = sealed(sealer, content)
    said = sealer.open("link", part.rows).to_pylist()
    by_strength = lambda link: link["strength"]  # noqa: E731
    assert sorted(said, key=by_strength) == content
    mixed = random.Random(2).sample(range(30), 30)
    assert sealer.open("link", part.rows.take(pa.array(mixed))).to_pylist() == [said[place] for place in mixed]
    assert sealer.open("link", SEGMENT.empty_table()) == TABLES["link"].columns.empty_table()


def test_the_same_rows_in_any_order_give_the_same_bytes(sealer, tmp_path):
    content = links(30, 1)
    once = rows.write_segment(tmp_path / "a.parquet", sealed(sealer, content))
    for seed in range(3):
        mixed = random.Random(seed).sample(content, len(content))
        assert rows.write_segment(tmp_path / "b.parquet", sealed(sealer, mixed)) == once
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_the_parents_of_a_row_are_its_people_and_its_records_in_token_order(sealer):
    content = links(20, 1)
    part = sealed(sealer, content)
    tokens, counts = rows.parents_of(part.rows)
    ends = np.concatenate([[0], np.cumsum(counts)])
    for place, link in enumerate(sealer.open("link", part.rows).to_pylist()):
        people = sealer.vault.tokens(vault.nominal_keys(pa.array([link["a"], link["b"]])))
        wanted = sorted({*people.tolist(), *others(sealer, [link])[0].tolist()})
        assert tokens[ends[place] : ends[place + 1]].tolist() == wanted
        assert len(wanted) == 2 + link["records"]


def test_a_row_of_no_one_is_sealed_under_the_archives_secret(sealer):
    columns = TABLES["network"].columns
    zero = {field.name: 0 if pa.types.is_int64(field.type) else "" for field in columns}
    part = sealer.seal("network", pa.Table.from_pylist([zero | {"network": "SOC-1", "theme": "SOC"}], columns))
    tokens, counts = rows.parents_of(part.rows)
    assert (tokens.tolist(), counts.tolist()) == ([vault.ARCHIVE_TOKEN], [1])
    assert part.rows.select(["a", "b", "others", "theme"]).to_pylist() == [{"a": 0, "b": 0, "others": [], "theme": 1}]
    assert sealer.open("network", part.rows)["network"].to_pylist() == ["SOC-1"]


def test_leaves_alone_are_those_of_the_sealed_rows_in_the_order_of_the_content(sealer):
    columns = TABLES["person"].columns
    blank = dict.fromkeys(columns.names, "")
    content = pa.Table.from_pylist([blank | {"nominal_id": name} for name in reversed(IDS[:9])], columns)
    part = sealer.seal("person", content)
    asked = sealer.leaves("person", content).to_pylist()
    assert sorted(asked) == sorted(part.rows["leaf"].to_pylist())
    opened = dict(
        zip(part.rows["leaf"].to_pylist(), sealer.open("person", part.rows)["nominal_id"].to_pylist(), strict=True)
    )
    assert [opened[leaf] for leaf in asked] == list(reversed(IDS[:9]))


# ---- the index -------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.data())
def test_rows_come_in_the_order_asked_for_over_all_segments(sealer, many, data):
    index, said = many
    wanted = data.draw(st.lists(st.integers(0, len(said) - 1), max_size=40))
    fetched = index.rows(np.array(wanted, np.int64))
    assert fetched.schema.equals(SEGMENT)
    assert fetched["leaf"].to_pylist() == [index.leaf[place].tobytes() for place in wanted]
    assert sealer.open("link", fetched).to_pylist() == [said[place] for place in wanted]


def test_all_rows_of_all_segments_are_fetched(sealer, many):
    index, said = many
    mixed = np.random.default_rng(3).permutation(len(said))
    assert sealer.open("link", index.rows(mixed)).to_pylist() == [said[place] for place in mixed]


def test_the_index_says_of_each_row_what_its_file_says(many):
    index, said = many
    assert len(index) == len(said) == 3 + 40 + 1 + 8199 + 17 + 1 + 200
    fetched = index.rows(np.arange(len(index)))
    assert fetched["a"].to_pylist() == index.a.tolist()
    assert fetched["b"].to_pylist() == index.b.tolist()
    assert [THEMES[code - 1] for code in index.theme] == [link["theme"] for link in said]
    ends = index.ends.tolist()
    assert [index.others[x:y].tolist() for x, y in itertools.pairwise(ends)] == fetched["others"].to_pylist()
    assert sorted(set(index.segment.tolist())) == [1, 3, 4, 5, 6, 7, 8]
    assert index.since.tolist() == index.segment.tolist()


def test_rows_resting_on_a_record_are_found(sealer, many):
    index, said = many
    for chosen in ([], ["RECORD-007"], ["RECORD-001", "RECORD-059"]):
        keys = vault.record_keys(pa.array(["CONNECT"] * len(chosen), pa.string()), pa.array(chosen, pa.string()))
        wanted = [n for n, link in enumerate(said) if {s["record_id"] for s in link["supports"]} & set(chosen)]
        assert index.resting_on(sealer.vault.tokens(keys)).tolist() == wanted


@given(st.lists(st.integers(0, 8460), max_size=30), st.booleans())
def test_references_lead_back_to_their_rows(many, wanted, opened):
    index, _ = many
    at = np.array(wanted, np.int64)
    named = index.references(at, opened=opened)
    assert named.schema.equals(CHANGES)
    assert set(named["table"].to_pylist()) <= {"link"}
    assert named["opened"].to_pylist() == [opened] * len(at)
    assert index.positions(named["segment"].to_numpy(), named["row"].to_numpy()).tolist() == wanted


@settings(max_examples=60)
@given(st.lists(st.dictionaries(st.integers(0, 60), st.booleans(), max_size=20), max_size=7))
def test_each_build_has_the_rows_that_were_opened_and_not_closed(many, weeks):
    """Against a list of sets. A row may come, go and come again; changes of another table do not touch this one."""
    full, _ = many
    index = Index("link")
    for number in (1, 3, 4, 6):
        index.add(number, full.paths[number], since=0)
    standing: set[int] = set()
    history = [set()]
    for build, asked in enumerate(weeks, start=1):
        come = sorted(n for n, opened in asked.items() if opened and n not in standing)
        gone = sorted(n for n, opened in asked.items() if not opened and n in standing)
        changes = pa.concat_tables(
            [index.references(np.array(gone, int), opened=False), index.references(np.array(come, int), opened=True)]
        )
        foreign = index.references(np.arange(5), opened=True).set_column(0, "table", pa.array(["nominal"] * 5))
        index.apply(pa.concat_tables([foreign, changes]), build)
        standing = (standing | set(come)) - set(gone)
        history.append(standing)
        assert [set(index.standing(b).tolist()) for b in range(len(history))] == history
    assert set(index.standing(99).tolist()) == standing


@settings(max_examples=40)
@given(
    st.lists(st.dictionaries(st.integers(0, 60), st.booleans(), max_size=20), min_size=3, max_size=6),
    st.integers(0, 43),
    st.data(),
)
def test_the_rows_of_one_person_and_those_between_two_builds_are_those_of_the_whole(sealer, many, weeks, back, data):
    """What is looked up from either end, or compared, is what going through all rows would find.

    In every run the row `back` comes in the first week, goes in the second and is there again in the third.
    """
    full, _ = many
    index = Index("link")
    for number in (1, 3, 4):
        index.add(number, full.paths[number], since=0)
    weeks = [asked | {back: week != 1} if week < 3 else asked for week, asked in enumerate(weeks)]
    history: list[set[int]] = [set()]
    for build, asked in enumerate(weeks, start=1):
        if build == 3:
            index.of(int(index.a[0]))  # some rows are in order already when more come
            index.add(6, full.paths[6], since=0)
        asked = {n: opened for n, opened in asked.items() if n < len(index) and opened != (n in history[-1])}
        for opened in (False, True):
            at = np.array(sorted(n for n, way in asked.items() if way == opened), int)
            index.apply(index.references(at, opened=opened), build)
        come = {n for n, opened in asked.items() if opened}
        history.append((history[-1] - asked.keys()) | come)
    history.append(history[-1])
    assert [back in standing for standing in history[:4]] == [False, True, False, True]
    others = st.sampled_from([*index.a.tolist(), *index.b.tolist(), 0, 7])
    for token in (int(index.a[back]), int(index.b[back]), data.draw(others)):
        mine = np.flatnonzero((index.a == token) | (index.b == token))
        assert index.of(token).tolist() == mine.tolist()
        for build, standing in enumerate(history):
            assert index.stood(mine, build).tolist() == [n for n in mine.tolist() if n in standing]
    for build, standing in enumerate(history):
        for other, others_standing in enumerate(history):
            gone, come = index.between(build, other)
            assert gone.tolist() == sorted(standing - others_standing)
            assert come.tolist() == sorted(others_standing - standing)


def test_what_an_extract_replaces_is_marked_with_its_number(many):
    full, _ = many
    index = Index("link")
    index.add(3, full.paths[3], since=0)
    assert index.standing(5).tolist() == []
    index.replace(index.references(np.array([4, 9]), opened=False), 12)
    assert np.flatnonzero(index.replaced).tolist() == [4, 9]
    assert index.replaced[[4, 9]].tolist() == [12, 12]


def test_an_empty_index_answers(sealer):
    index = Index("link")
    nothing = np.zeros(0, np.int64)
    assert len(index) == 0
    assert index.standing(1).tolist() == index.resting_on(np.array([1])).tolist() == []
    assert index.positions(nothing, nothing).tolist() == []
    assert index.rows(nothing) == SEGMENT.empty_table()
    assert index.references(nothing, opened=True) == CHANGES.empty_table()
    index.apply(CHANGES.empty_table(), 1)


# ---- changes ---------------------------------------------------------------------------------------------------------


def test_changes_come_back_in_one_order_whatever_the_order_they_were_said_in(many, tmp_path):
    index, _ = many
    parts = [index.references(np.array([9, 2, 5000]), opened=True), index.references(np.array([2, 1]), opened=False)]
    once = rows.write_changes(tmp_path / "a.parquet", pa.concat_tables(parts))
    assert rows.write_changes(tmp_path / "b.parquet", pa.concat_tables(reversed(parts))) == once
    read = rows.read_changes(tmp_path / "a.parquet")
    assert read.schema.equals(CHANGES)
    wanted = [row for part in parts for row in part.to_pylist()]
    assert read.to_pylist() == sorted(wanted, key=lambda row: tuple(row.values()))
    rows.write_changes(tmp_path / "none.parquet", CHANGES.empty_table())
    assert rows.read_changes(tmp_path / "none.parquet") == CHANGES.empty_table()


# ---- damage ----------------------------------------------------------------------------------------------------------


def flips(data: bytes, step: int) -> list[int]:
    """Places to flip: a sample of all, and every byte of the first and last two hundred."""
    return sorted({*range(0, len(data), step), *range(min(200, len(data))), *range(max(0, len(data) - 200), len(data))})


def test_a_flipped_byte_of_a_segment_is_named_or_changes_nothing_that_is_read(sealer, tmp_path):
    """The SHA-256 in the log has the last word; but no flip may show other rows, or an error that names nothing."""
    index, said = filed(sealer, tmp_path, [12])
    path = index.paths[1]
    data = path.read_bytes()
    whole = index.rows(np.arange(12))
    leaves = [leaf.hex() for leaf in whole["leaf"].to_pylist()]
    content = [value for name in ("leaf", "box") for value in whole[name].to_pylist()]
    held = {at for value in content for at in range(data.index(value), data.index(value) + len(value))}
    files, boxes = set(), set()
    for at in flips(data, 2):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at * 7 // 2 % 8]) + data[at + 1 :])
        try:
            again = Index("link")
            again.add(1, path, since=1)
            fetched = again.rows(np.arange(12))
            assert fetched.drop_columns(["box"]) == whole.drop_columns(["box"]), at
            assert sealer.open("link", fetched).to_pylist() == said, at
            assert at not in held, "a byte of a leaf or a box"
        except Tampered as error:
            (files if str(error).startswith("file ") else boxes).add(str(error))
    assert files == {"file store/links/W1.link.parquet cannot be read: its bytes are not those that were written"}
    assert boxes == {f"row {leaf} of table link does not open to its leaf" for leaf in leaves}


def test_a_flipped_byte_of_a_changes_file_is_named_or_changes_nothing_that_is_read(many, tmp_path):
    index, _ = many
    path = tmp_path / "store" / "links" / "W1.changes.parquet"
    rows.write_changes(path, index.references(np.arange(100), opened=True))
    data, whole = path.read_bytes(), rows.read_changes(path)
    named = []
    for at in flips(data, 3):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at * 7 // 2 % 8]) + data[at + 1 :])
        try:
            assert rows.read_changes(path) == whole, at
        except Tampered as error:
            named.append(str(error))
    wanted = "file store/links/W1.changes.parquet cannot be read: its bytes are not those that were written"
    assert set(named) == {wanted}
    assert len(named) > 100


def test_a_torn_or_missing_segment_is_named(sealer, tmp_path):
    index, _ = filed(sealer, tmp_path, [5, 5])
    path = index.paths[2]
    data = path.read_bytes()
    (box,) = index.rows(np.array([7]))["box"].to_pylist()
    end = data.index(box) + len(box)
    for cut in (0, 3, 4, end - 1, end, len(data) - 1):
        path.write_bytes(data[:cut])
        if cut < end:  # who knows the file already reads a box that is there whole
            with pytest.raises(Tampered, match=r"^file store/links/W2\.link\.parquet cannot be read"):
                index.rows(np.array([7]))
        with pytest.raises(Tampered, match=r"^file store/links/W2\.link\.parquet cannot be read"):
            Index("link").add(2, path, since=1)
    path.unlink()
    for ask in (
        lambda: index.rows(np.array([0, 7])),
        lambda: Index("link").add(2, path, since=1),
        lambda: rows.read_changes(path),
    ):
        with pytest.raises(Missing) as caught:
            ask()
        assert str(caught.value) == (
            "file store/links/W2.link.parquet is not there: fetch it with `dvc pull` or restore it"
        )
    assert len(index.rows(np.array([0, 1]))) == 2  # the other segment still answers


def test_one_segment_in_the_place_of_another_is_named(sealer, tmp_path):
    """The file is whole, and its rows open under their own leaves; but they are not those that the index has there."""
    index, _ = filed(sealer, tmp_path, [6, 6])
    shutil.copy(index.paths[2], index.paths[1])
    with pytest.raises(Tampered, match=r"^(file store/links/W1|row [0-9a-f]{64} of table link does not open)"):
        sealer.open("link", index.rows(np.arange(6)))


@pytest.mark.parametrize("place", [0, 4, 9])
def test_a_row_that_does_not_open_is_named_by_its_leaf(sealer, place):
    part = sealed(sealer, links(10, 1)).rows
    boxes = part["box"].to_pylist()
    boxes[place] = boxes[place][:-1] + bytes([boxes[place][-1] ^ 1])
    damaged = part.set_column(part.column_names.index("box"), "box", pa.array(boxes, pa.large_binary()))
    leaf = part["leaf"][place].as_py().hex()
    for ask in (sealer.open, sealer.entries):
        with pytest.raises(Tampered, match=f"^row {leaf} of table link does not open to its leaf$"):
            ask("link", damaged)


def test_a_row_filed_under_another_person_or_record_does_not_open(sealer):
    part = sealed(sealer, links(10, 1)).rows
    stranger = int(sealer.vault.tokens(vault.nominal_keys(pa.array([IDS[-1]])))[0])
    for column in ("a", "b"):
        moved = part.set_column(part.column_names.index(column), column, pa.array([stranger] * 10, pa.int64()))
        with pytest.raises(Tampered, match=r"^row [0-9a-f]{64} of table link does not open"):
            sealer.open("link", moved)
    fewer = part.set_column(
        2, "others", pa.array([x[:-1] for x in part["others"].to_pylist()], SEGMENT.field("others").type)
    )
    with pytest.raises(Tampered, match=f"^row {part['leaf'][0].as_py().hex()} of table link does not open"):
        sealer.open("link", fewer)


def test_a_row_whose_parent_is_forgotten_says_how_many_secrets_are_gone(sealer, monkeypatch):
    part = sealed(sealer, links(10, 1)).rows
    gone = np.unique(np.concatenate([part["a"].to_numpy()[:1], part["b"].to_numpy()[:1]]))
    left = [run.rows.filter(pa.array(~np.isin(run.rows["token"].to_numpy(), gone))) for run in sealer.vault._runs]
    monkeypatch.setattr(sealer.vault, "_runs", [vault._Run(rows.combine_chunks()) for rows in left])
    with pytest.raises(Missing, match=r"^the vault no longer holds 2 of the secrets that these rows need$"):
        sealer.open("link", part)
    free = [
        n for n, row in enumerate(part.select(["a", "b"]).to_pylist()) if not {row["a"], row["b"]} & set(gone.tolist())
    ]
    assert len(sealer.open("link", part.take(pa.array(free)))) == len(free) > 0


# ---- arrays ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.binary(min_size=32, max_size=32) | st.sampled_from([bytes(32), bytes(31) + b"\1", b"\1" + bytes(31)]))
)
def test_leaves_as_keys_sort_and_compare_as_bytes(leaves):
    matrix = rows.leaf_matrix(pa.array([bytes(32), *leaves], rows.LEAF).slice(1))
    assert [row.tobytes() for row in matrix] == leaves
    keys = rows.as_keys(matrix)
    assert [matrix[n].tobytes() for n in np.argsort(keys, kind="stable")] == sorted(leaves)
    assert len(np.unique(keys)) == len(set(leaves))


@given(
    st.lists(st.binary(min_size=32, max_size=32) | st.binary(min_size=24, max_size=24).map(lambda end: bytes(8) + end))
)
def test_leaves_are_put_into_the_order_of_their_bytes(leaves):
    """Also where the first eight bytes do not decide."""
    matrix = np.frombuffer(b"".join(leaves), np.uint8).reshape(-1, 32)
    assert [leaf.tobytes() for leaf in rows.in_byte_order(matrix)] == sorted(leaves)


@given(st.sets(st.binary(min_size=32, max_size=32), max_size=30), st.data())
def test_leaves_of_the_next_build_are_those_of_the_last_with_its_changes(leaves, data):
    held = sorted(leaves)
    gone = data.draw(st.sets(st.sampled_from(held), max_size=9)) if held else set()
    come = data.draw(st.sets(st.binary(min_size=32, max_size=32).filter(lambda leaf: leaf not in leaves), max_size=9))
    matrix = [np.frombuffer(b"".join(part), np.uint8).reshape(-1, 32) for part in (held, gone, come)]
    assert [leaf.tobytes() for leaf in rows.with_changes(*matrix)] == sorted((leaves - gone) | come)
