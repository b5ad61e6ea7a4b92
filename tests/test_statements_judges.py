"""Build statements and certificates of disposal, judged by programs nobody here wrote.

`securesystemslib` reads the envelope and verifies it; `openssl pkeyutl` verifies the signature over what the DSSE v1
specification says it is over, which this file works out for itself. Every spoilt envelope is refused by each of them,
and by us.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from force import Force, record

from provenance import certificates, statements
from provenance.errors import Tampered
from provenance.keys import SigningKey

dsse = pytest.importorskip("securesystemslib.dsse", reason="the package securesystemslib is not installed")
from securesystemslib.exceptions import VerificationError  # noqa: E402
from securesystemslib.signer import SSlibKey  # noqa: E402

if not shutil.which("openssl"):
    pytest.skip("the program openssl is not installed, and it is a judge of these tests", allow_module_level=True)

ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's group, RFC 8032, 5.1
KINDS = {
    "statement": (statements.PAYLOAD_TYPE, statements.open_envelope),
    "certificate": (certificates.PAYLOAD_TYPE, certificates.opened),
}
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two envelopes as the product writes them, and the key that signed both."""
    force = Force(tmp_path_factory.mktemp("judges"))
    people = [record("R-1", "N-1", "N-2"), record("R-2", "N-1", "N-2"), record("R-3", "N-2", "N-3")]
    force.receive(*people, cut_off="2026-01-11T12:00:00Z")
    force.build("2026-01-11T12:00:00Z")
    (done,) = force.dispose("N-3", on="2026-01-12T12:00:00Z")
    yield (
        {
            "statement": force.archive.statement("2026-W02").read_bytes(),
            "certificate": (force.root / "audit_reports" / "certificates" / f"{done.certificate_id}.json").read_bytes(),
        },
        force.archive.signing_key(),
    )
    force.archive.close()


def by_securesystemslib(data: bytes, key: SigningKey) -> bool:
    """In-toto's and TUF's library."""
    verifier = key.verifier
    public = SSlibKey(
        f"{verifier.name}+{verifier.key_id.hex()}", "ed25519", "ed25519", {"public": verifier.public.hex()}
    )
    try:
        envelope = dsse.Envelope.from_dict(json.loads(data))
        return list(envelope.verify([public], 1)) == [public.keyid]
    except (VerificationError, ValueError, KeyError, TypeError):
        return False


def by_openssl(data: bytes, key: SigningKey, folder: Path) -> bool:
    """Each signature under our key id, over the encoding that the specification defines: all of them must be good."""
    verifier = key.verifier
    try:
        envelope = json.loads(data)
        kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"], validate=True)
        ours = [s for s in envelope["signatures"] if s["keyid"] == f"{verifier.name}+{verifier.key_id.hex()}"]
        signatures = [base64.b64decode(signature["sig"], validate=True) for signature in ours]
    except (ValueError, KeyError, TypeError):
        return False
    signed = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    (folder / "signed").write_bytes(signed)
    pem = Ed25519PublicKey.from_public_bytes(verifier.public).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "key.pem").write_bytes(pem)
    for signature in signatures:
        (folder / "signature").write_bytes(signature)
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem", "-in", "signed",
             "-sigfile", "signature"],
            cwd=folder, capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return False
    return bool(signatures)


def by_us(data: bytes, key: SigningKey, kind: str) -> bool:
    try:
        KINDS[kind][1](data, key.verifier)
    except Tampered:
        return False
    return True


def verdicts(data: bytes, key: SigningKey, kind: str, folder: Path) -> tuple[bool, bool, bool]:
    return by_us(data, key, kind), by_securesystemslib(data, key), by_openssl(data, key, folder)


def with_payload(change):
    def spoil(envelope, key):
        payload = change(base64.b64decode(envelope["payload"]))
        return envelope | {"payload": base64.b64encode(payload).decode()}

    return spoil


def with_signature(change):
    def spoil(envelope, key):
        (signature,) = envelope["signatures"]
        raw = change(base64.b64decode(signature["sig"]), envelope, key)
        return envelope | {"signatures": [signature | {"sig": base64.b64encode(raw).decode()}]}

    return spoil


def encoded(envelope, kind: str = "") -> bytes:
    return statements.pae(kind or envelope["payloadType"], base64.b64decode(envelope["payload"]))


