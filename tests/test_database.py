"""The catalogue and the sessions on a real PostgreSQL server: the same answers as in files, with several at work, with
the server or a writer killed, and with somebody at the tables who should not be.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from click.testing import CliRunner
from force import Force, record
from postgres import Postgres
from sqlmodel import SQLModel

from provenance import catalogue, database, durable, granting, verify
from provenance.cli import main
from provenance.database import Schema, Server, Unreached
from provenance.errors import Conflict, Malformed, Refused, Tampered
from provenance.web import looks, passwords, sessions
from provenance.web.sessions import Sessions, TooMany
from provenance.web.settings import AttemptLimits, SessionLimits

pytestmark = pytest.mark.usefixtures("_few_rows")

ROOT = Path(__file__).resolve().parent.parent
WEEK = ("2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z")
NOW = "2026-01-19T09:00:00Z"
AT = 1_769_940_000  # 2026-02-01T10:00:00Z
SECRET = "a:secret/word@"


def choose(keys: Path, address: str) -> None:
    keys.mkdir(mode=0o700, exist_ok=True)
    (keys / database.FILE).write_text(address + "\n")
    (keys / database.FILE).chmod(0o600)


_numbers = itertools.count(1)


@pytest.fixture
def fresh(server) -> str:
    """The address of a database of this test's own."""
    server.start()  # where a test that failed left it killed
    return server.create(f"archive{next(_numbers)}")


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Force:
    """A week, in files; the second has been received. Closed, for `at`."""
    force = Force(tmp_path_factory.mktemp("story"))
    for week, cut_off in enumerate(WEEK):
        rows = [record(f"R-{week}-{n}", f"N-{n}", f"N-{(n + 1 + week) % 5}", recorded_at=cut_off) for n in range(5)]
        force.receive(*rows, cut_off=cut_off, mode="delta" if week else "full")
        if not week:
            force.build(cut_off)
    force.archive.close()
    return force


def at(story: Force, folder: Path, address: str = "") -> Force:
    """A copy of the story; with an address, on the server."""
    shutil.copytree(story.root, folder / "force")
    shutil.copytree(story.keys, folder / "force.keys")
    if address:
        choose(folder / "force.keys", address)
    return Force.of(folder)


def acts_of(force: Force) -> dict:
    """Every act, as the catalogue gives it when asked for its kind."""
    kinds = {catalogue.kind(act) for act in force.archive.log.acts()}
    return {kind: force.archive.placed([kind]) for kind in sorted(kinds)}


def all_said(force: Force) -> dict:
    """Answers that rest on the catalogue; without the ids of disposals, which are drawn."""
    return {
        "history": [(p.label, p.start) for p in force.archive.history.publications],
        "pairs": [force.pairs(when) for when in WEEK[: len(force.archive.history.builds)]],
        "roots": [[(t.name, t.root) for t in built.tables] for built in force.archive.history.builds],
    }


# ---- the same on both ------------------------------------------------------------------------------------------------


def test_both_engines_give_the_same_answers_and_builds_and_disposals_the_same_bytes(story, tmp_path, fresh):
    inside, outside = at(story, tmp_path / "in"), at(story, tmp_path / "out", fresh)
    for force in (inside, outside):
        force.build(WEEK[1])
    assert acts_of(inside) == acts_of(outside)
    assert all_said(inside) == all_said(outside)
    assert len(all_said(outside)["pairs"][1]) > 3
    for force in (inside, outside):
        force.dispose("N-2", "CONNECT R-0-4", on=NOW)
    assert all_said(inside.reopened()) == all_said(outside.reopened())
    assert not any("N-2" in pair for pair in outside.pairs(WEEK[1]))
    verify.insist(verify.verify(outside.archive))
    inside.archive.close()
    outside.archive.close()


