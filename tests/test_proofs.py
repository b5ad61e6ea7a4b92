"""Proofs, and requests to a witness: the sample log's and ours hold, and each flipped bit of one is refused."""

from __future__ import annotations

import random
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import merkle, notes
from provenance.errors import Malformed, Tampered
from provenance.keys import SigningKey
from provenance.notes import Checkpoint, Note, encode_base64
from provenance.policies import Policy
from provenance.proofs import AddCheckpoint, Proof
from tests import reference
from tests.flips import Flips, flipped, lifted


def key(name: str, seed: int) -> SigningKey:
    return SigningKey(name, Ed25519PrivateKey.from_private_bytes(bytes(range(seed, seed + 32))))


KEY, SUCCESSOR, STRANGER = key("force.example/log", 0), key("force.example/log", 50), key("other.example/log", 1)
ETHICS, PCC = key("ethics.example/witness", 2), key("pcc.example/witness", 3)
AT = 1_700_000_000
POLICY = Policy.parse(
    f"log {KEY.verifier}\n"
    f"witness ethics {notes.cosigner(ETHICS.verifier)}\n"
    f"witness pcc {notes.cosigner(PCC.verifier)}\n"
    "group oversight any ethics pcc\n"
    "quorum oversight\n".encode()
)
LOG_ONLY = Policy.parse(f"log {KEY.verifier}\nquorum none\n".encode())


