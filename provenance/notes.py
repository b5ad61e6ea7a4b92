"""A signed text that a person can read and a stranger can check.

C2SP signed notes, verifier keys, checkpoints and cosignatures (c2sp.org/signed-note, /tlog-checkpoint,
/tlog-cosignature), with Ed25519. There is one way to write each thing, and every other is refused: a decimal with a
leading zero, base64 with stray bits, a control character, a second signature of the log. A line of a key that we do
not know is no news; a line of a key that we do know and that does not verify spoils the note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from provenance.errors import Malformed, Tampered
from provenance.merkle import DIGEST

ED25519 = 0x01  # signature types assigned in c2sp.org/signed-note
COSIGNATURE = 0x04

_MOST_SIGNATURES = 100  # the note format asks readers for a limit, of 16 or more; Go's reader has this one
_LARGEST_NOTE = 1_000_000  # bytes; Go's reader has this one
_DASH = "— "
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Signer(Protocol):
    """Whatever holds a private key: a file, a token, a service."""

    @property
    def verifier(self) -> Verifier: ...

    def sign(self, message: bytes) -> bytes:
        """64 bytes, Ed25519."""
        ...


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under a name, as others write it down: `name+hash+base64` (its vkey)."""

    name: str
    public: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.kind not in (ED25519, COSIGNATURE):
            raise Malformed(f"verifier key: type {self.kind:#04x}, wanted {ED25519:#04x} or {COSIGNATURE:#04x}")
        if len(self.public) != 32:
            raise Malformed(f"verifier key: {len(self.public)} bytes of public key, wanted 32")

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Raises Malformed unless the hash is that of the name and the key."""
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise Malformed("verifier key: not in three parts, wanted name+hash+base64")
        key = decode_base64("verifier key", parts[2])
        verifier = cls(parts[0], key[1:], key[0] if key else 0)
        if parts[1] != verifier.key_id.hex():
            raise Malformed(f"verifier key: hash {parts[1][:8]}, wanted {verifier.key_id.hex()} for this name and key")
        return verifier

    @property
    def key_id(self) -> bytes:
        """4 bytes that tell keys of one name apart; no proof of anything."""
        return hashlib.sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"

    def verify(self, text: bytes, signature: bytes) -> None:
        """Check one signature over a note's text, in the form its type asks for. Raises Tampered."""
        message = text
        if self.kind == COSIGNATURE:
            if len(signature) != 8 + 64 or signature[0] >> 7:
                raise Tampered(f"signature does not verify: by {self.name}, not in the form of a cosignature")
            message = _cosigned(text, cosigned_at(signature))
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature as error:
            raise Tampered(f"signature does not verify: by {self.name}, key {self.key_id.hex()}") from error


