"""A real register, built for every week of its eighteen years, and asked about any of them.

    python -m bench.register [--weeks N] [--docs DIR] [--folder DIR]

The complaints of the Chicago police (../shared/data), from the first Sunday of 2000 on: the first build has everything
recorded by then, each later one what its week brought; what was recorded after the last is left out. At ten points the
archive is asked about builds of its past; every answer is compared with a count over the raw extract in DuckDB, which
knows nothing of the product. Then people are disposed of, eight times over, and each time every root that was ever
published must still verify. A line is fitted to each curve: against builds, and against disposals.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import click
import duckdb
import numpy as np
import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.curves import as_markdown, plot
from pipeline.sources import cpd_police_records
from provenance import asof, builds, comparing, disposal, extracts, harm, moments, params, receiving
from provenance.archive import Archive, keys_beside
from provenance.asof import Snapshot
from provenance.cli.doors import now, surroundings
from provenance.harm import HarmTable

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "cpd_police_records"
FIRST_SUNDAY, WEEKS = date(2000, 1, 2), 951
_POINTS, _QUESTIONS, _DISPOSALS, _AT_ONCE, _SEED = 8, 100, 8, 50, 7


@dataclass
class Curve:
    """What was seen at each point: how many builds or disposals there were, and figures by their titles."""

    at: list[int] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, at: int, figures: Mapping[str, float]) -> None:
        """One more point."""
        self.at.append(at)
        for title, value in figures.items():
            self.figures.setdefault(title, []).append(float(value))


@click.command()
@click.option("--weeks", default=WEEKS, show_default=True)
@click.option("--docs", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Write results in here.")
@click.option("--folder", type=click.Path(file_okay=False), help="Where to work (default: a temporary folder).")
def main(weeks: int, docs: Path | None, folder: str | None) -> None:
    """Print what was measured, and the lines through it."""
    if not DATA.is_dir():
        raise click.ClickException("the folder ../shared/data/cpd_police_records is not here: nothing to build")
    home = Path(folder or tempfile.mkdtemp(prefix="provenance-register-")).resolve()
    try:
        for name in ("told", "force", "force.keys"):
            shutil.rmtree(home / name, ignore_errors=True)
        cpd_police_records.adapt(DATA, home / "told", seed=1, step=lambda _: None, releases="together")
        register = Register(home, weeks)
        register.build(click.echo)
        register.dispose(click.echo)
        click.echo(register.as_markdown())
        if docs:
            register.write(docs)
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def rules_for_the_register(**thresholds: int) -> tuple[params.Params, HarmTable]:
    """The committed params for the register's systems: nobody left out, and no threshold but those given."""
    said = params.read(ROOT / "params.yaml").model_dump()
    said["systems"] = cpd_police_records.SYSTEMS
    said["links"]["people_per_record"] = 0
    loose = {"max_drop_percent": 100, "least_rows": 0, "stale_watermark_days": 36_500, "max_rejects_percent": 0}
    said["thresholds"] = loose | thresholds
    edition = said["harm"]["editions"][0]
    return params.Params.model_validate(said), harm.read(ROOT / edition["file"], edition["name"], edition["sha256"])


