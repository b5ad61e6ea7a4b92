"""provenance verify"""

from __future__ import annotations

import click

from provenance.cli.doors import Door, as_json, console, emit_json, progress


@click.command()
@click.option("--build", "label", default=None, metavar="LABEL", help="Only what this build rests on.")
@as_json
@click.pass_obj
def verify(door: Door, label: str | None, as_json: bool) -> None:
    """Check every stored byte against the log; exit code 4 when something differs."""
    from provenance import pins, verify
    from provenance.errors import Tampered

    with door.archive() as archive, progress("Verifying") as report:
        steps = verify.verify(archive, label=label, report=report)
    steps.append(verify.Step(11, "committed files", 1, tuple(pins.edited(door.path))))
    faults = sum(len(step.faults) for step in steps)
    if as_json:
        emit_json(
            {
                "verified": not faults,
                "steps": [
                    {"step": s.number, "name": s.name, "checked": s.checked, "faults": list(s.faults)} for s in steps
                ],
            }
        )
    else:
        out = console()
        for step in steps:
            out.print(
                f"{step.number:>3}  {step.name:<18} {step.checked:>10,} checked  "
                + ("FAULT" if step.faults else "as logged")
            )
            for fault in step.faults:
                out.print(f"       {fault}", style="bold red", markup=False)
        what = f"Build {label}" if label else "The archive"
        out.print(
            f"{what} {'does NOT verify' if faults else 'verifies'}. Head of the log: {archive.log.size} entries, root "
            f"{archive.log.root.hex()}"
        )
    if faults:
        raise Tampered(f"archive does not verify: {faults} fault(s), listed above")
