"""provenance witness"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, several
from provenance.errors import Conflict

if TYPE_CHECKING:
    from provenance.archive import Archive

_out = click.option("--out", default="", metavar="FILE", help="Write it here (default: print it).")
_folder = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_file = click.argument("file", type=click.File("rb"))


class _InOrder(click.Group):
    """Help lists the commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder)
def witness() -> None:
    """Have the log's head cosigned outside, or cosign one.

    For the archive: `request` writes a text to mail to a witness, `add` takes in what they answer, `list` shows who
    has answered. For the witness, who needs no archive: `init`, `trust`, `distrust`, `sign`. FILE may be - for what is
    typed or piped in; a text may be pasted out of a mail.
    """


@witness.command()
@click.option(
    "--old", type=int, metavar="SIZE",
    help="How many entries the witness has seen (default: the most that one of log/policy has cosigned).",
)  # fmt: skip
@_out
@as_json
@click.pass_obj
def request(door: Door, old: int | None, out: str, as_json: bool) -> None:
    """Write a text that asks a witness to cosign the head.

    It holds the log's head, and the digests which show that the head continues the one they have seen. The head is
    kept in log/heads, so that it cannot be taken back. Mail it whole, in the letter or attached.
    """
    from provenance import witnessing
    from provenance.proofs import AddCheckpoint

    with door.archive() as archive:
        body = witnessing.request(archive, old=old)
        last = witnessing.last_cosigned(archive)
        _keep(door, archive, "a head for a witness")
    asked = AddCheckpoint.parse(body)
    if out:
        _write(out, body)
    if as_json:
        answer = {"old": asked.old, "size": asked.head.size, "root": asked.head.root.hex(), "witnesses": last}
        emit_json({**answer, "request": body.decode()})
        return
    if not out:
        click.echo(body.decode(), nl=False)
    notes = [f"This asks to cosign {_entries(asked.head.size)}, from {asked.old} on."]
    for name, size in last.items():
        if size != asked.old:
            notes.append(f"{name} last cosigned {_entries(size)}: ask them with --old {size}.")
    if not last:
        notes.append("log/policy names no witness yet: their answer is not taken in before it does.")
    click.echo("\n".join(notes), err=not out)


@witness.command()
@_file
@as_json
@click.pass_obj
def add(door: Door, file: BinaryIO, as_json: bool) -> None:
    """Check the answer in FILE and keep it with the head.

    A line counts when log/policy names its witness: `witness NAME VKEY`, above the quorum.
    """
    from provenance import witnessing

    data = file.read()
    with door.archive() as archive:
        added = witnessing.add(archive, data)
        met = {head.size: head.quorum_met for head in witnessing.shown(archive)}
        _keep(door, archive, "a witness's answer")
    if as_json:
        emit_json(
            {
                "added": [
                    {"size": line.size, "witness": line.name, "at": _instant(line.at), "again": line.again,
                     "quorum_met": met[line.size]}
                    for line in added
                ]
            }
        )  # fmt: skip
        return
    for line in added:
        if line.again:
            click.echo(f"{line.name} had cosigned {_entries(line.size)} before; their first line stays.")
        else:
            click.echo(f"{line.name} cosigned {_entries(line.size)} at {_london(line.at)}.")
    for size in dict.fromkeys(line.size for line in added):
        click.echo(f"The quorum of log/policy is {'met' if met[size] else 'NOT met yet'} for {_entries(size)}.")


@witness.command("list")
@as_json
@click.pass_obj
def list_(door: Door, as_json: bool) -> None:
    """Which heads were shown outside, and who cosigned them."""
    from provenance import witnessing

    with door.archive() as archive:
        heads = witnessing.shown(archive)
        last = witnessing.last_cosigned(archive)
    if as_json:
        emit_json({
            "witnesses": last,
            "heads": [
                {
                    "size": head.size, "root": head.root.hex(), "quorum_met": head.quorum_met,
                    "cosigned": [{"witness": line.name, "at": _instant(line.at)} for line in head.cosigned],
                    "stamps": list(head.stamps),
                }
                for head in heads
            ],
        })  # fmt: skip
        return
    witnesses = f"{len(last)} witness{'' if len(last) == 1 else 'es'}"
    click.echo(f"{several(len(heads), 'head')} shown outside; {witnesses} in log/policy.")
    if heads:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
        table.add_column("Entries", justify="right", no_wrap=True)
        table.add_column("Cosigned by")
        table.add_column("Stamped by")
        table.add_column("Quorum", no_wrap=True)
        for head in heads:
            lines = [f"{line.name}, {_london(line.at)}" for line in head.cosigned]
            table.add_row(
                f"{head.size:,}", Text("\n".join(lines) or "nobody"), Text("\n".join(head.stamps) or "nobody"),
                "met" if head.quorum_met else "not met",
            )  # fmt: skip
        console().print(table)
    for name, size in last.items():
        if not size:
            click.echo(f"{name} has cosigned nothing yet.")


