"""Passwords of people who sign on here: the key file `passwords`, readable by its owner alone.

What is kept is scrypt over a password and a salt of its own, with the cost it was made at. Who writes: `provenance
access password`. If it is lost, passwords are set again. A liar who could edit it could sign on as anybody, as could
whoever edits the key that signs the log, which lies beside it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from provenance import canonical, durable
from provenance.errors import Malformed, Refused
from provenance.keys import read_own

FILE = "passwords"
SHORTEST, LONGEST = 12, 200  # characters; the longest so that nobody has us hash a book
_SALT = _HASH = 32  # bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs; memory is 128 x n x r bytes."""

    n: int
    r: int
    p: int


COST = Cost(n=2**16, r=8, p=2)  # 64 MiB (OWASP Password Storage Cheat Sheet, scrypt; from memory, unverified)


def set_password(keys: Path, user: str, password: str) -> None:
    """Keep this password for `user`, in the place of any before. Raises Refused when it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refused(f"password has {len(password)} characters: wanted {SHORTEST} to {LONGEST}")
    salt, cost = os.urandom(_SALT), COST
    with durable.one_writer(keys):
        kept = _kept(keys)
        kept[user] = {
            "n": cost.n, "r": cost.r, "p": cost.p, "salt": salt.hex(), "hash": _scrypt(password, salt, cost).hex(),
        }  # fmt: skip
        durable.write(keys / FILE, canonical.dumps(kept) + b"\n", mode=0o600)


def is_right(keys: Path, user: str, password: str) -> bool:
    """Whether this is the password of `user`. For a name that has none the same work is done, and it never is."""
    kept = _kept(keys)
    held = kept.get(user)
    stand_in = {"n": COST.n, "r": COST.r, "p": COST.p, "salt": "00" * _SALT, "hash": "00" * _HASH}
    if kept:  # the cost that others were made at, so that the time says nothing
        stand_in |= {key: next(iter(kept.values()))[key] for key in ("n", "r", "p")}
    asked = held or stand_in
    cost = Cost(asked["n"], asked["r"], asked["p"])
    computed = _scrypt(password[:LONGEST], bytes.fromhex(asked["salt"]), cost)
    is_equal = hmac.compare_digest(computed, bytes.fromhex(asked["hash"]))
    return is_equal and held is not None and len(password) <= LONGEST


def _scrypt(password: str, salt: bytes, cost: Cost) -> bytes:
    # One form, since keyboards and systems send accents in two (NIST SP 800-63B, 5.1.1.2; from memory, unverified).
    data = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    memory = 128 * cost.r * (cost.n + cost.p + 2)
    return hashlib.scrypt(data, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=2 * memory, dklen=_HASH)


def _kept(keys: Path) -> dict[str, dict]:
    path = keys / FILE
    if not path.exists():
        return {}
    try:
        kept = canonical.loads(read_own(path).rstrip(b"\n"))
        for each in kept.values():
            Cost(each["n"], each["r"], each["p"])
            if len(bytes.fromhex(each["salt"])) != _SALT or len(bytes.fromhex(each["hash"])) != _HASH:
                raise ValueError
    except (Malformed, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"key file {FILE} is not as it was written: wanted `provenance access password`") from error
    return kept
