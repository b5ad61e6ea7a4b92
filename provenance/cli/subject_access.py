"""provenance subject-access"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click

from provenance.cli.doors import Door, as_json, emit_json, now, several
from provenance.subjectaccess import GROUNDS


class _WithGrounds(click.Command):
    """Its help ends with the grounds of the law."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Grounds"):
            formatter.write_dl(list(GROUNDS.items()))


@click.command(cls=_WithGrounds)
@click.argument("nominal")
@click.option("--received-on", default="", metavar="DAY", help="Enter the request: the day on which it came in.")
@click.option("--out", default="", metavar="FOLDER", help="Answer it, in a new folder.")
@click.option("--to", "recipient", default="the person who asked", metavar="WHO", help="Who gets it; name nobody.")
@click.option(
    "--withhold", multiple=True, nargs=4, metavar="SYSTEM ID GROUND REASON",
    help="A record that is not told, and why; may be said again.",
)  # fmt: skip
@click.option(
    "--restricted", nargs=2, default=None, metavar="GROUND REASON", help="Why what is restricted is not told."
)
@click.option("--untold", is_flag=True, help="Do not say that anything of it is withheld (s.45(6)).")
@click.option("--reasons", "show_reasons", is_flag=True, help="Show why things were withheld, for the Commissioner.")
@click.option("--by", default="", metavar="WHO", help="Who answers.")
@click.option("--under", default="", metavar="AUTHORITY", help="Under what authority.")
@as_json
@click.pass_obj
def subject_access(
    door: Door,
    nominal: str,
    received_on: str,
    out: str,
    recipient: str,
    withhold: tuple[tuple[str, str, str, str], ...],
    restricted: tuple[str, str] | None,
    untold: bool,
    show_reasons: bool,
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """What is held about NOMINAL, for the person to have.

    Enter the request with --received-on, then answer it with --out; alone it says where the person's requests stand.
    Everybody else is in the answer by their role alone.
    """
    from provenance import durable, moments, subjectaccess
    from provenance.entries import unpacked
    from provenance.errors import Conflict, Refused
    from provenance.reviewing import Subject
    from provenance.subjectaccess import Withheld

    if (received_on or out) and not (by and under):
        raise click.UsageError("--by and --under are needed to enter a request or to answer it")
    folder = Path(out)
    if out and folder.exists():
        raise Conflict("folder for the answer is there already: wanted a new name")
    params, _ = door.params()
    with door.archive() as archive:
        if out and any(folder.resolve().is_relative_to(inside.resolve()) for inside in (archive.root, archive.keys)):
            raise Refused("answer to a person is not kept within the archive: wanted another place")
        if received_on:
            subjectaccess.receive(archive, nominal, received_on=received_on, on=now(), by=by, under=under)
        if out:
            kept_back = [Withheld(system, id, ground, reason, untold) for system, id, ground, reason in withhold]
            kept_back += [Withheld("", "", *restricted, untold)] if restricted else []
            given = subjectaccess.answer(archive, params, nominal, withheld=kept_back, on=now())
            data = {
                "answer.json": json.dumps(given.said, ensure_ascii=False, indent=2).encode() + b"\n",
                "answer.html": subjectaccess.page(given.said),
            }
            digest = hashlib.sha256(b"".join(data.values())).hexdigest()
            subjectaccess.log(archive, given, digest=digest, recipient=recipient, on=now(), by=by, under=under)
            folder.mkdir(parents=True, mode=0o700)
            for name, content in data.items():
                durable.write(folder / name, content, mode=0o600)
        token = Subject("nominal", "", nominal).token(archive)
        mine = [each for each in subjectaccess.requests(archive) if token in unpacked(each.act.nominals)]
        today = moments.london_day(now())
        told = [
            {
                "request": each.act.request,
                "received_on": each.act.received_on,
                "due_on": each.act.due_on,
                "answered_on": each.answered_on,
                "late": each.is_late(today),
                **(
                    {"reasons": subjectaccess.reasons(archive, each.act.request)}
                    if show_reasons and each.answered_on
                    else {}
                ),
            }
            for each in mine
        ]
    if as_json:
        emit_json({"requests": told})
        return
    click.echo(f"{several(len(told), 'request')} of this person.")
    for line in told:
        state = f"answered on {moments.london_day(line['answered_on'])}" if line["answered_on"] else "open"
        late = ", LATE" if line["late"] else ""
        click.echo(f"  {line['request']}: received {line['received_on']}, due {line['due_on']}, {state}{late}")
        for reason in line.get("reasons") or ():
            what = f"{reason['system']} {reason['record']}".strip() or "what is restricted"
            click.echo(f"    {what}: {GROUNDS[reason['ground']]}. {reason['reason']}")
