"""provenance timestamp"""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import click

from provenance.cli.doors import Door, as_json, emit_json, now, several
from provenance.errors import Conflict, Malformed

if TYPE_CHECKING:
    from provenance.stamping import Stamped

_PATIENCE = 30  # seconds
_file = click.Path(exists=True, dir_okay=False)


@click.group()
def timestamp() -> None:
    """When the log was as it is, in the word of outside authorities."""


@timestamp.command()
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Where to (default: SIZE.tsq, here).")
@as_json
@click.pass_obj
def request(door: Door, out: str | None, as_json: bool) -> None:
    """Write an RFC 3161 request for the log's head.

    Send the file to the authority in any way it takes; `timestamp add` takes what comes back.
    """
    from provenance import durable, stamping

    with door.archive() as archive:
        asked = stamping.request(archive)
    path = Path(out or f"{asked.size}.tsq")
    durable.write(path, asked.body)
    _commit(door, f"head of {asked.size} entries to be time-stamped")
    if as_json:
        emit_json({"size": asked.size, "file": str(path)})
        return
    click.echo(f"Request for the log's head of size {asked.size:,}: {path}")
    click.echo("Send it to the authority, then: provenance timestamp add NAME RESPONSE")


@timestamp.command()
@click.argument("name")
@click.argument("file", type=_file)
@as_json
@click.pass_obj
def add(door: Door, name: str, file: str, as_json: bool) -> None:
    """Keep a response of authority NAME.

    FILE is judged first: by the authority's certificates, and for one of the heads that were shown to someone.
    """
    from provenance import stamping

    with door.archive() as archive:
        stamped = stamping.add(archive, name, Path(file).read_bytes())
    _kept(door, stamped, as_json)


@timestamp.command()
@click.argument("name")
@click.argument("pem", type=_file)
@as_json
@click.pass_obj
def authority(door: Door, name: str, pem: str, as_json: bool) -> None:
    """Say by which certificates to judge NAME.

    PEM is a file that has the authority's whole chain, up to the root. Certificates that are there already stay: the
    older stamps need them.
    """
    from provenance import stamping

    with door.archive() as archive:
        count = stamping.trust(archive, name, Path(pem).read_bytes())
    _commit(door, f"certificates of time-stamping authority {name}")
    if as_json:
        emit_json({"authority": name, "certificates": count})
    else:
        click.echo(f"Stamps of authority {name} are judged by {several(count, 'certificate')}: log/tsa/{name}.pem")


@timestamp.command()
@click.argument("name")
@click.argument("url")
@as_json
@click.pass_obj
def fetch(door: Door, name: str, url: str, as_json: bool) -> None:
    """Have the log's head stamped by NAME at URL.

    What leaves the machine is a digest of the head, and nothing else.
    """
    from provenance import stamping

    with door.archive() as archive:
        stamped = stamping.add(archive, name, _ask(url, stamping.request(archive).body))
    _kept(door, stamped, as_json)


@timestamp.command("list")
@as_json
@click.pass_obj
def list_(door: Door, as_json: bool) -> None:
    """Show every stamp, judged again.

    Exit code 4 when one does not verify.
    """
    from provenance import stamping
    from provenance.errors import Tampered

    with door.archive() as archive:
        held = stamping.listed(archive)
    if as_json:
        emit_json([_described(each) for each in held])
    elif not held:
        click.echo("No head of the log has been time-stamped yet.")
    for each in () if as_json else held:
        click.echo(f"size {each.size:>9,}  {each.label or '-':<10}  {each.authority}: {stamping.described(each)}")
    if wrong := sum(bool(each.fault) for each in held):
        raise Tampered(f"time stamps do not verify: {wrong} of {len(held)}, listed above")


def _ask(url: str, body: bytes) -> bytes:
    """POST a request (RFC 3161, 3.4). Raises Conflict when there is no answer; a redirection is none."""
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    from provenance.stamps import LARGEST, MEDIA_TYPES

    class Direct(HTTPRedirectHandler):
        """Followed, a POST would become a GET, and go to someone whom nobody named."""

        def redirect_request(self, *_: Any) -> None:
            return None

    if urlsplit(url).scheme not in ("http", "https"):
        raise Malformed("address of a time-stamping authority: wanted http://... or https://...")
    asked = Request(url, data=body, headers=dict(zip(("Content-Type", "Accept"), MEDIA_TYPES, strict=True)))
    try:
        with build_opener(Direct).open(asked, timeout=_PATIENCE) as answer:
            return answer.read(LARGEST + 1)
    except HTTPError as error:
        raise Conflict(f"time-stamping authority did not answer the request: HTTP status {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Conflict(f"time-stamping authority cannot be reached: {type(reason).__name__}") from error


def _kept(door: Door, stamped: Stamped, as_json: bool) -> None:
    from provenance import stamping

    _commit(door, f"head of {stamped.size} entries time-stamped by {stamped.authority}")
    if as_json:
        emit_json(_described(stamped))
        return
    click.echo(f"The log's head of size {stamped.size:,} was {stamping.described(stamped)},")
    click.echo(f"says authority {stamped.authority}: log/heads/{stamped.size}.{stamped.authority}.tsr")


def _described(stamped: Stamped) -> dict[str, Any]:
    from provenance import moments

    return {
        "size": stamped.size,
        "build": stamped.label,
        "authority": stamped.authority,
        "at": moments.utc(stamped.at) if stamped.at else "",
        "verified": not stamped.fault,
        "fault": stamped.fault,
    }


def _commit(door: Door, message: str) -> None:
    """git holds what log/ holds."""
    from provenance import pins

    if (door.path / ".git").exists():
        pins.commit(door.path, message, on=now())
