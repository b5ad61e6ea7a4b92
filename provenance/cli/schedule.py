"""provenance schedule"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, consulted, emit_json, now, several, user
from provenance.schedules import APART, MG6C, MG6D, WITHDRAWN

if TYPE_CHECKING:
    from provenance.archive import Archive
    from provenance.scheduling import Listed


@click.group()
def schedule() -> None:
    """Unused material of a case, item by item: MG6C, MG6D and MG6E."""


_by = click.option("--by", required=True, metavar="WHO", help="Who did it.")
_under = click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
_apart = click.option("--apart", is_flag=True, help="In the register of highly sensitive material.")


@schedule.command()
@click.argument("case")
@click.option("--as-of", "when", required=True, metavar="WHEN", help="In the build that was live then.")
@click.option("--nominal", default="", metavar="ID", help="A person's figures and links.")
@click.option("--pair", nargs=2, default=None, metavar="A B", help="The links between two people.")
@click.option("--record", nargs=2, default=None, metavar="SYSTEM ID", help="A record.")
@click.option("--network", default="", metavar="ID", help="A network's totals.")
@click.option("--description", required=True, metavar="TEXT", help="What it is and what it says.")
@click.option("--location", required=True, metavar="TEXT", help="Where it may be inspected.")
@click.option("--reasons", required=True, metavar="TEXT", help="Why this very item is sensitive.")
@click.option("--assists", default="", metavar="TEXT", help="Why it may undermine the case or assist the defence.")
@_apart
@_by
@_under
@as_json
@click.pass_obj
def add(
    door: Door,
    case: str,
    when: str,
    nominal: str,
    pair: tuple[str, str] | None,
    record: tuple[str, str] | None,
    network: str,
    description: str,
    location: str,
    reasons: str,
    assists: str,
    apart: bool,
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """Enter one item for CASE on its MG6D.

    It stays there until somebody has looked at this very item and moved it. What may cost a life, or rests on a covert
    human source, goes --apart.
    """
    from provenance import asof, materials, scheduling

    with door.archive() as archive:
        snapshot = asof.as_of(archive, when, case=_held(archive, case))
        made = asof.whole(
            lambda: materials.material(snapshot, nominal=nominal, pair=pair, record=record, network=network)
        )
        consulted(archive, snapshot)
        item = scheduling.enter(
            archive, case=case, material=made, description=description, location=location, reasons=reasons,
            assists=assists, separate=apart, on=now(), by=by, under=under,
        )  # fmt: skip
        if as_json:
            emit_json({"item": item.act.item, "schedule": item.act.schedule, "handling": made.handling})
        else:
            click.echo(f"Item {item.act.item} is on schedule {item.act.schedule}.")


@schedule.command()
@click.argument("case")
@click.argument("item", type=int)
@click.argument("to", type=click.Choice([MG6C, MG6D, WITHDRAWN, APART]), metavar="SCHEDULE")
@click.option("--reason", required=True, metavar="TEXT", help="Why this very item is moved.")
@click.option("--reviewer", default="", metavar="WHO", help="Who looked at it; needed for the MG6C.")
@click.option("--description", default=None, metavar="TEXT", help="Say this of it from now on.")
@click.option("--location", default=None, metavar="TEXT", help="Where it may be inspected from now on.")
@click.option("--reasons", default=None, metavar="TEXT", help="Why it is sensitive, from now on.")
@click.option("--assists", default=None, metavar="TEXT", help="What the MG6E says of it from now on.")
@click.option("--copied", is_flag=True, help="A copy was supplied with the MG6E.")
@_apart
@_by
@_under
@as_json
@click.pass_obj
def move(
    door: Door,
    case: str,
    item: int,
    to: str,
    reason: str,
    reviewer: str,
    description: str | None,
    location: str | None,
    reasons: str | None,
    assists: str | None,
    copied: bool,
    apart: bool,
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """Move ITEM of CASE to SCHEDULE, or say other words of it where it stands.

    SCHEDULE is mg6c, mg6d or withdrawn; highly-sensitive for an item --apart.
    """
    from provenance import scheduling

    texts = {"description": description, "location": location, "reasons": reasons, "assists": assists}
    changed: dict[str, Any] = {name: text for name, text in texts.items() if text is not None}
    params, _ = door.params()
    with door.archive() as archive:
        moved = scheduling.move(
            archive, case, item, to, reviewer=reviewer, reason=reason,
            changed=changed | ({"copied": True} if copied else {}), systems=params.systems, separate=apart, on=now(),
            by=by, under=under,
        )  # fmt: skip
        if as_json:
            emit_json({"item": moved.act.item, "number": moved.act.number, "schedule": moved.act.schedule})
        elif moved.act.schedule == MG6C:
            click.echo(f"Item {moved.act.item} is item {moved.act.number} of the MG6C.")
        else:
            click.echo(f"Item {moved.act.item} is on schedule {moved.act.schedule}.")


@schedule.command()
@click.argument("case")
@click.argument("item", type=int)
@click.option(
    "--strike", "struck", multiple=True, required=True, nargs=3, metavar="TABLE COLUMN REASON",
    help="What the copy does not show; may be said again.",
)  # fmt: skip
@click.option("--out", required=True, metavar="FILE", help="Where the edited copies go, as JSON.")
@_by
@_under
@as_json
@click.pass_obj
def edit(
    door: Door,
    case: str,
    item: int,
    struck: tuple[tuple[str, str, str], ...],
    out: str,
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """Make edited copies of the rows of ITEM, and keep the log of edits with it.

    The rows stay as they are; each copy names the leaf of its row.
    """
    from provenance import asof, durable, materials, scheduling
    from provenance.canonical import dumps
    from provenance.errors import Conflict

    columns: dict[str, dict[str, str]] = {}
    for table, column, reason in struck:
        columns.setdefault(table, {})[column] = reason
    if Path(out).exists():
        raise Conflict("file for the edited copies is there already: wanted a new name")
    with door.archive() as archive:
        mine = next((each for each in scheduling.listed(archive, case) if each.item.act.item == item), None)
        leaves, label = (mine.said.leaves, mine.said.label) if mine and mine.said else ((), "")
        rows: list[Any] = []
        if label:
            snapshot = asof.Snapshot(archive, archive.history.build(label), None, _held(archive, case))
            rows = asof.whole(lambda: list(materials.contents(snapshot, (x for x in leaves if x[0] in columns))))
            consulted(archive, snapshot)
        copies = scheduling.edit(archive, case, item, rows, columns, on=now(), by=by, under=under)
        durable.write(Path(out), dumps([copy.as_json() for copy in copies]) + b"\n", mode=0o600)
    if as_json:
        emit_json({"copies": len(copies), "edits": sum(len(copy.log) for copy in copies)})
    else:
        click.echo(f"{several(len(copies), 'edited copy').replace('copys', 'copies')} in {Path(out).name}.")


@schedule.command("list")
@click.argument("case")
@_apart
@as_json
@click.pass_obj
def list_(door: Door, case: str, apart: bool, as_json: bool) -> None:
    """The items of CASE, where each stands, and who judged it."""
    from rich.table import Table
    from rich.text import Text

    from provenance import scheduling

    with door.archive() as archive:
        found = scheduling.listed(archive, case, separate=apart)
    if as_json:
        emit_json({"case": case, "items": [_described(each) for each in found]})
        return
    click.echo(f"{several(len(found), 'item')} of case {case}.")
    if not found:
        return
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("Item", "Schedule", "No.", "Description", "Reviewer"):
        shown.add_column(title, overflow="fold")
    for each in found:
        words = each.said.description if each.said else f"[{each.gone}]"
        act = each.item.act
        shown.add_row(*map(Text, (str(act.item), each.schedule, str(each.number), words, act.reviewer)))
    console().print(shown)


@schedule.command("print")
@click.argument("case")
@click.option("--out", required=True, metavar="FOLDER", help="A new folder for them.")
@click.option("--continuation", is_flag=True, help="Only the items since the last schedule that was sent.")
@_apart
@as_json
@click.pass_obj
def print_(door: Door, case: str, out: str, continuation: bool, apart: bool, as_json: bool) -> None:
    """Write the schedules of CASE as HTML, CSV and Word.

    The MG6D is written when it is empty too. Highly sensitive material is written with --apart alone, and into a folder
    of its own.
    """
    from provenance import durable, forms, scheduling
    from provenance.errors import Conflict, Refused

    folder, on, by = Path(out), now(), user()
    if folder.exists():
        raise Conflict("folder for the schedules is there already: wanted a new name")
    with door.archive() as archive:
        if any(folder.resolve().is_relative_to(inside.resolve()) for inside in (archive.root, archive.keys)):
            raise Refused("schedules are words in the clear, and are not kept within the archive: wanted another place")
        after = scheduling.sent_up_to(archive, case, separate=apart) if continuation else 0
        found = scheduling.listed(archive, case, after=after, separate=apart)
    kinds = (forms.separate,) if apart else (forms.mg6c, forms.mg6d, forms.mg6e)
    folder.mkdir(parents=True, mode=0o700)
    for kind in kinds:
        for name, data in kind(case, found, on=on, by=by).files().items():
            durable.write(folder / name, data, mode=0o600)
    last = max((each.item.act.item for each in found), default=after)
    if as_json:
        emit_json({"case": case, "after": after, "last": last, "items": [_described(each) for each in found]})
    else:
        click.echo(f"{several(len(found), 'item')} of case {case} in {folder.name}.")
        click.echo(f"When they go out: provenance ledger send {folder.name} --what schedule --upto {last} ...")


def _held(archive: Archive, case: str) -> str:
    """The case, where it holds something and may be shown what is restricted for it; else none."""
    return case if any(hold.stands and hold.case == case for hold in archive.history.holds.values()) else ""


def _described(each: Listed) -> dict[str, Any]:
    act = each.item.act
    return {
        "item": act.item,
        "number": act.number,
        "schedule": each.schedule,
        "description": each.said.description if each.said else "",
        "location": each.said.location if each.said else "",
        "reasons": each.said.reasons if each.said else "",
        "assists": each.said.assists if each.said else "",
        "handling": each.said.handling if each.said else "",
        "conditions": each.said.conditions if each.said else "",
        "edits": len(each.said.edits) if each.said else 0,
        "gone": each.gone,
        "reviewer": act.reviewer,
        "entered_on": each.item.entered_on,
        "changed_on": act.on,
        "by": act.by,
    }
