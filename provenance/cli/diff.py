"""provenance diff"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, waiting

if TYPE_CHECKING:
    from rich.console import Console

_ROWS = 30


@click.command()
@click.argument("before")
@click.argument("after")
@as_json
@click.pass_obj
def diff(door: Door, before: str, after: str, as_json: bool) -> None:
    """What changed in the links between the moments BEFORE and AFTER, with the records behind each change."""
    from provenance import asof, comparing
    from provenance.cli.asof import insist

    with door.archive() as archive:
        first, second = asof.as_of(archive, before), asof.as_of(archive, after)
        with waiting(f"Comparing builds {first.label} and {second.label}"):
            changes = comparing.difference(first, second).to_pylist()
            heads = first.heading(), second.heading()
        if as_json:
            emit_json({"before": heads[0], "after": heads[1], "links": changes})
        else:
            _show(console(), heads, changes)
        insist(*heads)


def _show(out: Console, heads: tuple[dict[str, Any], dict[str, Any]], changes: list[dict[str, Any]]) -> None:
    from provenance.cli.asof import heading, table

    heading(out, heads[0], title="Before", caveat=False)
    heading(out, heads[1], title="After")
    for word in ("new", "gone", "changed"):
        out.print(f"  {sum(c['change'] == word for c in changes):>8,} links {word}")
    biggest = sorted(
        changes, key=lambda c: (-abs(c["strength_after"] - c["strength_before"]), c["theme"], c["a"], c["b"])
    )
    rows = [
        [c["a"], c["b"], c["theme"], c["change"], c["strength_before"], c["strength_after"], _records(c)]
        for c in biggest[:_ROWS]
    ]
    columns = ["nominal", "nominal", "theme", "link is", "before", "after", "records"]
    table(out, "Links, largest change first", columns, rows, len(changes))


def _records(change: dict) -> str:
    signs = (("+", "records_come"), ("-", "records_gone"), ("~", "records_changed"))
    return " ".join(f"{sign}{len(change[key])}" for sign, key in signs if change[key])
