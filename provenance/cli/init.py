"""provenance init"""

from __future__ import annotations

import re

import click

from provenance.cli.doors import Door, now, user
from provenance.errors import Malformed


@click.command()
@click.option("--name", default="", help="What the archive's log is called (default: the folder's name).")
@click.pass_obj
def init(door: Door, name: str) -> None:
    """Make a folder into an archive: git, DVC, params, log, vault, keys."""
    from provenance import pins
    from provenance.archive import Archive

    name = name or door.path.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", name):
        raise Malformed("archive name is not one word of letters, digits, dots, dashes and slashes: say --name NAME")
    pins.lay_out(door.path)
    on = now()
    Archive.found(door.path, door.keys_path, name=name, on=on, by=user(), under="founding of the archive").close()
    pins.commit(door.path, f"archive {name}: founded", on=on)
    click.echo(f"Archive {name} is ready in {door.root}.")
    click.echo(f"Its keys lie beside it, in {door.keys_path.name}. Keep them off every backup of the archive.")
    click.echo("Next: provenance receive EXTRACT-FOLDER, then provenance build.")
