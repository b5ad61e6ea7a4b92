"""Signed notes, checkpoints and the keys behind them: published ones open, and each spoilt one is refused by name."""

from __future__ import annotations

import base64
import json
import os
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from provenance import merkle, notes
from provenance.custody import Custody
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.keys import MASTER, KeyFiles, Master, SigningKey
from provenance.notes import COSIGNATURE, Checkpoint, Note, Verifier, opened_checkpoint

KEY = SigningKey("force.example/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = SigningKey("other.example/log", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
HEAD = Checkpoint("force.example/log", 7, merkle.leaf_hash(b"seven"))


class Witness:
    """A cosigner, as a witness outside the force would sign."""

    def __init__(self, name: str, seed: bytes, at: int) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._at = at
        self.verifier = Verifier(name, self._private.public_key().public_bytes_raw(), COSIGNATURE)

    def sign(self, message: bytes) -> bytes:
        signed = f"cosignature/v1\ntime {self._at}\n".encode() + message
        return self._at.to_bytes(8, "big") + self._private.sign(signed)


def test_published_notes(shared):
    cases = json.loads((shared / "vectors" / "note" / "notes.json").read_text())
    for case in cases:
        verifiers = [Verifier.parse(vkey) for vkey in case["vkeys"]]
        assert [str(verifier) for verifier in verifiers] == case["vkeys"]
        data = case["note"].encode()
        if case["ok"]:
            note = Note.parse(data)
            signers = [verifier.name for verifier, _ in note.opened(*verifiers)]
            assert signers == case.get("signers", [verifiers[0].name]), case["name"]
            assert bytes(note) == data
        else:
            with pytest.raises((Malformed, Tampered), match="signed note: "):
                Note.parse(data).opened(*verifiers)
    assert [case["ok"] for case in cases].count(True) == 3


def test_checkpoints_of_public_logs(shared):
    cases = json.loads((shared / "vectors" / "checkpoint" / "rekor2.json").read_text())
    for case in cases:
        data, log = case["checkpoint"].encode(), Verifier.parse(case["log_vkey"])
        if case["ok"]:
            head, _ = opened_checkpoint(data, log)
            leaf = merkle.leaf_hash(base64.b64decode(case["entry_base64"]))
            path = [base64.b64decode(digest) for digest in case["proof"]]
            assert merkle.root_from_path(leaf, case["index"], head.size, path) == head.root
        else:
            with pytest.raises((Malformed, Tampered)):
                opened_checkpoint(data, log)
    assert len(cases) == 5


def test_the_sample_log_s_heads_and_witness(shared):
    folder = shared / "vectors" / "sample-log"
    vkeys = dict(line.split()[-2:] for line in (folder / "policy").read_text().splitlines() if "+" in line)
    log = Verifier.parse(vkeys["log"])
    witness = Verifier.parse(vkeys["ethics"])
    for size in (1, 2, 3, 7):
        data = (folder / f"checkpoint.{size}").read_bytes()
        head, cosigned = opened_checkpoint(data, log, witness)
        assert (head.origin, head.size) == ("sample.example/builds", size)
        assert [line.name for line in cosigned] == ["ethics.example/witness"]
        assert notes.cosigned_at(cosigned[0].signature) == 1_700_000_000 + size
        assert bytes(Note.parse(data)) == data


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.just("\n")))
def test_what_is_signed_opens_again(text):
    note = Note.signed(text + "\n", KEY, OTHER)
    again = Note.parse(bytes(note))
    assert again == note
    assert [verifier for verifier, _ in again.opened(KEY.verifier, OTHER.verifier)] == [KEY.verifier, OTHER.verifier]


