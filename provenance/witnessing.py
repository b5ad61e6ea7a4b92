"""Somebody outside says when they saw the log's head, and that it continued the one they saw before.

Both sides, by mail: `request` and `add` for the archive; `found`, `trust`, `distrust` and `sign` for the witness, who
needs a folder of their own and nothing of the archive. What is mailed is the body of a C2SP tlog-witness request and
its answer, so the same texts do over HTTP. A witness's folder:

    key.pem    the witness's private key, 0600
    vkey       its verifier key, which the force puts into its policy
    logs       a C2SP policy: `log VKEY` for each key whose heads it cosigns; of one log's, the later takes over
    heads/     per log, in a file named for the SHA-256 of its origin: the last head it cosigned, with that line

Who writes there: the witness alone, one process at a time; the head is durable before the cosignature leaves. If the
folder is lost, or set back to an older state by a backup, the witness could be made to cosign a second history without
knowing: then it must not sign again, and starts anew under a new key. A head that is missing is therefore refused, and
not taken for a log never seen. A liar who could edit the folder has the key and can sign anything in its name.

Refused by a witness: a log or a key it does not serve, a key older than the one under which it cosigned last, a request
from another size than it has, a head that is smaller than what it cosigned, and above all a head that does not continue
it. Who stole a key that was replaced could else continue the log with a build of their own, and the force's next head
would then be the one that is refused.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from provenance import durable, merkle
from provenance.errors import Conflict, Malformed, Missing, Refused, Tampered
from provenance.heads import Heads, read_policy
from provenance.keys import SigningKey
from provenance.log import Log
from provenance.notes import Checkpoint, Note, Signature, Verifier, cosign, cosigned_at, cosigner
from provenance.policies import Cosigned, Policy
from provenance.proofs import AddCheckpoint

_DASH = "—"
_OLD = re.compile(r"old [0-9]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_QUOTED = re.compile(r"^\s*(?:>\s?)+")
_LARGEST = 4_000_000  # bytes; a request has two at most, before mail makes it longer
_NO_LOGS = b"quorum none\n"
_EVIDENCE = "keep the request: with the head kept here it shows two histories under one key"


class Logged(Protocol):
    """An archive, or as much of it as is needed here."""

    log: Log

    def signers(self) -> Sequence[Verifier]:
        """The keys that the log was signed with, the present one among them."""
        ...


# ---- the archive's side ----------------------------------------------------------------------------------------------


class Added(NamedTuple):
    """A witness's line that was taken in."""

    size: int
    name: str  # as the policy calls the witness
    at: int  # seconds since 1970, by the witness's clock
    again: bool  # a line of this witness under this head was there already, and stays


class Shown(NamedTuple):
    """A head that was shown outside, and who answered."""

    size: int
    root: bytes
    cosigned: tuple[Cosigned, ...]
    quorum_met: bool
    stamps: tuple[str, ...]  # names of authorities


def request(archive: Logged, *, old: int | None = None) -> bytes:
    """The text to mail to a witness: the head that is open here, and that it continues the head of `old` entries.

    Without `old`, from the last size that a witness of the policy has cosigned, 0 when none has. The head is kept as
    shown before this returns. Raises Malformed when `old` is more than the log has.
    """
    log = archive.log
    if old is None:
        old = max(last_cosigned(archive).values(), default=0)
    if old > log.size:
        raise Malformed(f"request to a witness: from {old} entries, wanted at most the {log.size} of the log")
    body = bytes(AddCheckpoint(old, tuple(log.consistency(old)), log.checkpoint))
    _heads(archive).keep(log.checkpoint, archive.signers())
    return body


def last_cosigned(archive: Logged) -> dict[str, int]:
    """For each witness of the policy, how many entries the largest head has that it cosigned; 0 for none.

    Raises Tampered when one of their lines under a head that was shown does not verify.
    """
    policy, kept = read_policy(archive.log.folder), _heads(archive)
    last = {policy.name_of(witness): 0 for witness in policy.witnesses}
    for size in kept.sizes():
        for verifier, _ in _known(Note.parse(kept.read(size)), policy.witnesses):
            last[policy.name_of(verifier)] = size
    return last


