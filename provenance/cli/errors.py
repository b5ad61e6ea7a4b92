"""provenance errors"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import click

from provenance import reports as rules
from provenance.cli.doors import Door, as_json, console, emit_json, now, several, user

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provenance.reports import Report


@click.group()
def errors() -> None:
    """Reports that a page is wrong: who said so, what was found, which build carries the correction."""


class _WithCodes(click.Command):
    """A command whose help ends with the codes it takes."""

    codes: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, codes in self.codes.items():
            with formatter.section(title):
                formatter.write_dl(list(codes.items()))


class _Reporting(_WithCodes):
    codes: ClassVar = {"What is wrong": rules.WRONG}


class _Triaging(_WithCodes):
    codes: ClassVar = {"Urgencies": {code: words for code, (_, words) in rules.URGENCIES.items()}}


class _Settling(_WithCodes):
    codes: ClassVar = {"Findings": rules.FINDINGS, "Causes": rules.CAUSES}


@errors.command(cls=_Reporting)
@click.argument("reference")
@click.option("--wrong", required=True, type=click.Choice(list(rules.WRONG)), metavar="CODE", help="What: see below.")
@click.option("--words", type=click.File(encoding="utf-8"), metavar="FILE", help="More of it, in words: no names.")
@as_json
@click.pass_obj
def report(door: Door, reference: str, wrong: str, words: Any, as_json: bool) -> None:
    """Say that the page behind REFERENCE, BUILD/VIEW/DIGEST, is wrong.

    Words are sealed under the secrets of those whom the page is about, and die with them.
    """
    from provenance import reporting, viewing

    with door.archive() as archive:
        view, _ = viewing.find(archive, reference)
        made = reporting.report(
            archive, view, wrong=wrong, words=words.read() if words else "", on=now(), by=user(),
            under="report from the command line",
        )  # fmt: skip
    if as_json:
        emit_json(_described(made))
        return
    click.echo(f"Report {made.number} is in the log. `provenance errors show {made.number}`")


@errors.command("list")
@click.option("--open", "only_open", is_flag=True, help="Only those that nobody has settled.")
@as_json
@click.pass_obj
def list_(door: Door, only_open: bool, as_json: bool) -> None:
    """All reports, and what came of them."""
    from rich.table import Table
    from rich.text import Text

    from provenance import moments

    with door.archive() as archive:
        held = [each for each in archive.history.reports if not (only_open and each.settled)]
    if as_json:
        emit_json({"reports": [_described(each) for each in held]})
        return
    if not held:
        click.echo("Nothing is reported." if not only_open else "Nothing is open.")
        return
    shown = Table("No.", "Reported", "By", "Page", "What is wrong", "Found", box=None, padding=(0, 2, 0, 0))
    for each in held:
        act = each.act
        cells = (
            str(each.number), moments.london(moments.instant(act.on)), act.by, f"{act.label} {_view(each)}", act.wrong,
            each.finding.finding if each.finding else f"OPEN, due {rules.due(each)}" if each.triaged else "OPEN",
        )  # fmt: skip
        shown.add_row(*map(Text, cells))
    console().print(shown)


@errors.command()
@click.argument("number", type=int)
@as_json
@click.pass_obj
def show(door: Door, number: int, as_json: bool) -> None:
    """Report NUMBER: the page, what was said of it, what was found."""
    from rich.table import Table
    from rich.text import Text

    from provenance import moments, reporting

    with door.archive() as archive:
        held = archive.history.report(number)
        words = reporting.words(archive, held)
    if as_json:
        emit_json({**_described(held), "words": words})
        return

    def london(instant: str) -> str:
        return moments.london(moments.instant(instant))

    act = held.act
    lines = {
        "Reported": f"{london(act.on)}, by {act.by} ({act.under})",
        "Page": f"{act.label}/{_view(held)}/{act.shown}, shown at log entry {act.view:,}",
        "What is wrong": f"{act.wrong}: {rules.WRONG.get(act.wrong, 'a code of another version')}",
        "In words": "gone with one of those whom the page was about" if words is None else words or "none",
    }
    for each in held.triaged:
        lines[f"Taken up {london(each.on)}"] = f"{each.urgency}: {each.to} looks into it ({each.by}, {each.under})"
    if held.triaged and not held.settled:
        lines["To be settled by"] = rules.due(held)
    for found in held.settled:
        lines[f"Settled {london(found.on)}"] = _found(found)
    if not held.settled:
        lines["Found"] = f"nothing yet: `provenance errors settle {number}`"
    shown = Table.grid(padding=(0, 2, 0, 0))
    for left, right in lines.items():
        shown.add_row(Text(left), Text(right))
    console().print(shown)


@errors.command(cls=_Triaging)
@click.argument("number", type=int)
@click.option("--urgency", required=True, type=click.Choice(list(rules.URGENCIES)), metavar="CODE", help="See below.")
@click.option("--to", required=True, metavar="WHO", help="Who looks into it: not who reported it.")
@click.option("--by", required=True, metavar="WHO", help="Who says so.")
@click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
@as_json
@click.pass_obj
def triage(door: Door, number: int, urgency: str, to: str, by: str, under: str, as_json: bool) -> None:
    """Say how soon report NUMBER has to be settled, and who looks into it. Said again, the last holds."""
    from provenance import reporting

    with door.archive() as archive:
        held = reporting.triage(archive, number, urgency=urgency, to=to, on=now(), by=by, under=under)
    if as_json:
        emit_json(_described(held))
        return
    click.echo(f"Report {number} is looked into by {to}, and is to be settled by {rules.due(held)}.")


@errors.command(cls=_Settling)
@click.argument("number", type=int)
@click.option("--finding", required=True, type=click.Choice(list(rules.FINDINGS)), metavar="CODE", help="See below.")
@click.option("--cause", default=rules.NO_CAUSE, show_default=True, type=click.Choice(list(rules.CAUSES)),
              metavar="CODE", help="See below.")  # fmt: skip
@click.option("--corrected", is_flag=True, help="It is corrected at the source.")
@click.option("--first", default="", metavar="LABEL", help="First build in error (default: that of the page).")
@click.option("--carried-by", "carried", default="", metavar="LABEL", help="The build that shows what is right.")
@click.option("--by", required=True, metavar="WHO", help="Who found it: not who reported it.")
@click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
@as_json
@click.pass_obj
def settle(
    door: Door,
    number: int,
    finding: str,
    cause: str,
    corrected: bool,
    first: str,
    carried: str,
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """Say what was found of report NUMBER. Said again, the last holds.

    Pages about the same, of the builds that were in error, say from then on that they were later found to be in error;
    what they showed is not changed. Until a build carries the correction, that is every build since the first.
    """
    from provenance import ledger, reporting

    with door.archive() as archive:
        held = reporting.settle(
            archive, number, finding=finding, cause=cause, corrected=corrected, first=first, carried=carried, on=now(),
            by=by, under=under,
        )  # fmt: skip
        numbers = {built.label: built.number for built in archive.history.builds}
        wrong = [label for label in numbers if held.is_in_error(label, numbers)]
        waiting = sum(each.told is None and each.is_of_report(number) for each in ledger.notices(archive))
    if as_json:
        emit_json({**_described(held), "builds": wrong, "to_notify": waiting})
        return
    click.echo(f"Report {number} is settled: {rules.FINDINGS[finding]}.")
    if wrong:
        click.echo(f"Pages about the same say so in {several(len(wrong), 'build')}, {wrong[0]} to {wrong[-1]}.")
    if waiting:
        click.echo(f"{several(waiting, 'notice')} to be sent: `provenance ledger notices`")


def _view(held: Report) -> str:
    from provenance import asking

    return asking.read_view(held.act.asked)


def _found(found: Any) -> str:
    said = f"{found.finding}, by {found.by} ({found.under}); cause: {rules.CAUSES.get(found.cause, found.cause)}"
    if found.first:
        said += f"; in error from {found.first}"
        said += f"; corrected at the source: {'yes' if found.corrected else 'no'}"
        said += f"; carried by {found.carried or 'no build yet'}"
    return said


def _described(held: Report) -> dict[str, Any]:
    from provenance import entries

    act = held.act
    return {
        "number": held.number, "on": act.on, "by": act.by, "under": act.under, "entry": act.view, "build": act.label,
        "view": _view(held), "case": act.case, "digest": act.shown, "wrong": act.wrong, "has_words": bool(act.files),
        "triaged": [entries.as_json(each) for each in held.triaged], "due_on": rules.due(held),
        "settled": [entries.as_json(found) for found in held.settled],
    }  # fmt: skip
