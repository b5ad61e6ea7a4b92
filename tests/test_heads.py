"""Heads that were shown outside: kept as they were shown, grown by answers, and never taken back."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import durable, entries, heads, notes
from provenance.errors import Malformed, Missing, Tampered
from provenance.heads import Heads
from provenance.log import Log
from provenance.notes import Note
from provenance.policies import Policy
from tests.test_proofs import AT, ETHICS, KEY, PCC, POLICY, STRANGER, SUCCESSOR, TREE, Tree, cosigned, key

VKEYS = (KEY.verifier,)
BOTH = (KEY.verifier, SUCCESSOR.verifier)


@pytest.fixture
def kept(tmp_path):
    return Heads(tmp_path / "log" / "heads")


def lines(note: bytes) -> list[str]:
    return [line.name for line in Note.parse(note).signatures]


# ---- keeping ---------------------------------------------------------------------------------------------------------


def test_a_head_is_kept_as_it_was_shown_and_grows_by_its_answers(kept):
    assert kept.sizes() == []
    assert not kept.folder.exists()
    assert kept.keep(TREE.head(7), VKEYS) == kept.folder / "7"
    assert kept.read(7) == TREE.head(7)
    kept.keep(cosigned(TREE.head(7), ETHICS), VKEYS)
    kept.keep(cosigned(TREE.head(7), PCC), VKEYS)
    kept.keep(TREE.head(7), VKEYS)
    kept.keep(cosigned(TREE.head(7), ETHICS, at=AT + 9), VKEYS)  # the same witness again: its first line stays
    assert kept.read(7) == cosigned(TREE.head(7), ETHICS, PCC)
    kept.keep(TREE.head(12), VKEYS)
    kept.keep(TREE.head(9), VKEYS)
    assert kept.sizes() == [7, 9, 12]
    with pytest.raises(Missing, match=r"^no head of 8 entries was shown to anyone: wanted log/heads/8$"):
        kept.read(8)


def test_the_log_s_line_comes_first_wherever_it_stood(kept):
    note = Note.parse(cosigned(TREE.head(7), ETHICS, STRANGER))
    turned = bytes(Note(note.text, note.signatures[::-1]))
    kept.keep(turned, VKEYS)
    assert lines(kept.read(7)) == ["force.example/log", "other.example/log", "ethics.example/witness"]
    assert heads.bare(turned, VKEYS) == heads.bare(kept.read(7), VKEYS) == TREE.head(7)


def test_under_a_rotated_key_the_signature_that_was_shown_first_stays(kept):
    """Time stamps are over it."""
    kept.keep(cosigned(TREE.head(7), ETHICS), BOTH)
    again = cosigned(bytes(Note.signed(Note.parse(TREE.head(7)).text, SUCCESSOR)), PCC)
    kept.keep(again, BOTH)
    assert kept.read(7) == cosigned(TREE.head(7), ETHICS, PCC)
    assert heads.bare(kept.read(7), BOTH) == TREE.head(7)
    with pytest.raises(Tampered, match=r"^checkpoint: 2 signatures by the log, wanted exactly 1"):
        kept.keep(bytes(Note.signed(Note.parse(TREE.head(7)).text, KEY, SUCCESSOR)), BOTH)


def test_another_head_of_a_size_that_was_shown_is_a_fork(kept):
    kept.keep(TREE.head(7), VKEYS)
    fork = Tree([b"other %d" % index for index in range(9)])
    with pytest.raises(
        Tampered, match=rf"^another head of 7 entries was shown before: root {fork.root(7).hex()}, kept"
    ):
        kept.keep(fork.head(7), VKEYS)
    head = notes.Checkpoint(KEY.verifier.name, 7, TREE.root(7), ("extension",))
    with pytest.raises(Tampered, match=r"^another head of 7 entries was shown before"):
        kept.keep(bytes(Note.signed(head.text, KEY)), VKEYS)
    assert kept.read(7) == TREE.head(7)


@pytest.mark.parametrize(
    ("note", "error", "message"),
    [
        (b"no note", Malformed, "signed note: "),
        (TREE.head(7, by=STRANGER), Tampered, "signed note: no signature by a known key"),
        (bytes(Note.signed("other.example/log\n7\n" + "A" * 43 + "=\n", KEY)), Tampered, "checkpoint: origin other"),
        (TREE.head(7).replace(b"\n7\n", b"\n8\n"), Tampered, "signature does not verify"),
        (bytes(Note.signed("no head\n", KEY)), Malformed, "checkpoint: "),
    ],
)
def test_what_the_log_did_not_sign_is_not_kept(kept, note, error, message):
    with pytest.raises(error, match=f"^{message}"):
        kept.keep(note, VKEYS)
    with pytest.raises(error, match=f"^{message}"):
        heads.bare(note, VKEYS)
    assert kept.sizes() == []


def test_stamps_lie_beside_their_head(kept):
    kept.keep(TREE.head(7), VKEYS)
    kept.keep(TREE.head(77 - 14), VKEYS)
    with pytest.raises(Missing, match=r"^no head of 8 entries"):
        kept.add_stamp(8, "tsa", b"raw")
    assert kept.add_stamp(7, "tsa", b"raw").name == "7.tsa.tsr"
    kept.add_stamp(7, "Backup_2", b"two")
    kept.add_stamp(63, "tsa", b"three")
    kept.add_stamp(7, "tsa", b"a later one")
    assert kept.stamps(7) == {"Backup_2": b"two", "tsa": b"raw"}
    assert kept.stamps(63) == {"tsa": b"three"}
    assert kept.stamps(6) == {}
    assert kept.sizes() == [7, 63]
    for name in ("", "a b", "a/b", "..", ".tsa", "tsa.", "é", "x" * 65, "a\n"):
        with pytest.raises(Malformed, match=r"^name of an authority: "):
            kept.add_stamp(7, name, b"raw")


def test_many_at_once_lose_no_line(kept):
    """Each answer reads, merges and writes under the folder's lock."""
    witnesses = [key(f"w{n}.example", n) for n in range(100, 116)]
    threads = [
        threading.Thread(target=lambda w=w: Heads(kept.folder).keep(cosigned(TREE.head(7), w), VKEYS))
        for w in witnesses
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lines(kept.read(7))[1:]) == sorted(w.verifier.name for w in witnesses)


