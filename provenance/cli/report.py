"""provenance report"""

from __future__ import annotations

import json
from pathlib import Path

import click

from provenance.cli.doors import Door, as_json, console, emit_json, now, progress, user

_out = click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Copy it there too.")
_under = click.option("--under", required=True, metavar="AUTHORITY", help="Under what authority.")


@click.group()
def report() -> None:
    """Reports that name no one: for an ethics committee, and for the public."""


@report.command()
@click.option("--build", "label", metavar="LABEL", help="About one build, such as 2026-W11.")
@click.option("--quarter", metavar="QUARTER", help="About a quarter, such as 2026-Q1.")
@_out
@_under
@as_json
@click.pass_obj
def ethics(door: Door, label: str | None, quarter: str | None, out: Path | None, under: str, as_json: bool) -> None:
    """Make the ethics report of a build or a quarter.

    It is written to audit_reports/ethics as HTML, PDF and JSON, and logged. It has counts, rates and acts, and names no
    person, record or case. Small counts are not told, and it is held against every report before it, so that no two
    tell who was disposed of in between; a file of an earlier one that is not there therefore stops it.
    """
    from provenance import ethics as reports_of
    from provenance import issuing
    from provenance.errors import Tampered
    from provenance.web import committee, documents

    if bool(label) == bool(quarter):
        raise click.UsageError("wanted one of --build and --quarter")
    params, _ = door.params()
    with door.archive() as archive, issuing.alone(archive), progress("Reporting") as step:
        step("Counting", 0, 2)
        period = reports_of.of_build(archive, label) if label else reports_of.of_quarter(archive, quarter)
        said = reports_of.report(archive, period, params, on=now())
        if not said["verified"]:
            raise Tampered(f"build {said['build']} does not verify: see `provenance verify`; no report is made of it")
        step("Drawing", 1, 2)
        document = committee.document(said)
        drawn = {".html": lambda: documents.html(document), ".pdf": lambda: documents.pdf(document)}
        paths = issuing.issue(archive, said, drawn, on=now(), by=user(), under=under)
        step("Drawing", 2, 2)
    _keep(door)
    written = _copied(paths, out)
    if as_json:
        emit_json({"report": said["report"], "period": said["period"], "build": said["build"],
                   "files": [str(path) for path in written], "findings": document["findings"]})  # fmt: skip
        return
    shown = console()
    shown.print(f"Ethics report of {said['period']}, on build {said['build']}:")
    for path in written:
        shown.print(f"  {path}", markup=False, soft_wrap=True)
    for finding in document["findings"]:
        if finding["kind"] == "look":
            shown.print(f"  look: {finding['text']}", markup=False)


def _keep(door: Door) -> None:
    from provenance import pins

    if (door.path / ".git").exists():
        pins.pin(door.path, [], "a report of counts", on=now())


def _copied(paths: list[Path], out: Path | None) -> list[Path]:
    from provenance import durable

    if out is None:
        return paths
    for path in paths:
        durable.write(out / path.name, path.read_bytes())
    return [out / path.name for path in paths]


def _form(name: str, text: str) -> click.Command:
    @click.option("--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write it here.")
    @as_json
    @click.pass_obj
    def command(door: Door, out: Path | None, as_json: bool) -> None:
        from provenance import declaring, durable

        with door.archive() as archive:
            said = declaring.filled(archive, name, on=now())
        if out is not None:
            durable.write(out, (_json(said) if as_json else declaring.markdown(said)).encode())
            console().print(f"Written    {out}: {len(said['gaps'])} gaps", markup=False, soft_wrap=True)
        elif as_json:
            emit_json(said)
        else:
            click.echo(declaring.markdown(said))

    command.__doc__ = text
    return report.command(name)(command)


def _json(said: dict) -> str:
    return json.dumps(said, ensure_ascii=False, indent=2) + "\n"


atrs = _form(
    "atrs",
    """Fill in the public record of an algorithmic tool (ATRS).

    As Markdown, or JSON: what the archive knows, with where it is from, and a list of the gaps that only the force can
    fill. Nothing in it names a person.
    """,
)
algo_care = _form(
    "algo-care",
    """Fill in the ALGO-CARE questions for policing.

    As Markdown, or JSON: what the archive knows, with where it is from, and a list of the gaps that only the force can
    fill. Nothing in it names a person.
    """,
)
