"""A witness and an archive, by mail: what continues is cosigned, and a fork or a rollback under the same key is not."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import entries, heads, notes, witnessing
from provenance.cli import main
from provenance.cli.doors import Door
from provenance.errors import Conflict, Malformed, Missing, ProvenanceError, Refused, Tampered
from provenance.heads import Heads
from provenance.keys import SigningKey
from provenance.log import Log
from provenance.notes import Checkpoint, Note, Verifier
from provenance.policies import Policy
from provenance.proofs import AddCheckpoint
from tests.test_heads import after_each_failure
from tests.test_proofs import AT, ETHICS, KEY, PCC, STRANGER, SUCCESSOR, TREE, Tree, cosigned

FORK = Tree([*TREE.entries[:5], *(b"other %d" % index for index in range(59))])


class Logging:
    """As much of an archive as is needed here: a log of its own and a policy."""

    def __init__(self, root: Path) -> None:
        self.log = Log.create(root / "log", origin=KEY.verifier.name, key=KEY)
        self.heads = Heads(self.log.folder / "heads")

    def signers(self) -> Sequence[Verifier]:
        return (KEY.verifier, SUCCESSOR.verifier)

    def grow(self, count: int) -> None:
        for _ in range(count):
            act = entries.Founded(
                on="2026-01-01T00:00:00Z", by="a", under="b", archive=KEY.verifier.name, format=self.log.size,
                vkey=str(KEY.verifier),
            )  # fmt: skip
            self.log.append([act], key=KEY)

    def trusts(self, *witnesses: Verifier, quorum: str = "any") -> None:
        lines = "".join(f"witness w{n} {vkey}\n" for n, vkey in enumerate(witnesses))
        names = " ".join(f"w{n}" for n in range(len(witnesses)))
        group = f"group all-of-them {quorum} {names}\nquorum all-of-them\n" if witnesses else "quorum none\n"
        (self.log.folder / "policy").write_text(f"log {KEY.verifier}\nlog {SUCCESSOR.verifier}\n{lines}{group}")


@pytest.fixture
def archive(tmp_path):
    archive = Logging(tmp_path)
    archive.grow(3)
    archive.trusts()
    return archive


def founded(folder: Path, *logs: SigningKey, name: str = "ethics.example/witness") -> Path:
    witnessing.found(folder, name=name)
    for log in logs or (KEY,):
        witnessing.trust(folder, str(log.verifier))
    return folder


@pytest.fixture
def folder(tmp_path):
    """A witness that has cosigned nothing yet."""
    return founded(tmp_path / "ethics")


def vkey(folder: Path) -> Verifier:
    return Verifier.parse((folder / "vkey").read_text().strip())


def asked(old: int, new: int, tree: Tree = TREE, *, by: SigningKey = KEY) -> bytes:
    return bytes(tree.request(old, new, tree.head(new, by=by)))


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# ---- a story of both sides -------------------------------------------------------------------------------------------


def test_two_witnesses_cosign_as_the_log_grows(archive, folder, tmp_path):
    other = founded(tmp_path / "pcc", name="pcc.example/witness")
    archive.trusts(vkey(folder), vkey(other), quorum="all")
    assert witnessing.last_cosigned(archive) == {"w0": 0, "w1": 0}

    body = witnessing.request(archive)
    assert AddCheckpoint.parse(body).old == 0
    assert archive.heads.sizes() == [3]  # kept before it leaves
    added = witnessing.add(archive, witnessing.sign(folder, body, at=AT))
    assert added == [(3, "w0", AT, False)]
    assert [(head.size, head.quorum_met) for head in witnessing.shown(archive)] == [(3, False)]
    added = witnessing.add(archive, witnessing.sign(other, body, at=AT + 1))
    assert added == [(3, "w1", AT + 1, False)]
    assert [(head.size, head.quorum_met) for head in witnessing.shown(archive)] == [(3, True)]

    archive.grow(2)
    body = witnessing.request(archive)
    assert AddCheckpoint.parse(body).old == 3
    first = witnessing.sign(folder, body, at=AT + 2)
    archive.grow(300)  # the answer takes its time
    assert witnessing.add(archive, first) == [(5, "w0", AT + 2, False)]
    assert witnessing.last_cosigned(archive) == {"w0": 5, "w1": 3}
    body = witnessing.request(archive)
    assert AddCheckpoint.parse(body).old == 5
    with pytest.raises(witnessing.OutOfStep, match=r"from 5 entries, wanted 3$") as told:
        witnessing.sign(other, body, at=AT + 3)
    with pytest.raises(Conflict, match=r"it has seen 3 entries; ask again with `provenance witness request --old 3`$"):
        witnessing.add(archive, b"%d\n" % told.value.size)
    both = b"".join(
        witnessing.sign(who, witnessing.request(archive, old=old), at=AT + 3) for who, old in ((folder, 5), (other, 3))
    )
    assert witnessing.add(archive, both) == [(305, "w0", AT + 3, False), (305, "w1", AT + 3, False)]
    assert [(head.size, len(head.cosigned), head.quorum_met) for head in witnessing.shown(archive)] == [
        (3, 2, True), (5, 1, False), (305, 2, True),
    ]  # fmt: skip
    policy = heads.read_policy(archive.log.folder)
    assert list(heads.faults(archive.log, archive.signers(), policy)) == [""] * 3
    policy.insist(archive.heads.read(305))


def test_the_same_head_may_be_asked_again_and_the_first_line_stays(archive, folder):
    archive.trusts(vkey(folder))
    first = witnessing.sign(folder, witnessing.request(archive), at=AT)
    witnessing.add(archive, first)
    body = witnessing.request(archive)
    assert (AddCheckpoint.parse(body).old, AddCheckpoint.parse(body).path) == (3, ())
    again = witnessing.sign(folder, body, at=AT + 60)
    assert witnessing.add(archive, again) == [(3, "w0", AT + 60, True)]
    assert archive.heads.read(3) == archive.log.checkpoint + first


def test_a_whole_cosigned_head_is_an_answer_too(archive, folder):
    archive.trusts(vkey(folder))
    line = witnessing.sign(folder, witnessing.request(archive), at=AT)
    strange = str(notes.cosign(archive.log.checkpoint, STRANGER, AT)).encode()
    assert witnessing.add(archive, archive.log.checkpoint + strange + line) == [(3, "w0", AT, False)]
    assert archive.heads.read(3) == archive.log.checkpoint + line  # what nobody knows is not taken in


def test_a_request_asks_for_no_more_than_the_log_has(archive):
    with pytest.raises(Malformed, match=r"^request to a witness: from 4 entries, wanted at most the 3 of the log$"):
        witnessing.request(archive, old=4)
    with pytest.raises(Malformed, match=r"^consistency path: from -1 to 3 leaves"):
        witnessing.request(archive, old=-1)
    assert archive.heads.sizes() == []


def _bent(line: bytes) -> bytes:
    return line[:-20] + (b"B" if line[-20:-19] == b"A" else b"A") + line[-19:]


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (lambda note, line: str(notes.cosign(note, PCC, AT)).encode(), Refused,
            r"answer has no line of a known witness: it is by pcc\.example/witness, wanted ethics\.example/witness$"),
        (lambda note, line: note, Refused, "answer has no line of a known witness: it is by force"),
        (lambda note, line: b"thank you\n", Malformed, "answer of a witness: no signature line"),
        (lambda note, line: b"", Malformed, "answer of a witness: no signature line"),
        (lambda note, line: b"07\n", Malformed, "answer of a witness: no signature line"),
        (lambda note, line: "— w.example AAAA\n".encode(), Malformed, "signed note: a signature of 3 bytes"),
        (lambda note, line: "— ethics.example/witness\n".encode(), Malformed, "signed note: a signature line without"),
        (lambda note, line: _bent(line), Tampered,
            r"signature does not verify: by ethics\.example/witness, over no head that was shown \(sizes 3\)$"),
        (lambda note, line: line + _bent(line), Tampered, "signature does not verify: by ethics"),
        (lambda note, line: b"x" * 4_000_001, Malformed, "text from a mail: 4000001 bytes, wanted at most 4000000$"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_changes_nothing(archive, folder, answer, error, message):
    archive.trusts(vkey(folder))
    line = witnessing.sign(folder, witnessing.request(archive), at=AT)
    before = tree(archive.log.folder)
    with pytest.raises(error, match=f"^{message}"):
        witnessing.add(archive, answer(archive.log.checkpoint, line))
    assert tree(archive.log.folder) == before


def test_an_answer_over_another_history_is_told_as_that(archive):
    archive.trusts(notes.cosigner(ETHICS.verifier))
    witnessing.request(archive)
    head = cosigned(TREE.head(9), ETHICS)
    with pytest.raises(
        Tampered,
        match=rf"^ethics\.example/witness cosigned a head that this log has not shown: force\.example/log, 9 entries, "
        rf"root {TREE.root(9).hex()}; stop",
    ):
        witnessing.add(archive, head)
    assert archive.heads.read(3) == archive.log.checkpoint


def test_without_a_witness_in_the_policy_no_answer_is_taken(archive, folder):
    line = witnessing.sign(folder, witnessing.request(archive), at=AT)
    with pytest.raises(Refused, match=r"wanted one that log/policy names, which has none$"):
        witnessing.add(archive, line)


# ---- what a witness refuses ------------------------------------------------------------------------------------------


@pytest.fixture
def seven(folder):
    """A witness that has seen 3 and then 7 entries."""
    witnessing.sign(folder, asked(0, 3), at=AT)
    witnessing.sign(folder, asked(3, 7), at=AT + 1)
    return folder


def _spoilt(old: int, new: int) -> bytes:
    request = TREE.request(old, new)
    return bytes(AddCheckpoint(old, (*request.path[:-1], bytes(32)), request.checkpoint))


def _resigned(size: int, root: bytes) -> bytes:
    return bytes(Note.signed(Checkpoint(KEY.verifier.name, size, root).text, KEY))


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (asked(7, 9, FORK), Tampered, "the log's past was rewritten: the first 7 entries have root "),
        (asked(3, 7, FORK), Tampered, "log has two heads of 7 entries: root .* cosigned before as "),
        (asked(7, 7, FORK), Tampered, "log has two heads of 7 entries"),
        (bytes(AddCheckpoint(7, (), _resigned(7, FORK.root(7)))), Tampered, "log has two heads of 7 entries"),
        (asked(0, 7, FORK), Tampered, "log has two heads of 7 entries"),
        (_spoilt(7, 9), Tampered, "the log's (past|head)"),
        (bytes(AddCheckpoint(7, (), TREE.head(9))), Malformed, "consistency path: 0 digests from 7 to 9"),
        (bytes(AddCheckpoint(7, (bytes(32),), TREE.head(7))), Malformed, "consistency path: from 7 to 7"),
        (asked(3, 6), witnessing.OutOfStep, "head is smaller than what was cosigned: 6 entries, wanted at least the 7"),
        (asked(0, 0), witnessing.OutOfStep, "head is smaller than what was cosigned: 0 entries"),
        (asked(3, 6, FORK), witnessing.OutOfStep, "head is smaller than what was cosigned: 6 entries"),
        (bytes(AddCheckpoint(7, (), TREE.head(6))), witnessing.OutOfStep, "head is smaller than what was cosigned"),
        (asked(3, 7), witnessing.OutOfStep, "request does not start where this witness is: from 3 entries, wanted 7$"),
        (asked(8, 9), witnessing.OutOfStep, "request does not start where this witness is: from 8 entries, wanted 7$"),
        (asked(0, 9, FORK), witnessing.OutOfStep, "request does not start where this witness is: from 0 entries, want"),
        (asked(7, 9, by=STRANGER), Refused, r"log is not served here: other\.example/log"),
        (asked(7, 9, by=SUCCESSOR), Refused, r"head is signed by no key that is served here for force\.example/log: "),
        (asked(7, 9).replace(b"\n9\n", b"\n8\n"), Tampered, r"signature does not verify: by force\.example/log"),
        (bytes(AddCheckpoint(7, (), bytes(Note.signed(Note.parse(TREE.head(9)).text, KEY, KEY)))), Tampered,
            "checkpoint: 2 signatures by the log"),
        (b"", Malformed, "request to a witness: no empty line"),
        (b"old 7\n", Malformed, "request to a witness: 1 paragraphs"),
        (b"good morning\n\nplease sign\n\nthank you\n", Malformed, "request to a witness: another first line"),
    ],
)  # fmt: skip
def test_what_does_not_continue_is_not_cosigned_and_not_remembered(seven, body, error, message):
    before = tree(seven)
    with pytest.raises(error, match=f"^{message}") as told:
        witnessing.sign(seven, body, at=AT + 2)
    if error is witnessing.OutOfStep:
        assert told.value.size == 7
        assert told.value.exit_code == Conflict.exit_code
    elif "two heads" in message or "past" in message:
        assert str(told.value).endswith(
            "keep the request: with the head kept here it shows two histories under one key"
        )
    assert tree(seven) == before
    witnessing.sign(seven, asked(7, 9), at=AT + 2)  # and what does continue still is


def test_a_log_that_was_rolled_back_and_grew_another_way_is_found_out(tmp_path, folder):
    """The force restores an old copy of its log, goes on from there, and asks as the witness wants to be asked."""
    log = Logging(tmp_path / "force")
    log.grow(5)
    log.trusts(vkey(folder))
    shutil.copytree(log.log.folder, tmp_path / "copy")
    log.grow(4)
    witnessing.add(log, witnessing.sign(folder, witnessing.request(log), at=AT))
    shutil.rmtree(log.log.folder)
    (tmp_path / "copy").rename(log.log.folder)
    log.log = Log.open(log.log.folder, vkey=KEY.verifier)
    with pytest.raises(
        witnessing.OutOfStep, match="head is smaller than what was cosigned: 5 entries, wanted at least the 9"
    ):
        witnessing.sign(folder, witnessing.request(log), at=AT + 1)
    act = entries.Founded(on="2026-01-02T00:00:00Z", by="a", under="b", archive="c", format=1, vkey="d")
    log.log.append([act] * 6, key=KEY)
    with pytest.raises(Tampered, match="the log's past was rewritten: the first 9 entries have root"):
        witnessing.sign(folder, witnessing.request(log, old=9), at=AT + 1)


def test_a_witness_s_clock_does_not_go_back(seven):
    with pytest.raises(Conflict, match=rf"^clock was set back: it says {AT}, wanted at least {AT + 1}"):
        witnessing.sign(seven, asked(7, 9), at=AT)
    witnessing.sign(seven, asked(7, 9), at=AT + 1)


def test_logs_do_not_touch_each_other(folder):
    witnessing.trust(folder, str(STRANGER.verifier))
    witnessing.sign(folder, asked(0, 7), at=AT)
    line = witnessing.sign(folder, asked(0, 9, FORK, by=STRANGER), at=AT)
    assert witnessing.sign(folder, asked(7, 9), at=AT) != line


def test_after_a_rotation_the_log_goes_on_where_it_was(seven):
    with pytest.raises(Refused, match="head is signed by no key that is served here"):
        witnessing.sign(seven, asked(7, 9, by=SUCCESSOR), at=AT + 2)
    witnessing.trust(seven, f"{SUCCESSOR.verifier}\n")
    with pytest.raises(Tampered, match="the log's past was rewritten"):
        witnessing.sign(seven, asked(7, 9, FORK, by=SUCCESSOR), at=AT + 2)
    witnessing.sign(seven, asked(7, 9, by=SUCCESSOR), at=AT + 2)
    both = bytes(Note.signed(Note.parse(TREE.head(11)).text, KEY, SUCCESSOR))
    with pytest.raises(Tampered, match="2 signatures by the log"):
        witnessing.sign(seven, bytes(TREE.request(9, 11, both)), at=AT + 3)


def test_who_stole_a_key_that_was_replaced_gets_nothing_cosigned(seven):
    """He has the log as it is, and the key from before the change; the force is not locked out by what he tries."""
    witnessing.trust(seven, str(SUCCESSOR.verifier))
    witnessing.sign(seven, asked(7, 8), at=AT + 2)  # the new key is known, and the old one still signs
    witnessing.sign(seven, asked(8, 9, by=SUCCESSOR), at=AT + 3)
    forged = Tree([*TREE.entries[:9], b"a build of the thief's own"])
    before = tree(seven)
    for body in (asked(9, 10, forged), asked(9, 10), asked(9, 9)):
        with pytest.raises(
            Refused, match=r"^key of the log was replaced: .* and the head of 9 entries was cosigned under"
        ):
            witnessing.sign(seven, body, at=AT + 4)
    with pytest.raises(Refused, match=r"^key of the log was replaced: "):
        witnessing.trust(seven, str(KEY.verifier))
    assert tree(seven) == before
    witnessing.sign(seven, asked(9, 10, by=SUCCESSOR), at=AT + 4)


def test_a_key_that_is_distrusted_signs_nothing_more(seven):
    with pytest.raises(Missing, match=r"^key of a log is not served here: "):
        witnessing.distrust(seven, str(SUCCESSOR.verifier))
    assert witnessing.distrust(seven, f"{KEY.verifier}\n") == (KEY.verifier,)
    with pytest.raises(Refused, match=r"^log is not served here"):
        witnessing.sign(seven, asked(7, 9), at=AT + 2)
    witnessing.trust(seven, str(SUCCESSOR.verifier))
    with pytest.raises(Refused, match=r"^head is signed by no key that is served here"):
        witnessing.sign(seven, asked(7, 9), at=AT + 2)
    with pytest.raises(witnessing.OutOfStep, match="from 0 entries, wanted 7"):  # what was seen is not forgotten
        witnessing.sign(seven, asked(0, 9, by=SUCCESSOR), at=AT + 2)
    witnessing.sign(seven, asked(7, 9, by=SUCCESSOR), at=AT + 2)


def test_distrusting_a_key_does_not_bring_back_the_one_that_it_replaced(seven):
    witnessing.trust(seven, str(SUCCESSOR.verifier))
    witnessing.sign(seven, asked(7, 9, by=SUCCESSOR), at=AT + 2)
    copy = shutil.copytree(seven, seven.with_name("copy"))
    assert witnessing.distrust(copy, str(KEY.verifier)) == (KEY.verifier,)
    witnessing.sign(copy, asked(9, 10, by=SUCCESSOR), at=AT + 3)
    assert witnessing.distrust(seven, str(SUCCESSOR.verifier)) == (KEY.verifier, SUCCESSOR.verifier)
    with pytest.raises(Refused, match=r"^log is not served here"):
        witnessing.sign(seven, asked(9, 10), at=AT + 3)


def test_a_distrusting_that_was_cut_off_is_done_again(tmp_path):
    def state() -> Path:
        shutil.rmtree(tmp_path / "w", ignore_errors=True)
        folder = founded(tmp_path / "w", KEY, SUCCESSOR)
        witnessing.sign(folder, asked(0, 7), at=AT)
        return folder

    def check(folder: Path) -> None:
        if KEY.verifier in witnessing._served(folder).logs:
            witnessing.distrust(folder, str(KEY.verifier))
        with pytest.raises(Refused):
            witnessing.sign(folder, asked(7, 9), at=AT)
        witnessing.sign(folder, asked(7, 9, by=SUCCESSOR), at=AT)

    assert after_each_failure(lambda folder: witnessing.distrust(folder, str(KEY.verifier)), state, check) >= 3


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 12)), max_size=12))
@settings(max_examples=40)
def test_whatever_is_asked_in_whatever_order_one_history_is_cosigned(tmp_path_factory, asking):
    folder = founded(tmp_path_factory.mktemp("w") / "w")
    histories, last = [], 0
    for forked, old, new in asking:
        source = FORK if forked else TREE
        old, new = sorted((old, new))
        try:
            witnessing.sign(folder, asked(old, new, source), at=AT)
        except (Tampered, Conflict):
            continue
        assert new >= last
        last = new
        histories.append((source, new))
    # FORK shares 5 entries with TREE: what was cosigned beyond them is of one of the two alone.
    assert len({id(source) for source, size in histories if size > 5}) <= 1


# ---- what a witness remembers ----------------------------------------------------------------------------------------


def test_a_witness_s_folder_holds_what_it_says(seven):
    assert sorted(tree(seven)) == [".writer", f"heads/{_memory()}", "key.pem", "logs", "vkey"]
    assert (seven / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (seven / "logs").read_text() == f"log {KEY.verifier}\nquorum none\n"
    held = (seven / "heads" / _memory()).read_bytes()
    policy = Policy.parse(f"log {KEY.verifier}\nwitness me {vkey(seven)}\nquorum me\n".encode())
    opened = policy.insist(held)
    assert (opened.checkpoint.size, opened.cosigned[0].at) == (7, AT + 1)


def _memory() -> str:
    import hashlib

    return hashlib.sha256(KEY.verifier.name.encode()).hexdigest()


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at // 8] ^= 1 << at % 8
    path.write_bytes(bytes(data))


def test_a_witness_that_forgot_does_not_sign(seven):
    path = seven / "heads" / _memory()
    held = path.read_bytes()
    path.unlink()
    for act in (
        lambda: witnessing.sign(seven, asked(0, 9, FORK), at=AT + 2),
        lambda: witnessing.trust(seven, str(SUCCESSOR.verifier)),
        lambda: witnessing.trust(seven, str(KEY.verifier)),
    ):
        with pytest.raises(
            Missing, match=r"^head that was cosigned last is not there: .*make another, with a new key$"
        ):
            act()
        assert not path.exists()
    path.write_bytes(held)
    witnessing.sign(seven, asked(7, 9), at=AT + 2)


def test_a_witness_whose_memory_is_spoilt_does_not_sign_what_is_not_so(seven):
    """A flipped bit in its own line, or in the text, is seen; one in the log's line below it changes nothing."""
    path = seven / "heads" / _memory()
    held = path.read_bytes()
    for at in range(0, 8 * held.index(b"\n\n"), 5):
        _flip(path, at)
        with pytest.raises(Tampered, match=r"^(head that was cosigned last|signature does not verify|signed note)"):
            witnessing.sign(seven, asked(7, 9), at=AT + 2)
        path.write_bytes(held)
    fork = _resigned(7, FORK.root(7))
    path.write_bytes(fork + held.splitlines(keepends=True)[-1])
    with pytest.raises(Tampered, match=r"^signature does not verify: by ethics"):
        witnessing.sign(seven, asked(7, 9, FORK), at=AT + 2)
    path.write_bytes(Checkpoint(KEY.verifier.name, 7, FORK.root(7)).text.encode())
    with pytest.raises(Tampered, match=r"^head that was cosigned last is another log's"):
        witnessing.sign(seven, asked(7, 9, FORK), at=AT + 2)
    path.write_bytes(
        cosigned(TREE.head(7, by=STRANGER), SigningKey.open(seven / "key.pem", name="ethics.example/witness"))
    )
    with pytest.raises(Tampered, match=r"^head that was cosigned last is another log's"):
        witnessing.sign(seven, asked(7, 9), at=AT + 2)


