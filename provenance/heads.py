"""Every head of the log that somebody outside was shown, with what they said of it.

    heads/SIZE             the signed note: the log's one signature, then witnesses' lines as they came
    heads/SIZE.NAME.tsr    a raw RFC 3161 response of the authority NAME over the note with the log's signature alone

A head that was shown cannot be taken back, so it is kept before it leaves: what the log is now has to continue each of
them. A witness's line that comes later is added; nothing that is there is changed, and the time stamps are over what
does not change.

Who writes here: whoever shows a head (`witness request`, `checkpoint`, `timestamp`, a pack) and whoever takes in an
answer; one at a time, under the folder's writer lock. If it is lost, so is the evidence that outsiders saw the log, but
for the copies that they keep. A liar who could edit it could take evidence away, which is why what was published is
kept by others; he could add none, since each line is verified under the key of whoever is said to have written it.

Refused: a note that the log did not sign exactly once, another root (or another text) under a size that was shown.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from provenance import durable
from provenance.errors import Malformed, Missing, ProvenanceError, Tampered
from provenance.log import Log
from provenance.notes import Checkpoint, Note, Signature, Verifier
from provenance.policies import Policy

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_AUTHORITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_STAMP = re.compile(rf"({_SIZE.pattern})\.({_AUTHORITY.pattern})\.tsr")
_WORK = re.compile(r"\.writer|\..+\.[0-9]+\.part")  # of durable: the lock, and what a crash leaves of a write


class Heads:
    """The folder `log/heads`; it need not be there until something is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, note: bytes, vkeys: Sequence[Verifier]) -> Path:
        """Make a head durable, with the lines of witnesses under it that are not there yet.

        `vkeys` are the log's keys. The log's signature that was kept first stays, whatever key signs the head now.
        Who wrote the other lines is for the caller to have checked. Raises Malformed, or Tampered when the log did
        not sign the note exactly once or another head of that size was shown.
        """
        head, signed = _signed(note, vkeys)
        path = self.folder / str(Checkpoint.parse(head.text).size)
        with durable.one_writer(self.folder):
            held = b""
            with contextlib.suppress(FileNotFoundError):
                held = path.read_bytes()
                signed = _merged(_signed(held, vkeys), head, signed, path)
            if bytes(signed) != held:
                durable.write(path, bytes(signed))
        return path

    def sizes(self) -> list[int]:
        """Of the heads that are kept, ascending."""
        return sorted(int(name) for name in self._names() if _SIZE.fullmatch(name))

    def read(self, size: int) -> bytes:
        """The head of that size, with all its lines, not verified. Raises Missing."""
        try:
            return (self.folder / str(size)).read_bytes()
        except FileNotFoundError:
            raise Missing(f"no head of {size} entries was shown to anyone: wanted {self._named(str(size))}") from None

    def stamps(self, size: int) -> dict[str, bytes]:
        """Raw RFC 3161 responses over the head of that size, not verified, by the authority's name, in its order."""
        found = (_STAMP.fullmatch(name) for name in sorted(self._names()))
        return {match[2]: (self.folder / match[0]).read_bytes() for match in found if match and match[1] == str(size)}

    def add_stamp(self, size: int, name: str, raw: bytes) -> Path:
        """Make a time stamp over the head of that size durable; what it says is for the caller to have judged.

        One that is there already stays, since it is the older one; its path is the answer then as well. Raises
        Missing without that head, Malformed on a name that is no file's.
        """
        check_authority(name)
        self.read(size)
        path = self.folder / f"{size}.{name}.tsr"
        with durable.one_writer(self.folder):
            if not path.exists():
                durable.write(path, raw)
        return path

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []

    def _named(self, name: str) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}/{name}"


def check_authority(name: str) -> None:
    """Raises Malformed unless a time-stamping authority's name can stand in a file's."""
    if not _AUTHORITY.fullmatch(name):
        raise Malformed("name of an authority: wanted 1 to 64 letters, digits, dashes and underscores")


def bare(note: bytes, vkeys: Sequence[Verifier]) -> bytes:
    """The head with the log's signature alone: what time stamps are over. Raises as `Heads.keep`."""
    head, signed = _signed(note, vkeys)
    return bytes(Note(head.text, signed.signatures[:1]))


