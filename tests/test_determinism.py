"""The same inputs, params and vault give the same bytes in every file (R03).

Two twins of one archive start from its founding, its keys and a vault that already holds everyone. Each goes through
the same weeks in a process of its own: another hash seed and time zone, its rows in another order and another file
format, one process alone or two that share the sealing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from force import Force, write_extract
from test_builds import Weeks

from provenance import asof, crew
from provenance.archive import Archive

ROOT = Path(__file__).resolve().parent.parent
WEEKS = 3


@dataclass(frozen=True)
class Twins:
    first: Path  # the archive that admitted everyone, week by week
    alone: Path
    shared: Path
    reports: dict[str, dict]  # what each process said of itself


def live_through(force: Force, weeks: list[tuple[list[Path], str]]) -> list[str]:
    """Receive and build week after week; the root of each build as it was then."""
    roots = []
    for folders, cut_off in weeks:
        for folder in folders:
            force.take(folder, on=json.loads((folder / "extract.json").read_text())["cut_off"])
        force.build(cut_off)
        roots.append(force.as_of(cut_off).root)
    return roots


def written(weeks: Weeks, inbox: Path) -> list[tuple[list[Path], str]]:
    """The weeks' extracts as folders."""
    told = []
    for number in range(1, WEEKS + 1):
        handed, cut_off = weeks.week()
        folders = [
            write_extract(
                inbox / f"{number}-{place}", extract.rows, cut_off=extract.cut_off, mode=extract.mode,
                systems=extract.systems, nominals=extract.nominals, merges=extract.merges,
            )
            for place, extract in enumerate(handed)
        ]  # fmt: skip
        told.append((folders, cut_off))
    return told


def shuffled(path: Path, chance: Random, *, parquet: bool) -> None:
    """The same rows in another order, and perhaps in another format."""
    with path.open(encoding="utf-8") as handle:
        header = handle.readline().strip().split(",")
    as_text = pa.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
    table = pa.csv.read_csv(path, convert_options=as_text)
    order = list(range(table.num_rows))
    chance.shuffle(order)
    if parquet:
        pa.parquet.write_table(table.take(order), path.with_suffix(".parquet"))
        path.unlink()
    else:
        pa.csv.write_csv(table.take(order), path)


@pytest.fixture(scope="module")
def twins(tmp_path_factory) -> Twins:
    home = tmp_path_factory.mktemp("twins")
    first = Force(home, "first")
    shutil.copytree(first.root / "log", home / "founding")
    weeks = written(Weeks(Random(2026)), home / "inbox")
    roots = live_through(first, weeks)
    first.archive.close()
    names = {
        "alone": {"seed": "0", "zone": "UTC", "workers": 1},
        "shared": {"seed": "4711", "zone": "Asia/Tokyo", "workers": 2},
    }
    running = {}
    for name, unlike in names.items():
        root, inbox = home / name, home / f"{name}-inbox"
        shutil.copytree(home / "founding", root / "log")
        shutil.copytree(first.root / "vault", root / "vault")
        shutil.copy(first.root / "archive.json", root)
        shutil.copytree(first.keys, home / f"{name}.keys")
        shutil.copytree(home / "inbox", inbox)
        chance = Random(name)
        for path in sorted(inbox.rglob("*.csv")):
            shuffled(path, chance, parquet=name == "shared")
        told = [([(inbox / folder.name).as_posix() for folder in folders], cut_off) for folders, cut_off in weeks]
        environment = os.environ | {
            "PYTHONHASHSEED": unlike["seed"], "TZ": unlike["zone"], "LC_ALL": "C", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        command = [sys.executable, __file__, str(root), str(unlike["workers"]), json.dumps(told)]
        running[name] = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    reports = {}
    for name, process in running.items():
        said, _ = process.communicate()
        assert process.returncode == 0
        reports[name] = json.loads(said)
    assert reports["alone"]["roots"] == roots
    return Twins(first.root, home / "alone", home / "shared", reports)


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_twins_were_unlike(twins):
    """Otherwise what follows would prove little."""
    assert [twins.reports[name]["workers"] for name in ("alone", "shared")] == [0, 1]
    assert twins.reports["alone"]["hash"] != twins.reports["shared"]["hash"]
    received = sorted((twins.alone.parent / "alone-inbox").rglob("records.csv"))
    original = [twins.alone.parent / "inbox" / path.parent.name / "records.csv" for path in received]
    assert any(
        a.read_text().splitlines()[1:] != b.read_text().splitlines()[1:]
        for a, b in zip(received, original, strict=True)
    )
    assert not list((twins.alone.parent / "shared-inbox").rglob("*.csv"))


def test_every_file_has_the_same_bytes(twins):
    alone, shared = files(twins.alone), files(twins.shared)
    assert list(alone) == list(shared)
    assert {name.split("/")[0] for name in alone} == {"archive.json", "builds", "index", "log", "store", "vault"}
    assert [name for name in alone if alone[name] != shared[name]] == []  # no exceptions, not even in what is derived


def test_whoever_admitted_the_people_filed_the_same_rows(twins):
    """Secrets are drawn once and kept, so rows sealed while they were drawn are those sealed from the vault."""
    first, alone = files(twins.first), files(twins.alone)
    kept = [name for name in first if name.split("/")[0] in ("store", "builds", "log")]
    assert len(kept) > 30
    assert [name for name in kept if first[name] != alone.get(name)] == []


def test_one_root_per_build_whoever_built(twins):
    assert twins.reports["alone"]["roots"] == twins.reports["shared"]["roots"]
    assert len(set(twins.reports["alone"]["roots"])) == WEEKS


def main(root: str, workers: str, weeks: str) -> None:
    """One twin's life, in this process."""
    force = Force.__new__(Force)
    force.root = Path(root)
    force.archive = Archive(force.root, force.root.with_name(force.root.name + ".keys"))
    force.archive.crew.size = int(workers)
    crew._ALONE = crew._AT_HAND = 8  # rows; so that the few rows of a story are shared out too
    roots = live_through(
        force, [([Path(folder) for folder in folders], cut_off) for folders, cut_off in json.loads(weeks)]
    )
    started = len(force.archive.crew._workers)
    assert all(asof.as_of(force.archive, cut_off).verified for _, cut_off in json.loads(weeks))
    force.archive.close()
    print(json.dumps({"roots": roots, "workers": started, "hash": hash("a network")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