@witness.command()
@_folder
@click.option("--name", required=True, help="What the witness is called, such as ethics.example/witness.")
@as_json
def init(folder: Path, name: str, as_json: bool) -> None:
    """Make DIR a witness's folder, with a key of its own."""
    from provenance import witnessing

    vkey = witnessing.found(folder, name=name)
    if as_json:
        emit_json({"name": vkey.name, "vkey": str(vkey)})
        return
    click.echo(f"Witness {name} is ready. For policies that name it:\n")
    click.echo(f"{vkey}\n")
    click.echo("Keep the folder, and never put an older copy in its place: it remembers what")
    click.echo("was cosigned. Next: provenance witness trust DIR VKEY, with the log's key.")


@witness.command()
@_folder
@click.argument("vkey")
@as_json
def trust(folder: Path, vkey: str, as_json: bool) -> None:
    """Let the witness in DIR cosign a log.

    VKEY is the log's key, from somebody you know and not from the mail that asks for a cosignature. A log whose key
    was rotated goes on where it was: trust its new key. Once a head was cosigned under the new key, the old one counts
    no more.
    """
    from provenance import witnessing

    log = witnessing.trust(folder, vkey)
    if as_json:
        emit_json({"log": log.name, "vkey": str(log)})
        return
    click.echo(f"This witness cosigns {log.name} under key {log.key_id.hex()} from now on.")


@witness.command()
@_folder
@click.argument("vkey")
@as_json
def distrust(folder: Path, vkey: str, as_json: bool) -> None:
    """Let the witness in DIR cosign nothing under a key.

    For a log's key that was stolen, or was trusted by mistake. What was cosigned stays, and so does the memory of it:
    the log goes on from there under a key that you trust.
    """
    from provenance import witnessing

    gone = witnessing.distrust(folder, vkey)
    if as_json:
        emit_json({"log": gone[-1].name, "vkeys": [str(key) for key in gone]})
        return
    for key in gone:
        click.echo(f"This witness cosigns nothing of {key.name} under key {key.key_id.hex()} any more.")


@witness.command()
@_folder
@_file
@_out
@as_json
def sign(folder: Path, file: BinaryIO, out: str, as_json: bool) -> None:
    """Cosign the head in FILE, if it continues the last one.

    The answer is for mailing back: a line to add, or, when the request starts elsewhere than this witness is, the
    number of entries it has seen.
    """
    from provenance import moments, witnessing
    from provenance.notes import Note

    at = int(moments.parse(now()).timestamp())
    try:
        line = witnessing.sign(folder, file.read(), at=at)
    except witnessing.OutOfStep as error:
        _answer(f"{error.size}\n".encode(), out, as_json, {"size": error.size})
        raise Conflict(str(error)) from error
    name = Note.parse(b"answer\n\n" + line).signatures[0].name
    _answer(line, out, as_json, {"witness": name, "at": _instant(at), "line": line.decode()})
    if not as_json:
        click.echo(f"{name} cosigned at {_london(at)}.\nMail the answer back.", err=not out)


def _answer(answer: bytes, out: str, as_json: bool, described: dict[str, object]) -> None:
    if out:
        _write(out, answer)
    if as_json:
        emit_json(described)
    elif not out:
        click.echo(answer.decode(), nl=False)


def _write(out: str, data: bytes) -> None:
    from provenance import durable

    durable.write(Path(out), data)


def _keep(door: Door, archive: Archive, what: str) -> None:
    """Let git have the head that was shown."""
    from provenance import pins

    if (door.path / ".git").exists():
        pins.commit(door.path, f"{_entries(archive.log.size)}: {what}", on=now())


def _entries(count: int) -> str:
    return f"{count:,} log {'entry' if count == 1 else 'entries'}"


def _instant(seconds: int) -> str:
    from provenance import moments

    moment = _moment(seconds)
    return moments.utc(moment) if moment else ""


def _london(seconds: int) -> str:
    from provenance import moments

    moment = _moment(seconds)
    return moments.london(moment) if moment else f"a time that is none ({seconds} s)"


def _moment(seconds: int) -> datetime | None:
    """What a witness's clock said, which may be anything."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
