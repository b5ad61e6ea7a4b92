"""Packs made from archives: what they show, what they withhold, and that they prove that nothing is left out."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from force import PARAMS, Force, record

from provenance import asof, checking, entries, holding, propagation, proving, rows
from provenance.archive import Archive, Overtaken
from provenance.asof import Snapshot
from provenance.errors import Conflict, Missing, Refused
from provenance.history import Publication
from provenance.holds import Hold
from provenance.records import THEMES

WEEK = [f"2026-01-{day}T23:59:59Z" for day in (11, 18, 25)]
LATER = "2026-02-02T10:00:00Z"


@pytest.fixture(scope="module", autouse=True)
def _no_power_cut() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Pack:
    """A pack that was made and has been checked: no step found a fault."""

    def __init__(self, snapshot: Snapshot, folder: Path, **question: str) -> None:
        self.made = proving.prove(snapshot, folder, as_of="", on=LATER, **question)
        self.folder, self.checked = folder, checking.check(folder)
        assert [(step.name, step.faults) for step in self.checked.steps if step.faults] == []
        self.said = self.checked.said
        self.lines = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """What is shown of a table: as it was, or what is left of it."""
        return [
            json.loads(base64.b64decode(line["entry"])[32:])
            for line in self.lines
            if line["table"] == table and "entry" in line
        ]

    def withheld(self, why: str) -> int:
        return sum(line.get("withheld") == why for line in self.lines)

    def links(self) -> dict[str, list[str]]:
        """Leaves that the pack claims to be all links of the nominal, by theme."""
        return {item["theme"]: item["links"] for item in self.said["complete"]}


def pairs(links: list[dict[str, Any]]) -> list[tuple[str, str, str, list[str]]]:
    """Of links as they are answered, or as their rows have them."""

    def behind(supports: Any) -> list[str]:
        return [one["record_id"] for one in supports] if isinstance(supports, list) else supports["record_id"]

    return sorted((x["theme"], x["a"], x["b"], behind(x["supports"])) for x in links)


def leaves(archive: Archive, label: str, person: str) -> dict[str, list[str]]:
    """The leaves of a nominal's links in a build, by theme: read from the index while nothing is gone from it."""
    index, snapshot = archive.index("link"), Snapshot(archive, archive.history.build(label), None)
    at, token = snapshot.positions("link"), snapshot.token(person)
    mine = at[(index.a[at] == token) | (index.b[at] == token)]
    found = {theme: sorted(index.leaf[i].tobytes().hex() for i in mine if index.theme[i] == code)
             for code, theme in enumerate(THEMES, start=1)}  # fmt: skip
    return {theme: listed for theme, listed in found.items() if listed}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Force:
    """ANN met BOB in two records and CAT, DAN, EVE once each; in the second week FAY as well. Nothing is gone yet."""
    force = Force(tmp_path_factory.mktemp("story"))
    first = [
        record("R-1", "ANN", "BOB", "CAT"), record("R-2", "ANN", "BOB"), record("R-3", "ANN", "DAN"),
        record("R-4", "ANN", "EVE", themes="SOC;CL"), record("R-5", "BOB", "EVE"),
    ]  # fmt: skip
    force.receive(*first, cut_off=WEEK[0])
    force.build(WEEK[0])
    force.receive(*first, record("R-6", "ANN", "FAY"), cut_off=WEEK[1])
    force.build(WEEK[1])
    return force


@pytest.fixture
def force(story: Force, tmp_path: Path) -> Iterator[Force]:
    """A copy to act upon."""
    copy = object.__new__(Force)
    copy.folder, copy.root, copy.keys, copy._extracts = tmp_path, tmp_path / "force", tmp_path / "force.keys", 2
    shutil.copytree(story.root, copy.root)
    shutil.copytree(story.keys, copy.keys)
    copy.archive = Archive(copy.root, copy.keys)
    yield copy
    copy.archive.close()


