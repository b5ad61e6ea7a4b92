"""The tree: against the definition for each small case, against published vectors, and against every flipped bit."""

from __future__ import annotations

import base64
import functools
import json
import random

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from provenance import merkle
from provenance.errors import Malformed, Tampered

ENTRIES = [b"entry %d" % index for index in range(64)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


@functools.cache
def read(level: int, index: int) -> bytes:
    """The twin as a node reader over ENTRIES; only complete subtrees may be asked for."""
    span = ENTRIES[index << level : (index + 1) << level]
    assert len(span) == 1 << level
    return reference.tree_hash(span)


@functools.cache
def root_of(size: int) -> bytes:
    return reference.tree_hash(ENTRIES[:size])


def flipped(digests: list[bytes], place: int, bit: int) -> list[bytes]:
    spoilt = bytearray(digests[place])
    spoilt[bit // 8] ^= 1 << bit % 8
    return [*digests[:place], bytes(spoilt), *digests[place + 1 :]]


@pytest.mark.parametrize("size", range(65))
def test_the_root_is_the_definition_s(size):
    leaves = b"".join(LEAVES[:size])
    array = np.frombuffer(leaves, np.uint8).reshape(size, 32)
    assert merkle.root(leaves) == root_of(size)
    assert merkle.root(array) == merkle.root(bytearray(leaves)) == merkle.root(memoryview(leaves)) == root_of(size)
    if size:
        assert merkle.range_root(0, size, read) == root_of(size)


@pytest.mark.parametrize("size", range(1, 65))
def test_each_inclusion_path_is_the_definition_s_and_no_other_will_do(size):
    for index in range(size):
        path = merkle.inclusion_path(index, size, read)
        assert path == reference.audit_path(index, ENTRIES[:size])
        assert merkle.root_from_path(LEAVES[index], index, size, path) == root_of(size)
        for place in range(len(path)):
            spoilt = flipped(path, place, random.Random(index * 64 + place).randrange(256))
            assert merkle.root_from_path(LEAVES[index], index, size, spoilt) != root_of(size)
        for wrong in (path[:-1], [*path, LEAVES[0]], [b"", *path[1:]]) if path else ([LEAVES[0]],):
            with pytest.raises(Malformed, match="inclusion path: "):
                merkle.root_from_path(LEAVES[index], index, size, wrong)


@pytest.mark.parametrize("size", range(65))
def test_a_tree_in_memory_gives_the_same_root_and_paths(size):
    tree = merkle.Tree(b"".join(LEAVES[:size]))
    assert (tree.size, tree.root) == (size, root_of(size))
    assert [tree.path(index) for index in range(size)] == [
        merkle.inclusion_path(index, size, read) for index in range(size)
    ]
    for outside in (-1, size):
        with pytest.raises(Malformed, match="inclusion path: index"):
            tree.path(outside)


@pytest.mark.parametrize("new", range(1, 65))
def test_each_consistency_path_is_the_definition_s_and_no_other_will_do(new):
    for old in range(1, new + 1):
        path = merkle.consistency_path(old, new, read)
        assert path == reference.consistency_proof(old, ENTRIES[:new])
        merkle.check_consistency(old, root_of(old), new, root_of(new), path)
        for place in range(len(path)):
            spoilt = flipped(path, place, random.Random(old * 64 + place).randrange(256))
            with pytest.raises(Tampered, match=r"the log's (past was rewritten|head does not follow)"):
                merkle.check_consistency(old, root_of(old), new, root_of(new), spoilt)
        for wrong in (path[:-1], [*path, LEAVES[0]]) if path else ([LEAVES[0]],):
            with pytest.raises(Malformed, match="consistency path: "):
                merkle.check_consistency(old, root_of(old), new, root_of(new), wrong)


def test_every_bit_of_one_path_counts():
    path = merkle.inclusion_path(37, 61, read)
    proof = merkle.consistency_path(37, 61, read)
    for bit in range(256):
        for place in range(len(path)):
            assert merkle.root_from_path(LEAVES[37], 37, 61, flipped(path, place, bit)) != root_of(61)
        for place in range(len(proof)):
            with pytest.raises(Tampered):
                merkle.check_consistency(37, root_of(37), 61, root_of(61), flipped(proof, place, bit))


@given(st.integers(0, 63), st.integers(0, 63), st.integers(1, 64))
def test_a_path_of_one_leaf_serves_no_other_index_or_size(index, other, size):
    if index >= size or other == index:
        return
    path = reference.audit_path(index, ENTRIES[:size])
    try:
        computed = merkle.root_from_path(LEAVES[index], other, size, path)
    except Malformed:
        return
    assert computed != root_of(size)


def test_the_messages_name_what_was_found_and_wanted():
    with pytest.raises(Malformed, match=r"^inclusion path: index 5 in a tree of 5 leaves, wanted 0 <= index < size$"):
        merkle.inclusion_path(5, 5, read)
    with pytest.raises(Malformed, match=r"^inclusion path: 2 digests for leaf 1 of 5, wanted 3$"):
        merkle.root_from_path(LEAVES[1], 1, 5, LEAVES[:2])
    with pytest.raises(Malformed, match=r"^consistency path: from 6 to 5 leaves, wanted 0 <= old <= new$"):
        merkle.consistency_path(6, 5, read)
    with pytest.raises(Malformed, match=r"^consistency path: 1 digests from 3 to 7 leaves, wanted 4$"):
        merkle.check_consistency(3, root_of(3), 7, root_of(7), LEAVES[:1])
    with pytest.raises(Malformed, match=r"^leaf hashes laid end to end: found 33 bytes, wanted a multiple of 32$"):
        merkle.root(bytes(33))
    with pytest.raises(Malformed, match=r"^inclusion path: a digest of 31 bytes, wanted 32$"):
        merkle.root_from_path(LEAVES[0][:31], 0, 1, [])


def test_any_list_continues_the_empty_one_and_a_list_continues_itself():
    assert merkle.consistency_path(0, 9, read) == merkle.consistency_path(9, 9, read) == []
    merkle.check_consistency(0, merkle.EMPTY_ROOT, 9, root_of(9), [])
    merkle.check_consistency(9, root_of(9), 9, root_of(9), [])
    with pytest.raises(Tampered, match=f"claimed as {root_of(8).hex()}"):
        merkle.check_consistency(9, root_of(9), 9, root_of(8), [])
    with pytest.raises(Tampered, match="the log's past was rewritten: the first 0 entries"):
        merkle.check_consistency(0, root_of(1), 9, root_of(9), [])
    with pytest.raises(Tampered, match="the log's head does not follow: 0 entries"):
        merkle.check_consistency(0, merkle.EMPTY_ROOT, 0, root_of(1), [])


def test_certificate_transparency_s_own_tree(shared):
    tree = json.loads((shared / "vectors" / "merkle" / "ct-reference.json").read_text())
    entries = [bytes.fromhex(entry) for entry in tree["entries_hex"]]
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    for size, expected in enumerate(tree["roots_hex_by_size"]):
        assert merkle.root(b"".join(leaves[:size])).hex() == expected

    def node(level, index):
        return merkle.root(b"".join(leaves[index << level : (index + 1) << level]))

    for case in tree["inclusion"]:
        path = merkle.inclusion_path(case["index"], case["size"], node)
        assert [digest.hex() for digest in path] == case["proof_hex"]
    for case in tree["consistency"]:
        path = merkle.consistency_path(case["size1"], case["size2"], node)
        assert [digest.hex() for digest in path] == case["proof_hex"]


def probes(shared, name: str) -> list[dict]:
    lines = (shared / "vectors" / "merkle" / name).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_published_inclusion_probes(shared):
    verdicts = []
    for probe in probes(shared, "inclusion.jsonl"):
        path = [base64.b64decode(digest) for digest in probe["proof"] or []]
        try:
            computed = merkle.root_from_path(
                base64.b64decode(probe["leafHash"] or ""), probe["leafIdx"], probe["treeSize"], path
            )
            refused = computed != base64.b64decode(probe["root"] or "")
        except Malformed:
            refused = True
        assert refused == probe["wantErr"], probe["name"]
        verdicts.append(refused)
    assert (len(verdicts), verdicts.count(False)) == (46, 3)


def test_published_consistency_probes(shared):
    verdicts = []
    for probe in probes(shared, "consistency.jsonl"):
        path = [base64.b64decode(digest) for digest in probe["proof"] or []]
        roots = [base64.b64decode(probe[name] or "") for name in ("root1", "root2")]
        try:
            merkle.check_consistency(probe["size1"], roots[0], probe["size2"], roots[1], path)
            refused = False
        except (Malformed, Tampered):
            refused = True
        assert refused == probe["wantErr"], probe["name"]
        verdicts.append(refused)
    assert (len(verdicts), verdicts.count(False)) == (42, 3)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 700, 1025])
def test_blocks_of_shares_are_those_of_the_whole_and_their_tree_has_its_root(size):
    leaves = b"".join(merkle.leaf_hash(number.to_bytes(2)) for number in range(size))
    share = 512 * merkle.DIGEST
    parts = [merkle.blocks(leaves[at : at + share]) for at in range(0, len(leaves), share)]
    assert b"".join(parts) == merkle.blocks(leaves)
    assert merkle.root(merkle.blocks(leaves)) == merkle.root(leaves)
    each = [merkle.root(leaves[at : at + 256 * merkle.DIGEST]) for at in range(0, len(leaves), 256 * merkle.DIGEST)]
    assert merkle.blocks(leaves) == b"".join(each)
