"""provenance trail"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, several

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provenance.trail import Answer, Line, Question

_PURPOSES = ("lawfulness", "self-monitoring", "integrity", "criminal-proceedings")


@click.command()
@click.option("--by", required=True, metavar="WHO", help="Who asks: somebody who may see the trail.")
@click.option(
    "--purpose", required=True, type=click.Choice(_PURPOSES), metavar="CODE",
    help="What for, of the four that the law allows: " + ", ".join(_PURPOSES) + ".",
)  # fmt: skip
@click.option("--nominal", default="", metavar="ID", help="Pages about this person, or that showed rows of theirs.")
@click.option("--user", default="", metavar="WHO", help="What this user was shown.")
@click.option("--build", "label", default="", metavar="LABEL", help="Of this build.")
@click.option("--case", "case", default="", metavar="REF", help="For this case.")
@click.option("--from", "first_day", default="", metavar="DAY", help="From this day on")
@click.option("--until", "last_day", default="", metavar="DAY", help="up to this one.")
@as_json
@click.pass_obj
def trail(
    door: Door,
    by: str,
    purpose: str,
    nominal: str,
    user: str,
    label: str,
    case: str,
    first_day: str,
    last_day: str,
    as_json: bool,
) -> None:
    """Who was shown what, and when.

    The trail may be read for four purposes and no other (DPA 2018 s.62(4)). Who asked, what for and about whom is
    logged before anything is told. Who may not see names asks by user, build, case and period alone.
    """
    from provenance import access
    from provenance import trail as trails

    question = trails.Question(
        nominal=nominal, user=user, label=label, case=case, first_day=first_day, last_day=last_day
    )
    with door.archive() as archive:
        grants, on = archive.history.grants, now()
        access.insist(grants, by, on, access.TRAIL)
        if nominal:
            access.insist(grants, by, on, access.NAMES)
        found = trails.trace(archive, question, purpose=purpose, on=on, by=by, under=access.titles(grants, by, on))
        seen = access.NAMES in access.may(grants, by, on)
        ids = trails.names(archive, found.lines) if seen else {}
    if as_json:
        emit_json({"purpose": purpose, "untold": found.untold, "acts": [_described(x, ids) for x in found.lines]})
        return
    _print(question, found, ids)


def _described(line: Line, ids: Mapping[int, str]) -> dict[str, Any]:
    return {
        "entry": line.place, "act": line.kind, "on": line.on, "by": line.by, "under": line.under, "build": line.label,
        "view": line.view, "case": line.case, "subjects": [ids[t] for t in line.subjects if t in ids],
        "withheld": sum(t not in ids for t in line.subjects), "how": line.how, "rows": line.rows, "digest": line.shown,
    }  # fmt: skip


def _print(question: Question, found: Answer, ids: Mapping[int, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from provenance import moments

    if not found.lines:
        click.echo("Nobody was shown anything of that.")
    else:
        heads = ["Entry", "When", "Who", "Page", "About"] + (["Rows of theirs"] if question.nominal else [])
        shown = Table(*heads, box=None, padding=(0, 2, 0, 0))
        for line in found.lines:
            withheld = sum(t not in ids for t in line.subjects)
            about = ", ".join(ids[t] for t in line.subjects if t in ids)
            about += ("; " if about and withheld else "") + (several(withheld, "person") if withheld else "")
            page = f"{line.label} {line.view}".strip() + (f", case {line.case}" if line.case else "")
            cells = [
                f"{line.place}",
                moments.london(moments.instant(line.on)),
                f"{line.by} ({line.under})",
                page,
                about,
            ]
            if question.nominal:
                cells.append("not to be told" if line.rows is None else f"{line.rows:,}")
            shown.add_row(*map(Text, cells))
        console().print(shown)
        click.echo(f"{several(len(found.lines), 'act')}. That you asked is in the log.")
    if found.untold:
        click.echo(f"{several(found.untold, 'more act')} of that time and kind: whose rows they showed is not told.")
