"""Who may look at what: roles, what each may do, and who held which of them at a moment.

A grant is an act in the log, for days that it states, by a named authority who is somebody else (R48). Outside the
Intelligence Department it names the Director's recorded authorisation too (operating principles, access). It opens
from the moment at which it was logged and never before; a revocation ends it at once. So the log alone answers who
might look at any past moment. Whoever signs on is compared letter by letter with the name that was granted, while a
grant to a name that reads like another's is refused: no look-alike ever holds what somebody else was given.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from provenance import entries, moments, staff
from provenance.errors import Conflict, Malformed, Missing, Refused

DEPARTMENT = "Intelligence Department"  # everybody else needs the Director's authorisation
ADMINISTRATOR = "administrator"

NAMES, AGGREGATES, RESTRICTED = "see-names", "see-aggregates", "see-restricted"
TRAIL, EXPORT, REPORT, GRANT = "see-trail", "export", "report-error", "grant"
PERMISSIONS = {
    NAMES: "see who is in a network, and the records behind it",
    AGGREGATES: "see totals in which nobody is named",
    RESTRICTED: "see what is restricted, for a case that holds it",
    TRAIL: "see who was shown what",
    EXPORT: "take tables and pages away",
    REPORT: "report an error",
    GRANT: "say who may look",
}


@dataclass(frozen=True, slots=True)
class Role:
    """What somebody is here for."""

    title: str
    may: frozenset[str]


ROLES = {  # requirements R38 (restricted rows), R42 (the trail), R45 (subject access), R48 (roles, auditors)
    "intelligence-user": Role("intelligence user", frozenset({NAMES, AGGREGATES, REPORT})),
    "analyst": Role("analyst", frozenset({NAMES, AGGREGATES, EXPORT, REPORT})),
    "disclosure-officer": Role("disclosure officer", frozenset({NAMES, AGGREGATES, RESTRICTED, TRAIL, EXPORT, REPORT})),
    "retention-officer": Role("retention officer", frozenset({NAMES, AGGREGATES, REPORT})),
    "auditor": Role("auditor", frozenset({AGGREGATES, TRAIL, REPORT})),
    "data-protection-officer": Role("data-protection officer", frozenset({NAMES, AGGREGATES, TRAIL, EXPORT, REPORT})),
    # Who opens doors for others walks through none: an administrator who has to look is granted another role as well.
    ADMINISTRATOR: Role("administrator", frozenset({TRAIL, GRANT})),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant as far as the log has it."""

    user: str
    role: str
    department: str
    director: str
    first_day: str
    last_day: str  # "": until revoked
    granted_on: str
    by: str
    under: str
    revoked_on: str = ""
    revoked_by: str = ""
    revoked_under: str = ""

    @classmethod
    def made(cls, act: entries.Granted) -> Grant:
        return cls(
            act.user, act.role, act.department, act.director, act.first_day, act.last_day, act.on, act.by, act.under
        )

    def after(self, act: entries.Revoked) -> Grant:
        """This grant once the revocation is logged."""
        if self.revoked_on or (self.user, self.role) != (act.user, act.role):
            return self
        return replace(self, revoked_on=act.on, revoked_by=act.by, revoked_under=act.under)

    def stands(self, on: str) -> bool:
        """Whether it opens anything at the instant `on`. Both its days are whole days in London."""
        return not self.fault(on)

    def stood_on(self, day: str) -> bool:
        """Whether it opened something at some moment of a London day."""
        start, end = map(moments.utc, moments.day(day))
        return (
            self.granted_on < end
            and (not self.revoked_on or start < self.revoked_on)
            and self.first_day <= day <= (self.last_day or day)
        )

    def fault(self, on: str) -> str:
        """Why it opens nothing at that instant; "" when it does."""
        day = moments.london_day(on)
        if on < self.granted_on:
            return f"was granted only on {moments.london_day(self.granted_on)}"
        if self.revoked_on and self.revoked_on <= on:
            return f"was revoked on {moments.london_day(self.revoked_on)}"
        if day < self.first_day:
            return f"begins on {self.first_day}"
        if self.last_day and self.last_day < day:
            return f"ended on {self.last_day}"
        return ""


def standing(grants: Iterable[Grant], user: str, on: str) -> list[Grant]:
    """What this person holds at the instant `on`; the name has to be the one that was granted, letter by letter."""
    return [grant for grant in grants if grant.user == user and grant.stands(on)]


def may(grants: Iterable[Grant], user: str, on: str) -> frozenset[str]:
    """What this person may do at the instant `on`: of PERMISSIONS, empty for who was granted nothing."""
    held = (ROLES[grant.role].may for grant in standing(grants, user, on) if grant.role in ROLES)
    return frozenset().union(*held)


