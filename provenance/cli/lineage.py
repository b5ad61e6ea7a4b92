"""provenance lineage"""

from __future__ import annotations

import click

from provenance.cli.doors import Door, emit_json


@click.command()
@click.argument("label")
@click.option("--form", type=click.Choice(["prov", "openlineage"]), default="prov", help="Default: prov.")
@click.pass_obj
def lineage(door: Door, label: str, form: str) -> None:
    """What the build LABEL was made of, by whom and with what, as JSON that others read.

    As PROV-JSON, or as a list of OpenLineage events, two for each stage. It names no person and no record.
    """
    from provenance import derivation

    with door.archive() as archive:
        emit_json(derivation.of(archive, label, form))
