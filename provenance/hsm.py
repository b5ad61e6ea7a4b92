"""Keys in a hardware security module, or in whatever else speaks PKCS#11: drawn there, used there, destroyed there.

Nothing here ever holds a key. The signing key is an Ed25519 pair (CKM_EDDSA); the master key is a generic secret that
answers with HMAC-SHA-256, from which `sealing.sealed_by` has all it needs. Both are sensitive, not extractable, and
may do nothing else. Several archives share a token: `mark` begins the label of each key.

Who writes here: whoever has the token's PIN. If the token is lost, so are both keys, unless the device was backed up by
its own means. PKCS#11 has no step that replaces one key by another: the old one is destroyed, then the new one takes
its label, and who comes in between finds the new one under the label it was drawn with.

Refused: a wrong PIN, tried once and never again by the same process, since a few of them lock a token; a device that
has not the two mechanisms. A message names module and token, never the PIN.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.errors import Conflict, Missing, Refused, Tampered
from provenance.keys import MASTER, NEXT, Master, SigningKey
from provenance.sealing import opened_by, sealed_by

if TYPE_CHECKING:
    from pkcs11 import Attribute, Key, ObjectClass, PrivateKey, PublicKey, Session

_ED25519 = bytes.fromhex("06032b6570")  # the curve's object identifier, 1.3.101.112 (RFC 8410), as CKA_EC_PARAMS
_PUBLIC = 32  # bytes: the last ones of CKA_EC_POINT, which is an octet string
_sessions: dict[tuple[str, str], Session | None] = {}  # by module and token; None once a PIN was refused
# One login a process and token is all that PKCS#11 has, and a session is for one thread at a time.
_turn = threading.RLock()


class Token:
    """One archive's keys in one token."""

    def __init__(self, module: str, token: str, mark: str, pin: str, said: str) -> None:
        """`said` is what the PIN is asked for by. The device is asked nothing yet."""
        # By one name each: a library that is loaded by two would be told twice to begin.
        self._module = os.path.realpath(module)
        self._token, self._mark, self._pin, self._asked = token, mark, pin, said

    def said(self, office: str) -> str:
        return f"key {office} in token {self._token}"

    def insist_open(self) -> None:
        with self._session():
            pass

    def holds(self, office: str) -> bool:
        with self._session() as session:
            return self._find(session, office) is not None

    def signing(self, office: str, name: str) -> SigningKey:
        from pkcs11 import Attribute, Mechanism, ObjectClass

        with self._session() as session:
            private = self._held(session, office)
            id = bytes(private[Attribute.ID])
            public = self._by_id(session, ObjectClass.PUBLIC_KEY, id)
            if public is None:
                raise Missing(f"public half of {self.said(office)} is not there: wanted it under the same id")
            point = bytes(public[Attribute.EC_POINT])[-_PUBLIC:]

        def sign(message: bytes) -> bytes:
            with self._session() as session:
                held = self._by_id(session, ObjectClass.PRIVATE_KEY, id)
                if held is None:  # retired by another process meanwhile
                    raise Missing(f"{self.said(office)} is not there any more: another has taken over")
                return held.sign(message, mechanism=Mechanism.EDDSA)

        return SigningKey.elsewhere(name, point, sign)

    def draw_signing(self, office: str, name: str) -> SigningKey:
        from pkcs11 import Attribute, KeyType, Mechanism

        with self._session(drawing=True) as session:
            self._insist_vacant(session, office)
            curve = session.create_domain_parameters(KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _ED25519}, local=True)
            curve.generate_keypair(
                store=True,
                id=os.urandom(16),
                label=self._label(office),
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                private_template=_only_signs(),
            )
        return self.signing(office, name)

    def master(self, office: str) -> Master:
        from pkcs11 import Attribute

        with self._session() as session:
            return _TokenMaster(self, bytes(self._held(session, office)[Attribute.ID]))

    def draw_master(self, office: str) -> Master:
        from pkcs11 import KeyType, Mechanism

        with self._session(drawing=True) as session:
            self._insist_vacant(session, office)
            session.generate_key(
                KeyType.GENERIC_SECRET,
                256,  # bits
                store=True,
                id=os.urandom(16),
                label=self._label(office),
                mechanism=Mechanism.GENERIC_SECRET_KEY_GEN,
                template=_only_signs(),
            )
        return self.master(office)

    def promote(self, office: str) -> None:
        from pkcs11 import Attribute

        with self._session() as session:
            following = self._held(session, NEXT[office])
            self._destroy(session, office)
            for half in self._halves(session, following):
                half[Attribute.LABEL] = self._label(office)

    def destroy(self, office: str) -> None:
        with self._session() as session:
            self._destroy(session, office)

    def mac(self, id: bytes, message: bytes) -> bytes:
        """HMAC-SHA-256 under the master key of this id. Raises Tampered where it was destroyed: it opens nothing."""
        from pkcs11 import Mechanism, ObjectClass

        with self._session() as session:
            key = self._by_id(session, ObjectClass.SECRET_KEY, id)
            if key is None:
                raise Tampered(f"token {self._token} has that master key no more: it was replaced")
            return key.sign(message, mechanism=Mechanism.SHA256_HMAC)

    def __repr__(self) -> str:
        return f"Token({self._token})"

    def _label(self, office: str) -> str:
        return f"{self._mark} {office}"

    def _find(self, session: Session, office: str) -> Key | None:
        from pkcs11 import Attribute, ObjectClass

        kind = ObjectClass.SECRET_KEY if office in (MASTER, NEXT[MASTER]) else ObjectClass.PRIVATE_KEY
        found = list(session.get_objects({Attribute.CLASS: kind, Attribute.LABEL: self._label(office)}))
        if len(found) > 1:
            raise Conflict(f"{self.said(office)} is there {len(found)} times: wanted one; whose are the others?")
        return found[0] if found else None

    def _held(self, session: Session, office: str) -> Key:
        key = self._find(session, office)
        if key is None:
            raise Missing(f"{self.said(office)} is not there: wanted it under label {self._label(office)}")
        return key

    def _by_id(self, session: Session, kind: ObjectClass, id: bytes) -> Key | None:
        from pkcs11 import Attribute

        found = list(session.get_objects({Attribute.CLASS: kind, Attribute.ID: id}))  # to its end, or it stays open
        return found[0] if found else None

    def _halves(self, session: Session, key: Key) -> list[PrivateKey | PublicKey]:
        """A key, and behind it the public one of the same pair, if it has one."""
        from pkcs11 import Attribute, ObjectClass

        public = self._by_id(session, ObjectClass.PUBLIC_KEY, bytes(key[Attribute.ID]))
        return [key] if public is None else [key, public]

    def _insist_vacant(self, session: Session, office: str) -> None:
        if self._find(session, office) is not None:
            raise Conflict(f"{self.said(office)} is there already: wanted none, so that no key is overwritten")

    def _destroy(self, session: Session, office: str) -> None:
        if (key := self._find(session, office)) is not None:
            for half in self._halves(session, key):  # the private one first: of the public one alone nothing follows
                half.destroy()

    @contextmanager
    def _session(self, *, drawing: bool = False) -> Iterator[Session]:
        """The token, logged in. Raises Missing, Refused or Conflict, which name it and say no more than the kind."""
        with _turn:
            try:
                import pkcs11
            except ImportError:
                raise Missing(
                    "package python-pkcs11 is not installed: wanted for keys in a token, provenance[pkcs11]"
                ) from None
            try:
                yield self._opened()
            except (pkcs11.MechanismInvalid, pkcs11.FunctionNotSupported, pkcs11.AttributeValueInvalid):
                what = "draw Ed25519 keys and generic secrets" if drawing else "sign with Ed25519 and HMAC-SHA-256"
                raise Refused(f"token {self._token} does not {what}: wanted a device that does") from None
            except pkcs11.PKCS11Error as error:
                _sessions.pop((self._module, self._token), None)  # it was taken out, or the device began anew
                raise Conflict(
                    f"token {self._token} does not do what is asked ({type(error).__name__}): wanted it attached and "
                    "ready; try again"
                ) from None

    def _opened(self) -> Session:
        import pkcs11

        at = self._module, self._token
        if at in _sessions and (known := _sessions[at]) is not None:
            return known
        if at in _sessions:
            raise Refused(f"token {self._token} has refused {self._asked}: it is not tried again, which could lock it")
        if not self._pin:
            raise Refused(f"token {self._token} wants a PIN: wanted {self._asked}")
        if not Path(self._module).is_file():
            raise Missing(f"PKCS#11 module {Path(self._module).name} is not there: wanted the library of the device")
        try:
            token = pkcs11.lib(self._module).get_token(token_label=self._token)
            try:
                _sessions[at] = token.open(rw=True, user_pin=self._pin)
            except pkcs11.UserAlreadyLoggedIn:  # by a session that failed, or by something else in this process
                _sessions[at] = token.open(rw=True)
        except (pkcs11.NoSuchToken, pkcs11.MultipleTokensReturned):
            raise Missing(f"token {self._token} is not there, or is there twice: wanted one of that label") from None
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
            _sessions[at] = None
            raise Refused(f"token {self._token} does not open with {self._asked}: wanted its user PIN") from None
        except pkcs11.PinLocked:
            raise Refused(f"token {self._token} is locked after wrong PINs: its security officer unlocks it") from None
        return _sessions[at]


