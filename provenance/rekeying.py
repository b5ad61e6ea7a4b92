"""Another key takes over, without a moment in which the archive cannot be read or written.

From the key that signs, in this order, each step durable before the next: the new key lies beside the old;
archive.json names both, so that readers take a head by either; the log says so, in an entry that the old key endorses,
under a head that the old key signs; the new key signs that same head; archive.json and log/policy name the new key; it
takes the old one's place. Whoever writes next completes a rotation that was cut off, from the entry on, or undoes it,
if there is no entry yet.

From the key that opens the vault, as in a disposal: the new key lies beside the old; the keyring is sealed under it;
the old one is destroyed; and then the log says so. Cut off before that, the vault is sound and the log silent: the same
call again replaces the key once more, and says so.

Where keys are to lie elsewhere, both take over there (`custody.py`).

What the old key signed stays signed by it, and is judged by it: each build statement and each certificate by the key
that was in force when it was logged. A statement that the old key signs for a later build is refused.
"""

from __future__ import annotations

from provenance import entries, statements
from provenance.archive import Archive
from provenance.custody import Where
from provenance.errors import Malformed, ProvenanceError
from provenance.keys import LOG, REASONS


def rotate(archive: Archive, *, on: str, by: str, under: str, reason: str) -> entries.Rekeyed:
    """Draw a new signing key, have it take over, and destroy the old one; the entry that says so.

    `reason` is one of `keys.REASONS`. Raises Malformed for another, Conflict while something else writes, Refused when
    the key file here is not the one that signed the head.
    """
    _check(reason)
    with archive.writing():
        return _rotated(archive, on, by, under, reason)


def relock(archive: Archive, *, on: str, by: str, under: str, reason: str) -> entries.Relocked:
    """Draw a new master key, seal the vault under it, and destroy the old one; the entry that says so.

    Whatever held the vault before, on any tape, opens no more, as after a disposal. Raises as `rotate`.
    """
    _check(reason)
    with archive.writing():
        return _relocked(archive, on, by, under, reason)


def move(
    archive: Archive, where: Where, *, on: str, by: str, under: str, reason: str
) -> tuple[entries.Rekeyed | None, entries.Relocked]:
    """Have both keys taken over by new ones that lie `where` they are to be; the entries that say so.

    Cut off, the same call completes it: the signing key that is there already stays, and there is no entry of it then.
    Raises as `rotate`, and Refused, Missing or Conflict where the place does not open or has not what it takes; then
    everything is as it was.
    """
    _check(reason)
    with archive.writing():
        custody = archive.custody
        custody.begin(where)
        try:
            rekeyed = None if custody.has_moved(LOG) else _rotated(archive, on, by, under, reason)
            relocked = _relocked(archive, on, by, under, reason)
        except ProvenanceError:
            custody.abandon()
            raise
        custody.settle()
    return rekeyed, relocked


def _check(reason: str) -> None:
    if reason not in REASONS:
        raise Malformed(f"reason of a rotation: not one of {', '.join(REASONS)}")


def _rotated(archive: Archive, on: str, by: str, under: str, reason: str) -> entries.Rekeyed:
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


def _relocked(archive: Archive, on: str, by: str, under: str, reason: str) -> entries.Relocked:
    archive.vault.relock(archive.custody)
    kind = archive.custody.moving or archive.custody.where
    said = entries.Relocked(on=on, by=by, under=under, reason=reason, custody=kind.kind)
    archive.append(said)
    return said
