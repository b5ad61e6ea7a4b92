"""provenance receive"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provenance.cli.doors import WEEKLY, Door, as_json, emit_json, engines, now, progress, user, working

if TYPE_CHECKING:
    from provenance.archive import Archive
    from provenance.extracts import Extract
    from provenance.params import Params
    from provenance.receiving import Receipt, Report


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--admit-returned", default="", metavar="REASON", help="Let what was disposed of come back, for this reason."
)
@engines
@as_json
@click.pass_obj
def receive(door: Door, folder: str, admit_returned: str, engine: str, master: str, as_json: bool) -> None:
    """Check the extract in FOLDER and seal what is new in it.

    Rows that are turned away are listed in audit_reports/rejects/ by file, line, column and reason, without what stood
    there. So are rows that name what was disposed of: they stay out unless you say why it may come back.
    """
    from provenance import extracts, receiving

    params, _ = door.params()
    with door.archive() as archive, working(archive, engine, master), progress("Receiving") as report:
        erased = None if admit_returned else receiving.erased(archive, on=now())
        extract = extracts.read(Path(folder), systems=params.systems, erased=erased, progress=report)
        receipt, rejects = take(door, archive, extract, params, report, admit=admit_returned)
    if as_json:
        emit_json(
            {
                "extract": receipt.number,
                "again": receipt.again,
                "cut_off": extract.cut_off,
                "sealed": dict(receipt.fresh),
                "replaced": dict(receipt.replaced),
                "rejected": receipt.rejected,
                "returned": receipt.returned,
                "rejects": rejects,
            }
        )
    else:
        for line in told(receipt, extract.cut_off, rejects):
            click.echo(line)


def take(
    door: Door,
    archive: Archive,
    extract: Extract,
    params: Params,
    report: Report = lambda *_: None,
    *,
    admit: str = "",
) -> tuple[Receipt, str]:
    """Report what was turned away, then receive the rest; the receipt and the report's name ("" without one)."""
    from provenance import receiving

    rejects = write_rejects(door, extract)
    most = params.thresholds.max_rejects_percent
    said = {"on": now(), "by": user(), "under": WEEKLY}
    return receiving.receive(archive, extract, **said, max_rejects_percent=most, admit=admit, report=report), rejects


def told(receipt: Receipt, cut_off: str, rejects: str) -> list[str]:
    """What was received, in sentences."""
    if receipt.again:
        return [f"This extract was received before, as number {receipt.number}; nothing was written."]
    fresh, replaced = receipt.fresh, receipt.replaced
    lines = [
        f"Received extract {receipt.number}, cut off at {cut_off}: {fresh['record']:,} new or changed records with "
        f"{fresh['involvement']:,} involvements, {fresh['person']:,} nominals, "
        f"{fresh['identity']:,} identity judgements, {fresh['order']:,} disposal orders. "
        f"Replaced or withdrawn: {replaced['record']:,} records."
    ]
    if receipt.rejected:
        lines.append(f"Turned away: {receipt.rejected:,} rows; see {rejects}.")
    if receipt.returned:
        lines.append(
            f"Kept out among these, because they name a person or record that was disposed of: {receipt.returned:,}. "
            "Have the source corrected; or, where there is a new reason to hold it, receive the extract with "
            "--admit-returned REASON."
        )
    return lines


def write_rejects(door: Door, extract: Extract) -> str:
    """Write the rejects report, if there is anything in it; returns its name within the archive."""
    from provenance import durable, extracts

    if not extract.rejects.num_rows:
        return ""
    name = f"audit_reports/rejects/{extract.cut_off.replace(':', '')}-{extract.mode}.csv"
    durable.write(door.path / name, extracts.rejects_csv(extract.rejects))
    return name
