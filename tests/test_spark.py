"""A build on Apache Spark is the build that this machine would have made: same rows, same leaves, same bytes.

One standalone cluster of two workers and one session serve all tests here, in order: the last ones break them.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from click.testing import CliRunner

from pipeline import cluster
from provenance import crew, engine, entries, harm, reproducing, sealing, spark
from provenance.archive import Archive
from provenance.cli import main
from provenance.errors import Conflict, Missing, Refused
from provenance.records import KINDS, ROLES, SCHEMES
from provenance.tables import SUPPORTS
from tests.force import HARM, PARAMS, Force, record
from tests.test_links import (
    PEOPLE,
    VERSIONS,
    involved,
    ruled,
    twin_left_out,
    twin_links,
    twin_supports,
    twin_tallies,
)
from tests.test_links import record as row_of

pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")

WEEKS = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z")
MARKS = [b"QNOMINAL", b"QRECORD", b"Qcondition", b"Qname"]
# A short-lived JVM is not worth compiling for. And what a cluster says here, the product does not let it have.
ADDED = """
spark.driver.extraJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.executor.extraJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.io.encryption.enabled false
spark.eventLog.enabled true
spark.eventLog.dir file:{folder}
"""


@pytest.fixture(scope="module")
def around(tmp_path_factory) -> Iterator[Path]:
    """A folder in which Spark, and the machine for it, puts whatever it puts anywhere."""
    home = tmp_path_factory.mktemp("around")
    for name in ("temporary", "spilled", "events"):
        (home / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(home / "temporary"))
        patch.setenv("SPARK_LOCAL_DIRS", str(home / "spilled"))
        patch.setenv("JAVA_TOOL_OPTIONS", f"-Djava.io.tmpdir={home / 'temporary'} -XX:-UsePerfData")
        yield home


@pytest.fixture(scope="module")
def started(around) -> Iterator[cluster.Cluster]:
    """The cluster."""
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        pytest.skip("Java is not here: Debian has it as default-jre-headless")
    with socket.socket() as free:
        free.bind((cluster.HERE, 0))
        port = free.getsockname()[1]
    with (
        cluster.running(around / "cluster", memory="1g", driver_memory="1g", port=port) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        with open(running.conf / "spark-defaults.conf", "a", encoding="utf-8") as told:
            told.write(ADDED.format(folder=around / "events"))
        patch.setenv("SPARK_CONF_DIR", str(running.conf))
        yield running


@pytest.fixture(scope="module")
def session(started) -> Iterator[spark.Cluster]:
    """The session; every row counts as many, so that all that can be is done by the workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark, "_ALONE", 1)
        with spark.cluster(started.master, python=sys.executable) as found:
            yield found


@contextmanager
def employed(archive: Archive, session: spark.Cluster) -> Iterator[None]:
    """The archive, working on Spark."""
    archive.employ(spark.Crew(session))
    yield
    archive.employ(crew.Crew())


# ---- the rules -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prices(tmp_path_factory) -> harm.HarmTable:
    folder = tmp_path_factory.mktemp("harm")
    (folder / "days.csv").write_text("offence_code,offence,days,expired\n1,Murder,5000,\n49,Theft,3,\n62,Old,7,yes\n")
    (folder / "points.csv").write_text("offence_code,offence,weight,expired\n1,Murder,8000,\n62,Old,9,\n")
    days = harm.read(folder / "days.csv", "trial")
    return harm.side_by_side([days, harm.read(folder / "points.csv", "other", unit=harm.SEVERITY)])


def some(chance: random.Random) -> tuple[list[dict], list[dict]]:
    """Records of every sort, in which few people meet often."""
    records, involvements = [], []
    for number in range(90):
        scheme = chance.choice(["", "", "3x5x2", "5x5x5"])
        row = row_of(
            f"R{number % 60}",
            chance.choice(KINDS),
            system="CONNECT" if number < 60 else "LEGACY",
            themes=chance.choice(["", "SOC", "CL;SOC", "CL;CSE;SOC"]),
            grade_scheme=scheme,
            offence_code=chance.choice(["", "1", "49", "62", "999"]),
            status=chance.choice(["", "", "", "open", "withdrawn"]),
            handling=chance.choice(["", "P", "C", "1", "5"]),
            conditions=chance.choice(["", "", "ask first", "A1; S2"]),
            version=chance.randint(1, 3),
        )
        if scheme:
            row["source_grade"] = chance.choice(SCHEMES[scheme].source)
            row["assessment_grade"] = chance.choice(SCHEMES[scheme].assessment)
        records.append(row)
        for _ in range(chance.randint(0, 6)):
            person, known_as = (
                chance.choice(["N1", "N10", "N2", "n1", "É1", "Ｎ1", "😀1"]),
                chance.choice(["", "", "OLD"]),
            )
            assessed = chance.choice(["", "fact", "fact", "assessment"])
            involvements.append(involved(row, person, chance.choice(ROLES), assessed, known_as))
    return records, involvements


