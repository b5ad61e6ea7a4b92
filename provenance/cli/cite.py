"""provenance cite"""

from __future__ import annotations

from typing import Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, several


@click.command()
@click.argument("reference")
@as_json
@click.pass_obj
def cite(door: Door, reference: str, as_json: bool) -> None:
    """What a permanent REFERENCE, BUILD/VIEW/DIGEST, stands for.

    It says when that page was first shown, from which build, whether it is the same today, and its address on the
    dashboard. At least 12 digits of the digest are wanted.
    """
    with door.archive() as archive:
        said = _resolved(archive, reference)
    if as_json:
        emit_json(said)
        return
    _print(said)


def _resolved(archive: Any, reference: str) -> dict[str, Any]:
    from provenance import canonical, viewing
    from provenance.errors import Missing
    from provenance.web.addresses import Moment, address
    from provenance.web.reader import Reader

    place, act = viewing.find(archive, reference)
    replay = Reader(archive).replay(act)
    try:
        where = address(Moment(label=act.label), viewing.asked(archive, act), case=act.case)
    except Missing:  # whom it was about is gone
        where = ""
    asked = canonical.loads(act.asked.encode())
    view, theme, network = (asked.pop(name, "") for name in ("view", "theme", "network"))
    return {
        "reference": f"{act.label}/{view}/{act.shown}", "view": view, "theme": theme, "network": network,
        "filters": asked, "build": act.label, "case": act.case, "entry": place, "first_shown": act.on,
        "verdict": replay.verdict, "same": replay.verdict == viewing.SAME, "rows": replay.rows, "gone": replay.gone,
        "certificates": list(replay.certificates), "address": where,
    }  # fmt: skip


def _print(said: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from provenance import moments

    subject = " of " + (said["theme"] or said["network"]) if said["theme"] or said["network"] else ""
    lines = {
        "View": said["view"] + subject,
        "Build": said["build"],
        "First shown": f"{moments.london(moments.instant(said['first_shown']))}, log entry {said['entry']:,}",
        "Today": _TODAY[said["verdict"]],
        "Rows": several(said["rows"], "row") + " behind it" + _gone(said["gone"]),
        "Address": said["address"] or "none: whom it was about was disposed of",
    }
    if said["filters"]:
        lines["Filters"] = "; ".join(f"{name} {value}" for name, value in said["filters"].items())
    if said["case"]:
        lines["Case"] = said["case"]
    if said["certificates"]:
        lines["Certificates"] = ", ".join(said["certificates"])
    shown = Table.grid(padding=(0, 2, 0, 0))
    for left, right in lines.items():
        shown.add_row(Text(left), Text(right))
    out = console()
    out.print(said["reference"], markup=False, soft_wrap=True)
    out.print(shown)


_TODAY = {  # by the verdicts of `viewing`
    "same": "the same page, worked out again",
    "lawfully less": "it says less, and each difference is accounted for",
    "shown in an earlier form": "by an earlier version of the program: the rows behind it stand",
    "differs": "NOT what was shown, and nothing in the log explains it",
}


def _gone(gone: dict[str, int]) -> str:
    return "".join(f"; {count:,} gone since ({reason})" for reason, count in gone.items())