@given(st.data())
def test_one_changed_bit_and_the_checkpoint_does_not_open(data):
    whole = bytes(Note.signed(HEAD.text, KEY))
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    spoilt = bytearray(whole)
    spoilt[at // 8] ^= 1 << at % 8
    with pytest.raises((Malformed, Tampered)):
        opened_checkpoint(bytes(spoilt), KEY.verifier)


def test_a_bad_line_of_a_known_key_is_fatal_and_of_an_unknown_one_no_news():
    good = bytes(Note.signed(HEAD.text, KEY))
    bad_line = str(Note.signed("something else\n", OTHER).signatures[0]).encode()
    assert opened_checkpoint(good + bad_line, KEY.verifier)[0] == HEAD
    with pytest.raises(Tampered, match=r"^signature does not verify: by other\.example/log, key [0-9a-f]{8}$"):
        opened_checkpoint(good + bad_line, KEY.verifier, OTHER.verifier)


def test_a_known_key_with_another_id_is_unknown():
    line = notes.Signature("force.example/log", bytes(4), bytes(64))
    data = bytes(Note.signed(HEAD.text, KEY)) + str(line).encode()
    assert opened_checkpoint(data, KEY.verifier) == (HEAD, [])


def test_the_log_signs_exactly_once():
    with pytest.raises(
        Tampered, match=r"^checkpoint: 2 signatures by the log, wanted exactly 1 of force\.example/log$"
    ):
        opened_checkpoint(bytes(Note.signed(HEAD.text, KEY, KEY)), KEY.verifier)
    with pytest.raises(Tampered, match=r"^checkpoint: 0 signatures by the log"):
        opened_checkpoint(bytes(Note.signed(HEAD.text, OTHER)), KEY.verifier, OTHER.verifier)


def test_the_origin_is_the_key_s_name():
    with pytest.raises(Tampered, match=r"^checkpoint: origin another\.example, wanted the log's own"):
        opened_checkpoint(bytes(Note.signed(Checkpoint("another.example", 7, HEAD.root).text, KEY)), KEY.verifier)


def test_a_cosignature_is_over_its_time_as_well():
    witness = Witness("ethics.example/witness", bytes(range(2, 34)), 1_700_000_000)
    note = Note.signed(HEAD.text, KEY, witness)
    _, cosigned = opened_checkpoint(bytes(note), KEY.verifier, witness.verifier)
    assert notes.cosigned_at(cosigned[0].signature) == 1_700_000_000
    line = cosigned[0]
    later = notes.Signature(line.name, line.key_id, (1_700_000_001).to_bytes(8, "big") + line.signature[8:])
    for wrong in (later, notes.Signature(line.name, line.key_id, line.signature[8:])):
        spoilt = Note(note.text, (note.signatures[0], wrong))
        with pytest.raises(Tampered, match=r"^signature does not verify: by ethics\.example/witness"):
            opened_checkpoint(bytes(spoilt), KEY.verifier, witness.verifier)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda note: note.replace(b"\n7\n", b"\n07\n"), "checkpoint: not a count in plain decimal digits"),
        (lambda note: note.replace(b"\n7\n", b"\n+7\n"), "checkpoint: not a count in plain decimal digits"),
        (lambda note: note.replace(b"\n7\n", "\n٧\n".encode()), "checkpoint: not a count in plain decimal digits"),
        (lambda note: note.replace(b"\n7\n", b"\n9223372036854775808\n"), "checkpoint: not a count in plain decimal"),
        (lambda note: note.replace(b"=\n", b"\n"), "checkpoint: not base64"),
        (lambda note: note.replace(b"=\n", b"=\n\nx\n"), "checkpoint: wanted an origin and extensions of one line"),
        (lambda note: b"force.example/log\n7\n", "checkpoint: 2 lines, wanted at least an origin, a size and a root"),
        (lambda note: note.split(b"\n", 1)[1], "checkpoint: 2 lines, wanted at least an origin"),
        (lambda note: b"\n" + note.split(b"\n", 1)[1], "checkpoint: wanted an origin and extensions of one line"),
    ],
)
def test_a_checkpoint_is_written_in_one_way(spoil, message):
    """Each spoilt text is signed again, so that it is the form that is refused and not the signature."""
    text = spoil(HEAD.text.encode()).decode()
    with pytest.raises(Malformed, match=f"^{message}"):
        opened_checkpoint(bytes(Note.signed(text, KEY)), KEY.verifier)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda note: note[:-1], "wanted a text, an empty line and signature lines"),
        (lambda note: note + b"\n", "wanted a text, an empty line and signature lines"),
        (lambda note: note.replace(b"\n7", b"\r\n7"), "a control character"),
        (lambda note: note.replace(b"force", b"f\xffrce", 1), "byte 1 is not UTF-8"),
        (lambda note: note + b"x y\n", "a line among the signatures that does not start with an em dash"),
        (lambda note: note + "— name\n".encode(), "a signature line without a key name and a signature"),
        (lambda note: note + "— name AAAA\n".encode(), "a signature of 3 bytes, wanted a key id of 4 and more"),
        (lambda note: note + "— name AAAAAAB=\n".encode(), "base64 with bits or padding beyond its bytes"),
        (lambda note: note + "— name AAAA AAAA\n".encode(), "not base64"),
        (lambda note: note + "— name AAAAAAA=\n".encode() * 100, "101 signatures, wanted at most 100"),
        (lambda note: b"x" * 1_000_000 + note, r"\d+ bytes, wanted at most 1000000"),
    ],
)
def test_a_note_is_written_in_one_way(spoil, message):
    with pytest.raises(Malformed, match=f"^signed note: {message}"):
        opened_checkpoint(spoil(bytes(Note.signed(HEAD.text, KEY))), KEY.verifier)


def test_extension_lines_are_kept():
    head = Checkpoint("force.example/log", 0, merkle.EMPTY_ROOT, ("one", "two"))
    assert opened_checkpoint(bytes(Note.signed(head.text, KEY)), KEY.verifier) == (head, [])


