"""provenance feed"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provenance.cli.doors import Door, as_json, emit_json, keep, now, renewed, user, waiting
from provenance.feeds import FORMS
from provenance.records import THEMES


@click.command()
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(file_okay=False))
@click.option(
    "--theme", default="", type=click.Choice(["", *THEMES]), metavar="T", help="Of this theme (default: all)."
)
@click.option("--form", default=FORMS[0], show_default=True, type=click.Choice(FORMS), help="How tables are written.")
@click.option("--under", default="", metavar="AUTHORITY", help="Under what authority.")
@click.option("--by", default="", metavar="WHO", help="Who has it written (default: you).")
@click.option("--end", is_flag=True, help="Remove the tables, and write this feed no more.")
@click.option("--gone", is_flag=True, help="With --end, of a folder not reached: you know it is destroyed.")
@as_json
@click.pass_obj
def feed(
    door: Door, folder: str | None, theme: str, form: str, under: str, by: str, end: bool, gone: bool, as_json: bool
) -> None:
    """Write plain tables of the live build for other programs.

    DIR gets nominals, links, supports and networks, and a README.md that says what each column means. From then on they
    are written again with each build and whenever a disposal or a restriction touches them. Without DIR: write again
    what is behind, and list every feed.
    """
    from provenance import feeding, feeds

    if folder is None:
        if theme or under or by or end or gone:
            raise click.UsageError("say which DIR.")
        with door.archive() as archive, waiting("Writing feeds"):
            done = renewed(archive)
            known = [_plain(place, standing.act) for place, standing in sorted(archive.history.feeds.items())]
        if done.written:
            keep(door)
        said = {"feeds": known, "written": list(done.written), "missed": list(done.missed)}
        if as_json:
            emit_json(said)
            return
        for each in known:
            state = "not reached" if each["folder"] in done.missed else "up to date"
            click.echo(
                f"{each['folder']}: {each['theme'] or 'all themes'}, {each['form']}, build {each['build']}, {state}"
            )
        if not known:
            click.echo("There is no feed. To make one: provenance feed DIR --under AUTHORITY")
        return
    if not under.strip():
        raise click.UsageError("say under what authority: --under AUTHORITY")
    if gone and not end:
        raise click.UsageError("--gone goes with --end.")
    with door.archive() as archive, waiting("Writing the feed"):
        if end:
            removed = feeds.recall(archive, Path(folder), on=now(), by=by or user(), under=under, gone=gone)
        else:
            act = feeding.write(archive, Path(folder), theme=theme, form=form, on=now(), by=by or user(), under=under)
    keep(door)
    if end:
        if as_json:
            emit_json({"folder": folder, "removed": removed})
        else:
            click.echo(
                f"Feed {folder} has ended. "
                + ("Its tables are removed." if removed else "That they are gone, you say.")
            )
        return
    if as_json:
        emit_json(_plain(act.folder, act))
        return
    click.echo(f"Build {act.label} is in {folder}: {', '.join(f'{table}.{form}' for table in feeds.TABLES)}.")
    click.echo(f"Handling {act.handling or 'none recorded'}; what each column means is in {feeds.README}.")


def _plain(place: str, act: Any) -> dict[str, Any]:
    from provenance import canonical

    return {
        "folder": place,
        "theme": canonical.loads(act.asked.encode()).get("theme", ""),
        "form": act.form,
        "build": act.label,
        "handling": act.handling,
        "written_on": act.on,
        "by": act.by,
        "under": act.under,
    }
