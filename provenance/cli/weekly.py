"""provenance weekly"""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from provenance import durable
from provenance.cli import backfill, backup, build, checkpoint, receive
from provenance.cli.doors import Door, now, several
from provenance.errors import Missing, ProvenanceError

_WEEK_IS_NEAR = 6 * 86_400  # seconds since a build was made, from which another one should have something to hold


@click.command()
@click.option("--backups", type=click.Path(file_okay=False), metavar="DIR", help="Back up into a new folder in DIR.")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Remove all backups in DIR but the last N.")
@click.option("--empty-inbox", is_flag=True, help="Remove extracts once what they held is built and backed up.")
@click.pass_context
def weekly(ctx: click.Context, backups: str | None, keep: int | None, empty_inbox: bool) -> None:
    """Receive what is in inbox/, build, publish the head, back up.

    For a timer: the commands that a person would type, in their order. What was done is not done again, so a run that
    failed is completed by the same command. Ends with the exit code of what failed, 5 where no extract has come for a
    week, 6 while another run is at work.
    """
    door: Door = ctx.obj
    if (keep or empty_inbox) and not backups:
        raise click.UsageError("--keep and --empty-inbox want --backups DIR: nothing is removed that is not backed up.")
    door.params()  # no lock is left in a folder that is no archive
    with durable.one_writer(door.path, wait=False):
        failed: ProvenanceError | None = None
        try:
            due = _due(door)
            for folder in due:
                ctx.invoke(receive.receive, folder=str(folder))
            _build(ctx, door)
        except ProvenanceError as error:  # what was received before it is worth a backup
            failed = error
        if backups:
            _back_up(ctx, door, Path(backups), keep)
        if failed:
            raise failed
        if empty_inbox:
            # They hold in the clear what a disposal could not reach there.
            for folder in due:
                shutil.rmtree(folder)
            click.echo(f"Removed from inbox/: {several(len(due), 'extract')}.")


def _due(door: Door) -> list[Path]:
    """Extracts in the inbox, in order, but for those of before the last one received, which `receive` would refuse."""
    with door.archive() as archive:
        last = max((extract.cut_off for extract in archive.history.extracts), default="")
    found = backfill.in_order([path.parent for path in (door.path / "inbox").glob("*/extract.json")])
    due = [folder for folder in found if backfill.cut_off(folder) >= last]
    if len(due) < len(found):
        click.echo(
            f"Passed over: {several(len(found) - len(due), 'extract')} of before {last}, the last one's cut-off."
        )
    return due


def _build(ctx: click.Context, door: Door) -> None:
    """Build what no build has yet, and publish the head. Raises Missing where a week has brought nothing."""
    with door.archive() as archive:
        received = max((extract.cut_off for extract in archive.history.extracts), default="")
        last = archive.history.builds[-1] if archive.history.builds else None
    if last is None and not received:
        raise Missing("no extract was received yet: wanted one in inbox/")
    if last is None or received > last.cut_off:
        ctx.invoke(build.build)
    ctx.invoke(checkpoint.checkpoint)
    if last and received <= last.cut_off:
        said = f"no extract has come since build {last.label}, whose cut-off is {last.cut_off}"
        if _seconds(last.on, now()) > _WEEK_IS_NEAR:
            raise Missing(f"{said}: wanted one in inbox/ with a later cut-off")
        click.echo(f"Nothing to build: {said}.")


def _seconds(then: str, later: str) -> float:
    from provenance import moments

    return (moments.instant(later) - moments.instant(then)).total_seconds()


def _back_up(ctx: click.Context, door: Door, folder: Path, keep: int | None) -> None:
    """A backup for each state of the log, in a folder named for the day and the number of entries."""
    from provenance import backups
    from provenance.archive import BACKUP

    with door.archive() as archive:
        there = backups.kept(folder, archive.custody)
        size, keys = archive.log.size, archive.custody
    if there and there[0][1].log_size == size:
        click.echo(f"Backed up already: {there[0][0].name} has all {size:,} entries.")
    else:
        target = folder / f"{now()[:10]}-{size}"
        if target.exists() and not (target / BACKUP).exists() and not durable.is_being_written(target):
            shutil.rmtree(target)  # of a run that was killed while it wrote
        ctx.invoke(backup.backup, folder=str(target))
    if keep and (gone := backups.prune(folder, keys, keep)):
        click.echo(f"Removed older backups: {', '.join(gone)}.")
