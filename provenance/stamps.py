"""A time stamp says that some bytes existed at a moment, in the word of an authority outside the force.

RFC 3161, through `rfc3161-client`: strict DER, the authority's signature, its chain up to a root that the caller
trusts, the key usage that the RFC asks for. The raw response is what is kept and what is judged, so that `openssl ts`
can judge it too. A stamp tells when the bytes were there at the latest, and not who wrote them.

A request carries no nonce. A nonce shows that an answer is not an older one over the same bytes; an older answer over
these bytes would be as true and worth more, and a request without chance in it is the same whenever it is made.

Refused: a response that grants nothing, one over other bytes or by another authority, a digest weaker than SHA-256.
Not looked at: whether the authority's certificate was revoked, which nobody can tell without asking the authority.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import rfc3161_client as rfc3161
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from provenance.errors import Malformed, Refused, Tampered

LARGEST = 1_000_000  # bytes of a response; those of today's authorities have under 10,000
MEDIA_TYPES = ("application/timestamp-query", "application/timestamp-reply")  # RFC 3161, 3.4
_MOST_CERTIFICATES = 100
_DIGESTS: dict[str, Callable[[bytes], Any]] = {  # by object identifier
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}
_CERTIFICATES = 0xA0  # the tag of the set of certificates in RFC 5652, 5.1
_STATUS = {  # RFC 3161, 2.4.2
    1: "granted with changes",
    2: "rejected",
    3: "waiting",
    4: "a revocation is near",
    5: "a revocation has come",
}


def request(data: bytes) -> bytes:
    """A request for a stamp over the SHA-256 of `data` (at least one byte), certificates included, in DER."""
    builder = rfc3161.TimestampRequestBuilder(data, rfc3161.HashAlgorithm.SHA256, nonce=False, cert_req=True)
    return builder.build().as_bytes()


@dataclass(frozen=True, slots=True)
class Stamp:
    """A response that grants a stamp. Until `check` has been passed, all of it is a claim."""

    raw: bytes
    at: datetime  # UTC, the authority's clock
    algorithm: str  # object identifier of the digest
    imprint: bytes
    _response: Any = field(repr=False, compare=False)

    @classmethod
    def parse(cls, raw: bytes) -> Stamp:
        """Raises Malformed unless `raw` is one response in DER and nothing else, Refused when it grants nothing."""
        if len(raw) > LARGEST:
            raise Malformed(f"time-stamp response: {len(raw)} bytes, wanted at most {LARGEST}")
        with _said_plainly(Malformed, "time-stamp response: not in the form of RFC 3161"):
            response = rfc3161.decode_timestamp_response(_sorted(raw))
            status = response.status
        if status:
            raise Refused(
                f"time-stamp response: nothing was stamped, status {status} "
                f"({_STATUS.get(status, 'unknown')}): wanted 0, granted"
            )
        with _said_plainly(Malformed, "time-stamp response: not in the form of RFC 3161"):
            info = response.tst_info
            at = info.gen_time.astimezone(UTC)
            algorithm, imprint = info.message_imprint.hash_algorithm.dotted_string, info.message_imprint.message
        return cls(raw, at, algorithm, imprint, response)

    def covers(self, data: bytes) -> bool:
        """Whether these are the bytes that the response speaks of."""
        digest = _DIGESTS.get(self.algorithm)
        return digest is not None and digest(data).digest() == self.imprint

    def check(self, data: bytes, certificates: bytes) -> datetime:
        """When `data` was there at the latest, by an authority of `certificates`.

        Those are PEM, see `authority`; each need be valid at the moment of the stamp only. Raises Tampered.
        """
        if not self.covers(data):
            raise Tampered(
                f"time stamp is over something else: digest {self.imprint.hex()}, "
                f"wanted {hashlib.sha256(data).hexdigest()}"
            )
        trusted = authority(certificates)
        roots = [each for each in trusted if is_root(each)]
        others = [each for each in trusted if not is_root(each)]
        with _said_plainly(Tampered, "time stamp does not verify"):
            signer = self._signer(trusted)
            # Handed over, it is compared with the one in the response, and stands in for it where there is none.
            own = signer if signer in trusted else None
            verifier = rfc3161.VerifierBuilder(tsa_certificate=own, intermediates=others, roots=roots).build()
            verifier.verify_message(self._response, data)
        return self.at

    def _signer(self, trusted: tuple[x509.Certificate, ...]) -> x509.Certificate:
        """The one certificate, in the response or trusted, that bears the signer's serial number and issuer.

        The library looks for it twice: by names in any case for the signature, by names as they are written for the
        usage. So there is one, and what is embedded in the place of one that is trusted is that one.
        """
        signed = self._response.signed_data
        if len(signed.signer_infos) != 1:
            raise Tampered(f"time stamp does not verify: {len(signed.signer_infos)} signers, wanted exactly 1")
        (signer,) = signed.signer_infos
        known = {*map(x509.load_der_x509_certificate, signed.certificates), *trusted}
        wanted = (signer.serial_number, _folded(signer.issuer))
        named = [each for each in known if (each.serial_number, _folded(each.issuer)) == wanted]
        if len(named) != 1:
            raise Tampered(
                f"time stamp does not verify: {len(named)} certificates are its signer's, in it or trusted: "
                "wanted exactly 1"
            )
        return named[0]


def _folded(name: x509.Name) -> list[tuple[str, str]]:
    """A name as OpenSSL compares names: capitals and runs of spaces make no difference."""
    return [(each.oid.dotted_string, " ".join(str(each.value).lower().split())) for each in name]


def authority(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, each once: at least one root (signed by itself), and those beneath it.

    Raises Malformed, also where a private key lies among them.
    """
    if b"PRIVATE KEY" in pem:
        raise Malformed("certificates of a time-stamping authority: a private key is among them, wanted none")
    with _said_plainly(Malformed, "certificates of a time-stamping authority: not certificates in PEM"):
        found = tuple(dict.fromkeys(x509.load_pem_x509_certificates(pem)))
        roots = sum(map(is_root, found))
    if len(found) > _MOST_CERTIFICATES:
        raise Malformed(
            f"certificates of a time-stamping authority: {len(found)} of them, wanted at most {_MOST_CERTIFICATES}"
        )
    if not roots:
        raise Malformed(
            f"certificates of a time-stamping authority: {len(found)} and no root among them, "
            "wanted the whole chain up to one that signed itself"
        )
    return found