def begin_anew() -> None:
    """In a copy of a process (fork): PKCS #11 wants C_Initialize of each, so it logs in again when it is next asked."""
    with _turn:
        opened = [at for at, session in _sessions.items() if session is not None]
        for module in {module for module, _ in opened}:
            import pkcs11

            pkcs11.lib(module).reinitialize()
        for at in opened:
            del _sessions[at]


class _TokenMaster:
    """The master key, by its id: under which label it lies may change meanwhile."""

    __slots__ = ("_id", "_token")

    def __init__(self, token: Token, id: bytes) -> None:
        self._token, self._id = token, id

    def seal(self, label: str, content: bytes) -> bytes:
        return sealed_by(self._mac, label, content)

    def open(self, label: str, sealed: bytes) -> bytes:
        return opened_by(self._mac, label, sealed)

    def _mac(self, message: bytes) -> bytes:
        return self._token.mac(self._id, message)

    def __repr__(self) -> str:
        return f"MasterKey({self._token})"


def _only_signs() -> dict[Attribute, bool]:
    """What a private or secret key is made as; PKCS#11 counts an HMAC as a signature. Labels are changed later."""
    from pkcs11 import Attribute

    never = (Attribute.EXTRACTABLE, Attribute.DECRYPT, Attribute.UNWRAP, Attribute.DERIVE)
    return {Attribute.SENSITIVE: True, Attribute.SIGN: True, Attribute.MODIFIABLE: True, **dict.fromkeys(never, False)}
