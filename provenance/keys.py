"""The two secrets of an archive that are never in its backups: what signs, and what opens the vault.

    log.pem       signs the log's heads, build statements and certificates
    log.next.pem  takes over from it; there only while a rotation is at work, or was cut off
    log.retired   public keys that signed before, oldest first, a vkey on each line
    master        opens the vault

Each lies in a file that only its owner may read. A file that others may read is refused, whatever it holds. A key
never shows itself: not in `repr`, not in an error.

Who writes here: `init`, a rotation, which replaces the signing key, and a disposal, which replaces the master key. If
the signing key is lost, nothing more can be logged under its name; if the master key is lost, no row can be read again;
without log.retired, backups of before a rotation are recognised no longer. A liar who can read the signing key can sign
a second history, which is what witnesses are for; one who can edit log.retired can have such a backup taken for ours.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

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
from provenance.errors import Conflict, Malformed, Missing, Refused
from provenance.notes import Verifier

SIGNING, NEXT, _RETIRED = "log.pem", "log.next.pem", "log.retired"  # files, see above
SCHEDULED = "scheduled"
REASONS = {  # why the signing key is replaced; but for the first, its heads are believed no longer
    SCHEDULED: "its time is up",
    "changed-hands": "somebody who could read it has left, or the machine was given up",
    "feared-stolen": "somebody may have read it who should not have",
}
_SECRET = 32  # bytes


class SigningKey:
    """An Ed25519 key under the name that its signatures carry; in a file, PKCS#8 PEM, as OpenSSL reads it."""

    __slots__ = ("_private", "verifier")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.verifier = Verifier(name, private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @classmethod
    def create(cls, path: Path, *, name: str) -> SigningKey:
        """Draw a key into a new file. Raises Conflict where one stands."""
        key = cls(name, Ed25519PrivateKey.generate())
        _create(path, _pem(key._private))
        return key

    @classmethod
    def open(cls, path: Path, *, name: str) -> SigningKey:
        """Raises Missing, Refused when others may read the file, or Malformed."""
        data = read_own(path)
        try:
            private = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm, InternalError) as error:
            raise Malformed(f"signing key {path.name}: not a PEM private key without a password") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise Malformed(f"signing key {path.name}: a {type(private).__name__}, wanted Ed25519")
        if data != _pem(private):  # readers of PEM skip what they do not know, and a changed byte would go unseen
            raise Malformed(f"signing key {path.name}: holds more than the key, or in another form; wanted PKCS#8 PEM")
        return cls(name, private)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.verifier})"


def log_signers(folder: Path, *, name: str) -> tuple[Verifier, ...]:
    """Every key that may have signed for this archive, as its keeper knows: oldest first, the next one last.

    Raises as `SigningKey.open`, and Malformed when log.retired is in another form.
    """
    found = list(retired(folder))
    for file in (SIGNING, NEXT):
        if file == SIGNING or (folder / file).exists():
            found.append(SigningKey.open(folder / file, name=name).verifier)
    return tuple(dict.fromkeys(found))


def succeed(folder: Path, *, name: str) -> None:
    """Put the next signing key in the place of the present one, of which the public half is noted first."""
    present = SigningKey.open(folder / SIGNING, name=name).verifier
    before = retired(folder)
    if present not in before:
        durable.write(folder / _RETIRED, "".join(f"{vkey}\n" for vkey in [*before, present]).encode(), mode=0o600)
    os.replace(folder / NEXT, folder / SIGNING)
    durable.sync_folder(folder)


def retired(folder: Path) -> list[Verifier]:
    """The keys that signed before the present one, oldest first. Raises Malformed on a list in another form."""
    if not (folder / _RETIRED).exists():
        return []
    try:
        return [Verifier.parse(line) for line in read_own(folder / _RETIRED).decode().splitlines()]
    except (Malformed, UnicodeDecodeError) as error:
        raise Malformed(f"key file {_RETIRED} is not a list of public keys, a vkey on each line: {error}") from error