def test_an_archive_that_is_founded_on_a_server_keeps_no_catalogue_in_a_file(tmp_path, fresh, server):
    choose(tmp_path / "force.keys", fresh)
    force = Force(tmp_path)
    force.receive(record("R-1", "A", "B"), cut_off=WEEK[0])
    force.build(WEEK[0])
    assert force.reopened().pairs(WEEK[0]) == {("A", "B"): ["R-1"]}
    assert sorted(p.name for p in (force.root / "index").glob("catalogue*")) == ["catalogue.json"]
    name = fresh.rpartition("/")[2]
    assert server.say(name, "SELECT count(*) FROM loggedact") == str(force.archive.log.size)
    force.archive.close()


# ---- forms of tables -------------------------------------------------------------------------------------------------

SCHEMAS = {schema.name: schema for schema in (catalogue.SCHEMA, sessions.SCHEMA)}
HELD = {  # rows as release 1.0.0 wrote them
    "catalogue": {
        "loggedact": [(7, "Held", "2026-01-01T00:00:00Z", "", b"{}"), (2**31 - 1, "Built", "x", "2026-W02", b"\0")],
        "head": [(1, 2**31 - 1, b"root")],
    },
    "sessions": {
        "session": [(b"d" * 32, "ana", AT, AT, AT // 60, 1, b"{}")],
        "attempt": [(3, b"a", AT), (4, b"b", AT + 1)],
    },
}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path) -> sa.Engine:
    if request.param == "sqlite":
        made = sa.create_engine(f"sqlite:///{tmp_path / 'tables.sqlite'}")
    else:
        made = Server.named(request.getfixturevalue("fresh"), tmp_path).engine()
    yield made
    made.dispose()


def at_form(engine: sa.Engine, schema: Schema, form: str) -> None:
    """Tables in the form of a release."""
    folder = ROOT / "provenance" / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(folder / schema.name))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes |= {"connection": connection, "stamp": schema.stamp.name}
        command.upgrade(config, form)


@pytest.mark.parametrize("name", SCHEMAS)
def test_tables_of_the_first_release_become_those_of_now_with_what_they_hold(engine, name):
    schema = SCHEMAS[name]
    at_form(engine, schema, "0001")
    with engine.begin() as connection:
        for table, held in HELD[name].items():
            columns = [c["name"] for c in sa.inspect(connection).get_columns(table)]
            into = sa.table(table, *map(sa.column, columns))
            connection.execute(into.insert(), [dict(zip(columns, row, strict=True)) for row in held])
        schema.stamp.drop(connection)  # that release said no form
    database.prepared(engine, schema, what="a test")
    database.prepared(engine, schema, what="a test")  # a second time there is nothing to do
    with engine.connect() as connection:
        assert database.form(connection, schema) == schema.form
        ours = {model.__tablename__ for model in schema.tables}
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": schema.stamp.name,
                "include_object": lambda thing, name, kind, reflected, other: kind != "table" or name in ours,
            },
        )
        assert compare_metadata(context, SQLModel.metadata) == []
        for table, held in HELD[name].items():
            found = connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY 1")).all()
            if table == "session":
                assert found == []  # nobody has the key to seal them: everybody signs on once more
            else:
                assert [tuple(row)[: len(held[0])] for row in found] == held
    if name == "sessions":
        with engine.begin() as connection:  # ids go on where they were, and moments beyond 2038 fit
            connection.execute(sa.text("INSERT INTO attempt (id, about, at) VALUES (9000000000, '', 9000000000)"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_new_tables_are_what_all_migrations_in_a_row_would_make(engine, name):
    database.prepared(engine, SCHEMAS[name], what="a test")

    def shape() -> dict:
        seen = sa.inspect(engine)
        return {
            table: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(table)],
                sorted((i["name"], tuple(i["column_names"])) for i in seen.get_indexes(table)),
                seen.get_pk_constraint(table)["constrained_columns"],
            )
            for table in seen.get_table_names()
        }

    made = shape()
    with engine.begin() as connection:
        for table in made:
            connection.execute(sa.text(f'DROP TABLE "{table}"'))
    at_form(engine, SCHEMAS[name], SCHEMAS[name].form)
    migrated = shape()
    assert migrated.keys() == made.keys()
    for table, (columns, *rest) in made.items():
        assert sorted(migrated[table][0]) == sorted(columns)
        assert list(migrated[table][1:]) == rest


