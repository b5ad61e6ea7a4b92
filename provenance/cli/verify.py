"""provenance verify"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provenance.cli.doors import Door, as_json, console, emit_json, progress, waiting

if TYPE_CHECKING:
    from rich.console import Console

    from provenance.steps import Step


@click.command()
@click.argument("pack", required=False, metavar="[PACK]")
@click.option("--build", "label", default=None, metavar="LABEL", help="Only what this build rests on.")
@click.option("--published", metavar="LINE", help="For a PACK: the line of a weekly notice.")
@click.option("--policy", metavar="FILE", help="For a PACK: the log's keys and witnesses, as you have them.")
@as_json
@click.pass_obj
def verify(
    door: Door, pack: str | None, label: str | None, published: str | None, policy: str | None, as_json: bool
) -> None:
    """Check every stored byte against the log; exit code 4 when something differs.

    With PACK, a folder that `asof --proof` wrote: check that instead. No archive is needed for it.
    """
    if pack is None:
        if published or policy:
            raise click.UsageError("--published and --policy are for checking a PACK.")
        _archive(door, label, as_json)
    else:
        if label:
            raise click.UsageError("--build is for checking the archive, and not a PACK.")
        _pack(Path(pack), published, policy, as_json)


def _archive(door: Door, label: str | None, as_json: bool) -> None:
    from provenance import pins, verify
    from provenance.errors import Tampered
    from provenance.steps import Step

    with door.archive() as archive, progress("Verifying") as report:
        steps = verify.verify(archive, label=label, report=report)
    steps.append(Step(len(steps) + 1, "committed files", 1, tuple(pins.edited(door.path))))
    faults = sum(len(step.faults) for step in steps)
    if as_json:
        emit_json({"verified": not faults, "steps": _as_values(steps)})
    else:
        out = console()
        _print(out, steps, "as logged")
        what = f"Build {label}" if label else "The archive"
        out.print(
            f"{what} {'does NOT verify' if faults else 'verifies'}. Head of the log: {archive.log.size} entries, root "
            f"{archive.log.root.hex()}"
        )
    if faults:
        raise Tampered(f"archive does not verify: {faults} fault(s), listed above")


def _pack(folder: Path, published: str | None, policy: str | None, as_json: bool) -> None:
    from provenance import packs
    from provenance.errors import Missing, Tampered

    brought = Path(policy) if policy else None
    if brought and not brought.is_file():
        raise Missing(f"policy file {brought.name} is not there")
    with waiting("Checking the pack"):
        found = packs.check(folder, policy=brought.read_bytes() if brought else None, published=published)
    faults = sum(len(step.faults) for step in found.steps)
    if as_json:
        said = {"relied_on": found.relied_on, "proved": found.proved, "not_proved": found.not_proved}
        emit_json({"verified": not faults, "steps": _as_values(found.steps), **said})
    else:
        out = console()
        _print(out, found.steps, "as it should be")
        out.print(f"The pack {'does NOT verify' if faults else 'verifies'}.\n")
        for title, said in (
            ("What was proved", found.proved),
            ("What that rests on", found.relied_on),
            ("What was NOT proved", found.not_proved),
        ):
            if said:
                out.print(f"{title}:", style="bold")
                for sentence in said:
                    _item(out, sentence)
    if faults:
        raise Tampered(f"pack {folder.name} does not verify: {faults} fault(s), listed above")


def _item(out: Console, sentence: str) -> None:
    """A sentence beside a dash, its further lines under its first."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 1))
    line.add_row("-", Text(sentence))
    out.print(Padding(line, (0, 0, 0, 2)))


def _print(out: Console, steps: Iterable[Step], good: str) -> None:
    for step in steps:
        out.print(
            f"{step.number:>3}  {step.name:<18} {step.checked:>10,} checked  " + ("FAULT" if step.faults else good)
        )
        for fault in step.faults:
            out.print(f"       {fault}", style="bold red", markup=False)


def _as_values(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [{"step": s.number, "name": s.name, "checked": s.checked, "faults": list(s.faults)} for s in steps]