def _pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


Secret = bytes  # 32 of them; a name of its own, because `bytes` below is the property


class MasterSecret(Protocol):
    """What opens the vault: a file here; elsewhere a PKCS#11 token or a cloud key service that unwraps it."""

    @property
    def bytes(self) -> Secret:
        """Never written to a file that lies with the vault, or in a backup of it."""
        ...

    def replace(self, reseal: Callable[[Secret], None]) -> None:
        """Draw a new secret, have the vault sealed under it by `reseal`, then destroy the old one."""
        ...


class MasterKey:
    """The master secret as 32 random bytes in a file.

    `replace` writes the new key beside the old, `reseal` makes the vault durable under it, and then it takes the old
    one's place; so at each moment the key that opens the vault is on disk. A disk may keep the old bytes where no
    file shows them: where that matters, the key belongs in a token.
    """

    __slots__ = ("_bytes", "_path")

    def __init__(self, path: Path, secret: Secret) -> None:
        self._path = path
        self._bytes = secret

    @classmethod
    def create(cls, path: Path) -> MasterKey:
        """Draw a key into a new file. Raises Conflict where one stands."""
        _create(path, os.urandom(_SECRET))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> MasterKey:
        """Raises Missing, Refused when others may read the file, Malformed, or Conflict after half a replacement."""
        if _successor(path).exists():
            raise Conflict(f"master key {path.name}: its replacement was interrupted; wanted a recovery first")
        return cls(path, _secret(path))

    @classmethod
    def in_use(cls, path: Path, opens: Callable[[Secret], bool]) -> MasterKey:
        """The key that opens the vault, also while another process is replacing it; changes nothing.

        Raises as `open` does; without a key that opens, the present one, and the vault says what is wrong.
        """
        for candidate in (path, _successor(path)):
            with contextlib.suppress(Missing):
                secret = _secret(candidate)
                if opens(secret):
                    return cls(path, secret)
        return cls(path, _secret(path))

    @classmethod
    def recover(cls, path: Path, opens: Callable[[Secret], bool]) -> MasterKey:
        """Finish or drop an interrupted replacement, whichever of the two keys opens the vault.

        Raises Refused when neither does: then nothing is touched, since either may be the one that is needed.
        """
        successor = _successor(path)
        if successor.exists():
            if opens(_secret(successor)):
                _succeed(path)
            elif opens(_secret(path)):
                durable.remove(successor)
            else:
                raise Refused(f"master key {path.name}: neither it nor its successor opens the vault; both are kept")
        return cls.open(path)

    @property
    def bytes(self) -> Secret:
        return self._bytes

    def replace(self, reseal: Callable[[Secret], None]) -> None:
        """As MasterSecret has it. When `reseal` raises, both keys stay, and `recover` tells which one is in use."""
        successor = _successor(self._path)
        _create(successor, os.urandom(_SECRET))
        fresh = _secret(successor)
        reseal(fresh)
        _succeed(self._path)
        self._bytes = fresh

    def __repr__(self) -> str:
        return f"MasterKey({self._path.name})"


def _successor(path: Path) -> Path:
    return path.with_name(path.name + ".next")


def _succeed(path: Path) -> None:
    os.replace(_successor(path), path)
    durable.sync_folder(path.parent)


def _secret(path: Path) -> Secret:
    secret = read_own(path)
    if len(secret) != _SECRET:
        raise Malformed(f"master key {path.name}: {len(secret)} bytes, wanted {_SECRET}")
    return secret


def _create(path: Path, content: bytes) -> None:
    # Not guarded against a second `init` at the same moment: that one holds the archive's writer lock.
    if path.exists():
        raise Conflict(f"key file {path.name} is there already: wanted none, so that no key is overwritten")
    durable.write(path, content, mode=0o600)


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
