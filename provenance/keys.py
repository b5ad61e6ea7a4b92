"""The two secrets of an archive that are never in its backups: what signs, and what opens the vault.

Each stands in an office, and lies in a place:

    log          signs the log's heads, build statements and certificates
    log.next     takes over from it; there only while a rotation is at work, or was cut off
    master       opens the vault
    master.next  the same while it is replaced

The places here are files that only their owner may read: as they are (`log.pem`, `log.next.pem`, `master`), or sealed
under a key that the machine is given anew at each start (`custody.py` says which place it is; `hsm.py` has another). A
file that others may read is refused, whatever it holds. A key never shows itself: not in `repr`, not in an error. What
is asked of it is to sign, and to seal and open; so it may as well lie where nobody can take it out.

If the signing key is lost, nothing more can be logged under its name; if the master key is lost, no row can be read
again. A liar who can read the signing key can sign a second history, which is what witnesses are for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from provenance import durable
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.notes import Verifier
from provenance.sealing import SECRET, opened_blob, sealed_blob

LOG, MASTER = "log", "master"  # offices
NEXT = {LOG: "log.next", MASTER: "master.next"}
OFFICES = (LOG, NEXT[LOG], MASTER, NEXT[MASTER])
SCHEDULED = "scheduled"
REASONS = {  # why a key is replaced; but for the first, heads by a signing key are believed no longer
    SCHEDULED: "its time is up",
    "changed-hands": "somebody who could read it has left, or the machine was given up",
    "feared-stolen": "somebody may have read it who should not have",
}


class SigningKey:
    """An Ed25519 key under the name that its signatures carry; in a file, PKCS#8 PEM, as OpenSSL reads it."""

    __slots__ = ("_sign", "verifier")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._sign = private.sign
        self.verifier = Verifier(name, private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @classmethod
    def elsewhere(cls, name: str, public: bytes, sign: Callable[[bytes], bytes]) -> SigningKey:
        """A key that nobody here holds, and that `sign` asks."""
        key = cls.__new__(cls)
        key._sign, key.verifier = sign, Verifier(name, public)
        return key

    @classmethod
    def create(cls, path: Path, *, name: str) -> SigningKey:
        """Draw a key into a new file. Raises Conflict where one stands."""
        KeyFiles._create(path, _drawn_pem())
        return cls.open(path, name=name)

    @classmethod
    def open(cls, path: Path, *, name: str) -> SigningKey:
        """Raises Missing, Refused when others may read the file, or Malformed."""
        return cls._of(name, path.name, read_own(path))

    @classmethod
    def _of(cls, name: str, file: str, data: bytes) -> SigningKey:
        try:
            private = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm, InternalError) as error:
            raise Malformed(f"signing key {file}: not a PEM private key without a password") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise Malformed(f"signing key {file}: a {type(private).__name__}, wanted Ed25519")
        if data != _pem(private):  # readers of PEM skip what they do not know, and a changed byte would go unseen
            raise Malformed(f"signing key {file}: holds more than the key, or in another form; wanted PKCS#8 PEM")
        return cls(name, private)

    def sign(self, message: bytes) -> bytes:
        return self._sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.verifier})"


class Master(Protocol):
    """What seals the vault's keyring, and opens it; whoever holds one cannot tell what it is."""

    def seal(self, label: str, content: bytes) -> bytes:
        """Deterministic, as `sealing.sealed_blob`."""
        ...

    def open(self, label: str, sealed: bytes) -> bytes:
        """Raises Tampered on another key, label or a changed byte."""
        ...


