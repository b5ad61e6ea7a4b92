"""provenance init"""

from __future__ import annotations

import re
from pathlib import Path

import click

from provenance.cli.doors import Door, now, unlock, user
from provenance.custody import FILES, KINDS
from provenance.errors import Malformed


@click.command()
@click.option("--name", default="", help="What the archive's log is called (default: the folder's name).")
@click.option("--keys-in", default=FILES, type=click.Choice(KINDS), metavar="KIND", help="As `key move` has it.")
@click.option("--module", default="", metavar="FILE", help="Of a token: the device's PKCS#11 library.")
@click.option("--token", default="", metavar="LABEL", help="Of a token: its label.")
@click.pass_obj
def init(door: Door, name: str, keys_in: str, module: str, token: str) -> None:
    """Make a folder into an archive: git, DVC, params, log, vault, keys."""
    from provenance import custody, pins
    from provenance.archive import Archive

    name = name or door.path.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", name):
        raise Malformed("archive name is not one word of letters, digits, dots, dashes and slashes: say --name NAME")
    pins.lay_out(door.path)
    on = now()
    Archive.found(
        door.path,
        door.keys_path,
        name=name,
        on=on,
        by=user(),
        under="founding of the archive",
        where=custody.drawn(keys_in, module=str(Path(module).absolute()) if module else "", token=token),
        unlock=unlock(),
    ).close()
    pins.commit(door.path, f"archive {name}: founded", on=on)
    click.echo(f"Archive {name} is ready in {door.root}.")
    click.echo(f"Its keys lie beside it, in {door.keys_path.name}. Keep them off every backup of the archive.")
    click.echo("Next: provenance receive EXTRACT-FOLDER, then provenance build.")
