"""provenance ledger"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, several
from provenance.ledger import CAUSES, KINDS

if TYPE_CHECKING:
    from provenance.ledger import Entry, Notice


@click.group()
def ledger() -> None:
    """What left the force, to whom, and who is to be told since."""


class _WithCodes(click.Command):
    """A command whose help ends with the codes it takes."""

    title, codes = "Kinds", KINDS

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(self.title):
            formatter.write_dl(list(self.codes.items()))


class _WithCauses(_WithCodes):
    title, codes = "Causes", CAUSES


_by = click.option("--by", required=True, metavar="WHO", help="Who sent it.")
_under = click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
_apart = click.option("--apart", is_flag=True, help="In the register of highly sensitive material.")


@ledger.command(cls=_WithCodes)
@click.argument("path", type=click.Path(exists=True))
@click.option("--what", required=True, type=click.Choice(list(KINDS)), metavar="CODE", help="What kind of thing it is.")
@click.option("--title", required=True, metavar="TEXT", help="What it is, in words that name nobody.")
@click.option("--to", "recipient", required=True, metavar="WHO", help="The organisation or officer that gets it.")
@click.option("--basis", required=True, metavar="LAW", help="The law under which they may have it.")
@click.option("--case", default="", metavar="REF", help="The case that it is for.")
@click.option("--upto", default=0, metavar="ITEM", help="Of a schedule, the last item on it.")
@click.option("--nominal", "nominals", multiple=True, metavar="ID", help="Whom it is about; may be said again.")
@click.option(
    "--record", "records", multiple=True, nargs=2, metavar="SYSTEM ID", help="What it is about; may be said again."
)
@_apart
@_by
@_under
@as_json
@click.pass_obj
def send(
    door: Door,
    path: str,
    what: str,
    title: str,
    recipient: str,
    basis: str,
    case: str,
    upto: int,
    nominals: tuple[str, ...],
    records: tuple[tuple[str, str], ...],
    apart: bool,
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """Enter that PATH, a file or a folder, is about to be sent.

    A pack says itself whom it is about, and a schedule does by --case and --upto; of anything else, name them.
    """
    from provenance import ledger as acts
    from provenance import sending

    with door.archive() as archive:
        people, crimes = sending.subjects(
            archive, Path(path), what=what, case=case, upto=upto, nominals=nominals, records=records, separate=apart
        )
        entry = acts.send(
            archive, what=what, title=title, recipient=recipient, basis=basis, digest=sending.digest(Path(path)),
            nominals=people, records=crimes, case=case, upto=upto, separate=apart, on=now(), by=by, under=under,
        )  # fmt: skip
    if as_json:
        emit_json(_described(entry))
    else:
        click.echo(f"Item {entry.number} of the ledger: {what} to {recipient}.")


@ledger.command("list")
@_apart
@as_json
@click.pass_obj
def list_(door: Door, apart: bool, as_json: bool) -> None:
    """Everything that left, in order."""
    from rich.table import Table
    from rich.text import Text

    from provenance import ledger as acts
    from provenance import moments

    with door.archive() as archive:
        found = acts.sent(archive, separate=apart)
    if as_json:
        emit_json({"sent": [_described(each) for each in found]})
        return
    click.echo(f"{several(len(found), 'item')} in the ledger.")
    if not found:
        return
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("No.", "On", "What", "Title", "To", "Basis", "By"):
        shown.add_column(title, overflow="fold")
    for each in found:
        act = each.act
        cells = (str(act.number), moments.london_day(act.on), act.what, act.title, act.recipient, act.basis, act.by)
        shown.add_row(*map(Text, cells))
    console().print(shown)


@ledger.command(cls=_WithCauses)
@click.option("--all", "every", is_flag=True, help="Those that were sent too.")
@click.option("--out", default="", metavar="FOLDER", help="Write the drafts into this new folder.")
@_apart
@as_json
@click.pass_obj
def notices(door: Door, every: bool, out: str, apart: bool, as_json: bool) -> None:
    """Who is to be told of what has happened to what they were sent.

    Open subject access requests are listed too, with the day by which each is to be answered.
    """
    from provenance import durable, moments, subjectaccess
    from provenance import ledger as acts
    from provenance.errors import Conflict

    if out and Path(out).exists():
        raise Conflict("folder for the drafts is there already: wanted a new name")
    with door.archive() as archive:
        found = [each for each in acts.notices(archive, separate=apart) if every or each.told is None]
        texts = {each.name: acts.draft(archive, each) for each in found}
        waiting = [each for each in subjectaccess.requests(archive) if not each.answered_on]
    if out:
        Path(out).mkdir(parents=True, mode=0o700)
        for name, text in texts.items():
            durable.write(Path(out) / f"{name.replace('/', '-').replace(':', '-')}.txt", text.encode(), mode=0o600)
    if as_json:
        emit_json(
            {
                "notices": [_noticed(each, texts[each.name]) for each in found],
                "requests": [
                    {"request": each.act.request, "received_on": each.act.received_on, "due_on": each.act.due_on}
                    for each in waiting
                ],
            }
        )
        return
    click.echo(f"{several(len(found), 'notice')}.")
    for each in found:
        told = f"sent {moments.london_day(each.told.on)}" if each.told else "to be sent"
        click.echo(f"  {each.name}  {each.recipient}: {told}")
    for request in waiting:
        click.echo(f"Subject access request {request.act.request} is to be answered by {request.act.due_on}.")


@ledger.command()
@click.argument("notice")
@click.option("--means", required=True, metavar="TEXT", help="How it was sent.")
@_apart
@_by
@_under
@as_json
@click.pass_obj
def notified(door: Door, notice: str, means: str, apart: bool, by: str, under: str, as_json: bool) -> None:
    """Record that NOTICE, by its name, was sent."""
    from provenance import ledger as acts

    with door.archive() as archive:
        told = acts.notify(archive, notice, means=means, separate=apart, on=now(), by=by, under=under)
        text = acts.draft(archive, told)
    if as_json:
        emit_json(_noticed(told, text))
    else:
        click.echo(f"Notice {told.name} was sent to {told.recipient}.")


def _described(each: Entry) -> dict[str, Any]:
    act = each.act
    return {
        "number": act.number,
        "on": act.on,
        "what": act.what,
        "title": act.title,
        "recipient": act.recipient,
        "basis": act.basis,
        "case": act.case,
        "upto": act.upto,
        "people": len(each.nominals),
        "records": len(each.records),
        "by": act.by,
        "under": act.under,
    }


def _noticed(each: Notice, text: str) -> dict[str, Any]:
    return {
        "name": each.name,
        "number": each.number,
        "recipient": each.recipient,
        "cause": each.cause,
        "reference": each.reference,
        "happened_on": each.happened_on,
        "sent_on": each.told.on if each.told else "",
        "means": each.told.means if each.told else "",
        "draft": text,
    }