def test_an_answer_about_one_nominal_is_proved_to_be_complete(story, tmp_path):
    snapshot = story.as_of("2026-01-12T10:00:00Z")
    pack = Pack(snapshot, tmp_path / "pack", nominal="ANN")
    answer = snapshot.answer(nominal="ANN")
    assert pairs(pack.rows("link")) == pairs(answer["links"])
    assert [row["nominal"] for row in pack.rows("nominal")] == ["ANN", "ANN"]
    assert {row["network"] for row in pack.rows("network")} == {row["network"] for row in answer["networks"]}
    assert sorted(row["record_id"] for row in pack.rows("record")) == ["R-1", "R-2", "R-3", "R-4"]
    assert pack.links() == leaves(story.archive, "2026-W02", "ANN")
    assert pack.made.complete == ("SOC", "CL")
    assert (pack.made.withheld, pack.said["incomplete"][0]["theme"]) == (0, "CSE")
    assert pack.said["published_from"] == answer["published_from"]
    assert pack.said["published_to"] == answer["published_to"] == WEEK[1]


def test_the_same_question_gives_the_same_bytes(story, tmp_path):
    for name in ("one", "other"):
        Pack(story.as_of("2026-01-12T10:00:00Z"), tmp_path / name, nominal="ANN")
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


@pytest.mark.parametrize(
    ("question", "linked"),
    [({"theme": "CL"}, [("CL", "ANN", "EVE", ["R-4"])]), ({"nominal": "DAN"}, [("SOC", "ANN", "DAN", ["R-3"])])],
)
def test_a_pack_holds_what_was_asked_for_and_no_more(story, tmp_path, question, linked):
    pack = Pack(story.as_of("2026-01-12T10:00:00Z"), tmp_path / "pack", **question)
    assert pairs(pack.rows("link")) == linked
    assert sorted(row["record_id"] for row in pack.rows("record")) == linked[0][3]
    assert bool(pack.said["complete"]) == ("nominal" in question)


def test_a_network_and_a_whole_build(story, tmp_path):
    snapshot = story.as_of("2026-01-12T10:00:00Z")
    network = snapshot.networks(theme="SOC")["network"][0].as_py()
    pack = Pack(snapshot, tmp_path / "network", network=network)
    assert pairs(pack.rows("link")) == pairs(snapshot.links(network=network).to_pylist())
    assert [row["network"] for row in pack.rows("network")] == [network]
    whole = Pack(snapshot, tmp_path / "whole")
    for table in ("link", "nominal", "network"):
        assert len(whole.rows(table)) == next(t.size for t in snapshot.built.tables if t.name == table)


def test_what_was_disposed_of_keeps_its_place_and_its_certificate(force, tmp_path):
    before = {label: leaves(force.archive, label, "ANN") for label in ("2026-W02", "2026-W03")}
    force.dispose("DAN", "CONNECT R-2", on=LATER)
    force.dispose("CAT", on=LATER)
    for place, label in enumerate(before):
        pack = Pack(force.as_of(f"2026-01-{12 + 7 * place}T10:00:00Z"), tmp_path / label, nominal="ANN")
        assert pack.links() == before[label]
        both = [("CL", "ANN", "EVE", ["R-4"]), ("SOC", "ANN", "BOB", ["R-1"]), ("SOC", "ANN", "EVE", ["R-4"])]
        assert pairs(pack.rows("link")) == both + ([("SOC", "ANN", "FAY", ["R-6"])] if place else [])
        assert (pack.withheld("disposed"), pack.withheld("reduced")) == (2, 1)
        assert len(list((tmp_path / label / "certificates").iterdir())) == 2
        assert b"DAN" not in b"".join(contents(tmp_path / label).values())


def test_a_link_that_lives_on_with_less_is_shown_as_it_is_now(force, tmp_path):
    before = leaves(force.archive, "2026-W02", "ANN")
    force.dispose("CONNECT R-2", on=LATER)
    pack = Pack(force.as_of("2026-01-12T10:00:00Z"), tmp_path / "pack", nominal="ANN")
    assert pack.links() == before
    assert ("SOC", "ANN", "BOB", ["R-1"]) in pairs(pack.rows("link"))
    assert (pack.withheld("reduced"), pack.withheld("disposed")) == (1, 0)
    assert [line.get("computed_with_erased") for line in pack.lines if line["table"] == "nominal"] == [True, True]