def in_order(table: pa.Table, *columns: str) -> list[dict]:
    return sorted(table.to_pylist(), key=lambda row: [row[name] for name in columns])


@pytest.mark.parametrize("cap", [4, pytest.param(0, marks=pytest.mark.soak)])
def test_each_rule_is_as_its_slow_twin_and_as_on_duckdb(session, prices, cap):
    records, involvements = some(random.Random(cap))
    rules = ruled(links={"people_per_record": cap})
    taken = pa.Table.from_pylist(records, VERSIONS), pa.Table.from_pylist(involvements, PEOPLE)
    theirs, ours = spark.Engine(rules, prices, session), engine.Engine(rules, prices, 1)

    expected = twin_supports(records, involvements, rules)
    found = theirs.supports(*taken).select(SUPPORTS.names).cast(SUPPORTS)
    assert len(expected) > 50
    assert in_order(found, "theme", "a", "b", "system", "record_id") == expected
    links = theirs.links(found)
    assert in_order(links, "theme", "a", "b") == twin_links(expected, rules)
    tallies = theirs.tallies(*taken)
    assert in_order(tallies, "theme", "nominal") == twin_tallies(records, involvements, prices, rules)
    left_out = theirs.left_out(*taken)
    assert in_order(left_out, "reason", "system", "kind") == twin_left_out(records, involvements, rules)
    charged = theirs.charged(*taken)
    key = ("theme", "nominal", "system", "record_id")
    assert in_order(charged, *key) == in_order(ours.charged(*taken), *key)
    answers = {"supports": theirs.supports(*taken), "tallies": tallies, "left_out": left_out, "charged": charged}
    assert {name: getattr(ours, name)(*taken).schema for name in answers} == {
        name: answer.schema for name, answer in answers.items()
    }
    assert ours.links(found).schema == links.schema


def test_a_sum_beyond_64_bits_is_an_error_and_no_other_number(session):
    records, involvements = some(random.Random(0))
    found = pa.Table.from_pylist(twin_supports(records, involvements, PARAMS)[:1], SUPPORTS)
    huge = found.set_column(
        SUPPORTS.names.index("contribution"), SUPPORTS.field("contribution"), pa.array([2**63 - 1], pa.int64())
    )
    asked = spark.Engine(PARAMS, HARM, session)
    assert asked.links(huge)["strength"].to_pylist() == [2**63 - 1]  # nothing on the way is a floating-point number
    with pytest.raises(Conflict, match=r"^Spark at spark://\S+ did not answer: \w+; see its logs, and try again$"):
        asked.links(pa.concat_tables([huge, huge]))


# ---- sealing ---------------------------------------------------------------------------------------------------------


def batch(count: int) -> tuple[pa.Array, pa.Array]:
    """Z of each row, of one to three secrets, and rows."""
    z = pa.array([bytes([n % 251]) * 32 * (1 + n % 3) for n in range(count)], pa.large_binary())
    return z, pa.array([b'{"n":%d}' % n for n in range(count)], pa.large_binary())


def test_the_workers_seal_and_open_as_this_process_does(session):
    here, there = crew.Crew(1), spark.Crew(session)
    z, rows = batch(11_000)  # more than Spark hands over in a batch
    leaves, boxes = here.seal("link", z, rows)
    assert there.seal("link", z, rows) == (leaves, boxes)
    assert there.leaves("link", z, rows) == leaves
    assert there.open("link", z, leaves, boxes) == rows
    assert there.entries("link", z, leaves, boxes) == here.entries("link", z, leaves, boxes)