def add(archive: Logged, answer: bytes) -> list[Added]:
    """Take in what a witness answered: its lines alone, or the head with them, as they come out of a mail.

    All of it or none. Lines of keys that the policy does not name are ignored. Raises Refused when there is no other,
    Tampered when a known witness's line is over no head that this log has, Malformed when there is no line at all, and
    Conflict when the answer is the size that the witness has seen, as tlog-witness has it.
    """
    text, lines = _answered(answer)
    policy, kept, vkeys = read_policy(archive.log.folder), _heads(archive), archive.signers()
    known = [(w, line) for line in lines for w in policy.witnesses if line.by(w)]
    if not known:
        wanted = ", ".join(witness.name for witness in policy.witnesses) or "one that log/policy names, which has none"
        raise Refused(f"answer has no line of a known witness: it is by {_names(lines)}, wanted {wanted}")
    taken = []
    for witness, line in known:
        size, note = _answered_head(archive, kept, text, witness, line)
        taken.append((size, note, witness, line))
    added = []
    for size, note, witness, line in taken:
        again = size in kept.sizes() and any(held.by(witness) for held in Note.parse(kept.read(size)).signatures)
        kept.keep(bytes(Note(note.text, (*note.signatures, line))), vkeys)
        added.append(Added(size, policy.name_of(witness), cosigned_at(line.signature), again))
    return added


def shown(archive: Logged) -> list[Shown]:
    """The heads that were shown outside, by size, and who answered; each verified under the policy."""
    policy, kept = policy_of(archive), _heads(archive)
    found = []
    for size in kept.sizes():
        opened = policy.open(kept.read(size))
        stamps = tuple(kept.stamps(size))
        found.append(Shown(size, opened.checkpoint.root, opened.cosigned, opened.quorum_met, stamps))
    return found


def policy_of(archive: Logged) -> Policy:
    """The archive's policy, as the archive itself reads it: with each key that ever signed the log, whatever others are
    told. A rotation at work names the new key there last, and one that was stolen is named there no more.
    """
    policy = read_policy(archive.log.folder)
    for vkey in archive.signers():
        policy = policy.with_log(vkey)
    return policy


def _heads(archive: Logged) -> Heads:
    return Heads(archive.log.folder / "heads")


def _known(note: Note, witnesses: Sequence[Verifier]) -> list[tuple[Verifier, Signature]]:
    """The lines of these witnesses, verified; there may be none."""
    return note.opened(*witnesses) if any(line.by(w) for line in note.signatures for w in witnesses) else []


def _answered_head(archive: Logged, kept: Heads, text: str, witness: Verifier, line: Signature) -> tuple[int, Note]:
    """The head of this log that a witness's line is over, by its size, as it is to be kept without that line."""
    for size in reversed(kept.sizes()):
        note = Note.parse(kept.read(size))
        if _verifies(witness, note.text, line):
            return size, note
    if text and Checkpoint.parse(text).origin != archive.log.vkey.name:
        raise Refused(f"answer is about another log, {Checkpoint.parse(text).origin}: wanted {archive.log.vkey.name}")
    if text and _verifies(witness, text, line):
        head = Checkpoint.parse(text)
        raise Tampered(
            f"{witness.name} cosigned a head that this log has not shown: {head.origin}, {head.size} entries, "
            f"root {head.root.hex()}; stop, and preserve the answer"
        )
    sizes = ", ".join(map(str, kept.sizes())) or "none"
    raise Tampered(f"signature does not verify: by {witness.name}, over no head that was shown (sizes {sizes})")


def _verifies(verifier: Verifier, text: str, line: Signature) -> bool:
    try:
        verifier.verify(text.encode(), line.signature)
    except Tampered:
        return False
    return True


def _names(lines: Sequence[Signature]) -> str:
    return ", ".join(dict.fromkeys(line.name for line in lines))


