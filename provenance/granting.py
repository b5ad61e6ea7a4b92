"""Saying who may look: a grant, and its end, each an entry of the log that `access` has let pass."""

from __future__ import annotations

from provenance import access, entries, moments
from provenance.archive import Archive


def grant(
    archive: Archive,
    user: str,
    *,
    role: str,
    department: str = access.DEPARTMENT,
    director: str = "",
    first_day: str = "",
    last_day: str = "",
    on: str,
    by: str,
    under: str,
) -> access.Grant:
    """Log that `user` may look, from `first_day` (today where it is left out). Errors as `access.check_grant`."""
    act = entries.Granted(
        on=on, by=by, under=under, user=user, role=role, department=department, director=director,
        first_day=first_day or moments.london_day(on), last_day=last_day,
    )  # fmt: skip
    with archive.writing():
        access.check_grant(archive.history.grants, act, founder=_founder(archive))
        archive.append(act)
    return archive.history.grants[-1]


def revoke(archive: Archive, user: str, *, role: str, on: str, by: str, under: str) -> list[access.Grant]:
    """Log that every grant of this role to `user` ends now; those that it ended. Errors: `access.check_revocation`."""
    act = entries.Revoked(on=on, by=by, under=under, user=user, role=role)
    with archive.writing():
        before = archive.history.grants
        access.check_revocation(before, act)
        archive.append(act)
    return [new for old, new in zip(before, archive.history.grants, strict=True) if old != new]


def _founder(archive: Archive) -> str:
    """Who founded the archive, by the log's own first entry."""
    return next(archive.log.acts(0, 1)).by
