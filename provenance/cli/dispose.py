"""provenance dispose"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, keep, now, progress, renewed, several, user, waiting

if TYPE_CHECKING:
    from provenance.archive import Archive
    from provenance.disposal import Outcome, Request
    from provenance.feeding import Renewed
    from provenance.params import Params

_LINES = 40  # of a plan on the terminal; the file and --json have them all


@click.group()
def dispose() -> None:
    """Destroy what the law says must go, in every build ever made."""


@dispose.command("plan")
@click.option("--nominal", "nominals", multiple=True, metavar="ID", help="A person; may be said again.")
@click.option("--record", "records", multiple=True, nargs=2, metavar="SYSTEM ID", help="A record; may be said again.")
@click.option("--ordered", is_flag=True, help="Everything that the source systems' orders ask for.")
@click.option("--due", metavar="DAY", help="Everything that the retention rules dispose of by this day.")
@click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
@click.option("--reason", default="", metavar="CODE", help="Why: one of retention.disposal_reasons in params.yaml.")
@click.option("--by", default="", metavar="WHO", help="Who asks for it (default: you).")
@click.option("--out", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="Where to write the plan.")
@as_json
@click.pass_obj
def plan_(
    door: Door,
    nominals: tuple[str, ...],
    records: tuple[tuple[str, str], ...],
    ordered: bool,
    due: str | None,
    under: str,
    reason: str,
    by: str,
    out: str,
    as_json: bool,
) -> None:
    """Decide what would go and what stays; destroy nothing.

    The plan names every line with the rule that decided it, for a second person to read.
    """
    from provenance import disposal
    from provenance.disposal import Request

    params, table = door.params()
    with door.archive() as archive, waiting("Working out what would go"):
        judged = _due(archive, params, due) if due else {}
        orders = disposal.ordered(archive) if ordered else {}
        by_hand = [Request("nominal", "", id) for id in nominals]
        by_hand += [Request("record", system, id) for system, id in records]
        why = reason or ("mopi-clear-period" if due and not (ordered or by_hand) else "source-disposal")
        if by_hand and not reason:
            raise click.UsageError("say why these are to go: --reason CODE")
        # What somebody orders goes whatever the rules say of it later, and its line says who ordered it.
        rules = {request: words for request, words in (judged | orders).items() if request not in by_hand}
        made = disposal.plan(
            archive, params, table, [*rules, *by_hand], on=now(), by=by or user(), under=under, reason=why, rules=rules,
            judged=(rules.keys() & judged.keys()) - orders.keys(),
        )  # fmt: skip
        disposal.write(archive, made, Path(out))
    if as_json:
        emit_json(made.content() | {"file": out})
        return
    for line in made.lines[:_LINES]:
        subject = " ".join(part for part in (line.request.what, line.request.system, line.request.id) if part)
        # Marks that turn or hide text would show another id than the one that goes.
        _wrapped(f"{line.outcome}: {subject if subject.isprintable() else ascii(subject)[1:-1]}", line.rule)
    if len(made.lines) > _LINES:
        click.echo(f"and {len(made.lines) - _LINES:,} more lines in the plan.")
    for words in made.stays:
        _wrapped("stays, although it is near", words)
    effects, page = made.effects, console()
    rows = sum(effects["rows that go"].values())
    page.print(
        f"\n{effects['to dispose of']:,} to dispose of, {effects['to restrict']:,} to restrict because a case needs "
        f"them, {effects['nothing to do']:,} that the archive does not have.",
        markup=False,
    )
    if rows:
        page.print(
            f"{several(rows, 'row')} would go, from {several(effects['builds'], 'build')}. "
            f"{several(effects['links that may live on with less'], 'link')} among them may stay in a lesser form, "
            "where other records support them too.",
            markup=False,
        )
    if not effects["to dispose of"] and not effects["to restrict"]:
        page.print("There is nothing to carry out.")
        return
    page.print(f"The plan is in {out}. Nothing is destroyed yet. A second person reads it, and then:", markup=False)
    click.echo(f"  provenance dispose carry-out {out} --by NAME --approved-by ANOTHER-NAME")


@dispose.command("carry-out")
@click.argument("plan", type=click.Path(dir_okay=False))
@click.option("--by", required=True, metavar="WHO", help="Who carries it out.")
@click.option("--approved-by", required=True, metavar="WHO", help="The second person, who has read the plan.")
@as_json
@click.pass_obj
def carry_out(door: Door, plan: str, by: str, approved_by: str, as_json: bool) -> None:
    """Destroy what PLAN says, and certify it.

    It cannot be had back. The plan, which names it, is removed. If it is cut off, `dispose resume` completes it.
    """
    from provenance import disposal, durable

    params, table = door.params()
    with door.archive() as archive, progress("Disposing") as report:
        made = disposal.read(archive, Path(plan))
        done = disposal.carry_out(archive, made, params, table, on=now(), by=by, approved_by=approved_by, report=report)
        feeds = renewed(archive)
    durable.remove(Path(plan))
    keep(door)
    if as_json:
        emit_json({"disposals": [_plain(outcome) for outcome in done], "feeds": _fed(feeds)})
        return
    for outcome in done:
        _say(outcome)
    if feeds.written:
        click.echo(f"Written again without it: {several(len(feeds.written), 'feed')}.")
    if not done:
        click.echo("Nothing in the plan is in the archive, so nothing was done.")
    page = console()
    page.print(f"The plan {Path(plan).name} is removed. Remove every copy of it, printed ones too.", markup=False)
    if any(outcome.certificate_id for outcome in done):
        page.print(
            "Older backups of the vault no longer open: make a new one now. Replace any copy of the master key that is "
            "held elsewhere, and destroy the old one. Then say so: `provenance key escrow`."
        )


@dispose.command("resume")
@as_json
@click.pass_obj
def resume(door: Door, as_json: bool) -> None:
    """Complete what was cut off, or waited for a hold."""
    from provenance import disposal

    params, table = door.params()
    with door.archive() as archive, progress("Disposing") as report:
        begun = [d.first.disposal for d in archive.history.disposals if d.certified is None]
        done = disposal.finish(archive, params, table, on=now(), by=user(), report=report)
        feeds = renewed(archive)
    keep(door)
    if as_json:
        emit_json({"completed": begun, "disposals": [_plain(outcome) for outcome in done], "feeds": _fed(feeds)})
        return
    for disposal_id in begun:
        click.echo(f"Disposal {disposal_id} had been cut off; it is complete and certified.")
    if begun:
        click.echo("If the plan's file is still there, remove it: it names what was disposed of.")
    for outcome in done:
        _say(outcome)
    for place in feeds.written:
        click.echo(f"Feed {place} was behind; it is written again.")
    if not begun and not done and not feeds.written and not feeds.missed:
        click.echo("No disposal was waiting to be completed.")


@dispose.command("list")
@as_json
@click.pass_obj
def list_(door: Door, as_json: bool) -> None:
    """Every disposal, and how much is restricted."""
    from provenance import feeds, moments

    with door.archive() as archive:
        disposals, restricted = archive.history.disposals, archive.history.restricted
        doubted = sum(not act.holds for act in restricted.values())
        outstanding = set(archive.history.outstanding())
        behind = feeds.waiting(archive)
        if as_json:
            said = [
                {
                    "certificate": d.first.disposal,
                    "disposed_on": d.first.on,
                    "nominals": len(d.nominals),
                    "records": len(d.records),
                    "authority": d.first.under,
                    "reason": d.first.reason,
                    "by": d.first.by,
                    "approved_by": d.first.approved_by,
                    "certified": d.certified is not None,
                    "escrow": d.escrow,
                    "escrow_outstanding": d.number in outstanding,
                }
                for d in disposals
            ]
            emit_json({"disposals": said, "restricted": len(restricted), "for_review": doubted,
                       "feeds_behind": behind})  # fmt: skip
            return
        out = console()
        for d in disposals:
            state = "certified" if d.certified else "NOT YET CERTIFIED: `provenance dispose resume`"
            out.print(
                f"{d.first.disposal}  {moments.london(moments.instant(d.first.on))}  {d.first.reason}\n"
                f"    {several(len(d.nominals), 'nominal')}, {several(len(d.records), 'record')}; {state}",
                markup=False,
            )
        out.print(
            f"{several(len(disposals), 'disposal')}. Restricted in its place, because a case needs them: "
            f"{len(restricted):,}."
        )
        if outstanding:
            last = disposals[max(outstanding) - 1].first.disposal
            out.print(
                f"{several(len(outstanding), 'disposal')} since which nobody has said that the copy of the master "
                "key in escrow was replaced, or that there is none:"
            )
            click.echo(f"  provenance key escrow held --after {last} --by WHO --under AUTHORITY")
        for place in behind:
            click.echo(f"Feed {place} is behind, and may still have what is gone: provenance dispose resume")
        if doubted:
            out.print(
                f"{doubted:,} of them no hold keeps any more, and a person decides about them: `provenance review due` "
                "lists them."
            )


def _due(archive: Archive, params: Params, day: str) -> dict[Request, str]:
    from provenance import disposal, holding, moments
    from provenance.errors import Malformed

    moments.day(day)
    today = holding.today(now())
    if day > today:  # who is not due yet may come to notice again before that day
        raise Malformed(f"day of what is due is in the future: found {day}, wanted a day no later than {today}")
    return disposal.due(archive, params, day)


def _fed(feeds: Renewed) -> dict[str, list[str]]:
    return {"written": list(feeds.written), "missed": list(feeds.missed)}


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "certificate": outcome.certificate_id,
        "nominals": outcome.nominals,
        "records": outcome.records,
        "restricted": outcome.restricted,
        "again": outcome.again,
    }


def _say(outcome: Outcome) -> None:
    before = " before; nothing was left to do" if outcome.again else ""
    page = console()
    if outcome.restricted:
        page.print(
            f"Restricted{before}, because a case needs them: {outcome.restricted:,} of what the plan names. They "
            "are shown to nobody but for that case, and are disposed of when the last hold on them is released."
        )
    else:
        page.print(
            f"Disposed of{before}: {several(outcome.nominals, 'nominal')} and {several(outcome.records, 'record')}, "
            "in every build.",
        )
        click.echo(f"See the certificate: provenance certificate {outcome.certificate_id}")


def _wrapped(head: str, text: str) -> None:
    import textwrap

    click.echo(head)
    click.echo(textwrap.fill(text, 78, initial_indent="    ", subsequent_indent="    "))
