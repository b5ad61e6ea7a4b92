"""provenance certificate"""

from __future__ import annotations

import click

from provenance.cli.doors import Door, as_json, console, emit_json


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
    span = f"{len(labels):,}: {labels[0]} to {labels[-1]}" if labels else "none"
    copies = ", ".join(f"{each.objects:,} in remote {each.remote}" for each in held.remotes)
    lines = [
        f"Archive      {held.archive}, disposal {held.number:,}",
        f"Destroyed    {held.nominals:,} nominals, {held.records:,} records",
        f"Authority    {held.authority}",
        f"Reason       {held.reason}",
        f"Carried out  {london(held.disposed_on)}, by {held.by}",
        f"Approved by  {held.approved_by}",
        f"Certified    {london(held.certified_on)}",
        f"Builds       {span}",
        f"Rows gone    {sum(each.rows for each in held.died):,}, of which {held.reduced:,} links live on with less",
        f"Figures      {sum(each.rows for each in held.marked):,} marked as computed with what was destroyed",
        f"Files        {len(held.files):,} written again without it",
        f"Copies       {held.cache_objects:,} removed from DVC's cache" + (f", {copies}" if copies else ""),
        f"Signed       by {archive.name}; the log has it",
    ]
    out.print(
        Panel("\n".join(lines), title=f"Certificate of disposal {held.disposal}", title_align="left"), markup=False
    )
    out.print(certificates.METHOD, markup=False)
    out.print("\nBefore it was signed, this was checked:")
    for words in certificates.CHECKED:
        out.print(f"  - {words}", markup=False)
    out.print(
        "\nThat no copy is left outside the archive (on tapes, in escrow, on paper) is the force's word, not the log's."
    )
