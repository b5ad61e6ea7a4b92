"""The disclosure pack of one nominal over a year of builds of an archive of a million links.

    python -m bench.packs [--records N] [--weeks N] [--folder DIR]

The archive is made first, by the product's own functions, which takes about ten minutes and 2 GB; with --folder it
stays there, and the next run takes it up. Of one with more weeks the last year is asked about. The pack is made and
then checked, each by a process of its own that is measured from outside; whom it is about is somebody with more links
than nine in ten.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import psutil

from bench.million import measured
from provenance import bags, disclosing, queries, saving, watching
from provenance.archive import Archive, keys_beside
from provenance.asof import Snapshot
from provenance.cli.doors import now
from provenance.web.still import House, Stills

UNDER = "a measurement"
_ASKED = 52  # builds, up to the last


@click.command()
@click.option("--records", default=480_000, show_default=True, help="Makes about twice as many links.")
@click.option("--weeks", default=52, show_default=True)
@click.option("--folder", type=click.Path(file_okay=False), help="Where to work (default: a temporary folder).")
@click.argument("part", default="", metavar="", type=click.Choice(["", "make", "check"]))
def main(records: int, weeks: int, folder: str | None, part: str) -> None:
    """Print what a pack costs, to make and to check."""
    home = Path(folder or tempfile.mkdtemp(prefix="provenance-packs-")).resolve()
    if part:
        {"make": _make, "check": _check}[part](home)
        return
    click.echo(
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f}"
    )
    try:
        _grow(home, records, weeks)
        _ask(home)
        for again in ("first time", "again"):  # the upper parts of trees are put away the first time
            shutil.rmtree(home / "pack", ignore_errors=True)
            click.echo(again)
            measured("pack of one nominal", "bench.packs", "--folder", str(home), "make")
        measured("its check", "bench.packs", "--folder", str(home), "check")
        alone = [sys.executable, str(home / "pack/data/verify.py"), str(home / "pack")]
        said = subprocess.run(alone, capture_output=True, text=True, check=True).stdout
        click.echo(f"verify.py says: {said.splitlines()[0]}")
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def _grow(home: Path, records: int, weeks: int) -> None:
    """The archive, with a build for each week; what is there of it is kept."""
    inbox, root = home / "inbox", home / "force"
    if not inbox.exists():
        measured("sample force", "pipeline.sample", "--records", str(records), "--weeks", str(weeks), "--seed", "7",
                 "--format", "parquet", str(inbox))  # fmt: skip
    extracts = sorted(inbox.iterdir())
    done = 0
    if root.exists():
        with Archive(root, keys_beside(root)) as archive:
            done = len(archive.history.builds)
    for week in extracts[done:]:
        subprocess.run(
            [sys.executable, "-m", "bench.week", str(root), str(week)], check=True, stdout=subprocess.DEVNULL
        )


def _ask(home: Path) -> None:
    """Save the query, once for each archive."""
    root = home / "force"
    with Archive(root, keys_beside(root)) as archive:
        first = archive.history.publications[-_ASKED:][0]
        people = Snapshot(archive, archive.history.builds[-1], None).nominals()
        links = people["links"].to_numpy()
        who = people["nominal"][int(np.argsort(links, kind="stable")[len(links) * 9 // 10])].as_py()
        asked = queries.query(
            case="26/0113", purpose=UNDER, moments_=[], periods=[(first.start[:10], "")], nominals=[who],
        )  # fmt: skip
        saved = saving.save(archive, asked, on=now(), by="bench", under=UNDER)
        watching.begin(archive, saved, on=now(), by="bench", under=UNDER)
        sizes = {table.name: table.size for table in archive.history.builds[-1].tables}
        builds = len(archive.history.builds)
    click.echo(f"{builds} builds, the last of {sizes['record']:,} records and {sizes['link']:,} links")


def _make(home: Path) -> None:
    root = home / "force"
    with Archive(root, keys_beside(root)) as archive:
        made = disclosing.make(
            archive, saving.every(archive)[-1], home / "pack", Stills(House("bench", "bench", "bench", ""), None),
            audience=disclosing.PROSECUTOR, force="bench", marking="bench", on=now(), by="bench", under=UNDER,
            version="0.0.0",
        )  # fmt: skip
    size = sum(path.stat().st_size for path in (home / "pack").rglob("*") if path.is_file())
    click.echo(
        f"{made.pages} pages, {made.proofs} proofs of {made.builds} builds, {made.rows:,} rows, {size / 1e6:.1f} MB"
    )


def _check(home: Path) -> None:
    found = bags.check(home / "pack")
    faults = [fault for step in found.steps for fault in step.faults]
    click.echo(json.dumps({"faults": faults, "proofs": len(found.proved)}))


if __name__ == "__main__":
    main()
