"""provenance hold"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, keep, now, renewed, several, user
from provenance.holds import EVENTS, REASONS, STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provenance.holds import Earliest, Happening, Hold
    from provenance.params import Params


@click.group()
def hold() -> None:
    """What cases need, kept from disposal until they no longer do."""


class _WithCodes(click.Command):
    """A command whose help ends with the codes it takes."""

    title, codes = "Events", EVENTS

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(self.title):
            formatter.write_dl(list(self.codes.items()))


class _WithReasons(_WithCodes):
    title, codes = "Reasons", REASONS


_CODE = click.Choice(list(EVENTS))
_by = click.option("--by", required=True, metavar="WHO", help="Who decided it.")
_under = click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")


@hold.command(cls=_WithCodes)
@click.option("--case", required=True, metavar="REF", help="The case that needs it.")
@click.option("--basis", required=True, metavar="CODE", help="Under which duty: one of holds.bases in params.yaml.")
@click.option("--nominal", "nominals", multiple=True, metavar="ID", help="A person; may be said again.")
@click.option(
    "--record", "records", multiple=True, nargs=2, metavar="SYSTEM ID", type=str, help="A record; may be said again."
)
@click.option(
    "--network", "networks", multiple=True, metavar="ID", help="All who were in it in any build; may be said again."
)
@click.option("--from", "first_day", default="", metavar="DAY", help="Records that occurred from this day on")
@click.option("--to", "last_day", default="", metavar="DAY", help="up to this one.")
@click.option("--everything", is_flag=True, help="All that the archive has, as for an inquiry.")
@click.option("--review-on", required=True, metavar="DAY", help="When somebody looks at it again.")
@click.option(
    "--event", "events", multiple=True, nargs=2, type=(_CODE, str), metavar="CODE DAY",
    help="What has happened in the case; once for each accused.",
)  # fmt: skip
@_by
@_under
@as_json
@click.pass_obj
def add(
    door: Door,
    case: str,
    basis: str,
    nominals: tuple[str, ...],
    records: tuple[tuple[str, str], ...],
    networks: tuple[str, ...],
    first_day: str,
    last_day: str,
    everything: bool,
    review_on: str,
    events: tuple[tuple[str, str], ...],
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """Hold what a case needs.

    A hold reaches what it names, the same people under other ids, and whatever shares a row with those: a person's
    records and those they are linked with, a record's people. Whatever of it falls due is restricted, not disposed of.
    """
    from provenance import disposal, holding

    params, table = door.params()
    with door.archive() as archive:
        placed = holding.place(
            archive, params, case=case, basis=basis, nominals=nominals, records=records, networks=networks,
            first_day=first_day, last_day=last_day, everything=everything, review_on=review_on,
            events=_happened(events), on=now(), by=by, under=under,
        )  # fmt: skip
        # The case may read what was restricted before.
        done = disposal.finish(archive, params, table, on=now(), by=user())
        renewed(archive)
        _answer(params, placed, as_json, f"Hold {placed.id} stands.")
    if done:
        keep(door)


@hold.command(cls=_WithCodes)
@click.argument("hold")
@click.argument("happened", nargs=2, type=(_CODE, str), required=False, metavar="[CODE DAY]")
@click.option("--review-on", default="", metavar="DAY", help="Move the review to this day.")
@_by
@_under
@as_json
@click.pass_obj
def event(
    door: Door, hold: str, happened: tuple[str, str] | None, review_on: str, by: str, under: str, as_json: bool
) -> None:
    """Enter what happened in the case of HOLD, or move its review."""
    from provenance import holding

    params, _ = door.params()
    with door.archive() as archive:
        moved = holding.progress(
            archive, params, hold, events=_happened([happened] if happened else []), review_on=review_on, on=now(),
            by=by, under=under,
        )  # fmt: skip
        _answer(params, moved, as_json, f"Hold {moved.id} is now as follows.")


@hold.command(cls=_WithReasons)
@click.argument("hold")
@click.option("--reason", required=True, type=click.Choice(list(REASONS)), metavar="CODE", help="Why it ends.")
@_by
@_under
@as_json
@click.pass_obj
def release(door: Door, hold: str, reason: str, by: str, under: str, as_json: bool) -> None:
    """End HOLD, and carry out the disposals that waited for it alone."""
    from provenance import disposal, holding, reviewing

    params, table = door.params()
    with door.archive() as archive:
        ended = holding.release(archive, params, hold, reason=reason, on=now(), by=by, under=under)
        before = len(reviewing.waiting(archive))
        done = disposal.finish(archive, params, table, on=now(), by=user())
        renewed(archive)
        doubted = len(reviewing.waiting(archive)) - before
    if done:
        keep(door)
    if as_json:
        certified = [
            {"certificate": each.certificate_id, "nominals": each.nominals, "records": each.records} for each in done
        ]
        emit_json({"hold": ended.id, "case": ended.case, "released_on": ended.released_on, "disposed": certified,
                   "for_review": doubted})  # fmt: skip
        return
    out = console()
    out.print(f"Hold {ended.id} for case {ended.case} is released.", markup=False, emoji=False)
    for each in done:
        reached = f"{several(each.nominals, 'nominal')} and {several(each.records, 'record')}"
        out.print(f"Disposal {each.certificate_id} waited for it and is carried out: {reached}.")
    if doubted:
        out.print(
            f"{doubted:,} that waited for it stay restricted, since something came in about them or a review kept "
            "them: `provenance review due` lists them."
        )
    if not done:
        out.print("No disposal was waiting for it alone.")


@hold.command("list")
@click.option("--on", "on", default="", metavar="DAY", help="As on this day, by what is known now (default: today).")
@click.option("--all", "released_too", is_flag=True, help="Released ones too.")
@as_json
@click.pass_obj
def list_(door: Door, on: str, released_too: bool, as_json: bool) -> None:
    """Holds, the day each may be released from, and its review."""
    from provenance import holding, moments

    params, _ = door.params()
    if on:
        moments.day(on)
    day = on or holding.today(now())
    with door.archive() as archive:
        shown = [
            held
            for held in archive.history.holds.values()
            if holding.today(held.placed_on) <= day and (released_too or _stands(held, day))
        ]
        if as_json:
            emit_json({"on": day, "holds": [_described(params, held, day) for held in shown]})
            return
        standing = [held for held in shown if _stands(held, day)]
        late = sum(held.review_on < day for held in standing)
        click.echo(
            f"{several(len(standing), 'hold')} on {day}; "
            + (f"{late} OVERDUE for review." if late else "none overdue.")
        )
        for held in shown:
            click.echo()
            _show(params, held, day)


def _stands(held: Hold, day: str) -> bool:
    from provenance import holding

    return held.stands or holding.today(held.released_on) > day


def _happened(events: Iterable[tuple[str, str]]) -> list[Happening]:
    from provenance.entries import Happening

    return [Happening(event=code, day=day) for code, day in events]


def _answer(params: Params, held: Hold, as_json: bool, sentence: str) -> None:
    from provenance import holding

    day = holding.today(now())
    if as_json:
        emit_json(_described(params, held, day))
    else:
        click.echo(sentence + "\n")
        _show(params, held, day)


def _earliest(params: Params, held: Hold, day: str) -> Earliest | None:
    """By what had happened up to that day."""
    from dataclasses import replace

    from provenance import holding

    until = replace(held, events=tuple(happening for happening in held.events if happening.day <= day))
    return holding.earliest_release(params, until, day)


def _described(params: Params, held: Hold, day: str) -> dict[str, Any]:
    earliest = _earliest(params, held, day)
    return {
        "hold": held.id,
        "case": held.case,
        "basis": held.basis,
        "nominals": len(held.nominals),
        "records": len(held.records),
        "networks": list(held.networks),
        "first_day": held.first_day,
        "last_day": held.last_day,
        "everything": held.everything,
        "events": [{"event": happening.event, "day": happening.day} for happening in held.events],
        "state": earliest.state if earliest else "",
        "earliest_release": earliest.day if earliest else "",
        "steps": [
            {"state": step.state, "day": step.day, "words": step.words, "source": step.source}
            for step in (earliest.steps if earliest else ())
        ],
        "review_on": held.review_on,
        "overdue": _stands(held, day) and held.review_on < day,
        "placed_on": held.placed_on,
        "by": held.by,
        "under": held.under,
        "released_on": held.released_on,
    }


def _show(params: Params, held: Hold, day: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from provenance import holding, moments

    basis = holding.basis_of(params, held.basis)
    lines = [("Case", held.case), ("Hold", held.id), ("For", f"{basis.name} ({basis.instrument}, {basis.paragraph})")]
    lines.append(("Holds", _scope(held)))
    lines += _until(params, held, day)
    if _stands(held, day):
        late = (date.fromisoformat(day) - date.fromisoformat(held.review_on)).days
        lines.append(("Review", held.review_on + (f"  OVERDUE by {several(late, 'day')}" if late > 0 else "")))
    lines.append(("Placed", f"{moments.london(moments.instant(held.placed_on))}, by {held.by}, under {held.under}"))
    if held.released_on:
        lines.append(("Released", moments.london(moments.instant(held.released_on))))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, words in lines:
        grid.add_row(label, Text(words, style="bold red" if "OVERDUE" in words and label == "Review" else ""))
    console().print(grid)


def _scope(held: Hold) -> str:
    if held.everything:
        return "everything in the archive"
    parts = [
        several(len(tokens), what) for what, tokens in (("nominal", held.nominals), ("record", held.records)) if tokens
    ]
    if held.networks:
        parts.append(f"all who were in {' or '.join(held.networks)}")
    if held.first_day:
        parts.append(f"records that occurred from {held.first_day} to {held.last_day}")
    return "; ".join(parts) + "; and what shares a row with them"


def _until(params: Params, held: Hold, day: str) -> list[tuple[str, str]]:
    earliest = _earliest(params, held, day)
    if earliest is None:
        return [("Release", "by decision: this duty has no table of days")]
    until = params.holds.table.rows[earliest.state].keep_until
    lines = [
        ("State", STATES[earliest.state]),
        ("Release", f"from {earliest.day}" if earliest.day else f"not yet: kept until {until}"),
    ]
    return lines + [("", f"{step.words} [{step.source}]") for step in earliest.steps]