@pytest.mark.parametrize("name", SCHEMAS)
def test_tables_of_a_later_version_are_refused_by_name_and_left_alone(engine, name):
    schema = SCHEMAS[name]
    database.prepared(engine, schema, what="a test")
    with engine.begin() as connection:
        connection.execute(schema.stamp.update().values(version_num="0099"))
    wanted = rf"tables of a test is of form 0099: this version knows forms up to {schema.form}; wanted the version"
    for _ in range(2):
        with pytest.raises(Malformed, match=wanted):
            database.prepared(engine, schema, what="tables of a test")
    with engine.connect() as connection:
        assert database.form(connection, schema) == "0099"


def test_an_archive_with_tables_of_a_later_version_is_refused_in_files_and_on_a_server(story, tmp_path, fresh, server):
    outside = at(story, tmp_path / "out", fresh)
    outside.archive.close()
    server.say(fresh.rpartition("/")[2], "UPDATE catalogue_form SET version_num = '0099'")
    with pytest.raises(Malformed, match=r"catalogue in database \S+ is of form 0099"):
        Force.of(tmp_path / "out")
    inside = at(story, tmp_path / "in")
    inside.archive.close()
    path = inside.root / "index" / "catalogue.sqlite"
    with sa.create_engine(f"sqlite:///{path}").begin() as connection:
        connection.execute(sa.text("UPDATE catalogue_form SET version_num = '0099'"))
    durable.write(path.with_suffix(".sha256"), catalogue.digest(path).encode())
    for _ in range(2):  # refusing has not made it forget
        with pytest.raises(Malformed, match=r"index/catalogue\.sqlite is of form 0099: this version knows forms up to"):
            Force.of(tmp_path / "in")


# ---- the address, and its password -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        f"mysql://u:{SECRET}@h/d", f"postgresql://u:{SECRET}", "nonsense " + SECRET, f"postgresql://:{SECRET}@h/d",
        f"postgresql://u:{SECRET}h@h/d?sslmode=disable", f"postgresql://u:x@h:port{SECRET}/d", "",
        f"postgresql://u:{SECRET}@/d?host=relative", f"postgresql://u:{SECRET}@h/d?host=/run",
    ],
)  # fmt: skip
def test_an_address_in_another_form_is_refused_and_not_said(address, tmp_path):
    with pytest.raises(Malformed, match="address of the database is not in its form: wanted postgresql://") as refused:
        Server.named(address, tmp_path)
    assert "secret" not in f"{refused.value!r}{refused.value.__cause__!r}"


def test_the_key_file_is_for_its_owner_alone(tmp_path):
    choose(tmp_path, "postgresql://u:p@h/d")
    (tmp_path / database.FILE).chmod(0o640)
    with pytest.raises(Refused, match="key file database may be read or written by others"):
        Server.chosen(tmp_path)


def test_a_password_that_is_not_right_is_in_no_message(server, story, tmp_path, fresh, caplog, capfd):
    wrong = fresh.replace(server.address("x").split("@")[0], "postgresql://provenance:very-secret-word")
    with pytest.raises(
        Unreached, match=r"database 127\.0\.0\.1:\d+/\w+ does not answer as it should \(SQLSTATE 28P01\)"
    ) as no:
        at(story, tmp_path, wrong)
    said = "".join(capfd.readouterr()) + caplog.text + repr(no.value) + repr(Server.chosen(tmp_path / "force.keys"))
    assert "very-secret" not in said
    assert no.value.__suppress_context__