@given(st.binary(max_size=200))
def test_whatever_lies_in_a_witness_s_memory_it_is_tampered_with_or_malformed(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "spoilt"
    if not folder.exists():
        founded(folder)
    for path in (folder / "heads" / _memory(), folder / "logs", folder / "vkey"):
        held = path.read_bytes()
        path.write_bytes(data)
        with pytest.raises((Tampered, Malformed, Refused)):
            witnessing.sign(folder, asked(0, 7), at=AT)
        path.write_bytes(held)


def test_a_witness_s_key_is_the_one_it_is_known_by(seven, tmp_path):
    other = founded(tmp_path / "other")
    shutil.copy(other / "key.pem", seven / "key.pem")
    with pytest.raises(Tampered, match=r"^witness's key is not the one it is known by: ethics/key\.pem"):
        witnessing.sign(seven, asked(7, 9), at=AT + 2)


def test_a_witness_is_found_once(folder, tmp_path):
    with pytest.raises(Conflict, match=r"^folder ethics is a witness's already"):
        witnessing.found(folder, name="other")
    for name in ("", "a b", "a+b"):
        with pytest.raises(Malformed, match=r"^key name: "):
            witnessing.found(tmp_path / "new", name=name)
        assert not (tmp_path / "new").exists()
    for act in (
        lambda: witnessing.sign(tmp_path / "new", asked(0, 1), at=AT),
        lambda: witnessing.trust(tmp_path / "new", str(KEY.verifier)),
    ):
        with pytest.raises(Missing, match=r"^folder new is no witness's"):
            act()
    with pytest.raises(Malformed, match=r"^verifier key: "):
        witnessing.trust(folder, "force.example/log")
    with pytest.raises(Malformed, match="type 0x04, wanted 0x01 for a log"):
        witnessing.trust(folder, str(vkey(folder)))


def test_many_requests_at_once_leave_one_history(folder):
    """Each is checked and remembered under the folder's lock: of forks from the same size, one is cosigned."""
    lines, told = [], []

    def ask(source: Tree, size: int) -> None:
        try:
            lines.append(witnessing.sign(folder, asked(0, size, source), at=AT))
        except ProvenanceError as error:
            told.append(error)

    threads = [threading.Thread(target=ask, args=(t, size)) for size in range(6, 14) for t in (TREE, FORK)]
    random.Random(3).shuffle(threads)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(lines), len(told)) == (1, 15)