class Tree:
    """Entries, and the heads and paths over the first so many of them; hashed once."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries
        self.leaves = [merkle.leaf_hash(entry) for entry in entries]
        self.node = cache(self._node)

    def _node(self, level: int, index: int) -> bytes:
        if not level:
            return self.leaves[index]
        return merkle.node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))

    def root(self, size: int) -> bytes:
        return merkle.range_root(0, size, self.node) if size else merkle.EMPTY_ROOT

    def head(self, size: int, *, by: SigningKey = KEY) -> bytes:
        return bytes(Note.signed(Checkpoint(by.verifier.name, size, self.root(size)).text, by))

    def proof(self, index: int, size: int, note: bytes) -> Proof:
        return Proof(index, tuple(merkle.inclusion_path(index, size, self.node)), note)

    def request(self, old: int, size: int, note: bytes = b"") -> AddCheckpoint:
        return AddCheckpoint(old, tuple(merkle.consistency_path(old, size, self.node)), note or self.head(size))


def cosigned(note: bytes, *witnesses: SigningKey, at: int = AT) -> bytes:
    return note + b"".join(str(notes.cosign(note, witness, at)).encode() for witness in witnesses)


TREE = Tree([b"entry %d" % index for index in range(64)])


# ---- what others have made -------------------------------------------------------------------------------------------


def test_the_sample_log_s_proofs_hold_and_are_written_back(shared):
    folder = shared / "vectors" / "sample-log"
    policies = {
        name: Policy.parse((folder / name).read_bytes()) for name in ("policy", "policy-both", "policy-log-only")
    }
    found = sorted(folder.glob("*.tlog-proof"))
    for path in found:
        index, size = map(int, path.stem.split("-of-"))
        data, entry = path.read_bytes(), (folder / f"entry.{index}").read_bytes()
        proof = Proof.parse(data)
        assert bytes(proof) == data
        opened = proof.check(entry, policies["policy"])
        assert (proof.index, opened.checkpoint.size) == (index, size)
        assert [(line.name, line.at) for line in opened.cosigned] == [("ethics", AT + size)]
        assert proof.check(entry, policies["policy-log-only"]).cosigned == ()
        with pytest.raises(
            Tampered, match=r"^checkpoint lacks its witnesses: cosigned by ethics, wanted the quorum over"
        ):
            proof.check(entry, policies["policy-both"])
        with pytest.raises(Tampered, match=rf"^entry is not where the proof says: entry {index} of {size} makes root "):
            proof.check(entry + b" ", policies["policy"])
    assert len(found) == 13


def test_the_sample_log_s_requests_hold_and_are_written_back(shared):
    folder = shared / "vectors" / "sample-log"
    roots = {0: merkle.EMPTY_ROOT}
    policy = Policy.parse((folder / "policy-log-only").read_bytes())
    for path in sorted(folder.glob("add-checkpoint.*")):
        old, new = map(int, path.suffix[1:].split("-"))
        data = path.read_bytes()
        request = AddCheckpoint.parse(data)
        assert bytes(request) == data
        head = request.check(roots[old])
        assert (request.old, head.size) == (old, new)
        assert policy.open(request.checkpoint).checkpoint == head == request.head
        roots[new] = head.root
        with pytest.raises(Tampered):
            request.check(merkle.leaf_hash(b"another past"))
    assert sorted(roots) == [0, 1, 2, 3, 7]


def test_we_make_the_sample_log_s_files_byte_for_byte(shared):
    """From its entries and its heads alone: paths, proofs, requests, tiles. And each file of it was looked at."""
    folder = shared / "vectors" / "sample-log"
    tree = Tree([(folder / f"entry.{index}").read_bytes() for index in range(7)])
    made = {"tile/0/000.p/7": b"".join(tree.leaves)}
    made["tile/entries/000.p/7"] = b"".join(len(entry).to_bytes(2, "big") + entry for entry in tree.entries)
    seen = {0}
    for size in (1, 2, 3, 7):
        note = (folder / f"checkpoint.{size}").read_bytes()
        head = Checkpoint.parse(Note.parse(note).text)
        assert (head.size, head.root) == (size, tree.root(size))
        parsed = Note.parse(note)
        made[f"checkpoint.{size}"] = bytes(Note(head.text, parsed.signatures))
        bare = bytes(Note(head.text, parsed.signatures[:1]))
        made[f"add-checkpoint.{max(seen)}-{size}"] = bytes(tree.request(max(seen), size, bare))
        seen.add(size)
        for index in range(size):
            made[f"{index}-of-{size}.tlog-proof"] = bytes(tree.proof(index, size, note))
    made["checkpoint"] = made["checkpoint.7"]
    for name in ("policy", "policy-both", "policy-log-only"):
        made[name] = bytes(Policy.parse((folder / name).read_bytes()))
    for name, data in made.items():
        assert (folder / name).read_bytes() == data, name
    # The witnesses' test keys make the lines that stand under the heads.
    for name in ("ethics", "pcc"):
        owner, seed = (folder / f"{name}.key").read_text().split()
        witness = SigningKey(owner, Ed25519PrivateKey.from_private_bytes(notes.decode_base64("key", seed)))
        assert f" {notes.cosigner(witness.verifier)}\n" in made["policy"].decode()
        if name == "ethics":
            for size in (1, 2, 3, 7):
                line = notes.cosign(made[f"checkpoint.{size}"], witness, AT + size)
                assert made[f"checkpoint.{size}"].endswith(str(line).encode())
    known = {*made, *(f"entry.{index}" for index in range(7)), "ethics.key", "pcc.key"}
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == known


# ---- every flipped bit -----------------------------------------------------------------------------------------------


def test_a_digest_that_stands_for_its_flips_is_each_of_them():
    """Control of the tests below: were one flip's root the right one, they would see it."""
    left, right = TREE.leaves[:2]
    flips = Flips.of(left)
    assert sorted(int.from_bytes(one, "big") ^ int.from_bytes(left, "big") for one in flips.each) == [
        1 << bit for bit in range(256)
    ]
    assert lifted(merkle.node_hash)(flips, right).each == [merkle.node_hash(one, right) for one in flips.each]
    assert lifted(merkle.node_hash)(right, flips).each == [merkle.node_hash(right, one) for one in flips.each]
    for bit in (0, 255):
        assert flips == flips.each[bit]
        assert not flips != flips.each[bit]  # noqa: SIM202
    assert flips != left
    assert len(flips) == 32


