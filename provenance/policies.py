"""Who must have signed a head for it to be believed: the logs, the witnesses outside, and how many of them.

C2SP tlog-policy (c2sp.org/tlog-policy), one line each:

    log VKEY [URL]
    witness NAME VKEY [URL]
    group NAME all|any|K NAME...
    quorum NAME|none

A policy is kept as it was written, comments too, because people keep it by hand. Refused: a line of another kind, a
name used twice or not defined above, one key in two lines, a witness that could count twice, no quorum or two, and a
signature type that is not verified here, since a witness who cannot be checked cannot be counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from provenance.errors import Malformed, Tampered
from provenance.notes import COSIGNATURE, ED25519, Checkpoint, Note, Verifier, cosigned_at, decode_decimal

_LARGEST = 1_000_000  # bytes
_MOST_LINES = 1_000  # the format asks for 32 logs, 32 witnesses and 32 groups at least
_FORBIDDEN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_NONE = b"none"
_KINDS = {b"log": ED25519, b"witness": COSIGNATURE}


class Cosigned(NamedTuple):
    """A witness's verified line under a head."""

    name: str  # as the policy calls the witness
    witness: Verifier
    at: int  # seconds since 1970, by the witness's clock


@dataclass(frozen=True, slots=True)
class Opened:
    """A head that verified under a policy."""

    checkpoint: Checkpoint
    log: Verifier  # which of the policy's logs signed it
    cosigned: tuple[Cosigned, ...]  # in the note's order
    quorum_met: bool


