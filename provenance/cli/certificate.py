"""provenance certificate"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from provenance import entries
from provenance.cli.doors import Door, as_json, console, emit_json, several


@click.command()
@click.argument("id")
@as_json
@click.pass_obj
def certificate(door: Door, id: str, as_json: bool) -> None:
    """Show the certificate of disposal ID, once its signature and the log agree with it."""
    from rich.panel import Panel

    from provenance import certificates, disposal, moments

    with door.archive() as archive:
        held = disposal.certificate(archive, id)
        since = archive.history.escrow_since(held.number)
    if as_json:
        said = {**entries.as_json(held), "method": certificates.METHOD, "checked": list(certificates.CHECKED)}
        emit_json(said | {"escrow_since": entries.as_json(since) if since else None})
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
        "Escrow": _escrow(held.escrow, since, london),
        "Signed": "with the key of the log, which names this certificate",
    }
    title = f"Certificate of disposal {held.disposal}"
    out.print(Panel(_columns(lines.items(), between=2), title=title, title_align="left"))
    out.print(certificates.METHOD, markup=False)
    out.print("\nBefore it was signed, this was checked:")
    out.print(_columns(("-", words) for words in certificates.CHECKED))
    out.print(
        "\nThat no copy is left outside the archive (on tapes, in escrow, on paper) is the force's word: the log "
        "proves no more than who said what, and when."
    )


_ESCROW = {  # by what had been said when the disposal was logged
    entries.NONE_HELD: "no copy of the old master key was held elsewhere",
    entries.TO_BE_REPLACED: "a copy of the old master key was held elsewhere, to be replaced",
    entries.NOT_STATED: "nobody had said whether a copy of the old master key was held elsewhere",
}


def _escrow(stated: str, since: entries.Escrowed | None, london: Callable[[str], str]) -> str:
    """What the certificate says of the copy in escrow, and what the log has had of it since."""
    if since is None:
        return _ESCROW[stated] + (
            "" if stated == entries.NONE_HELD else "; NOT REPLACED YET, as far as anybody has said"
        )
    words = "the copy was replaced and the old one destroyed" if since.copies else "no copy is held"
    return f"{_ESCROW[stated]}; since then {since.by} has said, on {london(since.on)}: {words}"


def _columns(pairs: Iterable[tuple[str, str]], between: int = 1) -> Any:
    """Two columns of plain text, the second folded within itself; what people typed is never markup."""
    from rich.table import Table
    from rich.text import Text

    shown = Table.grid(padding=(0, between, 0, 0))
    for left, right in pairs:
        shown.add_row(Text(left), Text(right))
    return shown
