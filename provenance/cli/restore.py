"""provenance restore"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from provenance.cli.doors import Door, as_json, emit_json, now, progress, unlock, user
from provenance.errors import Refused

_UNDER = {False: "restoring from a backup, with a later log", True: "restoring from a backup; nobody has a later log"}


@click.command()
@click.argument("backup", type=click.Path(exists=True, file_okay=False))
@click.argument("into", type=click.Path(file_okay=False))
@click.option("--log", type=click.Path(exists=True, file_okay=False), metavar="DIR", help="The log of the day.")
@click.option("--no-later-log", is_flag=True, help="Nobody has a later log than the backup's.")
@click.option(
    "--vault", type=click.Path(exists=True, file_okay=False), metavar="DIR", help="The vault of a later backup."
)
@click.option(
    "--files",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Another copy of the archive, such as a clone, for files that the backup lacks.",
)
@as_json
@click.pass_obj
def restore(
    door: Door,
    backup: str,
    into: str,
    log: str | None,
    no_later_log: bool,
    vault: str | None,
    files: str | None,
    as_json: bool,
) -> None:
    """Make an archive of BACKUP in the folder INTO, which is new or empty.

    Its keys lie in INTO.keys, or where --keys says. Whatever was disposed of since the backup is disposed of again
    before anything is shown; only a later log tells what that was. Cut off, it is completed by the same command.
    """
    from provenance import backups, moments

    if bool(log) == no_later_log:
        raise Refused(
            "restore wants to know what was disposed of since the backup: say --log DIR, the log of a clone, a witness "
            "or a later backup; or --no-later-log, if nobody has one"
        )
    there = Door(into, door.keys)
    keys = there.keys_path
    with progress("Restoring") as report:
        before = backups.put_back(
            Path(backup),
            there.path,
            keys,
            log=Path(log) if log else None,
            vault=Path(vault) if vault else None,
            files=Path(files) if files else None,
            unlock=unlock(),
            report=report,
        )
        said = {"on": now(), "by": user(), "under": _UNDER[no_later_log]}
        done = backups.replay(there.path, keys, *there.params(), **said, unlock=unlock(), report=report)
    if as_json:
        emit_json(
            {
                "archive": before.archive,
                "made_on": before.made_on,
                "entries": done.entries,
                "replayed": done.replayed,
                "blanked": done.blanked,
                "keys_replaced": done.closed,
                "disposals": [outcome.certificate_id for outcome in done.finished],
                "tables_lost": [dataclasses.asdict(lost) for lost in done.tables_lost],
            }
        )
        return
    made = moments.london(moments.instant(before.made_on))
    click.echo(f"Restored archive {before.archive} into {into}, from the backup of {made}.")
    click.echo(f"Its log has {done.entries:,} entries. Replayed from it: {done.replayed:,} disposals since the backup.")
    if done.closed:
        click.echo("The vault was older than the log: what was disposed of since is destroyed in it too, and the")
        click.echo("master key is replaced. Back up again, and replace any copy of the key that is held in escrow.")
    for outcome in done.finished:
        click.echo(f"A hold had ended: disposal {outcome.certificate_id} is carried out.")
    for lost in done.tables_lost:
        click.echo(
            f"Harm table {lost.edition} is in no folder that was named. Builds that were counted by it, the first"
        )
        click.echo(
            f"being {lost.builds[0]}: {len(lost.builds):,}. Until it is there, their harm is not explained. Wanted"
        )
        click.echo(f"{lost.path}: the file with that SHA-256,")
        click.echo("from a clone, a later backup, or whoever issued the table.")
    click.echo("Next: provenance verify. Then let go of the old copy: two that both write make two histories.")
