"""The separate register: items whose disclosure may cost a life, or that rest on a covert human source (R28).

They never stand on an ordinary schedule, and neither a count nor the log tells that there are any. So their acts are
not log entries: they stand in a file of their own, sealed under the archive's secret, each naming the digest of the one
before. Every ordinary act of disclosure carries a keyed digest over the head of this register, another one each time
whether the register has grown or not. Who has the archive's secret can therefore hold the register to the log, and
nobody else learns even that it is not empty.

    disclosure/apart    the acts, canonical JSON, one behind the other; sealed

Who writes here: `scheduling` and `ledger`, as the archive's one writer. If it is lost, the next check says so, for as
long as an ordinary act came after what it held. A liar who edits it has to have the archive's secret, and is found by
the digests in the log.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provenance import canonical, durable, entries
from provenance.archive import Archive
from provenance.errors import Tampered
from provenance.papers import FOLDER
from provenance.sealing import opened_blob, sealed_blob

NOTHING = "0" * 64  # what the acts in the register themselves carry: they are under no further head
Act = entries.Scheduled | entries.Sent | entries.Notified
_LABEL = "disclosure apart"
_KINDS = {kind.__name__: kind for kind in (entries.Scheduled, entries.Sent, entries.Notified)}


def acts(archive: Archive) -> list[Act]:
    """All that the register holds, in order. Raises Tampered."""
    return [entries.from_json(_KINDS[said.pop("act")], said) for said in _read(archive)]


def append(archive: Archive, *more: Act) -> None:
    """Enter acts, on disk when this returns. Only for a writer."""
    held = _read(archive)
    held += [{"act": type(act).__name__, **entries.as_json(act)} for act in more]
    sealed = sealed_blob(archive.vault.archive_secret, _LABEL, canonical.dumps(held))
    durable.write(_path(archive), sealed, mode=0o600)


def commitment(archive: Archive, act_of: str) -> str:
    """What an ordinary act carries; `act_of` says which act it is, so that no two are alike."""
    return _committed(archive, act_of, _heads(_read(archive))[-1])


def check(archive: Archive, carried: Sequence[tuple[str, str]]) -> None:
    """Hold the register to the ordinary acts, each by what it was told apart by and its digest, in log order.

    Raises Tampered where one of them was made over another register than this one's beginning.
    """
    heads, at = _heads(_read(archive)), 0
    for act_of, digest in carried:
        while not hmac.compare_digest(_committed(archive, act_of, heads[at]), digest):
            at += 1
            if at == len(heads):
                raise Tampered("file disclosure/apart is not the register that the log was written beside")


def _committed(archive: Archive, act_of: str, head: bytes) -> str:
    key = archive.vault.archive_secret
    return hmac.digest(key, b"disclosure apart\0" + act_of.encode() + b"\0" + head, "sha256").hex()


def _heads(held: list[dict[str, Any]]) -> list[bytes]:
    """The digest of the empty register, and after each act."""
    heads = [bytes(32)]
    for said in held:
        heads.append(hashlib.sha256(heads[-1] + canonical.dumps(said)).digest())
    return heads


def _read(archive: Archive) -> list[dict[str, Any]]:
    try:
        sealed = _path(archive).read_bytes()
    except FileNotFoundError:
        return []
    return canonical.loads(opened_blob(archive.vault.archive_secret, _LABEL, sealed))


def _path(archive: Archive) -> Path:
    return archive.root / FOLDER / "apart"
