"""provenance key"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, several, user
from provenance.custody import KINDS, Where
from provenance.keys import REASONS


@click.group()
def key() -> None:
    """The key that signs and the one that opens the vault: where they lie, and how others take over."""


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
        where, moving = archive.custody.where, archive.custody.moving
        is_stale = archive.history.is_escrow_stale
    if as_json:
        emit_json(
            {
                "keys": found,
                "rotation_cut_off": is_under_way,
                "where": _place(where),
                "moving_to": _place(moving) if moving else None,
                "escrow_stale": is_stale,
            }
        )
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
    click.echo(f"\nThe private key and the master key lie in {where.said}.")
    if moving:
        click.echo(f"A move to {moving.said} was cut off: give the same `provenance key move` again.")
    if is_stale:
        click.echo("The copy of the master key that is held elsewhere is of an older one: replace it, and say so")
        click.echo("(provenance key escrow held).")


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


@key.command(cls=_WithReasons)
@click.option("--reason", required=True, type=click.Choice(list(REASONS)), metavar="CODE", help="Why: see below.")
@click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
@as_json
@click.pass_obj
def relock(door: Door, reason: str, under: str, as_json: bool) -> None:
    """Have a new master key open the vault, and destroy the old one.

    A disposal does the same of itself. Every backup and copy of the vault that there is opens no more: make a new
    backup at once, and replace the copy of the key in escrow.
    """
    from provenance import entries, pins, rekeying

    on = now()
    with door.archive() as archive:
        said = rekeying.relock(archive, on=on, by=user(), under=under, reason=reason)
        name, is_stale = archive.name, archive.history.is_escrow_stale
    if (door.path / ".git").exists():
        pins.commit(door.path, f"archive {name}: another key opens the vault", on=on)
    if as_json:
        emit_json({**entries.as_json(said), "escrow_stale": is_stale})
        return
    click.echo("A new master key opens the vault. The old one is gone, and with it every older copy of the vault:")
    click.echo("make a backup now.")
    _tell_escrow(is_stale)


@key.command(cls=_WithReasons)
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.option("--module", default="", metavar="FILE", help="Of a token: the device's PKCS#11 library.")
@click.option("--token", default="", metavar="LABEL", help="Of a token: its label.")
@click.option("--reason", required=True, type=click.Choice(list(REASONS)), metavar="CODE", help="Why: see below.")
@click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
@as_json
@click.pass_obj
def move(door: Door, kind: str, module: str, token: str, reason: str, under: str, as_json: bool) -> None:
    """Have new keys take over that lie elsewhere, and destroy the old ones.

    KIND is files, environment (files sealed under the key in PROVENANCE_KEY) or token (a security module, whose PIN is
    in PROVENANCE_PIN). No key leaves where it was drawn: both are drawn anew. Where the old place needs another PIN or
    key than the new one, PROVENANCE_NEXT_PIN and PROVENANCE_NEXT_KEY are for the new one. Cut off, it is completed by
    the same command.
    """
    from provenance import custody, entries, pins, rekeying

    on, where = now(), custody.drawn(kind, module=str(Path(module).absolute()) if module else "", token=token)
    with door.archive() as archive:
        rekeyed, relocked = rekeying.move(archive, where, on=on, by=user(), under=under, reason=reason)
        name, said, vkey, is_stale = (
            archive.name,
            archive.custody.where.said,
            archive.vkey,
            archive.history.is_escrow_stale,
        )
    if (door.path / ".git").exists():
        pins.commit(door.path, f"archive {name}: other keys, elsewhere", on=on)
    if as_json:
        signing = _as_json(entries.as_json(rekeyed)) if rekeyed else None
        emit_json({"rekeyed": signing, "relocked": entries.as_json(relocked), "escrow_stale": is_stale})
        return
    click.echo(f"New keys sign and open the vault; they lie in {said}. The old ones are gone.")
    click.echo(str(vkey))
    click.echo("Give this line to each witness (provenance witness trust) and to whoever keeps a policy file. Older")
    click.echo("copies of the vault open no more: make a backup now.")
    _tell_escrow(is_stale)


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


def _tell_escrow(is_stale: bool) -> None:
    if is_stale:
        click.echo(
            "The copy in escrow is of the old key: replace it, destroy it, and say so (provenance key escrow held)."
        )


def _place(where: Where) -> dict[str, str]:
    """A place without its mark, which is nobody's business but the device's."""
    return {"kind": where.kind, **({"module": where.module, "token": where.token} if where.token else {})}


def _as_json(content: dict[str, Any]) -> dict[str, Any]:
    return {"entry": content.pop("place"), **content}