# ---- judging ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path):
    """Ten acts, one by one; the heads of 2, 5 and 10 of them shown, 5 cosigned."""
    log = Log.create(tmp_path / "log", origin=KEY.verifier.name, key=KEY)
    kept = Heads(log.folder / "heads")
    for number in range(10):
        act = entries.Founded(
            on="2026-01-01T00:00:00Z", by="a", under="b", archive="force.example/log", format=number,
            vkey=str(KEY.verifier),
        )  # fmt: skip
        log.append([act], key=KEY)
        if log.size in (2, 5, 10):
            kept.keep(log.checkpoint if log.size != 5 else cosigned(log.checkpoint, ETHICS), VKEYS)
    (log.folder / "policy").write_bytes(bytes(POLICY))
    return log


def found(log: Log, policy: Policy = POLICY) -> list[str]:
    return list(heads.faults(log, VKEYS, policy))


def test_what_was_shown_is_in_the_log(log):
    assert found(log) == ["", "", ""]
    Heads(log.folder / "heads").add_stamp(5, "tsa", b"judged elsewhere")
    assert found(log) == ["", "", ""]
    assert heads.read_policy(log.folder) == POLICY
    (log.folder / "policy").unlink()
    with pytest.raises(Missing, match=r"^policy is not there: wanted log/policy, with a line `log VKEY`"):
        heads.read_policy(log.folder)
    shutil.rmtree(log.folder / "heads")
    assert found(log) == []