@pytest.mark.parametrize(
    ("vkey", "message"),
    [
        ("force.example/log", "verifier key: not in three parts"),
        ("force.example/log+00000000+" + str(KEY.verifier).split("+", 2)[2], "verifier key: hash 00000000, wanted "),
        (str(KEY.verifier)[:-1], "verifier key: not base64"),
        ("a b+00000000+AQ==", "key name: empty, or with a space"),
        ("name+00000000+AQ==", "verifier key: 0 bytes of public key, wanted 32"),
        ("name+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(), "verifier key: type 0x02, wanted 0x01"),
    ],
)
def test_a_verifier_key_is_written_in_one_way(vkey, message):
    with pytest.raises(Malformed, match=f"^{message}"):
        Verifier.parse(vkey)


def test_a_signing_key_is_a_file_of_its_owner_s(tmp_path):
    path = tmp_path / "keys" / "log.pem"
    key = SigningKey.create(path, name="force.example/log")
    assert path.stat().st_mode & 0o777 == 0o600
    again = SigningKey.open(path, name="force.example/log")
    again.verifier.verify(b"text", key.sign(b"text"))
    assert again.verifier == key.verifier
    assert repr(key) == f"SigningKey({key.verifier})"
    with pytest.raises(Conflict, match=r"^key file log\.pem is there already"):
        SigningKey.create(path, name="force.example/log")
    os.chmod(path, 0o640)
    with pytest.raises(Refused, match=r"^key file log\.pem may be read or written by others: mode 0640, wanted 0600$"):
        SigningKey.open(path, name="force.example/log")


def test_openssl_reads_the_signing_key(tmp_path):
    path = tmp_path / "log.pem"
    key = SigningKey.create(path, name="force.example/log")
    told = subprocess.run(
        ["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], capture_output=True, check=True
    )
    assert told.stdout.endswith(key.verifier.public)


@pytest.mark.parametrize("content", [b"", b"no key", b"ec"])
def test_a_file_without_an_ed25519_key_is_malformed(tmp_path, content):
    path = tmp_path / "log.pem"
    if content == b"ec":
        content = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Malformed, match=r"^signing key log\.pem: "):
        SigningKey.open(path, name="force.example/log")


def test_a_master_key_never_shows_itself(tmp_path):
    path, files = tmp_path / "master", KeyFiles(tmp_path)
    key = files.draw_master(MASTER)
    assert len(path.read_bytes()) == 32
    assert files.master(MASTER).open("a label", key.seal("a label", b"content")) == b"content"
    assert repr(key) == "MasterKey()"
    with pytest.raises(Conflict, match=r"^key file master is there already"):
        files.draw_master(MASTER)
    path.write_bytes(bytes(31))
    with pytest.raises(Malformed, match=r"^master key master: 31 bytes, wanted 32$"):
        files.master(MASTER)
    path.chmod(0o604)
    with pytest.raises(Refused, match=r"mode 0604, wanted 0600$"):
        files.master(MASTER)
    path.unlink()
    with pytest.raises(Missing, match=r"^key file master is not there"):
        files.master(MASTER)


class Sealed:
    """A word under a master key, as a vault is."""

    def __init__(self, key: Master) -> None:
        self.under(key)

    def under(self, key: Master) -> None:
        self.held = key.seal("a vault", b"a word")

    def opens(self, key: Master) -> bool:
        try:
            return key.open("a vault", self.held) == b"a word"
        except Tampered:
            return False


def test_replacing_the_master_key_leaves_one_that_opens_the_vault_at_each_moment(tmp_path):
    custody = Custody(tmp_path)
    old = KeyFiles(tmp_path).draw_master(MASTER)
    vault = Sealed(old)

    def reseal(fresh: Master) -> None:
        assert not vault.opens(fresh)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["master", "master.next"]
        assert vault.opens(custody.master(vault.opens))
        vault.under(fresh)
        assert vault.opens(custody.master(vault.opens))

    fresh = custody.replace(reseal)
    assert vault.opens(fresh)
    assert vault.opens(custody.master(vault.opens))
    assert not vault.opens(old)
    assert [file.name for file in tmp_path.iterdir()] == ["master"]


@pytest.mark.parametrize("resealed", [False, True])
def test_a_replacement_cut_short_is_finished_or_dropped(tmp_path, resealed):
    custody = Custody(tmp_path)
    old = KeyFiles(tmp_path).draw_master(MASTER)
    vault = Sealed(old)

    def reseal(fresh: Master) -> None:
        if resealed:
            vault.under(fresh)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        custody.replace(reseal)
    with pytest.raises(Conflict, match=r"^master key: its replacement was interrupted"):
        custody.replace(reseal)
    with pytest.raises(Refused, match=r"^master key, key file master: neither it nor its successor opens the vault"):
        custody.recover(lambda key: False)
    custody.recover(vault.opens)
    assert vault.opens(custody.master(vault.opens))
    assert vault.opens(old) is not resealed
    assert [file.name for file in tmp_path.iterdir()] == ["master"]
