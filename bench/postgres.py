"""The demonstration year with its catalogue in a file and on PostgreSQL: the same roots, and what each costs.

    python -m bench.postgres [--weeks N] [--entries N] [--folder DIR]

A server is started for it (tests/postgres.py). The extracts are received once, and the archive is copied with its
vault, so that both make their builds of the same secrets. Then a log of page views is taken into each catalogue.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import psutil
from click.testing import CliRunner

from bench.log import consulted
from provenance import __version__
from provenance.archive import Archive
from provenance.catalogue import Catalogue
from provenance.cli import main as provenance
from provenance.database import FILE, Server
from provenance.keys import SigningKey
from provenance.log import Log

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))
import postgres  # noqa: E402

RECORDS, SEED = 3_000, 2026  # of `make demo`
ACTS = 50


@click.command()
@click.option("--weeks", default=52, show_default=True)
@click.option("--entries", default=100_000, show_default=True, help="Of the log that the catalogues take in.")
@click.option("--folder", type=click.Path(file_okay=False), help="Where to work (default: a temporary folder).")
def main(weeks: int, entries: int, folder: str | None) -> None:
    """Print what was measured; ends badly where the roots differ."""
    home = Path(folder or tempfile.mkdtemp(prefix="provenance-bench-"))
    home.mkdir(parents=True, exist_ok=True)
    click.echo(
        f"provenance {__version__}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    try:
        with postgres.running() as server:
            _year(home, server, weeks)
            _log(home, server, entries)
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def _year(home: Path, server: postgres.Postgres, weeks: int) -> None:
    inbox, first, second = home / "inbox", home / "file" / "force", home / "server" / "force"
    sizes = ["--records", str(RECORDS), "--weeks", str(weeks), "--seed", str(SEED), str(inbox)]
    subprocess.run([sys.executable, "-m", "pipeline.sample", *sizes], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    _command(first, "init")
    for extract in sorted(path.parent for path in inbox.glob("*/extract.json")):
        _command(first, "receive", str(extract))
    shutil.copytree(home / "file", home / "server")
    moved, _ = _timed(lambda: _command(second, "database", "use", said=server.create("year") + "\n"))
    click.echo(f"moved to PostgreSQL in {moved:.2f} s")
    roots = {}
    for archive in (first, second):
        began = time.perf_counter()
        _command(archive, "backfill", str(inbox), "--every", "week", "--other-lock", "bench")
        built = time.perf_counter()
        _command(archive, "verify")
        verified = time.perf_counter()
        with Archive(archive, archive.with_name("force.keys")) as opened:
            open_ = time.perf_counter()
            for number in range(ACTS):
                opened.append(consulted(0, number))
            logged = time.perf_counter()
            roots[archive.parent.name] = [(b.label, t.name, t.root) for b in opened.history.builds for t in b.tables]
        click.echo(
            f"{archive.parent.name}: builds in {built - began:.1f} s, verified in {verified - built:.1f} s, opened in "
            f"{(open_ - verified) * 1e3:.0f} ms, an act in {(logged - open_) / ACTS * 1e3:.1f} ms"
        )
    if roots["file"] != roots["server"]:
        sys.exit("the roots differ")
    click.echo(f"the same {len(roots['file'])} roots of {len({label for label, *_ in roots['file']})} builds on both")


def _log(home: Path, server: postgres.Postgres, size: int) -> None:
    key = SigningKey.create(home / "log.pem", name="bench.example/log")
    log = Log.create(home / "log", origin=key.verifier.name, key=key)
    log.append([consulted(0, number) for number in range(size)], key=key)
    (home / FILE).write_text(server.create("log"))
    (home / FILE).chmod(0o600)
    for name, chosen in (("file", None), ("server", Server.chosen(home))):
        taken, _ = _timed(lambda chosen=chosen, name=name: Catalogue(home / f"index-{name}", chosen).refresh(log))
        catalogue = Catalogue(home / f"index-{name}", chosen)
        opening, _ = _timed(lambda catalogue=catalogue: catalogue.refresh(log))
        asking, found = _timed(lambda catalogue=catalogue: catalogue.placed(["Consulted"]))
        click.echo(
            f"{name}: {size:,} acts taken in, in {taken:.1f} s; found current in {opening * 1e3:.0f} ms; "
            f"{len(found):,} asked for in {asking:.1f} s"
        )


def _command(archive: Path, *arguments: str, said: str = "") -> None:
    done = CliRunner().invoke(provenance, ["--archive", str(archive), *arguments], input=said)
    if done.exit_code:
        sys.exit(f"{arguments}: {done.output}")


def _timed(what: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    done = what()
    return time.perf_counter() - started, done


if __name__ == "__main__":
    main()