def test_each_flipped_bit_of_a_head_that_was_shown_is_found(log):
    """But for those that make a witness's line nobody's: that is how evidence is taken away, and is no news."""
    path = log.folder / "heads" / "5"
    whole = path.read_bytes()
    taken_away = 0
    for at in range(0, len(whole) * 8, 3):
        spoilt = bytearray(whole)
        spoilt[at // 8] ^= 1 << at % 8
        path.write_bytes(bytes(spoilt))
        told = found(log)
        if told == ["", "", ""]:
            assert POLICY.open(bytes(spoilt)).cosigned == ()
            taken_away += 1
            continue
        assert [bool(fault) for fault in told] == [False, True, False], at
        assert told[1].startswith("head that was shown: log/heads/5: ")
    assert taken_away < 8 * (len("ethics.example/witness") + len("AAAAAA")) / 3


def _append(path: Path, data: bytes) -> None:
    path.write_bytes(path.read_bytes() + data)


def _other(log: Log, size: int) -> bytes:
    other = Tree([b"other %d" % index for index in range(size)])
    return other.head(size)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (
            lambda f, log: (f / "5").write_bytes(_other(log, 5)),
            "log/heads/5: log was rewritten: its first 5 entries have",
        ),
        (
            lambda f, log: (f / "11").write_bytes(_other(log, 11)),
            "log/heads/11: log was rolled back: 10 entries, wanted",
        ),
        (lambda f, log: (f / "5").rename(f / "6"), "log/heads/6: a head of 5 entries, wanted the 6 of its file's name"),
        (lambda f, log: (f / "5").rename(f / "05"), "log/heads/05 is neither a head nor a time stamp over one"),
        (lambda f, log: (f / "notes.txt").write_bytes(b""), "log/heads/notes.txt is neither a head nor a time stamp"),
        (lambda f, log: (f / "4.tsa.tsr").write_bytes(b""), "log/heads/4.tsa.tsr is neither a head nor a time stamp"),
        (lambda f, log: (f / "5.a b.tsr").write_bytes(b""), "log/heads/5.a b.tsr is neither a head nor a time stamp"),
        (lambda f, log: (f / "3").mkdir(), "log/heads/3 is neither a head nor a time stamp over one"),
        (
            lambda f, log: _append(f / "5", str(notes.cosign(log.checkpoint, PCC, AT)).encode()),
            r"log/heads/5: signature does not verify: by pcc\.example/witness",
        ),
        (
            lambda f, log: _append(f / "5", str(notes.cosign((f / "5").read_bytes(), ETHICS, AT + 1)).encode()),
            "log/heads/5: the log's signature is not the first line, or a witness has two",
        ),
        (
            lambda f, log: (f / "5").write_bytes(
                b"\n".join((f / "5").read_bytes().split(b"\n")[i] for i in (0, 1, 2, 3, 5, 4, 6))
            ),
            "log/heads/5: the log's signature is not the first line",
        ),
        (
            lambda f, log: _append(f / "5", str(Note.parse((f / "5").read_bytes()).signatures[0]).encode()),
            "log/heads/5: checkpoint: 2 signatures by the log",
        ),
    ],
)
def test_each_spoilt_folder_is_told_in_a_sentence(log, spoil, fault):
    spoil(log.folder / "heads", log)
    told = [one for one in found(log) if one]
    assert len(told) == 1
    assert re.match(f"head that was shown: {fault}", told[0]), told


@given(st.binary(max_size=200))
def test_whatever_lies_in_the_folder_is_told_in_a_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "log"
    if not folder.exists():
        Log.create(folder, origin=KEY.verifier.name, key=KEY)
        (folder / "heads").mkdir()
    (folder / "heads" / "0").write_bytes(data)
    told = found(Log.open(folder, vkey=KEY.verifier))
    assert len(told) == 1
    assert told[0].startswith("head that was shown: log/heads/0: ")


