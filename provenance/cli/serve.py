"""provenance serve"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provenance.cli.doors import Door, now

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from provenance.web.reader import Reader
    from provenance.web.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", default=8000, show_default=True, metavar="N", help="On which port.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), metavar="N",
    help="How many processes answer; they share what is in memory, and one that dies is replaced.",
)  # fmt: skip
@click.pass_obj
def serve(door: Door, host: str, port: int, workers: int) -> None:
    """Serve the dashboard of today and of any past moment.

    Who may look is granted by `provenance access grant`. How people sign on stands in web.yaml in the archive; without
    that file they have passwords (`provenance access password`) and the pages are for this machine alone.
    """
    import uvicorn

    from provenance.cli import thrift
    from provenance.errors import Refused
    from provenance.web import logs, processes
    from provenance.web import settings as configured
    from provenance.web.reader import Reader

    settings = configured.read(door.path / "web.yaml", port=port)
    if not (door.path / "web.yaml").exists() and host not in ("127.0.0.1", "::1", "localhost"):
        raise Refused("pages without web.yaml are for this machine alone: wanted settings, or --host 127.0.0.1")
    thrift.begin()
    with door.archive() as archive:
        reader = Reader(archive)
        reader.prepare()
        thrift.settle()
        app = _application(door, reader, settings)
        click.echo(f"Serving {archive.name} at {settings.origin} (Ctrl+C ends it)")
        logs.configure()
        if workers == 1:
            uvicorn.run(app, host=host, port=port, log_config=None, **processes.QUIET)
        else:
            processes.run(app, reader, host=host, port=port, workers=workers)


def _application(door: Door, reader: Reader, settings: Settings) -> Starlette:
    from provenance import maps
    from provenance.cli.places import boundaries
    from provenance.web.app import House, application
    from provenance.web.signon import Desk

    archive = reader.archive

    def grants() -> list:
        with reader.turn() as current:
            return list(current.history.grants)

    desk = Desk(settings, archive.keys, grants=grants, clock=now)
    bounds = boundaries(door)
    house = House(settings.service, settings.force or archive.name, settings.marking, settings.handling)
    return application(reader, desk, house, maps.outlined(bounds) if bounds else None)
