"""What the force says of a copy of the master key that it keeps elsewhere: that there is none, or of which key it is.

A disposal draws the new master key itself, so a copy in a safe can only be replaced after it, and the archive cannot
look into the safe. Hence two statements, each in the log under somebody's name: what was said before a disposal goes
into its certificate, and what was said after it is shown beside. Neither is more than the word of who says it.
"""

from __future__ import annotations

from provenance import entries
from provenance.archive import Archive
from provenance.errors import Malformed, Missing, shape


def state(archive: Archive, *, held: bool, after: str = "", on: str, by: str, under: str) -> entries.Escrowed:
    """Log that no copy is held, or that one is held of the key since disposal `after`, and older ones are destroyed.

    Raises Malformed when `after` is left out although there are disposals, or said of no copy; Missing where there is
    no such disposal; Conflict while something else writes, or where a disposal has not drawn its master key yet.
    """
    with archive.writing():
        number = _number(archive, after) if held else 0
        if after and not held:
            raise Malformed("escrow: a disposal named although no copy is held, wanted none")
        if held and not after and archive.history.disposals:
            raise Malformed("escrow: no disposal named, wanted the last one before the copy was made")
        said = entries.Escrowed(on=on, by=by, under=under, copies=int(held), disposals=number)
        archive.append(said)
    return said


def _number(archive: Archive, disposal: str) -> int:
    if not disposal:
        return 0
    for each in archive.history.disposals:
        if each.first.disposal == disposal:
            return each.number
    raise Missing(f"disposal {shape(disposal)} is not in this archive: `provenance dispose list` names them all")