class Register:
    """The register's archive, the count that it is compared with, and what was measured."""

    def __init__(self, home: Path, weeks: int) -> None:
        self.root = home / "force"
        self.rules, self.table = rules_for_the_register()
        said = {"on": now(), "by": "bench", "under": "a measurement"}
        Archive.found(self.root, keys_beside(self.root), name="register", **said).close()
        self.archive = Archive(self.root, keys_beside(self.root))
        self.cut_offs = [_end_of(FIRST_SUNDAY + timedelta(days=7 * week)) for week in range(weeks)]
        told = home / "told" / "cpd-complaints"
        _leave_out(told, self.cut_offs[-1])
        extract = extracts.read(told, systems=self.rules.systems)
        receiving.receive(self.archive, extract, max_rejects_percent=0, **said)
        self.truth = Truth(told)
        self.chance = random.Random(_SEED)
        self.by_builds, self.by_disposals = Curve(), Curve()

    def build(self, say: Callable[[str], None]) -> None:
        """Every week, and the questions at the points."""
        points = set(np.linspace(1, len(self.cut_offs), _POINTS + 1).round().astype(int).tolist()) - {1}
        took: list[float] = []
        for number, cut_off in enumerate(self.cut_offs, start=1):
            started = time.perf_counter()
            around = surroundings(self.rules, now(), "bench")
            made = builds.build(
                self.archive, self.rules, self.table, cut_off=cut_off, published_at=cut_off, around=around
            )
            took.append(time.perf_counter() - started)
            if number in points:
                links = {table.name: table.size for table in made.built.tables}["link"]
                times = self._asked(number)
                self.by_builds.add(
                    number,
                    {
                        "links in the last build": links,
                        "a weekly build, s": float(np.median(took[-50:])),
                        "a person's links, p50, ms": float(np.percentile(times, 50)),
                        "the same, p95, ms": float(np.percentile(times, 95)),
                        "two adjacent builds compared, ms": self._compared(number),
                        "the archive opened, ms": self._opened(),
                        "all files, MB": self._size(),
                        "memory, MiB": psutil.Process().memory_info().rss / 2**20,
                    },
                )
                say(f"{number} builds, {links:,} links: " + self._last(self.by_builds))

    def dispose(self, say: Callable[[str], None]) -> None:
        """People who stand in the last build, fifty at a time, none twice; then all roots are checked."""
        roots = [built.tables for built in self.archive.history.builds]
        standing = sorted(asof.as_of(self.archive, self.cut_offs[-1]).nominals()["nominal"].to_pylist())
        drawn = self.chance.sample(standing, min(len(standing), _DISPOSALS * _AT_ONCE))
        for number in range(_DISPOSALS):
            here = drawn[number * _AT_ONCE : (number + 1) * _AT_ONCE]
            if not here:
                break
            on, asked = now(), [disposal.Request("nominal", "", who) for who in here]
            started = time.perf_counter()
            said = {"on": on, "by": "bench", "under": "a measurement", "reason": "mopi-review"}
            plan = disposal.plan(self.archive, self.rules, self.table, asked, **said)
            planned = time.perf_counter()
            disposal.carry_out(
                self.archive, plan, self.rules, self.table, on=on, by="bench", approved_by="another"
            )  # fmt: skip
            done = time.perf_counter()
            self.truth.forget(here)
            times = self._asked(len(self.cut_offs))
            self.by_disposals.add(
                number + 1,
                {
                    "50 people planned, s": planned - started,
                    "carried out and certified, s": done - planned,
                    "a person's links, p50, ms": float(np.percentile(times, 50)),
                    "the archive opened, ms": self._opened(),
                    "all files, MB": self._size(),
                    "memory, MiB": psutil.Process().memory_info().rss / 2**20,
                },
            )
            say(f"{number + 1} disposals: " + self._last(self.by_disposals))
        if [built.tables for built in self.archive.history.builds] != roots:
            raise click.ClickException("the roots are not those that were published")
        started, checked = time.perf_counter(), 0
        for built in self.archive.history.builds[:: max(1, len(roots) // 50)]:
            Snapshot(self.archive, built, None).verify()
            checked += 1
        say(f"{checked} builds over all years verify, {(time.perf_counter() - started) / checked * 1e3:.0f} ms each")

    def _asked(self, builds_made: int) -> list[float]:
        """How long each question took, in ms. Stops at the first answer that is not the count's."""
        times = []
        for _ in range(_QUESTIONS):
            week = self.chance.randrange(builds_made)
            who = self.truth.somebody(self.cut_offs[week], self.chance)
            started = time.perf_counter()
            links = asof.as_of(self.archive, self.cut_offs[week]).links(nominal=who)
            times.append((time.perf_counter() - started) * 1e3)
            found = (links.num_rows, sum(links["records"].to_pylist()))
            if found != (wanted := self.truth.links_of(who, self.cut_offs[week])):
                raise click.ClickException(f"a wrong answer about week {week}: {found}, by the raw extract {wanted}")
        return times

    def _compared(self, number: int) -> float:
        before, after = (asof.as_of(self.archive, self.cut_offs[week]) for week in (number - 2, number - 1))
        started = time.perf_counter()
        comparing.changes(before, after)
        return (time.perf_counter() - started) * 1e3

    def _opened(self) -> float:
        started = time.perf_counter()
        with Archive(self.root, keys_beside(self.root)) as again:
            asof.as_of(again, self.cut_offs[0])
        return (time.perf_counter() - started) * 1e3

    def _size(self) -> float:
        return sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file()) / 1e6

    def _last(self, curve: Curve) -> str:
        return ", ".join(f"{title} {values[-1]:.3g}" for title, values in curve.figures.items())

    def as_markdown(self) -> str:
        """Both tables."""
        return "\n\n".join(
            as_markdown(what, curve.at, curve.figures)
            for what, curve in (("build", self.by_builds), ("disposal", self.by_disposals))
        )

    def write(self, docs: Path) -> None:
        """`register.md` and its two plots."""
        for what, curve in (("build", self.by_builds), ("disposal", self.by_disposals)):
            plot(docs / f"register-{what}s.svg", f"A real register against {what}s", what, curve.at, curve.figures)
        (docs / "register.md").write_text(
            f"# A real register over {len(self.cut_offs)} weeks\n\nMade by `make soak`: the complaints of the Chicago "
            "police from 2000 to 2018, built for every week. Each answer is that of a count over the raw extract.\nThe "
            f"disposals are of {_AT_ONCE} people each, out of every one of the builds; all roots still verify.\n\n"
            f"{self.as_markdown()}\n\n![Each figure against builds](register-builds.svg)\n\n"
            "![Each figure against disposals](register-disposals.svg)\n",
            "utf-8",
        )


def _leave_out(told: Path, cut_off: str) -> None:
    """Of an extract, what was recorded after `cut_off`: no build would take it, and to seal it is most of the work."""
    tables = {name: pq.read_table(told / f"{name}.parquet") for name in ("records", "involvements", "nominals")}
    records, parts, nominals = tables.values()
    records = records.filter(pc.less_equal(records["recorded_at"], cut_off))
    parts = parts.filter(pc.is_in(parts["record_id"], records["record_id"].combine_chunks()))
    nominals = nominals.filter(pc.is_in(nominals["nominal_id"], parts["nominal_id"].combine_chunks()))
    for name, content in zip(tables, (records, parts, nominals), strict=True):
        pq.write_table(content, told / f"{name}.parquet")
    said = json.loads((told / "extract.json").read_text())
    (stated,) = said["systems"].values()
    stated |= {"records": records.num_rows, "involvements": parts.num_rows}
    (told / "extract.json").write_text(json.dumps(said))


class Truth:
    """Who is in which record, and when that was recorded: counted by DuckDB from the extract itself."""

    def __init__(self, told: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(f"""
            CREATE TABLE part AS
            SELECT DISTINCT record_id, nominal_id, CAST(recorded_at AS TIMESTAMPTZ) AS recorded
            FROM '{told}/involvements.parquet' JOIN '{told}/records.parquet' USING (system, record_id)
            WHERE status <> 'withdrawn' OR status IS NULL;
            CREATE INDEX by_person ON part (nominal_id); CREATE INDEX by_record ON part (record_id)""")

    def somebody(self, cut_off: str, chance: random.Random) -> str:
        """Someone who is in a record by then: the first at or after a random place among the ids."""
        where, order = "recorded <= CAST($cut AS TIMESTAMPTZ)", "ORDER BY nominal_id LIMIT 1"
        place = {"place": f"UID-{chance.randrange(100_000, 140_000)}", "cut": cut_off}
        found = self.connection.execute(
            f"SELECT nominal_id FROM part WHERE nominal_id >= $place AND {where} {order}", place
        ).fetchone()
        first = (
            found
            or self.connection.execute(
                f"SELECT nominal_id FROM part WHERE {where} {order}", {"cut": cut_off}
            ).fetchone()
        )
        return first[0]

    def links_of(self, who: str, cut_off: str) -> tuple[int, int]:
        """With how many people, and in how many records, each counted once with each of them."""
        found = self.connection.execute(
            """
            WITH mine AS (SELECT record_id FROM part WHERE nominal_id = ? AND recorded <= CAST(? AS TIMESTAMPTZ))
            SELECT count(DISTINCT nominal_id), count(*) FROM part JOIN mine USING (record_id) WHERE nominal_id <> ?""",
            [who, cut_off, who],
        ).fetchone()
        return found or (0, 0)

    def forget(self, people: Sequence[str]) -> None:
        """As if they had never been."""
        self.connection.execute("DELETE FROM part WHERE nominal_id IN (SELECT unnest(?))", [list(people)])


def _end_of(sunday: date) -> str:
    return moments.utc(moments.day(sunday.isoformat())[1] - timedelta(seconds=1))


if __name__ == "__main__":
    main()