class _Group(NamedTuple):
    threshold: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as written, `text`, and what it says. Two that say the same in other words are not equal."""

    text: bytes
    logs: tuple[Verifier, ...] = field(init=False, compare=False)
    witnesses: tuple[Verifier, ...] = field(init=False, compare=False)
    quorum: str = field(init=False, compare=False)  # a name of the policy, or "none"
    _names: dict[Verifier, bytes] = field(init=False, compare=False, repr=False)
    _groups: dict[bytes, _Group] = field(init=False, compare=False, repr=False)
    _quorum: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        read = _Reader(self.text)
        for name, value in (
            ("logs", tuple(read.logs)),
            ("witnesses", tuple(read.witnesses)),
            ("quorum", _shown(read.quorum)),
            ("_names", read.witnesses),
            ("_groups", read.groups),
            ("_quorum", read.quorum),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def parse(cls, data: bytes) -> Policy:
        """Raises Malformed naming the line. Names are octets, compared as such, and shown as UTF-8."""
        return cls(bytes(data))

    def __bytes__(self) -> bytes:
        return self.text

    def name_of(self, witness: Verifier) -> str:
        """What the policy calls one of its witnesses."""
        return _shown(self._names[witness])

    def with_log(self, log: Verifier) -> Policy:
        """The policy with a line more for this log, after those it has; itself where it has it already."""
        if log in self.logs:
            return self
        lines = self.text.splitlines(keepends=True)
        last = max((at for at, line in enumerate(lines) if line.split()[:1] == [b"log"]), default=-1)
        return Policy(b"".join([*lines[: last + 1], f"log {log}\n".encode(), *lines[last + 1 :]]))

    def without_log(self, log: Verifier) -> Policy:
        """The policy without its line for this log, if it has one."""
        lines = self.text.splitlines(keepends=True)
        return Policy(b"".join(line for line in lines if line.split()[:2] != [b"log", str(log).encode()]))

    def open(self, note: bytes) -> Opened:
        """A head that exactly one of the logs signed, once, and the verified lines of the policy's witnesses.

        Lines of other keys are no news. Raises Malformed on a note in another form; Tampered when a line of a known
        key does not verify, when the logs' signatures are not one, and when the origin is not that log's name.
        Whether the witnesses are enough is for the caller: `quorum_met`, or `insist`.
        """
        parsed = Note.parse(note)
        opened = parsed.opened(*self.logs, *self.witnesses)
        by_log = [verifier for verifier, _ in opened if verifier in self.logs]
        if len(by_log) != 1:
            wanted = " or ".join(sorted({log.name for log in self.logs})) or "a log, and the policy names none"
            raise Tampered(f"checkpoint: {len(by_log)} signatures by the log, wanted exactly 1 of {wanted}")
        checkpoint = Checkpoint.parse(parsed.text)
        if checkpoint.origin != by_log[0].name:
            raise Tampered(f"checkpoint: origin {checkpoint.origin}, wanted the log's own, {by_log[0].name}")
        cosigned = tuple(
            Cosigned(self.name_of(verifier), verifier, cosigned_at(line.signature))
            for verifier, line in opened
            if verifier in self._names
        )
        return Opened(checkpoint, by_log[0], cosigned, self.is_met_by([line.witness for line in cosigned]))

    def insist(self, note: bytes) -> Opened:
        """As `open`, and Tampered when too few of the witnesses signed it."""
        opened = self.open(note)
        if not opened.quorum_met:
            names = ", ".join(dict.fromkeys(line.name for line in opened.cosigned)) or "no witness"
            raise Tampered(
                f"checkpoint lacks its witnesses: cosigned by {names}, wanted the quorum {self.quorum} of the policy"
            )
        return opened

    def is_met_by(self, witnesses: Sequence[Verifier]) -> bool:
        """Whether cosignatures of these witnesses make the quorum."""
        seen = {self._names[witness] for witness in witnesses} | {_NONE}
        for name, group in self._groups.items():  # a group names only what stands above it
            if sum(member in seen for member in group.members) >= group.threshold:
                seen.add(name)
        return self._quorum in seen


class _Reader:
    """What the lines of a policy say, in their order."""

    def __init__(self, data: bytes) -> None:
        self.logs: dict[Verifier, bytes] = {}
        self.witnesses: dict[Verifier, bytes] = {}
        self.groups: dict[bytes, _Group] = {}
        self.quorum = b""
        self._defined = {_NONE}
        self._members: set[bytes] = set()
        if len(data) > _LARGEST:
            raise Malformed(f"policy: {len(data)} bytes, wanted at most {_LARGEST}")
        *lines, rest = data.split(b"\n")
        if rest:
            raise Malformed("policy: the last line does not end in a newline, wanted each line to")
        if len(lines) > _MOST_LINES:
            raise Malformed(f"policy: {len(lines)} lines, wanted at most {_MOST_LINES}")
        for number, line in enumerate(lines, 1):
            if _FORBIDDEN.search(line):
                raise Malformed(f"policy: line {number} has a control character, wanted none but tabs")
            words = [word for word in re.split(rb"[ \t]+", line) if word]
            if words and not words[0].startswith(b"#"):
                try:
                    self._read(words[0], words[1:])
                except Malformed as error:
                    raise Malformed(f"policy: line {number}: {error}") from error
        if not self.quorum:
            raise Malformed("policy: no quorum, wanted one line `quorum NAME` or `quorum none`")

    def _read(self, kind: bytes, words: list[bytes]) -> None:
        if kind == b"log" and len(words) in (1, 2):
            self._key(kind, self.logs, words[0], b"")
        elif kind == b"witness" and len(words) in (2, 3):
            self._define(words[0])
            self._key(kind, self.witnesses, words[1], words[0])
        elif kind == b"group" and len(words) > 2:
            self._group(*words)
        elif kind == b"quorum" and len(words) == 1:
            if self.quorum:
                raise Malformed("a second quorum, wanted one")
            self.quorum = self._known(words[0])
        else:
            raise Malformed(
                "wanted `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME all|any|K NAME...` or `quorum NAME`"
            )

    def _key(self, kind: bytes, keys: dict[Verifier, bytes], vkey: bytes, name: bytes) -> None:
        try:
            verifier = Verifier.parse(vkey.decode())
        except UnicodeDecodeError as error:
            raise Malformed("verifier key: not UTF-8") from error
        if verifier.kind != _KINDS[kind]:
            raise Malformed(
                f"verifier key: type {verifier.kind:#04x}, wanted {_KINDS[kind]:#04x} for a {kind.decode()}"
            )
        if any(verifier.public == other.public for other in keys):
            raise Malformed(f"the same public key as another {kind.decode()}, wanted each key once")
        if any((verifier.name, verifier.key_id) == (v.name, v.key_id) for v in (*self.logs, *self.witnesses)):
            raise Malformed("the same key name and hash as another key, so that lines of one pass for the other's")
        keys[verifier] = name

    def _group(self, name: bytes, threshold: bytes, *members: bytes) -> None:
        for member in members:
            if self._known(member) == _NONE:
                raise Malformed("`none` as a member of a group, wanted a witness or a group")
            if member in self._members:
                raise Malformed(f"{_shown(member)} as a member a second time, wanted each name in one group, once")
            self._members.add(member)
        if threshold in (b"all", b"any"):
            needed = len(members) if threshold == b"all" else 1
        else:
            needed = decode_decimal("threshold", threshold.decode("ascii", "replace"))
        if not 1 <= needed <= len(members):
            raise Malformed(f"threshold {needed}, wanted 1 up to the {len(members)} members")
        self._define(name)
        self.groups[name] = _Group(needed, members)

    def _define(self, name: bytes) -> None:
        if name in self._defined:
            raise Malformed(f"the name {_shown(name)} a second time, wanted a new one")
        self._defined.add(name)

    def _known(self, name: bytes) -> bytes:
        if name not in self._defined:
            raise Malformed(f"{_shown(name)} is not defined above, wanted a witness or a group that is")
        return name


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
