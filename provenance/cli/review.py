"""provenance review"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from rich.console import Console

    from provenance.archive import Archive
    from provenance.params import Retention
    from provenance.reviewing import Register, Subject, Waiting

_ROWS = 20  # of each list on the terminal, and half as many when each is explained; --json has them all


@click.group()
def review() -> None:
    """Who and what is due for review or disposal, and what was kept."""


_nominal = click.option("--nominal", metavar="ID", help="One person, under any of their ids.")
_record = click.option("--record", nargs=2, metavar="SYSTEM ID", help="One record.")


@review.command()
@click.option("--on", default="", metavar="DATE", help="The day, past or future (default: today).")
@_nominal
@_record
@click.option("--group", type=click.Choice(["1", "2", "3", "4"]), help="Only what this MOPI group governs.")
@click.option("--explain", is_flag=True, help="Say how each date came about, step by step.")
@as_json
@click.pass_obj
def due(
    door: Door,
    on: str,
    nominal: str | None,
    record: tuple[str, str] | None,
    group: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Who and what is due, the longest overdue first.

    Judged on what is held today, by the retention rules in params.yaml. With --nominal or --record: when that one is
    due, and why. Due for review means that a person decides; due for disposal, that the rules do. Nothing is disposed
    of here: see `provenance dispose plan`.
    """
    from provenance import reviewing

    params, _ = door.params()
    subject = _subject(nominal, record)
    if subject and group:
        raise click.UsageError("--group is for the list, not for one subject")
    with door.archive() as archive, progress("Judging") as report:
        day = reviewing.today(on or now())
        register = reviewing.register(archive, params, on=day, subject=subject, report=report)
        if subject:
            lines = register.line(subject.what, subject.token(archive))
        else:
            lines = register.due()
            if group:
                lines = lines.filter(_equal(lines, "group", group))
        head = {"on": day, "rules": params.retention.version, **_counts(lines, day)}
        if as_json:
            shown = _told(archive, register, lines, steps=explain or subject is not None)
            waiting = {} if subject else {"restricted": [_waits(each) for each in reviewing.waiting(archive)]}
            emit_json({**head, "lines": shown, "instruments": _instruments(shown, params.retention), **waiting})
            return
        out = console()
        if subject:
            shown = _told(archive, register, lines, steps=True)
            _explained(out, shown)
        else:
            _summary(out, head)
            shown = []
            for what in ("nominal", "record"):
                mine = lines.filter(_equal(lines, "what", what))
                part = _told(archive, register, mine.slice(0, _ROWS // 2 if explain else _ROWS), steps=explain)
                _listed(out, what, part, mine.num_rows, explained=explain)
                shown += part
            _restricted(out, [_waits(each) for each in reviewing.waiting(archive)])
            if shown:
                out.print("[dim]--json lists all of it; --nominal or --record explains one.[/dim]\n")
        _rules(out, _instruments(shown, params.retention))


@review.command()
@_nominal
@_record
@click.option("--reason", required=True, metavar="CODE", help="Why: one of retention.reviews.reasons in params.yaml.")
@click.option("--next", "next_review", required=True, metavar="DATE", help="When somebody looks at it again.")
@click.option("--by", required=True, metavar="WHO", help="Who reviewed it.")
@click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
@as_json
@click.pass_obj
def retain(
    door: Door,
    nominal: str | None,
    record: tuple[str, str] | None,
    reason: str,
    next_review: str,
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """Log that one person or record was reviewed and is kept.

    The log takes who, when, the reason's code and the next date, and never what was weighed: a completed assessment
    would outlive what it is about.
    """
    from provenance import reviewing

    params, _ = door.params()
    subject = _subject(nominal, record)
    if subject is None:
        raise click.UsageError("say --nominal ID or --record SYSTEM ID")
    with door.archive() as archive:
        act = reviewing.retain(
            archive, params, subject, reason=reason, next_review=next_review, on=now(), by=by, under=under
        )
    ids = len(act.nominals.split())
    if as_json:
        emit_json({"what": subject.what, "system": subject.system, "id": subject.id, "ids": ids or 1,
                   "reason": act.reason, "next_review": act.next_review, "on": act.on, "by": act.by,
                   "under": act.under})  # fmt: skip
        return
    others = f", with {ids - 1} more id{'' if ids == 2 else 's'} of this person" if ids > 1 else ""
    click.echo(f"Kept: {subject.what} {' '.join(filter(None, (subject.system, subject.id)))}{others}.")
    click.echo(f"Reason: {params.retention.reviews.reasons[reason]}.")
    click.echo(f"Due for review again on {act.next_review}. Logged as decided by {by}.")


def _subject(nominal: str | None, record: tuple[str, str] | None) -> Subject | None:
    from provenance.reviewing import Subject

    if nominal is not None and record is not None:
        raise click.UsageError("--nominal and --record: say one of them")
    if nominal is not None:
        return Subject("nominal", "", nominal)
    return Subject("record", *record) if record is not None else None


def _equal(lines: pa.Table, column: str, value: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(lines[column], value)


def _counts(lines: pa.Table, day: str) -> dict[str, Any]:
    """How many lines for review and for disposal, and the earliest date among them."""
    counted = lines.group_by(["what", "action"]).aggregate([([], "count_all")]).to_pylist()
    by_pair = {(row["what"], row["action"]): row["count_all"] for row in counted}
    earliest = {what: lines.filter(_equal(lines, "what", what)).slice(0, 1)["due"] for what in ("nominal", "record")}
    return {
        f"{what}s": {
            "review": by_pair.get((what, "review"), 0),
            "dispose": by_pair.get((what, "dispose"), 0),
            "earliest": str(earliest[what][0]) if len(earliest[what]) else "",
        }
        for what in ("nominal", "record")
    }


def _told(archive: Archive, register: Register, lines: pa.Table, *, steps: bool) -> list[dict[str, Any]]:
    """Lines as plain values: with the cases that hold each, and with the steps when asked."""
    import numpy as np

    from provenance import holding

    told = lines.to_pylist()
    tokens = {what: np.array([line["token"] for line in told if line["what"] == what], np.int64)
              for what in ("nominal", "record")}  # fmt: skip
    held = holding.holds_on(archive, tokens["nominal"], tokens["record"])
    holds = archive.history.holds
    for line in told:
        token = line.pop("token")
        line["last"] = str(line["last"] or "")
        line["due"] = str(line["due"])
        line["held"] = sorted({holds[hold].case for hold in held.get(token, ())})
        if steps:
            line["steps"] = register.explain(line["what"], token)
    return told


def _instruments(shown: list[dict[str, Any]], rules: Retention) -> dict[str, dict[str, Any]]:
    """The rules that decided the lines shown, each with where it comes from."""
    from provenance import retention

    found: dict[str, dict[str, Any]] = {}
    for rule, group in sorted({(line["rule"], line["group"]) for line in shown}):
        source = retention.source(rule, group, rules)
        found[rule] = {
            "says": retention.says(rule, group, rules),
            **{name: getattr(source, name) for name in ("instrument", "paragraph", "read", "force_to_confirm")},
        }
    return found


_WORDS = {"review": "review", "dispose": "disposal"}


def _summary(out: Console, head: Mapping[str, Any]) -> None:
    from provenance import moments

    day = moments.london(moments.instant(head["on"])).split(",")[0]
    out.print(f"[bold]Due on {day}[/bold], by retention rules {head['rules']}", markup=True)
    for what in ("nominals", "records"):
        part = head[what]
        since = f", since {part['earliest']}" if part["earliest"] else ""
        out.print(f"  {what:<8} {part['review']:>9,} for review {part['dispose']:>9,} for disposal{since}")
    out.print()


def _listed(out: Console, what: str, part: list[dict[str, Any]], total: int, *, explained: bool) -> None:
    from provenance.cli.asof import table

    title = f"{what.capitalize()}s, longest due first"
    if explained and part:
        out.print(f"[bold]{title}: {total:,}[/bold]\n")
        _explained(out, part)
        if total > len(part):
            out.print(f"[dim]and {total - len(part):,} more[/dim]\n")
        return
    rows = [
        [line["due"], _name(line), line["group"] or "none", line["last"] or "never",
         _WORDS[line["action"]] + (" (held)" if line["held"] else ""), line["rule"]]
        for line in part
    ]  # fmt: skip
    seen = "last notice" if what == "nominal" else "event"
    table(out, title, ["since", what, "group", seen, "due for", "rule"], rows, total)


def _waits(each: Waiting) -> dict[str, str]:
    subject = each.subject
    return {
        "what": subject.what, "system": subject.system, "id": subject.id, "since": each.since,
        "next_review": each.next_review,
    }  # fmt: skip


def _restricted(out: Console, waiting: list[dict[str, str]]) -> None:
    """Nothing but what it is called: all else about it is out of view."""
    from provenance.cli.asof import table

    if waiting:
        rows = [[each["since"][:10], each["what"], _name(each), each["next_review"] or "-"] for each in waiting[:_ROWS]]
        title = "Restricted, no longer held: a person decides"
        table(out, title, ["since", "what", "id", "next review"], rows, len(waiting))


def _explained(out: Console, shown: list[dict[str, Any]]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for line in shown:
        out.print(Text(f"{line['what'].capitalize()} {_name(line)}", style="bold"), soft_wrap=True)
        for step in line["steps"]:
            depth = len(step) - len(step.lstrip())
            out.print(Padding(Text(step.strip()), (0, 0, 0, 2 + depth), expand=False))
        if line["held"]:
            held = f"Held for {', '.join(line['held'])}: until that ends, a disposal would be a restriction."
            out.print(Padding(Text(held), (0, 0, 0, 2), expand=False))
        out.print(f"  [dim]Rule: {line['rule']}[/dim]\n")


def _name(line: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (line["system"], line["id"])))


def _rules(out: Console, instruments: Mapping[str, Mapping[str, Any]]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if not instruments:
        return
    out.print("[bold]Rules[/bold]")
    for rule, said in instruments.items():
        out.print(Padding(Text(f"{rule}: {said['says']}"), (0, 0, 0, 2), expand=False))
        confirm = "; the force has to confirm it" if said["force_to_confirm"] else ""
        source = f"{said['instrument']}, {said['paragraph']}; read {said['read']}{confirm}."
        out.print(Padding(Text(source, style="dim"), (0, 0, 0, 4), expand=False))
