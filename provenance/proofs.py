"""A few lines of text prove that an entry is in the log, or that the log of today continues that of yesterday.

`Proof` is a C2SP tlog-proof (c2sp.org/tlog-proof), which needs nothing but the entry and a policy to be checked;
`AddCheckpoint` is the body of a C2SP tlog-witness request (c2sp.org/tlog-witness). Each is written in one way, and
every other is refused: another first line, a count with a leading zero, base64 with stray bits, a digest that is not
32 bytes, more digests than a tree can have levels.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance import merkle
from provenance.errors import Malformed, Tampered
from provenance.notes import Checkpoint, Note, decode_base64, decode_decimal, encode_base64
from provenance.policies import Opened, Policy

_FORM = "c2sp.org/tlog-proof@v1"
_LONGEST_PATH = 63  # digests: a tree has fewer than 2**63 leaves
_LARGEST = 2_000_000  # bytes; a note may have a million


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry is at `index` of the log whose signed head is `checkpoint`, once `check` has found it so."""

    index: int
    path: tuple[bytes, ...]  # siblings, lowest first
    checkpoint: bytes  # the signed note, verbatim
    extra: bytes = b""  # whatever its maker put there; nothing vouches for it

    def __post_init__(self) -> None:
        if not 0 <= self.index < 2**63:
            raise Malformed(f"proof: index {self.index}, wanted 0 <= index < 2**63")
        _check_path("proof", self.path)
        _check_note(self.checkpoint)

    @classmethod
    def parse(cls, data: bytes) -> Proof:
        """Split a proof without believing it. Raises Malformed."""
        lines, checkpoint = _split("proof", data)
        if lines[0] != _FORM:
            raise Malformed(f"proof: another first line, wanted {_FORM}")
        extra = b""
        if len(lines) > 1 and lines[1].startswith("extra "):
            extra = decode_base64("proof", lines.pop(1).removeprefix("extra "))
            if not extra:
                raise Malformed("proof: a line of extra data without any, wanted it left out")
        if len(lines) < 2 or not lines[1].startswith("index "):
            raise Malformed("proof: no index where it belongs, wanted a line `index N`")
        index = decode_decimal("proof", lines[1].removeprefix("index "))
        return cls(index, tuple(decode_base64("proof", line) for line in lines[2:]), checkpoint, extra)

    def __bytes__(self) -> bytes:
        extra = [f"extra {encode_base64(self.extra)}"] if self.extra else []
        return _joined([_FORM, *extra, f"index {self.index}", *map(encode_base64, self.path)], self.checkpoint)

    def check(self, entry: bytes, policy: Policy) -> Opened:
        """The head, once it is good under the policy, its quorum too, and the entry is in the log that it heads.

        Raises Malformed when a proof of that index could not look like this, and Tampered. Who must tell a quorum
        that was not met from a proof that is wrong opens `checkpoint` himself and asks `check_under`.
        """
        opened = policy.insist(self.checkpoint)
        self.check_under(entry, opened.checkpoint)
        return opened

    def check_under(self, entry: bytes, head: Checkpoint) -> None:
        """Raise unless the entry is at `index` of the log with this head, whose signatures the caller has checked."""
        computed = merkle.root_from_path(merkle.leaf_hash(entry), self.index, head.size, self.path)
        if computed != head.root:
            raise Tampered(
                f"entry is not where the proof says: entry {self.index} of {head.size} makes root {computed.hex()}, "
                f"sealed as {head.root.hex()}"
            )


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """That the log of `old` entries goes on as the log whose signed head is `checkpoint`, once `check` agrees."""

    old: int
    path: tuple[bytes, ...]  # RFC 6962, 2.1.2; empty from 0, and when nothing was added
    checkpoint: bytes  # the signed note, verbatim

    def __post_init__(self) -> None:
        if not 0 <= self.old < 2**63:
            raise Malformed(f"request to a witness: old size {self.old}, wanted 0 <= old < 2**63")
        _check_path("request to a witness", self.path)
        _check_note(self.checkpoint)

    @classmethod
    def parse(cls, data: bytes) -> AddCheckpoint:
        """Split a request without believing it. Raises Malformed."""
        lines, checkpoint = _split("request to a witness", data)
        if not lines[0].startswith("old "):
            raise Malformed("request to a witness: another first line, wanted `old N`")
        old = decode_decimal("request to a witness", lines[0].removeprefix("old "))
        return cls(old, tuple(decode_base64("request to a witness", line) for line in lines[1:]), checkpoint)

    def __bytes__(self) -> bytes:
        return _joined([f"old {self.old}", *map(encode_base64, self.path)], self.checkpoint)

    @property
    def head(self) -> Checkpoint:
        """What the checkpoint says; its signatures are not looked at."""
        return Checkpoint.parse(Note.parse(self.checkpoint).text)

    def check(self, old_root: bytes) -> Checkpoint:
        """The new head, if it continues the log whose first `old` entries have the root that the caller kept.

        The signatures of `checkpoint` are for the caller to check. Raises Malformed on a path that no two such trees
        have, Tampered when a root comes out otherwise.
        """
        head = self.head
        if self.old > head.size:
            raise Malformed(f"request to a witness: from {self.old} to {head.size} entries, wanted old <= new")
        merkle.check_consistency(self.old, old_root, head.size, head.root, self.path)
        return head


def _split(thing: str, data: bytes) -> tuple[list[str], bytes]:
    """The lines before the first empty one, at least one, and the bytes after it."""
    if len(data) > _LARGEST:
        raise Malformed(f"{thing}: {len(data)} bytes, wanted at most {_LARGEST}")
    opening, empty, checkpoint = data.partition(b"\n\n")
    if not empty:
        raise Malformed(f"{thing}: no empty line, wanted one before the checkpoint")
    try:
        return opening.decode("ascii").split("\n"), checkpoint
    except UnicodeDecodeError as error:
        raise Malformed(f"{thing}: byte {error.start} is not ASCII") from error


def _joined(lines: list[str], checkpoint: bytes) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + checkpoint


def _check_path(thing: str, path: tuple[bytes, ...]) -> None:
    if len(path) > _LONGEST_PATH:
        raise Malformed(f"{thing}: {len(path)} digests, wanted at most {_LONGEST_PATH}")
    for digest in path:
        if len(digest) != merkle.DIGEST:
            raise Malformed(f"{thing}: a digest of {len(digest)} bytes, wanted {merkle.DIGEST}")


def _check_note(data: bytes) -> None:
    Checkpoint.parse(Note.parse(data).text)
