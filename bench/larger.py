"""The larger installation beside the embedded default: builds on a Spark cluster of two workers, their catalogue on
PostgreSQL, pushed to an SSH remote; then an archive made of that remote and of git alone. All roots are the same.

    python -m bench.larger [--records N] [--weeks N] [--folder DIR]

One command starts all three on this machine. What the weeks were made of is received once, and the archive is copied
with its vault, so that both build of the same secrets. Each step is a process of its own and is measured from outside
as in bench/spark.py, with the cluster and both servers while these run. The year of `make demo` is `--records 3000
--weeks 52`. There is no last line unless every root is the same and what came back verifies.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import psutil
from click.testing import CliRunner

from bench.remotes import known
from bench.spark import measured, received_twice
from pipeline import cluster, ssh_remote
from provenance import pins
from provenance.archive import Archive, keys_beside
from provenance.cli import main as provenance
from provenance.cli.doors import code_commit, now
from provenance.cli.weeks import write_week
from provenance.database import FILE
from provenance.world import user

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
import postgres

_CONFIG = """\
[core]
    remote = ssh
['remote "ssh"']
    url = {url}
    user = {user}
    keyfile = {keyfile}
    verify = true
"""
UNCARRIED = ("vault", "seen", "reported", "disclosure")  # by git and DVC
Roots = dict[str, dict[str, list[int | str]]]  # size and root of each table by its name, for each build by its label


@dataclass(frozen=True, slots=True)
class Built:
    """The builds that one way made."""

    seconds: dict[str, float]
    roots: Roots


@click.command()
@click.option("--records", default=1_000_000, show_default=True)
@click.option("--weeks", default=2, show_default=True)
@click.option("--memory", default="3g", show_default=True, help="Memory of each worker.")
@click.option("--driver-memory", default="5g", show_default=True, help="Memory of Spark's driver.")
@click.option("--port", default=cluster.PORT, show_default=True, help="Where Spark's master listens.")
@click.option("--folder", type=click.Path(file_okay=False), help="Where to work (default: a temporary folder).")
def main(records: int, weeks: int, memory: str, driver_memory: str, port: int, folder: str | None) -> None:
    """Print what each way cost, and whether all roots are the same."""
    home = Path(folder or tempfile.mkdtemp(prefix="provenance-bench-")).resolve()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or it would leave its servers behind
    memories = {"memory": memory, "driver_memory": driver_memory}
    click.echo(
        f"commit {code_commit()[:7]}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"load {os.getloadavg()[0]:.1f}; workers {memory}, driver {driver_memory}"
    )
    try:
        alone, larger = home / "alone", home / "larger"
        received_twice(home, records, weeks, alone, larger)
        for root in (alone, larger):
            pins.lay_out(root)
        embedded = _built(alone)
        with contextlib.ExitStack() as servers:
            database = servers.enter_context(postgres.running())
            remote = ssh_remote.start(home / "ssh")
            servers.callback(remote.stop)
            known(home, remote)
            _use(larger, database.create("force"))
            with cluster.running(home / "cluster", port=port, **memories) as running:
                os.environ["SPARK_CONF_DIR"] = str(running.conf)
                spread = _built(larger, running.master)
                _pushed(home, larger, remote)
            back = _pulled(home, larger)
        if not embedded.roots == spread.roots == back:
            sys.exit("the roots differ")
        for label, tables in back.items():
            click.echo(
                f"  {label}  {tables['link'][0]:>10,} links  DuckDB, files {embedded.seconds[label]:7.1f} s  "
                f"Spark, server {spread.seconds[label]:7.1f} s"
            )
        click.echo(f"The same roots of all tables of {len(back)} builds: embedded, on all three, and pulled back.")
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def _built(root: Path, master: str = "") -> Built:
    """Build at each cut-off and pin all of it, as `backfill` does."""
    name, engine = ("Spark, server", ["--master", master]) if master else ("DuckDB, files", [])
    said = [json.loads(line) for line in measured(name, ["bench.spark", "build", str(root), *engine])]
    write_week(root, said[-1]["cut_off"], said[-1]["cut_off"])
    pins.pin(root, [one["build"] for one in said], "builds", on=now())
    return Built({one["build"]: one["seconds"] for one in said}, {one["build"]: one["tables"] for one in said})


def _use(root: Path, address: str) -> None:
    done = CliRunner().invoke(provenance, ["--archive", str(root), "database", "use"], input=address + "\n")
    if done.exit_code:
        sys.exit(f"database use: {done.output}")


def _pushed(home: Path, root: Path, remote: ssh_remote.Server) -> None:
    """Git, with a tag for each build, to a repository that has no files of its own; the rows over SSH."""
    config = _CONFIG.format(url=remote.url, user=user(), keyfile=remote.home / "user")
    (root / ".dvc" / "config.local").write_text(config)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(home / "force.git")], check=True)
    subprocess.run(["git", "push", "-q", "--tags", str(home / "force.git"), "main"], cwd=root, check=True)
    measured("push over SSH", ["dvc", "--cd", str(root), "push", "-q", "--all-tags"])
    size = sum(path.stat().st_size for path in remote.rows.rglob("*") if path.is_file())
    click.echo(f"    {size / 1e6:,.1f} MB lie on the remote")


def _pulled(home: Path, root: Path) -> Roots:
    """An archive of what was pushed, of the folders that are never pushed, and of the keys, with its catalogue made
    anew in files: it verifies, and these are its builds."""
    clone = home / "back"
    subprocess.run(["git", "clone", "-q", str(home / "force.git"), str(clone)], check=True)
    shutil.copy(root / ".dvc" / "config.local", clone / ".dvc" / "config.local")
    measured("pull over SSH", ["dvc", "--cd", str(clone), "pull", "-q"])
    for name in UNCARRIED:
        if (root / name).exists():
            shutil.copytree(root / name, clone / name)
    shutil.copytree(keys_beside(root), keys_beside(clone), ignore=shutil.ignore_patterns(FILE))
    measured("verify it", ["provenance.cli", "--archive", str(clone), "verify"])
    with Archive(clone, keys_beside(clone)) as archive:
        return {
            built.label: {table.name: [table.size, table.root] for table in built.tables}
            for built in archive.history.builds
        }


if __name__ == "__main__":
    main()
