"""provenance backup"""

from __future__ import annotations

from pathlib import Path

import click

from provenance.cli.doors import Door, as_json, emit_json, now, progress, user


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@as_json
@click.pass_obj
def backup(door: Door, folder: str, as_json: bool) -> None:
    """Copy into FOLDER, which is new or empty, what cannot be made again.

    The vault is in it and the keys are not: keep the two apart. The next disposal closes the vault of every backup
    before it, so back up after each receive, build and disposal.
    """
    from provenance import backups

    with door.archive() as archive, progress("Backing up") as report:
        made = backups.make(archive, Path(folder), on=now(), by=user(), report=report)
    if as_json:
        emit_json(
            {
                "archive": made.archive,
                "made_on": made.made_on,
                "files": len(made.files),
                "bytes": made.size,
                "log_size": made.log_size,
                "log_root": made.log_root,
                "disposals": made.disposals,
            }
        )
        return
    click.echo(f"Backed up archive {made.archive}: {len(made.files):,} files, {made.size / 1e6:,.1f} MB, in {folder}.")
    click.echo(f"Its log has {made.log_size:,} entries, root {made.log_root}")
    click.echo("The keys are not in it. It opens with them until the next disposal: then make another.")
