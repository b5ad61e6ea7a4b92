"""provenance disclose"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, progress, several, user, waiting

if TYPE_CHECKING:
    from provenance.watching import Told
    from provenance.web.still import Stills

_BY = click.option("--by", default="", metavar="WHO", help="Who does it (default: you).")
_UNDER = click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")


@click.group()
def disclose() -> None:
    """What a case asks to be told, the packs that answer it, and whether the answer has changed."""


@disclose.command("save")
@click.option("--case", required=True, metavar="REF", help="The case's reference.")
@click.option("--purpose", required=True, metavar="TEXT", help="What for, in a sentence.")
@click.option("--at", "moments", multiple=True, metavar="WHEN", help="A moment or a date; may be said again.")
@click.option("--period", "periods", multiple=True, nargs=2, metavar="DAY DAY", help="From day to day, or `on`.")
@click.option("--nominal", "nominals", multiple=True, metavar="N", help="A person; may be said again.")
@click.option("--link", "links", multiple=True, nargs=2, metavar="A B", help="Two people; may be said again.")
@click.option("--network", "networks", multiple=True, metavar="ID", help="A network; may be said again.")
@click.option("--shown-to", "viewers", multiple=True, metavar="USER", help="The pages that this person was shown.")
@click.option("--restricted", is_flag=True, help="With what is restricted and held for the case; it is logged.")
@_BY
@_UNDER
@as_json
@click.pass_obj
def save(
    door: Door,
    case: str,
    purpose: str,
    moments: tuple[str, ...],
    periods: tuple[tuple[str, str], ...],
    by: str,
    under: str,
    as_json: bool,
    **subjects: Any,
) -> None:
    """Save a query, to be asked again at every build and disposal.

    Times are London times unless they carry an offset. A period goes on where its second day is `on`. With --shown-to
    and a person or network, only their pages about those.
    """
    from provenance import queries, saving, watching

    asked = queries.query(
        case=case, purpose=purpose, moments_=moments,
        periods=[(first, "" if last == "on" else last) for first, last in periods], **subjects,
    )  # fmt: skip
    with door.archive() as archive, waiting("Asking it for the first time"):
        saved = saving.save(archive, asked, on=now(), by=by or user(), under=under)
        watching.begin(archive, saved, on=now(), by=by or user(), under=under)
        builds = len(watching.builds(archive, asked))
    if as_json:
        emit_json({"query": saved.id, "builds": builds})
        return
    out = console()
    out.print(f"Saved as query {saved.id}. It asks about {several(builds, 'build')}.", markup=False)
    click.echo(f"  provenance disclose make {saved.id} --out FOLDER --for WHOM --under AUTHORITY")


@disclose.command("status")
@click.argument("query", required=False, metavar="[QUERY]")
@as_json
@click.pass_obj
def status(door: Door, query: str | None, as_json: bool) -> None:
    """Ask saved queries again, and say whose answer has changed and why.

    Changes count since the query was saved, its last pack was made, or somebody noted what had changed.
    """
    from provenance import saving, watching

    with door.archive() as archive, waiting("Asking them again"):
        wanted = [saving.find(archive, query)] if query else saving.every(archive)
        found = [watching.look(archive, one, on=now(), by=user(), under=watching.DUTY) for one in wanted]
    if as_json:
        emit_json({"queries": [_plain(one) for one in found]})
        return
    out = console()
    for one in found:
        state = "CHANGED" if one.is_changed else "as it was"
        out.print(f"{one.saved.id}  case {one.saved.act.case}  {state} since {one.since}", markup=False)
        for what, count in one.changes.items():
            out.print(f"    {what}: {count:,}", markup=False)
    if not found:
        out.print("No query is saved.")
    elif any(one.is_changed for one in found):
        out.print("Make a new pack of each that has changed, or note why none is needed: `provenance disclose note`.")


@disclose.command("make")
@click.argument("query", metavar="QUERY")
@click.option("--out", required=True, type=click.Path(file_okay=False), metavar="FOLDER", help="A new folder.")
@click.option(
    "--for",
    "audience",
    required=True,
    type=click.Choice(["prosecutor", "defence"]),
    metavar="WHOM",
    help="prosecutor: all of it; defence: what is on the case's MG6C.",
)
@_BY
@_UNDER
@as_json
@click.pass_obj
def make(door: Door, query: str, out: str, audience: str, by: str, under: str, as_json: bool) -> None:
    """Make the pack of a saved query: the pages, the rows with their proofs, and what checks them.

    One --for defence shows what items on the case's MG6C name, and a link only with every record behind it on the MG6C
    too; all else is sensitive, and only keeps its place. It is logged before the folder is there. Whoever receives it
    begins with data/READ-ME-FIRST.html; the number that is printed goes on the covering letter.
    """
    from provenance import __version__, disclosing, saving

    drawer, force, marking = _drawer(door)
    with door.archive() as archive, progress("Making the pack") as report:
        saved = saving.find(archive, query)
        made = disclosing.make(
            archive, saved, Path(out), drawer, audience=audience, force=force or archive.name, marking=marking,
            on=now(), by=by or user(), under=under, version=__version__, report=report,
        )  # fmt: skip
    if as_json:
        emit_json({"folder": out, "query": saved.id, **dataclasses.asdict(made)})
        return
    page = console()
    withheld = f", {made.withheld:,} as bare digests" if made.withheld else ""
    page.print(f"Pack       {out}", markup=False)
    page.print(f"Answers    {several(made.pages, 'page')} of {several(made.builds, 'build')}")
    page.print(f"Rows       {made.rows:,} shown{withheld}")
    if made.lacking:
        page.print(
            f"Withheld   {several(made.lacking, 'link')} on the MG6C: enter each record behind them on it too, or "
            "disclose an edited copy (`provenance schedule edit`)"
        )
    page.print(f"Complete   {made.complete:,} of {several(made.proofs, 'proof')} show that no link is left out")
    page.print(
        f"Handling   {made.handling or 'no code'}{': ' + made.conditions if made.conditions else ''}", markup=False
    )
    if made.line:
        page.print("Compare    with the weekly notice of this line, and no later one:")
        click.echo(f"           {made.line}")
    else:
        page.print(
            "Compare    with nothing yet: no weekly notice was published since the last of its builds, and a later one "
            "compares nothing. Publish the head (`provenance checkpoint`) and make it anew, or see that its reader "
            "has the policy file"
        )
    page.print(f"Logged     entry {made.logged:,}. For the covering letter, by which every byte can be checked:")
    click.echo(f"           {made.tag_manifest}")


@disclose.command("note")
@click.argument("query", metavar="QUERY")
@click.option("--reason", required=True, metavar="TEXT", help="Why no new pack is needed; it names nobody.")
@_BY
@_UNDER
@as_json
@click.pass_obj
def note(door: Door, query: str, reason: str, by: str, under: str, as_json: bool) -> None:
    """Record that somebody looked at what has changed, and what they decided.

    From then on only further changes are told.
    """
    from provenance import saving, watching

    with door.archive() as archive, waiting("Asking it again"):
        saved = saving.find(archive, query)
        watching.look(archive, saved, on=now(), by=by or user(), under=under)
        watching.begin(archive, saved, on=now(), by=by or user(), under=under, because=watching.NOTED, reason=reason)
    if as_json:
        emit_json({"query": saved.id})
    else:
        click.echo(f"Noted for query {saved.id}.")


def _plain(one: Told) -> dict[str, Any]:
    return {
        "query": one.saved.id,
        "case": one.saved.act.case,
        "since": one.since,
        "build": one.label,
        "changed": one.is_changed,
        "changes": one.changes,
        "subjects_gone": one.saved.lost,
    }


def _drawer(door: Door) -> tuple[Stills, str, str]:
    from provenance import maps
    from provenance.cli.places import boundaries
    from provenance.web import settings as configured
    from provenance.web.still import House, Stills

    settings = configured.read(door.path / "web.yaml")
    bounds = boundaries(door)
    house = House(settings.service, settings.force, settings.marking, settings.handling)
    return Stills(house, maps.outlined(bounds) if bounds else None), settings.force, settings.marking
