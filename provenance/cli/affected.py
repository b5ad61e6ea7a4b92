"""provenance affected"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, several

if TYPE_CHECKING:
    from provenance.affected import Changed, Reached
    from provenance.archive import Archive
    from provenance.trail import Reach

_PURPOSES = ("lawfulness", "self-monitoring", "integrity", "criminal-proceedings")


@click.command()
@click.argument("record", nargs=-1, metavar="[SYSTEM RECORD_ID]")
@click.option("--report", "number", type=int, metavar="NUMBER", help="Of what report NUMBER was found in error by.")
@click.option("--build", "label", metavar="LABEL", help="List the records that this build was first to take otherwise.")
@click.option("--by", required=True, metavar="WHO", help="Who asks: somebody who may see the trail and names.")
@click.option(
    "--purpose", type=click.Choice(_PURPOSES), metavar="CODE",
    help="What for, of the four that the law allows: " + ", ".join(_PURPOSES) + ". Not with --build.",
)  # fmt: skip
@as_json
@click.pass_obj
def affected(
    door: Door,
    record: tuple[str, ...],
    number: int | None,
    label: str | None,
    by: str,
    purpose: str | None,
    as_json: bool,
) -> None:
    """What a wrong record or page has reached, and who has it.

    Of a record that its source has corrected or withdrawn: every build, link, network, page view, pack and recipient
    that rested on how it was before. Of a report (--report): everything that spoke of what was found to be in error.
    Who asked and what for is logged before anything is told (DPA 2018 s.62(4)). With --build, which records these are.
    """
    from provenance import access
    from provenance import trail as trails

    if (len(record) == 2) + (number is not None) + (label is not None) != 1 or len(record) not in (0, 2):
        raise click.UsageError("say one of SYSTEM RECORD_ID, --report NUMBER and --build LABEL")
    if label is None and purpose is None:
        raise click.UsageError("say what for: --purpose CODE")
    with door.archive() as archive:
        on, grants = now(), archive.history.grants
        for permission in (access.TRAIL, access.NAMES):
            access.insist(grants, by, on, permission)
        if label is not None:
            _listed(archive, label, as_json)
            return
        said = {"purpose": purpose, "on": on, "by": by, "under": access.titles(grants, by, on)}
        found = trails.of_record(archive, *record, **said) if record else trails.of_report(archive, number, **said)
    if as_json:
        emit_json(_described(found))
    else:
        _print(found)


def _listed(archive: Archive, label: str, as_json: bool) -> None:
    """Records, and how they were changed. Who was shown them is not told, so nothing is logged."""
    from provenance import affected

    tokens = affected.replaced_since(archive, label)
    keys = archive.vault.keys(tokens).to_pylist()
    rows = sorted(
        (*key.split("\x1f", 2)[1:], affected.changed(archive, token))
        for key, token in zip(keys, tokens.tolist(), strict=True)
    )
    if as_json:
        emit_json({"build": label, "records": [{"system": s, "record_id": i, **_changed(how)} for s, i, how in rows]})
        return
    click.echo(f"{several(len(rows), 'record')} that build {label} was first to take otherwise, or not at all.")
    for system, record_id, how in rows:
        click.echo(f"  {system} {record_id}: {_said(how)}")


def _changed(how: Changed) -> dict[str, Any]:
    return {"fate": how.fate, "extract": how.extract, "on": how.on, "columns": list(how.columns)}


def _said(how: Changed) -> str:
    from provenance import moments

    if not how.extract:
        return how.fate
    what = f" ({', '.join(how.columns)})" if how.columns else ""
    return f"{how.fate} by its source{what}, received {moments.london_day(how.on)}"


def _described(found: Reach) -> dict[str, Any]:
    reach = found.affected
    return {
        "changed": _changed(found.changed) if found.changed else None,
        "builds": list(reach.builds),
        "links": [
            {"theme": each.theme, "people": [found.names[t] for t in each.ends if t in found.names],
             "first": each.first, "last": each.last}
            for each in reach.links
        ],
        "networks": [_network(each) for each in reach.networks],
        "people": reach.people,
        "shown": [
            {"entry": place, "act": type(act).__name__, "on": act.on, "by": act.by, "under": act.under,
             "build": act.label, "case": act.case, "digest": act.shown}
            for place, act in reach.shown
        ],
        "totals": reach.totals,
        "untold": reach.untold,
        "feeds": [{"folder": act.folder, "build": act.label, "on": act.on} for act in reach.feeds],
        "sent": [
            {"item": each.number, "what": each.act.what, "title": each.act.title, "recipient": each.act.recipient,
             "on": each.act.on}
            for each in found.sent
        ],
    }  # fmt: skip


def _network(each: Reached) -> dict[str, str]:
    return {"theme": each.theme, "network": each.name, "first": each.first, "last": each.last}


def _print(found: Reach) -> None:
    from rich.table import Table
    from rich.text import Text

    from provenance import moments

    reach = found.affected
    if found.changed:
        click.echo(f"The record {'was ' if found.changed.extract else ''}{_said(found.changed)}.")
    if not reach.builds:
        click.echo("No build had it.")
        return
    click.echo(f"{several(len(reach.builds), 'build')} had it so: {reach.builds[0]} to {reach.builds[-1]}.")
    rows = [("link", " and ".join(found.names.get(t, "?") for t in x.ends) + f", {x.theme}", _span(x))
            for x in reach.links]  # fmt: skip
    rows += [("network", each.name, _span(each)) for each in reach.networks]
    rows += [
        ("page" if type(act).__name__ == "Viewed" else "file", f"{act.by} ({act.under})",
         f"{act.label}, {moments.london(moments.instant(act.on))}, entry {place}")
        for place, act in reach.shown
    ]  # fmt: skip
    rows += [("feed", act.folder, f"{act.label}, {moments.london_day(act.on)}") for act in reach.feeds]
    rows += [
        (each.act.what, each.act.recipient, f"item {each.number}, {moments.london_day(each.act.on)}: {each.act.title}")
        for each in found.sent
    ]
    shown = Table("What", "Which, or who has it", "Where and when", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        shown.add_row(*map(Text, row))
    if rows:
        console().print(shown)
    click.echo(f"It counted towards the figures of {several(reach.people, 'person')}.")
    if reach.totals:
        click.echo(f"{several(reach.totals, 'further page')} of these builds had totals that may have counted it.")
    if reach.untold:
        click.echo(f"{several(reach.untold, 'further act')} of these builds: whether they showed it is not told.")
    click.echo("That you asked is in the log.")


def _span(each: Reached) -> str:
    return each.first if each.first == each.last else f"{each.first} to {each.last}"
