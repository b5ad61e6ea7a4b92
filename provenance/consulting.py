"""A case reads what is restricted for it: refused unless a hold of that case stands, and logged before it is shown.

Beneath every door, so that none shows such rows unlogged (R38). Who may ask for which case is for the doors, and for
the folder's permissions: whoever can open the vault can write the log too.
"""

from __future__ import annotations

from provenance import entries
from provenance.archive import Archive
from provenance.asof import Snapshot
from provenance.errors import Refused


def consult(archive: Archive, snapshot: Snapshot, *, on: str, by: str) -> entries.Consulted:
    """Log that `by` is about to be shown a build with what is restricted for the snapshot's case.

    Raises Refused when no hold of that case stands, and then logs nothing.
    """
    if not any(hold.stands and hold.case == snapshot.case for hold in archive.history.holds.values()):
        raise Refused("no hold of that case stands: what is restricted is shown only to a case that holds it")
    act = entries.Consulted(
        on=on, by=by, under=f"disclosure for case {snapshot.case}", case=snapshot.case, label=snapshot.label,
        rows=snapshot.restricted_rows,
    )  # fmt: skip
    archive.append(act)
    return act