def test_of_a_link_that_ended_with_a_record_nobody_can_tell_whose_it_was(force, tmp_path):
    """ANN and BOB met in two records, which go one after the other. Two packs would tell; so would files and vault."""
    force.dispose("CONNECT R-2", on=LATER)
    force.dispose("CONNECT R-1", on=LATER)
    snapshot = force.as_of("2026-01-12T10:00:00Z")
    packed = {name: Pack(snapshot, tmp_path / name, nominal=name) for name in ("ANN", "BOB")}
    for pack in packed.values():
        assert "SOC" not in pack.links()
        assert any(
            item["theme"] == "SOC" and "ended with the disposal" in item["why"] for item in pack.said["incomplete"]
        )
        assert pack.withheld("disposed") == pack.withheld("reduced") == 0
        assert not any("leaf" in line for line in pack.lines if line["table"] == "link")
    assert packed["ANN"].links() == {"CL": leaves(force.archive, "2026-W02", "ANN")["CL"]}
    for disposal in force.archive.history.disposals:
        gaps = rows.read_table(force.archive.disposal_file(disposal.number, "gaps"), propagation.GAPS).to_pylist()
        places = [(row["segment"], row["row"]) for row in gaps if row["row"] >= 0]
        assert len(places) == len(set(places))


def test_a_link_that_is_gone_and_one_that_is_restricted_are_each_told_once(force, tmp_path):
    force.dispose("CONNECT R-2", on=LATER)
    held(force, "24/0001", record="R-1")
    force.dispose("CONNECT R-1", on=LATER)
    for name, question in (("whole", {}), ("theme", {"theme": "SOC"}), ("one", {"nominal": "ANN"})):
        pack = Pack(force.as_of("2026-01-12T10:00:00Z"), tmp_path / name, **question)
        assert pack.withheld("restricted") == (0 if name == "one" else 3)


def test_a_pack_is_not_written_into_the_archive(force, tmp_path):
    snapshot = force.as_of(WEEK[1])
    for folder in (force.root / "log" / "pack", force.root / "audit_reports" / "pack", force.keys / "pack"):
        with pytest.raises(Refused, match="not kept within the archive"):
            proving.prove(snapshot, folder, as_of="", on=LATER)
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "pack", tmp_path / ("x" * 300)):
        with pytest.raises(Conflict, match="cannot be written there"):
            proving.prove(snapshot, folder, as_of="", on=LATER)


def test_what_a_killed_process_left_of_a_pack_is_removed_by_the_next(story, tmp_path):
    left = tmp_path / ".pack.4194305.part"  # beyond the numbers that processes have
    left.mkdir()
    (left / "rows.jsonl").write_text("in the clear")
    (mine := tmp_path / ".pack.part").mkdir()
    Pack(story.as_of("2026-01-12T10:00:00Z"), tmp_path / "pack", nominal="ANN")
    assert sorted(path.name for path in tmp_path.iterdir()) == [mine.name, "pack"]


def test_a_hold_that_takes_the_place_of_another_is_noticed(force, tmp_path):
    one = held(force, "24/0001", "DAN")
    force.dispose("DAN", on=LATER)
    snapshot = force.as_of("2026-01-12T10:00:00Z", case="24/0001")
    assert "DAN" in snapshot.nominals()["nominal"].to_pylist()
    held(force, "24/0002", "DAN")
    said = {"reason": "decided", "on": LATER, "by": "D. Officer", "under": "a decision"}
    holding.release(force.archive, PARAMS, one.id, **said)
    with pytest.raises(Overtaken):
        snapshot.nominals()
    assert "DAN" not in snapshot.nominals()["nominal"].to_pylist()


def held(force: Force, case: str, *people: str, record: str = "") -> Hold:
    return holding.place(
        force.archive, PARAMS, case=case, basis="inquiry", review_on="2026-09-01", nominals=people, on=LATER,
        records=[("CONNECT", record)] if record else [], by="D. Officer", under="Inquiries Act",
    )  # fmt: skip


