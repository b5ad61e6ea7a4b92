"""provenance networks"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, waiting

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.argument("when")
@as_json
@click.pass_obj
def networks(door: Door, when: str, as_json: bool) -> None:
    """How large the networks of WHEN are, and what they would be by other rules.

    For whoever chooses the rule: too loose a rule puts nearly everybody into one network, too strict a one finds none.
    The build keeps the rule it was made by.
    """
    from provenance import asof, candidates
    from provenance.cli.asof import heading, insist

    with door.archive() as archive:

        def ask() -> tuple[dict[str, Any], list[dict[str, Any]]]:
            snapshot = asof.as_of(archive, when)
            return snapshot.heading(), candidates.candidates(snapshot).to_pylist()

        with waiting("Trying each rule"):
            answer, found = asof.whole(ask)
        if as_json:
            emit_json({**answer, "rules": found})
        else:
            out = console()
            heading(out, answer, title="Networks by each rule")
            _show(out, found)
        insist(answer)


def _show(out: Console, found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from provenance.candidates import BOUNDS

    for theme in dict.fromkeys(row["theme"] for row in found):
        rows = [row for row in found if row["theme"] == theme]
        drawn = Table(title=f"{theme}: {rows[0]['linked']:,} people have a link", title_justify="left", box=None)
        drawn.add_column("a link counts with")
        drawn.add_column("largest", justify="right")
        spans = itertools.pairwise(BOUNDS)
        names = [f"{low}" if high == low + 1 else f"{low}-{high - 1}" for low, high in spans]
        for name in (*names, f"{BOUNDS[-1]}+"):
            drawn.add_column(name, justify="right")
        for row in rows:
            words = f"{row['least_records']} record{'s' if row['least_records'] > 1 else ''}"
            words += " or an associate" if row["shared_associate"] else ""
            largest = f"{row['largest']:,}{' !' if row['alarm'] else ''}"
            counts = [f"{count:,}" if count else "-" for count in row["sizes"]]
            drawn.add_row(words, largest, *counts, style="bold" if row["in_force"] else "")
        out.print(drawn)
        (rule,) = (row for row in rows if row["in_force"])
        words = f"{rule['least_records']} records{' or a shared associate' if rule['shared_associate'] else ''}"
        points = f"{rule['least_strength']:,} point{'s' if rule['least_strength'] != 1 else ''} or more"
        outgrown = " ! is more than the share that params allow." if any(row["alarm"] for row in rows) else ""
        out.print(f"Columns count networks by members. In force: {words}, {points}.{outgrown}")
        out.print()
