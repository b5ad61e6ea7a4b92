"""provenance check-list"""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from provenance.cli.doors import Door, as_json, emit_json, now, several
from provenance.records import THEMES


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--theme", required=True, type=click.Choice(THEMES), metavar="T", help="In one theme: SOC, CSE or CL.")
@click.option("--as-of", "when", default="", metavar="WHEN", help="In the build that was live then (default: now).")
@click.option("--to", "recipient", required=True, metavar="WHO", help="Which partner asks.")
@click.option("--basis", required=True, metavar="LAW", help="The law under which they may be told.")
@click.option("--out", required=True, metavar="FOLDER", help="A new folder for the answer.")
@click.option("--by", required=True, metavar="WHO", help="Who answers.")
@click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")
@as_json
@click.pass_obj
def check_list(
    door: Door,
    file: click.utils.LazyFile,
    theme: str,
    when: str,
    recipient: str,
    basis: str,
    out: str,
    by: str,
    under: str,
    as_json: bool,
) -> None:
    """Answer a partner's list: present or not, and the harm score.

    FILE is CSV with nominal_id, or name and born (YYYY-MM-DD), or all three; - reads standard input. Both are matched
    exactly. Who is known only as a victim or a witness is answered as somebody unknown. The answer has rows by number
    and is logged as a disclosure before it is written.
    """
    from provenance import asof, durable, ledger, listing
    from provenance.errors import Conflict, Refused

    folder = Path(out)
    if folder.exists():
        raise Conflict("folder for the answer is there already: wanted a new name")
    with door.archive() as archive:
        if any(folder.resolve().is_relative_to(inside.resolve()) for inside in (archive.root, archive.keys)):
            raise Refused("answer to a partner is not kept within the archive: wanted another place")
        snapshot = asof.as_of(archive, when or now())
        asked = listing.read(file)  # read once: a disposal meanwhile ends this with a Conflict, and nothing was said
        found = listing.check(snapshot, asked, theme=theme)
        heading = snapshot.heading()
        said = listing.covering(heading, theme)
        data = {"answer.csv": found.as_csv(), "READ-ME-FIRST.txt": said.encode()}
        digest = hashlib.sha256(b"".join(data.values())).hexdigest()
        entry = ledger.send(
            archive, what="answer", title=f"answer to a list, {theme}, build {snapshot.label}", recipient=recipient,
            basis=basis, digest=digest, nominals=found.nominals, on=now(), by=by, under=under,
        )  # fmt: skip
    folder.mkdir(parents=True, mode=0o700)
    for name, content in data.items():
        durable.write(folder / name, content, mode=0o600)
    counts = {present: sum(each.present == present for each in found.answers) for present in listing.PRESENT}
    if as_json:
        emit_json(
            {"build": snapshot.label, "theme": theme, "rows": len(found.answers), "number": entry.number} | counts
        )
    else:
        click.echo(
            f"{several(len(found.answers), 'row')} answered in {folder.name}: item {entry.number} of the ledger."
        )
