"""How time, bytes and memory grow with the number of builds: one archive, five years of weeks, asked as it grows.

    python -m bench.growth [--edges N] [--weeks N] [--docs DIR] [--folder DIR] [--note TEXT]

The weeks change as those of the peers' workload do, 1 % each, and are committed by the same store as in `bench.peers`.
At six points the archive is asked about builds of its past, and each answer is compared with what the generator knows.
At last people are disposed of, and every root ever published has to verify. A line is fitted to each curve: what one
more build costs a question, a commit and the memory. With --docs what was measured is put into `growth.json` there, and
the page and its plots are written of all sizes that are in it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil

from bench.archive_store import PEERS, OurStore
from bench.curves import as_markdown, plot
from provenance import sets
from provenance.errors import Missing

sys.path.append(str(PEERS))  # their modules import one another by bare names

_POINTS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # of all weeks
_QUESTIONS = 200
_PROOFS = 20
_PAIRS = 9  # of adjacent builds, from the first to the last
_DISPOSED = 1_000  # people, or one in thirty where there are few
_SEED = 7


@dataclass
class Measured:
    """What was seen when the archive had so many builds; seconds, milliseconds, bytes."""

    builds: list[int] = field(default_factory=list)
    commit_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p95_ms: list[float] = field(default_factory=list)
    diff_ms: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    verify_s: list[float] = field(default_factory=list)
    proof_ms: list[float] = field(default_factory=list)
    size: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    end: dict[str, float] = field(default_factory=dict)  # of the disposal, and of the whole run; by its title
    note: str = ""


@click.command()
@click.option("--edges", default=100_000, show_default=True)
@click.option("--weeks", default=260, show_default=True)
@click.option("--docs", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Write results in here.")
@click.option("--folder", type=click.Path(file_okay=False), help="Where to work (default: a temporary folder).")
@click.option("--note", default="", help="What a reader has to know of this run, as what else the machine did.")
def main(edges: int, weeks: int, docs: Path | None, folder: str | None, note: str) -> None:
    """Print what was measured, and the lines through it."""
    if not PEERS.is_dir():
        raise click.ClickException("the folder ../shared/peers with the peers' workload is not here: nothing to grow")
    home = Path(folder or tempfile.mkdtemp(prefix="provenance-growth-")).resolve()
    try:
        shutil.rmtree(home / "store", ignore_errors=True)
        (home / "store").mkdir(parents=True)
        found = grown(home / "store", edges, weeks)
        found.note = note
        click.echo(as_markdown("build", found.builds, curves(found)))
        if docs:
            write(docs, found, edges)
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def grown(root: Path, edges: int, weeks: int) -> Measured:
    """Commit every week, and ask at the points. Stops at the first answer that is not the generator's."""
    from common import RssSampler

    found, points = Measured(), sorted({max(2, round(weeks * part)) for part in _POINTS})
    memory, store, chance = RssSampler(), OurStore(root), np.random.default_rng(_SEED)
    asked: list[tuple[int, int, int, int]] = []  # build, person, and how many edges of what strength they had
    took: list[float] = []
    for number, (build, world) in enumerate(_weeks(edges, weeks)):
        started = time.perf_counter()
        store.commit(build)
        took.append(time.perf_counter() - started)
        ends = np.concatenate([world.e["a"], world.e["b"]])
        for person in ends[chance.integers(0, len(ends), max(1, _QUESTIONS // 20))].tolist():
            mine = (world.e["a"] == person) | (world.e["b"] == person)
            asked.append((number, person, int(mine.sum()), int(world.e["strength"][mine].sum())))
        if number in points:
            _ask(store, found, number, [asked[n] for n in chance.integers(0, len(asked), _QUESTIONS)], world)
            found.commit_s.append(float(np.median(took[-max(2, weeks // 20) :])))
            click.echo(
                f"{number} builds: commit {found.commit_s[-1]:.2f} s, a person's links {found.p50_ms[-1]:.1f} ms"
            )
    ends = sets.distinct(np.concatenate([world.e["a"], world.e["b"]]))
    _dispose(store, found, chance.choice(ends, min(_DISPOSED, len(ends) // 30), replace=False).tolist())
    found.end["peak memory of all processes, the generator's own among it, MiB"] = memory.take() / 2**20
    memory.stop()
    store.close()
    return found


def _dispose(store: OurStore, found: Measured, people: list[int]) -> None:
    """Of people who are in the newest build; stops where an old root does not verify, or somebody is still found."""
    newest, kept = found.builds[-1], store.archive.history.builds
    erased = store.erase(people)
    if not erased.old_roots_still_verify:
        raise click.ClickException(f"after the disposal {erased.notes[-1]}")
    for person in people[:_PROOFS]:
        with contextlib.suppress(Missing):
            store.neighbourhood(newest, person)
            raise click.ClickException("somebody who was disposed of is still found")
    found.end |= {
        "people disposed of": len(people),
        "their disposal planned, s": store.timing["plan"],
        "until their rows were unreadable in every copy, s": store.timing["unreadable"],
        "until they were expunged and certified, s": store.timing["certified"],
        "published roots that verified afterwards": len(kept),
    }


def _ask(store: OurStore, found: Measured, number: int, asked: Sequence[tuple[int, int, int, int]], world: Any) -> None:
    store.neighbourhood(number, asked[0][1])  # the first question puts what is new in order
    times = []
    for build, person, links, strength in asked:
        started = time.perf_counter()
        edges, _ = store.neighbourhood(build, person, evidence=True)
        times.append((time.perf_counter() - started) * 1e3)
        if (edges.num_rows, sum(edges["strength"].to_pylist())) != (links, strength):
            raise click.ClickException(f"a wrong answer about build {build} when there were {number}")
    found.p50_ms.append(float(np.percentile(times, 50)))
    found.p95_ms.append(float(np.percentile(times, 95)))
    times = []
    for build in np.linspace(1, number, min(number, _PAIRS)).round().astype(int).tolist():
        started = time.perf_counter()
        diff = store.diff(build - 1, build)
        times.append((time.perf_counter() - started) * 1e3)
        if not len(diff.added) == len(diff.updated) // 2 == len(diff.removed) * 3:
            raise click.ClickException(f"a wrong difference between builds {build - 1} and {build}")
    found.diff_ms.append(float(np.median(times)))
    middle = number // 2
    started = time.perf_counter()
    edges, _ = store.read(middle)
    found.whole_s.append(time.perf_counter() - started)
    started = time.perf_counter()
    verdict = store.verify(number)
    found.verify_s.append(time.perf_counter() - started)
    if not verdict["ok"]:
        raise click.ClickException(f"build {number} does not verify: {verdict}")
    found.proof_ms.append(_proof_ms(store, middle, edges["edge_id"].to_numpy()[:: max(1, edges.num_rows // _PROOFS)]))
    found.builds.append(number)
    found.size.append(store.size() / 1e6)
    found.memory.append(psutil.Process().memory_info().rss / 2**20)


def _proof_ms(store: OurStore, build: int, edges: np.ndarray) -> float:
    """Median of a few, behind the first, which gets the tree of that build."""
    took = []
    for edge in edges.tolist():
        started = time.perf_counter()
        store.proof(build, edge)
        took.append((time.perf_counter() - started) * 1e3)
    return float(np.median(took[1:]))


def _weeks(edges: int, weeks: int) -> Iterator[tuple[Any, Any]]:
    """Builds as changes alone, with the generator's state beside."""
    import workload
    from protocol import Build

    world = workload._World(edges, edges * 3 // 10, edges * 3, _SEED)
    upsert, removed, support = world.e, np.zeros(0, np.int64), world.s
    for number in range(weeks + 1):
        if number:
            # What no week asks about again is let go of: to carry it along takes longer than the commit.
            world.s = {name: column[:0] for name, column in world.s.items()}
            upsert, removed, support, *_ = world.step(edges * 6 // 1000, edges * 3 // 1000, edges // 1000)
        nothing = workload.EDGE_SCHEMA.empty_table(), workload.SUPPORT_SCHEMA.empty_table()
        came = workload._edges_table(upsert), workload.pa.array(removed), workload._support_table(support)
        yield Build(number, workload.published_at(number), *nothing, *came), world


_CURVES = (
    ("weekly commit, s", "commit_s"),
    ("a person's links with evidence, p50, ms", "p50_ms"),
    ("the same, p95, ms", "p95_ms"),
    ("difference of two adjacent builds, ms", "diff_ms"),
    ("a whole build of the middle, opened and checked, s", "whole_s"),
    ("the newest build verified against its root, s", "verify_s"),
    ("proof of one row of the middle, ms", "proof_ms"),
    ("all files, MB", "size"),
    ("memory, MiB", "memory"),
)


def curves(found: Measured) -> dict[str, list[float]]:
    """What was measured, under the titles that a reader sees."""
    return {title: getattr(found, name) for title, name in _CURVES}


def write(docs: Path, found: Measured, edges: int) -> None:
    """Put a run into `growth.json`, and write `growth.md` and a plot for each size that is there."""
    kept = docs / "growth.json"
    runs = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    runs[str(edges)] = asdict(found)
    kept.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n", "utf-8")
    sizes = {int(size): Measured(**run) for size, run in sorted(runs.items(), key=lambda item: int(item[0]))}
    parts = [_HEAD]
    if len(sizes) > 1:
        parts.append(f"## With the number of links\n\n{_by_size(sizes)}\n")
    for size, run in sizes.items():
        plot(docs / f"growth-{size}.svg", f"{size:,} links", "build", run.builds, curves(run))
        parts.append(
            f"## {size:,} links, with the number of builds\n\n{as_markdown('build', run.builds, curves(run))}\n\n"
            f"{_ends(run)}\n\n{_noted(run)}![Each figure against the number of builds](growth-{size}.svg)\n"
        )
    (docs / "growth.md").write_text("\n".join(parts), "utf-8")


_HEAD = """\
# Growth

Made by `make soak` (`python -m bench.growth --edges N` for other sizes): an archive of so many links, 1 % of which
change each week, asked about builds of its past as it grows, and then rid of some people. Each answer is the
generator's; the last column of a table is the line through its row.
"""


def _by_size(sizes: dict[int, Measured]) -> str:
    """Of the last point of each run; as many times as the run before as the last column says."""
    lines = [f"| links | {' | '.join(f'{size:,}' for size in sizes)} | last to the one before |"]
    lines.append("| --- " + "| ---: " * (len(sizes) + 1) + "|")
    rows = {title: [curve[-1] for curve in each] for title, each in _together(sizes).items()}
    rows |= {
        title: [run.end[title] for run in sizes.values()]
        for title in next(iter(sizes.values())).end
        if all(title in run.end for run in sizes.values())
    }
    for title, values in rows.items():
        times = f"{values[-1] / values[-2]:.2g}" if values[-2] else ""
        lines.append(f"| {title} | {' | '.join(_said(value) for value in values)} | {times} |")
    return "\n".join(lines)


def _together(sizes: dict[int, Measured]) -> dict[str, list[list[float]]]:
    return {title: [getattr(run, name) for run in sizes.values()] for title, name in _CURVES}


def _ends(run: Measured) -> str:
    lines = [
        "| at the end | |",
        "| --- | ---: |",
        *(f"| {title} | {_said(value)} |" for title, value in run.end.items()),
    ]
    return "\n".join(lines)


def _noted(run: Measured) -> str:
    return f"{run.note}\n\n" if run.note else ""


def _said(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 or value == int(value) else f"{value:.3g}"


if __name__ == "__main__":
    main()
