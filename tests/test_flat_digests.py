"""A table's two digests: the SHA-256 over its leaves laid end to end, by which an answer is checked, and the root of
its tree, to which proofs lead. `verify` is who says that both are of the same leaves.

Three builds: the first states what every build stated before version 1.1, the other two what they do now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from force import Force, record
from reference import tree_hash

from provenance import publishing, statements, verify
from provenance.archive import Archive
from provenance.errors import Tampered
from provenance.tables import TABLES

WEEKS = {"2026-W02": "2026-01-11T12:00:00Z", "2026-W03": "2026-01-18T12:00:00Z", "2026-W04": "2026-01-25T12:00:00Z"}
BEFORE, NOW = "2026-W02", "2026-W03"
LIE = hashlib.sha256(b"other leaves").hexdigest()


def weeks(folder: Path, change: Callable[[str, dict[str, Any]], dict[str, Any]]) -> Force:
    """A build a week, each signed with what `change` makes of its label and its statement's fields."""
    force = Force(folder)
    signed = statements.Statement

    def stated(**fields: Any) -> statements.Statement:
        return signed(**{**fields, **change(fields["label"], fields)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing.statements, "Statement", stated)
        for number, cut_off in enumerate(WEEKS.values()):
            people = [record(f"R-{i}", f"N-{i}", f"N-{i + 1}", "N-9") for i in range(number + 3)]
            force.receive(*people, cut_off=cut_off)
            force.build(cut_off)
    return force


@pytest.fixture(scope="module")
def force(tmp_path_factory) -> Iterator[Force]:
    made = weeks(tmp_path_factory.mktemp("flat"), lambda label, _: {"artifacts": ()} if label == BEFORE else {})
    yield made
    made.archive.close()


def opened(archive: Archive, label: str) -> Any:
    return verify.asof.asked(archive, label)


def faults(archive: Archive, label: str = "") -> list[str]:
    return [fault for step in verify.verify(archive, label=label or None) for fault in step.faults]


def lasting(archive: Archive) -> int:
    """Position of a link that each of the builds has."""
    return min(set.intersection(*(set(archive.index("link").standing(number).tolist()) for number in (1, 2, 3))))


@pytest.fixture
def spoilt(force, monkeypatch) -> None:
    """One bit of one leaf of a link that every build has is another."""
    index = force.archive.index("link")
    leaves = index.leaf.copy()
    leaves[lasting(force.archive), 7] ^= 1
    monkeypatch.setattr(index, "leaf", leaves)


def test_the_statement_has_the_digest_of_the_leaves_in_byte_order_beside_their_root(force):
    for label in WEEKS:
        snapshot = opened(force.archive, label)
        for table in snapshot.statement.tables:
            shown = [entry.as_py() for entry in snapshot.entries(table.name, snapshot.positions(table.name))]
            hashed = {hashlib.sha256(b"\x00" + entry).digest(): entry for entry in shown}
            wanted = "" if label == BEFORE else hashlib.sha256(b"".join(sorted(hashed))).hexdigest()
            assert snapshot.statement.flat(table.name) == wanted
            assert table.root == tree_hash([hashed[leaf] for leaf in sorted(hashed)]).hex()
    assert {table.size for table in snapshot.statement.tables} > {0}  # a table without rows has its digest too


def test_whatever_a_statement_has_is_what_its_build_is_checked_by(force, monkeypatch):
    assert all(opened(force.archive, label).verified for label in WEEKS)
    assert faults(force.archive) == []

    def no_tree(leaves: Any) -> bytes:
        raise Tampered("the tree was worked out")

    monkeypatch.setattr(force.archive.crew, "root", no_tree)
    assert opened(force.archive, NOW).verified
    with pytest.raises(Tampered, match=r"^the tree was worked out$"):
        opened(force.archive, BEFORE).verify()


@pytest.mark.parametrize(("label", "words"), [(BEFORE, "root .{64}, logged as"), (NOW, "SHA-256 .{64}, stated as")])
def test_a_bit_of_a_leaf_is_found_by_either(force, spoilt, label, words):
    snapshot = opened(force.archive, label)
    assert not snapshot.verified
    with pytest.raises(Tampered, match=rf"^table link of build {label} has \d+ rows with {words} "):
        snapshot.verify()


@pytest.fixture(scope="module")
def lying(tmp_path_factory) -> Iterator[Force]:
    """A force that signs a digest of other leaves: of the second build the plain one, of the third the root."""

    def change(label: str, fields: dict[str, Any]) -> dict[str, Any]:
        if label != NOW:
            return {}
        return {"artifacts": tuple(replace(a, sha256=LIE) if a.table == "link" else a for a in fields["artifacts"])}

    hashed = publishing.merkle.root

    def root(blocks: bytes) -> bytes:  # of the third build, every table's
        return bytes.fromhex(LIE) if state["label"] == "2026-W04" and blocks else hashed(blocks)

    state = {"label": ""}
    publish = publishing.publish

    def published(archive: Archive, draft: Any, *more: Any) -> Any:
        state["label"] = draft.label
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(publishing, "merkle", type("merkle", (), {"root": staticmethod(root)}))
            return publish(archive, draft, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "publish", published)
        made = weeks(tmp_path_factory.mktemp("lying"), change)
    yield made
    made.archive.close()


def test_a_statement_whose_two_digests_disagree_is_found_by_verify_which_names_the_table(lying):
    found = faults(lying.archive, NOW)
    assert len(found) == 1
    assert found[0].startswith(f"table link of build {NOW} has ")
    assert found[0].endswith(f"stated as {LIE}")
    assert not opened(lying.archive, NOW).verified
    found = faults(lying.archive, "2026-W04")
    assert [words.split(" has ")[0] for words in found] == [
        f"table {name} of build 2026-W04" for name in TABLES if len(lying.archive.index(name).standing(3))
    ]
    assert all(words.endswith(f"with root {LIE}") for words in found)


def test_the_check_of_one_row_says_it_too(lying, force):
    index = lying.archive.index("link")
    leaf = index.leaf[index.standing(2)[0]].tobytes()
    _, steps = verify.verify_row(lying.archive, leaf, label=NOW)
    assert [fault.endswith(f"stated as {LIE}") for step in steps for fault in step.faults] == [True]
    leaf = force.archive.index("link").leaf[lasting(force.archive)].tobytes()
    for label in (BEFORE, NOW):
        _, steps = verify.verify_row(force.archive, leaf, label=label)
        assert [fault for step in steps for fault in step.faults] == []


def test_a_statement_that_is_not_there_is_named_once_and_the_roots_are_still_worked_out(force, tmp_path):
    path = force.archive.statement(NOW)
    kept = path.rename(tmp_path / path.name)
    try:
        found = faults(force.archive, NOW)
        assert [fault for fault in found if "statement" in fault]
        assert not [fault for fault in found if fault.startswith("table ")]
        assert not opened(force.archive, NOW).verified
    finally:
        kept.rename(path)
