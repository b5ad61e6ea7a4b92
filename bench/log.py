"""The log's own figures: many writers whose acts are each durable on return, and a log of a million entries.

    python -m bench.log [--acts N] [--writers N] [--entries N] [--folder DIR]

Each writer is a thread that appends one act at a time and waits for it; the disk is flushed as in earnest. Afterwards
the log is opened anew, and every act is looked for: each once, each writer's in its own order, under the place that it
was given. The large log is made in few commits, then opened anew and asked, with its files in the system's memory.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import psutil

from provenance import durable, entries, merkle
from provenance.entries import Consulted
from provenance.keys import SigningKey
from provenance.log import Log
from provenance.notes import Verifier

NAME = "bench.example/log"
WANTED = {"acts a second": 2_000, "opening": 1.0, "proof": 0.010}  # seconds: from the issue that asked for them
PROOFS = 200


def consulted(writer: int, number: int) -> Consulted:
    """The smallest act that is logged one at a time."""
    return Consulted(on="2026-11-22T12:00:00Z", by=f"writer {writer}", under="bench", case="24/0113", label="2026-W47",
                     rows=number)  # fmt: skip


@click.command()
@click.option("--acts", default=100_000, show_default=True, help="Single appends, by all writers together.")
@click.option("--writers", default=16, show_default=True)
@click.option("--entries", "size", default=1_000_000, show_default=True, help="Of the log that is opened and asked.")
@click.option("--folder", type=click.Path(file_okay=False), help="Where to work (default: a temporary folder).")
def main(acts: int, writers: int, size: int, folder: str | None) -> None:
    """Print what appending, opening and proving cost."""
    home = Path(folder or tempfile.mkdtemp(prefix="provenance-bench-"))
    home.mkdir(parents=True, exist_ok=True)
    click.echo(
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f}, "
        f"one durable write {_durable_write(home) * 1e3:.2f} ms"
    )
    try:
        key = SigningKey.create(home / "log.pem", name=NAME)
        for count in (1, writers):
            _appended(home / f"of-{count}", key, acts if count == writers else acts // 50, count)
        _large(home / "large", key, size)
        opening, proof, slowest = _read(home / "large", key.verifier)
        _line("opening it", f"{opening * 1e3:.1f} ms", opening < WANTED["opening"], "under 1 s")
        _line("a proof from it", f"{proof * 1e3:.2f} ms, slowest of {PROOFS} {slowest * 1e3:.2f} ms",
              proof < WANTED["proof"], "under 10 ms")  # fmt: skip
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def _durable_write(home: Path) -> float:
    took = []
    for number in range(30):
        started = time.perf_counter()
        durable.write(home / "probe" / str(number), b"x" * 8_000)
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def _appended(folder: Path, key: SigningKey, acts: int, writers: int) -> None:
    log = Log.create(folder, origin=NAME, key=key)
    given: list[list[int]] = [[] for _ in range(writers)]
    share = acts // writers

    def write(writer: int) -> None:
        for number in range(share):
            given[writer] += log.append([consulted(writer, number)], key=key)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - started
    held = list(Log.open(folder, vkey=key.verifier).entries())
    whole = len(held) == share * writers == len({place for places in given for place in places})
    whole = whole and all(
        held[place] == entries.to_bytes(consulted(writer, number))
        for writer, places in enumerate(given)
        for number, place in enumerate(places)
    )
    rate = share * writers / took
    noun = "writer" if writers == 1 else "writers"
    _line(
        f"{writers} {noun}, {share * writers:,} acts", f"{rate:,.0f} a second, {took / share * 1e3:.1f} ms each", None
        if writers == 1 else rate >= WANTED["acts a second"], "2,000 a second",
    )  # fmt: skip
    _line("each there once, in order", "yes" if whole else "no", whole, "yes")


def _large(folder: Path, key: SigningKey, size: int) -> None:
    log = Log.create(folder, origin=NAME, key=key)
    started = time.perf_counter()
    for start in range(0, size, 50_000):
        log.append([consulted(0, number) for number in range(start, min(start + 50_000, size))], key=key)
    took = time.perf_counter() - started
    _line(f"a log of {size:,}", f"made in {took:.1f} s, {size / took:,.0f} a second", None, "")


def _read(folder: Path, vkey: Verifier) -> tuple[float, float, float]:
    """Seconds: to open a log; in the middle, and at most, to make a proof that verifies and read its entry."""
    started = time.perf_counter()
    log = Log.open(folder, vkey=vkey)
    opening = time.perf_counter() - started
    took = []
    for number in range(PROOFS):
        index = (number * 2_654_435_761 + log.size - 1) % log.size  # scattered, and the last one first
        started = time.perf_counter()
        path = log.inclusion(index)
        took.append(time.perf_counter() - started)
        (entry,) = log.entries(index, index + 1)
        computed = merkle.root_from_path(merkle.leaf_hash(entry), index, log.size, path)
        if computed != log.root:
            sys.exit(f"proof of entry {index} does not verify")
    return opening, statistics.median(took), max(took)


def _line(what: str, found: str, is_met: bool | None, wanted: str) -> None:
    verdict = "" if is_met is None else f"  (wanted: {wanted})" if is_met else f"  (MISSED: wanted {wanted})"
    click.echo(f"{what:<28} {found}{verdict}")


if __name__ == "__main__":
    main()