@pytest.mark.parametrize("first", range(1, 65, 8))
def test_in_every_tree_up_to_64_leaves_every_flipped_bit_of_every_path_is_refused(first, monkeypatch):
    """2,912,256 flips in 2,080 paths. And every other index that one bit makes of the right one, and another entry."""
    monkeypatch.setattr(merkle, "node_hash", lifted(merkle.node_hash))
    for size in range(first, first + 8):
        note = TREE.head(size)
        head = Checkpoint(KEY.verifier.name, size, TREE.root(size))
        for index in range(size):
            path = list(TREE.proof(index, size, note).path)
            assert path == reference.audit_path(index, TREE.entries[:size])
            proof = Proof(index, path, note)  # a list, so that what is in it can be flipped
            proof.check_under(TREE.entries[index], head)
            refused = 0
            for _ in flipped(path):
                try:
                    proof.check_under(TREE.entries[index], head)
                except Tampered:
                    refused += 1
            assert refused == len(path)
            for bit in range(63):
                object.__setattr__(proof, "index", index ^ 1 << bit)  # a new proof would read the head again each time
                with pytest.raises((Malformed, Tampered)):
                    proof.check_under(TREE.entries[index], head)
            object.__setattr__(proof, "index", index)
            with pytest.raises(Tampered):
                proof.check_under(TREE.entries[index - 1] if size > 1 else b"", head)


def test_every_flipped_bit_of_a_head_s_size_and_root_is_refused_for_every_index(monkeypatch):
    """They are under the signature: the digests of a path alone do not tell 3 leaves from 4.

    319 flips for each of the 2,080 places in trees up to 64 leaves; a head is judged once, and the verdict remembered
    for the other places.
    """
    opened, judged = Policy.open, {}

    def remembering(policy: Policy, note: bytes):
        if note not in judged:
            try:
                judged[note] = opened(policy, note)
            except Tampered as error:
                judged[note] = error
        if isinstance(judged[note], Tampered):
            raise judged[note].with_traceback(None)
        return judged[note]

    monkeypatch.setattr(Policy, "open", remembering)
    flips = 0
    for size in range(1, 65):
        note = TREE.head(size)
        proofs = [TREE.proof(index, size, note) for index in range(size)]
        for proof in proofs:
            proof.check(TREE.entries[proof.index], LOG_ONLY)
        text = Note.parse(note).text
        spoilt = [Checkpoint(KEY.verifier.name, size ^ 1 << bit, TREE.root(size)).text for bit in range(63)]
        whole = int.from_bytes(TREE.root(size), "big")
        spoilt += [
            Checkpoint(KEY.verifier.name, size, (whole ^ 1 << bit).to_bytes(32, "big")).text for bit in range(256)
        ]
        judged.clear()
        for other in spoilt:
            assert other != text
            head = note.replace(text.encode(), other.encode())
            for proof in proofs:
                object.__setattr__(proof, "checkpoint", head)  # a new proof would read the head again each time
                try:
                    proof.check(TREE.entries[proof.index], LOG_ONLY)
                except Tampered as error:
                    flips += str(error).startswith("signature does not verify: by force.example/log")
        assert len(judged) == len(spoilt)
    assert flips == 319 * 2_080


def test_a_path_alone_does_not_tell_3_leaves_from_4():
    """Control of the test above: were the size not signed, nobody would see."""
    path = TREE.proof(0, 3, TREE.head(3)).path
    assert merkle.root_from_path(TREE.leaves[0], 0, 4, path) == TREE.root(3)


