"""provenance database"""

from __future__ import annotations

import click

from provenance.cli.doors import Door, as_json, emit_json


@click.group()
def database() -> None:
    """Where the copy of the log and the sessions are kept.

    Rows, log, vault and keys are files in either case: a server that is lost takes nothing with it but who is signed
    on. Pages that are being served go on as they began: end them before, and serve them again after.
    """


@database.command()
@click.pass_obj
def use(door: Door) -> None:
    """Keep both on a PostgreSQL server from now on.

    Its address is asked for and not shown: postgresql://USER:PASSWORD@HOST:PORT/NAME, a database of its own for this
    archive. It is kept with the keys, in the file `database`. Everybody signs on again.
    """
    from provenance import durable
    from provenance.catalogue import Catalogue
    from provenance.database import FILE, Server

    said = click.prompt("Address of the database", hide_input=True)
    server = Server.named(said, door.keys_path)
    with door.archive() as archive:
        filled = Catalogue(door.path / "index", server)
        filled.refresh(archive.log)
        filled.close()
        held = archive.log.size
    durable.write(door.keys_path / FILE, said.strip().encode() + b"\n", mode=0o600)
    _sign_everybody_off(door)
    click.echo(f"Database {server.place} holds the log's {held:,} entries and, from now on, who is signed on.")


@database.command()
@click.pass_obj
def leave(door: Door) -> None:
    """Keep both in files again.

    The server is not asked, and may be gone. What it has stays there: copies of the log, and names of staff. Everybody
    signs on again.
    """
    from provenance import durable
    from provenance.database import FILE

    durable.remove(door.keys_path / FILE)
    _sign_everybody_off(door)
    with door.archive() as archive:
        held = archive.log.size
    click.echo(f"The folder index holds the log's {held:,} entries; who is signed on is kept with the keys.")


@database.command()
@as_json
@click.pass_obj
def status(door: Door, as_json: bool) -> None:
    """Which database is in use, and whether it answers.

    Ends with exit code 5 where it does not.
    """
    from provenance.database import Server
    from provenance.web.sessions import Sessions
    from provenance.web.settings import AttemptLimits, SessionLimits

    server = Server.chosen(door.keys_path)
    with door.archive() as archive:
        size = archive.log.size
    sessions = Sessions(door.keys_path, SessionLimits(), AttemptLimits())
    signed_on = sessions.count()
    sessions.close()
    if as_json:
        engine = "postgresql" if server else "sqlite"
        emit_json({"engine": engine, "place": server.place if server else "", "entries": size, "sessions": signed_on})
        return
    where = f"PostgreSQL, {server.place}" if server else "files of this archive (SQLite)"
    click.echo(f"In use: {where}. It holds the log's {size:,} entries and {signed_on:,} sessions.")


def _sign_everybody_off(door: Door) -> None:
    """Sessions that were left behind here earlier would else be good again."""
    from provenance.web.sessions import Sessions
    from provenance.web.settings import AttemptLimits, SessionLimits

    sessions = Sessions(door.keys_path, SessionLimits(), AttemptLimits())
    sessions.end_everybody()
    sessions.close()
