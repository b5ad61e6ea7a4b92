"""provenance health"""

from __future__ import annotations

from dataclasses import asdict

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, several


@click.command()
@as_json
@click.pass_obj
def health(door: Door, as_json: bool) -> None:
    """How the archive does: builds, feeds, holds, witnesses.

    In figures that name no one, as `provenance serve` gives them to a monitor at /metrics. Ends with exit code 4 where
    the last build does not verify.
    """
    from provenance import health as measured
    from provenance.asof import Snapshot
    from provenance.errors import Tampered

    params, _ = door.params()
    with door.archive() as archive:
        built = archive.history.builds[-1] if archive.history.builds else None
        found = measured.health(archive, on=now(), verified=Snapshot(archive, built, None).verified if built else None)
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