def test_every_flipped_bit_of_a_proof_file_is_refused():
    note = cosigned(TREE.head(61), ETHICS)
    whole = bytes(TREE.proof(37, 61, note))
    Proof.parse(whole).check(TREE.entries[37], POLICY)
    for at in range(len(whole) * 8):
        spoilt = bytearray(whole)
        spoilt[at // 8] ^= 1 << at % 8
        with pytest.raises((Malformed, Tampered)):
            Proof.parse(bytes(spoilt)).check(TREE.entries[37], POLICY)


@pytest.mark.parametrize("first", range(1, 65, 8))
def test_in_every_pair_of_trees_up_to_64_leaves_every_flipped_bit_of_a_consistency_path_changes_a_root(
    first, monkeypatch
):
    """2,830,080 flips in 2,016 pairs."""
    monkeypatch.setattr(merkle, "node_hash", lifted(merkle.node_hash))
    for new in range(first, first + 8):
        for old in range(1, new):
            path = list(TREE.request(old, new).path)
            assert path == reference.consistency_proof(old, TREE.entries[:new])
            right = (TREE.root(old), TREE.root(new))
            assert merkle.roots_from_consistency(old, new, right[0], path) == right
            for _ in flipped(path):
                assert merkle.roots_from_consistency(old, new, right[0], path) != right


def test_in_every_pair_of_trees_up_to_64_leaves_a_spoilt_request_is_refused():
    """A flipped bit in each digest, one digest more or less, another past."""
    drawn = random.Random(1)
    for new in range(1, 65):
        note = TREE.head(new)
        for old in range(new + 1):
            request = TREE.request(old, new, note)
            assert request.check(TREE.root(old)).size == new
            paths = [(*request.path, bytes(32)), *([request.path[:-1]] if request.path else [])]
            for place, digest in enumerate(request.path):
                flipped = (int.from_bytes(digest, "big") ^ 1 << drawn.randrange(256)).to_bytes(32, "big")
                paths.append((*request.path[:place], flipped, *request.path[place + 1 :]))
            for path in paths:
                with pytest.raises((Malformed, Tampered)):
                    AddCheckpoint(old, path, note).check(TREE.root(old))
            with pytest.raises((Malformed, Tampered)):
                request.check(merkle.leaf_hash(b"another past"))


def test_a_request_does_not_go_back():
    request = AddCheckpoint(9, (), TREE.head(7))
    with pytest.raises(Malformed, match=r"^request to a witness: from 9 to 7 entries, wanted old <= new$"):
        request.check(TREE.root(9))


# ---- the form --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary())
@settings(max_examples=50)
def test_what_is_written_is_read_again(number, path, extra):
    note = cosigned(TREE.head(5), ETHICS, PCC)
    proof = Proof(number, tuple(path), note, extra)
    assert Proof.parse(bytes(proof)) == proof
    request = AddCheckpoint(number, tuple(path), note)
    assert AddCheckpoint.parse(bytes(request)) == request


WHOLE = bytes(TREE.proof(4, 7, TREE.head(7)))
DIGEST = encode_base64(TREE.proof(4, 7, TREE.head(7)).path[0]).encode()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.replace(b"@v1", b"@v2"), "another first line, wanted c2sp.org/tlog-proof@v1"),
        (lambda p: p.replace(b"index 4", b"index 04"), "not a count in plain decimal"),
        (lambda p: p.replace(b"index 4", b"index  4"), "not a count in plain decimal"),
        (lambda p: p.replace(b"index 4", b"index -4"), "not a count in plain decimal"),
        (lambda p: p.replace(b"index 4", b"index 9223372036854775808"), "not a count in plain decimal"),
        (lambda p: p.replace(b"index 4\n", b""), "no index where it belongs"),
        (lambda p: p.replace(b"index 4\n", b"index 4\nindex 4\n"), "not base64"),
        (lambda p: p.replace(b"index", b"extra \nindex"), "a line of extra data without any"),
        (lambda p: p.replace(b"index", b"extra AAB=\nindex"), "base64 with bits or padding beyond its bytes"),
        (lambda p: p.replace(b"index", b"extra AAA=\nextra AAA=\nindex"), "no index where it belongs"),
        (lambda p: p.replace(DIGEST, DIGEST[:-5] + b"===="), "not base64|base64 with bits"),
        (lambda p: p.replace(DIGEST, b"AAAA"), "a digest of 3 bytes, wanted 32"),
        (lambda p: p.replace(DIGEST, DIGEST + b" "), "not base64"),
        (lambda p: p.replace(DIGEST, DIGEST + b"\r"), "not base64"),
        (lambda p: p.replace(DIGEST, (DIGEST + b"\n") * 63 + DIGEST), "66 digests, wanted at most 63"),
        (lambda p: p.replace(b"index", "índex".encode()), "byte 23 is not ASCII"),
        (lambda p: p.replace(b"\n\n", b"\n"), "no empty line|another first line|byte|not base64"),
        (lambda p: b"\n" + p, "another first line"),
        (lambda p: b"", "no empty line"),
        (lambda p: b"x" * 2_000_001, "2000001 bytes, wanted at most 2000000"),
    ],
)
def test_a_proof_is_written_in_one_way(spoil, message):
    assert spoil(WHOLE) != WHOLE
    with pytest.raises(Malformed, match=f"^proof: ({message})"):
        Proof.parse(spoil(WHOLE))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r.replace(b"old 3", b"old 03"), "not a count in plain decimal"),
        (lambda r: r.replace(b"old 3", b"Old 3"), "another first line, wanted `old N`"),
        (lambda r: r.replace(b"old 3", b"old3"), "another first line, wanted `old N`"),
        (lambda r: r.replace(b"=\n", b"\n", 1), "not base64"),
        (lambda r: r.replace(b"=\n", b"=\nAAAA\n", 1), "a digest of 3 bytes, wanted 32"),
        (lambda r: r.replace(b"\n\n", b"\n \n", 1), "not base64|byte"),
    ],
)
def test_a_request_is_written_in_one_way(spoil, message):
    whole = bytes(TREE.request(3, 7))
    assert spoil(whole) != whole
    with pytest.raises(Malformed, match=f"^request to a witness: ({message})"):
        AddCheckpoint.parse(spoil(whole))


