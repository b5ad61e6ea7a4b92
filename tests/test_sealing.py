"""A row opens under all its parents' secrets, in their order, for its own table; and under nothing else."""

import hashlib
import hmac
import itertools
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from hypothesis import given
from hypothesis import strategies as st

from provenance import canonical, crew, merkle, sealing
from provenance.crew import Crew, joined
from provenance.errors import Conflict, Malformed, Tampered
from provenance.sealing import Unopened

SECRETS = st.binary(min_size=32, max_size=32)
ROWS = st.dictionaries(
    st.sampled_from("abcd"), st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.integers(0, 99)
)
NAMES = st.sampled_from(["link", "nominal", "record"])


def kdf(z: bytes, table: str, what: bytes) -> bytes:
    """SP 800-56C rev. 2, 4.1: the one-step KDF, by `cryptography`, with H = SHA-256."""
    return ConcatKDFHash(hashes.SHA256(), 32, b"provenance row 1" + table.encode() + b"\0" + what).derive(z)


def slow_leaf(table: str, secrets: list[bytes], row: bytes) -> tuple[bytes, bytes]:
    salt = kdf(b"".join(secrets), table, b"salt" + row)
    entry = salt + row
    return entry, hashlib.sha256(b"\x00" + entry).digest()


def slow_open(table: str, secrets: list[bytes], leaf: bytes, box: bytes) -> bytes:
    """The row of a box, from the definition; the text in common is what the package brings."""
    common = zstandard.ZstdCompressionDict(sealing._dictionary().as_bytes())
    sealed = AESGCM(kdf(b"".join(secrets), table, b"box" + leaf)).decrypt(bytes(12), box, leaf)
    frame = zstandard.MAGIC_NUMBER.to_bytes(4, "little") + sealed  # which a box leaves out
    row = zstandard.ZstdDecompressor(dict_data=common).decompress(frame, max_output_size=1 << 26)
    assert slow_leaf(table, secrets, row)[1] == leaf
    return row


def sealed(table: str, secrets: list[bytes], row: bytes) -> tuple[bytes, bytes]:
    (leaf,), (box,) = sealing.seal_batch(table, [b"".join(secrets)], [row])
    return leaf, box


def refused(table: str, secrets: list[bytes], leaf: bytes, box: bytes) -> bool:
    """Whether the box stays closed, both as a row and as an entry; anything but Unopened fails the test."""
    outcomes = []
    for opener in (sealing.open_batch, sealing.entry_batch):
        try:
            opener(table, [b"".join(secrets)], [leaf], [box])
            outcomes.append(False)
        except Unopened:
            outcomes.append(True)
    assert len(set(outcomes)) == 1
    return outcomes[0]


# ---- the twin --------------------------------------------------------------------------------------------------------


@given(NAMES, st.lists(SECRETS, min_size=1, max_size=5), ROWS.map(canonical.dumps))
def test_sealing_is_what_its_page_says(table, secrets, row):
    leaf, box = sealed(table, secrets, row)
    entry, slow = slow_leaf(table, secrets, row)
    assert leaf == slow == merkle.leaf_hash(entry)
    assert slow_open(table, secrets, leaf, box) == row
    z = [b"".join(secrets)]
    assert sealing.open_batch(table, z, [leaf], [box]) == [row]
    assert sealing.entry_batch(table, z, [leaf], [box]) == [entry]
    assert sealing.leaf_batch(table, z, [row]) == [leaf]


@pytest.mark.parametrize("size", [10, 65_000, 70_000, 3_000_000])
def test_a_row_may_be_long(size):
    """As long as the text of 10,000 supports, and longer than what is set aside for a row at first."""
    for text in ("x" * size, "".join(chr(33 + n * n % 90) for n in range(size))):
        row = canonical.dumps({"a": text})
        leaf, box = sealed("link", PARENTS, row)
        assert sealing.open_batch("link", [b"".join(PARENTS)], [leaf], [box]) == [row]
        assert slow_open("link", PARENTS, leaf, box) == row