# ---- the disk fails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [0, 3])
def test_whatever_write_fails_no_cosignature_leaves_that_is_not_remembered(tmp_path, old):
    def state() -> Path:
        shutil.rmtree(tmp_path / "w", ignore_errors=True)
        folder = founded(tmp_path / "w")
        if old:
            witnessing.sign(folder, asked(0, old), at=AT)
        return folder

    lines = []

    def check(folder: Path) -> None:
        assert not lines
        assert not [name for name in tree(folder) if name.endswith(".part")]
        seen = witnessing._seen(folder, KEY.verifier.name).head
        assert (seen.size, seen.root) in ((old, TREE.root(old)), (7, TREE.root(7)))
        if seen.size == 7:  # it was remembered, and did not leave: the log asks again from there
            with pytest.raises(Tampered, match="log has two heads of 7 entries"):
                witnessing.sign(folder, asked(old, 7, FORK), at=AT + 1)
        witnessing.sign(folder, asked(seen.size, 7), at=AT + 1)
        with pytest.raises(Tampered):
            witnessing.sign(folder, asked(7, 9, FORK), at=AT + 1)

    def step(folder: Path) -> None:
        lines.clear()
        lines.append(witnessing.sign(folder, asked(old, 7), at=AT))

    assert after_each_failure(step, state, check) >= 5