@pytest.mark.parametrize("form", [Proof, AddCheckpoint])
def test_the_head_in_it_is_looked_at_too(form):
    for note in (b"", b"no note\n", bytes(Note.signed("force.example/log\n07\n", KEY)), TREE.head(7)[:-1]):
        with pytest.raises(Malformed, match=r"^(signed note|checkpoint): "):
            form(0, (), note)


def test_numbers_that_no_log_has_are_refused():
    for number in (-1, 2**63):
        with pytest.raises(Malformed, match=rf"^proof: index {number}, wanted"):
            Proof(number, (), TREE.head(7))
        with pytest.raises(Malformed, match=rf"^request to a witness: old size {number}, wanted"):
            AddCheckpoint(number, (), TREE.head(7))
    with pytest.raises(Malformed, match=r"^inclusion path: index 7 in a tree of 7 leaves"):
        Proof(7, (), TREE.head(7)).check(b"", LOG_ONLY)


@given(
    st.binary(max_size=300)
    | st.builds(lambda a, b: WHOLE[:a] + b + WHOLE[a + len(b) :], st.integers(0, 400), st.binary(max_size=8))
)
def test_whatever_comes_in_is_a_proof_or_malformed(data):
    for form in (Proof, AddCheckpoint):
        try:
            read = form.parse(data)
        except Malformed:
            continue
        assert bytes(read) == data


def test_a_cosignature_is_ours_to_make_and_to_check():
    note = TREE.head(7)
    line = notes.cosign(note, ETHICS, AT)
    assert notes.cosigned_at(line.signature) == AT
    notes.cosigner(ETHICS.verifier).verify(Note.parse(note).text.encode(), line.signature)
    assert line.by(notes.cosigner(ETHICS.verifier))
    assert not line.by(ETHICS.verifier)
    for at in (-1, 2**63):
        with pytest.raises(Malformed, match=rf"^cosignature: time {at}, wanted"):
            notes.cosign(note, ETHICS, at)
    with pytest.raises(Malformed, match=r"^checkpoint: "):
        notes.cosign(bytes(Note.signed("not a head\n", KEY)), ETHICS, AT)