@given(NAMES, st.lists(st.tuples(st.lists(SECRETS, min_size=1, max_size=3), ROWS.map(canonical.dumps)), max_size=6))
def test_a_batch_is_its_rows_one_by_one_and_the_same_each_time(table, batch):
    z, rows = [b"".join(secrets) for secrets, _ in batch], [row for _, row in batch]
    leaves, boxes = sealing.seal_batch(table, z, rows)
    assert list(zip(leaves, boxes, strict=True)) == [sealed(table, secrets, row) for secrets, row in batch]
    assert sealing.seal_batch(table, z, rows) == (leaves, boxes)


def test_another_process_with_another_hash_seed_seals_the_same_bytes():
    row, secret = canonical.dumps({"a": "N-1", "strength": 240}), bytes(range(32))
    program = f"from provenance import sealing; print(sealing.seal_batch('link', [{secret!r}], [{row!r}]))"
    for seed in "12":
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str(sealing.seal_batch("link", [secret], [row]))


# ---- what does not open ----------------------------------------------------------------------------------------------

PARENTS = [bytes([n]) * 32 for n in (7, 3, 9, 5)]
ROW = canonical.dumps({"a": "N-1", "b": "N-2", "supports": [{"record_id": "R-17"}, {"record_id": "R-18"}]})


def test_every_other_choice_of_secrets_is_refused():
    """Each proper subset, each other order, each repetition, each secret exchanged: of all of these only one opens."""
    leaf, box = sealed("link", PARENTS, ROW)
    stranger = b"\xee" * 32
    tried = 0
    for size in range(len(PARENTS) + 2):
        for choice in itertools.product([*PARENTS, stranger], repeat=size):
            if size <= 4 or choice[:4] == tuple(PARENTS):
                tried += 1
                assert refused("link", list(choice), leaf, box) == (list(choice) != PARENTS)
    assert tried > 600


@pytest.mark.parametrize("table", ["nominal", "lin", "link2", "", "link\0"])
def test_another_table_name_is_refused(table):
    leaf, box = sealed("link", PARENTS, ROW)
    with pytest.raises(Unopened) as caught:
        sealing.open_batch(table, [b"".join(PARENTS)], [leaf], [box])
    assert str(caught.value) == f"a sealed row of table {table} does not open to its leaf: number 0 of its batch"
    assert (caught.value.table, caught.value.position, caught.value.exit_code) == (table, 0, 4)


