"""What we prove, judged by others: Go's x/mod/sumdb, and the Python package proofbundle.

Neither shares code with the product or with the other. A proof that we make holds before each of them, and each
spoilt one is refused by each, and by us.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from provenance import entries, merkle, notes, witnessing
from provenance.errors import Malformed, Tampered
from provenance.heads import Heads
from provenance.log import Log
from provenance.notes import Checkpoint, Note, Verifier
from provenance.policies import Policy
from provenance.proofs import AddCheckpoint, Proof
from tests.test_proofs import AT, ETHICS, KEY, PCC, POLICY, STRANGER, SUCCESSOR, TREE, Tree, cosigned

HERE = Path(__file__).resolve().parent
GOPATH = Path("/usr/share/gocode")  # where Debian's golang-golang-x-mod-dev puts it
WITNESSES = tuple(notes.cosigner(key.verifier) for key in (ETHICS, PCC))
OTHER = Tree([b"other %d" % index for index in range(64)])

Case = tuple[bytes, bytes]  # a .tlog-proof, and the entry
Move = tuple[bytes, bytes]  # an add-checkpoint body, and the root that was kept
Judge = Callable[[Sequence[Case]], list[bool]]


@pytest.fixture(scope="session")
def sumdb(tmp_path_factory) -> Callable[[list[dict]], list[bool]]:
    """Go's judge, built from `tests/judges/sumdb.go`; takes questions, gives verdicts."""
    if not shutil.which("go") or not (GOPATH / "src/golang.org/x/mod/sumdb").is_dir():
        pytest.skip("Go or its x/mod is not here: Debian has them as golang-go and golang-golang-x-mod-dev")
    program = tmp_path_factory.mktemp("judges") / "sumdb"
    around = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": ""}
    if "HOME" not in around:
        around["GOCACHE"] = str(program.with_name("cache"))
    subprocess.run(["go", "build", "-o", program, HERE / "judges" / "sumdb.go"], env=around, check=True)

    def judged(questions: list[dict]) -> list[bool]:
        told = [json.dumps({k: _encoded(v) for k, v in question.items()}) for question in questions]
        done = subprocess.run([program], input="\n".join(told), capture_output=True, text=True, check=True)
        said = done.stdout.splitlines()
        assert len(said) == len(questions)
        assert all(line == "ok" or line.startswith("refused: ") for line in said)
        return [line == "ok" for line in said]

    return judged


