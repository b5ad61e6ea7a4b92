"""Feeds: plain tables that follow the live build, and lose at once what is disposed of or restricted."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from force import PARAMS, Force, record

from provenance import disposal, entries, feeding, feeds, holding, verify
from provenance.errors import Conflict, Malformed, Missing, Refused
from provenance.feeding import Renewed

GONE, KEPT = "NOMINAL-GONE", "NOMINAL-KEPT"


@pytest.fixture
def force(tmp_path: Path) -> Force:
    made = Force(tmp_path)
    made.receive(
        record("RECORD-1", GONE, KEPT), record("RECORD-2", GONE, KEPT), record("RECORD-3", KEPT, "N-3"),
        record("RECORD-4", KEPT, "N-3"), record("RECORD-5", "N-3", "N-4", themes="CSE"),
        cut_off="2026-02-01T00:00:00Z",
        nominals=[{"nominal_id": GONE, "name": "Surname-Gone", "is_child": "1"}, {"nominal_id": KEPT, "name": "=1+1"}],
    )  # fmt: skip
    made.build("2026-02-01T00:00:00Z")
    return made


def write(
    force: Force, name: str = "bi", *, form: str = "csv", theme: str = "", on: str = "2026-02-02T00:00:00Z"
) -> Path:
    folder = force.folder / name
    feeding.write(force.archive, folder, theme=theme, form=form, on=on, by="ana", under="Director 3/26")
    return folder


def renew(force: Force, on: str = "2026-03-02T00:00:00Z") -> Renewed:
    return feeding.renew(force.archive, on=on, by="ana")


def faults(force: Force) -> list[str]:
    return [fault for fault in feeds.faults(force.archive) if fault]


def rows(folder: Path, table: str) -> list[dict]:
    if (folder / f"{table}.csv").exists():
        return list(csv.DictReader(io.StringIO((folder / f"{table}.csv").read_text("utf-8"), newline="")))
    return pq.read_table(folder / f"{table}.parquet").to_pylist()


def holds(folder: Path, word: str) -> bool:
    """Whether any byte of any file says it, or any cell of a packed one."""
    said = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return word.encode() in said or any(
        word in str(rows(folder, table)) for table in feeds.TABLES if list(folder.glob(f"{table}.*"))
    )


@pytest.mark.parametrize("form", feeds.FORMS)
def test_a_feed_has_the_live_builds_tables_and_says_what_they_are(force, form):
    folder = write(force, form=form)
    assert {path.name for path in folder.iterdir()} == {
        "feed.json", "about.json", "README.md", *(f"{table}.{form}" for table in feeds.TABLES)
    }  # fmt: skip
    snapshot = force.as_of("2026-02-02")
    about = json.loads((folder / "about.json").read_text())
    assert (about["build"], about["root"]) == (snapshot.label, snapshot.root)
    for table, there in (
        ("nominals", snapshot.nominals()),
        ("links", snapshot.links()),
        ("networks", snapshot.networks()),
    ):
        assert len(rows(folder, table)) == there.num_rows > 0
        assert {row["feed_build"] for row in rows(folder, table)} == {snapshot.label}
    assert len(rows(folder, "supports")) == sum(map(len, snapshot.links()["supports"].to_pylist()))
    readme = (folder / "README.md").read_text()
    for column in rows(folder, "supports")[0]:
        assert f"| {column} |" in readme
    assert snapshot.landing_page["text"].strip()[:60] in readme
    named = next(row for row in rows(folder, "nominals") if row["nominal"] == KEPT)
    assert named["name"] == ("'=1+1" if form == "csv" else "=1+1")
    assert {int(row["child"]) for row in rows(folder, "nominals") if row["nominal"] == GONE} == {1}


def test_whole_numbers_stay_whole_numbers_of_64_bits(force):
    folder = write(force, form="parquet")
    kinds = {str(field.type) for table in feeds.TABLES for field in pq.read_schema(folder / f"{table}.parquet")}
    assert kinds == {"string", "int64"}


def test_it_is_logged_with_its_place_and_authority_and_nobodys_name(force):
    write(force)
    (act,) = force.archive.acts(["Exported"])
    assert (act.folder, act.form, act.by, act.under) == ("../bi", "csv", "ana", "Director 3/26")
    said = entries.to_bytes(act)
    assert str(force.folder).encode() not in said
    assert GONE.encode() not in said


def test_one_theme_alone(force):
    folder = write(force, theme="CSE")
    assert {row["theme"] for table in feeds.TABLES for row in rows(folder, table)} == {"CSE"}
    assert not holds(folder, GONE)
    with pytest.raises(Malformed, match="wanted a theme of"):
        write(force, theme="XYZ")


@pytest.mark.parametrize("form", feeds.FORMS)
def test_after_a_disposal_no_byte_of_it_is_in_the_feed(force, form):
    folder = write(force, form=form)
    assert holds(folder, GONE)  # the control
    assert holds(folder, "Surname-Gone")
    force.dispose(GONE, on="2026-03-01T00:00:00Z")
    assert not holds(folder, GONE)  # before anything is written again
    assert [path.name for path in folder.iterdir()] == ["feed.json"]
    assert not faults(force)
    assert renew(force) == Renewed(("../bi",), ())
    assert not holds(folder, GONE)
    assert not holds(folder, "Surname-Gone")
    assert len(rows(folder, "links")) == 2
    assert not faults(force)
    withheld = [row["strength"] for row in rows(folder, "nominals") if row["nominal"] == KEPT]
    assert withheld == ["" if form == "csv" else None]


def test_a_disposed_record_leaves_the_link_with_less(force):
    folder = write(force)
    force.dispose("CONNECT RECORD-1", on="2026-03-01T00:00:00Z")
    renew(force)
    assert not holds(folder, "RECORD-1")
    (link,) = (row for row in rows(folder, "links") if GONE in (row["a"], row["b"]))
    assert (link["records"], link["reduced"]) == ("1", "1")


def held(force: Force) -> str:
    return holding.place(
        force.archive, PARAMS, case="24/0113", basis="cpia-1996", nominals=(GONE,), records=(), networks=(),
        first_day="", last_day="", everything=False, review_on="2026-09-01", events=(), on="2026-02-10T00:00:00Z",
        by="disclosure officer", under="a case",
    ).id  # fmt: skip


def test_what_is_restricted_leaves_the_feed_and_does_not_come_back(force):
    folder = write(force)
    hold = held(force)
    assert not faults(force)  # a hold takes nothing out of view
    force.dispose(GONE, on="2026-03-01T00:00:00Z")
    assert not holds(folder, GONE)
    renew(force)
    assert not holds(folder, GONE)
    assert rows(folder, "links")
    holding.release(force.archive, PARAMS, hold, reason="placed-in-error", on="2026-04-01T00:00:00Z", by="x", under="y")
    assert force.finish(on="2026-04-01T00:00:00Z")
    assert not faults(force)
    assert renew(force, "2026-04-02T00:00:00Z").written == ("../bi",)
    assert not holds(folder, GONE)


def test_a_folder_that_is_not_reached_is_named_and_tried_again(force):
    folder = write(force)
    away = folder.rename(force.folder / "unplugged")
    force.dispose(GONE, on="2026-03-01T00:00:00Z")
    assert renew(force) == Renewed((), ("../bi",))
    (fault,) = faults(force)
    assert "feed ../bi was not reached since 2026-02-02T00:00:00Z, and may still have rows" in fault
    folder.mkdir()  # an empty mount point is not the feed
    assert renew(force).missed == ("../bi",)
    folder.rmdir()
    away.rename(folder)
    (fault,) = faults(force)
    assert "feed ../bi still has rows of build 2026-W05 from before" in fault
    assert holds(folder, GONE)
    force.finish(on="2026-03-03T00:00:00Z")
    assert not holds(folder, GONE)
    assert renew(force).written == ("../bi",)
    assert not faults(force)
    assert feeds.waiting(force.archive) == []


def test_a_crash_between_the_entry_and_the_tables_is_mended(force, monkeypatch):
    folder = write(force)
    force.dispose(GONE, on="2026-03-01T00:00:00Z")
    whole = feeding.durable.write

    def cut_off(path: Path, data: bytes, *, mode: int = 0o644) -> None:
        if path.name == "links.csv":
            raise KeyboardInterrupt
        whole(path, data, mode=mode)

    monkeypatch.setattr(feeding.durable, "write", cut_off)
    with pytest.raises(KeyboardInterrupt):
        renew(force)
    monkeypatch.undo()
    assert not (folder / "links.csv").exists()
    assert force.reopened()
    assert feeds.waiting(force.archive) == ["../bi"]
    assert not faults(force)
    assert renew(force).written == ("../bi",)
    assert {f"{table}.csv" for table in feeds.TABLES} <= {path.name for path in folder.iterdir()}
    assert not holds(folder, GONE)


def test_a_disposal_cut_off_before_the_feed_was_struck_is_finished_by_resume(force, monkeypatch):
    folder = write(force)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(disposal.feeds, "strike", cut_off)
    with pytest.raises(KeyboardInterrupt):
        force.dispose(GONE, on="2026-03-01T00:00:00Z")
    monkeypatch.undo()
    assert holds(folder, GONE)
    assert force.reopened().finish(on="2026-03-02T00:00:00Z") == []
    assert not holds(folder, GONE)
    assert force.archive.history.disposals[0].certified


def test_what_was_left_of_writing_a_table_is_removed_with_it(force):
    folder = write(force)
    (folder / ".links.csv.999999.part").write_text(GONE)
    force.dispose(GONE, on="2026-03-01T00:00:00Z")
    assert not holds(folder, GONE)


def test_verify_names_a_table_that_was_edited(force):
    folder = write(force)
    steps = {step.name: step for step in verify.verify(force.archive)}
    assert (steps["feeds"].checked, steps["feeds"].faults) == (1, ())
    (folder / "links.csv").write_bytes((folder / "links.csv").read_bytes() + b"x")
    (step,) = (step for step in verify.verify(force.archive) if step.name == "feeds")
    assert step.faults == ("feed ../bi has other bytes than those that were logged",)


def test_it_follows_the_live_build_and_is_left_alone_while_that_is_the_same(force):
    folder = write(force)
    assert renew(force) == Renewed((), ())
    force.receive(
        record("RECORD-9", KEPT, "N-9"), cut_off="2026-02-08T00:00:00Z", mode="delta", since="2026-02-01T00:00:00Z"
    )
    force.build("2026-02-08T00:00:00Z")
    assert renew(force).written == ("../bi",)
    assert holds(folder, "RECORD-9")
    assert len(force.archive.acts(["Exported"])) == 2


def test_where_a_feed_may_not_lie(force):
    with pytest.raises(Refused, match="feed would lie in the archive's folder"):
        feeding.write(
            force.archive, force.root / "bi", theme="", form="csv", on="2026-02-02T00:00:00Z", by="a", under="b"
        )
    with pytest.raises(Refused, match="the folder of its keys"):
        feeding.write(force.archive, force.keys, theme="", form="csv", on="2026-02-02T00:00:00Z", by="a", under="b")
    other = force.folder / "papers"
    other.mkdir()
    (other / "links.csv").write_text("somebody else's")
    with pytest.raises(Conflict, match="folder papers holds something else"):
        write(force, "papers")
    assert (other / "links.csv").read_text() == "somebody else's"
    assert not force.archive.history.feeds


def test_a_feed_that_was_replaced_by_anothers_folder_is_not_emptied(force):
    folder = write(force)
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "links.csv").write_text("somebody else's")
    force.dispose(GONE, on="2026-03-01T00:00:00Z")
    assert renew(force).missed == ("../bi",)
    assert (folder / "links.csv").read_text() == "somebody else's"


def test_a_feed_is_ended_where_it_lies_or_by_whoever_answers_for_it(force):
    folder = write(force)
    assert feeds.recall(force.archive, folder, on="2026-03-01T00:00:00Z", by="ana", under="Director 4/26")
    assert list(folder.iterdir()) == []
    assert not force.archive.history.feeds
    folder = write(force, "other")
    shutil.rmtree(folder)
    said = {"on": "2026-03-01T00:00:00Z", "by": "ana", "under": "Director 4/26"}
    with pytest.raises(Conflict, match=r"feed \.\./other is not reached"):
        feeds.recall(force.archive, folder, **said)
    assert not feeds.recall(force.archive, folder, gone=True, **said)
    assert [act.removed for act in force.archive.acts(["Recalled"])] == [1, 0]
    with pytest.raises(Missing, match="folder other is no feed"):
        feeds.recall(force.archive, folder, **said)
