"""provenance access"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provenance import access as rules
from provenance.cli.doors import Door, as_json, console, emit_json, now, several

if TYPE_CHECKING:
    from provenance.access import Grant

_ROLE = click.Choice(list(rules.ROLES))


@click.group()
def access() -> None:
    """Who may look at the pages: granted by a named person, with dates, in the log."""


class _WithRoles(click.Command):
    """A command whose help ends with the roles it takes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Roles"):
            formatter.write_dl([(code, _allowed(code)) for code in rules.ROLES])


_by = click.option("--by", required=True, metavar="WHO", help="Who decided it: an administrator.")
_under = click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")


@access.command(cls=_WithRoles)
@click.argument("user")
@click.option("--role", required=True, type=_ROLE, metavar="CODE", help="As what: see below.")
@click.option(
    "--department", default=rules.DEPARTMENT, show_default=True, metavar="NAME", help="Where the person works."
)
@click.option(
    "--director", default="", metavar="REF", help="The Director's authorisation; wanted for any other department."
)
@click.option("--from", "first_day", default="", metavar="DAY", help="From this day on (default: today)")
@click.option("--until", "last_day", default="", metavar="DAY", help="up to this one (default: until revoked).")
@_by
@_under
@as_json
@click.pass_obj
def grant(
    door: Door,
    user: str,
    role: str,
    department: str,
    director: str,
    first_day: str,
    last_day: str,
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """Let USER look.

    USER is the name that they sign on with, letter by letter. An archive's first grant is to an administrator, by
    whoever founded it; after that only administrators grant, and nobody to themselves.
    """
    from provenance import granting

    with door.archive() as archive:
        made = granting.grant(
            archive, user, role=role, department=department, director=director, first_day=first_day,
            last_day=last_day, on=now(), by=by, under=under,
        )  # fmt: skip
    if as_json:
        emit_json(_described(made))
        return
    until = f"up to {made.last_day}" if made.last_day else "until it is revoked"
    click.echo(f"Granted: {made.user} as {rules.ROLES[role].title}, from {made.first_day}, {until}.")
    click.echo(f"May {_allowed(role)}.")


@access.command(cls=_WithRoles)
@click.argument("user")
@click.option("--role", required=True, type=_ROLE, metavar="CODE", help="As what: see below.")
@_by
@_under
@as_json
@click.pass_obj
def revoke(door: Door, user: str, role: str, by: str, under: str, as_json: bool) -> None:
    """End what USER was granted, at once.

    Somebody who is signed on is refused from their next request on. The last administrator without an end is not
    revoked before there is another.
    """
    from provenance import granting

    with door.archive() as archive:
        ended = granting.revoke(archive, user, role=role, on=now(), by=by, under=under)
    if as_json:
        emit_json({"revoked": [_described(each) for each in ended]})
        return
    click.echo(f"Revoked: {several(len(ended), 'grant')} to {user} as {rules.ROLES[role].title}.")


@access.command("list")
@click.option("--on", "on", default="", metavar="WHEN", help="At this moment, or at any on this day (default: now).")
@as_json
@click.pass_obj
def list_(door: Door, on: str, as_json: bool) -> None:
    """Who might look, by the log alone."""
    from rich.table import Table
    from rich.text import Text

    from provenance import moments

    is_day = bool(on) and moments.is_date(on)
    if is_day:
        moments.day(on)
    when = on if is_day else moments.utc(moments.parse(on)) if on else now()
    with door.archive() as archive:
        found = [each for each in archive.history.grants if (each.stood_on(when) if is_day else each.stands(when))]
    found.sort(key=lambda each: (each.user, each.role, each.granted_on))
    if as_json:
        emit_json({"on": when, "grants": [_described(each) for each in found]})
        return
    said = when if is_day else moments.london(moments.parse(when))
    click.echo(f"{several(len(found), 'grant')} on {said}.")
    if not found:
        return
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("User", "Role", "Department", "From", "Until", "By"):
        shown.add_column(title, overflow="fold")
    for each in found:
        revoked = f"revoked {moments.london_day(each.revoked_on)}" if each.revoked_on else each.last_day
        title = rules.ROLES[each.role].title if each.role in rules.ROLES else each.role
        cells = (each.user, title, each.department, each.first_day, revoked, each.by)
        shown.add_row(*(Text(cell) for cell in cells))
    console().print(shown)


@access.command()
@click.argument("user")
@click.pass_obj
def password(door: Door, user: str) -> None:
    """Set the password of USER, for installations that keep their own.

    It is asked for twice and not shown. Whoever is signed on as USER has to sign on again.
    """
    from provenance.errors import Missing
    from provenance.web import passwords
    from provenance.web.sessions import Sessions
    from provenance.web.settings import AttemptLimits, SessionLimits

    with door.archive() as archive:
        if all(each.user != user for each in archive.history.grants):
            raise Missing("nothing was ever granted to that name: wanted `provenance access grant` first")
    said = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    passwords.set_password(door.keys_path, user, said)
    sessions = Sessions(door.keys_path, SessionLimits(), AttemptLimits())
    ended = sessions.end_all(user)
    sessions.close()
    click.echo(f"Password set. {several(ended, 'session')} ended.")


def _allowed(role: str) -> str:
    return "; ".join(words for code, words in rules.PERMISSIONS.items() if code in rules.ROLES[role].may)


def _described(each: Grant) -> dict[str, Any]:
    return {
        "user": each.user,
        "role": each.role,
        "may": sorted(rules.ROLES[each.role].may) if each.role in rules.ROLES else [],
        "department": each.department,
        "director": each.director,
        "first_day": each.first_day,
        "last_day": each.last_day,
        "granted_on": each.granted_on,
        "by": each.by,
        "under": each.under,
        "revoked_on": each.revoked_on,
        "revoked_by": each.revoked_by,
        "revoked_under": each.revoked_under,
    }
