"""provenance health"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, several


@click.command()
@click.option(
    "--backups", type=click.Path(exists=True, file_okay=False), metavar="DIR", help="Where backups lie, a folder each."
)
@click.option("--textfile", type=click.Path(dir_okay=False), metavar="FILE", help="Write the figures here too.")
@click.option("--strict", is_flag=True, help="End with exit code 3 where there is anything to look at.")
@as_json
@click.pass_obj
def health(door: Door, backups: str | None, textfile: str | None, strict: bool, as_json: bool) -> None:
    """How the archive does: builds, feeds, holds, witnesses, disk, backups.

    In figures that name no one, as `provenance serve` gives them to a monitor at /metrics; --textfile writes them for a
    monitor that collects files, such as Prometheus' node_exporter. Ends with exit code 4 where the last build does not
    verify.
    """
    from provenance import health as measured
    from provenance.asof import Snapshot
    from provenance.errors import Refused, Tampered

    params, _ = door.params()
    with door.archive() as archive:
        built = archive.history.builds[-1] if archive.history.builds else None
        verified = Snapshot(archive, built, None).verified if built else None
        kept = Path(backups) if backups else None
        found = measured.health(archive, on=now(), verified=verified, kept=kept)
    if textfile:
        from provenance import durable
        from provenance.web import metrics

        durable.write(Path(textfile), metrics.text(found))
    faults = found.faults(params.thresholds.stale_watermark_days)
    if as_json:
        emit_json({**asdict(found), "faults": faults})
    else:
        out = console()
        made = f", the last {found.build}" if found.build else ""
        out.print(f"{several(found.builds, 'build')}{made}. The log has {found.entries:,} entries.")
        for fault in faults:
            out.print(f"  look: {fault}", markup=False)
        if not faults:
            out.print("  nothing to look at")
    if found.verified == 0:
        raise Tampered(f"build {found.build} does not verify: see `provenance verify`")
    if faults and strict:
        raise Refused(f"archive is not in order: {several(len(faults), 'thing')} to look at, listed above")