def test_a_witness_that_was_cut_off_while_it_was_made_is_made_again(tmp_path):
    def state() -> Path:
        shutil.rmtree(tmp_path / "w", ignore_errors=True)
        return tmp_path / "w"

    def check(folder: Path) -> None:
        if not (folder / "vkey").exists():
            held = (folder / "key.pem").read_bytes() if (folder / "key.pem").exists() else b""
            witnessing.found(folder, name="w.example")
            assert held in (b"", (folder / "key.pem").read_bytes())
        witnessing.trust(folder, str(KEY.verifier))
        witnessing.sign(folder, asked(0, 7), at=AT)

    assert after_each_failure(lambda folder: witnessing.found(folder, name="w.example"), state, check) >= 10


def test_a_log_whose_trusting_was_cut_off_is_trusted_again(tmp_path):
    def state() -> Path:
        shutil.rmtree(tmp_path / "w", ignore_errors=True)
        folder = founded(tmp_path / "w", STRANGER)
        witnessing.sign(folder, asked(0, 7, by=STRANGER), at=AT)
        return folder

    def check(folder: Path) -> None:
        assert STRANGER.verifier in witnessing._served(folder).logs
        witnessing.trust(folder, str(KEY.verifier))
        witnessing.sign(folder, asked(0, 7), at=AT)
        witnessing.sign(folder, asked(7, 9, by=STRANGER), at=AT)

    assert after_each_failure(lambda folder: witnessing.trust(folder, str(KEY.verifier)), state, check) >= 8