def test_a_head_that_was_shown_since_the_log_was_opened_is_no_fault(log):
    """Control: one that the log on disk does not have either, is."""
    before = Log.open(log.folder, vkey=KEY.verifier)
    log.append(list(log.acts(0, 1)), key=KEY)
    Heads(log.folder / "heads").keep(log.checkpoint, VKEYS)
    assert before.size == 10
    assert found(before) == [""] * 4
    (log.folder / "heads" / "12").write_bytes(_other(log, 12))
    assert [fault for fault in found(before) if fault] == [
        "head that was shown: log/heads/12: log was rolled back: 11 entries, wanted the 12 that were shown"
    ]


def test_a_line_of_nobody_we_know_is_no_fault_and_a_lock_neither(log):
    _append(log.folder / "heads" / "5", str(notes.cosign(log.checkpoint, STRANGER, AT)).encode())
    (log.folder / "heads" / ".7.1234567.part").write_bytes(b"half")
    assert (log.folder / "heads" / ".writer").exists()
    assert found(log) == ["", "", ""]


# ---- the disk fails --------------------------------------------------------------------------------------------------


@contextmanager
def failing(patch: pytest.MonkeyPatch, nth: int) -> Iterator[list[str]]:
    """The nth call that changes or flushes the disk fails; before it, nothing of it was done."""
    steps: list[str] = []

    def guarded(name, call):
        def wrapped(*given, **said):
            steps.append(name)
            if len(steps) == nth:
                raise OSError(errno.EIO, f"the disk failed at {name}")
            return call(*given, **said)

        return wrapped

    for module, name in ((os, "open"), (os, "fsync"), (os, "replace"), (Path, "write_bytes"), (Path, "mkdir")):
        patch.setattr(module, name, guarded(name, getattr(module, name)))
    yield steps


def after_each_failure(step, state, check) -> int:
    """Run `step` upon `state()` with each of its calls failing in turn; how many it has."""
    for nth in range(1, 100):
        subject = state()
        with pytest.MonkeyPatch.context() as patch, failing(patch, nth) as steps:
            try:
                step(subject)
            except OSError as error:
                failed = error.errno
            else:
                assert len(steps) < nth
                return nth - 1
        assert failed == errno.EIO
        check(subject)
    raise AssertionError("a step without an end")


@pytest.mark.parametrize("before", [b"", TREE.head(7)])
def test_whatever_write_fails_a_head_is_there_as_it_was_or_as_it_was_to_be(tmp_path, before):
    after = cosigned(TREE.head(7), ETHICS)

    def state() -> Heads:
        shutil.rmtree(tmp_path / "log", ignore_errors=True)
        kept = Heads(tmp_path / "log" / "heads")
        if before:
            kept.keep(before, VKEYS)
        return kept

    def check(kept: Heads) -> None:
        assert (kept.read(7) if kept.sizes() else b"") in (before, after)
        assert set(kept._names()) <= {".writer", "7"}
        kept.keep(after, VKEYS)  # the same again completes it
        assert kept.read(7) == after

    assert after_each_failure(lambda kept: kept.keep(after, VKEYS), state, check) >= 6


def test_a_stamp_is_there_wholly_or_not(tmp_path):
    def state() -> Heads:
        shutil.rmtree(tmp_path / "log", ignore_errors=True)
        kept = Heads(tmp_path / "log" / "heads")
        kept.keep(TREE.head(7), VKEYS)
        return kept

    def check(kept: Heads) -> None:
        assert kept.stamps(7) in ({}, {"tsa": b"raw"})
        kept.add_stamp(7, "tsa", b"raw")
        assert kept.stamps(7) == {"tsa": b"raw"}

    assert after_each_failure(lambda kept: kept.add_stamp(7, "tsa", b"raw"), state, check) >= 5


def test_what_a_killed_writer_left_is_cleared_by_the_next(kept):
    kept.keep(TREE.head(7), VKEYS)
    left = kept.folder / ".7.999999999.part"
    left.write_bytes(b"half")
    kept.keep(cosigned(TREE.head(7), ETHICS), VKEYS)
    assert not left.exists()
    assert durable.is_being_written(kept.folder) is False
