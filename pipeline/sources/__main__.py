"""The door of the adapters: `python -m pipeline.sources NAME FROM OUT`.

Refuses to write into a folder that already holds something, and an option that the named source does not have.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from provenance.errors import Conflict, Malformed, ProvenanceError

SOURCES = ("stlouis_crime", "infinito_summits", "cpd_police_records", "custody_registers", "harm_weights")
RELEASES = ("together", "separate")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", type=click.Choice(SOURCES))
@click.argument("source", metavar="FROM", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--seed", default=1, show_default=True, help="Of the overlay that supplies what the source does not say.")
@click.option("--releases", type=click.Choice(RELEASES), help="cpd_police_records only. [default: together]")
def main(name: str, source: Path, out: Path, seed: int, releases: str | None) -> None:
    """Write the extracts of data set NAME, read from folder FROM, into folder OUT."""
    try:
        if releases and name != "cpd_police_records":
            raise Malformed(f"option --releases belongs to cpd_police_records: found it with {name}")
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise Conflict(f"output folder holds something already: {out.name}, wanted a new or an empty one")
        own = {"releases": releases or RELEASES[0]} if name == "cpd_police_records" else {}
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(name, total=None)
            adapter = importlib.import_module(f"pipeline.sources.{name}")
            adapter.adapt(source, out, seed=seed, step=lambda text: progress.update(task, description=text), **own)
    except ProvenanceError as error:
        click.echo(f"{name}: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(f"{name}: written. What is real and what is invented stands in {out.name}/SOURCE-NOTE.md")


if __name__ == "__main__":
    main()