@pytest.mark.parametrize("step", ["request", "add"])
def test_whatever_write_fails_the_archive_s_side_is_done_again(tmp_path, step):
    def state() -> tuple[Logging, bytes]:
        shutil.rmtree(tmp_path / "log", ignore_errors=True)
        archive = Logging(tmp_path)
        archive.grow(7)
        archive.trusts(notes.cosigner(ETHICS.verifier), notes.cosigner(PCC.verifier))
        if step == "add":
            witnessing.request(archive)
        return archive, b"".join(str(notes.cosign(archive.log.checkpoint, w, AT)).encode() for w in (ETHICS, PCC))

    def run(given: tuple[Logging, bytes]) -> None:
        archive, answer = given
        witnessing.request(archive) if step == "request" else witnessing.add(archive, answer)

    def check(given: tuple[Logging, bytes]) -> None:
        archive, answer = given
        policy = heads.read_policy(archive.log.folder)
        assert set(heads.faults(archive.log, archive.signers(), policy)) <= {""}
        witnessing.request(archive)
        witnessing.add(archive, answer)
        assert archive.heads.read(7) == archive.log.checkpoint + answer

    assert after_each_failure(run, state, check) >= 5


# ---- mail ------------------------------------------------------------------------------------------------------------


def _wrapped(text: str) -> str:
    """Broken at a space before column 76, as mail programs break; and in the middle of a word that is longer."""
    made = []
    for line in text.splitlines():
        while len(line) > 76:
            cut = line.rfind(" ", 2, 76) if " " in line[2:76] else 76
            made.append(line[:cut])
            line = line[cut:].lstrip()
        made.append(line)
    return "\n".join(made) + "\n"


