"""The archive that the first release left, opened by the code of today (`tests/released/make.py` says how it was made).

Nothing has to be done: tables get their present form when they are next written. Roots, answers of past moments and
proofs are those that the release gave.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from force import ROOT
from released.make import ASKED_ON, NAME, QUESTIONS, SIGNED_ON, WEEKS

from provenance import bygone, catalogue, database, moments, verify
from provenance.archive import FORMAT, Archive
from provenance.cli import main
from provenance.errors import Malformed, Missing
from provenance.web import passwords
from provenance.web.sessions import Sessions, TooMany
from provenance.web.settings import AttemptLimits, SessionLimits

KEPT = Path(__file__).parent / "released" / "1.0.0.tar.xz"


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Path:
    """The folder as the release left it; nothing changes it."""
    home = tmp_path_factory.mktemp("released")
    with tarfile.open(KEPT) as packed:
        packed.extractall(home, filter="data")
    (home / f"{NAME}.keys").chmod(0o700)
    return home


@pytest.fixture(scope="module")
def said(released) -> dict[str, Any]:
    """What the release answered."""
    return json.loads((released / "said.json").read_text())


@pytest.fixture
def copied(released, tmp_path) -> Path:
    return shutil.copytree(released, tmp_path / "home")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def upgraded(released, tmp_path_factory, request) -> Path:
    """Opened once by the code of today: as it was, and moved to a server."""
    home = tmp_path_factory.mktemp(request.param) / "home"
    shutil.copytree(released, home)
    if request.param == "postgresql":
        server = request.getfixturevalue("server")
        moved = run(home, "database", "use", said=server.create("released") + "\n")
        assert moved.exit_code == 0, moved.output
    Archive(home / NAME, home / f"{NAME}.keys").close()
    return home


def run(home: Path, *arguments: str, said: str = ""):
    return CliRunner().invoke(main, ["--archive", str(home / NAME), *arguments], input=said)


def asked(home: Path, name: str) -> tuple[str, ...]:
    """A question of the release, in words of the command line."""
    if name != "certificate":
        return QUESTIONS[name]
    (disposal,) = json.loads(run(home, "dispose", "list", "--json").output)["disposals"]
    return "certificate", disposal["certificate"], "--json"


def test_it_was_made_by_the_first_release(released, said):
    assert said["version"] == "1.0.0"
    assert KEPT.stat().st_size < 500_000
    with sqlite3.connect(released / NAME / "index" / "catalogue.sqlite") as tables:
        assert {name for (name,) in tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} == {
            "loggedact", "head",
        }  # fmt: skip


def test_it_answers_the_same_roots_and_head(upgraded, said):
    with Archive(upgraded / NAME, upgraded / f"{NAME}.keys") as archive:
        assert {b.label: {t.name: t.root for t in b.tables} for b in archive.history.builds} == said["roots"]
        assert {"size": archive.log.size, "root": archive.log.root.hex()} == said["head"]
        assert len(archive.history.disposals) == len(archive.history.grants) == 1
        verify.insist(verify.verify(archive))
        assert archive.catalogue.mended == ""  # nothing was thrown away to be made again


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "verify"])
def test_it_answers_every_question_as_the_release_did(upgraded, said, monkeypatch, name):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(moments.instant(ASKED_ON).timestamp())))
    answer = run(upgraded, *asked(upgraded, name))
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.output) == said["answers"][name]


def test_the_proof_that_it_gave_and_one_of_today_verify(upgraded, tmp_path):
    assert run(upgraded, "verify", str(upgraded / "proof")).exit_code == 0
    today = tmp_path / "proof"
    given = run(upgraded, "asof", WEEKS[1], "--nominal", "N-02", "--proof", str(today))
    assert given.exit_code == 0, given.output
    assert run(upgraded, "verify", str(today)).exit_code == 0
    for name in ("rows.jsonl", "statement.json", "checkpoint"):
        assert (today / name).read_bytes() == (upgraded / "proof" / name).read_bytes(), name


def test_the_releases_own_code_makes_its_builds_again_and_leaves_what_is_derived_as_it_is(copied, tmp_path):
    """On the packages of the tests; in an environment of the release's lock: tests/soak/test_past_build.py."""
    root, keys = copied / NAME, copied / f"{NAME}.keys"
    with Archive(root, keys) as archive:
        built = archive.history.build("2026-W03")
        commit = archive.stated(built).code
        try:
            tree = bygone.code(tmp_path / "code", ROOT, commit, lambda *_: None)
        except Missing:
            pytest.skip("the release's commit is not in this repository")
    with bygone.seen(tmp_path / "code", root, keys) as (there, handed):
        done = subprocess.run(
            [sys.executable, "-m", "provenance.cli", "--archive", str(there), "--keys", str(handed), "reproduce",
             "2026-W03", "--code", "here", "--unlogged", "--json"],
            cwd=tree, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["verdict"], found["code"]) == ("same but for disposals", commit)
    assert found["tables"]["link"]["disposed"] > 0
    with Archive(root, keys) as archive:
        verify.insist(verify.verify(archive))


def test_sessions_end_once_and_what_guards_passwords_stays(copied):
    keys = copied / f"{NAME}.keys"
    kept = Sessions(keys, SessionLimits(), AttemptLimits(per_user=1))
    with pytest.raises(TooMany):  # the try of before the upgrade still counts
        kept.attempt("ana", "198.51.100.1", at=SIGNED_ON + 60)
    assert kept.count() == 0
    begun = kept.begin("ana", at=SIGNED_ON)
    assert kept.find(begun.id, at=SIGNED_ON).user == "ana"
    kept.close()
    assert passwords.is_right(keys, "ana", "correct horse battery")


def test_work_goes_on_and_tables_have_their_present_form(copied):
    more = run(copied, "access", "grant", "ola", "--role", "analyst", "--by", "ana", "--under", "a story")
    assert more.exit_code == 0, more.output
    tables = sa.create_engine(f"sqlite:///{copied / NAME / 'index' / 'catalogue.sqlite'}")
    with tables.connect() as connection:
        assert database.form(connection, catalogue.SCHEMA) == catalogue.SCHEMA.form
    with Archive(copied / NAME, copied / f"{NAME}.keys") as archive:
        assert [grant.user for grant in archive.history.grants] == ["ana", "ola"]
        verify.insist(verify.verify(archive))


def test_an_archive_of_a_later_form_is_refused_by_name(copied):
    path = copied / NAME / "archive.json"
    path.write_bytes(path.read_bytes().replace(b'"format":%d' % FORMAT, b'"format":%d' % (FORMAT + 1)))
    refused = run(copied, "asof", WEEKS[0])
    assert refused.exit_code == Malformed.exit_code
    assert f"Malformed: archive.json is of format {FORMAT + 1}: this version reads format {FORMAT}" in refused.output


@pytest.mark.parametrize("cut", ["before the tables", "after them"])
def test_an_upgrade_that_is_cut_off_is_completed_by_the_next_to_open(copied, said, monkeypatch, cut):
    prepared = database.prepared

    def killed(engine, schema, *, what: str) -> None:
        if cut == "after them":
            prepared(engine, schema, what=what)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(catalogue.database, "prepared", killed)
        with pytest.raises(KeyboardInterrupt):
            Archive(copied / NAME, copied / f"{NAME}.keys")
    with Archive(copied / NAME, copied / f"{NAME}.keys") as archive:
        assert archive.log.root.hex() == said["head"]["root"]
        assert archive.catalogue.differs(archive.log) == ""
