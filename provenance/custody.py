"""Where an archive's keys lie, and how one takes over from another.

The folder of keys (FOLDER.keys beside the archive) has, besides what `keys.KeyFiles` keeps in it:

    custody.json  where the keys are: in files, in files sealed under a key that the environment hands over, or in a
                  token; and, while they move, where to. Without it, in files
    log.retired   public keys that signed before, oldest first, a vkey on each line

Keys do not move: a new one is drawn in the new place and takes over there, the signing key as in any rotation, the
master key as in any disposal. In between each lies in one place or the other, both of which are asked, and whatever is
drawn meanwhile is drawn in the new one. So a move can be cut off anywhere, and is completed by moving once more.

Who writes here: `init`, a rotation, a replacement and a move; a disposal, by way of the vault. Without custody.json a
token's keys are looked for in files and found missing: it can be written by hand. Without log.retired, backups of
before a rotation are recognised no longer; a liar who can edit it can have such a backup taken for ours. One who edits
custody.json can name a module that is loaded here: so it is refused, like a key, where others may write it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provenance import durable
from provenance.errors import Conflict, Malformed, Missing, ProvenanceError, Refused
from provenance.hsm import Token
from provenance.keys import LOG, MASTER, NEXT, OFFICES, KeyFiles, Master, Place, SealedFiles, SigningKey, read_own
from provenance.notes import Verifier

FILES, ENVIRONMENT, TOKEN = "files", "environment", "token"
KINDS = (FILES, ENVIRONMENT, TOKEN)
_CUSTODY, _RETIRED = "custody.json", "log.retired"


@dataclass(frozen=True, slots=True, repr=False)
class Unlock:
    """What a door was handed over to open places with; "" for nothing. Never written anywhere."""

    pin: str = ""
    key: str = ""  # 64 hexadecimal digits
    next_pin: str = ""  # of where keys move to; where there is none, `pin` and `key` serve for both
    next_key: str = ""

    def __repr__(self) -> str:
        return "Unlock()"


UNLOCK = {  # what each is called in the environment
    "pin": "PROVENANCE_PIN",
    "key": "PROVENANCE_KEY",
    "next_pin": "PROVENANCE_NEXT_PIN",
    "next_key": "PROVENANCE_NEXT_KEY",
}
NOTHING = Unlock()


@dataclass(frozen=True, slots=True)
class Where:
    """A place for keys, by what finds it."""

    kind: str = FILES
    mark: str = ""  # tells this place's keys from others'; "" for files
    module: str = ""  # path of the device's PKCS#11 library
    token: str = ""  # label of the token

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Malformed(f"custody of keys: not one of {', '.join(KINDS)}")
        if any(bool(said) != (self.kind == TOKEN) for said in (self.module, self.token)):
            raise Malformed("custody of keys: a token has a module and a label, and nothing else has; wanted both")
        if bool(self.mark) != (self.kind != FILES) or not re.fullmatch("[0-9a-z-]*", self.mark):
            raise Malformed("custody of keys: wanted a mark of small letters, digits and dashes, and none for files")

    def is_at(self, other: Where) -> bool:
        """Whether both are one device or folder, whatever their marks."""
        return (self.kind, self.module, self.token) == (other.kind, other.module, other.token)

    @property
    def said(self) -> str:
        return {FILES: "files of the key folder", ENVIRONMENT: "sealed files of the key folder"}.get(
            self.kind, f"token {self.token}"
        )


IN_FILES = Where()


def drawn(kind: str, *, module: str = "", token: str = "") -> Where:
    """A place as none was before. Raises Malformed."""
    return Where(kind, "" if kind == FILES else f"provenance-{os.urandom(4).hex()}", module, token)


class Custody:
    """An archive's keys, wherever they lie; two places while they move, which are the same one otherwise."""

    def __init__(self, folder: Path, unlock: Unlock = NOTHING) -> None:
        """Raises Malformed, or Refused where others may read what says where the keys are. No place is asked yet."""
        self.folder, self._unlock = folder, unlock
        self._read()

    def _read(self) -> None:
        self.where, self.moving = _said(self.folder)
        self._here = _place(self.folder, self.where, self._unlock.pin, self._unlock.key, *_asked(""))
        self._there = self._here
        if self.moving:
            pin, key = self._unlock.next_pin or self._unlock.pin, self._unlock.next_key or self._unlock.key
            self._there = _place(self.folder, self.moving, pin, key, *_asked("next_"))

    def __repr__(self) -> str:
        return f"Custody({self.where.kind}{f' to {self.moving.kind}' if self.moving else ''})"

    @classmethod
    def found(cls, folder: Path, where: Where, *, name: str, unlock: Unlock = NOTHING) -> Custody:
        """Draw both keys where none are; one that was cut off is completed. Raises Conflict where another stands."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (folder / _CUSTODY).exists() and where.kind != FILES:
            _say(folder, where)
        custody = cls(folder, unlock)
        if not custody.where.is_at(where):
            raise Conflict(f"keys lie in {custody.where.said} already: wanted none, so that no key is overwritten")
        if not custody._here.holds(MASTER):
            custody._here.draw_master(MASTER)
        custody._here.draw_signing(LOG, name)
        return custody

    # -- the signing key -----------------------------------------------------------------------------------------------

    def signing(self, name: str) -> SigningKey:
        """The key that signs; where it was cut off in taking over, the one that takes over. Raises Missing."""
        found = next(self._signing(name), None)
        return found or self._here.signing(LOG, name)  # which says what is missing

    def signing_as(self, vkey: Verifier) -> SigningKey:
        """The key of this public half, whether it signs or takes over; where there is none, the one that signs."""
        return next((key for key in self._signing(vkey.name) if key.verifier == vkey), None) or self.signing(vkey.name)

    def following(self, name: str) -> SigningKey | None:
        """The key that takes over, while one does."""
        return self._there.signing(NEXT[LOG], name) if self.is_rotating() else None

    def is_rotating(self) -> bool:
        return self._there.holds(NEXT[LOG])

    def draw_following(self, name: str) -> SigningKey:
        """Raises Conflict where one stands."""
        return self._there.draw_signing(NEXT[LOG], name)

    def drop_following(self) -> None:
        """Destroy the key that was to take over, and never signed."""
        self._there.destroy(NEXT[LOG])

    def succeed(self, name: str) -> None:
        """Put the key that takes over in the place of the one that signs, whose public half is noted first."""
        with contextlib.suppress(Missing):  # destroyed already, and noted before that
            present = self._home(LOG).signing(LOG, name).verifier
            before = self.retired()
            if present not in before:
                lines = "".join(f"{vkey}\n" for vkey in [*before, present])
                durable.write(self.folder / _RETIRED, lines.encode(), mode=0o600)
        self._promote(LOG)

    def said_of_following(self) -> str:
        return self._there.said(NEXT[LOG])

    def said_of_signing(self) -> str:
        return self._home(LOG).said(LOG)

    def signers(self, name: str) -> tuple[Verifier, ...]:
        """Every key that may have signed, as its keeper knows: oldest first, the one that takes over last.

        Raises as `signing`, and Malformed when log.retired is in another form.
        """
        self.signing(name)
        return tuple(dict.fromkeys([*self.retired(), *(key.verifier for key in self._signing(name))]))

    def retired(self) -> list[Verifier]:
        """The keys that signed before the present one, oldest first. Raises Malformed on a list in another form."""
        if not (self.folder / _RETIRED).exists():
            return []
        try:
            return [Verifier.parse(line) for line in read_own(self.folder / _RETIRED).decode().splitlines()]
        except (Malformed, UnicodeDecodeError) as error:
            raise Malformed(
                f"key file {_RETIRED} is not a list of public keys, a vkey on each line: {error}"
            ) from error

    def _signing(self, name: str) -> Iterator[SigningKey]:
        """The one that signs, the one that takes over: as many as there are."""
        for place, office in ((self._home(LOG), LOG), (self._there, NEXT[LOG])):
            with contextlib.suppress(Missing):
                yield place.signing(office, name)

    # -- the master key ------------------------------------------------------------------------------------------------

    def master(self, opens: Callable[[Master], bool]) -> Master:
        """The key that opens the vault, also while another process is replacing it; changes nothing.

        Without a key that opens, the present one, and the vault says what is wrong. Raises as `keys.Place.master`.
        """
        for place, office in ((self._home(MASTER), MASTER), (self._there, NEXT[MASTER])):
            with contextlib.suppress(Missing):
                key = place.master(office)
                if opens(key):
                    return key
        return self._home(MASTER).master(MASTER)

    def recover(self, opens: Callable[[Master], bool]) -> None:
        """Finish or drop an interrupted replacement, whichever of the two keys opens the vault. Only for a writer.

        Raises Refused when neither does: then nothing is touched, since either may be the one that is needed.
        """
        if not self._there.holds(NEXT[MASTER]):
            return
        if opens(self._there.master(NEXT[MASTER])):
            self._promote(MASTER)
        elif opens(self._home(MASTER).master(MASTER)):
            self._there.destroy(NEXT[MASTER])
        else:
            said = self._home(MASTER).said(MASTER)
            raise Refused(f"master key, {said}: neither it nor its successor opens the vault; both are kept")

    def replace(self, reseal: Callable[[Master], None]) -> Master:
        """As `keys.Replaceable`. Raises Conflict after half a replacement, which `recover` completes."""
        if self._there.holds(NEXT[MASTER]):
            raise Conflict("master key: its replacement was interrupted; wanted a recovery first")
        fresh = self._there.draw_master(NEXT[MASTER])
        reseal(fresh)
        self._promote(MASTER)
        return fresh

    # -- moving --------------------------------------------------------------------------------------------------------

    def begin(self, where: Where) -> None:
        """Have whatever is drawn from now on drawn there.

        Begun before for the same place, it goes on. Raises Conflict while keys move elsewhere, or lie there already.
        """
        if self.moving:
            if not self.moving.is_at(where):
                raise Conflict(f"keys are moving to {self.moving.said}: wanted that completed first")
            return
        if where.kind == FILES == self.where.kind:
            raise Conflict("keys lie in files of the key folder already: wanted another place, or a rotation")
        _say(self.folder, self.where, where)
        self._read()
        try:
            self._there.insist_open()
        except ProvenanceError:
            self._end(self.where)
            raise

    def abandon(self) -> None:
        """End a move by which nothing has come there."""
        if self.moving and not any(self._there.holds(office) for office in OFFICES):
            self._end(self.where)

    def has_moved(self, office: str) -> bool:
        """Whether the key in this office lies where keys move to."""
        return self._there.holds(office)

    def settle(self) -> None:
        """End a move by which both keys have come there."""
        if self.moving and self.has_moved(LOG) and self.has_moved(MASTER):
            for office in OFFICES:
                self._here.destroy(office)
            unlock = self._unlock
            self._unlock = Unlock(pin=unlock.next_pin or unlock.pin, key=unlock.next_key or unlock.key)
            self._end(self.moving)

    def refresh(self) -> None:
        """Take in a move that another process began or ended."""
        if _said(self.folder) != (self.where, self.moving):
            self._read()

    def _end(self, where: Where) -> None:
        _say(self.folder, where)
        self._read()

    def _home(self, office: str) -> Place:
        return self._there if self.moving and self._there.holds(office) else self._here

    def _promote(self, office: str) -> None:
        """Destroy what is in the office, and put what was drawn for it into it."""
        if self.moving:
            self._here.destroy(office)
        self._there.promote(office)


def _asked(prefix: str) -> tuple[str, str]:
    return UNLOCK[f"{prefix}pin"], UNLOCK[f"{prefix}key"]


def _place(folder: Path, where: Where, pin: str, key: str, asked_pin: str, asked_key: str) -> Place:
    if where.kind == TOKEN:
        return Token(where.module, where.token, where.mark, pin, asked_pin)
    if where.kind == ENVIRONMENT:
        return SealedFiles(folder, where.mark, _key(key, asked_key), asked_key)
    return KeyFiles(folder)


def _key(said: str, asked: str) -> bytes | None:
    if not said:
        return None
    if not re.fullmatch("[0-9a-fA-F]{64}", said):
        raise Malformed(f"{asked} is not a key: wanted 64 hexadecimal digits, as of `openssl rand -hex 32`")
    return bytes.fromhex(said)


def _said(folder: Path) -> tuple[Where, Where | None]:
    path = folder / _CUSTODY
    if not path.exists():
        return IN_FILES, None
    try:
        said: dict[str, Any] = json.loads(read_own(path))
        moving = said.pop("moving", None)
        return Where(**said), Where(**moving) if moving else None
    except (ValueError, TypeError, AttributeError):
        raise Malformed(f"key file {_CUSTODY} does not say where keys are: wanted it as it was written") from None


def _say(folder: Path, where: Where, moving: Where | None = None) -> None:
    said = asdict(where) | ({"moving": asdict(moving)} if moving else {})
    durable.write(folder / _CUSTODY, json.dumps(said, indent=2).encode() + b"\n", mode=0o600)