def test_what_is_restricted_for_a_case_is_told_to_that_case_only(force, tmp_path):
    held(force, "24/0001", "DAN")
    held(force, "24/0002", "FAY")
    force.dispose("DAN", on=LATER)
    pack = Pack(force.as_of("2026-01-12T10:00:00Z"), tmp_path / "pack", nominal="ANN")
    assert [(item["theme"], "restricted" in item["why"]) for item in pack.said["incomplete"]] == [
        ("SOC", True), ("CSE", False), ("CL", True),
    ]  # fmt: skip
    assert (pack.withheld("restricted"), pack.withheld("figures")) == (0, 3)  # or their number would tell
    assert ("SOC", "ANN", "DAN", ["R-3"]) not in pairs(pack.rows("link"))
    assert b"DAN" not in b"".join(contents(tmp_path / "pack").values())
    theirs = Pack(force.as_of("2026-01-12T10:00:00Z", case="24/0001"), tmp_path / "theirs", nominal="ANN")
    assert theirs.links() == leaves(force.archive, "2026-W02", "ANN")
    assert ("SOC", "ANN", "DAN", ["R-3"]) in pairs(theirs.rows("link"))
    other = Pack(force.as_of("2026-01-12T10:00:00Z", case="24/0002"), tmp_path / "other", nominal="ANN")
    assert "SOC" not in other.links()
    assert b"DAN" not in b"".join(contents(tmp_path / "other").values())


def test_a_nominal_who_is_gone_has_no_pack(force, tmp_path):
    force.dispose("DAN", on=LATER)
    with pytest.raises(Missing, match="no nominal of that id is shown"):
        proving.prove(force.as_of("2026-01-12T10:00:00Z"), tmp_path / "pack", as_of="", on=LATER, nominal="DAN")
    assert list(tmp_path.glob("*pack*")) == []


def test_the_id_that_a_merged_nominal_had_is_asked_about_and_the_pack_says_whose_rows_it_has(tmp_path):
    force = Force(tmp_path)
    merge = {"from_nominal": "ANN-2", "into_nominal": "ANN", "evidence": "fingerprints", "by": "bureau",
             "at": "2026-01-06T00:00:00Z"}  # fmt: skip
    force.receive(record("R-1", "ANN-2", "BOB"), record("R-2", "ANN", "CAT"), cut_off=WEEK[0], merges=[merge])
    force.build(WEEK[0])
    pack = Pack(force.as_of(WEEK[0]), tmp_path / "pack", nominal="ANN-2")
    assert [pack.said["question"][name] for name in ("nominal", "person")] == ["ANN-2", "ANN"]
    assert len(pack.links()["SOC"]) == 2
    assert any("was judged to be the person" in said for said in pack.checked.not_proved)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_disposed_of_the_lists_of_links_stay_whole(seed, tmp_path):
    """Each survivor's pack for each build lists the leaves that were there when the build was made, and no other."""
    chance, force = Random(seed), Force(tmp_path)
    people = [f"P{n}" for n in range(7)]
    said: list[dict[str, Any]] = []
    for week in range(3):
        said += [
            record(
                f"R{week}{n}", *chance.sample(people, chance.choice((2, 2, 3))), themes=chance.choice(("SOC", "SOC;CL"))
            )
            for n in range(5)
        ]
        force.receive(*said, cut_off=WEEK[week])
        force.build(WEEK[week])
        if week == 1:  # the last build comes after a disposal
            force.dispose(chance.choice(people), f"CONNECT R0{chance.randrange(5)}", on=WEEK[1])
            said = [r for r in said if f"CONNECT {r['record_id']}" not in _gone(force, said)]
            people = [p for p in people if not _is_gone(force, p)]
            said = [r | {"people": [x for x in r["people"] if x[0] in people]} for r in said]
    built = [built.label for built in force.archive.history.builds]
    known = {
        (label, p): leaves(force.archive, label, p) for label in built[2:] for p in people if _row(force, label, p)
    }
    for place in range(3):
        gone = chance.choice([p for p in people if not _is_gone(force, p)])
        force.dispose(gone if place % 2 else f"CONNECT {chance.choice(said)['record_id']}", on=LATER)
    for label in built:
        snapshot = Snapshot(force.archive, force.archive.history.build(label), None)
        for person in people:
            if not _is_gone(force, person) and _row(force, label, person):
                pack = Pack(snapshot, tmp_path / f"{label}-{person}", nominal=person)
                assert pairs(pack.rows("link")) == pairs(snapshot.links(nominal=person).to_pylist())
                if (label, person) in known:
                    untold = {item["theme"] for item in pack.said["incomplete"] if "ended with" in item["why"]}
                    told = {t: x for t, x in known[label, person].items() if t not in untold}
                    assert {t: x for t, x in pack.links().items() if x} == told
    force.archive.close()


