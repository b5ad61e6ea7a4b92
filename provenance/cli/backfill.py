"""provenance backfill"""

from __future__ import annotations

import json
from pathlib import Path

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
    surroundings,
    user,
    working,
)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--every", type=click.Choice(["week"]), help="A build at the end of each week.")
@click.option("--cut-offs", type=click.Path(exists=True, dir_okay=False), help="A file of moments, one a line.")
@click.option("--confirm", default="", metavar="REASON", help="Let pass what the thresholds find, for this reason.")
@engines
@other_lock
@as_json
@click.pass_obj
def backfill(
    door: Door,
    folder: str,
    every: str | None,
    cut_offs: str | None,
    confirm: str,
    engine: str,
    master: str,
    other_lock: str,
    as_json: bool,
) -> None:
    """Receive the record set in FOLDER and publish past builds from it.

    FOLDER is one extract, or holds several, which are received in the order of their cut-offs. Each build is published
    at its own cut-off; all of them are pinned together.
    """
    from provenance import builds, extracts, pins, publishing, receiving
    from provenance.cli.receive import take
    from provenance.cli.weeks import write_week

    if bool(every) == bool(cut_offs):
        raise click.UsageError("say either --every week or --cut-offs FILE")
    params, table = door.params()
    made = []
    with door.archive() as archive, working(archive, engine, master) as cluster, progress("Backfill") as report:
        found = in_order(record_sets(Path(folder)))
        for done, path in enumerate(found):
            report("receiving", done, len(found))
            extract = extracts.read(path, systems=params.systems, erased=receiving.erased(archive, on=now()))
            take(door, archive, extract, params)
        report("receiving", len(found), len(found))
        moments_wanted = builds.weekly_cut_offs(archive) if every else _read_moments(Path(str(cut_offs)))
        try:
            for done, cut in enumerate(moments_wanted):
                report("building", done, len(moments_wanted))
                if confirm:
                    blocked = publishing.findings(archive, cut, params)
                    publishing.confirm(archive, blocked, on=now(), by=user(), under=WEEKLY, reason=confirm)
                around = surroundings(params, now(), user(), other_lock, cluster)
                made.append(builds.build(archive, params, table, cut_off=cut, published_at=cut, around=around).built)
        finally:  # what was published before a build failed is pinned all the same
            if made:
                write_week(door.path, made[-1].cut_off, made[-1].cut_off)
                labels = [built.label for built in made]
                pins.pin(door.path, labels, f"builds {labels[0]} to {labels[-1]}", on=now())
        report("building", len(moments_wanted), len(moments_wanted))
    if as_json:
        emit_json({"builds": [{"build": built.label, "cut_off": built.cut_off} for built in made]})
    else:
        out = console()
        span = f", {made[0].label} to {made[-1].label}" if made else ""
        out.print(f"Published {len(made)} past builds{span}.")


def record_sets(folder: Path) -> list[Path]:
    """The extract in `folder`, or the extracts in the folders within it. Raises Missing when there is none."""
    from provenance.errors import Missing

    if (folder / "extract.json").exists():
        return [folder]
    found = sorted(path.parent for path in folder.glob("*/extract.json"))
    if not found:
        raise Missing(f"folder {folder.name} holds no extract: wanted extract.json in it or in the folders within it")
    return found


def in_order(folders: list[Path]) -> list[Path]:
    """Extracts by their cut-off, then by name."""
    return sorted(folders, key=lambda folder: (cut_off(folder), folder.name))


def cut_off(folder: Path) -> str:
    """The cut-off of an extract, UTC; after any other where extract.json cannot be read, which is refused then."""
    from provenance import moments
    from provenance.errors import Malformed

    try:
        return moments.utc(moments.instant(json.loads((folder / "extract.json").read_bytes())["cut_off"]))
    except (OSError, ValueError, KeyError, TypeError, Malformed):
        return "~"


def _read_moments(path: Path) -> list[str]:
    from provenance import moments

    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    return sorted({moments.utc(moments.instant(line)) for line in lines if line and not line.startswith("#")})