MAILED = {
    "as it was": lambda text: text.encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "old Mac": lambda text: text.replace("\n", "\r").encode(),
    "trailing blank lines": lambda text: (text + "\n\n  \n").encode(),
    "no last newline": lambda text: text.rstrip("\n").encode(),
    "trailing spaces": lambda text: text.replace("\n", "  \n").encode(),
    "indented": lambda text: re.sub("^", "    ", text, flags=re.MULTILINE).encode(),
    "quoted": lambda text: re.sub("^", "> ", text, flags=re.MULTILINE).encode(),
    "quoted twice": lambda text: re.sub("^", ">> ", text, flags=re.MULTILINE).encode(),
    "quoted twice, apart": lambda text: re.sub("^", "> > ", text, flags=re.MULTILINE).encode(),
    "a letter around it": lambda text: f"Dear all,\n\nplease see below.\n\n{text}\n-- \nA. Clerk\n".encode(),
    "a letter, quoted, CRLF": lambda text: (
        "On Monday the force wrote:\r\n" + re.sub("^", "> ", f"\n{text}", flags=re.MULTILINE).replace("\n", "\r\n")
    ).encode(),
    "wrapped": lambda text: _wrapped(text).encode(),
    "wrapped and quoted": lambda text: re.sub("^", "> ", _wrapped(text), flags=re.MULTILINE).encode(),
    "Windows 1252": lambda text: text.encode("cp1252"),
    "UTF-16": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "blanks that do not break": lambda text: text.replace("— ", "—\xa0").encode(),
}  # fmt: skip