class MasterKey:
    """The master secret as 32 bytes in memory."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, label: str, content: bytes) -> bytes:
        return sealed_blob(self._secret, label, content)

    def open(self, label: str, sealed: bytes) -> bytes:
        return opened_blob(self._secret, label, sealed)

    def __repr__(self) -> str:
        return "MasterKey()"


class Replaceable(Protocol):
    """The master key as a vault replaces it."""

    def replace(self, reseal: Callable[[Master], None]) -> Master:
        """Draw a new one, have the vault sealed under it by `reseal`, then destroy the old one; the new one.

        When `reseal` raises, both stay, and what the vault opens with tells which one is in use.
        """
        ...


class Place(Protocol):
    """Where keys lie, each in its office. Every step is durable when it returns, and may be found half done."""

    def said(self, office: str) -> str:
        """The key and its place, for messages."""
        ...

    def insist_open(self) -> None:
        """Raises Refused, Missing or Conflict where the place does not open."""
        ...

    def holds(self, office: str) -> bool: ...

    def signing(self, office: str, name: str) -> SigningKey:
        """Raises Missing, Malformed, or Refused where the place does not open."""
        ...

    def draw_signing(self, office: str, name: str) -> SigningKey:
        """Raises Conflict where one stands."""
        ...

    def master(self, office: str) -> Master:
        """As `signing`."""
        ...

    def draw_master(self, office: str) -> Master:
        """As `draw_signing`."""
        ...

    def promote(self, office: str) -> None:
        """Destroy what is in the office, if anything, and put what is next into it."""
        ...

    def destroy(self, office: str) -> None:
        """What is not there is as good as destroyed."""
        ...


class KeyFiles:
    """Keys as they are, in files of a folder.

    A disk may keep the old bytes of a key where no file shows them: where that matters, it belongs in a token.
    """

    _NAMES: ClassVar[dict[str, str]] = {
        LOG: "log.pem",
        NEXT[LOG]: "log.next.pem",
        MASTER: "master",
        NEXT[MASTER]: "master.next",
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def said(self, office: str) -> str:
        return f"key file {self._path(office).name}"

    def insist_open(self) -> None:
        """A folder always does."""

    def holds(self, office: str) -> bool:
        return self._path(office).exists()

    def signing(self, office: str, name: str) -> SigningKey:
        return SigningKey._of(name, self._path(office).name, self._read(office))

    def draw_signing(self, office: str, name: str) -> SigningKey:
        self._write(office, _drawn_pem())
        return self.signing(office, name)

    def master(self, office: str) -> Master:
        secret = self._read(office)
        if len(secret) != SECRET:
            raise Malformed(f"master key {self._path(office).name}: {len(secret)} bytes, wanted {SECRET}")
        return MasterKey(secret)

    def draw_master(self, office: str) -> Master:
        self._write(office, os.urandom(SECRET))
        return self.master(office)

    def promote(self, office: str) -> None:
        os.replace(self._path(NEXT[office]), self._path(office))
        durable.sync_folder(self._folder)

    def destroy(self, office: str) -> None:
        durable.remove(self._path(office))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._folder.name})"

    def _path(self, office: str) -> Path:
        return self._folder / self._NAMES.get(office, office)

    def _read(self, office: str) -> bytes:
        return read_own(self._path(office))

    def _write(self, office: str, content: bytes) -> None:
        self._create(self._path(office), content)

    @staticmethod
    def _create(path: Path, content: bytes) -> None:
        # Not guarded against a second `init` at the same moment: that one holds the archive's writer lock.
        if path.exists():
            raise Conflict(f"key file {path.name} is there already: wanted none, so that no key is overwritten")
        durable.write(path, content, mode=0o600)


class SealedFiles(KeyFiles):
    """Keys in files, sealed under 32 bytes that no file of the machine has: a copy of the folder opens nothing.

    The vault's own key lies within, and not the one that is handed over: a disposal has to destroy what opens the
    vault, and nothing here could destroy what somebody else keeps. `mark` tells the files of one such key from those of
    the next.
    """

    def __init__(self, folder: Path, mark: str, key: bytes | None, said: str) -> None:
        """`key` is None where it was not handed over; `said` is what it is asked for by."""
        super().__init__(folder)
        self._mark, self._key, self._asked = mark, key, said

    def insist_open(self) -> None:
        self._handed_over()

    def _path(self, office: str) -> Path:
        return self._folder / f"{office}.{self._mark}.sealed"

    def _read(self, office: str) -> bytes:
        sealed = super()._read(office)
        try:
            return opened_blob(self._handed_over(), f"provenance key file {self._kind(office)}", sealed)
        except Tampered:
            raise Refused(
                f"{self.said(office)} does not open: {self._asked} has another key, or a byte of the file was changed"
            ) from None

    def _write(self, office: str, content: bytes) -> None:
        super()._write(office, sealed_blob(self._handed_over(), f"provenance key file {self._kind(office)}", content))

    def _kind(self, office: str) -> str:
        return office.partition(".")[0]  # a file keeps its bytes when it is promoted

    def _handed_over(self) -> bytes:
        if self._key is None:
            raise Refused(f"keys are sealed under a key that was not handed over: wanted {self._asked}")
        return self._key


def _drawn_pem() -> bytes:
    return _pem(Ed25519PrivateKey.generate())


def _pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_own(path: Path) -> bytes:
    """A file's bytes, if only its owner may read it; asked of the open file, so that it cannot change meanwhile."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            if mode & 0o077:
                raise Refused(f"key file {path.name} may be read or written by others: mode {mode:04o}, wanted 0600")
            return file.read()
    except FileNotFoundError as error:
        raise Missing(f"key file {path.name} is not there: wanted it in {path.parent.name}") from error
