"""One million records and half a million nominals: the first build, and a 1 % weekly delta upon it.

    python -m bench.million [--records N] [--folder DIR]

Each step is a process of its own, through the product's own functions with nothing switched off (read, check, seal,
hash, sign, log, durable), and is measured from outside: wall time, CPU seconds, and peak resident memory of the
process and its workers, sampled every 50 ms.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import psutil

TARGETS = {  # seconds, GiB: from the issues that asked for them
    "first build": (600, 8.0), "1 % delta": (60, 8.0), "pack of one nominal": (30, 8.0),
}  # fmt: skip


@click.command()
@click.option("--records", default=1_000_000, show_default=True)
@click.option("--folder", type=click.Path(file_okay=False), help="Where to work (default: a temporary folder).")
def main(records: int, folder: str | None) -> None:
    """Print what a first build and a weekly delta cost."""
    home = Path(folder or tempfile.mkdtemp(prefix="provenance-bench-"))
    click.echo(
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f}"
    )
    try:
        inbox = home / "inbox"
        if not inbox.exists():
            measured("sample force", "pipeline.sample", "--records", str(records), "--weeks", "2", "--seed", "7",
                      "--format", "parquet", str(inbox))  # fmt: skip
        shutil.rmtree(home / "force", ignore_errors=True)
        shutil.rmtree(home / "force.keys", ignore_errors=True)
        first, second = sorted(inbox.iterdir())
        measured("first build", "bench.week", str(home / "force"), str(first))
        measured("1 % delta", "bench.week", str(home / "force"), str(second))
        size = sum(path.stat().st_size for path in (home / "force" / "store").rglob("*") if path.is_file())
        click.echo(f"store {size / 2**20:,.0f} MiB")
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def measured(name: str, module: str, *arguments: str) -> None:
    """Run a module, and print its wall time, CPU seconds and peak memory, and what it said."""
    started = time.perf_counter()
    process = psutil.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True)
    peak, cpu, done = [0], [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            try:
                family = [process, *process.children(recursive=True)]
                peak[0] = max(peak[0], sum(member.memory_info().rss for member in family))
                cpu[0] = max(cpu[0], sum(sum(member.cpu_times()[:4]) for member in family))
            except psutil.Error:
                pass

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    said, _ = process.communicate()
    done.set()
    watcher.join()
    wall = time.perf_counter() - started
    if process.returncode:
        sys.exit(process.returncode)
    target = TARGETS.get(name)
    verdict = f"  (wanted: under {target[0]} s and {target[1]:.0f} GiB)" if target else ""
    click.echo(f"{name:<14} {wall:7.1f} s wall  {cpu[0]:7.1f} s CPU  {peak[0] / 2**30:5.2f} GiB peak{verdict}")
    for line in said.strip().splitlines():
        click.echo(f"    {line}")


if __name__ == "__main__":
    main()