def test_a_worker_answers_each_row_with_its_place_and_stops_at_a_fault():
    """What runs there, run here."""
    z, rows = (column.cast(pa.binary()) for column in batch(30))
    cuts = [slice(10, 20), slice(20, 30)]
    handed = [pa.record_batch({"z": z[cut], "row": rows[cut], "n": pa.array(range(30)[cut])}) for cut in cuts]
    sealed = list(crew.serve_batches("seal", "link", crew.code(), iter(handed)))
    assert [part["n"].to_pylist() for part in sealed] == [list(range(10, 20)), list(range(20, 30))]
    leaves, boxes = sealing.seal_batch("link", z.to_pylist()[20:], rows.to_pylist()[20:])
    assert (sealed[1]["leaf"].to_pylist(), sealed[1]["box"].to_pylist()) == (leaves, boxes)
    assert sealed[1]["fault"].null_count == 10

    spoilt = [sealed[0]["box"], sealed[1]["leaf"]]  # the second of which is no box
    opened = [
        pa.record_batch({"z": part["z"], "leaf": done["leaf"], "box": box, "n": done["n"]})
        for part, done, box in zip(handed, sealed, spoilt, strict=True)
    ]
    found = list(crew.serve_batches("open", "link", crew.code(), iter([*opened, None])))  # whoever asked on would fall
    assert found[0]["row"].to_pylist() == rows.to_pylist()[10:20]
    assert found[1].to_pylist() == [{"n": 20, "fault": crew.UNOPENED, "row": None}]
    other = list(crew.serve_batches("leaf", "link", "another", iter(handed)))
    assert [part.to_pylist() for part in other] == [[{"n": 10, "fault": crew.code(), "leaf": None}]]


def test_a_row_that_does_not_open_is_named_by_its_place(session, monkeypatch):
    monkeypatch.setattr(spark, "_ROUND", 9_000)  # in several rounds
    there = spark.Crew(session)
    z, rows = batch(25_000)
    leaves, boxes = crew.Crew(1).seal("link", z, rows)
    spoilt = boxes.to_pylist()
    spoilt[21_007] = spoilt[21_006]
    spoilt[24_000] = b""
    with pytest.raises(sealing.Unopened) as caught:
        there.open("link", z, leaves, pa.array(spoilt, pa.large_binary()))
    assert caught.value.position == 21_007


def test_a_worker_with_other_code_seals_nothing(session, monkeypatch):
    here = crew.code()
    monkeypatch.setattr(crew, "code", lambda: "0" * 16)
    said = rf"^a worker of Spark runs other code: found sealing of {here}, wanted {'0' * 16}; "
    with pytest.raises(Refused, match=said):
        spark.Crew(session).seal("link", *batch(100))


# ---- builds ----------------------------------------------------------------------------------------------------------


def weeks() -> tuple[list[dict], list[dict]]:
    """Two weeks in which people meet, a record is regraded, one is withdrawn, and two nominals turn out to be one."""
    first = [
        record(
            f"QRECORD-{n:03}", f"QNOMINAL-{n % 9:02}:offender", f"QNOMINAL-{(n * 2 + 1) % 9:02}:victim+witness",
            f"QNOMINAL-{n % 4 + 9:02}", conditions="Qcondition: ask", themes="SOC;CSE" if n % 3 else "CL",
        )
        for n in range(120)
    ]  # fmt: skip
    second = [row | {"offence_code": "1", "status": "open"} for row in first[:20]]
    second += [
        record(
            "QRECORD-900", "QNOMINAL-01", "QNOMINAL-12", occurred_at="2026-01-12", recorded_at="2026-01-13T09:00:00Z"
        ),
        first[30] | {"status": "withdrawn"},
    ]
    return first, second


@pytest.fixture(scope="module")
def received(tmp_path_factory) -> Path:
    """A force that has received two weeks, and built nothing."""
    home = tmp_path_factory.mktemp("received")
    force, (first, second) = Force(home), weeks()
    names = [{"nominal_id": f"QNOMINAL-{n:02}", "name": f"Qname {n}", "born": "1990-01-31"} for n in range(13)]
    force.receive(*first, cut_off=WEEKS[0], nominals=names)
    merge = {
        "from_nominal": "QNOMINAL-03",
        "into_nominal": "QNOMINAL-10",
        "evidence": "prints",
        "by": "X",
        "at": WEEKS[1],
    }
    force.receive(*second, cut_off=WEEKS[1], mode="delta", merges=[merge])
    force.archive.close()
    return home


@pytest.fixture
def copied(received, tmp_path) -> Callable[[str], Force]:
    """`copied(name)`: a copy of it, with the same vault."""

    def copy(name: str) -> Force:
        shutil.copytree(received, tmp_path / name)
        return Force.of(tmp_path / name)

    return copy


