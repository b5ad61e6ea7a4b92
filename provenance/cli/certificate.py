"""provenance certificate"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, several


@click.command()
@click.argument("id")
@as_json
@click.pass_obj
def certificate(door: Door, id: str, as_json: bool) -> None:
    """Show the certificate of disposal ID, once its signature and the log agree with it."""
    from rich.panel import Panel

    from provenance import certificates, disposal, entries, moments

    with door.archive() as archive:
        held = disposal.certificate(archive, id)
    if as_json:
        emit_json({**entries.as_json(held), "method": certificates.METHOD, "checked": list(certificates.CHECKED)})
        return

    def london(instant: str) -> str:
        return moments.london(moments.instant(instant))

    out = console()
    labels = [build.label for build in held.builds]
    span = f"{several(len(labels), 'build')}, {labels[0]} to {labels[-1]}" if labels else "no build had any of it"
    copies = "".join(f", {each.objects:,} from remote {each.remote}" for each in held.remotes)
    lines = {
        "Archive": f"{held.archive}, disposal {held.number:,}",
        "Destroyed": f"{several(held.nominals, 'nominal')}, {several(held.records, 'record')}",
        "Authority": held.authority,
        "Reason": held.reason,
        "Carried out": f"{london(held.disposed_on)}, by {held.by}",
        "Approved by": held.approved_by,
        "Certified": london(held.certified_on),
        "Builds": span,
        "Rows gone": f"{sum(each.rows for each in held.died):,}; {several(held.reduced, 'link')} among them stay in a "
        "lesser form",
        "Figures": f"{sum(each.rows for each in held.marked):,} marked as computed with what was destroyed",
        "Files": f"{len(held.files):,} written again without those rows",
        "Copies": f"{held.cache_objects:,} removed from DVC's cache{copies}",
        "Signed": "with the key of the log, which names this certificate",
    }
    title = f"Certificate of disposal {held.disposal}"
    out.print(Panel(_columns(lines.items(), between=2), title=title, title_align="left"))
    out.print(certificates.METHOD, markup=False)
    out.print("\nBefore it was signed, this was checked:")
    out.print(_columns(("-", words) for words in certificates.CHECKED))
    out.print(
        "\nThat no copy is left outside the archive (on tapes, in escrow, on paper) is the force's word, not the log's."
    )


def _columns(pairs: Iterable[tuple[str, str]], between: int = 1) -> Any:
    """Two columns of plain text, the second folded within itself; what people typed is never markup."""
    from rich.table import Table
    from rich.text import Text

    shown = Table.grid(padding=(0, between, 0, 0))
    for left, right in pairs:
        shown.add_row(Text(left), Text(right))
    return shown