def read_policy(log: Path) -> Policy:
    """The policy that lies in a log's folder. Raises Missing, or Malformed naming the line."""
    try:
        data = (log / "policy").read_bytes()
    except FileNotFoundError:
        raise Missing(
            f"policy is not there: wanted {log.name}/policy, with a line `log VKEY` for each key of the log, "
            "`witness NAME VKEY` for each witness, and `quorum none` or a quorum of them"
        ) from None
    return Policy.parse(data)


def faults(log: Log, vkeys: Sequence[Verifier], policy: Policy) -> Iterator[str]:
    """What is wrong with the heads that were shown: "" for each that is right, a sentence for each fault.

    A head is right when one of `vkeys` signed it exactly once, the log has that root at that size, and every line of
    a witness in the policy verifies. Anything else in the folder is a fault, but for what `durable` needs to work.
    What a time stamp says is judged elsewhere.
    """
    kept = Heads(log.folder / "heads")
    sizes = set(kept.sizes())
    if max(sizes, default=0) > log.size:  # perhaps the log has grown, and was shown, since `log` read its head
        log = Log.open(log.folder, vkey=log.vkey)
    for name in sorted(kept._names(), key=lambda name: (len(name), name)):
        stamp = _STAMP.fullmatch(name)
        if (stamp and int(stamp[1]) in sizes and (kept.folder / name).is_file()) or _WORK.fullmatch(name):
            continue
        if not _SIZE.fullmatch(name) or not (kept.folder / name).is_file():
            yield f"head that was shown: {kept._named(name)} is neither a head nor a time stamp over one"
            continue
        try:
            _check(kept.read(int(name)), int(name), log, vkeys, policy)
        except ProvenanceError as error:
            yield f"head that was shown: {kept._named(name)}: {error}"
        else:
            yield ""


def _check(note: bytes, size: int, log: Log, vkeys: Sequence[Verifier], policy: Policy) -> None:
    head, signed = _signed(note, vkeys)
    if bytes(signed) != note:
        raise Tampered("the log's signature is not the first line, or a witness has two: wanted it as it was kept")
    checkpoint = Checkpoint.parse(head.text)
    if checkpoint.size != size:
        raise Tampered(f"a head of {checkpoint.size} entries, wanted the {size} of its file's name")
    if size > log.size:
        raise Tampered(f"log was rolled back: {log.size} entries, wanted the {size} that were shown")
    past = log.root_at(size)
    if past != checkpoint.root:
        raise Tampered(
            f"log was rewritten: its first {size} entries have root {past.hex()}, shown as {checkpoint.root.hex()}"
        )
    if policy.witnesses:
        known = [line for line in head.signatures if any(line.by(witness) for witness in policy.witnesses)]
        if known:
            Note(head.text, tuple(known)).opened(*policy.witnesses)


def _signed(note: bytes, vkeys: Sequence[Verifier]) -> tuple[Note, Note]:
    """A note as it is; and as it is kept: the log's one good signature, then one line of each other key."""
    head = Note.parse(note)
    opened = head.opened(*vkeys)
    if len(opened) != 1:
        raise Tampered(f"checkpoint: {len(opened)} signatures by the log, wanted exactly 1 of {opened[0][0].name}")
    verifier, signature = opened[0]
    origin = Checkpoint.parse(head.text).origin
    if origin != verifier.name:
        raise Tampered(f"checkpoint: origin {origin}, wanted the log's own, {verifier.name}")
    others = [line for line in head.signatures if line is not signature]
    return head, Note(head.text, _once([signature, *others]))


def _merged(held: tuple[Note, Note], head: Note, signed: Note, path: Path) -> Note:
    """The head that is kept with the lines that are new; the log's signature in it is the one that was shown."""
    if held[0].text != head.text:
        there, here = (Checkpoint.parse(note.text) for note in (held[0], head))
        raise Tampered(
            f"another head of {here.size} entries was shown before: root {here.root.hex()}, "
            f"kept as {there.root.hex()} in {path.parent.name}/{path.name}"
        )
    return Note(head.text, _once([*held[1].signatures, *signed.signatures[1:]]))


def _once(lines: Sequence[Signature]) -> tuple[Signature, ...]:
    """The first line of each key."""
    first: dict[tuple[str, bytes], Signature] = {}
    for line in lines:
        first.setdefault((line.name, line.key_id), line)
    return tuple(first.values())