def files(force: Force) -> dict[str, bytes]:
    """What an archive holds that is not derived."""
    kept = ("store", "builds", "log", "vault")
    return {
        path.relative_to(force.root).as_posix(): path.read_bytes()
        for path in sorted(force.root.rglob("*"))
        if path.is_file() and path.relative_to(force.root).parts[0] in kept and path.suffix != ".lock"
    }


@pytest.fixture(scope="module")
def embedded(received, tmp_path_factory) -> dict[str, bytes]:
    """The files of the same two builds as this machine makes them alone."""
    home = tmp_path_factory.mktemp("embedded") / "alone"
    shutil.copytree(received, home)
    force = Force.of(home)
    for week in WEEKS:
        force.build(week)
    force.archive.close()
    return files(force)


@pytest.fixture(scope="module")
def afar(session, received, around, tmp_path_factory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of the same two builds as Spark makes them; and whatever lay anywhere around Spark meanwhile."""
    home = tmp_path_factory.mktemp("built") / "afar"
    shutil.copytree(received, home)
    force, seen = Force.of(home), {}
    with employed(force.archive, session), watching(around, seen):
        made = [force.build(week).built for week in WEEKS]
    assert min(table.size for built in made for table in built.tables if table.name == "link") > 50
    assert all(force.as_of(week).verified for week in WEEKS)
    force.archive.close()
    return files(force), seen


def test_two_weeks_on_spark_are_byte_for_byte_those_of_one_machine(afar, embedded):
    found, _ = afar
    assert list(found) == list(embedded)
    assert [name for name in found if found[name] != embedded[name]] == []


def test_nothing_of_it_lies_on_any_disk_in_the_clear(afar, started, around):
    """Neither in what Spark shuffles, spills and keeps, nor in a temporary file, a log or a record of events; nor the
    secret of the cluster anywhere but in its one file, and on no command line."""
    _, seen = afar
    told = started.conf / "spark-defaults.conf"
    assert told.stat().st_mode & 0o777 == 0o600
    secret = told.read_text().split("spark.authenticate.secret ")[1].split()[0].encode()
    shuffled = [name for name in seen if "shuffle_" in name and seen[name]]
    assert len(shuffled) > 10  # or there was nothing to be found
    assert [name for name in seen if any(mark in seen[name] for mark in MARKS)] == []
    assert [name for name in seen if secret in seen[name] and name != str(told)] == []
    assert not any((around / "events").iterdir())
    assert sum(name.endswith("/stderr") and b"Running task" in seen[name] for name in seen) == 2  # what workers log
    lines = []
    for member in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            lines.append(member.cmdline())
    assert any("org.apache.spark.deploy.worker.Worker" in line for line in lines)
    assert not any(secret.decode() in word for line in lines for word in line)


@contextmanager
def watching(folder: Path, seen: dict[str, bytes]) -> Iterator[None]:
    """Read whatever lies in a folder, again and again: Spark removes much of it once it is done."""
    done = threading.Event()

    def read() -> None:
        while True:
            last = done.is_set()
            for path in folder.rglob("*"):
                if path.is_file():
                    with contextlib.suppress(FileNotFoundError):
                        seen[str(path)] = max(path.read_bytes(), seen.get(str(path), b""), key=len)
            if last:
                return
            done.wait(0.2)

    reader = threading.Thread(target=read)
    reader.start()
    yield
    done.set()
    reader.join()


@pytest.mark.soak
def test_a_build_made_here_is_made_again_there(session, copied):
    force = copied("again")
    force.build(WEEKS[0])
    label = force.archive.history.builds[0].label
    with employed(force.archive, session):
        found = reproducing.reproduce(force.archive, label, reproducing.Here("0" * 40, "1" * 64, "2" * 64))
    assert found.as_json()["verdict"] == "same"


# ---- the door --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [["--engine", "spark"], ["--master", "local[2]"]])
@pytest.mark.parametrize(
    "command", [["build"], ["receive", "."], ["backfill", ".", "--every", "week"], ["reproduce", "x"]]
)
def test_engine_and_master_are_said_together(tmp_path, command, said):
    done = CliRunner().invoke(main, ["--archive", str(tmp_path), *command, *said])
    assert done.exit_code == 2
    assert "--engine spark and --master URL are said together" in done.output


def test_without_pyspark_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    said = r"^package pyspark is not installed: wanted `pip install 'provenance\[spark\]'`$"
    with pytest.raises(Missing, match=said), spark.cluster("local[1]", python=sys.executable):
        pass


def test_a_master_without_a_secret_is_not_used(around, tmp_path):
    """Nothing is sent to who cannot be known. In a process of its own, for it has a JVM of its own."""
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        pytest.skip("Java is not here: Debian has it as default-jre-headless")
    asked = "from provenance import spark\nwith spark.cluster('spark://127.0.0.1:7', python='none'): pass"
    told = {name: value for name, value in os.environ.items() if name != "SPARK_CONF_DIR"}
    done = subprocess.run([sys.executable, "-c", asked], env=told, cwd=tmp_path, capture_output=True, text=True)
    said = "Missing: Spark master spark://127.0.0.1:7 is not to be had: wanted one that runs, and its spark.auth"
    assert said in done.stderr
    assert not any(tmp_path.iterdir())


def test_the_command_builds_on_the_cluster_and_its_statement_says_so(session, started, copied, monkeypatch):
    force = copied("commanded")
    force.archive.close()
    shutil.copy(Path(__file__).parent.parent / "params.yaml", force.root)
    shutil.copytree(Path(__file__).parent.parent / "harm", force.root / "harm")
    asked = []

    @contextmanager
    def same(master: str, *, python: str) -> Iterator[spark.Cluster]:
        asked.append((master, python))
        yield session

    monkeypatch.setattr(spark, "_ALONE", 20_000)  # the sealing has been tried enough
    monkeypatch.setattr(spark, "cluster", same)
    monkeypatch.setattr("provenance.pins.pin", lambda *_, **__: None)  # which a story without git cannot
    monkeypatch.setenv("PYSPARK_PYTHON", "python-of-the-workers")
    where = ["--engine", "spark", "--master", started.master, "--other-lock", "a test"]
    when = ["--cut-off", WEEKS[0], "--published-at", WEEKS[0]]
    done = CliRunner().invoke(main, ["--archive", str(force.root), "build", *when, *where])
    assert done.exit_code == 0, done.output
    assert asked == [(started.master, "python-of-the-workers")]
    again = Force.of(force.folder)
    machine = again.archive.stated(again.archive.history.builds[0]).machine
    assert machine.system.endswith(f", {session}")
    assert str(session).startswith("Apache Spark 4.")
    assert machine.threads == 2


# ---- what breaks: last, for nothing is whole behind it ---------------------------------------------------------------


def test_a_worker_killed_over_its_work_loses_nothing(session, started, copied, embedded):
    """It, its executor and what that had shuffled are gone; the build goes on and comes out the same."""
    force = copied("killed")
    tracker = session._session.sparkContext.statusTracker()
    victim = psutil.Process(started.workers[0].pid)
    killed: list[int] = []

    def kill() -> None:
        before = set(tracker.getActiveStageIds())
        while not (set(tracker.getActiveStageIds()) - before):
            time.sleep(0.01)
        family = [victim, *victim.children(recursive=True)]
        killed.extend(member.pid for member in family)
        for member in family:
            member.kill()

    with employed(force.archive, session):
        killer = threading.Thread(target=kill)
        killer.start()
        label = force.build(WEEKS[0]).built.label
        killer.join(1)
    assert len(killed) >= 2  # the worker and its executor at least
    assert started.workers[0].poll() is not None
    check_first_build(force, label, embedded)


def check_first_build(force: Force, label: str, embedded: dict[str, bytes]) -> None:
    """Its rows and its statement are those of the machine that built alone."""
    mine = [name for name in embedded if label in name]
    assert {name.split("/")[0] for name in mine} == {"store", "builds"}
    found = files(force)
    assert [name for name in mine if found[name] != embedded[name]] == []


def test_a_build_whose_cluster_goes_is_logged_as_failed_and_made_again(session, copied, embedded):
    force = copied("gone")
    spark._gateway()[1].proc.kill()  # the JVM that Spark's driver runs in
    with employed(force.archive, session), pytest.raises(Conflict, match=r"^Spark at \S+ did not answer: "):
        force.build(WEEKS[0])
    assert not force.archive.history.builds
    acts = list(force.archive.log.acts(0, force.archive.log.size))
    assert [act.reason for act in acts if isinstance(act, entries.Failed)] == ["conflict"]
    check_first_build(force, force.build(WEEKS[0]).built.label, embedded)
