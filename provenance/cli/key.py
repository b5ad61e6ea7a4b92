"""provenance key"""

from __future__ import annotations

from typing import Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, several, user
from provenance.keys import REASONS


@click.group()
def key() -> None:
    """The key that signs, those that signed before it, and what is said of copies of the master key."""


@key.command("list")
@as_json
@click.pass_obj
def list_(door: Door, as_json: bool) -> None:
    """Show each key that ever signed, and from which log entry on."""
    from rich.table import Table
    from rich.text import Text

    from provenance import moments

    with door.archive() as archive:
        found = archive.spans()
        is_under_way = archive.is_rotating()
    if as_json:
        emit_json({"keys": found, "rotation_cut_off": is_under_way})
        return
    out = console()
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("From", "Log entry", "Reason", "By"):
        shown.add_column(title)
    for span in found:
        since = moments.london(moments.instant(span["on"]))
        shown.add_row(*(Text(str(cell)) for cell in (since, span["entry"], span["reason"] or "founded", span["by"])))
    out.print(shown)
    out.print("\nTheir public halves, in the same order; the last one signs:")
    for span in found:
        click.echo(span["vkey"])
    if is_under_way:
        click.echo("\nA rotation was cut off. The next command that writes completes it.")


class _WithReasons(click.Command):
    """A command whose help ends with the reasons it takes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Reasons"):
            formatter.write_dl(list(REASONS.items()))


@key.command(cls=_WithReasons)
@click.option("--reason", required=True, type=click.Choice(list(REASONS)), metavar="CODE", help="Why: see below.")
@click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
@as_json
@click.pass_obj
def rotate(door: Door, reason: str, under: str, as_json: bool) -> None:
    """Have a new key take over from the one that signs.

    What was signed before stays signed, and still verifies. The old private key is removed. Afterwards give the new
    public key to everyone who checks the log: each witness, and whoever keeps a policy file.
    """
    from provenance import entries, pins, rekeying

    on = now()
    with door.archive() as archive:
        said = rekeying.rotate(archive, on=on, by=user(), under=under, reason=reason)
        name = archive.name
    if (door.path / ".git").exists():
        pins.commit(door.path, f"archive {name}: another key signs", on=on)
    if as_json:
        emit_json(_as_json(entries.as_json(said)))
        return
    click.echo(f"A new key signs, from log entry {said.place} on. The old one is gone from the key folder.")
    click.echo(said.vkey)
    click.echo("Give this line to each witness (provenance witness trust) and to whoever keeps a")
    click.echo("policy file, best by another way than the log itself. log/policy has it already.")
    click.echo("Replace the copy in escrow and destroy the old one; and make a backup: one of")
    click.echo("before comes back only with a log of after.")


@key.command()
@click.argument("state", type=click.Choice(["none", "held"]), metavar="STATE")
@click.option("--after", default="", metavar="ID", help="Of held: the last disposal before the copy was made.")
@click.option("--by", required=True, metavar="WHO", help="Who says so.")
@click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
@as_json
@click.pass_obj
def escrow(door: Door, state: str, after: str, by: str, under: str, as_json: bool) -> None:
    """Say whether a copy of the master key is held elsewhere.

    STATE is none, or held. Of one that is held it says too that every older copy is destroyed. It goes into the log,
    and into the certificates of later disposals. The archive cannot look into a safe: it is the word of who says it.
    Say it at the beginning, and again after each disposal once the copy is replaced.
    """
    from provenance import entries
    from provenance import escrow as statement

    with door.archive() as archive:
        said = statement.state(archive, held=state == "held", after=after, on=now(), by=by, under=under)
        waiting = len(archive.history.outstanding())
    if as_json:
        emit_json({**entries.as_json(said), "outstanding": waiting})
        return
    click.echo(
        "Logged: a copy of the master key is held." if said.copies else "Logged: no copy of the master key is held."
    )
    if waiting:
        click.echo(f"It was not replaced since {several(waiting, 'disposal')}: `provenance dispose list`.")


def _as_json(content: dict[str, Any]) -> dict[str, Any]:
    return {"entry": content.pop("place"), **content}
