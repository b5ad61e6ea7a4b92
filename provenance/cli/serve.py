"""provenance serve"""

from __future__ import annotations

import click

from provenance.cli.doors import Door, now


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", default=8000, show_default=True, metavar="N", help="On which port.")
@click.pass_obj
def serve(door: Door, host: str, port: int) -> None:
    """Serve the dashboard of today and of any past moment.

    Who may look is granted by `provenance access grant`. How people sign on stands in web.yaml in the archive; without
    that file they have passwords (`provenance access password`) and the pages are for this machine alone.
    """
    import uvicorn

    from provenance import maps
    from provenance.cli.places import boundaries
    from provenance.errors import Refused
    from provenance.web import logs
    from provenance.web import settings as configured
    from provenance.web.app import House, application
    from provenance.web.reader import Reader
    from provenance.web.signon import Desk

    settings = configured.read(door.path / "web.yaml", port=port)
    if not (door.path / "web.yaml").exists() and host not in ("127.0.0.1", "::1", "localhost"):
        raise Refused("pages without web.yaml are for this machine alone: wanted settings, or --host 127.0.0.1")
    with door.archive() as archive:
        reader = Reader(archive)
        reader.prepare()

        def grants() -> list:
            with reader.turn() as current:
                return list(current.history.grants)

        desk = Desk(settings, archive.keys, grants=grants, clock=now)
        bounds = boundaries(door)
        house = House(settings.service, settings.force or archive.name, settings.marking, settings.handling)
        app = application(reader, desk, house, maps.outlined(bounds) if bounds else None)
        click.echo(f"Serving {archive.name} at {settings.origin} (Ctrl+C ends it)")
        logs.configure()
        # No access log: addresses name people. No header of a proxy is believed but the one that web.yaml names.
        uvicorn.run(
            app, host=host, port=port, log_config=None, access_log=False, proxy_headers=False, server_header=False
        )
