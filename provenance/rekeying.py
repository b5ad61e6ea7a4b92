"""Another key takes over from the one that signs, without a moment in which the archive cannot be read or written.

In this order, each step durable before the next: the new key lies beside the old; archive.json names both, so that
readers take a head by either; the log says so, in an entry that the old key endorses, under a head that the old key
signs; the new key signs that same head; archive.json and log/policy name the new key; it takes the old one's place.
Whoever writes next completes a rotation that was cut off, from the entry on, or undoes it, if there is no entry yet.

What the old key signed stays signed by it, and is judged by it: each build statement and each certificate by the key
that was in force when it was logged. A statement that the old key signs for a later build is refused.
"""

from __future__ import annotations

from provenance import entries, statements
from provenance.archive import Archive
from provenance.errors import Malformed
from provenance.keys import REASONS


def rotate(archive: Archive, *, on: str, by: str, under: str, reason: str) -> entries.Rekeyed:
    """Draw a new signing key, have it take over, and destroy the old one; the entry that says so.

    `reason` is one of `keys.REASONS`. Raises Malformed for another, Conflict while something else writes, Refused when
    the key file here is not the one that signed the head.
    """
    if reason not in REASONS:
        raise Malformed(f"reason of a rotation: not one of {', '.join(REASONS)}")
    with archive.writing():
        old = archive.signing_key()
        archive.log.insist_on(old)
        new = archive.custody.draw_following(archive.name)
        vkey = str(new.verifier)
        archive.announce(new.verifier)
        said = archive.log.hand_over(
            lambda place: entries.Rekeyed(
                on=on, by=by, under=under, place=place, vkey=vkey, reason=reason,
                endorsement=statements.endorse(old, place, vkey),
            ),
            key=old,
            to=new,
        )  # fmt: skip
        archive.refresh()
        archive.settle_keys()
    return said
