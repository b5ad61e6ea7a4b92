"""Trusted time: published responses, `openssl ts` as an authority and as a judge, and what no authority would send."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provenance import heads, stamping, stamps
from provenance.archive import Archive
from provenance.cli import main
from provenance.errors import Malformed, Missing, ProvenanceError, Refused, Tampered
from provenance.keys import SigningKey
from provenance.notes import COSIGNATURE, Note, Verifier
from provenance.stamps import Stamp

if not shutil.which("openssl"):
    pytest.skip("the program openssl is not installed, and it is the authority of these tests", allow_module_level=True)

HELLO = b"hello"
START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
SERVING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
CONFIGURATION = """\
[tsa]
default_tsa = one
[one]
serial = {serial}
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha1, sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
clock_precision_digits = {digits}
"""


def openssl(*arguments: object, fed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *map(str, arguments)], input=fed, capture_output=True, check=False)


def issued(name: str, issuer: tuple | None = None, *, serial: int = 0, usage=STAMPING, critical=True, end=END):
    """A certificate and its key: a root, or one beneath `issuer`."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above, by = (issuer[0].subject, issuer[1]) if issuer else (own, key)
    builder = (
        x509.CertificateBuilder(above, own, key.public_key(), serial or x509.random_serial_number(), START, end)
        .add_extension(x509.BasicConstraints(ca=issuer is None or usage is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer and usage:
        builder = builder.add_extension(usage, critical=critical)
    return builder.sign(by, hashes.SHA256()), key


def pem(*pairs: tuple) -> bytes:
    return b"".join(pair[0].public_bytes(Encoding.PEM) for pair in pairs)


class Authority:
    """A time-stamping authority: `openssl ts -reply` with a root, one between and a signer."""

    def __init__(self, folder: Path, name: str = "authority", **said) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.root = issued(f"{name} root")
        self.between = issued(f"{name} between", self.root, usage=None)
        self.signer = issued(f"{name} signer", self.between, **said)
        self.use(self.signer)

    def use(self, signer: tuple) -> None:
        """Sign with another pair from now on."""
        self.signer = signer
        for name, content in (
            ("signer.pem", pem(signer)),
            ("chain.pem", pem(self.between)),
            ("root.pem", pem(self.root)),
            ("whole.pem", self.pem),
            ("key.pem", signer[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
        ):
            (self.folder / name).write_bytes(content)

    @property
    def pem(self) -> bytes:
        """What the authority publishes: the signer, the one between and the root."""
        return pem(self.signer, self.between, self.root)

    def answer(self, request: bytes, *, digits: int = 0, chain: bool = True) -> bytes:
        """A response, in DER."""
        (self.folder / "request.tsq").write_bytes(request)
        (self.folder / "tsa.cnf").write_text(CONFIGURATION.format(serial=self.folder / "serial", digits=digits))
        done = openssl(
            "ts", "-reply", "-config", self.folder / "tsa.cnf", "-queryfile", self.folder / "request.tsq",
            "-signer", self.folder / "signer.pem", "-inkey", self.folder / "key.pem",
            *(["-chain", self.folder / "chain.pem"] if chain else []), "-out", self.folder / "response.tsr",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return (self.folder / "response.tsr").read_bytes()

    def agrees(self, data: bytes, raw: bytes, root: Path | None = None) -> bool:
        """Whether `openssl ts -verify` accepts the response over the data."""
        (self.folder / "data").write_bytes(data)
        (self.folder / "judged.tsr").write_bytes(raw)
        done = openssl(
            "ts", "-verify", "-data", self.folder / "data", "-in", self.folder / "judged.tsr",
            "-CAfile", root or self.folder / "root.pem", "-untrusted", self.folder / "whole.pem",
        )  # fmt: skip
        return done.returncode == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa"))


def good(raw: bytes, data: bytes, certificates: bytes) -> bool:
    try:
        Stamp.parse(raw).check(data, certificates)
    except ProvenanceError:
        return False
    return True


# -- published responses


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("response-sha256", "2025-05-09T11:58:55+00:00"),
        ("response-sha384", "2025-05-09T11:58:55+00:00"),
        ("response-sha512", "2025-05-09T11:58:56+00:00"),
        ("response-no-embedded-cert", "2025-06-18T08:13:02+00:00"),
        ("response-invalid-signature", None),
    ],
)
def test_published_responses(shared, name, at):
    folder = shared / "vectors" / "rfc3161"
    stamp, chain = Stamp.parse((folder / f"{name}.tsr").read_bytes()), (folder / "ts_chain.pem").read_bytes()
    assert stamp.covers(HELLO)
    assert not stamp.covers(b"hallo")
    if at is None:
        with pytest.raises(Tampered, match=r"^time stamp does not verify: its signature, or the chain"):
            stamp.check(HELLO, chain)
    else:
        assert stamp.check(HELLO, chain).isoformat() == at
        with pytest.raises(Tampered, match=f"^time stamp is over something else: digest {stamp.imprint.hex()}, wanted"):
            stamp.check(b"hallo", chain)


def test_every_published_response_is_looked_at(shared):
    names = {path.name for path in (shared / "vectors" / "rfc3161").iterdir()}
    told = {f"response-{name}.tsr" for name in ("sha256", "sha384", "sha512", "no-embedded-cert", "invalid-signature")}
    assert names == told | {"request.der", "ts_chain.pem"}


def test_a_response_without_a_certificate_needs_one_that_is_trusted(shared):
    folder = shared / "vectors" / "rfc3161"
    stamp = Stamp.parse((folder / "response-no-embedded-cert.tsr").read_bytes())
    _, root = stamps.authority((folder / "ts_chain.pem").read_bytes())
    with pytest.raises(Tampered, match=r"^time stamp does not verify: 0 certificates are its signer's"):
        stamp.check(HELLO, root.public_bytes(Encoding.PEM))


def test_a_flipped_bit_is_refused_unless_nobody_signed_it(shared):
    """What the authority does not sign is two version numbers, and which algorithm it says it signed with."""
    folder = shared / "vectors" / "rfc3161"
    raw, chain = (folder / "response-sha256.tsr").read_bytes(), (folder / "ts_chain.pem").read_bytes()
    chosen = random.Random(7)
    passed = {}
    for place in range(len(raw)):
        spoilt = bytearray(raw)
        spoilt[place] ^= 1 << chosen.randrange(8)
        if good(bytes(spoilt), HELLO, chain):
            passed[place] = Stamp.parse(bytes(spoilt)).at
    assert set(passed) <= {34, 803, *range(1159, 1167)}
    assert set(passed.values()) <= {Stamp.parse(raw).at}


# -- requests


@pytest.mark.parametrize("data", [b"x", HELLO, bytes(100_000)])
def test_a_request_is_the_one_that_openssl_writes(tmp_path, data):
    (tmp_path / "data").write_bytes(data)
    theirs = openssl("ts", "-query", "-data", tmp_path / "data", "-sha256", "-no_nonce", "-cert").stdout
    assert stamps.request(data) == stamps.request(data) == theirs


def test_openssl_answers_our_request_and_agrees_with_our_judgement(authority):
    raw = authority.answer(stamps.request(HELLO))
    before = datetime.now(UTC)
    at = Stamp.parse(raw).check(HELLO, authority.pem)
    assert abs(before - at) < timedelta(minutes=5)
    assert authority.agrees(HELLO, raw)
    assert not good(raw, b"hallo", authority.pem)
    assert not authority.agrees(b"hallo", raw)


def test_a_published_request_is_answered_and_its_nonce_is_no_other_s(shared, tmp_path, authority):
    """Of five bytes, over SHA-512, with a nonce: ours carry none, and who asks with one is answered with it."""
    request, folder = (shared / "vectors" / "rfc3161" / "request.der").read_bytes(), shared / "vectors" / "rfc3161"
    published = Stamp.parse((folder / "response-sha512.tsr").read_bytes())
    assert published.imprint in request
    raw = authority.answer(request)
    assert Stamp.parse(raw).imprint == published.imprint
    assert good(raw, HELLO, authority.pem)
    (tmp_path / "ours.tsr").write_bytes(raw)
    (tmp_path / "chain.pem").write_bytes(authority.pem)

    def answers(response: Path, chain: Path, moment: datetime) -> bool:
        return openssl(
            "ts", "-verify", "-queryfile", folder / "request.der", "-in", response, "-CAfile", chain,
            "-untrusted", chain, "-attime", int(moment.timestamp()),
        ).returncode == 0  # fmt: skip

    assert answers(tmp_path / "ours.tsr", tmp_path / "chain.pem", Stamp.parse(raw).at)
    assert not answers(folder / "response-sha512.tsr", folder / "ts_chain.pem", published.at)  # of another nonce


def test_a_root_alone_is_enough_when_the_response_has_the_chain(authority):
    raw = authority.answer(stamps.request(HELLO))
    assert good(raw, HELLO, pem(authority.root))
    short = authority.answer(stamps.request(HELLO), chain=False)
    assert not good(short, HELLO, pem(authority.root))
    assert good(short, HELLO, authority.pem)


def test_certificates_may_come_in_any_order(authority):
    """DER would have them sorted; `openssl ts` and most authorities send them as the chain goes."""
    raw = authority.answer(stamps.request(HELLO))
    one, other = (pair[0].public_bytes(Encoding.DER) for pair in (authority.signer, authority.between))
    turned = {raw.replace(one + other, other + one), raw.replace(other + one, one + other)}
    assert len(turned) == 2
    for response in turned:
        assert good(response, HELLO, pem(authority.root))
        assert authority.agrees(HELLO, response)
        assert Stamp.parse(response).raw == response


def test_fractions_of_a_second(authority):
    raw = authority.answer(stamps.request(HELLO), digits=3)
    at = Stamp.parse(raw).check(HELLO, authority.pem)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    told = openssl("ts", "-reply", "-in", authority.folder / "response.tsr", "-text").stdout.decode()
    assert f"{at:%b} {at.day:2d} {at:%H:%M:%S}" in told


# -- who may stamp


SPOILT = {
    "usage not critical": lambda above: issued("s", above, critical=False),
    "a server's usage": lambda above: issued("s", above, usage=SERVING),
    "expired before the stamp": lambda above: issued("s", above, end=datetime(2021, 1, 1, tzinfo=UTC)),
    "another root": lambda above: issued("s", issued("elsewhere")),
    "a lookalike above it": lambda above: issued("s", issued("authority between")),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_signer_that_is_no_authority_is_refused(tmp_path, what):
    """The response is good but for its signer. Where openssl would not sign, a lookalike signed in its place."""
    authority = Authority(tmp_path)
    wrong = SPOILT[what](authority.between)
    lookalike = (
        x509.CertificateBuilder(
            wrong[0].issuer, wrong[0].subject, wrong[1].public_key(), wrong[0].serial_number, START, END
        )
        .add_extension(STAMPING, critical=True)
        .sign(wrong[1], hashes.SHA256())
    )
    authority.use((lookalike, wrong[1]))
    raw = authority.answer(stamps.request(HELLO))
    raw = respliced(raw, *(each.public_bytes(Encoding.DER) for each in (lookalike, wrong[0])))
    authority.use(wrong)
    assert not authority.agrees(HELLO, raw)
    with pytest.raises(Tampered, match=r"^time stamp does not verify"):
        Stamp.parse(raw).check(HELLO, pem(authority.root, authority.between))


def respliced(raw: bytes, from_: bytes, to: bytes) -> bytes:
    """DER with one part exchanged, wherever it lies in constructed elements."""

    def element(data: bytes, at: int) -> tuple[int, int, int]:
        length, start = data[at + 1], at + 2
        if length & 0x80:
            width = length & 0x7F
            length, start = int.from_bytes(data[start : start + width], "big"), start + width
        return data[at], start, start + length

    def encoded(tag: int, content: bytes) -> bytes:
        size = len(content)
        if size < 0x80:
            return bytes([tag, size]) + content
        width = (size.bit_length() + 7) // 8
        return bytes([tag, 0x80 | width]) + size.to_bytes(width, "big") + content

    def again(data: bytes) -> bytes:
        out, at = b"", 0
        while at < len(data):
            tag, start, end = element(data, at)
            whole = data[at:end]
            if whole == from_:
                out += to
            elif tag & 0x20 and from_ in whole:
                out += encoded(tag, again(data[start:end]))
            else:
                out += whole
            at = end
        return out

    assert from_ in raw
    return again(raw)


@pytest.mark.parametrize("genuine_first", [True, False])
@pytest.mark.parametrize("loud", [True, False])
def test_two_certificates_of_one_signer_cannot_share_the_work(tmp_path, genuine_first, loud):
    """A server's certificate under a trusted root signs; a forged one beside it, nearly of that name, has the usage."""
    authority = Authority(tmp_path)
    server = issued("a server", authority.between, usage=SERVING)
    name = authority.between[0].subject
    if loud:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AUTHORITY  Between")])
    forged = (
        x509.CertificateBuilder(name, server[0].subject, server[1].public_key(), server[0].serial_number, START, END)
        .add_extension(STAMPING, critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    authority.use((forged, server[1]))
    raw = authority.answer(stamps.request(HELLO))
    both = [each.public_bytes(Encoding.DER) for each in (server[0], forged)]
    if not genuine_first:
        both.reverse()
    raw = respliced(raw, forged.public_bytes(Encoding.DER), b"".join(both))
    trusted = pem(authority.root, authority.between)
    with pytest.raises(Tampered, match=r"^time stamp does not verify: 2 certificates are its signer's"):
        Stamp.parse(raw).check(HELLO, trusted)


def test_a_certificate_that_is_here_without_its_root_is_not_believed(tmp_path, authority):
    other = Authority(tmp_path, "other")
    raw = other.answer(stamps.request(HELLO))
    assert good(raw, HELLO, other.pem)
    assert not good(raw, HELLO, pem(authority.root, other.signer, other.between))
    assert not authority.agrees(HELLO, raw)
    assert not good(raw, HELLO, authority.pem)


# -- forms


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (lambda raw: b"", Malformed, "not in the form of RFC 3161"),
        (lambda raw: raw[:-1], Malformed, "not in the form of RFC 3161"),
        (lambda raw: raw + b"\0", Malformed, "not in the form of RFC 3161"),
        (lambda raw: b"<html>" + raw, Malformed, "not in the form of RFC 3161"),
        (lambda raw: bytes([0x30, 3, 2, 1, 0]), Malformed, "not in the form of RFC 3161"),
        (lambda raw: bytes([0x30, 5, 0x30, 3, 2, 1, 2]), Refused, r"nothing was stamped, status 2 \(rejected\)"),
        (lambda raw: raw + bytes(stamps.LARGEST), Malformed, rf"\d+ bytes, wanted at most {stamps.LARGEST}$"),
    ],
)
def test_a_response_in_another_form(authority, spoil, kind, message):
    raw = authority.answer(stamps.request(HELLO))
    with pytest.raises(kind, match=f"^time-stamp response: {message}"):
        Stamp.parse(spoil(raw)).check(HELLO, authority.pem)


def test_what_openssl_refuses_to_stamp_is_refused_here(authority, tmp_path):
    (tmp_path / "data").write_bytes(HELLO)
    asked = openssl("ts", "-query", "-data", tmp_path / "data", "-md5", "-no_nonce", "-cert").stdout
    with pytest.raises(Refused, match=r"^time-stamp response: nothing was stamped, status 2 \(rejected\)"):
        Stamp.parse(authority.answer(asked))


def test_a_weak_digest_covers_nothing(authority, tmp_path):
    (tmp_path / "data").write_bytes(HELLO)
    asked = openssl("ts", "-query", "-data", tmp_path / "data", "-sha1", "-no_nonce", "-cert").stdout
    raw = authority.answer(asked)
    assert Stamp.parse(raw).imprint == hashlib.sha1(HELLO).digest()
    with pytest.raises(Tampered, match=r"^time stamp is over something else"):
        Stamp.parse(raw).check(HELLO, authority.pem)


@pytest.mark.parametrize(
    ("certificates", "message"),
    [
        (b"", "not certificates in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not certificates in PEM"),
        (b"-----BEGIN " + b"PRIVATE KEY-----\n", "a private key is among them"),
        (None, "2 and no root among them"),
    ],
)
def test_certificates_that_are_no_chain(authority, certificates, message):
    if certificates is None:
        certificates = pem(authority.signer, authority.between)
    with pytest.raises(Malformed, match=f"^certificates of a time-stamping authority: {message}"):
        stamps.authority(certificates)


def test_certificates_are_joined_each_once_and_nothing_else_is_taken_over(authority):
    chatty = b"bought in 2026, ask for J.\n" + authority.pem
    whole = stamps.joined(chatty, authority.pem, pem(authority.root))
    assert whole == authority.pem


# -- stamps of an archive


@pytest.fixture
def archive(tmp_path):
    made = Archive.found(
        tmp_path / "force",
        tmp_path / "force.keys",
        name="force",
        on="2026-01-01T00:00:00Z",
        by="tests",
        under="a story",
    )
    yield made
    made.close()


def log_something(archive):
    from provenance import entries

    archive.append(
        entries.Quarantined(on="2026-01-02T00:00:00Z", by="tests", under="a story", extract=archive.log.size, rows=0)
    )


def test_a_stamp_is_judged_kept_and_judged_again(archive, authority):
    assert list(stamping.faults(archive)) == []
    assert stamping.trust(archive, "acme", authority.pem) == 3
    asked = stamping.request(archive)
    assert asked.size == 1
    log_something(archive)
    raw = authority.answer(asked.body)
    stamped = stamping.add(archive, "acme", raw)
    assert (stamped.size, stamped.authority, stamped.fault, stamped.label) == (1, "acme", "", "")
    assert stamped.at == Stamp.parse(raw).at
    assert (archive.root / "log" / "heads" / "1.acme.tsr").read_bytes() == raw
    assert list(stamping.faults(archive)) == ["", ""]
    kept = heads.bare((archive.root / "log" / "heads" / "1").read_bytes(), archive.signers())
    assert authority.agrees(kept, raw, archive.root / "log" / "tsa" / "acme.pem")


def test_a_cosignature_that_comes_later_changes_nothing(archive, authority):
    stamping.trust(archive, "acme", authority.pem)
    stamping.add(archive, "acme", authority.answer(stamping.request(archive).body))
    path = archive.root / "log" / "heads" / "1"
    note, private = Note.parse(path.read_bytes()), Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

    class Witness:
        verifier = Verifier("ethics.example/witness", private.public_key().public_bytes_raw(), COSIGNATURE)

        def sign(self, message: bytes) -> bytes:
            return bytes(8) + private.sign(b"cosignature/v1\ntime 0\n" + message)

    cosigned = Note(note.text, note.signatures + Note.signed(note.text, Witness()).signatures)
    heads.Heads(path.parent).keep(bytes(cosigned), archive.signers())
    assert path.read_bytes() == bytes(cosigned)
    assert list(stamping.faults(archive)) == ["", ""]


def test_the_first_stamp_of_an_authority_over_a_head_stays(archive, authority):
    stamping.trust(archive, "acme", authority.pem)
    asked = stamping.request(archive).body
    first, second = authority.answer(asked), authority.answer(asked)
    assert first != second
    stamping.add(archive, "acme", first)
    stamping.add(archive, "acme", second)
    assert (archive.root / "log" / "heads" / "1.acme.tsr").read_bytes() == first


def test_a_new_certificate_leaves_the_old_stamps_good(archive, tmp_path):
    authority = Authority(tmp_path)
    stamping.trust(archive, "acme", authority.pem)
    stamping.add(archive, "acme", authority.answer(stamping.request(archive).body, chain=False))
    authority.use(issued("authority signer", authority.between))
    log_something(archive)
    raw = authority.answer(stamping.request(archive).body, chain=False)
    assert stamping.trust(archive, "acme", authority.pem) == 4
    stamping.add(archive, "acme", raw)
    assert [(stamped.size, stamped.fault) for stamped in stamping.listed(archive)] == [(1, ""), (2, "")]


def test_nothing_is_kept_that_is_not_good(archive, authority, tmp_path):
    asked = stamping.request(archive).body
    raw = authority.answer(asked)
    with pytest.raises(Missing, match=r"^certificates of time-stamping authority acme are not there: wanted log/tsa/"):
        stamping.add(archive, "acme", raw)
    stamping.trust(archive, "acme", Authority(tmp_path, "other").pem)
    with pytest.raises(Tampered, match=r"^time stamp does not verify"):
        stamping.add(archive, "acme", raw)
    stamping.trust(archive, "acme", authority.pem)
    with pytest.raises(Refused, match=r"^time stamp is over no head that was shown: digest [0-9a-f]{64}"):
        stamping.add(archive, "acme", authority.answer(stamps.request(b"another head")))
    for name in ("../acme", "", "a.b", "a" * 65):
        with pytest.raises(Malformed, match=r"^name of an authority"):
            stamping.trust(archive, name, authority.pem)
        with pytest.raises(Malformed, match=r"^name of an authority"):
            stamping.add(archive, name, raw)
    assert stamping.listed(archive) == []


def test_each_thing_that_was_spoilt_is_named(archive, authority, tmp_path):
    stamping.trust(archive, "acme", authority.pem)
    stamping.add(archive, "acme", authority.answer(stamping.request(archive).body))
    tsa, stamp = archive.root / "log" / "tsa", archive.root / "log" / "heads" / "1.acme.tsr"

    def faulty() -> list[str]:
        return [fault for fault in stamping.faults(archive) if fault]

    held = stamp.read_bytes()
    stamp.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    assert [fault.split(":")[0] for fault in faulty()] == ["time stamp log/heads/1.acme.tsr"]
    stamp.write_bytes(held)
    (tsa / "acme.pem").write_bytes(Authority(tmp_path, "liar").pem)
    assert [fault.split(":")[0] for fault in faulty()] == ["time stamp log/heads/1.acme.tsr"]
    (tsa / "acme.pem").write_bytes(b"")
    assert [fault.split(":")[0] for fault in faulty()] == [
        "time stamp log/heads/1.acme.tsr",
        "time-stamping authority log/tsa/acme.pem",
    ]
    (tsa / "acme.pem").write_bytes(authority.pem)
    (tsa / "notes.txt").write_bytes(b"")
    assert [fault.split(":")[0] for fault in faulty()] == ["time-stamping authority log/tsa/notes.txt"]
    (tsa / "notes.txt").unlink()
    (tsa / "acme.pem").unlink()
    assert faulty() == [
        "time stamp log/heads/1.acme.tsr: certificates of time-stamping authority acme are not there: "
        "wanted log/tsa/acme.pem; `provenance timestamp authority` puts them there"
    ]


# -- the commands


def run(archive, *words: object):
    done = CliRunner().invoke(main, ["--archive", str(archive.root), *map(str, words)])
    assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit), done.exception
    return done


def test_the_round_by_file(archive, authority, tmp_path):
    (tmp_path / "acme.pem").write_bytes(authority.pem)
    query, response = tmp_path / "1.tsq", tmp_path / "1.tsr"
    assert "judged by 3 certificates" in run(archive, "timestamp", "authority", "acme", tmp_path / "acme.pem").stdout
    assert str(query) in run(archive, "timestamp", "request", "--out", query).stdout.replace("\n", "")
    response.write_bytes(authority.answer(query.read_bytes()))
    added = run(archive, "timestamp", "add", "acme", response)
    assert "The log's head of size 1 was there by " in added.stdout
    (told,) = json.loads(run(archive, "timestamp", "list", "--json").stdout)
    assert told["at"] == Stamp.parse(response.read_bytes()).at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (told["size"], told["authority"], told["verified"]) == (1, "acme", True)
    assert "acme: there by " in run(archive, "timestamp", "list").stdout
    (archive.root / "log" / "heads" / "1.acme.tsr").write_bytes(b"")
    listed = run(archive, "timestamp", "list")
    assert listed.exit_code == 4
    assert "does NOT verify" in listed.stdout


@pytest.fixture
def served(authority, monkeypatch):
    """An address at which the authority answers, as `reply` says."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["Content-Type"], body))
            if self.path == "/elsewhere":
                self.send_response(302)
                self.send_header("Location", "/tsa")
                self.end_headers()
                return
            if self.path == "/hangup":
                self.close_connection = True
                return
            self.send_response(500 if self.path == "/broken" else 200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            answers = {"/tsa": lambda: authority.answer(body), "/page": lambda: b"<html>", "/broken": lambda: b""}
            self.wfile.write(answers[self.path]())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_the_round_by_network(archive, authority, served):
    address, asked = served
    stamping.trust(archive, "acme", authority.pem)
    done = run(archive, "timestamp", "fetch", "acme", f"{address}/tsa", "--json")
    assert json.loads(done.stdout)["verified"] is True
    note = heads.bare(archive.log.checkpoint, archive.signers())
    assert asked == [("/tsa", "application/timestamp-query", stamps.request(note))]
    assert [stamped.fault for stamped in stamping.listed(archive)] == [""]


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("/elsewhere", 6, "Conflict: time-stamping authority did not answer the request: HTTP status 302"),
        ("/broken", 6, "Conflict: time-stamping authority did not answer the request: HTTP status 500"),
        ("/hangup", 6, "Conflict: time-stamping authority cannot be reached: RemoteDisconnected"),
        ("/page", 7, "Malformed: time-stamp response: not in the form of RFC 3161"),
    ],
)
def test_an_answer_that_is_none(archive, authority, served, path, code, message):
    address, asked = served
    stamping.trust(archive, "acme", authority.pem)
    done = run(archive, "timestamp", "fetch", "acme", address + path)
    assert (done.exit_code, done.stderr.strip()) == (code, message)
    assert len(asked) == 1
    assert stamping.listed(archive) == []


def test_an_address_that_nobody_vouches_for_is_not_asked(archive, authority, served, tmp_path):
    """https://, and a certificate that no root of this machine issued."""
    certificate, key = issued("localhost")
    (tmp_path / "server.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem((certificate, key))
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        done = run(archive, "timestamp", "fetch", "acme", f"https://127.0.0.1:{server.server_port}/tsa")
    finally:
        server.shutdown()
        server.server_close()
    assert done.exit_code == 6
    assert done.stderr == "Conflict: time-stamping authority cannot be reached: SSLCertVerificationError\n"
    assert asked == []


def test_nobody_there_and_no_address(archive, authority, served):
    stamping.trust(archive, "acme", authority.pem)
    done = run(archive, "timestamp", "fetch", "acme", "http://127.0.0.1:9")
    assert (done.exit_code, done.stderr.split(":")[0]) == (6, "Conflict")
    for address in (f"file://{archive.root}/archive.json", "ftp://127.0.0.1/x", "acme", "http:"):
        done = run(archive, "timestamp", "fetch", "acme", address)
        assert done.exit_code in (6, 7), address
    assert stamping.listed(archive) == []


def test_a_key_of_the_log_that_is_not_the_archive_s_does_not_make_a_head(archive, authority):
    stamping.trust(archive, "acme", authority.pem)
    stamping.add(archive, "acme", authority.answer(stamping.request(archive).body))
    path = archive.root / "log" / "heads" / "1"
    forged = SigningKey("force", Ed25519PrivateKey.from_private_bytes(bytes(range(3, 35))))
    path.write_bytes(bytes(Note.signed(Note.parse(path.read_bytes()).text, forged)))
    assert [fault.split(":")[0] for fault in stamping.faults(archive)] == ["time stamp log/heads/1.acme.tsr", ""]
