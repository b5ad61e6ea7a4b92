"""Our archive beside the stores people use today, over the workload of `../shared/peers`; above all its disposal.

    python -m bench.peers [--peers NAMES] [--docs DIR] [--edges N --persons N --support N --weeks N] [--folder DIR]

A full run takes about half an hour and 6 GB of disk; a quick one, a minute, with --peers "" --edges 20000 --persons
6000 --support 60000 --weeks 6. The peers run one after the other on the same workload, in an environment of their own
(.venv-peers, made when it is missing), each answer checked by the harness. With --folder the workload, the archives and
the results stay there, and the next run takes the workload up again. With --docs the table and a plot are written
there.

The disposal is measured twice: within the harness, as the peers' erasures are, and alone, by one process that opens an
archive under DVC with a remote and plans it, and another that opens it and carries the plan out, as the two commands
do. The three verdicts are about the second.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import psutil

from bench import standing
from bench.archive_store import PEERS, ROOT, OurStore, Sought
from provenance import entries, pins
from provenance.archive import Archive, keys_beside
from provenance.cli.doors import now
from provenance.cli.weeks import write_week

TARGETS = {  # seconds, seconds, GiB: from the issue that asked for them
    "unreadable in every copy": 2,
    "expunged and certified": 20,
    "peak memory": 2,
}


@click.command()
@click.option("--edges", default=1_000_000, show_default=True)
@click.option("--persons", default=300_000, show_default=True)
@click.option("--support", default=3_000_000, show_default=True, help="Supporting records of all edges together.")
@click.option("--weeks", default=26, show_default=True, help="Builds after the first.")
@click.option(
    "--peers",
    default="duckdb_scd2,lance_store,naive_dvc",
    show_default=True,
    help="Which of them run beside, by comma.",
)
@click.option("--docs", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Write results in here.")
@click.option("--folder", type=click.Path(file_okay=False), help="Where to work (default: a temporary folder).")
def main(edges: int, persons: int, support: int, weeks: int, peers: str, docs: Path | None, folder: str | None) -> None:
    """Print the peers' table with our column in it, and how the disposal stands to what was asked for."""
    if not PEERS.is_dir():
        raise click.ClickException("the folder ../shared/peers with the peers' harness is not here: nothing to measure")
    home = Path(folder or tempfile.mkdtemp(prefix="provenance-peers-")).resolve()
    click.echo(
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f}"
    )
    try:
        _workload(home, edges, persons, support, weeks)
        results = home / "results"
        shutil.rmtree(results, ignore_errors=True)
        results.mkdir(parents=True)
        for name in filter(None, peers.split(",")):
            _peer(home, name, results)
        result, _, _ = _measured(home, "measure")
        result["machine"] = {
            "cores": os.cpu_count(), "mem_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "load": [round(load, 1) for load in os.getloadavg()],
        }  # fmt: skip
        result["disposal_alone"] = _disposal_alone(home)
        (results / f"{OurStore.name}.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
        click.echo(_table(results))
        click.echo()
        for line in _verdicts(result):
            click.echo(line)
        click.echo()
        figures = standing.figures(results)
        click.echo(standing.as_markdown(figures))
        if docs:
            standing.write(docs, figures, _table(results), result["machine"])
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def _workload(home: Path, edges: int, persons: int, support: int, weeks: int) -> None:
    """Make the workload, unless the folder has it of this size."""
    import workload

    sizes = {"n_edges": edges, "n_persons": persons, "n_support": support, "weeks": weeks}
    truth = home / "workload" / "truth.json"
    if truth.exists() and sizes.items() <= json.loads(truth.read_text())["params"].items():
        return
    shutil.rmtree(home / "workload", ignore_errors=True)
    click.echo(f"making the workload: {edges:,} edges, {weeks} weeks")
    with contextlib.redirect_stdout(io.StringIO()):
        workload.generate(home, **sizes, n_erase=min(1000, persons // 10))


def _disposal_alone(home: Path) -> dict[str, Any]:
    """Dispose of the workload's people in the copy taken before; what it took, and what was left anywhere."""
    from workload import load_truth

    root = home / "stores" / f"{OurStore.name}-before" / "archive"
    with Archive(root, keys_beside(root)) as archive:
        builds = list(archive.history.builds)
        sought = Sought.of(archive, load_truth(home)["erase"])
    _carried(root, builds)
    before = sought.found_in(root.parent)
    (home / "plan.yaml").unlink(missing_ok=True)
    planned, plan_peak, _ = _measured(home, "plan", str(root))
    load = os.getloadavg()[0]
    timing, peak, cpu = _measured(home, "dispose", str(root))
    return {
        "planned": planned, "timing": timing, "cpu_s": cpu, "peak_bytes": max(plan_peak, peak), "load": round(load, 1),
        "residue_before": before, "residue": sought.found_in(root.parent),
    }  # fmt: skip


def _carried(root: Path, builds: Sequence[entries.Built]) -> None:
    """Put an archive under DVC and git as its weeks would have: a commit and a tag each, and all of it in a remote."""
    pins.lay_out(root)
    _dvc(root, "remote", "add", "-q", "-d", "safe", "../remote")
    later = root.with_name("later")
    for path in _weekly(root / "store"):
        (later / path.parent.name).mkdir(parents=True, exist_ok=True)
        path.rename(later / path.parent.name / path.name)
    for built in builds:  # each week's files come back as that week is committed
        for path in _weekly(later, built.label):
            path.rename(root / "store" / path.parent.name / path.name)
        write_week(root, built.cut_off, built.cut_off)
        pins.pin(root, [built.label], f"build {built.label}", on=now())
    shutil.rmtree(later)
    _dvc(root, "push", "-q", "--all-tags")


def _dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True)


def _weekly(folder: Path, label: str = "*") -> list[Path]:
    return [path for stage in ("records", "links", "networks") for path in sorted((folder / stage).glob(f"{label}.*"))]


def _measured(home: Path, verb: str, *arguments: str) -> tuple[dict[str, Any], int, float]:
    """What a process of its own said last, as JSON; its peak of resident memory, workers included, in bytes sampled
    every 50 ms; and its CPU seconds."""
    process = psutil.Popen(
        [sys.executable, "-m", "bench.archive_store", verb, str(home), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    peak, cpu, done = [0], [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            with contextlib.suppress(psutil.Error):
                family = [process, *process.children(recursive=True)]
                peak[0] = max(peak[0], sum(member.memory_info().rss for member in family))
                cpu[0] = max(cpu[0], sum(sum(member.cpu_times()[:4]) for member in family))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    last = ""
    for line in process.stdout:
        if last:
            click.echo(last)
        last = line.rstrip()
    done.set()
    watcher.join()
    if process.wait():
        sys.exit(process.returncode)
    return json.loads(last), peak[0], cpu[0]


def _peer(home: Path, name: str, results: Path) -> None:
    """Run one peer through the harness, in the peers' own environment."""
    python = ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        click.echo("making the peers' environment")
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
        wanted = ["-q", "--disable-pip-version-check", "-r", str(PEERS / "requirements.txt")]
        subprocess.run([str(python), "-m", "pip", "install", *wanted], check=True)
    click.echo(f"{name}: load {os.getloadavg()[0]:.1f}")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    surroundings = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
    if programs:
        surroundings.setdefault("PG_BIN", str(programs[-1]))
    done = subprocess.run(
        [str(python), str(PEERS / "run.py"), "--system", name, "--work", str(home), "--out", str(results)],
        env=surroundings, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise click.ClickException(f"{name} did not run to its end, or gave a wrong answer: exit {done.returncode}")


def _table(results: Path) -> str:
    """The peers' own table, with ours as one more column."""
    import report

    return report.main(results)


def _verdicts(result: dict[str, Any]) -> list[str]:
    """How the disposal alone stands to what was asked for."""
    alone, size = result["disposal_alone"], result["params"]
    timing, residue = alone["timing"], alone["residue"]
    lines = [
        f"Disposal of {result['erase']['persons']:,} nominals alone, from an archive of {size['n_edges']:,} links and "
        f"{size['weeks']} weekly builds under DVC with a remote (load {alone['load']}).",
        f"Before it, in a process of its own, the plan took {alone['planned']['plan']:.1f} s; opening the archive "
        f"{timing['open']:.1f} s and reading the plan {timing['read']:.1f} s. From then on:",
    ]
    for name, reached, unit in (
        ("unreadable in every copy", timing["unreadable"], "s"),
        ("expunged and certified", timing["certified"], "s"),
        ("peak memory", alone["peak_bytes"] / 2**30, "GiB"),
    ):
        verdict = "met" if reached <= TARGETS[name] else "MISSED"
        lines.append(f"    {name:<26}{reached:6.2f} {unit:<4} (wanted: at most {TARGETS[name]:.0f} {unit})  {verdict}")
    before = alone["residue_before"]
    lines.append(
        f"    of these people in any file, copies included: {before['rows_with_residue']:,} rows and "
        f"{before['raw']['patterns_found']} of {before['raw']['patterns']} samples of bytes before, "
        f"{residue['rows_with_residue']:,} and {residue['raw']['patterns_found']} after"
    )
    return lines


if __name__ == "__main__":
    main()