SPOILT = {
    "payload with one letter changed": with_payload(lambda payload: payload.replace(b"2026", b"2025", 1)),
    "payload with a space more": with_payload(lambda payload: payload + b" "),
    "payload cut short": with_payload(lambda payload: payload[:-1]),
    "payload empty": with_payload(lambda payload: b""),
    "payload of another envelope": with_payload(lambda payload: b"{}"),
    "payload type of another kind": lambda envelope, key: envelope | {"payloadType": "application/json"},
    "payload type with a capital": lambda envelope, key: envelope | {"payloadType": envelope["payloadType"].upper()},
    "payload not base64": lambda envelope, key: envelope | {"payload": "*" + envelope["payload"][1:]},
    "payload missing": lambda envelope, key: {name: envelope[name] for name in ("payloadType", "signatures")},
    "no signature": lambda envelope, key: envelope | {"signatures": []},
    "signature under another key id": lambda envelope, key: (
        envelope | {"signatures": [envelope["signatures"][0] | {"keyid": "force+00000000"}]}
    ),
    "signature by another key": with_signature(lambda raw, envelope, key: OTHER.sign(encoded(envelope))),
    "signature over the payload alone": with_signature(
        lambda raw, envelope, key: key.sign(base64.b64decode(envelope["payload"]))
    ),
    "signature over the payload as base64": with_signature(
        lambda raw, envelope, key: key.sign(envelope["payload"].encode())
    ),
    "signature for another payload type": with_signature(
        lambda raw, envelope, key: key.sign(encoded(envelope, "application/json"))
    ),
    "signature cut short": with_signature(lambda raw, envelope, key: raw[:-1]),
    "signature with a byte more": with_signature(lambda raw, envelope, key: raw + b"\0"),
    "signature empty": with_signature(lambda raw, envelope, key: b""),
    "signature of zeros": with_signature(lambda raw, envelope, key: bytes(64)),
    "signature with S beyond the order": with_signature(
        lambda raw, envelope, key: raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_judge_accepts_what_the_product_writes(made, tmp_path, kind):
    envelopes, key = made
    assert verdicts(envelopes[kind], key, kind, tmp_path) == (True, True, True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", SPOILT)
def test_each_judge_refuses_what_is_spoilt(made, tmp_path, kind, what):
    envelopes, key = made
    spoilt = json.dumps(
        SPOILT[what](json.loads(envelopes[kind]), key), separators=(",", ":"), sort_keys=True, ensure_ascii=False
    )
    assert spoilt.encode() != envelopes[kind]
    assert verdicts(spoilt.encode(), key, kind, tmp_path) == (False, False, False)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_kind_passes_for_the_other(made, kind):
    """Both are signed by one key, so it is the payload type that keeps them apart."""
    envelopes, key = made
    other = next(name for name in KINDS if name != kind)
    assert not by_us(envelopes[other], key, kind)
    relabelled = json.loads(envelopes[other]) | {"payloadType": KINDS[kind][0]}
    assert not by_us(json.dumps(relabelled, separators=(",", ":"), sort_keys=True).encode(), key, kind)
    assert not by_securesystemslib(json.dumps(relabelled).encode(), key)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_of_the_signature_is_refused_by_each(made, tmp_path, kind):
    envelopes, key = made
    envelope = json.loads(envelopes[kind])
    for bit in range(512):
        spoilt = with_signature(
            lambda raw, _, __, bit=bit: (int.from_bytes(raw, "big") ^ 1 << bit).to_bytes(64, "big")
        )(envelope, key)
        data = json.dumps(spoilt, separators=(",", ":"), sort_keys=True).encode()
        assert not by_us(data, key, kind)
        assert not by_securesystemslib(data, key)
        if bit % 16 == 0:  # a program to start each time
            assert not by_openssl(data, key, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_of_the_payload_is_refused_by_each(made, tmp_path, kind):
    envelopes, key = made
    envelope = json.loads(envelopes[kind])
    size = len(base64.b64decode(envelope["payload"]))
    for place in range(0, size, max(size // 200, 1)):
        spoilt = with_payload(
            lambda payload, place=place: payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        )(envelope, key)
        data = json.dumps(spoilt, separators=(",", ":"), sort_keys=True).encode()
        assert not by_us(data, key, kind)
        assert not by_securesystemslib(data, key)
    assert not by_openssl(data, key, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "form",
    [
        lambda data: data + b"\n",
        lambda data: json.dumps(json.loads(data), indent=1).encode(),
        lambda data: data.replace(b'"payload":', b'"payload":"","payload":', 1),
        lambda data: data[:-1] + b',"note":1}',
    ],
)
def test_an_envelope_in_another_form_is_refused_by_us_though_its_signature_is_good(made, tmp_path, kind, form):
    """The digest of the file is in the log, so there is one file for one statement."""
    envelopes, key = made
    data = form(envelopes[kind])
    assert verdicts(data, key, kind, tmp_path) == (False, True, True)


def test_both_are_read_in_the_forms_of_their_own_specifications(made):
    envelopes, _ = made
    payload = json.loads(base64.b64decode(json.loads(envelopes["statement"])["payload"]))
    assert (payload["_type"], payload["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    for subject in payload["subject"]:
        assert set(subject["digest"]) == {"rfc6962-sha256", "sha256"}
        assert {len(bytes.fromhex(digest)) for digest in subject["digest"].values()} == {32}
    assert {"builder", "metadata"} <= set(payload["predicate"]["runDetails"])