def cosigned_at(signature: bytes) -> int:
    """When a witness says it saw the head: whole seconds since 1970, the first 8 bytes of its cosignature."""
    return int.from_bytes(signature[:8], "big")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line. Who it is by is a claim until `opened` has checked it."""

    name: str
    key_id: bytes
    signature: bytes

    def by(self, verifier: Verifier) -> bool:
        return (self.name, self.key_id) == (verifier.name, verifier.key_id)

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, ending in a newline, and the signature lines under it."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Split a note without believing it; Malformed says what is wrong with its form."""
        if len(data) > _LARGEST_NOTE:
            raise Malformed(f"signed note: {len(data)} bytes, wanted at most {_LARGEST_NOTE}")
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(f"signed note: byte {error.start} is not UTF-8") from error
        if any(c < " " and c != "\n" for c in whole):
            raise Malformed("signed note: a control character, wanted none but newlines")
        body, blank, lines = whole.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise Malformed("signed note: wanted a text, an empty line and signature lines, each ended by a newline")
        signatures = lines.split("\n")[:-1]
        if len(signatures) > _MOST_SIGNATURES:
            raise Malformed(f"signed note: {len(signatures)} signatures, wanted at most {_MOST_SIGNATURES}")
        return cls(body + "\n", tuple(_signature(line) for line in signatures))

    @classmethod
    def signed(cls, text: str, *signers: Signer) -> Note:
        """A note over `text`, which ends in a newline."""
        if not text.endswith("\n") or any(c < " " and c != "\n" for c in text):
            raise Malformed("signed note: wanted a text of whole lines without control characters")
        return cls(text, tuple(Signature(s.verifier.name, s.verifier.key_id, s.sign(text.encode())) for s in signers))

    def opened(self, *verifiers: Verifier) -> list[tuple[Verifier, Signature]]:
        """The lines of known keys, all of which verified, in the note's order.

        Raises Tampered when one of them does not verify, or when there is none.
        """
        known = [(v, s) for s in self.signatures for v in verifiers if s.by(v)]
        for verifier, signature in known:
            verifier.verify(self.text.encode(), signature.signature)
        if not known:
            raise Tampered(f"signed note: no signature by a known key; wanted {', '.join(v.name for v in verifiers)}")
        return known

    def __bytes__(self) -> bytes:
        return (self.text + "\n" + "".join(map(str, self.signatures))).encode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head: this many entries have this root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin or not all(self.extensions) or any("\n" in line for line in (self.origin, *self.extensions)):
            raise Malformed("checkpoint: wanted an origin and extensions of one line each, none of them empty")
        if not 0 <= self.size < 2**63:
            raise Malformed(f"checkpoint: size {self.size}, wanted 0 <= size < 2**63")
        if len(self.root) != DIGEST:
            raise Malformed(f"checkpoint: a root of {len(self.root)} bytes, wanted {DIGEST}")

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        whole = text.count("\n")
        lines = text.split("\n")
        if whole < 3 or lines.pop():
            raise Malformed(f"checkpoint: {whole} lines, wanted at least an origin, a size and a root")
        origin, size, root, *extensions = lines
        return cls(origin, decode_decimal("checkpoint", size), decode_base64("checkpoint", root), tuple(extensions))

    @property
    def text(self) -> str:
        return "".join(
            f"{line}\n" for line in (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        )


def opened_checkpoint(data: bytes, log: Verifier, *witnesses: Verifier) -> tuple[Checkpoint, list[Signature]]:
    """The head that `log` signed exactly once, and the verified lines of those witnesses.

    Whether the witnesses are enough is the caller's to judge. Raises Malformed or Tampered.
    """
    note = Note.parse(data)
    opened = note.opened(log, *witnesses)
    by_log = [signature for verifier, signature in opened if verifier == log]
    if len(by_log) != 1:
        raise Tampered(f"checkpoint: {len(by_log)} signatures by the log, wanted exactly 1 of {log.name}")
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != log.name:
        raise Tampered(f"checkpoint: origin {checkpoint.origin}, wanted the log's own, {log.name}")
    return checkpoint, [signature for verifier, signature in opened if verifier != log]


def cosign(checkpoint: bytes, key: Signer, at: int) -> Signature:
    """A witness's line under a signed checkpoint: at `at`, seconds since 1970, it knew no larger head of that log.

    cosignature/v1 (c2sp.org/tlog-cosignature); the line is by `cosigner(key.verifier)`. Whether the head deserves it
    was for the caller to find out. Raises Malformed when it is no signed checkpoint.
    """
    if not 0 <= at < 2**63:
        raise Malformed(f"cosignature: time {at}, wanted 0 <= time < 2**63")
    text = Note.parse(checkpoint).text
    Checkpoint.parse(text)
    signature = key.sign(_cosigned(text.encode(), at))
    verifier = cosigner(key.verifier)
    return Signature(verifier.name, verifier.key_id, at.to_bytes(8, "big") + signature)


def cosigner(verifier: Verifier) -> Verifier:
    """The same public key under the same name, for cosignatures: another type, so another hash in its vkey."""
    return Verifier(verifier.name, verifier.public, COSIGNATURE)


def _cosigned(text: bytes, at: int) -> bytes:
    """What a cosignature of that time is over."""
    return f"cosignature/v1\ntime {at}\n".encode() + text


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decode_base64(thing: str, text: str) -> bytes:
    """RFC 4648, section 4, in its one canonical form; `thing` opens the message of the Malformed."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{thing}: not base64 in its standard alphabet") from error
    if encode_base64(data) != text:
        raise Malformed(f"{thing}: base64 with bits or padding beyond its bytes")
    return data


def decode_decimal(thing: str, text: str) -> int:
    """A count as C2SP writes it: no sign, no leading zero, below 2**63."""
    if not _DECIMAL.fullmatch(text) or int(text) >= 2**63:
        raise Malformed(f"{thing}: not a count in plain decimal digits without leading zeros, below 2**63")
    return int(text)


def _signature(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise Malformed("signed note: a line among the signatures that does not start with an em dash and a space")
    name, space, signature = line[len(_DASH) :].partition(" ")
    if not space:
        raise Malformed("signed note: a signature line without a key name and a signature")
    _check_name(name)
    data = decode_base64("signed note", signature)
    if len(data) < 5:
        raise Malformed(f"signed note: a signature of {len(data)} bytes, wanted a key id of 4 and more")
    return Signature(name, data[:4], data[4:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise Malformed("key name: empty, or with a space or a plus sign; wanted something like force.example/log")