def test_each_flipped_bit_of_leaf_and_box_is_refused_with_its_place():
    rows = [canonical.dumps({"a": f"N-{n}"}) for n in range(3)]
    z = [bytes([n]) * 64 for n in range(3)]
    leaves, boxes = sealing.seal_batch("link", z, rows)
    for place in range(3):
        for held in (leaves, boxes):
            whole = held[place]
            for bit in range(8 * len(whole)):
                held[place] = whole[: bit // 8] + bytes([whole[bit // 8] ^ 1 << bit % 8]) + whole[bit // 8 + 1 :]
                with pytest.raises(Unopened, match=f"table link .* number {place} of its batch") as caught:
                    sealing.open_batch("link", z, leaves, boxes)
                assert caught.value.position == place
            held[place] = whole
    assert sealing.open_batch("link", z, leaves, boxes) == rows


def test_a_box_of_any_other_length_is_refused():
    leaf, box = sealed("link", PARENTS, ROW)
    for cut in range(len(box)):
        assert refused("link", PARENTS, leaf, box[:cut])
    assert refused("link", PARENTS, leaf, box + b"\0")
    assert refused("link", PARENTS, leaf[:31], box)


def test_one_rows_box_under_anothers_leaf_is_refused():
    """Both under the same secrets: boxes cannot be exchanged among the rows of one pair of people."""
    other = canonical.dumps({"a": "N-1", "b": "N-2", "supports": []})
    (one, box), (two, crate) = sealed("link", PARENTS, ROW), sealed("link", PARENTS, other)
    assert refused("link", PARENTS, one, crate)
    assert refused("link", PARENTS, two, box)


def test_a_well_sealed_box_that_gives_another_leaf_is_refused():
    """Whoever holds the secrets can seal anything; it is still not the row that the log committed to."""
    leaf, _ = sealed("link", PARENTS, ROW)
    z = b"".join(PARENTS)
    for content in (bytes(32) + zstandard.compress(ROW), bytes(32) + b"no frame", b"", bytes(16)):
        forged = AESGCM(kdf(z, "link", b"box" + leaf)).encrypt(bytes(12), content, leaf)
        assert refused("link", PARENTS, leaf, forged)


@given(st.lists(SECRETS, min_size=2, max_size=6, unique=True), st.data())
def test_destroying_one_parents_secret_closes_the_row(secrets, data):
    """What remains, in any order, with any guess in the place of what is gone, opens nothing and gives no leaf."""
    leaf, box = sealed("link", secrets, ROW)
    gone = data.draw(st.integers(0, len(secrets) - 1))
    rest = secrets[:gone] + secrets[gone + 1 :]
    guess = data.draw(SECRETS.filter(lambda drawn: drawn != secrets[gone]))
    for held in (rest, [*secrets[:gone], guess, *secrets[gone + 1 :]], data.draw(st.permutations(rest))):
        assert refused("link", list(held), leaf, box)
        assert sealing.leaf_batch("link", [b"".join(held)], [ROW]) != [leaf]


def test_unequal_batches_are_refused():
    leaf, box = sealed("link", PARENTS, ROW)
    for batch in (([], [leaf], [box]), ([bytes(32)], [], [box]), ([bytes(32)], [leaf], [])):
        with pytest.raises(ValueError, match=r"^secrets, leaves and boxes are of the same rows$"):
            sealing.open_batch("link", *batch)
    with pytest.raises(ValueError, match="zip"):
        sealing.seal_batch("link", [bytes(32)], [])


# ---- whole files -----------------------------------------------------------------------------------------------------


@given(SECRETS, st.text(max_size=10), st.binary(max_size=100))
def test_a_sealed_file_comes_back_and_is_the_same_each_time(secret, label, content):
    once = sealing.sealed_blob(secret, label, content)
    assert sealing.opened_blob(secret, label, once) == content
    assert sealing.sealed_blob(secret, label, content) == once
    assert len(content) < 8 or content not in once
    digest = hmac.new(secret, label.encode() + b"\0" + content, hashlib.sha256).digest()
    key = ConcatKDFHash(hashes.SHA256(), 32, b"provenance blob 1" + label.encode() + b"\0" + digest).derive(secret)
    assert once == digest + AESGCM(key).encrypt(bytes(12), content, digest)


def test_a_changed_file_another_secret_and_another_label_are_refused():
    secret, content = b"\x11" * 32, b"tokens and integers"
    blob = sealing.sealed_blob(secret, "figures 7", content)
    damaged = [blob[:at] + bytes([blob[at] ^ 1 << bit]) + blob[at + 1 :] for at in range(len(blob)) for bit in range(8)]
    for held in [*damaged, *(blob[:cut] for cut in range(len(blob))), blob + b"\0"]:
        with pytest.raises(Tampered, match=r"^figures 7 does not open"):
            sealing.opened_blob(secret, "figures 7", held)
    for key, label in ((b"\x12" + secret[1:], "figures 7"), (secret, "figures 8"), (secret, "tallies")):
        with pytest.raises(
            Tampered, match=f"^{label} does not open: the key is another one, or a byte of it was changed"
        ):
            sealing.opened_blob(key, label, blob)


# ---- the crew --------------------------------------------------------------------------------------------------------


def batch(count: int) -> tuple[pa.Array, pa.Array]:
    """Rows with one to three secrets each."""
    secrets = np.random.default_rng(1).integers(0, 256, (50, 32), dtype=np.uint8)
    counts = np.arange(count) % 3 + 1
    owners = np.arange(counts.sum()) % 50
    return joined(secrets[owners], counts), canonical.packed(canonical.dumps({"n": n}) for n in range(count))


@pytest.fixture
def small_rounds(monkeypatch):
    """Rounds of ten rows per worker, so that a hundred rows are several rounds."""
    monkeypatch.setattr(crew, "_ROUND", 10)
    monkeypatch.setattr(crew, "_ALONE", 1)
    monkeypatch.setattr(crew, "_AT_HAND", 1)


@pytest.fixture(scope="module")
def pair():
    """A crew of this process and one worker."""
    two = Crew(2)
    yield two
    two.dismiss()


def test_joined_secrets_are_those_of_each_row_in_order():
    secrets = np.arange(4 * 32, dtype=np.uint8).reshape(4, 32)
    z = joined(secrets[[3, 0, 2, 2, 1]], np.array([2, 1, 2]))
    one = [secrets[n].tobytes() for n in range(4)]
    assert canonical.slices(z) == [one[3] + one[0], one[2], one[2] + one[1]]
    assert canonical.slices(joined(secrets[:0], np.array([], int))) == []


@pytest.mark.parametrize("count", [0, 1, 2, 19, 20, 21, 95])
def test_one_worker_and_two_give_the_same(small_rounds, pair, count):
    z, rows = batch(count)
    alone = Crew(1)
    leaves, boxes = alone.seal("link", z, rows)
    assert canonical.slices(leaves) == sealing.leaf_batch("link", canonical.slices(z), canonical.slices(rows))
    assert leaves.type == sealing.LEAF
    assert pair.seal("link", z, rows) == (leaves, boxes)
    assert pair.leaves("link", z, rows) == alone.leaves("link", z, rows) == leaves
    assert pair.open("link", z, leaves, boxes) == alone.open("link", z, leaves, boxes) == rows
    whole = pa.schema([("n", pa.int64())])
    for who in (pair, alone):
        assert who.begin("check", "link", z, leaves, boxes).answer().num_columns == 0
        assert who.begin("read", "link", z, leaves, boxes, whole).answer()["n"].to_pylist() == list(range(count))
        assert who.begin("open", "link", z, leaves, boxes).answer()["row"].to_pylist() == rows.to_pylist()
    entries = pair.entries("link", z, leaves, boxes)
    assert entries == alone.entries("link", z, leaves, boxes)
    assert [merkle.leaf_hash(entry) for entry in canonical.slices(entries)] == canonical.slices(leaves)


def test_slices_of_arrays_are_sealed_as_what_they_show(small_rounds, pair):
    z, rows = batch(60)
    leaves, boxes = pair.seal("link", z, rows)
    part = pair.seal("link", z.slice(7, 40), rows.slice(7, 40))
    assert [x.to_pylist() for x in part] == [leaves.slice(7, 40).to_pylist(), boxes.slice(7, 40).to_pylist()]
    assert pair.open("link", z.slice(7, 40), leaves.slice(7, 40), boxes.slice(7, 40)) == rows.slice(7, 40)


@pytest.mark.parametrize(
    ("first", "what"),
    [(0, "open"), (9, "open"), (10, "entries"), (19, "open"), (20, "entries"), (59, "open"), (94, "open")],
)
def test_the_first_that_does_not_open_is_named_across_rounds_and_workers(small_rounds, pair, first, what):
    """95 rows in rounds of 20, ten of each here and ten with the worker; all later rows are damaged too."""
    z, rows = batch(95)
    leaves, boxes = Crew(1).seal("link", z, rows)
    damaged = canonical.packed(
        box if place < first else b"\0" + box[1:] for place, box in enumerate(canonical.slices(boxes))
    )
    for who in (pair, Crew(1)):
        with pytest.raises(Unopened, match=f"table link .* number {first} of its batch") as caught:
            getattr(who, what)("link", z, leaves, damaged)
        assert caught.value.position == first
    assert pair.open("link", z, leaves, boxes) == rows  # and no answer to the bad batch is left in a pipe


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 64, 83])
def test_a_root_is_the_same_alone_and_with_a_worker(small_rounds, pair, monkeypatch, size):
    monkeypatch.setattr(merkle, "SHARE", 8)
    leaves = np.random.default_rng(size).integers(0, 256, (size, 32), dtype=np.uint8)
    assert pair.root(leaves) == Crew(1).root(leaves) == merkle.root(leaves)


