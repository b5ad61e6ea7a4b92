"""provenance serve"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from provenance.cli.doors import Door, now

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from provenance.archive import Archive
    from provenance.web.settings import Settings

_PATIENCE = 60  # seconds that a worker may be deaf, with a page that is worked out, before it is replaced
_PAUSE = 2  # seconds before a worker that could not begin makes room for the next


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", default=8000, show_default=True, metavar="N", help="On which port.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), metavar="N",
    help="How many processes answer; one that dies is replaced.",
)  # fmt: skip
@click.pass_obj
def serve(door: Door, host: str, port: int, workers: int) -> None:
    """Serve the dashboard of today and of any past moment.

    Who may look is granted by `provenance access grant`. How people sign on stands in web.yaml in the archive; without
    that file they have passwords (`provenance access password`) and the pages are for this machine alone.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from provenance.errors import Refused
    from provenance.web import logs
    from provenance.web import settings as configured

    settings = configured.read(door.path / "web.yaml", port=port)
    if not (door.path / "web.yaml").exists() and host not in ("127.0.0.1", "::1", "localhost"):
        raise Refused("pages without web.yaml are for this machine alone: wanted settings, or --host 127.0.0.1")
    # No access log: addresses name people. No header of a proxy is believed but the one that web.yaml names.
    said = {
        "host": host, "port": port, "log_config": None, "access_log": False, "proxy_headers": False,
        "server_header": False,
    }  # fmt: skip
    with door.archive() as archive:
        alone = _application(door, archive, settings) if workers == 1 else None
        click.echo(f"Serving {archive.name} at {settings.origin} (Ctrl+C ends it)")
        logs.configure()
        if alone is not None:
            uvicorn.run(alone, **said)
            return
    config = uvicorn.Config(
        Worker(door, settings), factory=True, workers=workers, timeout_worker_healthcheck=_PATIENCE, **said
    )
    Multiprocess(config, sockets=[config.bind_socket()]).run()


@dataclass(frozen=True, slots=True)
class Worker:
    """What each process of several makes its pages of: an archive that it opens for itself."""

    door: Door
    settings: Settings

    def __call__(self) -> Starlette:
        from provenance.archive import Archive
        from provenance.errors import ProvenanceError
        from provenance.web import logs

        logs.configure()
        try:
            return _application(self.door, Archive(self.door.path, self.door.keys_path), self.settings)
        except ProvenanceError as error:  # as while the database is away: another worker is started in this one's place
            time.sleep(_PAUSE)
            sys.exit(f"{type(error).__name__}: {error}")


def _application(door: Door, archive: Archive, settings: Settings) -> Starlette:
    from provenance import maps
    from provenance.cli.places import boundaries
    from provenance.web.app import House, application
    from provenance.web.reader import Reader
    from provenance.web.signon import Desk

    reader = Reader(archive)
    reader.prepare()

    def grants() -> list:
        with reader.turn() as current:
            return list(current.history.grants)

    desk = Desk(settings, archive.keys, grants=grants, clock=now)
    bounds = boundaries(door)
    house = House(settings.service, settings.force or archive.name, settings.marking, settings.handling)
    return application(reader, desk, house, maps.outlined(bounds) if bounds else None)