# ---- the witness's side ----------------------------------------------------------------------------------------------


class OutOfStep(Conflict):
    """A request that starts elsewhere than where the witness is; `size` is what it has, as tlog-witness answers."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class _Seen(NamedTuple):
    """The last head that the witness cosigned, and when; size 0 and time 0 before the first."""

    head: Checkpoint
    at: int
    lines: tuple[Signature, ...] = ()


def found(folder: Path, *, name: str) -> Verifier:
    """Make a folder a witness's, and draw its key. Its vkey is for policies. Raises Conflict where a witness stands.

    One that was cut off is completed with the key that is there, which nobody outside has seen.
    """
    cosigner(Verifier(name, bytes(32)))  # a name that no note could carry is refused before anything is written
    with durable.one_writer(folder):
        if (folder / "vkey").exists():
            raise Conflict(f"folder {folder.name} is a witness's already: wanted a new one, so that no key is lost")
        path = folder / "key.pem"
        key = SigningKey.open(path, name=name) if path.exists() else SigningKey.create(path, name=name)
        durable.write(folder / "logs", _NO_LOGS)
        vkey = cosigner(key.verifier)
        durable.write(folder / "vkey", f"{vkey}\n".encode())
    return vkey


def trust(folder: Path, vkey: str) -> Verifier:
    """Cosign the heads of this log from now on; a log that rotated its key goes on where it was. Raises Malformed.

    Raises Missing where the folder is no witness's, or has forgotten what it saw of that log; Refused for a key that
    is listed and was replaced by one under which the witness has cosigned since.
    """
    log = Verifier.parse(vkey.strip())
    with durable.one_writer(_witness_s(folder)):
        policy = _served(folder)
        listed = policy.with_log(log)
        path = _memory(folder, log.name)
        if log.name in {other.name for other in policy.logs}:
            _refuse_replaced(policy, _seen(folder, log.name), log)
        elif not path.exists():
            durable.write(path, Checkpoint(log.name, 0, merkle.EMPTY_ROOT).text.encode())
        if listed != policy:
            durable.write(folder / "logs", bytes(listed))
    return log


def distrust(folder: Path, vkey: str) -> tuple[Verifier, ...]:
    """Cosign nothing under this key of a log any more; the keys that were taken out, itself the last.

    With the key of the last head that was cosigned go those that it had replaced: they must not come back into force.
    What was seen of the log stays, so that a key which is trusted later goes on from there. Raises Malformed on what
    is no key, Missing for one that is not served here.
    """
    log = Verifier.parse(vkey.strip())
    with durable.one_writer(_witness_s(folder)):
        policy = _served(folder)
        if log not in policy.logs:
            raise Missing(f"key of a log is not served here: {log.key_id.hex()} of {log.name}, so nothing is taken out")
        seen = _seen(folder, log.name)
        last = any(line.by(log) for line in seen.lines)
        gone = [*(_replaced(policy, seen) if last else ()), log]
        for key in gone:
            policy = policy.without_log(key)
        durable.write(folder / "logs", bytes(policy))
    return tuple(gone)


def sign(folder: Path, body: bytes, *, at: int) -> bytes:
    """The witness's line under the head in a request, if it continues the last one that it cosigned.

    What is to be remembered is on disk before this returns. `at` is in seconds since 1970. Raises Malformed on what is
    no request; Refused for a log or a key that is not served, or a key that was replaced; OutOfStep, with the size that
    is kept here, when the request starts elsewhere; Conflict when the clock was set back; Tampered when a signature is
    bad or the head does not continue the one that is kept: then the request is evidence.
    """
    asked = _requested(body)
    with durable.one_writer(_witness_s(folder)):
        served = _served(folder)
        note, key, by_log = _admitted(served, asked)
        head = asked.head
        seen = _seen(folder, head.origin)
        _refuse_replaced(served, seen, key)
        if head.size == seen.head.size and head.root != seen.head.root:
            raise Tampered(
                f"log has two heads of {head.size} entries: root {head.root.hex()}, "
                f"cosigned before as {seen.head.root.hex()}; {_EVIDENCE}"
            )
        if head.size < seen.head.size:
            raise OutOfStep(
                f"head is smaller than what was cosigned: {head.size} entries, wanted at least the {seen.head.size} "
                "seen here; an old request, or a log that was rolled back",
                seen.head.size,
            )
        if asked.old != seen.head.size:
            raise OutOfStep(
                f"request does not start where this witness is: from {asked.old} entries, wanted {seen.head.size}",
                seen.head.size,
            )
        if at < seen.at:
            raise Conflict(f"clock was set back: it says {at}, wanted at least {seen.at}, the last cosignature's time")
        try:
            asked.check(seen.head.root)
        except Tampered as error:
            raise Tampered(f"{error}; {_EVIDENCE}") from error
        line = cosign(asked.checkpoint, _key(folder), at)
        durable.write(_memory(folder, head.origin), bytes(Note(note.text, (by_log, line))))
    return str(line).encode()


def _witness_s(folder: Path) -> Path:
    if not (folder / "vkey").exists():
        raise Missing(
            f"folder {folder.name} is no witness's: wanted the file vkey; `provenance witness init` makes one"
        )
    return folder


def _vkey(folder: Path) -> Verifier:
    return Verifier.parse((folder / "vkey").read_bytes().decode("utf-8", "replace").removesuffix("\n"))


def _key(folder: Path) -> SigningKey:
    vkey = _vkey(folder)
    key = SigningKey.open(folder / "key.pem", name=vkey.name)
    if cosigner(key.verifier) != vkey:
        raise Tampered(f"witness's key is not the one it is known by: {folder.name}/key.pem, wanted that of {vkey}")
    return key


def _served(folder: Path) -> Policy:
    try:
        return Policy.parse((folder / "logs").read_bytes())
    except FileNotFoundError:
        raise Missing(f"list of logs is not there: wanted {folder.name}/logs") from None


def _replaced(served: Policy, seen: _Seen) -> list[Verifier]:
    """The keys of a log that are served and older than the one under which its last head was cosigned.

    None where that one is served no longer: `distrust` has taken those before it out as well.
    """
    keys = [key for key in served.logs if key.name == seen.head.origin]
    at = next((at for at, key in enumerate(keys) if any(line.by(key) for line in seen.lines)), 0)
    return keys[:at]


def _refuse_replaced(served: Policy, seen: _Seen, key: Verifier) -> None:
    if key in _replaced(served, seen):
        raise Refused(
            f"key of the log was replaced: {key.key_id.hex()} of {key.name}, and the head of {seen.head.size} entries "
            "was cosigned under a later one; if a request came under it, keep the request and ask the force who has "
            "the old key"
        )


def _admitted(served: Policy, asked: AddCheckpoint) -> tuple[Note, Verifier, Signature]:
    """The head in a request, the key that is served and signed it, and its one good line."""
    note, origin = Note.parse(asked.checkpoint), asked.head.origin
    keys = [log for log in served.logs if log.name == origin]
    if not keys:
        raise Refused(f"log is not served here: {origin}; `provenance witness trust` adds one by its key")
    by_log = [line for line in note.signatures if any(line.by(key) for key in keys)]
    if not by_log:
        wanted = " or ".join(key.key_id.hex() for key in keys)
        raise Refused(f"head is signed by no key that is served here for {origin}: wanted {wanted}")
    return note, served.open(asked.checkpoint).log, by_log[0]


def _memory(folder: Path, origin: str) -> Path:
    return folder / "heads" / hashlib.sha256(origin.encode()).hexdigest()


def _seen(folder: Path, origin: str) -> _Seen:
    """What this witness remembers of a log that it serves."""
    path = _memory(folder, origin)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Missing(
            f"head that was cosigned last is not there: wanted {folder.name}/heads/{path.name} for {origin}; a witness "
            "that has forgotten a log must not sign for it again: make another, with a new key"
        ) from None
    try:
        if b"\n\n" not in data:  # as `trust` leaves it
            seen = _Seen(Checkpoint.parse(data.decode()), 0)
            sound = seen.head == Checkpoint(origin, 0, merkle.EMPTY_ROOT)
        else:
            note = Note.parse(data)
            at = cosigned_at(note.opened(_vkey(folder))[0][1].signature)
            seen = _Seen(Checkpoint.parse(note.text), at, tuple(note.signatures))
            sound = seen.head.origin == origin
    except (Malformed, UnicodeDecodeError) as error:
        raise Tampered(f"head that was cosigned last does not verify: {folder.name}/heads/{path.name}") from error
    if not sound:
        raise Tampered(f"head that was cosigned last is another log's: {folder.name}/heads/{path.name}, not {origin}")
    return seen


# ---- what mail does to a text ----------------------------------------------------------------------------------------


def _requested(data: bytes) -> AddCheckpoint:
    """A request as it was sent, or as it came out of a mail."""
    try:
        return AddCheckpoint.parse(data)
    except Malformed as error:
        lines = _lines(data)
        start = next((at for at, line in enumerate(lines) if _OLD.fullmatch(line)), None)
        if start is None:
            raise error
    parts = list(_paragraphs(lines[start:]))
    if len(parts) < 3:
        raise Malformed(
            f"request to a witness: {len(parts)} paragraphs, wanted the size and digests, the head and its signatures"
        )
    opening, head, signatures = parts[:3]
    return AddCheckpoint.parse(_text(opening) + b"\n" + _text(head) + b"\n" + _text(_unfolded(signatures)))


def _answered(data: bytes) -> tuple[str, list[Signature]]:
    """The signature lines in an answer, and the head that it repeats, "" when it does not."""
    parts = list(_paragraphs(_lines(data)))
    signed = [at for at, part in enumerate(parts) if part[0].startswith(_DASH)]
    if not signed:
        if len(parts) == 1 and len(parts[0]) == 1 and _SIZE.fullmatch(parts[0][0]):
            size = parts[0][0]
            raise Conflict(
                f"witness is at another size and cosigned nothing: it has seen {size} entries; "
                f"ask again with `provenance witness request --old {size}`"
            )
        raise Malformed(f"answer of a witness: no signature line, wanted one that starts with an em dash ({_DASH})")
    lines = [line for at in signed for line in _unfolded(parts[at])]
    signatures = list(Note.parse(b"answer\n\n" + _text(lines)).signatures)
    text = _text(parts[signed[0] - 1]).decode() if signed[0] else ""
    try:
        Checkpoint.parse(text)
    except Malformed:  # words of the person who wrote the mail
        text = ""
    return text, signatures


def _lines(data: bytes) -> list[str]:
    """The lines of a mail or of a file out of one, without what quoting and line ends add.

    What is read so is read strictly afterwards, and a signature is over it; nothing is believed for being readable.
    """
    if len(data) > _LARGEST:
        raise Malformed(f"text from a mail: {len(data)} bytes, wanted at most {_LARGEST}")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"  # a redirect of PowerShell
    try:
        whole = data.decode(encoding)
    except UnicodeDecodeError:
        whole = data.decode("cp1252", "replace")  # an old mail program; it has the em dash too
    whole = whole.removeprefix("\ufeff").replace("\xa0", " ")
    return [_QUOTED.sub("", line).strip() for line in re.split(r"\r\n|\r|\n", whole)]


def _paragraphs(lines: Sequence[str]) -> Iterator[list[str]]:
    """Runs of lines that are not empty."""
    for filled, run in itertools.groupby(lines, bool):
        if filled:
            yield list(run)


def _unfolded(lines: Sequence[str]) -> list[str]:
    """Signature lines, each on one line again where a mail program broke it."""
    unfolded: list[list[str]] = []
    for word in " ".join(lines).split():
        if word == _DASH or not unfolded:
            unfolded.append([word])
        else:
            unfolded[-1].append(word)
    return [" ".join(words[:2] + ["".join(words[2:])] * (len(words) > 2)) for words in unfolded]


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