@pytest.mark.parametrize("form", MAILED)
@pytest.mark.parametrize("old", [0, 3])
def test_a_request_survives_mail(folder, form, old):
    if old:
        witnessing.sign(folder, asked(0, old), at=AT)
    body = asked(old, 7)
    line = witnessing.sign(folder, MAILED[form](body.decode()), at=AT + 1)
    vkey(folder).verify(Note.parse(TREE.head(7)).text.encode(), base64.b64decode(line.split()[-1])[4:])


@pytest.mark.parametrize("form", MAILED)
@pytest.mark.parametrize("whole", [False, True])
def test_an_answer_survives_mail(archive, folder, form, whole):
    archive.trusts(vkey(folder))
    line = witnessing.sign(folder, witnessing.request(archive), at=AT)
    answer = (archive.log.checkpoint if whole else b"") + line
    assert witnessing.add(archive, MAILED[form](answer.decode())) == [(3, "w0", AT, False)]
    assert archive.heads.read(3) == archive.log.checkpoint + line


def test_an_answer_above_the_quoted_request(archive, folder):
    archive.trusts(vkey(folder))
    body = witnessing.request(archive)
    line = witnessing.sign(folder, body, at=AT)
    mail = f"Signed, see below.\n\n{line.decode()}\nOn Monday you wrote:\n" + re.sub(
        "^", "> ", body.decode(), flags=re.M
    )
    assert witnessing.add(archive, mail.encode()) == [(3, "w0", AT, False)]


def test_what_is_strictly_a_request_is_taken_as_it_is(tmp_path):
    """A log may be called `>quoted`, and have an extension with blanks at its end: only a failed reading is mended."""
    quoted = SigningKey(">quoted", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    folder = founded(tmp_path / "w", quoted)
    head = Checkpoint(">quoted", 1, TREE.root(1), ("> an extension  ",))
    note = bytes(Note.signed(head.text, quoted))
    line = witnessing.sign(folder, bytes(AddCheckpoint(0, (), note)), at=AT)
    vkey(folder).verify(head.text.encode(), base64.b64decode(line.split()[-1])[4:])


_HOSTILE = st.binary(max_size=200) | st.lists(
    st.sampled_from([
        "old 0", "old 3", "", "> ", "—", "— ", "force.example/log", "7", "A" * 44, *asked(0, 7).decode().split("\n"),
    ]),
    max_size=20,
).map(lambda lines: "\n".join(lines).encode())  # fmt: skip


@given(_HOSTILE)
@settings(max_examples=200)
def test_whatever_comes_by_mail_is_signed_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "hostile"
    if not folder.exists():
        founded(folder)
    shutil.copytree(folder, folder.with_name("hostile-now"), dirs_exist_ok=True)
    try:
        line = witnessing.sign(folder.with_name("hostile-now"), data, at=AT)
    except (Malformed, Tampered, Refused, Conflict):
        return
    vkey(folder).verify(Note.parse(TREE.head(7)).text.encode(), base64.b64decode(line.split()[-1])[4:])


@given(_HOSTILE)
def test_whatever_is_answered_is_read_or_malformed(data):
    try:
        text, lines = witnessing._answered(data)
    except (Malformed, Conflict):
        return
    assert lines
    assert not text or Checkpoint.parse(text)


# ---- the commands ----------------------------------------------------------------------------------------------------


class Desk:
    """Somebody who types commands."""

    def __init__(self, archive: Logging, monkeypatch: pytest.MonkeyPatch) -> None:
        @contextmanager
        def opened(_door: Door):
            yield archive

        monkeypatch.setattr(Door, "archive", opened)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(AT))

    def types(self, *words: str, fed: bytes | None = None, refused: int = 0) -> tuple[str, str]:
        done = CliRunner().invoke(main, ["--archive", "/nowhere", "witness", *words], input=fed)
        assert done.exit_code == refused, done.output
        for line in done.output.splitlines() if "--json" not in words and not refused else ():
            assert len(line) <= 80 or "+" in line or line.startswith("—"), line
        return done.stdout, done.stderr