def joined(*pems: bytes) -> bytes:
    """One PEM file with the certificates of each, in order, each once; anything else in the files is left out."""
    every = dict.fromkeys(each for pem in pems for each in authority(pem))
    return b"".join(each.public_bytes(Encoding.PEM) for each in every)


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it signed itself."""
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _sorted(raw: bytes) -> bytes:
    """The response with the certificates in it sorted, as DER wants a set and the library insists.

    Authorities send them in the order of the chain, `openssl ts` too; nobody signs that order. What is not built as a
    response should be comes back as it is, for the library to refuse.
    """
    try:
        _, token = _parts(raw, *_parts(raw, 0, len(raw))[0][1:])
        _, content = _parts(raw, *token[1:])
        (signed,) = _parts(raw, *content[1:])
        (certificates,) = [part for part in _parts(raw, *signed[1:]) if raw[part[0]] == _CERTIFICATES]
        _, start, end = certificates
        whole = [raw[part[0] : part[2]] for part in _parts(raw, start, end)]
    except (ValueError, IndexError):
        return raw
    return raw[:start] + b"".join(sorted(whole)) + raw[end:]


def _parts(data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """Each DER element of data[start:end]: where it starts, where its content does, where it ends.

    Raises IndexError or ValueError where they do not fill it. Tags are of one byte, as all in a response are.
    """
    found = []
    while start < end:
        body, length = start + 2, data[start + 1]
        if length & 0x80:
            width = length & 0x7F
            length, body = int.from_bytes(data[body : body + width], "big"), body + width
        if body + length > end:
            raise ValueError
        found.append((start, body, body + length))
        start = body + length
    return found


@contextmanager
def _said_plainly(kind: type[Malformed | Tampered], what: str) -> Iterator[None]:
    """What the libraries raise on hostile bytes, in our words; their own are left out, since they may quote the bytes.

    Their parsers are in Rust, and a panic there is no Exception.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on certificates that are odd and still usable
            yield
    except (Malformed, Tampered):
        raise
    except rfc3161.VerificationError as error:
        reason = str(error)
        if reason.startswith("Error while verifying certificates"):  # and then OpenSSL's own words, with its files
            reason = "its signature, or the chain of certificates up to a trusted root, is not good"
        raise kind(f"{what}: {reason}") from error
    except Exception as error:
        raise kind(what) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise kind(what) from error
