"""provenance checkpoint"""

from __future__ import annotations

import click

from provenance.cli.doors import Door, as_json, emit_json, now, several


@click.command()
@click.option("--note", "as_note", is_flag=True, help="Print the signed head itself instead of the line.")
@as_json
@click.pass_obj
def checkpoint(door: Door, as_note: bool, as_json: bool) -> None:
    """Publish the log's head: one line for the weekly notice.

    The line goes into audit_reports/heads.txt as well. There is one per build: asked again, the answer is the line that
    was published. Whoever keeps it can tell later whether anything before it was changed.
    """
    from provenance import pins, publicising
    from provenance.heads import Heads
    from provenance.notes import encode_base64

    with door.archive() as archive:
        published = publicising.publish(archive)
        notice = published.notice
        signed = Heads(archive.log.folder / "heads").read(notice.size)
    if published.is_new and (door.path / ".git").exists():
        pins.commit(door.path, f"published head for {notice.label}", on=now())
    if as_json:
        emit_json(
            {
                "line": str(notice),
                "label": notice.label,
                "origin": notice.origin,
                "size": notice.size,
                "root": encode_base64(notice.root),
                "new": published.is_new,
                "logged_since": published.since,
                "note": signed.decode(),
            }
        )
        return
    click.echo(signed.decode() if as_note else str(notice), nl=not as_note)
    if published.since:
        click.echo(
            f"That is the head published for {notice.label}; {several(published.since, 'act')} logged since. "
            "The next build's will cover them.",
            err=True,
        )