def test_what_was_begun_and_abandoned_leaves_no_answer_for_the_next(small_rounds, pair):
    z, rows = batch(20)
    leaves, boxes = pair.seal("link", z, rows)
    pair.begin("open", "link", z, leaves, boxes).drop()
    assert pair.leaves("link", z, rows) == leaves


def test_what_a_worker_cannot_read_is_said_as_it_is_said_here(small_rounds, pair):
    z, rows = batch(20)
    leaves, boxes = pair.seal("link", z, rows)
    other = pa.schema([("m", pa.int64())])
    for who in (pair, Crew(1)):
        with pytest.raises(Malformed, match=r"^sealed rows are not in the form that was expected: columns m$"):
            who.begin("read", "link", z, leaves, boxes, other).answer()
    assert pair.open("link", z, leaves, boxes) == rows


def test_a_killed_worker_is_said_so_and_the_next_call_has_a_new_one(small_rounds):
    two = Crew(2)
    z, rows = batch(45)
    leaves, boxes = two.seal("link", z, rows)
    worker = two._workers[0].process
    worker.kill()
    worker.wait()
    with pytest.raises(Conflict, match=r"^a sealing worker ended before it answered: try again$"):
        two.seal("link", z, rows)
    assert two.seal("link", z, rows) == (leaves, boxes)
    assert [held.process.pid for held in two._workers] != [worker.pid]
    two.dismiss()