def titles(grants: Iterable[Grant], user: str, on: str) -> str:
    """The roles in which this person acts at the instant `on`, in words, as an entry says them."""
    return " and ".join(sorted({ROLES[grant.role].title for grant in standing(grants, user, on)}))


def insist(grants: Sequence[Grant], user: str, on: str, wanted: str, *, case: str = "") -> None:
    """Raises Refused, saying why, unless this person may do what is `wanted` at the instant `on`.

    What is restricted is for a case as well; whether that case holds it, `consulting` asks.
    """
    if wanted not in may(grants, user, on):
        raise Refused(refusal(grants, user, on, wanted))
    if wanted == RESTRICTED and not case:
        raise Refused(f"not allowed to {PERMISSIONS[wanted]}: no case was named, wanted its reference")


def refusal(grants: Sequence[Grant], user: str, on: str, wanted: str) -> str:
    """Why this person may not do what is `wanted`, and who could; it names nobody."""
    able = " or ".join(role.title for role in ROLES.values() if wanted in role.may)
    held = standing(grants, user, on)
    if held:
        found = "signed on as " + " and ".join(
            sorted({ROLES[g.role].title if g.role in ROLES else g.role for g in held})
        )
    else:
        past = [grant for grant in grants if grant.user == user]
        found = "; ".join(
            f"the grant as {ROLES[g.role].title if g.role in ROLES else g.role} {g.fault(on)}" for g in past
        )
    return f"not allowed to {PERMISSIONS[wanted]}: {found or 'nothing was ever granted to this name'}, wanted {able}"


def check_grant(grants: Sequence[Grant], act: entries.Granted, *, founder: str) -> None:
    """Whether this grant may be made, by what was granted before it.

    The first of an archive is made by whoever founded it, to an administrator, without an end; each later one by an
    administrator of that moment. Since the last administrator without an end cannot be revoked, the first rule never
    applies again. Raises Refused, or Malformed or Conflict for what could not be meant.
    """
    day = moments.london_day(act.on)
    if act.role not in ROLES:
        raise Malformed(f"no such role: wanted one of {', '.join(ROLES)}")
    check_name(act.user)
    if any(grant.user != act.user and staff.is_same(grant.user, act.user) for grant in grants):
        raise Refused("user name reads like another one that was granted something: wanted that one, or one unlike it")
    if act.first_day < day:
        raise Malformed(f"grant begins on {act.first_day}: wanted {day} or later, since nothing is granted backwards")
    if act.last_day and act.last_day < act.first_day:
        raise Malformed(f"grant ends on {act.last_day}: wanted {act.first_day}, on which it begins, or later")
    if act.department != DEPARTMENT and not act.director.strip():
        raise Refused(
            "grant outside the Intelligence Department names no authorisation: wanted the Director of Intelligence's, "
            "by its reference"
        )
    if staff.is_same(act.by, act.user):
        raise Refused("grant is made by the person who is to have it: wanted somebody else")
    if not grants:
        if act.by != founder:
            raise Refused("first grant is not made by whoever founded the archive: wanted the name in its first entry")
        if act.role != ADMINISTRATOR or act.last_day or act.first_day != day:
            raise Refused("first grant of an archive: wanted an administrator, from today, without an end")
    else:
        insist(grants, act.by, act.on, GRANT)
    if any(
        g.user == act.user and g.role == act.role and not g.revoked_on and g.first_day <= (act.last_day or g.first_day)
        and act.first_day <= (g.last_day or act.first_day) for g in grants
    ):  # fmt: skip
        raise Conflict(f"grant as {ROLES[act.role].title} is there for some of these days: wanted other days, or none")


def check_revocation(grants: Sequence[Grant], act: entries.Revoked) -> None:
    """Whether this may be revoked, by what was granted before. Raises Refused, or Missing where nothing stands."""
    mine = [g for g in grants if (g.user, g.role) == (act.user, act.role) and not g.revoked_on]
    if not any(not g.last_day or moments.london_day(act.on) <= g.last_day for g in mine):
        raise Missing("nothing to revoke: no grant of that role to that name stands or is to begin")
    insist(grants, act.by, act.on, GRANT)
    lasting = [g for g in grants if g.role == ADMINISTRATOR and not g.last_day and g.stands(act.on)]
    if lasting and all(g.user == act.user for g in lasting) and act.role == ADMINISTRATOR:
        raise Refused("last administrator without an end: wanted another one granted first, or nobody could grant")


def check_name(user: str) -> None:
    """Whether somebody may be known under this name. Raises Malformed, without the name."""
    if unicodedata.normalize("NFKC", user) != user or user != user.strip() or not user.isprintable():
        raise Malformed("user name has letters in another form, or spaces around it: wanted it as it is signed on with")
    if not staff.is_telling(user):
        raise Malformed(
            "user name mixes letters of several scripts, or has none: wanted one that can be told from others"
        )