def _encoded(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


@pytest.fixture(params=["ours", "sumdb", "proofbundle"])
def judge(request) -> Callable[..., list[bool]]:
    """Proofs and their entries in, verdicts out; under a log's key, witnesses, and how many of those it takes."""
    if request.param == "ours":
        return _ours
    if request.param == "sumdb":
        return _by_go(request.getfixturevalue("sumdb"))
    return _by_proofbundle(pytest.importorskip("proofbundle.tlogproof", reason="the package proofbundle is not here"))


def _ours(
    cases: Sequence[Case], *, log: Verifier = KEY.verifier, witnesses=WITNESSES, threshold: int = 1
) -> list[bool]:
    lines = "".join(f"witness w{n} {vkey}\n" for n, vkey in enumerate(witnesses))
    group = f"group all-of-them {threshold} {' '.join(f'w{n}' for n in range(len(witnesses)))}\nquorum all-of-them\n"
    policy = Policy.parse(f"log {log}\n{lines}{group if threshold else 'quorum none'}\n".encode())

    def holds(data: bytes, entry: bytes) -> bool:
        try:
            Proof.parse(data).check(entry, policy)
        except (Malformed, Tampered):
            return False
        return True

    return [holds(*case) for case in cases]


def _by_go(judged: Callable[[list[dict]], list[bool]]) -> Callable[..., list[bool]]:
    def verdicts(cases, *, log=KEY.verifier, witnesses=WITNESSES, threshold=1):
        around = {"log": str(log), "witnesses": [str(vkey) for vkey in witnesses], "threshold": threshold}
        return judged([{"proof": data, "entry": entry, **around} for data, entry in cases])

    return verdicts


def _by_proofbundle(module) -> Callable[..., list[bool]]:
    def holds(data, entry, log, witnesses, threshold):
        try:
            text = data.decode()
        except UnicodeDecodeError:  # it takes text
            return False
        vkeys = [str(vkey) for vkey in witnesses]
        told = module.verify_tlog_proof(text, entry, str(log), vkeys, threshold=threshold, expected_origin=log.name)
        return bool(told["ok"])

    def verdicts(cases, *, log=KEY.verifier, witnesses=WITNESSES, threshold=1):
        return [holds(data, entry, log, witnesses, threshold) for data, entry in cases]

    return verdicts


# ---- what holds ------------------------------------------------------------------------------------------------------


def test_what_a_log_and_its_witness_make_holds(judge, tmp_path):
    """A log on disk over more than one tile, a witness in a folder, an answer by mail: as in production."""
    log = Log.create(tmp_path / "log", origin=KEY.verifier.name, key=KEY)
    act = entries.Founded(on="2026-01-01T00:00:00Z", by="a", under="b", archive="c", format=1, vkey=str(KEY.verifier))
    log.append([replace(act, format=number) for number in range(300)], key=KEY)

    class Archive:
        def signers(self) -> tuple[Verifier, ...]:
            return (KEY.verifier,)

    archive = Archive()
    archive.log = log
    vkey = witnessing.found(tmp_path / "w", name="w.example")
    witnessing.trust(tmp_path / "w", str(KEY.verifier))
    (log.folder / "policy").write_text(f"log {KEY.verifier}\nwitness w {vkey}\nquorum w\n")
    witnessing.add(archive, witnessing.sign(tmp_path / "w", witnessing.request(archive), at=AT))
    note = Heads(log.folder / "heads").read(300)
    proofs = [bytes(Proof(index, tuple(log.inclusion(index)), note)) for index in range(300)]
    cases = list(zip(proofs, log.entries(), strict=True))
    assert judge(cases, witnesses=(vkey,)) == [True] * 300
    assert judge([(data, b"x") for data, _ in cases], witnesses=(vkey,)) == [False] * 300
    turned = [(data, cases[index - 1][1]) for index, (data, _) in enumerate(cases)]
    assert judge(turned, witnesses=(vkey,)) == [False] * 300


def test_every_entry_of_every_small_tree_holds(judge):
    cases = [
        (bytes(TREE.proof(index, size, cosigned(TREE.head(size), ETHICS))), TREE.entries[index])
        for size in (*range(1, 18), 31, 32, 33, 64)
        for index in range(size)
    ]
    assert judge(cases) == [True] * len(cases)
    assert judge(cases, threshold=2) == [False] * len(cases)
    both = [
        (bytes(TREE.proof(0, 5, cosigned(TREE.head(5), *who))), TREE.entries[0])
        for who in ((ETHICS, PCC), (PCC, ETHICS))
    ]
    assert judge(both, threshold=2) == [True, True]
    bare = [(bytes(TREE.proof(3, 5, TREE.head(5))), TREE.entries[3])]
    assert judge(bare, threshold=0) == [True]
    with_extra = [(bytes(replace(Proof.parse(cases[-1][0]), extra=b"whatever")), cases[-1][1])]
    assert judge(with_extra) == [True]


def test_the_sample_log_holds(judge, shared):
    folder = shared / "vectors" / "sample-log"
    policy = Policy.parse((folder / "policy").read_bytes())
    cases = [
        (path.read_bytes(), (folder / f"entry.{path.name.split('-')[0]}").read_bytes())
        for path in sorted(folder.glob("*.tlog-proof"))
    ]
    assert judge(cases, log=policy.logs[0], witnesses=policy.witnesses) == [True] * 13


# ---- what is spoilt --------------------------------------------------------------------------------------------------

SIZE, INDEX = 61, 37
NOTE = cosigned(TREE.head(SIZE), ETHICS)
PROOF = TREE.proof(INDEX, SIZE, NOTE)
ENTRY = TREE.entries[INDEX]
_LINES = bytes(PROOF).decode().split("\n")
_TEXT = Note.parse(NOTE).text
_BY_LOG, _BY_WITNESS = Note.parse(NOTE).signatures


def _with(*, text: str = _TEXT, lines: Sequence[notes.Signature] = (_BY_LOG, _BY_WITNESS), **changed) -> bytes:
    return bytes(replace(PROOF, checkpoint=bytes(Note(text, tuple(lines))), **changed))


def _flipped(signature: notes.Signature, bit: int) -> notes.Signature:
    data = bytearray(signature.signature)
    data[bit // 8] ^= 1 << bit % 8
    return replace(signature, signature=bytes(data))


def _flips() -> Iterator[tuple[str, Case]]:
    """Every bit of every digest of the path, of both signatures, of the root; and every other index and size."""
    for place, bit in itertools.product(range(len(PROOF.path)), range(256)):
        path = list(PROOF.path)
        path[place] = (int.from_bytes(path[place], "big") ^ 1 << bit).to_bytes(32, "big")
        yield f"bit {bit} of digest {place}", (bytes(replace(PROOF, path=tuple(path))), ENTRY)
    for bit in range(8 * 64):
        yield f"bit {bit} of the log's signature", (_with(lines=[_flipped(_BY_LOG, bit), _BY_WITNESS]), ENTRY)
    for bit in range(8 * 72):
        yield f"bit {bit} of the cosignature", (_with(lines=[_BY_LOG, _flipped(_BY_WITNESS, bit)]), ENTRY)
    for bit in range(256):
        root = (int.from_bytes(TREE.root(SIZE), "big") ^ 1 << bit).to_bytes(32, "big")
        yield f"bit {bit} of the root", (_with(text=Checkpoint(KEY.verifier.name, SIZE, root).text), ENTRY)
    for index in range(2 * SIZE):
        if index != INDEX:
            yield f"index {index}", (bytes(replace(PROOF, index=index)), ENTRY)
    for size in range(2 * SIZE):
        if size != SIZE:
            yield f"size {size}", (_with(text=_TEXT.replace(f"\n{SIZE}\n", f"\n{size}\n")), ENTRY)
    for bit in range(8 * len(ENTRY)):
        entry = (int.from_bytes(ENTRY, "big") ^ 1 << bit).to_bytes(len(ENTRY), "big")
        yield f"bit {bit} of the entry", (bytes(PROOF), entry)


def _by(*signers, text: str = _TEXT) -> list[notes.Signature]:
    return list(Note.signed(text, *signers).signatures)


def _line(number: int, line: str) -> bytes:
    return "\n".join([*_LINES[:number], line, *_LINES[number + 1 :]]).encode()


def _head(*lines: str) -> bytes:
    """Signed anew by both, so that only what the text says is wrong."""
    text = "".join(f"{line}\n" for line in lines)
    note = Note.signed(text, KEY)
    message = f"cosignature/v1\ntime {AT}\n{text}".encode()
    cosignature = AT.to_bytes(8, "big") + ETHICS.sign(message)
    witness = notes.Signature(WITNESSES[0].name, WITNESSES[0].key_id, cosignature)
    opening = bytes(PROOF).partition(b"\n\n")[0]
    return opening + b"\n\n" + bytes(Note(text, (*note.signatures, witness)))


_ROOT = notes.encode_base64(TREE.root(SIZE))
_OTHER_HEAD = cosigned(OTHER.head(SIZE), ETHICS)

SPOILT = {
    "another entry": (bytes(PROOF), TREE.entries[INDEX + 1]),
    "an entry with a newline more": (bytes(PROOF), ENTRY + b"\n"),
    "an empty entry": (bytes(PROOF), b""),
    "the leaf in the entry's place": (bytes(PROOF), TREE.leaves[INDEX]),
    "no path": (bytes(replace(PROOF, path=())), ENTRY),
    "a path one short": (bytes(replace(PROOF, path=PROOF.path[:-1])), ENTRY),
    "a path without its first": (bytes(replace(PROOF, path=PROOF.path[1:])), ENTRY),
    "a path one long": (bytes(replace(PROOF, path=(*PROOF.path, bytes(32)))), ENTRY),
    "a path turned round": (bytes(replace(PROOF, path=PROOF.path[::-1])), ENTRY),
    "two digests changed about": (bytes(replace(PROOF, path=(PROOF.path[1], PROOF.path[0], *PROOF.path[2:]))), ENTRY),
    "a path of another tree": (bytes(replace(OTHER.proof(INDEX, SIZE, NOTE))), ENTRY),
    "a proof in another tree": (bytes(OTHER.proof(INDEX, SIZE, NOTE)), OTHER.entries[INDEX]),
    "another tree's head": (bytes(replace(PROOF, checkpoint=_OTHER_HEAD)), ENTRY),
    "a later head": (bytes(replace(PROOF, checkpoint=cosigned(TREE.head(62), ETHICS))), ENTRY),
    "a digest of 31 bytes": (_line(2, notes.encode_base64(PROOF.path[0][:-1])), ENTRY),
    "a digest of 33 bytes": (_line(2, notes.encode_base64(PROOF.path[0] + b"\0")), ENTRY),
    "a digest that is no base64": (_line(2, "*" * 44), ENTRY),
    "an inner node as an entry": (
        bytes(Proof(0, TREE.proof(0, 4, NOTE).path[1:], cosigned(TREE.head(2), ETHICS))),
        TREE.leaves[0] + TREE.leaves[1],
    ),
    "another first line": (_line(0, "c2sp.org/tlog-proof@v2"), ENTRY),
    "no first line": ("\n".join(_LINES[1:]).encode(), ENTRY),
    "no index": ("\n".join([_LINES[0], *_LINES[2:]]).encode(), ENTRY),
    "an index with a leading zero": (_line(1, "index 037"), ENTRY),
    "an index with a sign": (_line(1, "index +37"), ENTRY),
    "a negative index": (_line(1, "index -1"), ENTRY),
    "an index that is no number": (_line(1, "index x"), ENTRY),
    "an index beyond all": (_line(1, "index " + "9" * 30), ENTRY),
    "CRLF": (bytes(PROOF).replace(b"\n", b"\r\n"), ENTRY),
    "no empty line before the head": (bytes(PROOF).replace(b"\n\n", b"\n", 1), ENTRY),
    "cut off": (bytes(PROOF)[:-1], ENTRY),
    "nothing": (b"", ENTRY),
    "not UTF-8": (bytes(PROOF).replace(b"force", b"f\xffrce", 1), ENTRY),
    "no signature of the log": (_with(lines=[_BY_WITNESS]), ENTRY),
    "no cosignature": (_with(lines=[_BY_LOG]), ENTRY),
    "no line at all": (bytes(PROOF).rpartition(b"\n\n")[0] + b"\n\n", ENTRY),
    "a log's other key": (_with(lines=[*_by(SUCCESSOR), _BY_WITNESS]), ENTRY),
    "a stranger for the log": (_with(lines=[*_by(STRANGER), _BY_WITNESS]), ENTRY),
    "a stranger's signature under the log's name": (
        _with(lines=[replace(_by(STRANGER)[0], name=_BY_LOG.name, key_id=_BY_LOG.key_id), _BY_WITNESS]), ENTRY,
    ),
    "a stranger for the witness": (_with(lines=[_BY_LOG, notes.cosign(TREE.head(SIZE), STRANGER, AT)]), ENTRY),
    "a stranger's cosignature under the witness's name": (
        _with(lines=[_BY_LOG, replace(_BY_WITNESS, signature=notes.cosign(NOTE, STRANGER, AT).signature)]), ENTRY,
    ),
    "a plain signature of the witness": (_with(lines=[_BY_LOG, *_by(ETHICS)]), ENTRY),
    "a cosignature of another head": (_with(lines=[_BY_LOG, notes.cosign(TREE.head(60), ETHICS, AT)]), ENTRY),
    "a cosignature at another time": (
        _with(lines=[_BY_LOG, replace(_BY_WITNESS, signature=(AT + 1).to_bytes(8, "big") + _BY_WITNESS.signature[8:])]),
        ENTRY,
    ),
    "a cosignature without its time": (
        _with(lines=[_BY_LOG, replace(_BY_WITNESS, signature=_BY_WITNESS.signature[8:])]), ENTRY,
    ),
    "the log as its own witness": (_with(lines=[_BY_LOG, notes.cosign(NOTE, KEY, AT)]), ENTRY),
    "the signature of a later head": (
        _with(lines=[*_by(KEY, text=Note.parse(TREE.head(62)).text), _BY_WITNESS]), ENTRY,
    ),
    "a head of another origin": (_head("other.example/log", str(SIZE), _ROOT), ENTRY),
    "a head with a size in another form": (_head(KEY.verifier.name, f"0{SIZE}", _ROOT), ENTRY),
    "a head with a negative size": (_head(KEY.verifier.name, f"-{SIZE}", _ROOT), ENTRY),
    "a head without a root": (_head(KEY.verifier.name, str(SIZE)), ENTRY),
    "a head with a short root": (_head(KEY.verifier.name, str(SIZE), _ROOT[:40]), ENTRY),
    "an empty log": (_head(KEY.verifier.name, "0", notes.encode_base64(merkle.EMPTY_ROOT)), ENTRY),
}  # fmt: skip


def test_each_spoilt_proof_is_refused(judge):
    good = (bytes(PROOF), ENTRY)
    again = (_head(KEY.verifier.name, str(SIZE), _ROOT), ENTRY)  # control: signed anew, it holds
    assert judge([good, again]) == [True, True]
    held = [name for name, ok in zip(SPOILT, judge(list(SPOILT.values())), strict=True) if ok]
    assert held == []


def test_each_flipped_bit_is_refused(judge):
    names, cases = zip(*_flips(), strict=True)
    assert len(cases) > 3_000
    assert [name for name, ok in zip(names, judge(cases), strict=True) if ok] == []


# ---- requests to a witness -------------------------------------------------------------------------------------------


@pytest.fixture(params=["ours", "sumdb", "proofbundle"])
def onward(request) -> Callable[[Sequence[Move]], list[bool]]:
    """Requests and the roots that were kept in, verdicts out."""
    if request.param == "ours":
        return lambda moves: [_continues(*move) for move in moves]
    if request.param == "sumdb":
        judged = request.getfixturevalue("sumdb")
        around = {"log": str(KEY.verifier), "witnesses": [], "threshold": 0}
        return lambda moves: judged([{"request": body, "old_root": root, **around} for body, root in moves])
    module = pytest.importorskip("proofbundle.merkle", reason="the package proofbundle is not here")

    def continues(body: bytes, root: bytes) -> bool:
        asked = AddCheckpoint.parse(body)  # it has no reader for these: the digests alone are judged
        return module.verify_consistency(asked.old, asked.head.size, list(asked.path), root, asked.head.root)

    return lambda moves: [continues(*move) for move in moves]


def _continues(body: bytes, root: bytes) -> bool:
    try:
        asked = AddCheckpoint.parse(body)
        POLICY.open(asked.checkpoint)
        asked.check(root)
    except (Malformed, Tampered):
        return False
    return True


def test_every_request_holds_and_each_spoilt_one_is_refused(onward):
    pairs = [(old, new) for new in (*range(1, 18), 31, 32, 33, 64) for old in range(1, new + 1)]
    right = [(bytes(TREE.request(old, new)), TREE.root(old)) for old, new in pairs]
    assert onward(right) == [True] * len(right)
    wrong = [(body, OTHER.root(old)) for (body, _), (old, _) in zip(right, pairs, strict=True)]
    for old, new in pairs:
        asked = TREE.request(old, new)
        wrong.append((bytes(OTHER.request(old, new)), TREE.root(old)))
        wrong.append((bytes(replace(asked, path=(*asked.path, bytes(32)))), TREE.root(old)))
        for place, digest in enumerate(asked.path):
            path = (*asked.path[:place], merkle.leaf_hash(digest), *asked.path[place + 1 :])
            wrong.append((bytes(replace(asked, path=path)), TREE.root(old)))
            path = (*asked.path[:place], *asked.path[place + 1 :])
            wrong.append((bytes(replace(asked, path=path)), TREE.root(old)))
    verdicts = onward(wrong)
    assert len(verdicts) > 3_000
    assert not any(verdicts)