def test_the_commands_from_end_to_end(archive, tmp_path, monkeypatch):
    desk = Desk(archive, monkeypatch)
    home = tmp_path / "ethics"
    said, _ = desk.types("init", str(home), "--name", "ethics.example/witness")
    assert str(vkey(home)) in said.splitlines()
    assert desk.types("list") == ("0 heads shown outside; 0 witnesses in log/policy.\n", "")
    archive.trusts(vkey(home))
    said, _ = desk.types("trust", str(home), str(KEY.verifier))
    assert said == f"This witness cosigns force.example/log under key {KEY.verifier.key_id.hex()} from now on.\n"

    desk.types("trust", str(home), str(SUCCESSOR.verifier))
    said, _ = desk.types("distrust", str(home), str(SUCCESSOR.verifier))
    gone = SUCCESSOR.verifier.key_id.hex()
    assert said == f"This witness cosigns nothing of force.example/log under key {gone} any more.\n"

    body, told = desk.types("request")
    assert body == bytes(AddCheckpoint(0, (), archive.log.checkpoint)).decode()
    assert told == "This asks to cosign 3 log entries, from 0 on.\n"
    line, told = desk.types("sign", str(home), "-", fed=body.encode())
    assert told == "ethics.example/witness cosigned at 14 November 2023, 22:13:20 GMT.\nMail the answer back.\n"
    said, _ = desk.types("add", "-", fed=line.encode())
    assert said == (
        "w0 cosigned 3 log entries at 14 November 2023, 22:13:20 GMT.\n"
        "The quorum of log/policy is met for 3 log entries.\n"
    )
    said, _ = desk.types("add", "-", fed=line.encode())
    assert said.startswith("w0 had cosigned 3 log entries before; their first line stays.\n")

    archive.grow(1)
    out, answer = tmp_path / "out.txt", tmp_path / "answer.txt"
    said, _ = desk.types("request", "--out", str(out), "--old", "2")
    assert (
        said
        == "This asks to cosign 4 log entries, from 2 on.\nw0 last cosigned 3 log entries: ask them with --old 3.\n"
    )
    _, told = desk.types("sign", str(home), str(out), "--out", str(answer), refused=Conflict.exit_code)
    assert told == "Conflict: request does not start where this witness is: from 2 entries, wanted 3\n"
    assert answer.read_bytes() == b"3\n"
    _, told = desk.types("add", str(answer), refused=Conflict.exit_code)
    assert "it has seen 3 entries" in told
    said, _ = desk.types("list")
    assert [line.split() for line in said.splitlines()[1:]] == [
        ["Entries", "Cosigned", "by", "Stamped", "by", "Quorum"],
        ["3", "w0,", "14", "November", "2023,", "22:13:20", "GMT", "nobody", "met"],
        ["4", "nobody", "nobody", "not", "met"],
    ]


def test_the_commands_in_json(archive, tmp_path, monkeypatch):
    desk = Desk(archive, monkeypatch)
    home = tmp_path / "ethics"
    made = json.loads(desk.types("init", str(home), "--name", "ethics.example/witness", "--json")[0])
    assert made == {"name": "ethics.example/witness", "vkey": str(vkey(home))}
    archive.trusts(vkey(home))
    trusted = json.loads(desk.types("trust", str(home), str(KEY.verifier), "--json")[0])
    assert trusted == {"log": "force.example/log", "vkey": str(KEY.verifier)}
    desk.types("trust", str(home), str(SUCCESSOR.verifier))
    taken = json.loads(desk.types("distrust", str(home), str(SUCCESSOR.verifier), "--json")[0])
    assert taken == {"log": "force.example/log", "vkeys": [str(SUCCESSOR.verifier)]}
    wanted = json.loads(desk.types("request", "--json")[0])
    root = archive.log.root.hex()
    body = wanted.pop("request")
    assert wanted == {"old": 0, "size": 3, "root": root, "witnesses": {"w0": 0}}
    signed = json.loads(desk.types("sign", str(home), "-", "--json", fed=body.encode())[0])
    line = signed.pop("line")
    assert signed == {"witness": "ethics.example/witness", "at": "2023-11-14T22:13:20Z"}
    added = json.loads(desk.types("add", "-", "--json", fed=line.encode())[0])
    said = {"size": 3, "witness": "w0", "at": "2023-11-14T22:13:20Z", "again": False, "quorum_met": True}
    assert added == {"added": [said]}
    shown = json.loads(desk.types("list", "--json")[0])
    cosigners = [{"witness": "w0", "at": "2023-11-14T22:13:20Z"}]
    head = {"size": 3, "root": root, "quorum_met": True, "cosigned": cosigners, "stamps": []}
    assert shown == {"witnesses": {"w0": 3}, "heads": [head]}


def test_a_witness_with_a_clock_from_nowhere_does_not_break_the_list(archive, monkeypatch):
    archive.trusts(notes.cosigner(ETHICS.verifier))
    witnessing.request(archive)
    line = str(notes.cosign(archive.log.checkpoint, ETHICS, 2**63 - 1)).encode()
    desk = Desk(archive, monkeypatch)
    assert "at a time that is none (9223372036854775807 s)" in desk.types("add", "-", fed=line)[0]
    assert "a time that is none" in desk.types("list")[0].replace("\n", " ")
    assert json.loads(desk.types("list", "--json")[0])["heads"][0]["cosigned"][0]["at"] == ""
