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
@click.option("--row", metavar="LEAF", help="Only the row with this leaf, in LABEL or the last build that has it.")
@click.option("--published", metavar="LINE", help="For a PACK: the line of a weekly notice, or a file with one.")
@click.option("--policy", metavar="FILE", help="For a PACK: the log's keys and witnesses, as you have them.")
@click.option("--tagmanifest", metavar="HEX", help="For a disclosure pack: the number on its covering letter.")
@as_json
@click.pass_obj
def verify(
    door: Door,
    pack: str | None,
    label: str | None,
    row: str | None,
    published: str | None,
    policy: str | None,
    tagmanifest: str | None,
    as_json: bool,
) -> None:
    """Check every stored byte against the log; exit code 4 when something differs.

    What was checked is followed by what that rests on.

    With PACK, a folder that `asof --proof` or `disclose make` wrote: check that instead. No archive is needed for it.
    Exit code 5 where nothing is wrong and the line is newer than the pack: then nothing was compared.
    """
    if pack is None:
        if published or policy or tagmanifest:
            raise click.UsageError("--published, --policy and --tagmanifest are for checking a PACK.")
        if row:
            _row(door, row, label or "", as_json)
        else:
            _archive(door, label, as_json)
    else:
        if label or row:
            raise click.UsageError("--build and --row are for checking the archive, and not a PACK.")
        _pack(Path(pack), published, policy, tagmanifest or "", as_json)


def _archive(door: Door, label: str | None, as_json: bool) -> None:
    from provenance import pins, verify
    from provenance.errors import Tampered
    from provenance.steps import Step

    with door.archive() as archive, progress("Verifying") as report:
        steps = verify.verify(archive, label=label, report=report)
        relied_on = verify.relied_on(archive)
    steps.append(Step(len(steps) + 1, "committed files", 1, tuple(pins.edited(door.path))))
    faults = sum(len(step.faults) for step in steps)
    if as_json:
        emit_json({"verified": not faults, "steps": _as_values(steps), "relied_on": relied_on})
    else:
        out = console()
        _print(out, steps, "as logged")
        _list(out, "What that rests on", relied_on)
        what = f"Build {label}" if label else "The archive"
        out.print(
            f"{what} {'does NOT verify' if faults else 'verifies'}. Head of the log: {archive.log.size} entries, root "
            f"{archive.log.root.hex()}"
        )
    if faults:
        raise Tampered(f"archive does not verify: {faults} fault(s), listed above")


def _row(door: Door, row: str, label: str, as_json: bool) -> None:
    from provenance import verify
    from provenance.errors import Malformed, Tampered

    if len(row) != 64 or set(row) - set("0123456789abcdef"):
        raise Malformed(f"leaf: {len(row)} characters, wanted 64 lowercase hexadecimal digits")
    with door.archive() as archive, waiting("Checking the row"):
        label, steps = verify.verify_row(archive, bytes.fromhex(row), label=label)
        relied_on = verify.relied_on(archive)
    faults = sum(len(step.faults) for step in steps)
    if as_json:
        emit_json({"verified": not faults, "build": label, "steps": _as_values(steps), "relied_on": relied_on})
    else:
        out = console()
        _print(out, steps, "as logged")
        _list(out, "What that rests on", relied_on)
        out.print(f"The row {'does NOT verify' if faults else 'verifies'} in build {label}.")
    if faults:
        raise Tampered(f"row does not verify: {faults} fault(s), listed above")


def _pack(folder: Path, published: str | None, policy: str | None, letter: str, as_json: bool) -> None:
    from provenance import bags, checking
    from provenance.errors import Malformed, Missing, Refused, Tampered

    if not (folder / "pack.json").exists() and bags.is_bag(folder.resolve().parent):
        folder = folder.resolve().parent  # data/ was named, and the pack is what it lies in
    brought = Path(policy) if policy else None
    if brought and not brought.is_file():
        raise Missing(f"policy file {brought.name} is not there")
    if published and Path(published).is_file():
        line: str | None = Path(published).read_text("utf-8", "replace").strip()
    else:
        line = published
    for given in (policy, published):
        if given and Path(given).is_file() and Path(given).resolve().is_relative_to(folder.resolve()):
            raise Refused(f"{Path(given).name} is a file of the pack itself: wanted one that came another way")
    letter = "".join(letter.split()).lower()
    if letter and (len(letter) != 64 or set(letter) - set("0123456789abcdef")):
        raise Malformed(f"number of the covering letter: {len(letter)} characters, wanted 64 hexadecimal digits")
    if letter and not bags.is_bag(folder):
        raise Malformed(f"folder {folder.name} is no disclosure pack: only one has a number on a covering letter")
    with waiting("Checking the pack"):
        given_ = {"policy": brought.read_bytes() if brought else None, "published": line}
        found = bags.check(folder, letter=letter, **given_) if bags.is_bag(folder) else checking.check(folder, **given_)
    faults = sum(len(step.faults) for step in found.steps)
    behind = bool(found.wanted) and not faults
    anchored = bool(published or policy) and not found.wanted
    if as_json:
        said = {"relied_on": found.relied_on, "proved": found.proved, "not_proved": found.not_proved}
        verified = not faults and not behind
        emit_json({"verified": verified, "anchored": anchored, "steps": _as_values(found.steps), **said})
    else:
        out = console()
        _print(out, found.steps, "as it should be")
        if faults:
            out.print("The pack does NOT verify.\n")
        elif behind:
            out.print(f"NOT COMPARED: nothing was found wrong, and {_visible(found.wanted)}.\n", markup=False)
        elif anchored:
            out.print("The pack verifies.\n")
        else:
            out.print("The pack is consistent in itself. Nothing from outside was compared with it:")
            out.print("say --published or --policy.\n")
        for title, said in (
            ("What was proved", found.proved),
            ("What that rests on", found.relied_on),
            ("What was NOT proved", found.not_proved),
        ):
            if said:
                _list(out, title, said)
    if faults:
        raise Tampered(f"pack {folder.name} does not verify: {faults} fault(s), listed above")
    if behind:
        raise Missing(f"line to compare pack {folder.name} with: the one given is newer than the pack, see above")


def _list(out: Console, title: str, sentences: Iterable[str]) -> None:
    """Sentences under a title, each beside a dash, its further lines under its first."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    out.print(f"{title}:", style="bold")
    for sentence in sentences:
        line = Table.grid(padding=(0, 1))
        line.add_row("-", Text(_visible(sentence), overflow="fold"))
        out.print(Padding(line, (0, 0, 0, 2)))


def _print(out: Console, steps: Iterable[Step], good: str) -> None:
    for step in steps:
        verdict = "FAULT" if step.faults else good if step.checked else "nothing to check"
        out.print(f"{step.number:>3}  {step.name:<18} {step.checked:>10,} checked  {verdict}")
        for fault in step.faults:
            out.print(f"       {_visible(fault)}", style="bold red", markup=False)


def _visible(text: str) -> str:
    """What a pack says may come from anyone: nothing in it is to move the cursor, or to turn the reading direction."""
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):04X}}}" for c in text)


def _as_values(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [{"step": s.number, "name": s.name, "checked": s.checked, "faults": list(s.faults)} for s in steps]