def _is_gone(force: Force, person: str) -> bool:
    from provenance import vault

    return not force.archive.vault.tokens(vault.nominal_keys([person]))[0]


def _gone(force: Force, said: list[dict[str, Any]]) -> set[str]:
    import pyarrow as pa

    from provenance import vault

    ids = [r["record_id"] for r in said]
    tokens = force.archive.vault.tokens(vault.record_keys(pa.array(["CONNECT"] * len(ids)), pa.array(ids)))
    return {f"CONNECT {id}" for id, token in zip(ids, tokens.tolist(), strict=True) if not token}


def _row(force: Force, label: str, person: str) -> bool:
    snapshot = Snapshot(force.archive, force.archive.history.build(label), None)
    return snapshot.nominals(nominal=person).num_rows > 0


def test_a_folder_that_is_there_is_left_as_it_is(story, tmp_path):
    (tmp_path / "pack").mkdir()
    with pytest.raises(Conflict, match="folder pack is there already"):
        proving.prove(story.as_of(WEEK[1]), tmp_path / "pack", as_of="", on=LATER)
    assert list((tmp_path / "pack").iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing(story, tmp_path, monkeypatch):
    def full(pack: Any, name: str, data: bytes, write: Any = proving._Pack._write) -> None:
        if name == "rows.jsonl":
            raise OSError(28, "No space left on device")
        write(pack, name, data)

    monkeypatch.setattr(proving._Pack, "_write", full)
    with pytest.raises(Conflict, match="No space"):
        proving.prove(story.as_of(WEEK[1]), tmp_path / "pack", as_of="", on=LATER)
    assert list(tmp_path.iterdir()) == []


def test_a_disposal_while_a_pack_is_made_is_not_in_it(force, tmp_path, monkeypatch):
    """The pack that was begun is dropped, and the one that is made then shows nothing of what went."""
    other, done = Archive(force.root, force.keys), []
    sums = proving._Pack._write

    def disposing(pack: Any, name: str, data: bytes) -> None:
        if name == "statement.json" and not done:
            done.append(name)
            one = object.__new__(Force)
            one.archive = other
            one.dispose("DAN", on=LATER)
        sums(pack, name, data)

    monkeypatch.setattr(proving._Pack, "_write", disposing)
    snapshot = force.as_of("2026-01-12T10:00:00Z")
    with pytest.raises(Overtaken):
        proving.prove(snapshot, tmp_path / "pack", as_of="", on=LATER, nominal="ANN")
    assert not (tmp_path / "pack").exists()
    asof.whole(lambda: proving.prove(snapshot, tmp_path / "pack", as_of="", on=LATER, nominal="ANN"))
    assert b"DAN" not in b"".join(contents(tmp_path / "pack").values())
    other.close()


def test_a_build_that_was_live_again_when_a_later_one_was_withdrawn(force, tmp_path):
    said = {"on": LATER, "by": "tests", "under": "a story"}
    force.archive.append(entries.Withdrawn(**said, label="2026-W03", at="2026-01-28T09:00:00Z", reason="an error"))
    pack = Pack(force.as_of("2026-01-29T10:00:00Z"), tmp_path / "pack", nominal="ANN")
    assert (pack.said["build"], pack.said["published_from"]) == ("2026-W02", "2026-01-28T09:00:00Z")
    withdrawn = Pack(Snapshot(force.archive, force.archive.history.build("2026-W03"), _first(force)), tmp_path / "late")
    assert withdrawn.said["published_to"] == "2026-01-28T09:00:00Z"
    for name in ("pack", "late"):
        done = subprocess.run([sys.executable, "verify.py"], cwd=tmp_path / name, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode()


def _first(force: Force) -> Publication:
    return next(p for p in force.archive.history.publications if p.label == "2026-W03")
