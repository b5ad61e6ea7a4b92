"""The same weeks built on this machine alone, and on a Spark standalone cluster of two workers upon it: the roots of
each build side by side, and what each way cost.

    python -m bench.spark compare [--records N] [--weeks N] [--folder DIR]

What the weeks were made of is received once; the archive is then copied with its vault, so that both ways seal under
the same secrets. Each is a process of its own, through the product's own functions, and is measured from outside: wall
time, CPU seconds, and peak resident memory, sampled every 50 ms; Spark's with that of the whole cluster. The year of
`make demo` is `--records 3000 --weeks 52`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import click
import psutil

from pipeline import cluster
from provenance import builds, extracts, harm, params, receiving
from provenance.archive import Archive, keys_beside
from provenance.cli.doors import now, surroundings, working

ROOT = Path(__file__).resolve().parent.parent
UNDER = {"by": "bench", "under": "a measurement"}


@click.group()
def main() -> None:
    """Builds on Spark beside builds on one machine."""


@main.command()
@click.option("--records", default=1_000_000, show_default=True)
@click.option("--weeks", default=2, show_default=True)
@click.option("--memory", default="3g", show_default=True, help="Memory of each worker.")
@click.option("--driver-memory", default="6g", show_default=True, help="Memory of Spark's driver.")
@click.option("--port", default=cluster.PORT, show_default=True)
@click.option("--folder", type=click.Path(file_okay=False), help="Where to work (default: a temporary folder).")
def compare(records: int, weeks: int, memory: str, driver_memory: str, port: int, folder: str | None) -> None:
    """Print what each way cost, and whether the roots are the same."""
    home = Path(folder or tempfile.mkdtemp(prefix="provenance-bench-")).resolve()
    click.echo(
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f}"
    )
    try:
        alone, afar = home / "alone", home / "afar"
        received_twice(home, records, weeks, alone, afar)
        ours = measured("DuckDB", ["bench.spark", "build", str(alone)])
        with cluster.running(home / "cluster", memory=memory, driver_memory=driver_memory, port=port) as running:
            os.environ["SPARK_CONF_DIR"] = str(running.conf)
            theirs = measured("Spark", ["bench.spark", "build", str(afar), "--master", running.master])
        same = 0
        for one, other in zip(map(json.loads, ours), map(json.loads, theirs), strict=True):
            agree = one["tables"] == other["tables"]
            same += agree
            click.echo(
                f"  {one['build']}  {one['tables']['link'][0]:>10,} links  DuckDB {one['seconds']:7.1f} s  "
                f"Spark {other['seconds']:7.1f} s  {'same roots' if agree else 'OTHER ROOTS'}"
            )
        click.echo(f"{same} of {len(ours)} builds have the same roots of all tables on both.")
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)
    if same != len(ours):
        sys.exit(4)


def received_twice(home: Path, records: int, weeks: int, one: Path, other: Path) -> None:
    """The sample force's extracts, received in one archive, which is copied with its vault: both seal alike."""
    inbox = home / "inbox"
    if not inbox.exists():
        measured("sample force", ["pipeline.sample", "--records", str(records), "--weeks", str(weeks), "--seed", "7",
                                  "--format", "parquet", str(inbox)])  # fmt: skip
    for root in (one, other):
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(keys_beside(root), ignore_errors=True)
    measured("receive", ["bench.spark", "receive", str(one), str(inbox)])
    shutil.copytree(one, other)
    shutil.copytree(keys_beside(one), keys_beside(other))


@main.command()
@click.argument("root", type=click.Path(path_type=Path))
@click.argument("inbox", type=click.Path(path_type=Path))
def receive(root: Path, inbox: Path) -> None:
    """Found an archive and receive every extract of an inbox."""
    Archive.found(root, keys_beside(root), name="bench", on=now(), **UNDER).close()
    with Archive(root, keys_beside(root)) as archive:
        for folder in sorted(inbox.iterdir()):
            extract = extracts.read(folder, systems=params.read(ROOT / "params.yaml").systems)
            receiving.receive(archive, extract, on=now(), **UNDER, max_rejects_percent=5)


@main.command()
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--master", default="")
def build(root: Path, master: str) -> None:
    """A build at the cut-off of every extract; of each a line of JSON."""
    rules = params.read(ROOT / "params.yaml")
    edition = rules.harm.editions[0]
    table = harm.read(ROOT / edition.file, edition.name, edition.sha256)
    engine = "spark" if master else "duckdb"
    with Archive(root, keys_beside(root)) as archive, working(archive, engine, master) as running:
        for held in archive.history.extracts:
            mark, cut = time.perf_counter(), held.cut_off
            around = surroundings(rules, now(), "bench", "a measurement", running)
            made = builds.build(archive, rules, table, cut_off=cut, published_at=cut, around=around).built
            sizes = {one.name: (one.size, one.root) for one in made.tables}
            said = {"build": made.label, "cut_off": cut, "seconds": time.perf_counter() - mark, "tables": sizes}
            print(json.dumps(said), flush=True)


def measured(name: str, command: Sequence[str]) -> list[str]:
    """Run a module; print its cost with that of all that runs beneath this program; the lines that it printed."""
    started, here = time.perf_counter(), psutil.Process()
    before = _family(here)[1]
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
    peak, cpu, done = [0], [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            memory, spent = _family(here)
            peak[0], cpu[0] = max(peak[0], memory), max(cpu[0], spent - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        said, _ = process.communicate()
    finally:
        process.terminate()  # of one that has ended, nothing
    done.set()
    watcher.join()
    if process.returncode:
        sys.exit(process.returncode)
    wall = time.perf_counter() - started
    click.echo(f"{name:<14} {wall:7.1f} s wall  {cpu[0]:7.1f} s CPU  {peak[0] / 2**30:5.2f} GiB peak")
    return said.splitlines()


def _family(here: psutil.Process) -> tuple[int, float]:
    """Resident bytes and CPU seconds of all processes beneath this one that have not ended."""
    memory, spent = 0, 0.0
    for member in here.children(recursive=True):
        try:
            memory += member.memory_info().rss
            spent += sum(member.cpu_times()[:4])  # with those of its own that ended
        except psutil.Error:
            pass
    return memory, spent


if __name__ == "__main__":
    main()