def test_a_server_on_another_machine_is_spoken_to_over_tls_alone(server, tmp_path, fresh, monkeypatch):
    choose(tmp_path, fresh)
    monkeypatch.setattr(database, "_is_here", lambda host: False)  # this one has no certificate
    kept = Sessions(tmp_path, SessionLimits(), AttemptLimits())
    with pytest.raises(Unreached):
        kept.begin("ana", at=AT)
    monkeypatch.undo()
    assert [database._is_here(host) for host in ("localhost", "127.0.0.1", "::1", "10.0.0.1", "db.force.example")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_the_socket_in_a_folder_is_an_address_too(server, tmp_path):
    user, password = "provenance", server.address("x").split(":", 2)[2].split("@")[0]
    found = Server.named(f"postgresql://{user}:{password}@:{server.port}/postgres?host={server.folder}", tmp_path)
    assert found.place == f"{server.folder}:{server.port}/postgres"
    engine = found.engine()
    with found.answering(engine), engine.connect() as connection:
        assert connection.execute(sa.text("SELECT inet_client_addr()")).scalar() is None  # it came by no network


# ---- somebody at the tables ------------------------------------------------------------------------------------------

EDITS = {
    "a body": "UPDATE loggedact SET body = '\\x7b7d' WHERE kind = 'Published'",
    "one act gone": "DELETE FROM loggedact WHERE kind = 'Built' AND label = '2026-W02'",
    "the last of a kind gone": "DELETE FROM loggedact WHERE kind = 'Received' AND index = "
    "(SELECT max(index) FROM loggedact WHERE kind = 'Received')",
    "an act under another name": "UPDATE loggedact SET kind = 'Viewed' WHERE kind = 'Published'",
    "an act that nobody logged": "INSERT INTO loggedact VALUES (-1, 'Granted', 'x', '', '\\x7b7d')",
    "two that changed places": "UPDATE loggedact SET index = -1 - index WHERE kind = 'Built'",
    "everything": "DELETE FROM loggedact",
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_somebody_changed_on_the_server_is_not_believed_and_is_made_again(story, tmp_path, fresh, server, edit):
    force = at(story, tmp_path, fresh)
    before = acts_of(force)
    server.say(fresh.rpartition("/")[2], EDITS[edit])
    force = force.reopened()
    assert acts_of(force) == before
    assert re.fullmatch(
        r"the catalogue in database \S+ and its digests catalogue\.json disagree: one of them was changed; both were "
        "made again from the log",
        force.archive.catalogue.mended,
    )
    assert force.archive.catalogue.differs(force.archive.log) == force.archive.catalogue.mended
    force = force.reopened()
    assert force.archive.catalogue.differs(force.archive.log) == ""
    force.archive.close()


def test_a_change_to_what_nobody_asked_for_is_seen_by_verify(story, tmp_path, fresh, server):
    force = at(story, tmp_path, fresh)
    server.say(fresh.rpartition("/")[2], "INSERT INTO loggedact VALUES (-1, 'Nothing', 'x', '', '\\x7b7d')")
    with pytest.raises(Tampered, match=r"the catalogue in database \S+ says other things than the log"):
        verify.insist(verify.verify(force.archive))
    force.archive.close()


def test_a_log_that_went_back_is_refused_by_a_server_that_saw_more_of_it(story, tmp_path, fresh):
    """Also where everything on this machine was put back, as by a snapshot of its disk."""
    force = at(story, tmp_path, fresh)
    force.archive.close()
    shutil.copytree(force.root, tmp_path / "snapshot")
    force = Force.of(tmp_path)
    force.build(WEEK[1])
    force.archive.close()
    shutil.rmtree(force.root)
    shutil.copytree(tmp_path / "snapshot", force.root)
    wanted = r"log was rolled back or rewritten: it has 5 entries, and the catalogue in database \S+ had seen 7 with"
    for _ in range(2):
        with pytest.raises(Tampered, match=wanted):
            Force.of(tmp_path)


def test_a_server_that_was_put_back_is_brought_up_to_the_log_again(story, tmp_path, fresh, server):
    force = at(story, tmp_path, fresh)
    name = fresh.rpartition("/")[2]
    force.archive.close()
    server.say("postgres", f'CREATE DATABASE "{name}_b" TEMPLATE "{name}"')
    force = Force.of(tmp_path)
    force.build(WEEK[1])
    said = acts_of(force)
    force.archive.close()
    choose(force.keys, server.address(f"{name}_b"))
    force = Force.of(tmp_path)
    assert acts_of(force) == said
    force.archive.close()


def test_two_archives_in_one_database_are_refused_by_name(story, tmp_path, fresh):
    at(story, tmp_path, fresh).archive.close()
    choose(tmp_path / "other.keys", fresh)
    with pytest.raises(Conflict, match=r"the catalogue in database \S+ holds the log force, and this is other"):
        Force(tmp_path, "other")


def test_who_can_write_to_the_sessions_signs_on_as_nobody(server, tmp_path, fresh):
    choose(tmp_path, fresh)
    kept = Sessions(tmp_path, SessionLimits(), AttemptLimits())
    mine = kept.begin("eve", at=AT)
    assert kept.find(mine.id, at=AT).user == "eve"
    name = fresh.rpartition("/")[2]
    server.say(name, "UPDATE session SET \"user\" = 'ana'")
    assert kept.find(mine.id, at=AT) is None
    other, theirs = kept.begin("eve", at=AT), kept.begin("ana", at=AT)
    server.say(name, f"UPDATE session SET seal = (SELECT seal FROM session WHERE \"user\" = 'ana') , \"user\" = 'ana' "
                     f"WHERE digest = '\\x{other.digest.hex()}'")  # fmt: skip
    assert kept.find(other.id, at=AT) is None
    server.say(name, "UPDATE session SET began = began + 60")
    assert kept.find(theirs.id, at=AT + 60) is None
    kept.close()


# ---- several at once -------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from provenance.archive import Archive
root, keys, many = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
archive = Archive(root, keys)
print("ready", flush=True)
sys.stdin.readline()
act = archive.acts(["Published"])[0]
for _ in range(many):
    archive.append(act)
archive.close()
"""


def start(code: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )  # fmt: skip


def test_processes_that_log_at_once_leave_one_catalogue_of_all(story, tmp_path, fresh):
    force = at(story, tmp_path, fresh)
    size = force.archive.log.size
    other = start(WRITER, str(force.root), str(force.keys), "6")
    assert other.stdout.readline() == "ready\n"
    other.stdin.write("\n")
    other.stdin.flush()
    (act,) = force.archive.acts(["Published"])
    for _ in range(6):
        force.archive.append(act)
    assert other.wait(60) == 0
    force.archive.refresh()
    assert len(force.archive.acts(["Published"])) == 1 + 12
    assert force.archive.log.size == size + 12
    assert force.archive.catalogue.mended == ""
    assert force.archive.catalogue.differs(force.archive.log) == ""
    force.archive.close()


@pytest.mark.parametrize("engine_of", ["files", "server"])
def test_what_a_thread_logs_while_the_catalogue_catches_up_is_taken_in_next(
    story, tmp_path, request, monkeypatch, engine_of
):
    """Once the catalogue said that it had that entry too, and did not."""
    force = at(story, tmp_path, request.getfixturevalue("fresh") if engine_of == "server" else "")
    log, key = force.archive.log, force.archive.signing_key()
    (act,) = force.archive.acts(["Published"])
    read = log.acts

    def interrupted(start: int, stop: int):
        yield from read(start, stop)
        monkeypatch.undo()
        log.append([act], key=key)

    log.append([act], key=key)
    monkeypatch.setattr(log, "acts", interrupted)
    force.archive.catalogue.refresh(log)
    force.archive.catalogue.refresh(log)
    assert len(force.archive.catalogue.acts(["Published"])) == 3
    assert force.archive.catalogue.differs(log) == ""
    force.archive.close()


@pytest.mark.parametrize("engine_of", ["files", "server"])
def test_tries_at_once_through_several_workers_do_not_slip_through_together(tmp_path, request, engine_of):
    if engine_of == "server":
        choose(tmp_path, request.getfixturevalue("fresh"))
    workers = [Sessions(tmp_path, SessionLimits(), AttemptLimits(per_user=5)) for _ in range(3)]
    gate = threading.Barrier(6)

    def guess(number: int) -> int:
        gate.wait()
        let = 0
        for _ in range(3):
            try:
                workers[number % 3].attempt("ana", f"192.0.2.{number}", at=AT)
                let += 1
            except TooMany:
                pass
        return let

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(guess, range(6))) == 5
    for each in workers:
        each.close()


def test_a_session_of_one_worker_is_known_to_all_and_ended_for_all(tmp_path, fresh):
    choose(tmp_path, fresh)
    one, other = (Sessions(tmp_path, SessionLimits(), AttemptLimits()) for _ in range(2))
    begun = one.begin("ana", at=AT, pending={"state": "x"})
    assert other.find(begun.id, at=AT).pending == {"state": "x"}
    assert [worker.settle(begun) for worker in (other, one)] == [True, False]  # once, for whoever comes first
    assert one.find(begun.id, at=AT).user == "ana"
    assert other.end_all("ana") == 1
    assert one.find(begun.id, at=AT) is None
    one.close()
    other.close()


# ---- killed ----------------------------------------------------------------------------------------------------------


class Killing:
    """Kills the server at the n-th time the catalogue is written: before it, or when only the commit is left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, server: Postgres, nth: int, late: bool) -> None:
        self.count, self.nth, self.server, self.is_done = 0, nth, server, False
        extend, write = catalogue.OnServer.extend, durable.write

        def extended(keeper, acts, head) -> None:
            self.count += 1
            if self.count == nth and not late:
                self.kill()
            extend(keeper, acts, head)

        def written(path: Path, *said, **more) -> None:
            write(path, *said, **more)
            if path.name == "catalogue.json" and self.count == nth and late:
                self.kill()

        monkeypatch.setattr(catalogue.OnServer, "extend", extended)
        monkeypatch.setattr(catalogue.durable, "write", written)

    def kill(self) -> None:
        if not self.is_done:
            self.is_done = True
            self.server.kill()


ACTS: dict[str, Callable[[Force], object]] = {
    "build": lambda force: force.build(WEEK[1]),
    "disposal": lambda force: force.dispose("N-2", on=NOW),
}


@pytest.fixture(scope="module")
def undisturbed(story, tmp_path_factory) -> dict[str, dict]:
    """What each of them leaves when nothing happens."""
    found = {}
    for name, act in ACTS.items():
        force = at(story, tmp_path_factory.mktemp(name))
        act(force)
        found[name] = all_said(force)
        force.archive.close()
    return found


@pytest.mark.parametrize(
    ("name", "nth", "late"),
    [("build", 1, False), ("build", 1, True), ("disposal", 1, True), ("disposal", 3, False)],
)  # fmt: skip
def test_a_server_that_is_killed_takes_nothing_with_it_and_holds_nothing_up(
    story, tmp_path, fresh, server, monkeypatch, undisturbed, name, nth, late
):
    """Who has the archive open goes on by the log; who would open it waits, since the server knows what it has seen."""
    force = at(story, tmp_path, fresh)
    with monkeypatch.context() as patch:
        killing = Killing(patch, server, nth, late)
        ACTS[name](force)
    assert killing.is_done
    assert all_said(force) == undisturbed[name]
    force.archive.close()
    with pytest.raises(Unreached, match="does not answer as it should"):
        Force.of(tmp_path)
    server.start()
    force = Force.of(tmp_path)
    assert all_said(force) == undisturbed[name]
    assert force.archive.catalogue.differs(force.archive.log) == ""
    force.archive.close()


def test_a_build_that_is_cut_off_after_it_was_logged_keeps_what_it_made(story, tmp_path, monkeypatch):
    """Once an error after the entry took the build for one that failed, and swept away what the log names."""
    force = at(story, tmp_path)
    refresh = force.archive.refresh

    def away() -> None:
        monkeypatch.undo()
        raise Unreached("database is away")

    append = force.archive.log.append

    def appended(acts, *, key):
        placed = append(acts, key=key)
        monkeypatch.setattr(force.archive, "refresh", away)
        return placed

    monkeypatch.setattr(force.archive.log, "append", appended)
    with pytest.raises(Unreached):
        force.build(WEEK[1])
    assert force.archive.refresh.__func__ is refresh.__func__
    force = force.reopened()
    assert [p.label for p in force.archive.history.publications] == ["2026-W02", "2026-W03"]
    assert force.archive.history.failures == []
    verify.insist(verify.verify(force.archive))
    force.archive.close()


def test_a_way_to_the_server_that_was_cut_is_found_again_by_who_was_there_before(story, tmp_path, fresh, server):
    force = at(story, tmp_path, fresh)
    kept = Sessions(force.keys, SessionLimits(), AttemptLimits())
    begun = kept.begin("ana", at=AT)
    server.kill()
    with pytest.raises(Unreached):
        kept.find(begun.id, at=AT)
    server.start()
    assert kept.find(begun.id, at=AT).user == "ana"
    assert len(force.archive.acts(["Built"])) == 1
    kept.close()
    force.archive.close()


STUCK = """
import sys, time
from pathlib import Path
from provenance import catalogue
from provenance.archive import Archive
archive = Archive(Path(sys.argv[1]), Path(sys.argv[2]))
write = catalogue.durable.write
def written(path, *said, **more):
    write(path, *said, **more)
    if path.name == "catalogue.json":
        print("in the middle", flush=True)
        time.sleep(600)
catalogue.durable.write = written
archive.append(archive.acts(["Published"])[0])
"""


def test_a_writer_that_is_killed_in_the_middle_holds_nobody_up(story, tmp_path, fresh):
    force = at(story, tmp_path, fresh)
    stuck = start(STUCK, str(force.root), str(force.keys))
    assert stuck.stdout.readline() == "in the middle\n"
    stuck.send_signal(signal.SIGKILL)
    stuck.wait()
    force.archive.refresh()
    assert len(force.archive.acts(["Published"])) == 2
    assert force.archive.catalogue.mended == ""
    force.build(WEEK[1])
    verify.insist(verify.verify(force.archive))
    force.archive.close()


# ---- several web workers and a builder -------------------------------------------------------------------------------


@pytest.mark.skipif(
    not (looks.STATIC / "manifest.json").exists(),
    reason="what pages are drawn with is not built here: `make assets` does",
)
def test_several_web_workers_and_a_builder_at_once_with_a_worker_and_the_server_killed(story, tmp_path, fresh, server):
    """A session that one of them began is known to the others; what is built meanwhile is on every page."""
    force = at(story, tmp_path, fresh)
    granting.grant(force.archive, "ana", role="administrator", on=WEEK[0], by="tests", under="a story")
    granting.grant(force.archive, "ola", role="analyst", on=WEEK[0], by="ana", under="a story")
    passwords.set_password(force.keys, "ola", "correct horse battery")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    house = ROOT / "pipeline" / "house"
    shutil.copy(house / "params.yaml", force.root)
    shutil.copytree(house / "harm", force.root / "harm")
    served = subprocess.Popen(
        [sys.executable, "-m", "provenance.cli", "--archive", str(force.root), "serve", "--port", str(port),
         "--workers", "2"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        base = f"http://localhost:{port}"
        until(lambda: ask(f"{base}/health").status_code == 200)
        form = ask(f"{base}/sign-on")
        jar = {"cookie": form.headers["set-cookie"].split(";")[0]}
        token = re.search(r'name="csrf"[^>]*value="([0-9a-f]{64})"', form.text)[1]
        said = {"user": "ola", "password": "correct horse battery", "csrf": token, "after": "/"}
        signed = httpx2.post(f"{base}/sign-on", data=said, headers=jar | {"origin": base}, timeout=60)
        assert signed.status_code == 303, signed.text
        jar = {"cookie": signed.headers["set-cookie"].split(";")[0]}
        assert {ask(f"{base}/seen", jar).status_code for _ in range(6)} == {200}  # by either, on a new connection each
        force.build(WEEK[1])
        assert {"2026-W03" in ask(f"{base}/build/2026-W03", jar).text for _ in range(4)} == {True}
        (one, *others) = workers_of(served.pid)
        assert len(others) == 1
        os.kill(one, signal.SIGKILL)
        until(lambda: len(set(workers_of(served.pid)) - {one}) == 2)
        assert ask(f"{base}/seen", jar).status_code == 200
        server.kill()
        away = ask(f"{base}/seen", jar)
        assert (away.status_code, "does not answer as it should" in away.text) == (503, True)
        server.start()
        assert {ask(f"{base}/seen", jar).status_code for _ in range(4)} == {200}
    finally:
        served.terminate()
        assert "Traceback" not in served.communicate(timeout=60)[1]
    force.archive.close()


def ask(address: str, jar: dict[str, str] | None = None) -> httpx2.Response:
    return httpx2.get(address, headers=jar, timeout=60)


def until(holds: Callable[[], bool]) -> None:
    """Wait for something of other processes."""
    for _ in range(1_500):
        with contextlib.suppress(httpx2.TransportError, psutil.Error):
            if holds():
                return
        time.sleep(0.2)
    raise AssertionError("it never came")


def workers_of(parent: int) -> list[int]:
    """Processes that answer, and not what they start in turn."""
    return [child.pid for child in psutil.Process(parent).children() if "serve" in child.cmdline()]


# ---- the command -----------------------------------------------------------------------------------------------------


def run(root: Path, *arguments: str, said: str = ""):
    return CliRunner().invoke(main, ["--archive", str(root), *arguments], input=said)


def test_an_archive_moves_to_a_server_and_back_by_command(story, tmp_path, fresh, server):
    force = at(story, tmp_path)
    force.archive.close()
    kept = Sessions(force.keys, SessionLimits(), AttemptLimits())
    left = kept.begin("ana", at=AT)
    kept.close()
    done = run(force.root, "database", "use", said=fresh + "\n")
    assert done.exit_code == 0, done.output
    assert re.search(r"Database 127\.0\.0\.1:\d+/\w+ holds the log's 5 entries", done.output)
    assert server.password not in done.output
    assert fresh not in done.output
    assert (force.keys / database.FILE).stat().st_mode & 0o777 == 0o600
    state = json.loads(run(force.root, "database", "status", "--json").output)
    assert state == {"engine": "postgresql", "place": Server.named(fresh, tmp_path).place, "entries": 5, "sessions": 0}
    assert "In use: PostgreSQL, 127.0.0.1" in run(force.root, "database", "status").output
    server.kill()
    try:
        away = run(force.root, "database", "status")
        assert (away.exit_code, away.stdout) == (5, "")
        assert server.password not in away.output
        back = run(force.root, "database", "leave")
        assert back.exit_code == 0, back.output
    finally:
        server.start()
    assert "In use: files of this archive (SQLite). It holds the log's 5 entries and 0 sessions." in (
        run(force.root, "database", "status").output
    )
    kept = Sessions(force.keys, SessionLimits(), AttemptLimits())
    assert kept.find(left.id, at=AT) is None  # what was left behind here is not good again
    kept.close()


def test_an_address_that_does_not_answer_is_not_kept(story, tmp_path, server):
    force = at(story, tmp_path)
    force.archive.close()
    done = run(force.root, "database", "use", said=server.address("nowhere") + "\n")
    assert (done.exit_code, (force.keys / database.FILE).exists()) == (5, False)
    assert "SQLSTATE 3D000" in done.output
