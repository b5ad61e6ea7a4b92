"""provenance build"""

from __future__ import annotations

import click

from provenance.cli.doors import (
    WEEKLY,
    Door,
    as_json,
    console,
    emit_json,
    engines,
    now,
    other_lock,
    progress,
    renewed,
    surroundings,
    tell,
    user,
    watched,
    working,
)


@click.command()
@click.option(
    "--cut-off", default="", metavar="TIME", help="Take records recorded by then (default: the last extract's)."
)
@click.option("--published-at", default="", metavar="TIME", help="When it goes live (default: now).")
@click.option("--confirm", default="", metavar="REASON", help="Let pass what the thresholds found, for this reason.")
@engines
@other_lock
@as_json
@click.pass_obj
def build(
    door: Door,
    cut_off: str,
    published_at: str,
    confirm: str,
    engine: str,
    master: str,
    other_lock: str,
    as_json: bool,
) -> None:
    """Make the weekly build, sign it, log it and put it live.

    Times are London times unless they carry an offset. DVC takes in the sealed rows; git gets a commit and a tag.
    """
    from provenance import builds, moments, pins, publishing
    from provenance.cli.weeks import write_week
    from provenance.errors import Missing

    started = now()
    params, table = door.params()
    with door.archive() as archive:
        if not archive.history.extracts:
            raise Missing("no extract was received yet: `provenance receive FOLDER` first")
        cut = moments.utc(moments.instant(cut_off)) if cut_off else max(e.cut_off for e in archive.history.extracts)
        live = moments.utc(moments.parse(published_at)) if published_at else now()
        if confirm:
            found = publishing.findings(archive, cut, params)
            publishing.confirm(archive, found, on=now(), by=user(), under=WEEKLY, reason=confirm)
        with progress("Building") as report, working(archive, engine, master) as cluster:
            made = builds.build(
                archive,
                params,
                table,
                cut_off=cut,
                published_at=live,
                around=surroundings(params, started, user(), other_lock, cluster),
                report=report,
            )
        renewed(archive)
        changed = watched(archive)
    write_week(door.path, cut, live)
    pins.pin(door.path, [made.built.label], f"build {made.built.label}", on=now())
    if as_json:
        emit_json(
            {
                "build": made.built.label,
                "cut_off": cut,
                "published_from": live,
                "tables": {t.name: {"size": t.size, "root": t.root} for t in made.built.tables},
                "left_out": made.links.left_out.to_pylist(),
                "disclosure_changed": changed,
            }
        )
        return
    sizes = {t.name: t.size for t in made.built.tables}
    out = console()
    out.print(f"Build {made.built.label} is live from {moments.london(moments.instant(live))}.")
    out.print(
        f"It holds {sizes['record']:,} records, {sizes['link']:,} links, {sizes['nominal']:,} people's figures and "
        f"{sizes['network']:,} networks. Sealed this time: {made.links.opened:,} links, "
        f"{made.groups.opened:,} rows of people and networks."
    )
    for row in made.links.left_out.to_pylist():
        out.print(f"  left out: {row['records']:,} {row['kind']} records of {row['system']}: {row['reason']}")
    if made.groups.alarms:
        out.print(f"  look: {made.groups.alarms} network(s) hold more of their theme than params allow")
    tell(changed)