def test_a_worker_that_dies_over_its_work_is_said_so(small_rounds, monkeypatch):
    """It took the batch and never answered."""
    two = Crew(2)
    z, rows = batch(20)
    done = two.seal("link", z, rows)
    work = crew._work

    def meanwhile(*asked):
        for held in two._workers:
            held.process.kill()
            held.process.wait()
        return work(*asked)

    two._workers[0].process.send_signal(signal.SIGSTOP)  # so that it cannot be done already
    with monkeypatch.context() as patch:
        patch.setattr(crew, "_work", meanwhile)
        with pytest.raises(Conflict, match=r"^a sealing worker ended before it answered: try again$"):
            two.seal("link", z, rows)
    assert two.seal("link", z, rows) == done
    two.dismiss()


def test_an_interrupted_call_leaves_no_answer_for_the_next(small_rounds, monkeypatch):
    two = Crew(2)
    z, rows = batch(45)
    leaves, boxes = two.seal("link", z, rows)

    def interrupted(*asked):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(crew, "_work", interrupted)
        with pytest.raises(KeyboardInterrupt):
            two.seal("link", z, rows)
    assert two.leaves("link", z, rows) == leaves
    assert two.open("link", z, leaves, boxes) == rows
    two.dismiss()
    two.dismiss()


def test_threads_that_seal_and_open_at_once_get_their_own_rows():
    """One compressor that two threads use at once gives neither its rows, now and then."""
    rows = [[b'{"a":"%d-%d","b":"%s"}' % (thread, n, b"xyz" * (n % 50)) for n in range(400)] for thread in range(8)]
    secrets = [bytes([thread]) * 32 for thread in range(8)]

    def work(thread: int) -> bool:
        z = [secrets[thread]] * len(rows[thread])
        for _ in range(10):
            leaves, boxes = sealing.seal_batch("link", z, rows[thread])
            if sealing.open_batch("link", z, leaves, boxes) != rows[thread]:
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
